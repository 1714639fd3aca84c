//! How much one call, and all calls of a session together, have written.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ml_intern_manifest::{Denial, Limits, SESSION_CALLS, Size};

/// What the calls of one plugin have written since the program began. Clones share their counts.
#[derive(Debug, Clone, Default)]
pub struct Written(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    bytes: AtomicU64,
    files: AtomicU64,
}

/// What is left to one call.
#[derive(Debug)]
pub(crate) struct Quota {
    call: Counts,
    session: Written,
    bytes: u64,
    files: u64,
}

/// A limit that is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spent {
    what: What,
    limit: u64,
    session: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Bytes,
    Files,
}

/// A file that is about to be created; given back unless it was.
#[must_use = "dropped, it takes back what was counted"]
#[derive(Debug)]
pub(crate) struct Reserved<'a>(Option<&'a Quota>);

impl Quota {
    pub(crate) fn new(limits: &Limits, session: Written) -> Self {
        Self {
            call: Counts::default(),
            session,
            bytes: limits.file_bytes,
            files: limits.files,
        }
    }

    /// Counts bytes that are about to be written.
    pub(crate) fn charge(&self, bytes: u64) -> Result<(), Spent> {
        self.take(What::Bytes, bytes)
    }

    /// Counts a file, folder or link that is about to be created.
    pub(crate) fn reserve_file(&self) -> Result<Reserved<'_>, Spent> {
        self.take(What::Files, 1)?;
        Ok(Reserved(Some(self)))
    }

    fn take(&self, what: What, amount: u64) -> Result<(), Spent> {
        let limit = match what {
            What::Bytes => self.bytes,
            What::Files => self.files,
        };
        let all = limit.saturating_mul(SESSION_CALLS);
        let spent = |limit, session| Spent {
            what,
            limit,
            session,
        };
        add(self.call.of(what), amount, limit).ok_or(spent(limit, false))?;
        if add(self.session.0.of(what), amount, all).is_none() {
            self.call.of(what).fetch_sub(amount, Ordering::Relaxed);
            return Err(spent(all, true));
        }
        Ok(())
    }
}

impl Counts {
    fn of(&self, what: What) -> &AtomicU64 {
        match what {
            What::Bytes => &self.bytes,
            What::Files => &self.files,
        }
    }
}

fn add(count: &AtomicU64, amount: u64, limit: u64) -> Option<u64> {
    let more = |used: u64| used.checked_add(amount).filter(|sum| *sum <= limit);
    count
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
        .ok()
}

impl Reserved<'_> {
    /// The file is there.
    pub(crate) fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        if let Some(quota) = self.0 {
            quota.call.files.fetch_sub(1, Ordering::Relaxed);
            quota.session.0.files.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Spent {
    /// In words, remembered with what else the host did not do.
    pub(super) fn denial(self) -> Denial {
        Denial {
            capability: match self.what {
                What::Bytes => "limits.file-bytes",
                What::Files => "limits.files",
            },
            detail: self.to_string(),
        }
    }
}

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            limit,
            session,
        } = *self;
        let (key, verb) = match what {
            What::Bytes => (
                "file-bytes",
                format!("writes at most {} to files", Size(limit)),
            ),
            What::Files => ("files", format!("creates at most {limit} files")),
        };
        if session {
            write!(
                f,
                "the plugin {verb} in one session, which is {SESSION_CALLS} calls at their limit; \
                 raise `limits.{key}` in its plugin.toml, or start anew"
            )
        } else {
            write!(f, "a call {verb}; raise `limits.{key}` in its plugin.toml")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(session: &Written) -> Quota {
        let limits = Limits {
            file_bytes: 4096,
            files: 2,
            ..Limits::default()
        };
        Quota::new(&limits, session.clone())
    }

    #[test]
    fn a_call_stops_at_its_limit_and_a_refused_write_costs_nothing() {
        let call = quota(&Written::default());
        call.charge(4000).unwrap();
        let text = call.charge(97).unwrap_err().to_string();
        assert!(text.contains("at most 4KiB"), "{text}");
        assert!(text.contains("`limits.file-bytes`"), "{text}");
        assert!(call.charge(u64::MAX).is_err());
        call.charge(96).unwrap();
        assert!(call.charge(1).is_err());
    }

    #[test]
    fn what_was_not_created_is_given_back() {
        let call = quota(&Written::default());
        call.reserve_file().unwrap().keep();
        drop(call.reserve_file().unwrap());
        call.reserve_file().unwrap().keep();
        let text = call.reserve_file().unwrap_err().to_string();
        assert!(text.contains("creates at most 2 files"), "{text}");
    }

    #[test]
    fn calls_add_up_to_what_a_session_may() {
        let session = Written::default();
        for _ in 0..SESSION_CALLS {
            quota(&session).charge(4096).unwrap();
        }
        let last = quota(&session);
        assert!(last.charge(1).unwrap_err().to_string().contains("session"));
        // And what was refused there is not counted here.
        assert_eq!(last.call.bytes.load(Ordering::Relaxed), 0);
        quota(&Written::default()).charge(4096).unwrap();
    }
}

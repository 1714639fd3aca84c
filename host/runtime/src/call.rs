//! One call of a plugin: who asks, who watches, and what has been used so far.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ml_intern_manifest::{Denial, Effective, WORKSPACE_MOUNT};
use tokio_util::sync::CancellationToken;

use crate::egress::connect::Clients;
use crate::egress::secret::Secrets;
use crate::fault::{FaultCause, MAX_DENIALS};
use crate::meter::{CallClock, CpuMeter, lock};
use crate::plugin::Setup;
use crate::services::Caller;
use crate::{log, sink, types};

/// Who asks for a call, and how it is held.
#[derive(Debug, Clone, Default)]
pub struct CallContext {
    /// Session id, told to the plugin.
    pub session: String,
    /// Call id, told to the plugin and named in faults.
    pub call: String,
    /// Holds the call to reading: folders are read-only, only GET and HEAD leave, no program
    /// runs and no job is submitted or changed.
    pub read_only: bool,
    /// Wall time, where it should be shorter than the plugin's limit.
    pub timeout: Option<Duration>,
}

/// Watches a call. Everything textual is untrusted and bounded by the plugin's limits.
pub trait Observer: Send + Sync {
    /// A line of the plugin's log, or of its standard output and error.
    fn log(&self, line: LogLine<'_>);
    /// Progress; the answer tells the plugin whether to go on.
    fn progress(&self, message: &str, fraction: Option<f32>) -> types::Control;
    /// A line that a program of this call wrote while running.
    fn output(&self, stream: Stream, line: &str);
    /// A network request, allowed or refused.
    fn audit(&self, record: &AuditRecord);
}

/// An observer that looks away.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn log(&self, _: LogLine<'_>) {}
    fn progress(&self, _: &str, _: Option<f32>) -> types::Control {
        types::Control::Proceed
    }
    fn output(&self, _: Stream, _: &str) {}
    fn audit(&self, _: &AuditRecord) {}
}

/// Receives what a provider streams, for display only.
pub trait Sink: Send + Sync {
    /// A delta; the answer tells the provider whether to go on.
    fn emit(&self, delta: sink::Delta) -> types::Control;
}

/// A line of a plugin's log.
#[derive(Debug, Clone, Copy)]
pub struct LogLine<'a> {
    /// As the plugin rates it; `debug` for standard output and error.
    pub level: log::Level,
    /// UTF-8, one or more lines.
    pub message: &'a str,
    /// JSON text, not parsed.
    pub fields: Option<&'a str>,
    /// Standard output or error; none when it came through the log interface.
    pub stream: Option<Stream>,
}

/// Standard output or error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Stream {
    Stdout,
    Stderr,
}

/// One network request. Never holds a header value, a query or a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// Request method.
    pub method: String,
    /// `scheme://host:port` as asked for.
    pub origin: String,
    /// Path without query.
    pub path: String,
    /// Position of the rule that allowed it, in the plugin's effective rules.
    pub rule: Option<usize>,
    /// How it ended.
    pub verdict: Verdict,
    /// Bytes of the response body that reached the plugin.
    pub response_bytes: u64,
}

/// How a network request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Allowed; how it ended is not the host's to say.
    Allowed,
    /// Answered with this status.
    Answered(u16),
    /// Refused by the host, with the reason.
    Denied(String),
    /// Failed on the way, with the reason.
    Failed(String),
}

/// Calls of the host that one call may make. The CPU budget ends a busy loop of cheap calls long
/// before; this bounds what a slow host function could be made to repeat.
pub(crate) const MAX_HOST_CALLS: u64 = 5_000_000;

/// Standard error kept for the text of a trap.
const STDERR_TAIL: usize = 2048;

/// State of a running call, shared by its capabilities and the requests it has under way.
pub(crate) struct Call {
    pub(crate) plugin: String,
    pub(crate) setup: Arc<Setup>,
    /// The plugin's grants, narrowed to reading where the call is held to it.
    pub(crate) effective: Arc<Effective>,
    pub(crate) context: CallContext,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) sink: Option<Arc<dyn Sink>>,
    pub(crate) cancel: CancellationToken,
    pub(crate) clock: Arc<CallClock>,
    pub(crate) meter: Arc<CpuMeter>,
    pub(crate) network: Arc<Clients>,
    pub(crate) secrets: Arc<Secrets>,
    host_calls: AtomicU64,
    log_left: AtomicU64,
    denials: Mutex<Vec<Denial>>,
    stderr: Mutex<Vec<u8>>,
    /// A limit that the host noticed, for the fault that follows.
    noticed: Mutex<Option<FaultCause>>,
}

/// What [`Call::new`] needs to know.
pub(crate) struct CallParts {
    pub(crate) plugin: String,
    pub(crate) setup: Arc<Setup>,
    pub(crate) effective: Arc<Effective>,
    pub(crate) context: CallContext,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) sink: Option<Arc<dyn Sink>>,
    pub(crate) cancel: CancellationToken,
    pub(crate) network: Arc<Clients>,
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) timeout: Duration,
}

impl Call {
    pub(crate) fn new(parts: CallParts) -> Arc<Self> {
        Arc::new(Self {
            log_left: AtomicU64::new(parts.setup.limits.log_bytes),
            plugin: parts.plugin,
            setup: parts.setup,
            effective: parts.effective,
            context: parts.context,
            observer: parts.observer,
            sink: parts.sink,
            cancel: parts.cancel,
            clock: Arc::new(CallClock::new(parts.timeout)),
            meter: Arc::default(),
            network: parts.network,
            secrets: parts.secrets,
            host_calls: AtomicU64::new(0),
            denials: Mutex::new(Vec::new()),
            stderr: Mutex::new(Vec::new()),
            noticed: Mutex::new(None),
        })
    }

    /// Counts a call of the host. Whether there were too many is asked by [`Self::over_budget`],
    /// at every tick: a WASI accessor has no way to refuse.
    pub(crate) fn count(&self) {
        self.host_calls.fetch_add(1, Ordering::Relaxed);
    }

    /// The limit that the running guest has used up, if any.
    pub(crate) fn over_budget(&self) -> Option<FaultCause> {
        if self.meter.used() > self.setup.limits.cpu {
            return Some(FaultCause::CpuTime {
                limit: self.setup.limits.cpu,
            });
        }
        if self.host_calls.load(Ordering::Relaxed) > MAX_HOST_CALLS {
            return Some(FaultCause::HostCalls {
                limit: MAX_HOST_CALLS,
            });
        }
        None
    }

    pub(crate) fn notice(&self, cause: FaultCause) {
        lock(&self.noticed).get_or_insert(cause);
    }

    pub(crate) fn noticed(&self) -> Option<FaultCause> {
        lock(&self.noticed).clone()
    }

    /// Takes `bytes` of log text from what is left; false when it is used up.
    pub(crate) fn charge_log(&self, bytes: usize) -> bool {
        let take = |left: u64| left.checked_sub(bytes as u64);
        self.log_left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_ok()
    }

    /// Remembers what was refused, for the error that the guest makes of it.
    pub(crate) fn deny(&self, denial: Denial) -> types::Error {
        let told = types::Denial {
            capability: denial.capability.to_owned(),
            detail: denial.detail.clone(),
        };
        let mut denials = lock(&self.denials);
        if denials.len() < MAX_DENIALS && !denials.contains(&denial) {
            denials.push(denial);
        }
        types::Error::Denied(told)
    }

    /// A refused file reaches the guest as an error number without words. Where the guest makes a
    /// denial of it, the words are those of the grant that is missing, if one is.
    pub(crate) fn explain_refused_file(&self, error: &types::Error) {
        let types::Error::Denied(told) = error else {
            return;
        };
        // What was refused one by one has been explained already.
        let explained = |denial: &Denial| denial.capability.starts_with("fs.");
        if lock(&self.denials).iter().any(explained) {
            return;
        }
        let fs = &self.effective.fs;
        let missing = [false, true].map(|write| fs.check(WORKSPACE_MOUNT, write).err());
        if let Some(missing) = missing.into_iter().flatten().next()
            && told.capability.starts_with("fs")
        {
            // Remembered; the guest has its error already.
            let _remembered = self.deny(missing);
        }
    }

    pub(crate) fn take_denials(&self) -> Vec<Denial> {
        std::mem::take(&mut *lock(&self.denials))
    }

    pub(crate) fn keep_stderr(&self, bytes: &[u8]) {
        let mut tail = lock(&self.stderr);
        tail.extend_from_slice(bytes);
        let excess = tail.len().saturating_sub(STDERR_TAIL);
        tail.drain(..excess);
    }

    /// The last words of the guest, trimmed.
    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&lock(&self.stderr))
            .trim()
            .to_owned()
    }

    pub(crate) fn caller(&self) -> Caller {
        Caller {
            plugin: self.plugin.clone(),
            session: self.context.session.clone(),
            call: self.context.call.clone(),
            clock: Arc::clone(&self.clock),
            cancel: self.cancel.clone(),
            observer: Arc::clone(&self.observer),
        }
    }
}

//! One call of a plugin: who asks, who watches, and what has been used so far.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ml_intern_manifest::{Denial, Effective, WORKSPACE_MOUNT};
use tokio_util::sync::CancellationToken;

use crate::effects::of_call::CallEffects;
use crate::egress::connect::Clients;
use crate::egress::secret::Secrets;
use crate::egress::traffic::Traffic;
use crate::egress::transport::Transport;
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
    /// Another plugin's call waits for this one, which therefore does not wait for its turn among
    /// the plugin's calls.
    pub within: bool,
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
    /// A decision of the host, or the end of what it allowed.
    fn audit(&self, record: &AuditRecord);
    /// Something was done with a file. `path` makes its place below the workspace.
    fn file(&self, _touch: Touch, _path: &dyn Fn() -> String) {}
    /// What the call has used, at its end.
    fn used(&self, _used: &Used) {}
}

/// What is done with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// Opened to be read.
    Read,
    /// Opened to be written, or moved here.
    Written,
    /// Removed, or moved away.
    Removed,
}

/// What a call has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// Time on a processor, in the guest and in the host on its behalf.
    pub cpu: Duration,
    /// From its start to its end, without waiting for its turn or for a person.
    pub wall: Duration,
    /// Bytes of all memories and tables together; they never shrink.
    pub memory: u64,
    /// Calls of the host.
    pub host_calls: u64,
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

/// One decision about what a call may do. Never holds a header value, a query or a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// Dotted capability: `http`, `fs.read`, `fs.write`, `process`, `network` (of a program), `jobs`,
    /// `agent`, `limits`.
    pub capability: &'static str,
    /// What was asked for: `GET https://host:port/path` without query, `/workspace/a.txt`,
    /// `git status`, a flavor, a tool.
    pub target: String,
    /// The rule that allowed it, in the words in which it was granted.
    pub rule: Option<String>,
    /// How it ended.
    pub verdict: Verdict,
    /// Bytes of the request body that left.
    pub sent_bytes: u64,
    /// Bytes of the response body that reached the plugin.
    pub received_bytes: u64,
}

impl AuditRecord {
    /// A decision that moved no bytes.
    pub fn new(capability: &'static str, target: impl Into<String>, verdict: Verdict) -> Self {
        Self {
            capability,
            target: target.into(),
            rule: None,
            verdict,
            sent_bytes: 0,
            received_bytes: 0,
        }
    }
}

/// How a decision came out, or what was allowed ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Allowed.
    Allowed,
    /// Allowed, and answered with this status.
    Answered(u16),
    /// Refused by the host, with the reason.
    Denied(String),
    /// A limit was reached, which one.
    Limited(String),
    /// Allowed, and failed on the way, with the reason.
    Failed(String),
}

/// Decisions of one call that are written down one by one; the rest is counted.
const MAX_AUDITS: u64 = 256;

/// Standard error kept for the text of a trap.
const STDERR_TAIL: usize = 2048;

/// State of a running call, shared by its capabilities and the requests it has under way.
pub(crate) struct Call {
    pub(crate) plugin: String,
    pub(crate) setup: Arc<Setup>,
    pub(crate) context: CallContext,
    observer: Arc<dyn Observer>,
    pub(crate) sink: Option<Arc<dyn Sink>>,
    pub(crate) cancel: CancellationToken,
    pub(crate) clock: Arc<CallClock>,
    pub(crate) meter: Arc<CpuMeter>,
    pub(crate) network: Arc<Clients>,
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) traffic: Arc<Traffic>,
    /// Where what enters the call is recorded, or comes from.
    pub(crate) effects: Option<Arc<CallEffects>>,
    host_calls: AtomicU64,
    log_left: AtomicU64,
    audited: AtomicU64,
    /// Limits that were reached and ended nothing.
    reached: Mutex<Vec<&'static str>>,
    denials: Mutex<Vec<Denial>>,
    stderr: Mutex<Vec<u8>>,
    /// A limit that the host noticed, for the fault that follows.
    noticed: Mutex<Option<FaultCause>>,
}

/// What [`Call::new`] needs to know.
pub(crate) struct CallParts {
    pub(crate) plugin: String,
    pub(crate) setup: Arc<Setup>,
    pub(crate) context: CallContext,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) sink: Option<Arc<dyn Sink>>,
    pub(crate) cancel: CancellationToken,
    pub(crate) network: Arc<Clients>,
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) timeout: Duration,
}

impl Call {
    pub(crate) fn new(parts: CallParts) -> Arc<Self> {
        let effects = parts.setup.services.effects.as_ref();
        Arc::new(Self {
            effects: effects.map(|effects| CallEffects::new(effects, &parts.context.call)),
            log_left: AtomicU64::new(parts.setup.limits.log_bytes),
            plugin: parts.plugin,
            setup: parts.setup,
            context: parts.context,
            observer: parts.observer,
            sink: parts.sink,
            cancel: parts.cancel,
            clock: Arc::new(CallClock::new(parts.timeout)),
            meter: Arc::default(),
            network: parts.network,
            secrets: parts.secrets,
            traffic: parts.traffic,
            host_calls: AtomicU64::new(0),
            audited: AtomicU64::new(0),
            reached: Mutex::new(Vec::new()),
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

    /// What has been used, of `memory` bytes at most.
    pub(crate) fn used(&self, memory: u64) -> Used {
        Used {
            cpu: self.meter.total(),
            wall: self.clock.spent(),
            memory,
            host_calls: self.host_calls.load(Ordering::Relaxed),
        }
    }

    /// The limit that the running guest has used up, if any.
    pub(crate) fn over_budget(&self) -> Option<FaultCause> {
        if let Some(cause) = self.broken_off() {
            return Some(cause);
        }
        if self.meter.used() > self.setup.limits.cpu {
            return Some(FaultCause::CpuTime {
                limit: self.setup.limits.cpu,
            });
        }
        let limit = self.setup.limits.host_calls;
        if self.host_calls.load(Ordering::Relaxed) > limit {
            return Some(FaultCause::HostCalls { limit });
        }
        None
    }

    /// Why its recording or replay ends the call, if it does.
    pub(crate) fn broken_off(&self) -> Option<FaultCause> {
        self.effects.as_ref().and_then(|effects| effects.ended())
    }

    /// Completes when the recording or replay ends the call.
    pub(crate) async fn until_broken_off(&self) {
        match &self.effects {
            Some(effects) => effects.until_ended().await,
            None => std::future::pending().await,
        }
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
        let fits = self
            .log_left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_ok();
        if !fits {
            self.limited("limits.log", || {
                format!("more than {} bytes of log", self.setup.limits.log_bytes)
            });
        }
        fits
    }

    /// Writes down, once a call, that a limit was reached which does not end the call.
    pub(crate) fn limited(&self, limit: &'static str, text: impl FnOnce() -> String) {
        let mut reached = lock(&self.reached);
        if !reached.contains(&limit) {
            reached.push(limit);
            drop(reached);
            self.audit(&AuditRecord::new("limits", limit, Verdict::Limited(text())));
        }
    }

    /// What carries its requests.
    pub(crate) fn transport(&self) -> &dyn Transport {
        match &self.setup.services.recordings {
            Some(recordings) => &**recordings,
            None => &*self.network,
        }
    }

    /// Who watches the call.
    pub(crate) fn observer(&self) -> &dyn Observer {
        &*self.observer
    }

    /// What the call may do now: the grant in force, narrowed to reading where the call is held to it.
    pub(crate) fn effective(&self) -> Arc<Effective> {
        self.setup.policy.get(self.context.read_only)
    }

    /// Completes with the denial once the grant no longer allows what `check` asks.
    pub(crate) async fn revoked(&self, check: impl Fn(&Effective) -> Result<(), Denial>) -> Denial {
        let mut changes = self.setup.policy.changes();
        loop {
            if let Err(denial) = check(&self.effective()) {
                return denial;
            }
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Writes a decision down. A guest that asks for thousands is cut short, and how many were left
    /// out is said at the end of the call.
    pub(crate) fn audit(&self, record: &AuditRecord) {
        if self.audited.fetch_add(1, Ordering::Relaxed) < MAX_AUDITS {
            self.observer.audit(record);
        }
    }

    /// Writes down what was allowed, and by which rule.
    pub(crate) fn allowed(&self, capability: &'static str, target: String, rule: Option<String>) {
        self.audit(&AuditRecord {
            rule,
            ..AuditRecord::new(capability, target, Verdict::Allowed)
        });
    }

    /// Writes down what was refused, and remembers it.
    pub(crate) fn refuse(&self, denial: Denial, target: String) -> types::Error {
        let verdict = Verdict::Denied(denial.detail.clone());
        self.audit(&AuditRecord::new(denial.capability, target, verdict));
        self.deny(denial)
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
        let fs = &self.effective().fs;
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
            policy: self.setup.policy.clone(),
            read_only: self.context.read_only,
            clock: Arc::clone(&self.clock),
            cancel: self.cancel.clone(),
            observer: Arc::clone(&self.observer),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let more = self
            .audited
            .load(Ordering::Relaxed)
            .saturating_sub(MAX_AUDITS);
        if more > 0 {
            let verdict = Verdict::Limited(format!("{more} more decisions were not written down"));
            self.observer.audit(&AuditRecord::new(
                "limits",
                "audit records of a call",
                verdict,
            ));
        }
    }
}

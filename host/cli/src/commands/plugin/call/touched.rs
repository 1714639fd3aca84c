//! What a call touches, collected while it runs.

use crate::adapters::audit::audit;
use crate::ui::{self, Style};
use ml_intern_agent::event::Audit;
use ml_intern_manifest::{Limits, format_duration};
use ml_intern_runtime::{
    AuditRecord, CancellationToken, Contents, LogLine, Observer, Stream, Touch, Used, log, types,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Files, lines of progress and decisions that are kept of a call.
const MOST: usize = 1000;
/// Files that are listed for a person.
const LISTED: usize = 20;
/// Characters of a line that a call shows.
const WIDTH: usize = 400;

/// Watches a call, and says on standard error what it says meanwhile.
pub(in crate::commands::plugin) struct Watch {
    /// `id@version`.
    pub(in crate::commands::plugin) plugin: String,
    pub(in crate::commands::plugin) aloud: bool,
    pub(in crate::commands::plugin) cancel: CancellationToken,
    pub(in crate::commands::plugin) seen: Mutex<Touched>,
}

/// What a call touched.
#[derive(Default)]
pub(in crate::commands::plugin) struct Touched {
    /// Below the workspace.
    pub(super) read: BTreeSet<String>,
    pub(super) written: BTreeSet<String>,
    pub(super) removed: BTreeSet<String>,
    pub(in crate::commands::plugin) audits: Vec<Audit>,
    pub(in crate::commands::plugin) progress: Vec<String>,
    pub(in crate::commands::plugin) used: Option<Used>,
}

impl Watch {
    pub(super) fn take(&self) -> Touched {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Touched> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, word: &str, text: &str) {
        if self.aloud {
            let style = Style::stderr();
            let line = format!("{} {}", style.dim(word), ui::one_line(text, WIDTH));
            ui::err(&line);
        }
    }
}

impl Observer for Watch {
    fn log(&self, line: LogLine<'_>) {
        let word = match line.level {
            log::Level::Trace => "trace",
            log::Level::Debug => "debug",
            log::Level::Info => "info",
            log::Level::Warn => "warning",
            log::Level::Error => "error",
        };
        let fields = line.fields.map(|fields| format!(" {fields}"));
        let fields = fields.unwrap_or_default();
        for text in line.message.lines() {
            self.say(word, &format!("{text}{fields}"));
        }
    }

    fn progress(&self, message: &str, fraction: Option<f32>) -> types::Control {
        let percent = fraction.map(|fraction| format!("{:3.0}% ", fraction * 100.0));
        self.say("…", &format!("{}{message}", percent.unwrap_or_default()));
        let mut seen = self.lock();
        if seen.progress.len() < MOST {
            seen.progress.push(message.to_owned());
        }
        if self.cancel.is_cancelled() {
            types::Control::Stop
        } else {
            types::Control::Proceed
        }
    }

    fn output(&self, _stream: Stream, line: &str) {
        self.say("│", line);
    }

    fn audit(&self, record: &AuditRecord) {
        let mut seen = self.lock();
        if seen.audits.len() < MOST {
            seen.audits.push(audit("", &self.plugin, record));
        }
    }

    fn file(&self, touch: Touch, path: &dyn Fn() -> String) {
        let mut seen = self.lock();
        let path = path();
        let files = match touch {
            Touch::Read => &mut seen.read,
            Touch::Written => &mut seen.written,
            // What the call made itself was never there for others.
            Touch::Removed if seen.written.remove(&path) => return,
            Touch::Removed => &mut seen.removed,
        };
        if files.len() < MOST {
            files.insert(path);
        }
    }

    fn used(&self, used: &Used) {
        self.lock().used = Some(*used);
    }
}

impl Touched {
    /// In lines for a person: what was used, of how much; files; decisions; what is kept.
    pub(in crate::commands::plugin) fn lines(
        &self,
        limits: &Limits,
        kept: &(Contents, Contents),
    ) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(used) = &self.used {
            lines.push(format!("used     {}", amounts(used, limits)));
        }
        for (word, files) in [
            ("read", &self.read),
            ("wrote", &self.written),
            ("removed", &self.removed),
        ] {
            for file in files.iter().take(LISTED) {
                lines.push(format!("{word:<8} {}", ui::one_line(file, WIDTH)));
            }
            if files.len() > LISTED {
                lines.push(format!("{word:<8} {} more files", files.len() - LISTED));
            }
        }
        // The folder as a whole; its files are listed above.
        let decided = self
            .audits
            .iter()
            .filter(|audit| !(audit.capability.starts_with("fs.") && audit.target == "/workspace"));
        lines.extend(decided.map(|audit| {
            let line = ui::audit_line(audit);
            let (word, rest) = line.split_once(' ').unwrap_or((line.as_str(), ""));
            let line = format!("{word:<8} {rest}");
            match audit.capability.as_str() {
                "http" => {
                    let (sent, received) = (audit.sent_bytes, audit.received_bytes);
                    format!("{line} ({sent} B out, {received} B in)")
                }
                _ => line,
            }
        }));
        let changes = changes(kept);
        lines.extend(
            changes
                .iter()
                .map(|(key, change)| format!("state    {} {change}", ui::one_line(key, WIDTH))),
        );
        lines
    }

    pub(super) fn as_json(&self, kept: &(Contents, Contents)) -> Value {
        let used = self.used.map(|used| {
            json!({
                "cpu_ms": millis(used.cpu),
                "wall_ms": millis(used.wall),
                "memory_bytes": used.memory,
                "host_calls": used.host_calls,
            })
        });
        let state = changes(kept).into_iter().map(|(key, change)| {
            let change = json!(change);
            (key, change)
        });
        json!({
            "used": used,
            "read": self.read,
            "written": self.written,
            "removed": self.removed,
            "decisions": self.audits,
            "progress": self.progress,
            "state": Value::Object(state.collect()),
        })
    }
}

/// What became of values that are kept, by `bucket/key`.
fn changes((before, after): &(Contents, Contents)) -> BTreeMap<String, String> {
    let name = |(bucket, key): &(&str, String)| format!("{bucket}/{key}");
    let set = after.iter().filter_map(|(key, value)| {
        let word = match before.get(key) {
            Some(old) if old == value => return None,
            Some(_) => "changed",
            None => "kept",
        };
        Some((name(key), format!("{word}, {} B", value.len())))
    });
    let gone = before.keys().filter(|key| !after.contains_key(*key));
    let gone = gone.map(|key| (name(key), "removed".to_owned()));
    set.chain(gone).collect()
}

fn amounts(used: &Used, limits: &Limits) -> String {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    format!(
        "{} ms of {} of processor time, {} ms of {} in all, {:.1} MiB of {:.0} MiB of memory, {} calls of the host",
        millis(used.cpu),
        format_duration(limits.cpu),
        millis(used.wall),
        format_duration(limits.timeout),
        mib(used.memory),
        mib(limits.memory_bytes),
        used.host_calls
    )
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(values: &[(&'static str, &str, &str)]) -> Contents {
        let values = values.iter();
        let values = values
            .map(|(bucket, key, value)| ((*bucket, (*key).to_owned()), value.as_bytes().to_vec()));
        values.collect()
    }

    #[test]
    fn changes_of_what_is_kept_are_told_and_nothing_else() {
        let before = contents(&[
            ("session", "a", "1"),
            ("session", "b", "1"),
            ("project", "c", "1"),
        ]);
        let after = contents(&[
            ("session", "a", "1"),
            ("session", "b", "22"),
            ("project", "d", ""),
        ]);
        let told = changes(&(before, after));
        let told = told.iter().map(|(key, change)| format!("{key}: {change}"));
        assert_eq!(
            told.collect::<Vec<_>>(),
            [
                "project/c: removed",
                "project/d: kept, 0 B",
                "session/b: changed, 2 B"
            ]
        );
    }
}

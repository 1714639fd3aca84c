//! What sessions there are.

use crate::error::TraceError;
use crate::log::read;
use crate::manage::HIDDEN;
use ml_intern_agent::{Stamp, State};
use std::path::Path;

/// One line of `sessions list`.
#[derive(Clone, Debug)]
pub struct SessionSummary {
    /// The session's id.
    pub id: String,
    /// When it began, in milliseconds since the Unix epoch.
    pub started_ms: u64,
    /// Its newest entry.
    pub last: Stamp,
    /// What its entries fold to.
    pub state: State,
}

/// Every session that can be read, newest first, and the problems of those that cannot.
pub fn list(sessions: &Path) -> Result<(Vec<SessionSummary>, Vec<TraceError>), TraceError> {
    let entries = match std::fs::read_dir(sessions) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok((Vec::new(), Vec::new()));
        }
        Err(error) => return Err(TraceError::io(sessions)(error)),
    };
    let mut found = Vec::new();
    let mut problems = Vec::new();
    for entry in entries {
        let entry = entry.map_err(TraceError::io(sessions))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // Being made, or being removed.
        if name.starts_with(HIDDEN) {
            continue;
        }
        match summary(sessions, &name) {
            Ok(summary) => found.push(summary),
            Err(TraceError::NotFound(_)) => {}
            Err(problem) => problems.push(problem),
        }
    }
    found.sort_by(|a, b| b.last.ms.cmp(&a.last.ms).then_with(|| b.id.cmp(&a.id)));
    Ok((found, problems))
}

/// One session.
pub fn summary(sessions: &Path, id: &str) -> Result<SessionSummary, TraceError> {
    let events = read(sessions, id)?;
    let mut state = State::default();
    for (stamp, event) in &events {
        state.apply(event, *stamp);
    }
    let started_ms = events.first().map_or(0, |(stamp, _)| stamp.ms);
    let last = events.last().map_or(
        Stamp {
            seq: 0,
            ms: started_ms,
        },
        |(stamp, _)| *stamp,
    );
    Ok(SessionSummary {
        id: id.to_owned(),
        started_ms,
        last,
        state,
    })
}

/// The whole id of the session whose id begins with `start`.
pub fn complete_id(sessions: &Path, start: &str) -> Result<String, TraceError> {
    let missing = || TraceError::NotFound(start.to_owned());
    if start.is_empty() || start.contains(['/', '.']) {
        return Err(missing());
    }
    if sessions.join(start).is_dir() {
        return Ok(start.to_owned());
    }
    let entries = std::fs::read_dir(sessions).map_err(|_| missing())?;
    let names = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut matching = names.filter(|name| name.starts_with(start));
    let first = matching.next().ok_or_else(missing)?;
    match matching.next() {
        Some(_) => Err(TraceError::Ambiguous(start.to_owned())),
        None => Ok(first),
    }
}

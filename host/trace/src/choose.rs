//! Which session a person means.

use crate::error::TraceError;
use crate::list::{SessionSummary, list};
use crate::manage::HIDDEN;
use std::path::Path;

/// How many sessions an error names.
const CANDIDATES: usize = 5;
/// Characters of [`preview`].
const PREVIEW: usize = 72;

/// The id of the session that `text` names: its number in [`list`], from 1 for the newest; its id; a beginning that
/// no other id has; or else its exact title. A number that the list does not have may be the beginning of an id.
pub fn choose(sessions: &Path, text: &str) -> Result<String, TraceError> {
    if let Some(index) = number(text)
        && let Some(session) = list(sessions)?.0.get(index)
    {
        return Ok(session.id.clone());
    }
    match complete_id(sessions, text) {
        Err(TraceError::NotFound(_)) => by_title(sessions, text),
        found => found,
    }
}

/// The whole id of the session whose id begins with `start`.
pub fn complete_id(sessions: &Path, start: &str) -> Result<String, TraceError> {
    let missing = || TraceError::NotFound(start.to_owned());
    if start.is_empty() || start.contains('/') || start.starts_with(HIDDEN) {
        return Err(missing());
    }
    if sessions.join(start).is_dir() {
        return Ok(start.to_owned());
    }
    let entries = std::fs::read_dir(sessions).map_err(|_| missing())?;
    let names = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut matching = names
        .filter(|name| name.starts_with(start))
        .collect::<Vec<_>>();
    match &matching[..] {
        [] => Err(missing()),
        [_] => Ok(matching.remove(0)),
        _ => {
            // Ids begin with their time.
            matching.sort_by(|a, b| b.cmp(a));
            Err(ambiguous(sessions, start, &matching))
        }
    }
}

fn by_title(sessions: &Path, title: &str) -> Result<String, TraceError> {
    let (found, _) = list(sessions)?;
    let mut matching = found
        .into_iter()
        .filter(|session| !title.is_empty() && session.title == title)
        .map(|session| session.id)
        .collect::<Vec<_>>();
    match &matching[..] {
        [] => Err(TraceError::NotFound(title.to_owned())),
        [_] => Ok(matching.remove(0)),
        _ => Err(ambiguous(sessions, title, &matching)),
    }
}

/// Position in the list; none for 0 and for what is longer than any number of sessions.
fn number(text: &str) -> Option<usize> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse::<usize>().ok().filter(|_| digits)?;
    number.checked_sub(1)
}

fn ambiguous(sessions: &Path, text: &str, ids: &[String]) -> TraceError {
    let named = ids.iter().take(CANDIDATES).map(|id| {
        // One that cannot be read has no title to tell it by.
        let title = crate::summary(sessions, id).map(|session| session.preview());
        match title {
            Ok(title) => format!("`{id}` ({title})"),
            Err(_) => format!("`{id}`"),
        }
    });
    TraceError::Ambiguous {
        text: text.to_owned(),
        candidates: named.collect(),
        more: ids.len().saturating_sub(CANDIDATES),
    }
}

impl SessionSummary {
    /// The title on one line of at most 72 characters, whose last is `…` where some are left out.
    pub fn preview(&self) -> String {
        let text = preview(&self.title);
        if text.is_empty() {
            "(no user prompt preview)".to_owned()
        } else {
            text
        }
    }
}

/// White space collapsed; 72 characters, the last of them `…` where some are left out.
fn preview(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= PREVIEW {
        return line;
    }
    let mut short = line.chars().take(PREVIEW - 1).collect::<String>();
    short.push('…');
    short
}

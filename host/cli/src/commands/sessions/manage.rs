//! `sessions rename`, `fork`, `export` and `delete`.

use crate::args::ExportFormat;
use crate::commands::{confirmed, wait};
use crate::compose::undo::take_back;
use crate::credentials;
use crate::error::{Failure, Kind, OrFail, Result};
use crate::ids;
use crate::ui::{self, Feed, Loudness, Text};
use ml_intern_agent::event::TurnEnd;
use ml_intern_agent::ports::Observer;
use ml_intern_agent::{Event, Session, Stamp};
use ml_intern_trace::{SecretRules, SessionLog, choose, summary};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

pub(super) fn rename(folder: &Path, id: &str, title: &str) -> Result<u8> {
    let id = choose(folder, id).or_fail(Kind::Usage)?;
    let title = title.trim();
    if title.is_empty() || title.chars().any(char::is_control) {
        return Err(Failure::usage(
            "a title is one line with at least one character",
        ));
    }
    let renamed = Event::SessionRenamed {
        title: title.to_owned(),
    };
    record(folder, &id, renamed)?;
    ui::out(&format!(
        "{id}: {}",
        summary(folder, &id).or_fail(Kind::Failed)?.title
    ));
    Ok(0)
}

pub(super) fn fork(folder: &Path, id: &str, turn: Option<u32>, at: Option<u64>) -> Result<u8> {
    let from = choose(folder, id).or_fail(Kind::Usage)?;
    let at = match turn {
        Some(turn) => Some(end_of(folder, &from, turn)?),
        None => at,
    };
    let new = ids::session().or_fail(Kind::Failed)?;
    let at = ml_intern_trace::fork(folder, &from, &new, at).or_fail(Kind::Usage)?;
    record(folder, &new, Event::SessionForked { from, at })?;
    ui::out(&new);
    ui::err(&format!(
        "`ml-intern run --resume {new} \"PROMPT\"` goes on from there"
    ));
    Ok(0)
}

/// Place of the entry with which a turn ends.
fn end_of(folder: &Path, id: &str, turn: u32) -> Result<u64> {
    let events = ml_intern_trace::read(folder, id).or_fail(Kind::Failed)?;
    let mut number = 0;
    let mut ended: Option<(Stamp, TurnEnd)> = None;
    for (stamp, event) in &events {
        match event {
            Event::TurnStarted { turn, .. } => number = *turn,
            Event::TurnFinished { reason, .. } if number == turn => ended = Some((*stamp, *reason)),
            _ => {}
        }
    }
    let missing = || {
        Failure::usage(format!(
            "the session has no turn {turn} that has ended; it has {number}"
        ))
        .hint("without --turn the whole session is copied")
    };
    ended.map(|(stamp, _)| stamp.seq).ok_or_else(missing)
}

pub(super) fn delete(folder: &Path, ids: &[String], yes: bool) -> Result<u8> {
    let complete = |id: &String| choose(folder, id).or_fail(Kind::Usage);
    let ids = ids.iter().map(complete).collect::<Result<Vec<_>>>()?;
    for id in &ids {
        // One that cannot be read can be removed.
        let title = summary(folder, id)
            .map(|session| session.title)
            .unwrap_or_default();
        ui::err(&format!("  {id}  {}", ui::one_line(&title, 80)));
    }
    if !yes && !confirmed("removing this", "remove this?")? {
        let nothing = anyhow::anyhow!("nothing was removed");
        return Err(Failure::new(Kind::Blocked, nothing));
    }
    for id in &ids {
        ml_intern_trace::delete(folder, id).or_fail(Kind::Usage)?;
        ui::out(&format!("removed {id}"));
    }
    Ok(0)
}

pub(super) fn export(
    folder: &Path,
    id: &str,
    format: ExportFormat,
    output: Option<&Path>,
) -> Result<u8> {
    let id = choose(folder, id).or_fail(Kind::Usage)?;
    let events = ml_intern_trace::read(folder, &id).or_fail(Kind::Failed)?;
    let lines = match format {
        ExportFormat::ClaudeCode => ml_intern_trace::claude_code(&id, &events),
    };
    let Some(path) = output else {
        lines.iter().for_each(|line| ui::out(line.trim_end()));
        return Ok(0);
    };
    // What is there may be worth more than this.
    let write = || {
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        lines
            .iter()
            .try_for_each(|line| file.write_all(line.as_bytes()))
    };
    write().map_err(|error: io::Error| {
        Failure::usage(format!("cannot write {}: {error}", path.display()))
    })?;
    ui::err(&format!("{} lines in {}", lines.len(), path.display()));
    Ok(0)
}

/// Adds an entry to a session that nobody writes.
fn record(folder: &Path, id: &str, event: Event) -> Result<()> {
    let session = open(folder, id, Vec::new())?;
    session.record(event).or_fail(Kind::Failed).map(drop)
}

/// A session that is over, to write something about it.
fn open(folder: &Path, id: &str, observers: Vec<Arc<dyn Observer>>) -> Result<Session> {
    let opened = SessionLog::open(folder, id).or_fail(Kind::Usage)?;
    let rules = Arc::new(SecretRules::new(credentials::of_environment()));
    Ok(Session::new(
        id.to_owned(),
        opened.state,
        opened.last,
        Arc::new(opened.log),
        observers,
        rules,
    ))
}

pub(super) fn undo(folder: &Path, id: &str) -> Result<u8> {
    let id = choose(folder, id).or_fail(Kind::Usage)?;
    let feed = Feed::start(Box::new(Text::page(Loudness::Normal))).or_fail(Kind::Failed)?;
    let session = open(folder, &id, vec![feed.observer()])?;
    let workspace = session.read(|state| state.workspace.clone());
    let own = folder.join(&id);
    let work = take_back(&session, &own, Path::new(&workspace));
    let undone = wait(async { work.await.or_fail(Kind::Failed) })?;
    feed.finish();
    Ok(if undone.is_some() {
        0
    } else {
        Kind::Usage as u8
    })
}

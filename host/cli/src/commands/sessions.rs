//! `sessions`: what was done.

mod audit;
mod manage;
mod replay;
mod usage;

use crate::args::SessionsCommand;
use crate::commands::wait;
use crate::config::Config;
use crate::error::{Kind, OrFail, Result};
use crate::paths::Paths;
use crate::ui::{self, Loudness, Renderer, Style, Table, Text};
use ml_intern_agent::money::MicroUsd;
use ml_intern_agent::{Event, Stamp};
use ml_intern_trace::SessionSummary;
use serde_json::json;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

pub(crate) fn sessions(directory: Option<&Path>, command: SessionsCommand) -> Result<u8> {
    let folder = Paths::from_environment()?.sessions();
    match command {
        SessionsCommand::List { json, limit } => list(&folder, json, limit),
        SessionsCommand::Show { id, json, follow } => show(&folder, &id, json, follow),
        SessionsCommand::Rename { id, title } => manage::rename(&folder, &id, &title),
        SessionsCommand::Fork { id, turn, at } => manage::fork(&folder, &id, turn, at),
        SessionsCommand::Replay {
            id,
            live_tools,
            recorded,
            permission_mode,
            json,
            manifest,
        } => {
            let id = ml_intern_trace::choose(&folder, &id).or_fail(Kind::Usage)?;
            let events = ml_intern_trace::read(&folder, &id).or_fail(Kind::Failed)?;
            wait(async {
                let report = match live_tools {
                    false => replay::recorded(events).await,
                    true => {
                        let config = Config::load(directory, manifest.manifest.as_deref())?;
                        let own = folder.join(&id);
                        let effects = recorded.then(|| replay::effects(&own)).transpose()?;
                        replay::live(&config, events, permission_mode, effects).await?
                    }
                };
                Ok(replay::show(&report, json))
            })
        }
        SessionsCommand::Usage { id, json } => usage::usage(&folder, &id, json),
        SessionsCommand::Undo { id } => manage::undo(&folder, &id),
        SessionsCommand::Export { id, format, output } => {
            manage::export(&folder, &id, format, output.as_deref())
        }
        SessionsCommand::Delete { ids, yes } => manage::delete(&folder, &ids, yes),
        SessionsCommand::Audit {
            id,
            refused,
            plugin,
            json,
        } => audit::audit(&folder, &id, refused, plugin.as_deref(), json),
    }
}

fn list(folder: &Path, json: bool, limit: usize) -> Result<u8> {
    let (found, problems) = ml_intern_trace::list(folder).or_fail(Kind::Failed)?;
    for problem in &problems {
        ui::err(&ui::clean(&problem.to_string()));
    }
    if json {
        let list = found.iter().take(limit).map(as_json).collect::<Vec<_>>();
        ui::out(&json!(list).to_string());
        return Ok(0);
    }
    let mut table = Table::new(&["ID", "LAST", "STATE", "TURNS", "COST", "MODEL", "TITLE"]);
    for session in found.iter().take(limit) {
        table.row([
            session.id.clone(),
            when(session.last.ms),
            word(session).to_owned(),
            session.turn.to_string(),
            total(session),
            session.model.clone(),
            session.preview(),
        ]);
    }
    if table.is_empty() {
        ui::err("there are no sessions; `ml-intern run \"PROMPT\"` starts one");
    } else {
        ui::out(&table.render(Style::stdout()));
    }
    Ok(0)
}

fn show(folder: &Path, id: &str, json: bool, follow: bool) -> Result<u8> {
    let id = ml_intern_trace::choose(folder, id).or_fail(Kind::Usage)?;
    let mut screen = Text::page(Loudness::Normal);
    let mut draw = |stamp, event: &_| match json {
        true => ui::out(ml_intern_trace::render(stamp, Some(&id), event).trim_end()),
        false => screen.event(stamp, event),
    };
    if follow {
        wait(followed(folder, &id, &mut draw))?;
    } else {
        let events = ml_intern_trace::read(folder, &id).or_fail(Kind::Failed)?;
        events.iter().for_each(|(stamp, event)| draw(*stamp, event));
    }
    screen.finish();
    Ok(0)
}

/// Shows what another process writes, until it is interrupted or the session is removed.
async fn followed(folder: &Path, id: &str, draw: &mut impl FnMut(Stamp, &Event)) -> Result<()> {
    let mut follower = ml_intern_trace::follow(folder, id).or_fail(Kind::Failed)?;
    loop {
        let next = tokio::select! {
            next = follower.next() => next.or_fail(Kind::Failed)?,
            _ = tokio::signal::ctrl_c() => None,
        };
        match next {
            Some((stamp, event)) => draw(stamp, &event),
            None => return Ok(()),
        }
    }
}

/// What a session cost, jobs included.
fn total(session: &SessionSummary) -> String {
    match (session.ledger.spent(), session.unpriced) {
        (MicroUsd::ZERO, 1..) => ui::cost(None),
        (spent, _) => spent.to_string(),
    }
}

fn as_json(session: &SessionSummary) -> serde_json::Value {
    json!({
        "id": session.id,
        "title": session.title,
        "state": word(session),
        "model": session.model,
        "workspace": session.workspace,
        "turns": session.turn,
        "started_ms": session.started_ms,
        "last_ms": session.last.ms,
        "usage": session.usage,
        "spent_usd": session.ledger.spent(),
    })
}

fn word(session: &SessionSummary) -> &'static str {
    use ml_intern_agent::event::TurnEnd;
    match session.ended {
        _ if session.turn_open => "open",
        Some(TurnEnd::Done) => "done",
        Some(TurnEnd::Interrupted) => "interrupted",
        Some(TurnEnd::Error) => "failed",
        Some(TurnEnd::Iterations | TurnEnd::Time | TurnEnd::Budget | TurnEnd::Repetition) => {
            "stopped"
        }
        None => "new",
    }
}

pub(crate) fn when(ms: u64) -> String {
    let time = UNIX_EPOCH + Duration::from_millis(ms);
    humantime::format_rfc3339_seconds(time)
        .to_string()
        .replace('T', " ")
        .replace('Z', "")
}

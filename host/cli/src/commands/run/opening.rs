//! A new session, or the rest of an old one.

use crate::args::RunArgs;
use crate::compose::workbench::OpenSession;
use crate::config::Config;
use crate::error::{Failure, Kind, OrFail, Result};
use crate::ids;
use ml_intern_agent::{Role, Stamp, State};
use ml_intern_trace::{Folded, SessionLog};

/// What the host says in the user's place when a session that was stopped goes on.
const GO_ON: &str = "Go on from where you stopped.";

/// Which session a run belongs to.
pub(crate) enum Start {
    New,
    Old(Box<Folded>),
}

/// A session whose log is open.
pub(crate) struct Opened {
    pub(crate) id: String,
    pub(crate) new: bool,
    /// Bytes of half an entry that were cut off.
    pub(crate) cut: u64,
}

/// The session that the flags mean.
pub(crate) fn find(config: &Config, arguments: &RunArgs) -> Result<Start> {
    match &arguments.resume {
        Some(id) => other(config, Some(id)),
        None if arguments.continue_last => other(config, None),
        None => Ok(Start::New),
    }
}

/// The session that `text` means, or the newest of this folder.
pub(crate) fn other(config: &Config, text: Option<&str>) -> Result<Start> {
    let sessions = config.paths.sessions();
    if let Some(text) = text {
        let id = ml_intern_trace::choose(&sessions, text).or_fail(Kind::Usage)?;
        return old(config, &id);
    }
    let (found, _) = ml_intern_trace::list(&sessions).or_fail(Kind::Usage)?;
    let here = config.workspace.display().to_string();
    let newest = found.into_iter().find(|session| session.workspace == here);
    let newest = newest.ok_or_else(|| {
        Failure::usage(format!("there is no session of {here} to go on with"))
            .hint("`ml-intern sessions list` shows all; `ml-intern resume ID` takes any")
    })?;
    old(config, &newest.id)
}

/// The session of this id.
pub(crate) fn old(config: &Config, id: &str) -> Result<Start> {
    let folded = ml_intern_trace::fold(&config.paths.sessions(), id).or_fail(Kind::Usage)?;
    Ok(Start::Old(Box::new(folded)))
}

impl Start {
    /// The model that an old session used.
    pub(crate) fn model(&self) -> Option<String> {
        match self {
            Self::New => None,
            Self::Old(summary) => {
                Some(summary.state.model.clone()).filter(|model| !model.is_empty())
            }
        }
    }

    /// What stands for a prompt where none was given; `Ok(None)` when the log's turn simply goes on.
    pub(crate) fn input_without_prompt(&self) -> Result<Option<String>> {
        let Self::Old(summary) = self else {
            return Err(Failure::usage("there is nothing to do").hint(
                "say what to do: `ml-intern run \"PROMPT\"`, or `ml-intern run -` to read it from standard input",
            ));
        };
        let state = &summary.state;
        let answered = state
            .messages
            .last()
            .is_none_or(|last| last.role == Role::Assistant);
        match state.ended {
            _ if state.turn == 0 => {
                Err(Failure::usage("the session has no turn yet").hint("give it a prompt"))
            }
            Some(ml_intern_agent::event::TurnEnd::Done) => {
                Err(Failure::usage("the session's last turn is complete")
                    .hint("give a prompt to go on with"))
            }
            Some(_) if answered => Ok(Some(GO_ON.to_owned())),
            _ => Ok(None),
        }
    }
}

pub(crate) fn open(config: &Config, start: Start) -> Result<(Opened, OpenSession)> {
    let sessions = config.paths.sessions();
    match start {
        Start::New => {
            let id = ids::session().or_fail(Kind::Failed)?;
            let log = SessionLog::create(&sessions, &id).or_fail(Kind::Failed)?;
            let session = OpenSession {
                id: id.clone(),
                log,
                state: State::default(),
                last: Stamp { seq: 0, ms: 0 },
            };
            let opened = Opened {
                id,
                new: true,
                cut: 0,
            };
            Ok((opened, session))
        }
        Start::Old(summary) => {
            let opened = SessionLog::open(&sessions, &summary.id).or_fail(Kind::Usage)?;
            let session = OpenSession {
                id: summary.id.clone(),
                log: opened.log,
                state: opened.state,
                last: opened.last,
            };
            let opened = Opened {
                id: summary.id,
                new: false,
                cut: opened.cut,
            };
            Ok((opened, session))
        }
    }
}

//! A session that is open: its turns, and what is asked of it meanwhile.

use super::opening::Opened;
use super::options;
use super::signals::Signals;
use crate::adapters::confinement;
use crate::adapters::inbox::{Inbox, Operation};
use crate::adapters::processes;
use crate::args::RunArgs;
use crate::compose::Workbench;
use crate::compose::prompt::system_prompt;
use crate::compose::watch::Watch;
use crate::compose::workbench::{Choices, OpenSession, Prepared};
use crate::config::Config;
use crate::error::{Kind, OrFail as _};
use crate::ui::{self, Feed};
use ml_intern_agent::event::TurnEnd;
use ml_intern_agent::message::Image;
use ml_intern_agent::ports::JournalError;
use ml_intern_agent::{Event, Message, Role, Session, turn};
use std::collections::VecDeque;
use std::sync::Arc;

/// What the sessions of one program have in common.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) config: &'a Config,
    pub(super) arguments: &'a RunArgs,
    pub(super) choices: &'a Choices,
    pub(super) signals: &'a Signals,
}

/// A session put together, before its first event.
pub(super) struct Set {
    pub(super) bench: Workbench,
    pub(super) feed: Feed,
}

impl Scene<'_> {
    /// Puts a session together, and what takes back from it what the user takes back. `talk`: it has several turns.
    pub(super) fn set(
        &self,
        prepared: Prepared<'_>,
        id: &str,
        log: OpenSession,
        inbox: Option<Arc<Inbox>>,
        talk: bool,
    ) -> crate::error::Result<(Set, Watch)> {
        confinement::tidy(self.config);
        let renderer = options::renderer(self.arguments, self.choices, id, talk);
        let feed = Feed::start(renderer).or_fail(Kind::Failed)?;
        let choices = options::recording(self.arguments, self.choices, &log)?;
        let (bench, watch) = prepared.build(&choices, log, feed.observer(), inbox)?;
        Ok((Set { bench, feed }, watch))
    }
}

impl Set {
    /// Returns when everything is told and drawn.
    pub(super) async fn finish(self) -> Workbench {
        for problem in self.bench.notifiers.finish().await {
            ui::warn(&problem);
        }
        self.feed.finish();
        self.bench
    }
}

/// A turn that ended, and what was asked for meanwhile that has to wait for its end.
pub(super) struct Ended {
    pub(super) end: TurnEnd,
    pub(super) waiting: VecDeque<Operation>,
    /// Standard input has ended.
    pub(super) closed: bool,
}

/// Writes down how the session begins, or that it goes on.
pub(super) async fn begin(
    scene: Scene<'_>,
    bench: &Workbench,
    opened: &Opened,
) -> Result<(), JournalError> {
    let Scene {
        config, choices, ..
    } = scene;
    let session = &bench.agent.session;
    let host = env!("CARGO_PKG_VERSION").to_owned();
    let model = choices.model.clone();
    let limits = Some(
        choices
            .budget
            .limits(choices.window, choices.input.is_some()),
    );
    if opened.new {
        let tools = bench.agent.toolbox.tools().iter();
        session.record(Event::SessionStarted {
            model,
            workspace: config.workspace.display().to_string(),
            host,
            tools: tools.map(|tool| tool.name.clone()).collect(),
            limits,
        })?;
    } else {
        session.record(Event::SessionResumed {
            model,
            host,
            limits,
        })?;
        bench.jobs.rewatch();
        end_left_over(session).await?;
    }
    tell_wishes(session, choices)?;
    // A new session has none, and neither has one that was killed in its first moments.
    if session.read(|state| state.messages.is_empty()) {
        let (text, problems) = system_prompt(config, choices, bench).await;
        let message = Message::text(Role::System, text);
        session.record(Event::Message { message })?;
        for problem in problems {
            notice(session, "skill_ignored", problem)?;
        }
    }
    if opened.cut > 0 {
        let cut = opened.cut;
        let text = format!("the last {cut} bytes of the log were half an entry and were cut off");
        notice(session, "log_cut", text)?;
    }
    Ok(())
}

/// What the person wants of the model, where the session does not have it yet.
fn tell_wishes(session: &Session, choices: &Choices) -> Result<(), JournalError> {
    let (wanted, expected) = session.read(|state| {
        let expected = state
            .answers
            .as_ref()
            .map(|expected| expected.schema.clone());
        (state.efforts.wanted().map(str::to_owned), expected)
    });
    if let Some(effort) = &choices.effort
        && *effort != wanted
    {
        let effort = effort.clone();
        session.record(Event::EffortWanted { effort })?;
    }
    let schema = choices.schema.clone();
    if schema.as_ref().map(ToString::to_string) != expected {
        session.record(Event::AnswerExpected { schema })?;
    }
    Ok(())
}

/// Pictures that belong to the next words.
pub(super) fn attach(bench: &Workbench, images: Vec<Image>) -> Result<(), JournalError> {
    if images.is_empty() {
        return Ok(());
    }
    let event = Event::InputAttached { images };
    bench.agent.session.record(event).map(drop)
}

/// Tells a person something, and keeps it.
pub(super) fn notice(session: &Session, code: &str, text: String) -> Result<(), JournalError> {
    let code = code.into();
    session.record(Event::Notice { code, text }).map(drop)
}

async fn end_left_over(session: &Session) -> Result<(), JournalError> {
    let open = session.read(|state| state.open.clone());
    let left = processes::end_left_over(session.id(), &open).await;
    if left == 0 {
        return Ok(());
    }
    let text = format!(
        "{left} processes of a call that was interrupted go on, because they could not be ended"
    );
    notice(session, "left_over", text)
}

/// Runs a turn to its end. Words that come meanwhile join it.
pub(super) async fn turn(
    bench: &Workbench,
    input: Option<&str>,
    inbox: Option<&Inbox>,
    signals: &Signals,
) -> Result<Ended, JournalError> {
    let cancel = signals.start();
    let mut waiting = VecDeque::new();
    let mut closed = inbox.is_none();
    let turn = turn::run(&bench.agent, input, &cancel);
    tokio::pin!(turn);
    let end = loop {
        let next = async {
            match inbox {
                Some(inbox) => inbox.next().await,
                None => None,
            }
        };
        tokio::select! {
            biased;
            end = &mut turn => break end?,
            operation = next, if !closed => match operation {
                None => closed = true,
                Some(Operation::Interrupt) => cancel.cancel(),
                // What waits comes first, and may lead to another session.
                Some(Operation::Words(text)) if waiting.is_empty() => {
                    bench.agent.session.record(Event::InputQueued { text })?;
                    bench.agent.gate.abandon();
                }
                Some(Operation::Quit) => {
                    cancel.cancel();
                    waiting.push_back(Operation::Quit);
                }
                Some(operation) => waiting.push_back(operation),
            },
        }
    };
    match end {
        TurnEnd::Interrupted => bench.jobs.cancel_running().await,
        _ => bench.jobs.tell_running(),
    }
    Ok(Ended {
        end,
        waiting,
        closed,
    })
}

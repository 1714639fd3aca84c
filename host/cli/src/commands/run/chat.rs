//! A conversation: turn after turn, in one session or several, until the person ends it.

use super::opening::{self, Opened, Start};
use super::signals::Signals;
use super::stage::{self, Scene};
use super::{Words, attached, inbox, options, report};
use crate::adapters::inbox::{COMMANDS, Inbox, Operation};
use crate::args::RunArgs;
use crate::compose::Workbench;
use crate::compose::workbench::{Choices, OpenSession, Prepared};
use crate::config::Config;
use crate::error::{Failure, Kind, OrFail, Result};
use crate::ui::{self, Feed};
use ml_intern_agent::Event;
use ml_intern_agent::compaction::compact_now;
use ml_intern_agent::event::TurnEnd;
use ml_intern_agent::ports::JournalError;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A second Ctrl-C within this time ends a conversation that waits for words.
const TWICE: Duration = Duration::from_secs(1);

/// What follows a session.
enum Next {
    Quit,
    Session { start: Start, model: Option<String> },
}

/// A session of the conversation that is open.
struct Desk<'a> {
    scene: Scene<'a>,
    bench: &'a Workbench,
    feed: &'a Feed,
    inbox: &'a Inbox,
    pending: &'a mut Pending,
}

/// What was asked for while something else was done, in order.
#[derive(Default)]
struct Pending {
    operations: VecDeque<Operation>,
    /// Standard input has ended: nothing more will come.
    closed: bool,
}

pub(super) async fn chat(directory: Option<&Path>, arguments: &RunArgs) -> Result<u8> {
    let config = Config::load(directory, arguments.manifest.manifest.as_deref())?
        .with_dev(arguments.dev.as_deref())?;
    let mut start = opening::find(&config, arguments)?;
    let attached = attached::read(&arguments.files)?;
    let input = options::given_prompt(arguments)?;
    let mut words = Words {
        text: input.map(|input| input + &attached.text),
        images: attached.images,
    };
    if words.text.is_none() && !arguments.files.is_empty() {
        return Err(Failure::usage(
            "--file needs a prompt that says what to do with it",
        ));
    }
    let mut choices = options::choices(&config, arguments, start.model())?;
    let signals = Signals::listen().or_fail(Kind::Failed)?;
    let inbox = inbox(&config, choices.input)?;
    let inbox = inbox.ok_or_else(|| Failure::usage("nobody is there to talk to"))?;
    let mut before: Option<(String, String)> = None;
    let mut pending = Pending::default();
    loop {
        let opened = open(&config, arguments, &choices, &signals, start).await;
        let (prepared, opened) = match (opened, before.take()) {
            (Ok(opened), _) => opened,
            // Nothing that was asked for here may end the conversation.
            (Err(failure), Some((id, model))) => {
                ui::failure(&failure);
                choices.model = model;
                start = opening::old(&config, &id)?;
                continue;
            }
            (Err(failure), None) => return Err(failure),
        };
        let here = (opened.0.id.clone(), choices.model.clone());
        let scene = Scene {
            config: &config,
            arguments,
            choices: &choices,
            signals: &signals,
        };
        let said = std::mem::take(&mut words);
        let session = session(scene, prepared, opened, said, &inbox, &mut pending);
        let (next, code) = Box::pin(session).await?;
        match next {
            Next::Quit => return Ok(code),
            Next::Session { start: then, model } => {
                choices.model = model.or_else(|| then.model()).unwrap_or(choices.model);
                start = then;
                before = Some(here);
            }
        }
    }
}

async fn open<'a>(
    config: &'a Config,
    arguments: &RunArgs,
    choices: &Choices,
    signals: &Signals,
    start: Start,
) -> Result<(Prepared<'a>, (Opened, OpenSession))> {
    let prepared = super::prepared(config, arguments, &choices.model, signals).await?;
    let opened = opening::open(config, start)?;
    Ok((prepared, opened))
}

async fn session(
    scene: Scene<'_>,
    prepared: Prepared<'_>,
    (opened, log): (Opened, OpenSession),
    words: Words,
    inbox: &Arc<Inbox>,
    pending: &mut Pending,
) -> Result<(Next, u8)> {
    let (set, watch) = scene.set(prepared, &opened.id, log, Some(inbox.clone()), true)?;
    let mut desk = Desk {
        scene,
        bench: &set.bench,
        feed: &set.feed,
        inbox,
        pending,
    };
    let talk = async {
        stage::begin(scene, &set.bench, &opened).await?;
        stage::attach(&set.bench, words.images)?;
        desk.talk(words.text).await
    };
    let outcome = tokio::select! {
        outcome = talk => outcome,
        never = watch.run() => match never {},
    };
    let bench = set.finish().await;
    let next = outcome.map_err(|error| {
        let failure = Failure::new(Kind::Failed, error);
        failure.hint("free space there, then go on with `ml-intern resume`")
    })?;
    let code = if scene.signals.terminated() {
        scene.signals.exit_code()
    } else {
        0
    };
    if matches!(next, Next::Quit) {
        let end = bench
            .agent
            .session
            .read(|state| state.ended)
            .unwrap_or(TurnEnd::Done);
        report::farewell(
            scene.arguments,
            &report::result(&bench, end, code, Vec::new()),
        );
    }
    Ok((next, code))
}

impl Desk<'_> {
    async fn talk(&mut self, input: Option<String>) -> std::result::Result<Next, JournalError> {
        let session = &self.bench.agent.session;
        match input {
            Some(input) => self.turn(Some(&input)).await?,
            // It was stopped in the middle of one.
            None if session.read(|state| state.turn_open) => self.turn(None).await?,
            None => {}
        }
        loop {
            if self.scene.signals.terminated() {
                return Ok(Next::Quit);
            }
            let operation = match self.pending.operations.pop_front() {
                Some(operation) => operation,
                // What was said too late for the last turn.
                None if session.read(|state| !state.queued.is_empty()) => {
                    Operation::Words(String::new())
                }
                None => self.listen().await,
            };
            if let Some(next) = self.apply(operation).await? {
                return Ok(next);
            }
        }
    }

    async fn apply(
        &mut self,
        operation: Operation,
    ) -> std::result::Result<Option<Next>, JournalError> {
        match operation {
            Operation::Words(text) => self.turn(Some(&text)).await?,
            Operation::Undo => {
                crate::compose::undo::newest(self.bench, &self.scene.config.workspace).await?
            }
            Operation::Compact => self.compact().await?,
            Operation::New => {
                let start = Start::New;
                return Ok(Some(Next::Session { start, model: None }));
            }
            Operation::Resume(id) => match opening::other(self.scene.config, id.as_deref()) {
                Ok(start) => return Ok(Some(Next::Session { start, model: None })),
                Err(failure) => self.refuse(&failure)?,
            },
            Operation::Model(Some(model)) => match self.other_model(&model) {
                Ok(start) => {
                    let model = Some(model);
                    return Ok(Some(Next::Session { start, model }));
                }
                Err(failure) => self.refuse(&failure)?,
            },
            Operation::Model(None) => {
                ui::err(&self.bench.agent.session.read(|state| state.model.clone()))
            }
            Operation::Effort(Some(effort)) => match options::effort(&effort) {
                Ok(effort) => {
                    let session = &self.bench.agent.session;
                    session.record(Event::EffortWanted { effort })?;
                }
                Err(failure) => self.refuse(&failure)?,
            },
            Operation::Effort(None) => report::effort(self.bench),
            Operation::Status => report::standing(self.bench),
            Operation::Help => {
                for (command, what) in COMMANDS {
                    ui::err(&format!("  {command:<24} {what}"));
                }
            }
            Operation::Interrupt => {}
            Operation::Quit => return Ok(Some(Next::Quit)),
        }
        Ok(None)
    }

    async fn turn(&mut self, input: Option<&str>) -> std::result::Result<(), JournalError> {
        let inbox = (!self.pending.closed).then_some(self.inbox);
        let ended = stage::turn(self.bench, input, inbox, self.scene.signals).await?;
        self.pending.operations.extend(ended.waiting);
        self.pending.closed |= ended.closed;
        self.scene.signals.settle();
        Ok(())
    }

    /// Waits for the person. The end of input ends the conversation, and so does Ctrl-C twice.
    async fn listen(&mut self) -> Operation {
        if self.pending.closed {
            return Operation::Quit;
        }
        self.feed.idle(true);
        let operation = loop {
            let interrupted = self.scene.signals.start();
            tokio::select! {
                biased;
                operation = self.inbox.next() => break operation.unwrap_or(Operation::Quit),
                () = interrupted.cancelled() => {
                    if self.scene.signals.terminated() {
                        break Operation::Quit;
                    }
                    ui::err("\nCtrl-C again, or Ctrl-D, ends the conversation");
                    tokio::time::sleep(TWICE).await;
                    self.scene.signals.settle();
                    self.feed.idle(true);
                }
            }
        };
        self.feed.idle(false);
        operation
    }

    async fn compact(&self) -> std::result::Result<(), JournalError> {
        let agent = &self.bench.agent;
        let done = compact_now(agent, &self.scene.signals.start()).await?;
        self.scene.signals.settle();
        if !done {
            let text = "there is nothing to leave out yet".to_owned();
            stage::notice(&agent.session, "nothing_to_compact", text)?;
        }
        Ok(())
    }

    /// The same session, to be opened again with another model.
    fn other_model(&self, model: &str) -> Result<Start> {
        self.scene.config.model(model)?;
        opening::old(self.scene.config, self.bench.agent.session.id())
    }

    fn refuse(&self, failure: &Failure) -> std::result::Result<(), JournalError> {
        let text = format!("{:#}", failure.error);
        stage::notice(&self.bench.agent.session, "refused", text)
    }
}

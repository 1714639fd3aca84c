//! The way through a recording: what came from outside is put in, and what the loop does is let run.

use super::idle::{self, Next};
use super::journal::Comparing;
use super::limits::{self, Limits};
use super::ports::{Answers, Recorded};
use super::provider::Replies;
use super::script::Script;
use super::section::{Cut, Section, is_nested};
use super::summary::writers;
use super::toolbox::{Counted, Scripted};
use super::unredacted::Unredacted;
use super::woken::{Woken, give_way};
use super::{Live, Report};
use crate::approval::Rules;
use crate::approval::{Gate, Mode};
use crate::compaction::compact_now;
use crate::event::{Event, Stamp};
use crate::message::Role;
use crate::ports::{Approver, Toolbox};
use crate::session::Session;
use crate::state::State;
use crate::turn::{self, Agent};
use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use tokio_util::sync::CancellationToken;

/// The session's id in requests that nobody gets.
const ID: &str = "replay";

/// One replay.
pub(super) struct Replay {
    script: Arc<Script>,
    session: Arc<Session>,
    gate: Arc<Gate>,
    /// Real tools, where there are.
    tools: Option<Arc<dyn Toolbox>>,
    /// Calls of real tools under way.
    running: Arc<AtomicUsize>,
    /// Names of the tools that write files.
    writers: BTreeSet<String>,
}

impl Replay {
    pub(super) fn recorded(events: Vec<(Stamp, Event)>) -> Self {
        // What was not asked about was allowed by a mode or a rule that the log does not name: its call has no
        // effect here that the gate asks about.
        Self::new(Script::new(events, false), Mode::Ask, None)
    }

    pub(super) fn live(events: Vec<(Stamp, Event)>, live: Live<'_>) -> Self {
        let mut replay = Self::new(Script::new(events, true), live.mode, live.approver);
        let toolbox = (live.toolbox)(replay.session.clone(), replay.gate.clone());
        let running = replay.running.clone();
        replay.tools = Some(Arc::new(Counted { toolbox, running }));
        replay
    }

    fn new(script: Script, mode: Mode, otherwise: Option<Arc<dyn Approver>>) -> Self {
        let script = Arc::new(script);
        let session = Session::new(
            ID.into(),
            State::default(),
            Stamp { seq: 0, ms: 0 },
            Arc::new(Comparing(script.clone())),
            Vec::new(),
            Arc::new(Unredacted),
        );
        let session = Arc::new(session.among(script.clone()));
        let approver = Arc::new(Answers {
            script: script.clone(),
            otherwise,
        });
        let gate = Arc::new(Gate::new(
            mode,
            Rules::default(),
            Some(approver),
            session.clone(),
        ));
        script.direct(&gate);
        let writers = writers(script.events.iter().map(|(_, event)| event));
        Self {
            script,
            session,
            gate,
            tools: None,
            running: Arc::default(),
            writers,
        }
    }

    pub(super) async fn run(self) -> Report {
        let mut limits = self.limits();
        while self.script.divergence().is_none() {
            let at = self.script.at();
            let next = self
                .session
                .read(|state| idle::next(&self.script.events, at, state));
            match next {
                None => break,
                Some(Next::Given) => {
                    let entry = self.script.pass();
                    self.session.adopt(entry.as_slice());
                    if entry.is_some_and(|(_, event)| limits::begins_process(&event)) {
                        self.gate.restart();
                        limits = self.limits();
                    }
                }
                Some(Next::Turn(input)) => self.turn(at, Some(&input), limits).await,
                Some(Next::Rest) => self.turn(at, None, limits).await,
                Some(Next::Compaction(end)) => self.compact(at..end, limits).await,
                Some(Next::Astray) => {
                    let what = "the loop does not write this outside of a turn";
                    self.script.diverge(None, what.into());
                }
            }
        }
        self.report()
    }

    fn limits(&self) -> Limits {
        let state = self.session.read(State::clone);
        limits::conclude(&self.script.events, self.script.at(), state)
    }

    async fn turn(&self, at: usize, input: Option<&str>, limits: Limits) {
        self.script.begin(Section::at(&self.script.events, at));
        let agent = self.agent(limits);
        let cancel = CancellationToken::new();
        let ended = self.drive(turn::run(&agent, input, &cancel), &cancel).await;
        if ended.is_some_and(|ended| ended.is_ok()) {
            self.check_end("the turn ended");
        }
    }

    async fn compact(&self, range: std::ops::Range<usize>, limits: Limits) {
        self.script.begin(Section::of(&self.script.events, range));
        let agent = self.agent(limits);
        let cancel = CancellationToken::new();
        let ended = self.drive(compact_now(&agent, &cancel), &cancel).await;
        if ended.is_some_and(|ended| ended.is_ok()) {
            self.check_end("there was nothing more to leave out");
        }
    }

    fn agent(&self, limits: Limits) -> Agent {
        let script = &self.script;
        let model = self.session.read(|state| state.model.clone());
        let model = model.split_once('/').map_or(&*model, |(_, model)| model);
        let toolbox = match &self.tools {
            Some(tools) => tools.clone(),
            None => Arc::new(Scripted::new(script.clone(), &self.writers)),
        };
        Agent {
            session: self.session.clone(),
            provider: Arc::new(Replies {
                script: script.clone(),
                session: self.session.clone(),
            }),
            model: model.to_owned(),
            toolbox,
            gate: self.gate.clone(),
            clock: Arc::new(Recorded::new(script.clone())),
            budget: limits.budget,
            stream: false,
            window: limits.window,
        }
    }

    /// Lets the loop run until it ends, or until the recording has no more for it. Every wait ends: where nothing can
    /// wake the loop any more, it waits for something that was not recorded.
    async fn drive<T>(
        &self,
        run: impl Future<Output = T>,
        cancel: &CancellationToken,
    ) -> Option<T> {
        let mut run = pin!(run);
        let woken = Arc::new(Woken::default());
        loop {
            // A task that never pauses is made to: then everything seems to wait.
            give_way().await;
            let before = self.script.at();
            let poll = poll_fn(|context| {
                woken.expect(context);
                let waker = Waker::from(woken.clone());
                Poll::Ready(run.as_mut().poll(&mut Context::from_waker(&waker)))
            });
            if let Poll::Ready(value) = poll.await {
                return Some(value);
            }
            if self.script.is_halted() {
                return None;
            }
            let moved = woken.is_set() || self.script.at() != before;
            if moved || self.session.catch_up() || self.interrupt(cancel) {
                continue;
            }
            if self.script.is_over() {
                return None;
            }
            if self.running.load(Ordering::SeqCst) > 0 {
                woken.wait().await;
                continue;
            }
            let what = format!(
                "the loop writes nothing more, and {}",
                self.script.instead()
            );
            self.script.diverge(None, what);
            return None;
        }
    }

    /// Ends the run from outside where that is what comes next; says whether it was.
    fn interrupt(&self, cancel: &CancellationToken) -> bool {
        let end = match self.script.due() {
            Some(Cut::Interrupted) => cancel.clone(),
            Some(Cut::Time) => self.script.time(),
            None => return false,
        };
        let first = !end.is_cancelled();
        end.cancel();
        first
    }

    fn check_end(&self, what: &str) {
        if !self.script.is_over() && !self.script.is_halted() {
            let what = format!("{what}, and {}", self.script.instead());
            self.script.diverge(None, what);
        }
    }

    fn report(&self) -> Report {
        let played = self.script.events.get(..self.script.at());
        let mut report = Report {
            events: self.script.at() as u64,
            differing: self
                .script
                .comparison()
                .map(super::live::Comparison::differing)
                .unwrap_or_default(),
            divergence: self.script.divergence(),
            ..Report::default()
        };
        for (_, event) in played.unwrap_or_default() {
            match event {
                Event::TurnStarted { .. } => report.turns += 1,
                Event::Message { message } if message.role == Role::Assistant => {
                    report.iterations += 1;
                }
                Event::ToolFinished { call, .. } if !is_nested(call) => report.tool_calls += 1,
                _ => {}
            }
        }
        report
    }
}

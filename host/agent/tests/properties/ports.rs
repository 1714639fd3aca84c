//! A model, tools, a person and a disk that throw dice.

use crate::bench::tool;
use crate::replies;
use crate::world::{Mood, World, fold};
use async_trait::async_trait;
use ml_intern_agent::approval::{Answer, Decision, Gate, Rule};
use ml_intern_agent::event::{FileChange, FileState, PermissionRequest};
use ml_intern_agent::message::{Call, Image};
use ml_intern_agent::plan::{PlanItem, PlanStatus};
use ml_intern_agent::ports::{
    Approver, Clock as _, Deltas, Invocation, Journal, JournalError, Observer, Outcome, Powers,
    Provider, Reply, Request, Tool, Toolbox,
};
use ml_intern_agent::tools::call_within;
use ml_intern_agent::{Event, ProviderError, Session, Stamp, State};
use serde_json::json;
use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

/// What a process left of the log, and how much of it a power cut leaves.
#[derive(Default)]
pub(crate) struct Left {
    pub(crate) log: Vec<(Stamp, Event)>,
    pub(crate) synced: u64,
}

/// The log: full from an entry on, and only what was synchronised is safe from a power cut.
pub(crate) struct Disk {
    world: Arc<World>,
    entries: Mutex<Vec<(Stamp, Event)>>,
    full_at: u64,
    synced: AtomicU64,
}

impl Disk {
    pub(crate) fn new(world: Arc<World>, left: Left, full_at: u64) -> Self {
        let Left { log, synced } = left;
        Self {
            world,
            synced: AtomicU64::new(synced),
            entries: Mutex::new(log),
            full_at,
        }
    }

    pub(crate) fn log(&self) -> Vec<(Stamp, Event)> {
        self.entries.lock().unwrap().clone()
    }

    /// Entries that a power cut leaves.
    pub(crate) fn synced(&self) -> u64 {
        self.synced.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Journal for Disk {
    fn append(&self, event: &Event) -> Result<Stamp, JournalError> {
        assert!(event.is_durable(), "{event:?} does not belong in the log");
        let mut entries = self.entries.lock().unwrap();
        let stamp = Stamp {
            seq: entries.len() as u64 + 1,
            ms: self.world.now_ms(),
        };
        if stamp.seq >= self.full_at {
            return Err(JournalError("no space left on device".into()));
        }
        entries.push((stamp, event.clone()));
        Ok(stamp)
    }

    async fn sync(&self) -> Result<(), JournalError> {
        let written = self.entries.lock().unwrap().len() as u64;
        self.world.dice.pause().await;
        self.synced.fetch_max(written, Ordering::Relaxed);
        Ok(())
    }
}

/// Folds what it is told, and sees to it that money does not come back.
pub(crate) struct Watch(pub(crate) Mutex<(State, Vec<(Stamp, Event)>)>);

impl Watch {
    pub(crate) fn new(log: &[(Stamp, Event)]) -> Self {
        Self(Mutex::new((fold(log), log.to_vec())))
    }
}

impl Observer for Watch {
    fn event(&self, stamp: Stamp, event: &Event) {
        let mut seen = self.0.lock().unwrap();
        let (state, log) = &mut *seen;
        let last = log.last().map_or(0, |(stamp, _)| stamp.seq);
        if !event.is_durable() {
            assert_eq!(stamp.seq, last, "{event:?}");
            return;
        }
        assert_eq!(stamp.seq, last + 1, "{event:?}");
        let before = state.ledger.spent();
        state.apply(event, stamp);
        assert!(state.ledger.spent() >= before, "{event:?}");
        log.push((stamp, event.clone()));
    }
}

pub(crate) struct Model {
    pub(crate) world: Arc<World>,
    pub(crate) watch: Arc<Watch>,
}

#[async_trait]
impl Provider for Model {
    async fn complete(
        &self,
        request: Request<'_>,
        deltas: Arc<dyn Deltas>,
    ) -> Result<Reply, ProviderError> {
        let dice = &self.world.dice;
        {
            let seen = self.watch.0.lock().unwrap();
            self.world.ask(&request, &seen.0, seen.1.len());
        }
        if dice.one_in(3) {
            deltas.reasoning("I think");
            dice.pause().await;
            deltas.text("I was about to, s3cret");
        }
        dice.pause().await;
        if dice.one_in(25) {
            return pending().await;
        }
        let answer = replies::answer(&self.world, &request);
        // A summary is asked for without anybody who watches.
        if answer.is_ok() && request.stream {
            self.world.replies.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    async fn window(&self, _model: &str) -> Option<u64> {
        self.world.dice.pause().await;
        (!self.world.dice.one_in(3)).then_some(50_000)
    }
}

/// `look` reads, `write` and `append` edit, `send` sends, `nest` makes a call of its own; all but the first two may
/// happen only once.
pub(crate) struct Kit {
    tools: Vec<Tool>,
    world: Arc<World>,
    disk: Arc<Disk>,
    /// What a call reaches of the session.
    inside: OnceLock<(Arc<Session>, Arc<Gate>)>,
}

impl Kit {
    pub(crate) fn new(world: Arc<World>, disk: Arc<Disk>) -> Self {
        let edits = Powers {
            writes_files: true,
            sends_requests: false,
        };
        let sends = Powers {
            writes_files: false,
            sends_requests: true,
        };
        Self {
            tools: vec![
                tool("look", true, true, Powers::default()),
                tool("write", false, true, edits),
                tool("append", false, false, edits),
                tool("send", false, false, sends),
                tool("nest", false, false, Powers::default()),
            ],
            world,
            disk,
            inside: OnceLock::new(),
        }
    }

    pub(crate) fn enter(&self, session: Arc<Session>, gate: Arc<Gate>) {
        assert!(self.inside.set((session, gate)).is_ok());
    }

    /// A call happens: the log knows it, and one that must not happen twice is safe on the disk and happens once.
    fn check(&self, invocation: &Invocation) {
        let log = self.disk.entries.lock().unwrap();
        let started = log.iter().rev().find_map(|(stamp, event)| match event {
            Event::ToolStarted {
                call, repeatable, ..
            } if *call == invocation.call => Some((stamp.seq, *repeatable)),
            _ => None,
        });
        let Some((seq, repeatable)) = started else {
            panic!("a call that the log does not know: {invocation:?}");
        };
        if !repeatable {
            assert!(self.disk.synced() >= seq, "not on the disk: {invocation:?}");
            let first = self
                .world
                .made
                .lock()
                .unwrap()
                .insert(invocation.call.clone());
            assert!(first, "made twice: {invocation:?}");
        }
    }

    /// What calls do beside their result.
    fn record(&self, call: &str) -> Result<(), JournalError> {
        let dice = &self.world.dice;
        let (session, _) = self.inside.get().unwrap();
        session.show(&Event::ToolLog {
            call: call.into(),
            text: "half of it, s3cret".into(),
            fraction: Some(0.5),
        });
        match dice.below(10) {
            0 => session.record(Event::Plan {
                items: plan(&self.world),
            })?,
            1 => session.record(Event::FileChanged {
                change: FileChange {
                    call: call.into(),
                    path: format!("file{}", dice.below(3)),
                    before: FileState::Absent,
                    after: dice.one_in(2).then_some(FileState::Unknown),
                },
            })?,
            _ => return Ok(()),
        };
        Ok(())
    }

    async fn nest(&self, invocation: &Invocation) -> Outcome {
        let (session, gate) = self.inside.get().unwrap();
        let name = *self.world.dice.pick(&["look", "write", "append", "none"]);
        let call = Call {
            id: "inner".into(),
            name: name.into(),
            arguments: (*self.world.dice.pick(&["{}", "{"])).into(),
        };
        let id = format!("{}/1", invocation.call);
        match call_within(session, self, gate, &*self.world, &id, call).await {
            Ok(finished) => output(finished.content, false),
            Err(problem) => Outcome::Fault(problem.to_string()),
        }
    }
}

#[async_trait]
impl Toolbox for Kit {
    fn tools(&self) -> &[Tool] {
        &self.tools
    }

    async fn call(&self, invocation: Invocation) -> Outcome {
        self.check(&invocation);
        let dice = &self.world.dice;
        dice.pause().await;
        if let Err(problem) = self.record(&invocation.call) {
            return Outcome::Fault(problem.to_string());
        }
        if invocation.tool == "nest" {
            return self.nest(&invocation).await;
        }
        dice.pause().await;
        if self.world.mood == Mood::Stubborn && !dice.one_in(30) {
            return output("the same as ever".into(), false);
        }
        let length = dice.below(self.world.trouble.bytes()) as usize;
        match dice.below(24) {
            0 => pending().await,
            1 => Outcome::Error("a bad argument".into()),
            2 => Outcome::Denied("not within its grants".into()),
            3 => Outcome::Fault("the plugin trapped".into()),
            4 => output("it went wrong".into(), true),
            5..=7 => output(format!("s3cret {}", "long ".repeat(length / 5)), false),
            8..=14 => output(format!("{}", dice.below(1 << 20)), false),
            _ => output("the same as ever".into(), false),
        }
    }
}

fn output(content: String, is_error: bool) -> Outcome {
    Outcome::Output {
        content,
        images: Vec::<Image>::new(),
        is_error,
    }
}

pub(crate) fn plan(world: &World) -> Vec<PlanItem> {
    let statuses = [
        PlanStatus::Pending,
        PlanStatus::InProgress,
        PlanStatus::Completed,
    ];
    let item = |number: u64| PlanItem {
        id: number.to_string(),
        content: "train, s3cret".into(),
        status: *world.dice.pick(&statuses),
    };
    (0..world.dice.below(4)).map(item).collect()
}

/// Answers, says that nobody is there, or says nothing.
pub(crate) struct Person(pub(crate) Arc<World>);

#[async_trait]
impl Approver for Person {
    async fn ask(&self, _request: &PermissionRequest) -> Option<Answer> {
        let dice = &self.0.dice;
        dice.pause().await;
        let (decision, edited) = match dice.below(14) {
            0 => return None,
            1..=2 => return pending().await,
            3..=4 => (Decision::Deny, None),
            5 => (Decision::AllowSession, None),
            6 => (Decision::AllowAlways, None),
            7 => (Decision::Allow, Some(json!({"n": 7}))),
            8 => (Decision::Allow, Some(json!({"n": "seven"}))),
            _ => (Decision::Allow, None),
        };
        Some(Answer {
            decision,
            feedback: dice.one_in(3).then(|| "mind the s3cret".into()),
            edited,
            pattern: None,
        })
    }

    fn remember(&self, _rule: &Rule) -> Result<(), String> {
        match self.0.dice.one_in(2) {
            true => Ok(()),
            false => Err("read-only file system".into()),
        }
    }
}

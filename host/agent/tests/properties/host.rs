//! One process of the host: it opens the log, and does what a person wants until it ends or breaks.

use crate::bench::Scissors;
use crate::invariants;
use crate::ports::{Disk, Kit, Left, Model, Person, Watch, plan};
use crate::world::{Mood, World, fold};
use ml_intern_agent::approval::Rules;
use ml_intern_agent::approval::{Gate, Mode};
use ml_intern_agent::budget::Budget;
use ml_intern_agent::compaction::compact_now;
use ml_intern_agent::event::{JobNote, TurnEnd};
use ml_intern_agent::money::MicroUsd;
use ml_intern_agent::ports::{Approver, Journal, JournalError};
use ml_intern_agent::turn::{self, Agent};
use ml_intern_agent::{Event, Message, Role, Session, Stamp};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Moments of one thing that is done; no case comes near.
const MOMENTS: u32 = 50_000;
/// Times that nothing goes on by itself before the person ends it.
const PATIENCE: u32 = 4;

pub(crate) struct Host {
    pub(crate) world: Arc<World>,
    pub(crate) agent: Agent,
    pub(crate) disk: Arc<Disk>,
    pub(crate) watch: Arc<Watch>,
}

/// The process is over, and its log has so many entries.
pub(crate) struct Broken(pub(crate) usize);

/// What happens while something is done.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Chance {
    Nothing,
    Words,
    Interrupt,
    Kill,
    Job,
    Plan,
    Wait,
}

impl Host {
    pub(crate) fn new(world: Arc<World>, left: Left, full_at: u64) -> Self {
        let dice = &world.dice;
        let watch = Arc::new(Watch::new(&left.log));
        let state = fold(&left.log);
        let last = left
            .log
            .last()
            .map_or(Stamp { seq: 0, ms: 0 }, |(stamp, _)| *stamp);
        let disk = Arc::new(Disk::new(world.clone(), left, full_at));
        let session = Arc::new(Session::new(
            "s".into(),
            state,
            last,
            disk.clone(),
            vec![watch.clone()],
            Arc::new(Scissors),
        ));
        let mode = *dice.pick(&[Mode::Ask, Mode::Ask, Mode::Auto, Mode::AutoEdit, Mode::Plan]);
        let person = Arc::new(Person(world.clone())) as Arc<dyn Approver>;
        let person = (!dice.one_in(6)).then_some(person);
        let gate = Arc::new(Gate::new(mode, Rules::default(), person, session.clone()));
        let kit = Arc::new(Kit::new(world.clone(), disk.clone()));
        kit.enter(session.clone(), gate.clone());
        let most = match world.mood {
            Mood::Fickle => 8,
            Mood::Busy | Mood::Stubborn => 30,
        };
        let budget = Budget {
            iterations: 1 + dice.below(most) as u32,
            time: Duration::from_secs(if dice.one_in(6) { 40 } else { 86_400 }),
            usd: dice.one_in(5).then(|| MicroUsd::new(dice.below(1_000_000))),
            assumed: dice.one_in(4).then(|| MicroUsd::new(10_000_000)),
            fixed: dice.one_in(3),
        };
        let model = Model {
            world: world.clone(),
            watch: watch.clone(),
        };
        let agent = Agent {
            session,
            provider: Arc::new(model),
            model: "m".into(),
            toolbox: kit,
            gate,
            clock: world.clone(),
            budget,
            stream: true,
            window: world.trouble.window,
        };
        Self {
            world,
            agent,
            disk,
            watch,
        }
    }

    /// Writes down that the session begins or goes on.
    pub(crate) fn open(&self) -> Result<(), Broken> {
        let model = "test/m".to_owned();
        let host = "0".to_owned();
        self.record(match self.disk.log().is_empty() {
            true => Event::SessionStarted {
                model,
                workspace: "/w".into(),
                host,
                tools: Vec::new(),
                limits: None,
            },
            false => Event::SessionResumed {
                model,
                host,
                limits: None,
            },
        })?;
        let empty = self.agent.session.read(|state| state.messages.is_empty());
        if empty {
            let message = Message::text(Role::System, "you are an engineer");
            self.record(Event::Message { message })?;
        }
        Ok(())
    }

    pub(crate) fn record(&self, event: Event) -> Result<(), Broken> {
        let recorded = self.agent.session.record(event);
        recorded.map(drop).map_err(|_| self.broken())
    }

    fn broken(&self) -> Broken {
        Broken(self.disk.log().len())
    }

    pub(crate) fn turn(&self, input: Option<&str>) -> Result<TurnEnd, Broken> {
        self.world.replies.store(0, Ordering::Relaxed);
        let so_far = match input {
            Some(_) => 0,
            None => self.agent.session.read(|state| state.iterations),
        };
        let cancel = CancellationToken::new();
        let run = Box::pin(turn::run(&self.agent, input, &cancel));
        let end = self.drive(run, &cancel, true)?;
        let replies = self.world.replies.load(Ordering::Relaxed);
        let cap = u64::from(self.agent.budget.iterations.saturating_sub(so_far));
        assert!(replies <= cap, "{replies} replies where {cap} were left");
        Ok(end)
    }

    pub(crate) fn compact(&self) -> Result<bool, Broken> {
        let cancel = CancellationToken::new();
        self.drive(Box::pin(compact_now(&self.agent, &cancel)), &cancel, false)
    }

    /// Ends, with everything on the disk unless it breaks before.
    pub(crate) fn end(&self) -> Broken {
        let cancel = CancellationToken::new();
        let synced = self.drive(Box::pin(self.disk.sync()), &cancel, false);
        synced.err().unwrap_or_else(|| self.broken())
    }

    /// Lets the future go on as long as it says that it can, and lets things happen between its moments.
    fn drive<T>(
        &self,
        mut future: Pin<Box<dyn Future<Output = Result<T, JournalError>> + '_>>,
        cancel: &CancellationToken,
        turn: bool,
    ) -> Result<T, Broken> {
        let awake = Arc::new(Awake(AtomicBool::new(true)));
        let waker = Waker::from(awake.clone());
        let mut stalled = 0;
        for _ in 0..MOMENTS {
            if awake.0.swap(false, Ordering::Relaxed) {
                stalled = 0;
                if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                    return done.map_err(|_| self.broken());
                }
            } else {
                assert!(
                    !cancel.is_cancelled(),
                    "nothing goes on after the interruption"
                );
                stalled += 1;
                invariants::check_stalled(self);
            }
            let happens = self.happens(stalled, cancel.is_cancelled());
            if happens != Chance::Nothing {
                self.world.tell(format!("{happens:?} in between"));
            }
            match happens {
                Chance::Nothing => {}
                Chance::Words if turn => {
                    let text = self.world.words();
                    self.record(Event::InputQueued { text })?;
                    self.agent.gate.abandon();
                }
                Chance::Words => {}
                Chance::Interrupt => cancel.cancel(),
                // What the future does when it is dropped, no killed process does.
                Chance::Kill => return Err(self.broken()),
                Chance::Job => self.job()?,
                Chance::Plan => self.record(Event::Plan {
                    items: plan(&self.world),
                })?,
                Chance::Wait => self.world.wait(),
            }
        }
        panic!("it does not end");
    }

    fn happens(&self, stalled: u32, cancelled: bool) -> Chance {
        let roll = self.world.dice.below(200);
        let happens = match (stalled, roll) {
            (PATIENCE.., _) => Chance::Interrupt,
            (0, 0..=4) => Chance::Words,
            (0, 5) => Chance::Interrupt,
            (0, 6..=10) => Chance::Job,
            (0, 11..=12) => Chance::Plan,
            (0, 13..=14) => Chance::Kill,
            (0, _) => Chance::Nothing,
            (_, 0..=99) => Chance::Wait,
            (_, 100..=159) => Chance::Words,
            (_, 160..=189) => Chance::Interrupt,
            _ => Chance::Kill,
        };
        match happens {
            Chance::Kill if !self.world.trouble.breaks => Chance::Nothing,
            Chance::Interrupt if cancelled => Chance::Nothing,
            happens => happens,
        }
    }

    /// A job goes on; what it costs only grows.
    pub(crate) fn job(&self) -> Result<(), Broken> {
        let dice = &self.world.dice;
        let id = format!("job{}", dice.below(2));
        let known = self
            .agent
            .session
            .read(|state| state.jobs.get(&id).cloned());
        let state = *dice.pick(&["queued", "running", "succeeded", "failed"]);
        let so_far = known.as_ref().and_then(|known| known.cost_usd);
        let more = dice.one_in(2).then(|| MicroUsd::new(dice.below(64_000)));
        let job = JobNote {
            id,
            name: Some("train s3cret".into()),
            state: state.into(),
            message: None,
            cost_usd: more.map_or(so_far, |more| Some(so_far.unwrap_or_default().plus(more))),
            price_usd: Some(MicroUsd::new(1_000_000)),
            hold: None,
        };
        self.record(match known {
            None => Event::JobStarted { job },
            Some(_) if job.is_final() => Event::JobFinished { job },
            Some(_) => Event::JobUpdated { job },
        })
    }
}

/// Remembers that something can go on.
struct Awake(AtomicBool);

impl Wake for Awake {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

//! What comes from outside: words, interrupts, undo, other models, and what tools and jobs write themselves.

use crate::bench::*;
use crate::recording::{Log, begun, check, check_everywhere, log, numbered, resumed};
use async_trait::async_trait;
use ml_intern_agent::approval::{Answer, Decision, Effect, Gate, Mode};
use ml_intern_agent::compaction::compact_now;
use ml_intern_agent::event::{
    Audit, AuditVerdict, FileChange, FileState, JobNote, PermissionRequest, TurnEnd, Usage,
};
use ml_intern_agent::message::Call;
use ml_intern_agent::ports::{Approver, Invocation, Outcome, Tool, Toolbox};
use ml_intern_agent::tools::call_within;
use ml_intern_agent::{Event, Session, Stamp, turn};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio_util::sync::CancellationToken;

fn queued(bench: &Bench, text: &str) {
    let event = Event::InputQueued { text: text.into() };
    bench.agent.session.record(event).unwrap();
}

/// Runs a turn, and does something the moment that it waits for `what`.
async fn meanwhile(
    bench: &Bench,
    what: impl Fn(&Bench) -> bool,
    act: impl FnOnce(&Bench, &CancellationToken),
) -> TurnEnd {
    let cancel = CancellationToken::new();
    let run = turn::run(&bench.agent, Some("go"), &cancel);
    let watch = async {
        while !what(bench) {
            tokio::task::yield_now().await;
        }
        act(bench, &cancel);
    };
    tokio::join!(run, watch).0.unwrap()
}

fn runs(bench: &Bench) -> bool {
    bench.tools.running.load(Ordering::SeqCst) > 0
}

fn was_asked(times: usize) -> impl Fn(&Bench) -> bool {
    move |bench| bench.script.seen.lock().unwrap().len() >= times
}

#[tokio::test]
async fn words_during_a_call_join_the_turn_again() {
    let steps = vec![
        calls(&[("a", "look", "{\"n\":1}"), ("b", "look", "{\"n\":2}")]),
        calls(&[("c", "look", "{}")]),
        says("done"),
    ];
    let bench = begun(Setup::default(), steps);
    let end = meanwhile(&bench, runs, |bench, _| {
        queued(bench, "use the first fold");
        queued(bench, "and hurry");
    });
    assert_eq!(end.await, TurnEnd::Done);
    let taken = |event: &Event| matches!(event, Event::InputTaken {});
    assert!(bench.events().iter().any(taken));
    check_everywhere(log(&bench)).await;
}

/// A model that takes its time to answer.
struct Slowly(Arc<Script>);

#[async_trait]
impl ml_intern_agent::ports::Provider for Slowly {
    async fn complete(
        &self,
        request: ml_intern_agent::ports::Request<'_>,
        deltas: Arc<dyn ml_intern_agent::ports::Deltas>,
    ) -> Result<ml_intern_agent::ports::Reply, ml_intern_agent::ProviderError> {
        let reply = self.0.complete(request, deltas).await;
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
        reply
    }
}

#[tokio::test]
async fn words_while_the_model_answers_wait_again() {
    for times in 1..=3 {
        let steps = vec![
            calls(&[("a", "look", "{\"n\":1}")]),
            calls(&[("b", "look", "{\"n\":2}")]),
            says("done"),
            says("done again"),
        ];
        let mut bench = begun(Setup::default(), steps);
        bench.agent.provider = Arc::new(Slowly(bench.script.clone()));
        let end = meanwhile(&bench, was_asked(times), |bench, _| queued(bench, "wait"));
        assert_eq!(end.await, TurnEnd::Done);
        // What is said behind the end is in the words of the next turn.
        queued(&bench, "and then");
        bench.script.steps.lock().unwrap().push_back(says("good"));
        assert_eq!(bench.run("go on").await, TurnEnd::Done);
        queued(&bench, "only this");
        bench.script.steps.lock().unwrap().push_back(says("good"));
        assert_eq!(bench.run("").await, TurnEnd::Done);
        check_everywhere(log(&bench)).await;
    }
}

/// Nobody answers.
struct Silent;

#[async_trait]
impl Approver for Silent {
    async fn ask(&self, _request: &PermissionRequest) -> Option<Answer> {
        std::future::pending().await
    }

    fn remember(&self, _rule: &ml_intern_agent::approval::Rule) -> Result<(), String> {
        Ok(())
    }
}

#[tokio::test]
async fn a_question_that_was_passed_over_is_passed_over_again() {
    let steps = vec![calls(&[("a", "write", "{}")]), says("done")];
    let mut bench = begun(Setup::default(), steps);
    let session = bench.agent.session.clone();
    bench.agent.gate = Arc::new(Gate::new(
        Mode::Ask,
        ml_intern_agent::approval::Rules::default(),
        Some(Arc::new(Silent)),
        session,
    ));
    let asks = |bench: &Bench| {
        let asked = |event: &Event| matches!(event, Event::PermissionRequested { .. });
        bench.events().iter().any(asked)
    };
    let end = meanwhile(&bench, asks, |bench, _| {
        queued(bench, "not that");
        bench.agent.gate.abandon();
    });
    assert_eq!(end.await, TurnEnd::Done);
    check_everywhere(log(&bench)).await;
}

#[tokio::test]
async fn an_interrupt_in_a_call_comes_again() {
    let step = calls(&[
        ("a", "look", "{\"n\":1}"),
        ("b", "look", "{\"n\":2}"),
        ("c", "slow", "{}"),
        ("d", "look", "{}"),
    ]);
    let bench = begun(Setup::default(), vec![step]);
    let slow = |bench: &Bench| {
        let ran = bench.tools.ran.lock().unwrap();
        ran.iter().any(|call| call.tool == "slow")
    };
    let end = meanwhile(&bench, slow, |_, cancel| cancel.cancel());
    assert_eq!(end.await, TurnEnd::Interrupted);
    bench.script.steps.lock().unwrap().push_back(says("fine"));
    assert_eq!(bench.run("and now?").await, TurnEnd::Done);
    check_everywhere(log(&bench)).await;
}

#[tokio::test]
async fn an_interrupt_while_two_calls_run_side_by_side_comes_again() {
    let step = calls(&[("a", "look", "{\"n\":1}"), ("b", "look", "{\"n\":2}")]);
    let bench = begun(Setup::default(), vec![step]);
    let end = meanwhile(&bench, runs, |_, cancel| cancel.cancel());
    assert_eq!(end.await, TurnEnd::Interrupted);
    check_everywhere(log(&bench)).await;
}

#[tokio::test]
async fn an_interrupted_reply_keeps_what_was_read_again() {
    let bench = begun(Setup::default(), vec![calls(&[("a", "look", "{}")])]);
    let end = meanwhile(&bench, was_asked(2), |_, cancel| cancel.cancel());
    assert_eq!(end.await, TurnEnd::Interrupted);
    bench.script.steps.lock().unwrap().push_back(says("fine"));
    assert_eq!(bench.run("and now?").await, TurnEnd::Done);
    check_everywhere(log(&bench)).await;
    let bench = begun(Setup::default(), Vec::new());
    let cancel = CancellationToken::new();
    cancel.cancel();
    let end = turn::run(&bench.agent, Some("go"), &cancel).await;
    assert_eq!(end.unwrap(), TurnEnd::Interrupted);
    check_everywhere(log(&bench)).await;
}

#[tokio::test]
async fn an_interrupted_wait_for_the_service_comes_again() {
    let bench = begun(Setup::default(), vec![fails(overloaded(None))]);
    let end = meanwhile(&bench, was_asked(2), |_, cancel| cancel.cancel());
    assert_eq!(end.await, TurnEnd::Interrupted);
    check_everywhere(log(&bench)).await;
    let mut bench = begun(Setup::default(), vec![fails(overloaded(None))]);
    bench.agent.clock = Arc::new(Stuck);
    let end = meanwhile(&bench, was_asked(1), |_, cancel| cancel.cancel());
    assert_eq!(end.await, TurnEnd::Interrupted);
    check_everywhere(log(&bench)).await;
}

/// Waits for ever.
struct Stuck;

#[async_trait]
impl ml_intern_agent::ports::Clock for Stuck {
    fn now_ms(&self) -> u64 {
        1_000
    }

    async fn sleep(&self, _duration: std::time::Duration) {
        std::future::pending().await
    }
}

/// The time of the turn is over once the model was asked so often.
struct Late(Arc<Script>, usize);

#[async_trait]
impl ml_intern_agent::ports::Clock for Late {
    fn now_ms(&self) -> u64 {
        1_000
    }

    async fn sleep(&self, _duration: std::time::Duration) {
        while self.0.seen.lock().unwrap().len() < self.1 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn time_that_is_over_is_over_again() {
    for times in 1..=3 {
        let steps = vec![
            calls(&[("a", "look", "{\"n\":1}"), ("b", "look", "{\"n\":2}")]),
            calls(&[("c", "slow", "{}")]),
        ];
        let mut bench = begun(Setup::default(), steps);
        bench.agent.clock = Arc::new(Late(bench.script.clone(), times.min(2)));
        if times == 3 {
            bench.script.steps.lock().unwrap().pop_back();
        }
        assert_eq!(bench.run("go").await, TurnEnd::Time);
        check_everywhere(log(&bench)).await;
    }
}

#[tokio::test]
async fn undo_another_model_a_title_and_a_fork_come_again() {
    let two = || vec![calls(&[("a", "look", "{}")]), says("done")];
    let bench = begun(Setup::default(), two());
    bench.run("first").await;
    bench.script.steps.lock().unwrap().extend(two());
    bench.run("second").await;
    let undone = Event::TurnUndone {
        turn: 2,
        restored: Vec::new(),
        kept: Vec::new(),
    };
    bench.agent.session.record(undone).unwrap();
    bench.script.steps.lock().unwrap().extend(two());
    bench.run("second, better").await;
    let mut all = log(&bench);
    let title = "better".into();
    push(&mut all, Event::SessionRenamed { title });
    let bench = resumed(Setup::default(), all, two());
    bench.run("third").await;
    check_everywhere(log(&bench)).await;
    // The fork breaks off in the middle of a turn.
    let whole = log(&bench);
    for at in 3..whole.len() {
        let mut fork = whole[..at].to_vec();
        let from = "other".into();
        push(
            &mut fork,
            Event::SessionForked {
                from,
                at: at as u64,
            },
        );
        let bench = resumed(Setup::default(), fork, two());
        bench.run("otherwise").await;
        check(log(&bench)).await;
    }
}

fn push(log: &mut Log, event: Event) {
    let seq = log.len() as u64 + 1;
    log.push((Stamp { seq, ms: 1_000 }, event));
}

fn job(state: &str, cost_usd: f64) -> JobNote {
    JobNote {
        id: "j1".into(),
        name: None,
        state: state.into(),
        message: None,
        cost_usd: Some(ml_intern_agent::money::MicroUsd::from_usd(cost_usd)),
        price_usd: Some(ml_intern_agent::money::MicroUsd::from_usd(2.0)),
        hold: None,
    }
}

/// Tools that do more to the session than answer.
pub(crate) struct Busy {
    pub(crate) tools: Arc<Tools>,
    pub(crate) session: Arc<Session>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) clock: Arc<Still>,
}

impl Busy {
    fn record(&self, event: Event) {
        self.session.record(event).unwrap();
    }

    async fn ask(&self, call: &str, effect: Effect, summary: &str) {
        let request = PermissionRequest {
            id: String::new(),
            call: call.into(),
            tool: "look".into(),
            plugin: "test/tools@1.0.0".into(),
            effect,
            summary: summary.into(),
            detail: json!({"argv": ["ls"]}),
            operation: None,
            destructive: false,
            blocked: None,
            price_usd: None,
            grants: Vec::new(),
        };
        self.gate.permit(request).await.unwrap();
    }
}

#[async_trait]
impl Toolbox for Busy {
    fn tools(&self) -> &[Tool] {
        self.tools.tools()
    }

    async fn call(&self, invocation: Invocation) -> Outcome {
        let id = invocation.call.clone();
        let change = |after| FileChange {
            call: id.clone(),
            path: "a.py".into(),
            before: FileState::Absent,
            after,
        };
        self.record(Event::FileChanged {
            change: change(None),
        });
        self.ask(&id, Effect::Process, "to run `ls`").await;
        self.record(Event::Audit {
            audit: Audit {
                call: id.clone(),
                plugin: "test/tools@1.0.0".into(),
                capability: "process".into(),
                target: "ls".into(),
                rule: None,
                verdict: AuditVerdict::Allowed,
                detail: None,
                status: None,
                sent_bytes: 0,
                received_bytes: 0,
            },
        });
        let items = json!([{"id": "1", "content": "train", "status": "completed"}]);
        let items = serde_json::from_value(items).unwrap();
        self.record(Event::Plan { items });
        self.record(Event::JobStarted {
            job: job("running", 0.0),
        });
        let usage = Usage {
            input: 7,
            ..Usage::default()
        };
        self.record(Event::Usage { usage });
        let (code, text) = ("retry".into(), "of an agent".into());
        self.record(Event::Notice { code, text });
        let inner = Call {
            id: "x".into(),
            name: "write".into(),
            arguments: "{}".into(),
        };
        let nested = format!("{id}/1");
        let within = call_within(
            &self.session,
            &*self.tools,
            &self.gate,
            &*self.clock,
            &nested,
            inner,
        );
        within.await.unwrap();
        self.ask(&id, Effect::Job, "to submit a job").await;
        let outcome = self.tools.call(invocation).await;
        self.record(Event::FileChanged {
            change: change(Some(FileState::Unknown)),
        });
        outcome
    }
}

pub(crate) fn busy(bench: &mut Bench) {
    bench.agent.toolbox = Arc::new(Busy {
        tools: bench.tools.clone(),
        session: bench.agent.session.clone(),
        gate: bench.agent.gate.clone(),
        clock: bench.clock.clone(),
    });
}

#[tokio::test]
async fn what_tools_write_is_there_again_in_its_place() {
    for decision in [Decision::Allow, Decision::Deny, Decision::AllowAlways] {
        let setup = Setup {
            answers: Some(vec![answer(decision, None); 20]),
            ..Setup::default()
        };
        let steps = vec![
            calls(&[("a", "look", "{\"n\":1}"), ("b", "look", "{\"n\":2}")]),
            calls(&[("c", "write", "{}"), ("d", "append", "{}")]),
            says("done"),
        ];
        let mut bench = begun(setup, steps);
        busy(&mut bench);
        assert_eq!(bench.run("go").await, TurnEnd::Done);
        check_everywhere(log(&bench)).await;
    }
}

/// A job that ends between any two entries of a turn.
#[tokio::test]
async fn what_a_job_comes_to_is_there_again_wherever_it_came() {
    let steps = vec![
        calls(&[("a", "look", "{}"), ("b", "write", "{}")]),
        says("done"),
    ];
    let setup = Setup {
        mode: Mode::Auto,
        ..Setup::default()
    };
    let bench = begun(setup, steps);
    bench.run("go").await;
    let whole = log(&bench);
    for at in 2..=whole.len() {
        let mut events: Vec<Event> = whole.iter().map(|(_, event)| event.clone()).collect();
        events.insert(
            at,
            Event::JobFinished {
                job: job("failed", 1.0),
            },
        );
        // The ids of calls are places in the log.
        if at > 4 {
            check(numbered(events)).await;
        }
    }
}

#[tokio::test]
async fn a_person_who_wants_room_gets_it_again() {
    let text = "x".repeat(3000);
    let long = |n: usize| calls(&[("a", "look", &format!("{{\"n\":{n},\"s\":\"{text}\"}}"))]);
    let steps = (0..6)
        .map(long)
        .chain([says("done"), says("the note"), says("more")]);
    let bench = begun(Setup::default(), steps.collect());
    bench.run("go").await;
    assert!(
        compact_now(&bench.agent, &CancellationToken::new())
            .await
            .unwrap()
    );
    bench.run("go on").await;
    check_everywhere(log(&bench)).await;
}

//! A scripted model, scripted tools, a log in memory and a clock that stands still.

#[path = "conversation.rs"]
pub(crate) mod conversation;
#[path = "scissors.rs"]
mod scissors;

pub(crate) use scissors::Scissors;

use async_trait::async_trait;
use ml_intern_agent::approval::{Answer, Decision, Gate, Mode, Rules as ApprovalRules};
use ml_intern_agent::budget::Budget;
use ml_intern_agent::event::{CallStatus, PermissionRequest, TurnEnd, Usage};
use ml_intern_agent::message::{Call, Image};
use ml_intern_agent::money::MicroUsd;
use ml_intern_agent::ports::{
    Approver, Clock, Deltas, Effects, Invocation, Journal, JournalError, Observer, Outcome, Powers,
    Provider, Reply, Request, Stop, Tool, Toolbox,
};
use ml_intern_agent::turn::{self, Agent};
use ml_intern_agent::{Event, Message, Part, ProviderError, Session, Stamp, State};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

pub(crate) type Step = Box<dyn FnOnce(&[Arc<Message>]) -> Result<Reply, ProviderError> + Send>;

/// Answers from a list; hangs when it is empty.
pub(crate) struct Script {
    pub(crate) steps: Mutex<VecDeque<Step>>,
    pub(crate) seen: Mutex<Vec<Vec<Message>>>,
    /// What else each request wanted: effort and answer schema.
    pub(crate) wanted: Mutex<Vec<(Option<String>, Option<String>)>>,
}

#[async_trait]
impl Provider for Script {
    async fn complete(
        &self,
        request: Request<'_>,
        deltas: Arc<dyn Deltas>,
    ) -> Result<Reply, ProviderError> {
        let messages = request
            .messages
            .iter()
            .map(|message| Message::clone(message))
            .collect();
        self.seen.lock().unwrap().push(messages);
        let own = |text: Option<&str>| text.map(str::to_owned);
        let wanted = (own(request.effort), own(request.answer_schema));
        self.wanted.lock().unwrap().push(wanted);
        let step = self.steps.lock().unwrap().pop_front();
        match step {
            Some(step) => step(request.messages),
            None => {
                deltas.text("I was about to");
                std::future::pending().await
            }
        }
    }
}

pub(crate) fn reply(parts: Vec<Part>, stop: Stop) -> Step {
    let usage = Usage {
        input: 10,
        output: 5,
        cost_usd: Some(MicroUsd::from_usd(0.25)),
        ..Usage::default()
    };
    Box::new(move |_| Ok(Reply { parts, stop, usage }))
}

pub(crate) fn says(text: &str) -> Step {
    reply(vec![Part::Text { text: text.into() }], Stop::EndTurn)
}

pub(crate) fn calls(list: &[(&str, &str, &str)]) -> Step {
    let parts = list.iter().map(|(id, name, arguments)| {
        Part::Call(Call {
            id: (*id).into(),
            name: (*name).into(),
            arguments: (*arguments).into(),
        })
    });
    reply(parts.collect(), Stop::ToolUse)
}

pub(crate) fn fails(error: ProviderError) -> Step {
    Box::new(move |_| Err(error))
}

pub(crate) fn overloaded(retry_after_ms: Option<u64>) -> ProviderError {
    ProviderError::Upstream {
        status: Some(503),
        code: None,
        message: "overloaded".into(),
        retryable: true,
        retry_after_ms,
    }
}

/// `look` reads, `write` edits, `slow` never ends, `crash` traps, `append` is not repeatable.
pub(crate) struct Tools {
    pub(crate) tools: Vec<Tool>,
    pub(crate) running: AtomicUsize,
    pub(crate) most: AtomicUsize,
    pub(crate) ran: Mutex<Vec<Invocation>>,
}

pub(crate) fn tool(name: &str, read_only: bool, idempotent: bool, powers: Powers) -> Tool {
    Tool {
        name: name.into(),
        description: name.into(),
        input_schema: r#"{"type":"object","properties":{"n":{"type":"integer"},"s":{"type":"string"}},"additionalProperties":false}"#.into(),
        plugin: "test/tools@1.0.0".into(),
        effects: Effects { read_only, idempotent, destructive: false },
        operations: None,
        powers,
        grants: Vec::new(),
    }
}

#[async_trait]
impl Toolbox for Tools {
    fn tools(&self) -> &[Tool] {
        &self.tools
    }

    async fn call(&self, invocation: Invocation) -> Outcome {
        let now = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        self.ran.lock().unwrap().push(invocation.clone());
        if invocation.tool == "slow" {
            std::future::pending::<()>().await;
        }
        self.running.fetch_sub(1, Ordering::SeqCst);
        if invocation.tool == "crash" {
            return Outcome::Fault("the plugin trapped".into());
        }
        let content = format!("{} {}", invocation.tool, invocation.arguments);
        Outcome::Output {
            content,
            images: Vec::<Image>::new(),
            is_error: false,
        }
    }
}

/// Keeps the events; fails from the `fail_at`th on.
pub(crate) struct Memory {
    pub(crate) events: Mutex<Vec<(Stamp, Event)>>,
    pub(crate) syncs: AtomicU32,
    pub(crate) fail_at: u64,
}

#[async_trait]
impl Journal for Memory {
    fn append(&self, event: &Event) -> Result<Stamp, JournalError> {
        assert!(event.is_durable(), "{event:?} does not belong in the log");
        let mut events = self.events.lock().unwrap();
        let seq = events.len() as u64 + 1;
        if seq >= self.fail_at {
            return Err(JournalError("no space left on device".into()));
        }
        let stamp = Stamp { seq, ms: 1_000 };
        events.push((stamp, event.clone()));
        Ok(stamp)
    }

    async fn sync(&self) -> Result<(), JournalError> {
        self.syncs.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// Sleeps return at once when they are short, and are counted.
pub(crate) struct Still {
    pub(crate) slept_ms: AtomicU64,
}

#[async_trait]
impl Clock for Still {
    fn now_ms(&self) -> u64 {
        1_000
    }

    async fn sleep(&self, duration: Duration) {
        if duration >= Duration::from_secs(3600) {
            return std::future::pending().await;
        }
        self.slept_ms
            .fetch_add(duration.as_millis() as u64, Ordering::SeqCst);
    }
}

/// Keeps what it is told.
#[derive(Default)]
pub(crate) struct Watcher(pub(crate) Mutex<Vec<Event>>);

impl Observer for Watcher {
    fn event(&self, _stamp: Stamp, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

pub(crate) struct Person(Mutex<VecDeque<Answer>>);

#[async_trait]
impl Approver for Person {
    async fn ask(&self, _request: &PermissionRequest) -> Option<Answer> {
        self.0.lock().unwrap().pop_front()
    }

    fn remember(&self, _rule: &ml_intern_agent::approval::Rule) -> Result<(), String> {
        Err("read-only file system".into())
    }
}

pub(crate) fn answer(decision: Decision, edited: Option<Value>) -> Answer {
    Answer {
        decision,
        feedback: None,
        edited,
        pattern: None,
    }
}

pub(crate) struct Bench {
    pub(crate) agent: Agent,
    pub(crate) script: Arc<Script>,
    pub(crate) tools: Arc<Tools>,
    pub(crate) journal: Arc<Memory>,
    pub(crate) clock: Arc<Still>,
}

#[derive(Default)]
pub(crate) struct Setup {
    pub(crate) mode: Mode,
    pub(crate) answers: Option<Vec<Answer>>,
    pub(crate) budget: Budget,
    pub(crate) fail_at: Option<u64>,
    pub(crate) window: Option<u64>,
    pub(crate) log: Vec<(Stamp, Event)>,
    pub(crate) watchers: Vec<Arc<dyn Observer>>,
}

pub(crate) fn bench(setup: Setup, steps: Vec<Step>) -> Bench {
    let edits = Powers {
        writes_files: true,
        sends_requests: false,
    };
    let tools = Arc::new(Tools {
        tools: vec![
            tool("look", true, true, Powers::default()),
            tool("write", false, true, edits),
            tool("append", false, false, edits),
            tool("slow", false, false, Powers::default()),
            tool("crash", true, false, Powers::default()),
        ],
        running: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
        ran: Mutex::default(),
    });
    let mut state = State::default();
    let mut last = Stamp { seq: 0, ms: 0 };
    for (stamp, event) in &setup.log {
        state.apply(event, *stamp);
        last = *stamp;
    }
    let fail_at = setup.fail_at.unwrap_or(u64::MAX);
    let journal = Arc::new(Memory {
        events: Mutex::new(setup.log),
        syncs: AtomicU32::new(0),
        fail_at,
    });
    let session = Arc::new(Session::new(
        "s".into(),
        state,
        last,
        journal.clone(),
        setup.watchers,
        Arc::new(Scissors),
    ));
    let script = Arc::new(Script {
        steps: Mutex::new(steps.into()),
        seen: Mutex::default(),
        wanted: Mutex::default(),
    });
    let clock = Arc::new(Still {
        slept_ms: AtomicU64::new(0),
    });
    let approver = setup
        .answers
        .map(|answers| Arc::new(Person(Mutex::new(answers.into()))) as Arc<dyn Approver>);
    let gate = Arc::new(Gate::new(
        setup.mode,
        ApprovalRules::default(),
        approver,
        session.clone(),
    ));
    let agent = Agent {
        session,
        provider: script.clone(),
        model: "m".into(),
        toolbox: tools.clone(),
        gate,
        clock: clock.clone(),
        budget: setup.budget,
        stream: true,
        window: setup.window,
    };
    Bench {
        agent,
        script,
        tools,
        journal,
        clock,
    }
}

impl Bench {
    pub(crate) async fn run(&self, input: &str) -> TurnEnd {
        let cancel = CancellationToken::new();
        let run = turn::run(&self.agent, Some(input), &cancel);
        tokio::time::timeout(Duration::from_secs(10), run)
            .await
            .unwrap()
            .unwrap()
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.journal
            .events
            .lock()
            .unwrap()
            .iter()
            .map(|(_, event)| event.clone())
            .collect()
    }

    pub(crate) fn finished(&self) -> Vec<(String, CallStatus, String)> {
        let events = self.events().into_iter();
        let finished = events.filter_map(|event| match event {
            Event::ToolFinished {
                tool,
                status,
                content,
                ..
            } => Some((tool, status, content)),
            _ => None,
        });
        finished.collect()
    }

    pub(crate) fn answer(&self) -> Option<String> {
        self.events()
            .into_iter()
            .rev()
            .find_map(|event| match event {
                Event::TurnFinished { message, .. } => Some(message),
                _ => None,
            })?
    }

    /// What the host said in the user's place.
    pub(crate) fn advice(&self) -> Vec<String> {
        let injected = self.events().into_iter().filter_map(|event| match event {
            Event::Message { message } if message.injected => Some(message.plain_text()),
            _ => None,
        });
        injected.collect()
    }

    /// Every request was one that providers take.
    pub(crate) fn check_conversations(&self) {
        let seen = self.script.seen.lock().unwrap();
        seen.iter()
            .for_each(|messages| conversation::check(messages));
    }
}

//! The `agent` capability: what a tool asks of the session that called it. A question to the model, a call of
//! another tool and an agent of its own go through the session's gate, log and budget, as if the model had asked.

mod held;
mod sub;

use super::permission::Permissions;
use super::plan;
use super::provider::PluginProvider;
use super::toolbox::PluginTools;
use async_trait::async_trait;
use held::Held;
use ml_intern_agent::approval::Gate;
use ml_intern_agent::budget::Budget;
use ml_intern_agent::event::{CallStatus, Purpose, TurnEnd, Usage};
use ml_intern_agent::message::Call;
use ml_intern_agent::ports::{Clock, Deltas, JournalError, Provider, Reply, Request, Stop};
use ml_intern_agent::redaction::Rules;
use ml_intern_agent::tools::{Finished, call_within};
use ml_intern_agent::{Message, Part, ProviderError, Role, Session, reply};
use ml_intern_runtime::{Caller, SessionHost, agent, types};
use std::sync::{Arc, OnceLock, Weak};
use tokio::task::JoinSet;

/// Bytes of the arguments of a call that a tool makes.
const ARGUMENT_BYTES: usize = 1 << 20;

/// The session, for the tools that ask something of it.
pub(crate) struct SessionAgents {
    pub(crate) session: Arc<Session>,
    pub(crate) permissions: Arc<Permissions>,
    /// Set once everything is put together: the tools need this before they can be.
    pub(crate) bench: OnceLock<Bench>,
}

/// What the session works with.
#[derive(Clone)]
pub(crate) struct Bench {
    /// Weak, because the plugins behind it hold the session.
    pub(crate) toolbox: Weak<PluginTools>,
    pub(crate) provider: Arc<PluginProvider>,
    pub(crate) model: String,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) budget: Budget,
    pub(crate) stream: bool,
    pub(crate) window: Option<u64>,
}

impl SessionAgents {
    fn bench(&self) -> Result<(Bench, Arc<PluginTools>, Arc<Gate>), types::Error> {
        let bench = self.bench.get().cloned();
        let gate = self.permissions.gate.get().cloned();
        bench
            .zip(gate)
            .and_then(|(bench, gate)| Some((bench.clone(), bench.toolbox.upgrade()?, gate)))
            .ok_or_else(|| types::Error::Internal("the session has not started or is over".into()))
    }

    /// The id of what `caller` starts, for one of `tools`.
    fn enter(&self, caller: &Caller, tools: &[String]) -> Result<String, types::Error> {
        let entered = self.permissions.calls.enter(caller, tools);
        entered.map_err(types::Error::Limit)
    }

    /// Refuses what would cost more than the session may.
    fn check_budget(&self, bench: &Bench) -> Result<(), types::Error> {
        match spent(&self.session, bench) {
            Some(TurnEnd::Time) => Err(types::Error::Limit("the turn's time is over".into())),
            Some(_) => Err(types::Error::Limit(
                "the session's budget is spent; the user can raise it with --budget-usd".into(),
            )),
            None => Ok(()),
        }
    }
}

/// Which of the session's own limits is reached, if any.
fn spent(session: &Session, bench: &Bench) -> Option<TurnEnd> {
    session.read(|state| bench.budget.spent(state, bench.clock.now_ms()))
}

#[async_trait]
impl SessionHost for SessionAgents {
    async fn complete(&self, ask: agent::Ask, _caller: Caller) -> Result<String, types::Error> {
        let (bench, _, _) = self.bench()?;
        self.check_budget(&bench)?;
        let session = self.session.clone();
        apart(async move { complete(&session, &bench, ask).await }).await?
    }

    async fn call_tool(
        &self,
        name: String,
        arguments: String,
        caller: Caller,
    ) -> Result<agent::Answer, types::Error> {
        let (bench, toolbox, gate) = self.bench()?;
        let names = [name];
        let held = Held::new(toolbox, &names, caller.read_only)?;
        let [name] = names;
        if arguments.len() > ARGUMENT_BYTES {
            let text = format!("arguments have at most {ARGUMENT_BYTES} bytes");
            return Err(types::Error::InvalidInput(text));
        }
        let id = self.enter(&caller, std::slice::from_ref(&name))?;
        let call = Call {
            id: id.clone(),
            name,
            arguments,
        };
        let session = self.session.clone();
        let clock = bench.clock;
        let work =
            async move { call_within(&session, &held, &gate, clock.as_ref(), &id, call).await };
        let finished = apart(work).await?.map_err(not_written)?;
        if finished.status == CallStatus::Denied {
            self.permissions.calls.denied(&caller.call);
        }
        answer(finished)
    }

    async fn run(&self, task: agent::Task, caller: Caller) -> Result<agent::Report, types::Error> {
        let (bench, toolbox, gate) = self.bench()?;
        let held = Held::new(toolbox, &task.tools, caller.read_only)?;
        self.check_budget(&bench)?;
        let id = self.enter(&caller, &task.tools)?;
        let sub = sub::SubAgent {
            id,
            parent: self.session.clone(),
            bench,
            tools: Arc::new(held),
            gate,
            caller,
        };
        apart(sub.run(task)).await?
    }

    async fn set_plan(
        &self,
        items: Vec<agent::PlanItem>,
        _caller: Caller,
    ) -> Result<(), types::Error> {
        plan::set(&self.session, items)
    }
}

/// Does the work beside the call that waits for it: what it takes is not that call's processor time, and its stack is
/// its own. It ends when nobody waits any more.
async fn apart<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, types::Error> {
    let mut tasks = JoinSet::new();
    tasks.spawn(work);
    let lost = || types::Error::Internal("the work was lost".into());
    match tasks.join_next().await {
        Some(done) => done.map_err(|_| lost()),
        None => Err(lost()),
    }
}

async fn complete(
    session: &Session,
    bench: &Bench,
    ask: agent::Ask,
) -> Result<String, types::Error> {
    let redactor = session.redactor();
    let message = |role, mut text: String| {
        // A conversation is freed of secrets when it is written down; this one is not.
        redactor.text(&mut text, Rules::All);
        Arc::new(Message::text(role, text))
    };
    let system = ask.system.map(|text| message(Role::System, text));
    let prompt = message(Role::User, ask.prompt);
    let messages: Vec<_> = system.into_iter().chain([prompt]).collect();
    let request = Request {
        model: &bench.model,
        session: session.id(),
        generation: 0,
        messages: &messages,
        tools: &[],
        max_tokens: Some(ask.max_tokens),
        stream: bench.stream,
        effort: None,
        answer_schema: None,
    };
    let provider = bench.provider.another();
    let reply = provider.complete(request, Arc::new(Unseen)).await;
    let reply = reply.map_err(model_failed)?;
    let usage = Usage {
        purpose: Purpose::Question,
        ..reply.usage
    };
    reply::count(session, &bench.budget, &bench.model, usage).map_err(not_written)?;
    said(reply)
}

/// The text of an answer.
fn said(reply: Reply) -> Result<String, types::Error> {
    let texts = reply.parts.into_iter().filter_map(|part| match part {
        Part::Text { text } => Some(text),
        _ => None,
    });
    let text = texts.collect::<Vec<_>>().join("\n\n");
    if !text.is_empty() {
        return Ok(text);
    }
    let (code, message) = match reply.stop {
        Stop::Refusal => ("refusal", "the model refused to answer"),
        Stop::MaxTokens => ("max_tokens", "the answer has more tokens than allowed"),
        _ => ("empty", "the model answered without text"),
    };
    Err(types::Error::Upstream(types::Upstream {
        status: None,
        code: Some(code.to_owned()),
        message: message.to_owned(),
        retryable: false,
        retry_after_ms: None,
    }))
}

/// What the tool that called gets of a call's end.
fn answer(finished: Finished) -> Result<agent::Answer, types::Error> {
    let mut text = finished.content;
    if finished.images > 0 {
        text.push_str(&format!(
            "\n[{} pictures were left out: a tool gets text only]",
            finished.images
        ));
    }
    match finished.status {
        CallStatus::Ok | CallStatus::Error => Ok(agent::Answer {
            text,
            is_error: finished.status == CallStatus::Error,
        }),
        CallStatus::Malformed => Err(types::Error::InvalidInput(text)),
        CallStatus::Denied => Err(types::Error::Denied(types::Denial {
            capability: "agent".to_owned(),
            detail: text,
        })),
        CallStatus::Cancelled => Err(types::Error::Cancelled),
        CallStatus::Fault | CallStatus::Interrupted => Err(types::Error::Internal(text)),
    }
}

fn not_written(error: JournalError) -> types::Error {
    types::Error::Internal(error.to_string())
}

/// What went wrong with the session's model, for the tool that asked it.
fn model_failed(error: ProviderError) -> types::Error {
    let text = error.to_string();
    match error {
        ProviderError::NotFound(_) => types::Error::NotFound(text),
        ProviderError::ContextOverflow(_) => types::Error::ContextOverflow(text),
        ProviderError::Upstream {
            status,
            code,
            message,
            retryable,
            retry_after_ms,
        } => types::Error::Upstream(types::Upstream {
            status,
            code,
            message,
            retryable,
            retry_after_ms: retry_after_ms.and_then(|ms| u32::try_from(ms).ok()),
        }),
        ProviderError::Timeout => types::Error::Timeout,
        ProviderError::Cancelled => types::Error::Cancelled,
        ProviderError::Invalid(_) => types::Error::InvalidInput(text),
        // What the provider may do and which key it has is not the asking tool's concern, nor in its power.
        _ => types::Error::Internal(text),
    }
}

/// Deltas that nobody looks at.
struct Unseen;

impl Deltas for Unseen {
    fn text(&self, _: &str) {}
    fn reasoning(&self, _: &str) {}
}

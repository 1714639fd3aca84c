//! Running calls: those of one reply, and those that a tool makes.

use crate::approval::{Gate, Verdict};
use crate::arguments::{Checker, parse_object};
use crate::event::{CallStatus, Event, PermissionRequest};
use crate::message::{Call, Image};
use crate::ports::{Clock, Invocation, JournalError, Outcome, Tool, Toolbox};
use crate::redaction::Rules;
use crate::session::Session;
use crate::state::OpenCall;
use futures_util::future::join_all;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Edit distance (normalised) from which another tool's name is worth suggesting.
const CLOSE: f64 = 0.6;

/// For a call that another process should have run.
const LOST: &str = "ml-intern stopped before this call ran, and its arguments held what looks like a secret, which is \
                    not kept; make the call again";

/// Runs calls: checks, asks, writes down, calls.
pub(crate) struct Runner<'a> {
    pub(crate) session: &'a Session,
    pub(crate) toolbox: &'a dyn Toolbox,
    pub(crate) gate: &'a Gate,
    pub(crate) clock: &'a dyn Clock,
    /// By name and schema: a tool that is being written changes its schema within a turn.
    checkers: Mutex<HashMap<(String, String), Arc<Checker>>>,
}

/// What stands for one call before it runs.
enum Prepared<'a> {
    Ready {
        tool: &'a Tool,
        arguments: Value,
        read_only: bool,
        repeatable: bool,
    },
    Refused {
        status: CallStatus,
        text: String,
    },
}

impl<'a> Runner<'a> {
    pub(crate) fn new(
        session: &'a Session,
        toolbox: &'a dyn Toolbox,
        gate: &'a Gate,
        clock: &'a dyn Clock,
    ) -> Self {
        Self {
            session,
            toolbox,
            gate,
            clock,
            checkers: Mutex::new(HashMap::new()),
        }
    }

    /// Runs every call of the last reply that has no result yet: neighbours that only read side by side, the others
    /// one after the other, in the order of the reply.
    pub(crate) async fn run_open(&self) -> Result<(), JournalError> {
        let open = self.session.read(|state| {
            let waiting = state
                .open
                .iter()
                .enumerate()
                .filter(|(_, open)| open.result.is_none());
            waiting
                .map(|(index, open)| (index as u32, open.clone()))
                .collect::<Vec<_>>()
        });
        let mut side_by_side = Vec::new();
        for (index, call) in open {
            let prepared = self.prepare(index, &call);
            if matches!(
                prepared,
                Prepared::Ready {
                    read_only: true,
                    ..
                }
            ) {
                side_by_side.push(self.run(index, call, prepared));
                continue;
            }
            finish_all(std::mem::take(&mut side_by_side)).await?;
            self.run(index, call, prepared).await?;
        }
        finish_all(side_by_side).await
    }

    fn prepare(&self, index: u32, open: &OpenCall) -> Prepared<'a> {
        let call = &open.call;
        // One that waited for a person had done nothing yet, and waits again.
        if open.started == Some(false) && open.waiting.is_none() {
            return Prepared::Refused {
                status: CallStatus::Interrupted,
                text: interrupted_text(&call.name),
            };
        }
        if self.session.read(|state| state.bars(open)) {
            return Prepared::Refused {
                status: CallStatus::Error,
                text: crate::prompt::barred(&call.name),
            };
        }
        if let Some((status, text)) = self.toolbox.refused(&open.id) {
            return Prepared::Refused { status, text };
        }
        let Some(tool) = self.toolbox.tool_of(&open.id, &call.name) else {
            return Prepared::Refused {
                status: CallStatus::Error,
                text: self.unknown_tool(&call.name),
            };
        };
        // The tool gets what the model wrote; the log, and with it the conversation, has it without its secrets.
        let Some(arguments) = self.session.arguments(index, open) else {
            return Prepared::Refused {
                status: CallStatus::Interrupted,
                text: LOST.into(),
            };
        };
        match self.checker(tool).check(&tool.name, &arguments) {
            Ok(arguments) => {
                let effects = tool.effects_of(&arguments);
                let repeatable = effects.read_only || effects.idempotent;
                Prepared::Ready {
                    tool,
                    arguments,
                    read_only: effects.read_only,
                    repeatable,
                }
            }
            Err(text) => Prepared::Refused {
                status: CallStatus::Malformed,
                text,
            },
        }
    }

    async fn run(
        &self,
        index: u32,
        open: OpenCall,
        prepared: Prepared<'_>,
    ) -> Result<Finished, JournalError> {
        let (finished, durable) = self.run_to_its_entry(index, open, prepared).await?;
        // What a repeatable call found can be found again, so only the others wait for the disk.
        if durable {
            self.session.sync().await?;
        }
        Ok(finished)
    }

    /// Ends in the moment in which the result is written down, and says whether it has to be on the disk.
    async fn run_to_its_entry(
        &self,
        index: u32,
        open: OpenCall,
        prepared: Prepared<'_>,
    ) -> Result<(Finished, bool), JournalError> {
        let began = self.clock.now_ms();
        let durable = matches!(
            prepared,
            Prepared::Ready {
                repeatable: false,
                ..
            }
        );
        let (status, content, images) = match prepared {
            Prepared::Refused { status, text } => {
                // Still not to be run again, should this process stop as well before the call has its result.
                let repeatable = open.started != Some(false);
                self.started(index, &open, "", refused_arguments(&open), repeatable)
                    .await?;
                (status, text, Vec::new())
            }
            Prepared::Ready {
                tool,
                arguments,
                read_only,
                repeatable,
            } => {
                self.started(index, &open, &tool.plugin, arguments.clone(), repeatable)
                    .await?;
                self.call(&open.id, tool, arguments, read_only).await?
            }
        };
        let ms = self.clock.now_ms().saturating_sub(began);
        let finished = Finished {
            status,
            content: content.clone(),
            images: images.len(),
        };
        let event = Event::ToolFinished {
            call: open.id,
            index,
            tool: open.call.name,
            status,
            content,
            images,
            ms,
        };
        self.session.record(event)?;
        Ok((finished, durable))
    }

    async fn started(
        &self,
        index: u32,
        open: &OpenCall,
        plugin: &str,
        arguments: Value,
        repeatable: bool,
    ) -> Result<(), JournalError> {
        let started = Event::ToolStarted {
            call: open.id.clone(),
            index,
            tool: open.call.name.clone(),
            plugin: plugin.to_owned(),
            arguments,
            repeatable,
        };
        if repeatable {
            self.session.record(started)?;
        } else {
            self.session.record_durably(started).await?;
        }
        Ok(())
    }

    async fn call(
        &self,
        id: &str,
        tool: &Tool,
        arguments: Value,
        read_only: bool,
    ) -> Result<(CallStatus, String, Vec<Image>), JournalError> {
        let mut invocation = Invocation {
            call: id.to_owned(),
            tool: tool.name.clone(),
            arguments,
            read_only,
        };
        let mut note = String::new();
        let effects = tool.effects_of(&invocation.arguments);
        if let Some(effect) = tool.gate(effects) {
            let request = PermissionRequest {
                id: String::new(),
                call: id.to_owned(),
                tool: tool.name.clone(),
                plugin: tool.plugin.clone(),
                effect,
                summary: effect.of_a_call(&tool.name),
                detail: invocation.arguments.clone(),
                operation: tool.operation_of(&invocation.arguments),
                destructive: effects.destructive,
                blocked: None,
                price_usd: None,
                grants: tool.grants.clone(),
            };
            match self.gate.permit(request).await? {
                Verdict::Denied(text) => return Ok((CallStatus::Denied, text, Vec::new())),
                Verdict::Allowed { edited: None } => {}
                Verdict::Allowed {
                    edited: Some(edited),
                } => {
                    match self.checker(tool).check(&tool.name, &edited.to_string()) {
                        Ok(arguments) => invocation.arguments = arguments,
                        Err(text) => {
                            return Ok((
                                CallStatus::Error,
                                format!("the user edited the call, but {text}"),
                                Vec::new(),
                            ));
                        }
                    }
                    note = format!(
                        "[the user edited the arguments of this call to {}]\n",
                        invocation.arguments
                    );
                }
            }
        }
        Ok(match self.toolbox.call(invocation).await {
            Outcome::Output {
                content,
                images,
                is_error,
            } => {
                let status = if is_error {
                    CallStatus::Error
                } else {
                    CallStatus::Ok
                };
                (status, note + &content, images)
            }
            Outcome::Error(text) => (CallStatus::Error, note + &text, Vec::new()),
            Outcome::Denied(text) => (CallStatus::Denied, note + &text, Vec::new()),
            Outcome::Fault(text) => (CallStatus::Fault, note + &text, Vec::new()),
        })
    }

    /// One compiled schema a tool: compiling takes longer than most calls.
    fn checker(&self, tool: &Tool) -> Arc<Checker> {
        let mut checkers = self.checkers.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (tool.name.clone(), tool.input_schema.clone());
        let checker = checkers.entry(key);
        checker
            .or_insert_with(|| Arc::new(Checker::new(tool)))
            .clone()
    }

    fn unknown_tool(&self, name: &str) -> String {
        let names = self.toolbox.tools().iter().map(|tool| tool.name.as_str());
        let close = names
            .clone()
            .map(|other| (strsim::normalized_damerau_levenshtein(name, other), other));
        let best = close
            .filter(|(score, _)| *score >= CLOSE)
            .max_by(|a, b| a.0.total_cmp(&b.0));
        let hint = match best {
            Some((_, other)) => format!("did you mean `{other}`?"),
            None => format!("the tools are: {}", names.collect::<Vec<_>>().join(", ")),
        };
        format!(
            "there is no tool `{}`; {hint}",
            crate::arguments::shorten(name, 64)
        )
    }
}

async fn finish_all<F: Future<Output = Result<Finished, JournalError>>>(
    runs: Vec<F>,
) -> Result<(), JournalError> {
    let ended = join_all(runs).await;
    ended.into_iter().try_for_each(|ended| ended.map(drop))
}

/// How a call of [`call_within`] ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// How.
    pub status: CallStatus,
    /// As a model would read it, without secrets.
    pub content: String,
    /// Pictures that came with it.
    pub images: usize,
}

/// Runs a call that a tool makes, in the way of a call that the model makes: its arguments are checked, a person is
/// asked, and the log knows of it before it happens. Dropped before its end, it is written down as cancelled.
pub async fn call_within(
    session: &Session,
    toolbox: &dyn Toolbox,
    gate: &Gate,
    clock: &dyn Clock,
    id: &str,
    call: Call,
) -> Result<Finished, JournalError> {
    let open = OpenCall {
        id: id.to_owned(),
        // Of no message: these arguments are as the tool wrote them.
        message: u64::MAX,
        call,
        started: None,
        result: None,
        broken_off: false,
        touched: false,
        waiting: None,
    };
    let mut left_open = LeftOpen {
        session,
        call: id,
        tool: open.call.name.clone(),
        ended: false,
    };
    let runner = Runner::new(session, toolbox, gate, clock);
    let prepared = runner.prepare(0, &open);
    let ended = runner.run_to_its_entry(0, open, prepared).await;
    // Dropped from here on, it has its result.
    left_open.ended = true;
    let (mut finished, durable) = ended?;
    if durable {
        session.sync().await?;
    }
    let redactor = session.redactor();
    redactor.text(&mut finished.content, Rules::All);
    Ok(finished)
}

/// Gives a call that was dropped its result.
struct LeftOpen<'a> {
    session: &'a Session,
    call: &'a str,
    tool: String,
    ended: bool,
}

impl Drop for LeftOpen<'_> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let cancelled = cancelled(self.call.to_owned(), 0, std::mem::take(&mut self.tool));
        // A log that cannot be written stops the turn itself, at its next step.
        let _the_turn_stops = self.session.record(cancelled);
    }
}

/// The result of a call within another that ended with it.
pub fn cancelled(call: String, index: u32, tool: String) -> Event {
    Event::ToolFinished {
        call,
        index,
        tool,
        status: CallStatus::Cancelled,
        content: "the call that made this one ended first; what it had done by then is unknown"
            .to_owned(),
        images: Vec::new(),
        ms: 0,
    }
}

/// What is shown for a call that does not run; the text itself stays in the message.
fn refused_arguments(open: &OpenCall) -> Value {
    parse_object(&open.call.name, &open.call.arguments, true).unwrap_or(Value::Null)
}

fn interrupted_text(tool: &str) -> String {
    format!(
        "this call of `{tool}` was interrupted when ml-intern stopped, and its outcome is unknown: it may have run in \
         full, in part or not at all; look at what is there before you do it again"
    )
}

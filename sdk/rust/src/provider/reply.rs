//! A reply under construction, from the pieces in which it comes.

use crate::chat::{Part, Reasoning, Response, Stop, ToolCall, Usage};
use crate::sink::{self, CallArguments, CallStart};
use crate::{Control, Error, Request};
use std::fmt;

/// Calls in one reply. A model in a loop writes more; nothing good comes of running them.
pub const MAX_CALLS: usize = 256;

/// Takes deltas for display; its answer `stop` ends the reply.
pub type Emit<'a> = Box<dyn FnMut(sink::Delta) -> Control + 'a>;

/// Shows deltas in the host's sink where the request wants a stream, and nowhere otherwise.
pub fn to_sink(request: &Request) -> Emit<'static> {
    match request.stream {
        true => Box::new(|delta| sink::emit(&delta)),
        false => Box::new(|_| Control::Proceed),
    }
}

/// A piece of a tool call. Whatever is empty is left as it was.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fragment<'a> {
    /// Which call it belongs to, where the service counts them.
    pub index: Option<u64>,
    /// The call's id.
    pub id: &'a str,
    /// The tool's name, or a piece of it.
    pub name: &'a str,
    /// A piece of the JSON text of its arguments.
    pub arguments: &'a str,
}

/// A reply under construction: its parts in the order in which they came.
pub struct Reply<'a> {
    emit: Emit<'a>,
    /// Number of messages in the request: makes the ids of calls that came without one different
    /// from those of earlier replies.
    turn: usize,
    parts: Vec<Building>,
    /// Places of the calls in `parts`.
    calls: Vec<usize>,
    /// What comes next begins a part of its own.
    apart: bool,
    stopped: bool,
    /// The service's id of the reply.
    pub id: Option<String>,
    /// What answered, where that is more exact than what was asked.
    pub model: Option<String>,
    /// Tokens.
    pub usage: Usage,
    /// US dollars by the service's own account.
    pub cost_usd: Option<f64>,
}

/// A part under construction.
enum Building {
    Text(String),
    Reasoning(Reasoning),
    Call(Call),
}

#[derive(Default)]
struct Call {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
    /// Its start went to the sink, and this many bytes of its arguments.
    shown: Option<usize>,
}

impl fmt::Debug for Reply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.parts.len();
        f.debug_struct("Reply")
            .field("parts", &parts)
            .finish_non_exhaustive()
    }
}

impl<'a> Reply<'a> {
    /// An empty reply to a request of `messages` messages, shown to `emit`.
    pub fn new(messages: usize, emit: Emit<'a>) -> Self {
        Self {
            emit,
            turn: messages,
            parts: Vec::new(),
            calls: Vec::new(),
            apart: false,
            stopped: false,
            id: None,
            model: None,
            usage: Usage {
                input: 0,
                output: 0,
                cache_read: 0,
                cache_write: 0,
                reasoning: 0,
            },
            cost_usd: None,
        }
    }

    /// An empty reply to this request, shown in the host's sink.
    pub fn to(request: &Request) -> Self {
        Self::new(request.messages.len(), to_sink(request))
    }

    /// Whether nothing has come so far.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Whether a call has come.
    pub fn has_calls(&self) -> bool {
        !self.calls.is_empty()
    }

    /// Whether the host wants no more.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// What comes next is not part of what came last: services send blocks of text or reasoning.
    pub fn apart(&mut self) {
        self.apart = true;
    }

    /// More of the answer's text.
    pub fn text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        let apart = std::mem::take(&mut self.apart);
        match self.parts.last_mut() {
            Some(Building::Text(all)) if !apart => all.push_str(text),
            _ => self.parts.push(Building::Text(text.to_owned())),
        }
        self.show(sink::Delta::Text(text.to_owned()));
    }

    /// More of the reasoning.
    pub fn reasoning(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.current_reasoning().text.push_str(text);
        self.show(sink::Delta::Reasoning(text.to_owned()));
    }

    /// The opaque side of the reasoning that came last, as JSON; of one without words where none came.
    /// It closes that reasoning: what follows is another one.
    pub fn opaque(&mut self, json: String) {
        self.current_reasoning().opaque = Some(json);
        self.apart = true;
    }

    /// The opaque side of all reasoning of the reply, as JSON, for services that have one for all.
    pub fn opaque_of_all(&mut self, json: String) {
        for part in &mut self.parts {
            if let Building::Reasoning(reasoning) = part {
                reasoning.opaque = Some(json);
                return;
            }
        }
        let reasoning = Reasoning {
            text: String::new(),
            opaque: Some(json),
        };
        self.parts.insert(0, Building::Reasoning(reasoning));
        for place in &mut self.calls {
            *place += 1;
        }
    }

    fn current_reasoning(&mut self) -> &mut Reasoning {
        let apart = std::mem::take(&mut self.apart);
        if apart || !matches!(self.parts.last(), Some(Building::Reasoning(_))) {
            self.parts.push(Building::Reasoning(Reasoning {
                text: String::new(),
                opaque: None,
            }));
        }
        match self.parts.last_mut() {
            Some(Building::Reasoning(reasoning)) => reasoning,
            _ => unreachable!("one was pushed"),
        }
    }

    /// More of a call, or a new one.
    ///
    /// # Errors
    ///
    /// `limit`: more than [`MAX_CALLS`] calls.
    pub fn call(&mut self, fragment: Fragment<'_>) -> Result<(), Error> {
        let number = self.place(&fragment)?;
        let made_up = self.made_up_id(number);
        let call = self.call_at(number);
        if call.id.is_empty() {
            call.id.push_str(fragment.id);
        }
        // A name repeated with every fragment is one name.
        if fragment.name != call.name {
            call.name.push_str(fragment.name);
        }
        call.arguments.push_str(fragment.arguments);
        if call.name.is_empty() {
            return Ok(());
        }
        // Sends what is new about the call, once its name is there.
        let index = u32::try_from(number).unwrap_or(u32::MAX);
        let start = call.shown.is_none().then(|| CallStart {
            index,
            id: if call.id.is_empty() {
                made_up
            } else {
                call.id.clone()
            },
            name: call.name.clone(),
        });
        let fragment = call.arguments[call.shown.unwrap_or(0)..].to_owned();
        call.shown = Some(call.arguments.len());
        if let Some(start) = start {
            self.show(sink::Delta::CallStart(start));
        }
        if !fragment.is_empty() {
            self.show(sink::Delta::CallArguments(CallArguments {
                index,
                fragment,
            }));
        }
        Ok(())
    }

    fn call_at(&mut self, number: usize) -> &mut Call {
        match &mut self.parts[self.calls[number]] {
            Building::Call(call) => call,
            _ => unreachable!("only places of calls are kept"),
        }
    }

    fn calls(&self) -> impl DoubleEndedIterator<Item = &Call> + ExactSizeIterator {
        self.calls.iter().map(|at| match &self.parts[*at] {
            Building::Call(call) => call,
            _ => unreachable!("only places of calls are kept"),
        })
    }

    /// Which call a fragment belongs to; makes a new one when it belongs to none so far.
    fn place(&mut self, fragment: &Fragment<'_>) -> Result<usize, Error> {
        let named = !fragment.name.is_empty();
        // Servers that give every call the index 0 tell them apart by id, and servers that make up
        // a new id for every fragment leave the name out of all but the first.
        let other = |call: &Call| {
            named && !fragment.id.is_empty() && !call.id.is_empty() && call.id != fragment.id
        };
        let found = match fragment.index {
            Some(_) => {
                let mut calls = self.calls().enumerate().rev();
                let last = calls.find(|(_, call)| call.index == fragment.index);
                last.filter(|(_, call)| !other(call)).map(|(at, _)| at)
            }
            // Without an index a fragment continues the last call, unless it names another.
            None => self.calls().enumerate().next_back().and_then(|(at, last)| {
                let whole = !last.arguments.is_empty();
                let new = other(last) || named && fragment.id.is_empty() && whole;
                (!new).then_some(at)
            }),
        };
        if let Some(at) = found {
            return Ok(at);
        }
        if self.calls.len() == MAX_CALLS {
            return Err(Error::Limit(format!(
                "more than {MAX_CALLS} tool calls in one reply"
            )));
        }
        self.calls.push(self.parts.len());
        self.parts.push(Building::Call(Call {
            index: fragment.index,
            ..Call::default()
        }));
        Ok(self.calls.len() - 1)
    }

    fn made_up_id(&self, number: usize) -> String {
        format!("call_{}_{number}", self.turn)
    }

    fn show(&mut self, delta: sink::Delta) {
        if !self.stopped {
            self.stopped = (self.emit)(delta) == Control::Stop;
        }
    }

    /// The whole reply. Calls have ids of their own. Where the host wanted no more there are no calls, and
    /// `stop` is `cancelled`.
    pub fn finish(self, stop: Stop) -> Response {
        let turn = self.turn;
        let mut ids: Vec<String> = Vec::new();
        let mut own_id = |id: String| {
            let id = match id.is_empty() || ids.contains(&id) {
                true => format!("call_{turn}_{}", ids.len()),
                false => id,
            };
            ids.push(id.clone());
            id
        };
        let stopped = self.stopped;
        let parts = self.parts.into_iter().filter_map(|part| match part {
            Building::Text(text) => Some(Part::Text(text)),
            Building::Reasoning(reasoning) => Some(Part::Reasoning(reasoning)),
            Building::Call(_) if stopped => None,
            Building::Call(call) => Some(Part::Call(ToolCall {
                id: own_id(call.id),
                name: call.name,
                arguments: call.arguments,
            })),
        });
        Response {
            parts: parts.collect(),
            stop: if stopped { Stop::Cancelled } else { stop },
            usage: self.usage,
            id: self.id,
            model: self.model,
            cost_usd: self.cost_usd,
        }
    }
}

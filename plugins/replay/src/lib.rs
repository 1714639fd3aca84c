//! Plays a recorded model: the same conversation gets the same replies, without a service, a key
//! or a cost. See the README for the format of a recording.
//!
//! The plugin keeps no state. It finds its place by comparing the conversation with the recording
//! ([`play`]), so that a resumed session goes on where it stopped, and a conversation that is not
//! the recorded one ends in an error instead of a wrong reply.

mod play;
mod recording;
mod template;
mod words;

use ml_intern_plugin::chat::{Message, Part, Reasoning, Stop, Usage};
use ml_intern_plugin::sink::{self, CallArguments, CallStart, Delta};
use ml_intern_plugin::{
    Control, Error, Listing, Model, Price, Provider, Request, Response, config,
};
use play::Reply;
use recording::Recording;
use std::path::{Component, Path, PathBuf};

/// Bytes of a recording.
const MAX_RECORDING: u64 = 8 << 20;

/// What a recording is said to take and give, in tokens: enough that no host compacts on its account,
/// which would make another conversation of the recorded one.
const CONTEXT_WINDOW: u32 = 10_000_000;
const MAX_OUTPUT: u32 = 100_000;

/// The provider.
pub struct Replay;

impl Provider for Replay {
    fn models() -> Result<Listing, Error> {
        let name = load()?.name;
        let price = Some(Price {
            input: 0.0,
            output: 0.0,
            cache_read: 0.0,
            cache_write: 0.0,
        });
        Ok(Listing::from(vec![Model {
            id: name,
            context_window: CONTEXT_WINDOW,
            max_output: MAX_OUTPUT,
            tools: true,
            images: true,
            efforts: Vec::new(),
            price,
            long_price: None,
            as_of: None,
        }]))
    }

    fn complete(request: Request) -> Result<Response, Error> {
        let recording = load()?;
        if request.model != recording.name {
            return Err(Error::NotFound(format!(
                "unknown model `{}`: the recording is named `{}`",
                request.model, recording.name
            )));
        }
        let reply = play::reply(&recording, &request.messages).map_err(|reason| {
            Error::Internal(format!("recording `{}`, {reason}", recording.name))
        })?;
        let mut emit = |delta: Delta| match request.stream {
            true => sink::emit(&delta),
            false => Control::Proceed,
        };
        let input = bytes_of(&request.messages);
        Ok(respond(reply, &recording.name, input, &mut emit))
    }

    fn count_tokens(request: Request) -> Result<Option<u32>, Error> {
        Ok(Some(tokens(bytes_of(&request.messages))))
    }
}

fn load() -> Result<Recording, Error> {
    let unset = || {
        Error::InvalidInput(
            "config `recording` is not set: it names a file in the workspace".to_owned(),
        )
    };
    let name = config::get("recording")?
        .filter(|name| !name.is_empty())
        .ok_or_else(unset)?;
    let path = inside_workspace(&name)?;
    let about = |error: Error, what: &str| match error {
        Error::NotFound(_) => {
            Error::NotFound(format!("recording `{name}` is not in the workspace"))
        }
        Error::Denied(_) => Error::denied(
            "fs.read",
            format!(
                "{what} `{name}`: this plugin needs `fs = [{{ mount = \"/workspace\", access = \"read\" }}]`"
            ),
        ),
        other => Error::Internal(format!("{what} `{name}`: {}", other.message())),
    };
    let size = std::fs::metadata(&path)
        .map_err(|error| about(error.into(), "recording"))?
        .len();
    if size > MAX_RECORDING {
        return Err(Error::Limit(format!(
            "recording `{name}` has {size} bytes; at most {MAX_RECORDING} are read"
        )));
    }
    let bytes = std::fs::read(&path).map_err(|error| about(error.into(), "recording"))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Error::InvalidInput(format!("recording `{name}` is not UTF-8")))?;
    Recording::parse(&text)
        .map_err(|reason| Error::InvalidInput(format!("recording `{name}`: {reason}")))
}

/// The path of a file of the workspace as this plugin sees it.
fn inside_workspace(name: &str) -> Result<PathBuf, Error> {
    let below = Path::new(name);
    let inside = below
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    match inside {
        true => Ok(Path::new("/workspace").join(below)),
        false => Err(Error::InvalidInput(format!(
            "config `recording` is `{name}`: it must be a path below the workspace"
        ))),
    }
}

/// Shows a reply word by word and returns it; without its calls when the host wants no more.
fn respond(
    reply: Reply,
    name: &str,
    input: usize,
    emit: &mut dyn FnMut(Delta) -> Control,
) -> Response {
    let Reply {
        step,
        text,
        reasoning,
        calls,
    } = reply;
    let call_bytes: usize = calls
        .iter()
        .map(|call| call.name.len() + call.arguments.len())
        .sum();
    let output = text.len() + reasoning.len() + call_bytes;
    let mut parts = Vec::with_capacity(calls.len() + 2);
    let mut go_on = show(&reasoning, Delta::Reasoning, emit);
    let reasoning_tokens = tokens(reasoning.len());
    if !reasoning.is_empty() {
        parts.push(Part::Reasoning(Reasoning {
            text: reasoning,
            opaque: None,
        }));
    }
    if go_on {
        go_on = show(&text, Delta::Text, emit);
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
    }
    for (index, call) in (0..).zip(&calls) {
        let start = CallStart {
            index,
            id: call.id.clone(),
            name: call.name.clone(),
        };
        let fragment = CallArguments {
            index,
            fragment: call.arguments.clone(),
        };
        go_on = go_on
            && emit(Delta::CallStart(start)) == Control::Proceed
            && emit(Delta::CallArguments(fragment)) == Control::Proceed;
    }
    let stop = match (go_on, calls.is_empty()) {
        (false, _) => Stop::Cancelled,
        (true, true) => Stop::EndTurn,
        (true, false) => Stop::ToolUse,
    };
    if go_on {
        parts.extend(calls.into_iter().map(Part::Call));
    }
    let usage = Usage {
        input: tokens(input),
        output: tokens(output),
        cache_read: 0,
        cache_write: 0,
        reasoning: reasoning_tokens,
    };
    Response {
        parts,
        stop,
        usage,
        id: Some(format!("{name}-{step}")),
        model: None,
        cost_usd: Some(0.0),
    }
}

/// Emits a text word by word; false when the host wants no more.
fn show(text: &str, delta: fn(String) -> Delta, emit: &mut dyn FnMut(Delta) -> Control) -> bool {
    words::words(text).all(|word| emit(delta(word.to_owned())) == Control::Proceed)
}

/// Bytes of everything that a model would read.
fn bytes_of(messages: &[Message]) -> usize {
    let part = |part: &Part| match part {
        Part::Text(text) => text.len(),
        Part::Image(image) => image.data.len(),
        Part::Reasoning(_) => 0,
        Part::Call(call) => call.name.len() + call.arguments.len(),
        Part::Result(result) => result.content.len(),
    };
    messages
        .iter()
        .flat_map(|message| &message.parts)
        .map(part)
        .sum()
}

/// An estimate: four bytes a token.
fn tokens(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(4)).unwrap_or(u32::MAX)
}

ml_intern_plugin::export_provider!(Replay);

#[cfg(test)]
mod tests;

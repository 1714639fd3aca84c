//! From wasmtime's errors to the reason of a fault, and the sizes of results.

use wasmtime::component::ResourceTableError;
use wasmtime::{Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;
use wasmtime_wasi_http::FieldMapError;

use crate::bindings::notifier::exports::ml_intern::plugin::notifier::Receipt;
use crate::bindings::provider::exports::ml_intern::plugin::provider::{Listing, Model};
use crate::bindings::provider::ml_intern::plugin::chat::{Part, Response};
use crate::bindings::tool::exports::ml_intern::plugin::tool::{Content, Descriptor, Output};
use crate::call::Call;
use crate::fault::FaultCause;
use crate::meter::Refusal;
use crate::types;

/// The most text that a fault carries, in bytes.
const MAX_TEXT: usize = 2048;
/// Frames named in the text of a trap.
const MAX_FRAMES: usize = 4;

/// Why a guest did not return. What the host noticed comes before what the guest made of it.
pub(crate) fn classify(
    error: &wasmtime::Error,
    call: &Call,
    refusal: Option<Refusal>,
) -> FaultCause {
    if let Some(cause) = call.noticed() {
        return cause;
    }
    let limits = &call.setup.limits;
    if let Some(refusal) = refusal {
        return FaultCause::Memory {
            limit: refusal.limit,
            wanted: refusal.wanted,
        };
    }
    if error.downcast_ref::<I32Exit>().is_some() {
        return FaultCause::Exit;
    }
    if let Some(ResourceTableError::Full) = error.downcast_ref::<ResourceTableError>() {
        return FaultCause::Handles {
            limit: limits.handles,
        };
    }
    if let Some(FieldMapError::TooManyFields | FieldMapError::TotalSizeTooBig) =
        error.downcast_ref::<FieldMapError>()
    {
        return FaultCause::Headers {
            limit: limits.header_bytes,
        };
    }
    // wasmtime has no types for these two.
    let text = format!("{error:#}");
    if text.contains("fuel allocated for hostcalls has been exhausted") {
        return FaultCause::Argument {
            limit: limits.argument_bytes,
        };
    }
    if text.contains("requested len") && text.contains("exceeds limit") {
        return FaultCause::Random {
            limit: limits.random_bytes,
        };
    }
    FaultCause::Trap(describe(error, &call.stderr()))
}

fn describe(error: &wasmtime::Error, stderr: &str) -> String {
    let mut text = match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    };
    if let Some(trace) = error.downcast_ref::<WasmBacktrace>() {
        let names: Vec<&str> = trace
            .frames()
            .iter()
            .filter_map(|frame| frame.func_name())
            .take(MAX_FRAMES)
            .collect();
        if !names.is_empty() {
            text.push_str(&format!(" (in {})", names.join(", called by ")));
        }
    }
    if !stderr.is_empty() {
        text.push_str(&format!("; it last wrote: {stderr}"));
    }
    shortened(&text)
}

/// At most [`MAX_TEXT`] bytes of `text`, from the start.
pub(crate) fn shortened(text: &str) -> String {
    match text
        .char_indices()
        .map(|(at, c)| at + c.len_utf8())
        .take_while(|end| *end <= MAX_TEXT)
        .last()
    {
        Some(end) if end < text.len() => format!("{}…", &text[..end]),
        _ => text.to_owned(),
    }
}

/// Holds JSON content to being JSON. It goes on as text, so its depth concerns nobody.
pub(crate) fn check_documents(output: &Output) -> Result<(), String> {
    for content in &output.content {
        if let Content::Json(text) = content {
            serde_json::from_str::<serde::de::IgnoredAny>(text)
                .map_err(|error| format!("its JSON content is not JSON: {error}"))?;
        }
    }
    Ok(())
}

/// The bytes that a result makes its caller keep.
pub(crate) trait Size {
    fn size(&self) -> usize;
}

impl Size for Output {
    fn size(&self) -> usize {
        let content = |content: &Content| match content {
            Content::Text(text) | Content::Json(text) | Content::File(text) => text.len(),
            Content::Image(blob) => blob.size(),
        };
        self.content.iter().map(content).sum::<usize>() + self.content.len() * size_of::<Content>()
    }
}

impl Size for types::Blob {
    fn size(&self) -> usize {
        self.media_type.len() + self.data.len()
    }
}

impl Size for Response {
    fn size(&self) -> usize {
        let part = |part: &Part| match part {
            Part::Text(text) => text.len(),
            Part::Image(blob) => blob.size(),
            Part::Reasoning(reasoning) => {
                reasoning.text.len() + reasoning.opaque.as_ref().map_or(0, String::len)
            }
            Part::Call(call) => call.id.len() + call.name.len() + call.arguments.len(),
            Part::Result(result) => {
                result.call_id.len()
                    + result.content.len()
                    + result.images.iter().map(Size::size).sum::<usize>()
            }
        };
        self.parts.iter().map(part).sum::<usize>()
            + self.parts.len() * size_of::<Part>()
            + self.id.as_ref().map_or(0, String::len)
    }
}

impl Size for Listing {
    fn size(&self) -> usize {
        let model = |model: &Model| {
            size_of::<Model>()
                + model.id.len()
                + model
                    .efforts
                    .iter()
                    .map(|effort| effort.len() + size_of::<String>())
                    .sum::<usize>()
        };
        let problem = self.problem.as_ref().map_or(0, String::len);
        self.models.iter().map(model).sum::<usize>() + problem
    }
}

impl Size for Receipt {
    fn size(&self) -> usize {
        self.external_id.as_ref().map_or(0, String::len)
    }
}

impl Size for Option<String> {
    fn size(&self) -> usize {
        self.as_ref().map_or(0, String::len)
    }
}

impl Size for Option<u32> {
    fn size(&self) -> usize {
        size_of::<Self>()
    }
}

impl Size for Vec<Descriptor> {
    /// Each part of a descriptor has a bound of its own, checked where it is validated.
    fn size(&self) -> usize {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(shortened("short"), "short");
        let cut = shortened(&"ä".repeat(MAX_TEXT));
        assert_eq!(cut.len(), MAX_TEXT + "…".len());
        assert_eq!(shortened(&"x".repeat(MAX_TEXT)).len(), MAX_TEXT);
    }
}

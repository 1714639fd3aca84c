//! A request of the host as the body of `POST /messages`.
//!
//! The conversation comes last, so that the body of one iteration starts with the bytes of the one before, but for
//! the marks that say how far the service should cache it: these move along with the conversation.
//!
//! Shapes: the Claude API reference, Messages, as of October 2026.

use crate::opaque;
use crate::settings::Settings;
use ml_intern_plugin::Error;
use ml_intern_plugin::chat::{Blob, Part, Request, ToolCall, ToolChoice, ToolResult};
use ml_intern_plugin::provider::conversation::{self, Piece, Side, is_blank};
use ml_intern_plugin::provider::json::{self, Extra, Json};
use ml_intern_plugin::provider::{claude, ids, schema};

/// Fields that carry the conversation, or on which the reader of the answer depends.
const FIXED: [&str; 5] = ["model", "messages", "system", "tools", "stream"];

/// What asks the service to keep the request up to here in its cache.
const CACHE: &str = ",\"cache_control\":{\"type\":\"ephemeral\"}";

/// Messages that carry a mark: the service takes four, and one each is for tools and instructions. The last message
/// is where the next request continues, the one before it where this request finds what the last one left.
const MARKS: usize = 2;

/// The request body.
///
/// # Errors
/// `invalid-input` when `extra` is not an object or names a field of [`FIXED`], when a schema is not an object, or
/// when a message holds a part that its role cannot have.
pub(crate) fn body(request: &Request, settings: &Settings) -> Result<Vec<u8>, Error> {
    let extra = json::extra(request, &FIXED)?;
    let mut json = model(request);
    json.raw(match request.stream {
        true => ",\"stream\":true",
        false => ",\"stream\":false",
    });
    if !extra.contains("max_tokens") {
        json.field("max_tokens");
        json.number(request.max_tokens.unwrap_or(settings.max_tokens));
    }
    parameters(&mut json, request, settings, &extra)?;
    extra.write(&mut json);
    conversation(json, request, settings)
}

/// The body of `POST /messages/count_tokens`, which knows none of the parameters of a reply.
///
/// # Errors
/// As [`body`].
pub(crate) fn counted(request: &Request, settings: &Settings) -> Result<Vec<u8>, Error> {
    let mut json = model(request);
    parameters(&mut json, request, settings, &Extra::default())?;
    conversation(json, request, settings)
}

fn model(request: &Request) -> Json {
    let mut json = Json::with_capacity(json::room(request));
    json.raw("{\"model\":");
    json.string(&request.model);
    json
}

/// How the model is to answer. A field that `extra` names is left to it.
fn parameters(
    json: &mut Json,
    request: &Request,
    settings: &Settings,
    extra: &Extra<'_>,
) -> Result<(), Error> {
    let free = |name: &str| !extra.contains(name);
    if free("thinking") && claude::thinks_adaptively(&request.model) {
        thinking(json, request, settings);
    }
    let effort = request.effort.as_deref();
    let format = request.response_schema.as_deref();
    if free("output_config") && (effort.is_some() || format.is_some()) {
        json.raw(",\"output_config\":{");
        if let Some(effort) = effort {
            json.raw("\"effort\":");
            json.string(effort);
        }
        if let Some(schema) = format {
            json.raw(if effort.is_some() { "," } else { "" });
            json.raw("\"format\":{\"type\":\"json_schema\",\"schema\":");
            json.raw(json::object("the response schema", schema)?);
            json.raw("}");
        }
        json.raw("}");
    }
    if free("tool_choice") && !request.tools.is_empty() {
        tool_choice(json, &request.tool_choice);
    }
    Ok(())
}

fn thinking(json: &mut Json, request: &Request, settings: &Settings) {
    // The service takes no thinking together with a call that is forced.
    let forced = matches!(
        request.tool_choice,
        ToolChoice::Required | ToolChoice::Named(_)
    );
    if !settings.thinking {
        json.raw(",\"thinking\":{\"type\":\"disabled\"}");
    } else if request.tools.is_empty() || !forced {
        // Newer models leave the text out unless they are asked for it.
        json.raw(",\"thinking\":{\"type\":\"adaptive\",\"display\":\"summarized\"}");
    }
}

fn tool_choice(json: &mut Json, choice: &ToolChoice) {
    match choice {
        ToolChoice::Auto => {}
        ToolChoice::None => json.raw(",\"tool_choice\":{\"type\":\"none\"}"),
        ToolChoice::Required => json.raw(",\"tool_choice\":{\"type\":\"any\"}"),
        ToolChoice::Named(name) => {
            json.raw(",\"tool_choice\":{\"type\":\"tool\",\"name\":");
            json.string(name);
            json.raw("}");
        }
    }
}

/// What the model reads, in the order in which the service caches it: tools, instructions, messages.
fn conversation(mut json: Json, request: &Request, settings: &Settings) -> Result<Vec<u8>, Error> {
    tools(&mut json, request, settings)?;
    instructions(&mut json, request)?;
    json.raw(",\"messages\":[");
    let turns = conversation::turns(&request.messages, MARKS, is_sent)?;
    for (index, turn) in turns.iter().enumerate() {
        json.raw(if index == 0 { "" } else { "," });
        json.raw(match turn.side {
            Side::User => "{\"role\":\"user\",\"content\":[",
            Side::Assistant => "{\"role\":\"assistant\",\"content\":[",
        });
        for (index, one) in turn.pieces.iter().enumerate() {
            json.raw(if index == 0 { "" } else { "," });
            piece(&mut json, one);
        }
        json.raw("]}");
    }
    json.raw("]}");
    Ok(json.into_bytes())
}

fn tools(json: &mut Json, request: &Request, settings: &Settings) -> Result<(), Error> {
    let last = request.tools.len();
    if last == 0 {
        return Ok(());
    }
    json.raw(",\"tools\":[");
    for (index, tool) in request.tools.iter().enumerate() {
        json.raw(if index == 0 { "" } else { "," });
        json.raw("{\"name\":");
        json.string(&tool.name);
        json.field("description");
        json.string(&tool.description);
        json.field("input_schema");
        let what = format!("the input schema of tool `{}`", tool.name);
        let schema = json::object(&what, &tool.input_schema)?;
        json.raw(schema);
        if settings.strict_tools && schema::is_strict(schema) {
            json.raw(",\"strict\":true");
        }
        if index + 1 == last {
            json.raw(CACHE);
        }
        json.raw("}");
    }
    json.raw("]");
    Ok(())
}

fn instructions(json: &mut Json, request: &Request) -> Result<(), Error> {
    let texts = conversation::instructions(&request.messages)?;
    for (index, text) in texts.iter().enumerate() {
        json.raw(if index == 0 { ",\"system\":[" } else { "," });
        json.raw("{\"type\":\"text\",\"text\":");
        json.string(text);
        json.raw(if index + 1 == texts.len() { CACHE } else { "" });
        json.raw("}");
    }
    json.raw(if texts.is_empty() { "" } else { "]" });
    Ok(())
}

/// Whether a part has a block: the service refuses texts that say nothing, and reasoning that it did not sign.
fn is_sent(part: &Part) -> bool {
    match part {
        Part::Text(text) => !is_blank(text),
        Part::Reasoning(reasoning) => opaque::block(reasoning).is_some(),
        Part::Image(_) | Part::Call(_) | Part::Result(_) => true,
    }
}

fn piece(json: &mut Json, piece: &Piece<'_>) {
    match piece.part {
        Part::Text(text) => open_text(json, text),
        Part::Image(image) => open_image(json, image),
        Part::Reasoning(reasoning) => {
            // Complete as it is: no mark stands on reasoning.
            json.raw(&opaque::block(reasoning).unwrap_or_default());
            return;
        }
        Part::Call(call) => open_call(json, call),
        Part::Result(result) => open_result(json, result),
    }
    json.raw(if piece.mark { CACHE } else { "" });
    json.raw("}");
}

fn open_text(json: &mut Json, text: &str) {
    json.raw("{\"type\":\"text\",\"text\":");
    json.string(text);
}

fn open_image(json: &mut Json, image: &Blob) {
    json.raw("{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":");
    json.string(&image.media_type);
    json.raw(",\"data\":\"");
    json.base64(&image.data);
    json.raw("\"}");
}

fn open_call(json: &mut Json, call: &ToolCall) {
    json.raw("{\"type\":\"tool_use\",\"id\":");
    json.string(&ids::plain(&call.id));
    // A name that no tool can have would be refused with every request from now on.
    json.field("name");
    json.string(&ids::plain(&call.name));
    json.field("input");
    json.raw(json::arguments(&call.arguments));
}

fn open_result(json: &mut Json, result: &ToolResult) {
    json.raw("{\"type\":\"tool_result\",\"tool_use_id\":");
    json.string(&ids::plain(&result.call_id));
    let says = !is_blank(&result.content);
    if says || !result.images.is_empty() {
        json.raw(",\"content\":[");
        if says {
            open_text(json, &result.content);
            json.raw("}");
        }
        for (index, image) in result.images.iter().enumerate() {
            json.raw(if says || index > 0 { "," } else { "" });
            open_image(json, image);
            json.raw("}");
        }
        json.raw("]");
    }
    // An error may hold nothing but text; with images the text alone has to say it.
    if result.is_error && result.images.is_empty() {
        json.raw(",\"is_error\":true");
    }
}

#[cfg(test)]
mod tests;

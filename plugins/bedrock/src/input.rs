//! A request of the host as the body of `POST /model/{model}/converse` and its siblings.
//!
//! The conversation comes last, so that the body of one iteration starts with the bytes of the one before, but for
//! the cache points, which move along with the conversation.
//!
//! Shapes: the service model of Bedrock's runtime in botocore 1.44.8.

use crate::models;
use ml_intern_plugin::Error;
use ml_intern_plugin::chat::{
    Blob, Part, Reasoning, Request, ToolCall, ToolChoice, ToolResult, ToolSpec,
};
use ml_intern_plugin::provider::conversation::{self, Piece, Side, Turn, is_blank};
use ml_intern_plugin::provider::json::{self, Extra, Json};
use ml_intern_plugin::provider::{claude, ids, value};
use std::borrow::Cow;

/// Fields that carry the conversation.
const FIXED: [&str; 4] = ["modelId", "messages", "system", "toolConfig"];

/// Keeps the request up to here in the service's cache.
const CACHE_POINT: &str = "{\"cachePoint\":{\"type\":\"default\"}}";

/// Messages with a cache point behind them: the service takes four, and one each is for tools and instructions. The
/// last message is where the next request continues, the one before it where this request finds what the last one
/// left.
const MARKS: usize = 2;

/// The request body.
///
/// # Errors
/// `invalid-input` when `extra` is not an object or names a field of [`FIXED`], when a schema is not an object, when a
/// message holds a part that its role cannot have, or an image of a kind that the service does not take.
pub(crate) fn body(request: &Request) -> Result<Vec<u8>, Error> {
    let extra = json::extra(request, &FIXED)?;
    let mut json = Json::with_capacity(json::room(request));
    // The first field has no comma before it.
    json.raw("{\"inferenceConfig\":");
    match (extra.get("inferenceConfig"), request.max_tokens) {
        (Some(own), _) => json.raw(own),
        (None, Some(tokens)) => {
            json.raw("{\"maxTokens\":");
            json.number(tokens);
            json.raw("}");
        }
        (None, None) => json.raw("{}"),
    }
    parameters(&mut json, request, &extra)?;
    extra.write_but("inferenceConfig", &mut json);
    json.raw(",");
    conversation(json, request, models::caches(&request.model))
}

/// The body of `POST /model/{model}/count-tokens`.
///
/// # Errors
/// As [`body`].
pub(crate) fn counted(request: &Request) -> Result<Vec<u8>, Error> {
    let mut json = Json::with_capacity(json::room(request));
    json.raw("{\"input\":{\"converse\":{");
    let mut body = conversation(json, request, false)?;
    body.extend_from_slice(b"}}");
    Ok(body)
}

/// How the model is to answer. A field that `extra` names is left to it.
fn parameters(json: &mut Json, request: &Request, extra: &Extra<'_>) -> Result<(), Error> {
    let effort = request.effort.as_deref();
    let format = request.response_schema.as_deref();
    if !extra.contains("outputConfig") && (effort.is_some() || format.is_some()) {
        json.raw(",\"outputConfig\":{");
        if let Some(effort) = effort {
            json.raw("\"effort\":");
            json.string(effort);
        }
        if let Some(schema) = format {
            json.raw(if effort.is_some() { "," } else { "" });
            json.raw("\"textFormat\":{\"type\":\"json_schema\",\"structure\":{\"jsonSchema\":{\"name\":\"answer\",\"schema\":");
            // Here a schema is a text.
            json.string(json::object("the response schema", schema)?);
            json.raw("}}}");
        }
        json.raw("}");
    }
    // Claude takes no thinking together with a call that is forced.
    let forced = !request.tools.is_empty()
        && matches!(
            request.tool_choice,
            ToolChoice::Required | ToolChoice::Named(_)
        );
    let thinks = models::is_claude(&request.model) && claude::thinks_adaptively(&request.model);
    if thinks && !forced && !extra.contains("additionalModelRequestFields") {
        json.raw(",\"additionalModelRequestFields\":{\"thinking\":{\"type\":\"adaptive\",\"display\":\"summarized\"}}");
    }
    Ok(())
}

/// What the model reads, in the order in which the service caches it: tools, instructions, messages.
fn conversation(mut json: Json, request: &Request, caches: bool) -> Result<Vec<u8>, Error> {
    let marks = if caches { MARKS } else { 0 };
    let turns = conversation::turns(&request.messages, marks, is_sent)?;
    tools(&mut json, request, &turns, caches)?;
    let texts = conversation::instructions(&request.messages)?;
    for (index, text) in texts.iter().enumerate() {
        json.raw(if index == 0 { "\"system\":[" } else { "," });
        said(&mut json, text);
    }
    if !texts.is_empty() {
        if caches {
            json.raw(",");
            json.raw(CACHE_POINT);
        }
        json.raw("],");
    }
    json.raw("\"messages\":[");
    for (index, turn) in turns.iter().enumerate() {
        json.raw(if index == 0 { "" } else { "," });
        json.raw(match turn.side {
            Side::User => "{\"role\":\"user\",\"content\":[",
            Side::Assistant => "{\"role\":\"assistant\",\"content\":[",
        });
        for (index, one) in turn.pieces.iter().enumerate() {
            json.raw(if index == 0 { "" } else { "," });
            piece(&mut json, one, &request.model)?;
        }
        json.raw("]}");
    }
    json.raw("]}");
    Ok(json.into_bytes())
}

/// The tools, with a comma behind them. The service insists on some where the conversation holds calls, and has no
/// way to say that none may be called.
fn tools(
    json: &mut Json,
    request: &Request,
    turns: &[Turn<'_>],
    caches: bool,
) -> Result<(), Error> {
    let is_call = |piece: &Piece<'_>| matches!(piece.part, Part::Call(_) | Part::Result(_));
    let called = turns.iter().flat_map(|turn| &turn.pieces).any(is_call);
    let none = request.tools.is_empty() || matches!(request.tool_choice, ToolChoice::None);
    if none && !called {
        return Ok(());
    }
    json.raw("\"toolConfig\":{\"tools\":[");
    if request.tools.is_empty() {
        json.raw("{\"toolSpec\":{\"name\":\"unavailable\",\"description\":\"There are no tools now: do not call any.\",\"inputSchema\":{\"json\":{\"type\":\"object\"}}}}");
    }
    for (index, one) in request.tools.iter().enumerate() {
        json.raw(if index == 0 { "" } else { "," });
        tool(json, one)?;
    }
    if caches && models::is_claude(&request.model) {
        json.raw(",");
        json.raw(CACHE_POINT);
    }
    json.raw("]");
    match &request.tool_choice {
        ToolChoice::Auto | ToolChoice::None => {}
        _ if request.tools.is_empty() => {}
        ToolChoice::Required => json.raw(",\"toolChoice\":{\"any\":{}}"),
        ToolChoice::Named(name) => {
            json.raw(",\"toolChoice\":{\"tool\":{\"name\":");
            json.string(name);
            json.raw("}}");
        }
    }
    json.raw("},");
    Ok(())
}

fn tool(json: &mut Json, tool: &ToolSpec) -> Result<(), Error> {
    json.raw("{\"toolSpec\":{\"name\":");
    json.string(&tool.name);
    if !is_blank(&tool.description) {
        json.field("description");
        json.string(&tool.description);
    }
    json.raw(",\"inputSchema\":{\"json\":");
    let what = format!("the input schema of tool `{}`", tool.name);
    json.raw(json::object(&what, &tool.input_schema)?);
    json.raw("}}}");
    Ok(())
}

/// Whether a part has a block: the service refuses texts that say nothing, and models reasoning that they did not
/// sign.
fn is_sent(part: &Part) -> bool {
    match part {
        Part::Text(text) => !is_blank(text),
        Part::Reasoning(reasoning) => Opaque::of(reasoning).is_some(),
        Part::Image(_) | Part::Call(_) | Part::Result(_) => true,
    }
}

fn piece(json: &mut Json, piece: &Piece<'_>, model: &str) -> Result<(), Error> {
    match piece.part {
        Part::Text(text) => said(json, text),
        Part::Image(image) => pictured(json, image)?,
        Part::Reasoning(reasoning) => thought(json, reasoning),
        Part::Call(call) => called(json, call),
        Part::Result(result) => answered(json, result, model)?,
    }
    if piece.mark {
        json.raw(",");
        json.raw(CACHE_POINT);
    }
    Ok(())
}

fn said(json: &mut Json, text: &str) {
    json.raw("{\"text\":");
    json.string(text);
    json.raw("}");
}

fn pictured(json: &mut Json, image: &Blob) -> Result<(), Error> {
    let format = match image.media_type.as_str() {
        "image/png" => "png",
        "image/jpeg" | "image/jpg" => "jpeg",
        "image/gif" => "gif",
        "image/webp" => "webp",
        other => {
            return Err(Error::InvalidInput(format!(
                "images of the type `{other}` cannot be sent: only PNG, JPEG, GIF and WebP"
            )));
        }
    };
    json.raw("{\"image\":{\"format\":");
    json.string(format);
    json.raw(",\"source\":{\"bytes\":\"");
    json.base64(&image.data);
    json.raw("\"}}}");
    Ok(())
}

fn called(json: &mut Json, call: &ToolCall) {
    json.raw("{\"toolUse\":{\"toolUseId\":");
    json.string(&ids::plain(&call.id));
    // A name that no tool can have would be refused with every request from now on.
    json.field("name");
    json.string(&ids::plain(&call.name));
    json.field("input");
    json.raw(json::arguments(&call.arguments));
    json.raw("}}");
}

fn answered(json: &mut Json, result: &ToolResult, model: &str) -> Result<(), Error> {
    json.raw("{\"toolResult\":{\"toolUseId\":");
    json.string(&ids::plain(&result.call_id));
    json.raw(",\"content\":[");
    let says = !is_blank(&result.content);
    if says {
        said(json, &result.content);
    }
    for (index, image) in result.images.iter().enumerate() {
        json.raw(if says || index > 0 { "," } else { "" });
        pictured(json, image)?;
    }
    json.raw("]");
    // Only these models know the field, and with images the text alone has to say it.
    if result.is_error && result.images.is_empty() && models::caches(model) {
        json.raw(",\"status\":\"error\"");
    }
    json.raw("}}");
    Ok(())
}

/// The opaque side of reasoning, as [`signed`] and [`redacted`] write it.
struct Opaque<'a> {
    signature: Option<Cow<'a, str>>,
    redacted_content: Option<Cow<'a, str>>,
}

impl<'a> Opaque<'a> {
    /// None where it is of another service.
    fn of(reasoning: &'a Reasoning) -> Option<Self> {
        let opaque = value::parse(reasoning.opaque.as_deref()?.as_bytes()).ok()?;
        let [signature, content] = opaque.pick(["signature", "redactedContent"]);
        let (signature, redacted_content) = (signature.text(), content.text());
        let any = signature.is_some() || redacted_content.is_some();
        any.then_some(Self {
            signature,
            redacted_content,
        })
    }
}

/// The opaque side of reasoning with a signature.
pub(crate) fn signed(signature: &str) -> String {
    opaque("{\"signature\":", signature)
}

/// The opaque side of reasoning that the service keeps to itself.
pub(crate) fn redacted(content: &str) -> String {
    opaque("{\"redactedContent\":", content)
}

fn opaque(start: &str, value: &str) -> String {
    let mut json = Json::default();
    json.raw(start);
    json.string(value);
    json.raw("}");
    json.into_text()
}

fn thought(json: &mut Json, reasoning: &Reasoning) {
    let Some(opaque) = Opaque::of(reasoning) else {
        return;
    };
    json.raw("{\"reasoningContent\":{");
    if let Some(content) = opaque.redacted_content {
        json.raw("\"redactedContent\":");
        json.string(&content);
    } else {
        json.raw("\"reasoningText\":{\"text\":");
        json.string(&reasoning.text);
        json.field("signature");
        json.string(&opaque.signature.unwrap_or_default());
        json.raw("}");
    }
    json.raw("}}");
}

#[cfg(test)]
mod tests;

//! A request of the host as the body of `POST /chat/completions`.
//!
//! The conversation comes last in the body, so that the body of one iteration starts with the
//! bytes of the one before: nothing that the service caches by prefix changes on the way.

use crate::json::Json;
use crate::settings::Settings;
use ml_intern_plugin::Error;
use ml_intern_plugin::chat::{
    Blob, Message, Part, Reasoning, Request, Role, ToolCall, ToolChoice, ToolResult, ToolSpec,
};
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Extra fields of a request by name, as JSON text.
type Extra<'a> = BTreeMap<String, &'a RawValue>;

/// Fields that this plugin depends on when it reads the answer, or that carry the conversation.
const FIXED: [&str; 5] = ["model", "messages", "tools", "stream", "stream_options"];

/// The request body.
///
/// # Errors
/// `invalid-input` when `extra` is not an object or names a field of [`FIXED`], when a tool's
/// schema is not an object, or when a message holds a part that its role cannot have.
pub(crate) fn body(request: &Request, settings: &Settings) -> Result<Vec<u8>, Error> {
    let extra = extra(request.extra.as_deref())?;
    let mut json = Json::with_capacity(estimate(request));
    json.raw("{\"model\":");
    json.string(&request.model);
    parameters(&mut json, request, settings, &extra)?;
    for (name, value) in &extra {
        field(&mut json, name);
        json.raw(value.get());
    }
    if !request.tools.is_empty() {
        tools(&mut json, &request.tools)?;
    }
    json.raw(",\"messages\":[");
    let mut messages = Messages {
        json,
        first: true,
        images: Vec::new(),
        return_reasoning: settings.return_reasoning,
    };
    for (index, message) in request.messages.iter().enumerate() {
        messages.message(message).map_err(|part| {
            Error::InvalidInput(format!(
                "message {index}: a {:?} message cannot hold {part}",
                message.role
            ))
        })?;
    }
    messages.images();
    let mut json = messages.json;
    json.raw("]}");
    Ok(json.into_bytes())
}

/// Room for the whole body in one allocation, except for texts full of characters to escape.
fn estimate(request: &Request) -> usize {
    const PER_PART: usize = 128;
    let images = |images: &[Blob]| {
        images
            .iter()
            .map(|image| image.data.len() / 3 * 4 + PER_PART)
            .sum::<usize>()
    };
    let part = |part: &Part| match part {
        Part::Text(text) => text.len(),
        Part::Image(image) => image.data.len() / 3 * 4,
        Part::Reasoning(Reasoning { text, .. }) => text.len(),
        Part::Call(call) => call.id.len() + call.name.len() + call.arguments.len() * 5 / 4,
        Part::Result(result) => {
            result.call_id.len() + result.content.len() + images(&result.images)
        }
    };
    let parts = request.messages.iter().flat_map(|message| &message.parts);
    let messages = parts.map(|one| part(one) + PER_PART).sum::<usize>();
    let tool = |tool: &ToolSpec| {
        tool.name.len() + tool.description.len() + tool.input_schema.len() + PER_PART
    };
    let tools = request.tools.iter().map(tool).sum::<usize>();
    let rest = request.extra.as_ref().map_or(0, String::len)
        + request.response_schema.as_ref().map_or(0, String::len);
    // A newline in a twentieth of all places is usual for code and logs.
    (messages + tools) * 21 / 20 + rest + 1024
}

fn extra(text: Option<&str>) -> Result<Extra<'_>, Error> {
    let Some(text) = text else {
        return Ok(Extra::new());
    };
    let extra: Extra<'_> = serde_json::from_slice(text.as_bytes()).map_err(|error| {
        Error::InvalidInput(format!("extra parameters must be a JSON object: {error}"))
    })?;
    match FIXED.iter().find(|name| extra.contains_key(**name)) {
        Some(name) => Err(Error::InvalidInput(format!(
            "extra parameters cannot replace `{name}`"
        ))),
        None => Ok(extra),
    }
}

fn field(json: &mut Json, name: &str) {
    json.raw(",");
    json.string(name);
    json.raw(":");
}

/// Everything but model, extra fields, tools and messages. A field that `extra` names is left to it.
fn parameters(
    json: &mut Json,
    request: &Request,
    settings: &Settings,
    extra: &Extra<'_>,
) -> Result<(), Error> {
    json.raw(if request.stream {
        ",\"stream\":true,\"stream_options\":{\"include_usage\":true}"
    } else {
        ",\"stream\":false"
    });
    let free = |name: &str| !extra.contains_key(name);
    if let Some(tokens) = request.max_tokens
        && free("max_tokens")
        && free("max_completion_tokens")
    {
        field(json, &settings.max_tokens_field);
        json.number(tokens);
    }
    if !request.tools.is_empty() && free("tool_choice") {
        tool_choice(json, &request.tool_choice);
    }
    if let Some(schema) = &request.response_schema
        && free("response_format")
    {
        let schema = object("the response schema", schema)?;
        // Without `strict`: the hosted service refuses many valid schemas in strict mode, and
        // the servers that constrain generation do so either way.
        json.raw(",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"answer\",\"schema\":");
        json.raw(schema);
        json.raw("}}");
    }
    if let Some(effort) = &request.effort
        && free("reasoning_effort")
    {
        field(json, "reasoning_effort");
        json.string(if effort == "max" {
            &settings.max_effort
        } else {
            effort
        });
    }
    if let Some(affinity) = &request.affinity
        && settings.hosted()
        && free("prompt_cache_key")
    {
        field(json, "prompt_cache_key");
        json.string(affinity);
    }
    Ok(())
}

/// `auto` is the default of every server, and some refuse the field where tools are few: left out.
fn tool_choice(json: &mut Json, choice: &ToolChoice) {
    match choice {
        ToolChoice::Auto => {}
        ToolChoice::None => json.raw(",\"tool_choice\":\"none\""),
        ToolChoice::Required => json.raw(",\"tool_choice\":\"required\""),
        ToolChoice::Named(name) => {
            json.raw(",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":");
            json.string(name);
            json.raw("}}");
        }
    }
}

fn tools(json: &mut Json, tools: &[ToolSpec]) -> Result<(), Error> {
    json.raw(",\"tools\":[");
    for (index, tool) in tools.iter().enumerate() {
        json.raw(if index == 0 { "" } else { "," });
        json.raw("{\"type\":\"function\",\"function\":{\"name\":");
        json.string(&tool.name);
        json.raw(",\"description\":");
        json.string(&tool.description);
        json.raw(",\"parameters\":");
        let schema = &tool.input_schema;
        json.raw(object("an input schema", schema).map_err(|_| {
            Error::InvalidInput(format!(
                "the input schema of tool `{}` is not a JSON object",
                tool.name
            ))
        })?);
        json.raw("}}");
    }
    json.raw("]");
    Ok(())
}

/// A JSON object as it came, without blanks around it. The host has parsed it already: only its
/// ends are looked at here, because all schemas together are most of a short request.
fn object<'a>(what: &str, text: &'a str) -> Result<&'a str, Error> {
    let text = text.trim_ascii();
    match text.starts_with('{') && text.ends_with('}') {
        true => Ok(text),
        false => Err(Error::InvalidInput(format!("{what} is not a JSON object"))),
    }
}

/// Whether a call's arguments can be sent back. Some servers parse them to fill a template and
/// answer 500 for text that is no JSON, on this and every later request.
fn sendable(arguments: &str) -> bool {
    arguments.trim_ascii_start().starts_with('{')
        && serde_json::from_slice::<IgnoredAny>(arguments.as_bytes()).is_ok()
}

/// The list of messages under construction.
struct Messages<'a> {
    json: Json,
    first: bool,
    /// Images of tool results, with the id of their call. A tool message holds only text, and all
    /// results have to follow their calls without a gap: the images come after the last result.
    images: Vec<(&'a str, &'a Blob)>,
    return_reasoning: bool,
}

impl<'a> Messages<'a> {
    /// Appends a message; the error names the part that its role cannot have.
    fn message(&mut self, message: &'a Message) -> Result<(), &'static str> {
        let mut results = 0;
        for part in &message.parts {
            if let Part::Result(result) = part {
                if !matches!(message.role, Role::Tool | Role::User) {
                    return Err("a tool result");
                }
                self.result(result);
                results += 1;
            }
        }
        match message.role {
            Role::System => {
                self.start("system");
                self.text(&message.parts, false)?;
                self.json.raw("}");
                Ok(())
            }
            // A message of nothing but results is complete at this point.
            Role::User if results > 0 && results == message.parts.len() => Ok(()),
            Role::User => self.user(&message.parts),
            Role::Assistant => self.assistant(&message.parts),
            Role::Tool if results == message.parts.len() => Ok(()),
            Role::Tool => Err("anything but results"),
        }
    }

    /// Opens a message up to the place of its content.
    fn start(&mut self, role: &str) {
        if role != "tool" {
            self.images();
        }
        self.json.raw(if self.first {
            "{\"role\":\""
        } else {
            ",{\"role\":\""
        });
        self.first = false;
        self.json.raw(role);
        self.json.raw("\",\"content\":");
    }

    /// Several texts become one with a blank line between them: not every server takes a list of
    /// parts in these roles. `null` stands for an assistant's empty text beside calls.
    fn text(&mut self, parts: &[Part], null: bool) -> Result<(), &'static str> {
        let mut open = false;
        for part in parts {
            match part {
                Part::Text(text) if text.is_empty() => {}
                Part::Text(text) => {
                    self.json.raw(if open { "\\n\\n" } else { "\"" });
                    self.json.escaped(text);
                    open = true;
                }
                Part::Reasoning(_) | Part::Result(_) => {}
                Part::Call(_) if null => {}
                Part::Call(_) => return Err("a tool call"),
                Part::Image(_) => return Err("an image"),
            }
        }
        self.json.raw(match (open, null) {
            (true, _) => "\"",
            (false, true) => "null",
            (false, false) => "\"\"",
        });
        Ok(())
    }

    fn user(&mut self, parts: &[Part]) -> Result<(), &'static str> {
        let content = || {
            parts
                .iter()
                .filter(|part| !matches!(part, Part::Result(_) | Part::Reasoning(_)))
        };
        self.start("user");
        if content().all(|part| matches!(part, Part::Text(_))) && content().count() < 2 {
            self.text(parts, false)?;
        } else {
            self.json.raw("[");
            for (index, part) in content().enumerate() {
                self.json.raw(if index == 0 { "" } else { "," });
                match part {
                    Part::Text(text) => self.text_part(text),
                    Part::Image(image) => self.image_part(image),
                    _ => return Err("a tool call"),
                }
            }
            self.json.raw("]");
        }
        self.json.raw("}");
        Ok(())
    }

    fn assistant(&mut self, parts: &[Part]) -> Result<(), &'static str> {
        let calls = || {
            parts.iter().filter_map(|part| {
                if let Part::Call(call) = part {
                    Some(call)
                } else {
                    None
                }
            })
        };
        let any = calls().next().is_some();
        self.start("assistant");
        self.text(parts, any)?;
        if any && self.return_reasoning {
            self.reasoning(parts);
        }
        for (index, call) in calls().enumerate() {
            self.json
                .raw(if index == 0 { ",\"tool_calls\":[" } else { "," });
            self.call(call);
        }
        self.json.raw(if any { "]}" } else { "}" });
        Ok(())
    }

    fn reasoning(&mut self, parts: &[Part]) {
        let texts = parts.iter().filter_map(|part| {
            if let Part::Reasoning(one) = part {
                Some(&one.text)
            } else {
                None
            }
        });
        for (index, text) in texts.enumerate() {
            self.json.raw(if index == 0 {
                ",\"reasoning_content\":\""
            } else {
                "\\n\\n"
            });
            self.json.escaped(text);
        }
        if parts.iter().any(|part| matches!(part, Part::Reasoning(_))) {
            self.json.raw("\"");
        }
    }

    fn call(&mut self, call: &ToolCall) {
        self.json.raw("{\"id\":");
        self.json.string(&call.id);
        self.json
            .raw(",\"type\":\"function\",\"function\":{\"name\":");
        self.json.string(&call.name);
        self.json.raw(",\"arguments\":");
        self.json.string(if sendable(&call.arguments) {
            &call.arguments
        } else {
            "{}"
        });
        self.json.raw("}}");
    }

    fn result(&mut self, result: &'a ToolResult) {
        self.start("tool");
        self.json.string(&result.content);
        self.json.raw(",\"tool_call_id\":");
        self.json.string(&result.call_id);
        self.json.raw("}");
        self.images.extend(
            result
                .images
                .iter()
                .map(|image| (result.call_id.as_str(), image)),
        );
    }

    /// Appends the images that wait as one user message, if there are any.
    fn images(&mut self) {
        let images = std::mem::take(&mut self.images);
        if images.is_empty() {
            return;
        }
        self.start("user");
        let mut of = None;
        for (call, image) in images {
            self.json.raw(if of.is_none() { "[" } else { "," });
            if of != Some(call) {
                self.text_part(&format!("Images in the result of tool call {call}:"));
                self.json.raw(",");
                of = Some(call);
            }
            self.image_part(image);
        }
        self.json.raw("]}");
    }

    fn text_part(&mut self, text: &str) {
        self.json.raw("{\"type\":\"text\",\"text\":");
        self.json.string(text);
        self.json.raw("}");
    }

    fn image_part(&mut self, image: &Blob) {
        self.json
            .raw("{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:");
        self.json.escaped(&image.media_type);
        self.json.raw(";base64,");
        self.json.base64(&image.data);
        self.json.raw("\"}}");
    }
}

#[cfg(test)]
mod tests;

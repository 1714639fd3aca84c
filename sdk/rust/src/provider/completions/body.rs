//! A request of the host as the body of `POST /chat/completions`.
//!
//! The conversation comes last in the body, so that the body of one iteration starts with the
//! bytes of the one before: nothing that the service caches by prefix changes on the way.

use crate::Error;
use crate::chat::{Blob, Message, Part, Request, Role, ToolCall, ToolChoice, ToolResult, ToolSpec};
use crate::provider::json::{self, Extra, Json};
use crate::provider::schema;

/// Fields that [`Completion`](super::Completion) depends on when it reads the answer, or that carry the conversation.
const FIXED: [&str; 5] = ["model", "messages", "tools", "stream", "stream_options"];

/// What asks a service to keep the conversation up to here in its cache.
const CACHE_CONTROL: &str = "\"cache_control\":{\"type\":\"ephemeral\"}";

/// What a service wants of a request beside what all of them want.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    /// `max_tokens`, or `max_completion_tokens`.
    pub max_tokens_field: &'a str,
    /// Field for the effort, and its value as JSON: `("reasoning_effort", "\"high\"")`.
    pub effort: Option<(&'a str, String)>,
    /// What of its reasoning a model is given back.
    pub returned: ReturnedReasoning,
    /// How the service is told what to cache.
    pub cache: PromptCache,
    /// Whether tools whose schema allows it are sent as strict.
    pub strict: bool,
    /// Further fields by name, with their value as JSON.
    pub fields: Vec<(&'a str, String)>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            max_tokens_field: "max_tokens",
            effort: None,
            returned: ReturnedReasoning::None,
            cache: PromptCache::Implicit,
            strict: false,
            fields: Vec::new(),
        }
    }
}

/// What of its reasoning a model is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReturnedReasoning {
    /// Nothing.
    None,
    /// Its text as `reasoning_content`, with the calls it led to.
    Text,
    /// Its opaque side as `reasoning_details`, as it came.
    Details,
}

/// How a service is told what to cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptCache {
    /// It finds out by itself.
    Implicit,
    /// By marks, as Anthropic's models have them behind routers: on the request, its last tool, and the last text of
    /// instructions or the user before the last message.
    Marks,
}

/// The request body.
///
/// # Errors
///
/// `invalid-input` when `extra` is not an object or names one of the fields that carry the conversation, when a
/// tool's schema is not an object, or when a message holds a part that its role cannot have.
pub fn body(request: &Request, options: &Options<'_>) -> Result<Vec<u8>, Error> {
    let extra = json::extra(request, &FIXED)?;
    let mut json = Json::with_capacity(json::room(request));
    json.raw("{\"model\":");
    json.string(&request.model);
    parameters(&mut json, request, options, &extra)?;
    extra.write(&mut json);
    if !request.tools.is_empty() {
        tools(&mut json, &request.tools, options)?;
    }
    json.raw(",\"messages\":[");
    let mut messages = Messages {
        json,
        first: true,
        images: Vec::new(),
        returned: options.returned,
    };
    let marked = match options.cache {
        PromptCache::Marks => marked(&request.messages),
        PromptCache::Implicit => None,
    };
    for (index, message) in request.messages.iter().enumerate() {
        messages
            .message(message, marked == Some(index))
            .map_err(|part| {
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

/// The message that carries the mark for the cache: the nearest one of instructions or the user, before the last, that
/// has text.
fn marked(messages: &[Message]) -> Option<usize> {
    let before = messages.len().checked_sub(1)?;
    let has_text = |part: &Part| matches!(part, Part::Text(text) if !text.is_empty());
    messages[..before].iter().rposition(|message| {
        matches!(message.role, Role::System | Role::User) && message.parts.iter().any(has_text)
    })
}

/// Everything but model, extra fields, tools and messages. A field that `extra` names is left to it.
fn parameters(
    json: &mut Json,
    request: &Request,
    options: &Options<'_>,
    extra: &Extra<'_>,
) -> Result<(), Error> {
    json.raw(if request.stream {
        ",\"stream\":true,\"stream_options\":{\"include_usage\":true}"
    } else {
        ",\"stream\":false"
    });
    let free = |name: &str| !extra.contains(name);
    if let Some(tokens) = request.max_tokens
        && free("max_tokens")
        && free("max_completion_tokens")
    {
        json.field(options.max_tokens_field);
        json.number(tokens);
    }
    if !request.tools.is_empty() && free("tool_choice") {
        tool_choice(json, &request.tool_choice);
    }
    if let Some(schema) = &request.response_schema
        && free("response_format")
    {
        let schema = json::object("the response schema", schema)?;
        // The hosted service refuses many valid schemas in strict mode, and the servers that
        // constrain generation do so either way.
        json.raw(",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"answer\",\"schema\":");
        json.raw(schema);
        if options.strict && schema::is_strict(schema) {
            json.raw(",\"strict\":true");
        }
        json.raw("}}");
    }
    let effort = options.effort.iter().map(|(name, value)| (*name, value));
    let fields = options.fields.iter().map(|(name, value)| (*name, value));
    for (name, value) in effort.chain(fields).filter(|(name, _)| free(name)) {
        json.field(name);
        json.raw(value);
    }
    if options.cache == PromptCache::Marks && free("cache_control") {
        json.raw(",");
        json.raw(CACHE_CONTROL);
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

fn tools(json: &mut Json, tools: &[ToolSpec], options: &Options<'_>) -> Result<(), Error> {
    json.raw(",\"tools\":[");
    for (index, tool) in tools.iter().enumerate() {
        json.raw(if index == 0 { "" } else { "," });
        json.raw("{\"type\":\"function\",\"function\":{\"name\":");
        json.string(&tool.name);
        json.raw(",\"description\":");
        json.string(&tool.description);
        json.raw(",\"parameters\":");
        let schema = &tool.input_schema;
        json.raw(json::object("an input schema", schema).map_err(|_| {
            Error::InvalidInput(format!(
                "the input schema of tool `{}` is not a JSON object",
                tool.name
            ))
        })?);
        if options.strict && schema::is_strict(schema) {
            json.raw(",\"strict\":true");
        }
        json.raw("}");
        if options.cache == PromptCache::Marks && index + 1 == tools.len() {
            json.raw(",");
            json.raw(CACHE_CONTROL);
        }
        json.raw("}");
    }
    json.raw("]");
    Ok(())
}

/// The list of messages under construction.
struct Messages<'a> {
    json: Json,
    first: bool,
    /// Images of tool results, with the id of their call. A tool message holds only text, and all
    /// results have to follow their calls without a gap: the images come after the last result.
    images: Vec<(&'a str, &'a Blob)>,
    returned: ReturnedReasoning,
}

impl<'a> Messages<'a> {
    /// Appends a message; the error names the part that its role cannot have.
    fn message(&mut self, message: &'a Message, marked: bool) -> Result<(), &'static str> {
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
                if marked {
                    self.json.raw("[{\"type\":\"text\",\"text\":");
                }
                self.text(&message.parts, false)?;
                if marked {
                    self.json.raw(",");
                    self.json.raw(CACHE_CONTROL);
                    self.json.raw("}]");
                }
                self.json.raw("}");
                Ok(())
            }
            // A message of nothing but results is complete at this point.
            Role::User if results > 0 && results == message.parts.len() => Ok(()),
            Role::User => self.user(&message.parts, marked),
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

    fn user(&mut self, parts: &[Part], marked: bool) -> Result<(), &'static str> {
        let content = || {
            parts
                .iter()
                .filter(|part| !matches!(part, Part::Result(_) | Part::Reasoning(_)))
        };
        self.start("user");
        let plain = content().all(|part| matches!(part, Part::Text(_))) && content().count() < 2;
        let has_text = |part: &&Part| matches!(part, Part::Text(text) if !text.is_empty());
        let mark = content().rfind(has_text).filter(|_| marked);
        if plain && !marked {
            self.text(parts, false)?;
        } else {
            self.json.raw("[");
            for (index, part) in content().enumerate() {
                self.json.raw(if index == 0 { "" } else { "," });
                match part {
                    Part::Text(text) => {
                        self.text_part(text, mark.is_some_and(|mark| std::ptr::eq(mark, part)));
                    }
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
        match self.returned {
            ReturnedReasoning::Text if any => self.reasoning(parts),
            ReturnedReasoning::Details => self.details(parts),
            ReturnedReasoning::Text | ReturnedReasoning::None => {}
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

    fn details(&mut self, parts: &[Part]) {
        let opaque = parts.iter().find_map(|part| match part {
            Part::Reasoning(reasoning) => reasoning.opaque.as_deref(),
            _ => None,
        });
        // A list, as it came; whatever else it is comes from another service.
        if let Some(list) = opaque.filter(|opaque| opaque.starts_with('[')) {
            self.json.field("reasoning_details");
            self.json.raw(list);
        }
    }

    fn call(&mut self, call: &ToolCall) {
        self.json.raw("{\"id\":");
        self.json.string(&call.id);
        self.json
            .raw(",\"type\":\"function\",\"function\":{\"name\":");
        self.json.string(&call.name);
        self.json.raw(",\"arguments\":");
        self.json.string(json::arguments(&call.arguments));
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
                self.text_part(&format!("Images in the result of tool call {call}:"), false);
                self.json.raw(",");
                of = Some(call);
            }
            self.image_part(image);
        }
        self.json.raw("]}");
    }

    fn text_part(&mut self, text: &str, marked: bool) {
        self.json.raw("{\"type\":\"text\",\"text\":");
        self.json.string(text);
        if marked {
            self.json.raw(",");
            self.json.raw(CACHE_CONTROL);
        }
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

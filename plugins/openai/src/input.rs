//! A request of the host as the body of `POST /responses`.
//!
//! Nothing is kept by the service (`store` is false): the conversation goes out whole, with the
//! model's reasoning encrypted, and last, so that the service's cache finds its prefix again.
//!
//! Shapes: the OpenAI API reference, Responses, as of October 2026.

use crate::settings::Settings;
use ml_intern_plugin::Error;
use ml_intern_plugin::chat::{Blob, Message, Part, Request, Role, ToolChoice, ToolResult};
use ml_intern_plugin::provider::json::{self, Extra, Json};
use ml_intern_plugin::provider::schema;

/// Fields that carry the conversation, or on which the reader of the answer depends.
const FIXED: [&str; 4] = ["model", "input", "tools", "stream"];

/// The request body.
///
/// # Errors
/// `invalid-input` when `extra` is not an object or names a field of [`FIXED`], when a tool's
/// schema is not an object, or when a message holds a part that its role cannot have.
pub(crate) fn body(request: &Request, settings: &Settings) -> Result<Vec<u8>, Error> {
    let extra = json::extra(request, &FIXED)?;
    let mut json = Json::with_capacity(json::room(request));
    json.raw("{\"model\":");
    json.string(&request.model);
    parameters(&mut json, request, settings, &extra)?;
    extra.write(&mut json);
    tools(&mut json, request)?;
    json.raw(",\"input\":[");
    let mut items = Items { json, first: true };
    for (index, message) in request.messages.iter().enumerate() {
        items.message(message).map_err(|part| {
            Error::InvalidInput(format!(
                "message {index}: a {:?} message cannot hold {part}",
                message.role
            ))
        })?;
    }
    let mut json = items.json;
    json.raw("]}");
    Ok(json.into_bytes())
}

/// Everything but model, extra fields, tools and input. A field that `extra` names is left to it.
fn parameters(
    json: &mut Json,
    request: &Request,
    settings: &Settings,
    extra: &Extra<'_>,
) -> Result<(), Error> {
    let free = |name: &str| !extra.contains(name);
    json.raw(match request.stream {
        true => ",\"stream\":true",
        false => ",\"stream\":false",
    });
    if free("store") {
        json.raw(",\"store\":false");
    }
    if free("include") {
        json.raw(",\"include\":[\"reasoning.encrypted_content\"]");
    }
    if let Some(tokens) = request.max_tokens
        && free("max_output_tokens")
    {
        json.field("max_output_tokens");
        json.number(tokens);
    }
    if let Some(effort) = &request.effort
        && free("reasoning")
    {
        json.raw(",\"reasoning\":{\"effort\":");
        json.string(effort);
        json.raw(",\"summary\":\"auto\"}");
    }
    if let Some(schema) = &request.response_schema
        && free("text")
    {
        let schema = json::object("the response schema", schema)?;
        json.raw(",\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"answer\",\"schema\":");
        json.raw(schema);
        strict(json, schema);
        json.raw("}}");
    }
    if let Some(affinity) = &request.affinity
        && settings.hosted()
        && free("prompt_cache_key")
    {
        json.field("prompt_cache_key");
        json.string(affinity);
    }
    Ok(())
}

/// Here strictness is the default, so that its absence has to be said.
fn strict(json: &mut Json, schema: &str) {
    json.raw(match schema::is_strict(schema) {
        true => ",\"strict\":true",
        false => ",\"strict\":false",
    });
}

fn tools(json: &mut Json, request: &Request) -> Result<(), Error> {
    if request.tools.is_empty() {
        return Ok(());
    }
    match &request.tool_choice {
        ToolChoice::Auto => {}
        ToolChoice::None => json.raw(",\"tool_choice\":\"none\""),
        ToolChoice::Required => json.raw(",\"tool_choice\":\"required\""),
        ToolChoice::Named(name) => {
            json.raw(",\"tool_choice\":{\"type\":\"function\",\"name\":");
            json.string(name);
            json.raw("}");
        }
    }
    json.raw(",\"tools\":[");
    for (index, tool) in request.tools.iter().enumerate() {
        json.raw(if index == 0 { "" } else { "," });
        json.raw("{\"type\":\"function\",\"name\":");
        json.string(&tool.name);
        json.raw(",\"description\":");
        json.string(&tool.description);
        json.raw(",\"parameters\":");
        let what = format!("the input schema of tool `{}`", tool.name);
        let schema = json::object(&what, &tool.input_schema)?;
        json.raw(schema);
        strict(json, schema);
        json.raw("}");
    }
    json.raw("]");
    Ok(())
}

/// The items of the input under construction.
struct Items {
    json: Json,
    first: bool,
}

impl Items {
    /// Appends a message as the items that it is made of; the error names the part that its role
    /// cannot have.
    fn message(&mut self, message: &Message) -> Result<(), &'static str> {
        for part in &message.parts {
            if let Part::Result(result) = part {
                if !matches!(message.role, Role::Tool | Role::User) {
                    return Err("a tool result");
                }
                self.result(result);
            }
        }
        match message.role {
            Role::System => self.content("system", &message.parts),
            Role::User => self.content("user", &message.parts),
            Role::Assistant => self.assistant(&message.parts),
            Role::Tool => match message
                .parts
                .iter()
                .all(|part| matches!(part, Part::Result(_)))
            {
                true => Ok(()),
                false => Err("anything but results"),
            },
        }
    }

    fn next(&mut self) {
        if !std::mem::take(&mut self.first) {
            self.json.raw(",");
        }
    }

    /// A message of instructions or of the user; nothing where it holds nothing.
    fn content(&mut self, role: &str, parts: &[Part]) -> Result<(), &'static str> {
        let mut open = false;
        for part in parts {
            if matches!(part, Part::Result(_) | Part::Reasoning(_)) {
                continue;
            }
            if open {
                self.json.raw(",");
            } else {
                self.next();
                self.json.raw("{\"type\":\"message\",\"role\":");
                self.json.string(role);
                self.json.raw(",\"content\":[");
                open = true;
            }
            match part {
                Part::Text(text) => self.text("input_text", text),
                Part::Image(image) if role == "user" => self.image(image),
                Part::Image(_) => return Err("an image"),
                _ => return Err("a tool call"),
            }
        }
        if open {
            self.json.raw("]}");
        }
        Ok(())
    }

    /// What the model said, in its order: reasoning belongs to the item after it.
    fn assistant(&mut self, parts: &[Part]) -> Result<(), &'static str> {
        for part in parts {
            match part {
                Part::Text(text) if text.is_empty() => {}
                Part::Text(text) => {
                    self.next();
                    self.json
                        .raw("{\"type\":\"message\",\"role\":\"assistant\",\"content\":[");
                    self.text("output_text", text);
                    self.json.raw("]}");
                }
                Part::Reasoning(reasoning) => {
                    // An item of this service; whatever else it is comes from another.
                    let item = reasoning.opaque.as_deref();
                    if let Some(item) = item.filter(|item| item.starts_with('{')) {
                        self.next();
                        self.json.raw(item);
                    }
                }
                Part::Call(call) => {
                    self.next();
                    self.json.raw("{\"type\":\"function_call\",\"call_id\":");
                    self.json.string(&call.id);
                    self.json.field("name");
                    self.json.string(&call.name);
                    self.json.field("arguments");
                    self.json.string(json::arguments(&call.arguments));
                    self.json.raw("}");
                }
                Part::Image(_) => return Err("an image"),
                Part::Result(_) => {}
            }
        }
        Ok(())
    }

    fn result(&mut self, result: &ToolResult) {
        self.next();
        self.json
            .raw("{\"type\":\"function_call_output\",\"call_id\":");
        self.json.string(&result.call_id);
        self.json.field("output");
        if result.images.is_empty() {
            self.json.string(&result.content);
        } else {
            self.json.raw("[");
            self.text("input_text", &result.content);
            for image in &result.images {
                self.json.raw(",");
                self.image(image);
            }
            self.json.raw("]");
        }
        self.json.raw("}");
    }

    fn text(&mut self, kind: &str, text: &str) {
        self.json.raw("{\"type\":");
        self.json.string(kind);
        self.json.raw(",\"text\":");
        self.json.string(text);
        self.json.raw("}");
    }

    fn image(&mut self, image: &Blob) {
        self.json
            .raw("{\"type\":\"input_image\",\"detail\":\"auto\",\"image_url\":\"data:");
        self.json.escaped(&image.media_type);
        self.json.raw(";base64,");
        self.json.base64(&image.data);
        self.json.raw("\"}");
    }
}

#[cfg(test)]
mod tests;

//! What the Messages API refuses outside of the conversation itself.

use serde_json::Value;

use super::{
    super::{
        Shared,
        error::ApiError,
        model::Model,
        node::{Checked, Dialect, Node, schema},
    },
    conversation, unknown_model,
};

/// Longest name of a tool, from the pattern in the API reference.
const MAX_NAME: usize = 128;
/// Most marks for the cache in one request.
const MAX_MARKS: usize = 4;

const LEVELS: [&str; 5] = ["low", "medium", "high", "xhigh", "max"];

/// The fields of a request whose tokens can be counted.
const COUNTED: [&str; 8] = [
    "model",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "cache_control",
];
/// The fields of a request for a message beyond these. Sampling is the service's own business: its
/// newer models, for which this fake stands, refuse `temperature` and its kin.
const MORE: [&str; 5] = [
    "max_tokens",
    "stream",
    "stop_sequences",
    "metadata",
    "service_tier",
];

/// Judges the body of `POST /v1/messages`.
pub(super) fn request(request: &Value, shared: &Shared) -> Checked {
    let root = Node::root(request, Dialect::Anthropic)?;
    root.only(&[&COUNTED[..], &MORE].concat())?;
    let model = common(&root, shared)?;
    let limit = root.get("max_tokens")?;
    let tokens = limit.positive()?;
    if tokens > model.max_output {
        let most = model.max_output;
        let why = format!(
            "{tokens} > {most}, which is the maximum allowed number of output tokens for {}",
            model.id
        );
        return Err(limit.refuse(&why));
    }
    if let Some(stream) = root.maybe("stream")? {
        stream.bool()?;
    }
    if let Some(sequences) = root.maybe("stop_sequences")? {
        for sequence in sequences.items()? {
            if sequence.str()?.trim().is_empty() {
                return Err(sequence.refuse("each stop sequence must contain non-whitespace"));
            }
        }
    }
    if let Some(metadata) = root.maybe("metadata")? {
        metadata.only(&["user_id"])?;
    }
    if let Some(tier) = root.maybe("service_tier")? {
        tier.one_of(&["auto", "standard_only"])?;
    }
    Ok(())
}

/// Judges the body of `POST /v1/messages/count_tokens`.
pub(super) fn count(request: &Value, shared: &Shared) -> Checked {
    let root = Node::root(request, Dialect::Anthropic)?;
    root.only(&COUNTED)?;
    common(&root, shared).map(drop)
}

fn common<'a>(root: &Node<'_>, shared: &'a Shared) -> Checked<&'a Model> {
    let id = root.get("model")?.str()?;
    let model = shared.model(id).ok_or_else(|| unknown_model(id))?;
    thinking(root, model)?;
    effort(root, model)?;
    tools(root, model)?;
    if let Some(system) = root.maybe("system")? {
        system_text(&system)?;
    }
    conversation::check(root, model)?;
    marks(root)?;
    Ok(model)
}

fn thinking(root: &Node<'_>, model: &Model) -> Checked {
    let Some(thinking) = root.maybe("thinking")? else {
        return Ok(());
    };
    let kind = thinking.get("type")?;
    match kind.one_of(&["adaptive", "disabled", "enabled"])? {
        "disabled" => thinking.only(&["type"]),
        "enabled" => Err(kind.error(format!(
            "\"thinking.type.enabled\" is not supported for this model. Use \"thinking.type.adaptive\" and \"output_config.effort\" to control thinking behavior. ({})",
            model.id
        ))),
        _ if model.efforts.is_empty() => Err(kind.error(
            "adaptive thinking is not supported on this model".to_owned(),
        )),
        _ => {
            thinking.only(&["type", "display"])?;
            if let Some(display) = thinking.maybe("display")? {
                display.one_of(&["summarized", "omitted"])?;
            }
            Ok(())
        }
    }
}

fn effort(root: &Node<'_>, model: &Model) -> Checked {
    let Some(output) = root.maybe("output_config")? else {
        return Ok(());
    };
    output.only(&["effort", "format"])?;
    let Some(effort) = output.maybe("effort")? else {
        return Ok(());
    };
    let level = effort.one_of(&LEVELS)?;
    if model.efforts.is_empty() {
        let message = "This model does not support the effort parameter.";
        return Err(effort.error(message.to_owned()));
    }
    if !model.efforts.contains(&level) {
        let levels = model.efforts.join(", ");
        let message = format!(
            "This model does not support effort level '{level}'. Supported levels: {levels}."
        );
        return Err(effort.error(message));
    }
    Ok(())
}

fn tools(root: &Node<'_>, model: &Model) -> Checked {
    let tools = root.maybe("tools")?;
    let tools = tools
        .as_ref()
        .map(Node::items)
        .transpose()?
        .unwrap_or_default();
    if let Some(tool) = tools.first()
        && !model.tools
    {
        return Err(tool.error(format!("tools are not supported by {}", model.id)));
    }
    let mut names = Vec::new();
    for tool in &tools {
        tool.only(&[
            "name",
            "description",
            "input_schema",
            "cache_control",
            "strict",
            "type",
        ])?;
        if let Some(kind) = tool.maybe("type")? {
            kind.one_of(&["custom"])?;
        }
        let name = tool.get("name")?.word("_-", MAX_NAME)?;
        if names.contains(&name) {
            return Err(tool.error("tools: Tool names must be unique.".to_owned()));
        }
        names.push(name);
        if let Some(description) = tool.maybe("description")? {
            description.str()?;
        }
        schema(&tool.get("input_schema")?)?;
    }
    choice(root, &names)
}

fn choice(root: &Node<'_>, names: &[&str]) -> Checked {
    let Some(choice) = root.maybe("tool_choice")? else {
        return Ok(());
    };
    if names.is_empty() {
        let message = "tool_choice may only be specified while providing tools";
        return Err(choice.error(message.to_owned()));
    }
    let kind = choice
        .get("type")?
        .one_of(&["auto", "any", "tool", "none"])?;
    if let Some(alone) = choice.maybe("disable_parallel_tool_use")? {
        alone.bool()?;
    }
    match kind {
        "none" => choice.only(&["type"])?,
        "tool" => choice.only(&["type", "name", "disable_parallel_tool_use"])?,
        _ => choice.only(&["type", "disable_parallel_tool_use"])?,
    }
    if kind == "tool" && !names.contains(&choice.get("name")?.str()?) {
        return Err(choice.refuse("Tool not found in provided tools"));
    }
    if matches!(kind, "any" | "tool") && root.value["thinking"]["type"] == "adaptive" {
        let message = "Thinking may not be enabled when tool_choice forces tool use.";
        return Err(choice.error(message.to_owned()));
    }
    Ok(())
}

fn system_text(system: &Node<'_>) -> Checked {
    if system.value.is_string() {
        return Ok(());
    }
    for block in system.items()? {
        block.get("type")?.one_of(&["text"])?;
        conversation::text(&block, "system")?;
    }
    Ok(())
}

/// Counts the marks for the cache, wherever they are, and judges each.
fn marks(root: &Node<'_>) -> Checked {
    let mut marks = Vec::new();
    collect(root.value, &mut marks);
    if marks.len() > MAX_MARKS {
        let found = marks.len();
        return Err(root.error(format!(
            "A maximum of {MAX_MARKS} blocks with cache_control may be provided. Found {found}."
        )));
    }
    for mark in &marks {
        let mark = Node::root(mark, Dialect::Anthropic)?;
        mark.only(&["type", "ttl"])?;
        mark.get("type")?.one_of(&["ephemeral"])?;
        if let Some(ttl) = mark.maybe("ttl")? {
            ttl.one_of(&["5m", "1h"])?;
        }
    }
    let long = |mark: &&Value| mark["ttl"] == "1h";
    // In the order tools, system, messages; the mark of the request itself is the last of all.
    let first_short = marks
        .iter()
        .position(|mark| !long(mark))
        .unwrap_or(marks.len());
    if marks[first_short..].iter().any(long) {
        let message =
            "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block.";
        return Err(ApiError::new(400, "invalid_request_error", message));
    }
    Ok(())
}

fn collect<'a>(value: &'a Value, marks: &mut Vec<&'a Value>) {
    for part in ["tools", "system", "messages"] {
        blocks(&value[part], marks);
    }
    marks.extend(value.get("cache_control").filter(|mark| !mark.is_null()));
}

/// The marks of blocks, of the content of messages, and of the content of results in them.
fn blocks<'a>(list: &'a Value, marks: &mut Vec<&'a Value>) {
    for block in list.as_array().into_iter().flatten() {
        marks.extend(block.get("cache_control").filter(|mark| !mark.is_null()));
        blocks(&block["content"], marks);
    }
}

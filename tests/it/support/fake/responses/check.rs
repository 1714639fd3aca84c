//! What the Responses API refuses outside of the conversation itself.

use serde_json::Value;

use super::{
    super::{
        Shared,
        error::ApiError,
        model::Model,
        node::{Checked, Dialect, Node, schema},
    },
    input,
};

/// Longest name of a function; letters, digits, `_` and `-`.
const MAX_NAME: usize = 64;
/// Fewest tokens that an answer may be limited to.
const MIN_OUTPUT: u64 = 16;

/// The fields of a request that a client of ours has a reason to send.
const TOP_LEVEL: &[&str] = &[
    "model",
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "stream",
    "stream_options",
    "store",
    "include",
    "reasoning",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "temperature",
    "top_p",
    "text",
    "truncation",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "service_tier",
    "previous_response_id",
];

/// Judges a request for a response.
pub(super) fn request(request: &Value, shared: &Shared) -> Checked {
    let root = Node::root(request, Dialect::OpenAi)?;
    root.only(TOP_LEVEL)?;
    let id = root.get("model")?.str()?;
    let model = shared.model(id).ok_or_else(|| {
        let message = format!("The requested model '{id}' does not exist.");
        ApiError::new(400, "invalid_request_error", message).code("model_not_found")
    })?;
    settings(&root)?;
    reasoning(&root, model)?;
    tools(&root, model)?;
    if let Some(earlier) = root.maybe("previous_response_id")? {
        let message = format!("Previous response with id '{}' not found.", earlier.str()?);
        return Err(earlier.error(message).code("previous_response_not_found"));
    }
    if let Some(instructions) = root.maybe("instructions")? {
        instructions.str()?;
    }
    input::check(&root, model)
}

fn settings(root: &Node<'_>) -> Checked {
    for name in ["stream", "store", "parallel_tool_calls"] {
        if let Some(flag) = root.maybe(name)? {
            flag.bool()?;
        }
    }
    if let Some(options) = root.maybe("stream_options")? {
        if root.value["stream"] != true {
            let message =
                "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
            return Err(options.error(message.to_owned()));
        }
        options.only(&["include_obfuscation"])?;
    }
    if let Some(limit) = root.maybe("max_output_tokens")? {
        let tokens = limit.positive()?;
        if tokens < MIN_OUTPUT {
            let message = format!(
                "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= {MIN_OUTPUT}, but got {tokens} instead."
            );
            return Err(limit.error(message).code("integer_below_min_value"));
        }
    }
    if let Some(include) = root.maybe("include")? {
        for wanted in include.items()? {
            wanted.one_of(&[
                "reasoning.encrypted_content",
                "message.output_text.logprobs",
            ])?;
        }
    }
    if let Some(text) = root.maybe("text")? {
        text.only(&["format", "verbosity"])?;
    }
    if let Some(truncation) = root.maybe("truncation")? {
        truncation.one_of(&["auto", "disabled"])?;
    }
    for (name, highest) in [("temperature", 2.0), ("top_p", 1.0)] {
        if let Some(number) = root.maybe(name)? {
            number.number(highest)?;
        }
    }
    Ok(())
}

fn reasoning(root: &Node<'_>, model: &Model) -> Checked {
    let unsupported = |node: &Node<'_>, name: &str| {
        let message = format!("Unsupported parameter: '{name}' is not supported with this model.");
        node.error(message).code("unsupported_parameter")
    };
    let reasoning = root.maybe("reasoning")?;
    let effort = match &reasoning {
        Some(reasoning) => reasoning.maybe("effort")?,
        None => None,
    };
    let level = effort.as_ref().map(Node::str).transpose()?;
    if let Some(temperature) = root.maybe("temperature")?
        && !model.efforts.is_empty()
        && level != Some("none")
    {
        return Err(unsupported(&temperature, "temperature"));
    }
    let Some(reasoning) = reasoning else {
        return Ok(());
    };
    reasoning.only(&["effort", "summary"])?;
    if let Some(summary) = reasoning.maybe("summary")? {
        summary.one_of(&["auto", "concise", "detailed"])?;
    }
    let Some(effort) = effort else {
        return Ok(());
    };
    if model.efforts.is_empty() {
        return Err(unsupported(&effort, "reasoning.effort"));
    }
    let levels = [&["none", "minimal"], model.efforts.as_slice()].concat();
    match effort.one_of(&levels) {
        Ok(_) => Ok(()),
        Err(error) => Err(ApiError {
            code: Some("unsupported_value"),
            ..error
        }),
    }
}

fn tools(root: &Node<'_>, model: &Model) -> Checked {
    let tools = root.maybe("tools")?;
    let tools = tools.as_ref().map(Node::items).transpose()?;
    let tools = tools.unwrap_or_default();
    if let Some(tool) = tools.first()
        && !model.tools
    {
        return Err(tool.error(format!("Tools are not supported with {}.", model.id)));
    }
    let mut names = Vec::new();
    for tool in &tools {
        tool.get("type")?.one_of(&["function"])?;
        // First, because a tool of chat completions lacks it.
        let name = tool.get("name")?.word("_-", MAX_NAME)?;
        tool.only(&["type", "name", "description", "parameters", "strict"])?;
        if names.contains(&name) {
            return Err(tool.error(format!("Tool names must be unique: {name}.")));
        }
        names.push(name);
        if let Some(description) = tool.maybe("description")? {
            description.str()?;
        }
        let parameters = tool.maybe("parameters")?;
        if let Some(parameters) = &parameters {
            let refused = |error: ApiError| {
                let message = format!("Invalid schema for function '{name}': {}", error.message);
                let error = ApiError { message, ..error };
                error.code("invalid_function_parameters")
            };
            schema(parameters).map_err(refused)?;
            if let Some(strict) = tool.maybe("strict")?
                && strict.bool()?
            {
                closed(parameters).map_err(refused)?;
            }
        }
    }
    choice(root, &names)
}

/// A strict schema has no property that may be left out, and none that is not named.
fn closed(schema: &Node<'_>) -> Checked {
    if let Some(items) = schema.maybe("items")? {
        closed(&items)?;
    }
    let Some(properties) = schema.maybe("properties")? else {
        return Ok(());
    };
    if schema.value["additionalProperties"] != false {
        return Err(schema.error(
            "'additionalProperties' is required to be supplied and to be false.".to_owned(),
        ));
    }
    let required = schema.value["required"].as_array();
    for name in properties.object()?.keys() {
        if !required.is_some_and(|required| required.iter().any(|one| one == name)) {
            return Err(schema.error(format!(
                "'required' is required to be supplied and to be an array including every key in properties. Missing '{name}'."
            )));
        }
        closed(&properties.get(name)?)?;
    }
    Ok(())
}

fn choice(root: &Node<'_>, names: &[&str]) -> Checked {
    let Some(choice) = root.maybe("tool_choice")? else {
        return Ok(());
    };
    if choice.value.is_string() {
        choice.one_of(&["none", "auto", "required"])?;
        return Ok(());
    }
    choice.only(&["type", "name"])?;
    choice.get("type")?.one_of(&["function"])?;
    if names.contains(&choice.get("name")?.str()?) {
        return Ok(());
    }
    Err(choice.error("Tool choice 'function' not found in 'tools' parameter.".to_owned()))
}

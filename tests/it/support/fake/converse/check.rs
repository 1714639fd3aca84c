//! What the Converse API refuses outside of the conversation itself.

use super::{
    super::{
        model::Model,
        node::{Checked, Node, schema},
    },
    conversation,
};

/// Longest name of a tool and longest id of a call, from the service model.
pub(super) const MAX_NAME: usize = 64;
/// Most cache points in one request.
const MAX_POINTS: usize = 4;

/// What of a request its tokens are counted of.
const COUNTED: [&str; 4] = [
    "messages",
    "system",
    "toolConfig",
    "additionalModelRequestFields",
];
/// The other fields that a client of ours has a reason to send.
const MORE: [&str; 7] = [
    "inferenceConfig",
    "outputConfig",
    "requestMetadata",
    "performanceConfig",
    "serviceTier",
    "guardrailConfig",
    "additionalModelResponseFieldPaths",
];

/// Judges the body of `converse` and `converse-stream`.
pub(super) fn request(root: &Node<'_>, model: &Model) -> Checked {
    root.only(&[&COUNTED[..], &MORE].concat())?;
    if let Some(inference) = root.maybe("inferenceConfig")? {
        inference.only(&["maxTokens", "temperature", "topP", "stopSequences"])?;
        if let Some(limit) = inference.maybe("maxTokens")?
            && limit.positive()? > model.max_output
        {
            let most = model.max_output;
            return Err(root.error(format!(
                "The maximum tokens you requested exceeds the model limit of {most}. Try again with a maximum tokens value that is lower than {most}."
            )));
        }
        for name in ["temperature", "topP"] {
            if let Some(number) = inference.maybe(name)? {
                number.number(1.0)?;
            }
        }
        if let Some(sequences) = inference.maybe("stopSequences")? {
            for sequence in sequences.items()? {
                sequence.str()?;
            }
        }
    }
    if let Some(output) = root.maybe("outputConfig")? {
        output.only(&["textFormat", "effort"])?;
        if let Some(effort) = output.maybe("effort")? {
            effort.one_of(&model.efforts)?;
        }
    }
    if let Some(metadata) = root.maybe("requestMetadata")? {
        metadata.object()?;
    }
    parts(root, model)
}

/// Judges what tokens are counted of.
pub(super) fn counted(root: &Node<'_>, model: &Model) -> Checked {
    root.only(&COUNTED)?;
    parts(root, model)
}

fn parts(root: &Node<'_>, model: &Model) -> Checked {
    let mut points = 0;
    let tools = root.maybe("toolConfig")?;
    if let Some(tools) = &tools {
        points += tool_config(tools, model)?;
    }
    if let Some(more) = root.maybe("additionalModelRequestFields")? {
        more.object()?;
    }
    if let Some(system) = root.maybe("system")? {
        for block in system.items()? {
            match block.union(&["text", "guardContent", "cachePoint"])? {
                ("text", text) if text.str()?.is_empty() => {
                    return Err(text.refuse("Member must have length greater than or equal to 1"));
                }
                ("cachePoint", point) => points += cache_point(&point)?,
                _ => {}
            }
        }
    }
    points += conversation::check(root, model, tools.is_some())?;
    if points > MAX_POINTS {
        return Err(root.error(format!(
            "The model returned the following errors: A maximum of {MAX_POINTS} blocks with cache_control may be provided. Found {points}."
        )));
    }
    Ok(())
}

/// Judges the tools and returns the number of cache points among them.
fn tool_config(config: &Node<'_>, model: &Model) -> Checked<usize> {
    config.only(&["tools", "toolChoice"])?;
    let tools = config.get("tools")?.filled()?;
    if !model.tools {
        let message = "This model doesn't support tool use.";
        return Err(config.error(message.to_owned()));
    }
    let (mut points, mut names) = (0, Vec::new());
    for tool in &tools {
        match tool.union(&["toolSpec", "systemTool", "cachePoint"])? {
            ("cachePoint", point) => points += cache_point(&point)?,
            (_, spec) => {
                spec.only(&["name", "description", "inputSchema", "strict"])?;
                let name = spec.get("name")?.word("_-", MAX_NAME)?;
                if names.contains(&name) {
                    let message =
                        format!("The tool {name} is already defined at toolConfig.tools.");
                    return Err(spec.error(message));
                }
                names.push(name);
                if let Some(description) = spec.maybe("description")?
                    && description.str()?.is_empty()
                {
                    let why = "Member must have length greater than or equal to 1";
                    return Err(description.refuse(why));
                }
                let (_, json) = spec.get("inputSchema")?.union(&["json"])?;
                schema(&json)?;
            }
        }
    }
    if let Some(choice) = config.maybe("toolChoice")?
        && let ("tool", tool) = choice.union(&["auto", "any", "tool"])?
        && !names.contains(&tool.get("name")?.str()?)
    {
        return Err(tool.refuse("the tool is not among the tools"));
    }
    Ok(points)
}

/// Judges a cache point; the number of it is one.
pub(super) fn cache_point(point: &Node<'_>) -> Checked<usize> {
    point.only(&["type", "ttl"])?;
    point.get("type")?.one_of(&["default"])?;
    if let Some(ttl) = point.maybe("ttl")? {
        ttl.one_of(&["5m", "1h"])?;
    }
    Ok(1)
}

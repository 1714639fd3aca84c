//! The system prompt, rendered from what is really there.

use crate::ports::Tool;

const SYSTEM: &str = include_str!("prompts/system.md");
/// Bytes of the user's own instructions; more would crowd out the conversation.
const INSTRUCTIONS_BYTES: usize = 64 * 1024;

/// What the prompt tells about the place.
#[derive(Clone, Debug, Default)]
pub struct Place<'a> {
    /// Absolute path of the workspace.
    pub workspace: &'a str,
    /// The job back end's name, where there is one.
    pub job_backend: &'a str,
    /// The user's own instructions (manifest, `AGENTS.md`).
    pub instructions: &'a str,
}

/// Renders the system prompt; the same input gives the same bytes.
pub fn system(place: &Place<'_>, tools: &[Tool]) -> String {
    let names = tools
        .iter()
        .map(|tool| format!("`{}`", tool.name))
        .collect::<Vec<_>>()
        .join(", ");
    let mut text = SYSTEM
        .trim_end()
        .replace("{workspace}", place.workspace)
        .replace("{job_backend}", place.job_backend)
        .replace("{tools}", if names.is_empty() { "none" } else { &names });
    let instructions = place.instructions.trim();
    if !instructions.is_empty() {
        text.push_str("\n\n# The user's instructions\n\n");
        text.push_str(&crate::arguments::shorten(instructions, INSTRUCTIONS_BYTES));
    }
    text
}

/// The host's advice after the same tool got malformed arguments again.
pub(crate) fn malformed_again(tool: &str) -> String {
    format!(
        "[SYSTEM: the last calls of `{tool}` had malformed JSON arguments. Do not send the same call again. \
         Write large content in several smaller steps, for example a shell heredoc or a few small edits.]"
    )
}

/// The host's advice after a reply was cut.
pub(crate) fn truncated(lost: &[String]) -> String {
    format!(
        "[SYSTEM: your reply was cut by its output limit, so these calls were lost and not executed: {}. \
         Do not send the same large content again; write it in several smaller steps.]",
        lost.join(", ")
    )
}

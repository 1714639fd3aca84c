//! What the model is told about the place, from what is really there.

use super::Workbench;
use crate::config::Config;
use ml_intern_agent::prompt;
use std::path::Path;

/// Bytes of a project's own instructions.
const INSTRUCTIONS_BYTES: usize = 64 * 1024;
/// File with a project's instructions to agents.
const AGENTS: &str = "AGENTS.md";

pub(crate) fn system_prompt(config: &Config, bench: &Workbench) -> String {
    let workspace = config.workspace.display().to_string();
    let mut instructions = config
        .manifest
        .agent
        .instructions
        .clone()
        .unwrap_or_default();
    // A folder without the file, or with one that is no text, has no instructions.
    if let Some(agents) = agents(&config.workspace) {
        instructions = format!("{instructions}\n\n{agents}");
    }
    let place = prompt::Place {
        workspace: &workspace,
        job_backend: "local",
        instructions: instructions.trim(),
    };
    prompt::system(&place, bench.agent.toolbox.tools())
}

/// The folder's own instructions, which anybody may have put there: a link leads nowhere else,
/// for a model's service gets what is read here.
fn agents(workspace: &Path) -> Option<String> {
    let most = 4 * INSTRUCTIONS_BYTES as u64;
    let bytes = ml_intern_runtime::read_below(workspace, AGENTS, most).ok()?;
    let text = match str::from_utf8(&bytes) {
        Ok(text) => text,
        // Cut off within a letter.
        Err(error) if error.error_len().is_none() => {
            str::from_utf8(&bytes[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    Some(text.chars().take(INSTRUCTIONS_BYTES).collect())
}

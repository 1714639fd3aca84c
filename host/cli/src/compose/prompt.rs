//! What the model is told about the place, from what is really there.

use super::Workbench;
use super::workbench::Choices;
use crate::config::Config;
use ml_intern_agent::budget::TIME;
use ml_intern_agent::money::MicroUsd;
use ml_intern_agent::prompt::{self, Backend, Flavor, Skill};
use ml_intern_agent::skill;
use std::path::Path;

/// Bytes of a project's own instructions.
const INSTRUCTIONS_BYTES: usize = 64 * 1024;
/// File with a project's instructions to agents.
const AGENTS: &str = "AGENTS.md";
/// Folders of the workspace that hold skills, each in a folder of its own: ours, and what other agents read.
const SKILL_FOLDERS: [&str; 3] = [".ml-intern/skills", ".agents/skills", ".claude/skills"];
/// File that says what a skill is for.
const SKILL: &str = "SKILL.md";
/// Bytes of that file that are looked at: its header.
const SKILL_BYTES: u64 = 16 * 1024;
/// Skills of a workspace.
const SKILLS: usize = 100;

/// The system prompt, and what of the workspace could not be used for it.
pub(crate) async fn system_prompt(
    config: &Config,
    choices: &Choices,
    bench: &Workbench,
) -> (String, Vec<String>) {
    let workspace = config.workspace.display().to_string();
    let own = config.manifest.agent.instructions.clone();
    let mut instructions = own.unwrap_or_default();
    // A folder without the file, or with one that is no text, has no instructions.
    if let Some(agents) = agents(&config.workspace) {
        instructions = format!("{instructions}\n\n{agents}");
    }
    let (skills, problems) = skills(&config.workspace);
    let flavors = bench.jobs.flavors().await;
    let place = prompt::Place {
        workspace: &workspace,
        date: &today(),
        user: None,
        headless: choices.input.is_none(),
        // A limit that nobody set is no time to be used.
        time_limit: Some(choices.budget.time).filter(|time| *time != TIME),
        budget_micro_usd: choices.budget.usd.map(MicroUsd::micros),
        job_backend: Some(Backend {
            name: "local".into(),
            flavors: flavors.into_iter().map(flavor).collect(),
        }),
        skills,
        instructions: instructions.trim(),
    };
    let text = prompt::system(&place, bench.agent.toolbox.tools());
    (text, problems)
}

fn flavor(flavor: ml_intern_jobs::Flavor) -> Flavor {
    Flavor {
        description: format!(
            "{}: {} CPUs, {} GB",
            flavor.title,
            flavor.cpus,
            flavor.memory_mib / 1024
        ),
        name: flavor.name,
        accelerators: flavor.accelerators,
        accelerator_memory_mib: flavor.accelerator_memory_mib,
        usd_per_hour: flavor.hourly_usd,
    }
}

fn today() -> String {
    let now = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
    format!("{} (UTC)", now.split('T').next().unwrap_or_default())
}

/// The folder's own instructions, which anybody may have put there: a link leads nowhere else,
/// for a model's service gets what is read here.
fn agents(workspace: &Path) -> Option<String> {
    let text = text_below(workspace, AGENTS, 4 * INSTRUCTIONS_BYTES as u64)?;
    Some(text.chars().take(INSTRUCTIONS_BYTES).collect())
}

/// The beginning of a file of the workspace, where it is text.
fn text_below(workspace: &Path, path: &str, most: u64) -> Option<String> {
    let bytes = ml_intern_runtime::read_below(workspace, path, most).ok()?;
    match str::from_utf8(&bytes) {
        Ok(text) => Some(text.to_owned()),
        // Cut off within a letter.
        Err(error) if error.error_len().is_none() => {
            let whole = str::from_utf8(&bytes[..error.valid_up_to()]).ok()?;
            Some(whole.to_owned())
        }
        Err(_) => None,
    }
}

/// The workspace's skills by name, and those that say nothing usable of themselves.
fn skills(workspace: &Path) -> (Vec<Skill>, Vec<String>) {
    let (mut skills, mut problems) = (Vec::<Skill>::new(), Vec::new());
    for folder in SKILL_FOLDERS {
        let entries = std::fs::read_dir(workspace.join(folder));
        let entries = entries.into_iter().flatten().flatten().take(SKILLS);
        let mut names: Vec<_> = entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        for name in names {
            let path = format!("{folder}/{name}/{SKILL}");
            let Some(text) = text_below(workspace, &path, SKILL_BYTES) else {
                continue;
            };
            match skill::parse(&text) {
                // The first folder has the last word.
                Ok(header) if skills.iter().any(|known| known.name == header.name) => {}
                Ok(header) => skills.push(Skill {
                    name: header.name,
                    description: header.description,
                    path,
                }),
                Err(error) => problems.push(format!("{path}: {error}")),
            }
        }
    }
    skills.sort_by(|a, b| a.name.cmp(&b.name));
    (skills, problems)
}

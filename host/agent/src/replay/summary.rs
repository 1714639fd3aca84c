//! What a summary was made of: the model's words, and what the host knows.

use crate::approval::Effect;
use crate::context;
use crate::event::Event;
use crate::ports::Tool;
use crate::prompt;
use crate::state::State;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};

/// Where the host's part begins, one of these first.
const SECTIONS: [&str; 5] = [
    "What the user said since",
    "The plan",
    "Jobs",
    "Files that were written",
    "What was called",
];
/// Stands where the model had no words.
const NO_WORDS: &str = "(no summary could be made)";
/// Stands between the words and the facts when the frame is looked at.
const MARK: &str = "\u{0}";

/// The words that the model gave for this summary of the messages before `at`.
pub(super) fn words(summary: &str, at: usize, state: &State, tools: &[Tool]) -> String {
    let frame = prompt::summary(MARK, "");
    let (before, behind) = frame.split_once(MARK).unwrap_or_default();
    let text = summary.strip_prefix(before).unwrap_or(summary);
    let text = text
        .strip_suffix(behind.trim_start_matches('\n'))
        .unwrap_or(text);
    let text = text.strip_suffix('\n').unwrap_or(text);
    let calls = text.starts_with(NO_WORDS);
    let facts = format!("\n{}", context::facts(state, at, tools, calls));
    let words = match text.strip_suffix(&facts) {
        Some(words) => words,
        None => without_facts(text),
    };
    match words {
        NO_WORDS => String::new(),
        words => words.to_owned(),
    }
}

/// The text up to what looks like the host's first section.
fn without_facts(text: &str) -> &str {
    let begins = SECTIONS
        .iter()
        .filter_map(|title| text.find(&format!("\n\n{title}:\n")));
    let end = begins.min().unwrap_or(text.len());
    text.get(..end).unwrap_or(text)
}

/// Names of the tools that write files, as far as the log tells: those that changed one or asked to, and those whose
/// paths a summary lists as written, all of them.
pub(super) fn writers<'a>(events: impl Iterator<Item = &'a Event>) -> BTreeSet<String> {
    let mut names: HashMap<&str, &str> = HashMap::new();
    let mut paths: HashMap<&str, BTreeSet<&str>> = HashMap::new();
    let mut writers = BTreeSet::new();
    for event in events {
        match event {
            Event::ToolStarted {
                call,
                tool,
                arguments,
                ..
            } => {
                names.insert(call, tool);
                let path = arguments.get("path").and_then(Value::as_str);
                paths.entry(tool).or_default().extend(path);
            }
            Event::FileChanged { change } => {
                let name = names.get(change.call.as_str());
                writers.extend(name.map(|name| (*name).to_owned()));
            }
            Event::PermissionRequested { request } if request.effect == Effect::Edit => {
                writers.insert(request.tool.clone());
            }
            Event::Compacted { summary, .. } => {
                let files = files(summary);
                let all = paths
                    .iter()
                    .filter(|(_, paths)| !paths.is_empty() && paths.is_subset(&files));
                writers.extend(all.map(|(name, _)| (*name).to_owned()));
            }
            _ => {}
        }
    }
    writers
}

/// The paths that a summary lists as written.
fn files(summary: &str) -> BTreeSet<&str> {
    let title = format!("\n{}:\n", SECTIONS[3]);
    let Some((_, list)) = summary.split_once(&title) else {
        return BTreeSet::new();
    };
    let lines = list.lines().map_while(|line| line.strip_prefix("- "));
    lines.collect()
}

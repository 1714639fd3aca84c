//! What is there in a session, as the words that the topics of the system prompt are chosen by.

use super::hardware;
use super::place::{Flavor, Place, Skill};
use crate::arguments::shorten;
use crate::ports::Tool;
use std::time::Duration;

/// Names of tools that are listed; the model has all of them in the request anyway.
const TOOLS: usize = 100;
/// Skills that are listed.
const SKILLS: usize = 40;
/// Bytes of a skill's description; the whole stands in its file.
const DESCRIPTION_BYTES: usize = 300;
/// Bytes of a name; those of users and back ends are shorter.
const NAME_BYTES: usize = 100;
/// Bytes of the workspace's path; Linux takes no longer one.
const WORKSPACE_BYTES: usize = 4096;
/// Bytes of the path of a skill, of which there are many.
const PATH_BYTES: usize = 1024;
/// Bytes of the user's own instructions; more would crowd out the conversation.
const INSTRUCTIONS_BYTES: usize = 64 * 1024;

/// What tools are for, by the names that plugins give to tools of that kind.
const KINDS: [(&str, &[&str]); 13] = [
    ("shell", &["bash", "shell", "python"]),
    ("plan", &["plan", "plan_tool"]),
    ("submit", &["job_run", "hf_jobs"]),
    ("hf_jobs", &["hf_jobs"]),
    ("research", &["research"]),
    ("papers", &["hf_papers"]),
    (
        "documentation",
        &["explore_hf_docs", "fetch_hf_docs", "find_hf_api"],
    ),
    (
        "examples",
        &[
            "github_find_examples",
            "github_list_repos",
            "github_read_file",
        ],
    ),
    ("web", &["web_search"]),
    ("datasets", &["hf_inspect_dataset"]),
    ("repositories", &["hf_repo_files", "hf_repo_git"]),
    ("sandbox", &["sandbox_create"]),
    ("notify", &["notify"]),
];

/// A session as the topics see it.
pub(super) struct Session<'a> {
    place: &'a Place<'a>,
    tools: &'a [Tool],
    /// Each word that a topic may ask for, and whether it holds.
    words: Vec<(&'static str, bool)>,
}

impl<'a> Session<'a> {
    pub(super) fn new(place: &'a Place<'a>, tools: &'a [Tool]) -> Self {
        let words = words(place, tools);
        Self {
            place,
            tools,
            words,
        }
    }

    /// Whether all of `conditions` hold: words joined by `+`, each with `!` before it for its opposite.
    /// A word that does not exist never holds.
    pub(super) fn holds(&self, conditions: &str) -> bool {
        conditions.split('+').all(|condition| {
            let word = condition.trim_start_matches('!');
            let found = self.words.iter().find(|(known, _)| *known == word);
            found.is_some_and(|(_, holds)| *holds != condition.starts_with('!'))
        })
    }

    /// What stands for `{name}` in a topic; none for a name that does not exist.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        let place = self.place;
        Some(match name {
            "workspace" => plain(place.workspace, WORKSPACE_BYTES),
            "tool_count" => self.tools.len().to_string(),
            "tools" => listed(self.tools),
            "date" => plain(place.date, NAME_BYTES),
            "user" => plain(place.user.unwrap_or_default(), NAME_BYTES),
            "space_owner" => plain(place.user.unwrap_or("<user>"), NAME_BYTES),
            "time_limit" => time(place.time_limit.unwrap_or_default()),
            "budget" => dollars(place.budget_micro_usd.unwrap_or_default()),
            "jobs" => of_kind(self.tools, "submit"),
            "job_backend" => plain(backend(place).0, NAME_BYTES),
            "flavors" => hardware::table(backend(place).1),
            "sizes" => hardware::sizes(backend(place).1),
            "skills" => skills(&place.skills),
            "instructions" => shorten(place.instructions.trim(), INSTRUCTIONS_BYTES),
            kind if KINDS.iter().any(|(known, _)| *known == kind) => of_kind(self.tools, kind),
            _ => return None,
        })
    }
}

/// What is there, word by word.
fn words(place: &Place<'_>, tools: &[Tool]) -> Vec<(&'static str, bool)> {
    let has = |kind| names_of(tools, kind).next().is_some();
    let jobs = place.job_backend.is_some() && has("submit");
    let (name, flavors) = backend(place);
    let local = jobs && name == "local";
    let huggingface = jobs && name == "huggingface";
    let run = has("shell") || has("sandbox") || jobs;
    let hub = huggingface || has("hf_jobs") || has("sandbox") || has("repositories");
    let reads = ["documentation", "examples", "web"].into_iter().any(has);
    let literature = has("research") || has("papers");
    vec![
        ("tools", !tools.is_empty()),
        ("date", !place.date.is_empty()),
        ("user", place.user.is_some()),
        ("headless", place.headless),
        ("time", place.time_limit.is_some()),
        ("budget", place.budget_micro_usd.is_some()),
        ("skills", !place.skills.is_empty()),
        ("instructions", !place.instructions.trim().is_empty()),
        // Code can be written, and it can be run.
        ("code", run || tools.iter().any(|t| t.powers.writes_files)),
        ("run", run),
        // A GPU may be there: the local back end does not tell.
        (
            "gpu",
            run && (local || has("sandbox") || hardware::has_gpu(flavors)),
        ),
        ("jobs", jobs),
        ("local", local),
        ("remote", jobs && !local),
        ("huggingface", huggingface),
        ("flavors", jobs && !flavors.is_empty()),
        ("hub", hub),
        // Jobs can push to the Hub with the user's token.
        ("push", huggingface || jobs && has("hf_jobs")),
        ("trackio", huggingface || has("hf_jobs") || has("sandbox")),
        ("literature", literature),
        ("lookup", literature || reads),
        ("research", has("research")),
        ("papers", has("papers")),
        ("documentation", has("documentation")),
        ("examples", has("examples")),
        ("web", has("web")),
        ("datasets", has("datasets")),
        ("sandbox", has("sandbox")),
        ("plan", has("plan")),
        ("notify", has("notify")),
    ]
}

fn backend<'a>(place: &'a Place<'_>) -> (&'a str, &'a [Flavor]) {
    match &place.job_backend {
        Some(backend) => (&backend.name, &backend.flavors),
        None => ("", &[]),
    }
}

/// The session's tools of a kind, in the kind's order.
fn names_of<'a>(tools: &'a [Tool], kind: &str) -> impl Iterator<Item = &'a str> {
    let kind = KINDS.iter().find(|(known, _)| *known == kind);
    let names = kind.map_or(&[][..], |(_, names)| *names);
    names.iter().filter_map(move |name| {
        let found = tools.iter().find(|tool| tool.name == *name);
        found.map(|tool| tool.name.as_str())
    })
}

fn of_kind(tools: &[Tool], kind: &str) -> String {
    let names = names_of(tools, kind).map(|name| format!("`{name}`"));
    names.collect::<Vec<_>>().join(", ")
}

fn listed(tools: &[Tool]) -> String {
    let names = tools.iter().take(TOOLS);
    let names = names.map(|tool| format!("`{}`", tool.name));
    let mut text = names.collect::<Vec<_>>().join(", ");
    if tools.len() > TOOLS {
        text.push_str(&format!(" and {} more", tools.len() - TOOLS));
    }
    text
}

fn skills(skills: &[Skill]) -> String {
    let mut lines: Vec<_> = skills
        .iter()
        .take(SKILLS)
        .map(|skill| {
            format!(
                "- `{}` (`{}`): {}",
                plain(&skill.name, NAME_BYTES),
                plain(&skill.path, PATH_BYTES),
                line(&skill.description, DESCRIPTION_BYTES)
            )
        })
        .collect();
    if skills.len() > SKILLS {
        lines.push(format!("- and {} more", skills.len() - SKILLS));
    }
    lines.join("\n")
}

/// On one line, so that a name or path cannot pass for a heading of the prompt.
fn plain(text: &str, bytes: usize) -> String {
    shorten(&text.replace(char::is_control, " "), bytes)
}

/// On one line, with single blanks.
pub(super) fn line(text: &str, bytes: usize) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>();
    plain(&words.join(" "), bytes)
}

/// A time in at most two units.
fn time(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes, seconds) {
        (0, 0, s) => format!("{s} s"),
        (0, m, 0) => format!("{m} min"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, 0, _) => format!("{h} h"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

/// Dollars with cents, and with smaller parts only where there are any.
fn dollars(micro: u64) -> String {
    let (whole, parts) = (micro / 1_000_000, micro % 1_000_000);
    match parts % 10_000 {
        0 => format!("${whole}.{:02}", parts / 10_000),
        _ => format!("${whole}.{parts:06}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_dollars_are_short() {
        let times = [(45, "45 s"), (90, "1 min 30 s"), (600, "10 min")];
        let longer = [(7200, "2 h"), (9000, "2 h 30 min"), (90_000, "25 h")];
        for (seconds, text) in times.into_iter().chain(longer) {
            assert_eq!(time(Duration::from_secs(seconds)), text);
        }
        assert_eq!(dollars(5_000_000), "$5.00");
        assert_eq!(dollars(250_000), "$0.25");
        assert_eq!(dollars(1_000_500), "$1.000500");
    }

    #[test]
    fn conditions_are_words_that_hold_or_do_not() {
        let place = Place {
            headless: true,
            ..Place::default()
        };
        let session = Session::new(&place, &[]);
        for holds in ["headless", "!tools", "headless+!tools", "!user+headless"] {
            assert!(session.holds(holds), "{holds}");
        }
        for fails in [
            "tools",
            "!headless",
            "headless+tools",
            "unheard",
            "!unheard",
        ] {
            assert!(!session.holds(fails), "{fails}");
        }
    }

    #[test]
    fn a_name_stays_on_its_line() {
        assert_eq!(plain("a\nb  c", 100), "a b  c");
        assert_eq!(line(" a\n\n# b\u{2028}c ", 100), "a # b c");
        assert_eq!(line("abcdef", 3), "abc…");
    }
}

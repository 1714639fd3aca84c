//! The system prompt as the model gets it: whole texts of some sessions, and what must be in it and what must not.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "prompt/sessions.rs"]
mod sessions;

use ml_intern_agent::prompt::{Flavor, Place, Skill, system};
use sessions::*;
use std::path::Path;

/// Compares with `tests/prompt/<name>.md`; with `UPDATE_SNAPSHOTS=1` writes it instead.
#[expect(
    clippy::disallowed_methods,
    reason = "the test, unlike the crate, has files and an environment"
)]
fn check(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/prompt")
        .join(name)
        .with_extension("md");
    let text = format!("{text}\n");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some_and(|value| value == "1") {
        std::fs::write(&path, &text).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    if expected == text {
        return;
    }
    let mut pairs = (1..).zip(lines(&expected).zip(lines(&text)));
    let (line, (old, new)) = pairs.find(|(_, (old, new))| old != new).unwrap();
    panic!(
        "{} differs first in line {line}\n- {}\n+ {}\nUPDATE_SNAPSHOTS=1 writes what is rendered now; read the difference",
        path.display(),
        old.unwrap_or("(end)"),
        new.unwrap_or("(end)")
    );
}

/// The lines, then no end of nothing.
fn lines(text: &str) -> impl Iterator<Item = Option<&str>> {
    let some = text.split('\n').map(Some);
    some.chain(std::iter::repeat(None))
}

#[test]
fn no_tools() {
    check("no_tools", &system(&Place::default(), &[]));
}

#[test]
fn only_a_plan() {
    let place = Place {
        workspace: "/home/ada/task",
        date: "2026-01-31",
        ..Place::default()
    };
    check("only_a_plan", &system(&place, &tools(&["plan"])));
}

#[test]
fn built_in() {
    let text = system(&local(), &tools(BUILT_IN));
    assert!(text.len() < 9_000, "{} bytes", text.len());
    check("built_in", &text);
}

#[test]
fn everything() {
    let text = system(&everything_place(), &tools(EVERYTHING));
    assert!(text.len() < 20_000, "{} bytes", text.len());
    check("everything", &text);
}

#[test]
fn each_rule_is_in_the_full_prompt() {
    let text = system(&everything_place(), &tools(EVERYTHING));
    let missing: Vec<_> = RULES.iter().filter(|rule| !text.contains(**rule)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

/// Words that belong to a rule, for rules that only certain sessions have: without its tool a rule
/// would send the model to something that does not exist.
#[test]
fn a_rule_about_something_absent_is_absent() {
    let full = system(&everything_place(), &tools(EVERYTHING));
    for (tools_of_rule, words) in RULES_OF_TOOLS {
        let rest: Vec<_> = EVERYTHING
            .iter()
            .copied()
            .filter(|name| !tools_of_rule.contains(name))
            .collect();
        let mut place = everything_place();
        if *tools_of_rule == TRACKIO {
            // Jobs on the Hub speak of Trackio too.
            place.job_backend = local().job_backend;
        }
        let text = system(&place, &tools(&rest));
        for word in *words {
            assert!(full.contains(word), "{word}");
            assert!(!text.contains(word), "{word} without {tools_of_rule:?}");
        }
    }
}

#[test]
fn the_built_in_prompt_speaks_of_nothing_on_the_hub() {
    let text = system(&local(), &tools(BUILT_IN));
    for word in [
        "push_to_hub",
        "rackio",
        "HF_TOKEN",
        "sandbox",
        "hf_",
        "arXiv",
        "a10g",
        "remote",
        "Nobody reads along",
        "Skills",
        "notified",
    ] {
        assert!(!text.contains(word), "{word}");
    }
    for word in [
        "at least 2 h",
        "`job_run`",
        "`local` back end is this machine",
    ] {
        assert!(text.contains(word), "{word}");
    }
}

#[test]
fn tools_for_jobs_without_a_back_end_run_none() {
    let place = Place {
        job_backend: None,
        ..everything_place()
    };
    let text = system(&place, &tools(BUILT_IN));
    for word in ["# Jobs", "# Hardware", "30 minutes", "smoke test"] {
        assert!(!text.contains(word), "{word}");
    }
}

#[test]
fn a_back_end_without_hardware_of_its_own_says_so() {
    let mut place = everything_place();
    place.job_backend.as_mut().unwrap().flavors.clear();
    let text = system(&place, &tools(EVERYTHING));
    assert!(text.contains("lists no hardware") && !text.contains("| flavor |"));
    assert!(text.contains("1–3B parameters 48 GB, 7–13B 80 GB"));
}

#[test]
fn flavors_are_chosen_from_those_that_the_back_end_lists() {
    let mut place = everything_place();
    let backend = place.job_backend.as_mut().unwrap();
    backend.name = "cluster".into();
    backend.flavors = vec![flavor("node", "64 CPUs, 8 x H100", 8, 80, None)];
    let text = system(&place, &tools(BUILT_IN));
    assert!(text.contains("| `node` | 64 CPUs, 8 x H100 | 8 × 80 GB | unknown |"));
    assert!(text.contains("70B and more 640 GB (cheapest here `node`)"));
    assert!(!text.contains("a10g") && !text.contains("push_to_hub"));
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let render = || system(&everything_place(), &tools(EVERYTHING));
    assert_eq!(render(), render());
    assert!(render().contains("The session began on 2026-01-31."));
}

#[test]
fn what_users_wrote_stands_as_they_wrote_it() {
    let written = "@tools - {workspace} {tools} {{x}} {unknown}\n@!tools {";
    let place = Place {
        workspace: "/data/{tools}/{date}",
        user: Some("{workspace}"),
        instructions: written,
        skills: vec![Skill {
            name: "s".into(),
            description: "uses {user}".into(),
            path: "/skills/{s}/SKILL.md".into(),
        }],
        ..everything_place()
    };
    let text = system(&place, &tools(EVERYTHING));
    assert!(text.ends_with(&format!("# The user's instructions\n\n{written}")));
    assert!(text.contains("The workspace is `/data/{tools}/{date}`"));
    assert!(text.contains("name on the Hub is `{workspace}`"));
    assert!(text.contains("- `s` (`/skills/{s}/SKILL.md`): uses {user}"));
}

#[test]
fn no_placeholder_or_condition_is_left() {
    let bare = Place {
        workspace: "/home/ada",
        ..Place::default()
    };
    let places = [bare, local(), everything_place()];
    for place in &places {
        for names in [&[][..], BUILT_IN, EVERYTHING] {
            let text = system(place, &tools(names));
            assert!(!text.contains(['{', '}']), "{text}");
            assert!(!text.lines().any(|line| line.starts_with('@')), "{text}");
            assert!(!text.contains("\n\n\n") && !text.contains("``"), "{text}");
        }
    }
}

#[test]
fn lists_and_texts_have_an_end() {
    let long = "word ".repeat(2_000);
    let longer = "word ".repeat(20_000);
    let names: Vec<_> = (0..300)
        .map(|n| format!("tool_{n}_{}", "x".repeat(50)))
        .collect();
    let names: Vec<_> = names
        .iter()
        .map(String::as_str)
        .chain(["job_run"])
        .collect();
    let mut place = everything_place();
    let skill = Skill {
        name: long.clone(),
        description: format!("# heading\n{long}"),
        path: "SKILL.md".into(),
    };
    place.skills = vec![skill; 1000];
    let flavor = Flavor {
        name: long.clone(),
        description: long.clone(),
        ..Flavor::default()
    };
    place.job_backend.as_mut().unwrap().flavors = vec![flavor; 1000];
    place.user = Some(&long);
    place.workspace = &long;
    place.instructions = &longer;
    let text = system(&place, &tools(&names));
    assert!(text.len() < 130_000, "{} bytes", text.len());
    for more in ["and 201 more", "- and 960 more", "And 960 more flavors."] {
        assert!(text.contains(more), "{more}");
    }
    assert!(!text.contains("\n# heading"));
}

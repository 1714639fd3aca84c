//! The system prompt, rendered from what is really there.
//!
//! Each topic is a file. A line of it that begins with `@words` belongs to sessions in which the words
//! hold, see [`Session::holds`]; a topic of which nothing but the heading is left is left out. `{name}`
//! stands for a value of the session. Values are put in last and once, so braces and `@` in what users
//! wrote mean nothing.

use super::place::Place;
use super::session::Session;
use crate::ports::Tool;

/// In the order of the prompt: the user's own words come last, for they count most.
const TOPICS: [&str; 15] = [
    include_str!("../prompts/role.md"),
    include_str!("../prompts/place.md"),
    include_str!("../prompts/research.md"),
    include_str!("../prompts/data.md"),
    include_str!("../prompts/training.md"),
    include_str!("../prompts/sandbox.md"),
    include_str!("../prompts/jobs.md"),
    include_str!("../prompts/hardware.md"),
    include_str!("../prompts/monitoring.md"),
    include_str!("../prompts/plan.md"),
    include_str!("../prompts/errors.md"),
    include_str!("../prompts/done.md"),
    include_str!("../prompts/headless.md"),
    include_str!("../prompts/answers.md"),
    include_str!("../prompts/skills.md"),
];
const INSTRUCTIONS: &str = include_str!("../prompts/instructions.md");

/// Renders the system prompt; the same input gives the same bytes.
pub fn system(place: &Place<'_>, tools: &[Tool]) -> String {
    let session = Session::new(place, tools);
    let topics = TOPICS.iter().chain([&INSTRUCTIONS]);
    let topics = topics.filter_map(|topic| render(topic, &session));
    topics.collect::<Vec<_>>().join("\n\n")
}

/// The lines of a topic that apply; none where it has no more to say than its heading.
fn render(topic: &str, session: &Session<'_>) -> Option<String> {
    let lines: Vec<_> = topic
        .lines()
        .filter_map(|line| match condition(line) {
            Some((words, rest)) => session.holds(words).then_some(rest),
            None => Some(line),
        })
        .collect();
    let says = |line: &&str| !line.is_empty() && !line.starts_with('#');
    lines.iter().any(says).then(|| {
        let text = lines.join("\n");
        fill(text.trim(), |name| session.value(name))
    })
}

/// Splits `@words rest`; only the blank after the words is no part of the rest.
fn condition(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix('@')?.split_once(' ')
}

/// Puts values for names in braces. What was put in is not looked at again, and braces around
/// anything else stay.
fn fill(template: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let known = after.split_once('}');
        match known.and_then(|(name, tail)| Some((value(name)?, tail))) {
            Some((value, tail)) => {
                text.push_str(&value);
                rest = tail;
            }
            None => {
                text.push('{');
                rest = after;
            }
        }
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> impl Iterator<Item = &'static str> {
        let topics = TOPICS.iter().chain([&INSTRUCTIONS]);
        topics.flat_map(|topic| topic.lines())
    }

    #[test]
    fn every_condition_and_every_name_of_a_topic_exists() {
        let place = Place::default();
        let session = Session::new(&place, &[]);
        for line in lines() {
            let (words, rest) = condition(line).unwrap_or(("", line));
            for word in words.split('+').filter(|word| !word.is_empty()) {
                let word = word.trim_start_matches('!');
                let opposite = format!("!{word}");
                let known = session.holds(word) || session.holds(&opposite);
                assert!(known, "`{word}` in: {line}");
            }
            assert!(!rest.starts_with('@'), "{line}");
            let filled = fill(rest, |name| session.value(name).map(|_| String::new()));
            assert!(!filled.contains(['{', '}']), "{line}");
        }
    }

    #[test]
    fn every_topic_begins_with_a_heading_but_the_first() {
        for topic in &TOPICS[1..] {
            assert!(topic.starts_with("# "), "{topic}");
        }
    }

    #[test]
    fn values_are_put_in_once() {
        let value = |name: &str| match name {
            "a" => Some("{b}{a}".to_owned()),
            "b" => Some("never".to_owned()),
            _ => None,
        };
        assert_eq!(fill("x{a}y{c} {{a} {", value), "x{b}{a}y{c} {{b}{a} {");
    }
}

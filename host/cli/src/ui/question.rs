//! What a person is asked, drawn so that nothing of it can hide.

use super::clean::{cut, visible};
use super::format::cost;
use super::style::Style;
use ml_intern_agent::approval::{Decision, Effect};
use ml_intern_agent::event::PermissionRequest;
use ml_intern_agent::money::MicroUsd;
use serde_json::Value;

/// The answers that the terminal takes.
pub(crate) const CHOICES: &str =
    "  [y]es, [n]o, for the [s]ession, in this [f]older, [a]lways, or words to the model: ";
/// Lines of a command: a person who says yes has seen it, so this is far above what anybody writes in one call.
const COMMAND_LINES: usize = 200;
/// Characters of a command.
const COMMAND_CHARACTERS: usize = 16 * 1024;
/// Lines of a script or of any other text; whoever wants more says no.
const TEXT_LINES: usize = 30;
/// Characters of one line.
const WIDTH: usize = 2000;
/// Fields of a detail, and items of a list.
const FIELDS: usize = 32;

/// The question without the answers: who wants what, in full, for how much, and what it may reach. `caller` is the
/// tool that made the call, where the model did not.
pub(crate) fn question(
    request: &PermissionRequest,
    caller: Option<&str>,
    style: Style,
) -> Vec<String> {
    let called = caller.map(|tool| format!(", called by {},", inline(tool)));
    let heading = format!(
        "? {} of {}{} wants {}",
        inline(&request.tool),
        inline(&request.plugin),
        called.unwrap_or_default(),
        inline(&request.summary)
    );
    let mut lines = vec![style.yellow(&heading)];
    match request.effect {
        Effect::Process => lines.extend(command(&request.detail)),
        Effect::Edit | Effect::Job | Effect::Network | Effect::Budget => {
            lines.extend(fields(&request.detail))
        }
    }
    if let Some(price) = request.price_usd.filter(|price| *price > MicroUsd::ZERO) {
        lines.push(style.bold(&format!("    price: at most {}", cost(Some(price)))));
    }
    if let Some(why) = &request.blocked {
        lines.push(style.yellow(&format!("    asked because {}", inline(why))));
    }
    if !request.grants.is_empty() {
        let grants = inline(&request.grants.join("; "));
        lines.push(style.dim(&format!("    it {grants}")));
    }
    lines
}

/// What came of it, for those who do not see the answer being typed.
pub(crate) fn resolution(decision: Decision, by: &str, feedback: Option<&str>) -> String {
    let word = match (decision, by) {
        (_, "nobody") => "denied: nobody is there to ask",
        (_, "input") => "abandoned: you went on without answering",
        (Decision::Allow, _) => "allowed",
        (Decision::AllowSession, _) => "allowed for the session",
        (Decision::AllowProject, _) => "allowed in this folder",
        (Decision::AllowAlways, _) => "allowed always",
        (Decision::Deny, _) => "denied",
    };
    match feedback {
        Some(words) => format!("    {word}: {}", inline(words)),
        None => format!("    {word}"),
    }
}

/// A program and its arguments as a shell would take them.
fn command(detail: &Value) -> Vec<String> {
    let program = detail["program"].as_str().unwrap_or_default();
    let arguments = detail["arguments"].as_array().into_iter().flatten();
    let words = std::iter::once(program).chain(arguments.filter_map(Value::as_str));
    let words = words.map(quoted).collect::<Vec<_>>().join(" ");
    let shown = words.chars().take(COMMAND_CHARACTERS).collect::<String>();
    let mut lines = block(&shown, COMMAND_LINES, COMMAND_CHARACTERS);
    if shown.len() < words.len() {
        let left = words[shown.len()..].chars().count();
        lines.push(format!("    … {left} more characters"));
    }
    if let Some(cwd) = detail["cwd"].as_str() {
        lines.push(format!("    in {}", inline(cwd)));
    }
    lines
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// The fields of an object, one after the other; what is not set is left out.
fn fields(detail: &Value) -> Vec<String> {
    let Value::Object(all) = detail else {
        return block(&detail.to_string(), TEXT_LINES, WIDTH);
    };
    let mut lines = Vec::new();
    for (name, value) in all.iter().take(FIELDS) {
        let name = inline(name);
        match value {
            Value::Null => {}
            Value::Array(items) if items.is_empty() => {}
            Value::Object(entries) if entries.is_empty() => {}
            Value::String(text) if text.contains('\n') => {
                lines.push(format!("    {name}:"));
                let excerpt = block(text, TEXT_LINES, WIDTH);
                lines.extend(excerpt.into_iter().map(|line| format!("  {line}")));
            }
            Value::String(text) => lines.push(format!("    {name}: {}", inline(text))),
            Value::Array(items) if items.iter().all(Value::is_string) => {
                let words = items.iter().filter_map(Value::as_str).map(quoted);
                let words = words.take(FIELDS).collect::<Vec<_>>().join(" ");
                lines.push(format!(
                    "    {name}: {}{}",
                    inline(&words),
                    more(items.len())
                ));
            }
            other => lines.push(format!("    {name}: {}", inline(&other.to_string()))),
        }
    }
    if all.len() > FIELDS {
        lines.push(format!("    … {} more", all.len() - FIELDS));
    }
    lines
}

fn more(items: usize) -> String {
    match items.checked_sub(FIELDS) {
        None | Some(0) => String::new(),
        Some(left) => format!(" … {left} more"),
    }
}

/// Text in lines of its own, with what is left out counted.
fn block(text: &str, limit: usize, width: usize) -> Vec<String> {
    let text = visible(text.trim_end_matches('\n'));
    let total = text.lines().count();
    let shown = text.lines().take(limit);
    let mut lines = shown
        .map(|line| format!("    {}", cut(line, width)))
        .collect::<Vec<_>>();
    if total > limit {
        lines.push(format!("    … {} more lines", total - limit));
    }
    lines
}

fn inline(text: &str) -> String {
    cut(&visible(text).replace('\n', "⏎"), WIDTH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn drawn(effect: Effect, detail: Value, price_usd: Option<f64>) -> String {
        let request = PermissionRequest {
            id: "p".into(),
            call: "c".into(),
            tool: "bash".into(),
            plugin: "us/shell@1.0.0".into(),
            effect,
            summary: "to run `sh`".into(),
            detail,
            operation: None,
            destructive: false,
            blocked: None,
            price_usd: price_usd.map(MicroUsd::from_usd),
            grants: vec!["runs programs: sh".into()],
        };
        question(&request, None, Style::plain()).join("\n")
    }

    #[test]
    fn a_command_is_shown_whole_and_as_it_is() {
        let detail = json!({"program": "sh", "arguments": ["-c", "echo 'a b'\ntrue\u{1b}]0;rm -rf ~\u{7}"], "cwd": null});
        assert_eq!(
            drawn(Effect::Process, detail, None),
            [
                "? bash of us/shell@1.0.0 wants to run `sh`",
                "    sh -c 'echo '\\''a b'\\''",
                "    true\\u{1b}]0;rm -rf ~\\u{7}'",
                "    it runs programs: sh",
            ]
            .join("\n")
        );
        let long = json!({"program": "sh", "arguments": ["-c", "x".repeat(20_000)]});
        let text = drawn(Effect::Process, long, None);
        assert!(text.contains("\n    … 3622 more characters\n"), "{text}");
    }

    #[test]
    fn a_job_is_shown_with_its_price_and_the_start_of_its_script() {
        let script = (1..=40)
            .map(|n| format!("print({n})\n"))
            .collect::<String>();
        let detail = json!({"name": "train", "flavor": null, "timeout_seconds": 60, "env": [], "arguments": ["--lr", "1 e"], "script": script});
        let text = drawn(Effect::Job, detail, Some(1.5));
        assert!(text.contains("\n    name: train\n    timeout_seconds: 60\n    arguments: --lr '1 e'\n    script:\n      print(1)\n"), "{text}");
        assert!(
            text.contains("\n      print(30)\n      … 10 more lines\n    price: at most $1.50\n"),
            "{text}"
        );
        assert!(!text.contains("flavor") && !text.contains("env"), "{text}");
    }

    #[test]
    fn no_detail_is_too_large_or_too_odd() {
        for detail in [
            json!(null),
            json!([1]),
            json!({"a": {"b": [null]}}),
            json!({"arguments": 1, "program": []}),
            json!({"content": "x".repeat(1 << 20)}),
            json!({"list": vec!["y"; 100_000]}),
        ] {
            for effect in [Effect::Edit, Effect::Process, Effect::Job] {
                let text = drawn(effect, detail.clone(), Some(0.0));
                assert!(text.len() < 64 * 1024 && !text.contains("price"), "{text}");
            }
        }
    }
}

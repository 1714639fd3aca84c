//! Whether a call came out as expected, and where not.

use super::super::call::{Called, Ended, json_of};
use super::ended;
use crate::ui;
use ml_intern_agent::event::AuditVerdict;
use ml_intern_manifest::{Expect, FileAfter, State};
use ml_intern_runtime::{Contents, read_below};
use serde_json::Value;
use std::path::Path;

/// Bytes of a file that is compared.
const FILE_BYTES: u64 = 16 << 20;
/// Characters of a value that a problem shows.
const SHOWN: usize = 300;
/// Lines of a difference that a problem shows.
const LINES: usize = 30;
/// Lines around a difference.
const AROUND: usize = 2;
/// Places where JSON differs that are told.
const PLACES: usize = 12;

/// What is not as expected.
pub(super) fn compare(expect: &Expect, called: &Called, workspace: &Path) -> Vec<String> {
    let mut problems = Vec::new();
    end(expect, called, &mut problems);
    // Of a call that ended in another way, what it says is told already.
    if problems.is_empty() {
        output(expect, called, &mut problems);
    }
    denied(expect, called, &mut problems);
    progress(expect, called, &mut problems);
    for (path, wanted) in &expect.files {
        file(path, wanted, workspace, &mut problems);
    }
    state(&expect.state, &called.kept.1, &mut problems);
    problems
}

/// Holds the end to the kind that is expected.
fn end(expect: &Expect, called: &Called, problems: &mut Vec<String>) {
    let wanted = match (expect.error, &expect.fault) {
        (Some(kind), _) => {
            if matches!(&called.ended, Ended::Error { kind: found, .. } if *found == kind.as_str())
            {
                return;
            }
            format!("the error `{}`", kind.as_str())
        }
        (None, Some(limit)) => {
            let found = match &called.ended {
                Ended::Fault { limit, .. } => limit.unwrap_or("trap"),
                _ => "",
            };
            if found == limit {
                return;
            }
            format!("a fault, `{limit}`")
        }
        (None, None) => match &called.ended {
            Ended::Output(output) if output.is_error == expect.failed => return,
            // A denial is an end of its own.
            Ended::Error { .. } if expect.denied.is_some() => return,
            Ended::Output(output) if output.is_error && expect.denied.is_some() => return,
            _ if expect.failed => "an output that says it failed".to_owned(),
            _ => "an output".to_owned(),
        },
    };
    let kind = match &called.ended {
        Ended::Error { kind, .. } => format!(" `{kind}`"),
        Ended::Fault { limit, .. } => format!(" `{}`", limit.unwrap_or("trap")),
        _ => String::new(),
    };
    problems.push(format!(
        "expected {wanted}, and there was {}{kind}: {}",
        ended(&called.ended),
        ui::one_line(&called.text(), SHOWN)
    ));
}

fn output(expect: &Expect, called: &Called, problems: &mut Vec<String>) {
    let text = called.text();
    if let Some(wanted) = &expect.output {
        let found = match &called.ended {
            Ended::Output(output) => json_of(output),
            _ => None,
        };
        match found {
            None => problems.push(format!(
                "expected JSON, and the output is text: {}",
                ui::one_line(&text, SHOWN)
            )),
            Some(found) => {
                let before = problems.len();
                within("output", wanted, &found, problems);
                if problems.len() > before + PLACES {
                    let more = problems.len() - before - PLACES;
                    problems.truncate(before + PLACES);
                    problems.push(format!("{more} more places of the output differ"));
                }
            }
        }
    }
    if let Some(wanted) = &expect.text
        && *wanted != text
    {
        problems.push(format!(
            "the text is another:\n{}",
            difference(wanted, &text)
        ));
    }
    for part in &expect.contains.0 {
        if !text.contains(part) {
            problems.push(format!(
                "no `{}` in: {}",
                ui::one_line(part, SHOWN),
                ui::one_line(&text, SHOWN)
            ));
        }
    }
}

/// Where `found` has not all of `wanted`. Objects may have more, all else is equal.
fn within(place: &str, wanted: &Value, found: &Value, problems: &mut Vec<String>) {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            for (key, value) in wanted {
                let place = format!("{place}.{}", ui::one_line(key, 64));
                match found.get(key) {
                    Some(found) => within(&place, value, found, problems),
                    None => problems.push(format!(
                        "{place}: expected {}, and there is none",
                        short(value)
                    )),
                }
            }
        }
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            for (number, (wanted, found)) in wanted.iter().zip(found).enumerate() {
                within(&format!("{place}[{number}]"), wanted, found, problems);
            }
        }
        // 3 and 3.0 are one number.
        (Value::Number(one), Value::Number(other)) if one.as_f64() == other.as_f64() => {}
        _ if wanted == found => {}
        _ => problems.push(format!(
            "{place}: expected {}, found {}",
            short(wanted),
            short(found)
        )),
    }
}

fn short(value: &Value) -> String {
    ui::one_line(&value.to_string(), SHOWN)
}

fn denied(expect: &Expect, called: &Called, problems: &mut Vec<String>) {
    let Some(wanted) = &expect.denied else {
        return;
    };
    let fits = |capability: &str| {
        capability == wanted
            || capability
                .strip_prefix(wanted.as_str())
                .is_some_and(|rest| rest.starts_with('.'))
    };
    let audits = called.touched.audits.iter();
    let denied = audits
        .filter(|audit| audit.verdict == AuditVerdict::Denied)
        .map(|audit| audit.capability.as_str())
        .collect::<Vec<_>>();
    if !denied.iter().any(|capability| fits(capability)) {
        let found = if denied.is_empty() {
            "the host denied nothing".to_owned()
        } else {
            format!("the host denied `{}`", denied.join("`, `"))
        };
        problems.push(format!(
            "expected that the host denies `{wanted}`, and {found}"
        ));
    }
}

fn progress(expect: &Expect, called: &Called, problems: &mut Vec<String>) {
    let mut said = called.touched.progress.iter();
    for wanted in &expect.progress {
        if !said.any(|message| message.contains(wanted)) {
            let all = called.touched.progress.join("`, `");
            problems.push(format!(
                "no progress `{}` in its place; there was `{}`",
                ui::one_line(wanted, SHOWN),
                ui::one_line(&all, SHOWN)
            ));
            return;
        }
    }
}

fn file(path: &str, wanted: &FileAfter, workspace: &Path, problems: &mut Vec<String>) {
    let shown = ui::one_line(path, SHOWN);
    let found = match read_below(workspace, path, FILE_BYTES) {
        Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => {
            problems.push(format!("the file `{shown}` cannot be read: {error}"));
            return;
        }
    };
    match (wanted, found) {
        (FileAfter::Absent, None) => {}
        (FileAfter::Absent, Some(_)) => {
            problems.push(format!(
                "there is a file `{shown}`, and there should be none"
            ));
        }
        (_, None) => problems.push(format!("there is no file `{shown}`")),
        (FileAfter::Text(wanted), Some(found)) if *wanted == found => {}
        (FileAfter::Text(wanted), Some(found)) => problems.push(format!(
            "the file `{shown}` is another:\n{}",
            difference(wanted, &found)
        )),
        (FileAfter::Contains(parts), Some(found)) => {
            for part in parts.0.iter().filter(|part| !found.contains(*part)) {
                let part = ui::one_line(part, SHOWN);
                problems.push(format!("the file `{shown}` has no `{part}`"));
            }
        }
    }
}

fn state(expect: &State, found: &Contents, problems: &mut Vec<String>) {
    let session = expect.session.iter().map(|kept| ("session", kept));
    let project = expect.project.iter().map(|kept| ("project", kept));
    for (bucket, (key, wanted)) in session.chain(project) {
        let place = format!("{bucket}/{}", ui::one_line(key, 64));
        match found.get(&(bucket, key.clone())) {
            None => problems.push(format!("`{place}` is not kept")),
            Some(value) if value == wanted.as_bytes() => {}
            Some(value) => problems.push(format!(
                "`{place}` is `{}`, expected `{}`",
                ui::one_line(&String::from_utf8_lossy(value), SHOWN),
                ui::one_line(wanted, SHOWN)
            )),
        }
    }
}

/// Lines that are only in `wanted` (`-`) and only in `found` (`+`), between those that both begin and end with.
fn difference(wanted: &str, found: &str) -> String {
    let (wanted, found): (Vec<&str>, Vec<&str>) =
        (wanted.split('\n').collect(), found.split('\n').collect());
    let pairs = wanted.iter().zip(&found);
    let head = pairs.take_while(|(one, other)| one == other).count();
    let (rest, others) = (&wanted[head..], &found[head..]);
    let pairs = rest.iter().rev().zip(others.iter().rev());
    let tail = pairs.take_while(|(one, other)| one == other).count();
    let mark = |sign: char, lines: &[&str]| {
        let lines = lines.iter();
        let lines = lines.map(|line| format!("{sign} {}", ui::clean(line).replace('\t', "→")));
        lines.collect::<Vec<_>>()
    };
    let mut lines = mark(' ', &wanted[head.saturating_sub(AROUND)..head]);
    lines.extend(bounded(mark('-', &rest[..rest.len() - tail])));
    lines.extend(bounded(mark('+', &others[..others.len() - tail])));
    let after = &rest[rest.len() - tail..];
    lines.extend(mark(' ', &after[..after.len().min(AROUND)]));
    let lines = lines.into_iter().map(|line| ui::cut(&line, SHOWN));
    lines.collect::<Vec<_>>().join("\n")
}

fn bounded(mut lines: Vec<String>) -> Vec<String> {
    if lines.len() > LINES {
        let more = lines.len() - LINES;
        lines.truncate(LINES);
        lines.push(format!("… {more} more lines"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn differs(wanted: Value, found: Value) -> Vec<String> {
        let mut problems = Vec::new();
        within("output", &wanted, &found, &mut problems);
        problems
    }

    #[test]
    fn an_output_may_have_more_keys_and_nothing_else() {
        let found = json!({ "words": 3, "lines": [{ "a": 1, "b": 2 }], "more": true });
        assert!(
            differs(
                json!({ "words": 3.0, "lines": [{ "a": 1 }] }),
                found.clone()
            )
            .is_empty()
        );
        assert_eq!(
            differs(
                json!({ "words": 4, "lines": [{ "a": "1" }], "none": null }),
                found.clone()
            ),
            [
                "output.words: expected 4, found 3",
                "output.lines[0].a: expected \"1\", found 1",
                "output.none: expected null, and there is none"
            ]
        );
        assert_eq!(differs(json!({ "lines": [] }), found).len(), 1);
        assert_eq!(differs(json!(null), json!(null)).len(), 0);
    }

    #[test]
    fn a_difference_shows_the_lines_that_differ_and_those_around() {
        let told = difference("a\nb\nc\nd\ne\nf", "a\nb\nc\nX\nY\ne\nf");
        assert_eq!(told, "  b\n  c\n- d\n+ X\n+ Y\n  e\n  f");
        assert_eq!(difference("a", "a\n"), "  a\n+ ");
        let long = difference("", &"x\n".repeat(100));
        assert!(long.contains("… 70 more lines"), "{long}");
        assert!(long.lines().count() < LINES + 5, "{long}");
        assert!(!difference("a", "\u{1b}[31m\u{202e}b").contains('\u{1b}'));
    }

    #[test]
    fn what_is_kept_is_compared_by_bucket_and_key() {
        let found = Contents::from([(("session", "hits".to_owned()), b"3".to_vec())]);
        let expect = |session: &str, project: &[(&str, &str)]| State {
            session: [("hits".to_owned(), session.to_owned())].into(),
            project: project
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
        };
        let mut problems = Vec::new();
        state(&expect("3", &[]), &found, &mut problems);
        assert!(problems.is_empty());
        state(&expect("4", &[("hits", "3")]), &found, &mut problems);
        assert_eq!(
            problems,
            [
                "`session/hits` is `3`, expected `4`",
                "`project/hits` is not kept"
            ]
        );
    }
}

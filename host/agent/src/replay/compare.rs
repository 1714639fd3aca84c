//! The first difference between two entries, in words.

use crate::event::Event;
use serde_json::Value;

/// Fields that cannot be equal, by type and path. The time of an entry is no field of it.
const IGNORED: [(&str, &str); 5] = [
    // Older logs do not say it.
    ("usage", "purpose"),
    // The loop gets what came of it, see `ports.rs`.
    ("permission.resolved", "edited"),
    ("session.started", "host"),
    ("session.resumed", "host"),
    ("tool.finished", "ms"),
];
/// Fields of calls, and sizes of the conversation, that real tools make others of.
const IGNORED_WITH_LIVE_TOOLS: [(&str, &str); 5] = [
    ("tool.started", "plugin"),
    ("tool.started", "repeatable"),
    ("compacted", "summary"),
    ("compacted", "before"),
    ("compacted", "after"),
];
/// How a result begins whose arguments a person edited into something that was refused. The log does not have what they
/// wrote, so that only the beginning can be equal.
pub(super) const EDITED_AND_REFUSED: &str = "the user edited the call, but ";

/// Bytes of an excerpt, and those of it that come before the difference.
const EXCERPT: usize = 80;
const BEFORE: usize = 24;

/// Which field differs first and how; none where the entries are the same.
pub(super) fn difference(expected: &Event, found: &Event, live: bool) -> Option<String> {
    if expected == found {
        return None;
    }
    let (expected, found) = (value(expected), value(found));
    let (was, is) = (name(&expected), name(&found));
    if was != is {
        return Some(format!("`{was}` was recorded, and the loop writes `{is}`"));
    }
    let (path, expected, found) = first(was, "", &expected, &found, live)?;
    let (expected, found) = excerpts(&expected, &found);
    Some(format!(
        "`{path}` of `{was}` was {expected}, and is {found}"
    ))
}

/// The type of an entry, as it stands in the log.
pub(super) fn type_of(event: &Event) -> String {
    name(&value(event)).to_owned()
}

/// Both texts from a little before their first difference, quoted.
pub(super) fn excerpts(expected: &str, found: &str) -> (String, String) {
    let pairs = expected.bytes().zip(found.bytes());
    let same = pairs.take_while(|(a, b)| a == b).count();
    (excerpt(expected, same), excerpt(found, same))
}

fn excerpt(text: &str, same: usize) -> String {
    let start = text.floor_char_boundary(same.saturating_sub(BEFORE));
    let end = text.floor_char_boundary(start + EXCERPT);
    let (head, tail) = (
        if start > 0 { "…" } else { "" },
        if end < text.len() { "…" } else { "" },
    );
    format!("`{head}{}{tail}`", &text[start..end])
}

fn value(event: &Event) -> Value {
    // Every entry was JSON or will be.
    serde_json::to_value(event).unwrap_or(Value::Null)
}

fn name(value: &Value) -> &str {
    let name = value.get("type").and_then(Value::as_str);
    name.unwrap_or_default()
}

fn is_ignored(event: &str, path: &str, live: bool) -> bool {
    IGNORED.contains(&(event, path)) || live && IGNORED_WITH_LIVE_TOOLS.contains(&(event, path))
}

fn first(
    event: &str,
    path: &str,
    expected: &Value,
    found: &Value,
    live: bool,
) -> Option<(String, String, String)> {
    if expected == found || is_ignored(event, path, live) {
        return None;
    }
    match (expected, found) {
        (Value::Object(was), Value::Object(is)) => {
            let names = was
                .keys()
                .chain(is.keys().filter(|name| !was.contains_key(*name)));
            let mut fields = names.map(|name| {
                let path = match path {
                    "" => name.clone(),
                    path => format!("{path}.{name}"),
                };
                (path, field(was.get(name)), field(is.get(name)))
            });
            fields.find_map(|(path, was, is)| first(event, &path, was, is, live))
        }
        (Value::Array(was), Value::Array(is)) if was.len() == is.len() => {
            let mut items = was.iter().zip(is).enumerate();
            items.find_map(|(index, (was, is))| {
                first(event, &format!("{path}[{index}]"), was, is, live)
            })
        }
        (Value::String(was), Value::String(is))
            if (event, path) == ("tool.finished", "content")
                && was.starts_with(EDITED_AND_REFUSED)
                && is.starts_with(EDITED_AND_REFUSED) =>
        {
            None
        }
        _ => Some((path.to_owned(), text(expected), text(found))),
    }
}

/// A field that is not there says as much as one that says nothing.
fn field(value: Option<&Value>) -> &Value {
    value.unwrap_or(&Value::Null)
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "nothing".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::CallStatus;

    fn finished(content: &str, ms: u64) -> Event {
        Event::ToolFinished {
            call: "c1.0".into(),
            index: 0,
            tool: "look".into(),
            status: CallStatus::Ok,
            content: content.into(),
            images: Vec::new(),
            ms,
        }
    }

    #[test]
    fn time_is_no_difference_and_a_field_is_named_with_both_sides() {
        assert_eq!(
            difference(&finished("a", 1), &finished("a", 2), false),
            None
        );
        let long = "é".repeat(100);
        let what = difference(
            &finished(&format!("{long}x"), 1),
            &finished(&format!("{long}y"), 1),
            false,
        );
        let what = what.unwrap();
        assert!(
            what.starts_with("`content` of `tool.finished` was `…é"),
            "{what}"
        );
        assert!(
            what.contains("x`, and is `…") && what.ends_with("y`"),
            "{what}"
        );
    }

    #[test]
    fn another_type_is_said_before_any_field() {
        let other = Event::InputTaken {};
        assert_eq!(
            difference(&other, &finished("", 0), false).unwrap(),
            "`input.taken` was recorded, and the loop writes `tool.finished`"
        );
    }
}

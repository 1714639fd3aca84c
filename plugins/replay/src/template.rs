//! Text with references to tool results, such as `{{c6#/accuracy|percent}}`.
//!
//! A reference begins with `{{` and the id of a call, and ends with `}}`; any other `{{` is text.
//! `{{{{` in front of what looks like the rest of a reference stands for `{{` as text.

use regex::Regex;
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// Bytes of a whole result that a reference puts into a reply.
const MAX_WHOLE: usize = 32 << 10;

/// Bytes of a compiled pattern.
const MAX_PATTERN: usize = 1 << 20;

/// Results by the id of their call, as text.
pub(crate) type Results<'a> = HashMap<&'a str, &'a str>;

/// Text in pieces.
#[derive(Debug, Default)]
pub(crate) struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug)]
enum Piece {
    Text(String),
    Reference(Reference),
}

#[derive(Debug)]
struct Reference {
    /// As it is written, for messages.
    written: String,
    call: String,
    place: Place,
    format: Format,
}

#[derive(Debug)]
enum Place {
    /// The whole result.
    Whole,
    /// A JSON pointer into the result (RFC 6901).
    Pointer(String),
    /// The first group of a pattern, or all of its match when it has no group.
    Pattern(Box<Regex>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Format {
    Plain,
    /// A share as a percentage with one decimal: 0.9765 is `97.7%`.
    Percent,
    /// A number with this many decimals.
    Fixed(usize),
}

/// Whether `text` can be the id of a recorded call.
pub(crate) fn is_call_id(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

impl Template {
    /// Reads the references of a text.
    ///
    /// # Errors
    /// A sentence for a reference without an end, or with a pattern or format that cannot be.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("{{") {
            plain.push_str(&rest[..at]);
            let inside = &rest[at + 2..];
            if let Some(after) = inside
                .strip_prefix("{{")
                .filter(|after| begins_reference(after))
            {
                plain.push_str("{{");
                rest = after;
                continue;
            }
            if !begins_reference(inside) {
                // One brace only: `{{{c1}}` is a brace and a reference.
                plain.push('{');
                rest = &rest[at + 1..];
                continue;
            }
            let Some(end) = end(inside) else {
                return Err(format!("`{}` has no end `}}}}`", shown(&rest[at..])));
            };
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
            pieces.push(Piece::Reference(Reference::parse(&inside[..end])?));
            rest = &inside[end + 2..];
        }
        plain.push_str(rest);
        pieces.push(Piece::Text(plain));
        pieces.retain(|piece| !matches!(piece, Piece::Text(text) if text.is_empty()));
        Ok(Self { pieces })
    }

    /// Checks that every reference names a known call.
    pub(crate) fn check(&self, known: &HashSet<String>) -> Result<(), String> {
        let mut references = self.pieces.iter().filter_map(|piece| match piece {
            Piece::Reference(reference) => Some(reference),
            Piece::Text(_) => None,
        });
        match references.find(|reference| !known.contains(&reference.call)) {
            Some(reference) => Err(format!(
                "`{}` names a call that no earlier step makes; write `{{{{{{{{` for a literal `{{{{`",
                reference.written
            )),
            None => Ok(()),
        }
    }

    /// The text, with references resolved.
    ///
    /// # Errors
    /// A sentence that names the reference and why it leads nowhere.
    pub(crate) fn text(&self, results: &Results<'_>) -> Result<String, String> {
        let mut all = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => all.push_str(text),
                Piece::Reference(reference) => match reference.value(results)? {
                    Value::String(text) => all.push_str(&text),
                    other => all.push_str(&other.to_string()),
                },
            }
        }
        Ok(all)
    }

    /// As [`Template::text`], but what is one reference and nothing else keeps its JSON type.
    pub(crate) fn value(&self, results: &Results<'_>) -> Result<Value, String> {
        match &self.pieces[..] {
            [Piece::Reference(reference)] => reference.value(results),
            _ => self.text(results).map(Value::String),
        }
    }
}

/// `value` with the references of every string inside it resolved.
pub(crate) fn resolve(value: &Value, results: &Results<'_>) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => Template::parse(text)?.value(results)?,
        Value::Array(list) => Value::Array(
            list.iter()
                .map(|value| resolve(value, results))
                .collect::<Result<_, _>>()?,
        ),
        Value::Object(map) => {
            let pairs = map
                .iter()
                .map(|(key, value)| Ok((key.clone(), resolve(value, results)?)));
            Value::Object(pairs.collect::<Result<_, String>>()?)
        }
        other => other.clone(),
    })
}

/// Whether a reference follows: a call id, and one of the characters that go on after it.
fn begins_reference(inside: &str) -> bool {
    let id = inside.find(|next: char| !next.is_ascii_alphanumeric() && next != '_' && next != '-');
    let id = id.unwrap_or(inside.len());
    let next = &inside[id..];
    is_call_id(&inside[..id])
        && (next.is_empty() || next.starts_with(['#', '~', '|']) || next.starts_with("}}"))
}

/// Where the reference ends. In a run of braces the last two do so after a pattern, which may end
/// in a brace itself, and the first two otherwise.
fn end(inside: &str) -> Option<usize> {
    let at = inside.find("}}")?;
    if inside[..at]
        .find(['#', '~', '|'])
        .is_none_or(|mark| !inside[mark..].starts_with('~'))
    {
        return Some(at);
    }
    let run = inside[at..]
        .bytes()
        .take_while(|byte| *byte == b'}')
        .count();
    Some(at + run - 2)
}

impl Reference {
    fn parse(inside: &str) -> Result<Self, String> {
        let written = format!("{{{{{inside}}}}}");
        let (path, format) = format_of(inside);
        let split = path.find(['#', '~', '|']).unwrap_or(path.len());
        let (call, place) = path.split_at(split);
        let place = match place.as_bytes().first() {
            None => Place::Whole,
            Some(b'#') if place.len() == 1 || place.starts_with("#/") => {
                Place::Pointer(place[1..].to_owned())
            }
            Some(b'#') => return Err(format!("`{written}`: a JSON pointer begins with `/`")),
            Some(b'~') => {
                let pattern = regex::RegexBuilder::new(&place[1..])
                    .size_limit(MAX_PATTERN)
                    .build();
                Place::Pattern(Box::new(
                    pattern.map_err(|error| format!("`{written}`: {error}"))?,
                ))
            }
            Some(_) => {
                return Err(format!(
                    "`{written}`: a format is `|percent` or `|fixed0` to `|fixed9`"
                ));
            }
        };
        Ok(Self {
            written,
            call: call.to_owned(),
            place,
            format,
        })
    }

    fn value(&self, results: &Results<'_>) -> Result<Value, String> {
        let Some(content) = results.get(self.call.as_str()) else {
            return Err(format!(
                "`{}`: there is no result of this call",
                self.written
            ));
        };
        let fail = |reason: String| format!("`{}`: {reason}", self.written);
        let value = match &self.place {
            Place::Whole => Value::String(shortened(content, MAX_WHOLE)),
            Place::Pointer(pointer) => {
                let document: Value = serde_json::from_str(content).map_err(|error| {
                    fail(format!(
                        "the result is not JSON ({error}): {}",
                        shown(content)
                    ))
                })?;
                let found = document.pointer(pointer);
                found.cloned().ok_or_else(|| {
                    fail(format!("the result has no such place: {}", shown(content)))
                })?
            }
            Place::Pattern(pattern) => {
                let groups = pattern.captures(content);
                let groups =
                    groups.ok_or_else(|| fail(format!("nothing matches in {}", shown(content))))?;
                let found = groups.iter().skip(1).flatten().next().or(groups.get(0));
                Value::String(found.map_or_else(String::new, |found| found.as_str().to_owned()))
            }
        };
        self.formatted(value).map_err(fail)
    }

    fn formatted(&self, value: Value) -> Result<Value, String> {
        let (factor, decimals, unit) = match self.format {
            Format::Plain => return Ok(value),
            Format::Percent => (100.0, 1, "%"),
            Format::Fixed(decimals) => (1.0, decimals, ""),
        };
        let number = value
            .as_f64()
            .or_else(|| value.as_str()?.trim().parse().ok());
        let number = number.filter(|number| number.is_finite());
        let number =
            number.ok_or_else(|| format!("{} is not a number", shown(&value.to_string())))?;
        Ok(Value::String(format!(
            "{:.decimals$}{unit}",
            number * factor
        )))
    }
}

/// Takes the format off the end of a reference.
fn format_of(inside: &str) -> (&str, Format) {
    if let Some((path, word)) = inside.rsplit_once('|') {
        if word == "percent" {
            return (path, Format::Percent);
        }
        let digits = word
            .strip_prefix("fixed")
            .filter(|digits| digits.len() == 1);
        if let Some(decimals) = digits.and_then(|digits| digits.parse().ok()) {
            return (path, Format::Fixed(decimals));
        }
    }
    (inside, Format::Plain)
}

/// A text as it is quoted in a message.
pub(crate) fn shown(text: &str) -> String {
    format!("`{}`", shortened(text, 200))
}

/// A text cut to at most `limit` bytes, at a character and with a mark.
pub(crate) fn shortened(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut end = limit - '…'.len_utf8();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const JSON: &str = " \n{\"accuracy\": 0.97651, \"n\": 344, \"a/b\": [1, {\"~\": true}], \"s\": \"x\", \"z\": null}\n";
    const LOG: &str = "epoch 1\naccuracy: 0.91\naccuracy: 0.95\n";

    fn results() -> Results<'static> {
        HashMap::from([("c6", JSON), ("c7", LOG)])
    }

    #[track_caller]
    fn check(text: &str, expected: Value) {
        let template = Template::parse(text).unwrap();
        assert_eq!(template.value(&results()).unwrap(), expected, "{text}");
    }

    #[track_caller]
    fn lost(text: &str, words: &str) {
        let outcome = Template::parse(text).and_then(|template| template.text(&results()));
        let reason = outcome.unwrap_err();
        assert!(reason.contains(words), "`{reason}` does not say `{words}`");
        assert!(reason.len() < 1000);
    }

    #[test]
    fn one_reference_keeps_its_type() {
        check("{{c6#/accuracy}}", json!(0.97651));
        check("{{c6#/n}}", json!(344));
        check("{{c6#/a~1b/1/~0}}", json!(true));
        check("{{c6#/a~1b}}", json!([1, {"~": true}]));
        check("{{c6#/z}}", Value::Null);
        check("{{c6#}}", serde_json::from_str(JSON).unwrap());
        check("{{c6#/s}}", json!("x"));
        check(" {{c6#/n}}", json!(" 344"));
    }

    #[test]
    fn formats() {
        check("{{c6#/accuracy|percent}}", json!("97.7%"));
        check("{{c6#/accuracy|fixed3}}", json!("0.977"));
        check("{{c6#/n|fixed0}}", json!("344"));
        check("{{c7~accuracy: ([0-9.]+)|percent}}", json!("91.0%"));
        lost("{{c6#/s|percent}}", "not a number");
        lost("{{c6#/z|fixed1}}", "not a number");
        lost("{{c6|upper}}", "a format is");
        lost("{{c6#/accuracy|fixed12}}", "no such place");
    }

    #[test]
    fn patterns_and_whole_results() {
        check("{{c7~accuracy: ([0-9.]+)}}", json!("0.91"));
        check(
            "best {{c7~(?s).*accuracy: (\\d\\.\\d{2})}}!",
            json!("best 0.95!"),
        );
        check("{{c7~epoch|step}}", json!("epoch"));
        check("{{c7~[0-9]{1}}}", json!("1"));
        check("{{c7}}", json!(LOG));
        lost("{{c7~loss: ([0-9.]+)}}", "nothing matches");
        lost("{{c7~(}}", "`{{c7~(}}`");
        lost("{{c7~((a{99}){99}){99}}}", "c7");
    }

    #[test]
    fn what_is_no_reference_stays() {
        for text in [
            "",
            "{",
            "{{",
            "}}",
            "{ {c6}}",
            "{{ c6 }}",
            "{{}}",
            "f\"{{{x!r}\"",
            "{{ü}}",
            "a {{% if %}} b",
            "{{c6.x}}",
            "{{{{ x }}}}",
            "{{{{",
        ] {
            check(text, json!(text));
        }
        check("{{{{c6}}", json!("{{c6}}"));
        check("{{{c6#/n}}}", json!("{344}"));
        check("{{c6#/n}}{{c6#/n}}", json!("344344"));
    }

    #[test]
    fn what_leads_nowhere_is_an_error() {
        lost("{{c8}}", "no result");
        lost("{{c6#/b}}", "no such place");
        lost("{{c6#b}}", "begins with `/`");
        lost("{{c7#/b}}", "not JSON");
        lost("{{c6#/n", "no end");
        lost(&format!("{{{{c6#/{}}}}}", "é".repeat(50)), "no such place");
    }

    #[test]
    fn a_whole_result_is_bounded() {
        let long = "ü".repeat(MAX_WHOLE);
        let text = Template::parse("{{c}}")
            .unwrap()
            .text(&HashMap::from([("c", long.as_str())]))
            .unwrap();
        assert!(text.len() <= MAX_WHOLE && text.ends_with('…'));
    }

    #[test]
    fn strings_inside_arguments_are_resolved() {
        let value = json!({"a": ["{{c6#/n}}", {"b": "n = {{c6#/n}}"}], "c": 1, "{{c6}}": null});
        let expected = json!({"a": [344, {"b": "n = 344"}], "c": 1, "{{c6}}": null});
        assert_eq!(resolve(&value, &results()).unwrap(), expected);
    }
}

//! Reasoning as the service behind OpenRouter has it: a list of objects, streamed in pieces, that has to go back as a
//! whole and unchanged. Shapes: OpenRouter's guide to reasoning tokens, as of October 2026.

use crate::provider::json::Json;
use crate::provider::value::{NULL, Value};

/// Fields whose pieces are joined; of the others the last one that is not null counts.
const JOINED: [&str; 3] = ["text", "summary", "data"];

/// Objects in one reply.
const MAX_DETAILS: usize = 1024;

/// The list under construction.
#[derive(Debug, Default)]
pub(super) struct Details(Vec<Detail>);

/// Fields in their order: their names, and their values as JSON text.
type Detail = Vec<(String, String)>;

impl Details {
    /// Takes the next piece of the list. What is no object is left out.
    pub(super) fn add(&mut self, list: Value<'_>) {
        for piece in list.elements().filter(|piece| piece.is_object()) {
            match self.0.iter().rposition(|known| is_same(known, piece)) {
                Some(at) => join(&mut self.0[at], piece),
                None if self.0.len() < MAX_DETAILS => {
                    let own = piece.fields();
                    let own = own.map(|(name, value)| (name.into_owned(), value.raw().to_owned()));
                    self.0.push(own.collect());
                }
                None => {}
            }
        }
    }

    /// The list as JSON, if there is one.
    pub(super) fn into_json(self) -> Option<String> {
        let mut json = Json::default();
        for (index, detail) in self.0.iter().enumerate() {
            json.raw(if index == 0 { "[" } else { "," });
            for (index, (name, value)) in detail.iter().enumerate() {
                json.raw(if index == 0 { "{" } else { "," });
                json.string(name);
                json.raw(":");
                json.raw(value);
            }
            json.raw(if detail.is_empty() { "{}" } else { "}" });
        }
        json.raw("]");
        (!self.0.is_empty()).then(|| json.into_text())
    }
}

/// Pieces of one object have its type and its index.
fn is_same(known: &Detail, piece: Value<'_>) -> bool {
    let [kind, index] = piece.pick(["type", "index"]);
    let own = |name: &str| {
        let found = known.iter().find(|(own, _)| own == name);
        found.map_or(NULL.raw(), |(_, value)| value)
    };
    !index.is_null() && own("index") == index.raw() && own("type") == kind.raw()
}

fn join(known: &mut Detail, piece: Value<'_>) {
    for (name, value) in piece.fields().filter(|(_, value)| !value.is_null()) {
        let Some((_, own)) = known.iter_mut().find(|(own, _)| *own == name) else {
            known.push((name.into_owned(), value.raw().to_owned()));
            continue;
        };
        let more = value.raw().strip_prefix('"');
        match more.filter(|_| own.starts_with('"') && JOINED.contains(&&*name)) {
            // Two strings become one without their inner quotes.
            Some(more) => {
                own.pop();
                own.push_str(more);
            }
            None => value.raw().clone_into(own),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::value::parse;

    #[test]
    fn pieces_of_one_index_are_one_object() {
        let mut details = Details::default();
        for piece in [
            r#"[{"type":"reasoning.text","text":"Let ","format":"anthropic-claude-v1","index":0}]"#,
            r#"[{"type":"reasoning.text","text":"me","signature":null,"index":0}]"#,
            r#"[{"type":"reasoning.text","signature":"sig","index":0},{"type":"reasoning.encrypted","data":"QQ==","id":"r1","index":1}]"#,
            r#"[{"type":"reasoning.encrypted","data":"x"}]"#,
            "7",
            "[1]",
        ] {
            details.add(parse(piece.as_bytes()).unwrap());
        }
        assert_eq!(
            details.into_json().unwrap(),
            r#"[{"type":"reasoning.text","text":"Let me","format":"anthropic-claude-v1","index":0,"signature":"sig"},{"type":"reasoning.encrypted","data":"QQ==","id":"r1","index":1},{"type":"reasoning.encrypted","data":"x"}]"#
        );
        assert_eq!(Details::default().into_json(), None);
    }
}

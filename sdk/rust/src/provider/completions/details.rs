//! Reasoning as the service behind OpenRouter has it: a list of objects, streamed in pieces, that has to go back as a
//! whole and unchanged. Shapes: OpenRouter's guide to reasoning tokens, as of October 2026.

use serde_json::{Map, Value};

/// Fields whose pieces are joined; of the others the last one that is not null counts.
const JOINED: [&str; 3] = ["text", "summary", "data"];

/// Objects in one reply.
const MAX_DETAILS: usize = 1024;

/// The list under construction.
#[derive(Debug, Default)]
pub(super) struct Details(Vec<Map<String, Value>>);

impl Details {
    /// Takes the next piece of the list. What is no list of objects is left out.
    pub(super) fn add(&mut self, json: &str) {
        let pieces: Vec<Map<String, Value>> = serde_json::from_str(json).unwrap_or_default();
        for piece in pieces {
            match self.0.iter().rposition(|known| is_same(known, &piece)) {
                Some(at) => join(&mut self.0[at], piece),
                None if self.0.len() < MAX_DETAILS => self.0.push(piece),
                None => {}
            }
        }
    }

    /// The list as JSON, if there is one.
    pub(super) fn into_json(self) -> Option<String> {
        (!self.0.is_empty()).then(|| serde_json::to_string(&self.0).unwrap_or_default())
    }
}

/// Pieces of one object have its type and its index.
fn is_same(known: &Map<String, Value>, piece: &Map<String, Value>) -> bool {
    piece.get("index").is_some_and(|index| !index.is_null())
        && ["type", "index"]
            .iter()
            .all(|key| known.get(*key) == piece.get(*key))
}

fn join(known: &mut Map<String, Value>, piece: Map<String, Value>) {
    for (key, value) in piece {
        match (known.get_mut(&key), value) {
            (_, Value::Null) => {}
            (Some(Value::String(all)), Value::String(more)) if JOINED.contains(&key.as_str()) => {
                all.push_str(&more);
            }
            (_, value) => {
                known.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            details.add(piece);
        }
        assert_eq!(
            details.into_json().unwrap(),
            r#"[{"type":"reasoning.text","text":"Let me","format":"anthropic-claude-v1","index":0,"signature":"sig"},{"type":"reasoning.encrypted","data":"QQ==","id":"r1","index":1},{"type":"reasoning.encrypted","data":"x"}]"#
        );
        assert_eq!(Details::default().into_json(), None);
    }
}

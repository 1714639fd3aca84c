//! The conversation for services that know two sides, which speak in turns.
//!
//! Such a service refuses two messages of one side in a row, wants the results of calls before anything else that
//! the user says, and keeps instructions apart. [`turns`] and [`instructions`] bring a request into this form; the
//! plugin writes down what they give.

use crate::Error;
use crate::chat::{Message, Part, Role};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The person, and the results of tools.
    User,
    /// The model.
    Assistant,
}

/// What one side says before the other one speaks again; never empty.
#[derive(Debug)]
pub struct Turn<'a> {
    /// Who speaks.
    pub side: Side,
    /// In the order in which the service wants it.
    pub pieces: Vec<Piece<'a>>,
}

/// A part of a message in its place.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// What is said.
    pub part: &'a Part,
    /// The service should keep the conversation up to here, this part included.
    pub mark: bool,
}

/// The turns of a conversation, without its instructions and without parts that are not `sent`. The last `marks`
/// messages that ask for it are marked for the service's cache, at their last part that is no reasoning.
///
/// # Errors
///
/// `invalid-input`: a message holds a part that its role cannot have.
pub fn turns<'a>(
    messages: &'a [Message],
    marks: usize,
    sent: impl Fn(&Part) -> bool,
) -> Result<Vec<Turn<'a>>, Error> {
    let marked = marked(messages, marks, &sent);
    let mut turns: Vec<Turn<'a>> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let side = match message.role {
            Role::System => continue,
            Role::User | Role::Tool => Side::User,
            Role::Assistant => Side::Assistant,
        };
        check(index, message)?;
        let place = marked.contains(&index).then(|| last(message, &sent));
        let pieces = message
            .parts
            .iter()
            .enumerate()
            .filter(|(_, part)| sent(part));
        let mut pieces = pieces
            .map(|(at, part)| Piece {
                part,
                mark: place == Some(Some(at)),
            })
            .peekable();
        if pieces.peek().is_none() {
            continue;
        }
        match turns.last_mut() {
            Some(turn) if turn.side == side => turn.pieces.extend(pieces),
            _ => turns.push(Turn {
                side,
                pieces: pieces.collect(),
            }),
        }
    }
    for turn in &mut turns {
        results_first(&mut turn.pieces);
    }
    Ok(turns)
}

/// The texts of the instructions that say something.
///
/// # Errors
///
/// `invalid-input`: something else than text is among them.
pub fn instructions(messages: &[Message]) -> Result<Vec<&str>, Error> {
    let mut texts = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        if message.role == Role::System {
            check(index, message)?;
            texts.extend(message.parts.iter().filter_map(|part| match part {
                Part::Text(text) if !is_blank(text) => Some(text.as_str()),
                _ => None,
            }));
        }
    }
    Ok(texts)
}

/// The order among results, and among the rest, stays. Nearly always all is in order: no sorting is needed, which
/// would be a good part of a component.
fn results_first(pieces: &mut Vec<Piece<'_>>) {
    let is_result = |piece: &Piece<'_>| matches!(piece.part, Part::Result(_));
    if !pieces.is_sorted_by_key(|piece| !is_result(piece)) {
        let results = pieces.iter().filter(|piece| is_result(piece));
        let rest = pieces.iter().filter(|piece| !is_result(piece));
        *pieces = results.chain(rest).copied().collect();
    }
}

/// Whether a text says nothing: services refuse such a text, and with it the request.
pub fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

/// Places of the messages that are marked.
fn marked(messages: &[Message], marks: usize, sent: impl Fn(&Part) -> bool) -> Vec<usize> {
    let asks = |message: &Message| {
        message.cache_breakpoint && message.role != Role::System && last(message, &sent).is_some()
    };
    let backwards = messages.iter().enumerate().rev();
    let asking = backwards.filter(|(_, message)| asks(message));
    asking.map(|(index, _)| index).take(marks).collect()
}

/// Place of the last part that can be marked.
fn last(message: &Message, sent: impl Fn(&Part) -> bool) -> Option<usize> {
    let can = |part: &Part| sent(part) && !matches!(part, Part::Reasoning(_));
    message.parts.iter().rposition(can)
}

fn check(index: usize, message: &Message) -> Result<(), Error> {
    let bad = |part: &&Part| match message.role {
        Role::System => !matches!(part, Part::Text(_)),
        Role::User => !matches!(part, Part::Text(_) | Part::Image(_) | Part::Result(_)),
        Role::Assistant => matches!(part, Part::Image(_) | Part::Result(_)),
        Role::Tool => !matches!(part, Part::Result(_)),
    };
    let Some(part) = message.parts.iter().find(bad) else {
        return Ok(());
    };
    let what = match part {
        Part::Text(_) => "text",
        Part::Image(_) => "an image",
        Part::Reasoning(_) => "reasoning",
        Part::Call(_) => "a tool call",
        Part::Result(_) => "a tool result",
    };
    Err(Error::InvalidInput(format!(
        "message {index}: a {:?} message cannot hold {what}",
        message.role
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Reasoning, ToolCall, ToolResult};

    fn message(role: Role, parts: Vec<Part>) -> Message {
        Message {
            role,
            parts,
            cache_breakpoint: true,
        }
    }

    fn text(text: &str) -> Part {
        Part::Text(text.to_owned())
    }

    fn call(id: &str) -> Part {
        Part::Call(ToolCall {
            id: id.to_owned(),
            name: "read".to_owned(),
            arguments: "{}".to_owned(),
        })
    }

    fn result(id: &str) -> Part {
        Part::Result(ToolResult {
            call_id: id.to_owned(),
            content: String::new(),
            images: Vec::new(),
            is_error: false,
        })
    }

    fn reasoning() -> Part {
        Part::Reasoning(Reasoning {
            text: "hm".to_owned(),
            opaque: None,
        })
    }

    /// Turns in letters: `U` and `A`, then each part, with a star where it is marked.
    fn shape(messages: &[Message], sent: impl Fn(&Part) -> bool) -> String {
        let turns = turns(messages, 2, sent).unwrap();
        let piece = |piece: &Piece<'_>| {
            let name = match piece.part {
                Part::Text(text) => text.as_str(),
                Part::Call(call) => call.id.as_str(),
                Part::Result(result) => result.call_id.as_str(),
                Part::Reasoning(_) => "~",
                Part::Image(_) => "image",
            };
            format!(" {name}{}", if piece.mark { "*" } else { "" })
        };
        let turn = |turn: &Turn<'_>| {
            let side = match turn.side {
                Side::User => "U",
                Side::Assistant => "A",
            };
            format!(
                "{side}{}",
                turn.pieces.iter().map(piece).collect::<String>()
            )
        };
        turns.iter().map(turn).collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn sides_take_turns_and_results_come_first() {
        let messages = [
            message(Role::System, vec![text("be"), text(" ")]),
            message(Role::User, vec![text("go")]),
            message(Role::Assistant, vec![call("c1"), call("c2")]),
            message(Role::User, vec![text("wait")]),
            message(Role::Tool, vec![result("r1"), result("r2")]),
            message(Role::User, vec![]),
            message(Role::User, vec![text("more")]),
            message(Role::Assistant, vec![text("ok"), reasoning()]),
        ];
        assert_eq!(
            shape(&messages, |_| true),
            "U go | A c1 c2 | U r1 r2 wait more* | A ok* ~"
        );
        assert_eq!(instructions(&messages).unwrap(), ["be"]);
    }

    #[test]
    fn what_is_not_sent_leaves_no_gap() {
        let messages = [
            message(Role::User, vec![text("a")]),
            message(Role::Assistant, vec![reasoning()]),
            message(Role::User, vec![text("b")]),
        ];
        let sent = |part: &Part| !matches!(part, Part::Reasoning(_));
        assert_eq!(shape(&messages, sent), "U a* b*");
        assert_eq!(shape(&messages, |_| true), "U a* | A ~ | U b*");
    }

    #[test]
    fn parts_out_of_place_are_refused() {
        for (role, part) in [
            (Role::Assistant, result("r")),
            (Role::Tool, text("x")),
            (Role::User, call("c")),
            (Role::User, reasoning()),
        ] {
            let error = turns(&[message(role, vec![part])], 0, |_| true).unwrap_err();
            assert!(
                matches!(&error, Error::InvalidInput(text) if text.starts_with("message 0")),
                "{error:?}"
            );
        }
        assert!(instructions(&[message(Role::System, vec![call("c")])]).is_err());
    }
}

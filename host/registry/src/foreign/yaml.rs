//! A small document of YAML as a tree. Events are read and the tree built here, because anchors let
//! a short text stand for an endless one: they are refused, and so are tags and second documents.

use saphyr_parser::{Event, Parser, Span};

/// Lists and tables within each other.
const MAX_DEPTH: usize = 16;
/// Values together; far more than any list of permissions has.
const MAX_NODES: usize = 4096;

/// A value.
#[derive(Debug, PartialEq)]
pub(super) enum Node {
    /// Text, a number, a truth value or nothing: by its text.
    Scalar(String),
    List(Vec<Node>),
    /// In the order of the file, each key once.
    Table(Vec<(String, Node)>),
}

impl Node {
    /// The entries of a table; of nothing at all, none.
    pub(super) fn entries(&self) -> Option<&[(String, Node)]> {
        match self {
            Self::Table(entries) => Some(entries),
            Self::Scalar(text) if is_nothing(text) => Some(&[]),
            _ => None,
        }
    }

    pub(super) fn items(&self) -> Option<&[Node]> {
        match self {
            Self::List(items) => Some(items),
            Self::Scalar(text) if is_nothing(text) => Some(&[]),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Scalar(text) => Some(text),
            _ => None,
        }
    }
}

fn is_nothing(text: &str) -> bool {
    matches!(text, "" | "~" | "null")
}

/// A list or table that is not closed yet.
enum Open {
    List(Vec<Node>),
    Table(Vec<(String, Node)>, Option<String>),
}

/// Reads one document.
///
/// # Errors
/// What is wrong, with its line.
pub(super) fn parse(text: &str) -> Result<Node, String> {
    let (mut open, mut whole, mut nodes) = (Vec::<Open>::new(), None, 0);
    for event in Parser::new_from_str(text) {
        let (event, span) =
            event.map_err(|error| format!("line {}: {}", error.marker().line(), error.info()))?;
        if matches!(
            event,
            Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..)
        ) {
            nodes += 1;
            if nodes > MAX_NODES {
                return Err(at(&span, &format!("more than {MAX_NODES} values")));
            }
        }
        let done = match event {
            Event::Alias(_)
            | Event::Scalar(_, _, 1.., _)
            | Event::SequenceStart(1.., _)
            | Event::MappingStart(1.., _) => {
                return Err(at(&span, "anchors are not read; write the value itself"));
            }
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => {
                return Err(at(&span, "tags are not read; write the value alone"));
            }
            Event::Scalar(text, ..) => Some(Node::Scalar(text.into_owned())),
            Event::SequenceStart(..) => {
                open.push(Open::List(Vec::new()));
                None
            }
            Event::MappingStart(..) => {
                open.push(Open::Table(Vec::new(), None));
                None
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop().map(|ended| match ended {
                Open::List(items) => Node::List(items),
                Open::Table(entries, _) => Node::Table(entries),
            }),
            Event::DocumentStart(_) if whole.is_some() => {
                return Err(at(&span, "a second document; write one"));
            }
            _ => None,
        };
        if open.len() > MAX_DEPTH {
            return Err(at(&span, &format!("nests more than {MAX_DEPTH} deep")));
        }
        if let Some(node) = done {
            match open.last_mut() {
                None => whole = Some(node),
                Some(Open::List(items)) => items.push(node),
                Some(Open::Table(entries, key)) => put(entries, key, node, &span)?,
            }
        }
    }
    whole.ok_or_else(|| "the file is empty".to_owned())
}

/// A key, or the value of the key before.
fn put(
    entries: &mut Vec<(String, Node)>,
    key: &mut Option<String>,
    node: Node,
    span: &Span,
) -> Result<(), String> {
    if let Some(key) = key.take() {
        entries.push((key, node));
        return Ok(());
    }
    match node {
        Node::Scalar(name) if entries.iter().any(|(own, _)| *own == name) => Err(at(
            span,
            &format!(
                "the key `{}` is written twice",
                ml_intern_manifest::shorten(&name)
            ),
        )),
        Node::Scalar(name) => {
            *key = Some(name);
            Ok(())
        }
        _ => Err(at(span, "a key that is no text")),
    }
}

fn at(span: &Span, problem: &str) -> String {
    format!("line {}: {problem}", span.start.line())
}

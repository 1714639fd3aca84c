//! One line of input, as what it asks for.

use ml_intern_agent::approval::{Answer, Decision};
use serde::Deserialize;
use serde_json::Value;

/// What may be asked of a session at any moment. While a turn is under way, words join it and an interrupt ends it;
/// everything else waits for its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// The next turn, or more to the one that is under way.
    Words(String),
    /// End what is done now.
    Interrupt,
    /// Take the newest turn back.
    Undo,
    /// Make room in the model's context.
    Compact,
    /// Begin another session.
    New,
    /// Go on with another session; the newest of this folder where none is named.
    Resume(Option<String>),
    /// Go on with another model; say which it is where none is named.
    Model(Option<String>),
    /// Let the model think as hard as this; say how hard it does where nothing is named.
    Effort(Option<String>),
    /// Say where the session stands.
    Status,
    /// Say what may be typed.
    Help,
    /// End the program once nothing runs.
    Quit,
}

/// What a line is.
#[derive(Debug)]
pub(super) enum Line {
    Nothing,
    Answer { id: String, answer: Answer },
    Operation(Operation),
}

/// What may be typed, and what it does.
pub(crate) const COMMANDS: [(&str, &str); 10] = [
    ("/undo", "take the newest turn back, files included"),
    ("/compact", "sum up older messages"),
    ("/new", "begin another session"),
    (
        "/resume [ID]",
        "go on with another session, or the newest of this folder",
    ),
    ("/model [PROVIDER/MODEL]", "go on with another model"),
    (
        "/effort [LEVEL]",
        "how hard the model thinks: minimal, low, medium, high, xhigh, max or off",
    ),
    ("/status", "where the session stands"),
    ("/help", "this list"),
    ("/quit", "end, as Ctrl-D does"),
    (
        "Ctrl-C",
        "interrupt the turn; words typed meanwhile join it after the running calls",
    ),
];

/// A line of a person.
pub(super) fn typed(line: &str) -> Result<Line, String> {
    let to_the_model = line.starts_with(char::is_whitespace);
    let line = line.trim();
    if line.is_empty() {
        return Ok(Line::Nothing);
    }
    let words = || Ok(Line::Operation(Operation::Words(line.to_owned())));
    if to_the_model {
        return words();
    }
    if matches!(line, "exit" | "quit") {
        return Ok(Line::Operation(Operation::Quit));
    }
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = Some(rest.trim()).filter(|rest| !rest.is_empty());
    let argument = rest.map(str::to_owned);
    let operation = match name {
        "/undo" => Operation::Undo,
        "/compact" => Operation::Compact,
        "/new" | "/clear" => Operation::New,
        "/resume" => Operation::Resume(argument.clone()),
        "/model" => Operation::Model(argument.clone()),
        "/effort" => Operation::Effort(argument.clone()),
        "/status" => Operation::Status,
        "/help" | "/?" => Operation::Help,
        "/quit" | "/exit" => Operation::Quit,
        // A path is no command.
        name if name.starts_with('/') && !name[1..].contains('/') => {
            return Err(format!(
                "there is no command `{name}`; /help lists them. To say it to the model, put a blank in front of the `/`"
            ));
        }
        _ => return words(),
    };
    let takes_one = matches!(
        operation,
        Operation::Resume(_) | Operation::Model(_) | Operation::Effort(_)
    );
    match rest {
        Some(_) if !takes_one => Err(format!(
            "`{name}` takes nothing after it; /help lists the commands"
        )),
        _ => Ok(Line::Operation(operation)),
    }
}

#[derive(Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
enum Input {
    #[serde(rename = "permission.answer")]
    Answer {
        id: String,
        decision: Decision,
        feedback: Option<String>,
        edited: Option<Value>,
        pattern: Option<String>,
    },
    #[serde(rename = "user.message")]
    Words { text: String },
    #[serde(rename = "interrupt")]
    Interrupt {},
    #[serde(rename = "undo")]
    Undo {},
    #[serde(rename = "compact")]
    Compact {},
    #[serde(rename = "new")]
    New {},
    #[serde(rename = "resume")]
    Resume { id: Option<String> },
    #[serde(rename = "model")]
    Model { model: String },
    #[serde(rename = "effort")]
    Effort { effort: String },
    #[serde(rename = "shutdown")]
    Quit {},
}

/// A line of a program.
pub(super) fn json(line: &str) -> Result<Line, String> {
    if line.trim().is_empty() {
        return Ok(Line::Nothing);
    }
    let input = serde_json::from_str::<Input>(line).map_err(|error| {
        format!(
            "a line on standard input was ignored: {error}; write for example {{\"type\":\"user.message\",\"text\":…}} or \
             {{\"type\":\"permission.answer\",\"id\":…,\"decision\":\"allow|deny|allow_session|allow_project|allow_always\"}}"
        )
    })?;
    Ok(Line::Operation(match input {
        Input::Answer {
            id,
            decision,
            feedback,
            edited,
            pattern,
        } => {
            let answer = Answer {
                decision,
                feedback,
                edited,
                pattern,
            };
            return Ok(Line::Answer { id, answer });
        }
        Input::Words { text } if text.trim().is_empty() => return Ok(Line::Nothing),
        Input::Words { text } => Operation::Words(text),
        Input::Interrupt {} => Operation::Interrupt,
        Input::Undo {} => Operation::Undo,
        Input::Compact {} => Operation::Compact,
        Input::New {} => Operation::New,
        Input::Resume { id } => Operation::Resume(id),
        Input::Model { model } => Operation::Model(Some(model)),
        Input::Effort { effort } => Operation::Effort(Some(effort)),
        Input::Quit {} => Operation::Quit,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(line: Result<Line, String>) -> Operation {
        match line {
            Ok(Line::Operation(operation)) => operation,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn commands_begin_with_a_slash_and_paths_are_words() {
        assert_eq!(operation(typed("/undo \n")), Operation::Undo);
        assert_eq!(
            operation(typed("/model  a/b")),
            Operation::Model(Some("a/b".into()))
        );
        assert_eq!(operation(typed("/resume")), Operation::Resume(None));
        assert_eq!(operation(typed("exit")), Operation::Quit);
        assert_eq!(operation(typed(" /undo")), Operation::Words("/undo".into()));
        for words in [
            "/tmp/x.csv holds the data",
            "undo",
            "exit code 3",
            "a /undo",
        ] {
            assert_eq!(operation(typed(words)), Operation::Words(words.into()));
        }
        assert!(matches!(typed("  \n"), Ok(Line::Nothing)));
        assert!(typed("/unod").unwrap_err().contains("/help"));
        assert!(typed("/undo twice").unwrap_err().contains("/undo"));
    }

    #[test]
    fn every_listed_command_is_one() {
        for (command, _) in COMMANDS.iter().filter(|(name, _)| name.starts_with('/')) {
            let name = command.split(' ').next().unwrap_or_default();
            assert!(
                !matches!(operation(typed(name)), Operation::Words(_)),
                "{name}"
            );
        }
    }

    #[test]
    fn a_program_writes_json() {
        let words = r#"{"type":"user.message","text":"/undo"}"#;
        assert_eq!(operation(json(words)), Operation::Words("/undo".into()));
        assert_eq!(operation(json(r#"{"type":"shutdown"}"#)), Operation::Quit);
        for wrong in [
            r#"{"type":"undo","turn":3}"#,
            r#"{"type":"model"}"#,
            r#"{"type":"dance"}"#,
            r#"{"text":"x"}"#,
        ] {
            assert!(json(wrong).unwrap_err().contains("ignored"), "{wrong}");
        }
    }
}

use super::*;

const RECORDING: &str = r#"
version = 1
name = "penguins"

[[step]]
expect.user = "Train"
[step.reply]
text = "Reading."
reasoning = "first look"
[[step.reply.call]]
id = "c1"
name = "read"
arguments = { path = "penguins.csv", lines = 3 }
[[step.reply.call]]
id = "c2"
name = "train"

[[step]]
[[step.expect.result]]
call = "c1"
is-error = false
contains = ["species,island"]
[step.reply]
text = "Accuracy {{c2#/accuracy|percent}}."
[[step.reply.call]]
id = "c3"
name = "write"
arguments = { value = "{{c2#/accuracy}}", note = "got {{c2#/accuracy|fixed3}}" }

[[step]]
[[step.expect.result]]
call = "c3"
is-error = true
[step.reply]
text = "Done."
"#;

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message {
        role,
        parts,
        cache_breakpoint: false,
    }
}

fn user(text: &str) -> Message {
    message(Role::User, vec![Part::Text(text.to_owned())])
}

fn result(id: &str, content: &str, is_error: bool) -> Part {
    Part::Result(ToolResult {
        call_id: id.to_owned(),
        content: content.to_owned(),
        images: Vec::new(),
        is_error,
    })
}

/// A reply as the host gives it back.
fn given_back(reply: Reply) -> Message {
    let text = (!reply.text.is_empty()).then_some(Part::Text(reply.text));
    message(
        Role::Assistant,
        text.into_iter()
            .chain(reply.calls.into_iter().map(Part::Call))
            .collect(),
    )
}

fn play(messages: &[Message]) -> Result<Reply, String> {
    reply(&Recording::parse(RECORDING).unwrap(), messages)
}

/// The conversation after this many replies and their results.
fn conversation(replies: usize) -> Vec<Message> {
    let results = [
        vec![
            result("c1", "species,island\nAdelie", false),
            result("c2", " {\"accuracy\": 0.9765}\n", false),
        ],
        vec![result("c3", "no such folder", true)],
        vec![],
    ];
    let mut messages = vec![message(Role::System, vec![]), user("Train a classifier")];
    for results in results.into_iter().take(replies) {
        let next = play(&messages).unwrap();
        messages.push(given_back(next));
        // Some hosts send one message for all results, some one for each: both are the same.
        messages.extend(
            results
                .into_iter()
                .map(|result| message(Role::Tool, vec![result])),
        );
    }
    messages
}

#[track_caller]
fn refused(messages: &[Message], words: &[&str]) {
    let reason = play(messages).unwrap_err();
    for word in words {
        assert!(reason.contains(word), "`{reason}` does not say `{word}`");
    }
    assert!(reason.len() < 1500, "{reason}");
}

#[test]
fn plays_from_the_first_step_to_the_last() {
    let first = play(&conversation(0)).unwrap();
    assert_eq!(
        (first.step, first.text.as_str(), first.reasoning.as_str()),
        (1, "Reading.", "first look")
    );
    assert_eq!(
        first.calls[0].arguments,
        r#"{"path":"penguins.csv","lines":3}"#
    );
    assert_eq!(first.calls[1].arguments, "{}");
    let second = play(&conversation(1)).unwrap();
    assert_eq!(second.text, "Accuracy 97.7%.");
    assert_eq!(
        second.calls[0].arguments,
        r#"{"value":0.9765,"note":"got 0.977"}"#
    );
    let third = play(&conversation(2)).unwrap();
    assert_eq!(
        (third.step, third.text.as_str(), third.calls.len()),
        (3, "Done.", 0)
    );
    // A host that has to ask again gets the same answer.
    assert_eq!(play(&conversation(2)).unwrap().text, "Done.");
}

#[test]
fn nothing_comes_after_the_last_step() {
    let mut messages = conversation(3);
    messages.push(user("and now?"));
    refused(
        &messages,
        &["ends after step 3", "a user message `and now?`"],
    );
    messages.push(message(Role::Assistant, vec![]));
    refused(&messages, &["more replies than the recording's 3"]);
}

#[test]
fn another_conversation_is_a_conflict() {
    refused(&[user("Hello")], &["step 1", "`Train`", "`Hello`"]);
    refused(&[], &["step 1", "no message at all"]);
    refused(
        &[message(Role::Tool, vec![result("x", "Train", false)])],
        &["step 1", "a tool message"],
    );

    let mut other_text = conversation(1);
    other_text[2].parts[0] = Part::Text("Writing.".to_owned());
    refused(&other_text, &["step 1", "`Reading.`", "`Writing.`"]);

    let mut other_call = conversation(1);
    other_call[2].parts.pop();
    refused(
        &other_call,
        &["step 1", "c1 (read), c2 (train)", "has `c1 (read)`"],
    );

    // The text of step 2 depends on a result: another result is another conversation.
    let mut other_result = conversation(2);
    other_result[4].parts = vec![result("c2", "{\"accuracy\": 0.5}", false)];
    refused(
        &other_result,
        &["step 2", "`Accuracy 50.0%.`", "`Accuracy 97.7%.`"],
    );

    let mut long = conversation(1);
    long[2].parts[0] = Part::Text("é".repeat(5000));
    refused(&long, &["…"]);
}

#[test]
fn results_have_to_be_there_and_as_expected() {
    let with = |parts: Vec<Part>| {
        let mut messages = conversation(1);
        messages.truncate(3);
        messages.push(message(Role::Tool, parts));
        messages
    };
    let good = || result("c2", "{\"accuracy\": 1}", false);
    refused(&with(vec![good()]), &["step 2", "`c1` (read) is missing"]);
    refused(
        &with(vec![result("c1", "empty", false), good()]),
        &["step 2", "`species,island`", "`empty`"],
    );
    refused(
        &with(vec![result("c1", "species,island", true), good()]),
        &["`c1` is expected to succeed"],
    );
    refused(
        &with(vec![
            result(
                "c1",
                "The call was Interrupted; its outcome is unknown",
                true,
            ),
            good(),
        ]),
        &["`c1` was interrupted"],
    );
    refused(
        &with(vec![
            result("c1", "species,island", false),
            result("c2", "oops", false),
        ]),
        &["step 2", "not JSON", "`oops`"],
    );
    refused(
        &with(vec![
            result("c1", "species,island", false),
            result("c2", "{}", false),
        ]),
        &["step 2", "no such place"],
    );

    let mut unexpected = conversation(2);
    unexpected.pop();
    unexpected.push(message(Role::Tool, vec![result("c3", "ok", false)]));
    refused(&unexpected, &["step 3", "`c3` is expected to fail", "`ok`"]);
}

#[test]
fn results_of_an_earlier_step_are_not_fresh() {
    let mut messages = conversation(1);
    let late = messages.split_off(3);
    // Results before the reply that made the calls do not count as its results.
    messages.splice(2..2, late);
    refused(&messages, &["step 2", "missing"]);
}

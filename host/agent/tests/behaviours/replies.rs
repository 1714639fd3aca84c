//! What becomes of a reply that is cut, empty, malformed or one too many.

use crate::bench::{Bench, Setup, bench, calls, reply, says};
use ml_intern_agent::budget::Budget;
use ml_intern_agent::event::TurnEnd;
use ml_intern_agent::message::Call;
use ml_intern_agent::ports::Stop;
use ml_intern_agent::{Event, Message, Part, Role};

fn text(text: &str) -> Part {
    Part::Text { text: text.into() }
}

fn notices(bench: &Bench, wanted: &str) -> usize {
    let events = bench.events();
    let is_wanted = |event: &&Event| matches!(event, Event::Notice { code, .. } if code == wanted);
    events.iter().filter(is_wanted).count()
}

fn conversation(bench: &Bench) -> Vec<Message> {
    let messages = bench.agent.session.read(|state| state.messages.clone());
    let messages = messages.iter().map(|message| Message::clone(message));
    messages.collect()
}

#[tokio::test]
async fn a_model_whose_reply_was_cut_is_told_which_calls_were_lost_and_goes_on() {
    let lost = Part::Call(Call {
        id: "a".into(),
        name: "write".into(),
        arguments: "{\"s\":\"a long".into(),
    });
    let cut = reply(vec![text("now I write"), lost], Stop::MaxTokens);
    let bench = bench(Setup::default(), vec![cut, says("in pieces then")]);
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    assert_eq!(bench.answer().as_deref(), Some("in pieces then"));
    assert_eq!(notices(&bench, "truncated"), 1);
    let [advice] = &bench.advice()[..] else {
        panic!("{:?}", bench.advice());
    };
    assert!(advice.contains("not executed: `write`."), "{advice}");
    assert!(bench.finished().is_empty());
    let told = conversation(&bench);
    let roles: Vec<_> = told.iter().map(|message| message.role).collect();
    let expected = [Role::User, Role::Assistant, Role::User, Role::Assistant];
    assert_eq!(roles, expected);
    assert_eq!(told[1].parts, [text("now I write")]);
    assert!(told[2].injected);
    bench.check_conversations();
}

#[tokio::test]
async fn empty_replies_end_the_turn_without_an_answer_and_are_no_message() {
    for parts in [vec![], vec![text("")]] {
        let bench = bench(
            Setup::default(),
            (0..3)
                .map(|_| reply(parts.clone(), Stop::EndTurn))
                .chain([says("here")])
                .collect(),
        );
        assert_eq!(bench.run("go").await, TurnEnd::Done);
        assert_eq!(bench.answer(), None);
        let messages = bench.events().into_iter();
        let messages = messages.filter(|event| matches!(event, Event::Message { .. }));
        assert_eq!(messages.count(), 0);
        assert_eq!(bench.run("are you there?").await, TurnEnd::Done);
        assert_eq!(conversation(&bench)[0].plain_text(), "go\n\nare you there?");
        bench.check_conversations();
    }
}

#[tokio::test]
async fn a_turn_at_its_cap_of_model_calls_has_every_result_and_no_answer() {
    let budget = Budget {
        iterations: 2,
        ..Budget::default()
    };
    let setup = Setup {
        budget,
        ..Setup::default()
    };
    let one = |n: &str| calls(&[("a", "look", &format!("{{\"n\":{n}}}"))]);
    let bench = bench(setup, vec![one("1"), one("2"), one("3")]);
    assert_eq!(bench.run("go").await, TurnEnd::Iterations);
    assert_eq!(bench.script.seen.lock().unwrap().len(), 2);
    assert_eq!(bench.finished().len(), 2);
    let ended = bench.events().pop();
    let expected = Event::TurnFinished {
        reason: TurnEnd::Iterations,
        message: None,
        iterations: 2,
        blocked: false,
    };
    assert_eq!(ended, Some(expected));
    let open = bench.agent.session.read(|state| state.open.len());
    assert_eq!(open, 0);
}

#[tokio::test]
async fn malformed_calls_of_different_tools_or_with_a_good_one_between_are_no_habit() {
    let bad = |tool: &str| calls(&[("a", tool, "{")]);
    let good = || calls(&[("a", "look", "{}")]);
    for steps in [
        vec![bad("look"), bad("write"), bad("look"), says("sorry")],
        vec![bad("look"), good(), bad("look"), says("sorry")],
    ] {
        let bench = bench(Setup::default(), steps);
        assert_eq!(bench.run("go").await, TurnEnd::Done);
        assert_eq!(notices(&bench, "malformed_again"), 0);
        assert!(bench.advice().is_empty());
    }
}

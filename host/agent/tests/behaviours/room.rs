//! From which size on a conversation is shortened.

use crate::bench::{Bench, Setup, Step, bench, says};
use ml_intern_agent::compaction::compact_now;
use ml_intern_agent::event::{TurnEnd, Usage};
use ml_intern_agent::message::Call;
use ml_intern_agent::ports::{Reply, Stop};
use ml_intern_agent::{Event, Message, Part, Role};
use tokio_util::sync::CancellationToken;

fn counted(part: Part, stop: Stop, input: u64) -> Step {
    let usage = Usage {
        input,
        ..Usage::default()
    };
    Box::new(move |_| {
        Ok(Reply {
            parts: vec![part],
            stop,
            usage,
        })
    })
}

/// A turn with a call, so that there is something to leave out, whose last reply the service counts as `counted`
/// tokens; then another. The tokens that its words add, and whether it was shortened.
async fn after(window: u64, tokens: u64) -> (u64, bool) {
    let call = Call {
        id: "a".into(),
        name: "look".into(),
        arguments: "{}".into(),
    };
    let done = Part::Text {
        text: "done".into(),
    };
    let steps = vec![
        counted(Part::Call(call), Stop::ToolUse, 100),
        counted(done, Stop::EndTurn, tokens),
        says("a note, or the answer"),
        says("the answer"),
    ];
    let setup = Setup {
        window: Some(window),
        ..Setup::default()
    };
    let bench = bench(setup, steps);
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    let size = || bench.agent.session.read(|state| state.context.tokens());
    let queued = Event::InputQueued {
        text: "go on".into(),
    };
    bench.agent.session.record(queued).unwrap();
    bench.agent.session.record(Event::InputTaken {}).unwrap();
    let added = size() - tokens;
    assert_eq!(
        ml_intern_agent::turn::run(&bench.agent, None, &CancellationToken::new())
            .await
            .unwrap(),
        TurnEnd::Done
    );
    (added, is_shortened(&bench))
}

fn is_shortened(bench: &Bench) -> bool {
    bench
        .events()
        .iter()
        .any(|event| matches!(event, Event::Compacted { .. }))
}

#[tokio::test]
async fn a_conversation_is_shortened_beyond_nine_tenths_of_its_window_or_170000_tokens() {
    for (window, limit) in [
        (200_000, 170_000),
        (262_144, 170_000),
        (188_000, 169_200),
        (8_192, 7_372),
    ] {
        let (added, shortened) = after(window, 100).await;
        assert!(!shortened);
        let equal = after(window, limit - added).await;
        assert_eq!(equal, (added, false), "{limit} of {window} are not over");
        let over = after(window, limit - added + 1).await;
        assert_eq!(over, (added, true), "{} of {window} are over", limit + 1);
    }
}

#[tokio::test]
async fn a_conversation_with_nothing_to_leave_out_stays_as_it_is_and_costs_no_call() {
    let bench = bench(Setup::default(), vec![says("ok")]);
    let message = Message::text(Role::System, "you are an engineer");
    bench
        .agent
        .session
        .record(Event::Message { message })
        .unwrap();
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    let before = bench.events();
    let done = compact_now(&bench.agent, &CancellationToken::new()).await;
    assert!(!done.unwrap());
    assert_eq!(bench.events(), before);
    assert_eq!(bench.script.seen.lock().unwrap().len(), 1);
}

//! Whole turns against a scripted model, scripted tools and a clock that stands still.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "turn/bench.rs"]
mod bench;
#[path = "turn/context.rs"]
mod context;
#[path = "turn/continuation.rs"]
mod continuation;
#[path = "turn/repetition.rs"]
mod repetition;

use bench::*;
use ml_intern_agent::approval::{Decision, Effect, Mode};
use ml_intern_agent::budget::Budget;
use ml_intern_agent::event::{CallStatus, TurnEnd};
use ml_intern_agent::message::Call;
use ml_intern_agent::ports::Stop;
use ml_intern_agent::turn;
use ml_intern_agent::{Event, Part, ProviderError, Role, State};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn a_turn_runs_tools_and_ends_with_the_answer() {
    let bench = bench(
        Setup::default(),
        vec![
            calls(&[("a", "look", "{\"n\":1}"), ("b", "look", "{\"n\":2}")]),
            says("done"),
        ],
    );
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    assert_eq!(bench.answer().as_deref(), Some("done"));
    assert_eq!(
        bench.tools.most.load(Ordering::SeqCst),
        2,
        "reading calls run side by side"
    );
    assert_eq!(
        bench.agent.session.read(|state| state.ledger.spent().usd()),
        0.5
    );
    bench.check_conversations();
}

#[tokio::test]
async fn what_changes_something_runs_alone_and_in_order() {
    let step = calls(&[
        ("a", "look", "{}"),
        ("b", "write", "{}"),
        ("c", "append", "{}"),
        ("d", "look", "{}"),
    ]);
    let bench = bench(
        Setup {
            mode: Mode::Auto,
            ..Setup::default()
        },
        vec![step, says("done")],
    );
    bench.run("go").await;
    assert_eq!(bench.tools.most.load(Ordering::SeqCst), 1);
    let order = bench
        .tools
        .ran
        .lock()
        .unwrap()
        .iter()
        .map(|invocation| invocation.tool.clone())
        .collect::<Vec<_>>();
    assert_eq!(order, ["look", "write", "append", "look"]);
    assert!(
        bench.journal.syncs.load(Ordering::SeqCst) >= 4,
        "an unrepeatable call is on the disk before and after it runs"
    );
}

#[tokio::test]
async fn a_bad_call_is_told_and_costs_nothing_else() {
    let step = calls(&[
        ("a", "loook", "{}"),
        ("b", "look", "{\"n\":\"x\"}"),
        ("c", "look", "{"),
        ("d", "crash", "{}"),
        ("e", "look", "{}"),
    ]);
    let bench = bench(Setup::default(), vec![step, says("done")]);
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    let mut finished = bench.finished();
    finished.sort_by_key(|(tool, _, content)| (tool.clone(), content.clone()));
    assert!(
        finished
            .iter()
            .any(|(_, status, text)| *status == CallStatus::Error
                && text.contains("did you mean `look`"))
    );
    assert!(
        finished
            .iter()
            .any(|(_, status, text)| *status == CallStatus::Malformed && text.contains("`/n`"))
    );
    assert!(finished.iter().any(
        |(_, status, text)| *status == CallStatus::Malformed && text.contains("malformed JSON")
    ));
    assert!(
        finished
            .iter()
            .any(|(tool, status, _)| tool == "crash" && *status == CallStatus::Fault)
    );
    assert_eq!(bench.tools.ran.lock().unwrap().len(), 2);
    bench.check_conversations();
    let sent = bench.script.seen.lock().unwrap();
    let arguments = sent[1][1]
        .calls()
        .map(|call| call.arguments.clone())
        .collect::<Vec<_>>();
    assert_eq!(
        arguments[2], "{}",
        "unparsable arguments are never sent back"
    );
}

#[tokio::test]
async fn malformed_calls_of_one_tool_in_a_row_are_advised_on_once() {
    let bad = || calls(&[("a", "look", "{")]);
    let bench = bench(Setup::default(), vec![bad(), bad(), bad(), says("sorry")]);
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    let advice = bench
        .events()
        .iter()
        .filter(|event| matches!(event, Event::Notice { code, .. } if code == "malformed_again"))
        .count();
    assert_eq!(advice, 1);
    bench.check_conversations();
}

#[tokio::test]
async fn cut_replies_lose_their_calls_and_are_bounded() {
    let cut = || {
        let call = Part::Call(Call {
            id: "a".into(),
            name: "write".into(),
            arguments: "{\"n\"".into(),
        });
        reply(
            vec![
                Part::Text {
                    text: "now I".into(),
                },
                call,
            ],
            Stop::MaxTokens,
        )
    };
    let bench = bench(
        Setup {
            mode: Mode::Auto,
            ..Setup::default()
        },
        vec![cut(), says("shorter")],
    );
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    assert!(bench.tools.ran.lock().unwrap().is_empty());
    bench.check_conversations();

    let bench = self::bench(
        Setup::default(),
        vec![cut(), cut(), cut(), cut(), says("never")],
    );
    assert_eq!(bench.run("go").await, TurnEnd::Error);
    assert_eq!(bench.script.seen.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn duplicate_and_missing_call_ids_are_made_unique() {
    let bench = bench(
        Setup::default(),
        vec![
            calls(&[("a", "look", "{}"), ("a", "look", "{}"), ("", "look", "")]),
            calls(&[("a", "look", "{\"n\":1}"), ("", "look", "{\"n\":2}")]),
            says("done"),
        ],
    );
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    assert_eq!(bench.finished().len(), 5);
    // A server that counts anew in every reply is no different.
    let mut ids = bench.agent.session.read(|state| {
        let calls = state.messages.iter().flat_map(|message| message.calls());
        calls.map(|call| call.id.clone()).collect::<Vec<_>>()
    });
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 5, "{ids:?}");
    bench.check_conversations();
}

#[tokio::test]
async fn a_failing_service_is_tried_again_as_it_asks() {
    let bench = bench(
        Setup::default(),
        vec![
            fails(overloaded(Some(1234))),
            fails(overloaded(None)),
            says("done"),
        ],
    );
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    assert_eq!(bench.clock.slept_ms.load(Ordering::SeqCst), 1234 + 15_000);

    let bench = self::bench(
        Setup::default(),
        vec![fails(ProviderError::Auth("bad key".into())), says("never")],
    );
    assert_eq!(bench.run("go").await, TurnEnd::Error);
    assert!(
        bench
            .events()
            .iter()
            .any(|event| matches!(event, Event::Error { kind, .. } if kind == "auth"))
    );
    assert_eq!(bench.script.seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn limits_end_the_turn_with_their_own_reason() {
    let forever = || {
        (0..10)
            .map(|_| calls(&[("a", "look", "{}")]))
            .collect::<Vec<_>>()
    };
    let three = Budget {
        iterations: 3,
        ..Budget::default()
    };
    let bench = bench(
        Setup {
            budget: three,
            ..Setup::default()
        },
        forever(),
    );
    assert_eq!(bench.run("go").await, TurnEnd::Iterations);
    assert_eq!(bench.script.seen.lock().unwrap().len(), 3);

    let dollars = Budget {
        usd: Some(ml_intern_agent::money::MicroUsd::from_usd(0.5)),
        ..Budget::default()
    };
    let bench = self::bench(
        Setup {
            budget: dollars,
            ..Setup::default()
        },
        forever(),
    );
    // The second call is larger than the first, and would pass the cap.
    assert_eq!(bench.run("go").await, TurnEnd::Budget);
    assert_eq!(bench.script.seen.lock().unwrap().len(), 1);

    let nothing = Budget {
        time: Duration::ZERO,
        ..Budget::default()
    };
    let bench = self::bench(
        Setup {
            budget: nothing,
            ..Setup::default()
        },
        forever(),
    );
    assert_eq!(bench.run("go").await, TurnEnd::Time);
}

#[tokio::test]
async fn a_cancelled_tool_gets_a_result_and_the_conversation_stays_whole() {
    let bench = bench(
        Setup::default(),
        vec![calls(&[("a", "slow", "{}"), ("b", "look", "{}")])],
    );
    let cancel = CancellationToken::new();
    let run = turn::run(&bench.agent, Some("go"), &cancel);
    let stop = async {
        while bench.tools.running.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    };
    let (end, ()) = tokio::join!(run, stop);
    assert_eq!(end.unwrap(), TurnEnd::Interrupted);
    let finished = bench.finished();
    assert_eq!(finished.len(), 2);
    assert!(
        finished
            .iter()
            .all(|(_, status, _)| *status == CallStatus::Cancelled)
    );
    assert!(finished[0].2.contains("unknown") && finished[1].2.contains("not started"));
    bench.script.steps.lock().unwrap().push_back(says("fine"));
    assert_eq!(bench.run("and now?").await, TurnEnd::Done);
    bench.check_conversations();
}

#[tokio::test]
async fn a_cancelled_stream_keeps_what_was_read() {
    let bench = bench(Setup::default(), vec![]);
    let cancel = CancellationToken::new();
    let run = turn::run(&bench.agent, Some("go"), &cancel);
    let stop = async {
        while bench.script.seen.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    };
    let (end, ()) = tokio::join!(run, stop);
    assert_eq!(end.unwrap(), TurnEnd::Interrupted);
    let last = bench
        .agent
        .session
        .read(|state| state.messages.last().cloned())
        .unwrap();
    assert_eq!(
        (last.role, last.plain_text().as_str()),
        (Role::Assistant, "I was about to")
    );
}

#[tokio::test]
async fn a_full_disk_stops_the_session_before_anything_unknown_happens() {
    // 1 turn.started, 2 usage, 3 message, 4 tool.started
    let bench = bench(
        Setup {
            mode: Mode::Auto,
            fail_at: Some(4),
            ..Setup::default()
        },
        vec![calls(&[("a", "append", "{}")])],
    );
    let error = turn::run(&bench.agent, Some("go"), &CancellationToken::new())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("no space left"), "{error}");
    assert!(
        bench.tools.ran.lock().unwrap().is_empty(),
        "a call that the log does not know must not run"
    );
}

#[tokio::test]
async fn modes_decide_who_is_asked() {
    for (mode, answers, allowed) in [
        (Mode::Auto, None, true),
        (Mode::AutoEdit, None, true),
        (Mode::Ask, None, false),
        (Mode::Plan, Some(vec![answer(Decision::Allow, None)]), false),
        (Mode::Ask, Some(vec![answer(Decision::Allow, None)]), true),
        (Mode::Ask, Some(vec![answer(Decision::Deny, None)]), false),
    ] {
        let bench = bench(
            Setup {
                mode,
                answers,
                ..Setup::default()
            },
            vec![
                calls(&[("a", "write", "{}"), ("b", "look", "{}")]),
                says("ok"),
            ],
        );
        assert_eq!(bench.run("go").await, TurnEnd::Done);
        assert_eq!(
            bench.tools.ran.lock().unwrap().len(),
            if allowed { 2 } else { 1 },
            "{mode:?}"
        );
        let denied = bench
            .finished()
            .iter()
            .any(|(_, status, _)| *status == CallStatus::Denied);
        assert_eq!(denied, !allowed, "{mode:?}");
    }
}

#[tokio::test]
async fn nobody_there_is_written_down() {
    let bench = bench(
        Setup::default(),
        vec![calls(&[("a", "write", "{}")]), says("could not")],
    );
    bench.run("go").await;
    assert!(
        bench
            .events()
            .iter()
            .any(|event| matches!(event, Event::TurnFinished { blocked: true, .. }))
    );
    assert!(bench.finished()[0].2.contains("--permission-mode"));
}

#[tokio::test]
async fn an_answer_can_hold_for_the_session_and_can_edit_the_call() {
    let write = |n: u32| {
        calls(&[(
            "a",
            "write",
            Box::leak(format!("{{\"n\":{n}}}").into_boxed_str()),
        )])
    };
    let answers = vec![answer(Decision::AllowAlways, Some(json!({"n": 7})))];
    let bench = bench(
        Setup {
            answers: Some(answers),
            ..Setup::default()
        },
        vec![write(1), write(2), says("ok")],
    );
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    let ran = bench
        .tools
        .ran
        .lock()
        .unwrap()
        .iter()
        .map(|invocation| invocation.arguments.clone())
        .collect::<Vec<_>>();
    assert_eq!(ran, [json!({"n": 7}), json!({"n": 2})]);
    assert!(bench.finished()[0].2.contains("the user edited"));
    assert!(
        bench.events().iter().any(
            |event| matches!(event, Event::Notice { code, .. } if code == "approval_not_kept")
        )
    );
    let remembered = bench.agent.session.read(|state| state.remembered.clone());
    assert_eq!(
        (remembered[0].effect, remembered[0].plugin.as_str()),
        (Some(Effect::Edit), "test/tools")
    );
}

/// The log of a process that died at each of its entries: a new one goes on and comes to the same end.
#[tokio::test]
async fn a_turn_goes_on_wherever_its_log_breaks_off() {
    let steps = || {
        vec![
            calls(&[("a", "look", "{}"), ("b", "write", "{}")]),
            calls(&[("c", "append", "{}")]),
            says("done"),
        ]
    };
    let whole = bench(
        Setup {
            mode: Mode::Auto,
            ..Setup::default()
        },
        steps(),
    );
    whole.run("go").await;
    let log = whole.journal.events.lock().unwrap().clone();
    for cut in 1..log.len() {
        let log = log[..cut].to_vec();
        let answered = log
            .iter()
            .filter(|(_, event)| matches!(event, Event::Message { .. }))
            .count();
        let ran_before = log
            .iter()
            .filter(|(_, event)| matches!(event, Event::ToolFinished { .. }))
            .count();
        let append_open =
            matches!(log.last(), Some((_, Event::ToolStarted { tool, .. })) if tool == "append");
        let mut left = steps();
        left.drain(..answered);
        let bench = bench(
            Setup {
                mode: Mode::Auto,
                log,
                ..Setup::default()
            },
            left,
        );
        let end = turn::run(&bench.agent, None, &CancellationToken::new())
            .await
            .unwrap();
        assert_eq!(
            (end, bench.answer().as_deref()),
            (TurnEnd::Done, Some("done")),
            "cut at {cut}"
        );
        assert_eq!(
            bench.finished().len(),
            3,
            "cut at {cut}: each call has one result"
        );
        let ran = bench.tools.ran.lock().unwrap().len();
        let interrupted = bench
            .finished()
            .iter()
            .filter(|(_, status, _)| *status == CallStatus::Interrupted)
            .count();
        assert_eq!(interrupted, usize::from(append_open), "cut at {cut}");
        assert_eq!(
            ran + ran_before + interrupted,
            3,
            "cut at {cut}: nothing that finished runs twice"
        );
        bench.check_conversations();
    }
}

#[tokio::test]
async fn secrets_are_cut_out_before_anything_is_written_or_told_and_the_call_runs_as_it_was_made() {
    let watcher = Arc::new(Watcher::default());
    let bench = bench(
        Setup {
            watchers: vec![watcher.clone()],
            ..Setup::default()
        },
        vec![
            calls(&[
                ("a", "look", "{\"s\": \"s3cret\"}"),
                ("b", "look", "{\"n\": 1}"),
            ]),
            says("it is s3cret"),
        ],
    );
    bench.run("use s3cret").await;
    let ran = bench.tools.ran.lock().unwrap().clone();
    assert_eq!(
        ran.iter()
            .map(|one| one.arguments.clone())
            .collect::<Vec<_>>(),
        [json!({"s": "s3cret"}), json!({"n": 1})]
    );
    let log = bench.journal.events.lock().unwrap().clone();
    let shown = watcher.0.lock().unwrap().clone();
    let told = bench.script.seen.lock().unwrap().clone();
    for text in [
        format!("{log:?}"),
        format!("{shown:?}"),
        format!("{told:?}"),
    ] {
        assert!(!text.contains("s3cret") && text.contains("[cut]"), "{text}");
    }
    assert_eq!(bench.answer().as_deref(), Some("it is [cut]"));
    let notices = log
        .iter()
        .filter(|(_, event)| matches!(event, Event::Notice { code, .. } if code == "redacted"));
    assert_eq!(notices.count(), 1, "the user is told of their own words");
    let mut folded = State::default();
    for (stamp, event) in &log {
        folded.apply(event, *stamp);
    }
    let live = bench.agent.session.read(|state| format!("{state:?}"));
    assert_eq!(live, format!("{folded:?}"));
    bench.check_conversations();
}

#[tokio::test]
async fn a_call_whose_arguments_were_not_kept_is_not_made_up_by_another_process() {
    let first = bench(
        Setup::default(),
        vec![
            calls(&[
                ("a", "look", "{\"s\": \"s3cret\"}"),
                ("b", "look", "{\"n\": 1}"),
            ]),
            says("done"),
        ],
    );
    first.run("go").await;
    let log = first.journal.events.lock().unwrap().clone();
    let model = log.iter().position(
        |(_, event)| matches!(event, Event::Message { message } if message.role == Role::Assistant),
    );
    let second = bench(
        Setup {
            log: log[..=model.unwrap()].to_vec(),
            ..Setup::default()
        },
        vec![says("done")],
    );
    turn::run(&second.agent, None, &CancellationToken::new())
        .await
        .unwrap();
    let finished = second.finished();
    assert_eq!(finished[0].1, CallStatus::Interrupted);
    assert!(
        finished[0].2.contains("make the call again"),
        "{finished:?}"
    );
    assert_eq!(finished[1].1, CallStatus::Ok);
    assert_eq!(second.tools.ran.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_held_back_of_a_text_in_pieces_is_shown_before_what_comes_next() {
    let watcher = Arc::new(Watcher::default());
    let bench = bench(
        Setup {
            watchers: vec![watcher.clone()],
            ..Setup::default()
        },
        Vec::new(),
    );
    let session = &bench.agent.session;
    for text in ["a s3c", "ret b"] {
        session.show(&Event::TextDelta { text: text.into() });
    }
    assert!(watcher.0.lock().unwrap().is_empty());
    let notice = |text: &str| Event::Notice {
        code: "x".into(),
        text: text.into(),
    };
    session.record(notice("next")).unwrap();
    let shown = watcher.0.lock().unwrap().clone();
    assert_eq!(
        shown,
        [
            Event::TextDelta {
                text: "a [cut] b".into()
            },
            notice("next")
        ]
    );
}

//! What holds after everything that happened.

use crate::bench::conversation;
use crate::host::Host;
use crate::world::fold;
use ml_intern_agent::event::{CallStatus, TurnEnd};
use ml_intern_agent::money::MicroUsd;
use ml_intern_agent::{Event, Message, Role, Stamp, State};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn check(host: &Host) {
    let log = host.disk.log();
    check_log(host, &log);
    host.agent.session.read(|state| {
        let folded = fold(&read_back(&log));
        assert_eq!(format!("{state:?}"), format!("{folded:?}"));
        check_conversation(state);
        check_money(state, &log);
        check_turns(state, &log);
        check_calls(state, &log);
        check_words(state, &log);
    });
}

/// The log has every event in order, and who watches was told the same.
fn check_log(host: &Host, log: &[(Stamp, Event)]) {
    let places: Vec<_> = log.iter().map(|(stamp, _)| stamp.seq).collect();
    let expected: Vec<_> = (1..=log.len() as u64).collect();
    assert_eq!(places, expected);
    assert_eq!(host.agent.session.last().seq, log.len() as u64);
    let watch = host.watch.0.lock().unwrap();
    for (seen, written) in watch.1.iter().zip(log) {
        // A question is shown with more of its words than are written down.
        if !matches!(seen.1, Event::PermissionRequested { .. }) {
            assert_eq!(seen, written);
        }
    }
    assert_eq!(watch.1.len(), log.len());
    assert!(!format!("{log:?}").contains("s3cret"));
}

/// As another process finds it.
fn read_back(log: &[(Stamp, Event)]) -> Vec<(Stamp, Event)> {
    let read = |(stamp, event): &(Stamp, Event)| {
        let line = serde_json::to_string(event).unwrap();
        (*stamp, serde_json::from_str(&line).unwrap())
    };
    log.iter().map(read).collect()
}

/// The next words make a request of it that services take.
fn check_conversation(state: &State) {
    if !state.open.is_empty() {
        return;
    }
    let messages = state.messages.iter().map(|message| Message::clone(message));
    let mut messages: Vec<_> = messages.collect();
    if messages.last().is_some_and(|last| last.role != Role::User) {
        messages.push(Message::text(Role::User, "and now?"));
    }
    conversation::check(&messages);
}

/// What is spent is the sum of what everything cost; a job whose back end never said counts as what was agreed to.
fn check_money(state: &State, log: &[(Stamp, Event)]) {
    let mut calls = MicroUsd::ZERO;
    let mut jobs: BTreeMap<&str, MicroUsd> = BTreeMap::new();
    for (_, event) in log {
        match event {
            Event::Usage { usage } => {
                let price = usage.cost_usd.or(usage.assumed_usd);
                calls = calls.plus(price.unwrap_or_default());
            }
            Event::JobStarted { job } | Event::JobUpdated { job } | Event::JobFinished { job } => {
                let known = jobs.entry(&job.id).or_default();
                let unsaid = job.price_usd.filter(|_| job.is_final());
                *known = (*known).max(job.cost_usd.or(unsaid).unwrap_or_default());
            }
            _ => {}
        }
    }
    let expected = calls.plus(jobs.into_values().sum());
    assert_eq!(state.ledger.spent(), expected);
    assert!(state.ledger.committed() >= expected);
}

/// A turn ends at most once, and the last one exactly once unless it is under way or was taken back.
fn check_turns(state: &State, log: &[(Stamp, Event)]) {
    let mut under_way = None;
    for (_, event) in log {
        match event {
            Event::TurnStarted { turn, .. } => under_way = Some(*turn),
            Event::TurnUndone { .. } => under_way = None,
            Event::TurnFinished { .. } => assert!(under_way.take().is_some(), "it ended twice"),
            _ => {}
        }
    }
    assert_eq!(under_way.is_some(), state.turn_open);
}

/// Every call of the model ends once; one that a tool made at most once.
fn check_calls(state: &State, log: &[(Stamp, Event)]) {
    let mut left: BTreeSet<String> = BTreeSet::new();
    let (mut started, mut ended) = (BTreeSet::new(), BTreeSet::new());
    for (stamp, event) in log {
        match event {
            Event::Message { message } => {
                assert!(left.is_empty(), "a message before every result: {left:?}");
                let ids =
                    (0..message.calls().count()).map(|index| format!("c{}.{index}", stamp.seq));
                left.extend(ids);
            }
            Event::ToolStarted { call, .. } => drop(started.insert(call)),
            Event::ToolFinished { call, status, .. } => {
                assert!(ended.insert(call), "{call} ended twice");
                let known = left.remove(call) || call.contains('/');
                assert!(known, "{call} is no open call");
                let lost = matches!(status, CallStatus::Cancelled | CallStatus::Interrupted);
                assert!(lost || started.contains(call), "{call} ended unseen");
            }
            // What was open then is no part of the conversation any more.
            Event::TurnUndone { .. } => left.clear(),
            Event::TurnFinished { .. } | Event::TurnStarted { .. } => {
                assert!(left.is_empty(), "without a result: {left:?}");
            }
            _ => {}
        }
    }
    let open = state.open.iter().filter(|open| open.result.is_none());
    let open: BTreeSet<_> = open.map(|open| open.id.clone()).collect();
    assert_eq!(open, left);
}

/// Nothing that a person said is lost, unless they took it back.
fn check_words(state: &State, log: &[(Stamp, Event)]) {
    let (mut kept, mut waiting, mut turn) = (Vec::new(), Vec::new(), 0);
    for (_, event) in log {
        match event {
            Event::InputQueued { text } => waiting.push(text.clone()),
            Event::InputTaken {} => kept.extend(waiting.drain(..).map(|text| (turn, text))),
            Event::TurnStarted { turn: new, input } => {
                turn = *new;
                waiting.clear();
                kept.extend(input.split("\n\n").map(|text| (turn, text.to_owned())));
            }
            Event::TurnUndone { turn: undone, .. } => kept.retain(|(turn, _)| turn != undone),
            _ => {}
        }
    }
    let known = format!("{:?}{:?}", state.messages, state.context);
    for (_, text) in kept {
        assert!(known.contains(&text), "lost: {text}");
    }
    assert_eq!(state.queued, waiting);
}

/// The turn is over: the log says so, and how, and keeps it.
pub(crate) fn check_end(host: &Host, end: TurnEnd) {
    let log = host.disk.log();
    let is_end = |event: &Event| matches!(event, Event::TurnFinished { .. });
    // Words and jobs may come while it is written to the disk.
    let (stamp, event) = log.iter().rfind(|(_, event)| is_end(event)).unwrap();
    assert!(host.disk.synced() >= stamp.seq, "the end may get lost");
    host.agent.session.read(|state| {
        assert!(!state.turn_open && state.open.is_empty());
        assert_eq!(end == TurnEnd::Error, state.error.is_some());
        assert!(end == TurnEnd::Done || state.answer.is_none());
        let expected = Event::TurnFinished {
            reason: end,
            message: state.answer.clone(),
            iterations: state.iterations,
            blocked: state.blocked,
        };
        assert_eq!(*event, expected);
    });
}

/// Nothing goes on by itself: no call waits for the answer to a question after which the person said something else.
pub(crate) fn check_stalled(host: &Host) {
    let (mut asked, mut passed) = (BTreeSet::new(), BTreeSet::new());
    for (_, event) in host.disk.log() {
        match event {
            // What was asked before is over, answered or not.
            Event::SessionResumed { .. } | Event::TurnFinished { .. } => {
                asked.clear();
                passed.clear();
            }
            Event::PermissionRequested { request } => drop(asked.insert(request.id)),
            Event::PermissionResolved { id, .. } => {
                asked.remove(&id);
                passed.remove(&id);
            }
            Event::InputQueued { .. } => passed.append(&mut asked),
            _ => {}
        }
    }
    assert!(passed.is_empty(), "still waits for an answer: {passed:?}");
}

/// The turn is taken back: the model knows what it knew before.
pub(crate) fn check_undone(host: &Host, turn: u32) {
    let log = host.disk.log();
    let is_start =
        |event: &Event| matches!(event, Event::TurnStarted { turn: one, .. } if *one == turn);
    let start = log.iter().rposition(|(_, event)| is_start(event));
    let before = fold(&log[..start.unwrap()]);
    host.agent.session.read(|state| {
        assert_eq!(state.messages, before.messages);
        assert_eq!(state.plan, before.plan);
        assert!(state.open.is_empty() && !state.turn_open);
    });
}

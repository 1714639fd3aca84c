//! What models send, and how their services fail.

use crate::dice::Dice;
use crate::world::{Mood, World};
use ml_intern_agent::event::Usage;
use ml_intern_agent::message::Call;
use ml_intern_agent::money::MicroUsd;
use ml_intern_agent::ports::{Reply, Request, Stop};
use ml_intern_agent::{Part, ProviderError};

/// Calls of which one is more than a reply may have.
const MANY: u64 = 130;

/// An answer or a failure; a summary where one is wanted, most of the time.
pub(crate) fn answer(world: &World, request: &Request<'_>) -> Result<Reply, ProviderError> {
    let dice = &world.dice;
    let (failure, kinds) = match world.mood {
        Mood::Fickle => (7, 16),
        Mood::Busy => (30, 100),
        Mood::Stubborn => (60, 200),
    };
    if dice.one_in(failure) {
        return Err(error(dice));
    }
    // The others are calls.
    let (parts, stop) = match dice.below(kinds) {
        0 => (Vec::new(), Stop::EndTurn),
        1 => (vec![text("")], Stop::EndTurn),
        2 => (vec![text("no"), reasoning(dice)], Stop::Refusal),
        3 => (vec![reasoning(dice)], Stop::Other),
        4..=6 => (vec![text("an answer, s3cret")], Stop::EndTurn),
        7 => (vec![text("an answer that is c")], Stop::MaxTokens),
        8 => (calls(world), Stop::MaxTokens),
        _ => (calls(world), Stop::ToolUse),
    };
    let bytes: usize = request
        .messages
        .iter()
        .map(|one| format!("{one:?}").len())
        .sum();
    let usage = Usage {
        input: if dice.one_in(8) { 0 } else { bytes as u64 / 5 },
        output: dice.below(50),
        // Parts of a power of two: a sum of them is the same in whatever order.
        cost_usd: (!dice.one_in(6)).then(|| MicroUsd::new(dice.below(64_000))),
        ..Usage::default()
    };
    Ok(Reply { parts, stop, usage })
}

fn text(text: &str) -> Part {
    Part::Text { text: text.into() }
}

fn reasoning(dice: &Dice) -> Part {
    Part::Reasoning {
        text: "I think, s3cret".into(),
        provider: Some("p".into()),
        opaque: dice.one_in(2).then(|| "signature".into()),
    }
}

fn calls(world: &World) -> Vec<Part> {
    let dice = &world.dice;
    if world.mood == Mood::Stubborn && !dice.one_in(30) {
        return vec![Part::Call(same())];
    }
    let count = match dice.below(60) {
        0 => MANY,
        _ => 1 + dice.below(4),
    };
    let mut parts = Vec::new();
    if dice.one_in(3) {
        parts.push(reasoning(dice));
    }
    if dice.one_in(2) {
        parts.push(text("first this"));
    }
    parts.extend((0..count).map(|_| Part::Call(call(world))));
    if dice.one_in(10) {
        parts.push(text("words behind the calls"));
    }
    parts
}

fn same() -> Call {
    Call {
        id: "same".into(),
        name: "look".into(),
        arguments: "{}".into(),
    }
}

fn call(world: &World) -> Call {
    let dice = &world.dice;
    let tools = ["look", "look", "write", "append", "send", "nest"];
    let names = ["loook", "no name!", "", &"ü".repeat(70), "s3cret"];
    let good = ["{}", "{\"n\":1}", "{ \"n\": 2 }", "{\"s\":\"s3cret\"}", ""];
    let bad = [
        "{",
        "[1]",
        "null",
        "{\"n\":\"x\"}",
        "{\"m\":1}",
        "{\"s\":\"s3cret",
        "nul\0",
    ];
    let own = format!("id{}", dice.below(1 << 40));
    let arguments = match dice.below(12) {
        0..=1 => (*dice.pick(&bad)).to_owned(),
        2 => format!(
            "{{\"s\":\"{}\"}}",
            "x".repeat(dice.below(world.trouble.bytes()) as usize)
        ),
        3..=5 => format!("{{\"n\":{}}}", dice.below(1000)),
        _ => (*dice.pick(&good)).to_owned(),
    };
    let name = match dice.one_in(12) {
        true => *dice.pick(&names),
        false => *dice.pick(&tools),
    };
    Call {
        id: (*dice.pick(&["", "a", "a", "call_1", &own, &own, &own])).to_owned(),
        name: name.to_owned(),
        arguments,
    }
}

fn error(dice: &Dice) -> ProviderError {
    let words = || String::from("words of the service, s3cret");
    let upstream = |status, retryable, retry_after_ms| ProviderError::Upstream {
        status,
        code: None,
        message: words(),
        retryable,
        retry_after_ms,
    };
    match dice.below(16) {
        0 => ProviderError::Auth(words()),
        1 => ProviderError::NotFound(words()),
        2..=5 => ProviderError::ContextOverflow(words()),
        6 => upstream(Some(429), true, None),
        7..=8 => upstream(Some(503), true, None),
        9 => upstream(None, true, Some(dice.below(2_000_000))),
        10 => upstream(Some(400), false, None),
        11 => ProviderError::Timeout,
        12 => ProviderError::Cancelled,
        13 => ProviderError::Denied(words()),
        14 => ProviderError::Fault(words()),
        _ => ProviderError::Other(words()),
    }
}

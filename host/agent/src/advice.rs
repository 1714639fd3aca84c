//! The host speaks to the model: its calls are malformed, its plan is not done, it goes round in circles.

use crate::answer::REPAIR;
use crate::event::{Event, Step, TurnEnd};
use crate::message::{Message, Role};
use crate::ports::JournalError;
use crate::prompt;
use crate::reply::EMPTY;
use crate::turn::{Agent, reached};

/// Malformed calls of one tool in a row before the host steps in.
const MALFORMED: u32 = 2;
/// Answers in a row that are not taken while the plan has open items; after that, what the model says goes.
const HELD: u32 = 2;

/// Code of the notice that the model was sent back to its plan.
pub(crate) const CONTINUATION: &str = "continuation";
/// Notices that say something about the conversation they are in, and nothing about another.
pub const OWN_NOTICES: [&str; 3] = [CONTINUATION, EMPTY, REPAIR];

pub(crate) fn on_malformed(agent: &Agent) -> Result<(), JournalError> {
    // Told once a streak: the count passes the threshold once, and advice already given ends the conversation.
    let (streak, told) = agent.session.read(|state| {
        let told = state
            .messages
            .last()
            .is_some_and(|message| message.role != Role::Tool);
        (state.malformed.clone(), told)
    });
    match streak {
        Some((tool, MALFORMED)) if !told => {
            let notice = format!(
                "calls of `{tool}` are malformed again; the model is told to make smaller ones"
            );
            inject(
                agent,
                "malformed_again",
                &notice,
                prompt::malformed_again(&tool),
            )
        }
        _ => Ok(()),
    }
}

/// Whether the model is sent back to its plan, because it answered before that was done.
pub(crate) fn hold_to_plan(agent: &Agent) -> Result<bool, JournalError> {
    let unfinished = agent.session.read(|state| match state.held < HELD {
        true => prompt::unfinished(&state.plan),
        false => None,
    });
    // An answer is worth more than a limit.
    match unfinished.filter(|_| reached(agent).is_none()) {
        Some(advice) => {
            let notice = "the plan is not done; the model is sent back to it";
            inject(agent, CONTINUATION, notice, advice).map(|()| true)
        }
        None => Ok(false),
    }
}

/// Told, barred, stopped: each once, and each only when the model goes round once more.
pub(crate) fn on_repetition(agent: &Agent) -> Result<Option<TurnEnd>, JournalError> {
    let Some(repetition) = agent.session.read(|state| state.recent.noticed()) else {
        return Ok(None);
    };
    let advice = prompt::repetition(&repetition);
    let tools = repetition.tools.join("` → `");
    let notice = match repetition.step {
        Step::Warned => format!("the model repeats `{tools}`; it is told to go another way"),
        Step::Barred | Step::Stopped => {
            format!("the model repeats `{tools}` again; these calls are not run any more")
        }
    };
    let stopped = repetition.step == Step::Stopped;
    if !stopped {
        inject(agent, "repetition", &notice, advice)?;
    }
    agent.session.record(Event::Repetition { repetition })?;
    Ok(stopped.then_some(TurnEnd::Repetition))
}

/// The host speaks in the user's place; `notice` is what the user sees of it.
pub(crate) fn inject(
    agent: &Agent,
    code: &str,
    notice: &str,
    advice: String,
) -> Result<(), JournalError> {
    // In this order: what counts as told was told, also where the host dies in between.
    let mut message = Message::text(Role::User, advice);
    message.injected = true;
    agent.session.record(Event::Message { message })?;
    agent.session.record(Event::Notice {
        code: code.into(),
        text: notice.into(),
    })?;
    Ok(())
}

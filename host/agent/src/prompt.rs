//! What the host tells the model: the system prompt, and its advice during a turn.

mod hardware;
mod place;
mod session;
mod system;

pub use place::{Backend, Flavor, Place, Skill};
pub use system::system;

use crate::event::{Repetition, Step};
use crate::plan::{PlanItem, PlanStatus};

/// Items of a plan that the host reminds of, and bytes of each.
const ITEMS: usize = 4;
const ITEM_BYTES: usize = 300;

/// The host's advice after the same tool got malformed arguments again.
pub(crate) fn malformed_again(tool: &str) -> String {
    format!(
        "[SYSTEM: the last calls of `{tool}` had malformed JSON arguments. Do not send the same call again. \
         Write large content in several smaller steps, for example a shell heredoc or a few small edits.]"
    )
}

/// The host's advice to a model whose answer has not the shape that was asked for.
pub(crate) fn answer_repair(problem: &str, schema: &str) -> String {
    format!(
        "[SYSTEM: your final answer has to be one JSON value that satisfies the schema below, with nothing around it. \
         It does not:\n{problem}\nAnswer again. Schema: {schema}]"
    )
}

/// The host's advice to a model that answers before its plan is done; none where it is.
pub(crate) fn unfinished(plan: &[PlanItem]) -> Option<String> {
    let open: Vec<_> = plan
        .iter()
        .filter(|item| item.status != PlanStatus::Completed)
        .collect();
    if open.is_empty() {
        return None;
    }
    let line = |item: &&PlanItem| {
        let status = match item.status {
            PlanStatus::InProgress => "in progress",
            PlanStatus::Pending | PlanStatus::Completed => "pending",
        };
        let content = crate::arguments::shorten(&item.content, ITEM_BYTES);
        format!(
            "{}. {content} [{status}]",
            crate::arguments::shorten(&item.id, ITEM_BYTES)
        )
    };
    let mut items = open
        .iter()
        .take(ITEMS)
        .map(line)
        .collect::<Vec<_>>()
        .join("; ");
    if open.len() > ITEMS {
        items.push_str(&format!("; ... and {} more", open.len() - ITEMS));
    }
    Some(format!(
        "[SYSTEM: CONTINUATION GUARD] your plan is not done: {items}. Do not hand back to the user yet. Go on with a \
         tool call; where something blocks you, make sure of it with a tool; where an item is done or no longer \
         wanted, say so in the plan."
    ))
}

/// The host's advice to a model that goes round in circles.
pub(crate) fn repetition(repetition: &Repetition) -> String {
    let tools = repetition.tools.join("` → `");
    let what = match repetition.tools.len() {
        1 => format!(
            "you call `{tools}` again and again with the same arguments, and get the same result"
        ),
        _ => format!(
            "you repeat the calls `{tools}` in a circle, with the same arguments and the same results"
        ),
    };
    let advice = match repetition.step {
        Step::Warned => {
            "This way does not work. Take another tool or clearly other arguments, split the problem in another way, \
             or tell the user what you are stuck on."
        }
        Step::Barred | Step::Stopped => {
            "You were told before. These calls are not run any more until you do something else; the next of them \
             ends the turn. Go another way now, or tell the user what you are stuck on."
        }
    };
    format!("[SYSTEM: REPETITION GUARD] {what}. {advice}")
}

/// The result of a call that is not run any more.
pub(crate) fn barred(tool: &str) -> String {
    format!(
        "this call of `{tool}` was not run: it was made again and again with the same arguments and the same result; \
         do something else"
    )
}

/// Asks the model for a summary of what is about to be left out.
pub(crate) fn summarise() -> &'static str {
    "[SYSTEM: the conversation is about to be cut to make room. Call no tool now. Write a note to yourself from which \
     you can go on without anything of the above but the user's first message: what was asked and what was agreed \
     since; what was done, with paths, ids, commands and the numbers that came out; which decisions were taken and \
     why; what failed and how it was solved, or was not; what is open and what comes next. Be short and exact.]"
}

/// What stands for the messages that were left out.
pub(crate) fn summary(words: &str, facts: &str) -> String {
    let words = match words.trim() {
        "" => "(no summary could be made)",
        words => words,
    };
    format!(
        "[SYSTEM: earlier messages were left out to make room. Your own note of them:]\n\n{words}\n{facts}\n\
         [SYSTEM: go on from here.]"
    )
}

/// The host's advice after a reply was cut.
pub(crate) fn truncated(lost: &[String]) -> String {
    format!(
        "[SYSTEM: your reply was cut by its output limit, so these calls were lost and not executed: {}. \
         Do not send the same large content again; write it in several smaller steps.]",
        lost.join(", ")
    )
}

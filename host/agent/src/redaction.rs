//! Which words of an event may hold a secret, and what is done about each.
//!
//! The rules themselves are behind a port: this crate knows where text is, not what a secret looks like.

use crate::event::{Audit, Event, JobNote, PermissionRequest};
use crate::message::{Image, Message, Part};
use serde_json::Value;

/// Stands in a result where a picture held a secret.
const PICTURE: &str = "[a picture was left out: it held a secret]";

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rules {
    /// Values that the host knows, and nothing else: for what must otherwise stay as it is, such as a provider's
    /// signature.
    Known,
    /// Also keys that carry their maker's mark (`hf_…`). None of these hides a character that means something to a
    /// shell, so a person can still judge the command around it.
    Marked,
    /// Everything that looks like a secret.
    All,
}

/// Takes secrets out of text.
pub trait Redactor: Send + Sync {
    /// Replaces what is secret; says whether anything was.
    fn text(&self, text: &mut String, rules: Rules) -> bool;
    /// The same for every string of a JSON value, also by the names of its fields.
    fn value(&self, value: &mut Value, rules: Rules) -> bool;
    /// [`Rules::All`] for one line of what `source` says over time, so that a secret of many lines is noticed.
    fn line(&self, source: &str, text: &mut String) -> bool;
    /// `source` says no more.
    fn end_of_lines(&self, source: &str);
    /// Whether something was taken out of `text` before.
    fn is_redacted(&self, text: &str) -> bool;
    /// For a text that comes in pieces.
    fn fragments(&self) -> Box<dyn Fragments>;
}

/// A text that comes in pieces, whose secrets may be split anywhere.
pub trait Fragments: Send {
    /// What may be shown now; the rest is held back until more is known.
    fn push(&mut self, fragment: &str) -> String;
    /// What was held back; the next piece begins another text.
    fn finish(&mut self) -> String;
}

/// What was done to an event.
#[derive(Debug, Default)]
pub(crate) struct Redacted {
    /// Something was taken out.
    pub(crate) changed: bool,
    /// Arguments of calls as the model wrote them, by position of the call, where something was taken out.
    pub(crate) arguments: Vec<(u32, String)>,
}

/// Takes the secrets out of everything that an event says. Ids and the words that the host itself chooses stay.
pub(crate) fn redact(event: &mut Event, redactor: &dyn Redactor) -> Redacted {
    let all = |text: &mut String| redactor.text(text, Rules::All);
    let marked = |text: &mut String| redactor.text(text, Rules::Marked);
    let changed = match event {
        Event::SessionStarted {
            model, workspace, ..
        } => marked(model) | marked(workspace),
        Event::SessionResumed { model, .. } => marked(model),
        Event::SessionForked { .. } => false,
        Event::SessionRenamed { title } => all(title),
        Event::TurnStarted { input, .. } | Event::InputQueued { text: input } => all(input),
        Event::InputTaken {} | Event::TurnUndone { .. } => false,
        Event::InputAttached { images } => redact_pictures(images, &mut String::new(), redactor),
        Event::FileChanged { change } => marked(&mut change.path),
        Event::Message { message } => return redact_message(message, redactor),
        Event::ToolStarted {
            tool, arguments, ..
        } => marked(tool) | redactor.value(arguments, Rules::All),
        Event::ToolLog { call, text, .. } => redactor.line(call, text),
        Event::ToolFinished {
            call,
            tool,
            content,
            images,
            ..
        } => {
            redactor.end_of_lines(call);
            marked(tool) | all(content) | redact_pictures(images, content, redactor)
        }
        Event::PermissionRequested { request } => redact_request(request, redactor, Rules::All),
        Event::PermissionResolved {
            feedback, edited, ..
        } => {
            let value = |edited: &mut Value| redactor.value(edited, Rules::All);
            edited.as_mut().is_some_and(value) | feedback.as_mut().is_some_and(all)
        }
        Event::Repetition { repetition } => fold(repetition.tools.iter_mut(), marked),
        Event::Plan { items } => fold(items.iter_mut().map(|item| &mut item.content), all),
        Event::JobStarted { job } | Event::JobUpdated { job } | Event::JobFinished { job } => {
            let JobNote { name, message, .. } = job;
            fold([name, message].into_iter().flatten(), all)
        }
        Event::Audit { audit } => {
            let Audit {
                target,
                rule,
                detail,
                ..
            } = audit;
            all(target) | fold([rule, detail].into_iter().flatten(), all)
        }
        Event::Compacted { summary, .. } => all(summary),
        Event::AnswerExpected { schema } => schema
            .as_mut()
            .is_some_and(|schema| redactor.value(schema, Rules::All)),
        Event::EffortWanted { effort } => effort.as_mut().is_some_and(marked),
        Event::EffortRefused { why, .. } => all(why),
        Event::ReasoningDropped { why, .. } => all(why),
        Event::ToolWaiting { tool, .. } => marked(tool),
        Event::Usage { .. }
        | Event::BudgetReserved { .. }
        | Event::BudgetSettled { .. }
        | Event::BudgetWarned { .. }
        | Event::BudgetRaised { .. } => false,
        Event::Notice { text, .. } => all(text),
        Event::Error { message, .. } => all(message),
        Event::TurnFinished { message, .. } => message.as_mut().is_some_and(all),
        // These come in pieces: see `Fragments`.
        Event::TextDelta { .. } | Event::ReasoningDelta { .. } | Event::CallDelta { .. } => false,
    };
    Redacted {
        changed,
        arguments: Vec::new(),
    }
}

/// The question as the person sees it who has to decide. Nothing of a command may hide behind a guess, so only what
/// is certainly a secret is taken out; the log has it without the rest as well.
pub(crate) fn as_asked(event: &Event, redactor: &dyn Redactor) -> Option<Event> {
    let Event::PermissionRequested { request } = event else {
        return None;
    };
    let mut request = request.clone();
    redact_request(&mut request, redactor, Rules::Marked);
    Some(Event::PermissionRequested { request })
}

fn redact_request(request: &mut PermissionRequest, redactor: &dyn Redactor, rules: Rules) -> bool {
    redactor.text(&mut request.tool, Rules::Marked)
        | redactor.text(&mut request.summary, rules)
        | redactor.value(&mut request.detail, rules)
}

fn redact_message(message: &mut Message, redactor: &dyn Redactor) -> Redacted {
    let mut done = Redacted::default();
    let mut calls = 0;
    for part in &mut message.parts {
        done.changed |= match part {
            Part::Text { text } => redactor.text(text, Rules::All),
            Part::Image { base64, .. } => {
                let secret = redactor.text(&mut base64.clone(), Rules::Known);
                if secret {
                    *part = Part::Text {
                        text: PICTURE.into(),
                    };
                }
                secret
            }
            Part::Reasoning { text, opaque, .. } => redact_reasoning(text, opaque, redactor),
            Part::Call(call) => {
                let original = redact_arguments(&mut call.arguments, redactor);
                let changed = original.is_some();
                done.arguments.extend(original.map(|text| (calls, text)));
                calls += 1;
                changed
                    | redactor.text(&mut call.id, Rules::Known)
                    | redactor.text(&mut call.name, Rules::Marked)
            }
            Part::Result(result) => {
                redactor.text(&mut result.content, Rules::All)
                    | redact_pictures(&mut result.images, &mut result.content, redactor)
            }
        };
    }
    done
}

/// The provider checks its signature over the text, so that a text that changed goes back without it.
fn redact_reasoning(
    text: &mut String,
    opaque: &mut Option<String>,
    redactor: &dyn Redactor,
) -> bool {
    let known = |opaque: &mut String| redactor.text(opaque, Rules::Known);
    if redactor.text(text, Rules::All) | opaque.as_mut().is_some_and(known) {
        *opaque = None;
        return true;
    }
    false
}

/// Redacts the arguments of a call and returns what they were; `None` when nothing was taken out and they stay as
/// they are, byte for byte. They are looked at as JSON: escapes hide nothing, and what comes out is JSON again.
fn redact_arguments(arguments: &mut String, redactor: &dyn Redactor) -> Option<String> {
    let mut redacted = arguments.clone();
    let changed = match serde_json::from_str::<Value>(arguments) {
        Ok(mut value) => {
            let changed = redactor.value(&mut value, Rules::All);
            if changed {
                redacted = value.to_string();
            }
            changed
        }
        Err(_) => redactor.text(&mut redacted, Rules::All),
    };
    changed.then(|| std::mem::replace(arguments, redacted))
}

/// Patterns would damage a picture, so only values that the host knows are looked for.
fn redact_pictures(images: &mut Vec<Image>, content: &mut String, redactor: &dyn Redactor) -> bool {
    let before = images.len();
    images.retain(|image| !redactor.text(&mut image.base64.clone(), Rules::Known));
    let changed = images.len() < before;
    if changed {
        content.push('\n');
        content.push_str(PICTURE);
    }
    changed
}

/// Every text is looked at, whatever came of the one before.
fn fold<'a>(
    texts: impl Iterator<Item = &'a mut String>,
    redact: impl Fn(&mut String) -> bool,
) -> bool {
    texts.fold(false, |changed, text| changed | redact(text))
}

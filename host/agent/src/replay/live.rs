//! Comparing a run with real tools: what the calls come to is noted, what the loop makes of it is compared.

use super::DifferingCall;
use super::compare::{difference, excerpts};
use super::script::Script;
use super::section::{Around, Origin, is_nested};
use crate::approval::Answer;
use crate::event::{CallStatus, Event, PermissionRequest, Stamp};
use crate::message::Image;
use crate::ports::JournalError;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What has been compared so far.
#[derive(Default)]
pub(super) struct Comparison(Mutex<Compared>);

#[derive(Default)]
struct Compared {
    /// What the tools of the run are about to do.
    around: Around,
    /// Entries of calls that were written already: those of one reply come in another order.
    done: BTreeSet<usize>,
    /// Answers that were given.
    given: BTreeSet<usize>,
    differing: Vec<DifferingCall>,
}

impl Comparison {
    pub(super) fn begin(&self) {
        self.lock().around = Around::default();
    }

    pub(super) fn differing(&self) -> Vec<DifferingCall> {
        self.lock().differing.clone()
    }

    /// Compares what is about to be written.
    pub(super) fn compare(&self, script: &Script, event: &Event) -> Result<Stamp, JournalError> {
        let mut compared = self.lock();
        let origin = compared.around.origin(event);
        self.skip(script, &mut compared);
        let asked = matches!(
            event,
            Event::PermissionRequested { .. } | Event::PermissionResolved { .. }
        );
        let kept = matches!(event, Event::Notice { code, .. } if code == "approval_not_kept");
        if origin != Origin::Loop || asked || kept {
            return Ok(last(script));
        }
        match call_of(event) {
            Some(call) => self.compare_call(script, &mut compared, event, call),
            None => self.compare_step(script, &mut compared, event),
        }
    }

    fn compare_step(
        &self,
        script: &Script,
        compared: &mut Compared,
        event: &Event,
    ) -> Result<Stamp, JournalError> {
        let at = script.at();
        let Some((stamp, expected)) = script.events.get(at) else {
            return Ok(last(script));
        };
        if let Some(what) = difference(expected, event, true) {
            return Err(script.diverge(Some(event.clone()), what));
        }
        script.go_to(at + 1);
        self.skip(script, compared);
        Ok(*stamp)
    }

    /// The calls of one reply begin and end in any order.
    fn compare_call(
        &self,
        script: &Script,
        compared: &mut Compared,
        event: &Event,
        call: &str,
    ) -> Result<Stamp, JournalError> {
        let section = script.section();
        let same = section.own(script.at()).find(|at| {
            !compared.done.contains(at)
                && script.event(*at).is_some_and(|recorded| {
                    call_of(recorded) == Some(call)
                        && std::mem::discriminant(recorded) == std::mem::discriminant(event)
                })
        });
        let Some(at) = same else {
            // Its recording breaks off before that.
            if section.range.end == script.events.len() && section.own(script.at()).next().is_none()
            {
                return Err(script.end());
            }
            let what = format!(
                "the loop goes on with the call `{call}`, and {}",
                script.instead()
            );
            return Err(script.diverge(Some(event.clone()), what));
        };
        let (stamp, expected) = &script.events[at];
        match event {
            Event::ToolFinished { .. } => {
                compared.differing.extend(differing(expected, event));
            }
            _ => {
                if let Some(what) = difference(expected, event, true) {
                    return Err(script.diverge(Some(event.clone()), what));
                }
            }
        }
        compared.done.insert(at);
        self.skip(script, compared);
        Ok(*stamp)
    }

    /// Passes what was written already, or is not compared.
    fn skip(&self, script: &Script, compared: &mut Compared) {
        let section = script.section();
        while !script.is_over() {
            let at = script.at();
            let beside = section.origin(at) == Origin::Beside;
            let asked = matches!(
                script.event(at),
                Some(Event::PermissionRequested { .. } | Event::PermissionResolved { .. })
            );
            let kept = matches!(script.event(at), Some(Event::Notice { code, .. }) if code == "approval_not_kept");
            if !(beside || asked || kept || compared.done.remove(&at)) {
                break;
            }
            script.go_to(at + 1);
        }
    }

    /// The answer that the person gave then, if this was asked then: by call, in the order of the questions.
    pub(super) fn answer(
        &self,
        script: &Script,
        request: &PermissionRequest,
    ) -> Option<Option<Answer>> {
        let mut compared = self.lock();
        let range = script.section().range.clone();
        let (at, id) = range.clone().find_map(|at| match script.event(at) {
            Some(Event::PermissionRequested { request: asked })
                if asked.call == request.call
                    && asked.effect == request.effect
                    && !compared.given.contains(&at) =>
            {
                Some((at, asked.id.clone()))
            }
            _ => None,
        })?;
        let answer = range.clone().find_map(|at| match script.event(at) {
            Some(Event::PermissionResolved {
                id: resolved,
                decision,
                by,
                feedback,
                ..
            }) if *resolved == id => Some((by == "user").then(|| Answer {
                decision: *decision,
                feedback: feedback.clone(),
                edited: None,
                pattern: None,
            })),
            _ => None,
        })?;
        compared.given.insert(at);
        Some(answer)
    }

    fn lock(&self) -> MutexGuard<'_, Compared> {
        // Nothing that is done under the lock can panic half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of what is not compared is that of the entry before it.
fn last(script: &Script) -> Stamp {
    let last = script.at().checked_sub(1);
    let last = last.and_then(|at| script.events.get(at));
    last.map_or(Stamp { seq: 0, ms: 0 }, |(stamp, _)| *stamp)
}

fn call_of(event: &Event) -> Option<&str> {
    match event {
        Event::ToolStarted { call, .. } | Event::ToolFinished { call, .. } => Some(call),
        _ => None,
    }
    .filter(|call| !is_nested(call))
    .map(String::as_str)
}

fn differing(expected: &Event, found: &Event) -> Option<DifferingCall> {
    let (was, is) = (ended(expected)?, ended(found)?);
    if was == is {
        return None;
    }
    let text = |(status, content, images): (CallStatus, &str, &[Image])| {
        let status = match status {
            CallStatus::Ok => String::new(),
            status => format!("[{status:?}] ").to_lowercase(),
        };
        match images.len() {
            0 => format!("{status}{content}"),
            count => format!("{status}[{count} pictures] {content}"),
        }
    };
    let (expected, found_text) = excerpts(&text(was), &text(is));
    match found {
        Event::ToolFinished { call, tool, .. } => Some(DifferingCall {
            call: call.clone(),
            tool: tool.clone(),
            expected,
            found: found_text,
        }),
        _ => None,
    }
}

fn ended(event: &Event) -> Option<(CallStatus, &str, &[Image])> {
    match event {
        Event::ToolFinished {
            status,
            content,
            images,
            ..
        } => Some((*status, content, images)),
        _ => None,
    }
}

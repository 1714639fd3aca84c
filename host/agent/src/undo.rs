//! Taking the newest turn back.

use crate::context::Context;
use crate::event::FileChange;
use crate::message::Message;
use crate::plan::PlanItem;
use crate::state::State;
use std::collections::VecDeque;
use std::sync::Arc;

/// Turns that can be taken back. Each holds the messages before it, which the conversation shares until it is cut.
const KEPT: usize = 16;

/// The newest turns, and what was before each.
#[derive(Clone, Debug, Default)]
pub struct Turns(VecDeque<Turn>);

#[derive(Clone, Debug)]
struct Turn {
    number: u32,
    messages: Vec<Arc<Message>>,
    context: Context,
    plan: Vec<PlanItem>,
    changes: Vec<FileChange>,
}

impl Turns {
    /// The number of the newest turn, and what it did to files, oldest first; none where nothing can be taken back.
    pub fn newest(&self) -> Option<(u32, &[FileChange])> {
        let turn = self.0.back()?;
        Some((turn.number, &turn.changes))
    }

    /// A file was changed in the newest turn. What a call began and what it left become one change.
    pub(crate) fn changed(&mut self, change: &FileChange) {
        let Some(turn) = self.0.back_mut() else {
            return;
        };
        let same = |known: &&mut FileChange| known.path == change.path && known.call == change.call;
        match turn.changes.iter_mut().rev().find(same) {
            Some(known) => known.after.clone_from(&change.after),
            None => turn.changes.push(change.clone()),
        }
    }
}

impl State {
    /// A turn begins.
    pub(crate) fn mark(&mut self, number: u32) {
        if self.turns.0.len() >= KEPT {
            self.turns.0.pop_front();
        }
        self.turns.0.push_back(Turn {
            number,
            messages: self.messages.clone(),
            context: self.context.clone(),
            plan: self.plan.clone(),
            changes: Vec::new(),
        });
    }

    /// Everything that the model knows is again what it was before the newest turn. What was spent stays spent, and
    /// jobs go on.
    pub(crate) fn undo(&mut self, turn: u32) {
        self.turn_open = false;
        self.ended = None;
        self.answer = None;
        self.error = None;
        let newest = self.turns.0.pop_back_if(|newest| newest.number == turn);
        let Some(before) = newest else {
            return;
        };
        self.messages = before.messages;
        self.context = before.context;
        self.plan = before.plan;
        self.generation += 1;
        self.open.clear();
        self.forget_habits();
    }
}

//! A text that comes in pieces: an end with which a secret could begin waits for the next piece.

use super::{SecretRules, marked};
use ml_intern_agent::redaction::{Fragments, Rules};

pub(super) struct Pieces {
    rules: SecretRules,
    held: String,
}

impl Pieces {
    pub(super) fn new(rules: SecretRules) -> Self {
        Self {
            rules,
            held: String::new(),
        }
    }
}

impl Fragments for Pieces {
    fn push(&mut self, fragment: &str) -> String {
        self.held.push_str(fragment);
        let safe = self.rules.known.safe_end(&self.held);
        let after = self.held.split_off(safe);
        let mut clean = self.rules.known.replace(&self.held).into_owned();
        let open = marked::open_end(&clean);
        self.held = clean.split_off(clean.len() - open) + &after;
        self.rules.clean(&clean, Rules::Marked).into_owned()
    }

    fn finish(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        self.rules.clean(&held, Rules::Marked).into_owned()
    }
}

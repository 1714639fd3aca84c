//! The rules for what was freed of secrets when it was written down.

use crate::redaction::{Fragments, Redactor, Rules};
use serde_json::Value;

/// Takes nothing out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unredacted;

impl Redactor for Unredacted {
    fn text(&self, _text: &mut String, _rules: Rules) -> bool {
        false
    }

    fn value(&self, _value: &mut Value, _rules: Rules) -> bool {
        false
    }

    fn line(&self, _source: &str, _text: &mut String) -> bool {
        false
    }

    fn end_of_lines(&self, _source: &str) {}

    /// What stands for a secret is all that there is here: a call with it is made as the log has it.
    fn is_redacted(&self, _text: &str) -> bool {
        false
    }

    fn fragments(&self) -> Box<dyn Fragments> {
        Box::new(Whole)
    }
}

struct Whole;

impl Fragments for Whole {
    fn push(&mut self, fragment: &str) -> String {
        fragment.to_owned()
    }

    fn finish(&mut self) -> String {
        String::new()
    }
}

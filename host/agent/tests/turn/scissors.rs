//! Secrets, as the tests know them.

use ml_intern_agent::redaction::{Fragments, Redactor, Rules};
use serde_json::Value;

/// Cuts `s3cret` out of everything, and holds nothing back.
pub(crate) struct Scissors;

impl Redactor for Scissors {
    fn text(&self, text: &mut String, _rules: Rules) -> bool {
        let clean = text.replace("s3cret", "[cut]");
        let changed = clean != *text;
        *text = clean;
        changed
    }

    fn value(&self, value: &mut Value, rules: Rules) -> bool {
        let mut text = value.to_string();
        let changed = self.text(&mut text, rules);
        *value = serde_json::from_str(&text).unwrap();
        changed
    }

    fn line(&self, _source: &str, text: &mut String) -> bool {
        self.text(text, Rules::All)
    }

    fn end_of_lines(&self, _source: &str) {}

    fn is_redacted(&self, text: &str) -> bool {
        text.contains("[cut]")
    }

    fn fragments(&self) -> Box<dyn Fragments> {
        Box::new(Halves(String::new()))
    }
}

/// Holds everything back until the end.
struct Halves(String);

impl Fragments for Halves {
    fn push(&mut self, fragment: &str) -> String {
        self.0.push_str(fragment);
        String::new()
    }

    fn finish(&mut self) -> String {
        std::mem::take(&mut self.0).replace("s3cret", "[cut]")
    }
}

//! A tool's schema from a plugin and its arguments from a model. Input: schema, NUL, arguments.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use ml_intern_agent::ports::{Effects, Powers, Tool};

/// What `arguments.rs` names of its crate.
mod ports {
    pub(crate) use ml_intern_agent::ports::Tool;
}

#[path = "../../host/agent/src/arguments.rs"]
mod arguments;

/// What the model may be told of one call at most.
const MOST: usize = 8 << 10;

fuzz_target!(|text: &str| -> Corpus {
    let Some((schema, arguments)) = text.split_once('\0') else {
        return Corpus::Reject;
    };
    let tool = Tool {
        name: "read".to_owned(),
        description: String::new(),
        input_schema: schema.to_owned(),
        plugin: "p@1".to_owned(),
        effects: Effects::default(),
        operations: None,
        powers: Powers::default(),
        grants: Vec::new(),
    };
    let checker = arguments::Checker::new(&tool);
    match checker.check("read", arguments) {
        Ok(value) => {
            assert!(value.is_object());
            assert_eq!(
                checker.check("read", &value.to_string()).as_ref(),
                Ok(&value),
                "twice is once"
            );
        }
        Err(problem) => {
            assert!(
                problem.len() <= MOST,
                "{} bytes: {problem:.300}…",
                problem.len()
            );
        }
    }
    let short = arguments::shorten(arguments, 16);
    assert!(short.len() <= 16 + '…'.len_utf8() && (short == arguments || short.ends_with('…')));
    Corpus::Keep
});

//! Writing down what comes out, as what is expected from now on.

use super::super::call::{Called, Ended, json_of};
use ml_intern_agent::event::AuditVerdict;
use ml_intern_manifest::set_expectation;
use serde_json::{Map, Value, json};

/// Bytes of an expectation; a file of cases is read by people.
const MOST: usize = 64 << 10;

/// The file with the expectation of the case number `number`.
pub(super) fn written(
    file: &str,
    text: &str,
    number: usize,
    called: &Called,
) -> Result<String, String> {
    let expect = expectation(called)?;
    if Value::Object(expect.clone()).to_string().len() > MOST {
        return Err(format!(
            "what came out has more than {MOST} bytes; write by hand what matters of it"
        ));
    }
    set_expectation(file, text, number, &expect).map_err(|error| {
        format!("what came out cannot be written: {error}; write the expectation by hand")
    })
}

fn expectation(called: &Called) -> Result<Map<String, Value>, String> {
    let denied = called.touched.audits.iter();
    let mut denied = denied.filter(|audit| audit.verdict == AuditVerdict::Denied);
    let mut expect = Map::new();
    if let Some(audit) = denied.next() {
        expect.insert("denied".to_owned(), json!(audit.capability));
        return Ok(expect);
    }
    match &called.ended {
        Ended::Output(output) => {
            match json_of(output) {
                Some(value) => expect.insert("output".to_owned(), value),
                None => expect.insert("text".to_owned(), json!(called.text())),
            };
            if output.is_error {
                expect.insert("failed".to_owned(), json!(true));
            }
        }
        Ended::Error { kind, text } => {
            expect.insert("error".to_owned(), json!(kind));
            expect.insert("contains".to_owned(), json!(text));
        }
        Ended::Fault { limit, .. } => {
            expect.insert("fault".to_owned(), json!(limit.unwrap_or("trap")));
        }
        Ended::Cancelled => return Err("the call was cancelled".to_owned()),
    }
    Ok(expect)
}

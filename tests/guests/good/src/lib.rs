//! One tool that answers, as long as the host has room and a word for it.

use ml_intern_plugin::{Context, Descriptor, Error, Output, Tool};
use serde_json::json;

struct Good;
ml_intern_plugin::export_tool!(Good);

impl Tool for Good {
    fn describe() -> Result<Vec<Descriptor>, Error> {
        let schema = json!({ "type": "object", "properties": {}, "additionalProperties": false });
        Ok(vec![
            Descriptor::new("neighbour", "Answers", &schema).read_only(),
        ])
    }

    fn call(_name: String, _arguments: String, _context: Context) -> Result<Output, Error> {
        Ok(Output::text("good"))
    }
}

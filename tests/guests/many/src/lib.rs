//! One small tool. The tests make many plugins of it by writing another number over the one in
//! its names.

use ml_intern_plugin::{Context, Descriptor, Error, Output, Tool};
use serde_json::json;

struct Many;
ml_intern_plugin::export_tool!(Many);

impl Tool for Many {
    fn describe() -> Result<Vec<Descriptor>, Error> {
        let schema = json!({ "type": "object", "properties": {}, "additionalProperties": false });
        Ok(vec![
            Descriptor::new("many_000000", "Says its name", &schema).read_only(),
        ])
    }

    fn call(name: String, _arguments: String, _context: Context) -> Result<Output, Error> {
        Ok(Output::text(name))
    }
}

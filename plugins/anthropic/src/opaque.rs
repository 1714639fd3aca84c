//! What the host keeps of a model's thinking, so that it goes back as it came: a block's text is the reasoning's
//! own, and everything else of it is the opaque side.

use ml_intern_plugin::chat::Reasoning;
use ml_intern_plugin::provider::json::Json;
use ml_intern_plugin::provider::value;

/// The opaque side of a thinking block.
pub(crate) fn of_thinking(signature: &str) -> String {
    of("thinking", "signature", signature)
}

/// The opaque side of a block that the service keeps to itself.
pub(crate) fn of_redacted(data: &str) -> String {
    of("redacted_thinking", "data", data)
}

fn of(kind: &str, field: &str, value: &str) -> String {
    let mut json = Json::default();
    json.raw("{\"type\":");
    json.string(kind);
    json.field(field);
    json.string(value);
    json.raw("}");
    json.into_text()
}

/// The block that reasoning came from, as JSON; none where it came from another service.
pub(crate) fn block(reasoning: &Reasoning) -> Option<String> {
    let opaque = reasoning.opaque.as_deref()?;
    let block = value::parse(opaque.as_bytes()).ok()?;
    let [kind, signature, data] = block.pick(["type", "signature", "data"]);
    match (kind.text().as_deref(), signature.text(), data.text()) {
        (Some("thinking"), Some(signature), _) => {
            let mut json = Json::default();
            json.raw("{\"type\":\"thinking\",\"thinking\":");
            json.string(&reasoning.text);
            json.field("signature");
            json.string(&signature);
            json.raw("}");
            Some(json.into_text())
        }
        (Some("redacted_thinking"), _, Some(data)) => Some(of_redacted(&data)),
        _ => None,
    }
}

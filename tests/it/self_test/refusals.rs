//! What the fakes of other services than OpenAI's refuse; each of these has one request that is
//! fine in every respect, and ways to spoil it.

use serde_json::{Value, json};

use crate::support::{
    fake::{Fake, MODEL, Model, Reply, Script, Service, Setup},
    http::{Answer, send},
};

mod converse;
mod messages;
mod responses;

/// A way to spoil a request, and words of the error that it leads to.
type Spoiled = (fn(&mut Value), &'static str);

const PIXEL: &str = "iVBORw0KGgo=";

fn schema() -> Value {
    json!({"type": "object", "properties": {"p": {"type": "string"}}, "required": ["p"],
        "additionalProperties": false})
}

async fn fake(service: Service) -> Fake {
    let models = [
        Model::new(MODEL).tokens(200_000, 1000),
        Model::new("plain").efforts(&[]),
        Model::new("some").efforts(&["low", "high"]),
        Model::new("blind").blind(),
        Model::new("handless").without_tools(),
    ];
    let script = Script::new(|_| Reply::text("ok"));
    Setup::new(service).models(models).start(script).await
}

async fn post(fake: &Fake, path: &str, request: &Value) -> Answer {
    let url = format!("{}{path}", fake.origin());
    let headers = [
        ("content-type", "application/json"),
        ("anthropic-version", "2023-06-01"),
    ];
    send("POST", &url, &headers, request.to_string()).await
}

/// Panics unless the good request is taken, and each spoiled one is a 400 with the words.
async fn check(service: Service, path: &str, good: &Value, ways: &[Spoiled]) {
    let fake = fake(service).await;
    let answer = post(&fake, path, good).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    fake.assert_all_accepted();
    for (number, (spoil, words)) in ways.iter().enumerate() {
        let mut request = good.clone();
        spoil(&mut request);
        let answer = post(&fake, path, &request).await;
        let said = answer.text();
        let body = answer.json();
        let message = body["error"]["message"]
            .as_str()
            .or(body["message"].as_str());
        let message = message.unwrap_or_else(|| panic!("no message in {said}"));
        assert!(message.contains(words), "way {number}, `{words}`: {said}");
        assert!([400, 404].contains(&answer.status), "way {number}: {said}");
    }
}

fn remove(value: &mut Value, name: &str) {
    value.as_object_mut().unwrap().remove(name);
}

fn list(value: &mut Value) -> &mut Vec<Value> {
    value.as_array_mut().unwrap()
}

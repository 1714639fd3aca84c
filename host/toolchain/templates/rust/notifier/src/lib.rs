//! A notifier: it tells a person or a system what happened.

use ml_intern_plugin::{Error, Notice, Notifier, Receipt, config, http};
use serde_json::{Value, json};

/// Bytes of an answer.
const MAX_ANSWER: usize = 64 << 10;

struct Plugin;
ml_intern_plugin::export_notifier!(Plugin);

impl Notifier for Plugin {
    fn notify(notice: Notice) -> Result<Receipt, Error> {
        let Some(url) = config::get("url")? else {
            let text = "`url` is not set: set it in the notifier's `config`";
            return Err(Error::InvalidInput(text.to_owned()));
        };
        let response = http::Request::post(&url)
            .header("content-type", "application/json")
            .body(told(&notice).to_string())
            .send()?;
        match response.status() {
            200..300 => Ok(Receipt { external_id: None }),
            status => {
                let text = response.text(MAX_ANSWER).unwrap_or_default();
                Err(Error::unreachable(format!("`{url}` answers {status}: {text}")))
            }
        }
    }

    fn poll_reply(_external_id: String) -> Result<Option<String>, Error> {
        Err(Error::Unsupported("there is no way back".to_owned()))
    }
}

fn told(notice: &Notice) -> Value {
    json!({
        "id": notice.id,
        "kind": notice.kind,
        "title": notice.title,
        "body": notice.body,
        "url": notice.url,
    })
}

//! The server's list of models. The protocol has only their names; what else is known comes from
//! fields that some servers add, from the user's configuration, or from a short table for the
//! hosted service.

use crate::chunk::number;
use crate::settings::Settings;
use ml_intern_plugin::{Error, Model};
use serde::Deserialize;

/// Models passed on. Routers list several hundred.
const MAX_MODELS: usize = 2000;

/// Context windows of the hosted service's families in tokens, by the start of the id, longest
/// first. From its model pages, November 2026; within a family the smallest value is given.
const HOSTED_WINDOWS: [(&str, u32); 8] = [
    ("gpt-4.1", 1_047_576),
    ("gpt-4o", 128_000),
    ("gpt-5", 400_000),
    ("o1-mini", 128_000),
    ("o1", 200_000),
    ("o3", 200_000),
    ("o4", 200_000),
    ("chatgpt-4o", 128_000),
];

#[derive(Deserialize)]
struct List {
    data: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    id: String,
    /// OpenRouter, Hugging Face, Together.
    #[serde(default, deserialize_with = "number")]
    context_length: Option<u64>,
    /// vLLM, SGLang.
    #[serde(default, deserialize_with = "number")]
    max_model_len: Option<u64>,
    /// Groq.
    #[serde(default, deserialize_with = "number")]
    context_window: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    max_completion_tokens: Option<u64>,
    /// llama.cpp.
    #[serde(default)]
    meta: Option<Inner>,
    #[serde(default)]
    top_provider: Option<Inner>,
    #[serde(default)]
    architecture: Option<Inner>,
}

/// The objects inside an entry. No two of them share a field, so one type reads them all.
#[derive(Deserialize)]
struct Inner {
    /// In `meta`: what the server was started with, where it says so.
    #[serde(default, deserialize_with = "number")]
    n_ctx: Option<u64>,
    /// In `meta`: what the model was trained with; the server may have been started with less.
    #[serde(default, deserialize_with = "number")]
    n_ctx_train: Option<u64>,
    /// In `top_provider`.
    #[serde(default, deserialize_with = "number")]
    max_completion_tokens: Option<u64>,
    /// In `architecture`.
    #[serde(default)]
    input_modalities: Option<Vec<String>>,
}

/// The models of an answer to `GET /models`. A context window or output limit of 0 is unknown.
///
/// # Errors
/// `upstream` (retryable) when the body is no list of models.
pub(crate) fn parse(body: &[u8], settings: &Settings) -> Result<Vec<Model>, Error> {
    let list: List = serde_json::from_slice(body).map_err(|error| {
        Error::unreachable(format!(
            "the server's list of models cannot be read: {error}"
        ))
    })?;
    Ok(list
        .data
        .into_iter()
        .take(MAX_MODELS)
        .map(|entry| entry.model(settings))
        .collect())
}

impl Entry {
    fn model(self, settings: &Settings) -> Model {
        let hosted = settings.hosted();
        let meta = self.meta.as_ref();
        let said = self
            .context_length
            .or(self.max_model_len)
            .or(self.context_window);
        let said = said.or(meta.and_then(|meta| meta.n_ctx.or(meta.n_ctx_train)));
        let table = || {
            HOSTED_WINDOWS
                .iter()
                .find(|(start, _)| hosted && self.id.starts_with(start))
                .map(|(_, window)| *window)
        };
        // The user's word is first: only they know how a local server was started.
        let context_window = settings
            .context_window
            .or(said.map(count))
            .or_else(table)
            .unwrap_or(0);
        let top = self
            .top_provider
            .as_ref()
            .and_then(|top| top.max_completion_tokens);
        let images = settings
            .images
            .or_else(|| self.architecture.as_ref()?.sees())
            .unwrap_or(hosted);
        let efforts: &[&str] = match hosted && self.reasons() {
            true => &["low", "medium", "high", "max"],
            false => &[],
        };
        Model {
            context_window,
            max_output: self.max_completion_tokens.or(top).map_or(0, count),
            // No server says reliably that a model takes no tools; the ones of interest do.
            tools: true,
            images,
            efforts: efforts.iter().map(|effort| (*effort).to_owned()).collect(),
            price: settings.price,
            id: self.id,
        }
    }

    /// Whether the hosted service takes an effort for this model: `gpt-5…`, `o1…`, `o3…`.
    fn reasons(&self) -> bool {
        let digit = self.id.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
        self.id.starts_with("gpt-5") && !self.id.contains("chat")
            || self.id.starts_with('o') && digit
    }
}

impl Inner {
    fn sees(&self) -> Option<bool> {
        Some(
            self.input_modalities
                .as_ref()?
                .iter()
                .any(|input| input == "image"),
        )
    }
}

fn count(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::settings;

    fn models(body: &str, pairs: &[(&str, &str)]) -> Vec<Model> {
        parse(body.as_bytes(), &settings(pairs).unwrap()).unwrap()
    }

    const LOCAL: (&str, &str) = ("base-url", "http://localhost:1/v1");

    #[test]
    fn the_window_is_found_where_servers_put_it() {
        let body = r#"{"object":"list","data":[
            {"id":"a","context_length":1000,"top_provider":{"max_completion_tokens":10},"architecture":{"input_modalities":["text","image"]}},
            {"id":"b","max_model_len":2000.0},
            {"id":"c","meta":{"n_ctx_train":3000}},
            {"id":"d","meta":{"n_ctx":64,"n_ctx_train":3000},"architecture":{"modality":"text->text","input_modalities":["text"]}},
            {"id":"e","meta":null,"context_length":null},
            {"id":"f","context_window":"5000","max_completion_tokens":7},
            {"id":"g","context_length":99999999999}]}"#;
        let found = models(body, &[LOCAL]);
        let windows: Vec<_> = found.iter().map(|model| model.context_window).collect();
        assert_eq!(windows, [1000, 2000, 3000, 64, 0, 5000, u32::MAX]);
        assert_eq!(
            (
                found[0].max_output,
                found[5].max_output,
                found[6].max_output
            ),
            (10, 7, 0)
        );
        assert!(found[0].images && !found[3].images && !found[1].images);
        let set = models(
            body,
            &[LOCAL, ("context-window", "32768"), ("images", "true")],
        );
        assert!(
            set.iter()
                .all(|model| model.context_window == 32768 && model.images)
        );
    }

    #[test]
    fn the_hosted_service_says_only_names() {
        let body = r#"{"data":[{"id":"gpt-5.5"},{"id":"o3"},{"id":"omni-moderation"},{"id":"gpt-4o-mini"},{"id":"gpt-5-chat-latest"}]}"#;
        let found = models(body, &[("input-price", "1"), ("output-price", "2")]);
        assert_eq!(found[0].context_window, 400_000);
        assert_eq!(found[2].context_window, 0);
        let efforts: Vec<_> = found.iter().map(|model| model.efforts.len()).collect();
        assert_eq!(efforts, [4, 4, 0, 0, 0]);
        assert!(
            found
                .iter()
                .all(|model| model.images && model.price.is_some_and(|price| price.output == 2.0))
        );
        assert!(
            models(body, &[LOCAL])
                .iter()
                .all(|model| model.context_window == 0 && model.efforts.is_empty())
        );
    }

    #[test]
    fn no_list_is_a_retryable_failure() {
        for body in [
            "",
            "{}",
            "[]",
            r#"{"data":{}}"#,
            r#"{"data":[{}]}"#,
            "<html>",
        ] {
            let error = parse(body.as_bytes(), &settings(&[]).unwrap()).unwrap_err();
            assert!(
                matches!(error, Error::Upstream(upstream) if upstream.retryable),
                "{body}"
            );
        }
    }
}

//! Claude models, by the Messages API.
//!
//! [`input`] writes a request, [`output`] reads the answer, [`models`] the list of models. The plugin knows no key:
//! the host adds the credential, keeps the connection and decides about further attempts.

mod input;
mod models;
mod opaque;
mod output;
mod settings;

use ml_intern_plugin::provider::ids;
use ml_intern_plugin::provider::settings::from_host;
use ml_intern_plugin::provider::value::{self, NULL};
use ml_intern_plugin::provider::{Reply, Service, claude, errors, or_known};
use ml_intern_plugin::{Error, Listing, Model, Provider, Request, Response};
use output::Output;
use settings::Settings;

/// Name of the credential in `plugin.toml`.
const CREDENTIAL: &str = "anthropic";

/// Version of the API whose shapes are spoken. Gateways that offer the API know this one.
const VERSION: &str = "2023-06-01";

/// Pages of the list of models that are read; one holds a thousand.
const MAX_PAGES: usize = 10;

/// The provider.
pub struct Anthropic;

impl Provider for Anthropic {
    fn models() -> Result<Listing, Error> {
        let settings = Settings::read(&from_host)?;
        or_known(listed(&settings), claude::TABLE, claude::AS_OF)
    }

    fn complete(request: Request) -> Result<Response, Error> {
        let settings = Settings::read(&from_host)?;
        let service = service(&settings, &request.model, request.effort.is_some());
        let body = input::body(&request, &settings)?;
        let reply = Output::new(service, Reply::to(&request), settings.price);
        let headers = headers(&settings);
        let answer = service.complete(
            "/messages",
            body,
            &headers,
            request.stream,
            reply,
            |_, _| {},
        );
        answer.map_err(|error| hint(error, &request.model))
    }

    fn count_tokens(request: Request) -> Result<Option<u32>, Error> {
        let settings = Settings::read(&from_host)?;
        let service = service(&settings, &request.model, false);
        let body = input::counted(&request, &settings)?;
        let answer = match service.post("/messages/count_tokens", body, &headers(&settings)) {
            Ok(answer) => answer,
            // Gateways offer the messages only.
            Err(Error::NotFound(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        count(&answer).map(Some)
    }
}

fn service<'a>(settings: &'a Settings, model: &'a str, effort: bool) -> Service<'a> {
    Service {
        base_url: &settings.base_url,
        credential: CREDENTIAL,
        model,
        effort,
    }
}

fn headers(settings: &Settings) -> Vec<(&str, &str)> {
    let mut headers = vec![("anthropic-version", VERSION)];
    headers.extend(
        settings
            .beta
            .as_deref()
            .map(|beta| ("anthropic-beta", beta)),
    );
    headers
}

/// Whoever names a provider of the router behind the model means the router.
fn hint(error: Error, model: &str) -> Error {
    match error {
        Error::NotFound(text) if model.contains(':') => Error::NotFound(format!(
            "{text}; models of the Hugging Face router are written `huggingface/anthropic/{model}`"
        )),
        other => other,
    }
}

fn count(answer: &[u8]) -> Result<u32, Error> {
    let count = value::parse(answer).unwrap_or(NULL).get("input_tokens");
    let count = count.number().and_then(|count| u32::try_from(count).ok());
    count.ok_or_else(|| errors::broken("the server's answer holds no count of tokens"))
}

/// The models that the service lists, page by page.
fn listed(settings: &Settings) -> Result<Vec<Model>, Error> {
    let service = service(settings, "", false);
    let mut all = Vec::new();
    let mut path = "/models?limit=1000".to_owned();
    for _ in 0..MAX_PAGES {
        let body = service.get_with(&path, &headers(settings))?;
        let next = models::page(&body, settings, &mut all)?;
        let Some(last) = next else {
            break;
        };
        path = format!("/models?limit=1000&after_id={}", ids::in_url(&last));
    }
    Ok(all)
}

ml_intern_plugin::export_provider!(Anthropic);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_with_a_provider_is_one_of_the_router() {
        let hinted = |model| hint(Error::NotFound("unknown".to_owned()), model);
        assert!(
            matches!(hinted("claude-x:novita"), Error::NotFound(text) if text.contains("`huggingface/anthropic/claude-x:novita`"))
        );
        assert!(matches!(hinted("claude-x"), Error::NotFound(text) if text == "unknown"));
    }

    #[test]
    fn a_count_is_a_number() {
        assert_eq!(count(br#"{"input_tokens":2095}"#).unwrap(), 2095);
        for answer in ["{}", "<html>", r#"{"input_tokens":"many"}"#] {
            assert!(count(answer.as_bytes()).is_err(), "{answer}");
        }
    }
}

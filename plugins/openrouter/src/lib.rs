//! Models of OpenRouter: one service in front of many others.
//!
//! Chat completions are the SDK's; this plugin adds what the service wants of a request beside them,
//! and reads its list of models. It knows no key: the host adds the credential, keeps the connection
//! and decides about further attempts.
//!
//! Shapes: the service's API reference, as of November 2026.

mod models;
mod settings;

use ml_intern_plugin::provider::completions::{self, PromptCache, ReturnedReasoning};
use ml_intern_plugin::provider::json::Json;
use ml_intern_plugin::provider::settings::from_host;
use ml_intern_plugin::provider::{Reply, Service};
use ml_intern_plugin::{Error, Listing, Provider, Request, Response};
use settings::Settings;

/// Name of the credential in `plugin.toml`.
const CREDENTIAL: &str = "openrouter";

/// Who asks, for the service's own statistics.
const ATTRIBUTION: [(&str, &str); 2] = [
    ("http-referer", "https://github.com/ml-intern/ml-intern"),
    ("x-title", "ml-intern"),
];

/// The provider.
pub struct OpenRouter;

impl Provider for OpenRouter {
    fn models() -> Result<Listing, Error> {
        let settings = Settings::read(&from_host)?;
        let service = service(&settings, "", false);
        let listed = models::parse(&service.get_with("/models", &ATTRIBUTION)?)?;
        Ok(listed.into())
    }

    fn complete(request: Request) -> Result<Response, Error> {
        let settings = Settings::read(&from_host)?;
        let service = service(&settings, &request.model, request.effort.is_some());
        let body = completions::body(&request, &options(&request, &settings))?;
        // The service names the cost itself.
        let reply = completions::Completion::new(service, Reply::to(&request), None);
        let stream = request.stream;
        service.complete(
            "/chat/completions",
            body,
            &ATTRIBUTION,
            stream,
            reply,
            |_, _| {},
        )
    }

    fn count_tokens(_: Request) -> Result<Option<u32>, Error> {
        // The protocol has no such operation.
        Ok(None)
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

/// What the service wants of a chat completion.
fn options<'a>(request: &'a Request, settings: &Settings) -> completions::Options<'a> {
    let effort = |effort: &str| format!("{{\"effort\":{}}}", quoted(effort));
    let mut fields = vec![("usage", "{\"include\":true}".to_owned())];
    if let Some(preferences) = &settings.provider {
        fields.push(("provider", preferences.clone()));
    }
    // The service keeps a conversation by itself with the provider that has it in its cache. Only OpenAI's models
    // know a key beside it; the field `session_id` groups requests for the service's records, and `user` names a
    // person: neither is needed here.
    if let Some(key) = &request.affinity
        && request.model.starts_with("openai/")
    {
        fields.push(("prompt_cache_key", quoted(key)));
    }
    completions::Options {
        effort: request
            .effort
            .as_deref()
            .map(|word| ("reasoning", effort(word))),
        returned: ReturnedReasoning::Details,
        cache: match request.model.starts_with("anthropic/") {
            true => PromptCache::Marks,
            false => PromptCache::Implicit,
        },
        fields,
        ..completions::Options::default()
    }
}

fn quoted(text: &str) -> String {
    let mut json = Json::default();
    json.string(text);
    json.into_text()
}

ml_intern_plugin::export_provider!(OpenRouter);

#[cfg(test)]
mod tests;

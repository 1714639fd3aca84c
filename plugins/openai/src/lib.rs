//! Models of OpenAI, and of every server that speaks its protocols: the Responses API of the hosted
//! service, and chat completions of vLLM, SGLang, llama.cpp, text-generation-inference, LiteLLM and
//! others.
//!
//! Chat completions are the SDK's; this plugin adds the Responses API ([`input`], [`output`]) and
//! what is known of the hosted models ([`models`]). It knows no key: the host adds the credential,
//! keeps the connection and decides about further attempts.

mod input;
mod models;
mod output;
mod settings;

use ml_intern_plugin::provider::json::Json;
use ml_intern_plugin::provider::settings::from_host;
use ml_intern_plugin::provider::{Reply, Service, completions, or_known};
use ml_intern_plugin::{Error, Listing, Provider, Request, Response};
use output::Output;
use settings::{Api, Settings};

/// Name of the credential in `plugin.toml`.
const CREDENTIAL: &str = "openai";

/// The provider.
pub struct OpenAi;

impl Provider for OpenAi {
    fn models() -> Result<Listing, Error> {
        let settings = Settings::read(&from_host)?;
        let listed = service(&settings, "", false).get("/models");
        let listed = listed.and_then(|body| models::parse(&body, &settings));
        match settings.hosted() {
            true => or_known(listed, models::TABLE, models::AS_OF),
            false => listed.map(Listing::from),
        }
    }

    fn complete(request: Request) -> Result<Response, Error> {
        let settings = Settings::read(&from_host)?;
        let service = service(&settings, &request.model, request.effort.is_some());
        let reply = Reply::to(&request);
        let stream = request.stream;
        match settings.api {
            Api::Responses => {
                let body = input::body(&request, &settings)?;
                let reply = Output::new(service, reply, settings.price);
                service.complete("/responses", body, &[], stream, reply, |_, _| {})
            }
            Api::ChatCompletions => {
                let body = completions::body(&request, &options(&request, &settings))?;
                let reply = completions::Completion::new(service, reply, settings.price);
                service.complete("/chat/completions", body, &[], stream, reply, |_, _| {})
            }
        }
    }

    fn count_tokens(_: Request) -> Result<Option<u32>, Error> {
        // Neither protocol has such an operation that costs nothing.
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

/// What this server wants of a chat completion.
fn options<'a>(request: &'a Request, settings: &'a Settings) -> completions::Options<'a> {
    let text = |text: &str| {
        let mut json = Json::default();
        json.string(text);
        json.into_text()
    };
    let key = request.affinity.as_deref().filter(|_| settings.hosted());
    completions::Options {
        max_tokens_field: &settings.max_tokens_field,
        effort: request
            .effort
            .as_deref()
            .map(|effort| ("reasoning_effort", text(effort))),
        returned: settings.returned,
        strict: settings.hosted(),
        fields: key
            .map(|key| ("prompt_cache_key", text(key)))
            .into_iter()
            .collect(),
        ..completions::Options::default()
    }
}

ml_intern_plugin::export_provider!(OpenAi);

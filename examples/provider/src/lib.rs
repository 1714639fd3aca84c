//! A provider for a service that speaks chat completions, with what is particular to that service and nothing else.

use ml_intern_plugin::provider::completions::models::{self, Listed};
use ml_intern_plugin::provider::completions::{self, Completion, Options};
use ml_intern_plugin::provider::json::Json;
use ml_intern_plugin::provider::settings::{from_host, url};
use ml_intern_plugin::provider::{Reply, Service, price};
use ml_intern_plugin::{Error, Listing, Model, Provider, Request, Response};

/// Day of the prices below.
const AS_OF: &str = "2026-11-01";

/// The provider.
pub struct Acme;

impl Provider for Acme {
    fn models() -> Result<Listing, Error> {
        let base_url = base_url()?;
        let body = service(&base_url, "", false).get("/models")?;
        let models = models::parse(&body)?.into_iter().map(model);
        Ok(models.collect::<Vec<_>>().into())
    }

    fn complete(request: Request) -> Result<Response, Error> {
        let base_url = base_url()?;
        let service = service(&base_url, &request.model, request.effort.is_some());
        let body = completions::body(&request, &options(&request))?;
        // Shows what comes in, and puts it together; no price: the host counts by the list of models.
        let reply = Completion::new(service, Reply::to(&request), None);
        let path = "/chat/completions";
        service.complete(path, body, &[], request.stream, reply, |_, _| {})
    }

    fn count_tokens(_: Request) -> Result<Option<u32>, Error> {
        // Acme counts only what it answered.
        Ok(None)
    }
}

fn base_url() -> Result<String, Error> {
    url(&from_host, "base-url", "https://api.acme.example/v1")
}

/// What messages say of the service: `acme` is the credential's name in `plugin.toml`.
fn service<'a>(base_url: &'a str, model: &'a str, effort: bool) -> Service<'a> {
    Service {
        base_url,
        credential: "acme",
        model,
        effort,
    }
}

/// Where Acme's requests differ from everybody's.
fn options(request: &Request) -> Options<'_> {
    let text = |text: &str| {
        let mut json = Json::default();
        json.string(text);
        json.into_text()
    };
    let effort = request.effort.as_deref();
    let session = request.affinity.as_deref();
    Options {
        max_tokens_field: "max_completion_tokens",
        effort: effort.map(|effort| ("reasoning_effort", text(effort))),
        // Requests of one session reach the machine that has their beginning in its cache.
        fields: Vec::from_iter(session.map(|session| ("prompt_cache_key", text(session)))),
        ..Options::default()
    }
}

/// Acme lists names and windows; its price is the same for all of its models.
fn model(listed: Listed) -> Model {
    Model {
        id: listed.id,
        context_window: listed.context_window.unwrap_or(0),
        max_output: listed.max_output.unwrap_or(0),
        tools: true,
        images: true,
        efforts: Vec::new(),
        price: Some(price(2.0, 8.0, 0.2, 2.0)),
        long_price: None,
        as_of: Some(AS_OF.to_owned()),
    }
}

ml_intern_plugin::export_provider!(Acme);

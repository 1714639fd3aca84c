//! A provider for a service that speaks chat completions. What is particular to the service goes here.

use ml_intern_plugin::provider::completions::models::{self, Listed};
use ml_intern_plugin::provider::completions::{self, Completion, Options};
use ml_intern_plugin::provider::settings::{from_host, url};
use ml_intern_plugin::provider::{Reply, Service};
use ml_intern_plugin::{Error, Listing, Model, Provider, Request, Response};

struct Plugin;
ml_intern_plugin::export_provider!(Plugin);

impl Provider for Plugin {
    fn models() -> Result<Listing, Error> {
        let base_url = base_url()?;
        let body = service(&base_url, "", false).get("/models")?;
        let models = models::parse(&body)?.into_iter().map(model);
        Ok(models.collect::<Vec<_>>().into())
    }

    fn complete(request: Request) -> Result<Response, Error> {
        let base_url = base_url()?;
        let service = service(&base_url, &request.model, request.effort.is_some());
        let body = completions::body(&request, &Options::default())?;
        // Shows what comes in, and puts it together; no price: the host counts by the list of models.
        let reply = Completion::new(service, Reply::to(&request), None);
        let path = "/chat/completions";
        service.complete(path, body, &[], request.stream, reply, |_, _| {})
    }

    fn count_tokens(_request: Request) -> Result<Option<u32>, Error> {
        Ok(None)
    }
}

fn base_url() -> Result<String, Error> {
    url(&from_host, "base-url", "https://api.example.org/v1")
}

/// What messages say of the service: `credential` is its name in `plugin.toml`.
fn service<'a>(base_url: &'a str, model: &'a str, effort: bool) -> Service<'a> {
    Service {
        base_url,
        credential: "{{name}}",
        model,
        effort,
    }
}

fn model(listed: Listed) -> Model {
    Model {
        id: listed.id,
        context_window: listed.context_window.unwrap_or(0),
        max_output: listed.max_output.unwrap_or(0),
        tools: true,
        images: false,
        efforts: Vec::new(),
        price: None,
        long_price: None,
        as_of: None,
    }
}

//! Models of the Hugging Face Inference router: one service in front of many, which it chooses from.
//!
//! Chat completions are the SDK's; this plugin adds the ids of models ([`id`]), what the router's
//! catalogue knows of them ([`models`]) and how conversations stay where they are cached
//! ([`caching`]). It knows no token: the host adds the credential, keeps the connection and decides
//! about further attempts.

mod caching;
mod id;
mod models;
mod settings;

use caching::Caching;
use ml_intern_plugin::provider::json::Json;
use ml_intern_plugin::provider::settings::from_host;
use ml_intern_plugin::provider::{Reply, Service, completions, or_known};
use ml_intern_plugin::{Error, Listing, Provider, Request, Response};
use settings::Settings;

/// Name of the credential in `plugin.toml`.
const CREDENTIAL: &str = "hf";

/// The answer's header with the name of the provider that the router chose.
const PROVIDER: &str = "x-inference-provider";

/// The provider.
pub struct HuggingFace;

impl Provider for HuggingFace {
    fn models() -> Result<Listing, Error> {
        let settings = Settings::read(&from_host)?;
        let listed = service(&settings, "", false).get("/models");
        let listed = listed.and_then(|body| models::parse(&body));
        or_known(listed, models::TABLE, models::AS_OF)
    }

    fn complete(request: Request) -> Result<Response, Error> {
        let settings = Settings::read(&from_host)?;
        let call = Call::of(request, &settings)?;
        let request = &call.request;
        let service = service(&settings, &request.model, request.effort.is_some());
        let reply = completions::Completion::new(service, Reply::to(request), None);
        let headers: Vec<_> = call
            .headers
            .iter()
            .map(|(name, value)| (*name, &**value))
            .collect();
        let heard = |answer: &ml_intern_plugin::http::Response,
                     reply: &mut completions::Completion<'_>| {
            reply.reply.model = id::answered(&request.model, answer.header(PROVIDER));
        };
        service.complete(
            "/chat/completions",
            call.body,
            &headers,
            request.stream,
            reply,
            heard,
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

/// One model call as it is sent.
struct Call {
    /// With the id that the router takes.
    request: Request,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Call {
    /// # Errors
    /// `invalid-input` for an id that cannot be one; `unsupported` for an effort that the router does not know.
    fn of(mut request: Request, settings: &Settings) -> Result<Self, Error> {
        request.model = id::sendable(&request.model)?.to_owned();
        let effort = request.effort.as_deref().map(sendable_effort).transpose()?;
        let caching = Caching::of(&request, settings);
        let key = caching.session.filter(|_| caching.day);
        let retention = caching
            .day
            .then(|| ("prompt_cache_retention", quoted("24h")));
        let key = key.map(|key| ("prompt_cache_key", quoted(key)));
        let options = completions::Options {
            effort: effort.map(|effort| ("reasoning_effort", quoted(effort))),
            cache: caching.marks,
            fields: retention.into_iter().chain(key).collect(),
            // The rest as it is by default: reasoning never goes back, since the next call may go to another provider.
            ..completions::Options::default()
        };
        let session = caching.session.map(|id| ("x-hf-session-id", id.to_owned()));
        let bill_to = settings.bill_to.clone().map(|name| ("x-hf-bill-to", name));
        let headers = session.into_iter().chain(bill_to).collect();
        Ok(Self {
            headers,
            body: completions::body(&request, &options)?,
            request,
        })
    }
}

/// The router knows three levels; less than the lowest is the lowest.
///
/// # Errors
/// `unsupported` for others: the host then asks for less.
fn sendable_effort(effort: &str) -> Result<&str, Error> {
    match effort {
        "minimal" => Ok("low"),
        "low" | "medium" | "high" => Ok(effort),
        other => Err(Error::Unsupported(format!(
            "the router takes no effort `{other}`, but `low`, `medium` and `high`"
        ))),
    }
}

fn quoted(text: &str) -> String {
    let mut json = Json::default();
    json.string(text);
    json.into_text()
}

ml_intern_plugin::export_provider!(HuggingFace);

#[cfg(test)]
mod tests;

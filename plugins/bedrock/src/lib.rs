//! Models of Amazon Bedrock, by its Converse API: Claude, Nova, and those of other makers.
//!
//! [`input`] writes a request, [`frames`] and [`output`] read the answer, [`models`] is a table. The plugin knows no
//! key and signs nothing: the host does, keeps the connection and decides about further attempts.

mod frames;
mod input;
mod models;
mod output;
mod settings;

use ml_intern_plugin::provider::ids;
use ml_intern_plugin::provider::settings::from_host;
use ml_intern_plugin::provider::value::{self, NULL};
use ml_intern_plugin::provider::{Reply, Service, errors};
use ml_intern_plugin::{Error, Listing, Provider, Request, Response};
use output::Output;
use settings::Settings;

/// Name of the credential in `plugin.toml`.
const CREDENTIAL: &str = "aws";

/// The provider.
pub struct Bedrock;

impl Provider for Bedrock {
    fn models() -> Result<Listing, Error> {
        Ok(models::all(Settings::read(&from_host)?.price).into())
    }

    fn complete(request: Request) -> Result<Response, Error> {
        let settings = Settings::read(&from_host)?;
        let service = service(&settings, &request.model, request.effort.is_some());
        let body = input::body(&request)?;
        let reply = Output::new(service, Reply::to(&request), settings.price);
        let operation = match request.stream {
            true => "converse-stream",
            false => "converse",
        };
        service.complete_framed(
            &path(&request.model, operation),
            body,
            &[],
            request.stream,
            reply,
            |answer, reply| reply.set_id(answer.header("x-amzn-requestid")),
        )
    }

    fn count_tokens(request: Request) -> Result<Option<u32>, Error> {
        let settings = Settings::read(&from_host)?;
        let model = models::bare(&request.model);
        let service = service(&settings, model, false);
        let body = input::counted(&request)?;
        match service.post(&path(model, "count-tokens"), body, &[]) {
            Ok(answer) => count(&answer).map(Some),
            // Most models cannot be asked, and not in every region: the service calls that an invalid request.
            Err(Error::NotFound(_)) => Ok(None),
            Err(Error::Upstream(upstream)) if upstream.status == Some(400) => Ok(None),
            Err(error) => Err(error),
        }
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

/// A name may hold colons and, where it is an ARN, slashes.
fn path(model: &str, operation: &str) -> String {
    format!("/model/{}/{operation}", ids::in_url(model))
}

fn count(answer: &[u8]) -> Result<u32, Error> {
    let count = value::parse(answer).unwrap_or(NULL).get("inputTokens");
    let count = count.number().and_then(|count| u32::try_from(count).ok());
    count.ok_or_else(|| errors::broken("the server's answer holds no count of tokens"))
}

ml_intern_plugin::export_provider!(Bedrock);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_one_segment_of_the_path() {
        assert_eq!(
            path("us.anthropic.claude-haiku-4-5-20251001-v1:0", "converse"),
            "/model/us.anthropic.claude-haiku-4-5-20251001-v1%3A0/converse"
        );
        assert_eq!(
            path(
                "arn:aws:bedrock:eu-west-1:1:inference-profile/x",
                "converse"
            ),
            "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Fx/converse"
        );
    }

    #[test]
    fn a_count_is_a_number() {
        assert_eq!(count(br#"{"inputTokens":2095}"#).unwrap(), 2095);
        assert!(count(b"{}").is_err());
    }
}

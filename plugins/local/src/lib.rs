//! Models of servers of your own: Ollama, vLLM, LM Studio and llama.cpp, each at the place that the user configured.
//!
//! Chat completions are the SDK's; this plugin knows the four kinds of servers ([`server`]) and asks
//! those that run for their models ([`discovery`]). It knows no key: the host adds a credential where
//! the user set one, and sends no header where not.

mod discovery;
mod server;

use ml_intern_plugin::provider::settings::{from_host, tokens};
use ml_intern_plugin::provider::{Reply, completions, price};
use ml_intern_plugin::{Error, Listing, Price, Provider, Request, Response};
use server::{KINDS, Kind, Server};

/// Nobody is paid.
const FREE: Price = price(0.0, 0.0, 0.0, 0.0);

/// The provider.
pub struct Local;

impl Provider for Local {
    fn models() -> Result<Listing, Error> {
        let window = tokens(&from_host, "context-window")?;
        let servers = KINDS.map(|kind| Server::read(kind, &from_host));
        let servers = servers.into_iter().collect::<Result<Vec<_>, _>>()?;
        discovery::models(&servers, window, &discovery::ask).map(Listing::from)
    }

    fn complete(mut request: Request) -> Result<Response, Error> {
        let (kind, body) = sendable(&mut request)?;
        let server = Server::read(kind, &from_host)?;
        let service = server.service(&server.api, &request.model);
        let mut reply = Reply::to(&request);
        reply.cost_usd = Some(0.0);
        let reply = completions::Completion::new(service, reply, Some(FREE));
        let stream = request.stream;
        let response = service.complete("/chat/completions", body, &[], stream, reply, |_, _| {});
        response.map_err(|error| server.explained(error))
    }

    fn count_tokens(_: Request) -> Result<Option<u32>, Error> {
        // What they count costs as much as asking.
        Ok(None)
    }
}

/// Which kind of server a request goes to, and its body. The request then has the model's name there.
///
/// # Errors
/// `invalid-input` for an id without a prefix or a name; `unsupported` for any effort.
fn sendable(request: &mut Request) -> Result<(&'static Kind, Vec<u8>), Error> {
    let (kind, name) = server::named(&request.model)?;
    if let Some(effort) = &request.effort {
        return Err(Error::Unsupported(format!(
            "{} takes no effort, so not `{effort}` either",
            kind.name
        )));
    }
    request.model = name.to_owned();
    Ok((
        kind,
        completions::body(request, &completions::Options::default())?,
    ))
}

ml_intern_plugin::export_provider!(Local);

#[cfg(test)]
mod tests;

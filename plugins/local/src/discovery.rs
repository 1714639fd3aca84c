//! Which servers run, and what models they have.
//!
//! Each place is asked once. What a list of the protocol does not say, the servers say at paths of their own
//! ([`details`]).

mod details;

use crate::FREE;
use crate::server::{Kind, LM_STUDIO, Server, VLLM, is_name};
use details::Details;
use ml_intern_plugin::provider::completions::models::{self, Listed};
use ml_intern_plugin::{Error, Model, Upstream};
use std::time::Duration;

/// For a connection, and for every step of an answer: a server of this machine or its network that runs is faster.
const PATIENCE: Duration = Duration::from_secs(2);

/// A question to a server: below one of its two URLs, with a body where it is a POST.
pub(crate) struct Question<'a> {
    pub(crate) base_url: &'a str,
    pub(crate) path: &'a str,
    pub(crate) body: Option<Vec<u8>>,
}

/// Asks a server; in tests, something else.
pub(crate) type Ask<'a> = &'a dyn Fn(&Server, Question<'_>) -> Result<Vec<u8>, Error>;

/// Asks over HTTP.
///
/// # Errors
/// As for every request of the SDK; `timeout` after two seconds.
pub(crate) fn ask(server: &Server, question: Question<'_>) -> Result<Vec<u8>, Error> {
    let service = server.service(question.base_url, "");
    service.ask_within(question.path, question.body, PATIENCE)
}

/// The models of all servers that run. `window` is the user's word for all of them, in tokens.
///
/// # Errors
/// `auth-required` where the only servers that run want a key; `upstream`, not retryable, where none runs.
pub(crate) fn models(
    servers: &[Server],
    window: Option<u32>,
    ask: Ask<'_>,
) -> Result<Vec<Model>, Error> {
    let mut found = Vec::new();
    let mut runs = false;
    let mut silent = Vec::new();
    let mut locked = None;
    for (at, first) in servers.iter().enumerate() {
        let here = |server: &&Server| server.api == first.api;
        if servers[..at].iter().any(|server| here(&server)) {
            continue;
        }
        match list(first, ask) {
            Ok(listed) => {
                runs = true;
                let sharing: Vec<_> = servers.iter().filter(here).collect();
                let server = identified(&listed, &sharing).unwrap_or(first);
                found.extend(described(server, listed, window, ask));
            }
            Err(error) => {
                silent.push((first, error.message().to_owned()));
                locked = locked.or(Some(error).filter(|e| matches!(e, Error::AuthRequired(_))));
            }
        }
    }
    match (runs, locked) {
        (true, _) => Ok(found),
        (false, Some(error)) => Err(error),
        (false, None) => Err(none_runs(&silent)),
    }
}

fn list(server: &Server, ask: Ask<'_>) -> Result<Vec<Listed>, Error> {
    let question = Question {
        base_url: &server.api,
        path: "/models",
        body: None,
    };
    models::parse(&ask(server, question)?)
}

/// Where several kinds have one URL, it is the kind that the server itself says it is, and vLLM's otherwise: servers
/// that are none of the four speak the plain protocol, as vLLM does.
fn identified<'a>(listed: &[Listed], sharing: &[&'a Server]) -> Option<&'a Server> {
    let owner = listed.first().and_then(|model| model.owner.as_deref());
    let of = |wanted: &str| {
        sharing
            .iter()
            .copied()
            .find(|server| server.kind.owner == wanted)
    };
    owner.and_then(of).or_else(|| of(VLLM.owner))
}

/// The models of a server, as the host names them.
fn described(
    server: &Server,
    listed: Vec<Listed>,
    window: Option<u32>,
    ask: Ask<'_>,
) -> Vec<Model> {
    // Only the list of LM Studio's own has what its models were loaded with.
    let listed = match server.kind == &LM_STUDIO {
        true => details::lm_studio(server, ask).unwrap_or(listed),
        false => listed,
    };
    let names: Vec<_> = listed.iter().map(|model| model.id.as_str()).collect();
    let details = details::of(server, &names, ask);
    let all = listed.into_iter().enumerate();
    all.filter(|(_, model)| is_name(&model.id))
        .filter_map(|(at, model)| described_one(server, model, details.get(at), window))
        .collect()
}

fn described_one(
    server: &Server,
    listed: Listed,
    details: Option<&Details>,
    window: Option<u32>,
) -> Option<Model> {
    let nothing = Details::default();
    let details = details.unwrap_or(&nothing);
    if details.is_no_chat {
        return None;
    }
    Some(Model {
        id: format!("{}{}", server.kind.prefix, listed.id),
        // The user's word is first; then how the server runs the model, and what it says of it last.
        context_window: window
            .or(details.window)
            .or(listed.context_window)
            .unwrap_or(0),
        max_output: listed.max_output.unwrap_or(0),
        tools: details.tools.or(listed.tools).unwrap_or(true),
        images: details.images.or(listed.images).unwrap_or(false),
        efforts: Vec::new(),
        price: Some(FREE),
        long_price: None,
        as_of: None,
    })
}

/// Says what was asked, what came of it, and how to start each.
fn none_runs(silent: &[(&Server, String)]) -> Error {
    let mut message = "no local server answers with a list of models".to_owned();
    for (server, why) in silent {
        // A failed connection names the place itself.
        let place = match why.contains(&server.api) {
            true => String::new(),
            false => format!("`{}`: ", server.api),
        };
        let Kind { name, start, .. } = server.kind;
        message.push_str(&format!("; {place}{why} (if it should be {name}, {start})"));
    }
    Error::Upstream(Upstream {
        status: None,
        code: None,
        message,
        retryable: false,
        retry_after_ms: None,
    })
}

#[cfg(test)]
mod tests;

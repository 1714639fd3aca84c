//! What a server says of its models at paths of its own.
//!
//! Shapes: Ollama's API reference (`/api/show`, `/api/ps`), the README of llama.cpp's server (`/props`) and LM Studio's
//! REST API v0, as of November 2026.

use super::{Ask, Question};
use crate::server::{Kind, LLAMACPP, OLLAMA, Server};
use ml_intern_plugin::provider::completions::models::{self, Listed};
use ml_intern_plugin::provider::json::Json;
use ml_intern_plugin::provider::value::{self, NULL, Value};

/// Models that Ollama is asked about one by one.
const MAX_ASKED: usize = 32;

/// What is known of a model beside the list; whatever is none was not said.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Details {
    /// Tokens.
    pub(super) window: Option<u32>,
    /// Whether it can call tools.
    pub(super) tools: Option<bool>,
    /// Whether it sees images.
    pub(super) images: Option<bool>,
    /// It makes embeddings and the like, and answers nobody.
    pub(super) is_no_chat: bool,
}

/// Details of these models, in their order; fewer where a server says no more.
pub(super) fn of(server: &Server, names: &[&str], ask: Ask<'_>) -> Vec<Details> {
    let is = |kind: &Kind| server.kind == kind;
    match server.own.as_deref() {
        Some(base) if is(&OLLAMA) => ollama(server, base, names, ask),
        // Where it has several models, it speaks of none of them there.
        Some(base) if is(&LLAMACPP) && names.len() == 1 => {
            llamacpp(server, base, ask).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// An answer; none where there is none: details are not worth a failure.
fn answer(
    server: &Server,
    base_url: &str,
    path: &str,
    body: Option<Vec<u8>>,
    ask: Ask<'_>,
) -> Option<Vec<u8>> {
    let question = Question {
        base_url,
        path,
        body,
    };
    ask(server, question).ok()
}

/// Servers write 0 for what they do not know.
fn window(value: Value<'_>) -> Option<u32> {
    value.tokens().filter(|tokens| *tokens > 0)
}

fn ollama(server: &Server, base: &str, names: &[&str], ask: Ask<'_>) -> Vec<Details> {
    let running = answer(server, base, "/api/ps", None, ask).unwrap_or_default();
    let running = value::parse(&running).unwrap_or(NULL).get("models");
    let details = names.iter().take(MAX_ASKED).map_while(|name| {
        let mut body = Json::default();
        body.raw("{\"model\":");
        body.string(name);
        body.raw("}");
        // A server that stops answering is not asked about all the others.
        let shown = answer(server, base, "/api/show", Some(body.into_bytes()), ask)?;
        let shown = value::parse(&shown).ok()?;
        let mut loaded = running.elements();
        let loaded = loaded.find(|loaded| loaded.get("model").is(name));
        Some(of_ollama(shown, loaded.unwrap_or(NULL)))
    });
    details.collect()
}

/// The window is what the model is loaded with, else what its parameters say, else what it was trained with: Ollama may
/// load it with less, and then cuts the beginning off.
fn of_ollama(shown: Value<'_>, loaded: Value<'_>) -> Details {
    let can = |word: &str| shown.get("capabilities").contains(word);
    let loaded = window(loaded.get("context_length"));
    Details {
        window: loaded.or_else(|| set(shown)).or_else(|| trained(shown)),
        tools: can("tools"),
        images: can("vision"),
        is_no_chat: can("completion") == Some(false),
    }
}

/// The parameters are lines of a name and a value.
fn set(shown: Value<'_>) -> Option<u32> {
    let parameters = shown.get("parameters").string()?;
    let mut lines = parameters.lines();
    let value = lines.find_map(|line| line.trim().strip_prefix("num_ctx "))?;
    window(value::parse(value.as_bytes()).ok()?)
}

fn trained(shown: Value<'_>) -> Option<u32> {
    let known = shown.get("model_info");
    let architecture = known.get("general.architecture").string()?;
    window(known.get(&format!("{architecture}.context_length")))
}

/// The window is that of one slot, which is what a conversation gets.
fn llamacpp(server: &Server, base: &str, ask: Ask<'_>) -> Option<Details> {
    let properties = answer(server, base, "/props", None, ask)?;
    let properties = value::parse(&properties).ok()?;
    let [generation, modalities] = properties.pick(["default_generation_settings", "modalities"]);
    Some(Details {
        window: window(generation.get("n_ctx")),
        images: modalities.get("vision").boolean(),
        ..Details::default()
    })
}

/// The list of LM Studio's own, where it has one, without models for embeddings. A type is `llm`, `vlm` (it sees images)
/// or `embeddings`.
pub(super) fn lm_studio(server: &Server, ask: Ask<'_>) -> Option<Vec<Listed>> {
    let question = Question {
        base_url: server.own.as_deref()?,
        path: "/api/v0/models",
        body: None,
    };
    let body = ask(server, question).ok()?;
    let listed = models::parse(&body).ok()?;
    let own = value::parse(&body).ok()?.get("data");
    let both = listed.into_iter().zip(own.elements());
    let listed = both.filter_map(|(mut model, entry)| {
        let [kind, capabilities] = entry.pick(["type", "capabilities"]);
        model.images = kind.string().map(|kind| kind == "vlm");
        model.tools = capabilities.contains("tool_use");
        (!kind.is("embeddings")).then_some(model)
    });
    Some(listed.collect())
}

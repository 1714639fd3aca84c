//! What a server says of its models at paths of its own.
//!
//! Shapes: Ollama's API reference (`/api/show`, `/api/ps`), the README of llama.cpp's server (`/props`) and LM Studio's
//! REST API v0, as of November 2026.

use super::{Ask, Question};
use crate::server::{Kind, LLAMACPP, OLLAMA, Server};
use ml_intern_plugin::provider::completions::models::{self, Listed};
use ml_intern_plugin::provider::json::Json;
use ml_intern_plugin::provider::lenient::{number, part, parts, text};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

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

/// An answer; none where there is none, or where it cannot be read: details are not worth a failure.
fn answer<T: DeserializeOwned>(
    server: &Server,
    base_url: &str,
    path: &str,
    body: Option<Vec<u8>>,
    ask: Ask<'_>,
) -> Option<T> {
    let question = Question {
        base_url,
        path,
        body,
    };
    serde_json::from_slice(&ask(server, question).ok()?).ok()
}

fn tokens(number: Option<u64>) -> Option<u32> {
    let number = number.filter(|number| *number > 0)?;
    Some(u32::try_from(number).unwrap_or(u32::MAX))
}

#[derive(Deserialize)]
struct Running {
    #[serde(default, deserialize_with = "parts")]
    models: Vec<Loaded>,
}

#[derive(Deserialize)]
struct Loaded {
    #[serde(default, deserialize_with = "text")]
    model: Option<String>,
    #[serde(default, deserialize_with = "number")]
    context_length: Option<u64>,
}

#[derive(Deserialize)]
struct Shown {
    #[serde(default, deserialize_with = "parts")]
    capabilities: Vec<String>,
    #[serde(default, deserialize_with = "part")]
    model_info: Option<Map<String, Value>>,
    /// Lines of a name and a value.
    #[serde(default, deserialize_with = "text")]
    parameters: Option<String>,
}

fn ollama(server: &Server, base: &str, names: &[&str], ask: Ask<'_>) -> Vec<Details> {
    let running: Option<Running> = answer(server, base, "/api/ps", None, ask);
    let running = running.map_or_else(Vec::new, |running| running.models);
    let details = names.iter().take(MAX_ASKED).map_while(|name| {
        let mut body = Json::default();
        body.raw("{\"model\":");
        body.string(name);
        body.raw("}");
        // A server that stops answering is not asked about all the others.
        let shown: Shown = answer(server, base, "/api/show", Some(body.into_bytes()), ask)?;
        let loaded = running
            .iter()
            .find(|loaded| loaded.model.as_deref() == Some(name));
        let loaded = loaded.and_then(|loaded| tokens(loaded.context_length));
        Some(shown.details(loaded))
    });
    details.collect()
}

impl Shown {
    /// The window is what the model is loaded with, else what its parameters say, else what it was trained with: Ollama
    /// may load it with less, and then cuts the beginning off.
    fn details(self, loaded: Option<u32>) -> Details {
        let can = |word: &str| self.capabilities.iter().any(|one| one == word);
        let told = !self.capabilities.is_empty();
        Details {
            window: loaded.or_else(|| self.set()).or_else(|| self.trained()),
            tools: told.then(|| can("tools")),
            images: told.then(|| can("vision")),
            is_no_chat: told && !can("completion"),
        }
    }

    fn set(&self) -> Option<u32> {
        let mut lines = self.parameters.as_deref()?.lines();
        let value = lines.find_map(|line| line.trim().strip_prefix("num_ctx "))?;
        tokens(value.trim().parse().ok())
    }

    fn trained(&self) -> Option<u32> {
        let known = self.model_info.as_ref()?;
        let architecture = known.get("general.architecture")?.as_str()?;
        tokens(
            known
                .get(&format!("{architecture}.context_length"))?
                .as_u64(),
        )
    }
}

#[derive(Deserialize)]
struct Properties {
    #[serde(default, deserialize_with = "part")]
    default_generation_settings: Option<Generation>,
    #[serde(default, deserialize_with = "part")]
    modalities: Option<Modalities>,
}

#[derive(Deserialize)]
struct Generation {
    /// Tokens of one slot, which is what a conversation gets.
    #[serde(default, deserialize_with = "number")]
    n_ctx: Option<u64>,
}

#[derive(Deserialize)]
struct Modalities {
    #[serde(default, deserialize_with = "part")]
    vision: Option<bool>,
}

fn llamacpp(server: &Server, base: &str, ask: Ask<'_>) -> Option<Details> {
    let properties: Properties = answer(server, base, "/props", None, ask)?;
    let generation = properties.default_generation_settings;
    Some(Details {
        window: tokens(generation.and_then(|generation| generation.n_ctx)),
        images: properties
            .modalities
            .and_then(|modalities| modalities.vision),
        ..Details::default()
    })
}

#[derive(Deserialize)]
struct Shelf {
    #[serde(default, deserialize_with = "parts")]
    data: Vec<Shelved>,
}

#[derive(Deserialize)]
struct Shelved {
    #[serde(default, deserialize_with = "text")]
    id: Option<String>,
    /// `llm`, `vlm` (it sees images) or `embeddings`.
    #[serde(default, rename = "type", deserialize_with = "text")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "part")]
    capabilities: Option<Vec<String>>,
}

/// The list of LM Studio's own, where it has one, without models for embeddings.
pub(super) fn lm_studio(server: &Server, ask: Ask<'_>) -> Option<Vec<Listed>> {
    let question = Question {
        base_url: server.own.as_deref()?,
        path: "/api/v0/models",
        body: None,
    };
    let body = ask(server, question).ok()?;
    let listed = models::parse(&body).ok()?;
    let shelf: Shelf = serde_json::from_slice(&body).ok()?;
    let listed = listed.into_iter().filter_map(|mut model| {
        let found = shelf
            .data
            .iter()
            .find(|one| one.id.as_deref() == Some(&model.id))?;
        let kind = found.kind.as_deref();
        let tools = |all: &Vec<String>| all.iter().any(|one| one == "tool_use");
        model.images = kind.map(|kind| kind == "vlm");
        model.tools = found.capabilities.as_ref().map(tools);
        (kind != Some("embeddings")).then_some(model)
    });
    Some(listed.collect())
}

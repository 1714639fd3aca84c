//! Catalogues of models, one shape a service.

use serde_json::{Value, json};

use super::{
    super::{
        Shared, answer::CREATED, error::ApiError, model::Model, node::Checked, service::Service,
    },
    text,
};

/// `GET /v1/models`.
pub(super) fn models(shared: &Shared) -> Value {
    let models = shared.models.iter();
    let models: Value = match shared.service {
        Service::Router => models.map(routed).collect(),
        Service::OpenRouter => models.map(priced).collect(),
        _ => models.map(listed).collect(),
    };
    json!({"object": "list", "data": models})
}

/// A model of OpenAI's list.
pub(super) fn listed(model: &Model) -> Value {
    json!({"id": model.id, "object": "model", "created": 0, "owned_by": "us"})
}

/// A model of the router's, with who serves it; dollars per million tokens.
fn routed(model: &Model) -> Value {
    let providers = model.providers.iter().map(|provider| {
        json!({
            "provider": provider, "status": "live", "context_length": model.context,
            "pricing": {"input": model.price.0, "output": model.price.1},
            "supports_tools": model.tools, "supports_structured_output": false,
        })
    });
    let inputs: &[&str] = if model.images {
        &["text", "image"]
    } else {
        &["text"]
    };
    json!({
        "id": model.id, "object": "model", "created": CREATED, "owned_by": "us",
        "architecture": {"input_modalities": inputs, "output_modalities": ["text"]},
        "providers": providers.collect::<Value>(),
    })
}

/// A model of OpenRouter's, whose prices are strings and dollars per token.
fn priced(model: &Model) -> Value {
    let price = |millions: f64| format!("{}", millions / 1e6);
    let inputs: &[&str] = if model.images {
        &["text", "image"]
    } else {
        &["text"]
    };
    let mut parameters = vec!["max_tokens", "temperature", "top_p", "stop"];
    if model.tools {
        parameters.extend(["tools", "tool_choice"]);
    }
    if !model.efforts.is_empty() {
        parameters.extend(["reasoning", "include_reasoning"]);
    }
    json!({
        "id": model.id, "canonical_slug": model.id, "name": model.id, "created": CREATED,
        "description": "", "context_length": model.context,
        "architecture": {
            "modality": "text->text", "input_modalities": inputs, "output_modalities": ["text"],
            "tokenizer": "Other", "instruct_type": null,
        },
        "pricing": {
            "prompt": price(model.price.0), "completion": price(model.price.1), "request": "0",
            "image": "0", "input_cache_read": price(model.price.0 / 10.0),
            "input_cache_write": price(model.price.0 * 1.25),
        },
        "top_provider": {
            "context_length": model.context, "max_completion_tokens": model.max_output,
            "is_moderated": false,
        },
        "per_request_limits": null, "supported_parameters": parameters,
    })
}

/// Ollama's own catalogue, where the path is one of it.
pub(super) fn ollama(
    shared: &Shared,
    method: &str,
    path: &str,
    body: &[u8],
) -> Checked<Option<Value>> {
    match (method, path) {
        ("GET", "/api/version") => Ok(Some(json!({"version": "0.12.6"}))),
        ("GET", "/api/tags") => {
            let tags: Value = shared.models.iter().map(tag).collect();
            Ok(Some(json!({"models": tags})))
        }
        ("GET", "/api/ps") => {
            let running: Value = shared.models.iter().map(running).collect();
            Ok(Some(json!({"models": running})))
        }
        ("POST", "/api/show") => {
            let request: Value = serde_json::from_slice(body).unwrap_or_default();
            // Older clients say `name`.
            let id = match text(&request, "model") {
                "" => text(&request, "name"),
                id => id,
            };
            let missing = || ApiError::new(404, "", format!("model '{id}' not found"));
            shared.model(id).map(shown).map(Some).ok_or_else(missing)
        }
        _ => Ok(None),
    }
}

fn details() -> Value {
    json!({
        "parent_model": "", "format": "gguf", "family": "fake", "families": ["fake"],
        "parameter_size": "8.0B", "quantization_level": "Q4_K_M",
    })
}

fn tag(model: &Model) -> Value {
    json!({
        "name": model.id, "model": model.id, "modified_at": "2026-10-01T12:00:00.123456789Z",
        "size": 5_000_000_000_u64, "digest": "0".repeat(64), "details": details(),
    })
}

/// A model that is loaded, with the context that it was loaded with.
fn running(model: &Model) -> Value {
    let mut tag = tag(model);
    tag["context_length"] = json!(model.context);
    tag["size_vram"] = tag["size"].clone();
    tag["expires_at"] = json!("2026-12-01T12:00:00Z");
    tag
}

fn shown(model: &Model) -> Value {
    let mut capabilities = vec!["completion"];
    for (has, name) in [
        (model.tools, "tools"),
        (model.images, "vision"),
        (!model.efforts.is_empty(), "thinking"),
    ] {
        if has {
            capabilities.push(name);
        }
    }
    json!({
        "modelfile": "# made by the fake", "parameters": "temperature 0.7", "template": "{{ .Prompt }}",
        "details": details(), "capabilities": capabilities,
        "model_info": {"general.architecture": "fake", "fake.context_length": model.context},
        "modified_at": "2026-10-01T12:00:00.123456789Z",
    })
}

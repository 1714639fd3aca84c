//! Records of 0.1 that have grown since, as its guests return them.

use wasmtime::component::{ComponentType, Lift};

use crate::{chat, provider};

/// `provider.model` of 0.1.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Model {
    id: String,
    #[component(name = "context-window")]
    context_window: u32,
    #[component(name = "max-output")]
    max_output: u32,
    tools: bool,
    images: bool,
    efforts: Vec<String>,
    price: Option<provider::Price>,
}

pub(super) fn models(old: Vec<Model>) -> provider::Listing {
    let model = |old: Model| provider::Model {
        id: old.id,
        context_window: old.context_window,
        max_output: old.max_output,
        tools: old.tools,
        images: old.images,
        efforts: old.efforts,
        price: old.price,
        long_price: None,
        as_of: None,
    };
    provider::Listing {
        models: old.into_iter().map(model).collect(),
        problem: None,
    }
}

/// `chat.response` of 0.1.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Response {
    parts: Vec<chat::Part>,
    stop: chat::Stop,
    usage: chat::Usage,
    id: Option<String>,
    #[component(name = "cost-usd")]
    cost_usd: Option<f64>,
}

pub(super) fn response(old: Response) -> chat::Response {
    chat::Response {
        parts: old.parts,
        stop: old.stop,
        usage: old.usage,
        id: old.id,
        model: None,
        cost_usd: old.cost_usd,
    }
}

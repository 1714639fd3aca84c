//! What the tests are made with: the far ends of the binary's connections, and a runner for it.

pub(crate) mod elsewhere;
pub(crate) mod fake;
pub(crate) mod fake_hub;
pub(crate) mod fake_openai;
pub(crate) mod fake_registry;
pub(crate) mod guests;
pub(crate) mod http;
pub(crate) mod hub_client;
pub(crate) mod litellm;
pub(crate) mod ml_intern;
pub(crate) mod registry;
pub(crate) mod tiny_llm;
pub(crate) mod tls;
pub(crate) mod venv;
pub(crate) mod webhook_sink;
pub(crate) mod world;

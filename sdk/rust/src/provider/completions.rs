//! Chat completions: the protocol of OpenAI and of every server that speaks it (vLLM, SGLang,
//! llama.cpp, Ollama, LM Studio, text-generation-inference, and routers).
//!
//! [`body`] makes a request of it, [`Completion`] reads the answer, [`models`] the list of models.
//! What differs from service to service is in [`Options`].
//!
//! Shapes: the OpenAI API reference, chat completions, as of October 2026.

mod body;
mod chunk;
mod details;
pub mod models;
mod stream;

pub use body::{Options, PromptCache, ReturnedReasoning, body};
pub use stream::Completion;

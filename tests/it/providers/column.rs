//! The providers: how each is reached, and where its protocol has what the cases look for.

use serde_json::Value;

use crate::support::fake::{Model, Service};

/// One provider of the binary, and the service that stands for its own.
pub(crate) struct Provider {
    /// Name of the column.
    pub(super) name: &'static str,
    /// None where the provider needs no service.
    pub(super) service: Option<Service>,
    /// What `--model` begins with.
    pub(super) prefix: &'static str,
    /// The model's name at the service; one that the provider has prices for, where it has a table.
    pub(super) model: &'static str,
    /// The key that the service wants.
    pub(super) key: &'static str,
    /// Variables that hold the base URL.
    pub(super) base: &'static [&'static str],
    /// Variables that hold the key, or the parts of it that a colon separates.
    pub(super) keys: &'static [&'static str],
    /// Further variables.
    pub(super) environment: &'static [(&'static str, &'static str)],
    /// The run manifest.
    pub(super) manifest: &'static str,
    /// US dollars for a million tokens: input, output, read from the cache, written to it.
    pub(super) price: [f64; 4],
    /// What a request holds that returns reasoning, where the provider returns any.
    pub(super) returns: Option<&'static str>,
    /// Where a request holds what makes the service find its cache: a field by its JSON pointer,
    /// or a piece of the body.
    pub(super) caches: Option<&'static str>,
    /// Where a request holds the effort, as a JSON pointer.
    pub(super) effort: Option<&'static str>,
    /// Where a request holds the schema of the answer, as a JSON pointer.
    pub(super) schema: &'static str,
    /// The model's efforts, as the service has them.
    pub(super) efforts: &'static [&'static str],
}

/// What the table of prices in the manifest says, in the places of [`Provider::price`].
const PRICED: [f64; 4] = [2.0, 8.0, 0.2, 2.0];

const EFFORTS: &[&str] = &["low", "medium", "high"];

/// What most columns have in common.
const BASE: Provider = Provider {
    name: "",
    service: None,
    prefix: "",
    model: "fake-model",
    key: "key-7Vq2mXw9LkZr4TnB8sYd",
    base: &[],
    keys: &[],
    environment: &[],
    manifest: "",
    price: [0.0; 4],
    returns: None,
    caches: None,
    effort: None,
    schema: "",
    efforts: EFFORTS,
};

impl Provider {
    /// The models of its service.
    pub(super) fn models(&self) -> Vec<Model> {
        vec![self.the_model()]
    }

    /// The model that it asks.
    pub(super) fn the_model(&self) -> Model {
        Model::new(self.model).tokens(400_000, 64_000)
    }

    /// Whether it marks what to cache: only then are tokens told that were written.
    pub(super) fn marks(&self) -> bool {
        let marks = |text: &str| text.contains("cache_control") || text.contains("cachePoint");
        self.caches.is_some_and(marks)
    }

    /// What `--model` takes.
    pub(super) fn named(&self) -> String {
        format!("{}/{}", self.prefix, self.model)
    }

    /// The effort that a request asks for.
    pub(super) fn effort_of(&self, request: &Value) -> Option<String> {
        let effort = request.pointer(self.effort?)?;
        effort.as_str().map(str::to_owned)
    }

    /// US dollars of a call: input tokens, those of them read from and written to the cache, and output
    /// tokens.
    pub(super) fn cost(&self, input: u64, read: u64, written: u64, output: u64) -> f64 {
        let [of_input, of_output, of_read, of_written] = self.price;
        let millionths = (input - read - written) as f64 * of_input
            + output as f64 * of_output
            + read as f64 * of_read
            + written as f64 * of_written;
        millionths / 1e6
    }
}

/// A column in a module of its own, under the name of its tests.
macro_rules! column {
    ($name:ident { $($field:ident: $value:expr),* $(,)? }) => {
        pub(crate) mod $name {
            use super::*;

            pub(crate) const PROVIDER: Provider = Provider { $($field: $value,)* ..BASE };
        }
    };
}

column!(anthropic {
    name: "anthropic",
    service: Some(Service::Anthropic),
    prefix: "anthropic",
    model: "claude-opus-5-5",
    base: &["ANTHROPIC_BASE_URL"],
    keys: &["ANTHROPIC_API_KEY"],
    price: [4.0, 20.0, 0.2, 5.0],
    returns: Some("\"signature\":"),
    caches: Some("\"cache_control\":{\"type\":\"ephemeral\"}"),
    effort: Some("/output_config/effort"),
    schema: "/output_config/format/schema",
});

column!(bedrock {
    name: "bedrock",
    service: Some(Service::Bedrock),
    prefix: "bedrock",
    model: "global.anthropic.claude-opus-4-8",
    key: "AKIAFAKEFAKEFAKEFAKE:wJalrXUtnFEMIfakefakefakefakefakefakefake",
    base: &["AWS_ENDPOINT_URL_BEDROCK_RUNTIME"],
    keys: &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"],
    environment: &[("AWS_REGION", "us-east-1")],
    price: [5.0, 25.0, 0.5, 6.25],
    returns: Some("\"reasoningContent\":"),
    caches: Some("\"cachePoint\":{\"type\":\"default\"}"),
    effort: Some("/outputConfig/effort"),
    schema: "/outputConfig/textFormat/structure/jsonSchema/schema",
});

column!(huggingface {
    name: "huggingface",
    service: Some(Service::Router),
    prefix: "huggingface",
    model: "fake-org/fake-model",
    base: &["HF_ROUTER_BASE_URL"],
    keys: &["HF_TOKEN"],
    price: [2.0, 8.0, 2.0, 2.0],
    effort: Some("/reasoning_effort"),
    schema: "/response_format/json_schema/schema",
});

column!(openai_responses {
    name: "openai (Responses)",
    service: Some(Service::OpenAi),
    prefix: "openai",
    model: "gpt-5.5",
    base: &["OPENAI_BASE_URL"],
    keys: &["OPENAI_API_KEY"],
    manifest: "[providers.openai]\nsource = \"builtin:openai\"\n\
        config = { api = \"responses\", input-price = 2, output-price = 8, cache-read-price = 0.2 }\n",
    price: PRICED,
    returns: Some("\"encrypted_content\":"),
    caches: Some("\"prompt_cache_key\":"),
    effort: Some("/reasoning/effort"),
    schema: "/text/format/schema",
});

column!(openai_chat {
    name: "openai (chat)",
    service: Some(Service::OpenAi),
    prefix: "openai",
    base: &["OPENAI_BASE_URL"],
    keys: &["OPENAI_API_KEY"],
    manifest: "[providers.openai]\nsource = \"builtin:openai\"\n\
        config = { input-price = 2, output-price = 8, cache-read-price = 0.2 }\n",
    price: PRICED,
    effort: Some("/reasoning_effort"),
    schema: "/response_format/json_schema/schema",
});

column!(openrouter {
    name: "openrouter",
    service: Some(Service::OpenRouter),
    prefix: "openrouter",
    model: "anthropic/claude-opus-4.8",
    base: &["OPENROUTER_BASE_URL"],
    keys: &["OPENROUTER_API_KEY"],
    // What the fake says that a token costs, whatever its list of prices says.
    price: [1.0; 4],
    returns: Some("\"reasoning_details\":"),
    caches: Some("\"cache_control\":{\"type\":\"ephemeral\"}"),
    effort: Some("/reasoning/effort"),
    schema: "/response_format/json_schema/schema",
});

/// Where nothing listens, so that no server of this machine is asked.
const NOWHERE: &str = "http://127.0.0.1:9";

column!(ollama {
    name: "ollama",
    service: Some(Service::Ollama),
    prefix: "ollama",
    model: "fake-model:8b",
    base: &["OLLAMA_BASE_URL"],
    keys: &["OLLAMA_API_KEY"],
    environment: &[
        ("VLLM_BASE_URL", NOWHERE),
        ("LMSTUDIO_BASE_URL", NOWHERE),
        ("LLAMACPP_BASE_URL", NOWHERE),
    ],
    schema: "/response_format/json_schema/schema",
});

column!(vllm {
    name: "vllm",
    service: Some(Service::OpenAi),
    prefix: "vllm",
    model: "fake-org/fake-model",
    base: &["VLLM_BASE_URL"],
    keys: &["VLLM_API_KEY"],
    environment: &[
        ("OLLAMA_BASE_URL", NOWHERE),
        ("LMSTUDIO_BASE_URL", NOWHERE),
        ("LLAMACPP_BASE_URL", NOWHERE),
    ],
    schema: "/response_format/json_schema/schema",
});

column!(example {
    name: "the example",
    service: Some(Service::OpenAi),
    prefix: "acme",
    keys: &["ACME_API_KEY"],
    manifest: "[providers.acme]\nsource = \"./acme_models.wasm\"\n\
        config = { base-url = \"{base-url}\" }\n[providers.acme.grant]\n\
        http = [{ base-url = \"base-url\", methods = [\"GET\", \"POST\"] }]\ncredentials = [\"acme\"]\n",
    price: PRICED,
    caches: Some("\"prompt_cache_key\":"),
    effort: Some("/reasoning_effort"),
    schema: "/response_format/json_schema/schema",
});

column!(replay {
    name: "replay",
    prefix: "replay",
    manifest: "[providers.replay]\nsource = \"builtin:replay\"\n\
        config = { recording = \"recording.toml\" }\n",
});

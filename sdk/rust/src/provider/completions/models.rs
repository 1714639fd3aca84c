//! A server's list of models. The protocol has only their names; the rest comes from fields that some servers add.

use crate::provider::lenient::{amount, number, part, parts, text};
use crate::{Error, Price};
use serde::Deserialize;

/// Models passed on. Routers list several hundred.
const MAX_MODELS: usize = 5000;

/// US dollars for one token are listed by routers, for a million by us.
const MILLION: f64 = 1e6;

/// A model as its server lists it; whatever is none was not said.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its name.
    pub id: String,
    /// Tokens of input and output together.
    pub context_window: Option<u32>,
    /// Tokens of output at most.
    pub max_output: Option<u32>,
    /// Whether it can call tools.
    pub tools: Option<bool>,
    /// Whether it sees images.
    pub images: Option<bool>,
    /// Whether it takes an effort.
    pub reasons: Option<bool>,
    /// Words that it takes for the effort, lowest first; empty where the server lists none.
    pub efforts: Vec<String>,
    /// Whose it is; local servers name themselves here.
    pub owner: Option<String>,
    /// US dollars for a million tokens.
    pub price: Option<Price>,
}

#[derive(Deserialize)]
struct List {
    /// `null` where Ollama has no model; but a document without it is no list.
    #[serde(deserialize_with = "Option::deserialize")]
    data: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
struct Entry {
    id: String,
    /// OpenRouter, Hugging Face, Together.
    #[serde(default, deserialize_with = "number")]
    context_length: Option<u64>,
    /// vLLM, SGLang.
    #[serde(default, deserialize_with = "number")]
    max_model_len: Option<u64>,
    /// Groq.
    #[serde(default, deserialize_with = "number")]
    context_window: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    max_completion_tokens: Option<u64>,
    /// LM Studio, with what it was loaded with first.
    #[serde(default, deserialize_with = "number")]
    loaded_context_length: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    max_context_length: Option<u64>,
    /// llama.cpp.
    #[serde(default)]
    meta: Option<Inner>,
    #[serde(default)]
    top_provider: Option<Inner>,
    #[serde(default)]
    architecture: Option<Inner>,
    /// OpenRouter: what of the protocol the model understands.
    #[serde(default)]
    supported_parameters: Option<Vec<String>>,
    #[serde(default)]
    pricing: Option<Pricing>,
    #[serde(default, deserialize_with = "part")]
    reasoning: Option<Reasoning>,
    #[serde(default, deserialize_with = "text")]
    owned_by: Option<String>,
}

/// OpenRouter: what a model takes of efforts.
#[derive(Deserialize)]
struct Reasoning {
    /// Highest first.
    #[serde(default, deserialize_with = "parts")]
    supported_efforts: Vec<String>,
}

/// The objects inside an entry. No two of them share a field, so one type reads them all.
#[derive(Deserialize)]
struct Inner {
    /// In `meta`: what the server was started with, where it says so.
    #[serde(default, deserialize_with = "number")]
    n_ctx: Option<u64>,
    /// In `meta`: what the model was trained with; the server may have been started with less.
    #[serde(default, deserialize_with = "number")]
    n_ctx_train: Option<u64>,
    /// In `top_provider`.
    #[serde(default, deserialize_with = "number")]
    max_completion_tokens: Option<u64>,
    /// In `architecture`.
    #[serde(default)]
    input_modalities: Option<Vec<String>>,
}

/// US dollars for one token, as OpenRouter lists them. A router's own models, whose price depends on where they lead,
/// have -1.
#[derive(Deserialize)]
struct Pricing {
    #[serde(default, deserialize_with = "amount")]
    prompt: Option<f64>,
    #[serde(default, deserialize_with = "amount")]
    completion: Option<f64>,
    #[serde(default, deserialize_with = "amount")]
    input_cache_read: Option<f64>,
    #[serde(default, deserialize_with = "amount")]
    input_cache_write: Option<f64>,
}

/// The models of an answer to `GET /models`.
///
/// # Errors
///
/// `upstream` (retryable) when the body is no list of models.
pub fn parse(body: &[u8]) -> Result<Vec<Listed>, Error> {
    let list: List = serde_json::from_slice(body).map_err(|error| {
        Error::unreachable(format!(
            "the server's list of models cannot be read: {error}"
        ))
    })?;
    let listed = list.data.into_iter().flatten().take(MAX_MODELS);
    Ok(listed.map(Entry::listed).collect())
}

impl Entry {
    fn listed(self) -> Listed {
        let meta = self.meta.as_ref();
        let window = self
            .loaded_context_length
            .or(self.context_length)
            .or(self.max_model_len)
            .or(self.context_window)
            .or(self.max_context_length);
        let window = window.or(meta.and_then(|meta| meta.n_ctx.or(meta.n_ctx_train)));
        let top = self
            .top_provider
            .as_ref()
            .and_then(|top| top.max_completion_tokens);
        let understands = |word: &str| {
            let all = self.supported_parameters.as_ref()?;
            Some(all.iter().any(|one| one == word))
        };
        Listed {
            context_window: window.map(count),
            max_output: self.max_completion_tokens.or(top).map(count),
            tools: understands("tools"),
            images: self.architecture.as_ref().and_then(Inner::sees),
            reasons: understands("reasoning"),
            efforts: self.reasoning.map_or_else(Vec::new, Reasoning::ascending),
            owner: self.owned_by,
            price: self.pricing.as_ref().and_then(Pricing::price),
            id: self.id,
        }
    }
}

impl Reasoning {
    fn ascending(mut self) -> Vec<String> {
        self.supported_efforts.reverse();
        self.supported_efforts
    }
}

impl Inner {
    fn sees(&self) -> Option<bool> {
        let inputs = self.input_modalities.as_ref()?;
        Some(inputs.iter().any(|input| input == "image"))
    }
}

impl Pricing {
    fn price(&self) -> Option<Price> {
        let input = self.prompt?;
        Some(Price {
            input: input * MILLION,
            output: self.completion? * MILLION,
            cache_read: self.input_cache_read.unwrap_or(input) * MILLION,
            cache_write: self.input_cache_write.unwrap_or(input) * MILLION,
        })
    }
}

fn count(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_found_where_servers_put_it() {
        let body = r#"{"object":"list","data":[
            {"id":"a","context_length":1000,"top_provider":{"max_completion_tokens":10},"architecture":{"input_modalities":["text","image"]}},
            {"id":"b","max_model_len":2000.0},
            {"id":"c","meta":{"n_ctx_train":3000}},
            {"id":"d","meta":{"n_ctx":64,"n_ctx_train":3000},"architecture":{"modality":"text->text","input_modalities":["text"]}},
            {"id":"e","meta":null,"context_length":null},
            {"id":"f","context_window":"5000","max_completion_tokens":7},
            {"id":"g","context_length":99999999999},
            {"id":"h","max_context_length":8192,"loaded_context_length":4096}]}"#;
        let found = parse(body.as_bytes()).unwrap();
        let windows: Vec<_> = found.iter().map(|model| model.context_window).collect();
        let some = |tokens| Some(tokens);
        assert_eq!(
            windows,
            [
                some(1000),
                some(2000),
                some(3000),
                some(64),
                None,
                some(5000),
                some(u32::MAX),
                some(4096)
            ]
        );
        assert_eq!(
            (found[0].max_output, found[5].max_output),
            (Some(10), Some(7))
        );
        assert_eq!(
            (found[0].images, found[3].images, found[1].images),
            (Some(true), Some(false), None)
        );
        assert!(found[0].tools.is_none() && found[0].price.is_none());
    }

    #[test]
    fn a_router_lists_features_and_prices() {
        let body = r#"{"data":[
            {"id":"x/y","supported_parameters":["tools","reasoning","max_tokens"],"reasoning":{"supported_efforts":["xhigh",null,"low"],"mandatory":false},
             "pricing":{"prompt":"0.000003","completion":"0.000015","input_cache_read":"0.0000003","input_cache_write":"0.00000375"}},
            {"id":"x/free","supported_parameters":[],"pricing":{"prompt":"0","completion":"0"}},
            {"id":"router/auto","pricing":{"prompt":"-1","completion":"-1"}}]}"#;
        let found = parse(body.as_bytes()).unwrap();
        let price = found[0].price.unwrap();
        let rates = [
            price.input,
            price.output,
            price.cache_read,
            price.cache_write,
        ];
        for (rate, expected) in rates.into_iter().zip([3.0, 15.0, 0.3, 3.75]) {
            assert!((rate - expected).abs() < 1e-9, "{rates:?}");
        }
        assert_eq!(
            (found[0].tools, found[0].reasons, found[1].tools),
            (Some(true), Some(true), Some(false))
        );
        assert_eq!(found[0].efforts, ["low", "xhigh"]);
        assert!(found[1].efforts.is_empty() && found[1].owner.is_none());
        assert!(
            found[1]
                .price
                .is_some_and(|price| price.input == 0.0 && price.output == 0.0)
        );
        assert!(found[2].price.is_none());
    }

    #[test]
    fn a_local_server_names_itself_or_has_no_model() {
        let found =
            parse(br#"{"object":"list","data":[{"id":"m","owned_by":"vllm","reasoning":true}]}"#)
                .unwrap();
        assert_eq!(found[0].owner.as_deref(), Some("vllm"));
        assert!(
            parse(br#"{"object":"list","data":null}"#)
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn no_list_is_a_retryable_failure() {
        for body in [
            "",
            "{}",
            "[]",
            r#"{"data":{}}"#,
            r#"{"data":[{}]}"#,
            "<html>",
        ] {
            let error = parse(body.as_bytes()).unwrap_err();
            assert!(
                matches!(error, Error::Upstream(upstream) if upstream.retryable),
                "{body}"
            );
        }
    }
}

//! A server's list of models. The protocol has only their names; the rest comes from fields that some servers add.

use crate::provider::errors;
use crate::provider::value::{self, Value};
use crate::{Error, Price};

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

/// The models of an answer to `GET /models`.
///
/// # Errors
///
/// `upstream` (retryable) when the body is no list of models.
pub fn parse(body: &[u8]) -> Result<Vec<Listed>, Error> {
    let unreadable = |why: &str| {
        errors::broken(&format!(
            "the server's list of models cannot be read: {why}"
        ))
    };
    let document = value::parse(body).map_err(|error| unreadable(&error.to_string()))?;
    // `null` stands where Ollama has no model; but a document without it is no list.
    let data = document.fields().find(|(name, _)| name == "data");
    let data = data.map(|(_, data)| data);
    let Some(data) = data.filter(|data| data.is_list() || data.is_null()) else {
        return Err(unreadable("it has no list `data`"));
    };
    let listed = data.elements().take(MAX_MODELS).map(listed);
    let listed: Option<Vec<_>> = listed.collect();
    listed.ok_or_else(|| unreadable("an entry has no `id`"))
}

fn listed(entry: Value<'_>) -> Option<Listed> {
    let [
        id,
        owner,
        meta,
        parameters,
        architecture,
        pricing,
        reasoning,
        top,
    ] = entry.pick([
        "id",
        "owned_by",
        "meta",
        "supported_parameters",
        "architecture",
        "pricing",
        "reasoning",
        "top_provider",
    ]);
    let [started, trained] = meta.pick(["n_ctx", "n_ctx_train"]);
    let windows = entry.pick([
        // LM Studio: what the model was loaded with, before what it could be.
        "loaded_context_length",
        // OpenRouter, Hugging Face, Together.
        "context_length",
        // vLLM, SGLang.
        "max_model_len",
        // Groq.
        "context_window",
        "max_context_length",
    ]);
    // llama.cpp: what the server was started with, before what the model was trained with.
    let windows = windows.into_iter().chain([started, trained]);
    let outputs = [entry, top].map(|place| place.get("max_completion_tokens"));
    // OpenRouter has the highest effort first.
    let mut efforts = reasoning.get("supported_efforts").texts();
    efforts.reverse();
    Some(Listed {
        id: id.string()?.into_owned(),
        context_window: windows.into_iter().find_map(Value::tokens),
        max_output: outputs.into_iter().find_map(Value::tokens),
        tools: parameters.contains("tools"),
        images: architecture.get("input_modalities").contains("image"),
        reasons: parameters.contains("reasoning"),
        efforts,
        owner: owner.owned(),
        price: price(pricing),
    })
}

/// US dollars for one token, as OpenRouter lists them. A router's own models, whose price depends on where they lead,
/// have -1.
fn price(pricing: Value<'_>) -> Option<Price> {
    let rates = pricing.pick([
        "prompt",
        "completion",
        "input_cache_read",
        "input_cache_write",
    ]);
    let [input, output, read, written] = rates.map(|rate| rate.amount().map(|rate| rate * MILLION));
    let input = input?;
    Some(Price {
        input,
        output: output?,
        cache_read: read.unwrap_or(input),
        cache_write: written.unwrap_or(input),
    })
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

//! What the service lists of its models: nearly all that the host asks for.

use ml_intern_plugin::provider::completions::models::{self, Listed};
use ml_intern_plugin::{Error, Model};

/// Efforts that the service takes for a model that lists none of its own: it maps them to what the model has. Its
/// reference of `ReasoningEffort` and of `ModelReasoning.supported_efforts`, as of November 2026.
const EFFORTS: [&str; 6] = ["minimal", "low", "medium", "high", "xhigh", "max"];

/// The models of an answer to `GET /models`.
///
/// # Errors
/// `upstream` (retryable) when the body is no list of models.
pub(crate) fn parse(body: &[u8]) -> Result<Vec<Model>, Error> {
    Ok(models::parse(body)?.into_iter().map(model).collect())
}

fn model(listed: Listed) -> Model {
    let any = || EFFORTS.map(str::to_owned).to_vec();
    let efforts = match (listed.reasons, listed.efforts) {
        (_, own) if !own.is_empty() => own,
        (Some(true), _) => any(),
        _ => Vec::new(),
    };
    Model {
        id: listed.id,
        context_window: listed.context_window.unwrap_or(0),
        max_output: listed.max_output.unwrap_or(0),
        // Every model has a list of what it takes; without one nothing is known against it.
        tools: listed.tools.unwrap_or(true),
        images: listed.images.unwrap_or(false),
        efforts,
        price: listed.price,
        long_price: None,
        as_of: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_knows_its_models() {
        let body = r#"{"data":[
            {"id":"anthropic/claude-x","name":"Claude","context_length":200000,
             "architecture":{"modality":"text+image->text","input_modalities":["text","image"],"output_modalities":["text"]},
             "pricing":{"prompt":"0.000003","completion":"0.000015","request":"0","image":"0.0048","input_cache_read":"0.0000003","input_cache_write":"0.00000375"},
             "top_provider":{"context_length":200000,"max_completion_tokens":64000,"is_moderated":true},
             "supported_parameters":["include_reasoning","max_tokens","reasoning","tool_choice","tools"],
             "reasoning":{"mandatory":false,"supported_efforts":["max","high","low"],"default_effort":"high"}},
            {"id":"qwen/qwen-x:free","context_length":32768,"architecture":{"input_modalities":["text"]},
             "pricing":{"prompt":"0","completion":"0"},"supported_parameters":["reasoning","max_tokens"],"reasoning":{"supported_efforts":null}},
            {"id":"openrouter/auto","context_length":2000000,"pricing":{"prompt":"-1","completion":"-1"},"supported_parameters":[]}]}"#;
        let found = parse(body.as_bytes()).unwrap();
        let claude = &found[0];
        assert_eq!(
            (claude.context_window, claude.max_output),
            (200_000, 64_000)
        );
        assert!(claude.tools && claude.images);
        assert_eq!(claude.efforts, ["low", "high", "max"]);
        assert!(
            claude
                .price
                .is_some_and(|price| (price.cache_read - 0.3).abs() < 1e-9)
        );
        let free = &found[1];
        assert_eq!(free.efforts, EFFORTS);
        assert!(!free.tools && !free.images);
        assert!(free.price.is_some_and(|price| price.input == 0.0));
        let auto = &found[2];
        assert!(auto.price.is_none() && auto.efforts.is_empty());
    }
}

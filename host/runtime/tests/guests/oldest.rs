//! Providers of the oldest contract, whose records have grown since.

use super::*;
use crate::build::{OLDEST, encode};

/// Two answers, laid out as the canonical ABI has it for the records of 0.1: at 64 a response with
/// 7 tokens of input and half a dollar, at 256 a list of one model.
const PROVIDER: &str = r#"(module
    (memory (export "memory") 1)
    (data (i32.const 84) "\07")
    (data (i32.const 120) "\01\00\00\00\00\00\00\00\00\00\00\00\00\00\e0\3f")
    (data (i32.const 256) "\00\00\00\00\00\02\00\00\01\00\00\00")
    (data (i32.const 512) "\00\04\00\00\01\00\00\00\80\00\00\00\10\00\00\00\01")
    (data (i32.const 544) "\01\00\00\00\00\00\00\00\00\00\00\00\00\00\e0\3f")
    (data (i32.const 1024) "m")
    (global $free (mut i32) (i32.const 8192))
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
        (global.set $free (i32.add (global.get $free) (i32.and (i32.add (local.get 3) (i32.const 15)) (i32.const -8))))
        (i32.sub (global.get $free) (i32.and (i32.add (local.get 3) (i32.const 15)) (i32.const -8))))
    (func (export "ml-intern:plugin/provider@0.1.0#models") (result i32) (i32.const 256))
    (func (export "ml-intern:plugin/provider@0.1.0#complete") (param i32) (result i32) (i32.const 64))
    (func (export "ml-intern:plugin/provider@0.1.0#count-tokens") (param i32) (result i32) (i32.const 2048))
)"#;

struct Deaf;

impl Sink for Deaf {
    fn emit(&self, _: sink::Delta) -> types::Control {
        types::Control::Proceed
    }
}

fn request() -> chat::Request {
    chat::Request {
        model: "m".to_owned(),
        messages: Vec::new(),
        tools: Vec::new(),
        tool_choice: chat::ToolChoice::Auto,
        max_tokens: None,
        response_schema: None,
        affinity: None,
        effort: None,
        stream: false,
        extra: None,
    }
}

#[tokio::test]
async fn what_a_provider_of_the_oldest_contract_returns_is_lifted_to_the_newest() {
    let place = Place::new();
    let bytes = encode(PROVIDER, OLDEST, "provider-plugin");
    let plugin = place
        .runtime
        .plugin(source(bytes), Setup::bare(Limits::default()));
    let (watcher, cancel) = (Arc::new(Unobserved), CancellationToken::new());
    let models = plugin.models(context(), watcher.clone(), &cancel).await;
    let price = provider::Price {
        input: 0.5,
        output: 0.0,
        cache_read: 0.0,
        cache_write: 0.0,
    };
    let expected = provider::Model {
        id: "m".to_owned(),
        context_window: 128,
        max_output: 16,
        tools: true,
        images: false,
        efforts: Vec::new(),
        price: Some(price),
        long_price: None,
        as_of: None,
    };
    let listing = models.unwrap();
    assert_eq!((listing.models, listing.problem), (vec![expected], None));
    let response = plugin
        .complete(
            &request(),
            Arc::new(Deaf),
            context(),
            watcher.clone(),
            &cancel,
        )
        .await
        .unwrap();
    assert_eq!((response.model, response.cost_usd), (None, Some(0.5)));
    assert_eq!((response.usage.input, response.parts.len()), (7, 0));
    let tokens = plugin
        .count_tokens(&request(), context(), watcher, &cancel)
        .await;
    assert_eq!(tokens.unwrap(), None);
}

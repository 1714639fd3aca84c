//! The router's catalogue: which models there are, who serves them, and for how much.
//!
//! Shape: `GET /models` of the router as its clients read it, as of November 2026. Prices are US dollars for a million
//! tokens, other than on OpenRouter.

use ml_intern_plugin::provider::value::{self, Value};
use ml_intern_plugin::provider::{self, Known, errors};
use ml_intern_plugin::{Error, Model, Price};

/// Day of the table.
pub(crate) const AS_OF: &str = "2026-09-01";

/// Models that the router has had for long; who serves them, and for how much, only the router knows.
pub(crate) const TABLE: &[Known] = &[
    named("anthropic/claude-opus-4.8:fal-ai"),
    named("openai/gpt-5.5:fal-ai"),
    named("moonshotai/Kimi-K2.6:novita"),
    named("MiniMaxAI/MiniMax-M2.7:novita"),
    named("zai-org/GLM-5.1:novita"),
    named("deepseek-ai/DeepSeek-V4-Pro:novita"),
];

const fn named(id: &'static str) -> Known {
    Known {
        id,
        context_window: 0,
        max_output: 0,
        images: false,
        efforts: &[],
        price: None,
        long_price: None,
    }
}

/// Models read. The router lists a few hundred.
const MAX_MODELS: usize = 2000;

/// Providers read of one model.
const MAX_PROVIDERS: usize = 32;

/// A model at one provider that is live.
struct Served {
    provider: String,
    /// Tokens; 0 = unknown.
    window: u32,
    tools: bool,
    price: Option<Price>,
}

/// The models of the catalogue: each as the router chooses its provider, as the cheapest provider has it, and as every
/// provider that is live has it. What nobody serves now is left out.
///
/// # Errors
/// `upstream` (retryable) when the body is no catalogue.
pub(crate) fn parse(body: &[u8]) -> Result<Vec<Model>, Error> {
    let unreadable = |why: &str| {
        errors::broken(&format!(
            "the router's list of models cannot be read: {why}"
        ))
    };
    let catalogue = value::parse(body).map_err(|error| unreadable(&error.to_string()))?;
    let entries = catalogue.get("data");
    if !entries.is_list() {
        return Err(unreadable("it has no list `data`"));
    }
    let entries = entries.elements().take(MAX_MODELS);
    Ok(entries.flat_map(models).collect())
}

fn models(entry: Value<'_>) -> Vec<Model> {
    let [id, architecture, providers] = entry.pick(["id", "architecture", "providers"]);
    let Some(id) = id.string().filter(|id| !id.is_empty()) else {
        return Vec::new();
    };
    let id = &*id;
    let images = architecture.get("input_modalities").contains("image");
    let live = live(providers);
    let mut models = Vec::with_capacity(live.len() + 2);
    models.extend(chosen_by_the_router(id, &live));
    models.extend(cheapest(id, &live));
    models.extend(
        live.iter()
            .map(|served| served.model(format!("{id}:{}", served.provider))),
    );
    for model in &mut models {
        model.images = images == Some(true);
    }
    models
}

/// Those that answer now, each once.
fn live(providers: Value<'_>) -> Vec<Served> {
    let mut live: Vec<Served> = Vec::new();
    for provider in providers.elements() {
        let [status, name, window, tools, pricing] = provider.pick([
            "status",
            "provider",
            "context_length",
            "supports_tools",
            "pricing",
        ]);
        let Some(name) = name.string().filter(|name| !name.is_empty()) else {
            continue;
        };
        let is_new = live.iter().all(|known| known.provider != *name);
        if status.is("live") && is_new && live.len() < MAX_PROVIDERS {
            live.push(Served {
                provider: name.into_owned(),
                window: window.tokens().unwrap_or(0),
                // A provider that says nothing is not taken for one that cannot.
                tools: tools.boolean().unwrap_or(true),
                price: price(pricing),
            });
        }
    }
    live
}

/// The router lists no price for cached tokens: they cost what others cost.
fn price(pricing: Value<'_>) -> Option<Price> {
    let [input, output] = pricing.pick(["input", "output"]).map(Value::amount);
    let input = input?;
    Some(provider::price(input, output?, input, input))
}

/// Who will answer is not known before: the window is the smallest, and a price is one only where all ask the same.
fn chosen_by_the_router(id: &str, live: &[Served]) -> Option<Model> {
    let first = live.first()?;
    let rates = |served: &Served| served.price.map(|price| (price.input, price.output));
    let same = live.iter().all(|served| rates(served) == rates(first));
    let windows = live.iter().map(|served| served.window);
    Some(Model {
        context_window: windows.filter(|window| *window > 0).min().unwrap_or(0),
        tools: live.iter().any(|served| served.tools),
        price: first.price.filter(|_| same),
        ..first.model(id.to_owned())
    })
}

fn cheapest(id: &str, live: &[Served]) -> Option<Model> {
    let priced = live.iter().filter_map(|served| {
        let price = served.price?;
        Some((price.input + price.output, served))
    });
    let (_, served) = priced.min_by(|(one, _), (other, _)| one.total_cmp(other))?;
    Some(served.model(format!("{id}:cheapest")))
}

impl Served {
    /// Efforts are not listed: the host finds out.
    fn model(&self, id: String) -> Model {
        Model {
            id,
            context_window: self.window,
            max_output: 0,
            tools: self.tools,
            images: false,
            efforts: Vec::new(),
            price: self.price,
            long_price: None,
            as_of: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn models(body: &str) -> Vec<Model> {
        parse(body.as_bytes()).unwrap()
    }

    /// Id, window, tools, and the sum of both rates.
    fn seen(model: &Model) -> (&str, u32, bool, Option<f64>) {
        let price = model.price.map(|price| price.input + price.output);
        (&model.id, model.context_window, model.tools, price)
    }

    const CATALOGUE: &str = r#"{"object":"list","data":[
        {"id":"org/m","object":"model","created":1,"owned_by":"org",
         "architecture":{"input_modalities":["text","image"],"output_modalities":["text"]},
         "providers":[
          {"provider":"together","status":"live","context_length":131072,"pricing":{"input":0.5,"output":1.5},"supports_tools":true,"supports_structured_output":true,"is_model_author":false},
          {"provider":"novita","status":"live","context_length":65536,"pricing":{"input":0.25,"output":1},"supports_tools":false},
          {"provider":"groq","status":"error","context_length":1024,"pricing":{"input":0,"output":0},"supports_tools":true},
          {"provider":"hf-inference","status":"live","supports_tools":true}]},
        {"id":"org/same","providers":[
          {"provider":"a","status":"live","context_length":10,"pricing":{"input":1,"output":2}},
          {"provider":"b","status":"live","context_length":20,"pricing":{"input":1.0,"output":2.0}}]},
        {"id":"org/gone","providers":[{"provider":"a","status":"staging"}]},
        {"id":"org/none","providers":[]}]}"#;

    #[test]
    fn a_model_is_listed_for_every_way_to_ask_for_it() {
        let found = models(CATALOGUE);
        let seen: Vec<_> = found.iter().map(seen).collect();
        assert_eq!(
            seen,
            [
                ("org/m", 65536, true, None),
                ("org/m:cheapest", 65536, false, Some(1.25)),
                ("org/m:together", 131_072, true, Some(2.0)),
                ("org/m:novita", 65536, false, Some(1.25)),
                ("org/m:hf-inference", 0, true, None),
                ("org/same", 10, true, Some(3.0)),
                ("org/same:cheapest", 10, true, Some(3.0)),
                ("org/same:a", 10, true, Some(3.0)),
                ("org/same:b", 20, true, Some(3.0)),
            ]
        );
        assert!(found[..5].iter().all(|model| model.images));
        assert!(found[5..].iter().all(|model| !model.images));
        assert!(
            found
                .iter()
                .all(|model| model.efforts.is_empty() && model.as_of.is_none())
        );
    }

    #[test]
    fn odd_fields_cost_no_more_than_what_they_say() {
        let found = models(
            r#"{"data":[
            {"id":7,"providers":"none"},
            {"providers":[{"provider":"a","status":"live"}]},
            {"id":"o/m","architecture":"text","providers":[
              3,
              {"provider":"a","status":"live","context_length":"8192","pricing":{"input":"0.5","output":null},"supports_tools":"yes"},
              {"provider":"a","status":"live","context_length":1},
              {"provider":null,"status":"live"},
              {"provider":"b","status":"live","context_length":99999999999,"pricing":[1]}]}]}"#,
        );
        let seen: Vec<_> = found.iter().map(seen).collect();
        assert_eq!(
            seen,
            [
                ("o/m", 8192, true, None),
                ("o/m:a", 8192, true, None),
                ("o/m:b", u32::MAX, true, None),
            ]
        );
    }

    #[test]
    fn no_catalogue_is_a_retryable_failure() {
        for body in ["", "{}", "<html>", r#"{"data":7}"#] {
            let error = parse(body.as_bytes()).err();
            assert!(matches!(error, Some(Error::Upstream(upstream)) if upstream.retryable));
        }
    }
}

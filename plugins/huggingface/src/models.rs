//! The router's catalogue: which models there are, who serves them, and for how much.
//!
//! Shape: `GET /models` of the router as its clients read it, as of November 2026. Prices are US dollars for a million
//! tokens, other than on OpenRouter.

use ml_intern_plugin::provider::lenient::{amount, number, part, parts, text};
use ml_intern_plugin::{Error, Model, Price};
use serde::Deserialize;

/// Models read. The router lists a few hundred.
const MAX_MODELS: usize = 2000;

/// Providers read of one model.
const MAX_PROVIDERS: usize = 32;

#[derive(Deserialize)]
struct Catalogue {
    data: Vec<Entry>,
}

/// A model. One odd field costs no more than what it says.
#[derive(Deserialize)]
struct Entry {
    #[serde(default, deserialize_with = "text")]
    id: Option<String>,
    #[serde(default, deserialize_with = "part")]
    architecture: Option<Architecture>,
    #[serde(default, deserialize_with = "parts")]
    providers: Vec<Served>,
}

#[derive(Deserialize)]
struct Architecture {
    #[serde(default, deserialize_with = "parts")]
    input_modalities: Vec<String>,
}

/// A model at one provider.
#[derive(Deserialize)]
struct Served {
    #[serde(default, deserialize_with = "text")]
    provider: Option<String>,
    #[serde(default, deserialize_with = "text")]
    status: Option<String>,
    #[serde(default, deserialize_with = "number")]
    context_length: Option<u64>,
    #[serde(default, deserialize_with = "part")]
    pricing: Option<Pricing>,
    #[serde(default, deserialize_with = "part")]
    supports_tools: Option<bool>,
}

#[derive(Deserialize)]
struct Pricing {
    #[serde(default, deserialize_with = "amount")]
    input: Option<f64>,
    #[serde(default, deserialize_with = "amount")]
    output: Option<f64>,
}

/// The models of the catalogue: each as the router chooses its provider, as the cheapest provider has it, and as every
/// provider that is live has it. What nobody serves now is left out.
///
/// # Errors
/// `upstream` (retryable) when the body is no catalogue.
pub(crate) fn parse(body: &[u8]) -> Result<Vec<Model>, Error> {
    let catalogue: Catalogue = serde_json::from_slice(body).map_err(|error| {
        Error::unreachable(format!(
            "the router's list of models cannot be read: {error}"
        ))
    })?;
    let entries = catalogue.data.into_iter().take(MAX_MODELS);
    Ok(entries.flat_map(Entry::models).collect())
}

impl Entry {
    fn models(self) -> Vec<Model> {
        let Some(id) = self.id.filter(|id| !id.is_empty()) else {
            return Vec::new();
        };
        let images = self.architecture.is_some_and(|architecture| {
            architecture
                .input_modalities
                .iter()
                .any(|input| input == "image")
        });
        let live = live(self.providers);
        let mut models = Vec::with_capacity(live.len() + 2);
        models.extend(chosen_by_the_router(&live));
        models.extend(cheapest(&live));
        models.extend(live.iter().map(|(name, served)| served.model(name)));
        for model in &mut models {
            model.images = images;
            model.id = match model.id.is_empty() {
                true => id.clone(),
                false => format!("{id}:{}", model.id),
            };
        }
        models
    }
}

/// Those that answer now, each once, with their names.
fn live(providers: Vec<Served>) -> Vec<(String, Served)> {
    let mut live: Vec<(String, Served)> = Vec::new();
    for mut served in providers {
        let Some(name) = served.provider.take().filter(|name| !name.is_empty()) else {
            continue;
        };
        let new = live.iter().all(|(known, _)| *known != name);
        if new && served.status.as_deref() == Some("live") && live.len() < MAX_PROVIDERS {
            live.push((name, served));
        }
    }
    live
}

/// Who will answer is not known before: the window is the smallest, and a price is one only where all ask the same.
fn chosen_by_the_router(live: &[(String, Served)]) -> Option<Model> {
    let (_, first) = live.first()?;
    let price = first.price();
    let same = |price: &Price| {
        live.iter().all(|(_, served)| {
            served
                .price()
                .is_some_and(|other| (other.input, other.output) == (price.input, price.output))
        })
    };
    let windows = live.iter().map(|(_, served)| served.window());
    Some(Model {
        context_window: windows.filter(|window| *window > 0).min().unwrap_or(0),
        tools: live.iter().any(|(_, served)| served.tools()),
        price: price.filter(same),
        ..first.model("")
    })
}

fn cheapest(live: &[(String, Served)]) -> Option<Model> {
    let priced = live.iter().filter_map(|(_, served)| {
        let price = served.price()?;
        Some((price.input + price.output, served))
    });
    let (_, served) = priced.min_by(|(one, _), (other, _)| one.total_cmp(other))?;
    Some(served.model("cheapest"))
}

impl Served {
    /// Tokens; 0 = unknown.
    fn window(&self) -> u32 {
        u32::try_from(self.context_length.unwrap_or(0)).unwrap_or(u32::MAX)
    }

    /// A provider that says nothing is not taken for one that cannot.
    fn tools(&self) -> bool {
        self.supports_tools.unwrap_or(true)
    }

    /// The router lists no price for cached tokens: they cost what others cost.
    fn price(&self) -> Option<Price> {
        let pricing = self.pricing.as_ref()?;
        let input = pricing.input?;
        Some(Price {
            input,
            output: pricing.output?,
            cache_read: input,
            cache_write: input,
        })
    }

    /// The model with what stands behind the colon for an id. Its efforts are not listed: the host finds out.
    fn model(&self, suffix: &str) -> Model {
        Model {
            id: suffix.to_owned(),
            context_window: self.window(),
            max_output: 0,
            tools: self.tools(),
            images: false,
            efforts: Vec::new(),
            price: self.price(),
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

//! What providers say of their models: asked for when it is needed, kept on the disk for a while, and taken from there
//! where a service does not answer.

mod kept;

use crate::compose::Loaded;
use crate::paths::Paths;
use kept::Kept;
use ml_intern_agent::price::{Price, Prices};
use ml_intern_manifest::Digest;
use ml_intern_runtime::{CallContext, CallError, Observer, Plugin, provider, types};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

/// How long a list of models is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// What a service said is taken for what it says for this long.
const FRESH: Duration = Duration::from_secs(3600);
/// Models kept of a service. Routers list several hundred, each with several services behind it.
const MODELS: usize = 10_000;
/// Names suggested for a mistyped one, and how close they have to be (1 = the same).
const SUGGESTIONS: usize = 3;
const CLOSE: f64 = 0.4;

/// A model as its service, or the plugin for it, describes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Model {
    /// Without the provider's name.
    pub(crate) id: String,
    /// Tokens of input and output together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) context_window: Option<u64>,
    /// Tokens of output at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_output: Option<u64>,
    /// Whether it can call tools.
    pub(crate) tools: bool,
    /// Whether it sees images.
    pub(crate) images: bool,
    /// Words that it takes for the effort.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) efforts: Vec<String>,
    /// US dollars for a million tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) prices: Option<Prices>,
    /// Day of the figures, where they come from a table in the plugin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) as_of: Option<String>,
}

/// The models of one provider.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    pub(crate) models: Vec<Model>,
    /// When the service said so; none where it says so now.
    pub(crate) said: Option<SystemTime>,
    /// Why the service was not asked with success.
    pub(crate) problem: Option<Problem>,
}

/// Why a list of models is not there, or an old one.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) text: String,
    /// The user has not set the provider up.
    pub(crate) unset: bool,
}

/// One provider's models.
pub(crate) struct Catalogue {
    plugin: Plugin,
    kept: Option<Kept>,
    listing: OnceCell<Listing>,
}

impl Catalogue {
    pub(crate) fn new(paths: &Paths, loaded: &Loaded, plugin: Plugin) -> Self {
        Self {
            plugin,
            kept: kept_of(paths, loaded),
            listing: OnceCell::new(),
        }
    }

    /// The models; asked for once.
    pub(crate) async fn listing(&self, observer: Arc<dyn Observer>) -> &Listing {
        self.listing.get_or_init(|| self.find(observer)).await
    }

    async fn find(&self, observer: Arc<dyn Observer>) -> Listing {
        let kept = self.kept.as_ref().and_then(Kept::read);
        if let Some(fresh) = kept.as_ref().filter(|kept| is_fresh(kept)) {
            return fresh.clone();
        }
        match self.ask(observer).await {
            Ok((models, None)) => {
                if let Some(kept) = &self.kept {
                    kept.write(&models);
                }
                Listing {
                    models,
                    ..Listing::default()
                }
            }
            // What the service said once is better than what the plugin knows, and that is better than nothing.
            Ok((models, Some(problem))) => Listing {
                problem: Some(problem),
                ..kept.unwrap_or(Listing {
                    models,
                    ..Listing::default()
                })
            },
            Err(problem) => Listing {
                problem: Some(problem),
                ..kept.unwrap_or_default()
            },
        }
    }

    /// The models, and why they are not the service's own list.
    async fn ask(
        &self,
        observer: Arc<dyn Observer>,
    ) -> Result<(Vec<Model>, Option<Problem>), Problem> {
        let cancel = CancellationToken::new();
        let _end_with_the_call = cancel.clone().drop_guard();
        let context = CallContext {
            call: "models".to_owned(),
            ..CallContext::default()
        };
        let models = self.plugin.models(context, observer, &cancel);
        match tokio::time::timeout(PATIENCE, models).await {
            Ok(Ok(listing)) => {
                let models = listing.models.into_iter().take(MODELS).map(Model::from);
                let unlisted = |text| Problem { text, unset: false };
                Ok((models.collect(), listing.problem.map(unlisted)))
            }
            Ok(Err(error)) => Err(Problem {
                text: error.to_string(),
                unset: matches!(&error, CallError::Guest(error)
                    if matches!(error.error, types::Error::InvalidInput(_) | types::Error::AuthRequired(_))),
            }),
            Err(_) => Err(Problem {
                text: format!("no list of models came within {PATIENCE:?}"),
                unset: false,
            }),
        }
    }
}

impl Listing {
    /// The model of this name; with a suffix that the service knows and does not list, the one without.
    pub(crate) fn find(&self, id: &str) -> Option<&Model> {
        let exact = self.models.iter().find(|model| model.id == id);
        exact.or_else(|| {
            let (plain, _) = id.rsplit_once(':')?;
            let plain = self.models.iter().find(|model| model.id == plain)?;
            Some(plain)
        })
    }

    /// Prices of exactly this model: with another suffix it is another service, at another price.
    pub(crate) fn prices(&self, id: &str) -> Option<Prices> {
        let model = self.models.iter().find(|model| model.id == id)?;
        model.prices
    }

    /// Names like this one, the closest first.
    pub(crate) fn close(&self, name: &str) -> Vec<&str> {
        let name = name.to_ascii_lowercase();
        let near = |id: &str| {
            let id = id.to_ascii_lowercase();
            // Who leaves out the beginning of a long name means it nevertheless.
            let contained = id.contains(&name) || name.contains(&id);
            let bonus = if contained { 0.5 } else { 0.0 };
            strsim::normalized_damerau_levenshtein(&name, &id) + bonus
        };
        let mut close: Vec<_> = self
            .models
            .iter()
            .map(|model| (near(&model.id), model.id.as_str()))
            .filter(|(score, _)| *score >= CLOSE)
            .collect();
        close.sort_by(|(a, first), (b, second)| b.total_cmp(a).then(first.cmp(second)));
        close
            .into_iter()
            .map(|(_, id)| id)
            .take(SUGGESTIONS)
            .collect()
    }
}

fn is_fresh(listing: &Listing) -> bool {
    let age = listing.said.and_then(|said| said.elapsed().ok());
    age.is_some_and(|age| age < FRESH)
}

/// What a server on this machine or network says holds as long as it runs, which nobody knows: not kept.
fn kept_of(paths: &Paths, loaded: &Loaded) -> Option<Kept> {
    let effective = &loaded.effective;
    let rules = effective.http.rules();
    if rules.is_empty() || rules.iter().any(|rule| rule.private_ok) {
        return None;
    }
    // Another component or another configuration may say something else.
    let mut key = format!("{} {}", loaded.name, loaded.resolved.digest);
    for (name, value) in effective.config.iter() {
        key.push_str(&format!("\0{name}={value}"));
    }
    let digest = Digest::of(key.as_bytes()).hex();
    let digest = digest.get(..16).unwrap_or(&digest);
    let file = format!("{}-{digest}.json", loaded.name);
    Some(Kept::at(paths.models().join(file)))
}

impl From<provider::Model> for Model {
    fn from(model: provider::Model) -> Self {
        let known = |tokens: u32| (tokens > 0).then(|| u64::from(tokens));
        let long = model
            .long_price
            .map(|long| (u64::from(long.above), price(&long.price)));
        Self {
            context_window: known(model.context_window),
            max_output: known(model.max_output),
            tools: model.tools,
            images: model.images,
            efforts: model.efforts,
            prices: model.price.map(|ordinary| Prices {
                ordinary: price(&ordinary),
                long,
            }),
            as_of: model.as_of,
            id: model.id,
        }
    }
}

/// An amount that is none is nothing.
fn price(price: &provider::Price) -> Price {
    let rate = |rate: f64| if rate.is_finite() { rate.max(0.0) } else { 0.0 };
    Price {
        input: rate(price.input),
        output: rate(price.output),
        cache_read: rate(price.cache_read),
        cache_write: rate(price.cache_write),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(ids: &[&str]) -> Listing {
        let model = |id: &&str| Model {
            id: (*id).to_owned(),
            context_window: None,
            max_output: None,
            tools: true,
            images: false,
            efforts: Vec::new(),
            prices: Some(Prices {
                ordinary: Price::default(),
                long: None,
            }),
            as_of: None,
        };
        Listing {
            models: ids.iter().map(model).collect(),
            ..Listing::default()
        }
    }

    #[test]
    fn mistyped_names_are_recognised() {
        let listing = listing(&[
            "zai-org/GLM-5.1",
            "moonshotai/Kimi-K2.6",
            "moonshotai/Kimi-K2.6:novita",
            "gpt-6-luna",
        ]);
        assert_eq!(
            listing.close("moonshotai/kimi-k2.5")[0],
            "moonshotai/Kimi-K2.6"
        );
        assert_eq!(listing.close("GLM-5.1")[0], "zai-org/GLM-5.1");
        assert_eq!(listing.close("gpt6-luna"), ["gpt-6-luna"]);
        assert!(listing.close("something else entirely").is_empty());
        assert!(listing.close("").len() <= SUGGESTIONS);
    }

    #[test]
    fn a_suffix_is_another_price_and_the_same_model() {
        let listing = listing(&["a/b", "a/b:one"]);
        assert_eq!(
            listing.find("a/b:two").map(|model| model.id.as_str()),
            Some("a/b")
        );
        assert!(listing.prices("a/b:one").is_some() && listing.prices("a/b:two").is_none());
        assert!(listing.find("b").is_none());
    }
}

//! Which provider a model's name leads to.

use super::Config;
use crate::error::{Failure, Result};
use ml_intern_manifest::{Entry, Section};

/// The provider of names without one, as `org/model`: those of the Hub.
const HUB: &str = "huggingface";
/// Letters that a mistyped provider has wrong.
const TYPO: usize = 2;

impl Config {
    /// The provider's entry for a model, and the name by which that provider knows it.
    ///
    /// `openai/gpt-5.5` leads to the entry `openai`, `ollama/qwen3` to the entry that serves `ollama`, which gets the whole
    /// name; and `org/model` to the Hub's models, unless a provider has that name.
    pub(crate) fn model(&self, model: &str) -> Result<(&str, String)> {
        let Some((first, rest)) = model.split_once('/').filter(|(first, _)| !first.is_empty())
        else {
            return Err(self.nameless(model));
        };
        if let Some(entry) = self.entry(Section::Providers, first) {
            return match rest.is_empty() {
                false => Ok((&entry.name, rest.to_owned())),
                true => Err(self.nameless(model)),
            };
        }
        let serves = |entry: &&Entry| {
            let names = entry.serves.iter().flatten();
            names.into_iter().any(|name| name == first)
        };
        if let Some(entry) = self.manifest.providers.iter().find(serves) {
            return Ok((&entry.name, model.to_owned()));
        }
        let plain = !rest.is_empty() && !model.contains(char::is_whitespace);
        match (self.entry(Section::Providers, HUB), self.meant(first)) {
            (Some(entry), None) if plain => Ok((&entry.name, model.to_owned())),
            (Some(_), Some(meant)) if plain => Err(self
                .unknown_provider(first)
                .hint(format!("did you mean {meant}/{rest}?"))
                .hint(format!(
                    "a model of the Hub is written {HUB}/{model} as well"
                ))),
            _ => Err(self.unknown_provider(first)),
        }
    }

    /// The provider whose name this almost is.
    fn meant(&self, name: &str) -> Option<&str> {
        let names = self.provider_names().into_iter();
        let near = |known: &str| strsim::damerau_levenshtein(known, name) <= TYPO;
        names
            .filter(|known| known.len() > 2 * TYPO)
            .find(|known| near(known))
    }

    /// Names that a model's name may begin with.
    pub(crate) fn provider_names(&self) -> Vec<&str> {
        let names = self
            .manifest
            .providers
            .iter()
            .flat_map(|entry| match &entry.serves {
                Some(serves) => serves.iter().map(String::as_str).collect::<Vec<_>>(),
                None => vec![entry.name.as_str()],
            });
        names.collect()
    }

    fn nameless(&self, model: &str) -> Failure {
        Failure::usage(format!(
            "`{}` names no provider; write PROVIDER/MODEL, for example openai/gpt-5.5",
            ml_intern_manifest::shorten(model)
        ))
        .hint(format!(
            "the providers are: {}",
            self.provider_names().join(", ")
        ))
        .hint("`ml-intern models list` shows what each of them has")
    }

    pub(crate) fn unknown_provider(&self, provider: &str) -> Failure {
        let provider = ml_intern_manifest::shorten(provider);
        Failure::usage(format!(
            "there is no provider `{provider}`; the providers are: {}",
            self.provider_names().join(", ")
        ))
        .hint(format!(
            "add a provider plugin as [providers.{provider}] in ml-intern.toml"
        ))
    }
}

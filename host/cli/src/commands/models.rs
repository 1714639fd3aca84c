//! `models`: what the providers have, and what it costs.

use crate::args::ModelsCommand;
use crate::catalogue::{Catalogue, Listing, Model};
use crate::compose::{Loaded, Plugins, fetch, lock};
use crate::config::Config;
use crate::credentials::Credentials;
use crate::error::{Failure, Kind, Result};
use crate::ui::{self, Style, Table};
use futures_util::future::join_all;
use ml_intern_agent::price::{Price, Prices};
use ml_intern_manifest::Section;
use ml_intern_runtime::{AuditRecord, LogLine, Observer, Services, Stream, log, types};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;

pub(crate) async fn models(directory: Option<&Path>, command: ModelsCommand) -> Result<u8> {
    match command {
        ModelsCommand::List {
            search,
            provider,
            json,
            manifest,
        } => {
            let config = Config::load(directory, manifest.manifest.as_deref())?;
            list(&config, search.as_deref(), provider.as_deref(), json).await
        }
        ModelsCommand::Info {
            model,
            json,
            manifest,
        } => {
            let config = Config::load(directory, manifest.manifest.as_deref())?;
            info(&config, &model, json).await
        }
    }
}

/// A provider and its models.
struct Known {
    /// What a model's full name begins with: nothing where the models' own names do so already.
    prefix: String,
    name: String,
    listing: Listing,
}

impl Known {
    fn full_name(&self, model: &Model) -> String {
        format!("{}{}", self.prefix, model.id)
    }
}

async fn list(
    config: &Config,
    search: Option<&str>,
    provider: Option<&str>,
    json: bool,
) -> Result<u8> {
    let names = match provider {
        Some(name) => vec![entry_of(config, name)?],
        None => {
            let names = config.manifest.providers.iter();
            names.map(|entry| entry.name.clone()).collect()
        }
    };
    let known = ask(config, &names).await?;
    let wanted = |known: &Known, model: &Model| {
        let name = known.full_name(model).to_ascii_lowercase();
        let served = provider.is_none_or(|provider| {
            known.name == provider || name.starts_with(&format!("{provider}/"))
        });
        served && search.is_none_or(|search| name.contains(&search.to_ascii_lowercase()))
    };
    if json {
        let models = known.iter().flat_map(|one| {
            let models = one.listing.models.iter().filter(|model| wanted(one, model));
            models.map(|model| as_json(one, model)).collect::<Vec<_>>()
        });
        ui::out(&json!(models.collect::<Vec<_>>()).to_string());
    } else {
        let mut table = Table::new(&[
            "MODEL",
            "CONTEXT",
            "OUTPUT",
            "$/M IN",
            "$/M OUT",
            "$/M CACHED",
            "FEATURES",
        ]);
        for one in &known {
            for model in one.listing.models.iter().filter(|model| wanted(one, model)) {
                table.row(row(one, model));
            }
        }
        match table.is_empty() {
            true => ui::err("no model is known"),
            false => ui::out(&table.render(Style::stdout())),
        }
    }
    tell_problems(&known, provider.is_some())
}

/// What could not be asked. Where one provider was named, that is a failure.
fn tell_problems(known: &[Known], one: bool) -> Result<u8> {
    for Known { name, listing, .. } in known {
        let Some(problem) = &listing.problem else {
            continue;
        };
        // Nobody sets up every provider.
        if problem.unset && !one {
            continue;
        }
        let problem = ui::one_line(&problem.text, 400);
        match listing.said {
            Some(said) => {
                let day = humantime::format_rfc3339_seconds(said).to_string();
                ui::warn(&format!(
                    "{name}: {problem}; what it said at {day} is shown"
                ));
            }
            None if !listing.models.is_empty() => {
                ui::warn(&format!(
                    "{name}: {problem}; what the plugin knows of is shown"
                ));
            }
            None if one => {
                let error = anyhow::anyhow!("{name}: {problem}");
                return Err(Failure::new(Kind::Failed, error));
            }
            None => ui::warn(&format!("{name}: {problem}")),
        }
    }
    Ok(0)
}

async fn info(config: &Config, model: &str, json: bool) -> Result<u8> {
    let (provider, id) = config.model(model)?;
    let known = ask(config, &[provider.to_owned()]).await?;
    let Some(one) = known.first() else {
        return Err(config.unknown_provider(provider));
    };
    let Some(found) = one.listing.find(&id) else {
        if let Some(problem) = &one.listing.problem
            && one.listing.models.is_empty()
        {
            let error = anyhow::anyhow!("{provider}: {}", ui::one_line(&problem.text, 400));
            return Err(Failure::new(Kind::Failed, error));
        }
        let text = format!("{provider} lists no model `{}`", ui::one_line(&id, 200));
        let close = one.listing.close(&id).into_iter();
        let close = close
            .map(|id| format!("`{}{id}`", one.prefix))
            .collect::<Vec<_>>();
        return Err(match close.is_empty() {
            true => Failure::usage(text).hint(format!(
                "`ml-intern models list --provider {provider}` shows what it has"
            )),
            false => Failure::usage(text).hint(format!("did you mean {}?", close.join(", "))),
        });
    };
    if json {
        ui::out(&as_json(one, found).to_string());
    } else {
        details(one, found);
    }
    tell_problems(&known, false)
}

fn details(one: &Known, model: &Model) {
    let tokens = |tokens: Option<u64>| {
        tokens.map_or("unknown".to_owned(), |tokens| format!("{tokens} tokens"))
    };
    let mut table = Table::new(&["MODEL", &one.full_name(model)]).last(120);
    let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
    row("provider", one.name.clone());
    row("context window", tokens(model.context_window));
    row("output at most", tokens(model.max_output));
    row("features", features(model));
    let efforts = match model.efforts.is_empty() {
        true => "none known; --effort is tried and lowered where it is refused".to_owned(),
        false => model.efforts.join(", "),
    };
    row("efforts", efforts);
    match &model.prices {
        None => row("price", "unknown".to_owned()),
        Some(prices) if prices.is_free() => row("price", "free of charge".to_owned()),
        Some(prices) => {
            row("price", per_million(&prices.ordinary));
            if let Some((above, price)) = &prices.long {
                row(&format!("above {above} tokens"), per_million(price));
            }
        }
    }
    let source = match (&model.as_of, one.listing.said) {
        (Some(day), _) => {
            format!("a table of {day} in the plugin, where the service does not say it")
        }
        (None, Some(said)) => format!(
            "the service, at {}",
            humantime::format_rfc3339_seconds(said)
        ),
        (None, None) => "the service, now".to_owned(),
    };
    row("said by", source);
    ui::out(&table.render(Style::stdout()));
}

fn per_million(price: &Price) -> String {
    format!(
        "${} in, ${} out, ${} read from a cache, ${} written to one, for a million tokens",
        amount(price.input),
        amount(price.output),
        amount(price.cache_read),
        amount(price.cache_write)
    )
}

fn row(one: &Known, model: &Model) -> [String; 7] {
    let tokens = |tokens: Option<u64>| tokens.map_or("?".to_owned(), short);
    let rate = |rate: fn(&Price) -> f64| match &model.prices {
        None => "?".to_owned(),
        Some(prices) if prices.is_free() => "free".to_owned(),
        Some(prices) => amount(rate(&prices.ordinary)),
    };
    [
        one.full_name(model),
        tokens(model.context_window),
        tokens(model.max_output),
        rate(|price| price.input),
        rate(|price| price.output),
        rate(|price| price.cache_read),
        features(model),
    ]
}

fn features(model: &Model) -> String {
    let features = [
        (model.tools, "tools"),
        (model.images, "images"),
        (!model.efforts.is_empty(), "effort"),
    ];
    let features = features
        .into_iter()
        .filter(|(has, _)| *has)
        .map(|(_, name)| name);
    features.collect::<Vec<_>>().join(", ")
}

/// Three digits that matter, and no zeros at the end.
fn amount(usd: f64) -> String {
    let digits = match usd {
        usd if usd >= 100.0 => 0,
        usd if usd >= 1.0 => 2,
        _ => 4,
    };
    let text = format!("{usd:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// `200k`, `1.05M`.
fn short(tokens: u64) -> String {
    match tokens {
        0..10_000 => tokens.to_string(),
        10_000..1_000_000 => format!("{}k", tokens / 1000),
        _ => format!("{}M", amount((tokens / 10_000) as f64 / 100.0)),
    }
}

fn as_json(one: &Known, model: &Model) -> serde_json::Value {
    let prices = model.prices.as_ref();
    let long = prices.and_then(|prices: &Prices| prices.long);
    json!({
        "model": one.full_name(model),
        "provider": one.name,
        "id": model.id,
        "context_window": model.context_window,
        "max_output": model.max_output,
        "tools": model.tools,
        "images": model.images,
        "efforts": model.efforts,
        "usd_per_million_tokens": prices.map(|prices| prices.ordinary),
        "long": long.map(|(above, price)| json!({"above_input_tokens": above, "usd_per_million_tokens": price})),
        "figures_as_of": model.as_of,
        "said_at": one.listing.said.map(|said| humantime::format_rfc3339_seconds(said).to_string()),
    })
}

/// The provider's entry for a name that a model's name may begin with.
fn entry_of(config: &Config, name: &str) -> Result<String> {
    let providers = config.manifest.providers.iter();
    let mut found = providers.filter(|entry| {
        entry.name == name || entry.serves.iter().flatten().any(|serves| serves == name)
    });
    match found.next() {
        Some(entry) => Ok(entry.name.clone()),
        None => Err(config.unknown_provider(name)),
    }
}

/// Asks providers at the same time.
async fn ask(config: &Config, names: &[String]) -> Result<Vec<Known>> {
    let mut plugins = Plugins::new(config)?;
    fetch::missing(config, &plugins.lockfile).await?;
    let mut loaded = Vec::new();
    for name in names {
        if let Some(entry) = config.entry(Section::Providers, name) {
            loaded.push(plugins.load(Section::Providers, entry)?);
        }
    }
    lock::check(config, &plugins.lockfile, &mut loaded)?;
    plugins.credentials = Credentials::find(&config.paths, &loaded).await?;
    ui::keep_secret(plugins.credentials.rules());
    let asked = loaded.iter().map(|one| async {
        let plugin = plugins.plugin(one, None, Services::default());
        let catalogue = Catalogue::new(&config.paths, one, plugin);
        let observer = Arc::new(Aloud(one.name.clone()));
        Known {
            prefix: prefix(config, one),
            name: one.name.clone(),
            listing: catalogue.listing(observer).await.clone(),
        }
    });
    Ok(join_all(asked).await)
}

fn prefix(config: &Config, one: &Loaded) -> String {
    let entry = config.entry(Section::Providers, &one.name);
    match entry.and_then(|entry| entry.serves.as_ref()) {
        Some(_) => String::new(),
        None => format!("{}/", one.name),
    }
}

/// Says on standard error what a plugin warns of.
struct Aloud(String);

impl Observer for Aloud {
    fn log(&self, line: LogLine<'_>) {
        if matches!(line.level, log::Level::Warn | log::Level::Error) {
            ui::warn(&format!("{}: {}", self.0, ui::one_line(line.message, 400)));
        }
    }

    fn progress(&self, _message: &str, _fraction: Option<f32>) -> types::Control {
        types::Control::Proceed
    }

    fn output(&self, _stream: Stream, _line: &str) {}

    fn audit(&self, _record: &AuditRecord) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_and_tokens_are_short() {
        let amounts = [0.0, 0.005, 0.1, 0.125, 3.75, 15.0, 180.0].map(amount);
        assert_eq!(amounts, ["0", "0.005", "0.1", "0.125", "3.75", "15", "180"]);
        let tokens = [4096, 128_000, 1_050_000, 1_000_000, 10_000_000].map(short);
        assert_eq!(tokens, ["4096", "128k", "1.05M", "1M", "10M"]);
    }
}

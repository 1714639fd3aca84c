//! `status`: which credentials there are, where from, for whom, and what is missing. Never a value.

use crate::args::ManifestArg;
use crate::compose::Plugins;
use crate::config::{Config, variable};
use crate::credentials::{AWS_LINE, Found, Sources};
use crate::error::Result;
use crate::ui::{self, Style, Table};
use ml_intern_manifest::CredentialRule;
use ml_intern_runtime::Secret;
use serde_json::{Value, json};
use std::path::Path;

/// Values shorter than this are not looked for in what leaves and in what is written down.
const SEARCHABLE: usize = 8;
/// Characters of the last column; several plugins may use one credential.
const USERS: usize = 120;

/// A credential and who may have it added to requests.
struct Row {
    rule: CredentialRule,
    uses: Vec<Use>,
    found: Result<Option<Found>>,
}

struct Use {
    /// `plugins.NAME`.
    plugin: String,
    places: Vec<String>,
    /// By what it signs; none where it is added to a header.
    signs: Option<String>,
}

pub(crate) async fn status(
    directory: Option<&Path>,
    manifest: ManifestArg,
    json: bool,
) -> Result<u8> {
    let config = Config::load(directory, manifest.manifest.as_deref())?;
    let sources = Sources::open(&config.paths)?;
    let mut rows = Vec::new();
    for (rule, uses) in granted(&config)? {
        let found = sources.find(&rule).await;
        rows.push(Row { rule, uses, found });
    }
    let unused = sources
        .map
        .iter()
        .filter(|(name, _)| rows.iter().all(|row| row.rule.name != *name));
    let unused = unused
        .map(|(name, origin)| (name.to_owned(), origin.to_string()))
        .collect::<Vec<_>>();
    if json {
        let unused = unused
            .iter()
            .map(|(name, kept)| json!({ "credential": name, "from": kept, "uses": [] }));
        let list = rows.iter().map(|row| row.json(&sources)).chain(unused);
        ui::out(&json!(list.collect::<Vec<_>>()).to_string());
        return Ok(0);
    }
    let mut table = Table::new(&["CREDENTIAL", "FROM", "THERE", "USED BY"]).last(USERS);
    for row in &rows {
        let users = row
            .uses
            .iter()
            .map(Use::words)
            .collect::<Vec<_>>()
            .join("; ");
        table.row([
            row.rule.name.clone(),
            row.from(&sources),
            row.word().to_owned(),
            users,
        ]);
    }
    for (name, kept) in unused {
        table.row([
            name,
            kept,
            String::new(),
            "no plugin of this folder's manifest".to_owned(),
        ]);
    }
    if table.is_empty() {
        ui::err("no plugin of this folder's manifest uses a credential");
    } else {
        ui::out(&table.render(Style::stdout()));
    }
    for line in rows.iter().flat_map(|row| row.advice()) {
        ui::out(&line);
    }
    Ok(0)
}

/// Every credential that a plugin of the manifest was granted, with all that use it.
fn granted(config: &Config) -> Result<Vec<(CredentialRule, Vec<Use>)>> {
    let plugins = Plugins::new(config)?;
    let mut all: Vec<(CredentialRule, Vec<Use>)> = Vec::new();
    for (section, entry) in config.manifest.entries() {
        let loaded = match plugins.load(section, entry) {
            Ok(loaded) => loaded,
            Err(failure) => {
                ui::warn(&format!(
                    "[{}] is left out: {:#}",
                    section.path(&entry.name),
                    failure.error
                ));
                continue;
            }
        };
        for rule in loaded.effective.credentials.rules() {
            let used = Use {
                plugin: loaded.path(),
                places: rule.places(),
                signs: rule.signs(),
            };
            let same = |(other, _): &&mut (CredentialRule, Vec<Use>)| other.is_same_secret(rule);
            match all.iter_mut().find(same) {
                Some((_, uses)) => uses.push(used),
                None => all.push((rule.clone(), vec![used])),
            }
        }
    }
    all.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    Ok(all)
}

impl Use {
    fn words(&self) -> String {
        let mut words = self.plugin.clone();
        if let Some(how) = &self.signs {
            words.push_str(&format!(", which signs with it ({how})"));
        }
        if self.places.is_empty() {
            words.push_str(", once its base URL is set");
        } else {
            words.push_str(&format!(" for {}", self.places.join(", ")));
        }
        words
    }
}

impl Row {
    /// Where it was found, or would be.
    fn from(&self, sources: &Sources) -> String {
        match (&self.found, sources.map.get(&self.rule.name)) {
            (Ok(Some(found)), _) => found.place.clone(),
            (_, Some(origin)) => origin.to_string(),
            (_, None) => "–".to_owned(),
        }
    }

    /// Nothing of the value, not even how long it is, unless it is too short to be searched for.
    fn word(&self) -> &'static str {
        match &self.found {
            Ok(Some(found)) if found.value.secrets().any(is_short) => "yes, very short",
            Ok(Some(_)) => "yes",
            Ok(None) => "missing",
            Err(_) => "refused",
        }
    }

    /// What would mend it.
    fn advice(&self) -> Vec<String> {
        let name = &self.rule.name;
        match &self.found {
            Ok(Some(_)) => Vec::new(),
            Ok(None) => vec![format!("{name} is missing: {}", self.remedy())],
            Err(failure) => {
                let mut lines = vec![format!("{:#}", failure.error)];
                lines.extend(failure.hints.iter().map(|hint| format!("  {hint}")));
                lines
            }
        }
    }

    fn remedy(&self) -> String {
        let mut words = format!("ml-intern login {}", self.rule.name);
        if self.rule.signs().is_some() {
            words.push_str(&format!(" (as {AWS_LINE})"));
        }
        let variables = match self.rule.signs() {
            None => self.rule.env.first().cloned().unwrap_or_default(),
            Some(_) => self.rule.variables(),
        };
        if !variables.is_empty() {
            words.push_str(&format!(", or set {variables}"));
        }
        words
    }

    fn json(&self, sources: &Sources) -> Value {
        let uses = self
            .uses
            .iter()
            .map(|one| json!({ "plugin": one.plugin, "places": one.places, "signs": one.signs }));
        let (problem, hints) = match &self.found {
            Err(failure) => (Some(format!("{:#}", failure.error)), failure.hints.clone()),
            Ok(None) => (None, vec![self.remedy()]),
            Ok(Some(_)) => (None, Vec::new()),
        };
        json!({
            "credential": self.rule.name,
            "from": self.from(sources),
            "there": matches!(self.found, Ok(Some(_))),
            "variables": self.rule.env,
            "problem": problem,
            "hints": hints,
            "uses": uses.collect::<Vec<_>>(),
        })
    }
}

fn is_short(text: &Secret) -> bool {
    text.expose().len() < SEARCHABLE
}

/// Every credential that a plugin of the manifest was granted. None where it cannot be read: that is no reason not to
/// log in.
pub(crate) fn rules(directory: Option<&Path>) -> Option<Vec<CredentialRule>> {
    let all = Config::load(directory, None).and_then(|config| granted(&config));
    Some(all.ok()?.into_iter().map(|(rule, _)| rule).collect())
}

/// After a login: says that nobody asks for the credential, or that a variable comes before what was kept.
pub(crate) fn warn_of_others(all: &[CredentialRule], name: &str) {
    let mut rules = all.iter().filter(|rule| rule.name == name).peekable();
    if rules.peek().is_none() {
        let names = all
            .iter()
            .map(|rule| rule.name.as_str())
            .collect::<Vec<_>>()
            .join(", ");
        ui::warn(&format!(
            "no plugin of this folder's manifest uses a credential `{name}`; those that are used: {names}"
        ));
    }
    let set = rules
        .flat_map(|rule| &rule.env)
        .find(|variable_name| variable(variable_name).is_some());
    if let Some(set) = set {
        ui::warn(&format!(
            "the variable {set} is set, and comes first while it is"
        ));
    }
}

/// The credentials of one plugin that are missing, with what would set them.
pub(crate) async fn missing(sources: &Sources, rules: &[CredentialRule]) -> Vec<String> {
    let mut missing = Vec::new();
    for rule in rules {
        match sources.find(rule).await {
            Ok(Some(_)) => {}
            Ok(None) if rule.env.is_empty() => {
                missing.push(format!("`ml-intern login {}`", rule.name))
            }
            Ok(None) => missing.push(format!(
                "{} (or `ml-intern login {}`)",
                rule.variables(),
                rule.name
            )),
            Err(failure) => missing.push(format!("{:#}", failure.error)),
        }
    }
    missing
}

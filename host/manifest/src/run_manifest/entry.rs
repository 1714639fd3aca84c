//! One plugin of the run manifest, and the tables that hold them.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, de};

use crate::error::Error;
use crate::grant::{Grant, Request};
use crate::limits::RequestedLimits;
use crate::plugin_ref::{is_name, shorten};
use crate::source::Source;

/// One plugin of the run manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key of its table; what the user calls it.
    pub name: String,
    /// Where it comes from; none = the layer below says, or else `builtin:NAME`.
    pub given_source: Option<Source>,
    /// What it may do; none = nothing, or everything it asks for when builtin.
    pub grant: Option<Grant>,
    /// Values set by the user, as strings.
    pub config: BTreeMap<String, String>,
    /// Limits that the user sets, over those of the author.
    pub limits: RequestedLimits,
    /// What the names of its tools begin with in this project, so that two plugins may offer tools
    /// of one name.
    pub prefix: Option<String>,
    /// Of notifiers: what they are told; none = [`Event::DEFAULT`].
    pub events: Option<Vec<Event>>,
    /// Of providers: further names that select it. It is given the model's whole name then.
    pub serves: Option<Vec<String>>,
}

impl Entry {
    /// Where the plugin comes from.
    pub fn source(&self) -> Source {
        self.given_source
            .clone()
            .unwrap_or_else(|| Source::Builtin(self.name.clone()))
    }

    /// What the user allows it: the grant as written; without one, everything it asks for when it
    /// is builtin, and nothing when it is not.
    pub fn grant_for(&self, request: &Request) -> Grant {
        match &self.grant {
            Some(grant) => grant.clone(),
            None if self.source().is_builtin() => Grant::all_of(request),
            None => Grant::default(),
        }
    }

    /// What a notifier is told.
    pub fn events(&self) -> &[Event] {
        self.events.as_deref().unwrap_or(&Event::DEFAULT)
    }

    fn merge_over(mut self, base: &Entry) -> Self {
        // A grant belongs to a component, not to a name: from another source nothing is inherited.
        if self.given_source.is_some() && self.source() != base.source() {
            return self;
        }
        let mut config = base.config.clone();
        config.append(&mut self.config);
        Self {
            given_source: self.given_source.or_else(|| base.given_source.clone()),
            grant: self.grant.or_else(|| base.grant.clone()),
            config,
            limits: self.limits.or(&base.limits),
            prefix: self.prefix.or_else(|| base.prefix.clone()),
            events: self.events.or_else(|| base.events.clone()),
            serves: self.serves.or_else(|| base.serves.clone()),
            name: self.name,
        }
    }
}

/// What a notifier can be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A turn ended with an answer.
    TurnComplete,
    /// Someone must say yes or no.
    ApprovalRequired,
    /// A turn ended without an answer.
    Error,
    /// A job succeeded, failed or was cancelled.
    JobFinished,
    /// The budget is nearly or wholly spent.
    Budget,
}

impl Event {
    /// What a notifier is told when its entry does not say.
    pub const DEFAULT: [Self; 4] = [
        Self::ApprovalRequired,
        Self::Error,
        Self::JobFinished,
        Self::TurnComplete,
    ];

    /// The word in a manifest and in a notice.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TurnComplete => "turn_complete",
            Self::ApprovalRequired => "approval_required",
            Self::Error => "error",
            Self::JobFinished => "job_finished",
            Self::Budget => "budget",
        }
    }
}

pub(super) fn merge_entries(over: Vec<Entry>, base: &[Entry]) -> Vec<Entry> {
    let mut over = over;
    let mut merged: Vec<Entry> = Vec::with_capacity(base.len() + over.len());
    for weaker in base {
        match over.iter().position(|entry| entry.name == weaker.name) {
            Some(index) => merged.push(over.remove(index).merge_over(weaker)),
            None => merged.push(weaker.clone()),
        }
    }
    merged.append(&mut over);
    merged
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntry {
    source: Option<Source>,
    grant: Option<Grant>,
    #[serde(default)]
    config: BTreeMap<String, Value>,
    #[serde(default)]
    limits: RequestedLimits,
    #[serde(default, deserialize_with = "prefix")]
    prefix: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProvider {
    source: Option<Source>,
    grant: Option<Grant>,
    #[serde(default)]
    config: BTreeMap<String, Value>,
    #[serde(default)]
    limits: RequestedLimits,
    #[serde(default, deserialize_with = "crate::grant::set")]
    serves: Option<Vec<EntryName>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNotifier {
    source: Option<Source>,
    grant: Option<Grant>,
    #[serde(default)]
    config: BTreeMap<String, Value>,
    #[serde(default)]
    limits: RequestedLimits,
    #[serde(default, deserialize_with = "crate::grant::set")]
    events: Option<Vec<Event>>,
}

/// More entries than a session can use: tools are listed to the model one by one.
const MAX_ENTRIES: usize = 256;

pub(super) fn entries<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Entry>, D::Error> {
    let table: Vec<(String, RawEntry)> =
        deserializer.deserialize_map(Ordered(std::marker::PhantomData))?;
    let entry = |(name, raw): (String, RawEntry)| Entry {
        name,
        given_source: raw.source,
        grant: raw.grant,
        config: texts(raw.config),
        limits: raw.limits,
        prefix: raw.prefix,
        events: None,
        serves: None,
    };
    Ok(table.into_iter().map(entry).collect())
}

pub(super) fn providers<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Entry>, D::Error> {
    let table: Vec<(String, RawProvider)> =
        deserializer.deserialize_map(Ordered(std::marker::PhantomData))?;
    let names = |names: Vec<EntryName>| names.into_iter().map(|EntryName(name)| name).collect();
    let entry = |(name, raw): (String, RawProvider)| Entry {
        name,
        given_source: raw.source,
        grant: raw.grant,
        config: texts(raw.config),
        limits: raw.limits,
        prefix: None,
        events: None,
        serves: raw.serves.map(names),
    };
    Ok(table.into_iter().map(entry).collect())
}

pub(super) fn notifiers<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Entry>, D::Error> {
    let table: Vec<(String, RawNotifier)> =
        deserializer.deserialize_map(Ordered(std::marker::PhantomData))?;
    let entry = |(name, raw): (String, RawNotifier)| Entry {
        name,
        given_source: raw.source,
        grant: raw.grant,
        config: texts(raw.config),
        limits: raw.limits,
        prefix: None,
        events: raw.events,
        serves: None,
    };
    Ok(table.into_iter().map(entry).collect())
}

fn prefix<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let fits = (1..=32).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if fits {
        return Ok(Some(text));
    }
    Err(de::Error::custom(format!(
        "`{}` cannot begin the name of a tool; write lower-case letters, digits and underscores, at most 32, such as `acme_`",
        shorten(&text)
    )))
}

fn texts(config: BTreeMap<String, Value>) -> BTreeMap<String, String> {
    config
        .into_iter()
        .map(|(key, Value(value))| (key, value))
        .collect()
}

/// Reads a table as a list of its entries in the order written.
struct Ordered<V>(std::marker::PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for Ordered<V> {
    type Value = Vec<(String, V)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table for each plugin")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(EntryName(name)) = map.next_key()? {
            if entries.len() == MAX_ENTRIES {
                return Err(de::Error::custom(format!(
                    "more than {MAX_ENTRIES} plugins; remove some"
                )));
            }
            entries.push((name, map.next_value()?));
        }
        Ok(entries)
    }
}

/// The name of an entry, safe as a bare TOML key.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EntryName(pub(crate) String);

impl EntryName {
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        // The names of providers are those that users know, as `lm_studio`: hence underscores.
        if is_name(&text.replace('_', "-")) {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::value(format!(
            "`{}` cannot name a plugin; write lower-case letters, digits, dashes and underscores, at most 64",
            shorten(text)
        )))
    }
}

impl<'de> Deserialize<'de> for EntryName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// A configuration value: what TOML can say in one word, as text. At most 64 KiB.
struct Value(String);

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = String;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, a number or a boolean")
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<String, E> {
                Ok(value.to_owned())
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<String, E> {
                Ok(value.to_string())
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<String, E> {
                Ok(value.to_string())
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<String, E> {
                Ok(value.to_string())
            }
            fn visit_bool<E: de::Error>(self, value: bool) -> Result<String, E> {
                Ok(value.to_string())
            }
        }
        let text = deserializer.deserialize_any(Text)?;
        if text.len() > 64 * 1024 {
            return Err(de::Error::custom(
                "the value has more than 64 KiB; shorten it",
            ));
        }
        Ok(Self(text))
    }
}

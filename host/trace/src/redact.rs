//! Takes secrets out of text: out of everything that a session writes down, shows, or tells a model.
//!
//! Three kinds are found: values that the host knows, in every spelling ([`KnownSecret`]); keys with a maker's mark or
//! a shape of their own; and what stands beside a name that says so. Clean text costs two passes over it.
//!
//! A placeholder says what was there: `[REDACTED_HF_TOKEN]`, or `[REDACTED:openai]` for the credential `openai`.

mod escaped;
mod fragments;
mod known;
mod marked;
mod named;
mod shaped;
#[cfg(test)]
mod tests;
mod value;

pub use known::KnownSecret;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use fragments::Pieces;
use known::Known;
use ml_intern_agent::redaction::{Fragments, Redactor, Rules};
use named::Name;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// What every placeholder begins with.
const PLACEHOLDER: &str = "[REDACTED";
/// Stands for what a name gave away.
const NAMED: &str = "[REDACTED]";

/// The rules, with the secrets that the host knows.
#[derive(Clone)]
pub struct SecretRules {
    known: Arc<Known>,
    /// Who is in the middle of a private key.
    in_key: Arc<Mutex<BTreeSet<String>>>,
}

impl SecretRules {
    /// All rules; `known` are replaced wherever they stand.
    pub fn new(known: impl IntoIterator<Item = KnownSecret>) -> Self {
        Self {
            known: Arc::new(Known::new(known)),
            in_key: Arc::default(),
        }
    }

    /// The text without what is secret; borrowed where nothing is.
    pub fn clean<'a>(&self, text: &'a str, rules: Rules) -> Cow<'a, str> {
        let clean = self.known.replace(text);
        if rules == Rules::Known {
            return clean;
        }
        let hints = Hints::of(&clean);
        if hints.is_empty() {
            return clean;
        }
        let opaque_only = rules == Rules::Marked;
        let mut clean = then(clean, |text| {
            marked::replace(text, hints.kinds, opaque_only)
        });
        if !opaque_only {
            if hints.key {
                clean = then(clean, shaped::without_keys);
            }
            if hints.address {
                clean = then(clean, shaped::without_passwords);
            }
            if hints.named {
                // Places have moved by now.
                clean = then(clean, |text| {
                    named::without_values(text, &Hints::ends(text))
                });
            }
        }
        if clean == text {
            Cow::Borrowed(text)
        } else {
            clean
        }
    }

    /// Applies the rules to a value that stands beside `name`.
    fn named_value(&self, name: Option<&str>, value: &mut Value, rules: Rules) -> bool {
        let named = name.filter(|_| rules == Rules::All).and_then(Name::of);
        if let (Some(name), Value::String(text)) = (named, &mut *value)
            && value::is_quoted_secret(name, text)
        {
            *text = NAMED.to_owned();
            return true;
        }
        self.value(value, rules)
    }

    fn object(&self, fields: &mut Map<String, Value>, rules: Rules) -> bool {
        let mut changed = false;
        // `{"name": "HF_TOKEN", "value": "…"}`, as Kubernetes has it.
        let named = ["name", "key"].iter().find_map(|key| fields.get(*key));
        let named = named.and_then(Value::as_str).map(str::to_owned);
        if let (Some(name), Some(value)) = (named, fields.get_mut("value")) {
            changed |= self.named_value(Some(&name), value, rules);
        }
        for (key, value) in fields.iter_mut() {
            changed |= self.named_value(Some(key), value, rules);
        }
        if fields
            .keys()
            .any(|key| self.clean_key(key, rules).is_some())
        {
            let old = std::mem::take(fields);
            for (key, value) in old {
                let key = self.clean_key(&key, rules).unwrap_or(key);
                fields.insert(unused(fields, key), value);
            }
            changed = true;
        }
        changed
    }

    /// A field's name without a secret in it; `None` where there is none.
    fn clean_key(&self, key: &str, rules: Rules) -> Option<String> {
        match self.clean(key, rules.min(Rules::Marked)) {
            Cow::Owned(clean) => Some(clean),
            Cow::Borrowed(_) => None,
        }
    }
}

/// A name that no field has yet: two secrets must not become one.
fn unused(fields: &Map<String, Value>, key: String) -> String {
    let names = std::iter::once(key.clone()).chain((2..).map(|number| format!("{key}#{number}")));
    let mut free = names.filter(|name| !fields.contains_key(name));
    free.next().unwrap_or(key)
}

/// Whether a variable of an environment holds a secret: by its name, and by a value that is not just a word.
pub fn is_secret_variable(name: &str, value: &str) -> bool {
    Name::of(name).is_some() && value::looks_random(value)
}

impl Redactor for SecretRules {
    fn text(&self, text: &mut String, rules: Rules) -> bool {
        match self.clean(text, rules) {
            Cow::Owned(clean) => {
                *text = clean;
                true
            }
            Cow::Borrowed(_) => false,
        }
    }

    fn value(&self, value: &mut Value, rules: Rules) -> bool {
        match value {
            Value::String(text) => self.text(text, rules),
            Value::Array(items) => {
                // `["HF_TOKEN", "…"]`: a variable of a program's or a job's environment.
                if let [Value::String(name), value @ Value::String(_)] = &mut items[..]
                    && Name::of(name).is_some_and(Name::is_shouted)
                {
                    return self.named_value(Some(name), value, rules);
                }
                let clean = |changed: bool, item: &mut Value| changed | self.value(item, rules);
                items.iter_mut().fold(false, clean)
            }
            Value::Object(fields) => self.object(fields, rules),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }

    fn line(&self, source: &str, text: &mut String) -> bool {
        let mut in_key = self.in_key.lock().unwrap_or_else(PoisonError::into_inner);
        if in_key.contains(source) {
            let (continues, ends) = shaped::continues_key(text);
            if !continues || ends {
                in_key.remove(source);
            }
            if continues {
                *text = shaped::KEY.to_owned();
                return true;
            }
        } else if shaped::begins_key(text) {
            in_key.insert(source.to_owned());
            *text = shaped::KEY.to_owned();
            return true;
        }
        drop(in_key);
        self.text(text, Rules::All)
    }

    fn end_of_lines(&self, source: &str) {
        self.in_key
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(source);
    }

    fn is_redacted(&self, text: &str) -> bool {
        text.contains(PLACEHOLDER)
    }

    fn fragments(&self) -> Box<dyn Fragments> {
        Box::new(Pieces::new(self.clone()))
    }
}

/// One more step; what is borrowed stays borrowed.
fn then<'a>(text: Cow<'a, str>, step: impl FnOnce(&str) -> Cow<'_, str>) -> Cow<'a, str> {
    match step(&text) {
        Cow::Owned(clean) => Cow::Owned(clean),
        Cow::Borrowed(_) => text,
    }
}

/// What a text may hold, from one look at all of it.
#[derive(Default)]
struct Hints {
    /// A bit for each kind of [`marked`].
    kinds: u32,
    key: bool,
    address: bool,
    named: bool,
}

/// Which rule a word of the finder belongs to.
#[derive(Clone, Copy)]
enum Rule {
    Marked(usize),
    Key,
    Address,
    Named,
}

static RULES: LazyLock<(AhoCorasick, Vec<Rule>)> = LazyLock::new(|| {
    let mut words: Vec<&str> = Vec::new();
    let mut rules = Vec::new();
    let marked = marked::words().map(|(word, kind)| (word, Rule::Marked(kind)));
    let named = named::WORDS.iter().map(|word| (*word, Rule::Named));
    let others = [("-----begin ", Rule::Key), ("://", Rule::Address)];
    for (word, rule) in marked.chain(named).chain(others) {
        words.push(word);
        rules.push(rule);
    }
    let finder = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::Standard)
        .kind(Some(AhoCorasickKind::DFA))
        .build(words);
    (finder.expect("a few constant words"), rules)
});

impl Hints {
    fn of(text: &str) -> Self {
        let (finder, rules) = &*RULES;
        let mut hints = Self::default();
        for found in finder.find_overlapping_iter(text) {
            match rules[found.pattern().as_usize()] {
                Rule::Marked(kind) => hints.kinds |= 1 << kind,
                Rule::Key => hints.key = true,
                Rule::Address => hints.address = true,
                Rule::Named => hints.named = true,
            }
        }
        hints
    }

    /// Where words end that names of secrets end with.
    fn ends(text: &str) -> Vec<usize> {
        let (finder, rules) = &*RULES;
        let found = finder.find_overlapping_iter(text);
        let named = found.filter(|found| matches!(rules[found.pattern().as_usize()], Rule::Named));
        named.map(|found| found.end()).collect()
    }

    fn is_empty(&self) -> bool {
        self.kinds == 0 && !self.key && !self.address && !self.named
    }
}

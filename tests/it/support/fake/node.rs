//! A value in the body of a request, with where it stands: what every check of a protocol is
//! made of. The wording of an error, and how it names a place, is the service's own.

use serde_json::{Map, Value};

use super::error::ApiError;

/// The outcome of a check.
pub(super) type Checked<T = ()> = Result<T, ApiError>;

/// How a service speaks about what it does not take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Dialect {
    /// `Missing required parameter: 'input[0].content'.`
    OpenAi,
    /// `messages.0.content: Field required`, as the pydantic library words it.
    Anthropic,
    /// As the validation of the Smithy models words it, which counts lists from 1.
    Bedrock,
}

/// One value and its place.
#[derive(Clone, Debug)]
pub(super) struct Node<'a> {
    pub(super) value: &'a Value,
    at: String,
    dialect: Dialect,
}

impl<'a> Node<'a> {
    /// The whole body, which is an object.
    pub(super) fn root(value: &'a Value, dialect: Dialect) -> Checked<Self> {
        let at = String::new();
        let node = Self { value, at, dialect };
        node.object()?;
        Ok(node)
    }

    /// The field `name`, which has to be there.
    pub(super) fn get(&self, name: &str) -> Checked<Self> {
        self.maybe(name)?.ok_or_else(|| {
            let at = self.place(name);
            match self.dialect {
                Dialect::OpenAi => {
                    let message = format!("Missing required parameter: '{at}'.");
                    ApiError::invalid(at, message).code("missing_required_parameter")
                }
                Dialect::Anthropic => self.error(format!("{at}: Field required")),
                Dialect::Bedrock => self.error(format!(
                    "1 validation error detected: Value null at '{at}' failed to satisfy constraint: Member must not be null"
                )),
            }
        })
    }

    /// The field `name`, where it is there and not null.
    pub(super) fn maybe(&self, name: &str) -> Checked<Option<Self>> {
        let value = self.object()?.get(name).filter(|value| !value.is_null());
        Ok(value.map(|value| self.child(value, self.place(name))))
    }

    /// The items of a list.
    pub(super) fn items(&self) -> Checked<Vec<Self>> {
        let items = self.value.as_array().ok_or_else(|| self.wrong("a list"))?;
        let items = items.iter().enumerate().map(|(index, value)| {
            let at = match self.dialect {
                Dialect::OpenAi => format!("{}[{index}]", self.at),
                Dialect::Anthropic => format!("{}.{index}", self.at),
                Dialect::Bedrock => format!("{}.{}.member", self.at, index + 1),
            };
            self.child(value, at)
        });
        Ok(items.collect())
    }

    /// The items of a list that has at least one.
    pub(super) fn filled(&self) -> Checked<Vec<Self>> {
        let items = self.items()?;
        if items.is_empty() {
            return Err(self.refuse("at least one item is required"));
        }
        Ok(items)
    }

    pub(super) fn object(&self) -> Checked<&'a Map<String, Value>> {
        self.value
            .as_object()
            .ok_or_else(|| self.wrong("an object"))
    }

    pub(super) fn str(&self) -> Checked<&'a str> {
        self.value.as_str().ok_or_else(|| self.wrong("a string"))
    }

    pub(super) fn bool(&self) -> Checked<bool> {
        self.value.as_bool().ok_or_else(|| self.wrong("a boolean"))
    }

    /// A whole number above 0.
    pub(super) fn positive(&self) -> Checked<u64> {
        let number = self.value.as_u64().filter(|&number| number > 0);
        number.ok_or_else(|| self.wrong("a positive integer"))
    }

    /// A number from 0 to `highest`.
    pub(super) fn number(&self, highest: f64) -> Checked<f64> {
        let number = self.value.as_f64();
        let number = number.filter(|number| (0.0..=highest).contains(number));
        number.ok_or_else(|| self.wrong(&format!("a number from 0 to {highest}")))
    }

    /// One of some strings.
    pub(super) fn one_of(&self, known: &[&str]) -> Checked<&'a str> {
        let text = self.str()?;
        if known.contains(&text) {
            return Ok(text);
        }
        let known = known.iter().map(|known| format!("'{known}'"));
        let known = known.collect::<Vec<_>>().join(", ");
        Err(match self.dialect {
            Dialect::OpenAi => {
                let message = format!("Invalid value: '{text}'. Supported values are: {known}.");
                ApiError::invalid(&self.at, message).code("invalid_value")
            }
            Dialect::Anthropic => self.refuse(&format!("Input should be {known}")),
            Dialect::Bedrock => self.refuse(&format!(
                "Member must satisfy enum value set: [{known}], got '{text}'"
            )),
        })
    }

    /// A string of letters, digits and `others`, at most `longest` of them.
    pub(super) fn word(&self, others: &str, longest: usize) -> Checked<&'a str> {
        let word = self.str()?;
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || others.contains(letter);
        if (1..=longest).contains(&word.len()) && word.chars().all(allowed) {
            return Ok(word);
        }
        let why = format!("String should match pattern '^[a-zA-Z0-9{others}]{{1,{longest}}}$'");
        Err(self.refuse(&why))
    }

    /// Refuses fields that are not among `known`.
    pub(super) fn only(&self, known: &[&str]) -> Checked {
        let mut names = self.object()?.keys();
        let Some(name) = names.find(|name| !known.contains(&name.as_str())) else {
            return Ok(());
        };
        let at = self.place(name);
        Err(match self.dialect {
            Dialect::OpenAi => {
                let message = format!("Unknown parameter: '{at}'.");
                ApiError::invalid(at, message).code("unknown_parameter")
            }
            Dialect::Anthropic => self.error(format!("{at}: Extra inputs are not permitted")),
            Dialect::Bedrock => self.error(format!(
                "Malformed input request: #/{at}: extraneous key [{name}] is not permitted, please reformat your input and try again."
            )),
        })
    }

    /// The one field of an object that is a union of its fields.
    pub(super) fn union(&self, known: &[&str]) -> Checked<(&'a str, Self)> {
        self.only(known)?;
        let mut fields = self.object()?.iter();
        match (fields.next(), fields.next()) {
            (Some((name, value)), None) => Ok((name, self.child(value, self.place(name)))),
            _ => Err(self.refuse(&format!("exactly one of {} must be set", known.join(", ")))),
        }
    }

    /// A value of another type than the protocol has at this place.
    pub(super) fn wrong(&self, expected: &str) -> ApiError {
        match self.dialect {
            Dialect::OpenAi => {
                let message = format!("Invalid type for '{}': expected {expected}.", self.at);
                ApiError::invalid(&self.at, message).code("invalid_type")
            }
            Dialect::Anthropic => self.refuse(&format!("Input should be {expected}")),
            Dialect::Bedrock => self.refuse(&format!("Member must be {expected}")),
        }
    }

    /// A 400 about this place.
    pub(super) fn refuse(&self, why: &str) -> ApiError {
        match self.dialect {
            Dialect::OpenAi => {
                ApiError::invalid(&self.at, format!("Invalid '{}': {why}.", self.at))
            }
            Dialect::Anthropic => self.error(format!("{}: {why}", self.at)),
            Dialect::Bedrock => self.error(format!(
                "1 validation error detected: Value at '{}' failed to satisfy constraint: {why}",
                self.at
            )),
        }
    }

    /// A 400 with exactly this message.
    pub(super) fn error(&self, message: String) -> ApiError {
        match self.dialect {
            Dialect::OpenAi => ApiError::invalid(&self.at, message),
            Dialect::Anthropic => ApiError::new(400, "invalid_request_error", message),
            Dialect::Bedrock => ApiError::new(400, "ValidationException", message),
        }
    }

    /// Where it stands, in the service's own words.
    pub(super) fn at(&self) -> &str {
        &self.at
    }

    fn child(&self, value: &'a Value, at: String) -> Self {
        let dialect = self.dialect;
        Self { value, at, dialect }
    }

    fn place(&self, name: &str) -> String {
        if self.at.is_empty() {
            return name.to_owned();
        }
        format!("{}.{name}", self.at)
    }
}

/// Judges a schema of a tool's arguments.
pub(super) fn schema(node: &Node<'_>) -> Checked {
    if node.get("type")?.str()? != "object" {
        return Err(node.refuse("the type of a tool's schema must be 'object'"));
    }
    jsonschema::meta::validate(node.value)
        .map_err(|error| node.refuse(&format!("JSON schema is invalid: {error}")))
}

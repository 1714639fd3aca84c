//! Tables of what is known of a service's models, for services that list only names, and for the time when none answers.

use crate::chat::Usage;
use crate::{Error, Listing, LongPrice, Model, Price};

/// What is known of a model.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// Its name.
    pub id: &'static str,
    /// Tokens of input and output together; 0 = unknown.
    pub context_window: u32,
    /// Tokens of output at most; 0 = unknown.
    pub max_output: u32,
    /// Whether it sees images.
    pub images: bool,
    /// Words that it takes for the effort.
    pub efforts: &'static [&'static str],
    /// US dollars for a million tokens.
    pub price: Option<Price>,
    /// The same for long requests.
    pub long_price: Option<LongPrice>,
}

impl Known {
    /// What `table` knows of a model: of this name, or of this name with a date. A release of its own, as `x-1.1` beside
    /// `x-1`, is another model at another price.
    pub fn of(table: &'static [Self], id: &str) -> Option<&'static Self> {
        table.iter().find(|known| {
            let rest = id.strip_prefix(known.id);
            rest.is_some_and(|rest| rest.is_empty() || rest == "-latest" || is_date(rest))
        })
    }

    /// The model; `as_of` is the day of the table.
    pub fn model(&self, id: &str, as_of: &str) -> Model {
        let efforts = self.efforts.iter().map(|effort| (*effort).to_owned());
        Model {
            id: id.to_owned(),
            context_window: self.context_window,
            max_output: self.max_output,
            tools: true,
            images: self.images,
            efforts: efforts.collect(),
            price: self.price,
            long_price: self.long_price,
            as_of: Some(as_of.to_owned()),
        }
    }
}

/// What the service says.
impl From<Vec<Model>> for Listing {
    fn from(models: Vec<Model>) -> Self {
        Self {
            models,
            problem: None,
        }
    }
}

/// The models of a service that gave no list, as `table` of the day `as_of` knows them: where it was not reached, or
/// wants a key that is not there.
///
/// # Errors
///
/// Any other error of `listed`.
pub fn or_known(
    listed: Result<Vec<Model>, Error>,
    table: &'static [Known],
    as_of: &str,
) -> Result<Listing, Error> {
    let problem = match listed {
        Ok(models) => return Ok(models.into()),
        Err(Error::AuthRequired(name)) => {
            format!("the credential `{name}` is not set or was refused")
        }
        Err(Error::Upstream(upstream)) => upstream.message,
        Err(Error::Timeout) => "the service did not answer in time".to_owned(),
        Err(other) => return Err(other),
    };
    let known = table.iter().map(|known| known.model(known.id, as_of));
    Ok(Listing {
        models: known.collect(),
        problem: Some(problem),
    })
}

/// `-20251001`, or `-2025-10-01`.
fn is_date(suffix: &str) -> bool {
    let digits = suffix.bytes().filter(u8::is_ascii_digit).count();
    let plain = suffix
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'-');
    suffix.starts_with('-') && plain && digits == 8
}

/// A price, in US dollars for a million tokens: of input, output, and input read from and written to the cache.
pub const fn price(input: f64, output: f64, cache_read: f64, cache_write: f64) -> Price {
    Price {
        input,
        output,
        cache_read,
        cache_write,
    }
}

/// US dollars for these tokens at this price.
pub fn cost(usage: &Usage, price: &Price) -> f64 {
    let read = usage.cache_read.min(usage.input);
    let written = usage.cache_write.min(usage.input - read);
    let millionths = f64::from(usage.input - read - written) * price.input
        + f64::from(read) * price.cache_read
        + f64::from(written) * price.cache_write
        + f64::from(usage.output) * price.output;
    millionths / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn known(id: &'static str) -> Known {
        Known {
            id,
            context_window: 1,
            max_output: 0,
            images: false,
            efforts: &["low"],
            price: Some(price(1.0, 2.0, 3.0, 4.0)),
            long_price: None,
        }
    }

    const TABLE: &[Known] = &[known("x-5"), known("x-5-1"), known("gpt-4o")];

    #[test]
    fn a_release_of_its_own_is_another_model() {
        for (id, expected) in [
            ("x-5", Some("x-5")),
            ("x-5-20260609", Some("x-5")),
            ("x-5-1", Some("x-5-1")),
            ("x-5-1-latest", Some("x-5-1")),
            ("gpt-4o-2024-11-20", Some("gpt-4o")),
            ("x-5-2", None),
            ("x-5.1", None),
            ("gpt-4o-mini", None),
            ("x", None),
        ] {
            assert_eq!(Known::of(TABLE, id).map(|known| known.id), expected, "{id}");
        }
        let model = TABLE[0].model("x-5-20260609", "2026-11-01");
        assert_eq!(
            (model.id.as_str(), model.as_of.as_deref()),
            ("x-5-20260609", Some("2026-11-01"))
        );
    }

    #[test]
    fn every_input_token_is_paid_for_once() {
        let price = price(1.0, 10.0, 0.1, 2.0);
        let usage = |input, cache_read, cache_write| Usage {
            input,
            output: 100,
            cache_read,
            cache_write,
            reasoning: 50,
        };
        let millionths = |usage| (cost(&usage, &price) * 1e6).round();
        assert_eq!(millionths(usage(100, 60, 30)), 10.0 + 6.0 + 60.0 + 1000.0);
        // Counts that contradict each other never cost less than nothing.
        assert_eq!(millionths(usage(10, 60, 30)), 1.0 + 1000.0);
    }
}

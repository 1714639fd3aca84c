//! What tokens cost.

use crate::event::Usage;
use crate::money::MicroUsd;
use serde::{Deserialize, Serialize};

/// US dollars for a million tokens, which is millionths of a dollar for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Price {
    /// Input tokens that no cache held.
    pub input: f64,
    /// Output tokens, reasoning included.
    pub output: f64,
    /// Input tokens read from the service's cache.
    pub cache_read: f64,
    /// Input tokens written to the service's cache.
    pub cache_write: f64,
}

/// A model's prices.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prices {
    /// Of ordinary requests.
    pub ordinary: Price,
    /// Of requests with more input tokens than this, as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long: Option<(u64, Price)>,
}

impl Prices {
    /// What a call cost, rounded to the next millionth of a dollar.
    pub fn cost(&self, usage: &Usage) -> MicroUsd {
        let price = match self.long {
            Some((above, price)) if usage.input > above => price,
            _ => self.ordinary,
        };
        let read = usage.cache_read.min(usage.input);
        let written = usage.cache_write.min(usage.input - read);
        let micros = (usage.input - read - written) as f64 * price.input
            + read as f64 * price.cache_read
            + written as f64 * price.cache_write
            + usage.output as f64 * price.output;
        // A cast keeps to the type's range, and makes nothing of what is not a number.
        MicroUsd::new(micros.round() as u64)
    }

    /// Whether nothing is ever paid.
    pub fn is_free(&self) -> bool {
        let nothing = |price: &Price| *price == Price::default();
        nothing(&self.ordinary) && self.long.is_none_or(|(_, price)| nothing(&price))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICE: Price = Price {
        input: 3.0,
        output: 15.0,
        cache_read: 0.3,
        cache_write: 3.75,
    };

    fn cost(prices: Prices, input: u64, read: u64, written: u64, output: u64) -> u64 {
        let usage = Usage {
            input,
            output,
            cache_read: read,
            cache_write: written,
            ..Usage::default()
        };
        prices.cost(&usage).micros()
    }

    #[test]
    fn each_kind_of_token_has_its_rate() {
        let prices = Prices {
            ordinary: PRICE,
            long: None,
        };
        assert_eq!(cost(prices, 1_000_000, 0, 0, 0), 3_000_000);
        assert_eq!(
            cost(prices, 1_000_000, 600_000, 400_000, 1000),
            180_000 + 1_500_000 + 15_000
        );
        // Services have reported more cached tokens than tokens.
        assert_eq!(cost(prices, 10, 20, 20, 0), 3);
        assert_eq!(cost(prices, u64::MAX, 0, 0, u64::MAX), u64::MAX);
    }

    #[test]
    fn a_long_request_costs_more_as_a_whole() {
        let twice = Price {
            input: 6.0,
            ..PRICE
        };
        let prices = Prices {
            ordinary: PRICE,
            long: Some((100_000, twice)),
        };
        assert_eq!(cost(prices, 100_000, 0, 0, 0), 300_000);
        assert_eq!(cost(prices, 100_001, 0, 0, 0), 600_006);
        assert!(!prices.is_free());
        let free = Prices {
            ordinary: Price::default(),
            long: None,
        };
        assert!(free.is_free() && cost(free, 5, 0, 0, 5) == 0);
    }
}

//! What is known of Claude models, which several services host under names of their own.

use super::{Known, price};
use crate::{LongPrice, Price};

/// Day of the table: the vendor's price list and model pages.
pub const AS_OF: &str = "2026-11-01";

/// The models by the vendor's own names and at its own price.
pub const TABLE: &[Known] = &[
    newer("claude-fable-5-1", price(10.0, 50.0, 0.25, 12.5)),
    newer("claude-fable-5", price(10.0, 50.0, 1.0, 12.5)),
    newer("claude-opus-5-5", price(4.0, 20.0, 0.20, 5.0)),
    newer("claude-opus-5", price(5.0, 25.0, 0.5, 6.25)),
    newer("claude-opus-4-8", price(5.0, 25.0, 0.5, 6.25)),
    newer("claude-opus-4-7", price(5.0, 25.0, 0.5, 6.25)),
    Known {
        efforts: &["low", "medium", "high", "max"],
        ..newer("claude-opus-4-6", price(5.0, 25.0, 0.5, 6.25))
    },
    Known {
        efforts: &["low", "medium", "high"],
        ..older("claude-opus-4-5", price(5.0, 25.0, 0.5, 6.25))
    },
    newer("claude-sonnet-5-5", price(2.0, 10.0, 0.2, 2.5)),
    newer("claude-sonnet-5", price(2.0, 10.0, 0.2, 2.5)),
    Known {
        efforts: &["low", "medium", "high", "max"],
        ..newer("claude-sonnet-4-6", price(3.0, 15.0, 0.3, 3.75))
    },
    older("claude-sonnet-4-5", price(3.0, 15.0, 0.3, 3.75)),
    Known {
        long_price: Some(LongPrice {
            above: 100_000,
            price: price(0.50, 2.50, 0.05, 0.625),
        }),
        ..newer("claude-haiku-5-5", price(0.10, 0.50, 0.01, 0.125))
    },
    older("claude-haiku-4-5", price(1.0, 5.0, 0.1, 1.25)),
];

/// Generation 4.6 and later.
const fn newer(id: &'static str, price: Price) -> Known {
    Known {
        id,
        context_window: 1_000_000,
        max_output: 128_000,
        images: true,
        efforts: &["low", "medium", "high", "xhigh", "max"],
        price: Some(price),
        long_price: None,
    }
}

/// Generation 4.5.
const fn older(id: &'static str, price: Price) -> Known {
    Known {
        context_window: 200_000,
        max_output: 64_000,
        efforts: &[],
        ..newer(id, price)
    }
}

/// Whether a model decides by itself how much to think: those of generation 4.6 and later, and those whose name
/// tells no generation. Other makers' models do not.
pub fn thinks_adaptively(model: &str) -> bool {
    let Some((_, name)) = model.split_once("claude-") else {
        return false;
    };
    // A part of the name, as in `claude-opus-4-6-v1:0`, or older ones as in `claude-3-5-sonnet-20241022`. Longer
    // numbers are dates.
    let mut words = name.split(['-', '.', ':', '@']);
    let number = |word: &str| word.parse::<u32>().ok().filter(|_| word.len() <= 2);
    let Some(major) = words.find_map(number) else {
        return true;
    };
    let minor = words.next().and_then(number).unwrap_or(0);
    (major, minor) >= (4, 6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinking_is_adaptive_from_the_generation_on_that_has_it() {
        for model in [
            "claude-opus-4-6",
            "claude-opus-4-8-20260601",
            "claude-sonnet-5",
            "claude-haiku-5-5",
            "claude-fable-5-2",
            "claude-mythos-preview",
            "us.anthropic.claude-opus-4-6-v1:0",
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/global.anthropic.claude-sonnet-5",
        ] {
            assert!(thinks_adaptively(model), "{model}");
        }
        for model in [
            "claude-3-5-sonnet-20241022",
            "claude-3-opus-latest",
            "claude-2.1",
            "claude-v2:1",
            "claude-opus-4-20250514",
            "claude-4-opus-20250514",
            "claude-opus-4-1",
            "claude-haiku-4-5-20251001",
            "anthropic.claude-sonnet-4-5-20250929-v1:0",
            "amazon.nova-pro-v1:0",
            "glm-5",
        ] {
            assert!(!thinks_adaptively(model), "{model}");
        }
    }

    #[test]
    fn a_later_release_does_not_inherit_a_price() {
        let price = |id: &str| Known::of(TABLE, id).and_then(|known| known.price);
        assert_eq!(price("claude-fable-5-1").unwrap().cache_read, 0.25);
        assert_eq!(price("claude-fable-5").unwrap().cache_read, 1.0);
        assert!(price("claude-fable-5-2").is_none());
        assert_eq!(price("claude-haiku-4-5-20251001").unwrap().output, 5.0);
        let haiku = Known::of(TABLE, "claude-haiku-5-5").unwrap();
        assert_eq!(haiku.long_price.unwrap().above, 100_000);
    }
}

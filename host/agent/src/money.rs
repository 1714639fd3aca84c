//! Amounts of money.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::iter::Sum;

/// Millionths of a US dollar: sums of many small prices stay exact. Written as dollars in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MicroUsd(u64);

const MICROS: f64 = 1e6;

impl MicroUsd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// This many millionths.
    pub const fn new(micros: u64) -> Self {
        Self(micros)
    }

    /// Millionths of a dollar.
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// Rounded to the next millionth; what is no amount (negative, not a number) is nothing.
    pub fn from_usd(usd: f64) -> Self {
        // A cast keeps to the type's range, and makes nothing of what is not a number.
        Self((usd * MICROS).round() as u64)
    }

    /// US dollars.
    pub fn usd(self) -> f64 {
        self.0 as f64 / MICROS
    }

    /// The sum, or the largest amount.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// What is left, never less than nothing.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// This part of it, rounded up; the largest amount where that is too much.
    #[must_use]
    pub fn times(self, numerator: u64, denominator: u64) -> Self {
        let product = u128::from(self.0) * u128::from(numerator);
        let part = product.div_ceil(u128::from(denominator.max(1)));
        Self(u64::try_from(part).unwrap_or(u64::MAX))
    }
}

impl Sum for MicroUsd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::plus)
    }
}

/// With the cents that matter.
impl fmt::Display for MicroUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 | 10_000.. => write!(f, "${:.2}", self.usd()),
            100.. => write!(f, "${:.4}", self.usd()),
            _ => write!(f, "${:.6}", self.usd()),
        }
    }
}

impl Serialize for MicroUsd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.usd())
    }
}

impl<'de> Deserialize<'de> for MicroUsd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        f64::deserialize(deserializer).map(Self::from_usd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_tenths_of_a_cent_are_exactly_a_thousand_dollars() {
        let sum: MicroUsd = (0..1_000_000).map(|_| MicroUsd::from_usd(0.001)).sum();
        assert_eq!(sum, MicroUsd::new(1_000_000_000));
    }

    #[test]
    fn amounts_go_through_json_unchanged() {
        for micros in [0, 1, 250_000, 999_999, 1_000_001, 123_456_789_012] {
            let amount = MicroUsd::new(micros);
            let text = serde_json::to_string(&amount).unwrap();
            assert_eq!(
                serde_json::from_str::<MicroUsd>(&text).unwrap(),
                amount,
                "{text}"
            );
        }
        assert_eq!(serde_json::from_str::<MicroUsd>("3").unwrap().usd(), 3.0);
    }

    #[test]
    fn what_is_no_amount_is_nothing() {
        for odd in [-1.0, f64::NAN, f64::NEG_INFINITY] {
            assert_eq!(MicroUsd::from_usd(odd), MicroUsd::ZERO);
        }
        let most = MicroUsd::from_usd(f64::INFINITY);
        assert_eq!(most.plus(MicroUsd::new(1)), most);
        assert_eq!(MicroUsd::ZERO.minus(most), MicroUsd::ZERO);
        assert_eq!(most.times(3, 0), most);
    }

    #[test]
    fn small_amounts_are_shown_as_more_than_nothing() {
        let shown = |micros| MicroUsd::new(micros).to_string();
        assert_eq!(
            [shown(0), shown(7), shown(8_000), shown(1_500_000)],
            ["$0.00", "$0.000007", "$0.0080", "$1.50"]
        );
    }
}

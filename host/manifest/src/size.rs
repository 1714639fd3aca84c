//! Sizes (`8MiB`) and durations (`1h30m`) as people write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use crate::error::Error;
use crate::plugin_ref::shorten;

/// A number of bytes, written with a binary unit: `512B`, `256KiB`, `8MiB`, `1GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

const SIZE_UNITS: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

impl FromStr for Size {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit = unit.strip_prefix(' ').unwrap_or(unit);
        let scale = SIZE_UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .map(|(_, scale)| *scale);
        number
            .parse::<u64>()
            .ok()
            .zip(scale)
            .and_then(|(number, scale)| number.checked_mul(scale))
            .map(Size)
            .ok_or_else(|| {
                Error::value(format!(
                    "not a size: `{}`; write a whole number with B, KiB, MiB or GiB, such as `8MiB`",
                    shorten(text)
                ))
            })
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, scale) = SIZE_UNITS
            .iter()
            .find(|(_, scale)| self.0 >= *scale && self.0.is_multiple_of(*scale))
            .unwrap_or(&SIZE_UNITS[3]);
        write!(f, "{}{unit}", self.0 / scale)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

/// Milliseconds of each unit, largest first: the order in which they must be written.
const DURATION_UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// Parses `90s`, `30m`, `2h`, `1h30m`, `500ms`, `1d`: whole numbers, units once each, largest first.
pub fn parse_duration(text: &str) -> Result<Duration, Error> {
    let wrong = || {
        Error::value(format!(
            "not a duration: `{}`; write whole numbers with d, h, m, s or ms, largest unit first, such as `90s` or `1h30m`",
            shorten(text)
        ))
    };
    let mut rest = text;
    let mut next_unit = 0;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at(letters);
        let offset = DURATION_UNITS[next_unit..]
            .iter()
            .position(|(name, _)| *name == unit);
        let index = next_unit + offset.ok_or_else(wrong)?;
        let number: u64 = number.parse().map_err(|_| wrong())?;
        total = number
            .checked_mul(DURATION_UNITS[index].1)
            .and_then(|part| total.checked_add(part))
            .ok_or_else(wrong)?;
        next_unit = index + 1;
        rest = tail;
    }
    if next_unit == 0 {
        return Err(wrong());
    }
    Ok(Duration::from_millis(total))
}

/// Writes a duration as [`parse_duration`] reads it; parts below a millisecond are dropped.
pub fn format_duration(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, scale) in DURATION_UNITS {
        if left >= scale {
            text.push_str(&format!("{}{unit}", left / scale));
            left %= scale;
        }
    }
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

/// A duration as a TOML string.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(crate) struct DurationText(pub(crate) Duration);

impl fmt::Display for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_duration(self.0))
    }
}

impl<'de> Deserialize<'de> for DurationText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_duration(&text).map(Self).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written_with_binary_units() {
        for (text, bytes) in [
            ("0B", 0),
            ("512B", 512),
            ("256KiB", 262_144),
            ("8 MiB", 8 << 20),
            ("1GiB", 1 << 30),
        ] {
            assert_eq!(text.parse::<Size>().unwrap(), Size(bytes), "{text}");
        }
        assert_eq!(Size(8 << 20).to_string(), "8MiB");
        assert_eq!(Size(1536).to_string(), "1536B");
        assert_eq!(Size(0).to_string(), "0B");
    }

    #[test]
    fn what_is_not_a_size_is_refused_with_an_example() {
        for text in [
            "",
            "8",
            "MiB",
            "8MB",
            "8mib",
            "-1MiB",
            "1.5MiB",
            "8  MiB",
            "8MiB ",
            "99999999999999999999B",
            "18446744073709551615KiB",
            "٣MiB",
            "8\u{1b}[2JMiB",
        ] {
            let error = text.parse::<Size>().unwrap_err().to_string();
            assert!(!error.contains('\u{1b}'), "{error:?}");
            assert!(error.contains("such as `8MiB`"), "{text}: {error}");
        }
    }

    #[test]
    fn durations_are_read_and_written() {
        for (text, seconds) in [
            ("90s", 90),
            ("30m", 1800),
            ("2h", 7200),
            ("1h30m", 5400),
            ("10h1m", 36_060),
            ("1d", 86_400),
            ("0s", 0),
        ] {
            assert_eq!(
                parse_duration(text).unwrap(),
                Duration::from_secs(seconds),
                "{text}"
            );
        }
        assert_eq!(
            parse_duration("1s500ms").unwrap(),
            Duration::from_millis(1500)
        );
        assert_eq!(format_duration(Duration::from_secs(36_060)), "10h1m");
        assert_eq!(format_duration(Duration::from_millis(1500)), "1s500ms");
        assert_eq!(format_duration(Duration::ZERO), "0s");
    }

    #[test]
    fn what_is_not_a_duration_is_refused_with_an_example() {
        for text in [
            "",
            "90",
            "s",
            "1.5h",
            "30m1h",
            "1h1h",
            "-1s",
            "1 h",
            "1H",
            "1w",
            "1hm",
            "99999999999999999999d",
            "213503982335d",
            "1h💥",
            "1h\u{1b}[2J",
        ] {
            let error = parse_duration(text).unwrap_err().to_string();
            assert!(!error.contains('\u{1b}'), "{error:?}");
            assert!(error.contains("`1h30m`"), "{text}: {error}");
        }
    }
}

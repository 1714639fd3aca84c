//! How long a server asks to wait before the next attempt.

use super::value;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds from now. `exact` is the header `retry-after-ms` of the hosted service, `plain`
/// the standard `retry-after`: seconds, or a date (RFC 9110, section 10.2.3). Nothing for what
/// is neither.
pub(super) fn milliseconds(
    exact: Option<&str>,
    plain: Option<&str>,
    now: SystemTime,
) -> Option<u32> {
    let number = |text: &str| {
        let number = value::parse(text.as_bytes()).ok()?.float();
        number.filter(|number| *number >= 0.0)
    };
    if let Some(ms) = exact.and_then(number) {
        return Some(ms as u32);
    }
    let plain = plain?.trim();
    // The conversion to an integer saturates.
    number(plain)
        .map(|seconds| (seconds * 1000.0) as u32)
        .or_else(|| {
            let wait = date(plain)?.duration_since(now).unwrap_or(Duration::ZERO);
            Some(u32::try_from(wait.as_millis()).unwrap_or(u32::MAX))
        })
}

/// A date as servers have to write it: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn date(text: &str) -> Option<SystemTime> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (_, text) = text.split_once(", ")?;
    let mut words = text.split(' ');
    let mut word = || words.next();
    let day: u64 = word()?.parse().ok().filter(|day| (1..=31).contains(day))?;
    let month = word()?;
    let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
    let year: u64 = word()?
        .parse()
        .ok()
        .filter(|year| (1970..=9999).contains(year))?;
    let time = word()?;
    if word()? != "GMT" {
        return None;
    }
    let mut clock = time
        .split(':')
        .map(|part| part.parse::<u64>().ok().filter(|part| *part < 61));
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// Days from 1970-01-01 in the Gregorian calendar. Years are taken to begin in March, so that the
/// leap day is the last one and the months before a month have a fixed length.
fn days(year: u64, month: u64, day: u64) -> u64 {
    const TO_1970: u64 = 719_468;
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - TO_1970
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1994-11-06 08:49:37 UTC, the example of RFC 9110.
    const EXAMPLE: u64 = 784_111_777;

    fn at(seconds: u64, plain: &str) -> Option<u32> {
        milliseconds(None, Some(plain), UNIX_EPOCH + Duration::from_secs(seconds))
    }

    #[test]
    fn seconds_and_milliseconds() {
        assert_eq!(at(0, "30"), Some(30_000));
        assert_eq!(at(0, " 1.5 "), Some(1500));
        assert_eq!(at(0, "99999999999"), Some(u32::MAX));
        assert_eq!(milliseconds(Some("250"), Some("9"), UNIX_EPOCH), Some(250));
        assert_eq!(
            milliseconds(Some("soon"), Some("9"), UNIX_EPOCH),
            Some(9000)
        );
        assert_eq!(milliseconds(None, None, UNIX_EPOCH), None);
    }

    #[test]
    fn dates() {
        let text = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(at(EXAMPLE - 5, text), Some(5000));
        assert_eq!(at(EXAMPLE + 5, text), Some(0));
        // 2024-02-29 00:00:00 and 2100-03-01 00:00:00, by `date -u +%s`.
        assert_eq!(
            at(1_709_164_800 - 1, "Thu, 29 Feb 2024 00:00:00 GMT"),
            Some(1000)
        );
        assert_eq!(
            at(4_107_542_400 - 1, "Mon, 01 Mar 2100 00:00:00 GMT"),
            Some(1000)
        );
    }

    #[test]
    fn nonsense_is_nothing() {
        for text in [
            "",
            "soon",
            "-1",
            "NaN",
            "inf",
            "Sun, 06 Nov 1994",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 06 Foo 1994 08:49:37 GMT",
            "Sun, 06 Nov 0001 08:49:37 GMT",
            "Sun, 06 Nov 1994 99:49:37 GMT",
            "Sun, 06 Nov 1994 0849 GMT",
        ] {
            assert_eq!(at(0, text), None, "{text}");
        }
    }
}

//! Reads JSON where it lies, for what services send.
//!
//! A [`Value`] is a piece of a document's text. [`parse`] looks at the whole document once; after that a field is
//! found by reading over what stands before it, and no tree and no types are built: a component with a type for every
//! shape of every message is half as large again, and slower on the short messages of a stream.
//!
//! Readers of single values take what services really send: `null`, numbers, lists or objects in places where a
//! protocol has a string. One odd field must not lose a whole reply. A field that is missing is `null`.
//!
//! ```
//! use ml_intern_plugin::provider::value;
//!
//! let document = value::parse(br#"{"id": 7, "usage": {"tokens": "12"}}"#).unwrap();
//! let [id, usage] = document.pick(["id", "usage"]);
//! assert_eq!(id.text().as_deref(), Some("7"));
//! assert_eq!(usage.get("tokens").number(), Some(12));
//! assert!(document.get("error").is_null());
//! ```

mod scan;

use crate::Error;
use crate::provider::errors;
use scan::{Members, Scan};
use std::borrow::Cow;
use std::fmt;

/// A value in the text of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value<'a>(&'a str);

/// What a missing field is.
pub const NULL: Value<'static> = Value("null");

/// Text that is no JSON, or is nested deeper than 128 lists and objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoJson {
    /// Place of the first byte that does not belong there.
    pub at: usize,
}

impl fmt::Display for NoJson {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "no JSON from byte {} on", self.at)
    }
}

/// The document that a text is, blanks around it aside.
///
/// # Errors
///
/// [`NoJson`].
pub fn parse(text: &[u8]) -> Result<Value<'_>, NoJson> {
    let mut scan = Scan::new(utf8(text)?);
    scan.blanks();
    if let Some(value) = scan.value() {
        scan.blanks();
        if scan.is_at_end() {
            return Ok(Value(value));
        }
    }
    Err(NoJson { at: scan.place() })
}

/// These fields of the object that a service sent as its `what`, as in `"chat completion"`: looks at the document
/// once for both, which counts where thousands of them make a reply.
///
/// # Errors
///
/// `upstream` (retryable), with the beginning of what it is instead.
pub fn sent<'a, const N: usize>(
    what: &str,
    body: &'a [u8],
    names: [&str; N],
) -> Result<[Value<'a>; N], Error> {
    let mut found = [NULL; N];
    match read(body, &names, &mut found) {
        Ok(()) => Ok(found),
        Err(why) => {
            let start = errors::beginning(body);
            Err(errors::broken(&format!(
                "the server sent what is no {what} ({why}): {start}"
            )))
        }
    }
}

fn read<'a>(body: &'a [u8], names: &[&str], found: &mut [Value<'a>]) -> Result<(), NoJson> {
    let body = body.trim_ascii();
    let text = utf8(body)?;
    if !text.starts_with('{') {
        return Err(NoJson { at: 0 });
    }
    let mut members = Scan::members(text);
    take(&mut members, names, found);
    members.finish().map_err(|at| NoJson { at })
}

fn utf8(text: &[u8]) -> Result<&str, NoJson> {
    std::str::from_utf8(text).map_err(|error| NoJson {
        at: error.valid_up_to(),
    })
}

/// Puts the values of these names in their places.
fn take<'a>(members: &mut Members<'a>, names: &[&str], found: &mut [Value<'a>]) {
    for (own, value) in members {
        let own = scan::unescaped(own);
        let mut wanted = names.iter().zip(found.iter_mut());
        if let Some((_, place)) = wanted.find(|(name, _)| own == **name) {
            *place = Value(value);
        }
    }
}

impl<'a> Value<'a> {
    /// Its text, as it stands in the document.
    pub fn raw(self) -> &'a str {
        self.0
    }

    /// Whether it is `null`, or missing.
    pub fn is_null(self) -> bool {
        self.0 == "null"
    }

    /// `true` or `false`.
    pub fn boolean(self) -> Option<bool> {
        match self.0 {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// Whether it is an object.
    pub fn is_object(self) -> bool {
        self.0.starts_with('{')
    }

    /// Whether it is a list.
    pub fn is_list(self) -> bool {
        self.0.starts_with('[')
    }

    /// Whether it is this string.
    pub fn is(self, word: &str) -> bool {
        self.string().is_some_and(|own| own == word)
    }

    /// The field of this name. Of several with one name the last one counts.
    pub fn get(self, name: &str) -> Self {
        let [value] = self.pick([name]);
        value
    }

    /// The fields of these names, for no more than reading an object once.
    pub fn pick<const N: usize>(self, names: [&str; N]) -> [Self; N] {
        let mut found = [NULL; N];
        if self.is_object() {
            take(&mut Scan::members(self.0), &names, &mut found);
        }
        found
    }

    /// The fields of an object in their order; none of what is no object.
    pub fn fields(self) -> impl Iterator<Item = (Cow<'a, str>, Self)> {
        let members = Scan::members(if self.is_object() { self.0 } else { "{}" });
        members.map(|(name, value)| (scan::unescaped(name), Value(value)))
    }

    /// The elements of a list; none of what is no list.
    pub fn elements(self) -> impl Iterator<Item = Self> {
        let members = Scan::members(if self.is_list() { self.0 } else { "[]" });
        members.map(|(_, value)| Value(value))
    }

    /// A string and nothing else.
    pub fn string(self) -> Option<Cow<'a, str>> {
        self.0.starts_with('"').then(|| scan::unescaped(self.0))
    }

    /// A string, or a whole number as one; the texts of a list of parts.
    pub fn text(self) -> Option<Cow<'a, str>> {
        if self.is_whole() {
            return Some(Cow::Borrowed(self.0));
        }
        if !self.is_list() {
            return self.string();
        }
        let mut all = String::new();
        for part in self.elements() {
            all.push_str(&part.get("text").text().unwrap_or_default());
        }
        (!all.is_empty()).then_some(Cow::Owned(all))
    }

    /// A text that is not empty.
    pub fn filled(self) -> Option<Cow<'a, str>> {
        self.text().filter(|text| !text.is_empty())
    }

    /// JSON that some services send as it is and others as a string that holds it; nothing where there is none.
    pub fn json(self) -> Cow<'a, str> {
        match self.string() {
            Some(text) => text,
            None if self.is_null() => Cow::Borrowed(""),
            None => Cow::Borrowed(self.raw()),
        }
    }

    /// A text of its own.
    pub fn owned(self) -> Option<String> {
        self.text().map(Cow::into_owned)
    }

    /// The texts of a list.
    pub fn texts(self) -> Vec<String> {
        self.elements().filter_map(Self::owned).collect()
    }

    /// Whether a list of strings has this one; none for what is no list.
    pub fn contains(self, word: &str) -> Option<bool> {
        self.is_list()
            .then(|| self.elements().any(|one| one.is(word)))
    }

    /// A count, rounded down, in whatever way it is written.
    pub fn number(self) -> Option<u64> {
        if let Some(text) = self.string() {
            return text.trim().parse().ok();
        }
        // A conversion from a float saturates.
        let rounded = || self.float().filter(|number| *number >= 0.0);
        self.0
            .parse()
            .ok()
            .or_else(|| rounded().map(|number| number as u64))
    }

    /// A count of tokens, at most what one can be told of.
    pub fn tokens(self) -> Option<u32> {
        self.number()
            .map(|number| u32::try_from(number).unwrap_or(u32::MAX))
    }

    /// An amount, in whatever way it is written, as in `"$0.40/h"` or `"1,250.5"`. Negative ones and infinities are
    /// none.
    pub fn amount(self) -> Option<f64> {
        let amount = match self.string() {
            Some(text) => written_amount(&text),
            None => self.float(),
        };
        amount.filter(|amount| amount.is_finite() && *amount >= 0.0)
    }

    /// A number and nothing else.
    pub fn float(self) -> Option<f64> {
        let is_number = self.0.starts_with(|c: char| c == '-' || c.is_ascii_digit());
        is_number.then(|| float(self.0.as_bytes()))
    }

    fn is_whole(self) -> bool {
        let digits = self.0.strip_prefix('-').unwrap_or(self.0);
        digits.bytes().all(|byte| byte.is_ascii_digit())
    }
}

/// A price as text begins with its number.
fn written_amount(text: &str) -> Option<f64> {
    let text = text.trim().trim_start_matches('$').replace(',', "");
    let own = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'-');
    let end = text.bytes().position(|byte| !own(byte));
    parse(&text.as_bytes()[..end.unwrap_or(text.len())])
        .ok()?
        .float()
}

/// The number that a JSON number is. Exact for what people write (up to 15 digits and 22 places), else within a few
/// units of the last of its 53 bits: the standard library's reader is exact, at the price of tables of 10 KB.
fn float(text: &[u8]) -> f64 {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mut digits, mut exponent, mut point) = (0_u64, 0_i32, false);
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        match byte {
            b'0'..=b'9' => {
                let digit = u64::from(byte - b'0');
                let more = digits
                    .checked_mul(10)
                    .and_then(|all| all.checked_add(digit));
                // Digits that have no place any more only count as places.
                digits = more.unwrap_or(digits);
                exponent += i32::from(more.is_none()) - i32::from(point);
            }
            b'.' => point = true,
            _ => {
                exponent = exponent.saturating_add(written_exponent(after));
                break;
            }
        }
        rest = after;
    }
    let value = scaled(digits as f64, exponent);
    if negative { -value } else { value }
}

fn written_exponent(text: &[u8]) -> i32 {
    let mut exponent = 0_i32;
    for byte in text.iter().filter(|byte| byte.is_ascii_digit()) {
        exponent = exponent
            .saturating_mul(10)
            .saturating_add(i32::from(byte - b'0'));
    }
    if text.starts_with(b"-") {
        -exponent
    } else {
        exponent
    }
}

/// `value` times ten to the `exponent`.
fn scaled(mut value: f64, exponent: i32) -> f64 {
    // Past 400 places everything is zero or infinite; zero itself stays what it is.
    let mut left = exponent.unsigned_abs().min(400);
    while left > 0 && value != 0.0 {
        // Ten to the 22nd is the largest power that a float has exactly.
        let step = left.min(22);
        let power = (0..step).fold(1.0, |power, _| power * 10.0);
        value = if exponent < 0 {
            value / power
        } else {
            value * power
        };
        left -= step;
    }
    value
}

#[cfg(test)]
mod tests;

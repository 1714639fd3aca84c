//! The parts of a rule: methods, schemes, host patterns, path patterns, flavor patterns.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

use crate::error::Error;
use crate::plugin_ref::shorten;

/// A request method that may leave the host. CONNECT, TRACE and OPTIONS never do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names are those of RFC 9110 and RFC 5789")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    /// Every method that may be granted.
    pub const ALL: [Self; 6] = [Self::Get, Self::Head, Self::Post, Self::Put, Self::Patch, Self::Delete];

    /// The method as it is sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Whether the method only reads.
    pub fn is_read_only(self) -> bool {
        matches!(self, Self::Get | Self::Head)
    }

    /// Methods are case-sensitive (RFC 9110, section 9.1): `get` is none of them.
    pub fn from_exact(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == text)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The scheme of a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Scheme {
    Https,
    Http,
}

impl Scheme {
    /// The scheme as it is written in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }

    /// 443 or 80.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http => 80,
        }
    }

    /// The scheme of this exact lower-case name.
    pub fn from_exact(text: &str) -> Option<Self> {
        [Self::Https, Self::Http].into_iter().find(|scheme| scheme.as_str() == text)
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `scheme://host`, with the port where it is not the scheme's own.
pub(crate) fn origin(scheme: Scheme, host: impl fmt::Display, port: u16) -> String {
    if port == scheme.default_port() {
        format!("{scheme}://{host}")
    } else {
        format!("{scheme}://{host}:{port}")
    }
}

/// Which hosts a rule speaks of: one name, one address, or every name below a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    /// One name, in lower case, without a trailing dot.
    Name(String),
    /// One address literal.
    Address(IpAddr),
    /// `*.example.org`, kept as `example.org`: names below it at any depth, not itself.
    Below(String),
}

impl HostPattern {
    /// Whether `host`, as a URL parser returns it (ASCII, lower case, IPv6 in brackets), is meant.
    pub fn matches(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        match (self, address(host)) {
            (Self::Address(own), Some(other)) => *own == other,
            (Self::Name(own), None) => own == host,
            (Self::Below(domain), None) => is_below(host, domain),
            _ => false,
        }
    }

    /// What both patterns match, if anything.
    pub(crate) fn intersect(&self, other: &Self) -> Option<Self> {
        let narrower = match (self, other) {
            (Self::Below(a), Self::Below(b)) => a == b || is_below(a, b),
            (Self::Name(a), Self::Below(b)) => is_below(a, b),
            (Self::Below(_), Self::Name(_)) => false,
            (a, b) => a == b,
        };
        if narrower {
            return Some(self.clone());
        }
        match (self, other) {
            (Self::Below(a), Self::Below(b) | Self::Name(b)) if is_below(b, a) => Some(other.clone()),
            _ => None,
        }
    }

    /// Whether the pattern means one host only.
    pub fn is_exact(&self) -> bool {
        !matches!(self, Self::Below(_))
    }

    /// Whether this is `localhost`, a name below it, or an address on this machine.
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Name(name) => name == "localhost" || name.ends_with(".localhost"),
            Self::Address(IpAddr::V4(address)) => address.is_loopback(),
            Self::Address(IpAddr::V6(address)) => address.is_loopback(),
            Self::Below(_) => false,
        }
    }
}

fn is_below(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain)
        .and_then(|rest| rest.strip_suffix('.'))
        .is_some_and(|labels| !labels.is_empty() && !labels.starts_with('.') && !labels.ends_with('.'))
}

/// The address that a URL host is, in its one canonical spelling.
fn address(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => host.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

impl FromStr for HostPattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.contains('*') && !text.starts_with("*.") || text == "*." || text[1..].contains('*') {
            return Err(wrong_host(text, "a star stands only at the start, as in `*.example.org`; every host (`*`) cannot be asked for"));
        }
        if text.contains("://") || text.contains('/') || text.contains('@') {
            return Err(wrong_host(text, "write the host alone, without scheme, user or path"));
        }
        if let Some(found) = address(text) {
            return Ok(Self::Address(found));
        }
        if text.contains([':', '[', ']']) {
            return Err(wrong_host(text, "write the port under the key `port`, and an IPv6 address in brackets as `[::1]`"));
        }
        let lower = text.to_ascii_lowercase();
        let name = lower.strip_suffix('.').unwrap_or(&lower);
        match name.strip_prefix("*.") {
            Some(domain) => {
                check_name(text, domain)?;
                if !domain.contains('.') {
                    return Err(wrong_host(text, "name at least two labels after the star, as in `*.example.org`"));
                }
                Ok(Self::Below(domain.to_owned()))
            }
            None => check_name(text, name).map(|()| Self::Name(name.to_owned())),
        }
    }
}

fn check_name(text: &str, name: &str) -> Result<(), Error> {
    if !name.is_ascii() {
        return Err(wrong_host(text, "write its ASCII form, which starts with `xn--`"));
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() > 253 || !name.split('.').all(label) {
        return Err(wrong_host(text, "write a name such as `api.example.org`"));
    }
    // A URL parser reads a last label of digits, or of `0x` and digits, as an IPv4 address in one
    // of its odd spellings (WHATWG URL, "ends in a number"); a rule in that spelling never matches.
    let last = name.rsplit('.').next().unwrap_or(name);
    if last.bytes().all(|byte| byte.is_ascii_digit()) || last.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        return Err(wrong_host(text, "write an IPv4 address as four decimal numbers, such as `192.0.2.1`"));
    }
    Ok(())
}

fn wrong_host(text: &str, advice: &str) -> Error {
    Error::value(format!("not a host: `{}`; {advice}", shorten(text)))
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Below(domain) => write!(f, "*.{domain}"),
        }
    }
}

impl<'de> Deserialize<'de> for HostPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Which URL paths a rule speaks of. `*` stands for any text within one segment; `**` is a whole
/// segment and stands for any number of segments, at the end for at least one (perhaps empty):
/// `/api/**` means `/api/` and all below it, not `/api`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern(String);

const MAX_PATH_PATTERN: usize = 512;

impl PathPattern {
    /// `/**`: every path, also those that other patterns refuse for their encoding.
    pub fn any() -> Self {
        Self("/**".to_owned())
    }

    /// Whether this is `/**`.
    pub fn is_any(&self) -> bool {
        self.0 == "/**"
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the raw path (still percent-encoded, without query) is meant. A path that another
    /// program might read differently (see [`is_plain_path`]) is matched by `/**` only.
    pub fn matches(&self, path: &str) -> bool {
        self.is_any() && path.starts_with('/')
            || is_plain_path(path) && matches_segments(&self.0, path)
    }
}

/// Whether every server reads this raw path alike: no dot segments, no empty segment in the
/// middle, no backslash, no encoded dot, slash, backslash, percent sign or control character.
pub(crate) fn is_plain_path(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else { return false };
    let printable = path.bytes().all(|byte| (0x21..=0x7e).contains(&byte) && !b"\\?#".contains(&byte));
    // Servers drop `;parameters` before they resolve dot segments, hence the split.
    let dots = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
    printable && !path.contains("//") && !rest.split('/').any(dots) && escapes_are_plain(path.as_bytes())
}

fn escapes_are_plain(path: &[u8]) -> bool {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    path.iter().enumerate().filter(|(_, byte)| **byte == b'%').all(|(at, _)| {
        let value = digit(path.get(at + 1)).zip(digit(path.get(at + 2))).map(|(high, low)| high * 16 + low);
        // 25 is the percent sign: what it hides is read after a second decoding.
        value.is_some_and(|value| value > 0x1f && ![0x25, 0x2e, 0x2f, 0x5c, 0x3b, 0x7f].contains(&value))
    })
}

/// Two-pointer wildcard matching over segments: quadratic at worst, never exponential.
fn matches_segments(pattern: &str, path: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('/').skip(1).collect();
    let path: Vec<&str> = path.split('/').skip(1).collect();
    // At the end `**` needs one segment: the same as a `*` that must match, and then the rest.
    let (pattern, open_end) = match pattern.split_last() {
        Some((&"**", head)) => (head, true),
        _ => (&pattern[..], false),
    };
    let (mut at, mut seen, mut retry) = (0, 0, None);
    loop {
        if at == pattern.len() && (open_end && seen < path.len() || !open_end && seen == path.len()) {
            return true;
        }
        if pattern.get(at) == Some(&"**") {
            at += 1;
            retry = Some((at, seen));
        } else if at < pattern.len() && seen < path.len() && matches_segment(pattern[at], path[seen]) {
            at += 1;
            seen += 1;
        } else if let Some((after, from)) = retry.filter(|(_, from)| *from < path.len()) {
            retry = Some((after, from + 1));
            at = after;
            seen = from + 1;
        } else {
            return false;
        }
    }
}

/// `*` within a segment; everything else must be equal, case included.
fn matches_segment(pattern: &str, segment: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == segment };
    let (middles, tail) = match rest.rsplit_once('*') {
        Some((middles, tail)) => (middles, tail),
        None => ("", rest),
    };
    let Some(mut left) = segment.strip_prefix(head).and_then(|left| left.strip_suffix(tail)) else {
        return false;
    };
    for middle in middles.split('*') {
        let Some(at) = left.find(middle) else { return false };
        left = &left[at + middle.len()..];
    }
    true
}

impl FromStr for PathPattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |advice: &str| Err(Error::value(format!("not a path: `{}`; {advice}", shorten(text))));
        if text.len() > MAX_PATH_PATTERN {
            return wrong("write at most 512 bytes");
        }
        if !is_plain_path(text) {
            return wrong("write it as the URL has it, from the first `/`, without query, spaces, `..`, `//` or encoded dots and slashes, such as `/api/**`");
        }
        if text.split('/').any(|segment| segment.contains("**") && segment != "**") {
            return wrong("`**` must be a whole segment, such as `/api/**`; within a segment write `*`");
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PathPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Which hardware flavors a rule speaks of: a name, or a start followed by `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlavorPattern(String);

impl FlavorPattern {
    /// Whether the flavor of this name is meant.
    pub fn matches(&self, flavor: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(start) => flavor.starts_with(start),
            None => flavor == self.0,
        }
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FlavorPattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let name = text.strip_suffix('*').unwrap_or(text);
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if text.is_empty() || text.len() > 64 || !name.bytes().all(fits) {
            return Err(Error::value(format!(
                "not a flavor: `{}`; write a name such as `a10g-small`, or a start and a star such as `cpu-*`",
                shorten(text)
            )));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for FlavorPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for FlavorPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

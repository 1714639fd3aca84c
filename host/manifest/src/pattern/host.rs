//! Host patterns.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

use crate::error::Error;
use crate::plugin_ref::shorten;

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
            (Self::Below(a), Self::Below(b) | Self::Name(b)) if is_below(b, a) => {
                Some(other.clone())
            }
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
        .is_some_and(|labels| {
            !labels.is_empty() && !labels.starts_with('.') && !labels.ends_with('.')
        })
}

/// The address that a URL host is, in its one canonical spelling.
fn address(host: &str) -> Option<IpAddr> {
    match host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(inner) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => host.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

impl FromStr for HostPattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.strip_prefix("*.").unwrap_or(text).contains('*') {
            return Err(wrong_host(
                text,
                "a star stands only at the start, as in `*.example.org`; every host (`*`) cannot be asked for",
            ));
        }
        if text.contains("://") || text.contains('/') || text.contains('@') {
            return Err(wrong_host(
                text,
                "write the host alone, without scheme, user or path",
            ));
        }
        if let Some(found) = address(text) {
            return Ok(Self::Address(found));
        }
        if text.contains([':', '[', ']']) {
            return Err(wrong_host(
                text,
                "write the port under the key `port`, and an IPv6 address in brackets as `[::1]`",
            ));
        }
        let lower = text.to_ascii_lowercase();
        let name = lower.strip_suffix('.').unwrap_or(&lower);
        match name.strip_prefix("*.") {
            Some(domain) => {
                check_name(text, domain)?;
                if !domain.contains('.') {
                    return Err(wrong_host(
                        text,
                        "name at least two labels after the star, as in `*.example.org`",
                    ));
                }
                Ok(Self::Below(domain.to_owned()))
            }
            None => check_name(text, name).map(|()| Self::Name(name.to_owned())),
        }
    }
}

fn check_name(text: &str, name: &str) -> Result<(), Error> {
    if !name.is_ascii() {
        // Letters of other alphabets look like Latin ones; in ASCII the reader sees which it is.
        return Err(match ascii_form(name) {
            Some(ascii) => wrong_host(text, &format!("write its ASCII form, `{ascii}`")),
            None => wrong_host(text, "it stands for no internet name"),
        });
    }
    if name.split('.').any(|label| label.starts_with("xn--"))
        && ascii_form(name).as_deref() != Some(name)
    {
        return Err(wrong_host(
            text,
            "a part that starts with `xn--` stands for no internet name",
        ));
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() > 253 || !name.split('.').all(label) {
        return Err(wrong_host(text, "write a name such as `api.example.org`"));
    }
    // A URL parser reads a last label of digits, or of `0x` and digits, as an IPv4 address in one
    // of its odd spellings (WHATWG URL, "ends in a number"); a rule in that spelling never matches.
    let last = name.rsplit('.').next().unwrap_or(name);
    if last.bytes().all(|byte| byte.is_ascii_digit())
        || last
            .strip_prefix("0x")
            .is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
    {
        return Err(wrong_host(
            text,
            "write an IPv4 address as four decimal numbers, such as `192.0.2.1`",
        ));
    }
    Ok(())
}

/// The name as every URL parser here has it (UTS 46).
fn ascii_form(name: &str) -> Option<String> {
    match url::Host::parse(name) {
        Ok(url::Host::Domain(ascii)) => Some(ascii),
        _ => None,
    }
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
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

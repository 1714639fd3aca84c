//! Where a plugin's request goes, and what kind of place an address is. Input: the sixteen bytes of an
//! address, the text of a URL.

#![no_main]

use http::Uri;
use libfuzzer_sys::{Corpus, fuzz_target};
use ml_intern_fuzz::assert_showable;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::{Host, Url};

/// What the file names of its crate.
mod egress {
    pub(crate) struct Refusal {
        pub(crate) detail: String,
    }

    impl Refusal {
        pub(crate) fn uri(detail: impl Into<String>) -> Self {
            Self {
                detail: detail.into(),
            }
        }

        pub(crate) fn uri_too_long(detail: impl Into<String>) -> Self {
            Self::uri(detail)
        }

        pub(crate) fn denied(detail: impl Into<String>) -> Self {
            Self::uri(detail)
        }
    }
}

#[path = "../../host/runtime/src/egress/address.rs"]
mod address;
#[allow(dead_code, reason = "the host uses all of it")]
#[path = "../../host/runtime/src/egress/destination.rs"]
mod destination;

use address::{Reach, reach};

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some((octets, text)) = input.split_first_chunk::<16>() else {
        return Corpus::Reject;
    };
    sorts(Ipv6Addr::from(*octets));
    match std::str::from_utf8(text) {
        Ok(text) => goes(text),
        Err(_) => return Corpus::Reject,
    }
    Corpus::Keep
});

/// An IPv4 address is the same place in every form of IPv6 that carries it, and no form opens a way
/// to a place that the address itself does not.
fn sorts(address: Ipv6Addr) {
    let own = reach(IpAddr::V6(address));
    let [.., a, b, c, d] = address.octets();
    let inner = Ipv4Addr::new(a, b, c, d);
    let place = reach(IpAddr::V4(inner));
    let [high, low] = [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])];
    let carriers = [
        inner.to_ipv6_mapped(),
        Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
        Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
    ];
    for carrier in carriers {
        assert_eq!(
            reach(IpAddr::V6(carrier)),
            place,
            "{carrier} carries {inner}"
        );
    }
    if inner.is_loopback() || inner.is_private() || inner.is_link_local() || inner.is_multicast() {
        assert_ne!(place, Reach::Global, "{inner}");
    }
    let local = address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || address.is_unique_local()
        || address.is_unicast_link_local();
    assert!(!local || own != Reach::Global, "{address}");
}

fn goes(text: &str) {
    let Ok(uri) = text.parse::<Uri>() else {
        return;
    };
    assert_showable(&destination::origin_of(&uri));
    assert_showable(&destination::shown(uri.path()));
    let url = match destination::parse(&uri) {
        Ok(url) => url,
        Err(refusal) => return assert_showable(&refusal.detail),
    };
    let authority = uri
        .authority()
        .expect("what is accepted names a host")
        .as_str();
    assert!(!authority.contains('@') && url.username().is_empty() && url.password().is_none());
    let host = url.host_str().expect("what is accepted has a host");
    assert!(
        host.bytes()
            .all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase())
    );
    assert!(!host.ends_with('.'), "{host}");
    match url.host().expect("the same") {
        Host::Domain(domain) => assert!(!is_number(domain), "{domain} is an address elsewhere"),
        Host::Ipv4(address) => assert_eq!(host, address.to_string()),
        Host::Ipv6(address) => assert_eq!(host, format!("[{address}]")),
    }
    assert_eq!(
        Url::parse(url.as_str()).as_ref(),
        Ok(&url),
        "read once is read twice"
    );
    let Some(sent) = destination::to_uri(&url) else {
        return;
    };
    // What is sent is what was matched.
    let again = destination::parse(&sent).unwrap_or_else(|refusal| panic!("{}", refusal.detail));
    assert_eq!(again, url);
    assert_eq!(sent.host(), Some(host));
    assert_eq!(sent.path(), url.path());
    assert_eq!(sent.query(), url.query());
}

/// As `inet_aton` of C takes it: one to four numbers, in any base that C has.
fn is_number(host: &str) -> bool {
    let number = |label: &str| {
        let hex = label.strip_prefix("0x").map(|digits| (digits, 16));
        let (digits, base) = hex.unwrap_or((label, 10));
        (base == 16 || !digits.is_empty()) && digits.chars().all(|digit| digit.is_digit(base))
    };
    host.split('.').count() <= 4 && host.split('.').all(number)
}

//! Which addresses a plugin's request may reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of place an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// Routed on the public internet.
    Global,
    /// This machine or a private network: only where a grant names that very host and port.
    Private,
    /// Never: link-local addresses, where cloud machines serve their own credentials; multicast;
    /// addresses that are not for hosts.
    Never,
}

/// The metadata services of EC2 (AWS documentation "Instance metadata") and of Compute Engine
/// (Google Cloud documentation "VM metadata") over IPv6; they lie in a private range.
const METADATA_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];
/// Those outside 169.254.0.0/16 over IPv4: Alibaba Cloud, Oracle Cloud, and what Azure serves its
/// machines' agents from, which is a public address (Microsoft documentation "168.63.129.16").
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
    Ipv4Addr::new(168, 63, 129, 16),
];

/// Sorts an address, after taking IPv4 out of every form of IPv6 that carries it. The ranges are
/// those of the IANA special-purpose address registries (RFC 6890), as of 2026.
pub(crate) fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(address) => reach_v4(address),
        IpAddr::V6(address) => match (embedded_v4(address), isatap_v4(address)) {
            (Some(inner), _) => reach_v4(inner),
            // Its prefix says where the tunnel begins, its end where that leads.
            (None, Some(inner)) => reach_v6(address).max(reach_v4(inner)),
            (None, None) => reach_v6(address),
        },
    }
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    let [a, b, c, _] = address.octets();
    if METADATA_V4.contains(&address) {
        return Reach::Never;
    }
    match (a, b, c) {
        (169, 254, _) | (0, _, _) | (224..=255, _, _) => Reach::Never,
        (127 | 10, _, _) | (172, 16..=31, _) | (192, 168, _) => Reach::Private,
        (100, 64..=127, _) => Reach::Private,
        // Protocol assignments, documentation, former 6to4 relays, AS112, benchmarks.
        (192, 0, 0 | 2) | (192, 88, 99) | (192, 31, 196) | (192, 52, 193) | (192, 175, 48) => {
            Reach::Never
        }
        (198, 51, 100) | (203, 0, 113) => Reach::Never,
        (198, 18..=19, _) => Reach::Private,
        _ => Reach::Global,
    }
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    let segments = address.segments();
    if METADATA_V6.contains(&address) {
        return Reach::Never;
    }
    if address.is_loopback() {
        return Reach::Private;
    }
    match segments[0] {
        // Unique local addresses.
        0xfc00..=0xfdff => Reach::Private,
        // Protocol assignments (Teredo, ORCHID, benchmarks) and documentation.
        0x2001 if segments[1] < 0x200 || segments[1] == 0xdb8 => Reach::Never,
        0x3fff if segments[1] < 0x1000 => Reach::Never,
        0x2000..=0x3fff => Reach::Global,
        _ => Reach::Never,
    }
}

/// The IPv4 address within an IPv6 one: mapped, compatible, translated (NAT64, also the local-use
/// prefix of RFC 8215, and `::ffff:0:0`) or 6to4.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let segments = address.segments();
    let last = join(segments[6], segments[7]);
    match segments {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => Some(last),
        [0, 0, 0, 0, 0, 0, high, _] if high != 0 => Some(last),
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(last),
        // The prefix may be shorter than 96 bits, so that the address stands elsewhere.
        [0x64, 0xff9b, 1, ..] => Some(Ipv4Addr::UNSPECIFIED),
        [0x2002, high, low, ..] => Some(join(high, low)),
        _ => None,
    }
}

/// The IPv4 address at the end of an ISATAP one (RFC 5214, section 6.1), below any prefix.
fn isatap_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [.., 0 | 0x200, 0x5efe, high, low] => Some(join(high, low)),
        _ => None,
    }
}

fn join(high: u16, low: u16) -> Ipv4Addr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reach_of: Reach, addresses: &[&str]) {
        for address in addresses {
            assert_eq!(reach(address.parse().unwrap()), reach_of, "{address}");
        }
    }

    #[test]
    fn public_addresses_are_global_in_every_form() {
        check(
            Reach::Global,
            &[
                "1.1.1.1",
                "172.32.0.1",
                "100.128.0.1",
                "192.0.1.1",
                "198.20.0.1",
                "223.255.255.255",
            ],
        );
        check(
            Reach::Global,
            &[
                "2606:4700::1",
                "2a00:1450::1",
                "::ffff:1.1.1.1",
                "64:ff9b::101:101",
                "2002:101:101::1",
                "2a00:1450::5efe:101:101",
            ],
        );
    }

    #[test]
    fn private_addresses_are_private_in_every_form() {
        check(
            Reach::Private,
            &[
                "127.0.0.1",
                "127.9.9.9",
                "10.0.0.1",
                "172.16.0.1",
                "172.31.255.255",
                "192.168.1.1",
                "100.64.0.1",
                "198.18.0.1",
            ],
        );
        check(
            Reach::Private,
            &[
                "::1",
                "fd12::1",
                "::ffff:127.0.0.1",
                "::ffff:10.0.0.1",
                "::127.0.0.1",
                "64:ff9b::7f00:1",
                "2002:a00:1::1",
                "::ffff:0:10.0.0.1",
                "2a00:1450::5efe:10.0.0.1",
                "2a00:1450::200:5efe:7f00:1",
                "fd12::5efe:101:101",
            ],
        );
    }

    #[test]
    fn metadata_and_special_addresses_are_never_reached() {
        check(
            Reach::Never,
            &[
                "169.254.169.254",
                "::ffff:169.254.169.254",
                "64:ff9b::a9fe:a9fe",
                "2002:a9fe:a9fe::",
                "fd00:ec2::254",
                "100.100.100.200",
                "::ffff:100.100.100.200",
                "fd20:ce::254",
                "168.63.129.16",
                "::ffff:168.63.129.16",
                "2a00:1450::5efe:169.254.169.254",
                "fe80::5efe:101:101",
            ],
        );
        check(
            Reach::Never,
            &[
                "0.0.0.0",
                "0.1.2.3",
                "224.0.0.1",
                "240.0.0.1",
                "255.255.255.255",
                "192.0.0.1",
                "192.0.0.192",
                "192.0.2.1",
                "203.0.113.1",
            ],
        );
        check(
            Reach::Never,
            &[
                "::",
                "fe80::1",
                "fec0::1",
                "ff02::1",
                "2001:db8::1",
                "2001::1",
                // Teredo, with a public address in it.
                "2001:0:4136:e378:8000:63bf:3fff:fdd2",
                "64:ff9b:1::1",
                "100::1",
                "5f00::1",
            ],
        );
    }
}

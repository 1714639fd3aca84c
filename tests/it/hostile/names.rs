//! Cases 33, 34 and 39 to 41: names that look like others, and names that lead where they should
//! not. Each runs in a network of its own, with a name server that lies and with addresses that
//! are public everywhere else: this test program starts itself again inside user, network and mount
//! namespaces, where nothing but its own servers can be reached.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::UdpSocket;

use crate::support::guests::Installed;

use super::network::{attacker, denied, passes, request};
use super::wire::{Wire, ok, place};

/// The address that is public to the host. Its packets leave from another address of the
/// namespace: a connection from the own address to itself is none to the internet.
const PUBLIC: &str = "11.0.0.1";

const SETUP: &str = r#"
set -e
PATH=/usr/sbin:/sbin:$PATH
ip link set lo up
ip addr add 10.9.9.9/32 dev lo
ip addr add 11.0.0.1/32 dev lo
ip route replace local 11.0.0.1 dev lo table local src 10.9.9.9
mount -t tmpfs none /mnt
echo "nameserver 127.0.0.1" > /mnt/resolv.conf
echo "hosts: files dns" > /mnt/nsswitch.conf
mount --bind /mnt/resolv.conf /etc/resolv.conf
mount --bind /mnt/nsswitch.conf /etc/nsswitch.conf
exec "$0" "$@"
"#;

/// Runs the ignored test `inside::NAME` of this module in namespaces.
async fn in_namespaces(name: &str) {
    let test = format!("hostile::names::inside::{name}");
    let output = tokio::process::Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--net",
            "--mount",
            "sh",
            "-c",
            SETUP,
        ])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            &test,
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(std::time::Duration::from_secs(120), output).await;
    let output = output.expect("it ends").expect("unshare is there");
    let told = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("1 passed"), "{told}");
}

macro_rules! cases {
    ($($case:ident)*) => {
        $(#[tokio::test]
        async fn $case() {
            in_namespaces(stringify!($case)).await;
        })*

        /// What runs in the namespaces.
        mod inside {
            $(#[tokio::test]
            #[ignore = "runs in namespaces, started by its namesake"]
            async fn $case() {
                super::cases::$case().await;
            })*
        }
    };
}
cases! {
    case_33_names_that_look_like_a_granted_one_are_refused
    case_34_a_user_name_that_looks_like_a_host_is_refused
    case_39_a_name_that_leads_to_a_private_or_special_address_is_refused
    case_40_a_name_that_changes_between_check_and_connection_gains_nothing
    case_41_of_mixed_answers_only_the_public_ones_are_used
}

/// A name server for the namespace; `answer` gets the name and how often it was asked for.
async fn name_server(answer: impl Fn(&str, usize) -> Vec<IpAddr> + Send + 'static) {
    let socket = UdpSocket::bind("127.0.0.1:53").await.unwrap();
    tokio::spawn(async move {
        let asked = AtomicUsize::new(0);
        let mut packet = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut packet).await {
            let reply = reply(&packet[..length], |name| {
                answer(name, asked.fetch_add(1, Ordering::SeqCst))
            });
            socket.send_to(&reply, from).await.unwrap();
        }
    });
}

/// The answer to a query with one question (RFC 1035, section 4): for A what `answer` says of
/// IPv4, for AAAA what it says of IPv6; it is asked once, for A.
fn reply(query: &[u8], answer: impl Fn(&str) -> Vec<IpAddr>) -> Vec<u8> {
    let (mut name, mut at) = (Vec::new(), 12);
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        name.push(String::from_utf8_lossy(&query[at + 1..end]).to_ascii_lowercase());
        at = end;
    }
    let kind = query[at + 2];
    let found = answer(&name.join("."));
    let records: Vec<Vec<u8>> = found
        .into_iter()
        .filter_map(|address| match (kind, address) {
            (1, IpAddr::V4(address)) => Some(address.octets().to_vec()),
            (28, IpAddr::V6(address)) => Some(address.octets().to_vec()),
            _ => None,
        })
        .collect();
    let mut reply = query[..2].to_vec();
    reply.extend([0x85, 0x80, 0, 1, 0, records.len() as u8, 0, 0, 0, 0]);
    reply.extend(&query[12..at + 5]);
    for record in records {
        // A pointer to the question's name, class IN, kept for no time.
        reply.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 0, 0, record.len() as u8]);
        reply.extend(record);
    }
    reply
}

/// A server at every IPv4 address of the namespace, on port 80.
async fn web() -> Wire {
    Wire::start_at("0.0.0.0:80", |_| ok("connection: close\r\n", "hello")).await
}

/// The attacker with rules for public places: port 80 is not named.
fn public(hosts: &[&str], target: &Wire) -> Installed {
    let rule = |host: &&str| format!("host = \"{host}\", scheme = \"http\"");
    attacker(target, &hosts.iter().map(rule).collect::<Vec<_>>())
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn at(wire: &Wire) -> Vec<String> {
    let seen = wire.seen();
    seen.iter().map(|seen| seen.at.to_string()).collect()
}

/// The cases themselves.
mod cases {
    use super::*;

    pub(super) async fn case_33_names_that_look_like_a_granted_one_are_refused() {
        name_server(|_, _| addresses(&[PUBLIC])).await;
        let (web, target) = (web().await, Wire::start(|_| ok("", "hello")).await);
        let like = [
            "granted.test.evil.test",
            "evilgranted.test",
            "granted.tes",
            "www.granted.test",
            "granted-test",
            "xn--grnted-sta.test",
            "granted.test.",
        ];
        let url = |host: &str| format!("http://{host}/x");
        // The last one is another spelling of the granted name.
        let attack = |host: &&str| (request(url(host)), &[][..]);
        let attacks = like[..6].iter().map(attack).collect();
        denied(public(&["granted.test"], &target), attacks).await;
        let below = vec![
            (request(url("below.test")), &[][..]),
            (request(url("evilbelow.test")), &[]),
        ];
        denied(public(&["*.below.test"], &target), below).await;
        assert!(web.seen().is_empty());
        let calls = vec![
            request(url("granted.test")),
            request(url(like[6])),
            request(url("GRANTED.Test")),
        ];
        passes(public(&["granted.test"], &target), calls).await;
        let calls = like[..2].iter().map(|host| request(url(host))).collect();
        passes(public(&like[..2], &target), calls).await;
        let hosts: Vec<String> = web
            .seen()
            .iter()
            .map(|seen| seen.header("host").unwrap().to_owned())
            .collect();
        assert_eq!(
            hosts,
            [
                "granted.test",
                "granted.test",
                "granted.test",
                like[0],
                like[1]
            ]
        );
    }

    pub(super) async fn case_34_a_user_name_that_looks_like_a_host_is_refused() {
        name_server(|_, _| addresses(&[PUBLIC])).await;
        let (web, target) = (web().await, Wire::start(|_| ok("", "hello")).await);
        let urls = [
            "http://granted.test@evil.test/x",
            "http://granted.test:80@evil.test/x",
            "http://evil.test@granted.test/x",
            "http://:@granted.test/x",
        ];
        let attacks = urls.map(|url| (request(url), &["a user name in a URL"][..]));
        denied(public(&["granted.test"], &target), attacks.into()).await;
        assert!(web.seen().is_empty());
        passes(
            public(&["evil.test"], &target),
            vec![request("http://evil.test/x")],
        )
        .await;
        assert_eq!(web.seen()[0].header("host"), Some("evil.test"));
    }

    pub(super) async fn case_39_a_name_that_leads_to_a_private_or_special_address_is_refused() {
        let places = [
            ("loopback", "127.0.0.1"),
            ("private", "10.9.9.9"),
            ("metadata", "169.254.169.254"),
            ("shared", "100.64.0.1"),
            ("unique-local", "fd00::1"),
            ("loopback-v6", "::1"),
            ("mapped", "::ffff:127.0.0.1"),
            ("translated", "64:ff9b::7f00:1"),
            ("nowhere", "0.0.0.0"),
        ];
        name_server(move |name, _| {
            let own = name.strip_suffix(".names.test").unwrap_or(name);
            let place = places.iter().find(|(label, _)| *label == own);
            addresses(&[place.map_or(PUBLIC, |(_, address)| *address)])
        })
        .await;
        let (web, target) = (web().await, Wire::start(|_| ok("", "hello")).await);
        let attack = |(label, _): &(&str, &str)| {
            let url = format!("http://{label}.names.test/x");
            (
                request(url),
                &["resolves to no address that plugins may reach"][..],
            )
        };
        let attacks = places.iter().map(attack).collect();
        denied(public(&["*.names.test"], &target), attacks).await;
        assert!(web.seen().is_empty());
        passes(
            public(&["*.names.test"], &target),
            vec![request("http://a.names.test/x")],
        )
        .await;
        // Where the very place is granted with its port, the user means the private address.
        let named = attacker(
            &target,
            &[
                place("loopback.names.test", 80),
                place("private.names.test", 80),
            ],
        );
        let calls =
            ["loopback", "private"].map(|label| request(format!("http://{label}.names.test/x")));
        passes(named, calls.into()).await;
        assert_eq!(at(&web), [PUBLIC, "127.0.0.1", "10.9.9.9"]);
        let metadata = attacker(&target, &[place("metadata.names.test", 80)]);
        let attack = vec![(
            request("http://metadata.names.test/x"),
            &["never allowed"][..],
        )];
        denied(metadata, attack).await;
    }

    pub(super) async fn case_40_a_name_that_changes_between_check_and_connection_gains_nothing() {
        // Public for the first question and private ever after: one look-up more than the host
        // makes for a connection would lead it there.
        name_server(|_, asked| match asked {
            0 | 1 => addresses(&[PUBLIC]),
            _ => addresses(&["127.0.0.1"]),
        })
        .await;
        let (web, target) = (web().await, Wire::start(|_| ok("", "hello")).await);
        let call = || request("http://a.names.test/x");
        let attacked = super::super::support::attack(
            super::super::support::home(&[public(&["*.names.test"], &target)]).await,
            [call(), call()],
        )
        .await;
        attacked.attacks[0].check("ok", &["200 hello"]);
        attacked.attacks[1].check("denied", &["resolves to no address"]);
        assert_eq!(at(&web), [PUBLIC]);
        let named = attacker(&target, &[place("a.names.test", 80)]);
        passes(named, vec![call()]).await;
        assert_eq!(at(&web), [PUBLIC, "127.0.0.1"]);
    }

    pub(super) async fn case_41_of_mixed_answers_only_the_public_ones_are_used() {
        name_server(|name, _| match name.starts_with('a') {
            true => addresses(&["127.0.0.1", "10.9.9.9", PUBLIC, "::1"]),
            false => addresses(&[PUBLIC, "169.254.169.254", "127.0.0.1"]),
        })
        .await;
        let (web, target) = (web().await, Wire::start(|_| ok("", "hello")).await);
        let calls = || ["a", "b"].map(|label| request(format!("http://{label}.names.test/x")));
        passes(public(&["*.names.test"], &target), calls().into()).await;
        assert_eq!(at(&web), [PUBLIC, PUBLIC]);
        // The private ones were there to be taken.
        let private: IpAddr = Ipv4Addr::LOCALHOST.into();
        tokio::net::TcpStream::connect((private, 80)).await.unwrap();
    }
}

//! Places on the network that native programs and jobs may reach, through the host's proxy.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::error::{Denial, Error};
use crate::grant::effective::{Held, port, toml_string};
use crate::grant::request::few;
use crate::pattern::HostPattern;
use crate::plugin_ref::shorten;

/// Ports of a place that names none.
const WEB: [u16; 2] = [80, 443];

/// What programs may reach, as written: `packages.test`, `*.hf.co`, `127.0.0.1:8080`, `public`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkPlace {
    /// `public`: every public host on the ports of the web.
    Public,
    /// `named`, in a request only: every host that the user names with its port, on private
    /// networks and this machine too.
    Named,
    /// A host, or every host below a domain.
    Host {
        /// Which.
        host: HostPattern,
        /// On this port; on 80 and 443 without it.
        port: Option<u16>,
    },
}

impl NetworkPlace {
    /// Whether a connection to `host`, as a URL parser returns it, is meant.
    fn matches(&self, host: &str, port: u16) -> bool {
        match self {
            Self::Public => WEB.contains(&port),
            Self::Named => true,
            Self::Host {
                host: own,
                port: on,
            } => own.matches(host) && on.map_or(WEB.contains(&port), |on| on == port),
        }
    }

    /// Whether the place may be on a private network: the user named one host and its port.
    fn is_exact(&self) -> bool {
        match self {
            Self::Public => false,
            Self::Named => true,
            Self::Host { host, port } => host.is_exact() && port.is_some(),
        }
    }

    /// Whether everything that `self` means is among what `wider` means.
    fn is_within(&self, wider: &Self) -> bool {
        match (self, wider) {
            (Self::Host { host, port }, Self::Public) => {
                port.is_none_or(|port| WEB.contains(&port)) && !host.is_loopback()
            }
            (place, Self::Named) => place.is_exact(),
            (
                Self::Host { host, port },
                Self::Host {
                    host: wide,
                    port: on,
                },
            ) => {
                host.intersect(wide).as_ref() == Some(host)
                    && (port == on || on.is_none() && port.is_some_and(|port| WEB.contains(&port)))
            }
            (place, wider) => place == wider,
        }
    }
}

impl FromStr for NetworkPlace {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "public" => return Ok(Self::Public),
            "named" => return Ok(Self::Named),
            "*" => {
                return Err(Error::value(
                    "not a place: `*`; `public` is every public host on the ports 80 and 443",
                ));
            }
            _ => {}
        }
        // An IPv6 address holds colons, but only within its brackets.
        let colon = text.rfind(':').filter(|at| !text[*at..].contains(']'));
        let (host, port) = match colon {
            None => (text, None),
            Some(at) => {
                let port = port(&text[at + 1..]).ok_or_else(|| {
                    Error::value(format!(
                        "not a place: `{}`; write a host, or a host and a port such as `localhost:8080`",
                        shorten(text)
                    ))
                })?;
                (&text[..at], Some(port))
            }
        };
        let host: HostPattern = host.parse()?;
        Ok(Self::Host { host, port })
    }
}

impl fmt::Display for NetworkPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public => f.write_str("public"),
            Self::Named => f.write_str("named"),
            Self::Host { host, port: None } => host.fmt(f),
            Self::Host {
                host,
                port: Some(port),
            } => write!(f, "{host}:{port}"),
        }
    }
}

impl<'de> Deserialize<'de> for NetworkPlace {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

/// Places of a request.
pub(crate) fn requested<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<NetworkPlace>, D::Error> {
    few(deserializer)
}

/// Places of a grant.
pub(crate) fn granted<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<NetworkPlace>, D::Error> {
    let places: Vec<NetworkPlace> = few(deserializer)?;
    if places.contains(&NetworkPlace::Named) {
        return Err(de::Error::custom(
            "`named` is a plugin's to ask for; name the hosts with their ports, such as `localhost:8080`",
        ));
    }
    Ok(places)
}

/// What the programs or the jobs of one plugin may reach.
#[derive(Debug, Clone)]
pub struct NetworkRules {
    requested: Vec<NetworkPlace>,
    granted: Vec<NetworkPlace>,
    kind: Kind,
    held: Held,
}

/// Whose connections the rules are about: the key of the grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Process,
    Jobs,
}

/// Why a connection is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkRule {
    /// The rule in the words in which it was granted.
    pub text: String,
    /// Whether the address may be on a private network or this machine.
    pub private_ok: bool,
}

/// The rules as text, for a process that outlives the session.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    section: String,
    kind: Kind,
    requested: Vec<String>,
    granted: Vec<String>,
}

impl NetworkRules {
    pub(super) fn new(
        requested: Vec<NetworkPlace>,
        granted: Vec<NetworkPlace>,
        kind: Kind,
        held: Held,
    ) -> Self {
        Self {
            requested,
            granted,
            kind,
            held,
        }
    }

    /// The table of the run manifest that holds the plugin.
    pub fn section(&self) -> &str {
        &self.held.section
    }

    /// Whether anything at all may be reached.
    pub fn is_granted(&self) -> bool {
        self.effective().next().is_some()
    }

    /// Granted places that the plugin asks for.
    fn effective(&self) -> impl Iterator<Item = &NetworkPlace> {
        self.granted
            .iter()
            .filter(|place| self.requested.iter().any(|wider| overlap(place, wider)))
    }

    /// Whether a program may connect to `host`, as a URL parser returns it.
    ///
    /// # Errors
    /// What would allow it.
    pub fn check(&self, host: &str, port: u16) -> Result<NetworkRule, Denial> {
        let matching = |places: &[NetworkPlace]| {
            let found = places.iter().filter(|place| place.matches(host, port));
            let found: Vec<NetworkPlace> = found.cloned().collect();
            // The most exact rule says the most about what the user meant.
            let exact = found.iter().find(|place| place.is_exact());
            exact.or(found.first()).cloned()
        };
        let (granted, requested) = (matching(&self.granted), matching(&self.requested));
        if let (Some(granted), Some(requested)) = (&granted, &requested)
            // A name in `named` alone has to be one that the user gave a port.
            && (*requested != NetworkPlace::Named || granted.is_exact() || self.asks_public(port))
        {
            return Ok(NetworkRule {
                text: format!("network {granted}"),
                private_ok: granted.is_exact() && requested.is_exact(),
            });
        }
        Err(self.denial(host, port, requested.is_some()))
    }

    fn asks_public(&self, port: u16) -> bool {
        self.requested.contains(&NetworkPlace::Public) && WEB.contains(&port)
    }

    /// How to allow a connection that the rules do not.
    pub fn denial(&self, host: &str, port: u16, asked: bool) -> Denial {
        let who = match self.kind {
            Kind::Process => "program",
            Kind::Jobs => "job",
        };
        let wanted = format!("a connection of a {who} to `{}:{port}`", shorten(host));
        let place = if WEB.contains(&port) {
            shorten(host)
        } else {
            format!("{}:{port}", shorten(host))
        };
        let detail = if asked {
            format!("{wanted} is not granted; {}", self.advice(&place))
        } else {
            format!(
                "{wanted} is not among what the plugin asks for; its author can ask in plugin.toml with: [request.{}] network = [{}]",
                self.key(),
                toml_string(&place)
            )
        };
        Denial {
            capability: "network",
            detail,
        }
    }

    /// The command and the line that grant `place`.
    pub fn advice(&self, place: &str) -> String {
        let name = self.held.section.rsplit('.').next().unwrap_or_default();
        let mut places: Vec<String> = self.granted.iter().map(ToString::to_string).collect();
        places.push(place.to_owned());
        let places: Vec<String> = places.iter().map(|place| toml_string(place)).collect();
        let line = format!("{} = {{ network = [{}] }}", self.key(), places.join(", "));
        format!(
            "allow it with `ml-intern plugin grant {name} --network {place}`, which adds to ml-intern.toml: {}",
            self.held.grant_line(&line)
        )
    }

    fn key(&self) -> &'static str {
        match self.kind {
            Kind::Process => "process",
            Kind::Jobs => "jobs",
        }
    }

    /// Names of the loopback address by which programs reach each other. One that the user
    /// granted with a port of this machine is reached by the proxy instead.
    pub fn own_names(&self) -> Vec<String> {
        ["localhost", "127.0.0.1", "[::1]"]
            .into_iter()
            .filter(|name| {
                !self.effective().any(
                    |place| matches!(place, NetworkPlace::Host { host, .. } if host.matches(name)),
                )
            })
            .map(|name| name.trim_matches(['[', ']']).to_owned())
            .collect()
    }

    pub(super) fn and(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.granted.retain(|place| other.granted.contains(place));
        both
    }

    pub(super) fn describe(&self) -> Option<String> {
        let places: Vec<String> = self.effective().map(ToString::to_string).collect();
        let who = match self.kind {
            Kind::Process => "programs",
            Kind::Jobs => "jobs",
        };
        (!places.is_empty()).then(|| format!("lets {who} reach: {}", places.join(", ")))
    }

    /// The rules as text, for another process of the host.
    pub fn to_text(&self) -> String {
        let texts = |places: &[NetworkPlace]| places.iter().map(ToString::to_string).collect();
        let written = Written {
            section: self.held.section.to_string(),
            kind: self.kind,
            requested: texts(&self.requested),
            granted: texts(&self.granted),
        };
        toml::to_string(&written).expect("strings and lists of them")
    }

    /// Reads what [`Self::to_text`] wrote.
    ///
    /// # Errors
    /// It is something else.
    pub fn from_text(text: &str) -> Result<Self, Error> {
        let written: Written =
            toml::from_str(text).map_err(|error| Error::value(error.message()))?;
        let places = |texts: &[String]| -> Result<Vec<NetworkPlace>, Error> {
            texts.iter().map(|text| text.parse()).collect()
        };
        Ok(Self {
            requested: places(&written.requested)?,
            granted: places(&written.granted)?,
            kind: written.kind,
            held: Held {
                section: written.section.into(),
                read_only: false,
            },
        })
    }
}

/// Whether a granted place and a requested one have anything in common.
fn overlap(granted: &NetworkPlace, requested: &NetworkPlace) -> bool {
    match (granted, requested) {
        (NetworkPlace::Public, NetworkPlace::Host { port, .. }) => {
            port.is_none_or(|port| WEB.contains(&port))
        }
        (NetworkPlace::Host { host, .. }, NetworkPlace::Host { host: wider, .. }) => {
            host.intersect(wider).is_some()
                && (granted.is_within(requested) || requested.is_within(granted))
        }
        (granted, requested) => granted.is_within(requested),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(requested: &[&str], granted: &[&str]) -> NetworkRules {
        let places = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let held = Held {
            section: "plugins.shell".into(),
            read_only: false,
        };
        NetworkRules::new(places(requested), places(granted), Kind::Process, held)
    }

    #[test]
    fn places_are_read_and_written_alike() {
        for text in [
            "public",
            "packages.test",
            "*.hf.co",
            "localhost:80",
            "[::1]:8080",
            "10.0.0.1",
        ] {
            assert_eq!(text.parse::<NetworkPlace>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "*",
            "https://a.org",
            "a.org:",
            "a.org:x",
            "a.org:0",
            "a.org/x",
            "0x7f.1",
        ] {
            assert!(text.parse::<NetworkPlace>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_connection_needs_both_and_the_ports_of_the_web_unless_named() {
        let rules = rules(
            &["public", "named"],
            &["packages.test", "*.hf.co", "db.test:5432"],
        );
        for (host, port) in [
            ("packages.test", 443),
            ("packages.test", 80),
            ("cdn.hf.co", 443),
        ] {
            let rule = rules.check(host, port).unwrap();
            assert!(!rule.private_ok, "{host}");
        }
        assert!(rules.check("db.test", 5432).unwrap().private_ok);
        for (host, port) in [
            ("packages.test", 22),
            ("hf.co", 443),
            ("db.test", 443),
            ("evil-packages.test", 443),
            ("127.0.0.1", 80),
        ] {
            assert!(rules.check(host, port).is_err(), "{host}:{port}");
        }
    }

    #[test]
    fn what_is_not_asked_for_cannot_be_granted() {
        let narrow = rules(&["packages.test"], &["public", "localhost:8000"]);
        assert!(narrow.check("packages.test", 443).is_ok());
        for (host, port) in [("example.org", 443), ("localhost", 8000)] {
            let denial = narrow.check(host, port).unwrap_err();
            assert!(denial.detail.contains("author can ask"), "{denial:?}");
        }
        let public = rules(&["public"], &["localhost:80", "10.0.0.1:443"]);
        // Asked for as public places only: their addresses are vetted as such.
        assert!(!public.check("localhost", 80).unwrap().private_ok);
        assert!(
            rules(&["named"], &["packages.test"])
                .check("packages.test", 443)
                .is_err()
        );
        assert!(!rules(&["public"], &[]).is_granted());
        assert!(!rules(&[], &["public"]).is_granted());
        assert!(rules(&["public", "named"], &["localhost:8000"]).is_granted());
    }

    #[test]
    fn a_denial_names_the_command_and_the_line() {
        let rules = rules(&["public", "named"], &["packages.test"]);
        let denial = rules.check("hf.co", 443).unwrap_err();
        assert_eq!(denial.capability, "network");
        assert_eq!(
            denial.detail,
            "a connection of a program to `hf.co:443` is not granted; allow it with `ml-intern plugin grant shell --network hf.co`, which adds to ml-intern.toml: [plugins.shell.grant] process = { network = [\"packages.test\", \"hf.co\"] }"
        );
        let denial = rules.check("127.0.0.1", 8000).unwrap_err();
        assert!(denial.detail.contains("--network 127.0.0.1:8000`"));
    }

    #[test]
    fn a_granted_name_of_this_machine_goes_to_the_proxy() {
        let own = |granted: &[&str]| rules(&["public", "named"], granted).own_names();
        assert_eq!(own(&[]), ["localhost", "127.0.0.1", "::1"]);
        assert_eq!(own(&["127.0.0.1:8000"]), ["localhost", "::1"]);
        assert_eq!(own(&["[::1]:8000"]), ["localhost", "127.0.0.1"]);
    }

    #[test]
    fn rules_survive_as_text_and_narrow_with_the_grant() {
        let wide = rules(&["public", "named"], &["packages.test", "localhost:8000"]);
        let again = NetworkRules::from_text(&wide.to_text()).unwrap();
        assert_eq!(again.to_text(), wide.to_text());
        assert!(again.check("localhost", 8000).unwrap().private_ok);
        assert!(NetworkRules::from_text("x = 1").is_err());
        let both = wide.and(&rules(&["public"], &["packages.test"]));
        assert!(both.check("packages.test", 443).is_ok());
        assert!(both.check("localhost", 8000).is_err());
    }
}

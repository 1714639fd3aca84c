//! Who the user is at a registry, from the files that the container tools and the wasm package tools keep.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use wasm_pkg_common::config::Config;
use zeroize::Zeroizing;

/// A name and a password, or what stands for both.
#[derive(Clone)]
pub enum Login {
    /// Name and password.
    Password(String, Zeroizing<String>),
    /// A token that the registry's login service takes for new ones.
    Refresh(Zeroizing<String>),
    /// A token that the registry itself takes.
    Bearer(Zeroizing<String>),
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Login")
    }
}

/// The user's configuration of registries.
#[derive(Debug, Clone, Default)]
pub struct Logins {
    /// That of the wasm package tools.
    wasm: Option<Config>,
    /// Certificates in PEM that it adds to the usual ones.
    roots: Vec<String>,
    /// Hosts that are asked in place of others.
    pub mirrors: BTreeMap<String, String>,
    /// Whether the login files of the container tools are looked into.
    pub files: bool,
}

/// What the wasm package tools keep for a registry.
#[derive(Debug, Default, Deserialize)]
struct Kept {
    #[serde(default)]
    protocol: Option<String>,
    #[serde(default)]
    auth: Option<Auth>,
    #[serde(default)]
    extra_root_certificates: Vec<Certificate>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Auth {
    /// `user:password` in base64.
    Joined(String),
    Parts {
        username: String,
        password: String,
    },
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Auth")
    }
}

/// The same by registry, to find certificates in.
#[derive(Debug, Deserialize)]
struct Tables {
    #[serde(default)]
    registry: BTreeMap<String, Table>,
}

#[derive(Debug, Deserialize)]
struct Table {
    #[serde(default)]
    oci: Option<Kept>,
}

#[derive(Debug, Deserialize)]
struct Certificate {
    encoding: String,
    data: String,
}

impl Logins {
    /// The host that is asked in place of `registry`: itself, unless there is a mirror.
    pub fn mirror<'a>(&'a self, registry: &'a str) -> &'a str {
        self.mirrors.get(registry).map_or(registry, String::as_str)
    }

    /// Registries of this machine speak plain HTTP, as for the container tools, and others where the configuration
    /// of the wasm package tools says so.
    pub(crate) fn scheme(&self, host: &str) -> &'static str {
        match self.kept(host).protocol.as_deref() {
            Some("http") => "http",
            Some(_) => "https",
            None if is_this_machine(host) => "http",
            None => "https",
        }
    }

    /// Reads the configuration of the wasm package tools, over what these tools know by themselves.
    ///
    /// # Errors
    /// Where the text is no such configuration; in words.
    pub fn read_wasm(&mut self, text: &str) -> Result<(), String> {
        let config = Config::from_toml(text).map_err(|error| error.to_string())?;
        let tables = toml::from_str::<Tables>(text).map_err(|error| error.message().to_owned())?;
        let kept = tables.registry.into_values().filter_map(|one| one.oci);
        let roots = kept.flat_map(|kept| kept.extra_root_certificates);
        let pem = roots.filter(|one| one.encoding.eq_ignore_ascii_case("pem"));
        self.roots.extend(pem.map(|one| one.data));
        self.wasm.get_or_insert_with(Config::empty).merge(config);
        Ok(())
    }

    /// The configuration of the wasm package tools.
    pub(crate) fn wasm(&self) -> Option<&Config> {
        self.wasm.as_ref()
    }

    /// Certificates in PEM that the configuration adds to the usual ones.
    pub fn roots(&self) -> &[String] {
        &self.roots
    }

    /// The login for a host, if there is one: of the wasm package tools, else of docker, else of podman.
    pub(crate) async fn find(&self, host: &str) -> Option<Login> {
        if let Some(login) = self.kept(host).auth.and_then(login) {
            return Some(login);
        }
        if !self.files {
            return None;
        }
        let server = match host {
            "docker.io" | "index.docker.io" | "registry-1.docker.io" => {
                "https://index.docker.io/v1/".to_owned()
            }
            host => host.to_owned(),
        };
        // A helper program may be asked, which takes its time.
        let found = tokio::task::spawn_blocking(move || {
            docker_credential::get_credential(&server)
                .or_else(|_| docker_credential::get_podman_credential(&server))
                .ok()
        });
        Some(match found.await.ok()?? {
            docker_credential::DockerCredential::UsernamePassword(name, password) => {
                Login::Password(name, Zeroizing::new(password))
            }
            docker_credential::DockerCredential::IdentityToken(token) => {
                Login::Refresh(Zeroizing::new(token))
            }
        })
    }

    fn kept(&self, host: &str) -> Kept {
        let kept = || {
            let registry = host.parse().ok()?;
            let config = self.wasm.as_ref()?.registry_config(&registry)?;
            config.backend_config::<Kept>("oci").ok()?
        };
        kept().unwrap_or_default()
    }
}

fn login(auth: Auth) -> Option<Login> {
    match auth {
        Auth::Parts { username, password } => {
            Some(Login::Password(username, Zeroizing::new(password)))
        }
        Auth::Joined(text) => {
            let text = Zeroizing::new(STANDARD.decode(text.trim()).ok()?);
            let (name, password) = std::str::from_utf8(&text).ok()?.split_once(':')?;
            Some(Login::Password(
                name.to_owned(),
                Zeroizing::new(password.to_owned()),
            ))
        }
    }
}

/// Whether a host with or without a port is this machine.
pub(super) fn is_this_machine(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name == "localhost"
        || name
            .parse::<std::net::Ipv4Addr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logins(text: &str) -> Logins {
        let mut logins = Logins::default();
        logins.read_wasm(text).unwrap();
        logins
    }

    #[tokio::test]
    async fn the_configuration_of_the_package_tools_is_read() {
        let logins = logins(
            "[registry.\"a.example:5000\".oci]\nprotocol = \"http\"\nauth = { username = \"u\", password = \"p\" }\n\
             [registry.\"b.example\".oci]\nauth = \"dTpw\"\nextra_root_certificates = [{ encoding = \"pem\", data = \"X\" }]\n",
        );
        assert_eq!(
            (logins.scheme("a.example:5000"), logins.scheme("b.example")),
            ("http", "https")
        );
        for host in ["a.example:5000", "b.example"] {
            let Some(Login::Password(name, password)) = logins.find(host).await else {
                panic!("no login for {host}");
            };
            assert_eq!((name.as_str(), password.as_str()), ("u", "p"));
        }
        assert!(logins.find("c.example").await.is_none());
        assert_eq!(logins.roots(), ["X"]);
    }

    #[test]
    fn this_machine_speaks_http_unless_told_otherwise() {
        let plain = Logins::default();
        assert_eq!(plain.scheme("127.0.0.1:5000"), "http");
        assert_eq!(plain.scheme("localhost"), "http");
        assert_eq!(plain.scheme("localhost.example"), "https");
        let told = logins("[registry.\"127.0.0.1:5000\".oci]\nprotocol = \"https\"\n");
        assert_eq!(told.scheme("127.0.0.1:5000"), "https");
    }
}

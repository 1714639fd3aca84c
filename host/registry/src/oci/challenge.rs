//! What a registry wants to know of a caller, and what it is told.
//!
//! The address that hands out tokens is named by the registry. A password goes there only if it is encrypted and
//! belongs to the registry: the same host, or one below the same domain, as `auth.example.com` for `registry.example.com`.

use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::login::{Login, Logins, is_this_machine};
use crate::error::Error;
use crate::net::{self, Net};

/// Bytes of an answer with a token.
const TOKEN: usize = 64 << 10;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Pull,
    Push,
}

impl Scope {
    /// As registries write it.
    pub(super) fn of(self, repository: &str) -> String {
        match self {
            Self::Pull => format!("repository:{repository}:pull"),
            Self::Push => format!("repository:{repository}:pull,push"),
        }
    }
}

/// What `www-authenticate` asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// Where tokens are, and for which service.
    bearer: Option<(String, Option<String>)>,
    basic: bool,
}

pub(super) fn read(headers: &[&str]) -> Asked {
    let mut asked = Asked::default();
    for header in headers {
        let Ok(challenges) = http_auth::parse_challenges(header) else {
            continue;
        };
        for challenge in challenges {
            if challenge.scheme.eq_ignore_ascii_case("basic") {
                asked.basic = true;
            }
            if challenge.scheme.eq_ignore_ascii_case("bearer") {
                let param = |name: &str| {
                    let found = challenge
                        .params
                        .iter()
                        .find(|(key, _)| key.eq_ignore_ascii_case(name));
                    found.map(|(_, value)| value.to_unescaped())
                };
                asked.bearer = param("realm").map(|realm| (realm, param("service")));
            }
        }
    }
    asked
}

/// The value of `authorization` for a registry.
pub(super) async fn answer(
    net: &Net,
    logins: &Logins,
    host: &str,
    asked: Asked,
    login: Option<Login>,
    scope: &str,
) -> Result<HeaderValue, Error> {
    if let Some(Login::Bearer(token)) = &login {
        return bearer(host, token);
    }
    if let Some((realm, service)) = asked.bearer {
        let realm = checked(&realm, host, logins.scheme(host) == "https")?;
        return token(net, host, realm, service.as_deref(), login, scope).await;
    }
    match (asked.basic, login) {
        (true, Some(Login::Password(name, password))) => basic(host, &name, &password),
        (true, _) => Err(Error::Login {
            place: host.to_owned(),
            message: format!(
                "it wants a login; log in with `docker login {host}`, `podman login {host}` or `oras login {host}`"
            ),
        }),
        (false, _) => Err(Error::Login {
            place: host.to_owned(),
            message: "it refuses, and does not say how to log in".to_owned(),
        }),
    }
}

/// The address of a token service, where it may be asked.
fn checked(realm: &str, host: &str, encrypted: bool) -> Result<Url, Error> {
    let wrong = |why: &str| Error::Login {
        place: host.to_owned(),
        message: format!(
            "it sends logins to {}, {why}; nothing was sent there",
            ml_intern_manifest::shorten(realm)
        ),
    };
    let url = Url::parse(realm).map_err(|_| wrong("which is no address"))?;
    let name = url.host_str().ok_or_else(|| wrong("which is no address"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("which has a login of its own in it"));
    }
    let own = host.rsplit_once(':').map_or(host, |(name, _)| name);
    match url.scheme() {
        "https" => {}
        "http" if !encrypted && name == own => {}
        _ => return Err(wrong("which is not encrypted")),
    }
    let belongs = name == own || (domain(own).is_some() && domain(name) == domain(own));
    if !belongs || (is_this_machine(name) && !is_this_machine(own)) {
        return Err(wrong("which does not belong to it"));
    }
    Ok(url)
}

/// The last two labels of a name; none of an address or a single label.
fn domain(host: &str) -> Option<&str> {
    if host.parse::<std::net::IpAddr>().is_ok() {
        return None;
    }
    let (at, _) = host.rmatch_indices('.').nth(1).unwrap_or((usize::MAX, ""));
    match at {
        usize::MAX => host.contains('.').then_some(host),
        at => Some(&host[at + 1..]),
    }
}

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    token: Option<Zeroizing<String>>,
    #[serde(default)]
    access_token: Option<Zeroizing<String>>,
}

async fn token(
    net: &Net,
    host: &str,
    realm: Url,
    service: Option<&str>,
    login: Option<Login>,
    scope: &str,
) -> Result<HeaderValue, Error> {
    let mut pairs = vec![("scope", scope)];
    pairs.extend(service.map(|service| ("service", service)));
    let known = login.is_some();
    let request = match login {
        Some(Login::Refresh(token)) => {
            pairs.extend([
                ("grant_type", "refresh_token"),
                ("refresh_token", &token),
                ("client_id", "ml-intern"),
            ]);
            net.client().post(realm).form(&pairs)
        }
        Some(Login::Password(name, password)) => {
            let request = net.client().get(realm).query(&pairs);
            request.header(AUTHORIZATION, basic(host, &name, &password)?)
        }
        Some(Login::Bearer(_)) | None => net.client().get(realm).query(&pairs),
    };
    let response = net.send(request).await?;
    if matches!(
        response.status(),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
    ) {
        return Err(Error::Login {
            place: host.to_owned(),
            message: match known {
                true => format!(
                    "the login that is kept for it is refused; log in again, for example with `docker login {host}`"
                ),
                false => format!(
                    "it wants a login; log in with `docker login {host}`, `podman login {host}` or `oras login {host}`"
                ),
            },
        });
    }
    if !response.status().is_success() {
        return Err(net::refusal(response).await);
    }
    let bytes = Zeroizing::new(net::body(response, TOKEN).await?);
    let unread = || Error::Login {
        place: host.to_owned(),
        message: "its answer to a login holds no token".to_owned(),
    };
    let answer = serde_json::from_slice::<Token>(&bytes).map_err(|_| unread())?;
    let token = answer.token.or(answer.access_token).ok_or_else(unread)?;
    bearer(host, &token)
}

fn bearer(host: &str, token: &str) -> Result<HeaderValue, Error> {
    secret(host, &format!("Bearer {token}"))
}

fn basic(host: &str, name: &str, password: &str) -> Result<HeaderValue, Error> {
    use base64::Engine as _;
    let pair = Zeroizing::new(format!("{name}:{password}"));
    let coded = Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(pair.as_bytes()));
    secret(host, &format!("Basic {}", *coded))
}

fn secret(host: &str, text: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(text).map_err(|_| Error::Login {
        place: host.to_owned(),
        message: "the login or token has characters that no header takes".to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_read_from_any_header() {
        let asked = read(&[
            "Basic realm=\"x\"",
            "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",scope=\"a\"",
        ]);
        assert!(asked.basic);
        let (realm, service) = asked.bearer.unwrap();
        assert_eq!(
            (realm.as_str(), service.as_deref()),
            ("https://auth.docker.io/token", Some("registry.docker.io"))
        );
        assert_eq!(read(&["\u{1}", "Negotiate"]), Asked::default());
        assert_eq!(read(&["Bearer service=\"x\""]), Asked::default());
    }

    #[test]
    fn a_password_goes_to_the_registry_or_its_domain_and_encrypted() {
        for (realm, host) in [
            ("https://ghcr.io/token", "ghcr.io"),
            ("https://auth.docker.io/token", "registry-1.docker.io"),
            ("https://gitlab.com/jwt/auth", "registry.gitlab.com"),
            ("https://example.org:8443/token", "example.org:5000"),
        ] {
            assert!(checked(realm, host, true).is_ok(), "{realm} {host}");
        }
        assert!(checked("http://127.0.0.1:5001/token", "127.0.0.1:5000", false).is_ok());
        for (realm, host) in [
            ("http://ghcr.io/token", "ghcr.io"),
            ("https://evil.example/token", "ghcr.io"),
            ("https://ghcr.io.evil.example/token", "ghcr.io"),
            ("https://evil@10.0.0.1/token", "ghcr.io"),
            ("https://10.0.0.2/token", "10.0.0.1"),
            ("https://localhost/token", "ghcr.io"),
            ("file:///etc/passwd", "ghcr.io"),
            ("token", "ghcr.io"),
            ("https://name@ghcr.io/token", "ghcr.io"),
            ("https://name:password@ghcr.io/token", "ghcr.io"),
        ] {
            let error = checked(realm, host, true).unwrap_err().to_string();
            assert!(error.contains("nothing was sent there"), "{error}");
        }
        assert!(checked("http://10.0.0.1/token", "127.0.0.1:5000", false).is_err());
    }

    #[test]
    fn what_no_header_takes_is_refused() {
        assert!(bearer("ghcr.io", "a\r\nx: y").is_err());
        assert!(bearer("ghcr.io", "token").unwrap().is_sensitive());
    }
}

//! Requests and grants made of few words, so that they often speak of the same thing.

use std::collections::BTreeMap;

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use ml_intern_manifest::{
    Access, AgentGrant, AgentRequest, ConfigRequest, CredentialBinding, CredentialKind,
    CredentialRequest, FsGrant, FsRequest, Grant, HostPattern, HttpGrant, HttpRequest, HttpTarget,
    JobsGrant, JobsRequest, Method, PathPattern, ProcessGrant, ProcessRequest, Request, Scheme,
    Size,
};

const HOSTS: &[&str] = &[
    "a.org",
    "b.a.org",
    "c.b.a.org",
    "xa.org",
    "a.org.evil.test",
    "localhost",
    "x.localhost",
    "127.0.0.1",
    "10.0.0.1",
    "169.254.169.254",
    "[::1]",
    "[fd00::1]",
    "[::ffff:127.0.0.1]",
    "a_b.org",
    "xn--a-ecp.org",
];
const DOMAINS: &[&str] = &["*.a.org", "*.b.a.org", "*.xa.org", "*.evil.test"];
const SEGMENTS: &[&str] = &[
    "a",
    "b",
    "v1",
    "api",
    "ab",
    "x.json",
    "%20",
    ".well-known",
    "a;b",
    "~",
    "",
];
const STARS: &[&str] = &["*", "**", "a*", "*b", "a*b*", "v*"];
const ODD: &[&str] = &[
    "..", ".", "%2e%2e", "%2f", "..;", "%5c", "\\", "%00", "%", " ", "é", "//", "%252e",
];
const CONFIG: &[&str] = &["url", "other-url", "x"];
const URLS: &[&str] = &[
    "https://a.org",
    "https://a.org/v1",
    "https://b.a.org/v1/",
    "http://localhost:8000/api",
    "http://127.0.0.1:80/v1?k=v",
    "https://a.org:8443",
    "http://[::1]:8080/a/b",
    "https://A.ORG./v1",
    "HTTP://a.org//",
    "https://user@a.org/",
    "a.org",
];

/// Names of programs, good and bad.
pub const PROGRAMS: &[&str] = &[
    "git", "python3", "g++", "sh", "../sh", "/bin/sh", "", "a b", "*", "-rf",
];
/// Names of flavors, good and bad.
pub const FLAVORS: &[&str] = &[
    "cpu-basic",
    "cpu-upgrade",
    "a10g-small",
    "h200",
    "",
    "a b",
    "é",
];
/// Names of tools, good and bad.
pub const TOOLS: &[&str] = &["bash", "read", "a_1", "Bash", "a-b", ""];
/// Names of credentials, good and bad.
pub const CREDENTIALS: &[&str] = &["hf", "openai", "none", "HF", ""];
/// Ports.
pub const PORTS: &[u16] = &[443, 80, 8000, 8080, 8443, 1, 0];

/// One of `words`, or rarely any short text.
pub fn word(input: &mut Unstructured<'_>, words: &[&str]) -> Result<String> {
    if input.ratio(1, 16)? {
        let text: &str = input.arbitrary()?;
        return Ok(text.chars().take(100).collect());
    }
    Ok((*input.choose(words)?).to_owned())
}

fn some<T>(
    input: &mut Unstructured<'_>,
    most: usize,
    mut item: impl FnMut(&mut Unstructured<'_>) -> Result<Option<T>>,
) -> Result<Vec<T>> {
    let count = input.int_in_range(0..=most)?;
    let mut items = Vec::new();
    for _ in 0..count {
        items.extend(item(input)?);
    }
    Ok(items)
}

/// A host as a URL parser returns it.
pub fn host_of_url(input: &mut Unstructured<'_>) -> Result<String> {
    let words = if input.ratio(1, 8)? { DOMAINS } else { HOSTS };
    let dot = if input.ratio(1, 8)? { "." } else { "" };
    let url = url::Url::parse(&format!("https://{}{dot}/", word(input, words)?));
    let host = url.as_ref().ok().and_then(url::Url::host_str);
    Ok(host.unwrap_or("a.org").to_owned())
}

fn host(input: &mut Unstructured<'_>) -> Result<Option<HostPattern>> {
    let words = if input.ratio(1, 4)? { DOMAINS } else { HOSTS };
    Ok(word(input, words)?.parse().ok())
}

/// A path, often an odd one.
pub fn path(input: &mut Unstructured<'_>) -> Result<String> {
    let segments = some(input, 5, |input| {
        let words = if input.ratio(1, 8)? { ODD } else { SEGMENTS };
        word(input, words).map(Some)
    })?;
    Ok(format!("/{}", segments.join("/")))
}

fn path_pattern(input: &mut Unstructured<'_>) -> Result<Option<PathPattern>> {
    let segments = some(input, 4, |input| {
        let words = if input.ratio(1, 3)? { STARS } else { SEGMENTS };
        word(input, words).map(Some)
    })?;
    Ok(format!("/{}", segments.join("/")).parse().ok())
}

/// Whether a path may be judged by other patterns than `/**`.
pub fn is_plain(path: &str) -> bool {
    "/**/*"
        .parse::<PathPattern>()
        .is_ok_and(|any| any.matches(path))
}

fn target(input: &mut Unstructured<'_>) -> Result<Option<HttpTarget>> {
    if input.ratio(1, 3)? {
        return Ok(Some(HttpTarget::BaseUrl(
            (*input.choose(&CONFIG[..2])?).to_owned(),
        )));
    }
    let scheme = *input.choose(&[Scheme::Https, Scheme::Http])?;
    let port = if input.ratio(2, 3)? {
        scheme.default_port()
    } else {
        *input.choose(&PORTS[..6])?
    };
    Ok(host(input)?.map(|host| HttpTarget::Host { host, scheme, port }))
}

fn methods(input: &mut Unstructured<'_>) -> Result<Vec<Method>> {
    let bits: u8 = input.arbitrary()?;
    let chosen = Method::ALL
        .into_iter()
        .enumerate()
        .filter(|(at, _)| bits >> at & 1 == 1);
    Ok(chosen.map(|(_, method)| method).collect())
}

fn access(input: &mut Unstructured<'_>) -> Result<Access> {
    Ok(*input.choose(&[Access::Read, Access::ReadWrite])?)
}

fn distinct<T: PartialEq>(items: Vec<T>) -> Vec<T> {
    items.into_iter().fold(Vec::new(), |mut kept, item| {
        if !kept.contains(&item) {
            kept.push(item);
        }
        kept
    })
}

/// US dollars, some on the edge of a cent.
pub fn cost(input: &mut Unstructured<'_>) -> Result<f64> {
    Ok(match input.int_in_range(0..=5)? {
        0 => f64::from(input.int_in_range(0..=100_u32)?),
        1 => f64::from(input.int_in_range(0..=10_000_u32)?) / 100.0,
        2 => f64::from(input.int_in_range(0..=10_000_u32)?) / 1000.0,
        3 => (f64::from(input.int_in_range(0..=10_000_u32)?) / 100.0).next_up(),
        4 => f64::from(input.int_in_range(0..=2_000_000_u32)?),
        _ => input.arbitrary()?,
    })
}

fn kind(input: &mut Unstructured<'_>) -> Result<CredentialKind> {
    Ok(if input.ratio(1, 8)? {
        CredentialKind::AwsSigV4 {
            service: "bedrock".to_owned(),
            // The others are base URLs, and a manifest with a key for both is refused.
            region: CONFIG[2].to_owned(),
        }
    } else {
        CredentialKind::Header {
            header: "authorization".to_owned(),
            format: "Bearer {}".to_owned(),
        }
    })
}

fn program(input: &mut Unstructured<'_>) -> Result<Option<String>> {
    Ok(Some((*input.choose(&PROGRAMS[..4])?).to_owned()))
}

fn flavors(input: &mut Unstructured<'_>) -> Result<Vec<ml_intern_manifest::FlavorPattern>> {
    let words = ["cpu-basic", "cpu-*", "a10g-small", "*", "h200"];
    some(input, 3, |input| Ok(word(input, &words)?.parse().ok())).map(distinct)
}

fn tools(input: &mut Unstructured<'_>) -> Result<Vec<String>> {
    some(input, 2, |input| {
        Ok(Some((*input.choose(&TOOLS[..3])?).to_owned()))
    })
    .map(distinct)
}

/// A request as a plugin manifest could hold it.
pub fn request(input: &mut Unstructured<'_>) -> Result<Request> {
    let http = some(input, 3, |input| {
        let Some(target) = target(input)? else {
            return Ok(None);
        };
        let methods = methods(input)?;
        let paths = distinct(some(input, 2, path_pattern)?);
        Ok(Some(HttpRequest {
            target,
            methods: if methods.is_empty() {
                vec![Method::Get, Method::Head]
            } else {
                methods
            },
            paths: if paths.is_empty() {
                vec![PathPattern::any()]
            } else {
                paths
            },
            max_response: Size(1024 << input.int_in_range(0..=20_u32)?),
        }))
    })?;
    let credential = some(input, 2, |input| {
        let binding = if input.ratio(1, 2)? {
            CredentialBinding::BaseUrl((*input.choose(&CONFIG[..2])?).to_owned())
        } else {
            CredentialBinding::Hosts(host(input)?.into_iter().collect())
        };
        Ok(Some(CredentialRequest {
            name: (*input.choose(&["hf", "openai"])?).to_owned(),
            env: Vec::new(),
            binding,
            kind: kind(input)?,
        }))
    })?;
    let mut config = Vec::new();
    for key in CONFIG {
        let default = if input.ratio(1, 3)? {
            Some(word(input, URLS)?)
        } else {
            None
        };
        config.push(ConfigRequest {
            key: (*key).to_owned(),
            description: None,
            env: Vec::new(),
            default,
        });
    }
    let fs = some(input, 1, |input| {
        Ok(Some(FsRequest {
            mount: "/workspace".to_owned(),
            access: access(input)?,
        }))
    })?;
    let programs = distinct(some(input, 3, program)?);
    let process = (!programs.is_empty()).then_some(ProcessRequest {
        programs,
        network: Vec::new(),
    });
    let flavors = flavors(input)?;
    let max_usd = amount(input)?;
    let jobs = (!flavors.is_empty()).then_some(JobsRequest {
        flavors,
        max_usd,
        network: Vec::new(),
    });
    let agent = AgentRequest {
        complete: input.arbitrary()?,
        tools: tools(input)?,
    };
    Ok(Request {
        http: distinct(http),
        credential,
        config,
        fs,
        process,
        jobs,
        agent: (agent != AgentRequest::default()).then_some(agent),
    })
}

/// A grant as a run manifest could hold it.
pub fn grant(input: &mut Unstructured<'_>) -> Result<Grant> {
    let http = some(input, 3, |input| {
        let Some(target) = target(input)? else {
            return Ok(None);
        };
        let methods = methods(input)?;
        let paths = distinct(some(input, 2, path_pattern)?);
        let private_ok = match &target {
            HttpTarget::Host { host, scheme, port } => {
                host.is_exact() && (*port != scheme.default_port() || input.arbitrary()?)
            }
            HttpTarget::BaseUrl(_) => false,
        };
        Ok(Some(HttpGrant {
            target,
            methods: (!methods.is_empty()).then_some(methods),
            paths: (!paths.is_empty()).then_some(paths),
            private_ok,
        }))
    })?;
    let fs = some(input, 1, |input| {
        Ok(Some(FsGrant {
            mount: "/workspace".to_owned(),
            access: access(input)?,
        }))
    })?;
    let programs = distinct(some(input, 3, program)?);
    let process = (!programs.is_empty()).then_some(ProcessGrant {
        programs,
        network: Vec::new(),
    });
    let flavors = flavors(input)?;
    let max_usd = amount(input)?;
    let jobs = (!flavors.is_empty()).then_some(JobsGrant {
        flavors,
        max_usd,
        network: Vec::new(),
    });
    let credentials = distinct(some(input, 2, |input| {
        Ok(Some((*input.choose(&["hf", "openai"])?).to_owned()))
    })?);
    let agent = AgentGrant {
        complete: input.arbitrary()?,
        tools: tools(input)?,
    };
    Ok(Grant {
        http,
        fs,
        process,
        jobs,
        agent: (agent != AgentGrant::default()).then_some(agent),
        credentials,
    })
}

fn amount(input: &mut Unstructured<'_>) -> Result<f64> {
    Ok(Some(cost(input)?)
        .filter(|usd| (0.0..=1e6).contains(usd))
        .unwrap_or(10.0))
}

/// Values that a user set.
pub fn config(input: &mut Unstructured<'_>) -> Result<BTreeMap<String, String>> {
    let pairs = some(input, 2, |input| {
        let key = (*input.choose(CONFIG)?).to_owned();
        Ok(Some((key, word(input, URLS)?)))
    })?;
    Ok(pairs.into_iter().collect())
}

/// `text` as a TOML basic string.
pub fn quoted(text: &str) -> String {
    let escape = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c.is_control() => format!("\\U{:08X}", u32::from(c)),
        c => c.to_string(),
    };
    format!("\"{}\"", text.chars().map(escape).collect::<String>())
}

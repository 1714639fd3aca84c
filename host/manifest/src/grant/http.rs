//! Which requests may leave, for one plugin.

use std::collections::BTreeMap;

use crate::error::Denial;
use crate::grant::effective::{BaseUrl, Held, toml_string};
use crate::grant::request::{HttpRequest, HttpTarget};
use crate::grant::{Grant, HttpGrant, Request};
use crate::pattern::{HostPattern, Method, PathPattern, Scheme, is_plain_path, origin};
use crate::plugin_ref::shorten;

/// The network rules in force for one plugin. Empty: nothing leaves.
#[derive(Debug, Clone)]
pub struct HttpRules {
    rules: Vec<HttpRule>,
    /// What was asked for, whether granted or not, so that a denial can say whose move it is.
    requested: Vec<Wanted>,
    /// Configuration keys of base URLs that nothing sets.
    unset: Vec<String>,
    held: Held,
}

/// One request rule narrowed by one grant rule. A call is allowed when a rule matches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRule {
    /// Scheme.
    pub scheme: Scheme,
    /// Hosts.
    pub host: HostPattern,
    /// Port.
    pub port: u16,
    /// Methods, never empty.
    pub methods: Vec<Method>,
    /// A path must match one of these…
    requested: Paths,
    /// …and one of these.
    granted: Paths,
    /// Largest response body, in bytes after decompression.
    pub max_response: u64,
    /// Whether a loopback or private address may be connected to. Link-local metadata addresses
    /// never are, whatever this says.
    pub private_ok: bool,
}

/// Path patterns, below a base path that holds no star.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Paths {
    /// Empty or `/v1`, without a slash at the end.
    base: String,
    below: Vec<PathPattern>,
}

impl Paths {
    fn matches(&self, path: &str) -> bool {
        if self.base.is_empty() {
            return self.below.iter().any(|pattern| pattern.matches(path));
        }
        // The whole path is judged, not the part below the base: what `/..` reaches is not below.
        if !is_plain_path(path) {
            return false;
        }
        match path.strip_prefix(&self.base) {
            // The base itself is meant by `/**` and `/`: a webhook's URL is all base.
            Some("") => self
                .below
                .iter()
                .any(|pattern| pattern.is_any() || pattern.as_str() == "/"),
            Some(rest) => self.below.iter().any(|pattern| pattern.matches(rest)),
            None => false,
        }
    }

    fn describe(&self) -> String {
        let path = |pattern: &PathPattern| format!("{}{pattern}", self.base);
        self.below.iter().map(path).collect::<Vec<_>>().join(", ")
    }

    fn is_any(&self) -> bool {
        self.base.is_empty() && self.below.iter().any(PathPattern::is_any)
    }
}

/// A request with its base URL resolved.
#[derive(Debug, Clone)]
struct Wanted {
    place: Place,
    methods: Vec<Method>,
    paths: Paths,
}

/// Where a rule points, its base URL resolved.
#[derive(Debug, Clone)]
struct Place {
    scheme: Scheme,
    host: HostPattern,
    port: u16,
    base: String,
    /// The configuration key it came from.
    key: Option<String>,
    set_by_user: bool,
}

impl HttpRules {
    pub(super) fn compute(
        request: &Request,
        grant: &Grant,
        base_urls: &BTreeMap<String, BaseUrl>,
        held: Held,
    ) -> Self {
        let mut rules = Vec::new();
        let mut requested = Vec::new();
        let mut unset: Vec<String> = Vec::new();
        for wanted in &request.http {
            let Some(place) = Place::of(&wanted.target, base_urls) else {
                unset.extend(wanted.target.base_url().map(str::to_owned));
                continue;
            };
            for allowed in &grant.http {
                let granted = Place::of(&allowed.target, base_urls);
                rules.extend(
                    granted.and_then(|granted| intersect(wanted, &place, allowed, &granted)),
                );
            }
            let paths = Paths {
                base: place.base.clone(),
                below: wanted.paths.clone(),
            };
            requested.push(Wanted {
                place,
                methods: wanted.methods.clone(),
                paths,
            });
        }
        Self {
            rules,
            requested,
            unset,
            held,
        }
    }

    /// The rule that allows this request, or why none does. `host` and `path` are a URL parser's:
    /// the host in ASCII and lower case, IPv6 in brackets; the path still percent-encoded, without
    /// query. The method and the scheme are compared exactly.
    pub fn check(
        &self,
        method: &str,
        scheme: &str,
        host: &str,
        port: u16,
        path: &str,
    ) -> Result<&HttpRule, Denial> {
        let denied = |detail| Denial {
            capability: "http",
            detail,
        };
        let (Some(method), Some(scheme)) = (Method::from_exact(method), Scheme::from_exact(scheme))
        else {
            let asked = format!(
                "{} {}://{}:{port}{}",
                shorten(method),
                shorten(scheme),
                shorten(host),
                shorten(path)
            );
            return Err(denied(format!(
                "{asked} cannot be granted; use http or https with one of GET, HEAD, POST, PUT, PATCH, DELETE"
            )));
        };
        let fits = |rule: &&HttpRule| {
            rule.scheme == scheme
                && rule.port == port
                && rule.methods.contains(&method)
                && rule.host.matches(host)
                && rule.requested.matches(path)
                && rule.granted.matches(path)
        };
        // Where several rules allow a request, the most permissive one serves it.
        let Some(rule) = self
            .rules
            .iter()
            .filter(fits)
            .max_by_key(|rule| (rule.private_ok, rule.max_response))
        else {
            return Err(denied(self.explain(method, scheme, host, port, path)));
        };
        if self.held.read_only && !method.is_read_only() {
            return Err(self.held.denial(
                "http",
                &format!(
                    "{method} {}{}",
                    origin(scheme, shorten(host), port),
                    shorten(path)
                ),
            ));
        }
        Ok(rule)
    }

    /// The rules in force.
    pub fn rules(&self) -> &[HttpRule] {
        &self.rules
    }

    pub(super) fn hold_read_only(&mut self) {
        self.held.read_only = true;
    }

    pub(super) fn and(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.rules.retain(|rule| other.rules.contains(rule));
        both
    }

    pub(super) fn describe(&self) -> impl Iterator<Item = String> + '_ {
        self.rules.iter().map(HttpRule::describe)
    }

    /// Why nothing allows the request, ending with the line that would.
    fn explain(&self, method: Method, scheme: Scheme, host: &str, port: u16, path: &str) -> String {
        let host = host.strip_suffix('.').unwrap_or(host);
        let asked = format!(
            "{method} {}{}",
            origin(scheme, shorten(host), port),
            shorten(path)
        );
        // A URL parser takes `*.example.org` for a host; as a rule it would mean every host below.
        let Some(pattern) = host.parse().ok().filter(HostPattern::is_exact) else {
            return format!("{asked} cannot be granted; the host is not a valid name or address");
        };
        if port == 0 {
            return format!("{asked} cannot be granted; there is no port 0");
        }
        let place = |wanted: &Place| {
            wanted.scheme == scheme && wanted.port == port && wanted.host.matches(host)
        };
        let mut keys = format!("host = \"{pattern}\"");
        if scheme == Scheme::Http {
            keys.push_str(", scheme = \"http\"");
        }
        if port != scheme.default_port() {
            keys.push_str(&format!(", port = {port}"));
        }
        let mut narrow = format!(", methods = [\"{method}\"]");
        // A path that only `/**` allows is left out: without `paths`, `/**` is meant.
        if is_plain_path(path) && path.parse::<PathPattern>().is_ok() {
            narrow.push_str(&format!(", paths = [{}]", toml_string(path)));
        }
        let fits = |wanted: &&Wanted| {
            place(&wanted.place) && wanted.methods.contains(&method) && wanted.paths.matches(path)
        };
        if let Some(wanted) = self.requested.iter().find(fits) {
            let here = self
                .rules
                .iter()
                .any(|rule| rule.scheme == scheme && rule.port == port && rule.host.matches(host));
            let rule = match &wanted.place.key {
                // Something here is granted already: show the narrowest line that adds this call.
                _ if here => keys + &narrow,
                Some(key) => format!("base-url = \"{key}\""),
                None => keys,
            };
            return format!(
                "{asked} is not granted; allow it in ml-intern.toml with: {}",
                self.held.grant_line(&format!("http = [{{ {rule} }}]"))
            );
        }
        if let Some(key) = self.unset.first() {
            let url = toml_string(&origin(scheme, &pattern, port));
            return format!(
                "{asked} is not granted, and no base URL is set; set it in ml-intern.toml with: [{}.config] {key} = {url}",
                self.held.section
            );
        }
        format!(
            "{asked} is not among what the plugin asks for; its author can ask in plugin.toml with: request.http = [{{ {keys}{narrow} }}]"
        )
    }
}

impl HttpRule {
    /// The rule in words, as it is shown before it is granted.
    pub fn describe(&self) -> String {
        let methods: Vec<&str> = self.methods.iter().map(|method| method.as_str()).collect();
        let mut line = format!(
            "reaches {}: {}",
            origin(self.scheme, &self.host, self.port),
            methods.join(", ")
        );
        if !self.requested.is_any() {
            line.push_str(&format!(" {}", self.requested.describe()));
        }
        let same_base = self.granted.base == self.requested.base
            && self.granted.below.iter().any(PathPattern::is_any);
        if !self.granted.is_any() && !same_base && self.granted != self.requested {
            let word = if self.requested.is_any() {
                ""
            } else {
                " within"
            };
            line.push_str(&format!("{word} {}", self.granted.describe()));
        }
        if self.private_ok {
            line.push_str(" (also at a private address)");
        }
        line
    }
}

impl Place {
    /// None where the base URL is not set.
    fn of(target: &HttpTarget, base_urls: &BTreeMap<String, BaseUrl>) -> Option<Self> {
        match target {
            HttpTarget::Host { host, scheme, port } => Some(Self {
                scheme: *scheme,
                host: host.clone(),
                port: *port,
                base: String::new(),
                key: None,
                set_by_user: false,
            }),
            HttpTarget::BaseUrl(key) => base_urls.get(key).map(|url| Self {
                scheme: url.scheme,
                host: url.host.clone(),
                port: url.port,
                base: url.path.clone(),
                key: Some(key.clone()),
                set_by_user: url.set_by_user,
            }),
        }
    }
}

fn intersect(
    wanted: &HttpRequest,
    place: &Place,
    allowed: &HttpGrant,
    granted: &Place,
) -> Option<HttpRule> {
    if place.scheme != granted.scheme || place.port != granted.port {
        return None;
    }
    let host = place.host.intersect(&granted.host)?;
    let methods: Vec<Method> = match &allowed.methods {
        Some(methods) => wanted
            .methods
            .iter()
            .copied()
            .filter(|method| methods.contains(method))
            .collect(),
        None => wanted.methods.clone(),
    };
    if methods.is_empty() {
        return None;
    }
    let requested = Paths {
        base: place.base.clone(),
        below: wanted.paths.clone(),
    };
    let granted_paths = match &allowed.paths {
        Some(paths) => Paths {
            base: granted.base.clone(),
            below: paths.clone(),
        },
        // A grant without paths narrows nothing, except to the base URL it names.
        None => Paths {
            base: granted.base.clone(),
            below: vec![PathPattern::any()],
        },
    };
    let local = if granted.key.is_some() {
        granted.set_by_user || allowed.private_ok && host.is_loopback()
    } else {
        allowed.private_ok
    };
    Some(HttpRule {
        scheme: place.scheme,
        private_ok: local && host.is_exact(),
        host,
        port: place.port,
        methods,
        requested,
        granted: granted_paths,
        max_response: wanted.max_response.0,
    })
}

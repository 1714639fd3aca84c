//! Requests, grants and calls made of parts that fit together: what is allowed is inside both, and
//! whoever follows the denials ends with an allowed call.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use ml_intern_fuzz::{assert_showable, grants::*};
use ml_intern_manifest::{
    Access, Denial, Effective, Grant, HttpTarget, Method, PluginManifest, Request, RunManifest,
    Scheme, Section, Source, add_entry,
};

fuzz_target!(|input: &[u8]| {
    // An input that is too short for a choice is no case.
    let _too_short = run(&mut Unstructured::new(input));
});

fn run(input: &mut Unstructured<'_>) -> Result<()> {
    let case = Case {
        request: request(input)?,
        grant: grant(input)?,
        config: config(input)?,
        read_only: input.ratio(1, 4)?,
    };
    let effective = match case.compute() {
        Ok(effective) => effective,
        Err(error) => {
            assert_showable(&error.to_string());
            return Ok(());
        }
    };
    for line in effective.describe() {
        assert_showable(&line);
    }
    if input.ratio(1, 8)? {
        written_grants_read_back(&case.grant);
    }
    let other = grant(input)?;
    for _ in 0..3 {
        let call = Call::any(input)?;
        call.check_against(&case, &effective);
        call.check_changes(&case, &effective, &other);
    }
    Ok(())
}

#[derive(Clone)]
struct Case {
    request: Request,
    grant: Grant,
    config: BTreeMap<String, String>,
    read_only: bool,
}

impl Case {
    fn compute(&self) -> std::result::Result<Effective, ml_intern_manifest::Error> {
        let effective = Effective::compute("plugins.x", &self.request, &self.grant, &self.config)?;
        Ok(if self.read_only {
            effective.held_read_only()
        } else {
            effective
        })
    }

    /// Scheme, host, port and path of a base URL, as a URL parser reads it.
    fn base(&self, key: &str) -> Option<url::Url> {
        // The rules look only at the URLs that the plugin asks for.
        let asked = |target: &HttpTarget| target.base_url() == Some(key);
        if !self.request.http.iter().any(|http| asked(&http.target)) {
            return None;
        }
        let declared = self.request.config.iter().find(|config| config.key == key);
        let default = declared.and_then(|config| config.default.as_ref());
        let value = self
            .config
            .get(key)
            .or(default)
            .filter(|value| !value.is_empty())?;
        Some(url::Url::parse(value).expect("an accepted base URL is a URL"))
    }

    fn is_at(&self, target: &HttpTarget, place: &Place) -> bool {
        match target {
            HttpTarget::Host { host, scheme, port } => {
                scheme.as_str() == place.scheme && *port == place.port && host.matches(&place.host)
            }
            HttpTarget::BaseUrl(key) => self.base(key).is_some_and(|url| {
                url.scheme() == place.scheme
                    && url.port_or_known_default() == Some(place.port)
                    && url
                        .host_str()
                        .map(|host| host.strip_suffix('.').unwrap_or(host))
                        == Some(place.host.strip_suffix('.').unwrap_or(&place.host))
            }),
        }
    }

    fn is_below(
        &self,
        target: &HttpTarget,
        paths: &[ml_intern_manifest::PathPattern],
        path: &str,
    ) -> bool {
        let base = target.base_url().and_then(|key| self.base(key));
        let base = base
            .as_ref()
            .map_or("", |url| url.path().trim_end_matches('/'));
        if base.is_empty() {
            return paths.iter().any(|pattern| pattern.matches(path));
        }
        if !is_plain(path) {
            return false;
        }
        match path.strip_prefix(base) {
            Some("") => paths
                .iter()
                .any(|pattern| pattern.is_any() || pattern.as_str() == "/"),
            Some(rest) => {
                rest.starts_with('/') && paths.iter().any(|pattern| pattern.matches(rest))
            }
            None => false,
        }
    }
}

/// What is granted is what a run manifest with it says.
fn written_grants_read_back(grant: &Grant) {
    let source = Source::Local("./x.wasm".into());
    let text = add_entry("ml-intern.toml", "", Section::Plugins, "x", &source, grant)
        .expect("a grant can be written");
    let run = RunManifest::parse("ml-intern.toml", &text).expect("what is written loads");
    let read = run.plugins[0].grant.clone().unwrap_or_default();
    // An empty table of programs or jobs is written too.
    assert_eq!(&read, grant, "{text}");
}

struct Place {
    scheme: String,
    host: String,
    port: u16,
}

enum Call {
    Http {
        method: String,
        place: Place,
        path: String,
    },
    Fs {
        mount: String,
        write: bool,
    },
    Program(String),
    Flavor(String),
    Cost(f64),
    Complete,
    Tool(String),
    Credential(String),
}

impl Call {
    fn any(input: &mut Unstructured<'_>) -> Result<Self> {
        Ok(match input.int_in_range(0..=12)? {
            0 => Self::Fs {
                mount: input
                    .choose(&["/workspace", "/workspace/", "/", "/etc"])?
                    .to_string(),
                write: input.arbitrary()?,
            },
            1 => Self::Program(word(input, PROGRAMS)?),
            // A `*` stands for "any job" in what the host asks.
            2 => Self::Flavor(word(input, FLAVORS)?.replace("*", "cpu-1")),
            3 => Self::Cost(cost(input)?),
            4 => Self::Complete,
            5 => Self::Tool(word(input, TOOLS)?),
            6 => Self::Credential(word(input, CREDENTIALS)?),
            _ => Self::Http {
                method: word(
                    input,
                    &[
                        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get",
                        "CONNECT",
                    ],
                )?,
                place: Place {
                    scheme: word(input, &["https", "http", "HTTPS", "ftp"])?,
                    host: host_of_url(input)?,
                    port: *input.choose(PORTS)?,
                },
                path: path(input)?,
            },
        })
    }

    fn ask(&self, effective: &Effective) -> std::result::Result<(), Denial> {
        match self {
            Self::Http {
                method,
                place,
                path,
            } => effective
                .http
                .check(method, &place.scheme, &place.host, place.port, path)
                .map(|_| ()),
            Self::Fs { mount, write } => effective.fs.check(mount, *write),
            Self::Program(name) => effective.process.check(name),
            Self::Flavor(name) => effective.jobs.check_flavor(name),
            Self::Cost(usd) => effective.jobs.check_cost(*usd),
            Self::Complete => effective.agent.check_complete(),
            Self::Tool(name) => effective.agent.check_tool(name),
            Self::Credential(name) => effective.credentials.check(name),
        }
    }

    fn check_against(&self, case: &Case, effective: &Effective) {
        let answer = self.ask(effective);
        assert_eq!(answer.is_ok(), self.is_within(case), "{self}: {answer:?}");
        if let Self::Http {
            method,
            place,
            path,
        } = self
        {
            self.check_rule(case, effective, method, place, path);
        }
        if let Err(denial) = answer {
            self.follow(case.clone(), denial);
        }
    }

    /// What a changed grant allows: more after more was added; and to a session that runs, nothing
    /// that it was not allowed before, nor what the user took away.
    fn check_changes(&self, case: &Case, before: &Effective, other: &Grant) {
        let changed = |change: &dyn Fn(&mut Grant)| {
            let mut case = case.clone();
            change(&mut case.grant);
            case.compute()
                .expect("a grant does not touch the configuration")
        };
        let wider = changed(&|grant| grant.add(other.clone()));
        let narrower = changed(&|grant| {
            grant.take(other);
        });
        let was = self.ask(before).is_ok();
        assert!(
            !was || self.ask(&wider).is_ok(),
            "{self}: a wider grant allows less"
        );
        assert!(
            was || self.ask(&narrower).is_err(),
            "{self}: a narrower grant allows more"
        );
        for after in [&wider, &narrower] {
            let running = self.ask(&before.and(after)).is_ok();
            assert!(
                !running || was && self.ask(after).is_ok(),
                "{self}: allowed by neither"
            );
        }
        assert_eq!(self.ask(&before.and(before)).is_ok(), was);
    }

    /// Whether one rule of the request and one of the grant both allow the call.
    fn is_within(&self, case: &Case) -> bool {
        let (request, grant) = (&case.request, &case.grant);
        let least = |a: Option<Access>, b: Option<Access>| a.zip(b).map(|(a, b)| a.min(b));
        match self {
            Self::Http {
                method,
                place,
                path,
            } => {
                let Some(method) = Method::from_exact(method) else {
                    return false;
                };
                let wanted = request.http.iter().filter(|wanted| {
                    case.is_at(&wanted.target, place)
                        && wanted.methods.contains(&method)
                        && case.is_below(&wanted.target, &wanted.paths, path)
                });
                let any = [ml_intern_manifest::PathPattern::any()];
                let allowed = grant.http.iter().any(|allowed| {
                    case.is_at(&allowed.target, place)
                        && allowed
                            .methods
                            .as_ref()
                            .is_none_or(|methods| methods.contains(&method))
                        && case.is_below(
                            &allowed.target,
                            allowed.paths.as_deref().unwrap_or(&any),
                            path,
                        )
                });
                wanted.count() > 0 && allowed && (!case.read_only || method.is_read_only())
            }
            Self::Fs { mount, write } => {
                let access = least(
                    request.fs.iter().map(|fs| fs.access).max(),
                    grant.fs.iter().map(|fs| fs.access).max(),
                );
                let needed = if *write {
                    Access::ReadWrite
                } else {
                    Access::Read
                };
                mount == "/workspace" && access >= Some(needed) && !(case.read_only && *write)
            }
            Self::Program(name) => {
                !case.read_only
                    && request
                        .process
                        .as_ref()
                        .is_some_and(|process| process.programs.contains(name))
                    && grant
                        .process
                        .as_ref()
                        .is_some_and(|process| process.programs.contains(name))
            }
            Self::Flavor(name) => {
                !case.read_only
                    && request
                        .jobs
                        .as_ref()
                        .is_some_and(|jobs| jobs.flavors.iter().any(|flavor| flavor.matches(name)))
                    && grant
                        .jobs
                        .as_ref()
                        .is_some_and(|jobs| jobs.flavors.iter().any(|flavor| flavor.matches(name)))
            }
            Self::Complete => {
                request.agent.as_ref().is_some_and(|agent| agent.complete)
                    && grant.agent.as_ref().is_some_and(|agent| agent.complete)
            }
            Self::Tool(name) => {
                request
                    .agent
                    .as_ref()
                    .is_some_and(|agent| agent.tools.contains(name))
                    && grant
                        .agent
                        .as_ref()
                        .is_some_and(|agent| agent.tools.contains(name))
            }
            Self::Credential(name) => {
                request
                    .credential
                    .iter()
                    .any(|credential| credential.name == *name)
                    && grant.credentials.contains(name)
            }
            Self::Cost(usd) => {
                let limit = |usd: Option<f64>| usd.unwrap_or(0.0);
                *usd <= limit(request.jobs.as_ref().map(|jobs| jobs.max_usd))
                    && *usd <= limit(grant.jobs.as_ref().map(|jobs| jobs.max_usd))
            }
        }
    }

    /// What the rule says beside yes.
    fn check_rule(
        &self,
        case: &Case,
        effective: &Effective,
        method: &str,
        place: &Place,
        path: &str,
    ) {
        if let Some(rule) = effective.credential_for(&place.scheme, &place.host, place.port) {
            assert!(case.grant.credentials.contains(&rule.name));
            assert!(Scheme::from_exact(&place.scheme).is_some());
        }
        let Ok(rule) = effective
            .http
            .check(method, &place.scheme, &place.host, place.port, path)
        else {
            return;
        };
        assert!(effective.http.rules().contains(rule));
        if rule.private_ok {
            assert!(rule.host.is_exact());
            let named = case.grant.http.iter().any(|allowed| {
                case.is_at(&allowed.target, place)
                    && match &allowed.target {
                        HttpTarget::Host { .. } => allowed.private_ok,
                        HttpTarget::BaseUrl(key) => case.config.contains_key(key),
                    }
            });
            assert!(named, "{self} may be private, and nobody said so");
        }
    }

    /// Does what each denial says until the call is allowed, or the denial says that it cannot be.
    fn follow(&self, mut case: Case, mut denial: Denial) {
        for _ in 0..8 {
            let detail = &denial.detail;
            assert_showable(detail);
            if let Some((_, line)) = detail.rsplit_once("; allow it in ml-intern.toml with: ") {
                case.add_grant(line);
            } else if let Some((_, line)) = detail.rsplit_once("; set it in ml-intern.toml with: ")
            {
                case.set_config(line);
            } else if detail.contains(" plugin.toml with: [[request.credential]] name = ") {
                // Where it is sent is the author's to say, so the line is not whole.
                return assert!(self.can_be_granted(), "{self}: {detail}");
            } else if let Some((_, line)) =
                detail.rsplit_once("; its author can ask in plugin.toml with: ")
            {
                case.add_request(line);
            } else if detail.ends_with("; its author can declare it with: read-only: false") {
                assert!(case.read_only);
                case.read_only = false;
            } else {
                assert!(
                    detail.contains(" cannot be granted; "),
                    "a way out is missing: {detail}"
                );
                assert!(!self.can_be_granted(), "{self}: {detail}");
                return;
            }
            let effective = case
                .compute()
                .unwrap_or_else(|error| panic!("{error} after following: {detail}"));
            match self.ask(&effective) {
                Ok(()) => return,
                Err(next) => denial = next,
            }
        }
        panic!(
            "{self}: following its denials leads nowhere: {}",
            denial.detail
        );
    }

    fn can_be_granted(&self) -> bool {
        match self {
            Self::Http { method, place, .. } => {
                Method::from_exact(method).is_some()
                    && Scheme::from_exact(&place.scheme).is_some()
                    && place.port != 0
                    && place
                        .host
                        .parse::<ml_intern_manifest::HostPattern>()
                        .is_ok_and(|host| host.is_exact())
            }
            Self::Fs { mount, .. } => mount == "/workspace",
            Self::Program(name) => plugin(&format!(
                "request.process = {{ programs = [{}] }}",
                quoted(name)
            ))
            .is_ok(),
            Self::Flavor(name) => name.parse::<ml_intern_manifest::FlavorPattern>().is_ok(),
            Self::Cost(usd) => *usd <= 1e6,
            Self::Complete => true,
            Self::Tool(name) => {
                plugin(&format!("request.agent = {{ tools = [{}] }}", quoted(name))).is_ok()
            }
            Self::Credential(name) => plugin(&format!(
                "request.credential = [{{ name = {}, hosts = [\"a.org\"] }}]",
                quoted(name)
            ))
            .is_ok(),
        }
    }
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Http {
                method,
                place,
                path,
            } => {
                write!(
                    f,
                    "{method} {}://{}:{}{path}",
                    place.scheme, place.host, place.port
                )
            }
            Self::Fs { mount, write } => {
                write!(f, "{} {mount}", if *write { "write" } else { "read" })
            }
            Self::Program(name) => write!(f, "run {name}"),
            Self::Flavor(name) => write!(f, "job on {name}"),
            Self::Cost(usd) => write!(f, "job for {usd}"),
            Self::Complete => write!(f, "ask the model"),
            Self::Tool(name) => write!(f, "call {name}"),
            Self::Credential(name) => write!(f, "credential {name}"),
        }
    }
}

fn plugin(line: &str) -> std::result::Result<Request, ml_intern_manifest::Error> {
    let header = "[plugin]\nid = \"a/x\"\nversion = \"1.0.0\"\ndescription = \"d\"\nlicense = \"MIT\"\nabi = \"0.2\"\n";
    PluginManifest::parse("plugin.toml", &format!("{line}\n{header}"))
        .map(|manifest| manifest.request)
}

impl Case {
    fn add_grant(&mut self, line: &str) {
        let line = line
            .strip_prefix("[plugins.x.grant] ")
            .expect("the table of the plugin");
        let text = format!("[plugins.x]\nsource = \"./x.wasm\"\n[plugins.x.grant]\n{line}\n");
        let run = RunManifest::parse("ml-intern.toml", &text)
            .unwrap_or_else(|error| panic!("{error} in: {line}"));
        let grant = run.plugins[0].grant.clone().unwrap_or_default();
        self.grant.add(grant);
    }

    fn set_config(&mut self, line: &str) {
        let line = line
            .strip_prefix("[plugins.x.config] ")
            .expect("the table of the plugin");
        let text = format!("[plugins.x]\nsource = \"./x.wasm\"\n[plugins.x.config]\n{line}\n");
        let run = RunManifest::parse("ml-intern.toml", &text)
            .unwrap_or_else(|error| panic!("{error} in: {line}"));
        self.config.extend(run.plugins[0].config.clone());
    }

    fn add_request(&mut self, line: &str) {
        if let Some(usd) = line.strip_prefix("request.jobs.max-usd = ") {
            let usd = usd.parse().expect("an amount");
            plugin(&format!(
                "request.jobs = {{ flavors = [\"*\"], max-usd = {usd} }}"
            ))
            .unwrap_or_else(|error| panic!("{error} in: {line}"));
            let jobs = self
                .request
                .jobs
                .get_or_insert_with(|| ml_intern_manifest::JobsRequest {
                    flavors: vec!["*".parse().expect("a flavor")],
                    max_usd: usd,
                    network: Vec::new(),
                });
            jobs.max_usd = usd;
            return;
        }
        let more = plugin(line).unwrap_or_else(|error| panic!("{error} in: {line}"));
        self.request.http.extend(more.http);
        self.request.fs.extend(more.fs);
        match (&mut self.request.process, more.process) {
            (Some(own), Some(more)) => join(&mut own.programs, more.programs),
            (own, more) => *own = more.or(own.take()),
        }
        match (&mut self.request.agent, more.agent) {
            (Some(own), Some(more)) => {
                own.complete |= more.complete;
                join(&mut own.tools, more.tools);
            }
            (own, more) => *own = more.or(own.take()),
        }
        match (&mut self.request.jobs, more.jobs) {
            (Some(own), Some(more)) => join(&mut own.flavors, more.flavors),
            (own, more) => *own = more.or(own.take()),
        }
    }
}

/// An author writes nothing twice.
fn join<T: PartialEq>(own: &mut Vec<T>, more: Vec<T>) {
    for item in more {
        if !own.contains(&item) {
            own.push(item);
        }
    }
}

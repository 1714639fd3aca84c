//! The rules as capabilities ask them, from manifests as people write them.

use std::collections::BTreeMap;

use super::*;
use crate::{PluginManifest, RunManifest};

fn request(tables: &str) -> Request {
    let head = "[plugin]\nid = \"a/b\"\nversion = \"1.0.0\"\ndescription = \"d\"\nlicense = \"MIT\"\nabi = \"0.1\"\n";
    PluginManifest::parse("plugin.toml", &format!("{head}{tables}"))
        .unwrap_or_else(|error| panic!("{error}"))
        .request
}

fn grant(lines: &str) -> Grant {
    let text = format!("[plugins.arxiv]\nsource = \"./a.wasm\"\n[plugins.arxiv.grant]\n{lines}\n");
    let run = RunManifest::parse("ml-intern.toml", &text).unwrap_or_else(|error| panic!("{error}"));
    run.plugins[0].grant_for(&Request::default())
}

fn config(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn effective(request: &Request, grant: &Grant, pairs: &[(&str, &str)]) -> Effective {
    Effective::compute("plugins.arxiv", request, grant, &config(pairs))
        .unwrap_or_else(|error| panic!("{error}"))
}

/// Whether `GET url` is allowed, the URL taken apart by plain splitting.
fn allows(effective: &Effective, method: &str, url: &str) -> bool {
    check(effective, method, url).is_ok()
}

fn check<'a>(effective: &'a Effective, method: &str, url: &str) -> Result<&'a HttpRule, String> {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (host, port) = match authority
        .rsplit_once(':')
        .filter(|(_, port)| !port.ends_with(']'))
    {
        Some((host, port)) => (host, port.parse().unwrap()),
        None => (authority, if scheme == "http" { 80 } else { 443 }),
    };
    effective
        .http
        .check(method, scheme, host, port, path)
        .map_err(|denial| {
            assert_eq!(denial.capability, "http");
            denial.detail
        })
}

const ARXIV: &str =
    "[[request.http]]\nhost = \"export.arxiv.org\"\npaths = [\"/api/**\", \"/pdf/*\"]\n";

#[test]
fn nothing_is_granted_by_default() {
    let effective = effective(&request(ARXIV), &Grant::default(), &[]);
    assert!(!allows(
        &effective,
        "GET",
        "https://export.arxiv.org/api/query"
    ));
    assert!(effective.http.rules().is_empty() && effective.describe().is_empty());
}

#[test]
fn a_call_needs_a_request_rule_and_a_grant_rule() {
    let request = request(ARXIV);
    let narrowed = effective(
        &request,
        &grant(
            "http = [{ host = \"export.arxiv.org\", methods = [\"GET\", \"POST\"], paths = [\"/api/query\", \"/etc/**\"] }]",
        ),
        &[],
    );
    assert!(allows(
        &narrowed,
        "GET",
        "https://export.arxiv.org/api/query"
    ));
    for (method, url) in [
        ("GET", "https://export.arxiv.org/api/other"),
        ("GET", "https://export.arxiv.org/etc/passwd"),
        ("GET", "https://export.arxiv.org/pdf/1"),
        ("HEAD", "https://export.arxiv.org/api/query"),
        ("POST", "https://export.arxiv.org/api/query"),
        ("get", "https://export.arxiv.org/api/query"),
        ("GET", "http://export.arxiv.org/api/query"),
        ("GET", "http://export.arxiv.org:443/api/query"),
        ("GET", "https://export.arxiv.org:8443/api/query"),
        ("GET", "https://export.arxiv.org:80/api/query"),
        ("GET", "https://arxiv.org/api/query"),
        ("GET", "https://export.arxiv.org.evil.test/api/query"),
        ("GET", "https://evilexport.arxiv.org/api/query"),
        ("GET", "https://EXPORT.arxiv.org/api/query"),
        ("GET", "HTTPS://export.arxiv.org/api/query"),
        ("GET", "https://export.arxiv.org/api/query/../../etc"),
        ("GET", "https://export.arxiv.org"),
    ] {
        assert!(!allows(&narrowed, method, url), "{method} {url}");
    }
    let whole = effective(&request, &grant("http = [{ host = \"*.arxiv.org\" }]"), &[]);
    assert!(
        allows(&whole, "HEAD", "https://export.arxiv.org/pdf/1")
            && !allows(&whole, "GET", "https://x.arxiv.org/pdf/1")
    );
    assert_eq!(whole.http.rules()[0].host.to_string(), "export.arxiv.org");
}

#[test]
fn the_line_in_a_denial_is_the_line_that_allows() {
    let request = request(
        "[[request.http]]\nhost = \"*.arxiv.org\"\nmethods = [\"GET\", \"POST\"]\n[[request.http]]\nhost = \"[::1]\"\nscheme = \"http\"\nport = 8080\n",
    );
    for (method, url) in [
        ("GET", "https://a.arxiv.org/x"),
        ("POST", "https://a.arxiv.org/x/../y"),
        ("GET", "http://[::1]:8080/a\"b"),
        ("GET", "https://b.arxiv.org/a//b"),
    ] {
        for before in [
            "",
            "http = [{ host = \"a.arxiv.org\", paths = [\"/only\"] }, { host = \"[::1]\", scheme = \"http\", port = 8080, methods = [\"HEAD\"] }]",
        ] {
            let detail = check(&effective(&request, &grant(before), &[]), method, url).unwrap_err();
            let (_, line) = detail
                .split_once("allow it in ml-intern.toml with: [plugins.arxiv.grant] ")
                .unwrap_or_else(|| panic!("{detail}"));
            let after = effective(&request, &grant(line), &[]);
            assert!(allows(&after, method, url), "{detail}");
        }
    }
    let detail = check(
        &effective(&request, &Grant::default(), &[]),
        "GET",
        "https://api.arxiv.org/x",
    )
    .unwrap_err();
    assert_eq!(
        detail,
        "GET https://api.arxiv.org/x is not granted; allow it in ml-intern.toml with: [plugins.arxiv.grant] http = [{ host = \"api.arxiv.org\" }]"
    );
}

#[test]
fn what_the_author_never_asked_for_is_said_to_be_so() {
    let effective = effective(
        &request(ARXIV),
        &grant("http = [{ host = \"example.org\" }]"),
        &[],
    );
    let detail = check(&effective, "POST", "http://example.org:81/x").unwrap_err();
    let (_, line) = detail.split_once("can ask in plugin.toml with: ").unwrap();
    assert_eq!(
        line,
        "request.http = [{ host = \"example.org\", scheme = \"http\", port = 81, methods = [\"POST\"], paths = [\"/x\"] }]"
    );
    for (method, url) in [
        ("CONNECT", "https://a.org/"),
        ("OPTIONS", "https://a.org/"),
        ("GET", "ftp://a.org/"),
        ("GET", "https://a b/"),
    ] {
        assert!(
            check(&effective, method, url)
                .unwrap_err()
                .contains("cannot be granted"),
            "{method} {url}"
        );
    }
}

#[test]
fn a_denial_shows_hostile_text_shortened_and_escaped() {
    let effective = effective(&request(ARXIV), &Grant::default(), &[]);
    let long = format!("/{}", "a".repeat(100_000));
    for (method, host, path) in [
        ("GET\u{1b}[2J", "a.org", "/"),
        ("GET", "a\u{202e}b\r\n.org", "/"),
        ("GET", "a.org", "/\u{1b}]52;c;x\u{7}"),
        ("GET", "a.org", long.as_str()),
    ] {
        let detail = effective
            .http
            .check(method, "https", host, 443, path)
            .unwrap_err()
            .detail;
        assert!(
            detail.len() < 1500 && !detail.chars().any(|c| c.is_control() || c == '\u{202e}'),
            "{detail:?}"
        );
    }
}

const OPENAI: &str = "[[request.http]]\nbase-url = \"base-url\"\nmethods = [\"POST\"]\npaths = [\"/chat/completions\"]\n
[[request.credential]]\nname = \"openai\"\nenv = [\"OPENAI_API_KEY\"]\nbase-url = \"base-url\"\n
[[request.config]]\nkey = \"base-url\"\nenv = \"OPENAI_BASE_URL\"\ndefault = \"https://api.openai.com/v1\"\n";

#[test]
fn a_default_may_hold_the_value_of_another_key() {
    let request = request(
        "[[request.http]]\nbase-url = \"base-url\"\nmethods = [\"GET\"]\n[[request.config]]\nkey = \"region\"\ndefault = \"us-east-1\"\n[[request.config]]\nkey = \"base-url\"\ndefault = \"https://api.{region}.example.org\"\n",
    );
    let granted = Grant::all_of(&request);
    let reached =
        |pairs: &[(&str, &str)]| effective(&request, &granted, pairs).config["base-url"].clone();
    assert_eq!(reached(&[]), "https://api.us-east-1.example.org");
    assert_eq!(
        reached(&[("region", "eu-west-3")]),
        "https://api.eu-west-3.example.org"
    );
    let own = ("base-url", "https://else.example.org");
    assert_eq!(reached(&[("region", "eu-west-3"), own]), own.1);
    let moved = effective(&request, &granted, &[("region", "eu-west-3")]);
    assert!(allows(&moved, "GET", "https://api.eu-west-3.example.org/x"));
    for bad in ["evil.test/", "a.b", "", "A", "x@y"] {
        let error = Effective::compute(
            "plugins.arxiv",
            &request,
            &granted,
            &config(&[("region", bad)]),
        );
        assert!(
            error.is_err_and(|error| error.to_string().contains("region")),
            "{bad}"
        );
    }
}

#[test]
fn a_base_url_gives_the_place_and_the_path_prefix() {
    let request = request(OPENAI);
    let builtin = Grant::all_of(&request);
    let default = effective(&request, &builtin, &[]);
    let rule = check(
        &default,
        "POST",
        "https://api.openai.com/v1/chat/completions",
    )
    .unwrap();
    assert!(!rule.private_ok);
    assert_eq!(default.config["base-url"], "https://api.openai.com/v1");
    for url in [
        "https://api.openai.com/v1/models",
        "https://api.openai.com/chat/completions",
        "https://api.openai.com/v10/chat/completions",
        "https://api.openai.com/v1/v1/chat/completions",
        "https://api.openai.com/v1//chat/completions",
        "https://api.openai.com/v1/x/../chat/completions",
    ] {
        assert!(!allows(&default, "POST", url), "{url}");
    }
    let local = effective(
        &request,
        &builtin,
        &[("base-url", "http://10.0.0.5:8000/v1/")],
    );
    assert!(
        check(&local, "POST", "http://10.0.0.5:8000/v1/chat/completions")
            .unwrap()
            .private_ok
    );
    for url in [
        "http://10.0.0.5/v1/chat/completions",
        "http://10.0.0.6:8000/v1/chat/completions",
        "https://api.openai.com/v1/chat/completions",
    ] {
        assert!(!allows(&local, "POST", url), "{url}");
    }
    assert!(local.credential_for("http", "10.0.0.5", 8000).is_some());
    assert!(
        local.credential_for("https", "10.0.0.5", 8000).is_none()
            && local
                .credential_for("https", "api.openai.com", 443)
                .is_none()
    );
}

#[test]
fn a_webhook_url_is_all_base() {
    let request = request(
        "[[request.http]]\nbase-url = \"url\"\nmethods = [\"POST\"]\n[[request.config]]\nkey = \"url\"\n",
    );
    let hook = effective(
        &request,
        &Grant::all_of(&request),
        &[("url", "https://hooks.example.org/T1/B2?key=%2Fx")],
    );
    assert!(
        allows(&hook, "POST", "https://hooks.example.org/T1/B2")
            && allows(&hook, "POST", "https://hooks.example.org/T1/B2/x")
    );
    assert!(
        !allows(&hook, "POST", "https://hooks.example.org/T1/B22")
            && !allows(&hook, "POST", "https://hooks.example.org/T1")
    );
    let unset = effective(&request, &Grant::all_of(&request), &[]);
    let detail = check(&unset, "POST", "https://hooks.example.org/T1/B2").unwrap_err();
    assert!(
        detail.ends_with("[plugins.arxiv.config] url = \"https://hooks.example.org\""),
        "{detail}"
    );
}

#[test]
fn private_addresses_need_the_very_host_and_port() {
    let request_local = request(
        "[[request.http]]\nhost = \"gpu.lan\"\nscheme = \"http\"\nport = 80\n[[request.http]]\nhost = \"*.lan.example\"\n",
    );
    let private = |lines: &str, url: &str| {
        check(&effective(&request_local, &grant(lines), &[]), "GET", url)
            .unwrap()
            .private_ok
    };
    assert!(private(
        "http = [{ host = \"gpu.lan\", scheme = \"http\", port = 80 }]",
        "http://gpu.lan/"
    ));
    assert!(!private(
        "http = [{ host = \"gpu.lan\", scheme = \"http\" }]",
        "http://gpu.lan/"
    ));
    assert!(!private(
        "http = [{ host = \"*.lan.example\", port = 443 }]",
        "https://a.lan.example/"
    ));
    // An author's default may be this machine for builtin plugins only.
    let request_base = request(
        "[[request.http]]\nbase-url = \"u\"\n[[request.config]]\nkey = \"u\"\ndefault = \"http://localhost:11434\"\n",
    );
    let url = "http://localhost:11434/api/tags";
    assert!(
        check(
            &effective(&request_base, &Grant::all_of(&request_base), &[]),
            "GET",
            url
        )
        .unwrap()
        .private_ok
    );
    let granted = grant("http = [{ base-url = \"u\" }]");
    assert!(
        !check(&effective(&request_base, &granted, &[]), "GET", url)
            .unwrap()
            .private_ok
    );
    assert!(
        check(
            &effective(&request_base, &granted, &[("u", "http://localhost:11434")]),
            "GET",
            url
        )
        .unwrap()
        .private_ok
    );
}

#[test]
fn a_base_url_that_is_not_one_names_the_key_and_keeps_its_secrets() {
    let request = request(OPENAI);
    for value in [
        "api.openai.com",
        "ftp://a.org",
        "https://",
        "https://user:hunter2@a.org/",
        "https://*.a.org",
        "https://a.org:0/",
        "https://a.org:99999/",
        "https://a.org/../hunter2",
        "https://a.org/hunter2//x",
        "https://a.org\\hunter2",
        "https://a.org/#hunter2",
        "https://0x7f.1/",
        "https://a.org/v1/%2e%2e",
        "https://a b/",
    ] {
        let error = Effective::compute(
            "providers.openai",
            &request,
            &Grant::all_of(&request),
            &config(&[("base-url", value)]),
        )
        .unwrap_err()
        .to_string();
        assert!(
            error.starts_with("[providers.openai.config] `base-url`: not a base URL: `"),
            "{error}"
        );
        assert!(!error.contains("hunter2"), "{error}");
    }
    let error = Effective::compute(
        "providers.openai",
        &request,
        &Grant::default(),
        &config(&[("base-ulr", "x")]),
    )
    .unwrap_err()
    .to_string();
    assert!(error.ends_with("did you mean `base-url`?"), "{error}");
}

#[test]
fn credentials_go_to_their_hosts_by_https_only() {
    let request = request(
        "[[request.credential]]\nname = \"hf\"\nhosts = [\"huggingface.co\", \"*.hf.space\"]\n",
    );
    let with = effective(&request, &grant("credentials = [\"hf\"]"), &[]);
    let rule = with.credential_for("https", "huggingface.co", 443).unwrap();
    assert_eq!(
        rule.applied,
        CredentialUse::Header {
            header: "authorization".to_owned(),
            format: "Bearer {}".to_owned(),
        }
    );
    assert!(with.credential_for("https", "a.hf.space", 443).is_some());
    for (scheme, host, port) in [
        ("http", "huggingface.co", 80),
        ("https", "huggingface.co", 8443),
        ("https", "huggingface.co.evil.test", 443),
        ("https", "hf.space", 443),
        ("https", "cdn.huggingface.co", 443),
    ] {
        assert!(
            with.credential_for(scheme, host, port).is_none(),
            "{scheme} {host} {port}"
        );
    }
    let without = effective(&request, &grant("credentials = [\"openai\"]"), &[]);
    assert!(
        without
            .credential_for("https", "huggingface.co", 443)
            .is_none()
            && !without.credentials.allows("hf")
    );
}

const BEDROCK: &str = "[[request.http]]\nbase-url = \"base-url\"\nmethods = [\"POST\"]\n
[[request.credential]]\nname = \"aws\"\nsign = \"aws-sigv4\"\nservice = \"bedrock\"\nregion = \"region\"\nbase-url = \"base-url\"\nenv = [\"AWS_ACCESS_KEY_ID\", \"AWS_SECRET_ACCESS_KEY\"]\n
[[request.config]]\nkey = \"region\"\nenv = [\"AWS_REGION\", \"AWS_DEFAULT_REGION\"]\n
[[request.config]]\nkey = \"base-url\"\ndefault = \"https://bedrock-runtime.us-east-1.amazonaws.com\"\n";

#[test]
fn a_credential_that_signs_takes_its_region_from_the_configuration() {
    let request = request(BEDROCK);
    let all = Grant::all_of(&request);
    let region = |pairs| {
        let effective = effective(&request, &all, pairs);
        match effective.credentials.rules()[0].applied.clone() {
            CredentialUse::AwsSigV4 { region, .. } => region,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(region(&[]), None);
    assert_eq!(region(&[("region", "")]), None);
    assert_eq!(
        region(&[("region", "eu-west-1")]).as_deref(),
        Some("eu-west-1")
    );
    let bad = config(&[("region", "eu-west-1/iam")]);
    let error = Effective::compute("providers.bedrock", &request, &all, &bad).unwrap_err();
    assert_eq!(
        error.to_string(),
        "[providers.bedrock.config] `region`: not a region: `eu-west-1/iam`; write one such as `us-east-1`"
    );
    let lines = effective(&request, &all, &[]).describe();
    assert!(
        lines.contains(&"signs with the credential `aws` (AWS SigV4, service bedrock) (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) for bedrock-runtime.us-east-1.amazonaws.com".to_owned()),
        "{lines:?}"
    );
    // Another region is another rule, so that what was granted is told again.
    let one = effective(&request, &all, &[("region", "a")]);
    let other = effective(&request, &all, &[("region", "b")]);
    assert!(one.credentials.and(&other.credentials).rules().is_empty());
}

#[test]
fn a_configuration_key_has_one_variable_or_several() {
    let env = |text: &str| {
        let request = request(&format!("[[request.config]]\nkey = \"k\"\n{text}"));
        request.config[0].env.clone()
    };
    assert!(env("").is_empty());
    assert_eq!(env("env = \"A\""), ["A"]);
    assert_eq!(env("env = [\"B\", \"A\"]"), ["B", "A"]);
}

const WORK: &str = "[[request.fs]]\nmount = \"/workspace\"\naccess = \"read-write\"\n[request.process]\nprograms = [\"git\", \"sh\"]\n[request.jobs]\nflavors = [\"*\"]\nmax-usd = 5\n";

#[test]
fn files_programs_and_jobs_are_intersected() {
    let request = request(WORK);
    let all = effective(&request, &Grant::all_of(&request), &[]);
    assert!(
        all.fs.check("/workspace", true).is_ok()
            && all.process.check("sh").is_ok()
            && all.jobs.check_flavor("h200").is_ok()
            && all.jobs.check_cost(5.0).is_ok()
    );
    let some = effective(
        &request,
        &grant(
            "fs = [{ mount = \"/workspace\", access = \"read\" }]\nprocess = { programs = [\"git\", \"python\"] }\njobs = { flavors = [\"cpu-*\"], max-usd = 1.5 }",
        ),
        &[],
    );
    assert_eq!(some.fs.access("/workspace"), Some(Access::Read));
    assert_eq!(some.process.programs(), ["git"]);
    assert!(some.jobs.allows_flavor("cpu-basic") && !some.jobs.allows_flavor("h200"));
    assert_eq!(some.jobs.max_usd(), 1.5);
    assert!(some.jobs.check_cost(1.5).is_ok());
    for wrong in [1.51, f64::NAN, f64::INFINITY, 6.0] {
        assert!(some.jobs.check_cost(wrong).is_err(), "{wrong}");
    }
    let none = effective(&request, &Grant::default(), &[]);
    assert!(
        none.fs.access("/workspace").is_none()
            && none.process.check("git").is_err()
            && none.jobs.check_use().is_err()
            && none.jobs.check_cost(0.01).is_err()
    );
    for program in ["/usr/bin/git", "./git", "git ", "GIT", "", "git\0"] {
        assert!(!all.process.allows(program), "{program:?}");
    }
    for mount in ["/", "/workspace/", "/workspace/..", "workspace", ""] {
        assert!(all.fs.check(mount, false).is_err(), "{mount}");
    }
}

#[test]
fn every_denial_line_for_files_programs_and_jobs_allows_the_call() {
    let request = request(WORK);
    let none = effective(&request, &Grant::default(), &[]);
    let line = |denial: crate::Denial| {
        let (_, line) = denial
            .detail
            .split_once("[plugins.arxiv.grant] ")
            .unwrap_or_else(|| panic!("{denial}"));
        effective(&request, &grant(line), &[])
    };
    assert!(
        line(none.fs.check("/workspace", true).unwrap_err())
            .fs
            .check("/workspace", true)
            .is_ok()
    );
    assert!(
        line(none.fs.check("/workspace", false).unwrap_err())
            .fs
            .check("/workspace", false)
            .is_ok()
    );
    assert!(
        line(none.process.check("sh").unwrap_err())
            .process
            .check("sh")
            .is_ok()
    );
    assert!(
        line(none.jobs.check_flavor("h200").unwrap_err())
            .jobs
            .check_flavor("h200")
            .is_ok()
    );
    assert!(
        line(none.jobs.check_use().unwrap_err())
            .jobs
            .check_use()
            .is_ok()
    );
    let some = effective(
        &request,
        &grant("jobs = { flavors = [\"cpu-*\"], max-usd = 1 }"),
        &[],
    );
    assert!(
        line(some.jobs.check_cost(1.234).unwrap_err())
            .jobs
            .check_cost(1.234)
            .is_ok()
    );
    assert_eq!(
        none.fs.check("/workspace", true).unwrap_err().capability,
        "fs.write"
    );
    assert!(
        none.process
            .check("rm")
            .unwrap_err()
            .detail
            .ends_with("request.process = { programs = [\"rm\"] }")
    );
}

#[test]
fn a_call_held_to_read_only_changes_nothing() {
    let request = request(&format!(
        "{WORK}[[request.http]]\nhost = \"a.org\"\nmethods = [\"GET\", \"POST\"]\n"
    ));
    let held = effective(&request, &Grant::all_of(&request), &[]).held_read_only();
    assert!(
        allows(&held, "GET", "https://a.org/")
            && held.fs.check("/workspace", false).is_ok()
            && held.jobs.check_use().is_ok()
    );
    let denials = [
        held.http
            .check("POST", "https", "a.org", 443, "/")
            .map(|_| ())
            .unwrap_err(),
        held.fs.check("/workspace", true).unwrap_err(),
        held.process.check("sh").unwrap_err(),
        held.jobs.check_flavor("h200").unwrap_err(),
        held.jobs.check_change().unwrap_err(),
    ];
    for denial in denials {
        assert!(denial.detail.contains("declares read-only"), "{denial}");
    }
    assert_eq!(held.fs.access("/workspace"), Some(Access::Read));
    assert!(held.process.programs().is_empty() && !held.jobs.allows_flavor("h200"));
}

#[test]
fn the_effective_grant_is_said_in_words() {
    let request = request(&format!("{WORK}{OPENAI}"));
    let lines = effective(&request, &Grant::all_of(&request), &[]).describe();
    assert_eq!(
        lines,
        [
            "reads and writes files below the workspace",
            "reaches https://api.openai.com: POST /v1/chat/completions",
            "runs programs: git, sh",
            "submits jobs (flavors *, at most 5 USD)",
            "uses the credential `openai` (OPENAI_API_KEY) for api.openai.com",
        ]
    );
}

#[test]
fn a_grant_written_as_toml_reads_back_the_same() {
    let lines = "http = [{ host = \"a.org\", methods = [\"GET\"], paths = [\"/x'y/**\"] }, { host = \"127.0.0.1\", scheme = \"http\", port = 80 }, { base-url = \"u\" }]\nfs = [{ mount = \"/workspace\", access = \"read-write\" }]\nprocess = { programs = [\"git\"] }\njobs = { flavors = [\"cpu-*\"], max-usd = 1.5 }\ncredentials = [\"hf\"]";
    let first = grant(lines);
    assert_eq!(first.toml_lines().join("\n"), lines);
    assert_eq!(grant(&first.toml_lines().join("\n")), first);
}

#[test]
fn what_no_line_could_allow_is_said_so() {
    let none = effective(&Request::default(), &Grant::default(), &[]);
    // A URL parser takes the first for a host; as a rule it would mean every host below.
    for url in ["https://*.a.org/x", "https://a.org:0/x"] {
        let detail = check(&none, "GET", url).unwrap_err();
        assert!(detail.contains(" cannot be granted; "), "{detail}");
    }
    for name in ["", "/bin/sh", "..", "a b", "-rf", "x\"]"] {
        let process = none.process.check(name).unwrap_err();
        let agent = none.agent.check_tool(name).unwrap_err();
        let flavor = none.jobs.check_flavor(&format!("{name}/")).unwrap_err();
        let credential = none.credentials.check(name).unwrap_err();
        for denial in [process, agent, flavor, credential] {
            assert!(
                denial.detail.contains(" cannot be granted; "),
                "{}",
                denial.detail
            );
        }
    }
}

#[test]
fn the_line_for_dearer_jobs_loads_and_allows_them() {
    let request = request("[request.jobs]\nflavors = [\"cpu-*\"]\nmax-usd = 9\n");
    // Just above a whole cent, and rounded down to it when multiplied.
    let cost = 0.57_f64.next_up();
    for granted in [
        Grant::default(),
        grant("jobs = { flavors = [\"cpu-*\"], max-usd = 0.5 }"),
    ] {
        let denial = effective(&request, &granted, &[])
            .jobs
            .check_cost(cost)
            .unwrap_err();
        let (_, line) = denial.detail.rsplit_once("[plugins.arxiv.grant] ").unwrap();
        let mut wider = granted.clone();
        wider.add(grant(line));
        let allowed = effective(&request, &wider, &[]).jobs.check_cost(cost);
        assert!(allowed.is_ok(), "{line}");
    }
    let none = effective(&request, &Grant::default(), &[]);
    let denial = none.jobs.check_cost(1_000_000.5).unwrap_err();
    assert!(
        denial.detail.contains(" cannot be granted; "),
        "{}",
        denial.detail
    );
}

#[test]
fn the_port_of_a_base_url_is_written_in_digits() {
    let request = request(OPENAI);
    for url in [
        "https://a.org:+80/v1",
        "https://a.org:/v1",
        "https://a.org:0/v1",
    ] {
        let config = config(&[("base-url", url)]);
        let error = Effective::compute("plugins.arxiv", &request, &Grant::default(), &config);
        assert!(error.is_err(), "{url}");
    }
    assert!("localhost:+8080".parse::<NetworkPlace>().is_err());
}

#[test]
fn a_place_of_several_requests_is_granted_once() {
    let request = request(
        "[[request.http]]\nbase-url = \"base-url\"\nmethods = [\"POST\"]\npaths = [\"/a\"]\n[[request.http]]\nbase-url = \"base-url\"\nmethods = [\"GET\"]\npaths = [\"/b\"]\n[[request.config]]\nkey = \"base-url\"\ndefault = \"https://api.example.org\"\n",
    );
    let granted = Grant::all_of(&request);
    assert_eq!(granted.http.len(), 1);
    let effective = effective(&request, &granted, &[]);
    assert!(allows(&effective, "POST", "https://api.example.org/a"));
    assert!(allows(&effective, "GET", "https://api.example.org/b"));
    assert!(!allows(&effective, "GET", "https://api.example.org/a"));
}

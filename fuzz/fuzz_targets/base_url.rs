//! A base URL from the configuration: what is accepted means to a URL parser what it means to the
//! rules, and what is refused shows nothing of a secret within.

#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use ml_intern_fuzz::assert_showable;
use ml_intern_manifest::{Effective, Grant, PluginManifest, Request};

static REQUEST: LazyLock<Request> = LazyLock::new(|| {
    let text = "[plugin]\nid = \"a/x\"\nversion = \"1.0.0\"\ndescription = \"d\"\nlicense = \"MIT\"\nabi = \"0.2\"\n\
        [[request.http]]\nbase-url = \"url\"\npaths = [\"/\", \"/models\"]\n[[request.config]]\nkey = \"url\"\n";
    PluginManifest::parse("plugin.toml", text)
        .expect("a plugin manifest")
        .request
});

fuzz_target!(|value: &str| {
    let config = BTreeMap::from([("url".to_owned(), value.to_owned())]);
    let effective =
        match Effective::compute("plugins.x", &REQUEST, &Grant::all_of(&REQUEST), &config) {
            Ok(effective) => effective,
            Err(error) => return check_refusal(value, &error.to_string()),
        };
    if value.is_empty() {
        return assert!(effective.http.rules().is_empty());
    }
    let url = url::Url::parse(value).expect("an accepted base URL is one");
    assert_eq!((url.username(), url.password()), ("", None));
    let host = url.host_str().expect("an accepted base URL has a host");
    let port = url
        .port_or_known_default()
        .expect("http and https have one");
    let base = url.path().trim_end_matches('/');
    let ask = |host: &str, port: u16, path: &str| {
        effective
            .http
            .check("GET", url.scheme(), host, port, path)
            .is_ok()
    };
    assert!(
        ask(host, port, &format!("{base}/models")),
        "{value}: what is below it is not reached"
    );
    assert!(
        ask(host, port, &format!("{base}/")),
        "{value}: it is not reached itself"
    );
    assert!(!ask(host, port ^ 1, &format!("{base}/models")));
    assert!(!ask(&format!("x{host}"), port, &format!("{base}/models")));
    assert!(!ask(
        &format!("{host}.evil.test"),
        port,
        &format!("{base}/models")
    ));
    assert!(
        !ask(host, port, &format!("{base}/models/.."))
            && !ask(host, port, &format!("{base}/../models"))
    );
    assert!(!ask(host, port, &format!("{base}x/models")));
    for line in effective.describe() {
        assert_showable(&line);
    }
});

/// A webhook's secret stands in its path or query, others before the `@`.
fn check_refusal(value: &str, message: &str) {
    assert_showable(message);
    let Some(start) = value.find("://").map(|at| at + 3) else {
        return;
    };
    let rest = &value[start..];
    let (shown, hidden) = match rest.rsplit_once('@') {
        Some((user, _)) => (&value[..start], user),
        None => match rest.find(['/', '\\', '?', '#']) {
            Some(at) => value.split_at(start + at),
            None => return,
        },
    };
    // The advice shows a URL of its own.
    let message = message.split("; ").next().unwrap_or_default();
    if hidden.len() > 12 && !shown.contains(hidden) {
        assert!(!message.contains(hidden), "{message} shows {hidden}");
    }
}

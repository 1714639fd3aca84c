//! Hosts, paths and flavors that must match, and the tricks that must not.

use super::*;

fn host(text: &str) -> HostPattern {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn an_exact_host_matches_itself_only() {
    let pattern = host("HuggingFace.co");
    for same in ["huggingface.co", "huggingface.co."] {
        assert!(pattern.matches(same), "{same}");
    }
    for other in [
        "",
        ".",
        "huggingface.co.evil.test",
        "evilhuggingface.co",
        "www.huggingface.co",
        "huggingface.com",
        "huggingface.co..",
        "HUGGINGFACE.CO",
        "huggingface.co:443",
        "huggingface.co@evil.test",
    ] {
        assert!(!pattern.matches(other), "{other}");
    }
}

#[test]
fn a_starred_host_matches_names_below_it_only() {
    let pattern = host("*.example.org");
    for below in ["a.example.org", "a.b.example.org", "a.example.org."] {
        assert!(pattern.matches(below), "{below}");
    }
    for other in [
        "example.org",
        ".example.org",
        "..example.org",
        "a..example.org",
        "evilexample.org",
        "a.example.org.evil.test",
        "example.org.evil.test",
        "a.example.com",
        "[::1]",
        "127.0.0.1",
    ] {
        assert!(!pattern.matches(other), "{other}");
    }
}

#[test]
fn addresses_match_in_their_canonical_spelling() {
    assert!(host("127.0.0.1").matches("127.0.0.1"));
    assert!(!host("127.0.0.1").matches("127.0.0.2"));
    assert!(host("[0:0::1]").matches("[::1]"));
    // A URL parser writes mapped addresses in hexadecimal.
    assert!(host("[::ffff:127.0.0.1]").matches("[::ffff:7f00:1]"));
    assert!(!host("127.0.0.1").matches("[::ffff:7f00:1]"));
    assert_eq!(host("[0:0::1]").to_string(), "[::1]");
}

#[test]
fn what_is_not_a_host_is_refused() {
    for text in [
        "",
        "*",
        "*.",
        "*.org",
        "**.example.org",
        "a.*.org",
        "a*.example.org",
        "*.*.org",
        ".",
        "..",
        "a..b",
        ".a",
        "-a.org",
        "a-.org",
        "a b.org",
        "https://a.org",
        "a.org/x",
        "a.org:443",
        "u@a.org",
        "::1",
        "[::1",
        "[::1]:80",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "1.2.3.4.5",
        "256.0.0.1",
        "*.0.0.1",
        "bücher.example",
        "a\u{202e}.org",
        "a%2eorg",
        "*.\u{e9}.org",
    ] {
        assert!(text.parse::<HostPattern>().is_err(), "{text}");
    }
    assert!("a".repeat(64).parse::<HostPattern>().is_err());
    assert!(
        ["a.".repeat(127), "a".to_owned()]
            .concat()
            .parse::<HostPattern>()
            .is_err()
    );
}

#[test]
fn a_host_in_another_alphabet_is_asked_for_in_ascii() {
    let refused = |text: &str| text.parse::<HostPattern>().unwrap_err().to_string();
    for (text, says) in [
        ("b\u{fc}cher.example", "`xn--bcher-kva.example`"),
        ("*.b\u{fc}cher.example", "`xn--bcher-kva.example`"),
        // Cyrillic letters that look like `huggingface`.
        ("hu\u{491}gingf\u{430}ce.co", "`xn--"),
        ("a\u{202e}.org", "no internet name"),
        ("xn--a.org", "no internet name"),
        ("xn--\u{fc}.org", "no internet name"),
    ] {
        let error = refused(text);
        assert!(error.contains(says), "{error}");
    }
    assert!(host("XN--Bcher-KVA.example").matches("xn--bcher-kva.example"));
    assert!(host("*.xn--bcher-kva.example").matches("a.xn--bcher-kva.example"));
}

#[test]
fn host_intersection_is_the_narrower_of_the_two() {
    let cases = [
        ("a.org", "a.org", Some("a.org")),
        ("a.org", "b.org", None),
        ("*.a.org", "x.a.org", Some("x.a.org")),
        ("x.a.org", "*.a.org", Some("x.a.org")),
        ("a.org", "*.a.org", None),
        ("*.a.org", "*.b.a.org", Some("*.b.a.org")),
        ("*.b.a.org", "*.a.org", Some("*.b.a.org")),
        ("*.a.org", "*.a.org", Some("*.a.org")),
        ("*.a.org", "*.ba.org", None),
        ("127.0.0.1", "127.0.0.1", Some("127.0.0.1")),
        ("127.0.0.1", "localhost", None),
    ];
    for (one, other, both) in cases {
        assert_eq!(
            host(one)
                .intersect(&host(other))
                .map(|host| host.to_string())
                .as_deref(),
            both,
            "{one} {other}"
        );
    }
}

fn matches(pattern: &str, path: &str) -> bool {
    pattern
        .parse::<PathPattern>()
        .unwrap_or_else(|error| panic!("{pattern}: {error}"))
        .matches(path)
}

#[test]
fn path_patterns_match_segment_by_segment() {
    let yes = [
        ("/", "/"),
        ("/api", "/api"),
        ("/**", "/"),
        ("/**", "/a/b"),
        ("/api/**", "/api/"),
        ("/api/**", "/api/a/b"),
        ("/api/*", "/api/a"),
        ("/api/*", "/api/"),
        ("/*/x", "/a/x"),
        ("/a*c", "/abc"),
        ("/a*c", "/ac"),
        ("/*.json", "/x.json"),
        ("/a*b*c", "/aXbYbZc"),
        ("/**/x", "/x"),
        ("/**/x", "/a/b/x"),
        ("/a/**/x/**", "/a/x/y"),
        ("/a/**/x/**", "/a/b/x/y/z"),
        ("/a/**/b/**/c", "/a/b/b/c/c"),
    ];
    for (pattern, path) in yes {
        assert!(matches(pattern, path), "{pattern} {path}");
    }
    let no = [
        ("/", ""),
        ("/", "/a"),
        ("/api", "/API"),
        ("/api", "/api/"),
        ("/api/**", "/api"),
        ("/api/**", "/apix/y"),
        ("/api/**", "/x/api/y"),
        ("/api/*", "/api/a/b"),
        ("/a*c", "/a/c"),
        ("/aa*aa", "/aaa"),
        ("/*a*b*", "/ba"),
        ("/**/x", "/a/xx"),
        ("/a/**/x/**", "/a/x"),
        ("/**", ""),
        ("/**", "api"),
        ("/a/**/b", "/a/b/c"),
    ];
    for (pattern, path) in no {
        assert!(!matches(pattern, path), "{pattern} {path}");
    }
}

#[test]
fn ambiguous_paths_match_the_pattern_for_everything_only() {
    for path in [
        "/api/../x",
        "/api/./x",
        "/api/..",
        "/api/%2e%2e/x",
        "/api/%2E./x",
        "/api/..%2fx",
        "/api/a%2Fb",
        "/api/a%5cb",
        "/api/a\\b",
        "/api//x",
        "//api/x",
        "/api/%252e%252e/x",
        "/api/..;/x",
        "/api/..;a=b/x",
        "/api/..%3b/x",
        "/api/a%00",
        "/api/a%0d%0a",
        "/api/%",
        "/api/%2",
        "/api/%zz",
        "/api/%é",
        "/api/a b",
        "/api/é",
        "/api/a?b",
        "/api/a#b",
        "/api/a\"b",
        "/api/{a}",
        "/api/`a<b>",
        "/api/a\n",
    ] {
        assert!(!matches("/api/**", path), "{path}");
        assert!(!matches("/api/*/**", path), "{path}");
        assert!(matches("/**", path), "{path}");
    }
    assert!(matches("/api/**", "/api/caf%C3%A9/a%20b/...x/.well-known"));
}

#[test]
fn what_is_not_a_path_pattern_is_refused() {
    for text in [
        "",
        "api",
        "api/**",
        "/a**",
        "/**a/b",
        "/***",
        "/a/../b",
        "/a//b",
        "/a?b",
        "/a b",
        "/%2e",
        "https://a/b",
        "/é",
        "/users/{id}",
        "*",
    ] {
        assert!(text.parse::<PathPattern>().is_err(), "{text}");
    }
    assert!(
        format!("/{}", "a".repeat(512))
            .parse::<PathPattern>()
            .is_err()
    );
}

#[test]
fn matching_takes_no_exponential_time() {
    let pattern = format!("/{}b", "a*".repeat(200));
    assert!(!matches(&pattern, &format!("/{}", "a".repeat(100_000))));
    let pattern = format!("{}/b", "/**/a".repeat(90));
    assert!(!matches(&pattern, &"/a".repeat(5_000)));
}

#[test]
fn flavors_match_by_name_or_start() {
    let pattern = |text: &str| text.parse::<FlavorPattern>().unwrap();
    assert!(
        pattern("*").matches("h200x8")
            && pattern("cpu-*").matches("cpu-basic")
            && pattern("a10g-small").matches("a10g-small")
    );
    assert!(
        !pattern("cpu-*").matches("gpu-cpu-x")
            && !pattern("a10g-small").matches("a10g-smallx")
            && !pattern("cpu-*").matches("CPU-x")
    );
    for text in ["", "**", "a*b", "*a", "a b", "a/b"] {
        assert!(text.parse::<FlavorPattern>().is_err(), "{text}");
    }
}

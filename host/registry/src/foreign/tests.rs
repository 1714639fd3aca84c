//! Components of plain functions: what their manifest is made of, and what a policy asks for.

use std::cell::Cell;
use std::fs;

use ml_intern_manifest::{Abi, Kind, PluginManifest, Source};

use super::*;
use crate::inspect::{Inspected, inspect, inspect_with};
use crate::{Catalog, Error};

const PLAIN: &str = r#"(core module $m (func (export "f"))) (core instance $i (instantiate $m))
    (func $f (canon lift (core func $i "f"))) (export "do-it" (func $f))"#;

fn component(more: &str) -> Vec<u8> {
    wat::parse_str(format!("(component {PLAIN} {more})")).unwrap()
}

fn section(name: &str, text: &str) -> String {
    format!("(@custom {name:?} {text:?})")
}

fn inspected(file: &str, more: &str) -> Inspected {
    inspect(file, &component(more), None).unwrap_or_else(|error| panic!("{error}"))
}

fn id(file: &str, more: &str) -> String {
    inspected(file, more).manifest.plugin.id.to_string()
}

/// The policy as part of a manifest, and what it does not give.
fn asked(yaml: &str) -> (PluginManifest, Vec<String>) {
    let policy = || Ok(Some(("policy.yaml".to_owned(), yaml.to_owned())));
    let found = inspect_with("tool.wasm", &component(""), None, policy);
    let found = found.unwrap_or_else(|error| panic!("{error}"));
    (found.manifest, found.not_given)
}

fn refused(yaml: &str) -> String {
    let policy = || Ok(Some(("policy.yaml".to_owned(), yaml.to_owned())));
    match inspect_with("tool.wasm", &component(""), None, policy) {
        Ok(_) => panic!("accepted"),
        Err(error) => error.to_string(),
    }
}

fn permissions(yaml: &str) -> String {
    let indented: String = yaml.lines().map(|line| format!("  {line}\n")).collect();
    format!("version: \"1.0\"\npermissions:\n{indented}")
}

#[test]
fn a_component_of_plain_functions_is_a_tool_that_asks_for_nothing() {
    let found = inspected("some/File_Tools.wasm", "");
    assert_eq!((found.kinds, found.abi), (vec![Kind::Tool], Abi::Foreign));
    let header = &found.manifest.plugin;
    assert_eq!(header.id.as_str(), "foreign/file-tools");
    assert_eq!(header.version.to_string(), "0.0.0");
    assert_eq!(header.license, "NOASSERTION");
    assert_eq!(header.description, "a component of plain functions");
    assert_eq!(found.manifest.request, Default::default());
    assert!(found.not_given.is_empty());
}

#[test]
fn functions_within_an_exported_interface_count_too_and_those_of_wasi_do_not() {
    let instance = r#"(instance $i (export "now" (func $f)))"#;
    let bytes = |name: &str| {
        let text = PLAIN.replace("(export \"do-it\" (func $f))", "");
        wat::parse_str(format!(
            "(component {text} {instance} (export {name:?} (instance $i)))"
        ))
        .unwrap()
    };
    let found = inspect("a.wasm", &bytes("local:time/clock@0.1.0"), None).unwrap();
    assert_eq!(found.abi, Abi::Foreign);
    let error = inspect("a.wasm", &bytes("wasi:cli/run@0.2.0"), None).unwrap_err();
    assert!(
        error.to_string().contains("and no other function"),
        "{error}"
    );
}

#[test]
fn the_name_is_its_own_else_that_of_its_file_or_place() {
    let named = |name: &str| format!("(component ${name} {PLAIN})");
    let of = |name: &str| {
        let bytes = wat::parse_str(named(name)).unwrap();
        inspect("file.wasm", &bytes, None)
            .unwrap()
            .manifest
            .plugin
            .id
            .to_string()
    };
    assert_eq!(of("time-server-js"), "foreign/time-server-js");
    assert_eq!(of("acme:clock@0.1.0"), "foreign/clock");
    // What tool chains write by themselves.
    for name in ["root:component", "component", "main"] {
        assert_eq!(of(name), "foreign/file", "{name}");
    }
    for (source, name) in [
        ("/home/me/my tools/weather.wasm", "weather"),
        ("oci://ghcr.io/acme/clock:1.0@sha256:abcd", "clock"),
        ("oci://localhost:5000/acme/clock", "clock"),
        ("https://example.org/a/clock.wasm#sha256=abcd", "clock"),
        ("acme:clock@1.0.0", "clock"),
        ("7zip.wasm", "component-7zip"),
        ("日本.wasm", "component"),
        ("...", "component"),
        (&"x".repeat(100), &"x".repeat(64)),
        ("a--b__c.wasm", "a-b-c"),
    ] {
        assert_eq!(id(source, ""), format!("foreign/{name}"), "{source}");
    }
}

#[test]
fn what_the_ecosystem_writes_into_a_component_is_told() {
    let more = [
        section("version", "1.2.3"),
        section("authors", "A. Author\u{1b}[31m"),
        section("licenses", "MIT OR Apache-2.0"),
        section("description", "Tells\n  the time\u{202e}."),
    ];
    let header = inspected("clock.wasm", &more.concat()).manifest.plugin;
    assert_eq!(header.version.to_string(), "1.2.3");
    assert_eq!(header.license, "MIT OR Apache-2.0");
    assert_eq!(
        header.description,
        "a component of plain functions, by A. Author[31m: Tells the time."
    );
    // Too long, no version, no text: as if it were not there.
    let more = [
        section("version", "latest"),
        section("licenses", &"x".repeat(500)),
        r#"(@custom "authors" "\ff\fe")"#.to_owned(),
        section("description", &"words ".repeat(1000)),
    ];
    let header = inspected("clock.wasm", &more.concat()).manifest.plugin;
    assert_eq!(
        (header.version.to_string().as_str(), header.license.as_str()),
        ("0.0.0", "NOASSERTION")
    );
    assert!(header.description.len() <= 512);
}

#[test]
fn an_embedded_manifest_or_a_plugin_toml_goes_first_and_the_policy_is_not_read() {
    let own = "[plugin]\nid = \"acme/clock\"\nversion = \"2.0.0\"\ndescription = \"d\"\nlicense = \"MIT\"\nabi = \"foreign\"\n\n[tools.do_it]\ndescription = \"Does it.\"\nread-only = true\n";
    let read = Cell::new(false);
    let policy = || {
        read.set(true);
        Ok(None)
    };
    let found = inspect_with("a.wasm", &component(""), Some(own), policy).unwrap();
    assert_eq!(found.manifest.plugin.id.as_str(), "acme/clock");
    let words = &found.manifest.tools["do_it"];
    assert!(words.read_only && words.description.as_deref() == Some("Does it."));
    let embedded = section("ml-intern:plugin", own);
    let found = inspect_with("a.wasm", &component(&embedded), Some("beside"), policy).unwrap();
    assert_eq!(found.manifest.plugin.version.to_string(), "2.0.0");
    assert!(!read.get());
    // It has to say that it knows what the component is.
    let other = own.replace("\"foreign\"", "\"0.2\"");
    let error = inspect("a.wasm", &component(""), Some(&other))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("[tools] is for components of plain functions"),
        "{error}"
    );
    let other = other.split("[tools").next().unwrap();
    let error = inspect("a.wasm", &component(""), Some(other))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("exports ABI foreign") && error.contains("write `abi = \"foreign\"`"),
        "{error}"
    );
}

#[test]
fn a_policy_is_what_is_asked_for() {
    let (manifest, not_given) = asked(
        "# made for another host
$schema: https://example.org/policy-v1.0.schema.json
version: \"1.0\"
description: \"Permission policy\"
permissions:
  network:
    allow:
      - host: \"api.example.org\"
      - host: \"*.example.com\"
      - host: \"https://api.example.org/\"
      - host: http://127.0.0.1:8080
  storage:
    allow:
      - uri: \"fs://workspace/**\"
        access: [\"read\"]
  environment:
    allow:
      - key: UNITS_OF_MEASURE
  resources:
    limits: { memory: 512Mi, cpu: 500m }
",
    );
    let request = &manifest.request;
    let shown: Vec<String> = request
        .http
        .iter()
        .map(|http| format!("{:?} {}", http.target, http.methods.len()))
        .collect();
    assert_eq!(shown.len(), 3, "{shown:?}");
    assert!(
        shown[2].contains("127.0.0.1") && shown[2].contains("8080"),
        "{shown:?}"
    );
    assert!(
        shown
            .iter()
            .all(|line| line.ends_with(&Method::ALL.len().to_string()))
    );
    assert_eq!(request.fs.len(), 1);
    assert_eq!(format!("{:?}", request.fs[0].access), "Read");
    assert_eq!(request.config[0].key, "units-of-measure");
    assert_eq!(manifest.limits(Kind::Tool).memory_bytes, 512 << 20);
    assert_eq!(not_given.len(), 1, "{not_given:?}");
    assert!(
        not_given[0].starts_with("the limit `cpu` has no counterpart"),
        "{not_given:?}"
    );
}

#[test]
fn what_cannot_be_given_is_told_and_not_asked_for() {
    for (yaml, said) in [
        (
            "network: { allow: [{ cidr: 10.0.0.0/8 }] }",
            "the network place `cidr: 10.0.0.0/8` is not a `host`",
        ),
        (
            "network: { allow: [{ defaults: true }] }",
            "the network place `defaults: true` is not a `host`",
        ),
        (
            "network: { allow: [{ host: \"*\" }] }",
            "the host `*` is none",
        ),
        (
            "network: { allow: [{ host: \"ftp://example.org\" }] }",
            "by something else than HTTP",
        ),
        (
            "network: { allow: [{ host: \"https://example.org/path\" }] }",
            "is none",
        ),
        (
            "network: { allow: [{ host: \"example.org:0\" }] }",
            "has no port",
        ),
        (
            "storage: { allow: [{ uri: \"fs:///\", access: [read] }] }",
            "the storage `fs:///` is not the workspace as a whole",
        ),
        (
            "storage: { allow: [{ uri: \"fs://workspace/*\", access: [read] }] }",
            "is not the workspace as a whole",
        ),
        (
            "storage: { allow: [{ uri: \"fs://workspace/../**\", access: [read] }] }",
            "is not the workspace as a whole",
        ),
        (
            "environment: { allow: [{ key: OPENWEATHER_API_KEY }] }",
            "is named like a secret",
        ),
        (
            "environment: { allow: [{ key: lower }] }",
            "is not a name of upper-case letters",
        ),
        (
            "environment: { allow: [{ key: \"A*\" }] }",
            "is not a name of upper-case letters",
        ),
        ("ipc: { allow: [] }", "`permissions.ipc` has no counterpart"),
        (
            "runtime: { docker: {} }",
            "`permissions.runtime` has no counterpart",
        ),
        ("resources: { io: 5 }", "the limit `io` has no counterpart"),
    ] {
        let (manifest, not_given) = asked(&permissions(yaml));
        assert_eq!(manifest.request, Default::default(), "{yaml}");
        assert!(
            not_given.len() == 1 && not_given[0].contains(said),
            "{yaml}: {not_given:?}"
        );
    }
    let (_, not_given) = asked("version: 1\nextra: yes\n");
    assert_eq!(not_given, ["`extra` is not known here"]);
    assert_eq!(asked("version: \"1.0\"\npermissions: {}\n").1, [""; 0]);
}

#[test]
fn what_is_not_understood_and_could_narrow_the_policy_is_an_error() {
    for (yaml, said) in [
        (
            permissions("network: { deny: [{ host: a.org }] }"),
            "`permissions.network.deny` takes something back",
        ),
        (
            permissions("network: { allow: [{ host: a.org, methods: [GET] }] }"),
            "`methods` beside `host` is not known",
        ),
        (
            permissions("network: { only: [] }"),
            "`permissions.network.only` is not known",
        ),
        (permissions("network: [a.org]"), "`network` is not a table"),
        (
            permissions("network: { allow: a.org }"),
            "`permissions.network.allow` is not a list",
        ),
        (permissions("network: { allow: [a.org] }"), "is not a table"),
        (
            permissions("storage: { allow: [{ uri: \"fs://workspace\" }] }"),
            "has no `access`",
        ),
        (
            permissions("storage: { allow: [{ uri: \"fs://workspace\", access: [all] }] }"),
            "something else than `read` and `write`",
        ),
        (
            permissions("storage: { allow: [{ access: [read] }] }"),
            "has no `uri`",
        ),
        (permissions("environment: { allow: [{}] }"), "has no `key`"),
        (
            permissions("resources: { memory: 3000 }"),
            "`3000` is not an amount of memory",
        ),
        (
            permissions("resources: { limits: { memory: 99999999999999999999Gi } }"),
            "is not an amount of memory",
        ),
        ("version: \"2.0\"\n".to_owned(), "its version is `2.0`"),
        ("permissions: {}\n".to_owned(), "has no `version`"),
        (String::new(), "the file is empty"),
        ("a: [\n".to_owned(), "line "),
        ("- a\n".to_owned(), "`the file` is not a table"),
        ("version: 1\nversion: 1\n".to_owned(), "written twice"),
        (
            "a: &a 1\nb: *a\n".to_owned(),
            "line 1: anchors are not read",
        ),
        ("version: !!str 1\n".to_owned(), "tags are not read"),
        (
            "version: 1\n---\nversion: 1\n".to_owned(),
            "a second document",
        ),
        ("[a]: 1\n".to_owned(), "a key that is no text"),
    ] {
        let error = refused(&yaml);
        assert!(
            error.contains(said) && error.contains("policy.yaml"),
            "{yaml}: {error}"
        );
    }
    let many: String = (0..65).map(|n| format!("{{ host: a{n}.org }}, ")).collect();
    let error = refused(&permissions(&format!("network: {{ allow: [{many}] }}")));
    assert!(error.contains("more than 64 entries"), "{error}");
}

#[test]
fn a_policy_that_is_an_attack_on_its_reader_ends_soon() {
    let began = std::time::Instant::now();
    assert!(refused(&"[".repeat(17)).contains("nests more than 16 deep"));
    // The parser looks ahead, and has a bound of its own.
    assert!(refused(&"[".repeat(60_000)).contains("recursion limit exceeded"));
    let deep: String = (0..250).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
    assert!(refused(&deep).contains("nests more than 16 deep"));
    let wide = format!("a: [{}]", "1,".repeat(30_000));
    assert!(refused(&wide).contains("more than 4096 values"));
    let laughs = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n";
    assert!(refused(laughs).contains("anchors"));
    for text in [
        "\u{0}",
        "\u{feff}version: 1",
        "? a",
        "'",
        "\"\\x\"",
        "a: |\n\tb",
        "%YAML 9.9\n---\n1",
        "\t",
        "!",
        "&",
        "*",
    ] {
        // Whatever it says, it says something.
        let policy = || Ok(Some(("policy.yaml".to_owned(), text.to_owned())));
        if let Err(error) = inspect_with("tool.wasm", &component(""), None, policy) {
            assert!(error.to_string().contains("policy.yaml"), "{error}");
        }
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(5));
}

#[test]
fn amounts_of_memory_are_rounded_up_to_mebibytes() {
    for (written, mib) in [
        ("limits: { memory: 512Mi }", 512),
        ("limits: { memory: 1Gi }", 1024),
        ("limits: { memory: 64M }", 62),
        ("limits: { memory: 2000000 }", 2),
        ("memory: 256", 245),
    ] {
        let (manifest, _) = asked(&permissions(&format!("resources: {{ {written} }}")));
        assert_eq!(
            manifest.limits(Kind::Tool).memory_bytes,
            mib << 20,
            "{written}"
        );
    }
}

#[test]
fn a_policy_is_found_beside_the_file_and_its_own_one_first() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("clock.wasm");
    fs::write(&file, component("")).unwrap();
    let resolve = || Catalog::new(&[]).resolve(&Source::Local(file.clone()));
    assert_eq!(resolve().unwrap().manifest.request, Default::default());

    let asks = |host: &str| permissions(&format!("network: {{ allow: [{{ host: {host} }}] }}"));
    fs::write(folder.path().join("policy.yaml"), asks("shared.org")).unwrap();
    assert!(format!("{:?}", resolve().unwrap().manifest.request).contains("shared.org"));
    fs::write(folder.path().join("clock.policy.yaml"), asks("own.org")).unwrap();
    let found = format!("{:?}", resolve().unwrap().manifest.request);
    assert!(found.contains("own.org") && !found.contains("shared.org"));

    fs::write(folder.path().join("clock.policy.yaml"), "x".repeat(70_000)).unwrap();
    assert!(matches!(resolve(), Err(Error::NotAComponent { .. })));
    fs::write(folder.path().join("clock.policy.yaml"), [0xff, 0xfe]).unwrap();
    assert!(resolve().is_err());
}

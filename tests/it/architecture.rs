use std::{collections::BTreeSet, process::Command};

use serde_json::Value;

/// Each crate of the host with the only crates of ours that it may depend on.
const MAY_USE: &[(&str, &[&str])] = &[
    ("ml-intern-agent", &[]),
    ("ml-intern-manifest", &[]),
    ("ml-intern-exec", &[]),
    ("ml-intern-runtime", &["ml-intern-manifest"]),
    ("ml-intern-registry", &["ml-intern-manifest"]),
    ("ml-intern-jobs", &["ml-intern-exec"]),
    ("ml-intern-trace", &["ml-intern-agent"]),
    (
        "ml-intern-toolchain",
        &["ml-intern-exec", "ml-intern-manifest", "ml-intern-registry"],
    ),
];
/// The crate that may know them all and joins them through adapters.
const JOINS: &str = "ml-intern";
/// What the agent reaches through its ports, directly or through another crate.
const NOT_IN_AGENT: &[&str] = &["wasmtime", "hyper", "reqwest", "cap-std"];
/// The features of tokio that do no input or output and read no clock, with the crate that one
/// of them brings.
const TOKIO_IN_AGENT: &[&str] = &["sync", "macros", "tokio-macros"];

fn cargo(args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO"));
    let output = command.args(args).args(["--offline", "--locked"]);
    let output = output
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {args:?}: {complaint}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn crates_depend_in_one_direction() {
    let metadata = cargo(&["metadata", "--format-version=1", "--no-deps"]);
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let host = format!("{}/host/", metadata["workspace_root"].as_str().unwrap());
    let packages = metadata["packages"].as_array().unwrap();
    let ours: BTreeSet<&str> = packages
        .iter()
        .filter_map(|package| package["name"].as_str())
        .collect();
    let mut ruled = BTreeSet::new();
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let manifest = package["manifest_path"].as_str().unwrap();
        if name == JOINS || !manifest.starts_with(&host) {
            continue;
        }
        let Some((_, may_use)) = MAY_USE.iter().find(|(ruled, _)| *ruled == name) else {
            panic!("no rule says what the crate {name} may depend on: add it to MAY_USE");
        };
        ruled.insert(name);
        // Also for tests and build scripts: an edge there makes the crates change together.
        for dependency in package["dependencies"].as_array().unwrap() {
            let used = dependency["name"].as_str().unwrap();
            assert!(
                !ours.contains(used) || may_use.contains(&used),
                "{name} depends on {used}, but of our crates it may use {may_use:?} only; \
                 join the two in {JOINS} through an adapter"
            );
        }
    }
    assert_eq!(
        ruled.len(),
        MAY_USE.len(),
        "a rule names a crate that is not there: {ruled:?}"
    );
}

/// What makes components and bindings; megabytes that nobody but an author needs.
const MAKES_COMPONENTS: &[&str] = &["wit-component", "wit-bindgen-c", "wit-bindgen-go"];
const TOOLCHAIN: &str = "ml-intern-toolchain";

#[test]
fn components_are_made_in_one_crate_and_not_executed_there() {
    let metadata = cargo(&["metadata", "--format-version=1", "--no-deps"]);
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let host = format!("{}/host/", metadata["workspace_root"].as_str().unwrap());
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        if !package["manifest_path"]
            .as_str()
            .unwrap()
            .starts_with(&host)
        {
            continue;
        }
        // Tests of others may make a guest.
        let dependencies = package["dependencies"].as_array().unwrap().iter();
        let used = dependencies.filter(|dependency| dependency["kind"].is_null());
        for used in used.filter_map(|dependency| dependency["name"].as_str()) {
            assert!(
                name == TOOLCHAIN || !MAKES_COMPONENTS.contains(&used),
                "{name} depends on {used}: what it does belongs into {TOOLCHAIN}"
            );
            assert!(
                name != TOOLCHAIN || used != "wasmtime",
                "{TOOLCHAIN} depends on wasmtime: it executes no component"
            );
        }
    }
}

#[test]
fn the_agent_reaches_the_world_through_its_ports_only() {
    let format = ["--prefix=none", "--format={p}|{f}", "--edges=normal"];
    let tree = cargo(&[&["tree", "--package=ml-intern-agent"], &format[..]].concat());
    let mut tokio_seen = false;
    for line in tree.lines() {
        let (package, features) = line.split_once('|').unwrap_or((line, ""));
        let name = package.split_whitespace().next().unwrap_or_default();
        let forbidden = NOT_IN_AGENT.contains(&name);
        assert!(
            !forbidden,
            "ml-intern-agent depends on {name}: it must call a port instead"
        );
        if name == "tokio" {
            tokio_seen = true;
            let features = features.trim_end_matches(" (*)").split(',').map(str::trim);
            let extra: Vec<&str> = features
                .filter(|feature| !feature.is_empty() && *feature != "default")
                .filter(|feature| !TOKIO_IN_AGENT.contains(feature))
                .collect();
            assert!(
                extra.is_empty(),
                "ml-intern-agent has tokio's {extra:?}: it must call a port"
            );
        }
    }
    assert!(
        tokio_seen,
        "the tree of ml-intern-agent shows no tokio:\n{tree}"
    );
}

/// Bytes, and their FNV-1a hash, of the files of each released version of the contract.
const RELEASED: [(&str, usize, u64); 1] = [("0.1.0", 41878, 0xc061_7b81_a314_ff4e)];

#[test]
fn a_released_contract_is_never_edited() {
    let wit = format!("{}/../wit/released", env!("CARGO_MANIFEST_DIR"));
    for (version, bytes, hash) in RELEASED {
        let mut files = Vec::new();
        collect(&std::path::Path::new(&wit).join(version), &mut files);
        files.sort();
        let text: Vec<u8> = files
            .iter()
            .flat_map(|file| std::fs::read(file).unwrap())
            .collect();
        let found = text.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
        });
        assert_eq!((text.len(), found), (bytes, hash), "wit/released/{version}");
    }
    let folders = std::fs::read_dir(&wit).unwrap().count();
    assert_eq!(
        folders,
        RELEASED.len(),
        "a released version is not pinned here"
    );
}

fn collect(folder: &std::path::Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => collect(&path, files),
            false => files.push(path),
        }
    }
}

/// Bytes of a provider at most: a component is compiled on the user's machine before its first call.
const MAX_PROVIDER: u64 = 256_000;

/// The build script of the command line has built them before any test runs.
#[test]
fn providers_stay_small() {
    let built = format!(
        "{}/../plugins/target/wasm32-wasip2/release",
        env!("CARGO_MANIFEST_DIR")
    );
    for name in [
        "anthropic",
        "bedrock",
        "huggingface",
        "local",
        "openai",
        "openrouter",
    ] {
        let file = format!("{built}/ml_intern_plugin_{name}.wasm");
        let bytes = std::fs::metadata(&file).expect(&file).len();
        assert!(
            bytes <= MAX_PROVIDER,
            "the provider {name} has {bytes} bytes, and may have {MAX_PROVIDER}: read JSON with \
             `provider::value`, without a type for every shape, and see what else is new"
        );
    }
}

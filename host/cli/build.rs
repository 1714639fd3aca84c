//! Builds the first-party plugins for `wasm32-wasip2` and embeds them, so that an installed `ml-intern` is one file.
//!
//! Everything that starting a session needs to know of them (manifest, kinds, digest) is read here, once.

use ml_intern_registry::inspect;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the crate lies two folders below the repository's root");
    let plugins = root.join("plugins");
    let names = plugin_names(&plugins);
    for watched in [
        "wit",
        "sdk/rust/src",
        "sdk/rust/Cargo.toml",
        "plugins/Cargo.toml",
        "plugins/Cargo.lock",
    ] {
        println!("cargo:rerun-if-changed={}", root.join(watched).display());
    }
    for name in &names {
        for watched in ["src", "Cargo.toml", "plugin.toml"] {
            println!(
                "cargo:rerun-if-changed={}",
                plugins.join(name).join(watched).display()
            );
        }
    }
    build(&plugins);
    let built = plugins.join("target/wasm32-wasip2/release");
    let mut code = String::from("&[\n");
    for name in &names {
        entry(
            &mut code,
            name,
            &built.join(format!("ml_intern_plugin_{}.wasm", name.replace('-', "_"))),
        );
    }
    code.push(']');
    let out =
        PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("builtins.rs");
    fs::write(&out, code).expect("OUT_DIR is writable");
}

fn plugin_names(plugins: &Path) -> Vec<String> {
    let entries = fs::read_dir(plugins)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", plugins.display()));
    let folders = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.path().join("plugin.toml").is_file());
    let mut names = folders
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect::<Vec<_>>();
    names.sort();
    names
}

fn build(plugins: &Path) {
    let mut cargo = Command::new(env::var_os("CARGO").expect("cargo sets CARGO"));
    cargo
        .current_dir(plugins)
        .args([
            "build",
            "--release",
            "--locked",
            "--target",
            "wasm32-wasip2",
            "--target-dir",
        ])
        .arg(plugins.join("target"));
    // What the outer build says about the host's code does not hold for components.
    for variable in [
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "RUSTC_WORKSPACE_WRAPPER",
        "CLIPPY_ARGS",
        "CARGO_TARGET_DIR",
    ] {
        cargo.env_remove(variable);
    }
    let status = cargo
        .status()
        .unwrap_or_else(|error| panic!("cannot start cargo: {error}"));
    assert!(
        status.success(),
        "the plugins did not build; is the target there? rustup target add wasm32-wasip2"
    );
}

fn entry(code: &mut String, name: &str, component: &Path) {
    let bytes = fs::read(component)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", component.display()));
    let inspected = inspect(name, &bytes, None).unwrap_or_else(|error| panic!("{error}"));
    let kinds = inspected
        .kinds
        .iter()
        .map(|kind| format!("ml_intern_manifest::Kind::{kind:?}"));
    writeln!(
        code,
        "    ml_intern_registry::Builtin {{
        name: {name:?},
        bytes: include_bytes!({component:?}),
        manifest: {manifest:?},
        digest: ml_intern_manifest::Digest::from_bytes({digest:?}),
        kinds: &[{kinds}],
        abi: ml_intern_manifest::Abi::{abi:?},
        imports: &{imports:?},
    }},",
        manifest = inspected.manifest_text,
        digest = inspected.digest.as_bytes(),
        kinds = kinds.collect::<Vec<_>>().join(", "),
        abi = inspected.abi,
        imports = inspected.imports,
    )
    .expect("a string takes everything");
}

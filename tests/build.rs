//! Builds the components below `guests/` for `wasm32-wasip2` and tells the tests where they are.
//!
//! The list is a macro, `foreach_guest!`, with the name of each guest (`_` for `-`) and the path of
//! its component: a test module that names a function for each does not compile when a guest is added
//! without tests.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn main() {
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut names: Vec<String> = fs::read_dir(&guests)
        .expect("tests/guests is there")
        .filter_map(Result::ok)
        .filter(|entry| {
            // Guests in other languages have no Cargo.toml; `scripts/foreign-guests` builds them.
            entry.path().join("Cargo.toml").is_file()
        })
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    for watched in ["wit", "sdk/rust/src", "sdk/rust/Cargo.toml"] {
        println!("cargo:rerun-if-changed={}", root.join(watched).display());
    }
    for watched in ["Cargo.toml", "Cargo.lock"] {
        println!("cargo:rerun-if-changed={}", guests.join(watched).display());
    }
    for name in &names {
        println!("cargo:rerun-if-changed={}", guests.join(name).display());
    }
    build(&guests, &guests);
    // What the documentation shows is tested like everything else.
    let example = root.join("examples/provider");
    println!("cargo:rerun-if-changed={}", example.display());
    build(&example, &guests);
    let built = guests.join("target/wasm32-wasip2/release");
    let component = built.join("acme_models.wasm");
    println!("cargo:rustc-env=EXAMPLE_PROVIDER={}", component.display());
    let mut code = String::from("macro_rules! foreach_guest {\n    ($with:ident) => { $with! {\n");
    for name in &names {
        let name = name.replace('-', "_");
        let component = built.join(format!("{name}.wasm"));
        assert!(component.is_file(), "no {}", component.display());
        writeln!(code, "        {name} {component:?}").expect("a string takes everything");
    }
    code.push_str("    } };\n}\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("guests.rs");
    fs::write(&out, code).expect("OUT_DIR is writable");
}

/// Builds a workspace into the target folder of the guests.
fn build(workspace: &Path, guests: &Path) {
    let mut cargo = Command::new(env::var_os("CARGO").expect("cargo sets CARGO"));
    cargo
        .current_dir(workspace)
        .args(["build", "--release", "--locked"])
        .args(["--target", "wasm32-wasip2", "--target-dir"])
        .arg(guests.join("target"));
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
        "the guests did not build; is the target there? rustup target add wasm32-wasip2"
    );
}

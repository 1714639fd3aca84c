//! Lists what the crate carries: the SDK of every language, and the templates of new plugins.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// What tool chains leave behind, and the tests of the SDKs.
const LEFT_OUT: [&str; 7] = [
    "target",
    "tests",
    "build",
    "node_modules",
    "__pycache__",
    "Cargo.lock",
    "released",
];

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let root = here
        .join("../..")
        .canonicalize()
        .expect("the crate lies two folders below the repository's root");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let mut code = String::from("static SDKS: &[(&str, &[File])] = &[\n");
    for language in ["rust", "python", "js", "c", "go"] {
        let mut files = Vec::new();
        collect(&root.join("sdk").join(language), "", &mut files);
        if language == "rust" {
            let manifest = stand_alone(&root, &out);
            for (path, file) in &mut files {
                if path == "Cargo.toml" {
                    file.clone_from(&manifest);
                }
            }
        }
        list(&mut code, language, files);
    }
    code.push_str("];\nstatic TEMPLATES: &[(&str, &[File])] = &[\n");
    for language in ["rust", "python", "js", "ts", "c", "go"] {
        for kind in ["tool", "provider", "notifier"] {
            let name = format!("{language}/{kind}");
            let mut files = Vec::new();
            collect(&here.join("templates").join(&name), "", &mut files);
            list(&mut code, &name, files);
        }
    }
    code.push_str("];\n");
    fs::write(out.join("carried.rs"), code).expect("OUT_DIR is writable");
}

/// Every file below `folder`, with its path from there.
fn collect(folder: &Path, below: &str, files: &mut Vec<(String, PathBuf)>) {
    println!("cargo:rerun-if-changed={}", folder.display());
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.expect("the folder can be read").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if LEFT_OUT.contains(&&*name) || name.starts_with('.') {
            continue;
        }
        let below = match below {
            "" => name.into_owned(),
            below => format!("{below}/{name}"),
        };
        match path.is_dir() {
            true => collect(&path, &below, files),
            false => files.push((below, path)),
        }
    }
}

fn list(code: &mut String, name: &str, mut files: Vec<(String, PathBuf)>) {
    files.sort();
    writeln!(code, "    ({name:?}, &[").expect("a string takes everything");
    for (path, file) in files {
        println!("cargo:rerun-if-changed={}", file.display());
        writeln!(code, "        ({path:?}, include_bytes!({file:?})),")
            .expect("a string takes everything");
    }
    code.push_str("    ]),\n");
}

/// The manifest of the Rust SDK as it is outside of this workspace.
fn stand_alone(root: &Path, out: &Path) -> PathBuf {
    let read = |file: &str| {
        let path = root.join(file);
        println!("cargo:rerun-if-changed={}", path.display());
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"))
    };
    let workspace = read("Cargo.toml");
    let of_all = workspace
        .split("\n[")
        .find_map(|section| section.strip_prefix("workspace.package]\n"));
    let of_all = of_all.expect("Cargo.toml has [workspace.package]");
    let mut manifest = String::new();
    for line in read("sdk/rust/Cargo.toml")
        .replace("[lints]\nworkspace = true\n\n", "")
        .lines()
    {
        let line = match line.strip_suffix(".workspace = true") {
            Some(key) => of_all
                .lines()
                .find(|line| line.starts_with(&format!("{key} = ")))
                .unwrap_or_else(|| panic!("[workspace.package] has no {key}")),
            None => line,
        };
        manifest.push_str(line);
        manifest.push('\n');
    }
    assert!(!manifest.contains("workspace"), "{manifest}");
    let file = out.join("rust-sdk.toml");
    fs::write(&file, manifest).expect("OUT_DIR is writable");
    file
}

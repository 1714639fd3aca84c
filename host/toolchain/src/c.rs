//! Plugins in C: clang or zig makes a core module for WASI preview 1 of the author's files, the SDK
//! and the bindings, and [`componentize`] a component of that.

use std::fs;
use std::path::{Path, PathBuf};

use ml_intern_manifest::Kind;

use crate::bindings;
use crate::componentize::componentize;
use crate::error::Error;
use crate::language::Language;
use crate::sdk;
use crate::workshop::{Program, Workshop};

/// Versions of clang that Debian has or had, which are installed as `clang-14`.
const CLANGS: std::ops::RangeInclusive<u32> = 13..=30;

/// Where Debian puts the C library for WASI.
const DEBIAN_HEADERS: &str = "/usr/include/wasm32-wasi";

/// The component of the plugin in the workshop's folder, without its manifest.
pub(crate) async fn component(workshop: &mut Workshop<'_>) -> Result<Vec<u8>, Error> {
    let sources = sources(&workshop.folder)?;
    let kind = kind(&workshop.folder, &sources)?;
    let compiler = Compiler::find(workshop).await?;
    let generated = workshop.build.join("bindings");
    bindings::c(&generated, kind)?;
    workshop.step(&format!("compiling with {}", compiler.name));
    let module = workshop.build.join("core.module");
    let sdk = workshop.folder.join("sdk");
    if !sdk.is_dir() {
        workshop.step("writing this program's SDK to sdk/");
        sdk::write(&workshop.folder, Language::C)?;
    }
    let mut arguments = compiler.arguments;
    arguments.extend(
        [
            "-mexec-model=reactor",
            "-std=gnu11",
            "-Os",
            // Of the reactor only what is exported or used stays; no names.
            "-s",
            "-Wall",
            "-Wextra",
            // In the generated code.
            "-Wno-unused-parameter",
            "-o",
        ]
        .map(str::to_owned),
    );
    arguments.push(text(&module));
    for folder in [&generated, &sdk] {
        arguments.extend(["-I".to_owned(), text(folder)]);
    }
    arguments.extend(sources.iter().map(|file| text(file)));
    // As the author has it: one of another version may have other files.
    let others = Kind::ALL.into_iter().filter(|other| *other != kind);
    let others: Vec<PathBuf> = others.map(|kind| sdk.join(format!("{kind}.c"))).collect();
    let library = files_of(&sdk)?;
    let library = library.iter().filter(|file| !others.contains(file));
    arguments.extend(library.map(|file| text(file)));
    for file in ["bindings.c", "types.c"] {
        arguments.push(text(&generated.join(file)));
    }
    workshop
        .run(Program::new(compiler.program, arguments))
        .await?;
    workshop.step("making a component");
    let bytes = fs::read(&module).map_err(Error::file("read", &module))?;
    componentize(&text(&module), bytes, kind)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// The author's files: those of the folder itself and of `src/`.
fn sources(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = files_of(folder)?;
    let more = folder.join("src");
    if more.is_dir() {
        found.extend(files_of(&more)?);
    }
    Ok(found)
}

/// The files in C of a folder, in the order of their names.
fn files_of(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::file("read", folder))? {
        let path = entry.map_err(Error::file("read", folder))?.path();
        if path.extension().is_some_and(|end| end == "c") && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Which kind of plugin it is, by the header that one of its files includes.
fn kind(folder: &Path, sources: &[PathBuf]) -> Result<Kind, Error> {
    let mut kinds = Vec::new();
    for file in sources {
        let text = fs::read_to_string(file).map_err(Error::file("read", file))?;
        let includes = text.lines().filter(|line| {
            line.trim_start()
                .strip_prefix('#')
                .is_some_and(|rest| rest.trim_start().starts_with("include"))
        });
        for line in includes {
            kinds.extend(
                Kind::ALL
                    .into_iter()
                    .filter(|kind| line.contains(&format!("ml_intern_{kind}.h"))),
            );
        }
    }
    kinds.sort();
    kinds.dedup();
    match kinds[..] {
        [kind] => Ok(kind),
        _ => Err(Error::Source {
            folder: folder.to_owned(),
            message: format!(
                "includes {} of ml_intern_tool.h, ml_intern_provider.h and ml_intern_notifier.h; \
                 it has to be exactly one",
                if kinds.is_empty() { "none" } else { "several" }
            ),
        }),
    }
}

/// A compiler for `wasm32-wasi` with its C library.
struct Compiler {
    /// As a step shows it.
    name: String,
    program: String,
    /// Before all others.
    arguments: Vec<String>,
}

impl Compiler {
    /// The first that works: a WASI SDK that `WASI_SDK_PATH` names, clang with Debian's libraries,
    /// zig, zig as a module of Python.
    async fn find(workshop: &mut Workshop<'_>) -> Result<Self, Error> {
        if let Some(compiler) = Self::sdk(workshop) {
            return Ok(compiler);
        }
        let mut found = Vec::new();
        let names = std::iter::once("clang".to_owned());
        for name in names.chain(CLANGS.rev().map(|version| format!("clang-{version}"))) {
            if let Some(program) = workshop.find(&name) {
                if let Some(compiler) = Self::clang(workshop, &name, &program).await? {
                    return Ok(compiler);
                }
                found.push(name);
            }
        }
        if let Some(program) = workshop.find("zig") {
            return Ok(Self::zig("zig", &text(&program), &[]));
        }
        for name in ["python3", "python"] {
            let Some(program) = workshop.find(name) else {
                continue;
            };
            let ask = Program::new(text(&program), ["-m", "ziglang", "version"]).quiet();
            if workshop.start(ask).await?.exit_code == Some(0) {
                return Ok(Self::zig("zig", &text(&program), &["-m", "ziglang"]));
            }
        }
        Err(missing(&found))
    }

    fn sdk(workshop: &Workshop<'_>) -> Option<Self> {
        let folder = PathBuf::from(workshop.variable("WASI_SDK_PATH")?);
        let program = folder.join("bin/clang");
        program.is_file().then(|| Self {
            name: "clang of WASI_SDK_PATH".to_owned(),
            program: text(&program),
            arguments: vec!["--target=wasm32-wasi".to_owned()],
        })
    }

    /// None where a part is missing: the linker, the C library or the compiler's own library.
    async fn clang(
        workshop: &mut Workshop<'_>,
        name: &str,
        program: &Path,
    ) -> Result<Option<Self>, Error> {
        let target = "--target=wasm32-wasi";
        if !Path::new(DEBIAN_HEADERS).join("stdio.h").is_file() {
            return Ok(None);
        }
        for question in ["-print-libgcc-file-name", "-print-prog-name=wasm-ld"] {
            let ask = Program::new(text(program), [target, question]).quiet();
            let outcome = workshop.start(ask).await?;
            let answer = String::from_utf8_lossy(&outcome.stdout).trim().to_owned();
            // The bare name is the answer where it is not beside the compiler.
            if outcome.exit_code != Some(0)
                || !(Path::new(&answer).is_file() || workshop.find(&answer).is_some())
            {
                return Ok(None);
            }
        }
        Ok(Some(Self {
            name: name.to_owned(),
            program: text(program),
            arguments: [
                target,
                "--sysroot=/usr",
                "-I/usr/include/wasm32-wasi",
                "-L/usr/lib/wasm32-wasi",
            ]
            .map(str::to_owned)
            .to_vec(),
        }))
    }

    fn zig(name: &str, program: &str, module: &[&str]) -> Self {
        let arguments = module.iter().chain(&["cc", "-target", "wasm32-wasi"]);
        Self {
            name: format!("{name} cc"),
            program: program.to_owned(),
            arguments: arguments.map(|&argument| argument.to_owned()).collect(),
        }
    }
}

fn missing(clangs: &[String]) -> Error {
    let what = match clangs {
        [] => "a compiler for WebAssembly (clang or zig)".to_owned(),
        found => format!(
            "what {} needs for WebAssembly (the linker wasm-ld, the C library or the compiler's own library)",
            found.join(", ")
        ),
    };
    Error::ToolChain {
        language: Language::C,
        what,
        ways: vec![
            "Debian, Ubuntu: apt-get install clang lld wasi-libc libclang-rt-dev-wasm32".to_owned(),
            "anywhere with Python: python3 -m pip install ziglang".to_owned(),
            "a WASI SDK of your own: set WASI_SDK_PATH to its folder".to_owned(),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(files: &[(&str, &str)]) -> Result<Kind, Error> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        let sources = sources(folder.path())?;
        kind(folder.path(), &sources)
    }

    #[test]
    fn the_header_says_which_kind_it_is() {
        let tool = ("plugin.c", "#include \"ml_intern_tool.h\"\n");
        assert_eq!(kind_of(&[tool]).unwrap(), Kind::Tool);
        let notifier = ("src/more.c", "  # include <ml_intern_notifier.h>");
        assert_eq!(
            kind_of(&[("plugin.c", ""), notifier]).unwrap(),
            Kind::Notifier
        );
        let none = kind_of(&[("plugin.c", "// ml_intern_tool.h")]).unwrap_err();
        assert!(none.to_string().contains("includes none"), "{none}");
        let both = kind_of(&[tool, notifier]).unwrap_err();
        assert!(both.to_string().contains("includes several"), "{both}");
    }

    #[test]
    fn a_missing_compiler_comes_with_each_way_to_install_one() {
        let Error::ToolChain { ways, .. } = missing(&[]) else {
            panic!("another error");
        };
        assert!(
            ways.iter()
                .any(|way| way.contains("apt-get install clang lld")),
            "{ways:?}"
        );
        assert!(
            ways.iter().any(|way| way.contains("pip install ziglang")),
            "{ways:?}"
        );
        let half = missing(&["clang-14".to_owned()]).to_string();
        assert!(
            half.contains("clang-14") && half.contains("wasm-ld"),
            "{half}"
        );
    }
}

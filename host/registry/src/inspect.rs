//! What a component's bytes say, read without executing or compiling them.
//!
//! The bytes may be hostile: size, nesting and counts are bounded, and nothing of them reaches an
//! index or an allocation unchecked.

use ml_intern_manifest::{Abi, Digest, Kind, PluginManifest, printable, shorten};
use wasmparser::{ComponentExternalKind, Parser, Payload};

use crate::error::Error;
use crate::foreign::{self, Metadata};

/// Name of the custom section that carries the plugin manifest.
pub const MANIFEST_SECTION: &str = "ml-intern:plugin";

/// A Python guest with its interpreter and numeric libraries has 40 MiB; compiling more than this
/// takes minutes.
pub const MAX_COMPONENT_BYTES: usize = 64 << 20;

/// Modules and components within components. Tool chains nest two or three deep, a composition of
/// components one more for each step.
pub(crate) const MAX_DEPTH: usize = 16;

/// Sections and function bodies together; a large Python guest has 60,000. Bounds the time for
/// a file of millions of empty sections.
pub(crate) const MAX_ITEMS: usize = 1_000_000;

/// Imports and exports of the component itself.
const MAX_NAMES: usize = 1000;

/// The package that holds the interfaces of plugins.
const PACKAGE: &str = "ml-intern:plugin/";

/// What a component says of itself.
#[derive(Debug, Clone)]
pub struct Inspected {
    /// The plugin manifest as its author wrote it.
    pub manifest_text: String,
    /// The same, parsed.
    pub manifest: PluginManifest,
    /// What it exports, in the order of [`Kind::ALL`]; never empty.
    pub kinds: Vec<Kind>,
    /// The version in the names of its exports; [`Abi::Foreign`] where they are plain functions.
    pub abi: Abi,
    /// Names of its exports, in their order.
    pub exports: Vec<String>,
    /// Names of its imports, in their order, such as `wasi:http/types@0.2.3`.
    pub imports: Vec<String>,
    /// What a `policy.yaml` beside it permits and this host does not give, in words.
    pub not_given: Vec<String>,
    /// SHA-256 of the bytes.
    pub digest: Digest,
}

/// The text of a `policy.yaml` and its path, for errors.
pub(crate) type Policy = Option<(String, String)>;

/// Reads `bytes`; `name` is the file or source that errors show. `beside` is the text of the
/// `plugin.toml` next to the file, used when the component carries none.
///
/// # Errors
/// [`Error::NotAComponent`], [`Error::Abi`], [`Error::Manifest`] or [`Error::Parse`], each saying
/// what to do.
pub fn inspect(name: &str, bytes: &[u8], beside: Option<&str>) -> Result<Inspected, Error> {
    inspect_with(name, bytes, beside, || Ok(None))
}

/// The same, with a `policy.yaml` for a component of plain functions that has no manifest.
pub(crate) fn inspect_with(
    name: &str,
    bytes: &[u8],
    beside: Option<&str>,
    policy: impl FnOnce() -> Result<Policy, Error>,
) -> Result<Inspected, Error> {
    let damaged = |message: String| Error::NotAComponent {
        name: name.to_owned(),
        message,
    };
    if bytes.len() > MAX_COMPONENT_BYTES {
        return Err(damaged(too_large(bytes.len() as u64)));
    }
    check_format(bytes).map_err(|message| damaged(message.to_owned()))?;
    let outline = Outline::read(bytes).map_err(damaged)?;
    let (kinds, abi) = outline.interfaces().map_err(|message| Error::Abi {
        name: name.to_owned(),
        message,
    })?;
    let mut not_given = Vec::new();
    let manifest_text = if abi == Abi::Foreign && outline.has_no_manifest(beside) {
        let asked = match policy()? {
            Some((file, text)) => foreign::policy(&file, &text)?,
            None => foreign::Asked::default(),
        };
        let text = foreign::manifest(name, &outline.metadata, &asked);
        not_given = asked.not_given;
        text
    } else {
        let text = outline.manifest(beside);
        text.map_err(|message| Error::Manifest {
            name: name.to_owned(),
            message,
        })?
    };
    let manifest = PluginManifest::parse(&format!("{name} (plugin.toml)"), &manifest_text)?;
    if manifest.plugin.abi != abi {
        return Err(Error::Manifest {
            name: name.to_owned(),
            message: format!(
                "exports ABI {abi}, but its plugin.toml says `abi = \"{}\"`; write `abi = \"{abi}\"` and build again",
                manifest.plugin.abi
            ),
        });
    }
    Ok(Inspected {
        manifest_text,
        manifest,
        kinds,
        abi,
        exports: outline
            .exports
            .iter()
            .map(|name| (*name).to_owned())
            .collect(),
        imports: outline.imports,
        not_given,
        digest: Digest::of(bytes),
    })
}

pub(crate) fn too_large(bytes: u64) -> String {
    format!(
        "has {bytes} bytes; a component may have at most {MAX_COMPONENT_BYTES}: build it with optimisation for size and strip it"
    )
}

/// Tells apart what people put in a component's place.
pub(crate) fn check_format(bytes: &[u8]) -> Result<(), &'static str> {
    match bytes {
        [] => Err("is an empty file; build or copy the component again"),
        // Layer and version of the preamble: 1.0 is a core module, 0x0d.1 a component.
        [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => Ok(()),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Err(
            "is a core WebAssembly module, not a component; build it for the target `wasm32-wasip2`, or wrap it with `wasm-tools component new`",
        ),
        [0, b'a', b's', b'm', _, _, _, _, ..] => Err(
            "has an unknown WebAssembly version; build it with a tool chain that makes components of today's format",
        ),
        [0x7f, b'E', b'L', b'F', ..] => Err(
            "is native code or a precompiled artifact, which is never loaded as a plugin; give the `.wasm` component it was made from",
        ),
        _ if b"\0asm".starts_with(&bytes[..bytes.len().min(4)]) => {
            Err("is cut off within its first 8 bytes; build or copy the component again")
        }
        _ if is_text(bytes) => {
            Err("is in the WebAssembly text format; make a component of it with `wasm-tools parse`")
        }
        _ => Err(
            "is not a WebAssembly component; give a `.wasm` file built for the target `wasm32-wasip2`",
        ),
    }
}

/// The text format starts, after spaces and comments, with an opening parenthesis.
fn is_text(bytes: &[u8]) -> bool {
    let start = bytes.trim_ascii_start();
    start.starts_with(b"(") || start.starts_with(b";;")
}

/// The names and manifest sections of a component.
#[derive(Default)]
struct Outline<'a> {
    exports: Vec<&'a str>,
    imports: Vec<String>,
    own_manifests: Vec<&'a [u8]>,
    nested_manifests: Vec<&'a [u8]>,
    metadata: Metadata,
    /// Whether something beside types and modules is exported that is no interface of WASI.
    plain: bool,
}

impl<'a> Outline<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let damaged = |error: wasmparser::BinaryReaderError| damaged_text(&error);
        let mut outline = Self::default();
        let mut depth = 0;
        for (count, payload) in Parser::new(0).parse_all(bytes).enumerate() {
            if count == MAX_ITEMS {
                return Err(format!(
                    "has more than {MAX_ITEMS} sections and functions; build a smaller component"
                ));
            }
            match payload.map_err(damaged)? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                    depth += 1;
                    if depth > MAX_DEPTH {
                        return Err(format!(
                            "nests modules and components more than {MAX_DEPTH} deep; build a flatter component"
                        ));
                    }
                }
                Payload::End(_) => depth = usize::saturating_sub(depth, 1),
                Payload::CustomSection(section) if section.name() == MANIFEST_SECTION => {
                    let found = if depth == 0 {
                        &mut outline.own_manifests
                    } else {
                        &mut outline.nested_manifests
                    };
                    found.push(section.data());
                }
                Payload::CustomSection(section) if depth == 0 => outline.metadata.take(&section),
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        bounded(outline.exports.len())?;
                        let export = export.map_err(damaged)?;
                        let callable = matches!(
                            export.kind,
                            ComponentExternalKind::Func | ComponentExternalKind::Instance
                        );
                        outline.plain |= callable && !export.name.name.starts_with("wasi:");
                        outline.exports.push(export.name.name);
                    }
                }
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section {
                        bounded(outline.imports.len())?;
                        outline
                            .imports
                            .push(import.map_err(damaged)?.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(outline)
    }

    /// What the component is for and which ABI it speaks, by the names of its exports alone.
    fn interfaces(&self) -> Result<(Vec<Kind>, Abi), String> {
        let mut found = None;
        for name in self
            .exports
            .iter()
            .copied()
            .chain(self.imports.iter().map(String::as_str))
        {
            let Some(interface) = name.strip_prefix(PACKAGE) else {
                continue;
            };
            let version = interface
                .split_once('@')
                .and_then(|(_, version)| abi(version));
            let spoken = version.filter(|version| Abi::SUPPORTED.contains(version));
            if spoken.is_none() {
                let theirs = version.map_or_else(
                    || "no version".to_owned(),
                    |version| format!("ABI {version}"),
                );
                let remedy = if version > Some(Abi::HOST) {
                    "update ml-intern, or take a version of the plugin built for this one"
                } else {
                    "rebuild the plugin against this version of the interfaces, or take a newer version of it"
                };
                return Err(format!(
                    "uses `{}`, {theirs}, and this program speaks {}; {remedy}",
                    shorten(name),
                    spoken_here()
                ));
            }
            if found.is_some_and(|found| Some(found) != spoken) {
                return Err(format!(
                    "mixes versions of the interfaces: `{}` beside ABI {}; build it against one",
                    shorten(name),
                    found.unwrap_or(Abi::HOST)
                ));
            }
            found = spoken;
        }
        let exported = |kind: &Kind| {
            let interface = |name: &&&str| {
                name.strip_prefix(PACKAGE)
                    .and_then(|rest| rest.split('@').next())
                    == Some(kind.as_str())
            };
            self.exports.iter().filter(interface).count()
        };
        if let Some(kind) = Kind::ALL.iter().find(|kind| exported(kind) > 1) {
            return Err(format!(
                "exports the interface `{PACKAGE}{kind}` twice; export one version of it"
            ));
        }
        let kinds: Vec<Kind> = Kind::ALL
            .into_iter()
            .filter(|kind| exported(kind) == 1)
            .collect();
        if kinds.is_empty() && found.is_none() && self.plain {
            return Ok((vec![Kind::Tool], Abi::Foreign));
        }
        if kinds.is_empty() {
            let wanted: Vec<String> = Kind::ALL
                .iter()
                .map(|kind| format!("`{PACKAGE}{kind}@{}.0`", Abi::HOST))
                .collect();
            return Err(format!(
                "exports none of {}, and no other function; implement one of these interfaces",
                wanted.join(", ")
            ));
        }
        Ok((kinds, found.unwrap_or(Abi::HOST)))
    }

    fn has_no_manifest(&self, beside: Option<&str>) -> bool {
        self.own_manifests.is_empty() && self.nested_manifests.is_empty() && beside.is_none()
    }

    /// The component's own section, else the only one within it (a Rust guest carries it in the
    /// core module), else the file beside it.
    fn manifest(&self, beside: Option<&str>) -> Result<String, String> {
        let found = if self.own_manifests.is_empty() {
            &self.nested_manifests
        } else {
            &self.own_manifests
        };
        match (found.as_slice(), beside) {
            ([], Some(text)) => Ok(text.to_owned()),
            ([], None) => Err(format!(
                "carries no plugin manifest; put a `plugin.toml` beside it, or embed one as the custom section `{MANIFEST_SECTION}`"
            )),
            ([bytes], _) => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(text.to_owned()),
                Err(error) => Err(format!(
                    "carries a plugin manifest that is not UTF-8 from its byte {} on; embed the text of plugin.toml as it is",
                    error.valid_up_to()
                )),
            },
            (many, _) => Err(format!(
                "carries {} plugin manifests; embed one only, or one at the top level of the component",
                many.len()
            )),
        }
    }
}

/// `ABI 0.1 and 0.2`.
fn spoken_here() -> String {
    let versions = Abi::SUPPORTED.map(|version| version.to_string());
    format!("ABI {}", versions.join(" and "))
}

/// What is wrong with bytes that the parser does not take.
pub(crate) fn damaged_text(error: &wasmparser::BinaryReaderError) -> String {
    format!(
        "is damaged or cut off: {} at byte {}; build or copy it again",
        one_line(error.message()),
        error.offset()
    )
}

/// The parser lists bytes over several lines, and quotes names as they are.
fn one_line(message: &str) -> String {
    let words: Vec<&str> = message.split_whitespace().collect();
    printable(&words.join(" "), 200)
}

fn bounded(count: usize) -> Result<(), String> {
    if count < MAX_NAMES {
        Ok(())
    } else {
        Err(format!(
            "has more than {MAX_NAMES} imports or exports; build a smaller component"
        ))
    }
}

/// `0.1.3` is ABI 0.1: patch versions only add documentation. Pre-releases match nothing.
fn abi(version: &str) -> Option<Abi> {
    let (abi, patch) = version.rsplit_once('.')?;
    patch.parse::<u32>().ok()?;
    abi.parse().ok()
}

#[cfg(test)]
mod tests;

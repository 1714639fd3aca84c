//! Components of plain functions, made for other hosts: they carry no manifest of ours, so one is
//! made of what they carry, and of the `policy.yaml` beside them, which counts as a request.

mod policy;
mod yaml;

use ml_intern_manifest::{Abi, HostPattern, Method, Scheme, WORKSPACE_MOUNT, toml_string};
use wasmparser::{ComponentName, CustomSectionReader, KnownCustom};

pub(crate) use policy::policy;

/// What stands where a component says nothing: the word of SPDX for it.
const NO_LICENSE: &str = "NOASSERTION";
const NO_VERSION: &str = "0.0.0";
/// The publisher of a component that nobody signed for us.
const PUBLISHER: &str = "foreign";
/// What a component is called that has no name.
const UNNAMED: &str = "component";
/// Bounds of a manifest, in bytes.
const MAX_NAME: usize = 64;
const MAX_LICENSE: usize = 128;
const MAX_WORDS: usize = 160;

/// What a component says of itself in the sections that the ecosystem's tools write
/// (wasm-metadata 0.254): texts that mirror the annotations of OCI, and the name.
#[derive(Debug, Default)]
pub(crate) struct Metadata {
    name: Option<String>,
    version: Option<String>,
    authors: Option<String>,
    licenses: Option<String>,
    description: Option<String>,
}

impl Metadata {
    /// Keeps a section if it is one of these; what does not read as text is left out.
    pub(crate) fn take(&mut self, section: &CustomSectionReader<'_>) {
        let place = match section.name() {
            "component-name" => {
                if let KnownCustom::ComponentName(names) = section.as_known() {
                    for part in names.into_iter().take(64).flatten() {
                        if let ComponentName::Component { name, .. } = part {
                            self.name = words(name, MAX_WORDS);
                        }
                    }
                }
                return;
            }
            "version" => &mut self.version,
            "authors" => &mut self.authors,
            "licenses" => &mut self.licenses,
            "description" => &mut self.description,
            _ => return,
        };
        if let Ok(text) = std::str::from_utf8(section.data()) {
            *place = words(text, MAX_WORDS);
        }
    }

    /// The name as a plugin's, where it is one: tool chains call every component `root:component`.
    fn id_part(&self) -> Option<String> {
        let name = self.name.as_deref()?;
        let name = name.split('@').next().unwrap_or_default();
        let last = name.rsplit([':', '/']).next().unwrap_or_default();
        let part = id_part(last.strip_suffix(".wasm").unwrap_or(last));
        let says_nothing = part.starts_with(UNNAMED) || part == "root" || part == "main";
        (!says_nothing).then_some(part)
    }

    fn version(&self) -> &str {
        let version = self.version.as_deref();
        let version = version.filter(|text| text.len() <= 64);
        version
            .filter(|text| semver::Version::parse(text).is_ok())
            .unwrap_or(NO_VERSION)
    }

    fn license(&self) -> &str {
        let license = self.licenses.as_deref();
        let fits = license.filter(|text| text.len() <= MAX_LICENSE);
        fits.unwrap_or(NO_LICENSE)
    }

    /// One line: what it is, and what it says of itself.
    fn description(&self) -> String {
        let mut text = "a component of plain functions".to_owned();
        if let Some(name) = &self.name {
            text.push_str(&format!(" named `{name}`"));
        }
        if let Some(authors) = &self.authors {
            text.push_str(&format!(", by {authors}"));
        }
        if let Some(words) = &self.description {
            text.push_str(&format!(": {words}"));
        }
        cut(&text, 512).to_owned()
    }
}

/// What a `policy.yaml` asks for, in our terms.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Asked {
    /// Places on the network.
    pub(crate) places: Vec<Place>,
    /// Whether the workspace is read (`false`) or written too (`true`).
    pub(crate) workspace: Option<bool>,
    /// Configuration keys, each with the variable that it stands for.
    pub(crate) config: Vec<(String, String)>,
    /// Memory of an instance, in MiB.
    pub(crate) memory: Option<u64>,
    /// What it permits and nobody can give, in words.
    pub(crate) not_given: Vec<String>,
}

/// A host, and how it is reached.
#[derive(Debug, PartialEq)]
pub(crate) struct Place {
    pub(crate) scheme: Scheme,
    pub(crate) host: HostPattern,
    pub(crate) port: Option<u16>,
}

/// The text of a manifest for a component that has none; `source` is its path, or where it was
/// fetched from.
pub(crate) fn manifest(source: &str, metadata: &Metadata, asked: &Asked) -> String {
    let name = metadata.id_part().unwrap_or_else(|| file_part(source));
    let mut text = format!(
        "[plugin]\nid = \"{PUBLISHER}/{name}\"\nversion = {}\ndescription = {}\nlicense = {}\nabi = \"{}\"\n",
        toml_string(metadata.version()),
        toml_string(&metadata.description()),
        toml_string(metadata.license()),
        Abi::Foreign
    );
    for place in &asked.places {
        text.push_str(&place.request());
    }
    if let Some(writes) = asked.workspace {
        let access = if writes { "read-write" } else { "read" };
        text.push_str(&format!(
            "\n[[request.fs]]\nmount = \"{WORKSPACE_MOUNT}\"\naccess = \"{access}\"\n"
        ));
    }
    for (key, variable) in &asked.config {
        let about = toml_string(&format!("what it reads as {variable}"));
        text.push_str(&format!(
            "\n[[request.config]]\nkey = \"{key}\"\ndescription = {about}\n"
        ));
    }
    if let Some(mib) = asked.memory {
        text.push_str(&format!("\n[limits]\nmemory = \"{mib}MiB\"\n"));
    }
    text
}

impl Place {
    /// Every method: a policy permits a host as a whole, and whoever grants it may narrow it.
    fn request(&self) -> String {
        let methods = Method::ALL.map(|method| format!("\"{method}\"")).join(", ");
        let host = toml_string(&self.host.to_string());
        let mut text = format!(
            "\n[[request.http]]\nhost = {host}\nscheme = \"{}\"\nmethods = [{methods}]\n",
            self.scheme
        );
        if let Some(port) = self.port {
            text.push_str(&format!("port = {port}\n"));
        }
        text
    }
}

/// The last part of a path, or of a place such as `oci://ghcr.io/acme/clock:1.0@sha256:…`.
fn file_part(source: &str) -> String {
    let file = source.rsplit(['/', '\\']).next().unwrap_or_default();
    let file = file.split(['@', '#', '?']).next().unwrap_or_default();
    let tagged = file.rsplit_once(':');
    // `NAME:PACKAGE` has no folder before it; `PACKAGE:TAG` has.
    let file = match tagged {
        Some((before, _)) if source.contains('/') => before,
        Some((_, after)) => after,
        None => file,
    };
    id_part(file.strip_suffix(".wasm").unwrap_or(file))
}

/// Any name as the name of a plugin: lower-case letters, digits and single dashes.
fn id_part(stem: &str) -> String {
    let mut name = String::new();
    for c in stem.chars() {
        match c {
            c if c.is_ascii_alphanumeric() => name.push(c.to_ascii_lowercase()),
            _ if !name.is_empty() && !name.ends_with('-') => name.push('-'),
            _ => {}
        }
        if name.len() == MAX_NAME {
            break;
        }
    }
    let name = name.trim_end_matches('-');
    match name.starts_with(|c: char| c.is_ascii_lowercase()) {
        true => name.to_owned(),
        false => cut(&format!("{UNNAMED}-{name}"), MAX_NAME)
            .trim_end_matches('-')
            .to_owned(),
    }
}

/// One line of a stranger's text, short and without what would command a terminal; none if nothing
/// is left.
fn words(text: &str, most: usize) -> Option<String> {
    // A manifest refuses the characters that turn the direction of writing.
    let plain = |c: &char| {
        !c.is_control()
            && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String = line.chars().filter(plain).take(most).collect();
    let line = cut(line.trim(), most).to_owned();
    (!line.is_empty()).then_some(line)
}

fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev();
    let end = end.into_iter().find(|at| text.is_char_boundary(*at));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

#[cfg(test)]
mod tests;

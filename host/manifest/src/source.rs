//! Where a component comes from, as a user writes it.

mod hub;
mod oci;
mod package;
mod web;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

use crate::error::Error;
use crate::plugin_ref::{is_name, shorten};

pub use hub::{HubRef, HubRepo};
pub use oci::OciRef;
pub use package::PackageRef;
pub use web::WebRef;

/// Where a component comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `builtin:NAME`: embedded in the binary.
    Builtin(String),
    /// A `.wasm` file, or a folder with a `plugin.toml` beside one.
    Local(PathBuf),
    /// `oci://HOST/REPOSITORY:TAG`: an image of an OCI registry.
    Oci(OciRef),
    /// `NAMESPACE:NAME@VERSION`: a package, found as the wasm package tools find it.
    Package(PackageRef),
    /// `hf://ORG/REPO@REVISION/PATH`: a file of a repository on the Hugging Face Hub.
    Hub(HubRef),
    /// `https://…#sha256=…`: a file whose digest is known.
    Web(WebRef),
}

/// What can be written, for errors.
const KINDS: &str = "write `builtin:NAME` for a plugin that comes with the program, a path such as `./plugin.wasm`, `oci://HOST/REPOSITORY:TAG`, `NAMESPACE:NAME@VERSION`, `hf://ORG/REPO/PATH` or `https://…#sha256=…`";

impl Source {
    /// Whether the component is part of this program, and so trusted as the program is.
    pub fn is_builtin(&self) -> bool {
        matches!(self, Self::Builtin(_))
    }

    /// Whether the component has to be fetched over the network, once.
    pub fn is_remote(&self) -> bool {
        !matches!(self, Self::Builtin(_) | Self::Local(_))
    }

    /// Bytes that name the place without its version: what comes from there later is the same plugin.
    pub fn place(&self) -> Vec<u8> {
        match self {
            Self::Builtin(_) => self.to_string().into_bytes(),
            Self::Local(path) => path.as_os_str().as_encoded_bytes().to_vec(),
            Self::Oci(image) => {
                format!("oci://{}/{}", image.registry, image.repository).into_bytes()
            }
            Self::Package(package) => {
                format!("{}:{}", package.namespace, package.name).into_bytes()
            }
            Self::Hub(file) => HubRef {
                revision: None,
                ..file.clone()
            }
            .to_string()
            .into_bytes(),
            Self::Web(file) => file.url.as_str().as_bytes().to_vec(),
        }
    }

    /// Makes a relative path absolute below `folder`, the folder of the file that named it.
    #[must_use]
    pub fn based_at(self, folder: &Path) -> Self {
        match self {
            Self::Local(path) => Self::Local(folder.join(path.strip_prefix(".").unwrap_or(&path))),
            other => other,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin(name) => write!(f, "builtin:{name}"),
            Self::Local(path) => path.display().fmt(f),
            Self::Oci(image) => image.fmt(f),
            Self::Package(package) => package.fmt(f),
            Self::Hub(file) => file.fmt(f),
            Self::Web(file) => file.fmt(f),
        }
    }
}

impl FromStr for Source {
    type Err = Error;

    /// A path must start with `./`, `../` or `/`, so that a name is never taken for a folder.
    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |why: String| Error::value(format!("not a source: `{}`; {why}", shorten(text)));
        if text.chars().any(char::is_control) || text.is_empty() {
            return Err(wrong(KINDS.to_owned()));
        }
        let is_path = ["./", "../", "/"]
            .iter()
            .any(|start| text.starts_with(start));
        if is_path || text == "." || text == ".." {
            return Ok(Self::Local(PathBuf::from(text)));
        }
        if let Some(name) = text.strip_prefix("builtin:") {
            return match is_name(name) {
                true => Ok(Self::Builtin(name.to_owned())),
                false => Err(wrong(format!(
                    "this is no name of a builtin plugin; {KINDS}"
                ))),
            };
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            return match scheme {
                "oci" => OciRef::parse(rest).map(Self::Oci),
                "hf" => HubRef::parse(rest).map(Self::Hub),
                "https" => WebRef::parse(text).map(Self::Web),
                "http" => Err("a plugin is fetched over `https://` only".to_owned()),
                _ => Err(KINDS.to_owned()),
            }
            .map_err(wrong);
        }
        if text.contains(':') {
            return PackageRef::parse(text)
                .map(Self::Package)
                .map_err(|why| wrong(format!("{why}; {KINDS}")));
        }
        Err(wrong(format!(
            "a path starts with `./`, `../` or `/`, so write `./{}`; {KINDS}",
            shorten(text)
        )))
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Source {
        text.parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn refuse(text: &str) -> String {
        text.parse::<Source>().unwrap_err().to_string()
    }

    #[test]
    fn every_kind_of_source_is_written_as_it_was_read() {
        let hex = "ab".repeat(32);
        for (text, remote) in [
            ("builtin:files".to_owned(), false),
            ("./a.wasm".to_owned(), false),
            ("../a".to_owned(), false),
            ("/opt/a:b.wasm".to_owned(), false),
            (".".to_owned(), false),
            ("oci://ghcr.io/acme/plugins/arxiv:1.2.0".to_owned(), true),
            (format!("oci://127.0.0.1:5000/a@sha256:{hex}"), true),
            (format!("oci://localhost:5000/a/b:v1@sha256:{hex}"), true),
            ("acme:arxiv".to_owned(), true),
            ("acme:arxiv@1.2.0-rc.1".to_owned(), true),
            ("hf://acme/plugins/arxiv.wasm".to_owned(), true),
            ("hf://acme/plugins@v1/dir/arxiv.wasm".to_owned(), true),
            ("hf://acme/plugins@refs/pr/12/arxiv.wasm".to_owned(), true),
            ("hf://datasets/acme/plugins/a.wasm".to_owned(), true),
            (format!("https://example.org/a.wasm#sha256={hex}"), true),
            (
                format!("https://example.org:8443/a%20b.wasm?x=1#sha256={hex}"),
                true,
            ),
        ] {
            let source = parse(&text);
            assert_eq!(source.to_string(), text);
            assert_eq!(parse(&source.to_string()), source);
            assert_eq!(source.is_remote(), remote, "{text}");
        }
    }

    #[test]
    fn a_path_is_below_the_folder_that_names_it_and_nothing_else_is() {
        let based = |text: &str| parse(text).based_at(Path::new("/home/u")).to_string();
        assert_eq!(based("./a.wasm"), "/home/u/a.wasm");
        assert_eq!(based("oci://example.org/a:1"), "oci://example.org/a:1");
    }

    #[test]
    fn a_wrong_source_is_shown_with_what_can_be_written() {
        for text in [
            "",
            "plugin.wasm",
            "builtin:",
            "builtin:../x",
            "builtin:A",
            "file:///a.wasm",
            "ftp://a/b",
        ] {
            let error = refuse(text);
            assert!(
                error.contains("builtin:NAME") && error.contains("./plugin.wasm"),
                "{text}: {error}"
            );
        }
        assert!(refuse("plugin.wasm").contains("`./plugin.wasm`"));
        assert!(refuse("http://example.org/a.wasm").contains("over `https://` only"));
        assert!(!refuse("./a\u{1b}[2J").contains('\u{1b}'));
    }
}

//! Publishing a component: to a registry, to the Hub, into a folder. Beside it go its signature, where there is one,
//! and where it came from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use ml_intern_manifest::{Digest, HubRef, OciRef, PluginHeader, Source};
use serde_json::{Value, json};

use crate::error::Error;
use crate::oci::{Attached, Oci, Upload};
use crate::remote::Remote;
use crate::resolve::Resolved;

/// Ending of the name of the statement of where a component came from, as of in-toto 1.
pub const PROVENANCE: &str = ".intoto.json";
/// Ending of the name of a signature.
const SIGNATURE: &str = ".minisig";

/// Everything that is published of one version.
#[derive(Debug)]
pub struct Release<'a> {
    /// The plugin.
    pub resolved: &'a Resolved,
    /// Its component.
    pub bytes: &'a [u8],
    /// Names of its exports.
    pub exports: Vec<String>,
    /// The text of its `minisign` signature.
    pub signature: Option<String>,
    /// The statement of where it came from: [`provenance`].
    pub provenance: String,
    /// When it is published, as RFC 3339 has it.
    pub created: String,
    /// Where its source is, and the commit.
    pub origin: Option<Checkout>,
}

/// A commit of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// Address without a name or a password in it.
    pub repository: Option<String>,
    /// The commit, in hex.
    pub commit: String,
    /// Whether there are changes that no commit has.
    pub is_changed: bool,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// It is there now, by this address.
    New(String),
    /// It was there, byte for byte, with its signature.
    Same(String),
    /// It was there, byte for byte, and its signature was not.
    Signed(String),
}

impl Release<'_> {
    fn header(&self) -> &PluginHeader {
        &self.resolved.manifest.plugin
    }

    /// The tag of its version. A tag has no `+`; tools write `_` for it.
    #[must_use]
    pub fn tag(&self) -> String {
        self.header().version.to_string().replace('+', "_")
    }

    /// Pushes it to a registry, under its version where the reference has no tag. What is there under the tag is
    /// replaced only where `replace`.
    ///
    /// # Errors
    /// Where the registry refuses, or has something else under the tag.
    pub async fn to_registry(
        &self,
        remote: &Remote,
        image: &OciRef,
        replace: bool,
    ) -> Result<Published, Error> {
        let image = OciRef {
            tag: Some(image.tag.clone().unwrap_or_else(|| self.tag())),
            digest: None,
            ..image.clone()
        };
        let oci = Oci::new(&remote.net, &remote.logins);
        let there = match oci.image(&image).await {
            Ok(there) => Some(there),
            Err(Error::NotFound { .. }) => None,
            // Something that is no component can be there too, and is not replaced by mistake either.
            Err(error) if !replace => return Err(error),
            Err(_) => None,
        };
        let pinned = |digest: Digest| {
            OciRef {
                digest: Some(digest),
                ..image.clone()
            }
            .to_string()
        };
        let digest = Digest::of(self.bytes);
        match &there {
            Some(there) if there.layer.digest == digest => {
                let at = OciRef {
                    digest: Some(there.digest),
                    ..image.clone()
                };
                let has = oci.signature(&at).await?;
                return match self.signature.as_deref().map(str::as_bytes) {
                    Some(text) if has.as_deref() != Some(text) => {
                        let to = (there.digest, there.size);
                        oci.attach(&image, to, &Attached::signature(text)).await?;
                        Ok(Published::Signed(at.to_string()))
                    }
                    _ => Ok(Published::Same(at.to_string())),
                };
            }
            Some(there) if !replace => return Err(taken(&image.to_string(), &there.layer.digest)),
            _ => {}
        }
        let upload = Upload {
            component: self.bytes,
            config: self.config(&digest).to_string().into_bytes(),
            annotations: self.annotations(),
        };
        let pushed = oci.push(&image, &upload).await?;
        self.attach(&oci, &image, (pushed.manifest, pushed.size))
            .await?;
        Ok(Published::New(pinned(pushed.manifest)))
    }

    async fn attach(&self, oci: &Oci<'_>, image: &OciRef, to: (Digest, u64)) -> Result<(), Error> {
        let statement = Attached::provenance(self.provenance.as_bytes());
        oci.attach(image, to, &statement).await?;
        match &self.signature {
            Some(text) => {
                let signature = Attached::signature(text.as_bytes());
                oci.attach(image, to, &signature).await
            }
            None => Ok(()),
        }
    }

    /// As the ecosystem's tools write it: the package tools of the Bytecode Alliance, August 2026.
    fn config(&self, digest: &Digest) -> Value {
        json!({
            "created": self.created,
            "architecture": "wasm",
            "os": "wasip2",
            "layerDigests": [digest.to_string()],
            "component": {
                "exports": self.exports,
                "imports": self.resolved.imports,
                "target": null,
            },
        })
    }

    /// The names are those of the OCI image specification.
    fn annotations(&self) -> BTreeMap<String, String> {
        let header = self.header();
        let mut annotations = BTreeMap::from(
            [
                ("created", self.created.clone()),
                ("title", header.id.to_string()),
                ("vendor", header.id.publisher().to_owned()),
                ("version", header.version.to_string()),
                ("description", header.description.clone()),
                ("licenses", header.license.clone()),
            ]
            .map(|(name, value)| (annotation(name), value)),
        );
        if let Some(origin) = &self.origin {
            annotations.insert(annotation("revision"), origin.commit.clone());
            let repository = origin.repository.clone();
            annotations.extend(repository.map(|place| (annotation("source"), place)));
        }
        annotations
    }

    /// Its files, by the ending of their names.
    fn files(&self) -> Vec<(&'static str, &[u8])> {
        let mut files = vec![("", self.bytes), (PROVENANCE, self.provenance.as_bytes())];
        let signature = self.signature.as_deref();
        files.extend(signature.map(|text| (SIGNATURE, text.as_bytes())));
        files
    }

    /// Commits it to a repository on the Hub.
    ///
    /// # Errors
    /// Where the Hub refuses, or has something else there and `replace` is false.
    pub async fn to_hub(
        &self,
        remote: &Remote,
        file: &HubRef,
        replace: bool,
    ) -> Result<Published, Error> {
        let digest = Digest::of(self.bytes);
        if let Some(there) = remote.hub.digest_of(&remote.net, file).await? {
            match there == digest {
                true => return self.sign_on_hub(remote, file).await,
                false if !replace => return Err(taken(&file.to_string(), &there)),
                false => {}
            }
        }
        let named = self
            .files()
            .into_iter()
            .map(|(ending, bytes)| (format!("{}{ending}", file.path), bytes));
        let title = format!("{} {}", self.header().id, self.header().version);
        let named = named.collect::<Vec<_>>();
        let commit = remote.hub.commit(&remote.net, file, &title, &named).await?;
        let pinned = HubRef {
            revision: Some(commit),
            ..file.clone()
        };
        Ok(Published::New(pinned.to_string()))
    }

    /// Adds the signature to what is there.
    async fn sign_on_hub(&self, remote: &Remote, file: &HubRef) -> Result<Published, Error> {
        let has = remote.signature(&Source::Hub(file.clone())).await?;
        let text = match &self.signature {
            Some(text) if has.as_ref() != Some(text) => text,
            _ => return Ok(Published::Same(file.to_string())),
        };
        let title = format!(
            "Signature of {} {}",
            self.header().id,
            self.header().version
        );
        let named = [(format!("{}{SIGNATURE}", file.path), text.as_bytes())];
        let commit = remote.hub.commit(&remote.net, file, &title, &named).await?;
        let pinned = HubRef {
            revision: Some(commit),
            ..file.clone()
        };
        Ok(Published::Signed(pinned.to_string()))
    }

    /// Writes it into a folder as `NAME-VERSION.wasm`.
    ///
    /// # Errors
    /// Where the folder cannot be written, or has something else there and `replace` is false.
    pub fn to_folder(&self, folder: &Path, replace: bool) -> Result<Published, Error> {
        let header = self.header();
        let path = folder.join(format!("{}-{}.wasm", header.id.name(), header.version));
        let failed = |source: io::Error| Error::Read {
            path: path.clone(),
            source,
        };
        let is_same = match fs::read(&path) {
            Ok(there) if there != self.bytes && !replace => {
                return Err(taken(&path.display().to_string(), &Digest::of(&there)));
            }
            Ok(there) => there == self.bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(failed(error)),
        };
        let place = path.display().to_string();
        if is_same {
            let name = beside(&path, SIGNATURE);
            return match &self.signature {
                Some(text) if fs::read(&name).ok().as_deref() != Some(text.as_bytes()) => {
                    write(&name, text.as_bytes()).map_err(failed)?;
                    Ok(Published::Signed(place))
                }
                _ => Ok(Published::Same(place)),
            };
        }
        fs::create_dir_all(folder).map_err(failed)?;
        for (ending, bytes) in self.files() {
            write(&beside(&path, ending), bytes).map_err(failed)?;
        }
        Ok(Published::New(place))
    }
}

/// The file whose name is longer by `ending`.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Whole, or not at all.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let aside = beside(path, ".part");
    fs::write(&aside, bytes).and_then(|()| fs::rename(&aside, path))
}

fn annotation(name: &str) -> String {
    format!("org.opencontainers.image.{name}")
}

fn taken(place: &str, there: &Digest) -> Error {
    Error::Taken {
        place: place.to_owned(),
        there: *there,
    }
}

/// The statement of where a component came from: in-toto 1 with a SLSA 1 predicate. Whoever publishes says it; it is
/// as good as the signature over the component.
pub fn provenance(
    resolved: &Resolved,
    exact: &Digest,
    origin: Option<&Checkout>,
    created: &str,
) -> String {
    let header = &resolved.manifest.plugin;
    let sources = origin.map(|origin| {
        let place = origin.repository.as_deref().unwrap_or("unknown");
        json!([{
            "uri": format!("git+{place}"),
            "digest": {"gitCommit": origin.commit},
            "annotations": {"uncommitted-changes": origin.is_changed},
        }])
    });
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{
            "name": format!("{}.wasm", header.id.name()),
            "digest": {"sha256": exact.hex()},
        }],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": concat!(env!("CARGO_PKG_REPOSITORY"), "#plugin-publish"),
                "externalParameters": {"id": header.id.to_string(), "version": header.version.to_string()},
                "resolvedDependencies": sources.unwrap_or_else(|| json!([])),
            },
            "runDetails": {
                "builder": {
                    "id": concat!(env!("CARGO_PKG_REPOSITORY"), "#publisher"),
                    "version": {"ml-intern": env!("CARGO_PKG_VERSION")},
                },
                "metadata": {"finishedOn": created},
            },
        },
    });
    format!("{statement:#}\n")
}

//! From a source in the run manifest to a plugin that can be loaded.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use ml_intern_manifest::{Abi, Digest, Kind, PluginManifest, Source, suggestion};

use crate::error::Error;
use crate::inspect::inspect_with;
use crate::local;
use crate::store::Store;

/// A first-party plugin embedded in the program. Everything but the bytes is what [`inspect`] said
/// when the program was built, so that a start reads no WebAssembly.
#[derive(Debug, Clone, Copy)]
pub struct Builtin {
    /// The name after `builtin:`.
    pub name: &'static str,
    /// The component.
    pub bytes: &'static [u8],
    /// Its plugin manifest.
    pub manifest: &'static str,
    /// SHA-256 of the bytes.
    pub digest: Digest,
    /// What it exports.
    pub kinds: &'static [Kind],
    /// The ABI of its exports.
    pub abi: Abi,
    /// Names of its imports.
    pub imports: &'static [&'static str],
}

/// Where sources are looked up: the builtin plugins, and the user's files.
#[derive(Debug, Clone, Copy)]
pub struct Catalog {
    builtins: &'static [Builtin],
}

/// A plugin that was found and read, not yet compiled.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// Where it comes from.
    pub source: Source,
    /// What its author says and asks for.
    pub manifest: PluginManifest,
    /// SHA-256 of the bytes.
    pub digest: Digest,
    /// What it exports; never empty.
    pub kinds: Vec<Kind>,
    /// The ABI of its exports.
    pub abi: Abi,
    /// Names of its imports.
    pub imports: Vec<String>,
    /// What a `policy.yaml` beside it permits and this host does not give, in words.
    pub not_given: Vec<String>,
    /// The component.
    pub bytes: ComponentBytes,
}

/// A component's bytes, or where they are; cheap to clone.
#[derive(Clone)]
pub enum ComponentBytes {
    /// Part of the program.
    Static(&'static [u8]),
    /// Read from a file.
    Shared(Arc<[u8]>),
    /// In the store, to be read when something needs them.
    Stored(Store, Digest),
}

impl ComponentBytes {
    /// The bytes.
    ///
    /// # Errors
    /// Where the store no longer has them.
    pub fn read(&self) -> Result<Cow<'static, [u8]>, Error> {
        match self {
            Self::Static(bytes) => Ok(Cow::Borrowed(bytes)),
            Self::Shared(bytes) => Ok(Cow::Owned(bytes.to_vec())),
            Self::Stored(store, digest) => match store.read(digest)? {
                Some(bytes) => Ok(Cow::Owned(bytes)),
                None => Err(Error::NotFound {
                    name: store.path(digest).display().to_string(),
                    message: "is gone; `ml-intern plugin lock` fetches it again".to_owned(),
                }),
            },
        }
    }
}

impl fmt::Debug for ComponentBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Shared(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Stored(_, digest) => digest.fmt(f),
        }
    }
}

impl Catalog {
    /// A catalog of these builtin plugins and of local files.
    pub const fn new(builtins: &'static [Builtin]) -> Self {
        Self { builtins }
    }

    /// The builtin plugins.
    pub fn builtins(&self) -> &'static [Builtin] {
        self.builtins
    }

    /// Finds and reads a plugin. A relative path is taken from the working directory; see
    /// [`ml_intern_manifest::RunManifest::based_at`].
    pub fn resolve(&self, source: &Source) -> Result<Resolved, Error> {
        match source {
            Source::Builtin(name) => self.resolve_builtin(name),
            Source::Local(path) => {
                let files = local::read(path)?;
                resolve_files(source, files)
            }
            remote => Err(Error::NotFound {
                name: remote.to_string(),
                message: "is not here; it is fetched when it is added".to_owned(),
            }),
        }
    }

    /// A plugin that was fetched into the store. Its bytes are not read where they were looked into before.
    ///
    /// # Errors
    /// Where it is not there, was changed there, or is no plugin.
    pub fn resolve_fetched(
        &self,
        source: &Source,
        digest: &Digest,
        store: &Store,
    ) -> Result<Resolved, Error> {
        let name = source.to_string();
        if !store.has(digest) {
            return Err(Error::NotFound {
                name,
                message: format!("is not among the plugins that were fetched ({digest})"),
            });
        }
        let facts = match store.facts(digest) {
            Some(facts) => facts,
            None => store.look_into(&name, digest)?,
        };
        Ok(Resolved {
            source: source.clone(),
            manifest: PluginManifest::parse(&format!("{name} (plugin.toml)"), &facts.manifest)?,
            digest: *digest,
            kinds: facts.kinds,
            abi: facts.abi.parse()?,
            imports: facts.imports,
            not_given: Vec::new(),
            bytes: ComponentBytes::Stored(store.clone(), *digest),
        })
    }

    fn resolve_builtin(&self, name: &str) -> Result<Resolved, Error> {
        let Some(builtin) = self.builtins.iter().find(|builtin| builtin.name == name) else {
            let names: Vec<&str> = self.builtins.iter().map(|builtin| builtin.name).collect();
            let advice = match suggestion(name, &names) {
                Some(meant) => format!("did you mean `builtin:{meant}`?"),
                None => format!("the builtin plugins are: {}", names.join(", ")),
            };
            return Err(Error::NotFound {
                name: format!("builtin:{name}"),
                message: format!("is not part of this program; {advice}"),
            });
        };
        Ok(Resolved {
            source: Source::Builtin(name.to_owned()),
            manifest: PluginManifest::parse(
                &format!("builtin:{name} (plugin.toml)"),
                builtin.manifest,
            )?,
            digest: builtin.digest,
            kinds: builtin.kinds.to_vec(),
            abi: builtin.abi,
            imports: builtin
                .imports
                .iter()
                .map(|import| (*import).to_owned())
                .collect(),
            not_given: Vec::new(),
            bytes: ComponentBytes::Static(builtin.bytes),
        })
    }
}

fn resolve_files(source: &Source, files: local::Files) -> Result<Resolved, Error> {
    let name = files.path.display().to_string();
    let policy = || local::policy(&files.path);
    let inspected = inspect_with(&name, &files.bytes, files.manifest.as_deref(), policy)?;
    // In a folder under development the manifest is edited by hand: one that the component was not
    // built from would show the user other requests than those that are in force.
    if files.is_folder
        && files
            .manifest
            .is_some_and(|beside| beside != inspected.manifest_text)
    {
        return Err(Error::Manifest {
            name,
            message:
                "was built from another `plugin.toml` than the one in its folder; build it again"
                    .to_owned(),
        });
    }
    Ok(Resolved {
        source: source.clone(),
        manifest: inspected.manifest,
        digest: inspected.digest,
        kinds: inspected.kinds,
        abi: inspected.abi,
        imports: inspected.imports,
        not_given: inspected.not_given,
        bytes: ComponentBytes::Shared(files.bytes.into()),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::time::{Duration, Instant};

    use super::*;

    const MANIFEST: &str = "[plugin]\nid = \"acme/arxiv\"\nversion = \"1.2.0\"\ndescription = \"d\"\nlicense = \"MIT\"\nabi = \"0.1\"\n";

    fn component(section: bool) -> Vec<u8> {
        let section = if section {
            format!(
                "(@custom \"ml-intern:plugin\" \"{}\")",
                MANIFEST.replace('"', "\\\"").replace('\n', "\\n")
            )
        } else {
            String::new()
        };
        let text = format!(
            "(component {section} (instance $i) (export \"ml-intern:plugin/tool@0.1.0\" (instance $i)))"
        );
        wat::parse_str(text).unwrap()
    }

    fn resolve(path: &Path) -> Result<Resolved, Error> {
        Catalog::new(&[]).resolve(&Source::Local(path.to_owned()))
    }

    fn refuse(path: &Path) -> String {
        resolve(path).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn a_file_is_resolved_with_or_without_a_manifest_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wasm");
        fs::write(&path, component(true)).unwrap();
        let resolved = resolve(&path).unwrap();
        assert_eq!(resolved.digest, Digest::of(&component(true)));
        assert_eq!(resolved.bytes.read().unwrap(), component(true));
        assert_eq!(resolved.source, Source::Local(path.clone()));
        fs::write(&path, component(false)).unwrap();
        assert!(refuse(&path).contains("carries no plugin manifest"));
        fs::write(folder.path().join("plugin.toml"), MANIFEST).unwrap();
        assert_eq!(resolve(&path).unwrap().kinds, [Kind::Tool]);
    }

    #[test]
    fn a_folder_holds_a_manifest_and_one_component() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        assert!(refuse(path).contains("holds no `.wasm` file"));
        let built = path.join("target/wasm32-wasip2/release");
        fs::create_dir_all(built.join("deps")).unwrap();
        fs::write(built.join("deps/other.wasm"), b"x").unwrap();
        fs::write(built.join("a.wasm"), component(true)).unwrap();
        assert!(refuse(path).contains("holds no `plugin.toml`"));
        fs::write(path.join("plugin.toml"), MANIFEST).unwrap();
        assert_eq!(resolve(path).unwrap().abi, Abi::SUPPORTED[0]);
        fs::write(path.join("plugin.toml"), MANIFEST.replace("1.2.0", "1.3.0")).unwrap();
        assert!(refuse(path).contains("was built from another `plugin.toml`"));
        fs::write(built.join("b.wasm"), component(true)).unwrap();
        assert!(
            refuse(path).contains("holds 2 `.wasm` files (a.wasm, b.wasm); name the one to load")
        );
        // What lies in the folder itself goes first.
        fs::write(path.join("plugin.toml"), MANIFEST).unwrap();
        fs::write(path.join("c.wasm"), component(false)).unwrap();
        assert_eq!(resolve(path).unwrap().digest, Digest::of(&component(false)));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(refuse(&folder.path().join("none.wasm")).contains("does not exist"));
        assert!(refuse(Path::new("/dev/null")).contains("is not a regular file"));
        let large = folder.path().join("large.wasm");
        fs::File::create(&large).unwrap().set_len(1 << 40).unwrap();
        assert!(refuse(&large).contains("has 1099511627776 bytes"));
        let file = folder.path().join("a.wasm");
        fs::write(&file, component(false)).unwrap();
        fs::write(folder.path().join("plugin.toml"), b"\xff").unwrap();
        assert!(refuse(&file).contains("is not UTF-8"));
        fs::write(folder.path().join("plugin.toml"), vec![b'#'; 300_000]).unwrap();
        assert!(refuse(&file).contains("at most 262144 are read"));
    }

    #[cfg(unix)]
    #[test]
    fn a_fifo_is_refused_without_waiting_for_a_writer() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("a.wasm");
        assert!(
            std::process::Command::new("mkfifo")
                .arg(&fifo)
                .status()
                .unwrap()
                .success()
        );
        assert!(refuse(&fifo).contains("is not a regular file"));
        assert!(refuse(folder.path()).contains("holds no `.wasm` file"));
    }

    static BUILTINS: [Builtin; 1] = [Builtin {
        name: "arxiv",
        bytes: b"bytes that nothing reads at start",
        manifest: MANIFEST,
        digest: Digest::from_bytes([7; 32]),
        kinds: &[Kind::Tool],
        abi: Abi::HOST,
        imports: &["wasi:io/poll@0.2.0"],
    }];

    #[test]
    fn builtins_are_resolved_from_what_was_computed_at_build_time() {
        let catalog = Catalog::new(&BUILTINS);
        let start = Instant::now();
        for _ in 0..100 {
            let resolved = catalog
                .resolve(&Source::Builtin("arxiv".to_owned()))
                .unwrap();
            assert_eq!(
                (resolved.digest, resolved.imports.len()),
                (Digest::from_bytes([7; 32]), 1)
            );
        }
        // 1 ms each is what a start can bear; 12 µs each were measured in a debug build.
        assert!(
            start.elapsed() < Duration::from_millis(100),
            "{:?}",
            start.elapsed()
        );
    }

    #[test]
    fn an_unknown_builtin_gets_a_suggestion() {
        let error = |name: &str| {
            Catalog::new(&BUILTINS)
                .resolve(&Source::Builtin(name.to_owned()))
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            error("arxi"),
            "builtin:arxi is not part of this program; did you mean `builtin:arxiv`?"
        );
        assert!(error("zzz").ends_with("the builtin plugins are: arxiv"));
    }
}

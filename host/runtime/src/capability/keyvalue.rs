//! `wasi:keyvalue/store`: what a tool keeps between calls, in two buckets, `session` and
//! `project`, of its own. Needs no grant; sizes are bounded.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use ml_intern_manifest::{Denial, shorten};
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};

use crate::bindings::tool::wasi::keyvalue::store::{self, Error, Host, HostBucket, KeyResponse};
use crate::call::Call;
use crate::kv::{NotSet, Shelf};
use crate::state::PluginState;

/// Keys of one page of `list-keys`.
const PAGE: usize = 1000;

/// What one plugin keeps. Cheap to clone; clones share their contents.
#[derive(Debug, Clone)]
pub struct KeyValue {
    session: Arc<Shelf>,
    project: Arc<Shelf>,
}

impl KeyValue {
    /// Kept as long as a clone of this lives.
    pub fn in_memory() -> Self {
        Self::new(None, None)
    }

    /// Kept in these files (JSON lines), or in memory where there is none. The files and their
    /// folders are made when something is written, and belong to one plugin each.
    pub fn new(session: Option<PathBuf>, project: Option<PathBuf>) -> Self {
        Self {
            session: Arc::new(Shelf::new(session)),
            project: Arc::new(Shelf::new(project)),
        }
    }
}

/// What lies in the buckets: each value under its bucket, `session` or `project`, and its key.
pub type Contents = BTreeMap<(&'static str, String), Vec<u8>>;

impl KeyValue {
    /// Everything that is kept.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn contents(&self) -> Result<Contents, String> {
        let mut all = BTreeMap::new();
        for (name, shelf) in [("session", &self.session), ("project", &self.project)] {
            for key in shelf.keys(0, usize::MAX)? {
                if let Some(value) = shelf.get(&key)? {
                    all.insert((name, key), value);
                }
            }
        }
        Ok(all)
    }

    /// Keeps a value as a plugin would: for the project, or for the session.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn keep(&self, project: bool, key: &str, value: &[u8]) -> Result<(), String> {
        let shelf = if project {
            &self.project
        } else {
            &self.session
        };
        let kept = shelf.set(key.to_owned(), value.to_vec());
        kept.map_err(|problem| match problem {
            NotSet::Limit(text) | NotSet::Other(text) => text,
        })
    }
}

/// An open bucket.
#[derive(Debug, Clone)]
pub struct Bucket(Arc<Shelf>);

pub(crate) struct View<'a> {
    call: &'a Call,
    table: &'a mut ResourceTable,
}

struct Keys;

impl HasData for Keys {
    type Data<'a> = View<'a>;
}

pub(crate) fn link(linker: &mut Linker<PluginState>) -> wasmtime::Result<()> {
    store::add_to_linker::<_, Keys>(linker, |state| {
        let (call, table) = state.call_and_table();
        View { call, table }
    })
}

impl View<'_> {
    fn shelf(&self, bucket: &Resource<Bucket>) -> wasmtime::Result<Arc<Shelf>> {
        Ok(Arc::clone(&self.table.get(bucket)?.0))
    }
}

impl Host for View<'_> {
    fn open(&mut self, identifier: String) -> wasmtime::Result<Result<Resource<Bucket>, Error>> {
        let store = &self.call.setup.store;
        let shelf = match identifier.as_str() {
            "session" => &store.session,
            "project" => &store.project,
            other => {
                let other = shorten(other);
                let detail = format!(
                    "there is no bucket `{other}`; a tool has `session` and `project`, of its own"
                );
                let capability = "keyvalue";
                // Told below, as the interface has it.
                let _told = self.call.refuse(Denial { capability, detail }, other);
                return Ok(Err(Error::NoSuchStore));
            }
        };
        Ok(Ok(self.table.push(Bucket(Arc::clone(shelf)))?))
    }
}

impl HostBucket for View<'_> {
    fn get(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        Ok(self.shelf(&bucket)?.get(&key).map_err(Error::Other))
    }

    fn set(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let set = self.shelf(&bucket)?.set(key, value);
        Ok(set.map_err(|problem| match problem {
            NotSet::Other(text) => Error::Other(text),
            NotSet::Limit(text) => {
                self.call.limited("limits.keyvalue", || text.clone());
                Error::Other(text)
            }
        }))
    }

    fn delete(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
    ) -> wasmtime::Result<Result<(), Error>> {
        Ok(self.shelf(&bucket)?.delete(&key).map_err(Error::Other))
    }

    fn exists(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
    ) -> wasmtime::Result<Result<bool, Error>> {
        Ok(self
            .shelf(&bucket)?
            .get(&key)
            .map(|value| value.is_some())
            .map_err(Error::Other))
    }

    fn list_keys(
        &mut self,
        bucket: Resource<Bucket>,
        cursor: Option<u64>,
    ) -> wasmtime::Result<Result<KeyResponse, Error>> {
        let from = usize::try_from(cursor.unwrap_or(0)).unwrap_or(usize::MAX);
        Ok(self
            .shelf(&bucket)?
            .keys(from, PAGE)
            .map_err(Error::Other)
            .map(|keys| {
                let cursor = (keys.len() == PAGE).then(|| from.saturating_add(PAGE) as u64);
                KeyResponse { keys, cursor }
            }))
    }

    fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}

//! What a plugin keeps between calls: an instance lives for one call only.

use crate::Error;
use crate::bindings::tool::wasi::keyvalue::store;

/// One scope of the plugin's own keys. No other plugin can see it.
#[derive(Debug)]
pub struct Bucket(store::Bucket);

impl Bucket {
    /// Keys that live as long as the session.
    ///
    /// # Errors
    ///
    /// As [`Bucket::open`].
    pub fn session() -> Result<Self, Error> {
        Self::open("session")
    }

    /// Keys that outlive the session, for the project in the workspace.
    ///
    /// # Errors
    ///
    /// As [`Bucket::open`].
    pub fn project() -> Result<Self, Error> {
        Self::open("project")
    }

    /// Opens a bucket by name.
    ///
    /// # Errors
    ///
    /// `not-found` for a name that the host does not know, `denied` where it refuses.
    pub fn open(name: &str) -> Result<Self, Error> {
        store::open(name).map(Self).map_err(Error::from)
    }

    /// The value of `key`; none when it was never set or was deleted.
    ///
    /// # Errors
    ///
    /// `internal` when the host's store fails.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.0.get(key).map_err(Error::from)
    }

    /// Sets `key`. A call that is held to read-only may still do this.
    ///
    /// # Errors
    ///
    /// `internal` when the host's store fails or a limit on keys or bytes is reached.
    pub fn set(&self, key: &str, value: &[u8]) -> Result<(), Error> {
        self.0.set(key, value).map_err(Error::from)
    }

    /// Removes `key`; a key that is not there is no error.
    ///
    /// # Errors
    ///
    /// `internal` when the host's store fails.
    pub fn delete(&self, key: &str) -> Result<(), Error> {
        self.0.delete(key).map_err(Error::from)
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::NoSuchStore => Self::NotFound("no such key-value bucket".to_owned()),
            store::Error::AccessDenied => {
                Self::denied("keyvalue", "the bucket is not this plugin's")
            }
            store::Error::Other(text) => Self::Internal(format!("key-value store: {text}")),
        }
    }
}

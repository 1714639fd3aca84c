//! The key store of the operating system: the Secret Service of the desktop, over D-Bus.

use crate::error::{Failure, Kind, Result};
use secret_service::{Collection, EncryptionType, Error, Item, SecretService};
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;
use zeroize::Zeroizing;

/// A store that is there answers in milliseconds. Nobody waits longer for one that is not.
const PATIENCE: Duration = Duration::from_secs(2);
/// A person who stores something may be asked for a password first.
const UNLOCKING: Duration = Duration::from_secs(60);

/// An open connection to it.
pub(crate) struct KeyStore {
    service: SecretService<'static>,
}

/// Why it is not used.
#[derive(Debug)]
pub(crate) struct Unavailable(String);

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the key store of this system cannot be used: {}", self.0)
    }
}

impl Unavailable {
    /// For a credential that is kept there.
    pub(crate) fn for_credential(self, name: &str) -> Failure {
        Failure::new(Kind::Credentials, anyhow::anyhow!("the credential `{name}`: {self}"))
            .hint("unlock it, or start the session's D-Bus and its key store (gnome-keyring, KWallet, KeePassXC)")
            .hint(format!("or keep it in a file: ml-intern login {name} --store file"))
    }
}

impl KeyStore {
    /// Connects, with a key of its own for what is sent.
    pub(crate) async fn open() -> std::result::Result<Self, Unavailable> {
        let connect = SecretService::connect(EncryptionType::Dh);
        let service = in_time(PATIENCE, connect).await?;
        Ok(Self { service })
    }

    /// Fails unless something could be stored at once.
    pub(crate) async fn check(&self) -> std::result::Result<(), Unavailable> {
        let ask = async {
            self.service
                .get_default_collection()
                .await?
                .is_locked()
                .await
        };
        match in_time(PATIENCE, ask).await? {
            false => Ok(()),
            true => Err(Unavailable("it is locked".into())),
        }
    }

    pub(crate) async fn get(
        &self,
        name: &str,
    ) -> std::result::Result<Option<Zeroizing<String>>, Unavailable> {
        let ask = async {
            let found = self.service.search_items(attributes(name)).await?;
            if let Some(item) = found.unlocked.first() {
                return Ok(Some(Zeroizing::new(item.get_secret().await?)));
            }
            if found.locked.is_empty() {
                Ok(None)
            } else {
                Err(Error::Locked)
            }
        };
        let Some(bytes) = in_time(PATIENCE, ask).await? else {
            return Ok(None);
        };
        match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(Some(Zeroizing::new(text.to_owned()))),
            Err(_) => Err(Unavailable(format!(
                "what it keeps for `{name}` is no text"
            ))),
        }
    }

    /// Stores a value in place of an older one. Waits for a person who has to unlock the store.
    pub(crate) async fn set(
        &self,
        name: &str,
        value: &str,
    ) -> std::result::Result<(), Unavailable> {
        let label = format!("ml-intern: {name}");
        let store = async {
            let collection: Collection<'_> = self.service.get_default_collection().await?;
            if collection.is_locked().await? {
                collection.unlock().await?;
            }
            let (value, attributes) = (value.as_bytes(), attributes(name));
            collection
                .create_item(&label, attributes, value, true, "text/plain")
                .await
                .map(|_| ())
        };
        in_time(UNLOCKING, store).await
    }

    /// Whether there was one.
    pub(crate) async fn remove(&self, name: &str) -> std::result::Result<bool, Unavailable> {
        let remove = async {
            let found = self.service.search_items(attributes(name)).await?;
            for item in found.locked.iter().chain(&found.unlocked) {
                delete(item).await?;
            }
            Ok(!found.locked.is_empty() || !found.unlocked.is_empty())
        };
        in_time(UNLOCKING, remove).await
    }
}

async fn delete(item: &Item<'_>) -> std::result::Result<(), Error> {
    if item.is_locked().await? {
        item.unlock().await?;
    }
    item.delete().await
}

/// By which it is found again.
fn attributes(name: &str) -> HashMap<&str, &str> {
    HashMap::from([("application", "ml-intern"), ("credential", name)])
}

async fn in_time<T>(
    limit: Duration,
    work: impl Future<Output = std::result::Result<T, Error>>,
) -> std::result::Result<T, Unavailable> {
    match tokio::time::timeout(limit, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(Error::Locked)) => Err(Unavailable("it is locked".into())),
        Ok(Err(Error::Prompt)) => Err(Unavailable("it is locked, and nobody unlocked it".into())),
        Ok(Err(Error::NoResult)) => Err(Unavailable("it has no default collection".into())),
        Ok(Err(error)) => Err(Unavailable(error.to_string())),
        Err(_) => Err(Unavailable(format!(
            "nothing came within {} s",
            limit.as_secs()
        ))),
    }
}

/// For those who only look.
impl KeyStore {
    pub(crate) async fn find(name: &str) -> Result<Option<Zeroizing<String>>> {
        let found = match Self::open().await {
            Ok(store) => store.get(name).await,
            Err(unavailable) => Err(unavailable),
        };
        found.map_err(|unavailable| unavailable.for_credential(name))
    }
}

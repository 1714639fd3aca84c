//! The plugin's configuration: the keys that its manifest lists under `[[request.config]]`.

use crate::Error;
use crate::bindings::tool::wasi::config::store;

/// The value of `key`, as the user or the manifest's default set it; none when neither did.
///
/// # Errors
///
/// `internal` when the host cannot read its configuration.
pub fn get(key: &str) -> Result<Option<String>, Error> {
    store::get(key).map_err(Error::from)
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        let (store::Error::Upstream(text) | store::Error::Io(text)) = error;
        Self::Internal(format!("configuration: {text}"))
    }
}

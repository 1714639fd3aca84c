//! Plugins in Go.

use crate::error::Error;
use crate::workshop::Workshop;

/// The component of the plugin in the workshop's folder, with or without its manifest.
pub(crate) async fn component(workshop: &mut Workshop<'_>) -> Result<Vec<u8>, Error> {
    Err(Error::Source {
        folder: workshop.folder.clone(),
        message: "is in Go, which this program does not build".to_owned(),
    })
}

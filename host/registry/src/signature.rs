//! Signatures of `minisign` over a component's bytes.
//!
//! What a signature vouches for stands in its trusted comment, which is signed too: the plugin's id, its version and
//! the component's digest. Without them an old signed component could come back under a new version.

use minisign_verify::{PublicKey, Signature};
use ml_intern_manifest::{Digest, PluginId};
use semver::Version;

use crate::error::Error;

/// Bytes of a signature file.
pub const MAX_SIGNATURE_BYTES: usize = 4096;

/// What a signature has to vouch for.
#[derive(Debug)]
pub struct Signed<'a> {
    /// The plugin's id.
    pub id: &'a PluginId,
    /// Its version.
    pub version: &'a Version,
    /// The component.
    pub bytes: &'a [u8],
}

/// The trusted comment of a plugin's signature: what `minisign -S -t` is to be given.
pub fn trusted_comment(id: &PluginId, version: &Version, digest: &Digest) -> String {
    format!("{id} {version} {digest}")
}

/// Checks a signature against a public key in base64, as `minisign` prints it.
///
/// # Errors
/// Where the key made no such signature, or its trusted comment speaks of something else.
pub fn verify(key: &str, signature: &str, signed: &Signed<'_>) -> Result<(), Error> {
    let wrong = |message: String| Error::Signature {
        name: format!("{}@{}", signed.id, signed.version),
        message,
    };
    let key = public_key(key).map_err(wrong)?;
    let signature = Signature::decode(signature)
        .map_err(|_| wrong("has a signature file that `minisign` did not write".to_owned()))?;
    key.verify(signed.bytes, &signature, false)
        .map_err(|error| {
            wrong(match error {
                minisign_verify::Error::UnexpectedKeyId => {
                    "is signed by another key than the one that is trusted for its publisher"
                        .to_owned()
                }
                minisign_verify::Error::UnexpectedAlgorithm => {
                    "has a signature of the old kind; sign it again, without `-l`".to_owned()
                }
                _ => "has a signature that is not one of these bytes".to_owned(),
            })
        })?;
    let wanted = trusted_comment(signed.id, signed.version, &Digest::of(signed.bytes));
    match signature.trusted_comment().trim() == wanted {
        true => Ok(()),
        false => Err(wrong(format!(
            "has a signature for something else: `{}`, not `{wanted}`",
            ml_intern_manifest::shorten(signature.trusted_comment())
        ))),
    }
}

/// Reads a public key in base64, or the text of a `minisign.pub`, and gives it in base64.
///
/// # Errors
/// Where it is none; in words.
pub fn key_of(text: &str) -> Result<String, String> {
    let line = text
        .lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty())
        .unwrap_or_default();
    public_key(line).map(|_| line.to_owned())
}

fn public_key(text: &str) -> Result<PublicKey, String> {
    PublicKey::from_base64(text.trim()).map_err(|_| {
        format!(
            "`{}` is no public key of `minisign`: 56 letters, the second line of its .pub file",
            ml_intern_manifest::shorten(text)
        )
    })
}

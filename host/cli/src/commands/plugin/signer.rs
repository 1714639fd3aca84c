//! Who vouches for a plugin: a `minisign` key, believed at its first use and pinned in the lockfile from then on.

use ml_intern_registry::{Error, Resolved, Signed, key_of, verify};

pub(super) const HINT: &str = "if the publisher says, by a way that you trust, that this is right, \
                               name the key yourself with `--key KEY`";

/// What is known of a plugin's origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Signer {
    /// Nobody has signed it.
    Nobody,
    /// It has a signature, and nobody has said of which key.
    Unknown,
    /// Its publisher, whose key was believed just now.
    New(String),
    /// Its publisher, by the key that was pinned, or that the user gave.
    Known(String),
}

impl Signer {
    pub(super) fn key(&self) -> Option<&str> {
        match self {
            Self::Nobody | Self::Unknown => None,
            Self::New(key) | Self::Known(key) => Some(key),
        }
    }

    /// For a person who is to decide.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Nobody => "nobody: only its digest is pinned".to_owned(),
            Self::Unknown => {
                "somebody, whose key neither the plugin nor you have named: not checked".to_owned()
            }
            Self::New(key) => format!("{key}, seen for the first time, and pinned with a yes"),
            Self::Known(key) => format!("{key}, as is known"),
        }
    }
}

/// Checks what is there to check. `pinned` is the publisher's key as the lockfile has it, `given` what the user says
/// it is, which goes before everything else.
///
/// # Errors
/// Where the key changed, or a signature is missing that must be there, or is not of these bytes.
pub(super) fn check(
    resolved: &Resolved,
    bytes: &[u8],
    signature: Option<&str>,
    pinned: Option<&str>,
    given: Option<&str>,
) -> Result<Signer, Error> {
    let header = &resolved.manifest.plugin;
    let wrong = |message: String| Error::Signature {
        name: format!("{}@{}", header.id, header.version),
        message,
    };
    let own = header.public_key.as_deref();
    let given = given.map(|key| key_of(key).map_err(wrong)).transpose()?;
    if let (None, Some(pinned), Some(own)) = (&given, pinned, own)
        && pinned != own
    {
        return Err(wrong(format!(
            "names another key than the one that {}'s plugins were signed with: {own}, not {pinned}",
            header.id.publisher()
        )));
    }
    let known = given.as_deref().or(pinned);
    let Some(text) = signature else {
        return match known.or(own) {
            None => Ok(Signer::Nobody),
            Some(key) => Err(wrong(format!(
                "is not signed, and what {} publishes is signed with {key}",
                header.id.publisher()
            ))),
        };
    };
    let Some(key) = known.or(own) else {
        return Ok(Signer::Unknown);
    };
    let signed = Signed {
        id: &header.id,
        version: &header.version,
        bytes,
    };
    verify(key, text, &signed)?;
    Ok(match known {
        Some(key) => Signer::Known(key.to_owned()),
        None => Signer::New(key.to_owned()),
    })
}

//! Files that go to the model with the prompt.

use crate::error::{Failure, Result};
use base64::Engine as _;
use ml_intern_agent::message::Image;
use std::path::{Path, PathBuf};

/// Bytes of a picture: what Anthropic takes, and the others take more.
const PICTURE_BYTES: u64 = 5_000_000;
/// Bytes of a text. A longer one is better read by the model's tools, page by page.
const TEXT_BYTES: u64 = 256 << 10;
/// Pictures of one prompt.
const PICTURES: usize = 20;

/// What files come to.
#[derive(Default)]
pub(super) struct Attached {
    pub(super) images: Vec<Image>,
    /// To be put behind the prompt.
    pub(super) text: String,
}

/// Reads the files.
pub(super) fn read(files: &[PathBuf]) -> Result<Attached> {
    let mut attached = Attached::default();
    for path in files {
        add(&mut attached, path)
            .map_err(|why| Failure::usage(format!("--file {}: {why}", path.display())))?;
    }
    Ok(attached)
}

fn add(attached: &mut Attached, path: &Path) -> std::result::Result<(), String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !size.is_file() {
        return Err("it is no file".to_owned());
    }
    if size.len() > PICTURE_BYTES {
        return Err(format!(
            "it has {} bytes; a picture may have {PICTURE_BYTES}, a text {TEXT_BYTES}",
            size.len()
        ));
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    if let Some(media_type) = picture(&bytes) {
        if attached.images.len() == PICTURES {
            return Err(format!("more than {PICTURES} pictures"));
        }
        attached.images.push(Image {
            media_type: media_type.to_owned(),
            base64: base64::engine::general_purpose::STANDARD.encode(&bytes),
        });
        return Ok(());
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| "it is neither a picture (PNG, JPEG, GIF, WebP) nor text".to_owned())?;
    if text.len() as u64 > TEXT_BYTES {
        return Err(format!(
            "a text may have {TEXT_BYTES} bytes; leave it in the workspace and name it in the prompt"
        ));
    }
    attached
        .text
        .push_str(&format!("\n\n`{}`:\n\n{}", path.display(), text.trim_end()));
    Ok(())
}

/// The media type of a picture that every model with eyes sees, by how its bytes begin.
fn picture(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => Some("image/webp"),
        _ => None,
    }
}

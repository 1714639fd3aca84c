//! An image's manifest: which of its layers is the component.

use std::collections::BTreeMap;

use ml_intern_manifest::{Digest, shorten};
use serde::Deserialize;

use crate::error::Error;
use crate::inspect::{MAX_COMPONENT_BYTES, too_large};

/// The media type that the tools of the ecosystem agreed on, and those of before.
const COMPONENT: [&str; 3] = [
    "application/wasm",
    "application/vnd.wasm.content.layer.v1+wasm",
    "application/vnd.bytecodealliance.wasm.component.layer.v0+wasm",
];

/// An image with a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// SHA-256 of the manifest.
    pub digest: Digest,
    /// Bytes of the manifest.
    pub size: u64,
    /// The component.
    pub layer: Layer,
    /// Words of its publisher, which nobody checked.
    pub annotations: BTreeMap<String, String>,
}

/// A layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// Number of bytes.
    pub size: u64,
}

/// What a manifest turned out to be.
#[derive(Debug)]
pub(super) enum Read {
    Image(Image),
    /// A list of one image, with its digest.
    Index(Digest),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default)]
    artifact_type: Option<String>,
}

pub(super) fn read(name: &str, bytes: &[u8]) -> Result<Read, Error> {
    let wrong = |message: String| Error::NotAComponent {
        name: name.to_owned(),
        message,
    };
    let raw = serde_json::from_slice::<Raw>(bytes)
        .map_err(|error| wrong(format!("has a manifest that cannot be read ({error})")))?;
    let digest = |text: &str| {
        text.parse::<Digest>().map_err(|_| {
            wrong(format!(
                "has a digest that is no SHA-256: {}",
                shorten(text)
            ))
        })
    };
    let images = raw
        .manifests
        .iter()
        .filter(|one| one.artifact_type.is_none())
        .collect::<Vec<_>>();
    if raw.layers.is_empty() && !raw.manifests.is_empty() {
        return match images.as_slice() {
            [one] => digest(&one.digest).map(Read::Index),
            many => Err(wrong(format!(
                "is an index of {} images; name one by its digest",
                many.len()
            ))),
        };
    }
    let components = raw
        .layers
        .iter()
        .filter(|layer| COMPONENT.contains(&layer.media_type.as_str()));
    let components = components.collect::<Vec<_>>();
    let [layer] = components.as_slice() else {
        let types = raw
            .layers
            .iter()
            .take(4)
            .map(|layer| shorten(&layer.media_type));
        return Err(wrong(format!(
            "holds {} components where one is expected; its layers: {}",
            components.len(),
            types.collect::<Vec<_>>().join(", ")
        )));
    };
    if layer.size > MAX_COMPONENT_BYTES as u64 {
        return Err(wrong(too_large(layer.size)));
    }
    Ok(Read::Image(Image {
        digest: Digest::of(bytes),
        size: bytes.len() as u64,
        layer: Layer {
            digest: digest(&layer.digest)?,
            size: layer.size,
        },
        annotations: raw.annotations.unwrap_or_default(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(media_type: &str, size: u64) -> String {
        let hex = "ab".repeat(32);
        format!(r#"{{"mediaType":"{media_type}","digest":"sha256:{hex}","size":{size}}}"#)
    }

    fn refuse(text: &str) -> String {
        read("oci://a/b", text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn the_component_is_found_by_its_media_type() {
        let text = format!(
            r#"{{"schemaVersion":2,"layers":[{},{}],"annotations":{{"k":"v"}}}}"#,
            layer("application/vnd.oci.image.layer.v1.tar", 5),
            layer("application/wasm", 7)
        );
        let Read::Image(image) = read("oci://a/b", text.as_bytes()).unwrap() else {
            panic!("an index");
        };
        assert_eq!(
            (image.layer.size, image.digest),
            (7, Digest::of(text.as_bytes()))
        );
        assert_eq!(image.annotations["k"], "v");
    }

    #[test]
    fn what_holds_no_single_component_is_refused() {
        assert!(refuse("[").contains("cannot be read"));
        assert!(refuse("[]").contains("holds 0 components"));
        assert!(refuse(r#"{"layers":[]}"#).contains("holds 0 components"));
        let two = format!(r#"{{"layers":[{0},{0}]}}"#, layer("application/wasm", 7));
        assert!(refuse(&two).contains("holds 2 components"));
        let large = format!(r#"{{"layers":[{}]}}"#, layer("application/wasm", u64::MAX));
        assert!(refuse(&large).contains("bytes"));
        let weak = r#"{"layers":[{"mediaType":"application/wasm","digest":"sha512:00","size":1}]}"#;
        assert!(refuse(weak).contains("no SHA-256"));
        let many = format!(
            r#"{{"manifests":[{0},{0}]}}"#,
            layer("application/vnd.oci.image.manifest.v1+json", 7)
        );
        assert!(refuse(&many).contains("index of 2 images"));
    }

    #[test]
    fn an_index_of_one_image_leads_to_it() {
        let one = format!(
            r#"{{"manifests":[{}]}}"#,
            layer("application/vnd.oci.image.manifest.v1+json", 7)
        );
        assert!(
            matches!(read("oci://a/b", one.as_bytes()).unwrap(), Read::Index(digest) if digest.hex() == "ab".repeat(32))
        );
    }
}

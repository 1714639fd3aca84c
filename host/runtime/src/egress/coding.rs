//! Content codings of answers. The host undoes them, so that limits count what a guest would
//! unpack and secrets are found in what it would read.
//!
//! A guest gets no coding but by asking for `gzip`, the one that every server has. An answer in
//! another is refused: a server that sends it was not asked to, and a decoder for it would be one
//! more parser of hostile bytes in the host.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderValue};
use wasmtime_wasi_http::Error;

/// Compressed bytes that are unpacked in one go. Deflate grows by 1032 at most, so this is about
/// one MiB in memory, whatever was sent.
const PIECE: usize = 1024;

/// Asks for what can be undone: `gzip` where the guest asked for it, else no coding at all, which
/// lets servers stream without collecting.
pub(crate) fn ask(headers: &mut HeaderMap) {
    let gzip = |value: &HeaderValue| {
        let value = value.to_str().unwrap_or_default();
        value
            .split(',')
            .any(|coding| coding.trim_start().to_ascii_lowercase().starts_with("gzip"))
    };
    let wanted = headers.get_all(ACCEPT_ENCODING).iter().any(gzip);
    let asked = if wanted { "gzip" } else { "identity" };
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(asked));
}

/// How a body is unpacked.
pub(crate) enum Coding {
    Identity,
    Gzip(Box<Gunzip>),
}

/// Gzip under way.
pub(crate) struct Gunzip {
    decoder: MultiGzDecoder<Vec<u8>>,
    packed: Bytes,
    begun: bool,
}

impl Coding {
    /// The coding of an answer, whose headers then speak of what the guest gets.
    pub(crate) fn of(headers: &mut HeaderMap) -> Result<Self, Error> {
        let mut codings = Vec::new();
        for value in headers.get_all(CONTENT_ENCODING) {
            let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
            let names = text.split(',').map(|name| name.trim().to_owned());
            codings.extend(names.filter(|name| !name.is_empty() && name != "identity"));
        }
        match codings.as_slice() {
            [] => Ok(Self::Identity),
            [one] if one == "gzip" || one == "x-gzip" => {
                headers.remove(CONTENT_ENCODING);
                headers.remove(CONTENT_LENGTH);
                Ok(Self::Gzip(Box::new(Gunzip {
                    decoder: MultiGzDecoder::new(Vec::new()),
                    packed: Bytes::new(),
                    begun: false,
                })))
            }
            others => {
                let names: String = others.join(", ").chars().take(64).collect();
                Err(Error::HttpResponseContentCoding(Some(names)))
            }
        }
    }

    /// Takes the next chunk. What it becomes is taken by [`Self::next`].
    pub(crate) fn push(&mut self, chunk: Bytes) -> Option<Bytes> {
        match self {
            Self::Identity => Some(chunk),
            Self::Gzip(gunzip) => {
                gunzip.begun |= !chunk.is_empty();
                gunzip.packed = chunk;
                None
            }
        }
    }

    /// The next unpacked piece of the chunks so far.
    pub(crate) fn next(&mut self) -> io::Result<Option<Bytes>> {
        let Self::Gzip(gunzip) = self else {
            return Ok(None);
        };
        while !gunzip.packed.is_empty() {
            let piece = gunzip.packed.split_to(PIECE.min(gunzip.packed.len()));
            gunzip.decoder.write_all(&piece)?;
            if !gunzip.decoder.get_ref().is_empty() {
                return Ok(Some(std::mem::take(gunzip.decoder.get_mut()).into()));
            }
        }
        Ok(None)
    }

    /// What is left at the end, or that the end is missing. An answer without a body, such as one
    /// to HEAD, is no broken one.
    pub(crate) fn finish(&mut self) -> io::Result<Option<Bytes>> {
        let Self::Gzip(gunzip) = self else {
            return Ok(None);
        };
        if !gunzip.begun {
            return Ok(None);
        }
        gunzip.decoder.try_finish()?;
        let rest = std::mem::take(gunzip.decoder.get_mut());
        Ok(Some(rest.into()).filter(|rest: &Bytes| !rest.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn headers(codings: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for coding in codings {
            headers.append(CONTENT_ENCODING, coding.parse().unwrap());
        }
        headers.insert(CONTENT_LENGTH, 9.into());
        headers
    }

    fn unpack(chunks: &[&[u8]]) -> io::Result<(Vec<u8>, usize)> {
        let mut coding = Coding::of(&mut headers(&["gzip"])).unwrap();
        let (mut all, mut largest) = (Vec::new(), 0);
        for chunk in chunks {
            assert!(coding.push(Bytes::copy_from_slice(chunk)).is_none());
            while let Some(piece) = coding.next()? {
                largest = largest.max(piece.len());
                all.extend_from_slice(&piece);
            }
        }
        all.extend(coding.finish()?.unwrap_or_default());
        Ok((all, largest))
    }

    #[test]
    fn only_what_can_be_undone_is_asked_for() {
        for (asked, sent) in [
            (&[][..], "identity"),
            (&["br, gzip;q=0.9"][..], "gzip"),
            (&["deflate", "GZIP"][..], "gzip"),
            (&["br, zstd, *"][..], "identity"),
        ] {
            let mut headers = HeaderMap::new();
            for value in asked {
                headers.append(ACCEPT_ENCODING, value.parse().unwrap());
            }
            ask(&mut headers);
            let all: Vec<&HeaderValue> = headers.get_all(ACCEPT_ENCODING).iter().collect();
            assert_eq!(all, [sent], "{asked:?}");
        }
    }

    #[test]
    fn codings_that_nobody_asked_for_are_refused() {
        for codings in [
            &["br"][..],
            &["gzip, gzip"],
            &["gzip", "x-gzip"],
            &["deflate"],
        ] {
            assert!(
                matches!(
                    Coding::of(&mut headers(codings)),
                    Err(Error::HttpResponseContentCoding(Some(_)))
                ),
                "{codings:?}"
            );
        }
        let mut plain = headers(&["identity"]);
        assert!(matches!(Coding::of(&mut plain), Ok(Coding::Identity)));
        assert!(plain.contains_key(CONTENT_LENGTH));
        let mut gzip = headers(&["X-Gzip"]);
        assert!(matches!(Coding::of(&mut gzip), Ok(Coding::Gzip(_))));
        assert!(gzip.is_empty());
    }

    #[test]
    fn chunks_of_any_size_are_unpacked_in_small_pieces() {
        let text = b"some text, again and again; ".repeat(100_000);
        let packed = packed(&text);
        let chunks: Vec<&[u8]> = packed.chunks(7).collect();
        assert_eq!(unpack(&chunks).unwrap().0, text);
        let (all, largest) = unpack(&[&packed]).unwrap();
        assert!(all == text && largest <= 1_100_000, "{largest}");
        let twice = [packed.as_slice(), &packed].concat();
        assert_eq!(unpack(&[&twice]).unwrap().0.len(), 2 * text.len());
    }

    #[test]
    fn what_is_no_gzip_or_ends_early_is_an_error_and_nothing_is_nothing() {
        let packed = packed(b"text");
        assert!(unpack(&[&packed[..packed.len() - 3]]).is_err());
        assert!(unpack(&[b"<html>not packed</html>"]).is_err());
        let mut flipped = packed.clone();
        let last = flipped.len() - 6;
        flipped[last] ^= 1;
        assert!(unpack(&[&flipped]).is_err());
        assert_eq!(unpack(&[]).unwrap().0, b"");
    }
}

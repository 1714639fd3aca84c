//! Bytes as text: what is text at all, and how much of it fits.

/// Most characters that any of these tools answers with.
pub(crate) const MAX_OUTPUT: usize = 25_000;

/// U+FEFF, written by some editors at the start of a UTF-8 file.
pub(crate) const BOM: char = '\u{feff}';

/// The text of a file.
///
/// # Errors
///
/// For a binary file: its size and what it seems to be.
pub(crate) fn decode<'a>(name: &str, bytes: &'a [u8]) -> Result<&'a str, String> {
    let size = bytes.len();
    if looks_binary(bytes) {
        let kind = media_type(name, bytes);
        return Err(format!(
            "`{name}` is a binary file ({kind}, {size} bytes); it has no text to show"
        ));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        format!("`{name}` is not valid UTF-8 text ({size} bytes, first bad byte at {at}); convert it first")
    })
}

/// A NUL among the first bytes, as `git` and `grep` decide it.
pub(crate) fn looks_binary(bytes: &[u8]) -> bool {
    bytes[..bytes.len().min(8192)].contains(&0) || signature(bytes).is_some()
}

/// What a binary file seems to be.
fn media_type(name: &str, bytes: &[u8]) -> &'static str {
    signature(bytes).unwrap_or_else(|| by_extension(name))
}

/// By the first bytes, where they leave no doubt.
fn signature(bytes: &[u8]) -> Option<&'static str> {
    const SIGNATURES: [(&[u8], &str); 13] = [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
        (b"%PDF-", "application/pdf"),
        (b"PK\x03\x04", "application/zip"),
        (b"\x1f\x8b", "application/gzip"),
        (b"\x28\xb5\x2f\xfd", "application/zstd"),
        (b"\x7fELF", "application/x-elf"),
        (b"\0asm", "application/wasm"),
        (b"PAR1", "application/vnd.apache.parquet"),
        (b"SQLite format 3\0", "application/vnd.sqlite3"),
        (b"\xff\xfe", "text in UTF-16"),
    ];
    let found = SIGNATURES
        .iter()
        .find(|(start, _)| bytes.starts_with(start));
    found.map(|(_, kind)| *kind)
}

fn by_extension(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("safetensors") => "safetensors weights",
        Some("gguf") => "gguf weights",
        Some("pt" | "pth" | "bin" | "ckpt") => "probably model weights",
        Some("npy" | "npz") => "numpy array",
        Some("arrow") => "application/vnd.apache.arrow.file",
        Some("pyc") => "compiled Python",
        Some("webp") => "image/webp",
        Some("mp4") => "video/mp4",
        Some("wav") => "audio/wav",
        _ => "application/octet-stream",
    }
}

/// The lines of a text: split at `\n`, a trailing `\r` dropped, no empty line after a last `\n`.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let lines = (!text.is_empty()).then(|| body.split('\n'));
    lines
        .into_iter()
        .flatten()
        .map(|line| line.strip_suffix('\r').unwrap_or(line))
}

/// At most `limit` characters of a line, with `...` when that cuts it.
pub(crate) fn cut(line: &str, limit: usize) -> (&str, &'static str) {
    // A line of few bytes has few characters: the usual case costs no count.
    if line.len() <= limit {
        return (line, "");
    }
    match line.char_indices().nth(limit) {
        Some((end, _)) => (&line[..end], "..."),
        None => (line, ""),
    }
}

/// `12345` as `12,345`.
pub(crate) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_split_at_newlines_only() {
        let all: Vec<&str> = lines("a\r\nb\u{2028}c\x0cd\n\ne").collect();
        assert_eq!(all, ["a", "b\u{2028}c\x0cd", "", "e"]);
        assert_eq!(lines("").count(), 0);
        assert_eq!(lines("\n").count(), 1);
        assert_eq!(lines("a\n").count(), 1);
        assert_eq!(lines("a\n\n").count(), 2);
    }

    #[test]
    fn binary_is_named_with_size_and_kind() {
        let error = decode("x", b"\xff\xfe\0").unwrap_err();
        assert!(
            error.contains("binary") && error.contains("3 bytes"),
            "{error}"
        );
        let error = decode("m.safetensors", b"ab\0").unwrap_err();
        assert!(error.contains("safetensors"), "{error}");
        let error = decode("p", b"PK\x03\x04rest").unwrap_err();
        assert!(error.contains("application/zip"), "{error}");
        let error = decode("l", b"caf\xe9").unwrap_err();
        assert!(error.contains("UTF-8") && error.contains("at 3"), "{error}");
        assert_eq!(decode("t", "é".as_bytes()), Ok("é"));
    }

    #[test]
    fn cut_counts_characters() {
        assert_eq!(cut("ééé", 3), ("ééé", ""));
        assert_eq!(cut("éééé", 3), ("ééé", "..."));
        assert_eq!(cut("", 0), ("", ""));
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1000), "1,000");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }
}

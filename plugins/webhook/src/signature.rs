//! The signature by which a receiver knows that a notice is genuine and fresh.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Value of the signature header: `sha256=` and the HMAC-SHA-256 over timestamp, a dot and the
/// body, in lower-case hexadecimal digits.
pub(crate) fn sign(key: &str, timestamp: u64, body: &[u8]) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes keys of every length");
    mac.update(timestamp.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    let mut text = "sha256=".to_owned();
    for byte in mac.finalize().into_bytes() {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).expect("four bits are one digit"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        // By another implementation: `hmac.new(key, message, hashlib.sha256)` of Python.
        let long = "k".repeat(100);
        for (key, expected) in [
            (
                "key",
                "180be44b11fb047e72a4b1ccf3f33146e566025c3f7e1b6f8bd0f345e04634c3",
            ),
            (
                "",
                "c7547e9fd9e3f5f26308016a2fdad4bb3cf102f6eaca972a90a482ca7261e7a2",
            ),
            (
                long.as_str(),
                "fb822c28cd7972ca69bdb506bb22d5a1514acb9cfe5ed37332ec87a5d1f42d4a",
            ),
        ] {
            assert_eq!(
                sign(key, 1_700_000_000, b"{\"id\":\"n1\"}"),
                format!("sha256={expected}")
            );
        }
    }

    #[test]
    fn every_part_counts() {
        let one = sign("key", 1, b"23");
        assert_ne!(one, sign("key", 12, b"3"));
        assert_ne!(one, sign("kez", 1, b"23"));
        assert_ne!(one, sign("key", 1, b"2 3"));
    }
}

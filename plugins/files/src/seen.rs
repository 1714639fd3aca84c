//! What the model has seen of a file, so that it never overwrites what it does not know.

use xxhash_rust::xxh3::xxh3_128;

use crate::Failure;
use crate::path::Place;

/// The session's keys; a map in tests.
pub(crate) trait Memory {
    fn recall(&self, key: &str) -> Result<Option<Vec<u8>>, Failure>;
    fn remember(&self, key: &str, value: &[u8]) -> Result<(), Failure>;
}

/// Notes that the model knows `bytes` as the content of `place`.
pub(crate) fn note(memory: &dyn Memory, place: &Place, bytes: &[u8]) -> Result<(), Failure> {
    memory.remember(&key(place), &mark(bytes))
}

/// Fails unless the model knows `bytes`, the present content of `place`.
pub(crate) fn check(memory: &dyn Memory, place: &Place, bytes: &[u8]) -> Result<(), Failure> {
    let name = &place.name;
    match memory.recall(&key(place))? {
        None => Err(Failure::Tool(format!(
            "`{name}` exists and was not read in this session; read it first"
        ))),
        Some(seen) if seen != mark(bytes) => Err(Failure::Tool(format!(
            "`{name}` changed since it was read; read it again first"
        ))),
        Some(_) => Ok(()),
    }
}

/// A path may be longer than a key-value store likes its keys.
fn key(place: &Place) -> String {
    const LONGEST: usize = 200;
    if place.name.len() <= LONGEST {
        format!("seen:{}", place.name)
    } else {
        format!("seen#{:032x}", xxh3_128(place.name.as_bytes()))
    }
}

/// Length and a 128-bit hash. It finds every accidental change; nothing of security hangs on it,
/// so a fast hash serves better than a cryptographic one that costs more than the read.
fn mark(bytes: &[u8]) -> Vec<u8> {
    let mut mark = Vec::with_capacity(24);
    mark.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    mark.extend_from_slice(&xxh3_128(bytes).to_le_bytes());
    mark
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::collections::HashMap;

    #[derive(Default)]
    pub(crate) struct Map(RefCell<HashMap<String, Vec<u8>>>);

    impl Memory for Map {
        fn recall(&self, key: &str) -> Result<Option<Vec<u8>>, Failure> {
            Ok(self.0.borrow().get(key).cloned())
        }

        fn remember(&self, key: &str, value: &[u8]) -> Result<(), Failure> {
            self.0.borrow_mut().insert(key.to_owned(), value.to_vec());
            Ok(())
        }
    }

    fn place(name: &str) -> Place {
        Place {
            name: name.to_owned(),
            path: name.into(),
        }
    }

    #[test]
    fn only_the_content_that_was_seen_passes() {
        let memory = Map::default();
        let long = "x/".repeat(300);
        for name in ["a", long.as_str()] {
            let place = place(name);
            assert!(check(&memory, &place, b"1").is_err());
            note(&memory, &place, b"1").unwrap();
            assert!(check(&memory, &place, b"1").is_ok());
            assert!(check(&memory, &place, b"2").is_err());
            assert!(check(&memory, &place, b"1\n").is_err());
        }
        assert!(check(&memory, &place("b"), b"1").is_err());
    }
}

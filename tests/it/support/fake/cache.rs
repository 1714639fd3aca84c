//! What services with marks for the cache of prompts keep: the prefixes of requests up to each
//! mark, as hashes. Nothing expires, and there is no shortest prefix, so that tests can be small.

use std::{collections::HashSet, sync::Mutex};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::answer::estimate;

/// How far before a mark the service looks for a prefix that it has, in blocks; from Anthropic's
/// page on prompt caching.
const LOOK_BACK: usize = 20;

/// One block of a request, in the order in which the model reads them.
#[derive(Clone, Debug)]
pub(super) struct Block {
    content: String,
    mark: bool,
}

impl Block {
    /// A block without its mark, which does not count as content.
    pub(super) fn new(level: &str, block: &Value) -> Self {
        let mut block = block.clone();
        let fields = block.as_object_mut();
        let mark = fields.and_then(|fields| fields.remove("cache_control"));
        Self {
            content: format!("{level}{block}"),
            mark: mark.is_some_and(|mark| !mark.is_null()),
        }
    }

    /// The same block with a mark after it.
    pub(super) fn marked(self) -> Self {
        Self { mark: true, ..self }
    }
}

/// The prefixes that requests so far have written.
#[derive(Default)]
pub(super) struct Cache(Mutex<HashSet<String>>);

impl Cache {
    /// How many tokens of these blocks are read, and how many are written; remembers them.
    pub(super) fn pass(&self, blocks: &[Block]) -> (u64, u64) {
        let mut known = self.0.lock().unwrap();
        let prefixes = prefixes(blocks);
        let marks: Vec<usize> = (0..blocks.len()).filter(|&at| blocks[at].mark).collect();
        let hit = marks.iter().rev().find_map(|&mark| {
            let oldest = mark.saturating_sub(LOOK_BACK);
            (oldest..=mark)
                .rev()
                .find(|&at| known.contains(&prefixes[at].0))
        });
        let tokens = |at: Option<usize>| at.map_or(0, |at| estimate(prefixes[at].1));
        let read = tokens(hit);
        let written = tokens(marks.last().copied()).saturating_sub(read);
        known.extend(marks.iter().map(|&at| prefixes[at].0.clone()));
        (read, written)
    }
}

/// The hash and the bytes of everything up to each block.
fn prefixes(blocks: &[Block]) -> Vec<(String, usize)> {
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    let prefixes = blocks.iter().map(|block| {
        hash.update((block.content.len() as u64).to_le_bytes());
        hash.update(&block.content);
        bytes += block.content.len();
        let digest = hash.clone().finalize();
        let hex = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        (hex, bytes)
    });
    prefixes.collect()
}

//! `ml-intern.lock`: what is read is written back the same, whatever its texts hold.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ml_intern_fuzz::{assert_document_error, assert_showable};
use ml_intern_manifest::{Abi, Digest, Kind, LockEntry, Lockfile, Section};

fuzz_target!(|text: &str| {
    match Lockfile::parse("ml-intern.lock", text) {
        Ok(lockfile) => check(&lockfile),
        Err(error) => assert_document_error(text, &error),
    }
    check(&made_of(text));
});

/// A lockfile whose free texts are the lines of `text`.
fn made_of(text: &str) -> Lockfile {
    let mut lockfile = Lockfile::default();
    let mut lines = text.split('\n').map(str::to_owned);
    let entry = LockEntry {
        id: "acme/arxiv".parse().expect("an id"),
        version: semver::Version::new(1, 2, 3),
        source: lines.next().unwrap_or_default(),
        resolved: text.lines().find_map(|line| line.parse().ok()),
        sha256: Digest::of(text.as_bytes()),
        signed_by: (text.len() % 3 == 1).then(|| text.chars().take(60).collect()),
        abi: Abi::HOST,
        kinds: Kind::ALL
            .into_iter()
            .filter(|kind| text.contains(kind.as_str()))
            .collect(),
        describe: (text.len() % 2 == 1).then(|| Digest::of(b"")),
        grants: lines.collect(),
    };
    lockfile.insert(Section::Notifiers, "arxiv_2", entry);
    lockfile
}

fn check(lockfile: &Lockfile) {
    let written = lockfile.render();
    let read = Lockfile::parse("ml-intern.lock", &written)
        .unwrap_or_else(|error| panic!("{error}\n{written}"));
    assert_eq!(&read, lockfile);
    assert_eq!(read.render(), written);
    assert!(lockfile.diff(&read).is_empty());
    let nothing = Lockfile::default();
    for change in lockfile
        .diff(&nothing)
        .iter()
        .chain(&nothing.diff(lockfile))
    {
        assert_showable(&change.to_string());
    }
}

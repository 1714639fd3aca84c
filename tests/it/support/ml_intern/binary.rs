//! Where the binary is, and whether it is the one that the sources describe.
//!
//! This test belongs to another package than the binary, so cargo does not build it on the way.
//! `scripts/test` does, and names it in `ML_INTERN_BIN`. For a bare `cargo test` the binary beside
//! the test is taken, if no source is newer: a stale one would test yesterday's program.

use std::path::{Path, PathBuf};

const BUILD: &str = "run scripts/test, or `cargo build --workspace --bins --tests` first";

/// The path of the binary; panics, saying what to do, where there is none or an old one.
pub(super) fn path() -> PathBuf {
    if let Some(named) = std::env::var_os("ML_INTERN_BIN") {
        let named = PathBuf::from(named);
        assert!(
            named.is_file(),
            "ML_INTERN_BIN names no file: `{}`",
            named.display()
        );
        return named;
    }
    let test = std::env::current_exe().unwrap();
    // target/PROFILE/deps/it-HASH
    let profile = test
        .ancestors()
        .nth(2)
        .expect("a test lies in target/PROFILE/deps");
    let binary = profile.join("ml-intern");
    assert!(
        binary.is_file(),
        "there is no {}: {BUILD}",
        binary.display()
    );
    if let Some(newer) = newer_source(&binary) {
        panic!(
            "{} is older than {}: {BUILD}",
            binary.display(),
            newer.display()
        );
    }
    binary
}

/// A source in cargo's list for `binary` that changed after the binary was made.
fn newer_source(binary: &Path) -> Option<PathBuf> {
    let made = binary.metadata().unwrap().modified().unwrap();
    let list = std::fs::read_to_string(binary.with_extension("d"))
        .unwrap_or_else(|error| panic!("no list of sources beside {}: {error}", binary.display()));
    let changed_after = |source: &PathBuf| {
        // A source that is gone means that the binary is old as well.
        source.metadata().map_or(true, |file| {
            file.is_file() && file.modified().is_ok_and(|changed| changed > made)
        })
    };
    sources(&list).into_iter().find(changed_after)
}

/// The files after the colon of a makefile rule, in which a space is written `\ `.
fn sources(rule: &str) -> Vec<PathBuf> {
    let files = rule
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(_, files)| files);
    files
        .flat_map(|files| {
            let joined = files.replace("\\ ", "\0");
            let names = joined
                .split_whitespace()
                .map(|name| PathBuf::from(name.replace('\0', " ")));
            names.collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn finds_the_sources_in_a_rule() {
    let found = sources("/t/debug/ml-intern: /s/a.rs /s/my\\ dir/b.rs\n\n");
    assert_eq!(
        found,
        [PathBuf::from("/s/a.rs"), PathBuf::from("/s/my dir/b.rs")]
    );
}

#[test]
fn a_binary_is_stale_when_a_source_is_newer_or_gone() {
    let dir = tempfile::TempDir::new().unwrap();
    let (binary, source) = (dir.path().join("ml-intern"), dir.path().join("a.rs"));
    std::fs::write(&source, "").unwrap();
    std::fs::write(
        dir.path().join("ml-intern.d"),
        format!("x: {}", source.display()),
    )
    .unwrap();
    std::fs::write(&binary, "").unwrap();
    assert_eq!(newer_source(&binary), None);

    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
    std::fs::File::open(&source)
        .unwrap()
        .set_modified(later)
        .unwrap();
    assert_eq!(newer_source(&binary), Some(source.clone()));

    std::fs::remove_file(&source).unwrap();
    assert_eq!(newer_source(&binary), Some(source));
}

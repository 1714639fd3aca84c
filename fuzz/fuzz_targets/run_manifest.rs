//! `ml-intern.toml`: any text gives a manifest or an error that can be shown, layers merge, and an
//! edit changes its entry only.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ml_intern_fuzz::{assert_document_error, assert_showable};
use ml_intern_manifest::{Grant, RunManifest, Section, Source, add_entry, remove_entry};

const FILE: &str = "ml-intern.toml";

fuzz_target!(|text: &str| {
    let manifest = match RunManifest::parse(FILE, text) {
        Ok(manifest) => manifest,
        Err(error) => return assert_document_error(text, &error),
    };
    // A newline, a comma and braces are TOML's, so the two of them are one text only if they are.
    assert_eq!(
        manifest.clone().merge_over(&RunManifest::default()),
        manifest
    );
    assert_eq!(RunManifest::default().merge_over(&manifest), manifest);
    assert_eq!(manifest.clone().merge_over(&manifest), manifest);
    for section in Section::ALL {
        add(text, &manifest, section);
        for entry in manifest.section(section) {
            remove(text, &manifest, section, &entry.name);
        }
    }
});

fn add(text: &str, manifest: &RunManifest, section: Section) {
    let source = Source::Local("./new.wasm".into());
    let name = "zz-new";
    let added = match add_entry(FILE, text, section, name, &source, &Grant::default()) {
        Ok(added) => added,
        Err(error) => return assert_showable(&error.to_string()),
    };
    let mut after = RunManifest::parse(FILE, &added).expect("an edit loads");
    let entries = match section {
        Section::Plugins => &mut after.plugins,
        Section::Providers => &mut after.providers,
        Section::Notifiers => &mut after.notifiers,
    };
    let at = entries
        .iter()
        .position(|entry| entry.name == name)
        .expect("the entry is there");
    assert_eq!(entries.remove(at).source(), source);
    assert_same(&after, manifest, &added);
    let comments = |text: &str| {
        text.lines()
            .filter(|line| line.trim_start().starts_with('#'))
            .count()
    };
    assert!(
        comments(&added) >= comments(text),
        "a comment is gone:\n{added}"
    );
    let (removed, was_there) =
        remove_entry(FILE, &added, section, name).expect("an added entry can be removed");
    assert!(was_there);
    let removed = RunManifest::parse(FILE, &removed).expect("an edit loads");
    assert_same(&removed, manifest, &added);
}

fn remove(text: &str, manifest: &RunManifest, section: Section, name: &str) {
    let (removed, was_there) = match remove_entry(FILE, text, section, name) {
        Ok(removed) => removed,
        Err(error) => panic!("{name} cannot be removed: {error}"),
    };
    assert!(was_there, "{name} was not found");
    let after = RunManifest::parse(FILE, &removed).expect("an edit loads");
    let mut expected = manifest.clone();
    let entries = match section {
        Section::Plugins => &mut expected.plugins,
        Section::Providers => &mut expected.providers,
        Section::Notifiers => &mut expected.notifiers,
    };
    entries.retain(|entry| entry.name != name);
    assert_same(&after, &expected, &removed);
}

/// The order of the entries is part of it; a budget that is not a number equals nothing.
fn assert_same(left: &RunManifest, right: &RunManifest, text: &str) {
    assert!(
        left == right,
        "{left:#?}\nis not\n{right:#?}\nafter\n{text}"
    );
}

//! `plugin.toml`: any text gives a manifest within its bounds, or an error that can be shown.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use ml_intern_fuzz::{assert_document_error, assert_showable};
use ml_intern_manifest::{Effective, Grant, Kind, PluginManifest, WORKSPACE_MOUNT};

fuzz_target!(|text: &str| {
    let manifest = match PluginManifest::parse("plugin.toml", text) {
        Ok(manifest) => manifest,
        Err(error) => return assert_document_error(text, &error),
    };
    assert_showable(&manifest.plugin.description);
    assert_showable(&manifest.plugin.license);
    for kind in Kind::ALL {
        let limits = manifest.limits(kind);
        assert!((1 << 20..=2 << 30).contains(&limits.memory_bytes));
        assert!(limits.cpu.as_secs() <= 600 && limits.timeout.as_secs() <= 36_060);
        assert!(limits.output_bytes <= 64 << 20 && (1..=64).contains(&limits.concurrent));
    }
    for grant in [Grant::default(), Grant::all_of(&manifest.request)] {
        match Effective::compute("plugins.x", &manifest.request, &grant, &BTreeMap::new()) {
            Ok(effective) => check(&effective, grant == Grant::default()),
            Err(error) => assert_showable(&error.to_string()),
        }
    }
});

fn check(effective: &Effective, nothing_granted: bool) {
    let lines = effective.describe();
    for line in &lines {
        assert_showable(line);
    }
    if nothing_granted {
        assert!(lines.is_empty(), "{lines:?}");
        assert!(effective.http.rules().is_empty() && effective.process.programs().is_empty());
        assert!(effective.fs.access(WORKSPACE_MOUNT).is_none() && !effective.jobs.is_granted());
        assert!(effective.credentials.rules().is_empty());
    }
    let held = effective.held_read_only();
    assert!(held.process.programs().is_empty() && held.fs.check(WORKSPACE_MOUNT, true).is_err());
}

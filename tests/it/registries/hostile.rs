use std::path::PathBuf;

use crate::support::{
    elsewhere::{assert_says, called, plugin, store, stored},
    fake_registry::FakeRegistry,
    guests::{Installed, install},
    ml_intern::{Finished, Home},
};

/// Bytes that are others, too many, too few, or never end.
mod bytes;
/// What the registry calls an image.
mod images;
/// Registries that want a login, or somebody else to have it.
mod logins;
/// Places and names that lead elsewhere.
mod places;
/// Another plugin under a name that is known.
mod squatters;

/// A home with a plugin of its own, which nothing here may touch.
struct Victim {
    home: Home,
    before: [String; 2],
}

const FILES: [&str; 2] = ["ml-intern.toml", "ml-intern.lock"];

impl Victim {
    async fn new() -> Self {
        let home = Home::new();
        install(&home, &[Installed::guest("naughty")]).await;
        let before = FILES.map(|file| home.read(file));
        Self { home, before }
    }

    async fn add(&self, source: &str) -> Finished {
        plugin(&self.home, &["add", source, "--yes"]).await
    }

    /// The tag `1` of the registry is not added, this is said, and nothing has changed.
    async fn refuses(&self, registry: &FakeRegistry, says: &[&str]) {
        self.refuses_with(7, &registry.source("1"), says).await;
    }

    async fn refuses_with(&self, code: i32, source: &str, says: &[&str]) {
        assert_says(&self.add(source).await, code, says);
        self.assert_unchanged();
    }

    #[track_caller]
    fn assert_unchanged(&self) {
        assert_eq!(stored(&self.home), [""; 0]);
        assert_eq!(FILES.map(|file| self.home.read(file)), self.before);
    }

    /// What is kept of downloads that broke off.
    fn drafts(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(store(&self.home)).into_iter().flatten();
        let paths = entries.map(|entry| entry.unwrap().path());
        let drafts = paths.filter(|path| path.extension().is_some_and(|ending| ending == "part"));
        drafts
            .filter(|path| path.metadata().unwrap().len() > 0)
            .collect()
    }

    /// The plugin that was here before still answers.
    async fn neighbour_answers(self) {
        called(self.home, "good").await;
    }
}

//! What the user takes back while a session runs. The manifests are looked at again and again, and
//! what they no longer grant ends at once, in calls that are running too. What they grant anew waits
//! for the next session: a file of the workspace must not be able to widen a running one.

use crate::compose::Loaded;
use crate::compose::dev::Reload;
use crate::compose::plugins::values;
use crate::config::Config;
use ml_intern_agent::{Event, Session};
use ml_intern_manifest::{Effective, Request, RunManifest, Section};
use ml_intern_registry::Resolved;
use ml_intern_runtime::Policy;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How often the files are looked at. A person who takes something back expects it to be gone when
/// the prompt returns, or soon after.
const LOOK: Duration = Duration::from_millis(200);

/// A plugin of the session and what it was granted when the session began.
pub(crate) struct Watched {
    section: Section,
    name: String,
    resolved: Resolved,
    began_with: Effective,
    policy: Policy,
}

impl Watched {
    pub(crate) fn new(loaded: &Loaded, policy: Policy) -> Self {
        Self {
            section: loaded.section,
            name: loaded.name.clone(),
            resolved: loaded.resolved.clone(),
            began_with: (*policy.effective()).clone(),
            policy,
        }
    }

    fn request(&self) -> &Request {
        &self.resolved.manifest.request
    }

    /// Narrows the grant to what `manifest` still allows; says what is gone. An entry that is not
    /// there any more, or that names another source, allows nothing.
    fn narrow(&self, manifest: &RunManifest) -> Vec<String> {
        let entry = manifest.section(self.section).iter();
        let entry = entry
            .filter(|entry| entry.source() == self.resolved.source)
            .find(|entry| entry.name == self.name);
        let path = self.section.path(&self.name);
        let now = match entry {
            Some(entry) => {
                let config = values(entry, &self.resolved);
                Effective::compute(
                    &path,
                    self.request(),
                    &entry.grant_for(self.request()),
                    &config,
                )
            }
            None => Effective::compute(
                &path,
                self.request(),
                &Default::default(),
                &Default::default(),
            ),
        };
        // A configuration that no longer fits stops the next session; here it takes nothing away.
        let Ok(now) = now else {
            return Vec::new();
        };
        let before = self.policy.effective().describe();
        let after = self.began_with.and(&now);
        let left = after.describe();
        if left != before {
            self.policy.replace(after);
        }
        let gone = before.into_iter().filter(|line| !left.contains(line));
        gone.map(|line| format!("[{path}] no longer {line}"))
            .collect()
    }
}

/// The files that grants come from.
pub(crate) struct Watch {
    files: Vec<PathBuf>,
    directory: PathBuf,
    manifest: Option<PathBuf>,
    plugins: Vec<Watched>,
    session: Arc<Session>,
    reload: Option<Reload>,
}

impl Watch {
    /// `reload` takes new builds of a plugin that is being written.
    pub(crate) fn new(
        config: &Config,
        plugins: Vec<Watched>,
        session: Arc<Session>,
        reload: Option<Reload>,
    ) -> Self {
        let user = config.paths.user_manifest();
        Self {
            files: std::iter::once(user)
                .chain(config.manifest_path.clone())
                .collect(),
            directory: config.workspace.clone(),
            manifest: config.manifest_path.clone(),
            plugins,
            session,
            reload,
        }
    }

    /// Looks until the future is dropped.
    pub(crate) async fn run(mut self) -> std::convert::Infallible {
        let mut seen = self.stamps();
        loop {
            tokio::time::sleep(LOOK).await;
            let now = self.stamps();
            if now != seen {
                seen = now;
                self.apply();
            }
            if let Some(reload) = &mut self.reload {
                reload.look().await;
            }
        }
    }

    fn apply(&self) {
        // Half a file, or one that does not parse, is looked at again when it changes; until then
        // what was granted stays granted.
        let Ok(config) = Config::load(Some(&self.directory), self.manifest.as_deref()) else {
            return;
        };
        for line in self
            .plugins
            .iter()
            .flat_map(|one| one.narrow(&config.manifest))
        {
            // A log that cannot be written stops the turn itself, at its next step.
            let _the_turn_stops = self.session.record(Event::Notice {
                code: "grant_revoked".into(),
                text: line,
            });
        }
    }

    fn stamps(&self) -> Vec<Option<(SystemTime, u64)>> {
        let stamp = |path: &PathBuf| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        self.files.iter().map(stamp).collect()
    }
}

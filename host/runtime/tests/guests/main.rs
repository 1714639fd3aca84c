//! Guests of every temper against the limits of a call. Each ends in a typed outcome, and a
//! neighbour still answers.

#![expect(clippy::unwrap_used, reason = "tests")]

mod build;
mod cache;
mod churn;
mod effects;
mod foreign;
mod format;
mod grants;
mod limits;
mod oldest;
mod state;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use build::Guest;
use ml_intern_manifest::{Effective, Limits, PluginManifest, RunManifest};
use ml_intern_runtime::*;

/// A runtime with a cache of its own.
struct Place {
    folder: tempfile::TempDir,
    runtime: Arc<Runtime>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = runtime_in(folder.path(), None);
        Self { folder, runtime }
    }

    fn plugin(&self, guest: &Guest, limits: Limits) -> Plugin {
        self.runtime
            .plugin(source(guest.component()), Setup::bare(limits))
    }

    async fn check_neighbour(&self) {
        let neighbour = self.plugin(&Guest::default(), Limits::default());
        assert!(call(&neighbour).await.unwrap().content.is_empty());
    }
}

fn runtime_in(folder: &std::path::Path, report: Option<Report>) -> Arc<Runtime> {
    let config = RuntimeConfig {
        report,
        ..RuntimeConfig::new(folder.join("cache"), folder.join("state/key"))
    };
    Runtime::new(config).unwrap()
}

fn source(bytes: Vec<u8>) -> ComponentSource {
    ComponentSource::from_bytes("test/guest", "0.1.0", bytes)
}

fn context() -> CallContext {
    CallContext {
        session: "s".to_owned(),
        call: "c".to_owned(),
        ..CallContext::default()
    }
}

async fn call(plugin: &Plugin) -> Result<tool::Output, CallError> {
    call_named(plugin, "x").await
}

async fn call_named(plugin: &Plugin, name: &str) -> Result<tool::Output, CallError> {
    plugin
        .call_tool(
            name,
            "{}",
            context(),
            Arc::new(Unobserved),
            &CancellationToken::new(),
        )
        .await
}

fn cause(result: Result<tool::Output, CallError>) -> FaultCause {
    match result {
        Err(CallError::Fault(fault)) => {
            assert_eq!(
                (fault.plugin.as_str(), fault.call.as_str()),
                ("test/guest", "c")
            );
            fault.cause
        }
        other => panic!("no fault: {other:?}"),
    }
}

/// What a plugin that asks for `request` may do under `grant`, both TOML.
fn policy(request: &str, grant: &str) -> Policy {
    configured_policy(request, grant, BTreeMap::new())
}

/// The same of a plugin that is granted nothing and given one value.
fn configured(request: &str, key: &str, value: &str) -> Policy {
    let config = BTreeMap::from([(key.to_owned(), value.to_owned())]);
    configured_policy(request, "{}", config)
}

fn configured_policy(request: &str, grant: &str, config: BTreeMap<String, String>) -> Policy {
    let plugin = format!(
        "[plugin]\nid = \"test/guest\"\nversion = \"0.1.0\"\ndescription = \"x\"\nlicense = \"Apache-2.0\"\nabi = \"0.1\"\n{request}"
    );
    let plugin = PluginManifest::parse("plugin.toml", &plugin).unwrap();
    let run = format!("[plugins.guest]\nsource = \"./guest.wasm\"\ngrant = {grant}");
    let run = RunManifest::parse("ml-intern.toml", &run).unwrap();
    let grant = run.plugins[0].grant_for(&plugin.request);
    Effective::compute("plugins.guest", &plugin.request, &grant, &config)
        .unwrap()
        .into()
}

/// Remembers what it sees.
#[derive(Default)]
struct Watcher {
    lines: Mutex<Vec<String>>,
}

impl Observer for Watcher {
    fn log(&self, line: LogLine<'_>) {
        self.lines.lock().unwrap().push(line.message.to_owned());
    }
    fn progress(&self, _: &str, _: Option<f32>) -> types::Control {
        types::Control::Proceed
    }
    fn output(&self, _: Stream, _: &str) {}
    fn audit(&self, _: &AuditRecord) {}
}

fn short(cpu: u64, timeout: u64) -> Limits {
    Limits {
        cpu: Duration::from_millis(cpu),
        timeout: Duration::from_millis(timeout),
        ..Limits::default()
    }
}

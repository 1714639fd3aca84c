//! What a call costs: a fresh instance with its grant, limits and deadlines, and the way back.
//! Set `ML_INTERN_BENCH_COMPONENT` to the path of a tool plugin to measure that one: its first tool
//! is called with an empty object.

#![expect(clippy::unwrap_used, reason = "a benchmark")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use ml_intern_manifest::{Effective, Limits, PluginManifest, RunManifest};
use ml_intern_runtime::{
    CallContext, CancellationToken, ComponentSource, Effect, Effects, RecordsEffects, Runtime,
    RuntimeConfig, Services, Setup, Unobserved,
};

#[path = "../tests/guests/build.rs"]
#[expect(dead_code, reason = "shared with the tests")]
mod build;

/// Ok(Output { content: [Text(the arguments)] })
const ECHO: &str = "(i32.store (i32.const 132) (local.get 2)) (i32.store (i32.const 136) (local.get 3))
    (i32.store (i32.const 68) (i32.const 128)) (i32.store (i32.const 72) (i32.const 1)) (i32.const 64)";

const PLUGIN: &str = r#"
[plugin]
id = "bench/guest"
version = "0.1.0"
description = "x"
license = "Apache-2.0"
abi = "0.2"
[[request.http]]
host = "export.arxiv.org"
[[request.fs]]
mount = "/workspace"
access = "read-write"
"#;
const RUN: &str = r#"
[plugins.guest]
source = "./guest.wasm"
grant = { http = [{ host = "export.arxiv.org" }], fs = [{ mount = "/workspace", access = "read-write" }] }
"#;

fn setup(workspace: Option<&std::path::Path>) -> Setup {
    let plugin = PluginManifest::parse("plugin.toml", PLUGIN).unwrap();
    let run = RunManifest::parse("ml-intern.toml", RUN).unwrap();
    let grant = run.plugins[0].grant_for(&plugin.request);
    let effective =
        Effective::compute("plugins.guest", &plugin.request, &grant, &BTreeMap::new()).unwrap();
    Setup {
        policy: effective.into(),
        workspace: workspace.map(Into::into),
        ..Setup::bare(Limits::default())
    }
}

fn source() -> ComponentSource {
    let bytes = match std::env::var_os("ML_INTERN_BENCH_COMPONENT") {
        Some(path) => std::fs::read(path).unwrap(),
        None => build::Guest::call(ECHO).component(),
    };
    ComponentSource::from_bytes("bench/guest", "0.1.0", bytes)
}

/// Keeps nothing, so that what is measured is the runtime's part.
struct Forgets;

impl RecordsEffects for Forgets {
    fn record(&self, _: &str, effect: Effect) -> std::io::Result<()> {
        black_box(effect);
        Ok(())
    }
}

/// Reads clocks and random bytes, 12 times in all.
fn chance() -> Vec<u8> {
    let guest = build::Guest {
        module: format!(
            "{} (func $run (call $chance))",
            include_str!("../tests/guests/effects/guest.wat")
        ),
        wasi: true,
        ..build::Guest::call("(call $run) (call $done)")
    };
    guest.component()
}

fn recorded(criterion: &mut Criterion) {
    let tokio = tokio::runtime::Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = RuntimeConfig::new(folder.path().join("cache"), folder.path().join("state/key"));
    let runtime = Runtime::new(config).unwrap();
    let asks = ComponentSource::from_bytes("bench/guest", "0.1.0", chance());
    for (name, source) in [("call", source()), ("clocks and random bytes", asks)] {
        for (how, effects) in [
            ("not recorded", None),
            ("recorded", Some(Effects::Record(Arc::new(Forgets)))),
        ] {
            let mut setup = setup(None);
            setup.services = Services {
                effects,
                ..Services::default()
            };
            let plugin = runtime.plugin(source.clone(), setup);
            let cancel = CancellationToken::new();
            let once = async || {
                let (context, observer) = (CallContext::default(), Arc::new(Unobserved));
                let output = plugin.call_tool("x", "{}", context, observer, &cancel);
                black_box(output.await.is_ok())
            };
            assert!(tokio.block_on(once()));
            criterion.bench_function(&format!("{name}, {how}"), |bencher| {
                bencher.to_async(&tokio).iter(&once);
            });
        }
    }
}

fn calls(criterion: &mut Criterion) {
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config =
        || RuntimeConfig::new(folder.path().join("cache"), folder.path().join("state/key"));
    let runtime = Runtime::new(config()).unwrap();
    let tool = tokio
        .block_on(runtime.describe(&source()))
        .unwrap()
        .first()
        .map_or("x".to_owned(), |tool| tool.name.clone());
    let context = || CallContext {
        session: "s".to_owned(),
        call: "c".to_owned(),
        ..CallContext::default()
    };
    for (name, workspace) in [
        ("call, no folder", None),
        ("call, workspace open", Some(folder.path())),
    ] {
        let plugin = runtime.plugin(source(), setup(workspace));
        let cancel = CancellationToken::new();
        let observer = Arc::new(Unobserved);
        let once = async || {
            plugin
                .call_tool(&tool, "{}", context(), observer.clone(), &cancel)
                .await
        };
        drop(tokio.block_on(once()));
        criterion.bench_function(name, |bencher| {
            bencher
                .to_async(&tokio)
                .iter(async || black_box(once().await.is_ok()));
        });
    }
    criterion.bench_function("engine, cached component, first call", |bencher| {
        bencher.to_async(&tokio).iter(async || {
            let runtime = Runtime::new(config()).unwrap();
            let plugin = runtime.plugin(source(), setup(None));
            plugin.prepare().await.unwrap();
            black_box(
                plugin
                    .call_tool(
                        &tool,
                        "{}",
                        context(),
                        Arc::new(Unobserved),
                        &CancellationToken::new(),
                    )
                    .await
                    .is_ok(),
            )
        });
    });
}

criterion_group!(benches, calls, recorded);
criterion_main!(benches);

//! What a call costs in each language: components by path, each call in a fresh instance.
//!
//! `ML_INTERN_BENCH_COMPONENTS` has `NAME=PATH` with commas between them, and `ML_INTERN_BENCH_ARGUMENTS`
//! the arguments of the call of a component's first tool, `{"source":"a.txt"}` where it is not set:
//! the tool of `examples/tools`, with a file of three words in the workspace. The call has to succeed.
//! Nothing is measured where the first is not set.

#![expect(clippy::unwrap_used, reason = "a benchmark")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use ml_intern_manifest::{Effective, Limits, PluginManifest, RunManifest};
use ml_intern_runtime::{
    CallContext, CancellationToken, ComponentSource, Runtime, RuntimeConfig, Setup, Unobserved,
};

const PLUGIN: &str = r#"
[plugin]
id = "bench/guest"
version = "0.1.0"
description = "x"
license = "Apache-2.0"
abi = "0.2"
[[request.fs]]
mount = "/workspace"
access = "read"
"#;
const RUN: &str = r#"
[plugins.guest]
source = "./guest.wasm"
grant = { fs = [{ mount = "/workspace", access = "read" }] }
"#;

fn setup(workspace: &std::path::Path) -> Setup {
    let plugin = PluginManifest::parse("plugin.toml", PLUGIN).unwrap();
    let run = RunManifest::parse("ml-intern.toml", RUN).unwrap();
    let grant = run.plugins[0].grant_for(&plugin.request);
    let effective =
        Effective::compute("plugins.guest", &plugin.request, &grant, &BTreeMap::new()).unwrap();
    Setup {
        policy: effective.into(),
        workspace: Some(workspace.into()),
        ..Setup::bare(Limits::default())
    }
}

fn languages(criterion: &mut Criterion) {
    let Ok(components) = std::env::var("ML_INTERN_BENCH_COMPONENTS") else {
        return;
    };
    let arguments = std::env::var("ML_INTERN_BENCH_ARGUMENTS");
    let arguments = arguments.unwrap_or_else(|_| r#"{"source":"a.txt"}"#.to_owned());
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.txt"), "one two three\n").unwrap();
    let config = RuntimeConfig::new(folder.path().join("cache"), folder.path().join("state/key"));
    let runtime = Runtime::new(config).unwrap();
    for component in components.split(',') {
        let (name, path) = component.split_once('=').expect("NAME=PATH");
        let bytes = std::fs::read(path).unwrap();
        let size = bytes.len();
        let source = ComponentSource::from_bytes("bench/guest", "0.1.0", bytes);
        let tools = tokio.block_on(runtime.describe(&source)).unwrap();
        let tool = &tools.first().expect("a tool").name;
        let plugin = runtime.plugin(source, setup(folder.path()));
        let cancel = CancellationToken::new();
        let once = async || {
            let (context, observer) = (CallContext::default(), Arc::new(Unobserved));
            plugin
                .call_tool(tool, &arguments, context, observer, &cancel)
                .await
        };
        let first = tokio.block_on(once());
        assert!(first.is_ok(), "{name}: {first:?}");
        criterion.bench_function(&format!("{name}, {size} bytes"), |bencher| {
            bencher
                .to_async(&tokio)
                .iter(async || black_box(once().await.is_ok()));
        });
    }
}

criterion_group!(benches, languages);
criterion_main!(benches);

//! What the way out costs: a request to a server on this machine by the bare client, and the same
//! as a plugin's, with its rule, its searches for secrets and its record.

#![expect(clippy::unwrap_used, reason = "a benchmark")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use ml_intern_manifest::{Effective, Limits, PluginManifest, RunManifest};
use ml_intern_runtime::{
    Credential, CredentialValue, Effect, Effects, Probe, RecordsEffects, Runtime, RuntimeConfig,
    Secret, Setup,
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

/// Answers every request with a KiB.
async fn serve(listener: TcpListener) {
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: 1024\r\n\r\n{}",
        "x".repeat(1024)
    );
    while let Ok((stream, _)) = listener.accept().await {
        let answer = answer.clone();
        stream.set_nodelay(true).unwrap();
        tokio::spawn(async move {
            let mut stream = BufReader::new(stream);
            loop {
                let (mut line, mut length) = (String::new(), 0);
                while line != "\r\n" {
                    line.clear();
                    if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                        return;
                    }
                    if let Some(value) = line.strip_prefix("content-length: ") {
                        length = value.trim().parse().unwrap();
                    }
                }
                let mut body = vec![0; length];
                stream.read_exact(&mut body).await.unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
    }
}

fn setup(port: u16) -> Setup {
    let plugin = format!(
        "[plugin]\nid = \"bench/guest\"\nversion = \"0.1.0\"\ndescription = \"x\"\nlicense = \"Apache-2.0\"\nabi = \"0.1\"\n[[request.http]]\nhost = \"127.0.0.1\"\nscheme = \"http\"\nport = {port}\nmethods = [\"POST\"]\n"
    );
    let run = format!(
        "[plugins.guest]\nsource = \"./guest.wasm\"\ngrant = {{ http = [{{ host = \"127.0.0.1\", scheme = \"http\", port = {port} }}] }}"
    );
    let plugin = PluginManifest::parse("plugin.toml", &plugin).unwrap();
    let run = RunManifest::parse("ml-intern.toml", &run).unwrap();
    let grant = run.plugins[0].grant_for(&plugin.request);
    let effective =
        Effective::compute("plugins.guest", &plugin.request, &grant, &BTreeMap::new()).unwrap();
    let secret = |name: &str, value: &str| Credential {
        name: name.to_owned(),
        value: CredentialValue::Text(Secret::new(value)),
    };
    Setup {
        policy: effective.into(),
        credentials: vec![
            secret("hf", "hf_abcdefghijklmnopqrstuvwxyz01234567"),
            secret("openai", &format!("sk-proj-{}", "A1b2C3d4".repeat(19))),
            secret("github", "ghp_0123456789abcdefghijABCDEFGHIJ012345"),
        ],
        ..Setup::bare(Limits::default())
    }
}

/// Keeps nothing, so that what is measured is the runtime's part.
struct Forgets;

impl RecordsEffects for Forgets {
    fn record(&self, _: &str, effect: Effect) -> std::io::Result<()> {
        black_box(effect);
        Ok(())
    }
}

/// A conversation as providers send it: JSON with escapes.
fn body(size: usize) -> Bytes {
    let line =
        r#"{"role": "user", "content": "Train it on \"penguins\" and say how it went.\n"}, "#;
    line.repeat(size / line.len() + 1).into()
}

fn requests(criterion: &mut Criterion) {
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let listener = tokio.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio.spawn(serve(listener));
    let url = format!("http://127.0.0.1:{port}/v1/chat");
    let folder = tempfile::tempdir().unwrap();
    let config = RuntimeConfig::new(folder.path().join("cache"), folder.path().join("state/key"));
    let runtime = Runtime::new(config).unwrap();
    let probe = Probe::new(Arc::clone(&runtime), setup(port));
    let mut recorded = setup(port);
    recorded.services.effects = Some(Effects::Record(Arc::new(Forgets)));
    let recorded = Probe::new(runtime, recorded);
    let bare = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    for (name, size) in [("1 KiB", 1 << 10), ("256 KiB", 256 << 10)] {
        let body = body(size);
        criterion.bench_function(&format!("bare client, {name}"), |bencher| {
            bencher.to_async(&tokio).iter(async || {
                let request = Request::post(&url).body(Full::new(body.clone())).unwrap();
                let answer = bare.request(request).await.unwrap().into_body();
                black_box(answer.collect().await.unwrap().to_bytes().len())
            });
        });
        criterion.bench_function(&format!("egress, {name}"), |bencher| {
            bencher
                .to_async(&tokio)
                .iter(async || black_box(probe.post(&url, body.clone()).await.unwrap()));
        });
        criterion.bench_function(&format!("egress, recorded, {name}"), |bencher| {
            bencher
                .to_async(&tokio)
                .iter(async || black_box(recorded.post(&url, body.clone()).await.unwrap()));
        });
    }
}

criterion_group!(benches, requests);
criterion_main!(benches);

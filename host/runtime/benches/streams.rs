//! What streaming costs: 64 replies that come in at the same time, 50 pieces a second each, and one that comes as fast
//! as it can. Needs the built component of the provider `openai`, or the file that COMPONENT names.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ml_intern_manifest::{Effective, Kind, Limits, PluginManifest, RunManifest};
use ml_intern_runtime::{
    CallContext, ComponentSource, Plugin, Runtime, RuntimeConfig, Setup, Sink, Unobserved, chat,
    sink, types,
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

const SESSIONS: usize = 64;
const PACE: Duration = Duration::from_millis(20);
const PIECES: usize = 250;
const BURST: usize = 20_000;

/// What a piece costs the machine besides the plugin and the host, which is not counted.
struct Server {
    port: u16,
    /// Its thread, whose time is subtracted.
    thread: u64,
}

/// Serves on a thread of its own. A request whose model is `slow` gets a piece every [`PACE`].
fn serve(began: Instant) -> Server {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        tokio.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let thread = std::fs::read_link("/proc/thread-self").unwrap();
            let thread = thread.file_name().unwrap().to_str().unwrap();
            let port = listener.local_addr().unwrap().port();
            tell.send((port, thread.parse().unwrap())).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                tokio::spawn(answer(stream, began));
            }
        });
    });
    let (port, thread) = told.recv().unwrap();
    Server { port, thread }
}

async fn answer(stream: TcpStream, began: Instant) {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut line, mut length) = (String::new(), 0);
        while line != "\r\n" {
            line.clear();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        let slow = String::from_utf8_lossy(&body).contains("\"slow\"");
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let count = if slow { PIECES } else { BURST };
        for _ in 0..count {
            if slow {
                tokio::time::sleep(PACE).await;
            }
            let micros = began.elapsed().as_micros();
            let event = format!(
                "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{micros:>12}\"}},\"finish_reason\":null}}]}}\n\n"
            );
            write(&mut stream, &event).await;
        }
        let end = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
        write(&mut stream, end).await;
        stream.write_all(b"0\r\n\r\n").await.unwrap();
    }
}

async fn write(stream: &mut BufReader<TcpStream>, text: &str) {
    let chunk = format!("{:x}\r\n{text}\r\n", text.len());
    stream.write_all(chunk.as_bytes()).await.unwrap();
}

/// Notes how long each piece was on its way.
struct Watch {
    began: Instant,
    lags: Mutex<Vec<u64>>,
}

impl Sink for Watch {
    fn emit(&self, delta: sink::Delta) -> types::Control {
        if let sink::Delta::Text(text) = delta {
            let sent: u64 = text.trim().parse().unwrap();
            let now = self.began.elapsed().as_micros() as u64;
            self.lags.lock().unwrap().push(now - sent);
        }
        types::Control::Proceed
    }
}

fn plugin(runtime: &Arc<Runtime>, port: u16) -> Plugin {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../plugins");
    let built = folder.join("target/wasm32-wasip2/release/ml_intern_plugin_openai.wasm");
    let path = std::env::var_os("COMPONENT").map_or(built, PathBuf::from);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let manifest = std::fs::read_to_string(folder.join("openai/plugin.toml")).unwrap();
    let manifest = PluginManifest::parse("plugin.toml", &manifest).unwrap();
    let run = RunManifest::parse("ml-intern.toml", "[providers.openai]").unwrap();
    let grant = run.providers[0].grant_for(&manifest.request);
    let url = format!("http://127.0.0.1:{port}/v1");
    let config = BTreeMap::from([("base-url".to_owned(), url)]);
    let effective = Effective::compute("providers.openai", &manifest.request, &grant, &config);
    let limits = Limits {
        concurrent: SESSIONS as u32,
        ..manifest.limits(Kind::Provider)
    };
    let setup = Setup {
        policy: effective.unwrap().into(),
        ..Setup::bare(limits)
    };
    let source = ComponentSource::from_bytes("ml-intern/openai", "0.1.0", bytes);
    runtime.plugin(source, setup)
}

fn request(model: &str) -> chat::Request {
    chat::Request {
        model: model.to_owned(),
        messages: vec![chat::Message {
            role: chat::Role::User,
            parts: vec![chat::Part::Text("go".to_owned())],
            cache_breakpoint: false,
        }],
        tools: Vec::new(),
        tool_choice: chat::ToolChoice::Auto,
        max_tokens: None,
        response_schema: None,
        affinity: None,
        effort: None,
        stream: true,
        extra: None,
    }
}

async fn complete(plugin: Plugin, model: &str, watch: Arc<Watch>) {
    let cancel = CancellationToken::new();
    let context = CallContext::default();
    let observer = Arc::new(Unobserved);
    plugin
        .complete(&request(model), watch, context, observer, &cancel)
        .await
        .unwrap();
}

/// The number behind a word of `/proc/self/status`.
fn status(word: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(word)).unwrap();
    let number = line.split_whitespace().nth(1).unwrap();
    number.parse().unwrap()
}

/// Processor time in nanoseconds of all threads but one.
fn time(but: u64) -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let ids = tasks.map(|task| {
        task.unwrap()
            .file_name()
            .to_string_lossy()
            .parse::<u64>()
            .unwrap()
    });
    let of = |id: u64| {
        let text = std::fs::read_to_string(format!("/proc/self/task/{id}/schedstat"));
        let text = text.unwrap_or_default();
        let first = text.split(' ').next().unwrap_or_default();
        first.parse::<u64>().unwrap_or(0)
    };
    ids.filter(|id| *id != but).map(of).sum()
}

fn main() {
    let began = Instant::now();
    let server = serve(began);
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = RuntimeConfig::new(folder.path().join("cache"), folder.path().join("state/key"));
    let runtime = Runtime::new(config).unwrap();
    let plugin = plugin(&runtime, server.port);
    let watch = || {
        Arc::new(Watch {
            began,
            lags: Mutex::default(),
        })
    };
    tokio.block_on(async {
        complete(plugin.clone(), "fast", watch()).await;
        let (memory, threads) = (status("VmRSS"), status("Threads"));
        let watched = watch();
        let streams = (0..SESSIONS).map(|_| complete(plugin.clone(), "slow", watched.clone()));
        let all = futures_util::future::join_all(streams);
        let middle = async {
            tokio::time::sleep(PACE * PIECES as u32 / 2).await;
            (status("VmRSS"), status("Threads"))
        };
        let (_, (full, busy)) = tokio::join!(all, middle);
        let mut lags = std::mem::take(&mut *watched.lags.lock().unwrap());
        lags.sort_unstable();
        let at = |part: usize| lags[lags.len() * part / 100] as f64 / 1e3;
        println!(
            "{SESSIONS} streams: lag {:.2} ms median, {:.2} ms at 95 %, {:.2} ms at 99 %, {} pieces",
            at(50),
            at(95),
            at(99),
            lags.len()
        );
        println!(
            "{SESSIONS} streams: {:.2} MB a stream, {} threads more",
            (full - memory) as f64 / 1024.0 / SESSIONS as f64,
            busy - threads
        );
        let mut costs = Vec::new();
        for _ in 0..5 {
            let before = time(server.thread);
            complete(plugin.clone(), "fast", watch()).await;
            costs.push((time(server.thread) - before) as f64 / BURST as f64 / 1e3);
        }
        costs.sort_unstable_by(f64::total_cmp);
        println!("one stream at full speed: {:.2} µs of processor time a piece", costs[2]);
    });
}

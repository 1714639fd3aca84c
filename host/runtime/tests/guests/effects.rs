//! What enters a call, recorded and replayed: with the same it does the same, and nothing else is
//! reached.

mod chance;
mod requests;

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;

/// A guest of the functions in `guest.wat`; `body` leaves its output by itself.
fn guest(body: &str) -> Guest {
    Guest {
        module: format!("{}\n(func $run {body})", include_str!("effects/guest.wat")),
        wasi: true,
        ..Guest::call(
            "(global.set $place (local.get 2)) (global.set $place_length (local.get 3))
            (global.set $path (local.get 0)) (global.set $path_length (local.get 1))
            (call $run) (call $done)",
        )
    }
}

/// Keeps what it is given, as a file would.
#[derive(Default)]
struct Kept {
    lines: Mutex<Vec<String>>,
    full: bool,
}

impl RecordsEffects for Kept {
    fn record(&self, call: &str, effect: Effect) -> io::Result<()> {
        if self.full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let line = serde_json::to_string(&(call, effect)).unwrap();
        self.lines.lock().unwrap().push(line);
        Ok(())
    }
}

impl Kept {
    fn effects(&self) -> Vec<(String, Effect)> {
        let lines = self.lines.lock().unwrap();
        let parse = |line: &String| serde_json::from_str(line).unwrap();
        lines.iter().map(parse).collect()
    }
}

fn scripts(effects: Vec<(String, Effect)>) -> Arc<EffectScripts> {
    Arc::new(EffectScripts::new(effects).unwrap())
}

/// A plugin that may go to a server on this machine.
fn plugin(place: &Place, guest: &Guest, server: SocketAddr, effects: Option<Effects>) -> Plugin {
    let port = server.port();
    let request = format!(
        "[[request.http]]\nhost = \"127.0.0.1\"\nport = {port}\nscheme = \"http\"\nmethods = [\"GET\", \"POST\"]\nmax-response = \"32MiB\""
    );
    let grant =
        format!("{{ http = [{{ host = \"127.0.0.1\", port = {port}, scheme = \"http\" }}] }}");
    let setup = Setup {
        policy: policy(&request, &grant),
        services: Services {
            effects,
            ..Services::default()
        },
        ..Setup::bare(short(20_000, 30_000))
    };
    place.runtime.plugin(source(guest.component()), setup)
}

/// The output of a call that asks this server for this path.
async fn output(plugin: &Plugin, server: SocketAddr, path: &str) -> Result<String, CallError> {
    let observer = Arc::new(Unobserved);
    let (place, cancel) = (server.to_string(), CancellationToken::new());
    let output = plugin
        .call_tool(path, &place, context(), observer, &cancel)
        .await?;
    match output.content.as_slice() {
        [tool::Content::Text(text)] => Ok(text.clone()),
        other => panic!("{other:?}"),
    }
}

fn diverged(result: Result<String, CallError>) -> String {
    match result {
        Err(CallError::Fault(fault)) => {
            assert!(
                matches!(fault.cause, FaultCause::Diverged { .. }),
                "{fault}"
            );
            assert_eq!(fault.call, "c");
            fault.cause.to_string()
        }
        other => panic!("{other:?}"),
    }
}

/// Records a call with `guest`, stops the server and replays the call.
async fn check(guest: &Guest, server: Server, path: &str) -> (String, Vec<(String, Effect)>) {
    let place = Place::new();
    let kept = Arc::new(Kept::default());
    let recording = plugin(
        &place,
        guest,
        server.address,
        Some(Effects::Record(kept.clone())),
    );
    let first = output(&recording, server.address, path).await.unwrap();
    let effects = kept.effects();
    server.stop().await;
    let scripts = scripts(effects.clone());
    let replaying = plugin(
        &place,
        guest,
        server.address,
        Some(Effects::Replay(scripts.clone())),
    );
    let second = output(&replaying, server.address, path).await.unwrap();
    assert_eq!(first, second);
    assert_eq!(scripts.left("c"), None);
    (first, effects)
}

/// A server that sends what is written for a path.
struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// `answer` gets each connection after the header of its request, and the path asked for.
    async fn start<F, A>(answer: F) -> Self
    where
        F: Fn(String, TcpStream) -> A + Send + Sync + Copy + 'static,
        A: Future<Output = io::Result<()>> + Send,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut header = Vec::new();
                    while !header.ends_with(b"\r\n\r\n") {
                        header.push(stream.read_u8().await?);
                    }
                    let header = String::from_utf8_lossy(&header).into_owned();
                    let path = header.split(' ').nth(1).unwrap_or_default().to_owned();
                    answer(path, stream).await
                });
            }
        });
        Self { address, task }
    }

    async fn stop(&self) {
        self.task.abort();
        while TcpStream::connect(self.address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A server that answers every path with its name.
async fn naming() -> Server {
    Server::start(async |path, mut stream: TcpStream| {
        let length = path.len();
        let text = format!(
            "HTTP/1.1 200 OK\r\nx-one: \u{e4}\r\nx-two: b\r\nx-one: c\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{path}"
        );
        stream.write_all(text.as_bytes()).await
    })
    .await
}

//! A package index with one wheel, as pip asks for it.

use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use hyper::Response;

use crate::support::http::{Listening, full, listen};

const WHEEL: &str = "hello_wheel-1.0-py3-none-any.whl";

/// Makes an archive of three files.
const MAKE: &str = "import sys, zipfile
with zipfile.ZipFile(sys.argv[1], 'w') as z:
    z.writestr('hello_wheel.py', 'WORD = \"forty-two\"')
    z.writestr('hello_wheel-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: hello-wheel\\nVersion: 1.0\\n')
    z.writestr('hello_wheel-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    z.writestr('hello_wheel-1.0.dist-info/RECORD', '')";

pub(super) struct Index {
    pub(super) port: u16,
    _server: Listening,
}

impl Index {
    pub(super) async fn start() -> Self {
        let wheel = wheel();
        let server = listen(move |_, request| {
            let answer = answer(request.uri().path(), &wheel);
            async move { answer }
        })
        .await;
        Self {
            port: server.addr.port(),
            _server: server,
        }
    }
}

fn answer(path: &str, wheel: &Bytes) -> Response<crate::support::http::AnswerBody> {
    let html = |text: String| {
        Response::builder()
            .header("content-type", "text/html")
            .body(full(text))
            .unwrap()
    };
    match path {
        "/" => html("index of this machine".into()),
        "/simple/hello-wheel/" => html(format!("<a href=\"/files/{WHEEL}\">{WHEEL}</a>")),
        path if path == format!("/files/{WHEEL}") => Response::new(full(wheel.clone())),
        _ => Response::builder().status(404).body(full("")).unwrap(),
    }
}

fn wheel() -> Bytes {
    let folder = tempfile::tempdir().unwrap();
    let file: &Path = &folder.path().join(WHEEL);
    let made = Command::new("python3")
        .args(["-c", MAKE])
        .arg(file)
        .status();
    assert!(made.unwrap().success());
    std::fs::read(file).unwrap().into()
}

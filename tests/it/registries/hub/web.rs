use std::sync::{Arc, Mutex};

use bytes::Bytes;
use hyper::{Request, Response, StatusCode, body::Incoming};

use crate::support::{
    elsewhere::{answers, assert_says, good, plugin, stored},
    fake_hub::sha256,
    http::{AnswerBody, Listening, cut_off, full, listen},
    ml_intern::Home,
    tls::Authority,
};

/// What is at a path.
#[derive(Clone)]
enum Page {
    /// This file, of which any rest can be asked for.
    File(Bytes),
    /// The same from a server that always sends all of it.
    WholeFile(Bytes),
    /// So many bytes of it, and for the next request another page.
    Broken(Bytes, usize, Box<Page>),
    /// Another address.
    Redirect(String),
}

type Pages = Arc<Mutex<Vec<(String, Page)>>>;

/// A web site that keeps what it was asked for: the path, and the range.
struct Site {
    listening: Listening,
    asked: Arc<Mutex<Vec<(String, String)>>>,
}

impl Site {
    async fn start(authority: Option<&Authority>, pages: &[(&str, Page)]) -> Self {
        let pages = pages
            .iter()
            .map(|(path, page)| ((*path).to_owned(), page.clone()));
        let pages: Pages = Arc::new(Mutex::new(pages.collect()));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        let answer = move |_, request: Request<Incoming>| {
            let range = request.headers().get("range");
            let range = range.map_or("", |range| range.to_str().unwrap()).to_owned();
            let path = request.uri().path().to_owned();
            kept.lock().unwrap().push((path.clone(), range.clone()));
            let answer = page(&pages, &path, &range);
            async { answer }
        };
        let listening = match authority {
            Some(authority) => authority.listen(answer).await,
            None => listen(answer).await,
        };
        Self { listening, asked }
    }

    fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.listening.addr)
    }

    fn asked(&self) -> Vec<(String, String)> {
        self.asked.lock().unwrap().clone()
    }
}

fn page(pages: &Pages, path: &str, range: &str) -> Response<AnswerBody> {
    let mut pages = pages.lock().unwrap();
    let found = pages.iter_mut().find(|(place, _)| place == path);
    let Some((_, found)) = found else {
        return answer(
            StatusCode::NOT_FOUND,
            &[],
            full("<html>no such page</html>"),
        );
    };
    let from = range
        .strip_prefix("bytes=")
        .and_then(|range| range.strip_suffix('-')?.parse::<usize>().ok());
    match found.clone() {
        Page::Redirect(place) => answer(StatusCode::FOUND, &[("location", &place)], full("")),
        Page::WholeFile(bytes) => answer(StatusCode::OK, &[], full(bytes)),
        Page::Broken(bytes, cut, next) => {
            *found = *next;
            let length = bytes.len().to_string();
            let body = cut_off(bytes.slice(..cut));
            answer(StatusCode::OK, &[("content-length", &length)], body)
        }
        Page::File(bytes) => match from {
            None => answer(StatusCode::OK, &[], full(bytes)),
            Some(from) => {
                let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
                let headers = [("content-range", range.as_str())];
                answer(
                    StatusCode::PARTIAL_CONTENT,
                    &headers,
                    full(bytes.slice(from..)),
                )
            }
        },
    }
}

fn answer(
    status: StatusCode,
    headers: &[(&'static str, &str)],
    body: AnswerBody,
) -> Response<AnswerBody> {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    for (name, value) in headers {
        answer.headers_mut().insert(*name, value.parse().unwrap());
    }
    answer
}

/// A home that trusts the authority.
fn home_of(authority: &Authority) -> Home {
    let home = Home::new();
    home.set("SSL_CERT_FILE", authority.roots());
    home
}

/// The address with the digest of the file.
fn source(site: &Site, path: &str, file: &[u8]) -> String {
    format!("{}#sha256={}", site.url(path), sha256(file))
}

#[track_caller]
fn assert_nothing(home: &Home) {
    assert_eq!(stored(home), [""; 0]);
    assert!(!home.workspace().join("ml-intern.toml").exists());
}

#[tokio::test]
async fn a_file_with_its_digest_is_added_and_another_is_not() {
    let file = Bytes::from(good("0.1.0"));
    let authority = Authority::new();
    let pages = [("/good.wasm", Page::File(file.clone()))];
    let site = Site::start(Some(&authority), &pages).await;
    let home = home_of(&authority);
    let wrong = source(&site, "/good.wasm", b"other");
    let refused = plugin(&home, &["add", &wrong, "--yes"]).await;
    let says = [
        sha256(&file),
        sha256(b"other"),
        "nothing was kept".to_owned(),
    ];
    assert_says(&refused, 7, &says.each_ref().map(String::as_str));
    assert_nothing(&home);
    for (source, code, says) in [
        (source(&site, "/none.wasm", &file), 7, "is not there"),
        (site.url("/good.wasm"), 2, "needs a digest"),
        (
            format!("{}#sha256=ab", site.url("/good.wasm")),
            2,
            "64 hexadecimal digits",
        ),
    ] {
        assert_says(
            &plugin(&home, &["add", &source, "--yes"]).await,
            code,
            &[says],
        );
    }
    assert_nothing(&home);

    let right = source(&site, "/good.wasm", &file);
    plugin(&home, &["add", &right, "--yes"])
        .await
        .assert_code(0);
    assert!(home.read("ml-intern.lock").contains(&right));
    drop(site);
    let home = answers(home).await;
    plugin(&home, &["verify"]).await.assert_code(0);
    plugin(&home, &["lock", "--locked"]).await.assert_code(0);
}

#[tokio::test]
async fn a_download_that_broke_off_is_gone_on_with_where_it_ended() {
    let file = Bytes::from(good("0.1.0"));
    let authority = Authority::new();
    // A server without ranges sends everything again, and is followed.
    for next in [Page::File(file.clone()), Page::WholeFile(file.clone())] {
        let page = Page::Broken(file.clone(), 5000, Box::new(next));
        let site = Site::start(Some(&authority), &[("/good.wasm", page)]).await;
        let home = home_of(&authority);
        let source = source(&site, "/good.wasm", &file);
        let broken = plugin(&home, &["add", &source, "--yes"]).await;
        assert_says(&broken, 7, &["https://127.0.0.1"]);
        assert_nothing(&home);
        plugin(&home, &["add", &source, "--yes"])
            .await
            .assert_code(0);
        let asked = site.asked();
        let ranges = asked.iter().filter(|(path, _)| path == "/good.wasm");
        let ranges = ranges.map(|(_, range)| range.as_str());
        assert_eq!(ranges.collect::<Vec<_>>(), ["", "bytes=5000-"]);
        answers(home).await;
    }
}

#[tokio::test]
async fn nothing_is_fetched_without_encryption() {
    let file = Bytes::from(good("0.1.0"));
    let authority = Authority::new();
    let plain = Site::start(None, &[("/good.wasm", Page::File(file.clone()))]).await;
    let unencrypted = source(&plain, "/good.wasm", &file).replace("https:", "http:");
    let address = format!("http://{}/good.wasm", plain.listening.addr);
    let there = Site::start(
        Some(&authority),
        &[("/good.wasm", Page::File(file.clone()))],
    )
    .await;
    let pages = [
        ("/down.wasm", Page::Redirect(address)),
        ("/there.wasm", Page::Redirect(there.url("/good.wasm"))),
        ("/round.wasm", Page::Redirect("/round.wasm".to_owned())),
    ];
    let site = Site::start(Some(&authority), &pages).await;
    let home = home_of(&authority);
    for (source, code, says) in [
        (unencrypted, 2, "https://"),
        (source(&site, "/down.wasm", &file), 7, "not encrypted"),
        (
            source(&site, "/round.wasm", &file),
            7,
            "redirects again and again",
        ),
    ] {
        assert_says(
            &plugin(&home, &["add", &source, "--yes"]).await,
            code,
            &[says],
        );
        assert_nothing(&home);
    }
    assert!(plain.asked().is_empty(), "{:?}", plain.asked());
    assert!(site.asked().len() < 12, "{:?}", site.asked());
    let moved = source(&site, "/there.wasm", &file);
    plugin(&home, &["add", &moved, "--yes"])
        .await
        .assert_code(0);
    answers(home).await;
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_not_believed() {
    let file = Bytes::from(good("0.1.0"));
    let authority = Authority::new();
    let site = Site::start(
        Some(&authority),
        &[("/good.wasm", Page::File(file.clone()))],
    )
    .await;
    let address = source(&site, "/good.wasm", &file);
    let other = Authority::new();
    let home = home_of(&other);
    let refused = plugin(&home, &["add", &address, "--yes"]).await;
    assert_says(&refused, 7, &["cannot be reached"]);
    assert_nothing(&home);
    assert!(site.asked().is_empty());
}

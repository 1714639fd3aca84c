//! Our fake of the Hub against the Hub's own client, and against requests that the Hub refuses.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    fake_hub::{FakeHub, READER, WRITER, sha256},
    http::{Answer, send},
    hub_client::{assert_refused, hub_client},
};

const ID: &str = "acme/plugins";

/// A folder with a large file of this many bytes, and a small one.
fn files(bytes: usize) -> (TempDir, Vec<u8>) {
    let folder = TempDir::new().unwrap();
    let large = (0..bytes).map(|at| at as u8).collect::<Vec<_>>();
    std::fs::write(folder.path().join("a.wasm"), &large).unwrap();
    std::fs::write(folder.path().join("a.txt"), "small").unwrap();
    (folder, large)
}

#[tokio::test]
async fn what_the_hubs_client_uploads_it_downloads() {
    // In one piece, and in three parts of which the last is short.
    for (kind, plural, part) in [
        ("model", "models", None),
        ("dataset", "datasets", Some(1000)),
    ] {
        let hub = FakeHub::start().await;
        hub.repository(plural, ID);
        if let Some(bytes) = part {
            hub.parts_of(bytes);
        }
        let first = hub.head(plural, ID);
        let (folder, large) = files(2500);
        let file = |name: &str| folder.path().join(name);
        let of = |more: Value| {
            let mut step = json!({"repo": ID, "kind": kind});
            step.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            step
        };
        let steps = [
            of(json!({"do": "upload", "path": "a.txt", "file": file("a.txt")})),
            of(
                json!({"do": "commit", "files": {"dir/a.wasm": file("a.wasm"), "b.txt": file("a.txt")}}),
            ),
            of(json!({"do": "download", "path": "dir/a.wasm"})),
            of(json!({"do": "download", "path": "a.txt"})),
            of(json!({"do": "large", "path": "dir/a.wasm"})),
            of(json!({"do": "large", "path": "a.txt"})),
            of(json!({"do": "info"})),
            of(json!({"do": "info", "revision": first})),
            of(json!({"do": "commit", "files": {"b.txt": file("a.txt")}, "parent": first})),
        ];
        let got = hub_client(&hub.endpoint(), Some(WRITER), &steps).await;
        let head = hub.head(plural, ID);
        assert_eq!(got[1], head, "{got:?}");
        assert_eq!(
            got[2..6],
            [
                json!(sha256(&large)),
                json!(sha256(b"small")),
                json!(sha256(&large)),
                json!(null)
            ]
        );
        let listed = json!(["a.txt", "b.txt", "dir/a.wasm"]);
        assert_eq!(
            got[6],
            json!({"sha": head, "private": false, "files": listed})
        );
        assert_eq!(got[7], json!({"sha": first, "private": false, "files": []}));
        assert_refused(&got[8], "HfHubHTTPError", 412);
        // The client keeps its token to the Hub as well.
        hub.assert_kept_from_elsewhere(&[WRITER]);
        let sent = hub.seen();
        let parts = sent.iter().filter(|seen| seen.target.starts_with("/part/"));
        assert_eq!(parts.count(), part.map_or(0, |_| 3));
    }
}

#[tokio::test]
async fn the_hubs_client_takes_our_refusals_for_the_hubs() {
    let hub = FakeHub::start().await;
    hub.repository("models", ID);
    hub.private_repository("models", "acme/secret");
    let (folder, _) = files(10);
    let upload = |repo: &str| json!({"do": "upload", "kind": "model", "repo": repo, "path": "a.txt", "file": folder.path().join("a.txt")});
    let info = |repo: &str| json!({"do": "info", "kind": "model", "repo": repo});
    let file = json!({"do": "download", "kind": "model", "repo": ID, "path": "none.wasm"});
    let mut commit = file.clone();
    commit["revision"] = json!("none");
    let steps = [
        info("acme/none"),
        info("acme/secret"),
        upload(ID),
        file,
        commit,
    ];
    let endpoint = hub.endpoint();
    let stranger = hub_client(&endpoint, None, &steps).await;
    let reader = hub_client(&endpoint, Some(READER), &steps).await;
    let wrong = hub_client(&endpoint, Some("hf_wrong"), &steps).await;
    assert_refused(&stranger[0], "RepositoryNotFoundError", 401);
    assert_refused(&stranger[1], "RepositoryNotFoundError", 401);
    assert_refused(&reader[0], "RepositoryNotFoundError", 404);
    assert_eq!(reader[1]["private"], true, "{}", reader[1]);
    assert_refused(&reader[2], "HfHubHTTPError", 403);
    assert_refused(&reader[3], "EntryNotFoundError", 404);
    assert_refused(&reader[4], "RevisionNotFoundError", 404);
    assert_refused(&wrong[1], "HfHubHTTPError", 401);
    assert_refused(&wrong[2], "HfHubHTTPError", 401);
}

#[tokio::test]
async fn a_commit_that_the_hub_would_not_take_changes_nothing() {
    let hub = FakeHub::start().await;
    hub.repository("models", ID);
    let head = hub.head("models", ID);
    let url = format!("{}/api/models/{ID}/commit/main", hub.endpoint());
    let token = format!("Bearer {WRITER}");
    let commit = async |kind: &str, lines: &[Value]| -> Answer {
        let body = lines.iter().map(|line| format!("{line}\n"));
        let headers = [("authorization", token.as_str()), ("content-type", kind)];
        send("POST", &url, &headers, body.collect::<String>()).await
    };
    let header = json!({"key": "header", "value": {"summary": "one", "description": ""}});
    let file = |path: &str, bytes: usize| {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let content = STANDARD.encode(vec![0; bytes]);
        json!({"key": "file", "value": {"path": path, "content": content, "encoding": "base64"}})
    };
    let large = json!({"key": "lfsFile", "value": {"path": "a.wasm", "algo": "sha256", "oid": sha256(b"a"), "size": 1}});
    let ndjson = "application/x-ndjson";
    for (kind, lines, says) in [
        (ndjson, vec![file("a", 1)], "a header"),
        (ndjson, vec![], "of nothing"),
        (ndjson, vec![header.clone(), large], "never uploaded"),
        (ndjson, vec![header.clone(), file("a", 11 << 20)], "Git LFS"),
        (ndjson, vec![header.clone(), file("../a", 1)], "no path"),
        (
            "application/json",
            vec![header.clone(), file("a", 1)],
            "x-ndjson",
        ),
    ] {
        let refused = commit(kind, &lines).await;
        assert_eq!(refused.status, 400);
        assert!(refused.text().contains(says), "{}", refused.text());
    }
    assert_eq!(hub.head("models", ID), head);
    assert_eq!(commit(ndjson, &[header, file("a", 1)]).await.status, 200);
    assert_ne!(hub.head("models", ID), head);
}

#[tokio::test]
async fn where_large_files_lie_a_token_is_refused_and_a_rest_is_served() {
    let hub = FakeHub::start().await;
    hub.repository("models", ID);
    hub.commit(ID, "a.wasm", b"0123456789");
    let url = format!("{}/{ID}/resolve/main/a.wasm", hub.endpoint());
    let there = send("GET", &url, &[], "").await;
    let place = there.headers["location"].to_str().unwrap();
    assert_eq!(there.headers["x-linked-size"], "10");
    let token = format!("Bearer {WRITER}");
    let with_token = send("GET", place, &[("authorization", &token)], "").await;
    let unsigned = send("GET", place.split('?').next().unwrap(), &[], "").await;
    assert_eq!((with_token.status, unsigned.status), (400, 403));
    let rest = send("GET", place, &[("range", "bytes=7-")], "").await;
    assert_eq!((rest.status, rest.text().as_str()), (206, "789"));
    assert_eq!(rest.headers["content-range"], "bytes 7-9/10");
    assert_eq!(
        send("GET", place, &[("range", "bytes=10-")], "")
            .await
            .status,
        416
    );
    hub.cut_next_after(4);
    let cut = send("GET", place, &[], "").await;
    assert_eq!((cut.text().as_str(), cut.complete), ("0123", false));
    let whole = send("GET", place, &[], "").await;
    assert_eq!(
        (whole.text().as_str(), whole.complete),
        ("0123456789", true)
    );
}

use std::time::Duration;

use bytes::Bytes;
use rustix::process::Signal;

use super::Victim;
use crate::support::{
    elsewhere::{answers, good, plugin, store, stored},
    fake_registry::{Answer, FakeRegistry, reply},
    http::{cut_off, full, trickle},
    ml_intern::{Finished, Home},
};

/// A registry with a good image whose blobs are answered in this way.
async fn registry(blob: impl Fn() -> Answer + Send + Sync + 'static) -> FakeRegistry {
    let registry = FakeRegistry::start(move |asked| asked.is_blob().then(&blob)).await;
    registry.image("1", &good("0.1.0"));
    registry
}

#[tokio::test]
async fn other_bytes_of_the_same_length_are_thrown_away() {
    let mut other = good("0.1.0");
    let last = other.len() - 1;
    other[last] ^= 1;
    let registry = registry(move || reply(200, &[], full(other.clone()))).await;
    let victim = Victim::new().await;
    victim
        .refuses(&registry, &["SHA-256", "nothing was kept"])
        .await;
    assert!(victim.drafts().is_empty());
    victim.neighbour_answers().await;
}

#[tokio::test]
async fn a_body_shorter_than_it_says_is_kept_for_the_next_try() {
    let file = Bytes::from(good("0.1.0"));
    let length = file.len().to_string();
    let registry = registry(move || {
        let headers = [("content-length", length.as_str())];
        reply(200, &headers, cut_off(file.slice(..9000)))
    })
    .await;
    let victim = Victim::new().await;
    victim.refuses(&registry, &["http://127.0.0.1"]).await;
    let [draft] = victim.drafts().try_into().unwrap();
    assert_eq!(draft.metadata().unwrap().len(), 9000);
    victim.neighbour_answers().await;
}

#[tokio::test]
async fn a_body_shorter_than_the_image_says_is_not_taken_for_whole() {
    let registry = registry(|| reply(200, &[], full(good("0.1.0")[..9000].to_vec()))).await;
    let victim = Victim::new().await;
    let says = format!("it sent 9000 of {} bytes", good("0.1.0").len());
    victim.refuses(&registry, &[&says]).await;
    victim.neighbour_answers().await;
}

#[tokio::test]
async fn a_body_longer_than_the_image_says_is_refused_at_its_head() {
    let registry = registry(|| reply(200, &[], full([good("0.1.0"), vec![0]].concat()))).await;
    let victim = Victim::new().await;
    let says = format!("more than the {} bytes", good("0.1.0").len());
    victim
        .refuses(&registry, &[&says, "nothing was kept"])
        .await;
    assert!(victim.drafts().is_empty());
    victim.neighbour_answers().await;
}

#[tokio::test]
async fn a_body_without_an_end_is_refused_where_it_becomes_too_long() {
    let zeros = Bytes::from(vec![0; 64 << 10]);
    let endless = move || {
        let pieces = std::iter::repeat(zeros.clone());
        reply(200, &[], trickle(pieces, Duration::ZERO))
    };
    let registry = registry(endless).await;
    let victim = Victim::new().await;
    victim
        .refuses(&registry, &["more than the", "nothing was kept"])
        .await;
    assert!(victim.drafts().is_empty());
    victim.neighbour_answers().await;
}

#[tokio::test]
async fn a_manifest_without_an_end_is_refused_where_it_becomes_too_long() {
    let spaces = Bytes::from(vec![b' '; 64 << 10]);
    let registry = FakeRegistry::start(move |asked| {
        let pieces = std::iter::repeat(spaces.clone());
        asked
            .is_manifest()
            .then(|| reply(200, &[], trickle(pieces, Duration::ZERO)))
    })
    .await;
    let victim = Victim::new().await;
    victim
        .refuses(&registry, &["more than 4194304 bytes"])
        .await;
    victim.neighbour_answers().await;
}

#[tokio::test]
async fn a_rest_that_was_not_asked_for_is_no_file() {
    // It says to begin in the middle, and then elsewhere than where the draft ends.
    for (range, told) in [
        ("bytes 9000-9999/10000", "it sent another part"),
        ("bytes 0-", "it sent"),
        ("nonsense", "it sent another part"),
    ] {
        let registry = registry(move || {
            let body = full(good("0.1.0")[9000..].to_vec());
            reply(206, &[("content-range", range)], body)
        })
        .await;
        let victim = Victim::new().await;
        victim.refuses(&registry, &[told]).await;
        victim.refuses(&registry, &[told]).await;
        victim.neighbour_answers().await;
    }
}

#[track_caller]
fn assert_interrupted(done: &Finished) {
    assert!(
        done.signal() == Some(2) || done.code() == Some(130),
        "{done:?}"
    );
    assert!(done.elapsed < Duration::from_secs(20), "{done:?}");
}

#[tokio::test]
async fn a_trickle_ends_with_ctrl_c_and_the_next_try_goes_on() {
    let file = Bytes::from(good("0.1.0"));
    let slow = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let (pieces, is_slow) = (file.clone(), slow.clone());
    let registry = FakeRegistry::start(move |asked| {
        let is_slow = is_slow.load(std::sync::atomic::Ordering::SeqCst);
        let pieces = pieces.clone();
        let pieces = (0..pieces.len()).step_by(100).map(move |from| {
            let to = pieces.len().min(from + 100);
            pieces.slice(from..to)
        });
        let body = || trickle(pieces, Duration::from_millis(50));
        (asked.is_blob() && is_slow).then(|| reply(200, &[], body()))
    })
    .await;
    registry.image("1", &file);
    let victim = Victim::new().await;
    let source = registry.source("1");
    let args = ["plugin", "add", &source, "--yes"];
    let running = victim.home.ml_intern(args).start();
    while victim.drafts().is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    running.signal(Signal::INT);
    assert_interrupted(&running.finish().await);
    victim.assert_unchanged();
    let kept = victim.drafts()[0].metadata().unwrap().len();
    assert!(kept > 0, "{kept}");

    slow.store(false, std::sync::atomic::Ordering::SeqCst);
    victim.add(&source).await.assert_code(0);
    let asked = registry.asked();
    let last = asked.iter().rfind(|asked| asked.is_blob()).unwrap();
    assert_eq!(last.header("range"), format!("bytes={kept}-"));
    assert_eq!(stored(&victim.home).len(), 1);
    answers(victim.home).await;
}

#[tokio::test]
async fn a_server_that_takes_connections_and_says_nothing_ends_with_ctrl_c() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let source = format!("oci://{}/acme/good:1", listener.local_addr().unwrap());
    let victim = Victim::new().await;
    let args = ["plugin", "add", &source, "--yes"];
    let running = victim.home.ml_intern(args).start();
    let (_connection, _) = listener.accept().await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    running.signal(Signal::INT);
    assert_interrupted(&running.finish().await);
    victim.assert_unchanged();
    victim.neighbour_answers().await;
}

/// The same before a run that has to fetch a plugin first.
#[tokio::test]
async fn a_run_that_fetches_first_ends_with_either_signal() {
    let silent = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let is_silent = silent.clone();
    let registry = FakeRegistry::start(move |asked| {
        let is_silent = is_silent.load(std::sync::atomic::Ordering::SeqCst);
        let a_byte_a_minute = || {
            let bytes = std::iter::repeat_n(Bytes::from_static(b"x"), 9);
            trickle(bytes, Duration::from_secs(60))
        };
        (asked.is_blob() && is_silent).then(|| reply(200, &[], a_byte_a_minute()))
    })
    .await;
    registry.image("1", &good("0.1.0"));
    let home = Home::new();
    plugin(&home, &["add", &registry.source("1"), "--yes"])
        .await
        .assert_code(0);
    std::fs::remove_file(store(&home).join(&stored(&home)[0])).unwrap();
    silent.store(true, std::sync::atomic::Ordering::SeqCst);
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let asked = registry.asked().len();
        let run = ["run", "--model", "openai/fake-model", "go"];
        let running = home.ml_intern(run).start();
        while registry.asked().len() == asked {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        running.signal(signal);
        running.finish().await.assert_code(code);
    }
}

#[tokio::test]
async fn a_person_sees_how_far_a_slow_download_is_and_is_asked_at_its_end() {
    let file = Bytes::from(good("0.1.0"));
    let pieces = file.clone();
    let registry = FakeRegistry::start(move |asked| {
        let pieces = pieces.clone();
        let pieces = (0..pieces.len()).step_by(8 << 10).map(move |from| {
            let to = pieces.len().min(from + (8 << 10));
            pieces.slice(from..to)
        });
        let size = file.len().to_string();
        let body = || trickle(pieces, Duration::from_millis(200));
        asked
            .is_blob()
            .then(|| reply(200, &[("content-length", &size)], body()))
    })
    .await;
    registry.image("1", &good("0.1.0"));
    let source = registry.source("1");
    // Bytes that came, of how many, and how fast; or a line where nothing can be redrawn.
    for (term, told) in [
        ("xterm-256color", &[" KiB/", "KiB/s"][..]),
        ("dumb", &["… oci://"]),
    ] {
        let home = Home::new();
        home.set("TERM", term);
        let add = home.ml_intern(["plugin", "add", &source]);
        let mut terminal = add.at_terminal(120);
        let told = |all: &str| told.iter().all(|text| all.contains(text));
        terminal.wait_until("progress", told).await;
        let asked = terminal.wait_for("grant this? [y/N]").await;
        assert!(asked.contains("asks for nothing"), "{asked}");
        terminal.type_line("n");
        let (code, _) = terminal.finish().await;
        assert_eq!(code, Some(4));
        assert!(!home.workspace().join("ml-intern.toml").exists());
    }
}

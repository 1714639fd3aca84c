//! Requests and their answers.

use super::*;

const ASKS: &str = "(call $show (call $send (global.get $path) (global.get $path_length) (i32.const 0)) (i32.const 9))";
const POSTS: &str = "(call $show (call $send (global.get $path) (global.get $path_length) (i32.const 12)) (i32.const 9))";

#[tokio::test]
async fn an_answer_clocks_and_random_bytes_are_the_same_without_a_server() {
    let body = format!("(call $chance) {ASKS} (call $chance)");
    let (first, effects) = check(&guest(&body), naming().await, "/a?b=c").await;
    for part in ["00000000000000c8 x-one\n", "x-two\nb\n", "/a?b=c\n$"] {
        assert!(first.contains(part), "{first}");
    }
    let made = effects.iter().find_map(|(_, effect)| match effect {
        Effect::Request(made) => Some(made.clone()),
        _ => None,
    });
    let made = made.unwrap();
    assert!(
        made.method == "GET" && made.url.ends_with("/a?b=c"),
        "{made:?}"
    );
}

/// Records a call, and replays it as another one with another path or guest.
async fn changed(recorded: &str, replayed: &str, path: &str) -> String {
    let (_, effects) = check(&guest(recorded), naming().await, "/a").await;
    let place = Place::new();
    let server = naming().await;
    // Another server, at the place of the first as far as the guest can tell.
    let first = effects.iter().find_map(|(_, effect)| match effect {
        Effect::Request(made) => Some(made.url.split('/').nth(2)?.parse().unwrap()),
        _ => None,
    });
    let effects = Some(Effects::Replay(scripts(effects)));
    let plugin = plugin(&place, &guest(replayed), server.address, effects);
    diverged(output(&plugin, first.unwrap(), path).await)
}

#[tokio::test]
async fn a_changed_request_diverges_in_words() {
    let told = changed(ASKS, ASKS, "/b").await;
    assert!(told.contains("expected GET http://127.0.0.1:"), "{told}");
    assert!(
        told.contains("/a, found GET") && told.ends_with("/b"),
        "{told}"
    );
    let told = changed(ASKS, POSTS, "/a").await;
    assert!(told.contains("found POST"), "{told}");
    let other = POSTS.replace("(i32.const 12)", "(i32.const 11)");
    let told = changed(POSTS, &other, "/a").await;
    assert!(told.contains("with a body of digest sha256:"), "{told}");
    let twice = format!("{ASKS} {ASKS}");
    let told = changed(ASKS, &twice, "/a").await;
    assert!(
        told.contains("expected no further request, found GET"),
        "{told}"
    );
}

#[tokio::test]
async fn a_posted_body_is_compared_and_the_answer_is_the_same() {
    let (first, effects) = check(&guest(POSTS), naming().await, "/a").await;
    assert!(first.contains("/a\n"), "{first}");
    let sent = |effect: &Effect| {
        matches!(
            effect,
            Effect::Sent {
                digest: Some(_),
                ..
            }
        )
    };
    assert!(effects.iter().any(|(_, effect)| sent(effect)));
}

#[tokio::test]
async fn of_two_requests_in_flight_the_same_one_is_answered_first() {
    let body = "(local $a i32) (local $b i32)
        (local.set $a (call $send (global.get $path) (global.get $path_length) (i32.const 0)))
        (local.set $b (call $send (i32.const 832) (i32.const 7) (i32.const 0)))
        (call $first (call $answered (local.get $a)) (call $answered (local.get $b)) (call $timer (i64.const 20000000000)))
        (call $show (local.get $b) (i32.const 9)) (call $show (local.get $a) (i32.const 9))";
    // The first is answered late, or at once.
    for path in ["/late", "/soon"] {
        let server = Server::start(async |path, mut stream: TcpStream| {
            if path == "/late" {
                tokio::time::sleep(Duration::from_millis(150)).await;
            }
            let length = path.len();
            let text = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{path}");
            stream.write_all(text.as_bytes()).await
        })
        .await;
        let (first, effects) = check(&guest(body), server, path).await;
        if path == "/late" {
            assert!(first.starts_with("0000000000000001 0"), "{first}");
        }
        assert!(
            first.contains("/second\n") && first.contains(path),
            "{first}"
        );
        let numbers = effects.iter().filter_map(|(_, effect)| match effect {
            Effect::Request(made) => Some(made.request),
            _ => None,
        });
        assert_eq!(numbers.collect::<Vec<_>>(), [0, 1]);
    }
}

#[tokio::test]
async fn a_timer_that_was_first_is_first_though_the_answer_is_there() {
    let body = "(local $a i32)
        (local.set $a (call $send (global.get $path) (global.get $path_length) (i32.const 0)))
        (call $first (call $timer (i64.const 30000000000)) (call $timer (i64.const 20000000)) (call $answered (local.get $a)))";
    let server = Server::start(async |_, stream: TcpStream| {
        tokio::time::sleep(Duration::from_secs(20)).await;
        drop(stream);
        Ok(())
    });
    let (first, effects) = check(&guest(body), server.await, "/a").await;
    assert_eq!(first, "0000000000000001 ");
    let answered = |effect: &Effect| matches!(effect, Effect::Answer { .. });
    assert!(!effects.iter().any(|(_, effect)| answered(effect)));
}

#[tokio::test]
async fn an_error_and_a_denial_are_replayed_as_such() {
    // A server that says nothing, and one that nobody may ask.
    let silent = || {
        Server::start(async |_, stream: TcpStream| {
            drop(stream);
            Ok(())
        })
    };
    let (first, effects) = check(&guest(ASKS), silent().await, "/a").await;
    assert!(first.starts_with('!'), "{first}");
    let failed = effects.iter().any(|(_, effect)| {
        matches!(effect, Effect::Answer { answer: Answer::Error(failure), .. } if failure.code == "HTTP-response-incomplete")
    });
    assert!(failed, "{effects:?}");
    let elsewhere = "(global.set $place (i32.const 848)) (global.set $place_length (i32.const 4))";
    let (first, effects) =
        check(&guest(&format!("{elsewhere} {ASKS}")), silent().await, "/a").await;
    // HTTP-request-denied is the sixteenth of them.
    assert_eq!(first, "!000000000000000f ");
    let denied = effects.iter().any(
        |(_, effect)| matches!(effect, Effect::Denied { detail, .. } if detail.contains("what")),
    );
    assert!(denied, "{effects:?}");
}

#[tokio::test]
async fn a_body_that_breaks_off_breaks_off_again_and_one_that_is_left_is_left() {
    let broken = Server::start(async |_, mut stream: TcpStream| {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nsome")
            .await
    });
    let (first, effects) = check(&guest(ASKS), broken.await, "/a").await;
    // The last operation failed, which is not the end.
    assert!(first.contains("some\n$0000000000000000 "), "{first}");
    assert!(effects.iter().any(|(_, effect)| matches!(
        effect,
        Effect::End {
            end: End::Error(_),
            ..
        }
    )));
    let dripping = Server::start(async |_, mut stream: TcpStream| {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            .await?;
        for piece in [
            &b"1\r\na\r\n"[..],
            b"2\r\nbc\r\n",
            b"3\r\ndef\r\n",
            b"0\r\n\r\n",
        ] {
            stream.write_all(piece).await?;
            stream.flush().await?;
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        Ok(())
    })
    .await;
    let two = ASKS.replace("(i32.const 9)", "(i32.const 2)");
    let (first, effects) = check(&guest(&two), dripping, "/a").await;
    assert!(
        first.contains("a\n") && first.contains("bc\n") && !first.contains("def"),
        "{first}"
    );
    let left = Effect::End {
        request: 0,
        end: End::Left { waiting: false },
    };
    assert!(
        effects.iter().any(|(_, effect)| *effect == left),
        "{effects:?}"
    );
    // A guest that reads on finds no more of it.
    let told = {
        let place = Place::new();
        let made = effects.iter().find_map(|(_, effect)| match effect {
            Effect::Request(made) => made.url.split('/').nth(2),
            _ => None,
        });
        let address = made.unwrap().parse().unwrap();
        let effects = Some(Effects::Replay(scripts(effects.clone())));
        diverged(
            output(
                &plugin(&place, &guest(ASKS), address, effects),
                address,
                "/a",
            )
            .await,
        )
    };
    assert!(
        told.contains("expected a body left at this place, found a further piece"),
        "{told}"
    );
}

#[tokio::test]
async fn a_body_over_the_limit_is_cut_off_and_a_replay_that_needs_it_diverges() {
    const SIZE: usize = 17 << 20;
    let server = Server::start(async |_, mut stream: TcpStream| {
        let header = format!("HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n");
        stream.write_all(header.as_bytes()).await?;
        stream.write_all(&vec![b'x'; SIZE]).await
    })
    .await;
    let all = ASKS
        .replace("(i32.const 9)", "(i32.const 99999)")
        .replace("(call $show", "(call $total");
    let place = Place::new();
    let kept = Arc::new(Kept::default());
    let guest = guest(&all);
    let recording = plugin(
        &place,
        &guest,
        server.address,
        Some(Effects::Record(kept.clone())),
    );
    let first = output(&recording, server.address, "/a").await.unwrap();
    assert_eq!(first, format!("{SIZE:016x} "));
    let effects = kept.effects();
    let bytes: usize = effects
        .iter()
        .map(|(_, effect)| match effect {
            Effect::Body { bytes, .. } => bytes.len(),
            _ => 0,
        })
        .sum();
    assert!((15 << 20..=16 << 20).contains(&bytes), "{bytes}");
    let cut = Effect::End {
        request: 0,
        end: End::Truncated,
    };
    assert_eq!(effects.last().map(|(_, effect)| effect), Some(&cut));
    let replaying = plugin(
        &place,
        &guest,
        server.address,
        Some(Effects::Replay(scripts(effects))),
    );
    let told = diverged(output(&replaying, server.address, "/a").await);
    assert!(told.contains("truncated"), "{told}");
    place.check_neighbour().await;
}

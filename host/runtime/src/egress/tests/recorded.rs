//! What is kept of requests whose host adds a credential: never its value, in any spelling.

use super::*;
use crate::effects::{Effect, EffectScripts};
use crate::services::RecordsEffects;

const TOKEN: &str = "hf_0123456789abcdef";

#[derive(Default)]
struct Kept(Mutex<Vec<Effect>>);

impl RecordsEffects for Kept {
    fn record(&self, _: &str, effect: Effect) -> std::io::Result<()> {
        lock(&self.0).push(effect);
        Ok(())
    }
}

impl Kept {
    /// All that is kept, as bytes that are not base64.
    fn text(&self) -> String {
        let effects = lock(&self.0);
        let text = |effect: &Effect| match effect {
            Effect::Body { bytes, .. } => String::from_utf8_lossy(bytes).into_owned(),
            other => serde_json::to_string(other).unwrap(),
        };
        effects.iter().map(text).collect()
    }

    fn holds_no_secret(&self) {
        let secrets = Secrets::new(&[Secret::new(TOKEN)]);
        assert!(
            !Scan::finds(&secrets, self.text().as_bytes()),
            "{}",
            self.text()
        );
    }
}

/// A caller whose effects are kept.
fn recording(server: &Server, network: &Arc<Clients>) -> (Caller, Arc<Kept>) {
    let kept = Arc::new(Kept::default());
    let rules = Rules {
        effects: Some(Effects::Record(kept.clone())),
        ..Rules::granting(server).with_token(server, TOKEN)
    };
    (rules.caller(network), kept)
}

#[tokio::test]
async fn a_credential_is_sent_and_not_kept_though_the_service_writes_it_back() {
    // In a header, and split over two pieces of the body.
    let server = Server::answering(&format!(
        "HTTP/1.1 200 OK\r\nx-you-sent: {TOKEN}\r\ntransfer-encoding: chunked\r\n\r\n8\r\nhf_01234\r\nb\r\n56789abcdef\r\n0\r\n\r\n"
    ))
    .await;
    let (caller, kept) = recording(&server, &network());
    let text = caller.text(get(&server.url("/a")), "").await.unwrap();
    assert_eq!(text, "*".repeat(TOKEN.len()));
    assert!(server.requests()[0].contains(TOKEN));
    kept.holds_no_secret();
    assert!(kept.text().contains("x-you-sent"));
}

#[tokio::test]
async fn a_guest_that_sends_a_secret_leaves_none_of_it() {
    let server = Server::answering(OK).await;
    let network = network();
    let escaped: String = TOKEN.bytes().map(|byte| format!("%25{byte:02x}")).collect();
    for (url, header, body) in [
        (format!("/?t={TOKEN}"), "x", "x"),
        (format!("/{escaped}"), "x", "x"),
        ("/".to_owned(), TOKEN, "x"),
        ("/".to_owned(), "x", TOKEN),
    ] {
        let (caller, kept) = recording(&server, &network);
        let request = Request::post(server.url(&url)).header("x-h", header);
        caller.text(request, body).await.unwrap_err();
        kept.holds_no_secret();
        let effects = lock(&kept.0).clone();
        let denied = |effect: &Effect| matches!(effect, Effect::Denied { .. });
        assert!(effects.iter().any(denied), "{effects:?}");
        let sent = |effect: &Effect| matches!(effect, Effect::Sent { .. });
        assert!(!effects.iter().any(sent), "{effects:?}");
        // And is refused with the same words in a replay, without a credential and without a server.
        let effects = effects.into_iter().map(|effect| (String::new(), effect));
        let scripts = EffectScripts::new(effects).unwrap();
        let rules = Rules {
            effects: Some(Effects::Replay(Arc::new(scripts))),
            ..Rules::granting(&server).with_token(&server, TOKEN)
        };
        let again = rules.caller(&network);
        let request = Request::post(server.url(&url)).header("x-h", header);
        let error = again.text(request, body).await.unwrap_err();
        assert!(matches!(error, Error::HttpRequestDenied), "{error}");
        assert_eq!(again.denial(), caller.denial());
        assert!(again.audits().is_empty());
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_large_body_that_leaves_has_its_digest_kept_in_time() {
    let server = Server::answering(OK).await;
    let (caller, kept) = recording(&server, &network());
    let pieces = vec![Bytes::from(vec![b'a'; 50_000]); 8];
    let request = Request::post(server.url("/")).header("content-length", 400_000);
    let (answer, taken) = caller.stream(request, pieces).await;
    assert!(taken && answer.is_ok());
    let effects = lock(&kept.0).clone();
    let at = |wanted: fn(&Effect) -> bool| effects.iter().position(wanted).unwrap();
    let sent = at(|effect| {
        matches!(
            effect,
            Effect::Sent {
                digest: Some(_),
                ..
            }
        )
    });
    assert!(sent < at(|effect| matches!(effect, Effect::Answer { .. })));
}

//! Names: what a resolver says is not trusted, and is asked once for each connection.

use async_trait::async_trait;

use super::*;
use crate::egress::resolve::Resolve;

/// Gives its answers one after the other, and the last one for ever.
#[derive(Debug)]
struct Answers {
    answers: Vec<Vec<SocketAddr>>,
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl Resolve for Answers {
    async fn resolve(&self, host: &str, _: u16) -> std::io::Result<Vec<SocketAddr>> {
        let mut asked = lock(&self.asked);
        asked.push(host.to_owned());
        let at = (asked.len() - 1).min(self.answers.len() - 1);
        Ok(self.answers[at].clone())
    }
}

fn answering(answers: &[&[&str]]) -> (Arc<Clients>, Arc<Answers>) {
    let address = |text: &&str| SocketAddr::new(text.parse().unwrap(), 9);
    let answers = answers.iter();
    let resolver = Arc::new(Answers {
        answers: answers
            .map(|answer| answer.iter().map(address).collect())
            .collect(),
        asked: Mutex::default(),
    });
    (
        Arc::new(Clients::new(None, Some(resolver.clone()))),
        resolver,
    )
}

/// A place that is granted as a public one.
fn public(host: &str, port: u16) -> Rules<'static> {
    let rules = Rules::naming(host, "http", port);
    Rules {
        grant: format!("http = [{{ host = \"*.names.test\", scheme = \"http\", port = {port} }}]"),
        ..rules
    }
}

#[tokio::test]
async fn a_public_name_that_leads_to_a_private_or_special_address_is_prohibited() {
    let server = Server::answering(OK).await;
    let port = server.address.port();
    let url = format!("http://a.names.test:{port}/");
    for address in [
        "127.0.0.1",
        "127.9.9.9",
        "10.0.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "::1",
        "fd00::1",
        "fe80::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    ] {
        let (network, _) = answering(&[&[address]]);
        let mut rules = public("a.names.test", port);
        rules.request = rules.request.replace("a.names.test", "*.names.test");
        let caller = rules.caller(&network);
        let error = caller.text(get(&url), "").await.unwrap_err();
        assert!(
            matches!(error, Error::DestinationIpProhibited),
            "{address}: {error}"
        );
        let denial = caller.denial();
        assert!(
            denial.contains("http = [{ host = \"a.names.test\""),
            "{denial}"
        );
        assert!(matches!(caller.audits()[0].verdict, Verdict::Denied(_)));
    }
    assert_eq!(server.connections(), 0);
    // Where the grant names that very place, the name may lead there.
    let (network, _) = answering(&[&["127.0.0.1"]]);
    let caller = Rules::naming("a.names.test", "http", port).caller(&network);
    assert_eq!(caller.text(get(&url), "").await.unwrap(), "ok");
    let request = &server.requests()[0];
    assert!(
        request.contains(&format!("host: a.names.test:{port}\r\n")),
        "{request}"
    );
}

#[tokio::test]
async fn a_name_is_looked_up_once_for_a_connection_and_its_next_answer_is_vetted_as_well() {
    let server =
        Server::answering("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok")
            .await;
    let port = server.address.port();
    let (network, resolver) = answering(&[&["127.0.0.1"], &["169.254.169.254"]]);
    let caller = Rules::naming("a.names.test", "http", port).caller(&network);
    let url = format!("http://A.Names.test.:{port}/");
    assert_eq!(caller.text(get(&url), "").await.unwrap(), "ok");
    assert_eq!(*lock(&resolver.asked), ["a.names.test"]);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let error = caller.text(get(&url), "").await.unwrap_err();
    assert!(matches!(error, Error::DestinationIpProhibited), "{error}");
    assert_eq!(lock(&resolver.asked).len(), 2);
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn of_mixed_answers_the_prohibited_ones_are_never_tried() {
    let server = Server::answering(OK).await;
    let port = server.address.port();
    let url = format!("http://a.names.test:{port}/");
    for answer in [
        ["169.254.169.254", "127.0.0.1"],
        ["127.0.0.1", "169.254.169.254"],
    ] {
        let (network, _) = answering(&[&answer]);
        let caller = Rules::naming("a.names.test", "http", port).caller(&network);
        assert_eq!(caller.text(get(&url), "").await.unwrap(), "ok");
    }
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_connection_serves_its_own_host_and_no_other_name_of_the_same_address() {
    let server = Server::answering(OK).await;
    let port = server.address.port();
    let (network, _) = answering(&[&["127.0.0.1"]]);
    for (host, connections) in [("a", 1), ("a", 1), ("b", 2), ("a", 2), ("b", 2)] {
        let caller = Rules::naming(&format!("{host}.names.test"), "http", port).caller(&network);
        let url = format!("http://{host}.names.test:{port}/");
        assert_eq!(caller.text(get(&url), "").await.unwrap(), "ok");
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(server.connections(), connections, "{host}");
    }
}

#[tokio::test]
async fn a_name_without_an_address_is_told_apart() {
    let (network, _) = answering(&[&[]]);
    let caller = Rules::naming("a.names.test", "http", 9).caller(&network);
    let error = caller
        .text(get("http://a.names.test:9/"), "")
        .await
        .unwrap_err();
    assert!(matches!(error, Error::DnsError { .. }), "{error}");
}

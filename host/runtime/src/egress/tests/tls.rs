//! TLS against a server of the test's own authority.

use async_trait::async_trait;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::egress::resolve::Resolve;

/// Every name is this machine.
#[derive(Debug)]
struct Here;

#[async_trait]
impl Resolve for Here {
    async fn resolve(&self, _: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
        Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))])
    }
}

struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    roots: tempfile::NamedTempFile,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let roots = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(roots.path(), issuer.pem()).unwrap();
        Self { issuer, roots }
    }

    fn network(&self) -> Arc<Clients> {
        Arc::new(Clients::new(
            Some(self.roots.path().into()),
            Some(Arc::new(Here)),
        ))
    }

    /// A server with a certificate for `host`, which keeps the names that clients ask for.
    async fn server(
        &self,
        host: &str,
        change: impl FnOnce(&mut CertificateParams),
        signed: bool,
    ) -> (Server, Arc<Mutex<Vec<String>>>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        change(&mut params);
        let certificate = match signed {
            true => params.signed_by(&key, &self.issuer).unwrap(),
            false => params.self_signed(&key).unwrap(),
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server::at(listener.local_addr().unwrap());
        let names = Arc::new(Mutex::new(Vec::new()));
        let (asked, connections) = (names.clone(), server.connections.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (acceptor, asked) = (acceptor.clone(), asked.clone());
                tokio::spawn(async move { serve(&acceptor, stream, &asked).await.ok() });
            }
        });
        (server, names)
    }
}

/// Answers every request of a connection.
async fn serve(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let name = stream
        .get_ref()
        .1
        .server_name()
        .unwrap_or("none")
        .to_owned();
    lock(asked).push(name);
    let mut seen = Vec::new();
    loop {
        seen.push(stream.read_u8().await?);
        if seen.ends_with(b"\r\n\r\n") {
            stream.write_all(OK.as_bytes()).await?;
            stream.flush().await?;
        }
    }
}

async fn ask(network: &Arc<Clients>, server: &Server, host: &str) -> Result<String, Error> {
    let port = server.address.port();
    let caller = Rules::naming(host, "https", port).caller(network);
    caller
        .text(get(&format!("https://{host}:{port}/")), "")
        .await
}

#[tokio::test]
async fn a_server_proves_to_be_the_host_that_was_granted() {
    let authority = Authority::new();
    let (server, names) = authority.server("granted.test", |_| (), true).await;
    let network = authority.network();
    for _ in 0..2 {
        assert_eq!(ask(&network, &server, "granted.test").await.unwrap(), "ok");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(*lock(&names), ["granted.test"]);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_server_that_is_another_one_or_was_is_refused() {
    let authority = Authority::new();
    let network = authority.network();
    let past = |params: &mut CertificateParams| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    };
    let (other, _) = authority.server("other.test", |_| (), true).await;
    let (expired, _) = authority.server("granted.test", past, true).await;
    let (own, _) = authority.server("granted.test", |_| (), false).await;
    for (what, server) in [("other", &other), ("expired", &expired), ("own", &own)] {
        let error = ask(&network, server, "granted.test").await.unwrap_err();
        assert!(
            matches!(error, Error::TlsCertificateError),
            "{what}: {error}"
        );
    }
    // Without the test's authority nobody vouches for the right one either.
    let (right, _) = authority.server("granted.test", |_| (), true).await;
    let strangers = Arc::new(Clients::new(None, Some(Arc::new(Here))));
    let error = ask(&strangers, &right, "granted.test").await.unwrap_err();
    assert!(matches!(error, Error::TlsCertificateError), "{error}");
    assert_eq!(ask(&network, &right, "granted.test").await.unwrap(), "ok");
}

#[tokio::test]
async fn a_grant_for_https_sends_nothing_in_the_clear() {
    let authority = Authority::new();
    let (secure, names) = authority.server("granted.test", |_| (), true).await;
    let port = secure.address.port();
    let caller = Rules::naming("granted.test", "https", port).caller(&authority.network());
    let plain = format!("http://granted.test:{port}/");
    let error = caller.text(get(&plain), "").await.unwrap_err();
    assert!(matches!(error, Error::HttpRequestDenied), "{error}");
    assert!(lock(&names).is_empty() && secure.connections() == 0);
}

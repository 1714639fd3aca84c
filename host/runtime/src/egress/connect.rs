//! Connections: resolved here, vetted here, and made to exactly the addresses that were vetted, so
//! that a name which changes its mind between check and use has nothing to change.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::net::TcpStream;
use tower_service::Service;
use wasmtime_wasi_http::WasiBody;

use crate::egress::address::{Reach, reach};
use crate::egress::resolve::{Resolve, SystemResolver};

/// Connecting, with name look-up and TLS, takes no longer.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Idle connections are kept this long; services close theirs after one to five minutes.
const IDLE: Duration = Duration::from_secs(90);
const IDLE_PER_HOST: usize = 8;
/// Addresses looked at, and tried, of one name.
const MAX_FOUND: usize = 64;
const MAX_ADDRESSES: usize = 8;
/// Bytes and count of a response's headers.
const MAX_HEADER_BYTES: usize = 256 << 10;
const MAX_HEADERS: usize = 128;

tokio::task_local! {
    /// The plugin's own, shorter limit on connecting.
    pub(crate) static CONNECT_LIMIT: Duration;
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("`{host}` cannot be resolved: {source}")]
    Lookup { host: String, source: io::Error },
    #[error("`{host}` resolves to no address that plugins may reach ({found})")]
    Prohibited { host: String, found: String },
    #[error("cannot connect to `{host}`: {source}")]
    Refused { host: String, source: io::Error },
    #[error("connecting to `{host}` took too long")]
    Timeout { host: String },
    #[error("the certificates in `{path}` cannot be read: {source}")]
    Roots {
        path: String,
        source: rustls::pki_types::pem::Error,
    },
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

pub(crate) type HttpClient = Client<Timed, WasiBody>;
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The clients of the process: connections are pooled across calls and plugins, but never across
/// the border between the public internet and what a grant allows privately. The TLS half is made
/// at the first request that needs it: reading certificates costs more than a call.
pub(crate) struct Clients {
    roots: Option<PathBuf>,
    resolver: Arc<dyn Resolve>,
    plain: [OnceLock<HttpClient>; 2],
    secure: [OnceLock<HttpClient>; 2],
}

impl Clients {
    pub(crate) fn new(roots: Option<PathBuf>, resolver: Option<Arc<dyn Resolve>>) -> Self {
        Self {
            roots,
            resolver: resolver.unwrap_or_else(|| Arc::new(SystemResolver)),
            plain: Default::default(),
            secure: Default::default(),
        }
    }

    pub(crate) fn get(&self, secure: bool, private_ok: bool) -> Result<&HttpClient, ConnectError> {
        let cell = &(if secure { &self.secure } else { &self.plain })[usize::from(private_ok)];
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        let tls = if secure {
            tls(self.roots.as_deref())?
        } else {
            no_tls()?
        };
        let connector = self.connector(private_ok);
        Ok(cell.get_or_init(|| client(tls, connector)))
    }

    /// A connection of its own to a vetted address of `host`, a name in ASCII or an address; an
    /// IPv6 one may be in brackets.
    pub(crate) async fn connect(
        &self,
        host: &str,
        port: u16,
        private_ok: bool,
    ) -> Result<TcpStream, ConnectError> {
        let connector = self.connector(private_ok);
        let connecting = connector.connect(host, port);
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(connected) => connected,
            Err(_) => Err(ConnectError::Timeout {
                host: host.to_owned(),
            }),
        }
    }

    fn connector(&self, private_ok: bool) -> Connector {
        Connector {
            resolver: Arc::clone(&self.resolver),
            private_ok,
        }
    }
}

fn client(tls: rustls::ClientConfig, connector: Connector) -> HttpClient {
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector);
    Client::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .http1_max_buf_size(MAX_HEADER_BYTES)
        .http1_max_headers(MAX_HEADERS)
        .build(Timed(connector))
}

fn builder()
-> Result<rustls::ConfigBuilder<rustls::ClientConfig, rustls::WantsVerifier>, ConnectError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?)
}

fn no_tls() -> Result<rustls::ClientConfig, ConnectError> {
    Ok(builder()?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth())
}

/// Mozilla's roots, and those that the user added.
fn tls(roots: Option<&Path>) -> Result<rustls::ClientConfig, ConnectError> {
    let mut store = rustls::RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    if let Some(path) = roots {
        let wrong = |source| ConnectError::Roots {
            path: path.display().to_string(),
            source,
        };
        for certificate in CertificateDer::pem_file_iter(path).map_err(wrong)? {
            store.add(certificate.map_err(wrong)?)?;
        }
    }
    Ok(builder()?
        .with_root_certificates(store)
        .with_no_client_auth())
}

/// Connects within the time allowed, from looking the name up to the end of the TLS handshake.
#[derive(Clone)]
pub(crate) struct Timed(HttpsConnector<Connector>);

impl Service<Uri> for Timed {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let limit = CONNECT_LIMIT
            .try_with(|limit| *limit)
            .unwrap_or(CONNECT_TIMEOUT)
            .min(CONNECT_TIMEOUT);
        let host = uri.host().unwrap_or_default().to_owned();
        let connecting = self.0.call(uri);
        Box::pin(async move {
            match tokio::time::timeout(limit, connecting).await {
                Ok(connected) => connected,
                Err(_) => Err(ConnectError::Timeout { host }.into()),
            }
        })
    }
}

/// Makes TCP connections to vetted addresses.
#[derive(Clone)]
pub(crate) struct Connector {
    resolver: Arc<dyn Resolve>,
    private_ok: bool,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            let host = uri.host().unwrap_or_default();
            let port = uri
                .port_u16()
                .unwrap_or(if uri.scheme_str() == Some("https") {
                    443
                } else {
                    80
                });
            connector.connect(host, port).await.map(TokioIo::new)
        })
    }
}

impl Connector {
    async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, ConnectError> {
        // A URL writes IPv6 addresses in brackets, a resolver does not.
        let name = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(host);
        let mut found = match name.parse() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => {
                let lookup = match self.resolver.resolve(name, port).await {
                    Ok(found) if found.is_empty() => Err(io::Error::other("it has no address")),
                    lookup => lookup,
                };
                lookup.map_err(|source| ConnectError::Lookup {
                    host: host.to_owned(),
                    source,
                })?
            }
        };
        found.truncate(MAX_FOUND);
        for address in &mut found {
            address.set_port(port);
        }
        let mut last = None;
        for address in vet(&found, self.private_ok).take(MAX_ADDRESSES) {
            match TcpStream::connect(address).await {
                Ok(stream) if !self.private_ok && is_own(&stream) => {}
                Ok(stream) => {
                    // Small writes of a streaming exchange must not wait for one another.
                    stream
                        .set_nodelay(true)
                        .map_err(|source| ConnectError::Refused {
                            host: host.to_owned(),
                            source,
                        })?;
                    return Ok(stream);
                }
                Err(error) => last = Some(error),
            }
        }
        Err(nowhere(host, &found, last))
    }
}

/// Whether the other end is this machine: its public address leads to the services that listen
/// here as well, past any firewall. What arrives at the own address comes from it.
fn is_own(stream: &TcpStream) -> bool {
    match (stream.local_addr(), stream.peer_addr()) {
        (Ok(here), Ok(there)) => here.ip().to_canonical() == there.ip().to_canonical(),
        // A connection that is gone already.
        _ => false,
    }
}

fn nowhere(host: &str, found: &[SocketAddr], last: Option<io::Error>) -> ConnectError {
    let host = host.to_owned();
    match last {
        Some(source) => ConnectError::Refused { host, source },
        None => {
            let some = found.iter().take(3);
            let some: Vec<String> = some.map(|address| address.ip().to_string()).collect();
            ConnectError::Prohibited {
                host,
                found: some.join(", "),
            }
        }
    }
}

/// The addresses that may be connected to.
fn vet(found: &[SocketAddr], private_ok: bool) -> impl Iterator<Item = SocketAddr> + '_ {
    found
        .iter()
        .copied()
        .filter(move |address| match reach(address.ip()) {
            Reach::Global => true,
            Reach::Private => private_ok,
            Reach::Never => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_mixed_answers_only_the_allowed_addresses_are_used() {
        let found: Vec<SocketAddr> = [
            "10.0.0.1:80",
            "1.1.1.1:80",
            "169.254.169.254:80",
            "[::1]:80",
            "[fe80::1]:80",
        ]
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();
        let public: Vec<String> = vet(&found, false)
            .map(|address| address.to_string())
            .collect();
        assert_eq!(public, ["1.1.1.1:80"]);
        let private: Vec<String> = vet(&found, true)
            .map(|address| address.to_string())
            .collect();
        assert_eq!(private, ["10.0.0.1:80", "1.1.1.1:80", "[::1]:80"]);
    }

    #[tokio::test]
    async fn a_name_or_address_of_this_machine_is_prohibited_without_a_grant() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let clients = Clients::new(None, None);
        for host in [
            "localhost",
            "127.0.0.1",
            "[::ffff:127.0.0.1]",
            "::ffff:127.0.0.1",
        ] {
            let refused = clients.connect(host, port, false).await;
            assert!(
                matches!(refused, Err(ConnectError::Prohibited { .. })),
                "{host}"
            );
            let own = clients.connect(host, port, true).await.unwrap();
            assert!(is_own(&own), "{host}");
        }
        let metadata = clients.connect("169.254.169.254", 80, true).await;
        assert!(matches!(metadata, Err(ConnectError::Prohibited { .. })));
    }
}

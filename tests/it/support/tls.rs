//! An authority of the test's own, and servers on `127.0.0.1` with certificates of it.

use std::{future::Future, path::Path, sync::Arc};

use hyper::{Request, Response, body::Incoming};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tempfile::NamedTempFile;
use tokio_rustls::TlsAcceptor;

use super::http::{AnswerBody, Listening, listen_with};

/// The names in its certificates.
const NAMES: [&str; 2] = ["127.0.0.1", "localhost"];

pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    roots: NamedTempFile,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let roots = NamedTempFile::new().unwrap();
        std::fs::write(roots.path(), issuer.pem()).unwrap();
        Self { issuer, roots }
    }

    /// The authority's certificate in PEM.
    pub(crate) fn roots(&self) -> &Path {
        self.roots.path()
    }

    /// Serves every request with `answer`, encrypted.
    pub(crate) async fn listen<A, F>(&self, answer: A) -> Listening
    where
        A: Fn(u64, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<AnswerBody>> + Send + 'static,
    {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(NAMES.map(str::to_owned)).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
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
        listen_with(Some(TlsAcceptor::from(Arc::new(config))), answer).await
    }
}

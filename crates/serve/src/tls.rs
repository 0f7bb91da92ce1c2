//! Certificates for connections that nobody else may read.
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate and its key, as files in PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate, and those that lead from it to one that clients know.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What is wrong with a file of them.
#[derive(Debug, thiserror::Error)]
#[error("{}: expected {expected}, found {found}", path.display())]
pub struct TlsError {
    path: PathBuf,
    expected: &'static str,
    found: String,
}

impl TlsFiles {
    /// What handshakes are made with; `protocols` are offered in this order.
    pub(crate) fn acceptor(&self, protocols: &[&[u8]]) -> Result<TlsAcceptor, TlsError> {
        let wrong = |path: &Path, expected| {
            let path = path.to_owned();
            move |found: String| TlsError { path, expected, found }
        };
        let certificate = "a certificate in PEM";
        let read = CertificateDer::pem_file_iter(&self.certificate);
        let chain = read.and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let chain = chain.map_err(|error| wrong(&self.certificate, certificate)(error.to_string()))?;
        if chain.is_empty() {
            return Err(wrong(&self.certificate, certificate)("none".into()));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key);
        let key = key.map_err(|error| wrong(&self.key, "a private key in PEM")(error.to_string()))?;
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
        let expected = "a key that belongs to the certificate";
        let mut config = config.map_err(|error| wrong(&self.key, expected)(error.to_string()))?;
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

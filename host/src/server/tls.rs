//! TLS: certificate and key from PEM files, replaceable while serving.
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read `{path}`: {cause}; it must be a PEM file that this user may read")]
    Read { path: PathBuf, cause: std::io::Error },
    #[error(
        "`{path}` holds no certificate; it must be a PEM file with the chain, own certificate first"
    )]
    NoCertificate { path: PathBuf },
    #[error(
        "`{path}` holds no private key; it must be a PEM file in PKCS #8, PKCS #1 or SEC1 form"
    )]
    NoKey { path: PathBuf },
    #[error("certificate `{cert}` and key `{key}` can't be used: {cause}")]
    Unusable { cert: PathBuf, key: PathBuf, cause: rustls::Error },
}

/// A certificate and its key. Cheap to clone; clones share what `reload` puts in.
#[derive(Clone)]
pub struct Tls {
    cert: Arc<Path>,
    key: Arc<Path>,
    configs: Arc<ArcSwap<Configs>>,
}

struct Configs {
    both: Arc<ServerConfig>,
    http1: Arc<ServerConfig>,
}

impl Tls {
    /// # Errors
    /// Where a file can't be read, or the two don't belong together.
    pub fn load(cert: &Path, key: &Path) -> Result<Self, TlsError> {
        let configs = Arc::new(ArcSwap::from_pointee(configure(cert, key)?));
        Ok(Self { cert: cert.into(), key: key.into(), configs })
    }

    /// Reads the files again; connections from now on use what they hold.
    ///
    /// # Errors
    /// As `load`; what was there before stays.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.configs.store(Arc::new(configure(&self.cert, &self.key)?));
        Ok(())
    }

    pub(super) fn acceptor(&self, http2: bool) -> TlsAcceptor {
        let configs = self.configs.load();
        let config = if http2 { &configs.both } else { &configs.http1 };
        Arc::clone(config).into()
    }
}

fn configure(cert: &Path, key: &Path) -> Result<Configs, TlsError> {
    let unusable = |cause| TlsError::Unusable { cert: cert.to_owned(), key: key.to_owned(), cause };
    let (chain, secret) = (certificates(cert)?, private_key(key)?);
    let mut http1 = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(unusable)?;
    http1.alpn_protocols = vec![b"http/1.1".to_vec()];
    let mut both = http1.clone();
    both.alpn_protocols.insert(0, b"h2".to_vec());
    Ok(Configs { both: both.into(), http1: http1.into() })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(path)?;
    let chain: Result<Vec<_>, _> = rustls_pemfile::certs(&mut BufReader::new(&*text)).collect();
    match chain.map_err(|cause| TlsError::Read { path: path.to_owned(), cause })? {
        chain if chain.is_empty() => Err(TlsError::NoCertificate { path: path.to_owned() }),
        chain => Ok(chain),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = zeroize::Zeroizing::new(read(path)?);
    rustls_pemfile::private_key(&mut BufReader::new(text.as_slice()))
        .map_err(|cause| TlsError::Read { path: path.to_owned(), cause })?
        .ok_or_else(|| TlsError::NoKey { path: path.to_owned() })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|cause| TlsError::Read { path: path.to_owned(), cause })
}

//! TLS: certificate and key from PEM files, replaceable while serving.
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;
use x509_cert::der::Decode as _;

use hookwright_settings::TlsFiles;

/// In a PEM file, of PKCS #8 and of the older form.
const ENCRYPTED: &[u8] = b"ENCRYPTED";

/// Why TLS could not be set up.
#[allow(
    missing_docs,
    reason = "the texts below say what each one is; `path`, `cert` and `key` are files"
)]
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read `{path}`: {cause}; it must be a PEM file that this user may read")]
    Read { path: PathBuf, cause: io::Error },
    #[error(
        "`{path}` holds no certificate; it must be a PEM file with the chain, own certificate first"
    )]
    NoCertificate { path: PathBuf },
    #[error(
        "`{path}` holds no private key; it must be a PEM file in PKCS #8, PKCS #1 or SEC1 form"
    )]
    NoKey { path: PathBuf },
    #[error(
        "the key in `{path}` is encrypted; write it without a passphrase: `openssl pkey -in KEY`"
    )]
    Encrypted { path: PathBuf },
    #[error("`{path}` can't vouch for clients: {cause}")]
    ClientCa { path: PathBuf, cause: String },
    #[error("`{path}` holds a certificate that can't be read: {cause}")]
    Garbled { path: PathBuf, cause: x509_cert::der::Error },
    #[error("certificate `{cert}` and key `{key}` can't be used: {cause}")]
    Unusable { cert: PathBuf, key: PathBuf, cause: rustls::Error },
}

impl TlsError {
    /// The file that it is about, where it is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Read { path, .. }
            | Self::NoCertificate { path }
            | Self::NoKey { path }
            | Self::Encrypted { path }
            | Self::ClientCa { path, .. }
            | Self::Garbled { path, .. } => Some(path),
            Self::Unusable { .. } => None,
        }
    }
}

/// A certificate and its key. Cheap to clone; clones share what `reload` puts in.
#[derive(Clone)]
pub struct Tls {
    files: Arc<TlsFiles>,
    configs: Arc<ArcSwap<Configs>>,
}

struct Configs {
    both: Arc<ServerConfig>,
    http1: Arc<ServerConfig>,
}

impl Tls {
    /// Reads certificate, key and authorities.
    ///
    /// # Errors
    /// Where a file can't be read, or they don't belong together.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let configs = Arc::new(ArcSwap::from_pointee(configure(&files)?));
        Ok(Self { files: files.into(), configs })
    }

    /// Where it was read from.
    pub fn files(&self) -> &TlsFiles {
        &self.files
    }

    /// Reads the files again; connections from now on use what they hold.
    ///
    /// # Errors
    /// As `load`; what was there before stays.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.configs.store(Arc::new(configure(&self.files)?));
        Ok(())
    }

    pub(super) fn acceptor(&self, http2: bool) -> TlsAcceptor {
        let configs = self.configs.load();
        let config = if http2 { &configs.both } else { &configs.http1 };
        Arc::clone(config).into()
    }
}

fn configure(files: &TlsFiles) -> Result<Configs, TlsError> {
    let TlsFiles { cert, key, client_ca } = files;
    let unusable = |cause| TlsError::Unusable { cert: cert.clone(), key: key.clone(), cause };
    let clients = match client_ca {
        Some(path) => client_verifier(path)?,
        None => WebPkiClientVerifier::no_client_auth(),
    };
    let (chain, secret) = (certificates(cert)?, private_key(key)?);
    let mut http1 = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, secret)
        .map_err(unusable)?;
    http1.alpn_protocols = vec![b"http/1.1".to_vec()];
    let mut both = http1.clone();
    both.alpn_protocols.insert(0, b"h2".to_vec());
    Ok(Configs { both: both.into(), http1: http1.into() })
}

/// When the first certificate of a PEM file ends.
///
/// # Errors
/// Where the file can't be read or holds no certificate.
pub fn certificate_end(path: &Path) -> Result<SystemTime, TlsError> {
    let garbled = |cause| TlsError::Garbled { path: path.to_owned(), cause };
    let mut ends = Vec::new();
    for one in certificates(path)? {
        let parsed = x509_cert::Certificate::from_der(&one).map_err(garbled)?;
        ends.push(parsed.tbs_certificate().validity().not_after.to_system_time());
    }
    ends.into_iter().min().ok_or_else(|| TlsError::NoCertificate { path: path.to_owned() })
}

fn client_verifier(path: &Path) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let unusable = |cause: String| TlsError::ClientCa { path: path.to_owned(), cause };
    let mut roots = RootCertStore::empty();
    for authority in certificates(path)? {
        roots.add(authority).map_err(|error| unusable(error.to_string()))?;
    }
    let provider = Arc::new(ring::default_provider());
    let builder = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
    let verifier = builder.allow_unauthenticated().build();
    verifier.map_err(|error| unusable(error.to_string()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match chain.map_err(|error| TlsError::Read { path: path.to_owned(), cause: garbled(error) })? {
        chain if chain.is_empty() => Err(TlsError::NoCertificate { path: path.to_owned() }),
        chain => Ok(chain),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = zeroize::Zeroizing::new(read(path)?);
    let found = PrivateKeyDer::from_pem_slice(&text);
    // The older form has its mark in a header, which the library takes for broken Base64.
    let encrypted = text.windows(ENCRYPTED.len()).any(|part| part == ENCRYPTED);
    let path = || path.to_owned();
    match found {
        Ok(key) => Ok(key),
        _ if encrypted => Err(TlsError::Encrypted { path: path() }),
        Err(pem::Error::NoItemsFound) => Err(TlsError::NoKey { path: path() }),
        Err(error) => Err(TlsError::Read { path: path(), cause: garbled(error) }),
    }
}

/// What is wrong in a PEM file. The library writes the lines in question as lists of numbers.
fn garbled(error: pem::Error) -> io::Error {
    let told = match error {
        pem::Error::Io(error) => return error,
        pem::Error::MissingSectionEnd { end_marker } => {
            format!("section end {:?} missing", String::from_utf8_lossy(&end_marker))
        }
        pem::Error::IllegalSectionStart { line } => {
            format!("illegal section start: {:?}", String::from_utf8_lossy(&line))
        }
        pem::Error::Base64Decode(error) => error,
        other => other.to_string(),
    };
    io::Error::new(io::ErrorKind::InvalidData, told)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|cause| TlsError::Read { path: path.to_owned(), cause })
}

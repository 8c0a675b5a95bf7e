//! TLS of a listener: the files that its certificate and key are read from.
use std::path::{Path, PathBuf};

/// The PEM files of a listener's certificate.
///
/// By their paths and not by what they hold, since the listener reads them again while it serves, whenever one changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, own certificate first.
    pub cert: PathBuf,
    /// The private key, not encrypted.
    pub key: PathBuf,
    /// Authorities whose clients' certificates are believed. A client without a certificate is served too: who must have
    /// one is the service's affair. None, the default: no client is asked for one.
    pub client_ca: Option<PathBuf>,
}

impl TlsFiles {
    /// All of them.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        [&self.cert, &self.key].into_iter().chain(&self.client_ca).map(PathBuf::as_path)
    }
}

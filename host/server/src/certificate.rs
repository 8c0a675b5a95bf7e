//! A client's certificate, already found to be signed by one of `client_ca`.
use std::sync::Arc;

use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use sha2::{Digest, Sha256};

/// A client's certificate. Services compare it with those that they know. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Certificate(Arc<CertificateDer<'static>>);

impl Certificate {
    pub(super) fn new(der: &CertificateDer<'_>) -> Self {
        Self(Arc::new(der.clone().into_owned()))
    }

    /// SHA-256 of the whole certificate in DER, as `openssl x509 -fingerprint
    /// -sha256` prints it.
    pub fn fingerprint(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_ref()).into()
    }

    /// Whether the name, a DNS name or an IP address, is among the alternative
    /// names (RFC 6125; a wildcard in the certificate matches one label).
    pub fn is_for(&self, name: &ServerName<'_>) -> bool {
        let parsed = ParsedCertificate::try_from(self.0.as_ref());
        parsed.is_ok_and(|parsed| verify_server_name(&parsed, name).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject as _;

    use super::*;

    #[test]
    fn a_certificate_is_known_by_its_names_and_its_fingerprint() {
        let pem = include_bytes!("testdata/client.pem");
        let der = CertificateDer::from_pem_slice(pem).unwrap();
        let certificate = Certificate::new(&der);
        let is_for = |name: &'static str| certificate.is_for(&name.try_into().unwrap());
        assert!(is_for("hooks.partner.example") && is_for("HOOKS.partner.example"));
        // A common name is ignored.
        for other in ["partner.example", "x.hooks.partner.example", "partner", "127.0.0.1"] {
            assert!(!is_for(other), "{other}");
        }
        // Told by `openssl x509 -outform der | sha256sum`.
        let told = "a04e8d45d0e83957a873656d207f19daf002172b947f5e16e0d4023b3b3736a7";
        assert_eq!(hex::encode(certificate.fingerprint()), told);
        let broken = Certificate::new(&CertificateDer::from(vec![1, 2, 3]));
        assert!(!broken.is_for(&"hooks.partner.example".try_into().unwrap()));
    }
}

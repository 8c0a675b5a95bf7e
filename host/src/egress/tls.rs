//! Which certificates are trusted; one set of TLS settings for all who trust the same.
use std::collections::HashMap;
use std::sync::{Arc, OnceLock, Weak};

use bytes::Bytes;
use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::SetupError;

/// The machine's certificates are read once, at the first destination: some
/// 100 KiB that no two destinations need to hold twice.
#[derive(Default)]
pub(super) struct Tls {
    machine: OnceLock<RootCertStore>,
    made: Mutex<HashMap<Option<Bytes>, Weak<ClientConfig>>>,
}

impl Tls {
    /// Trusts the machine's certificates and those of `ca`. A machine without
    /// any is no error: then `ca` alone is trusted.
    pub(super) fn settings(&self, ca: Option<&Bytes>) -> Result<Arc<ClientConfig>, SetupError> {
        let mut made = self.made.lock();
        if let Some(settings) = made.get(&ca.cloned()).and_then(Weak::upgrade) {
            return Ok(settings);
        }
        let mut roots = self.machine.get_or_init(machine_roots).clone();
        if let Some(pem) = ca {
            add(&mut roots, pem)?;
        }
        let settings = Arc::new(client_config(roots));
        made.retain(|_, settings| settings.strong_count() > 0);
        made.insert(ca.cloned(), Arc::downgrade(&settings));
        Ok(settings)
    }
}

fn client_config(roots: RootCertStore) -> ClientConfig {
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .expect("ring speaks TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

fn machine_roots() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "some of the machine's trusted certificates can't be read");
    }
    let mut roots = RootCertStore::empty();
    let (good, _) = roots.add_parsable_certificates(found.certs);
    if good == 0 {
        tracing::warn!(
            "the machine has no trusted certificates: https works only with a destination's own `ca`"
        );
    }
    roots
}

fn add(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), SetupError> {
    let bad = |error: String| SetupError::Ca(error);
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| bad(error.to_string()))?;
        roots.add(certificate).map_err(|error| bad(error.to_string()))?;
        count += 1;
    }
    if count == 0 { Err(bad("it holds no certificate".to_owned())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::receiver::TEST_CA;

    #[test]
    fn those_who_trust_the_same_share_their_settings() {
        let tls = Tls::default();
        let ca = Bytes::from_static(TEST_CA.as_bytes());
        let (plain, own) =
            (tls.settings(None).expect("plain"), tls.settings(Some(&ca)).expect("with a CA"));
        assert!(Arc::ptr_eq(&plain, &tls.settings(None).expect("plain")));
        assert!(Arc::ptr_eq(&own, &tls.settings(Some(&ca)).expect("with a CA")));
        assert!(!Arc::ptr_eq(&plain, &own));
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        for pem in ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            let refused = Tls::default().settings(Some(&Bytes::from(pem))).map(|_| ());
            assert!(matches!(refused, Err(SetupError::Ca(_))), "{pem}");
        }
    }
}

//! Which certificates are trusted and shown; one set of TLS settings for all who want the same.
use std::collections::HashMap;
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    SupportedProtocolVersion,
};
use sha2::{Digest, Sha256};

use super::SetupError;
use hookwright_settings::{Identity, TlsOptions, TlsVersion};

/// In a PEM file, of PKCS #8 and of the older form.
const ENCRYPTED: &[u8] = b"ENCRYPTED";

/// The machine's certificates are read once, at the first destination: some
/// 100 KiB that no two destinations need to hold twice.
#[derive(Default)]
pub(super) struct Tls {
    machine: OnceLock<RootCertStore>,
    made: Mutex<HashMap<[u8; 32], Weak<ClientConfig>>>,
}

impl Tls {
    /// A machine without any trusted certificate is not an error: then `ca` alone is trusted.
    pub(super) fn settings(
        &self,
        options: &TlsOptions,
        http2: bool,
    ) -> Result<Arc<ClientConfig>, SetupError> {
        let key = digest(options, http2);
        let mut made = self.made.lock();
        if let Some(settings) = made.get(&key).and_then(Weak::upgrade) {
            return Ok(settings);
        }
        let settings = Arc::new(self.make(options, http2)?);
        made.retain(|_, settings| settings.strong_count() > 0);
        made.insert(key, Arc::downgrade(&settings));
        Ok(settings)
    }

    fn make(&self, options: &TlsOptions, http2: bool) -> Result<ClientConfig, SetupError> {
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let versions: &[&SupportedProtocolVersion] = match options.min {
            TlsVersion::V12 => &[&TLS13, &TLS12],
            TlsVersion::V13 => &[&TLS13],
        };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&ring))
            .with_protocol_versions(versions)
            .expect("ring speaks TLS 1.2 and 1.3");
        let builder = if options.pins.is_empty() {
            let mut roots = self.machine.get_or_init(machine_roots).clone();
            if let Some(pem) = &options.ca {
                add(&mut roots, &pem.text)?;
            }
            builder.with_root_certificates(roots)
        } else {
            let verifier = Arc::new(Pinned::new(options.pins.clone(), &ring));
            builder.dangerous().with_custom_certificate_verifier(verifier)
        };
        let mut config = match &options.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let (chain, key) = read(identity)?;
                let made = builder.with_client_auth_cert(chain, key);
                made.map_err(|error| SetupError::Identity(error.to_string()))?
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        if http2 {
            config.alpn_protocols.insert(0, b"h2".to_vec());
        }
        Ok(config)
    }
}

/// Who want the same have the same.
fn digest(options: &TlsOptions, http2: bool) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut put = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    put(&[u8::from(http2), u8::from(options.min == TlsVersion::V13)]);
    put(options.ca.as_ref().map_or(&[][..], |ca| &ca.text));
    put(options.pins.as_flattened());
    if let Some(Identity { chain, key }) = &options.identity {
        put(&chain.text);
        put(key.expose());
    }
    hash.finalize().into()
}

/// The chain and the key of a client certificate.
fn read(
    identity: &Identity,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), SetupError> {
    let bad = |what: &str, error: &dyn std::fmt::Display| {
        SetupError::Identity(format!("{what}: {error}"))
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&identity.chain.text).collect();
    let chain = chain.map_err(|error| bad("the certificate", &error))?;
    if chain.is_empty() {
        return Err(bad("the certificate", &"the file holds none"));
    }
    // What a PEM reader says of a key never quotes it.
    let key = PrivateKeyDer::from_pem_slice(identity.key.expose());
    let key = key.map_err(|error| {
        let text = identity.key.expose();
        match text.windows(ENCRYPTED.len()).any(|part| part == ENCRYPTED) {
            true => bad("the key", &"it is encrypted; write it without a passphrase"),
            false => bad("the key", &error),
        }
    });
    Ok((chain, key?))
}

/// Takes the certificates that the settings name, and no others.
#[derive(Debug)]
struct Pinned {
    pins: Vec<[u8; 32]>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Pinned {
    fn new(pins: Vec<[u8; 32]>, provider: &CryptoProvider) -> Self {
        Self { pins, algorithms: provider.signature_verification_algorithms }
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let digest: [u8; 32] = Sha256::digest(shown).into();
        if self.pins.contains(&digest) {
            Ok(ServerCertVerified::assertion())
        } else {
            let shown = hex::encode(digest);
            let text =
                format!("its certificate is none of the pinned ones; its SHA-256 is {shown}");
            Err(Error::General(text))
        }
    }

    // That it holds the certificate's key is proved by these.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
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
    use hookwright_settings::Pem;
    use hookwright_signing::Secret;
    use hookwright_testkit::receiver::TEST_CA;

    fn pem(text: &str) -> Pem {
        Pem { file: "test.pem".into(), text: text.to_owned().into() }
    }

    fn trusting(ca: Option<&str>) -> TlsOptions {
        TlsOptions { ca: ca.map(pem), ..TlsOptions::default() }
    }

    #[test]
    fn those_who_want_the_same_share_their_settings() {
        let tls = Tls::default();
        let made = |options: &TlsOptions, http2| tls.settings(options, http2).expect("good");
        let (plain, own) = (trusting(None), trusting(Some(TEST_CA)));
        let pinned = TlsOptions { pins: vec![[1; 32]], ..TlsOptions::default() };
        let strict = TlsOptions { min: TlsVersion::V13, ..TlsOptions::default() };
        let all = [
            made(&plain, false),
            made(&plain, true),
            made(&own, false),
            made(&pinned, false),
            made(&strict, false),
        ];
        for (place, one) in all.iter().enumerate() {
            let others = all.iter().skip(place + 1);
            assert!(others.into_iter().all(|other| !Arc::ptr_eq(one, other)));
        }
        assert!(Arc::ptr_eq(&all[0], &made(&plain, false)));
        assert!(Arc::ptr_eq(&all[2], &made(&own, false)));
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for text in ["", "hello", bad] {
            let refused = Tls::default().settings(&trusting(Some(text)), false).map(|_| ());
            assert!(matches!(refused, Err(SetupError::Ca(_))), "{text}");
            let identity = Some(Identity { chain: pem(text), key: Secret::new("no key") });
            let options = TlsOptions { identity, ..TlsOptions::default() };
            let refused = Tls::default().settings(&options, false).map(|_| ());
            assert!(matches!(refused, Err(SetupError::Identity(_))), "{text}");
        }
    }
}

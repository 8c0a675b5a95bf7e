//! TLS over real sockets.
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Extension;
use axum::routing::get;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Echo;
use crate::kit::{Running, Wire, http2, post, soon, whole};
use crate::{Options, Peer, Tls, TlsError, Tower};
use hookwright_settings::TlsFiles;

/// A self-signed certificate for `localhost` and its key, good for nothing else.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/testdata").join(name)
}

fn files(cert: &Path, key: &Path) -> TlsFiles {
    TlsFiles { cert: cert.to_owned(), key: key.to_owned(), client_ca: None }
}

pub(super) fn secure() -> Options {
    let tls = Tls::load(files(&file("cert.pem"), &file("key.pem"))).unwrap();
    let handshake_timeout = Duration::from_millis(200);
    Options { tls: Some(tls), handshake_timeout, ..Options::new("test") }
}

fn certificates(name: &str) -> Vec<CertificateDer<'static>> {
    let pem = std::fs::read(file(name)).unwrap();
    CertificateDer::pem_slice_iter(&pem).map(Result::unwrap).collect()
}

pub(super) async fn shake(server: &Running, protocols: &[&[u8]]) -> TlsStream<TcpStream> {
    shake_as(server, protocols, None).await
}

/// With a certificate of the client's own: the names of its file and its key's.
async fn shake_as(
    server: &Running,
    protocols: &[&[u8]],
    own: Option<(&str, &str)>,
) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    for cert in certificates("cert.pem") {
        roots.add(cert).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            let pem = std::fs::read(file(key)).unwrap();
            let key = PrivateKeyDer::from_pem_slice(&pem).unwrap();
            builder.with_client_auth_cert(certificates(cert), key).unwrap()
        }
    };
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let stream = TcpStream::connect(server.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    soon(TlsConnector::from(Arc::new(config)).connect(name, stream)).await.unwrap()
}

#[tokio::test]
async fn both_protocols_are_spoken_over_tls() {
    let server = Running::start(secure(), Echo::new());
    let plain = shake(&server, &[b"http/1.1"]).await;
    assert_eq!(plain.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let mut wire = Wire::new(plain);
    assert_eq!(wire.post("/", "", "ab").await.body, "Ok(2)");

    let stream = shake(&server, &[b"h2", b"http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut sender = http2(stream).await;
    let response = soon(sender.send_request(post("https://localhost/", "abc"))).await.unwrap();
    assert_eq!(whole(response).await, (200, "Ok(3)".into()));
    drop((wire, sender));
    server.finish().await;
}

#[tokio::test]
async fn a_slow_or_broken_handshake_hinders_nobody() {
    let server = Running::start(secure(), Echo::new());
    let mut slow = server.connect().await;
    let mut broken = server.connect().await;
    broken.send("GET / HTTP/1.1\r\n\r\n").await;
    let mut wire = Wire::new(shake(&server, &[]).await);
    assert_eq!(wire.post("/", "", "ab").await.body, "Ok(2)");
    soon(slow.closed()).await;
    assert!(soon(broken.try_answer()).await.is_none());
    drop(wire);
    server.finish().await;
}

#[tokio::test]
async fn files_are_read_again_and_bad_ones_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    std::fs::copy(file("cert.pem"), &cert).unwrap();
    std::fs::copy(file("key.pem"), &key).unwrap();
    let tls = Tls::load(files(&cert, &key)).unwrap();
    tls.reload().unwrap();
    std::fs::copy(file("other-key.pem"), &key).unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::Unusable { .. })));

    let server = Running::start(Options { tls: Some(tls), ..Options::new("test") }, Echo::new());
    let mut wire = Wire::new(shake(&server, &[]).await);
    assert_eq!(wire.post("/", "", "ab").await.body, "Ok(2)");
    drop(wire);
    server.finish().await;
}

#[test]
fn what_is_wrong_with_the_files_is_told() {
    let (cert, key) = (file("cert.pem"), file("key.pem"));
    let load = |cert: &Path, key: &Path| Tls::load(files(cert, key)).err();
    assert!(load(&cert, &key).is_none());
    assert!(matches!(load(&key, &key), Some(TlsError::NoCertificate { .. })));
    assert!(matches!(load(&cert, &cert), Some(TlsError::NoKey { .. })));
    assert!(matches!(load(&file("none.pem"), &key), Some(TlsError::Read { .. })));
    let clients = TlsFiles { client_ca: Some(key.clone()), ..files(&cert, &key) };
    assert!(matches!(Tls::load(clients).err(), Some(TlsError::NoCertificate { .. })));
}

#[test]
fn what_is_garbled_in_a_file_is_told_in_its_own_words() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.pem");
    for (text, expected) in [
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n", r#"section end "PRIVATE KEY" missing"#),
        ("-----BEGIN PRIVATE KEY\n", r#"illegal section start: "-----BEGIN PRIVATE KEY"#),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = Tls::load(files(&file("cert.pem"), &path)).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// The older form, as `openssl ec -aes256` writes it, was told as broken Base64.
#[test]
fn regression_an_encrypted_key_is_told_as_one_in_either_form() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key.pem");
    let forms = [
        "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\
         DEK-Info: AES-256-CBC,0F4E6E0B8F1B8D3C4B5A69788796A5B4\n\n\
         AAECAwQFBgcICQoLDA0ODw==\n-----END EC PRIVATE KEY-----\n",
        "-----BEGIN RSA PRIVATE KEY-----\r\nProc-Type: 4,ENCRYPTED\r\n\
         DEK-Info: DES-EDE3-CBC,0F4E6E0B8F1B8D3C\r\n\r\n\
         AAECAwQFBgcICQoLDA0ODw==\r\n-----END RSA PRIVATE KEY-----\r\n",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAECAwQFBgcICQoLDA0ODw==\n\
         -----END ENCRYPTED PRIVATE KEY-----\n",
    ];
    for form in forms {
        std::fs::write(&key, form).unwrap();
        let error = Tls::load(files(&file("cert.pem"), &key)).err().unwrap();
        assert!(matches!(error, TlsError::Encrypted { .. }), "{error}: {form}");
        let told = error.to_string();
        assert!(told.contains("is encrypted") && told.contains("openssl pkey"), "{told}");
    }
}

#[tokio::test]
async fn a_client_may_show_a_certificate_of_the_authority_and_no_other() {
    let client_ca = Some(file("client-ca.pem"));
    let tls = Tls::load(TlsFiles { client_ca, ..files(&file("cert.pem"), &file("key.pem")) });
    let options = Options { tls: Some(tls.unwrap()), ..Options::new("test") };
    let show = |Extension(peer): Extension<Peer>| async move {
        let own = peer.certificate.map(|own| hex::encode(own.fingerprint()));
        format!("{} {}", peer.secure, own.as_deref().unwrap_or("none"))
    };
    let server = Running::start(options, Tower(Router::new().route("/", get(show))));
    let request = "GET / HTTP/1.1\r\nhost: h\r\n\r\n";

    let mut wire = Wire::new(shake(&server, &[]).await);
    wire.send(request).await;
    assert_eq!(wire.answer().await.body, "true none");
    let own = Some(("client.pem", "client-key.pem"));
    let mut wire = Wire::new(shake_as(&server, &[], own).await);
    wire.send(request).await;
    let told = "a04e8d45d0e83957a873656d207f19daf002172b947f5e16e0d4023b3b3736a7";
    assert_eq!(wire.answer().await.body, format!("true {told}"));
    // With TLS 1.3 the client learns of it with its first read.
    let foreign = Some(("other-client.pem", "other-client-key.pem"));
    let mut stranger = Wire::new(shake_as(&server, &[], foreign).await);
    let _ = tokio::io::AsyncWriteExt::write_all(&mut stranger.io, request.as_bytes()).await;
    assert!(soon(stranger.try_answer()).await.is_none());
    server.stop.cancel();
}

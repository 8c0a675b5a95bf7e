//! What the client asks of a certificate, what it shows, and which protocol it speaks then.
use std::convert::Infallible;
use std::net::SocketAddr;

use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;

use super::*;
use hookwright_settings::{Identity, TlsOptions, TlsVersion};
use hookwright_signing::Secret;
use hookwright_testkit::receiver::{
    CLIENT, LEAF, TEST_CA, tls_settings, tls_settings_for_clients, tls_settings_of,
};

fn trusting() -> TlsOptions {
    TlsOptions { ca: Some(pem(TEST_CA)), ..TlsOptions::default() }
}

fn https(address: SocketAddr, tls: TlsOptions) -> Client {
    let mut options = options(&format!("https://{address}/"));
    options.transport.tls = tls;
    Egress::default().client(options).expect("good settings")
}

async fn safe() -> Receiver {
    Receiver::start_tls(|_| answer(200, "", "safe")).await
}

#[tokio::test]
async fn tls_is_checked_against_the_given_ca() {
    let receiver = safe().await;
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("https://{host}:{}/", receiver.address.port());
        let mut trusted = options(&url);
        trusted.transport.tls = trusting();
        let trusted = Egress::default().client(trusted).expect("good");
        assert_eq!(trusted.send(request(AMPLE)).await, answered(200, "safe"));
        assert_eq!(cause(&client(&url).send(request(AMPLE)).await), Cause::Tls);
    }
    let other = format!("https://127.0.0.2:{}/", receiver.address.port());
    let other = client(&other).send(request(AMPLE)).await;
    assert!(matches!(cause(&other), Cause::Tls | Cause::Connect), "{other:?}");
    let plain = Receiver::start(|_| status(200)).await;
    let url = format!("https://{}/", plain.address);
    let spoken = client(&url).send(request(SHORT)).await;
    assert!(matches!(cause(&spoken), Cause::Tls | Cause::Timeout), "{spoken:?}");
}

#[tokio::test]
async fn a_pin_takes_one_certificate_whoever_signed_it_and_no_other() {
    let receiver = safe().await;
    let leaf = CertificateDer::from_pem_slice(LEAF.as_bytes()).expect("PEM");
    let pin: [u8; 32] = Sha256::digest(&leaf).into();
    let pinned = |pins: Vec<[u8; 32]>| TlsOptions { pins, ..TlsOptions::default() };
    let taken = https(receiver.address, pinned(vec![[7; 32], pin]));
    assert_eq!(taken.send(request(AMPLE)).await, answered(200, "safe"));
    let refused = https(receiver.address, pinned(vec![[7; 32]])).send(request(AMPLE)).await;
    assert_eq!(cause(&refused), Cause::Tls);
    assert!(format!("{refused:?}").contains(&hex::encode(pin)), "{refused:?}");
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_who_asks() {
    let receiver =
        Receiver::start_with(|_| answer(200, "", "known"), tls_settings_for_clients()).await;
    let identity = Some(Identity { chain: pem(CLIENT.0), key: Secret::new(CLIENT.1) });
    let known = https(receiver.address, TlsOptions { identity, ..trusting() });
    assert_eq!(known.send(request(AMPLE)).await, answered(200, "known"));
    let unknown = https(receiver.address, trusting()).send(request(AMPLE)).await;
    assert_eq!(cause(&unknown), Cause::Tls, "{unknown:?}");
}

#[test]
fn a_key_that_does_not_belong_to_the_certificate_is_refused() {
    let identity = Identity { chain: pem(LEAF), key: Secret::new(CLIENT.1) };
    let mut options = options("https://a.test/");
    options.transport.tls.identity = Some(identity);
    let refused = Egress::default().client(options).err();
    assert!(matches!(refused, Some(SetupError::Identity(_))), "{refused:?}");
}

#[tokio::test]
async fn an_older_version_than_allowed_is_refused() {
    let old = tls_settings_of(&rustls::version::TLS12);
    let receiver = Receiver::start_with(|_| answer(200, "", "old"), old).await;
    let any = https(receiver.address, trusting());
    assert_eq!(any.send(request(AMPLE)).await, answered(200, "old"));
    let strict = TlsOptions { min: TlsVersion::V13, ..trusting() };
    let refused = https(receiver.address, strict).send(request(AMPLE)).await;
    assert_eq!(cause(&refused), Cause::Tls);
}

/// Answers over both versions of HTTP with the one that was spoken.
async fn both_versions() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback is there");
    let address = listener.local_addr().expect("bound");
    let mut settings = tls_settings();
    settings.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(settings));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let stream = acceptor.accept(stream).await.expect("TLS");
                let service = service_fn(|request: http::Request<hyper::body::Incoming>| async {
                    let version = format!("{:?}", request.version());
                    let silent = request.uri().path() == "/silent";
                    let body = request.into_body().collect().await.expect("a body").to_bytes();
                    let text = format!("{version} {}", body.len());
                    if silent {
                        return std::future::pending().await;
                    }
                    Ok::<_, Infallible>(http::Response::new(Full::new(Bytes::from(text))))
                });
                let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                server.serve_connection(TokioIo::new(stream), service).await.ok();
            });
        }
    });
    address
}

#[tokio::test]
async fn http2_is_spoken_with_who_knows_it_and_several_requests_share_a_connection() {
    let address = both_versions().await;
    let two = https(address, trusting());
    let sending = (0..20).map(|_| two.send(request(AMPLE)));
    for outcome in futures_util::future::join_all(sending).await {
        assert_eq!(outcome, answered(200, "HTTP/2.0 11"));
    }
    let mut options = options(&format!("https://{address}/"));
    options.transport.tls = trusting();
    options.transport.http2 = false;
    let one = Egress::default().client(options).expect("good settings");
    assert_eq!(one.send(request(AMPLE)).await, answered(200, "HTTP/1.1 11"));
}

/// "A timeout per phase": over HTTP/2 too, for each request by itself.
#[tokio::test]
async fn over_http2_silence_ends_one_request_and_not_the_connection() {
    let address = both_versions().await;
    let brief = Duration::from_millis(150);
    let client = |path: &str| {
        let mut options = options(&format!("https://{address}{path}"));
        options.transport.tls = trusting();
        options.transport.phases.first_byte = Some(brief);
        Egress::default().client(options).expect("good settings")
    };
    for body in [Bytes::new(), Bytes::from_static(b"x")] {
        let asked = Request { body, ..request(AMPLE) };
        let outcome = client("/silent").send(asked).await;
        assert_eq!(cause(&outcome), Cause::Timeout);
        let told = format!("{outcome:?}");
        assert!(told.contains("no byte of the answer within 150ms"), "{told}");
    }
    let large = Request { body: vec![b'x'; 3 << 20].into(), ..request(AMPLE) };
    assert_eq!(client("/").send(large).await, answered(200, "HTTP/2.0 3145728"));
}

//! Through an HTTP proxy.
use http::Uri;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use hookwright_settings::{NetworkPolicy, Proxy, TlsOptions};
use hookwright_testkit::receiver::TEST_CA;

/// What a proxy was asked.
type Asked = Arc<Mutex<Vec<String>>>;

/// Opens tunnels to the receiver, whatever name is asked for; or answers something else.
async fn proxy(to: &Receiver, answer: &'static str) -> (Proxy, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback is there");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let (asked, target) = (Asked::default(), to.address);
    let seen = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.expect("a head"));
            }
            seen.lock().push(String::from_utf8(head).expect("text"));
            stream.write_all(answer.as_bytes()).await.expect("it listens");
            if answer.starts_with("HTTP/1.1 200") {
                let mut inner = TcpStream::connect(target).await.expect("the receiver");
                tokio::spawn(async move { copy_bidirectional(&mut stream, &mut inner).await.ok() });
            }
        }
    });
    let url = url.parse::<Uri>().expect("a URL");
    (Proxy { url, authorization: Some(HeaderValue::from_static("Basic dTpw")) }, asked)
}

fn through(proxy: &Proxy, url: &str) -> Client {
    // Names are the proxy's business: here none resolves.
    let (_, egress) = turning(&[&[]]);
    let mut options = guarded(url);
    options.transport.proxy = Some(proxy.clone());
    options.transport.tls = TlsOptions { ca: Some(pem(TEST_CA)), ..TlsOptions::default() };
    egress.client(options).expect("good settings")
}

const MADE: &str = "HTTP/1.1 200 Connection established\r\nx-more: 1\r\n\r\n";

#[tokio::test]
async fn plain_and_encrypted_requests_go_through_a_tunnel() {
    for encrypted in [false, true] {
        let receiver = match encrypted {
            true => Receiver::start_tls(|_| answer(200, "", "far")).await,
            false => Receiver::start(|_| answer(200, "", "far")).await,
        };
        let (proxy, asked) = proxy(&receiver, MADE).await;
        let scheme = if encrypted { "https" } else { "http" };
        let client = through(&proxy, &format!("{scheme}://localhost:8443/hook"));
        for _ in 0..3 {
            assert_eq!(client.send(request(AMPLE)).await, answered(200, "far"));
        }
        let asked = asked.lock();
        assert!(asked.len() <= 3, "{asked:?}");
        let expected = "CONNECT localhost:8443 HTTP/1.1\r\nhost: localhost:8443\r\n\
                        proxy-authorization: Basic dTpw\r\n\r\n";
        assert_eq!(asked[0], expected);
        let seen = &receiver.seen()[0];
        assert_eq!(seen.line, "POST /hook HTTP/1.1");
        assert!(!seen.headers.contains_key("proxy-authorization"));
    }
}

#[tokio::test]
async fn a_proxy_that_makes_no_tunnel_is_a_failure_to_connect() {
    let receiver = Receiver::start(|_| status(200)).await;
    for (answer, told) in [
        ("HTTP/1.1 407 Who are you?\r\n\r\n", "it answered 407"),
        ("220 mail.example ESMTP\r\n\r\n", "something else than HTTP"),
    ] {
        let (proxy, _) = proxy(&receiver, answer).await;
        let outcome = through(&proxy, "http://a.test/").send(request(AMPLE)).await;
        assert_eq!(cause(&outcome), Cause::Connect);
        assert!(format!("{outcome:?}").contains(told), "{outcome:?}");
    }
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn a_private_address_in_the_url_is_refused_before_the_proxy_is_asked() {
    let receiver = Receiver::start(|_| status(200)).await;
    let (proxy, asked) = proxy(&receiver, MADE).await;
    let outcome = through(&proxy, "http://10.0.0.1/").send(request(AMPLE)).await;
    assert_eq!(cause(&outcome), Cause::Refused);
    let outcome = through(&proxy, "http://[::ffff:169.254.169.254]/").send(request(AMPLE)).await;
    assert_eq!(cause(&outcome), Cause::Refused);
    assert_eq!(asked.lock().len(), 0);
}

#[tokio::test]
async fn metadata_is_refused_where_private_addresses_are_allowed() {
    let mut options = options("http://169.254.169.254/latest/meta-data");
    options.transport.network = NetworkPolicy::Any;
    let client = Egress::default().client(options).expect("good settings");
    let outcome = client.send(request(AMPLE)).await;
    assert_eq!(cause(&outcome), Cause::Refused);
    assert!(format!("{outcome:?}").contains("list `allow_private`"), "{outcome:?}");
}

/// A proxy resolves by itself: an address in another spelling, or the name that a
/// cloud gives it, passed the check.
#[tokio::test]
async fn regression_no_spelling_of_metadata_goes_through_a_proxy() {
    let target = Receiver::start(|_| status(200)).await;
    let (proxy, asked) = proxy(&target, MADE).await;
    for host in [
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "169.254.43518",
        "169.254.169.254.",
        "[fd00:ec2::254]",
        "[64:ff9b::a9fe:a9fe]",
        "metadata.google.internal",
        "Metadata.Google.Internal.",
        "1.2.3.4.5",
    ] {
        let mut options = options(&format!("http://{host}/"));
        options.transport.proxy = Some(proxy.clone());
        let client = Egress::default().client(options).expect("good settings");
        let outcome = client.send(request(AMPLE)).await;
        assert_eq!(cause(&outcome), Cause::Refused, "{host}: {outcome:?}");
    }
    assert_eq!(asked.lock().len(), 0);
}

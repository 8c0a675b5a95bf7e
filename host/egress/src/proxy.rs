//! Tunnels through an HTTP proxy (RFC 9110, 9.3.6).
//!
//! Our own, since hyper-util's `Tunnel` (0.1.21) drops what comes behind the proxy's head, takes 200 alone of all 2xx, and does
//! not say which status refused.
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::connect_error::ConnectError;
use hookwright_settings::Proxy;

/// The most of a proxy's answer that is read.
const ANSWER_BYTES: usize = 8 * 1024;

/// Host and port of a proxy; none where its URL is not `http://HOST:PORT`.
pub(super) fn place(proxy: &Proxy) -> Option<(&str, u16)> {
    let plain = proxy.url.scheme_str() == Some("http") && proxy.url.path() == "/";
    let host = proxy.url.host().filter(|host| plain && !host.is_empty())?;
    Some((host, proxy.url.port_u16().unwrap_or(80)))
}

/// Asks the proxy for a tunnel over a fresh connection.
///
/// # Errors
/// The proxy refuses, or does not speak HTTP.
pub(super) async fn tunnel(
    proxy: &Proxy,
    stream: &mut TcpStream,
    host: &str,
    port: u16,
) -> Result<(), ConnectError> {
    let text = format!("CONNECT {host}:{port} HTTP/1.1\r\nhost: {host}:{port}\r\n");
    let mut request = text.into_bytes();
    if let Some(value) = &proxy.authorization {
        request.extend_from_slice(b"proxy-authorization: ");
        request.extend_from_slice(value.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    let broken = |error: std::io::Error| ConnectError::Proxy(error.to_string());
    stream.write_all(&request).await.map_err(broken)?;
    let head = head(stream).await.map_err(broken)?;
    let line = head.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    match status(line) {
        Some(200..=299) => Ok(()),
        Some(code) => Err(ConnectError::Proxy(format!("it answered {code}"))),
        None => Err(ConnectError::Proxy("it answered something else than HTTP".to_owned())),
    }
}

/// Byte by byte: what comes after it belongs to the destination.
async fn head(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(256);
    while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
        if head.len() >= ANSWER_BYTES {
            return Err(std::io::Error::other("its answer has no end"));
        }
        head.push(stream.read_u8().await?);
    }
    Ok(head)
}

fn status(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/1.1 ").or_else(|| line.strip_prefix(b"HTTP/1.0 "))?;
    let digits = rest.get(..3).filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    if rest.get(3).is_some_and(|next| *next != b' ') {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_line_is_read_strictly() {
        for (line, expected) in [
            ("HTTP/1.1 200 Connection established", Some(200)),
            ("HTTP/1.0 407", Some(407)),
            ("HTTP/1.1 2000 x", None),
            ("HTTP/1.1 20", None),
            ("HTTP/2 200", None),
            ("SSH-2.0-OpenSSH", None),
            ("", None),
        ] {
            assert_eq!(status(line.as_bytes()), expected, "{line}");
        }
    }

    #[test]
    fn a_proxy_is_a_host_and_a_port() {
        let place = |url: &str| {
            let proxy = Proxy { url: url.parse().expect(url), authorization: None };
            super::place(&proxy).map(|(host, port)| (host.to_owned(), port))
        };
        assert_eq!(place("http://proxy:3128"), Some(("proxy".to_owned(), 3128)));
        assert_eq!(place("http://[::1]/"), Some(("[::1]".to_owned(), 80)));
        assert_eq!(place("https://proxy:3128"), None);
        assert_eq!(place("http://proxy/path"), None);
    }
}

//! The PROXY protocol, versions 1 and 2: a header before all other bytes, in which a proxy names its client.
//!
//! <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt};

/// The signature of a version 2 header.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// The longest line of version 1, including its end.
const LINE: usize = 107;
/// Bytes behind the fixed part of version 2: addresses and what else a proxy tells.
const REST: usize = 4096;

#[derive(Debug, thiserror::Error)]
pub(super) enum ProxyError {
    #[error("the connection ended within the PROXY header")]
    Read(#[from] io::Error),
    #[error("the connection does not begin with a PROXY header")]
    Missing,
    #[error("the PROXY header is malformed")]
    Malformed,
}

/// Reads the header and not a byte more. None if the connection is the proxy's own
/// (a health check), or its client has no IP address.
///
/// # Errors
/// The header can't be parsed, so the client is unknown and the connection must be closed.
pub(super) async fn read<IO>(io: &mut IO) -> Result<Option<SocketAddr>, ProxyError>
where
    IO: AsyncRead + Unpin,
{
    let mut start = [0; SIGNATURE.len()];
    io.read_exact(&mut start).await?;
    if start == SIGNATURE {
        let mut fixed = [0; 4];
        io.read_exact(&mut fixed).await?;
        let mut rest = vec![0; usize::from(u16::from_be_bytes([fixed[2], fixed[3]]))];
        if rest.len() > REST {
            return Err(ProxyError::Malformed);
        }
        io.read_exact(&mut rest).await?;
        return binary(fixed[0], fixed[1], &rest).ok_or(ProxyError::Malformed);
    }
    if !start.starts_with(b"PROXY ") {
        return Err(ProxyError::Missing);
    }
    // One byte at a time: the end of the line is not known in advance, and the bytes after it belong to HTTP.
    let mut line = start.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() >= LINE {
            return Err(ProxyError::Malformed);
        }
        line.push(io.read_u8().await?);
    }
    text(&line).ok_or(ProxyError::Malformed)
}

/// Version 1: `PROXY TCP4 192.0.2.7 192.0.2.1 40000 443`, or `PROXY UNKNOWN` and anything.
fn text(line: &[u8]) -> Option<Option<SocketAddr>> {
    let line = std::str::from_utf8(line.strip_suffix(b"\r\n")?).ok()?;
    let mut words = line.strip_prefix("PROXY ")?.split(' ');
    let family = words.next()?;
    if family == "UNKNOWN" {
        return Some(None);
    }
    let words: Vec<&str> = words.collect();
    let &[source, target, source_port, target_port] = words.as_slice() else { return None };
    let address = |text: &str| -> Option<IpAddr> {
        match family {
            "TCP4" => text.parse().ok().map(IpAddr::V4),
            "TCP6" => text.parse().ok().map(IpAddr::V6),
            _ => None,
        }
    };
    let port = |text: &str| text.parse::<u16>().ok();
    address(target)?;
    port(target_port)?;
    Some(Some(SocketAddr::new(address(source)?, port(source_port)?)))
}

/// Version 2: command and family in a byte each, then addresses and ports.
fn binary(command: u8, family: u8, rest: &[u8]) -> Option<Option<SocketAddr>> {
    match command {
        0x20 => return Some(None),
        0x21 => {}
        _ => return None,
    }
    let port = |at: usize| Some(u16::from_be_bytes([*rest.get(at)?, *rest.get(at + 1)?]));
    let address = match family {
        0x11 => {
            let source: [u8; 4] = rest.get(..4)?.try_into().ok()?;
            port(10)?;
            SocketAddr::from((Ipv4Addr::from(source), port(8)?))
        }
        0x21 => {
            let source: [u8; 16] = rest.get(..16)?.try_into().ok()?;
            port(34)?;
            SocketAddr::from((Ipv6Addr::from(source), port(32)?))
        }
        // Datagrams and Unix sockets have no usable address.
        _ => return Some(None),
    };
    Some(Some(address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    async fn header(bytes: &[u8]) -> (Result<Option<SocketAddr>, ProxyError>, Vec<u8>) {
        let mut left = bytes;
        (read(&mut left).await, left.to_vec())
    }

    fn second(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest].concat()
    }

    #[tokio::test]
    async fn version_1_tells_an_address_and_leaves_the_rest() {
        let (told, left) = header(b"PROXY TCP4 192.0.2.7 10.0.0.1 40000 443\r\nGET /").await;
        assert_eq!(told.unwrap(), Some("192.0.2.7:40000".parse().unwrap()));
        assert_eq!(left, b"GET /");
        let (told, left) = header(b"PROXY TCP6 2001:db8::7 ::1 1 2\r\n").await;
        assert_eq!(told.unwrap(), Some("[2001:db8::7]:1".parse().unwrap()));
        assert!(left.is_empty());
        // The text after UNKNOWN is ignored.
        for unknown in [
            "PROXY UNKNOWN\r\n",
            "PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n",
            "PROXY UNKNOWN a b c d e f g\r\n",
        ] {
            assert_eq!(header(unknown.as_bytes()).await.0.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn version_2_tells_an_address_and_leaves_the_rest() {
        let four = [192, 0, 2, 7, 10, 0, 0, 1, 0x9c, 0x40, 1, 0xbb];
        let with_more = [&four[..], b"\x04\x00\x01x"].concat();
        for rest in [&four[..], &with_more] {
            let bytes = [second(0x21, 0x11, rest), b"GET /".to_vec()].concat();
            let (told, left) = header(&bytes).await;
            assert_eq!(told.unwrap(), Some("192.0.2.7:40000".parse().unwrap()));
            assert_eq!(left, b"GET /");
        }
        let six = [&[0x20, 1][..], &[0; 13], &[7], &[0; 16], &[0, 1, 0, 2]].concat();
        let (told, _) = header(&second(0x21, 0x21, &six)).await;
        assert_eq!(told.unwrap(), Some("[2001::7]:1".parse().unwrap()));
        // LOCAL tells nothing, whatever its family and addresses are.
        for silent in [
            second(0x20, 0, &[]),
            second(0x20, 0x11, &[]),
            second(0x20, 0x41, &[0; 3]),
            second(0x21, 0x31, &[0; 216]),
            second(0x21, 0, &[]),
        ] {
            assert_eq!(header(&silent).await.0.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn whatever_is_no_header_is_refused() {
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(LINE));
        let huge = second(0x21, 0x11, &[0; REST + 1]);
        for bad in [
            &b"POST /in/s HTTP/1.1\r\n\r\n"[..],
            b"PROXY TCP4 192.0.2.7 10.0.0.1 40000\r\n",
            b"PROXY TCP4 2001:db8::7 ::1 1 2\r\n",
            b"PROXY TCP4 192.0.2.7 10.0.0.1 1 70000\r\n",
            b"PROXY TCP4  192.0.2.7 10.0.0.1 1 2\r\n",
            b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2\n",
            long.as_bytes(),
            &second(0x21, 0x11, &[0; 11]),
            &second(0x22, 0x11, &[0; 12]),
            &second(0x11, 0x11, &[0; 12]),
            &huge,
            b"",
        ] {
            assert!(header(bad).await.0.is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes: Vec<u8>, command: u8, family: u8) {
            let _ = text(&bytes);
            let _ = binary(command, family, &bytes);
            let _ = text(&[b"PROXY TCP4 ", &bytes[..], b"\r\n"].concat());
        }
    }
}

//! Whom a request comes from: the peer, or what trusted proxies tell of their own peers.
use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue, header};

use hookwright_server::Peer;
use hookwright_settings::{Proxies, ToldBy};

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The sender, as far as trusted proxies let it be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Client {
    pub(super) address: IpAddr,
    /// It came encrypted, to us or to the trusted proxy before us.
    pub(super) secure: bool,
}

impl Client {
    /// Goes from the peer outward, as long as each one is trusted. What an
    /// untrusted peer tells, or a trusted one in a form that can't be read,
    /// counts for nothing: then the last one found is the client.
    pub(super) fn of(proxies: &Proxies, peer: &Peer, headers: &HeaderMap) -> Self {
        let trusts = |address: IpAddr| proxies.trusted.iter().any(|net| net.contains(&address));
        let mut client = Self { address: peer.address.ip().to_canonical(), secure: peer.secure };
        if !trusts(client.address) {
            return client;
        }
        let told = match proxies.told_by {
            ToldBy::XForwardedFor => Told::by_x_headers(headers),
            ToldBy::Forwarded => Told::by_forwarded(headers),
        };
        client.secure |= told.secure;
        for address in told.addresses {
            let Some(address) = address else { break };
            client.address = address;
            if !trusts(address) {
                break;
            }
        }
        client
    }
}

/// What the headers say, the nearest first; none for what is no address.
struct Told {
    addresses: Vec<Option<IpAddr>>,
    /// Whether the nearest proxy was spoken to over TLS.
    secure: bool,
}

impl Told {
    fn by_x_headers(headers: &HeaderMap) -> Self {
        let mut addresses: Vec<_> =
            items(headers, &X_FORWARDED_FOR, ',').map(|text| address(&text)).collect();
        addresses.reverse();
        let scheme = items(headers, &X_FORWARDED_PROTO, ',').last();
        Self { addresses, secure: scheme.is_some_and(|text| text.eq_ignore_ascii_case("https")) }
    }

    /// RFC 7239: `for=192.0.2.7;proto=https, for="[2001:db8::7]:40000"`. A quoted
    /// text with a comma or semicolon in it is no address, and reads as none.
    fn by_forwarded(headers: &HeaderMap) -> Self {
        let mut hops: Vec<(Option<IpAddr>, bool)> = items(headers, &header::FORWARDED, ',')
            .map(|hop| {
                let value = |wanted: &str| {
                    hop.split(';').filter_map(|pair| pair.split_once('=')).find_map(
                        |(name, value)| {
                            let found = name.trim().eq_ignore_ascii_case(wanted);
                            found.then(|| value.trim().trim_matches('"'))
                        },
                    )
                };
                let secure = value("proto").is_some_and(|text| text.eq_ignore_ascii_case("https"));
                (value("for").and_then(address), secure)
            })
            .collect();
        hops.reverse();
        let secure = hops.first().is_some_and(|(_, secure)| *secure);
        Self { addresses: hops.into_iter().map(|(address, _)| address).collect(), secure }
    }
}

/// All values of the header, split and trimmed.
fn items<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
    sign: char,
) -> impl Iterator<Item = Cow<'h, str>> {
    let values = headers.get_all(name).into_iter().map(HeaderValue::as_bytes);
    values.flat_map(move |value| match String::from_utf8_lossy(value) {
        Cow::Borrowed(text) => text.split(sign).map(|item| item.trim().into()).collect::<Vec<_>>(),
        // No address has such bytes.
        Cow::Owned(_) => vec![Cow::Borrowed("")],
    })
}

/// `192.0.2.7`, `2001:db8::7`, `[2001:db8::7]`, each with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().or_else(|_| text.parse().map(|full: SocketAddr| full.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn proxies(told_by: ToldBy) -> Proxies {
        let trusted = ["10.0.0.0/8", "fd00::/8"].map(|net| net.parse().unwrap()).to_vec();
        Proxies { trusted, told_by }
    }

    fn client(told_by: ToldBy, peer: &str, lines: &[(&'static str, &str)]) -> (String, bool) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let peer = Peer::plain(SocketAddr::new(peer.parse().unwrap(), 1));
        let client = Client::of(&proxies(told_by), &peer, &headers);
        (client.address.to_string(), client.secure)
    }

    #[test]
    fn the_last_untrusted_address_is_the_client() {
        for (peer, told, found) in [
            ("192.0.2.1", "203.0.113.9", "192.0.2.1"),
            ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
            ("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
            ("10.0.0.1", "1.1.1.1, 203.0.113.9", "203.0.113.9"),
            ("10.0.0.1", "203.0.113.9, 10.0.0.2 ,10.0.0.3", "203.0.113.9"),
            ("10.0.0.1", "203.0.113.9:40000", "203.0.113.9"),
            ("10.0.0.1", "2001:db8::7", "2001:db8::7"),
            ("10.0.0.1", "[2001:db8::7]:1", "2001:db8::7"),
            ("fd00::1", "[2001:db8::7]", "2001:db8::7"),
            ("10.0.0.1", "10.0.0.9", "10.0.0.9"),
            ("10.0.0.1", "203.0.113.9, unknown", "10.0.0.1"),
            ("10.0.0.1", "203.0.113.9, unknown, 10.0.0.2", "10.0.0.2"),
            ("10.0.0.1", "", "10.0.0.1"),
            ("10.0.0.1", "1.1.1.1, \u{e9}", "10.0.0.1"),
        ] {
            let by = client(ToldBy::XForwardedFor, peer, &[("x-forwarded-for", told)]);
            assert_eq!(by.0, found, "{peer} told {told}");
        }
        let lines = [("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "203.0.113.9")];
        assert_eq!(client(ToldBy::XForwardedFor, "10.0.0.1", &lines).0, "203.0.113.9");
    }

    #[test]
    fn forwarded_is_read_where_the_settings_say_so_and_only_then() {
        let hops =
            "for=1.1.1.1, For=\"[2001:db8::7]:1\"; Proto=https;by=x, for=10.0.0.2;proto=https";
        let lines = [("forwarded", hops), ("x-forwarded-for", "9.9.9.9")];
        let by = client(ToldBy::Forwarded, "10.0.0.1", &lines);
        assert_eq!(by, ("2001:db8::7".into(), true));
        let by = client(ToldBy::XForwardedFor, "10.0.0.1", &lines);
        assert_eq!(by, ("9.9.9.9".into(), false));
        let hidden = [("forwarded", "for=1.1.1.1, for=_secret;proto=http")];
        assert_eq!(client(ToldBy::Forwarded, "10.0.0.1", &hidden), ("10.0.0.1".into(), false));
    }

    #[test]
    fn only_a_trusted_peer_says_that_the_way_was_encrypted() {
        let lines = [("x-forwarded-proto", "http, https")];
        assert!(client(ToldBy::XForwardedFor, "10.0.0.1", &lines).1);
        assert!(!client(ToldBy::XForwardedFor, "192.0.2.1", &lines).1);
        let lines = [("x-forwarded-proto", "https, http")];
        assert!(!client(ToldBy::XForwardedFor, "10.0.0.1", &lines).1);
    }

    proptest! {
        /// Whatever a sender writes before the proxy's own entry moves nothing.
        #[test]
        fn nothing_is_believed_beyond_the_first_untrusted(before in "[ -~]{0,40}") {
            let told = format!("{before}, 203.0.113.9");
            let by = client(ToldBy::XForwardedFor, "10.0.0.1", &[("x-forwarded-for", &told)]);
            prop_assert_eq!(by.0, "203.0.113.9");
            let told = format!("{before}, for=203.0.113.9");
            let by = client(ToldBy::Forwarded, "10.0.0.1", &[("forwarded", &told)]);
            prop_assert_eq!(by.0, "203.0.113.9");
        }
    }
}

//! Who may post to a source: tokens in its URL, encryption, addresses and rates.
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use rustls::pki_types::ServerName;

use super::kind::{Flag, List, RATE, Text};
use super::reader::Section;
use super::secret::SecretRef;
use super::tree::Value;
use super::unit::{Fault, quote};
use hookwright_settings::{ClientPins, EndpointOptions};
use hookwright_signing::Secret;

const SAN: Text<ServerName<'static>> = Text {
    name: "DNS name or address",
    example: "[\"hooks.partner.example\"]",
    unit: "",
    parse: |text| {
        let help = "write it as it stands in the certificate, `hooks.partner.example` for example";
        let wrong = |_| Fault::new(format!("{} is no DNS name and no address", quote(text)), help);
        ServerName::try_from(text.to_owned()).map_err(wrong)
    },
};

pub(super) const SHA256: Text<[u8; 32]> = Text {
    name: "SHA-256 in hex",
    example: "[\"A0:4E:…\"]",
    unit: "",
    parse: |text| {
        let digits: String = text.chars().filter(|char| *char != ':').collect();
        let mut bytes = [0; 32];
        let help = "write what `openssl x509 -in client.pem -noout -fingerprint -sha256` prints";
        hex::decode_to_slice(&digits, &mut bytes)
            .map_err(|_| Fault::new(format!("{} is no SHA-256 in hex", quote(text)), help))?;
        Ok(bytes)
    },
};

pub(super) const NETWORK: Text<IpNet> =
    Text { name: "network", example: "[\"10.0.0.0/8\"]", unit: "", parse: network };

/// What stands in a URL without escapes, and can't be guessed.
const TOKEN: SecretRef = SecretRef(|bytes| {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    if (16..=200).contains(&bytes.len()) && bytes.iter().all(plain) {
        return Ok(Secret::new(bytes));
    }
    let message = "is no token of 16 to 200 letters, digits, `-`, `.`, `_` and `~`";
    Err(Fault::new(message, "make one with `openssl rand -hex 32`"))
});

/// The keys of `[sources.NAME]` that are checked before anything is read.
pub(super) fn read(s: &Section<'_, '_>, to: &mut EndpointOptions) {
    let doc = "The URL is `/in/NAME/TOKEN`, with any one of these tokens; without one the source is not found. With several, a new token can be introduced before the old one is removed.";
    to.tokens = s.key("tokens", List(TOKEN), doc).default("[]");
    let doc = "Refuse with 403 what came over plain HTTP. A trusted proxy that ends TLS says so in `x-forwarded-proto` or `forwarded`.";
    to.require_tls = s.key("require_tls", Flag, doc).default("false");
    let doc = "Ask for a client certificate that `ingress.tls.client_ca` vouches for; with names or fingerprints, for one of these.";
    to.client = s.optional_section("client", doc, |inner| {
        let doc = "Alternative names; one of them must be the certificate's.";
        let names = inner.key("san", List(SAN), doc).default("[]");
        let doc = "Or fingerprints of whole certificates.";
        let fingerprints = inner.key("sha256", List(SHA256), doc).default("[]");
        Some(ClientPins { names, fingerprints })
    });
    let doc = "Addresses that may post; one address, or a network as `140.82.112.0/20`.";
    to.allow = s.key("allow", List(NETWORK), doc).optional("all").unwrap_or_default();
    if is_empty_list(s, "allow") {
        let help = "remove it to let every address post, or name a network";
        s.wrong("allow", Fault::new("is empty: nobody could post", help));
    }
    let doc = "The most requests of each address, verified or not; more are refused with 429. An IPv6 network of 64 bits counts as one address.";
    to.rate_per_address = s.key("rate_per_address", RATE, doc).optional("no limit");
    let doc = "The most requests of all addresses together, counted once a request is verified; more are refused with 429.";
    to.source.rate = s.key("rate", RATE, doc).optional("no limit");
}

/// A list that is written, and holds nothing.
pub(super) fn is_empty_list(s: &Section<'_, '_>, key: &str) -> bool {
    let written = s.entry(key).map(|entry| &entry.node.value);
    matches!(written, Some(Value::List(list)) if list.is_empty())
}

/// An address or a network. Addresses are compared in their plain form, so one
/// that is mapped into IPv6 (`::ffff:192.0.2.7`) is read as what it maps.
fn network(text: &str) -> Result<IpNet, Fault> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.to_canonical().into());
    }
    let help = "write an address, or a network as `140.82.112.0/20`";
    let net: IpNet =
        text.parse().map_err(|_| Fault::new(format!("{} is no network", quote(text)), help))?;
    if net.trunc() != net {
        let message = format!("{} has bits set beyond its prefix", quote(text));
        let help = match plain(net).unwrap_or(net).trunc() {
            // Of a mapped network with the prefix of a plain one, what was meant.
            IpNet::V6(six) => match six_as_four(net) {
                Some(four) => format!("write `\"{four}\"`"),
                None => format!("write `\"{six}\"`"),
            },
            four => format!("write `\"{four}\"`"),
        };
        return Err(Fault::new(message, help));
    }
    Ok(plain(net).unwrap_or(net))
}

/// The network of IPv4 that one of IPv6 maps, where it lies wholly in `::ffff:0:0/96`.
fn plain(net: IpNet) -> Option<IpNet> {
    let IpNet::V6(six) = net else { return None };
    let four = six.addr().to_ipv4_mapped()?;
    let bits = six.prefix_len().checked_sub(96)?;
    Ipv4Net::new(four, bits).ok().map(IpNet::V4)
}

/// `::ffff:10.0.0.0/8` as who writes it means it.
fn six_as_four(net: IpNet) -> Option<IpNet> {
    let IpNet::V6(six) = net else { return None };
    let four = six.addr().to_ipv4_mapped()?;
    Ipv4Net::new(four, six.prefix_len()).ok().map(|net| IpNet::V4(net.trunc()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `allow = ["::ffff:127.0.0.1"]` never matched, and `check` was content.
    #[test]
    fn regression_a_mapped_address_is_read_as_what_it_maps() {
        for (text, read) in [
            ("::ffff:127.0.0.1", "127.0.0.1/32"),
            ("::FFFF:7f00:1", "127.0.0.1/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:192.0.2.7/128", "192.0.2.7/32"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("127.0.0.1", "127.0.0.1/32"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("::1", "::1/128"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(network(text).map_err(|_| ()), Ok(read.parse().unwrap()), "{text}");
        }
        for (text, cure) in [
            ("::ffff:10.0.0.0/8", "write `\"10.0.0.0/8\"`"),
            ("::ffff:10.0.0.1/104", "write `\"10.0.0.0/8\"`"),
            ("10.0.0.1/8", "write `\"10.0.0.0/8\"`"),
            ("2001:db8::1/32", "write `\"2001:db8::/32\"`"),
        ] {
            assert_eq!(network(text).unwrap_err().help, cure, "{text}");
        }
    }
}

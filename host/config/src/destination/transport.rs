//! How a destination is connected to: addresses, TLS, proxy, and timeouts of single phases.
use http::Uri;

use super::super::access::{NETWORK, SHA256, is_empty_list};
use super::super::kind::{Choice, DURATION, Flag, Kind, List, PemFile, Text, mismatch};
use super::super::reader::{At, Section};
use super::super::secret;
use super::super::tree::Value;
use super::super::unit::{Fault, quote};
use hookwright_settings::{
    Identity, NetworkPolicy, Pem, Phases, Proxy, TlsOptions, TlsVersion, Transport,
};
use hookwright_signing::{KeyForm, Secret, basic};

/// `true`, `false`, or a list of networks.
struct Private;

impl Kind for Private {
    type Value = NetworkPolicy;

    fn name(&self) -> String {
        "true, false or list of networks".to_owned()
    }

    fn read(&self, at: &At<'_, '_>) -> Option<NetworkPolicy> {
        match &at.node.value {
            Value::List(_) => List(NETWORK).read(at).map(NetworkPolicy::Networks),
            Value::Flag(all) => {
                at.public();
                Some(if *all { NetworkPolicy::Any } else { NetworkPolicy::Public })
            }
            _ => mismatch(at, "true, false or a list of networks", "[\"10.0.0.0/8\"]"),
        }
    }
}

const PROXY_URL: Text<Uri> = Text {
    name: "URL",
    example: "\"http://proxy.internal:3128\"",
    unit: "",
    parse: |text| {
        let url = text.parse::<Uri>().ok().filter(|url| {
            let plain = url.scheme_str() == Some("http") && matches!(url.path(), "" | "/");
            let host = url.host().is_some_and(|host| !host.is_empty());
            plain && host && url.query().is_none() && !text.contains(['@', '#'])
        });
        let help =
            "write it as `http://proxy.internal:3128`; who needs a password puts it in `secret`";
        url.ok_or_else(|| Fault::new(format!("{} is no proxy", quote(text)), help))
    },
};

const VERSIONS: Choice<TlsVersion> = Choice(&[("1.2", TlsVersion::V12), ("1.3", TlsVersion::V13)]);

pub(super) fn read(s: &Section<'_, '_>) -> Transport {
    let doc = "Whether the URL may lead to private and loopback addresses: to all, or to those in a list of networks. Link-local addresses and those at which a cloud tells a machine its credentials stay shut, unless the list has the address by itself.";
    let network = s.key("allow_private", Private, doc).default("false");
    if is_empty_list(s, "allow_private") {
        let help = "write `false`, or name a network";
        s.wrong("allow_private", Fault::new("is empty", help));
    }
    let doc = "More certificate authorities to trust, a PEM file.";
    let ca = s.key("ca", PemFile, doc).optional("none");
    let doc = "How the destination proves who it is, and the host to it.";
    let tls = s.section("tls", doc, |inner| tls(inner, ca));
    let doc = "A forward proxy that every connection goes through, by `CONNECT`. It resolves the names, so that the check of addresses is its business.";
    let proxy = s.optional_section("proxy", doc, proxy);
    let doc = "Offer HTTP/2 where the connection is encrypted.";
    let http2 = s.key("http2", Flag, doc).default("true");
    let doc = "Limits for single phases, within `timeout`.";
    let phases = s.section("timeouts", doc, |inner| {
        let time =
            |name, doc, unset| inner.key(name, DURATION, doc).range("10ms", "10m").optional(unset);
        Phases {
            connect: time("connect", "DNS and TCP, and the proxy's answer.", "30s"),
            tls: time("tls", "The TLS handshake.", "30s with `connect`"),
            first_byte: time(
                "first_byte",
                "From the request's last byte to the answer's first; over HTTP/2 to its head.",
                "as `timeout`",
            ),
        }
    });
    Transport { network, tls, proxy, http2, phases }
}

fn tls(s: &Section<'_, '_>, ca: Option<Pem>) -> TlsOptions {
    let doc = "Our client certificate and its chain, a PEM file.";
    let cert = s.key("cert", PemFile, doc).optional("none");
    let doc = "The client certificate's key, PEM, as a secret.";
    let key = s.key("key", secret::ANY, doc).optional("required with `cert`");
    let doc = "SHA-256 of certificates. The destination must show one of them; nothing else is asked, so that one that it signed itself will do.";
    let pins = s.key("pin", List(SHA256), doc).default("[]");
    let doc = "The oldest version of TLS.";
    let min = s.key("min", VERSIONS, doc).default("\"1.2\"");
    if s.entry("cert").is_some() {
        s.missing("key", "add `key = \"file:client.key\"`");
    } else if s.entry("key").is_some() {
        s.missing("cert", "add `cert = \"client.pem\"`");
    }
    if ca.is_some() && !pins.is_empty() {
        let message = "with a pin no authority is asked, so `ca` has no meaning";
        s.wrong("pin", Fault::new(message, "remove one of both"));
    }
    let identity = cert.zip(key).map(|(chain, key)| Identity { chain, key });
    TlsOptions { ca, pins, identity, min }
}

fn proxy(s: &Section<'_, '_>) -> Option<Proxy> {
    let url = s.key("url", PROXY_URL, "The proxy.").required();
    let doc = "Who we are to it, `user:password`.";
    let secret = s.key("secret", USER_PASSWORD, doc).optional("none");
    Some(Proxy { url: url?, authorization: secret.map(|secret| basic(&secret)) })
}

/// `user:password`.
pub(super) const USER_PASSWORD: secret::SecretRef =
    secret::SecretRef(|bytes| match KeyForm::UserPassword.read(bytes) {
        Ok(_) => Ok(Secret::new(bytes)),
        Err(error) => Err(Fault::new(error.to_string(), error.help())),
    });

//! How a destination is connected to: addresses, TLS, proxy, and time-outs of single phases.
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderValue, Uri};
use ipnet::IpNet;

use super::super::access::{NETWORK, SHA256, is_empty_list};
use super::super::kind::{Choice, DURATION, File, Flag, Kind, List, Text, mismatch};
use super::super::reader::{At, Section};
use super::super::secret;
use super::super::tree::Value;
use super::super::unit::{Fault, quote};
use hookwright_signing::{KeyForm, Secret, basic};

/// Which addresses that are not for everybody a destination may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowPrivate {
    None,
    /// Those in these networks.
    Networks(Vec<IpNet>),
    All,
}

/// `tls` of a destination.
#[derive(Debug, Clone, Default)]
pub struct ClientTlsConfig {
    /// PEM; was readable when the settings were read.
    pub cert: Option<PathBuf>,
    /// PEM. There is one where there is a `cert`.
    pub key: Option<Secret>,
    /// SHA-256 of certificates that the destination may show; empty: any that is trusted.
    pub pin: Vec<[u8; 32]>,
    pub min_13: bool,
}

/// `proxy` of a destination.
#[derive(Debug, Clone)]
pub struct ProxyConfig {
    /// `http://HOST:PORT`.
    pub url: Uri,
    /// The value of `proxy-authorization`, marked as sensitive.
    pub authorization: Option<HeaderValue>,
}

/// `timeouts` of a destination, all under its `timeout`.
#[derive(Debug, Clone, Default)]
pub struct TimeoutsConfig {
    pub connect: Option<Duration>,
    pub tls: Option<Duration>,
    pub first_byte: Option<Duration>,
}

/// All of it.
#[derive(Debug, Clone)]
pub struct TransportConfig {
    pub allow_private: AllowPrivate,
    /// More authorities to trust, PEM; was readable when the settings were read.
    pub ca: Option<PathBuf>,
    pub tls: ClientTlsConfig,
    pub proxy: Option<ProxyConfig>,
    pub http2: bool,
    pub timeouts: TimeoutsConfig,
}

/// `true`, `false`, or a list of networks.
struct Private;

impl Kind for Private {
    type Value = AllowPrivate;

    fn name(&self) -> String {
        "true, false or list of networks".to_owned()
    }

    fn read(&self, at: &At<'_, '_>) -> Option<AllowPrivate> {
        match &at.node.value {
            Value::List(_) => List(NETWORK).read(at).map(AllowPrivate::Networks),
            Value::Flag(all) => {
                at.public();
                Some(if *all { AllowPrivate::All } else { AllowPrivate::None })
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

const VERSIONS: Choice<bool> = Choice(&[("1.2", false), ("1.3", true)]);

impl TransportConfig {
    pub(super) fn read(s: &Section<'_, '_>) -> Self {
        let doc = "Whether the URL may lead to private and loopback addresses: to all, or to those in a list of networks. Link-local addresses and those at which a cloud tells a machine its credentials stay shut, unless the list has the address by itself.";
        let allow_private = s.key("allow_private", Private, doc).default("false");
        if is_empty_list(s, "allow_private") {
            let help = "write `false`, or name a network";
            s.wrong("allow_private", Fault::new("is empty", help));
        }
        let doc = "More certificate authorities to trust, a PEM file.";
        let ca = s.key("ca", File { checked: true }, doc).optional("none");
        let doc = "How the destination proves who it is, and the host to it.";
        let tls = s.section("tls", doc, |inner| tls(inner, ca.is_some()));
        let doc = "A forward proxy that every connection goes through, by `CONNECT`. It resolves the names, so that the check of addresses is its business.";
        let proxy = s.optional_section("proxy", doc, proxy);
        let doc = "Offer HTTP/2 where the connection is encrypted.";
        let http2 = s.key("http2", Flag, doc).default("true");
        let doc = "Limits for single phases, within `timeout`.";
        let timeouts = s.section("timeouts", doc, |inner| {
            let time = |name, doc, unset| {
                inner.key(name, DURATION, doc).range("10ms", "10m").optional(unset)
            };
            TimeoutsConfig {
                connect: time("connect", "DNS and TCP, and the proxy's answer.", "30s"),
                tls: time("tls", "The TLS handshake.", "30s with `connect`"),
                first_byte: time(
                    "first_byte",
                    "From the request's last byte to the answer's first; over HTTP/2 to its head.",
                    "as `timeout`",
                ),
            }
        });
        Self { allow_private, ca, tls, proxy, http2, timeouts }
    }
}

fn tls(s: &Section<'_, '_>, ca: bool) -> ClientTlsConfig {
    let doc = "Our client certificate and its chain, a PEM file.";
    let cert = s.key("cert", File { checked: true }, doc).optional("none");
    let doc = "The client certificate's key, PEM, as a secret.";
    let key = s.key("key", secret::ANY, doc).optional("required with `cert`");
    let doc = "SHA-256 of certificates. The destination must show one of them; nothing else is asked, so that one that it signed itself will do.";
    let pin = s.key("pin", List(SHA256), doc).default("[]");
    let doc = "The oldest version of TLS.";
    let min_13 = s.key("min", VERSIONS, doc).default("\"1.2\"");
    if s.entry("cert").is_some() {
        s.missing("key", "add `key = \"file:client.key\"`");
    } else if s.entry("key").is_some() {
        s.missing("cert", "add `cert = \"client.pem\"`");
    }
    if ca && !pin.is_empty() {
        let message = "with a pin no authority is asked, so `ca` has no meaning";
        s.wrong("pin", Fault::new(message, "remove one of both"));
    }
    ClientTlsConfig { cert, key, pin, min_13 }
}

fn proxy(s: &Section<'_, '_>) -> Option<ProxyConfig> {
    let url = s.key("url", PROXY_URL, "The proxy.").required();
    let doc = "Who we are to it, `user:password`.";
    let secret = s.key("secret", USER_PASSWORD, doc).optional("none");
    Some(ProxyConfig { url: url?, authorization: secret.map(|secret| basic(&secret)) })
}

/// `user:password`.
pub(super) const USER_PASSWORD: secret::SecretRef =
    secret::SecretRef(|bytes| match KeyForm::UserPassword.read(bytes) {
        Ok(_) => Ok(Secret::new(bytes)),
        Err(error) => Err(Fault::new(error.to_string(), error.help())),
    });

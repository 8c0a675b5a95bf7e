//! How a destination is connected to: addresses, TLS, proxy, and timeouts of single phases.
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Uri};
use ipnet::IpNet;

use hookwright_signing::Secret;

/// How a destination is connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transport {
    /// Which addresses it may have. Default: public ones only.
    pub network: NetworkPolicy,
    /// How it proves who it is, and we to it.
    pub tls: TlsOptions,
    /// A proxy that every connection goes through. Default: none.
    pub proxy: Option<Proxy>,
    /// Offers HTTP/2 where the connection is encrypted. Default true.
    pub http2: bool,
    /// Timeouts of single phases.
    pub phases: Phases,
}

impl Default for Transport {
    fn default() -> Self {
        Self {
            network: NetworkPolicy::default(),
            tls: TlsOptions::default(),
            proxy: None,
            http2: true,
            phases: Phases::default(),
        }
    }
}

impl Transport {
    /// The defaults, and private addresses too.
    pub fn to_any_address() -> Self {
        Self { network: NetworkPolicy::Any, ..Self::default() }
    }
}

/// Which addresses a connection may lead to, `allow_private` of a destination.
///
/// Nothing is ever sent to a link-local address, or to one at which a cloud tells a machine its credentials, unless a
/// list names that address by itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum NetworkPolicy {
    /// Public addresses.
    #[default]
    Public,
    /// Public addresses, and those in these networks.
    Networks(Vec<IpNet>),
    /// Private and loopback addresses too.
    Any,
}

/// Timeouts of single phases, within the one over everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Phases {
    /// Name lookup and TCP, to the proxy where there is one, and the proxy's answer. Default 30 s.
    pub connect: Option<Duration>,
    /// The TLS handshake. Default: what is left of the 30 s.
    pub tls: Option<Duration>,
    /// From the last byte of the request that was written to the first of the answer, over HTTP/2 to its head. Default:
    /// as long as the deadline lets it.
    pub first_byte: Option<Duration>,
}

/// How a destination proves who it is, and we to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// Certificates that are trusted besides the machine's.
    pub ca: Option<Pem>,
    /// SHA-256 of certificates in DER. Where there are some, the destination must show one of them, and nothing else
    /// about it is checked: neither who signed it nor names and dates.
    pub pins: Vec<[u8; 32]>,
    /// The client certificate, for servers that ask for one.
    pub identity: Option<Identity>,
    /// The oldest version that is spoken. Default: TLS 1.2.
    pub min: TlsVersion,
}

/// A file in PEM, read together with the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pem {
    /// Where it was read from.
    pub file: PathBuf,
    /// What it held.
    pub text: Bytes,
}

/// A client certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate and its chain, our own first.
    pub chain: Pem,
    /// Its key, in PEM.
    pub key: Secret,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    V12,
    /// TLS 1.3.
    V13,
}

/// A forward proxy that tunnels are made through.
///
/// It resolves the names of destinations, so the check of resolved addresses is its business; addresses in URLs are
/// still checked here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// `http://HOST:PORT`. It may have a private address.
    pub url: Uri,
    /// The value of `proxy-authorization`, marked as sensitive.
    pub authorization: Option<HeaderValue>,
}

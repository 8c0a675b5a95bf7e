//! The host's own sections: how it listens, keeps, delivers, logs and stops.
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::access::NETWORK;
use super::kind::{ADDRESS, Choice, DURATION, File, Flag, List, PUBLIC_URL, SIZE, whole};
use super::reader::Section;
use super::unit::{Fault, in_memory};
use hookwright_settings::{ListenerLimits, Proxies, Retention, TlsFiles, ToldBy};

/// `[ingress]`: where webhooks come in.
#[derive(Debug, Clone)]
pub struct IngressConfig {
    /// Where sources post to. Default `127.0.0.1:8080`.
    pub listen: SocketAddr,
    /// Where sources reach it from outside, before `/in/<source>`. None, the default: not known.
    /// Schemes that sign the URL need it.
    pub public_url: Option<String>,
    /// Bytes of a source's body where nothing else is said of it. Default 1 MiB.
    pub max_body: u64,
    /// Bytes of heads and bodies on their way in, before their events are written down.
    /// None: as much as six of the largest bodies, and 128 MiB at least.
    pub memory: Option<u64>,
    /// What its clients may have open, and how large and slow the heads of their requests may be.
    pub limits: ListenerLimits,
    /// For the whole body to arrive. Default 30 s.
    pub body_timeout: Duration,
    /// Levels of arrays and objects in each other, of a JSON body. Default 100.
    pub max_json_depth: usize,
    /// Who may speak for other clients. Default nobody.
    pub proxies: Proxies,
    /// Trusted proxies begin each connection with a PROXY header. Default false.
    pub proxy_protocol: bool,
    /// The certificate of the listener. None, the default: it speaks plain HTTP.
    pub tls: Option<TlsFiles>,
    /// How many of the host's own deliveries an event may go through. Default 8.
    pub max_hops: u32,
}

/// `[store]`: how events are written down.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// Bytes of one journal file. Default 64 MiB.
    pub segment: u64,
    /// Bytes that may wait in memory to be written; beyond it sources get 503. Default 64 MiB.
    pub queue: u64,
    /// Bytes that stay free on the disk; with less, sources get 503. Default 256 MiB; 0: not looked at.
    pub reserve: u64,
    /// Where `hookwright backup` makes its folders. Default `backups` in `data_dir`.
    pub backups: PathBuf,
    /// How long a commit waits for more events under load. Default 200 µs.
    pub linger: Duration,
}

/// `[engine]`: what runs the plugins.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Calls at the same time. None, the default: by the number of processors.
    pub instances: Option<u32>,
}

/// `[delivery]`: limits over all destinations.
#[derive(Debug, Clone)]
pub struct DeliveryConfig {
    /// Bytes of due bodies held in memory, over all destinations. Default 256 MiB.
    pub memory: u64,
    /// Bytes of a destination's answer that are kept with the attempt. Default 4 KiB.
    pub response_excerpt: u64,
    /// The only ports that destinations may have. None, the default: all but those at which other
    /// protocols are at home.
    pub ports: Option<Vec<u16>>,
}

/// `[log]`: what is written to standard error.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// How lines are written. Default text.
    pub format: LogFormat,
    /// The least serious lines that are written. Default info.
    pub level: LogLevel,
}

/// How lines of the log are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs: one object of JSON a line.
    Json,
}

/// How serious a line of the log is; each level includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Something failed that somebody has to mend.
    Error,
    /// Something is wrong that the host copes with.
    Warn,
    /// What the host does, in outline.
    Info,
    /// What it does in detail.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// As the settings and a log filter write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl IngressConfig {
    pub(super) fn read(s: &Section<'_, '_>) -> Self {
        let doc = "Proxies and load balancers whose word about the client's address is trusted: addresses or networks. `allow` and rates by address apply to the first address, from here outward, that is not among them.";
        let trusted_proxies = s.key("trusted_proxies", List(NETWORK), doc).default("[]");
        const HEADERS: Choice<ToldBy> =
            Choice(&[("x-forwarded-for", ToldBy::XForwardedFor), ("forwarded", ToldBy::Forwarded)]);
        let doc = "The header in which the trusted proxies write the client's address. Only this header is read: the other one may be the client's own invention.";
        let told_by = s.key("client_header", HEADERS, doc).default("x-forwarded-for");
        let doc = "Every connection from a trusted proxy begins with a PROXY protocol header, version 1 or 2. Connections from elsewhere must not have one.";
        let proxy_protocol = s.key("proxy_protocol", Flag, doc).default("false");
        if proxy_protocol && trusted_proxies.is_empty() {
            let help = "name the proxies in `trusted_proxies`";
            s.wrong("proxy_protocol", Fault::new("nobody is trusted to send it", help));
        }
        let listen = s
            .key("listen", ADDRESS, "Where sources post to, at `/in/<source>`.")
            .default("127.0.0.1:8080");
        let public_url = s
                .key("public_url", PUBLIC_URL, "Where sources reach it from outside, before `/in/<source>`: for schemes that sign the URL.")
                .optional("none");
        let max_body = s
            .key("max_body", SIZE, "The largest body; a larger one is refused with 413.")
            .range("1KiB", "256MiB")
            .default("1MiB");
        let memory = s
                .key("memory", SIZE, "Memory for heads and bodies on their way in, over all connections, counted as they arrive, including what `decompress` makes of them. Beyond it, or beyond a source's fair share of it, requests get a 503. At least six times the largest body.")
                .range("4MiB", "64GiB")
                .optional("the larger of 128MiB and six of the largest bodies");
        let max_headers = s
            .key("max_headers", whole(), "The most headers that a request may have.")
            .range("8", "1000")
            .default("100");
        let max_header_bytes = s
            .key("max_header_bytes", SIZE, "The most bytes of all headers of a request together.")
            .range("8KiB", "1MiB")
            .default("32KiB");
        let header_timeout = s
            .key("header_timeout", DURATION, "For all headers of a request to arrive.")
            .range("100ms", "5m")
            .default("10s");
        let body_timeout = s
            .key("body_timeout", DURATION, "For the whole body to arrive.")
            .range("100ms", "1h")
            .default("30s");
        let idle_timeout = s
            .key("idle_timeout", DURATION, "How long a connection may wait for a request.")
            .range("1s", "1h")
            .default("60s");
        let max_connections = s
            .key("max_connections", whole(), "Open connections; more get a 503.")
            .range("1", "1000000")
            .default("10000");
        let max_json_depth = s
                .key("max_json_depth", whole(), "How deep arrays and objects may be nested in a body whose content type is JSON; deeper ones are refused with 422.")
                .range("4", "127")
                .default("100");
        let max_hops = s
                .key("max_hops", whole(), "How many of the host's own deliveries an event may pass through; when it comes back from the last of them, it is refused with 508.")
                .range("1", "100")
                .default("8");
        let tls = s.optional_section("tls", "Serve HTTPS instead of HTTP.", tls_files);
        let limits = ListenerLimits {
            max_connections,
            header_timeout,
            idle_timeout,
            max_headers,
            max_header_bytes: in_memory(max_header_bytes),
        };
        let proxies = Proxies { trusted: trusted_proxies, told_by };
        Self {
            listen,
            public_url,
            max_body,
            memory,
            limits,
            body_timeout,
            max_json_depth,
            proxies,
            proxy_protocol,
            tls,
            max_hops,
        }
    }
}

/// `[ingress.tls]`: PEM files that could be read when the settings were.
fn tls_files(s: &Section<'_, '_>) -> Option<TlsFiles> {
    let file = || File { checked: true };
    let cert = s.key("cert", file(), "The certificate and its chain, PEM.").required();
    let key = s.key("key", file(), "The private key, PEM.").required();
    let doc = "Authorities whose client certificates are trusted, PEM. Clients without a certificate are served, except by sources with `client`.";
    let client_ca = s.key("client_ca", file(), doc).optional("none asked for");
    Some(TlsFiles { cert: cert?, key: key?, client_ca })
}

impl StoreConfig {
    pub(super) fn read(s: &Section<'_, '_>, data_dir: &Path) -> Self {
        let doc = "Space that stays free on the disk of `data_dir`. With less, sources get 503; deliveries, reads and the purge continue. `0B` switches the check off.";
        let reserve = s.key("reserve", SIZE, doc).range("0B", "1024GiB").default("256MiB");
        let doc = "Where `hookwright backup` puts its folders; preferably on another disk.";
        let backups = s.key("backups", File { checked: false }, doc);
        // The data directory is the one place that the host can always write to.
        let backups = backups.optional("`backups` in `data_dir`");
        let backups = backups.unwrap_or_else(|| data_dir.join("backups"));
        Self {
            reserve,
            backups,
            segment: s
                .key("segment", SIZE, "The size of one journal file. Space is freed file by file.")
                .range("1MiB", "1GiB")
                .default("64MiB"),
            queue: s
                .key(
                    "queue",
                    SIZE,
                    "How much may wait in memory to be written; beyond it, sources get 503.",
                )
                .range("1MiB", "4GiB")
                .default("64MiB"),
            linger: s
                .key(
                    "linger",
                    DURATION,
                    "How long a commit waits for more events under load: higher throughput, later answers. A single event never waits.",
                )
                .range("0s", "100ms")
                .default("200us"),
        }
    }
}

/// `[retention]`.
pub(super) fn retention(s: &Section<'_, '_>) -> Retention {
    let doc = "How long finished events are kept. Unfinished events are kept until they finish.";
    let keep = s.key("keep", DURATION, doc).range("1m", "3650d").default("30d");
    let doc = "The time from one purge to the next.";
    let interval = s.key("interval", DURATION, doc).range("1s", "1d").default("10m");
    Retention { keep, interval }
}

impl EngineConfig {
    pub(super) fn read(s: &Section<'_, '_>) -> Self {
        Self {
            instances: s
                .key("instances", whole(), "Plugin calls at the same time.")
                .range("1", "1000")
                .optional("by the number of processors"),
        }
    }
}

impl DeliveryConfig {
    pub(super) fn read(s: &Section<'_, '_>) -> Self {
        Self {
            memory: s
                .key("memory", SIZE, "Memory for the bodies of due deliveries, divided among the destinations; the rest stays on disk.")
                .range("1MiB", "64GiB")
                .default("256MiB"),
            response_excerpt: s
                .key(
                    "response_excerpt",
                    SIZE,
                    "How much of a destination's answer is kept with the attempt.",
                )
                .range("0B", "64KiB")
                .default("4KiB"),
            ports: s
                .key("ports", List(whole()), "The only ports that destinations may have.")
                .optional("all but those of other protocols, as 25 and 6379"),
        }
    }
}

impl LogConfig {
    pub(super) fn read(s: &Section<'_, '_>) -> Self {
        const FORMATS: Choice<LogFormat> =
            Choice(&[("text", LogFormat::Text), ("json", LogFormat::Json)]);
        const LEVELS: Choice<LogLevel> = Choice(&[
            ("error", LogLevel::Error),
            ("warn", LogLevel::Warn),
            ("info", LogLevel::Info),
            ("debug", LogLevel::Debug),
            ("trace", LogLevel::Trace),
        ]);
        Self {
            format: s.key("format", FORMATS, "For people or for programs.").default("text"),
            level: s
                .key("level", LEVELS, "The least serious lines that are written.")
                .default("info"),
        }
    }
}

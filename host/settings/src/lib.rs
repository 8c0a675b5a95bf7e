//! The values of the settings, as one type each: pure data with its units and defaults.
//!
//! `config` reads the settings file into these types, and the parts take them as they are: `delivery` and `egress` a
//! [`Destination`], `intake` an [`EndpointOptions`] for each source, `server` its [`TlsFiles`] and [`ListenerLimits`], `admin` its
//! [`AdminToken`]s and the [`Retention`]. So a new key is a field here, its line in the reader, and its use. What holds no
//! secret and is used below this crate lives in `model`: [`hookwright_model::retry::Policy`],
//! [`hookwright_model::Rate`], [`hookwright_model::Scope`], and [`hookwright_model::plugin`], since the engine may hold no
//! secret.
#![deny(missing_docs)]
mod admin;
mod destination;
mod file;
mod lane;
mod listener;
mod retention;
mod source;
mod tls;
mod transport;

pub use admin::AdminToken;
pub use destination::{Auth, Destination, Fill, LinesOptions, OAuth2, PostOptions, To};
pub use file::{FILE_MODE, FileOptions};
pub use lane::{Batch, Breaker, Format};
pub use listener::ListenerLimits;
pub use retention::Retention;
pub use source::{
    Answer, ClientPins, Dedupe, EndpointOptions, Proxies, Selector, SourceOptions, ToldBy,
};
pub use tls::TlsFiles;
pub use transport::{
    Identity, NetworkPolicy, Pem, Phases, Proxy, TlsOptions, TlsVersion, Transport,
};

//! The server's own test kit, over the server as a crate.
use hookwright_server::{Options, Service, bind, serve};

#[allow(dead_code, reason = "the server's tests use more of it")]
#[path = "../../../../server/src/kit.rs"]
pub(super) mod kit;

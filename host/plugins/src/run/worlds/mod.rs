//! The interfaces of the contract that a guest may import: each implements one for [`Guest`](super::guest::Guest).
mod body;
mod http;
mod kv;
mod log;
mod responder;

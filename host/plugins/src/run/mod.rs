//! One call of a plugin: the instance, its limits, and what the host offers it.
pub(crate) mod bindings;
pub(crate) mod call;
pub(crate) mod code;
pub(crate) mod engine;
pub(crate) mod fault;
pub(crate) mod host;
pub(crate) mod http;
pub(crate) mod kv;
pub(crate) mod log;
pub(crate) mod responder;
pub(crate) mod slow;
pub(crate) mod ticks;
pub(crate) mod verdict;
pub(crate) mod waits;
pub(crate) mod warm;
pub(crate) mod wasi;

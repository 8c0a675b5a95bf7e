//! The cases, by what they ask. [`suite!`](crate::suite) names each of them.
#![allow(missing_docs)] // Their names say what they ask.
pub mod claims;
pub mod intake;
pub mod kept;
pub mod lists;
pub mod model;
pub mod order;
pub mod rounds;

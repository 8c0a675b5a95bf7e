//! What tests of several crates need: a receiver that behaves as it is told, and the corpus of guests. Knows nothing of
//! the router, so every crate can use it without a circle.
pub mod guest;
pub mod receiver;

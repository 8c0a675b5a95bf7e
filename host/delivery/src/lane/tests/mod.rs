//! The parts of a lane by themselves.
mod health;
mod window;

//! The process's standard output and standard error as commands use them: text that can't control a terminal, a quiet
//! exit if the reader went away, and bytes past the standard library's buffers.
#![deny(missing_docs)]

mod paint;
mod print;
mod stream;

pub use paint::{Paint, columns, harmless};
pub use print::{complain, json, json_line, note, print, print_before, print_raw};
pub use stream::{Short, Stream};

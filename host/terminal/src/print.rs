//! What commands print, and how they end where nobody reads any more.
use hookwright_model::printable_json;

use crate::paint::harmless;
use crate::stream::{Short, Stream};

/// The whole chain of causes, once, on standard error.
pub fn complain(error: &anyhow::Error) {
    note(&format!("hookwright: {error:#}"));
}

/// A line for the person at the terminal, on standard error. Where that is closed, the exit code has to do.
pub fn note(text: &str) {
    let _ = Stream::Error.write_all(format!("{}\n", harmless(text)).as_bytes());
}

/// A document for a program, which steers no terminal either.
pub fn json(document: &serde_json::Value) -> String {
    printable_json(&format!("{document:#}\n")).into_owned()
}

/// As `json`, in one line.
pub fn json_line(document: &serde_json::Value) -> String {
    printable_json(&format!("{document}\n")).into_owned()
}

/// Writes lines to standard output. A reader that went away (`| head`) ends the process
/// quietly; where the answer can't be written at all, the command failed.
pub fn print(text: &str) {
    print_before(text, 0);
}

/// Bytes as they are, for who asked for them. Ends as `print`.
pub fn print_raw(bytes: &[u8]) {
    ended(Stream::Output.write_all(bytes), 0);
}

/// The last thing that a command prints, before it ends with `code`: a reader that went away
/// does not change the code.
pub fn print_before(text: &str, code: u8) {
    ended(Stream::Output.write_all(harmless(text).as_bytes()), code);
}

fn ended(written: Result<(), Short>, code: u8) {
    match written.map_err(|short| short.error) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            std::process::exit(code.into())
        }
        Err(error) => {
            complain(&anyhow::Error::new(error).context("can't write to standard output"));
            std::process::exit(1)
        }
    }
}

//! Printing by commands, and how they exit if the reader is gone.
use hookwright_model::printable_json;

use crate::paint::harmless;
use crate::stream::{Short, Stream};

/// Prints the whole chain of causes, once, to standard error.
pub fn complain(error: &anyhow::Error) {
    note(&format!("hookwright: {error:#}"));
}

/// Prints a line for the user, to standard error. If that is closed, only the exit code remains.
pub fn note(text: &str) {
    let _ = Stream::Error.write_all(format!("{}\n", harmless(text)).as_bytes());
}

/// A JSON document for a program, with control characters escaped too.
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

/// Prints bytes unchanged, for `--raw`. Ends as `print`.
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

//! Standard output as a place for lines.
use std::io;

use hookwright_terminal::Stream;

/// What is known of it from one write to the next.
#[derive(Default)]
pub(super) struct Output {
    /// The last write ended within a line.
    torn: bool,
}

impl Output {
    /// Blocks as long as its reader does not read.
    ///
    /// # Errors
    /// The reader is gone. A part may have been written; the next line begins
    /// on a line of its own.
    pub(super) fn put(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.torn {
            Stream::Output.write_all(b"\n")?;
            self.torn = false;
        }
        let written = Stream::Output.write_all(lines);
        let last = written.as_ref().err().and_then(|short| lines.get(..short.written)?.last());
        self.torn = last.is_some_and(|byte| *byte != b'\n');
        Ok(written?)
    }
}

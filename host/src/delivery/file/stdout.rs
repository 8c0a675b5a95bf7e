//! Standard output as a place for lines.
use std::io::{self, Write};

/// What is known of it from one write to the next.
#[derive(Default)]
pub(super) struct Output {
    /// The last write failed, perhaps within a line.
    torn: bool,
}

impl Output {
    /// Blocks as long as its reader does not read.
    ///
    /// # Errors
    /// The reader is gone. A part may have been written; the next line begins
    /// on a line of its own.
    pub(super) fn put(&mut self, lines: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let torn = std::mem::replace(&mut self.torn, true);
        if torn {
            out.write_all(b"\n")?;
        }
        out.write_all(lines)?;
        out.flush()?;
        self.torn = false;
        Ok(())
    }
}

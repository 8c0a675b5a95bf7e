//! The sink of log lines: a bounded queue and a thread of its own, so that code that logs never waits and never fails.
//!
//! Lines that find the queue full, or that can't be written, are lost and counted. The rest of the host is not affected.
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::metrics::counter;
use parking_lot::{Condvar, Mutex};
use tracing_subscriber::fmt::MakeWriter;

use hookwright_model::metrics::LOG_LOST;
use hookwright_terminal::Short;

/// Bytes of lines that wait; the writer may hold the same amount in addition.
const ROOM: usize = 1 << 20;
/// A pipe keeps writes up to this many bytes in one piece (`PIPE_BUF`), even where other processes write into it.
const PIECE: usize = 4_096;
/// Capacity that the queue's two buffers keep after a burst, in bytes.
const KEPT: usize = 64 * 1024;

/// The producer's end of the queue. Clones share the queue.
#[derive(Clone)]
pub(super) struct Sink(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    /// Notified when there are lines to write.
    filled: Condvar,
    /// Notified when all lines are written.
    written: Condvar,
}

#[derive(Default)]
struct Queue {
    lines: Vec<u8>,
    /// Whether the thread is writing lines.
    writing: bool,
    /// Lines lost since the last report.
    lost: u64,
}

/// The writer: standard error, or a test's own.
pub(super) trait Put: FnMut(&[u8]) -> Result<(), Short> + Send + 'static {}

impl<P: FnMut(&[u8]) -> Result<(), Short> + Send + 'static> Put for P {}

impl Sink {
    /// Starts the thread, which ends with the process.
    ///
    /// # Errors
    /// Where the system has no thread left.
    pub(super) fn start(put: impl Put) -> io::Result<Self> {
        let shared =
            Shared { queue: Mutex::default(), filled: Condvar::new(), written: Condvar::new() };
        let sink = Self(Arc::new(shared));
        let mut writer = Writer { sink: sink.clone(), put, cut: false };
        std::thread::Builder::new().name("log".to_owned()).spawn(move || writer.run())?;
        Ok(sink)
    }

    /// One line with its newline; never waits for the reader.
    fn line(&self, line: &[u8]) {
        let mut queue = self.0.queue.lock();
        if queue.lines.len() + line.len() > ROOM {
            queue.lost += 1;
            drop(queue);
            counter!(LOG_LOST, "reason" => "full").increment(1);
            return;
        }
        queue.lines.extend_from_slice(line);
        drop(queue);
        self.0.filled.notify_one();
    }

    /// Waits until all lines up to now are written, at most `timeout`. False where they are not.
    pub(super) fn flush(&self, timeout: Duration) -> bool {
        let end = Instant::now() + timeout;
        let mut queue = self.0.queue.lock();
        while queue.writing || !queue.lines.is_empty() {
            if self.0.written.wait_until(&mut queue, end).timed_out() {
                return false;
            }
        }
        true
    }
}

impl<'s> MakeWriter<'s> for Sink {
    type Writer = &'s Sink;

    fn make_writer(&'s self) -> Self::Writer {
        self
    }
}

/// The subscriber writes each line with one call.
impl io::Write for &Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.line(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Writer<P> {
    sink: Sink,
    put: P,
    /// Whether the last line was cut off, so that the next one must begin with a newline.
    cut: bool,
}

impl<P: Put> Writer<P> {
    fn run(&mut self) {
        let mut batch = Vec::new();
        loop {
            let shared = &self.sink.0;
            let mut queue = shared.queue.lock();
            queue.writing = false;
            while queue.lines.is_empty() {
                shared.written.notify_all();
                shared.filled.wait(&mut queue);
            }
            queue.writing = true;
            std::mem::swap(&mut queue.lines, &mut batch);
            drop(queue);
            let lost = self.write(&batch);
            batch.clear();
            batch.shrink_to(KEPT);
            if lost > 0 {
                counter!(LOG_LOST, "reason" => "failed").increment(lost);
                self.sink.0.queue.lock().lost += lost;
            } else {
                let lost = std::mem::take(&mut self.sink.0.queue.lock().lost);
                if lost > 0 {
                    tracing::warn!(lines = lost, "log lines were lost: nobody read them in time");
                }
            }
        }
    }

    /// Whole lines; how many of them were lost.
    fn write(&mut self, lines: &[u8]) -> u64 {
        let (mut rest, mut lost) = (lines, 0);
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(piece(rest));
            rest = after;
            if self.cut && (self.put)(b"\n").is_ok() {
                self.cut = false;
            }
            if let Err(Short { written, .. }) = (self.put)(piece) {
                let left = piece.get(written..).unwrap_or_default();
                lost += left.iter().filter(|byte| **byte == b'\n').count() as u64;
                let ended = written.checked_sub(1).and_then(|last| piece.get(last));
                self.cut |= ended.is_some_and(|byte| *byte != b'\n');
            }
        }
        lost
    }
}

/// The length of the whole lines that fit into one piece, or of one line that is longer.
fn piece(lines: &[u8]) -> usize {
    let newline = |byte: &u8| *byte == b'\n';
    let first = &lines[..lines.len().min(PIECE)];
    let end = first.iter().rposition(newline).or_else(|| lines.iter().position(newline));
    end.map_or(lines.len(), |end| end + 1)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn failed(written: usize) -> Result<(), Short> {
        Err(Short { written, error: io::ErrorKind::BrokenPipe.into() })
    }

    #[test]
    fn lines_come_out_whole_and_in_order() {
        let (out, written) = mpsc::channel();
        let sink = Sink::start(move |bytes: &[u8]| {
            out.send(bytes.to_vec()).expect("the test reads");
            Ok(())
        });
        let sink = sink.unwrap();
        let lines: Vec<String> =
            (0..200).map(|number| format!("{number} {}\n", "x".repeat(number * 40))).collect();
        for line in &lines {
            sink.line(line.as_bytes());
        }
        assert!(sink.flush(LONG));
        let pieces: Vec<Vec<u8>> = written.try_iter().collect();
        assert!(pieces.iter().all(|piece| piece.ends_with(b"\n")));
        assert_eq!(String::from_utf8(pieces.concat()).unwrap(), lines.concat());
    }

    #[test]
    fn a_reader_that_stalls_holds_nobody_up_and_costs_lines_only() {
        let (go, wait) = mpsc::channel::<()>();
        let (out, written) = mpsc::channel();
        let sink = Sink::start(move |bytes: &[u8]| {
            let _ = wait.recv();
            let _ = out.send(bytes.to_vec());
            Ok(())
        });
        let sink = sink.unwrap();
        let line = [&[b'x'; 1_023][..], b"\n"].concat();
        for _ in 0..8 * 1_024 {
            sink.line(&line);
        }
        let queue = sink.0.queue.lock();
        let (waiting, lost) = (queue.lines.len(), queue.lost);
        drop(queue);
        assert!(waiting <= ROOM && lost > 5 * 1_024, "{waiting} bytes wait, {lost} are lost");
        assert!(!sink.flush(Duration::from_millis(10)), "nothing is written yet");
        drop(go);
        assert!(sink.flush(LONG));
        let whole = written.try_iter().map(|piece| piece.len()).sum::<usize>() / line.len();
        assert_eq!(whole as u64 + lost, 8 * 1_024, "each line is written or counted");
    }

    #[test]
    fn a_line_that_was_cut_off_is_ended_before_the_next_one() {
        let (out, written) = mpsc::channel();
        let mut fails = 1;
        let sink = Sink::start(move |bytes: &[u8]| {
            if fails > 0 {
                fails -= 1;
                let _ = out.send(bytes[..3].to_vec());
                return failed(3);
            }
            let _ = out.send(bytes.to_vec());
            Ok(())
        });
        let sink = sink.unwrap();
        sink.line(b"first\n");
        assert!(sink.flush(LONG));
        sink.line(b"second\n");
        assert!(sink.flush(LONG));
        assert_eq!(written.try_iter().collect::<Vec<_>>().concat(), b"fir\nsecond\n");
    }
}

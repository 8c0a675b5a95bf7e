//! How fields become a line: whatever stands in one, it stays one line, steers no terminal, and can't pass for another field.
use std::error::Error;
use std::fmt::{self, Debug, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

use hookwright_model::{printable_json, write_printable};

/// Fields of the text format: `message name=value name="a value with blanks"`.
pub(super) struct Fields;

impl<'w> FormatFields<'w> for Fields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut visitor = Visitor { writer, first: true, done: Ok(()) };
        fields.record(&mut visitor);
        visitor.done
    }
}

struct Visitor<'w> {
    writer: Writer<'w>,
    first: bool,
    done: fmt::Result,
}

impl Visitor<'_> {
    fn put(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if self.done.is_ok() {
            self.done = self.write(field.name(), value);
        }
    }

    fn write(&mut self, name: &str, value: fmt::Arguments<'_>) -> fmt::Result {
        if !std::mem::take(&mut self.first) {
            self.writer.write_char(' ')?;
        }
        if name == "message" {
            return write!(Escaping(&mut self.writer), "{value}");
        }
        let name = name.strip_prefix("r#").unwrap_or(name);
        match self.writer.has_ansi_escapes() {
            // In italics, and faint.
            true => write!(self.writer, "\u{1b}[3m{name}\u{1b}[0m\u{1b}[2m=\u{1b}[0m")?,
            false => write!(self.writer, "{name}=")?,
        }
        let mut text = String::new();
        write!(Escaping(&mut text), "{value}")?;
        if is_one_word(&text) {
            return self.writer.write_str(&text);
        }
        // A backslash of its own must not take the quote's place.
        let slashes = text.contains("\\\"") || text.ends_with('\\');
        self.writer.write_char('"')?;
        for char in text.chars() {
            if char == '"' || (slashes && char == '\\') {
                self.writer.write_char('\\')?;
            }
            self.writer.write_char(char)?;
        }
        self.writer.write_char('"')
    }
}

/// Whether a reader sees where it ends without quotes: no blank, quote or `=`, or quoted already.
fn is_one_word(text: &str) -> bool {
    let quoted = text.len() > 1 && text.starts_with('"') && text.ends_with('"');
    let inner = if quoted { &text[1..text.len() - 1] } else { text };
    let mut escaped = false;
    let ends = |char: char| {
        let ends = char == '"' && !std::mem::take(&mut escaped);
        escaped = char == '\\' && !escaped;
        ends
    };
    if quoted {
        // As `Debug` writes a text.
        return !inner.contains(ends) && !escaped;
    }
    !text.is_empty()
        && !text.contains(|char: char| char.is_whitespace() || matches!(char, '"' | '='))
}

impl Visit for Visitor<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.put(field, format_args!("{value}"));
        } else {
            self.put(field, format_args!("{value:?}"));
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            // A String takes all.
            let _ = write!(text, ": {error}");
            cause = error.source();
        }
        self.put(field, format_args!("{text}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, format_args!("{value:?}"));
    }
}

/// Escapes what is written through it.
struct Escaping<'w, W>(&'w mut W);

impl<W: Write> Write for Escaping<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write_printable(self.0, text)
    }
}

/// A JSON format whose lines steer nothing either: JSON itself leaves C1 controls and marks of direction as they are.
pub(super) struct SafeJson<F>(pub(super) F);

impl<S, N, F> FormatEvent<S, N> for SafeJson<F>
where
    S: Subscriber + for<'l> LookupSpan<'l>,
    N: for<'w> FormatFields<'w> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        writer.write_str(&printable_json(&line))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl<'l> MakeWriter<'l> for Lines {
        type Writer = Self;

        fn make_writer(&'l self) -> Self {
            self.clone()
        }
    }

    const HOSTILE: &str =
        "x\n2026-01-01T00:00:00Z  INFO all is well\u{1b}[2J\u{9b}2J\u{202e}\u{2028}\r";

    fn log(subscriber: impl Subscriber + Send + Sync, lines: &Lines) -> String {
        tracing::subscriber::with_default(subscriber, || {
            tracing::info_span!("in", cause = HOSTILE).in_scope(|| {
                tracing::info!(cause = %HOSTILE, text = HOSTILE, list = ?[HOSTILE], "{HOSTILE}");
            });
        });
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    /// Keys of a body that failed a schema stood in the log as lines of their own, and their ESC reached the terminal.
    #[test]
    fn regression_no_field_forges_a_line_or_steers_a_terminal() {
        let lines = Lines::default();
        let builder = tracing_subscriber::fmt().with_writer(lines.clone()).with_ansi(false);
        let text = log(builder.fmt_fields(Fields).finish(), &lines);
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!text.trim_end().contains(hookwright_model::steers), "{text:?}");
        let lines = Lines::default();
        let builder = tracing_subscriber::fmt().with_writer(lines.clone()).json();
        let json = log(builder.map_event_format(SafeJson).finish(), &lines);
        assert_eq!(json.lines().count(), 1, "{json}");
        assert!(!json.trim_end().contains(hookwright_model::steers), "{json:?}");
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read["fields"]["cause"], HOSTILE, "its value is what it was");
    }

    #[test]
    fn a_value_cannot_pass_for_another_field() {
        let lines = Lines::default();
        let builder = tracing_subscriber::fmt().with_writer(lines.clone()).with_ansi(false);
        tracing::subscriber::with_default(builder.fmt_fields(Fields).finish(), || {
            let (cause, quoted) = ("a status=200", "a\" status=200 x=\"b\\");
            tracing::info!(%cause, %quoted, plain = %"127.0.0.1", empty = %"", "refused");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let expected = r#"refused cause="a status=200" quoted="a\" status=200 x=\"b\\" plain=127.0.0.1 empty="""#;
        assert!(text.trim_end().ends_with(expected), "{text}");
    }
}

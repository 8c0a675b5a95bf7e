//! Formats log entries: whatever a field contains, the entry is one line, controls no terminal, and can't imitate
//! another field.
use std::error::Error;
use std::fmt::{self, Debug, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use hookwright_model::{printable_json, write_printable};

use crate::targets::public;

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

/// Whether its end is clear without quotes: no space, quote or `=`, or quoted already.
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

/// The text format: `TIME LEVEL span{fields}: target: message name=value`, like the library's own, with the public name
/// of the target.
pub(super) struct Text<T>(pub(super) T);

impl<S, N, T> FormatEvent<S, N> for Text<T>
where
    S: Subscriber + for<'l> LookupSpan<'l>,
    N: for<'w> FormatFields<'w> + 'static,
    T: FormatTime,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let style = Style { ansi: writer.has_ansi_escapes() };
        style.begin(&mut writer, Style::FAINT)?;
        self.0.format_time(&mut writer)?;
        style.end(&mut writer)?;
        let (colour, level) = match *event.metadata().level() {
            Level::ERROR => (31, "ERROR"),
            Level::WARN => (33, " WARN"),
            Level::INFO => (32, " INFO"),
            Level::DEBUG => (34, "DEBUG"),
            Level::TRACE => (35, "TRACE"),
        };
        writer.write_char(' ')?;
        style.write(&mut writer, colour, level)?;
        writer.write_char(' ')?;
        let mut spans = context.event_scope().into_iter().flat_map(|scope| scope.from_root());
        let mut any = false;
        for span in &mut spans {
            any = true;
            style.write(&mut writer, Style::BOLD, span.metadata().name())?;
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<N>>();
            if let Some(fields) = fields.filter(|fields| !fields.is_empty()) {
                style.write(&mut writer, Style::BOLD, "{")?;
                write!(writer, "{fields}")?;
                style.write(&mut writer, Style::BOLD, "}")?;
            }
            style.write(&mut writer, Style::FAINT, ":")?;
        }
        if any {
            writer.write_char(' ')?;
        }
        style.write(&mut writer, Style::FAINT, &public(event.metadata().target()))?;
        style.write(&mut writer, Style::FAINT, ":")?;
        writer.write_char(' ')?;
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

/// ANSI escapes around a part of a line, where the reader is a terminal.
#[derive(Clone, Copy)]
struct Style {
    ansi: bool,
}

impl Style {
    const BOLD: u8 = 1;
    const FAINT: u8 = 2;

    fn begin(self, writer: &mut Writer<'_>, code: u8) -> fmt::Result {
        if self.ansi { write!(writer, "\u{1b}[{code}m") } else { Ok(()) }
    }

    fn end(self, writer: &mut Writer<'_>) -> fmt::Result {
        if self.ansi { writer.write_str("\u{1b}[0m") } else { Ok(()) }
    }

    fn write(self, writer: &mut Writer<'_>, code: u8, text: &str) -> fmt::Result {
        self.begin(writer, code)?;
        writer.write_str(text)?;
        self.end(writer)
    }
}

/// The library's JSON format, made without a target, with two changes: the field `target` has the public name; and
/// C1 controls and marks of text direction, which JSON leaves unescaped, are escaped.
pub(super) struct Json<F>(pub(super) F);

impl<S, N, F> FormatEvent<S, N> for Json<F>
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
        let object = line.trim_end().strip_suffix('}').ok_or(fmt::Error)?;
        let target = serde_json::Value::from(public(event.metadata().target()));
        writeln!(writer, "{},\"target\":{target}}}", printable_json(object))
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::fmt::format::Format;

    use super::*;
    use crate::testing::Lines;

    const HOSTILE: &str =
        "x\n2026-01-01T00:00:00Z  INFO all is well\u{1b}[2J\u{9b}2J\u{202e}\u{2028}\r";

    fn log(subscriber: impl Subscriber + Send + Sync, lines: &Lines) -> String {
        tracing::subscriber::with_default(subscriber, || {
            tracing::info_span!("in", cause = HOSTILE).in_scope(|| {
                tracing::info!(cause = %HOSTILE, text = HOSTILE, list = ?[HOSTILE], "{HOSTILE}");
            });
        });
        lines.text()
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
        let json = log(builder.with_target(false).map_event_format(Json).finish(), &lines);
        assert_eq!(json.lines().count(), 1, "{json}");
        assert!(!json.trim_end().contains(hookwright_model::steers), "{json:?}");
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read["fields"]["cause"], HOSTILE, "its value is what it was");
        assert_eq!(read["target"], "hookwright::telemetry::format::tests");
    }

    #[test]
    fn a_value_cannot_pass_for_another_field() {
        let lines = Lines::default();
        let builder = tracing_subscriber::fmt().with_writer(lines.clone()).with_ansi(false);
        tracing::subscriber::with_default(builder.fmt_fields(Fields).finish(), || {
            let (cause, quoted) = ("a status=200", "a\" status=200 x=\"b\\");
            tracing::info!(%cause, %quoted, plain = %"127.0.0.1", empty = %"", "refused");
        });
        let text = lines.text();
        let expected = r#"refused cause="a status=200" quoted="a\" status=200 x=\"b\\" plain=127.0.0.1 empty="""#;
        assert!(text.trim_end().ends_with(expected), "{text}");
    }

    /// A clock that stands.
    struct Noon;

    impl FormatTime for Noon {
        fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
            writer.write_str("2026-01-01T12:00:00.000000Z")
        }
    }

    fn events() {
        tracing::error!(target: "plugin", place = "here", "an error");
        let outer = tracing::info_span!("outer", source = "a b");
        let _in_outer = outer.enter();
        tracing::warn!(target: "plugin", "a warning");
        let bare = tracing::info_span!("bare");
        let _in_bare = bare.enter();
        tracing::info!(target: "plugin", "for information");
        tracing::debug!(target: "plugin", number = 1, "for us");
        tracing::trace!(target: "plugin", "all");
    }

    #[test]
    fn a_line_looks_as_the_library_makes_it() {
        for ansi in [true, false] {
            let builder = || {
                tracing_subscriber::fmt()
                    .with_max_level(Level::TRACE)
                    .with_ansi(ansi)
                    .fmt_fields(Fields)
            };
            let (ours, theirs) = (Lines::default(), Lines::default());
            let own = builder().event_format(Text(Noon)).with_writer(ours.clone()).finish();
            tracing::subscriber::with_default(own, events);
            let format = Format::default().with_timer(Noon);
            let library = builder().event_format(format).with_writer(theirs.clone()).finish();
            tracing::subscriber::with_default(library, events);
            assert_eq!(ours.text().lines().count(), 5);
            assert_eq!(ours.text(), theirs.text());
        }
    }

    /// After the host became several crates, lines named those in the place of the modules that users know.
    #[test]
    fn regression_lines_name_the_public_targets() {
        let event = || tracing::info!(target: "hookwright_store_embedded::writer", "synced");
        let lines = Lines::default();
        let builder = tracing_subscriber::fmt().with_writer(lines.clone()).with_ansi(false);
        let text = builder.fmt_fields(Fields).event_format(Text(Noon)).finish();
        tracing::subscriber::with_default(text, event);
        let expected =
            "2026-01-01T12:00:00.000000Z  INFO hookwright::store::embedded::writer: synced\n";
        assert_eq!(lines.text(), expected);
        let lines = Lines::default();
        let builder = tracing_subscriber::fmt().with_writer(lines.clone()).json();
        let builder = builder.flatten_event(true).with_target(false).with_timer(Noon);
        tracing::subscriber::with_default(builder.map_event_format(Json).finish(), event);
        let expected = r#"{"timestamp":"2026-01-01T12:00:00.000000Z","level":"INFO","message":"synced","target":"hookwright::store::embedded::writer"}"#;
        assert_eq!(lines.text(), format!("{expected}\n"));
    }
}

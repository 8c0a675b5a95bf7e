//! `file` and `stdout` of a destination: a line of JSON for each delivery.
use super::super::kind::{DURATION, File, SIZE, Text, whole};
use super::super::reader::Section;
use super::super::unit::{Fault, quote};
use hookwright_settings::FileOptions;

/// Permissions in octal digits, as `chmod` takes them. Whoever makes the file
/// may read and write it; nobody may run it, and not everybody may write to it.
const MODE: Text<u32> = Text { name: "mode", example: "\"0640\"", unit: "", parse: mode };

fn mode(text: &str) -> Result<u32, Fault> {
    let help = "write four octal digits, as `\"0600\"` or `\"0640\"`";
    let octal = text.len() == 4 && text.bytes().all(|digit| matches!(digit, b'0'..=b'7'));
    let bits = u32::from_str_radix(text, 8).ok().filter(|_| octal);
    let bits = bits.ok_or_else(|| Fault::new(format!("{} is not a mode", quote(text)), help))?;
    if bits & 0o600 != 0o600 || bits & !0o664 != 0 {
        let message = format!("{} is not a mode for a file of events", quote(text));
        let help = "its owner reads and writes it, others of its group may, everybody may read it at the most: `\"0600\"` to `\"0664\"`";
        return Err(Fault::new(message, help));
    }
    Ok(bits)
}

pub(super) fn read(s: &Section<'_, '_>) -> Option<FileOptions> {
    let doc = "Where lines are appended to. Its folder is made where it is missing.";
    let path = s.key("path", File { checked: false }, doc).required();
    let doc = "A new file is begun where this one would grow larger; the time is added to the name of the full one.";
    let max_size = s.key("max_size", SIZE, doc).range("1KiB", "1024GiB").optional("no limit");
    let doc = "A new file is begun, with the next delivery, when this one has reached this age.";
    let max_age = s.key("max_age", DURATION, doc).range("1m", "365d").optional("no limit");
    let doc = "How many full files are kept.";
    let keep = s.key("keep", whole(), doc).range("0", "100000").optional("all");
    let doc = "Permissions of a new file, whatever the umask: `\"0640\"` lets its group read it. A file that is there already keeps its own.";
    let mode = s.key("mode", MODE, doc).default("\"0600\"");
    Some(FileOptions { path: path?, max_size, max_age, keep, mode })
}

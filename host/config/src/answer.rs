//! `answer` of a source: what its provider gets for an accepted event.
use http::{HeaderValue, StatusCode};

use super::kind::{Text, whole};
use super::reader::Section;
use super::unit::{Fault, quote};
use hookwright_settings::Answer;

const CONTENT_TYPE: Text<HeaderValue> = Text {
    name: "content type",
    example: "\"text/xml\"",
    unit: "",
    parse: |text| {
        let help = "write it as it stands in the header, `text/xml` for example";
        text.parse().map_err(|_| Fault::new(format!("{} is no content type", quote(text)), help))
    },
};

const BODY: Text<String> =
    Text { name: "text", example: "\"ok\"", unit: "", parse: |text| Ok(text.to_owned()) };

pub(super) fn read(s: &Section<'_, '_>) -> Option<Answer> {
    let doc = "A success: the event is on the disk by then.";
    let status = s.key("status", whole::<u16>(), doc).range("200", "299").default("200");
    let content_type = s.key("content_type", CONTENT_TYPE, "Of the body.").optional("none");
    let body = s.key("body", BODY, "As it stands here.").default("\"\"");
    if matches!(status, 204 | 205) && !body.is_empty() {
        let message = format!("status {status} has no body");
        s.wrong("body", Fault::new(message, "remove it, or choose another status"));
    }
    Some(Answer { status: StatusCode::from_u16(status).ok()?, content_type, body: body.into() })
}

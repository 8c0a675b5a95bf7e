//! One strict walk over JSON text (RFC 8259) that notes where each value stands.
use super::JsonError;
use super::document::Kind;

/// Deeper text is refused: the walk recurses, and a guest's stack is small.
const MAX_DEPTH: usize = 128;

/// What some senders begin a text with.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Where one value stands. The values inside it follow it directly, so a
/// container's content is the spans from the next one up to `after`; in an
/// object these are names and values in turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
    /// The index of the first span behind this value.
    pub(super) after: usize,
}

pub(super) fn scan(text: &str) -> Result<Vec<Span>, JsonError> {
    // In front a byte order mark means nothing (RFC 8259, section 8.1); an edit leaves it there.
    let at = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
    let mut scanner = Scanner { bytes: text.as_bytes(), at, spans: Vec::new() };
    scanner.space();
    scanner.value(0)?;
    scanner.space();
    if scanner.at < scanner.bytes.len() {
        return Err(scanner.wrong("more text after the value"));
    }
    Ok(scanner.spans)
}

struct Scanner<'t> {
    bytes: &'t [u8],
    at: usize,
    spans: Vec<Span>,
}

impl Scanner<'_> {
    fn value(&mut self, depth: usize) -> Result<(), JsonError> {
        if depth > MAX_DEPTH {
            return Err(self.wrong("more than 128 levels"));
        }
        let (index, start) = (self.spans.len(), self.at);
        self.spans.push(Span { kind: Kind::Null, start, end: start, after: index + 1 });
        let kind = match self.peek() {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.array(depth)?,
            Some(b'"') => self.string()?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word(b"true", Kind::Bool)?,
            Some(b'f') => self.word(b"false", Kind::Bool)?,
            Some(b'n') => self.word(b"null", Kind::Null)?,
            _ => return Err(self.wrong("a value is missing")),
        };
        self.spans[index] = Span { kind, start, end: self.at, after: self.spans.len() };
        Ok(())
    }

    fn object(&mut self, depth: usize) -> Result<Kind, JsonError> {
        self.at += 1;
        self.space();
        if self.take(b'}') {
            return Ok(Kind::Object);
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.wrong("a member's name is missing"));
            }
            self.value(depth + 1)?;
            self.space();
            if !self.take(b':') {
                return Err(self.wrong("a colon is missing"));
            }
            self.space();
            self.value(depth + 1)?;
            self.space();
            if self.take(b'}') {
                return Ok(Kind::Object);
            }
            if !self.take(b',') {
                return Err(self.wrong("a comma or a closing brace is missing"));
            }
            self.space();
        }
    }

    fn array(&mut self, depth: usize) -> Result<Kind, JsonError> {
        self.at += 1;
        self.space();
        if self.take(b']') {
            return Ok(Kind::Array);
        }
        loop {
            self.value(depth + 1)?;
            self.space();
            if self.take(b']') {
                return Ok(Kind::Array);
            }
            if !self.take(b',') {
                return Err(self.wrong("a comma or a closing bracket is missing"));
            }
            self.space();
        }
    }

    fn string(&mut self) -> Result<Kind, JsonError> {
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Kind::String);
                }
                Some(b'\\') => self.escape()?,
                Some(0..0x20) => return Err(self.wrong("a control character in a string")),
                Some(_) => self.at += 1,
                None => return Err(self.wrong("a string without an end")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                let digits = self.bytes.get(self.at + 1..self.at + 5);
                if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    return Err(self.wrong("an escape without four hexadecimal digits"));
                }
                self.at += 5;
            }
            _ => return Err(self.wrong("an unknown escape")),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Kind, JsonError> {
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _sign = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Ok(Kind::Number)
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(self.wrong("a digit is missing")) } else { Ok(()) }
    }

    fn word(&mut self, word: &[u8], kind: Kind) -> Result<Kind, JsonError> {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(self.wrong("an unknown word"));
        }
        self.at += word.len();
        Ok(kind)
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn wrong(&self, problem: &'static str) -> JsonError {
        JsonError { at: self.at, problem }
    }
}

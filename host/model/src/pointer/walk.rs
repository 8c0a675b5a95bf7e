//! One walk over a JSON text: the grammar of RFC 8259, nothing read that is not needed, and no recursion.
use super::wanted::{ROOT, Wanted};

/// The text breaks the grammar.
pub(super) struct Broken;

/// A walk under way. How deep a text nests, whoever wrote it decides: a level
/// costs one bit here, and nothing of the stack that the walk runs on.
pub(super) struct Walk<'j, 'w> {
    text: &'j str,
    at: usize,
    next: Next,
    /// One bit for each level that is open: whether it is an object.
    kinds: Vec<u64>,
    depth: usize,
    /// The levels that pointers lead into: no more than a pointer has tokens.
    followed: Vec<Level>,
    /// Where the value stands that comes now; none where no pointer leads to it.
    node: Option<usize>,
    wanted: &'w Wanted,
    found: Vec<Option<&'j str>>,
}

/// What may stand where the walk is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    CommaOrEnd,
    /// Nothing: the document is over.
    Over,
}

struct Level {
    depth: usize,
    node: usize,
    start: usize,
    /// The element that comes or came.
    index: usize,
}

impl<'j, 'w> Walk<'j, 'w> {
    pub(super) fn new(text: &'j str, wanted: &'w Wanted) -> Self {
        Self {
            text,
            at: 0,
            next: Next::Value,
            kinds: Vec::new(),
            depth: 0,
            followed: Vec::new(),
            node: Some(ROOT),
            wanted,
            found: vec![None; wanted.count()],
        }
    }

    /// Goes on for about that many bytes. True once the text is over.
    pub(super) fn go(&mut self, bytes: usize) -> Result<bool, Broken> {
        let until = self.at.saturating_add(bytes);
        while self.at < until {
            self.skip_space();
            let next = self.next;
            match next {
                Next::Value => self.value()?,
                Next::ValueOrEnd if self.take(b']') => self.close(),
                Next::ValueOrEnd => self.value()?,
                Next::KeyOrEnd if self.take(b'}') => self.close(),
                Next::Key | Next::KeyOrEnd => self.key()?,
                Next::CommaOrEnd => self.comma_or_end()?,
                Next::Over if self.at == self.text.len() => return Ok(true),
                Next::Over => return Err(Broken),
            }
        }
        Ok(false)
    }

    /// What was found; to be asked once the text is over.
    pub(super) fn found(self) -> Vec<Option<&'j str>> {
        self.found
    }

    fn rest(&self) -> &'j [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Result<(), Broken> {
        let start = self.at;
        match self.peek().ok_or(Broken)? {
            b'{' => {
                self.open(true, start);
                return Ok(());
            }
            b'[' => {
                self.open(false, start);
                return Ok(());
            }
            b'"' => self.string()?,
            b'-' | b'0'..=b'9' => self.number()?,
            b't' => self.word(b"true")?,
            b'f' => self.word(b"false")?,
            b'n' => self.word(b"null")?,
            _ => return Err(Broken),
        }
        if let Some(node) = self.node {
            self.keep(node, start);
        }
        self.after_value();
        Ok(())
    }

    fn open(&mut self, object: bool, start: usize) {
        self.at += 1;
        let (word, bit) = (self.depth / 64, 1 << (self.depth % 64));
        if word == self.kinds.len() {
            self.kinds.push(0);
        }
        if object {
            self.kinds[word] |= bit;
        } else {
            self.kinds[word] &= !bit;
        }
        if let Some(node) = self.node {
            self.followed.push(Level { depth: self.depth, node, start, index: 0 });
        }
        self.depth += 1;
        if object {
            self.next = Next::KeyOrEnd;
        } else {
            self.node = self.node.and_then(|node| self.wanted.element(node, 0));
            self.next = Next::ValueOrEnd;
        }
    }

    fn close(&mut self) {
        self.depth -= 1;
        if let Some(level) = self.followed.pop_if(|level| level.depth == self.depth) {
            self.keep(level.node, level.start);
        }
        self.after_value();
    }

    fn after_value(&mut self) {
        self.next = if self.depth == 0 { Next::Over } else { Next::CommaOrEnd };
    }

    fn keep(&mut self, node: usize, start: usize) {
        for pointer in self.wanted.at(node) {
            self.found[*pointer] = self.text.get(start..self.at);
        }
    }

    fn comma_or_end(&mut self) -> Result<(), Broken> {
        let inner = self.depth - 1;
        let object = self.kinds[inner / 64] & (1 << (inner % 64)) != 0;
        if self.take(if object { b'}' } else { b']' }) {
            self.close();
            return Ok(());
        }
        if !self.take(b',') {
            return Err(Broken);
        }
        if object {
            self.next = Next::Key;
            return Ok(());
        }
        self.node = None;
        if let Some(level) = self.followed.last_mut().filter(|level| level.depth == inner) {
            level.index += 1;
            self.node = self.wanted.element(level.node, level.index);
        }
        self.next = Next::Value;
        Ok(())
    }

    fn key(&mut self) -> Result<(), Broken> {
        let start = self.at;
        if self.peek() != Some(b'"') {
            return Err(Broken);
        }
        self.string()?;
        let inner = self.depth - 1;
        self.node = None;
        if let Some(level) = self.followed.last().filter(|level| level.depth == inner) {
            self.node = self.member(level.node, self.text.get(start..self.at).ok_or(Broken)?);
        }
        self.skip_space();
        if !self.take(b':') {
            return Err(Broken);
        }
        self.next = Next::Value;
        Ok(())
    }

    /// Where the member of that key, in its quotes, stands. Of two members of one
    /// name the last counts, with all that is in it, so what an earlier one held
    /// is let go.
    fn member(&mut self, node: usize, key: &str) -> Option<usize> {
        let inner = key.get(1..key.len() - 1)?;
        let member = if inner.contains('\\') {
            // A key that is no text is nobody's.
            let name: String = serde_json::from_str(key).ok()?;
            self.wanted.member(node, &name)
        } else {
            self.wanted.member(node, inner)
        }?;
        for pointer in self.wanted.at_or_below(member) {
            self.found[*pointer] = None;
        }
        Some(member)
    }

    /// From quote to quote. An escape for half a surrogate pair is as good as any.
    fn string(&mut self) -> Result<(), Broken> {
        self.at += 1;
        loop {
            self.at += ordinary(self.rest());
            match *self.rest() {
                [b'"', ..] => {
                    self.at += 1;
                    return Ok(());
                }
                [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => self.at += 2,
                [b'\\', b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(u8::is_ascii_hexdigit) => {
                    self.at += 6;
                }
                _ => return Err(Broken),
            }
        }
    }

    /// Of any size: it is never read.
    fn number(&mut self) -> Result<(), Broken> {
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Broken> {
        let count = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        if count > 0 { Ok(()) } else { Err(Broken) }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Broken> {
        if !self.rest().starts_with(word) {
            return Err(Broken);
        }
        self.at += word.len();
        Ok(())
    }
}

/// Bytes at the start that mean nothing in a string: no quote, backslash or
/// control character. Eight at a time, since most of a body is in strings.
fn ordinary(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let any_zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let mut count = 0;
    let (words, _) = bytes.as_chunks::<8>();
    for word in words {
        let word = u64::from_le_bytes(*word);
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let quote = any_zero(word ^ (ONES * u64::from(b'"')));
        let backslash = any_zero(word ^ (ONES * u64::from(b'\\')));
        let special = control | quote | backslash;
        if special != 0 {
            // Of bits above the lowest one a borrow may have set some; the lowest is of the first such byte.
            return count + special.trailing_zeros() as usize / 8;
        }
        count += 8;
    }
    let special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    count + bytes[count..].iter().take_while(|byte| !special(byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ordinary_bytes_are_counted_to_the_first_special_one(bytes in "[ -~\u{0}-\u{7f}\u{80}-\u{800}]{0,40}") {
            let simple = bytes.bytes().position(|byte| byte < 0x20 || byte == b'"' || byte == b'\\');
            prop_assert_eq!(ordinary(bytes.as_bytes()), simple.unwrap_or(bytes.len()));
        }
    }
}

//! Takes the tokens of sources' URLs, and the keys that requests carry as they are, out of whatever is kept of a request:
//! proxies copy the URL into headers of their own.
use std::borrow::Cow;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use memchr::{memchr, memmem};

use super::Sources;
use hookwright_signing::Secret;

/// What stands where a token stood, as in the URLs that the API shows.
const PLACEHOLDER: &[u8] = b"TOKEN";
/// Bytes that a look compares at once. A token has at least twice as many, so wherever it stands, it fills one of the
/// pieces of this size that the text is cut into; shorter keys are looked for one by one.
const PIECE: usize = 8;
/// Bytes of the shortest secret that is looked for.
const SHORTEST: usize = 8;
/// Percent-encodings in each other that are looked through.
const LAYERS: usize = 4;

/// The tokens of all sources. Cheap to clone.
#[derive(Clone, Default)]
pub struct UrlTokens(Arc<Known>);

#[derive(Default)]
struct Known {
    tokens: Vec<Secret>,
    /// Of 8 to 15 bytes: no token of a URL, but a key that a request carries may be.
    short: Vec<Secret>,
    /// A bit for the hash of each piece of a token, so that the look at a text does not depend on how many there are.
    pieces: Vec<u64>,
}

impl UrlTokens {
    pub(super) fn of(sources: &Sources) -> Self {
        let each = sources.values();
        Self::new(each.flat_map(|it| [it.tokens.clone(), it.verify.carried()].concat()).collect())
    }

    /// Those of less than 8 bytes are left out: words that mean something else would go.
    pub fn new(tokens: Vec<Secret>) -> Self {
        let length = |token: &Secret| token.expose().len();
        let tokens: Vec<Secret> =
            tokens.into_iter().filter(|token| length(token) >= SHORTEST).collect();
        let (tokens, short): (Vec<_>, Vec<_>) =
            tokens.into_iter().partition(|token| length(token) >= 2 * PIECE);
        let count: usize = tokens.iter().map(|token| token.expose().len()).sum();
        let mut known = Known { tokens, short, pieces: Vec::new() };
        if count > 0 {
            known.pieces = vec![0; (count * 64).next_power_of_two().div_ceil(64)];
            for token in known.tokens.clone() {
                for piece in token.expose().windows(PIECE) {
                    let (word, bit) = known.place(piece);
                    known.pieces[word] |= bit;
                }
            }
        }
        Self(Arc::new(known))
    }

    /// In the values of all headers.
    pub(super) fn strip(&self, headers: &mut HeaderMap) {
        if self.0.is_empty() {
            return;
        }
        for value in headers.values_mut() {
            if let Some(bare) = self.0.without(value.as_bytes()) {
                // What stood in a value, and letters.
                *value =
                    HeaderValue::from_bytes(&bare).unwrap_or(HeaderValue::from_static("TOKEN"));
            }
        }
    }

    /// In a text.
    pub(super) fn bare<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.0.without(text.as_bytes()) {
            None => Cow::Borrowed(text),
            Some(bare) => Cow::Owned(String::from_utf8_lossy(&bare).into_owned()),
        }
    }

    /// In bytes.
    pub fn bare_bytes<'b>(&self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        self.0.without(bytes).map_or(Cow::Borrowed(bytes), Cow::Owned)
    }
}

impl Known {
    /// None where there is no token in it.
    fn without(&self, text: &[u8]) -> Option<Vec<u8>> {
        if self.is_empty() || text.len() < SHORTEST {
            return None;
        }
        let mut found: Vec<(usize, usize)> = Vec::new();
        self.find(text, |start, end| found.push((start, end)));
        if memchr(b'%', text).is_some() {
            let mut layer: Vec<Read> = text
                .iter()
                .enumerate()
                .map(|(at, byte)| Read { byte: *byte, start: at, end: at + 1 })
                .collect();
            for _ in 0..LAYERS {
                let Some(decoded) = decoded(&layer) else { break };
                layer = decoded;
                let bytes: Vec<u8> = layer.iter().map(|read| read.byte).collect();
                self.find(&bytes, |start, end| {
                    found.push((layer[start].start, layer[end - 1].end));
                });
            }
        }
        if found.is_empty() {
            return None;
        }
        found.sort_unstable();
        let (mut out, mut from) = (Vec::with_capacity(text.len()), 0);
        for (start, end) in found {
            // One that overlaps the one before is gone with it.
            if start >= from {
                out.extend_from_slice(&text[from..start]);
                out.extend_from_slice(PLACEHOLDER);
            }
            from = from.max(end);
        }
        out.extend_from_slice(&text[from..]);
        Some(out)
    }

    fn find(&self, bytes: &[u8], mut tell: impl FnMut(usize, usize)) {
        let any = bytes.chunks_exact(PIECE).any(|piece| self.may_be_of_one(piece));
        let long: &[Secret] = if any { &self.tokens } else { &[] };
        for token in self.short.iter().chain(long) {
            let token = token.expose();
            memmem::find_iter(bytes, token).for_each(|at| tell(at, at + token.len()));
        }
    }

    fn is_empty(&self) -> bool {
        self.tokens.is_empty() && self.short.is_empty()
    }

    fn may_be_of_one(&self, piece: &[u8]) -> bool {
        let (word, bit) = self.place(piece);
        self.pieces.get(word).is_some_and(|bits| bits & bit != 0)
    }

    /// The word and the bit of a piece.
    fn place(&self, piece: &[u8]) -> (usize, u64) {
        let piece = piece.first_chunk().copied().unwrap_or_default();
        // Fibonacci hashing: the upper bits depend on all of the piece.
        let hash = u64::from_le_bytes(piece).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let bits = self.pieces.len() as u64 * 64;
        let at = hash % bits.max(1);
        (usize::try_from(at / 64).unwrap_or(usize::MAX), 1 << (at % 64))
    }
}

/// A byte and where it stands in the text as it came.
struct Read {
    byte: u8,
    start: usize,
    end: usize,
}

/// With each `%2F` and the like as the byte that it stands for; none where there is none.
fn decoded(text: &[Read]) -> Option<Vec<Read>> {
    let digit =
        |read: &Read| char::from(read.byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (mut out, mut at, mut any) = (Vec::with_capacity(text.len()), 0, false);
    while let Some(read) = text.get(at) {
        let pair = text.get(at + 1).and_then(digit).zip(text.get(at + 2).and_then(digit));
        match pair.filter(|_| read.byte == b'%') {
            Some((high, low)) => {
                any = true;
                out.push(Read { byte: high << 4 | low, start: read.start, end: text[at + 2].end });
                at += 3;
            }
            None => {
                out.push(Read { byte: read.byte, ..*read });
                at += 1;
            }
        }
    }
    any.then_some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use hookwright_settings::EndpointOptions;

    const ONE: &str = "vD2sPq9zT4hWm1kR8xYb";
    const TWO: &str = "0123456789abcdef";

    fn tokens(all: &[&str]) -> UrlTokens {
        let source = |(at, token): (usize, &&str)| {
            let token = Secret::new(token.as_bytes().to_vec());
            let options = EndpointOptions { tokens: vec![token], ..EndpointOptions::default() };
            (format!("s{at}").parse().unwrap(), options)
        };
        UrlTokens::of(&all.iter().enumerate().map(source).collect())
    }

    /// Every byte as `%XX`, that many times over.
    fn encoded(text: &str, layers: usize) -> String {
        (0..layers).fold(text.to_owned(), |text, _| {
            text.bytes().map(|byte| format!("%{byte:02x}")).collect()
        })
    }

    #[test]
    fn a_token_goes_wherever_it_stands_and_however_it_is_encoded() {
        let tokens = tokens(&[ONE, TWO]);
        for (text, bare) in [
            (format!("https://a.example/in/s/{ONE}?x=1"), "https://a.example/in/s/TOKEN?x=1"),
            (format!("%2Fin%2Fs%2F{ONE}%3Fx"), "%2Fin%2Fs%2FTOKEN%3Fx"),
            (format!("a{}b", encoded(ONE, 1)), "aTOKENb"),
            (format!("a{}b", encoded(TWO, 3)), "aTOKENb"),
            (format!("for={TWO};proto={ONE}{ONE}"), "for=TOKEN;proto=TOKENTOKEN"),
            (ONE.to_owned(), "TOKEN"),
            (format!("v%442s{}", &ONE[4..]), "TOKEN"),
        ] {
            assert_eq!(tokens.bare(&text), bare, "{text}");
        }
        for other in ["", "%", "%2", "%zz", "vD2sPq9zT4hWm1kR8xY", "/in/s/0123456789abcde", "TOKEN"]
        {
            assert!(matches!(tokens.bare(other), Cow::Borrowed(_)), "{other}");
        }
        assert!(matches!(self::tokens(&[]).bare(ONE), Cow::Borrowed(_)));
        let short = self::tokens(&["k3y-0123", "secret"]);
        assert_eq!(short.bare("/in/a?key=k3y-0123&x=secret"), "/in/a?key=TOKEN&x=secret");
    }

    #[test]
    fn tokens_that_overlap_leave_nothing() {
        let tokens = tokens(&["aaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaabbbb", "abbbbcccccccccccccc"]);
        assert_eq!(tokens.bare("xaaaaaaaaaaaaaaaaabbbbccccccccccccccx"), "xTOKENx");
    }

    #[test]
    fn headers_of_any_name_and_bytes_lose_it() {
        let mut headers = HeaderMap::new();
        for name in ["x-original-url", "referer", "x-anything"] {
            headers.append(name, HeaderValue::from_str(&format!("/in/s/{ONE}")).unwrap());
        }
        let odd = [b"\xff\xfe", ONE.as_bytes(), b"\xff"].concat();
        headers.append("x-odd", HeaderValue::from_bytes(&odd).unwrap());
        tokens(&[ONE]).strip(&mut headers);
        assert!(!format!("{headers:?}").contains(ONE), "{headers:?}");
        assert_eq!(headers["x-odd"].as_bytes(), b"\xff\xfeTOKEN\xff");
    }

    proptest! {
        #[test]
        fn no_text_keeps_one_and_nothing_else_goes(
            before in "[ -~]{0,40}", after in "[ -~]{0,40}", token in "[A-Za-z0-9._~-]{16,40}", layers in 0_usize..3,
        ) {
            prop_assume!(!before.contains('%') && !after.contains('%'));
            let all = tokens(&[ONE, &token]);
            let text = format!("{before}{}{after}", encoded(&token, layers));
            let bare = all.bare(&text).into_owned();
            prop_assert!(!bare.contains(&token), "{}", bare);
            prop_assert_eq!(&bare, &format!("{before}TOKEN{after}"));
        }

        #[test]
        fn any_bytes_are_looked_through(bytes: Vec<u8>) {
            let tokens = tokens(&[ONE]);
            let bare = tokens.bare_bytes(&bytes).into_owned();
            prop_assert_eq!(bare, bytes);
        }
    }
}

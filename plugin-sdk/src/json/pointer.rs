//! JSON pointers (RFC 6901), with `*` for any member or element where asked for.
use std::fmt;
use std::str::FromStr;

/// A JSON pointer, parsed: `/a/b`, where `~1` stands for `/` and `~0` for `~`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Pointer(Vec<String>);

/// The text is no JSON pointer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PointerError(String);

impl Pointer {
    /// The names and indices, unescaped.
    pub fn tokens(&self) -> &[String] {
        &self.0
    }
}

impl FromStr for Pointer {
    type Err = PointerError;

    fn from_str(text: &str) -> Result<Self, PointerError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let wrong = || PointerError(text.to_owned());
        let rest = text.strip_prefix('/').ok_or_else(wrong)?;
        rest.split('/')
            .map(|token| unescape(token).ok_or_else(wrong))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn unescape(token: &str) -> Option<String> {
    let mut out = String::with_capacity(token.len());
    let mut chars = token.chars();
    while let Some(char) = chars.next() {
        match char {
            '~' => match chars.next()? {
                '0' => out.push('~'),
                '1' => out.push('/'),
                _ => return None,
            },
            other => out.push(other),
        }
    }
    Some(out)
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|token| write!(f, "/{}", token.replace('~', "~0").replace('/', "~1")))
    }
}

impl fmt::Display for PointerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is no JSON pointer: begin with `/`, write `~1` for `/` and `~0` for `~` in a name",
            self.0
        )
    }
}

impl std::error::Error for PointerError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_unescaped_and_written_back() {
        let pointer: Pointer = "/a~1b/0/~0".parse().unwrap();
        assert_eq!(pointer.tokens(), ["a/b", "0", "~"]);
        assert_eq!(pointer.to_string(), "/a~1b/0/~0");
        assert_eq!("".parse::<Pointer>().unwrap().tokens().len(), 0);
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        for text in ["a", "$.a", "/a~", "/~2"] {
            assert!(text.parse::<Pointer>().is_err(), "{text}");
        }
    }
}

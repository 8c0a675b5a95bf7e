//! The URL that a provider signed, in every way in which its packages write it.
use std::borrow::Cow;
use std::fmt::Write;

use form_urlencoded::parse;

use super::Part;
use super::request::Request;

/// Node's `querystring` reads no more.
const MAX_PAIRS: usize = 1_000;

/// The source's public URL, made ready for a scheme that signs it.
#[derive(Default)]
pub(super) struct Urls {
    way: Way,
    /// Without a query. Of the same length for all requests.
    bases: Vec<String>,
}

#[derive(Default, Clone, Copy)]
enum Way {
    /// It is not signed.
    #[default]
    None,
    Verbatim,
    Hubspot,
    Twilio,
}

impl Urls {
    pub(super) fn new(message: &[Part], url: &str) -> Self {
        let way = message.iter().find_map(|part| match part {
            Part::Url => Some(Way::Verbatim),
            Part::HubspotUrl => Some(Way::Hubspot),
            Part::TwilioUrl => Some(Way::Twilio),
            _ => None,
        });
        let way = way.unwrap_or_default();
        let bases = match way {
            Way::None => Vec::new(),
            Way::Verbatim | Way::Hubspot => vec![url.to_owned()],
            Way::Twilio => ports(url),
        };
        Self { way, bases }
    }

    /// The URL with the query that came, in the way of that number; none where there is none
    /// further. There is always the first.
    pub(super) fn at<'u>(&'u self, request: &Request<'u>, number: usize) -> Option<Cow<'u, [u8]>> {
        let query = request.query;
        match (self.way, number) {
            (Way::None, 0) => Some(Cow::Borrowed(b"")),
            (Way::None | Way::Verbatim | Way::Hubspot, 2..) | (Way::None | Way::Verbatim, 1) => {
                None
            }
            (Way::Verbatim, 0) => Some(joined(self.bases.first()?, query)),
            // As the documentation has it, then as its packages sign what they are given.
            (Way::Hubspot, 0) => Some(hubspot(joined(self.bases.first()?, query))),
            (Way::Hubspot, 1) => {
                let url = joined(self.bases.first()?, query);
                url.contains(&b'%').then_some(url)
            }
            (Way::Twilio, _) => {
                let base = self.bases.get(number % self.bases.len())?;
                // What came first; npm twilio tries these forms as well.
                match (number / self.bases.len(), query) {
                    (0, query) => Some(joined(base, query)),
                    (1, Some(query)) => Some(joined(base, Some(&escaped(query)))),
                    (2, Some(query)) => Some(joined(base, Some(&rewritten(&escaped(query))))),
                    _ => None,
                }
            }
        }
    }
}

fn joined<'u>(base: &'u str, query: Option<&str>) -> Cow<'u, [u8]> {
    match query {
        Some(query) => Cow::Owned(format!("{base}?{query}").into_bytes()),
        None => Cow::Borrowed(base.as_bytes()),
    }
}

/// The URL without its port, and with the one that it has or its scheme's: Twilio signs either.
fn ports(url: &str) -> Vec<String> {
    let Some((scheme, rest)) = url.split_once("://") else { return vec![url.to_owned()] };
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    // Behind the bracket of an IPv6 address only.
    let from = host.rfind(']').unwrap_or(0);
    let (name, port) = match host[from..].find(':') {
        Some(colon) => host.split_at(from + colon),
        None if scheme.eq_ignore_ascii_case("https") => (host, ":443"),
        None => (host, ":80"),
    };
    vec![format!("{scheme}://{name}{path}"), format!("{scheme}://{name}{port}{path}")]
}

/// A query as the URL standard writes it: with escapes for what must not stand there in clear.
fn escaped(query: &str) -> String {
    let mut out = String::with_capacity(query.len());
    for byte in query.bytes() {
        match byte {
            b'"' | b'#' | b'<' | b'>' | b'\'' | ..=b' ' | 0x7f.. => escape(byte, &mut out),
            plain => out.push(char::from(plain)),
        }
    }
    out
}

/// A query read and written again, as by Node's `querystring`: with other characters in clear,
/// and values of the same name together.
fn rewritten(query: &str) -> String {
    let mut names: Vec<(Cow<'_, str>, Vec<Cow<'_, str>>)> = Vec::new();
    for (name, value) in parse(query.as_bytes()).take(MAX_PAIRS) {
        match names.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value),
            None => names.push((name, vec![value])),
        }
    }
    let mut out = String::with_capacity(query.len());
    for (name, values) in &names {
        for value in values {
            if !out.is_empty() {
                out.push('&');
            }
            encoded(name, &mut out);
            out.push('=');
            encoded(value, &mut out);
        }
    }
    out
}

fn encoded(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
            out.push(char::from(byte));
        } else {
            escape(byte, out);
        }
    }
}

fn escape(byte: u8, out: &mut String) {
    write!(out, "%{byte:02X}").expect("a string takes all that is written");
}

/// What HubSpot leaves in clear when it signs a URL, though it is escaped in it.
const HUBSPOT_CLEAR: [(&str, u8); 12] = [
    ("3A", b':'),
    ("2F", b'/'),
    ("3F", b'?'),
    ("40", b'@'),
    ("21", b'!'),
    ("24", b'$'),
    ("27", b'\''),
    ("28", b'('),
    ("29", b')'),
    ("2A", b'*'),
    ("2C", b','),
    ("3B", b';'),
];

fn hubspot(url: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    if !url.contains(&b'%') {
        return url;
    }
    let mut clear = Vec::with_capacity(url.len());
    let mut rest = &url[..];
    while let Some((byte, after)) = rest.split_first() {
        let escape = (*byte == b'%').then(|| after.get(..2)).flatten();
        let known = escape.and_then(|digits| {
            let same = |(code, _): &&(&str, u8)| digits.eq_ignore_ascii_case(code.as_bytes());
            HUBSPOT_CLEAR.iter().find(same)
        });
        match known {
            Some((_, char)) => {
                clear.push(*char);
                rest = &after[2..];
            }
            None => {
                clear.push(*byte);
                rest = after;
            }
        }
    }
    Cow::Owned(clear)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    fn all(part: Part, base: &str, query: Option<&str>) -> Vec<String> {
        let headers = HeaderMap::new();
        let request = Request { query, ..Request::post(&headers, b"") };
        let urls = Urls::new(&[part], base);
        let each = (0..).map_while(|number| urls.at(&request, number));
        each.map(|url| String::from_utf8_lossy(&url).into_owned()).collect()
    }

    #[test]
    fn a_url_is_verbatim_with_the_query_that_came() {
        let base = "https://a.example/x%20y";
        assert_eq!(all(Part::Body, base, Some("a")), [""]);
        assert_eq!(all(Part::Url, base, None), [base]);
        assert_eq!(all(Part::Url, base, Some("b=%2f&a")), ["https://a.example/x%20y?b=%2f&a"]);
    }

    #[test]
    fn regression_hubspots_url_is_signed_with_escapes_or_without() {
        let base = "https://a.example/x%20y";
        assert_eq!(
            all(Part::HubspotUrl, base, Some("r=https%3A%2f%2Fb.example%25&t=%")),
            [
                "https://a.example/x%20y?r=https://b.example%25&t=%",
                "https://a.example/x%20y?r=https%3A%2f%2Fb.example%25&t=%",
            ]
        );
        assert_eq!(all(Part::HubspotUrl, "https://a.example", None), ["https://a.example"]);
    }

    #[test]
    fn regression_twilios_url_is_signed_with_its_port_or_without() {
        for (base, plain, with) in [
            ("https://a.example/in/t", "https://a.example/in/t", "https://a.example:443/in/t"),
            ("http://a.example", "http://a.example", "http://a.example:80"),
            ("https://a.example:8443/in", "https://a.example/in", "https://a.example:8443/in"),
            ("https://[::1]:8443/a:1", "https://[::1]/a:1", "https://[::1]:8443/a:1"),
            ("https://[::1]/a", "https://[::1]/a", "https://[::1]:443/a"),
        ] {
            assert_eq!(all(Part::TwilioUrl, base, None), [plain, with], "{base}");
        }
        let ways = all(Part::TwilioUrl, "https://a.example/t", Some("a='x'&b=%20&a=(2)"));
        let queries: Vec<_> = ways.iter().map(|url| url.split_once('?').unwrap().1).collect();
        let expected = ["a='x'&b=%20&a=(2)", "a=%27x%27&b=%20&a=(2)", "a='x'&a=(2)&b=%20"];
        assert_eq!(queries, expected.map(|query| [query; 2]).concat());
    }
}

//! AWS Signature Version 4: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.
use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::uri::Scheme;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::Secret;
use hookwright_model::date::moment_s;

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
const CONTENT: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Whom AWS sees, and for what.
#[derive(Debug, Clone)]
pub struct Aws {
    /// The id of the access key; no secret.
    pub access_key: String,
    /// The access key's secret.
    pub secret: Secret,
    /// Of temporary credentials.
    pub session_token: Option<Secret>,
    /// As `eu-central-1`.
    pub region: String,
    /// As `execute-api`, `lambda`, `sns`.
    pub service: String,
}

/// Where services differ from each other. The others' requests hold no hash of
/// the body beside the one that is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Needs {
    content: Content,
    /// The path's segments, which the URL has escaped once.
    escaped_again: bool,
}

/// The body's hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Signed,
    /// Signed, and told in `x-amz-content-sha256`.
    Told,
    /// The header says that the body is not signed.
    Unsigned,
}

impl Needs {
    fn of(service: &str) -> Self {
        let usual = Self { content: Content::Signed, escaped_again: true };
        match service {
            "s3" | "s3-object-lambda" | "s3-outposts" | "s3express" => {
                Self { content: Content::Told, escaped_again: false }
            }
            // OpenSearch Serverless refuses requests without it, Glacier too.
            "aoss" | "glacier" => Self { content: Content::Told, ..usual },
            // VPC Lattice does not sign bodies: a request with a signed one is refused.
            "vpc-lattice-svcs" => Self { content: Content::Unsigned, ..usual },
            _ => usual,
        }
    }
}

/// A value from the settings is not valid in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the AWS credentials can't stand in a header")]
pub struct BadCredentials;

impl Aws {
    /// The headers that it sets: nobody else may.
    pub const HEADERS: [HeaderName; 4] = [AUTHORIZATION, DATE, TOKEN, CONTENT];

    /// Adds the date, the session's token and `authorization`. Signed are the
    /// body (not for VPC Lattice), `host`, `content-type` and all of `x-amz-*`;
    /// other headers may change on the way. `at_s` is seconds since 1970.
    ///
    /// # Errors
    /// A credential is not valid in a header.
    pub fn apply(
        &self,
        method: &Method,
        url: &Uri,
        headers: &mut HeaderMap,
        body: &[u8],
        at_s: u64,
    ) -> Result<(), BadCredentials> {
        let bad = |_| BadCredentials;
        let stamp: String =
            moment_s(at_s).chars().filter(|char| !matches!(char, '-' | ':')).collect();
        headers.insert(DATE, HeaderValue::from_str(&stamp).map_err(bad)?);
        if let Some(token) = &self.session_token {
            headers.insert(TOKEN, super::plain(token).map_err(bad)?);
        }
        let needs = Needs::of(&self.service);
        let content = match needs.content {
            Content::Unsigned => "UNSIGNED-PAYLOAD".to_owned(),
            Content::Told | Content::Signed => hex::encode(Sha256::digest(body)),
        };
        if needs.content != Content::Signed {
            headers.insert(CONTENT, HeaderValue::from_str(&content).map_err(bad)?);
        }
        let (names, lines) = canonical_headers(url, headers);
        let request = format!(
            "{method}\n{}\n{}\n{lines}\n{names}\n{content}",
            canonical_path(url, needs.escaped_again),
            canonical_query(url),
        );
        let date = &stamp[..stamp.len().min(8)];
        let scope = format!("{date}/{}/{}/aws4_request", self.region, self.service);
        let hashed = hex::encode(Sha256::digest(&request));
        let signature =
            hex::encode(self.sign(date, &format!("{ALGORITHM}\n{stamp}\n{scope}\n{hashed}")));
        let value = format!(
            "{ALGORITHM} Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.access_key
        );
        let mut value = HeaderValue::from_str(&value).map_err(bad)?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
        Ok(())
    }

    fn sign(&self, date: &str, text: &str) -> [u8; 32] {
        let mut first = Zeroizing::new(b"AWS4".to_vec());
        first.extend_from_slice(self.secret.expose());
        let mut key = Zeroizing::new(mac(&first, date));
        for part in [self.region.as_str(), &self.service, "aws4_request"] {
            key = Zeroizing::new(mac(key.as_slice(), part));
        }
        mac(key.as_slice(), text)
    }
}

fn mac(key: &[u8], text: &str) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}

/// The names, joined by `;`, and a line for each, in the order of the names.
fn canonical_headers(url: &Uri, headers: &HeaderMap) -> (String, String) {
    let signed = |name: &HeaderName| *name == CONTENT_TYPE || name.as_str().starts_with("x-amz-");
    let own = headers.iter().filter(|(name, _)| signed(name));
    let mut pairs: Vec<(&str, String)> =
        own.map(|(name, value)| (name.as_str(), tidy(value.as_bytes()))).collect();
    pairs.push(("host", host(url)));
    pairs.sort();
    let names: Vec<&str> = pairs.iter().map(|(name, _)| *name).collect();
    let mut lines = String::new();
    for (name, value) in &pairs {
        // Writing to a string can't fail.
        let _ = writeln!(lines, "{name}:{value}");
    }
    (names.join(";"), lines)
}

/// Without spaces around, and with one for several inside.
fn tidy(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    text.split(' ').filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// As the client sends it: with the port, where it is not the scheme's own.
fn host(url: &Uri) -> String {
    let host = url.host().unwrap_or_default();
    let own = if url.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
    match url.port_u16() {
        Some(port) if port != own => format!("{host}:{port}"),
        _ => host.to_owned(),
    }
}

/// Each segment of the path as in the URL, escaped a second time for all
/// services but S3, which also takes `.`, `..` and empty segments as they are.
fn canonical_path(url: &Uri, again: bool) -> String {
    if !again {
        return url.path().to_owned();
    }
    let mut segments: Vec<&str> = Vec::new();
    let parts: Vec<&str> = url.path().split('/').collect();
    for part in &parts {
        match *part {
            "" | "." => {}
            ".." => drop(segments.pop()),
            part => segments.push(part),
        }
    }
    let mut path = String::from("/");
    path.push_str(
        &segments.iter().map(|part| escape(part.as_bytes())).collect::<Vec<_>>().join("/"),
    );
    let folder = matches!(parts.last(), Some(&("" | "." | "..")));
    if folder && !segments.is_empty() {
        path.push('/');
    }
    path
}

/// Names and values, decoded, escaped and sorted.
fn canonical_query(url: &Uri) -> String {
    let query = url.query().unwrap_or_default();
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (escape(&unescape(name)), escape(&unescape(value)))
        })
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// RFC 3986: all but letters, digits and `-._~`.
fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            text.push(char::from(*byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// What is not an escape stays as it is; `+` is not a space here.
fn unescape(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let mut byte = [0];
        let digits = after.get(..2).filter(|_| *first == b'%');
        match digits.map(|digits| hex::decode_to_slice(digits, &mut byte)) {
            Some(Ok(())) => {
                bytes.push(byte[0]);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2015-08-30T12:36:00Z, as all of AWS's vectors.
    const AT: u64 = 1_440_938_160;

    fn suite(service: &str) -> Aws {
        Aws {
            access_key: "AKIDEXAMPLE".to_owned(),
            secret: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session_token: None,
            region: "us-east-1".to_owned(),
            service: service.to_owned(),
        }
    }

    fn sign(aws: &Aws, method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = name.parse::<HeaderName>().expect("a name");
            map.append(name, value.parse().expect("a value"));
        }
        let (method, url) = (method.parse().expect("a method"), url.parse().expect("a URL"));
        aws.apply(&method, &url, &mut map, body.as_bytes(), AT).expect("good credentials");
        assert_eq!(map["x-amz-date"], "20150830T123600Z");
        map["authorization"].to_str().expect("text").to_owned()
    }

    /// The published test suite of Signature Version 4, and the example of its documentation.
    #[test]
    fn the_published_vectors() {
        let base = "https://example.amazonaws.com";
        let form = [("content-type", "application/x-www-form-urlencoded")];
        for (name, method, path, headers, body, signed, signature) in [
            (
                "get-vanilla",
                "GET",
                "/",
                &form[..0],
                "",
                "host;x-amz-date",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "get-relative",
                "GET",
                "/example/..",
                &form[..0],
                "",
                "host;x-amz-date",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "get-slash",
                "GET",
                "//",
                &form[..0],
                "",
                "host;x-amz-date",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "get-vanilla-query-order-key-case",
                "GET",
                "/?Param2=value2&Param1=value1",
                &form[..0],
                "",
                "host;x-amz-date",
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            (
                "post-vanilla",
                "POST",
                "/",
                &form[..0],
                "",
                "host;x-amz-date",
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                "post-x-www-form-urlencoded",
                "POST",
                "/",
                &form[..],
                "Param1=value1",
                "content-type;host;x-amz-date",
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
        ] {
            let value = sign(&suite("service"), method, &format!("{base}{path}"), headers, body);
            let expected = format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                 SignedHeaders={signed}, Signature={signature}"
            );
            assert_eq!(value, expected, "{name}");
        }
        let form = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
        let url = "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08";
        let value = sign(&suite("iam"), "GET", url, &form, "");
        let signature = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";
        assert!(value.ends_with(signature), "{value}");
    }

    /// `aoss` lacked `x-amz-content-sha256`, and its requests were refused. Made by
    /// AWS's own code, `tests/vectors/make_aws.py`.
    #[test]
    fn regression_each_service_gets_the_headers_that_it_needs() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("testdata/aws.json")).expect("JSON");
        for vector in vectors.as_array().expect("a list") {
            let text = |name: &str| vector[name].as_str().expect("text").to_owned();
            let (service, url) = (text("service"), text("url"));
            let mut map = HeaderMap::new();
            map.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            let body = text("body");
            let url = url.parse().expect("a URL");
            let signed = suite(&service).apply(&Method::POST, &url, &mut map, body.as_bytes(), AT);
            signed.expect("good credentials");
            let told = map.get(CONTENT).map(|value| value.to_str().expect("text"));
            assert_eq!(told, vector["content"].as_str(), "{service}");
            assert_eq!(map[AUTHORIZATION], text("authorization"), "{service}");
        }
    }

    /// `post-sts-header-before` of the same suite.
    #[test]
    fn a_session_token_is_sent_and_signed() {
        let token = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";
        let aws = Aws { session_token: Some(Secret::new(token)), ..suite("service") };
        let value = sign(&aws, "POST", "https://example.amazonaws.com/", &[], "");
        let signature = "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead";
        assert!(value.contains("SignedHeaders=host;x-amz-date;x-amz-security-token, "), "{value}");
        assert!(value.ends_with(signature), "{value}");
    }

    #[test]
    fn paths_are_escaped_again_but_for_s3() {
        let path = |text: &str, again| canonical_path(&text.parse().expect(text), again);
        assert_eq!(path("https://a/x%20y/z", true), "/x%2520y/z");
        assert_eq!(path("https://a/x%20y//z/", false), "/x%20y//z/");
        assert_eq!(path("https://a/./x/", true), "/x/");
        assert_eq!(path("https://a", true), "/");
        assert_eq!(host(&"https://a:8443/".parse().expect("a URL")), "a:8443");
        assert_eq!(host(&"https://a:443/".parse().expect("a URL")), "a");
    }

    proptest! {
        #[test]
        fn any_url_and_header_is_signed(path in "/[!-~&&[^#\"<>`{}\\\\^|]]{0,30}", value in "[ -~]{0,20}") {
            if let Ok(url) = format!("https://a.example{path}").parse::<Uri>() {
                let mut headers = HeaderMap::new();
                headers.insert("content-type", value.parse().expect("a value"));
                prop_assert!(suite("s3").apply(&Method::POST, &url, &mut headers, b"x", AT).is_ok());
                prop_assert!(suite("x").apply(&Method::POST, &url, &mut headers, b"x", AT).is_ok());
            }
        }
    }
}

//! What an authorization server is asked for a token, and what it answers (RFC 6749, 4.4 and 5.1).
use std::time::Duration;

use form_urlencoded::{Serializer, byte_serialize};
use http::HeaderValue;

use super::{Secret, basic, bearer};
use hookwright_model::read_json;

/// Where the server says nothing: tokens of an hour are common, and one that
/// ends earlier is noticed by its 401.
const USUAL: Duration = Duration::from_secs(3_600);
/// No token is kept for longer.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3_600);

/// A client that gets tokens for itself.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The client, as the token server knows it.
    pub client_id: String,
    /// The client's secret.
    pub secret: Secret,
    /// Scopes, separated by spaces.
    pub scope: Option<String>,
    /// For servers that want to know whom the token is for.
    pub audience: Option<String>,
    /// The client's id and secret are in the body, instead of an `authorization` header.
    pub in_body: bool,
}

impl Grant {
    /// The form, and the value of `authorization` if the credentials are there.
    pub fn request(&self) -> (Vec<u8>, Option<HeaderValue>) {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        let options = [("scope", &self.scope), ("audience", &self.audience)];
        for (name, value) in options {
            if let Some(value) = value {
                form.append_pair(name, value);
            }
        }
        let secret = String::from_utf8_lossy(self.secret.expose());
        if self.in_body {
            form.append_pair("client_id", &self.client_id);
            form.append_pair("client_secret", &secret);
            return (form.finish().into_bytes(), None);
        }
        // Both are escaped before they are joined (RFC 6749, 2.3.1).
        let escaped = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let pair = Secret::new(format!("{}:{}", escaped(&self.client_id), escaped(&secret)));
        (form.finish().into_bytes(), Some(basic(&pair)))
    }
}

/// A token, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// `Bearer …`, marked as sensitive.
    pub authorization: HeaderValue,
    /// From now on.
    pub lasts: Duration,
}

/// Why an answer is not a token. Never quotes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The answer is not JSON.
    #[error("the answer is no JSON")]
    NotJson,
    /// No `access_token` that is valid in a header.
    #[error("the answer has no `access_token` that can stand in a header")]
    NoToken,
    /// A token that is not a bearer token.
    #[error("the token is of another type than `bearer`")]
    OtherType,
}

impl Token {
    /// Reads the body of an answer with the status 200.
    ///
    /// # Errors
    /// It holds no bearer token.
    pub fn read(body: &[u8]) -> Result<Self, TokenError> {
        let answer = read_json(body).map_err(|_| TokenError::NotJson)?;
        let text = answer["access_token"].as_str().filter(|text| !text.is_empty());
        let token = text.and_then(|text| bearer(text.as_bytes()).ok());
        let authorization = token.ok_or(TokenError::NoToken)?;
        let kind = answer["token_type"].as_str().unwrap_or("bearer");
        if !kind.eq_ignore_ascii_case("bearer") {
            return Err(TokenError::OtherType);
        }
        let lasts = &answer["expires_in"];
        // Some servers write the number as text.
        let seconds = lasts.as_u64().or_else(|| lasts.as_str()?.parse().ok());
        let lasts = seconds.map_or(USUAL, Duration::from_secs).min(LONGEST);
        Ok(Self { authorization, lasts })
    }
}

/// The code of a refusal (RFC 6749, 5.2), where the body has one.
pub fn token_refusal(body: &[u8]) -> Option<String> {
    let answer = read_json(body).ok()?;
    let code = answer["error"].as_str()?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    (code.len() <= 40 && code.bytes().all(plain)).then(|| code.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grant(in_body: bool) -> Grant {
        Grant {
            client_id: "s6BhdRkqt3".to_owned(),
            secret: Secret::new("gX1fBat3bV"),
            scope: Some("a b".to_owned()),
            audience: None,
            in_body,
        }
    }

    /// The credentials of RFC 6749's examples.
    #[test]
    fn the_request_is_as_the_rfc_has_it() {
        let (form, authorization) = grant(false).request();
        assert_eq!(form, b"grant_type=client_credentials&scope=a+b");
        assert_eq!(authorization.expect("one"), "Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW");
        let (form, authorization) = grant(true).request();
        let expected =
            "grant_type=client_credentials&scope=a+b&client_id=s6BhdRkqt3&client_secret=gX1fBat3bV";
        assert_eq!((form, authorization), (expected.into(), None));
        let odd = Grant { client_id: "a:b".to_owned(), secret: Secret::new("c d"), ..grant(false) };
        // printf 'a%%3Ab:c+d' | base64
        assert_eq!(odd.request().1.expect("one"), "Basic YSUzQWI6Yytk");
    }

    /// RFC 6749, 5.1.
    #[test]
    fn an_answer_is_a_token_and_its_time() {
        let read = |text: &str| Token::read(text.as_bytes());
        let token = read(
            r#"{"access_token":"2YotnFZFEjr1zCsicMWpAA","token_type":"Bearer","expires_in":600}"#,
        );
        let token = token.expect("a token");
        assert_eq!(token.authorization, "Bearer 2YotnFZFEjr1zCsicMWpAA");
        assert!(token.authorization.is_sensitive());
        assert_eq!(token.lasts, Duration::from_secs(600));
        for (expires, lasts) in [
            ("\"60\"", Duration::from_secs(60)),
            ("null", USUAL),
            ("-1", USUAL),
            ("1e400", USUAL),
            ("18446744073709551615", LONGEST),
        ] {
            let read = read(&format!(r#"{{"access_token":"x","expires_in":{expires}}}"#));
            match read {
                Ok(token) => assert_eq!(token.lasts, lasts, "{expires}"),
                Err(error) => assert_eq!((expires, error), ("1e400", TokenError::NotJson)),
            }
        }
        assert_eq!(read("<html>"), Err(TokenError::NotJson));
        assert_eq!(read("{}"), Err(TokenError::NoToken));
        assert_eq!(read(r#"{"access_token":""}"#), Err(TokenError::NoToken));
        assert_eq!(read(r#"{"access_token":"a\r\nb: c"}"#), Err(TokenError::NoToken));
        assert_eq!(read(r#"{"access_token":"x","token_type":"mac"}"#), Err(TokenError::OtherType));
    }

    #[test]
    fn a_refusal_tells_its_code_and_nothing_else() {
        let code = |text: &str| token_refusal(text.as_bytes());
        assert_eq!(code(r#"{"error":"invalid_client"}"#).as_deref(), Some("invalid_client"));
        for text in ["", "{}", r#"{"error":"<b>"}"#, r#"{"error":7}"#] {
            assert_eq!(code(text), None, "{text}");
        }
        assert_eq!(code(&format!(r#"{{"error":"{}"}}"#, "a".repeat(41))), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>) {
            let _ = Token::read(&bytes);
            let _ = token_refusal(&bytes);
        }
    }
}

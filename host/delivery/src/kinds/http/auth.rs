//! Who we are to a destination: fixed credentials, tokens, or signed requests.
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use tokio::time::Instant;

use super::Unmade;
use super::tokens::Tokens;
use hookwright_egress::{Egress, SetupError};
use hookwright_settings::{Auth, Transport};
use hookwright_signing::Aws;

/// The same, at work.
pub(super) enum Authorizer {
    None,
    Header(HeaderName, HeaderValue),
    Tokens(Tokens),
    Aws(Aws),
}

impl Authorizer {
    /// Keeps the token of settings `before` these, where it is still the right one.
    pub(super) fn new(
        auth: Option<Auth>,
        egress: &Egress,
        name: &str,
        transport: &Transport,
        user_agent: &HeaderValue,
        before: Option<&Self>,
    ) -> Result<Self, SetupError> {
        let tokens = match before {
            Some(Self::Tokens(tokens)) => Some(tokens),
            _ => None,
        };
        Ok(match auth {
            None => Self::None,
            Some(Auth::Header(name, value)) => Self::Header(name, value),
            Some(Auth::Aws(aws)) => Self::Aws(aws),
            Some(Auth::OAuth2(options)) => {
                Self::Tokens(Tokens::new(options, egress, name, transport, user_agent, tokens)?)
            }
        })
    }

    /// Adds what proves who we are, within the time. `at_s` is seconds since 1970.
    ///
    /// # Errors
    /// There is no token, or none in time.
    pub(super) async fn apply(
        &self,
        (url, headers, body): (&Uri, &mut HeaderMap, &[u8]),
        at_s: u64,
        timeout: Duration,
    ) -> Result<(), Unmade> {
        match self {
            Self::None => {}
            Self::Header(name, value) => drop(headers.insert(name.clone(), value.clone())),
            Self::Aws(aws) => {
                let signed = aws.apply(&Method::POST, url, headers, body, at_s);
                signed.map_err(|error| Unmade::credentials(error.to_string()))?;
            }
            Self::Tokens(tokens) => match tokio::time::timeout(timeout, tokens.get()).await {
                Ok(Ok(token)) => drop(headers.insert(AUTHORIZATION, token)),
                Ok(Err(error)) => return Err(Unmade::credentials(error.to_string())),
                Err(_) => return Err(Unmade::credentials(format!("no token within {timeout:?}"))),
            },
        }
        Ok(())
    }

    /// When there may be a token again, where there is none.
    pub(super) fn rests_until(&self) -> Option<Instant> {
        match self {
            Self::Tokens(tokens) => tokens.rests_until(),
            _ => None,
        }
    }

    /// Whether credentials that the destination refuses can be had anew.
    pub(super) fn can_renew(&self) -> bool {
        matches!(self, Self::Tokens(_))
    }

    /// Another token, within the time, for one that the destination answered 401 to.
    /// None where there is no other to be had now.
    ///
    /// # Errors
    /// The server gives none.
    pub(super) async fn renew(
        &self,
        refused: &HeaderValue,
        timeout: Duration,
    ) -> Result<Option<HeaderValue>, Unmade> {
        let Self::Tokens(tokens) = self else { return Ok(None) };
        if !tokens.drop_if(refused) {
            return Ok(None);
        }
        match tokio::time::timeout(timeout, tokens.get()).await {
            Ok(Ok(token)) => Ok(Some(token).filter(|token| token != refused)),
            Ok(Err(error)) => Err(Unmade::credentials(error.to_string())),
            Err(_) => Err(Unmade::credentials(format!("no new token within {timeout:?}"))),
        }
    }
}

//! Schemes in which the secret itself comes with the request.
use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderName;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::keyed::First;
use super::message::parameter;
use super::request::{authorization, single};
use super::{ApiKeyPlace, Credential, Key, Refusal, Request, TokenPlace};
use hookwright_model::pointer;

pub(super) struct Token {
    places: Vec<Place>,
    secrets: Vec<Credential>,
}

enum Place {
    Basic,
    Bearer,
    Header(HeaderName),
    Query(String),
    ClientState,
}

/// One notification of Microsoft Graph.
#[derive(Deserialize)]
struct Notification<'b> {
    #[serde(borrow, default, rename = "clientState")]
    state: Option<Cow<'b, str>>,
}

impl Token {
    pub(super) fn new(places: &[TokenPlace], secrets: &[Credential]) -> Self {
        let place = |place: &TokenPlace| match place {
            TokenPlace::Basic => Place::Basic,
            TokenPlace::Bearer => Place::Bearer,
            TokenPlace::Header(name) => Place::Header(HeaderName::from_static(name)),
            TokenPlace::Query(name) => Place::Query((*name).to_owned()),
            TokenPlace::ClientState => Place::ClientState,
        };
        Self { places: places.iter().map(place).collect(), secrets: secrets.to_vec() }
    }

    pub(super) fn of_key(place: &ApiKeyPlace, secrets: &[Credential]) -> Self {
        let place = match place {
            ApiKeyPlace::Header(name) => Place::Header(name.clone()),
            ApiKeyPlace::Query(name) => Place::Query(name.clone()),
        };
        Self { places: vec![place], secrets: secrets.to_vec() }
    }

    /// The first secret that the request has, in the first place that there
    /// is. Compares with all.
    pub(super) fn find(&self, request: &Request<'_>, now_s: u64) -> Result<usize, Refusal> {
        for place in &self.places {
            match place {
                Place::Basic => {
                    let Some(digits) = authorization(request, "basic")? else { continue };
                    let text = STANDARD.decode(digits).map_err(|_| Refusal::Malformed)?;
                    return self.among(&Zeroizing::new(text), now_s);
                }
                Place::Bearer => {
                    let Some(token) = authorization(request, "bearer")? else { continue };
                    return self.among(token, now_s);
                }
                Place::Header(name) => {
                    let Some(token) = single(request.headers, name)? else { continue };
                    return self.among(token, now_s);
                }
                Place::Query(name) => {
                    let query = request.query.unwrap_or_default();
                    let Some(token) = parameter(query, name)? else { continue };
                    return self.among(token.as_bytes(), now_s);
                }
                Place::ClientState => return self.in_all(request, now_s),
            }
        }
        Err(Refusal::Missing)
    }

    /// Every notification in the body must have the same secret: one without it came from
    /// somebody else.
    fn in_all(&self, request: &Request<'_>, now_s: u64) -> Result<usize, Refusal> {
        let all = pointer::at(request.body, "/value").ok_or(Refusal::Missing)?;
        let all: Vec<Notification<'_>> =
            serde_json::from_str(all).map_err(|_| Refusal::Malformed)?;
        let mut secret = None;
        for one in &all {
            let state = one.state.as_deref().ok_or(Refusal::Missing)?;
            let found = self.among(state.as_bytes(), now_s)?;
            if *secret.get_or_insert(found) != found {
                return Err(Refusal::Mismatch);
            }
        }
        secret.ok_or(Refusal::Missing)
    }

    /// The header with the secret, which must not be kept.
    pub(super) fn header(&self) -> Option<&HeaderName> {
        self.places.iter().find_map(|place| match place {
            Place::Header(name) => Some(name),
            _ => None,
        })
    }

    /// The query's parameter with the secret, which must not be kept.
    pub(super) fn parameter(&self) -> Option<&str> {
        self.places.iter().find_map(|place| match place {
            Place::Query(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// See RFC 9110, 11.6.1.
    pub(super) fn challenge(&self) -> &'static str {
        match self.places.first() {
            Some(Place::Basic) => "Basic realm=\"hookwright\", charset=\"UTF-8\"",
            Some(Place::Bearer) => "Bearer",
            _ => "Token",
        }
    }

    fn among(&self, candidate: &[u8], now_s: u64) -> Result<usize, Refusal> {
        let mut first = First::default();
        for secret in &self.secrets {
            let same = match &secret.key {
                Key::Shared(text) => text.matches(candidate),
                Key::Either(..) | Key::Ed25519(_) | Key::P256(_) => false,
            };
            first.note(u8::from(same).into(), secret.counts(now_s));
        }
        first.result()
    }
}

/// Whether a header carries a credential, which must not be stored, rather
/// than a signature, which tells nothing about the secret.
pub fn is_credential(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "authorization"
            | "proxy-authorization"
            | "cookie"
            | "api-key"
            | "x-api-key"
            | "x-auth-token"
            | "x-access-token"
            | "x-gitlab-token"
            | "x-goog-channel-token"
            | "x-hook-secret"
            | "x-telegram-bot-api-secret-token"
    )
}

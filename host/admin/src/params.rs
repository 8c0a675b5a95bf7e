//! What a request may say: its query and its document, and the values in them.
use axum::extract::{self, FromRequestParts};
use axum::http::request::Parts;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::problem::Problem;

/// Rows of a page where the request does not say.
const PAGE: usize = 50;
/// Rows of a page at most.
pub(super) const MOST: usize = 1_000;
/// What an id holds: 47 bits of milliseconds.
const LAST_MS: u64 = (1 << 47) - 1;

/// The query of a request: axum's extractor, but that one which can't be read is refused as a problem.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(extract::Query(params)) => Ok(Self(params)),
            Err(error) => Err(Problem::invalid(error.body_text())),
        }
    }
}

/// A document, where an empty body and `null` are an empty object.
pub(super) fn document<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, Problem> {
    match body {
        [] => Ok(T::default()),
        text => {
            let read = serde_json::from_slice::<Option<T>>(text);
            let read = read.map_err(|error| Problem::invalid(error.to_string()))?;
            Ok(read.unwrap_or_default())
        }
    }
}

/// Milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(value_type = u64, minimum = 0, maximum = 140_737_488_355_327_u64)]
pub(super) struct Millis(pub(super) u64);

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            ms if ms <= LAST_MS => Ok(Self(ms)),
            _ => Err(D::Error::custom(format!("a time is at most {LAST_MS} ms"))),
        }
    }
}

/// The number of an entry: `next` of the page before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(value_type = u64, minimum = 0, maximum = 9_007_199_254_740_991_u64)]
pub(super) struct Number(pub(super) u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // What every JSON reader reads exactly (RFC 8259, 6).
        match u64::deserialize(deserializer)? {
            number if number < 1 << 53 => Ok(Self(number)),
            _ => Err(D::Error::custom("a number is below 2^53")),
        }
    }
}

/// Rows of a page: 1 to 1,000, by default 50.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(value_type = u64, minimum = 1, maximum = 1000, default = 50)]
pub(super) struct Limit(pub(super) usize);

impl Default for Limit {
    fn default() -> Self {
        Self(PAGE)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match usize::deserialize(deserializer)? {
            limit @ 1..=MOST => Ok(Self(limit)),
            _ => Err(D::Error::custom(format!("`limit` is 1 to {MOST}"))),
        }
    }
}

/// A text to look for: 1 to 1,000 characters.
#[derive(Debug, Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, min_length = 1, max_length = 1000)]
pub(super) struct Needle(pub(super) String);

impl<'de> Deserialize<'de> for Needle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.chars().count() {
            1..=1_000 => Ok(Self(text)),
            _ => Err(D::Error::custom("a text to look for has 1 to 1000 characters")),
        }
    }
}

/// What is listed by name is short: settings, not events. A page of it, and
/// the name to go on after.
pub(super) fn by_name<T>(
    mut all: Vec<T>,
    page: &Names,
    name: impl Fn(&T) -> &str,
) -> (Vec<T>, Option<String>) {
    let after = page.after.as_deref();
    all.retain(|one| after.is_none_or(|after| name(one) > after));
    all.retain(|one| page.name.as_deref().is_none_or(|part| name(one).contains(part)));
    all.sort_by(|a, b| name(a).cmp(name(b)));
    let limit = page.limit.unwrap_or_default().0;
    let more = all.len() > limit;
    all.truncate(limit);
    let next = all.last().filter(|_| more).map(|last| name(last).to_owned());
    (all, next)
}

/// The page of a list by name.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Names {
    /// Only those with this text in their name.
    pub(super) name: Option<String>,
    /// Only names after this one: `next` of the page before.
    pub(super) after: Option<String>,
    #[param(inline)]
    pub(super) limit: Option<Limit>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_out_of_range_are_refused() {
        assert!(serde_json::from_str::<Limit>("0").is_err());
        assert!(serde_json::from_str::<Limit>("1001").is_err());
        assert_eq!(serde_json::from_str::<Limit>("1000").unwrap(), Limit(1_000));
        assert!(serde_json::from_str::<Millis>(&(LAST_MS + 1).to_string()).is_err());
        assert!(serde_json::from_str::<Needle>("\"\"").is_err());
    }

    #[test]
    fn lists_by_name_go_on_after_a_name() {
        let all = || vec!["c", "a", "b"];
        let page = |after: Option<&str>, limit| Names {
            after: after.map(Into::into),
            limit: Some(Limit(limit)),
            ..Names::default()
        };
        let two = by_name(all(), &page(None, 2), |name| name);
        assert_eq!(two, (vec!["a", "b"], Some("b".to_owned())));
        assert_eq!(by_name(all(), &page(Some("b"), 2), |name| name), (vec!["c"], None));
        let named = Names { name: Some("b".into()), ..Names::default() };
        assert_eq!(by_name(all(), &named, |name| name), (vec!["b"], None));
    }
}

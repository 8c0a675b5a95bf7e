//! `verify.claims`: who must have made a token, where its issuer makes tokens for anybody.
use serde_json::Value as Json;

use super::kind::{Kind, mismatch};
use super::reader::{At, Section};
use super::tree::Value;
use super::unit::{Fault, quote};
use hookwright_model::pointer;
use hookwright_signing::Claim;

/// A table of claims: for each a text, a number or a boolean, or a list of alternatives.
pub(super) struct Claims;

const EXAMPLE: &str = "{ email = \"sender@project.iam.gserviceaccount.com\" }";

/// Read by settings of their own, or always.
const OWN: [(&str, &str); 4] = [
    ("iss", "write it as `issuer`"),
    ("aud", "write it as `audience`"),
    ("exp", "remove it: it is checked in any case"),
    ("nbf", "remove it: it is checked in any case"),
];

impl Kind for Claims {
    type Value = Vec<Claim>;

    fn name(&self) -> String {
        "table of claims: each a text, a number, true or false, or a list of alternatives"
            .to_owned()
    }

    fn read(&self, at: &At<'_, '_>) -> Option<Vec<Claim>> {
        let Value::Table(table) = &at.node.value else { return mismatch(at, "a table", EXAMPLE) };
        let (mut claims, mut good) = (Vec::with_capacity(table.len()), true);
        for (name, entry) in table {
            let path = format!("{}.{}", at.path, quote(name).trim_matches('`'));
            let claim = At { node: &entry.node, path, key: name, ..at.clone() };
            match any_of(name, &claim) {
                Some(any_of) => claims.push(Claim { name: name.clone(), any_of }),
                None => good = false,
            }
        }
        good.then_some(claims)
    }
}

/// What the claim may be.
fn any_of(name: &str, at: &At<'_, '_>) -> Option<Vec<Json>> {
    if let Some((_, help)) = OWN.iter().find(|(own, _)| *own == name) {
        return at.wrong(Fault::new("is no claim that can be demanded here", *help));
    }
    if name.starts_with('/') && !pointer::is_valid(name) {
        let help = "a name that begins with `/` is a JSON pointer into the claims";
        return at.wrong(Fault::new(format!("{} is no JSON pointer", quote(name)), help));
    }
    match &at.node.value {
        Value::List(all) if all.is_empty() => {
            at.wrong(Fault::new("is empty: no token would have it", "name one value at least"))
        }
        Value::List(all) => {
            let each = all.iter().enumerate().map(|(index, node)| {
                let path = format!("{}[{index}]", at.path);
                one(&At { node, path, ..at.clone() })
            });
            // All are read, so that every mistake is told.
            each.collect::<Vec<_>>().into_iter().collect()
        }
        _ => one(at).map(|one| vec![one]),
    }
}

fn one(at: &At<'_, '_>) -> Option<Json> {
    at.public();
    match &at.node.value {
        Value::Flag(flag) => Some((*flag).into()),
        Value::Integer(number) => Some((*number).into()),
        _ => match at.node.text() {
            Some("") => at.wrong(Fault::new("is empty", "write what the claim must be")),
            Some(text) => Some(text.into()),
            None => mismatch(at, "a text, a whole number, true or false", "\"…\""),
        },
    }
}

/// Issuers that make a token for any audience that somebody with an account asks for, by what
/// begins `issuer` or the place of their keys; and which claim says who it was.
const PUBLIC: [(&str, &str); 12] = [
    ("accounts.google.com", "email"),
    ("https://accounts.google.com", "email"),
    ("https://www.googleapis.com/oauth2/", "email"),
    ("https://token.actions.githubusercontent.com", "repository"),
    ("https://gitlab.com", "project_path"),
    ("https://login.microsoftonline.com/", "azp"),
    ("https://sts.windows.net/", "appid"),
    ("https://agent.buildkite.com", "sub"),
    ("https://oidc.circleci.com", "sub"),
    ("https://app.terraform.io", "sub"),
    ("https://cognito-identity.amazonaws.com", "sub"),
    ("https://appleid.apple.com", "sub"),
];

/// Warns of a source that takes tokens which a public issuer makes for anybody.
pub(super) fn warn_of_anybody(
    s: &Section<'_, '_>,
    issuer: Option<&str>,
    keys: Option<&str>,
    claims: &[Claim],
) {
    // That an address was verified does not say whose it is.
    if claims.iter().any(|claim| claim.name != "email_verified") {
        return;
    }
    let named = issuer.into_iter().chain(keys);
    let public = |text: &str| PUBLIC.iter().find(|(start, _)| text.starts_with(start));
    if let Some((start, claim)) = named.filter_map(public).next() {
        let message = format!(
            "{} makes tokens for anybody who has an account there, with any audience",
            quote(start)
        );
        let help = format!("say who may post: `claims = {{ {claim} = \"…\" }}`");
        s.warn("claims", Fault::new(message, help));
    }
}

//! Providers that send the secret itself. They sign nothing: use TLS.
use super::super::preset::TokenPlace;
use super::*;

/// <https://docs.gitlab.com/user/project/integrations/webhooks/>. With a
/// signing token instead of a secret token, GitLab signs by Standard Webhooks.
pub static GITLAB: Preset = Preset {
    name: "gitlab",
    title: "GitLab",
    proof: Proof::Token(&[TokenPlace::Header("x-gitlab-token")]),
    also: Some(&STANDARD),
    kind: Some(Place::Header(&["x-gitlab-event"])),
    id: Some(Place::Header(&["idempotency-key"])),
    example: "Push Hook",
    ..BASE
};

/// The HTTP webhook binding of CloudEvents, with the token that it leaves to both sides. `ce-id`
/// is unique only within `ce-source`, so it is no id for the whole:
/// <https://github.com/cloudevents/spec/blob/main/cloudevents/http-webhook.md>
pub static CLOUDEVENTS: Preset = Preset {
    name: "cloudevents",
    title: "CloudEvents",
    proof: Proof::Token(&[TokenPlace::Bearer, TokenPlace::Query("access_token")]),
    kind: Some(Place::Header(&["ce-type"])),
    handshake: Handshake::Options,
    example: "com.example.sample",
    ..BASE
};

/// <https://learn.microsoft.com/en-us/graph/change-notifications-delivery-webhooks>. A request has
/// several notifications, each with the secret of its subscription, so there is no id for the whole.
pub static MICROSOFT_GRAPH: Preset = Preset {
    name: "microsoft-graph",
    title: "Microsoft Graph",
    proof: Proof::Token(&[TokenPlace::ClientState]),
    kind: Some(Place::First(&[
        Place::Json("/value/0/changeType"),
        Place::Json("/value/0/lifecycleEvent"),
    ])),
    handshake: Handshake::Graph,
    example: "created",
    ..BASE
};

/// RFC 7617.
pub static BASIC: Preset = Preset {
    name: "basic",
    title: "Basic authentication",
    proof: Proof::Token(&[TokenPlace::Basic]),
    key: KeyForm::UserPassword,
    ..BASE
};

/// RFC 6750.
pub static BEARER: Preset = Preset {
    name: "bearer",
    title: "Bearer token",
    proof: Proof::Token(&[TokenPlace::Bearer]),
    ..BASE
};

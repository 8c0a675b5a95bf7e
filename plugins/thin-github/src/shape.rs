//! What is kept of which event.
use hookwright_plugin::json::Json;
use hookwright_plugin::serde_json;

/// A member of the thin event, and where GitHub has it.
pub(crate) type Member = (&'static str, &'static str);

/// All that a thin event may be long, in bytes.
const MOST: usize = 2048;

/// A text's most characters.
const LONG: usize = 160;

macro_rules! shape {
    ($($name:literal: $pointer:literal),* $(,)?) => {
        &[
            ("action", "/action"),
            ("repo", "/repository/full_name"),
            ("repo_id", "/repository/id"),
            ("actor", "/sender/login"),
            $(($name, $pointer)),*
        ]
    };
}

/// The members in the order in which they are written, the most useful first.
pub(crate) fn of(kind: &str) -> Option<&'static [Member]> {
    Some(match kind {
        "push" => shape! {
            "ref": "/ref", "before": "/before", "after": "/after", "created": "/created",
            "deleted": "/deleted", "forced": "/forced", "url": "/compare",
            "title": "/head_commit/message", "committed_at": "/head_commit/timestamp",
        },
        "pull_request" | "pull_request_review" | "pull_request_review_comment" => shape! {
            "number": "/pull_request/number", "title": "/pull_request/title",
            "url": "/pull_request/html_url", "state": "/pull_request/state",
            "draft": "/pull_request/draft", "merged": "/pull_request/merged",
            "branch": "/pull_request/head/ref", "sha": "/pull_request/head/sha",
            "base": "/pull_request/base/ref", "author": "/pull_request/user/login",
            "review": "/review/state",
        },
        "issues" | "issue_comment" => shape! {
            "number": "/issue/number", "title": "/issue/title", "url": "/issue/html_url",
            "state": "/issue/state", "author": "/issue/user/login", "label": "/label/name",
            "comment_url": "/comment/html_url",
        },
        "release" => shape! {
            "tag": "/release/tag_name", "title": "/release/name", "url": "/release/html_url",
            "branch": "/release/target_commitish", "draft": "/release/draft",
            "prerelease": "/release/prerelease", "author": "/release/author/login",
        },
        "create" | "delete" => shape! { "ref": "/ref", "ref_type": "/ref_type" },
        "workflow_run" => shape! {
            "number": "/workflow_run/run_number", "title": "/workflow_run/name",
            "url": "/workflow_run/html_url", "state": "/workflow_run/status",
            "conclusion": "/workflow_run/conclusion", "branch": "/workflow_run/head_branch",
            "sha": "/workflow_run/head_sha", "attempt": "/workflow_run/run_attempt",
            "trigger": "/workflow_run/event",
        },
        "check_run" => shape! {
            "title": "/check_run/name", "url": "/check_run/html_url", "state": "/check_run/status",
            "conclusion": "/check_run/conclusion", "branch": "/check_run/check_suite/head_branch",
            "sha": "/check_run/head_sha",
        },
        "deployment_status" => shape! {
            "title": "/deployment/environment", "url": "/deployment_status/target_url",
            "state": "/deployment_status/state", "branch": "/deployment/ref",
            "sha": "/deployment/sha",
        },
        "star" | "fork" | "repository" | "member" | "public" => shape! {},
        _ => return None,
    })
}

/// The attribute that a member becomes, for the plugins that follow.
pub(crate) fn attribute(name: &str) -> Option<&'static str> {
    match name {
        "repo" => Some("repo"),
        "actor" => Some("actor"),
        "branch" | "ref" => Some("branch"),
        _ => None,
    }
}

/// A ref without `refs/heads/` or `refs/tags/`.
pub(crate) fn short_ref(text: &str) -> &str {
    let branch = text.strip_prefix("refs/heads/");
    branch.or_else(|| text.strip_prefix("refs/tags/")).unwrap_or(text)
}

/// Writes the thin event.
pub(crate) struct Writer(String);

impl Writer {
    pub(crate) fn new(kind: &str) -> Self {
        Self(format!("{{\"event\":{}", serde_json::Value::from(kind)))
    }

    /// Adds a member: numbers and the like byte for byte, texts up to their
    /// first line's end or 160 characters, nothing that has parts. A member
    /// for which there is no room is left out.
    pub(crate) fn add(&mut self, name: &str, value: &Json) {
        let text = match value.raw().as_bytes().first() {
            Some(b'{' | b'[') => return,
            Some(b'"') => match value.text() {
                Some(text) => serde_json::Value::from(cut(&text)).to_string(),
                None => return,
            },
            _ => value.raw().to_owned(),
        };
        let member = format!(",\"{name}\":{text}");
        if self.0.len() + member.len() < MOST {
            self.0.push_str(&member);
        }
    }

    pub(crate) fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

fn cut(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(LONG) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

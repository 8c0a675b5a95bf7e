//! Which shape GitHub's events take.
use super::*;
use hookwright_plugin::serde_json::{Value, json};

fn amended(event: Event) -> Amendment {
    match handle(event).unwrap() {
        Verdict::Amend(amendment) => amendment,
        other => panic!("{other:?}"),
    }
}

fn push() -> Value {
    json!({
        "ref": "refs/heads/main", "before": "a".repeat(40), "after": "b".repeat(40),
        "forced": false, "compare": "https://github.com/o/r/compare/a...b",
        "head_commit": {"message": "Fix it\n\nAt length.", "timestamp": "2026-01-01T00:00:00Z"},
        "repository": {"full_name": "o/r", "id": 9_007_199_254_740_993_u64, "owner": {"login": "o"}},
        "sender": {"login": "mona"}, "commits": vec![json!({"message": "x".repeat(4000)}); 20],
    })
}

#[test]
fn a_push_is_flat_ordered_and_thin() {
    let amendment = amended(Event::sample().kind("push").json(&push()).build());
    let body = String::from_utf8(amendment.body.unwrap()).unwrap();
    let start = r#"{"event":"push","repo":"o/r","repo_id":9007199254740993,"actor":"mona","ref":"refs/heads/main","before":"#;
    assert!(body.starts_with(start), "{body}");
    assert!(
        body.ends_with(r#","title":"Fix it","committed_at":"2026-01-01T00:00:00Z"}"#),
        "{body}"
    );
    let pairs = [("repo", "o/r"), ("actor", "mona"), ("branch", "main")];
    let pairs: Vec<_> = pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    assert_eq!(amendment.attributes, pairs);
    assert_eq!(amendment.content_type.as_deref(), Some("application/json"));
}

#[test]
fn the_header_stands_in_for_an_unknown_kind() {
    let event = Event::sample().header("X-GitHub-Event", "push").json(&push()).build();
    assert!(amended(event).body.is_some());
}

#[test]
fn others_pass_as_they_came() {
    for event in [
        Event::sample().kind("marketplace_purchase").json(&push()).build(),
        Event::sample().kind("push").body("no JSON").build(),
        Event::sample().body("{}").build(),
    ] {
        assert_eq!(handle(event).unwrap(), Verdict::pass());
    }
}

#[test]
fn it_is_always_json_below_two_kib() {
    let kinds = [
        "push",
        "pull_request",
        "issues",
        "issue_comment",
        "release",
        "create",
        "workflow_run",
        "check_run",
        "deployment_status",
        "star",
    ];
    for kind in kinds {
        let mut body = json!({});
        for (_, pointer) in shape::of(kind).unwrap() {
            let mut place = &mut body;
            for token in pointer.split('/').skip(1) {
                place = place.as_object_mut().unwrap().entry(token).or_insert(json!({}));
            }
            if place.as_object().unwrap().is_empty() {
                *place = json!("\u{1}😀\"".repeat(500));
            }
        }
        let thin = amended(Event::sample().kind(kind).json(&body).build()).body.unwrap();
        assert!(thin.len() <= 2048, "{kind}: {}", thin.len());
        let parsed: Value = hookwright_plugin::serde_json::from_slice(&thin).unwrap();
        assert_eq!(parsed["event"], kind);
    }
}

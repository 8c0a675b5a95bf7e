//! What the commands print of hostile events: nothing steers a terminal, and `--json` is JSON.
use std::time::Duration;

use hookwright_tests::{Answer, HostBuilder, Receiver};
use serde_json::{Value, json};

/// ESC, C1, BEL, a line of its own, marks of direction, line and paragraph separators, a tag.
const HOSTILE: &str = "x\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}2J\r\nforged 202\u{202e}\u{2066}\u{2028}\u{2029}\u{200f}\u{e0041}\u{7f}y";

fn steers(char: char) -> bool {
    char != '\n'
        && (char.is_control()
            || matches!(char, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{e0000}'..='\u{e007f}'))
}

/// A refused body's keys, an answer of a destination and of the host reached the terminal as they came.
#[tokio::test(flavor = "multi_thread")]
async fn regression_no_command_hands_what_came_from_outside_to_the_terminal() {
    let answer = Answer { body: HOSTILE, ..Answer::status(500) };
    let receiver = Receiver::scripted(move |_, _| answer.clone()).await;
    let free = || std::net::TcpListener::bind("127.0.0.1:0").and_then(|one| one.local_addr());
    let (ingress, admin) = (free().expect("a port"), free().expect("a port"));
    let settings = format!(
        "[ingress]\nlisten = \"{ingress}\"\n[admin]\nlisten = \"{admin}\"\n\
         [sources.a]\nverify = {{ scheme = \"none\" }}\nkind = \"json:/kind\"\ndestinations = [\"out\"]\n\
         [sources.strict]\nverify = {{ scheme = \"none\" }}\nvalidate = {{ schema = \"plugins/schema.json\" }}\n\
         [sources.answers]\nverify = {{ scheme = \"none\" }}\nanswer = {{ body = {}, content_type = \"text/plain\" }}\n\
         [destinations.out]\nurl = \"{}\"\nallow_private = true\nretry = {{ base = \"10ms\", attempts = 2 }}\n",
        json!(HOSTILE).to_string().replace('\u{7f}', "\\u007f"),
        receiver.url()
    );
    let schema = br#"{"type": "object", "additionalProperties": false}"#;
    let host = HostBuilder::new(&settings).file("schema.json", schema).start().await;
    let json = [("content-type", "application/json")];
    let body = json!({ "kind": HOSTILE, HOSTILE: HOSTILE }).to_string();
    let posted =
        host.client.post(host.ingress(), "/in/a", &json, body.clone()).await.expect("an answer");
    assert_eq!(posted.status, 202);
    let refused =
        host.client.post(host.ingress(), "/in/strict", &json, body).await.expect("an answer");
    assert_eq!(refused.status, 422);
    host.client.post(host.ingress(), "/in/strict", &json, HOSTILE).await.expect("an answer");
    host.settled(Duration::from_secs(60)).await;
    let reason = json!({ "reason": HOSTILE }).to_string();
    for path in ["destinations/out/disable", "log", "destinations/%1B%5B2J%C2%9B/enable"] {
        let path = format!("/api/v1/{path}");
        host.client.post(host.admin(), &path, &json, reason.clone()).await.expect("an answer");
    }
    let id = posted.id();
    let commands: [&[&str]; 12] = [
        &["events"],
        &["events", "--text", HOSTILE],
        &["show", &id],
        &["rejected", "strict"],
        &["destinations"],
        &["sources"],
        &["audit"],
        &["stats"],
        &["send", "answers"],
        &["send", "strict", "--data", "{\"a\\u001b\": 1}"],
        &["log", HOSTILE],
        &["destinations", "enable", HOSTILE],
    ];
    for args in commands {
        let (_, out, err) = host.run(args);
        let said = format!("{out}{err}");
        assert!(!said.is_empty() && !said.contains(steers), "{args:?}: {said:?}");
        assert!(!said.lines().any(|line| line.starts_with("forged")), "{args:?}: {said}");
        let (_, out, err) = host.run(&[args, &["--json"]].concat());
        assert!(!out.contains(steers) && !err.contains(steers), "{args:?}: {out:?} {err:?}");
        if !out.is_empty() {
            serde_json::from_str::<Value>(&out)
                .unwrap_or_else(|error| panic!("{args:?}: {error}: {out}"));
        }
    }
    let (_, raw, _) = host.run(&["send", "answers", "--raw"]);
    assert_eq!(raw, HOSTILE, "whoever asks for it gets it");
}

//! Answers a provider that checks the receiver by a challenge. Shows answers to the source: `responder`.
use hookwright_plugin::prelude::*;
use hookwright_plugin::responder::Answer;

/// Where the challenge stands, and in which form it goes back.
#[config]
struct Config {
    /// JSON pointer to the challenge. An event without it is handed on.
    challenge: String,
    /// The member of a JSON answer that holds it; none answers it as plain text.
    #[serde(default)]
    member: Option<String>,
}

#[plugin]
fn handle(event: Event, config: &Config) -> Result<Verdict> {
    let challenge = event.pointer(&config.challenge).and_then(|value| value.text());
    let Some(challenge) = challenge else { return Ok(Verdict::pass()) };
    match &config.member {
        None => Answer::text(200, challenge).respond()?,
        Some(member) => {
            let object = hookwright_plugin::serde_json::json!({ member.as_str(): challenge });
            Answer::json(200, object.to_string()).respond()?;
        }
    }
    Ok(Verdict::drop("a handshake"))
}

#[cfg(test)]
mod tests {
    use hookwright_plugin::testing::take_answer;

    use super::*;

    fn ask(member: Option<&str>, body: &str) -> Verdict {
        let config = Config { challenge: "/challenge".into(), member: member.map(str::to_owned) };
        handle(Event::sample().body(body).build(), &config).unwrap()
    }

    #[test]
    fn a_challenge_goes_back_in_either_form() {
        let asked = r#"{"challenge":"a\"b"}"#;
        assert_eq!(ask(None, asked), Verdict::drop("a handshake"));
        assert_eq!(take_answer(), Some(Answer::text(200, "a\"b")));
        assert_eq!(ask(Some("echo"), asked), Verdict::drop("a handshake"));
        assert_eq!(take_answer(), Some(Answer::json(200, r#"{"echo":"a\"b"}"#)));
    }

    #[test]
    fn any_other_event_is_handed_on_without_an_answer() {
        assert_eq!(ask(None, r#"{"challenge":7}"#), Verdict::pass());
        assert_eq!(ask(None, "no JSON"), Verdict::pass());
        assert_eq!(take_answer(), None);
    }
}

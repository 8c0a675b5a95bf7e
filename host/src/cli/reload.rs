//! `hookwright reload`: the running host reads its settings again, for where no signal can be sent.
use std::process::ExitCode;

use serde_json::{Value, json};

use super::api::{Refused, Where};
use hookwright_model::printable;

pub(super) fn run(host: &Where<'_>, as_json: bool) -> anyhow::Result<ExitCode> {
    let api = host.api()?;
    let answer = super::block_on(api.post_patiently("reload", &json!({})));
    let (answer, code) = match answer {
        Ok(answer) => (answer, 0),
        // Mistakes are an answer too, and for standard output as those of `check`.
        Err(error) => match error.downcast_ref::<Refused>() {
            Some(refused) if !refused.errors.is_empty() => {
                (json!({ "mistakes": refused.errors }), 1)
            }
            _ => return Err(error),
        },
    };
    super::print_before(&if as_json { format!("{answer:#}\n") } else { told(&answer) }, code);
    Ok(ExitCode::from(code))
}

fn told(answer: &Value) -> String {
    let mut out = String::new();
    let list = |key: &str| answer[key].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| printable(value.as_str().unwrap_or_default());
    for mistake in list("mistakes").iter().chain(&list("warnings")) {
        let [place, key, message, help] =
            ["place", "key", "message", "help"].map(|name| text(&mistake[name]));
        out.push_str(&format!("{place}: {key}: {message}\n  {help}\n"));
    }
    let restart = list("restart");
    for key in list("changed") {
        let fixed = if restart.contains(&key) { "  (needs a restart)" } else { "" };
        out.push_str(&format!("changed  {}{fixed}\n", text(&key)));
    }
    out.push_str(match (list("mistakes").is_empty(), list("changed").is_empty()) {
        (false, _) => "the old settings stay active\n",
        (true, true) => "nothing has changed\n",
        (true, false) => "the new settings are active\n",
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_and_what_is_wrong_is_told() {
        let answer = json!({ "changed": ["data_dir", "sources.a"], "restart": ["data_dir"] });
        let out = told(&answer);
        assert!(
            out.contains("changed  data_dir  (needs a restart)\nchanged  sources.a\n"),
            "{out}"
        );
        let wrong = json!({ "mistakes": [{
            "place": "hookwright.toml:3:1", "key": "data", "message": "unknown key", "help": "no" }] });
        let out = told(&wrong);
        assert!(out.contains("hookwright.toml:3:1: data: unknown key\n  no\n"), "{out}");
        assert!(out.ends_with("the old settings stay active\n"), "{out}");
        assert_eq!(told(&json!({ "changed": [] })), "nothing has changed\n");
    }
}

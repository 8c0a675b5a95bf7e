//! The plugins: there, fit for this host, and with no more than they were granted.
use super::super::check;
use super::finding::{Finding, Findings};
use hookwright_config::Config;

const ABOUT: &str = "plugins";

pub(super) async fn examine(found: &mut Findings, config: &Config) -> anyhow::Result<()> {
    let asked = check::ask_plugins(config).await?;
    let named = |one: &hookwright_config::Mistake| format!("`{}` {}", one.key, one.message);
    let trouble = asked.mistakes.len() + asked.warnings.len();
    for one in &asked.mistakes {
        found.push(Finding::bad(ABOUT, named(one), one.help.clone()));
    }
    for one in &asked.warnings {
        found.push(Finding::bad(ABOUT, named(one), one.help.clone()));
    }
    if trouble == 0 && !config.plugins.is_empty() {
        let granted = config.plugins.iter().filter(|(_, plugin)| !plugin.spec.grants.is_empty());
        let granted: Vec<String> = granted
            .map(|(name, plugin)| format!("{name} ({})", plugin.spec.grants.join(", ")))
            .collect();
        let grants = match granted.as_slice() {
            [] => "none has a grant".to_owned(),
            some => format!("granted: {}", some.join("; ")),
        };
        let all = config.plugins.len();
        found.push(Finding::fine(ABOUT, format!("all {all} take their settings; {grants}")));
    }
    Ok(())
}

//! What the plugins say against their settings, placed where those were written.
use hookwright_config::{Config, Mistake, Mistakes};
use hookwright_model::Name;
use hookwright_plugins::{ConfigIssue, GateError, LoadError, Spec};

/// What a person is told who wants to know more of a plugin's settings.
const MORE: &str = "`hookwright plugin inspect FILE` shows which settings it knows";

/// The plugins of the settings, in the engine's terms.
pub fn specs(config: &Config) -> Vec<Spec> {
    super::options::specs(config)
}

/// Why a plugin does not load, as mistakes of the settings: one for each that
/// its schema or its `init` finds in `config`, or one for the plugin as a whole.
pub fn mistakes(config: &Config, plugin: &Name, error: &LoadError) -> Vec<Mistake> {
    let LoadError::Gate(GateError::Config(issues)) = error else {
        let help = "`hookwright plugin check FILE` takes a component through the same gate".into();
        return vec![config.written.plugin_mistake(plugin, error.to_string(), help)];
    };
    let place = |ConfigIssue { path, message, help }: &ConfigIssue| {
        let help = if help.is_empty() { MORE.to_owned() } else { help.clone() };
        config.written.config_mistake(plugin, path, message.clone(), help)
    };
    issues.iter().map(place).collect()
}

/// The mistakes of several plugins together.
pub(super) fn all_mistakes<'e>(
    config: &Config,
    failed: impl IntoIterator<Item = (&'e Name, &'e LoadError)>,
) -> Mistakes {
    failed.into_iter().flat_map(|(plugin, error)| mistakes(config, plugin, error)).collect()
}

//! `hookwright plugin replay`: runs recorded events through a candidate, beside the active version. Nothing is sent.
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::super::api::Api;
use super::history::{History, Recorded};
use super::tally::Tally;
use crate::app::plugins as settings;
use hookwright_author::Engine;
use hookwright_author::Outcome;
use hookwright_author::find;
use hookwright_config::{Config, parse_duration};
use hookwright_model::clock::millis;
use hookwright_model::plugin::OnFailure;
use hookwright_model::{Name, Payload};
use hookwright_plugins::{Call, Fault, Spec, Verdict};

/// Runs a new version of a plugin over the events that the host has recorded,
/// beside the active version, and shows which verdicts would change. Nothing
/// is sent and nothing is written.
///
/// Each event goes through its source's plugins again, up to this plugin, with the
/// current versions and settings; both versions of the plugin get the same input.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ReplayArgs {
    /// The candidate's file, or the folder of its project
    pub(super) file: PathBuf,

    /// The plugin in the settings that the candidate would replace; by default the one with the file's name
    #[arg(long, value_name = "NAME")]
    plugin: Option<String>,

    /// Settings for the candidate, as JSON; by default those of the plugin
    #[arg(long, value_name = "JSON")]
    settings: Option<String>,

    /// Only events from this source
    #[arg(long)]
    source: Option<String>,

    /// Only events younger than this
    #[arg(long, default_value = "24h", value_parser = parse_duration)]
    since: Duration,

    /// At most this many of the newest events of each source
    #[arg(long, default_value_t = 1000, value_name = "N")]
    limit: usize,

    /// Show at most this many changes in full
    #[arg(long, default_value_t = 10, value_name = "N")]
    show: usize,
}

pub(super) fn run(config: &Path, args: &ReplayArgs, as_json: bool) -> Result<ExitCode> {
    let args = &ReplayArgs { file: find(&args.file)?, ..args.clone() };
    let config = super::super::load(config)?;
    let plugin = plugin(&config, args)?;
    let sources = sources(&config, &plugin, args.source.as_deref())?;
    let tally = super::super::block_on(async {
        let api = Api::new(&config);
        let trial = Trial::begin(&config, &api, plugin, args).await?;
        let mut tally = Tally::new(&trial.plugin, trial.digests(), args.show);
        for source in &sources {
            trial.source(&History::new(&api), source, args, &mut tally).await?;
        }
        anyhow::Ok(tally)
    })?;
    let text = if as_json { super::super::json(&tally.as_value()) } else { tally.page() };
    super::super::print(&text);
    Ok(ExitCode::SUCCESS)
}

fn plugin(config: &Config, args: &ReplayArgs) -> Result<Name> {
    let stem = args.file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let wanted = args.plugin.clone().unwrap_or(stem);
    match config.plugins.get_key_value(wanted.as_str()) {
        Some((name, _)) => Ok(name.clone()),
        None => {
            let known: Vec<_> = config.plugins.keys().map(Name::as_str).collect();
            let known = known.join(", ");
            bail!(
                "the settings have no plugin `{wanted}`: name one of them with --plugin ({known})"
            )
        }
    }
}

fn sources(config: &Config, plugin: &Name, only: Option<&str>) -> Result<Vec<Name>> {
    let using = config.sources.iter().filter(|(_, source)| source.plugins.contains(plugin));
    let names: Vec<Name> = using
        .map(|(name, _)| name.clone())
        .filter(|name| only.is_none_or(|only| name.as_str() == only))
        .collect();
    if names.is_empty() {
        let only = only.map(|name| format!(" `{name}`")).unwrap_or_default();
        bail!("no source{only} of the settings uses the plugin `{plugin}`");
    }
    Ok(names)
}

/// The active version, the candidate, and the plugins before them.
struct Trial<'c> {
    config: &'c Config,
    engine: Engine,
    plugin: Name,
    candidate: Name,
}

impl<'c> Trial<'c> {
    /// Loads the current plugins and the candidate.
    async fn begin(config: &'c Config, api: &Api, plugin: Name, args: &ReplayArgs) -> Result<Self> {
        let mut specs = settings::specs(config);
        let own = specs.iter().find(|spec| spec.name == plugin).context("it is in the settings")?;
        let mut name = "candidate".to_owned();
        while config.plugins.contains_key(name.as_str()) {
            name.push_str("-1");
        }
        let candidate: Name = name.parse()?;
        // Absolute, so that it is not looked for in the folder of the plugins.
        let file = args.file.canonicalize();
        let file = file.with_context(|| format!("can't read {}", args.file.display()))?;
        let config_json = args.settings.clone().unwrap_or_else(|| own.config_json.clone());
        specs.push(Spec { name: candidate.clone(), file, config_json, ..own.clone() });
        let engine = Engine::load(config.plugins_dir.clone(), specs, Vec::new(), None).await?;
        if let Some(error) = engine.trouble(&candidate) {
            bail!("the candidate does not load: {error}");
        }
        let trial = Self { config, engine, plugin, candidate };
        trial.compare_versions(&api.get("plugins").await?)?;
        Ok(trial)
    }

    /// The compared version must be the one that is active on the host.
    fn compare_versions(&self, answer: &Value) -> Result<()> {
        for status in answer["plugins"].as_array().into_iter().flatten() {
            let running = status["digest"].as_str();
            let Some(Ok(name)) = status["name"].as_str().map(str::parse::<Name>) else { continue };
            let here = self.engine.digest(&name).map(|digest| digest.to_string());
            if self.config.plugins.contains_key(&name) && running != here.as_deref() {
                bail!(
                    "the active version of `{name}` on the host is not the file in {}: \
                     `hookwright plugin check` says whether that file is refused",
                    self.config.plugins_dir.display()
                );
            }
        }
        Ok(())
    }

    /// Of the active version and the candidate.
    fn digests(&self) -> [String; 2] {
        let short = |name| self.engine.digest(name).map(|digest| digest.short());
        [&self.plugin, &self.candidate].map(|name| short(name).unwrap_or_else(|| "none".into()))
    }

    async fn source(
        &self,
        history: &History<'_>,
        source: &Name,
        args: &ReplayArgs,
        tally: &mut Tally,
    ) -> Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let since_ms = millis(now.saturating_sub(args.since));
        let mut pages = history.ids(source, since_ms, args.limit);
        while let Some(ids) = pages.next().await? {
            for id in ids {
                if let Some(recorded) = history.event(&id).await? {
                    tally.events += 1;
                    self.event(&recorded, tally).await;
                }
            }
        }
        Ok(())
    }

    /// Takes an event through the plugins before this one, as the host does.
    async fn event(&self, recorded: &Recorded, tally: &mut Tally) {
        let event = &recorded.event;
        let (mut changed, mut attributes) = (Payload::default(), Vec::new());
        let Some(source) = self.config.sources.get(event.source.as_str()) else { return };
        for step in &source.plugins {
            let call = Call::after(event, &changed, &attributes, false);
            let answer = self.engine.ask(step, &call).await;
            if *step == self.plugin {
                let candidate = self.engine.ask(&self.candidate, &call).await;
                tally.hold_against_record(recorded, step, &answer);
                let outcomes = [Outcome::of(&answer.result), Outcome::of(&candidate.result)];
                return tally.compare(event, &outcomes);
            }
            match answer.result {
                Ok(Verdict::Pass) => {}
                Ok(Verdict::Amend(amendment)) => amendment.apply(&mut changed, &mut attributes),
                Err(fault) if self.skips(step, &fault) => {}
                _ => return,
            }
        }
    }

    fn skips(&self, plugin: &Name, fault: &Fault) -> bool {
        let on_failure = self.config.plugins.get(plugin).map(|plugin| plugin.on_failure);
        !matches!(fault, Fault::Reject(_)) && on_failure == Some(OnFailure::Skip)
    }
}

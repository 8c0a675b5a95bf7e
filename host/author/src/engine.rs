//! The plugin engine of a host, for components on an author's machine: `test`, `bench` and `replay` call it.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use super::inspect::wants;
use hookwright_model::clock::Clock;
use hookwright_model::{Digest, Name, StateRow};
use hookwright_plugins::{Answer, Call, Fetch, LoadError, Options, Plugins, Spec, State, inspect};

/// Plugins loaded as a host loads them, for calls outside of a host.
pub struct Engine {
    plugins: Plugins,
    trouble: BTreeMap<Name, LoadError>,
    /// Where native code is kept if this user has no cache folder.
    _cache: Option<TempDir>,
}

impl Engine {
    /// Loads the component once for each spec, whatever file the spec names. A spec without grants
    /// gets those that the component asks for.
    ///
    /// # Errors
    /// When the engine does not start. [`Engine::trouble`] has the error of a plugin that does not load.
    pub(crate) async fn open(
        component: &Path,
        mut specs: Vec<Spec>,
        state: Vec<StateRow>,
        fetch: Arc<dyn Fetch>,
    ) -> Result<Self> {
        let shown = component.display();
        let file = component.file_name().with_context(|| format!("{shown} is not a file"))?;
        let grants = granted(component)?;
        for spec in &mut specs {
            spec.file = file.into();
            if spec.grants.is_empty() {
                spec.grants.clone_from(&grants);
            }
        }
        let dir = component.parent().unwrap_or(Path::new("")).to_owned();
        Self::load(dir, specs, state, Some(fetch)).await
    }

    /// Loads plugins from a folder. Without `fetch` their requests are refused.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub async fn load(
        dir: PathBuf,
        mut specs: Vec<Spec>,
        state: Vec<StateRow>,
        fetch: Option<Arc<dyn Fetch>>,
    ) -> Result<Self> {
        for spec in &mut specs {
            // Each event is called here, however many failed before it: no quarantine.
            spec.quarantine.calls = 0;
            // All calls go to one version.
            spec.candidate = None;
        }
        let (folder, temporary) = match cache() {
            Some(folder) => (folder, None),
            None => {
                let made = tempfile::tempdir()?;
                (made.path().join("compiled"), Some(made))
            }
        };
        if let Some(outer) = folder.parent() {
            std::fs::create_dir_all(outer)
                .with_context(|| format!("can't make {}", outer.display()))?;
        }
        let mut options = Options::new(dir, folder, crate::compiler()?);
        options.state = State::new(Clock::system(), state);
        options.fetch = fetch;
        let plugins = Plugins::open(options, specs)?;
        let reports = plugins.load_all().await;
        let failed = reports
            .into_iter()
            .filter_map(|report| report.result.err().map(|error| (report.plugin, error)));
        Ok(Self { trouble: failed.collect(), plugins, _cache: temporary })
    }

    /// Why a plugin did not load.
    pub fn trouble(&self, plugin: &Name) -> Option<&LoadError> {
        self.trouble.get(plugin)
    }

    /// The digest of the active version; none where the plugin did not load.
    pub fn digest(&self, plugin: &Name) -> Option<Digest> {
        self.plugins.pin(std::slice::from_ref(plugin)).digests().next().flatten()
    }

    /// The plugin's answer to one call, as in a host. It has failed where no version is active.
    pub async fn ask(&self, plugin: &Name, asked: &Call<'_>) -> Answer {
        self.plugins.pin(std::slice::from_ref(plugin)).call(0, asked).await
    }
}

/// The grants that the component asks for: an author's machine has nothing that a grant would
/// give away. A file that is not a plugin has none, and says why when it is loaded.
///
/// # Errors
/// When the file can't be read.
pub(crate) fn granted(component: &Path) -> Result<Vec<String>> {
    let wasm = std::fs::read(component);
    let wasm = wasm.with_context(|| format!("can't read {}", component.display()))?;
    Ok(inspect(&wasm).map(|shape| wants(&shape)).unwrap_or_default())
}

/// This user's folder for what can be made again: `$XDG_CACHE_HOME`, or `~/.cache`.
fn cache() -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let base = named("XDG_CACHE_HOME").or_else(|| Some(named("HOME")?.join(".cache")))?;
    base.is_absolute().then(|| base.join("hookwright/compiled"))
}

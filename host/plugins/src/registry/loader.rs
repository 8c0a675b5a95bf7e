//! Loads a version from a file: read, gate, cache, share, probe.
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use crate::build::{probe, probe_capabilities};
use crate::gate::{self, GateError, Shape};
use crate::limits::COMPONENT_BYTES;
use crate::registry::code_store::CodeStore;
use crate::registry::options::Options;
use crate::registry::stamp::FileStamp;
use crate::run::{
    Capabilities, Fetch, KEPT_INSTANCES, Keyspace, NetworkPolicy, Pool, SharedRuntime, State,
};
use crate::version::{InFlightLedger, Loaded, Version};
use hookwright_model::Digest;
use hookwright_model::clock::Clock;
use hookwright_model::plugin::Spec;

/// Why no version could be loaded from a plugin's file.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LoadError {
    /// There is no such file.
    #[error("the file {0} is missing: put the component there")]
    Missing(PathBuf),
    /// The file can't be read, for this reason.
    #[error("the file {0} cannot be read: {1}")]
    Unreadable(PathBuf, String),
    /// The component does not pass the gate.
    #[error(transparent)]
    Gate(#[from] GateError),
}

/// Makes versions of files: reads a file, gets its code, and gives the version what its grants allow.
pub(crate) struct Loader {
    dir: PathBuf,
    code: CodeStore,
    clock: Clock,
    state: State,
    fetch: Option<Arc<dyn Fetch>>,
    ledger: Option<Arc<InFlightLedger>>,
    /// Places for instances that are kept.
    warm: Arc<Semaphore>,
}

/// A file as it was read.
pub(crate) struct ComponentFile {
    pub(crate) stamp: FileStamp,
    pub(crate) digest: Digest,
    wasm: Bytes,
}

impl Loader {
    pub(crate) fn new(options: &Options, code: CodeStore) -> Self {
        Self {
            dir: options.dir.clone(),
            code,
            clock: options.clock.clone(),
            state: options.state.clone(),
            fetch: options.fetch.clone(),
            ledger: options.ledger.clone(),
            warm: Arc::new(Semaphore::new(KEPT_INSTANCES as usize)),
        }
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    pub(crate) fn path(&self, spec: &Spec) -> PathBuf {
        self.dir.join(&spec.file)
    }

    pub(crate) fn prune(&self) {
        self.code.prune();
    }

    /// Reads a plugin's file. The stamp is given in any case, so
    /// that a bad file is not read again before it changes.
    pub(crate) async fn read(
        &self,
        spec: &Spec,
    ) -> (Option<FileStamp>, Result<ComponentFile, LoadError>) {
        let path = self.path(spec);
        let missing = path.clone();
        let read = tokio::task::spawn_blocking(move || {
            let stamp = FileStamp::of(&path);
            (stamp, read(&path, stamp))
        });
        read.await
            .unwrap_or_else(|error| (None, Err(LoadError::Unreadable(missing, error.to_string()))))
    }

    /// Takes a candidate through the rest of the gate. One that stands `apart`
    /// keeps state of its own, which nobody records, and reaches nobody.
    pub(crate) async fn load(
        &self,
        spec: &Arc<Spec>,
        new: ComponentFile,
        apart: bool,
        shared: &SharedRuntime,
    ) -> Result<Version, GateError> {
        let found = self.code.code(&new.digest, new.wasm, spec).await?;
        let shape = &found.report.shape;
        // What is kept may have been compiled for a plugin with other grants.
        gate::check_imports(&shape.imports, &spec.grants)?;
        gate::check_warm(&shape.imports, spec.warm.is_some())?;
        // Its limits may have changed since the gate saw it.
        let probed = probe_capabilities(shape, &spec.name, &spec.grants);
        probe(&found.code, &spec.name, &spec.limits, &probed, &shared.lane).await?;
        self.code.share(&found);
        let capabilities = self.capabilities(spec, shape, apart);
        let pool = spec.warm.map(|rule| Arc::new(Pool::new(rule, self.warm.clone())));
        let loaded =
            Loaded { report: Arc::new(found.report), code: found.code, capabilities, pool };
        Ok(Version::new(spec.clone(), loaded, self.ledger.clone(), self.clock.now_ms()))
    }

    fn capabilities(&self, spec: &Spec, shape: &Shape, apart: bool) -> Capabilities {
        let space = shape.wants("kv").then(|| match apart {
            false => self.state.space(&spec.name),
            true => Keyspace::new(spec.name.clone(), self.clock.clone()),
        });
        let fetch = self.fetch.clone().filter(|_| !apart);
        Capabilities {
            space,
            network: NetworkPolicy::of(&spec.grants, fetch),
            responds: spec.grants.iter().any(|grant| grant == "responder"),
        }
    }
}

fn read(path: &Path, stamp: Option<FileStamp>) -> Result<ComponentFile, LoadError> {
    let unreadable = |error: std::io::Error| LoadError::Unreadable(path.into(), error.to_string());
    let Some(stamp) = stamp else { return Err(LoadError::Missing(path.into())) };
    if !stamp.is_file() {
        return Err(LoadError::Unreadable(path.into(), "it is no file".into()));
    }
    if stamp.size() > COMPONENT_BYTES {
        return Err(GateError::TooLarge { size: stamp.size() }.into());
    }
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut wasm = Vec::new();
    file.take(COMPONENT_BYTES + 1).read_to_end(&mut wasm).map_err(unreadable)?;
    let digest = Digest::new(Sha256::digest(&wasm).into());
    Ok(ComponentFile { stamp, digest, wasm: wasm.into() })
}

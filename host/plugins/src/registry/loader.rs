//! From a file to a version: read, gate, cache, share, probe.
use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::build::cache::{Cache, Key};
use crate::build::compile::Compiler;
use crate::build::pipeline::{self, Built, Job};
use crate::gate::inspect::{self, GateError};
use crate::gate::report::{Report, Shape};
use crate::limits::COMPONENT_BYTES;
use crate::registry::watch;
use crate::run::call::Means;
use crate::run::code::{Code, Linkers};
use crate::run::engine;
use crate::run::http::{Fetch, Reach};
use crate::run::kv::{Space, State};
use crate::run::ticks::Ticker;
use crate::run::warm::{self, Pool};
use crate::version::serving::{Floor, Version};
use hookwright_model::Digest;
use hookwright_model::clock::Clock;
use hookwright_model::plugin::Spec;

/// Why a plugin's file gave no version.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LoadError {
    #[error("the file {0} is missing: put the component there")]
    Missing(PathBuf),
    #[error("the file {0} cannot be read: {1}")]
    Unreadable(PathBuf, String),
    #[error(transparent)]
    Gate(#[from] GateError),
}

/// Components that are compiled at a time: each takes much memory.
const COMPILES: usize = 2;

pub(crate) struct Loader {
    dir: PathBuf,
    forge: Arc<Forge>,
    compatibility: [u8; 32],
    compiler: Compiler,
    /// Places to compile in.
    compiling: Semaphore,
    cache: Arc<Cache>,
    clock: Clock,
    state: State,
    fetch: Option<Arc<dyn Fetch>>,
    /// Places for instances that are kept.
    warm: Arc<Semaphore>,
    /// Code in use, so that two plugins of one file and settings share it.
    shared: Mutex<HashMap<Key, Weak<Code>>>,
}

/// A file as it was read.
pub(crate) struct Candidate {
    pub(crate) mark: watch::Mark,
    pub(crate) digest: Digest,
    wasm: Bytes,
}

/// Where native code is.
enum Native {
    /// At the start of that file of the cache.
    Kept(PathBuf),
    Bytes(Vec<u8>),
}

/// What makes native code ready to be called.
struct Forge {
    engine: Engine,
    linkers: Linkers,
}

impl Forge {
    fn ready(
        &self,
        report: &Report,
        native: &Native,
        config_json: String,
    ) -> wasmtime::Result<Arc<Code>> {
        let component = match native {
            Native::Kept(file) => self.mapped(file, report.native_size)?,
            Native::Bytes(bytes) => self.copied(bytes)?,
        };
        let init = report.snapshot_size.is_none().then_some(config_json);
        let wants_wasi = inspect::wants_wasi(&report.shape.imports);
        Ok(Arc::new(Code::new(&self.linkers, &component, wants_wasi, init)?))
    }

    fn mapped(&self, file: &Path, size: u64) -> wasmtime::Result<Component> {
        // SAFETY: the bytes come from our own compiler, and from a directory that
        // only this user can write to, with a checksum. Files there are replaced
        // and deleted, but never written to.
        let mapped = unsafe { Component::deserialize_file(&self.engine, file) };
        mapped.or_else(|error| {
            // On a file system without `exec` code can't be mapped, but copied.
            let mut bytes = Vec::new();
            std::fs::File::open(file)?.take(size).read_to_end(&mut bytes)?;
            let copied = self.copied(&bytes)?;
            tracing::debug!(file = %file.display(), %error, "native code is copied, not mapped");
            Ok(copied)
        })
    }

    fn copied(&self, bytes: &[u8]) -> wasmtime::Result<Component> {
        // SAFETY: as above, or straight from the compiler's pipe.
        unsafe { Component::deserialize(&self.engine, bytes) }
    }
}

impl Loader {
    pub(crate) fn new(
        options: &crate::Options,
        (engine, ticker): (Engine, Arc<Ticker>),
        cache: Cache,
    ) -> wasmtime::Result<Self> {
        Ok(Self {
            dir: options.dir.clone(),
            compatibility: engine::compatibility(&engine),
            forge: Arc::new(Forge { linkers: Linkers::new(&engine, ticker)?, engine }),
            compiler: options.compiler.clone(),
            compiling: Semaphore::new(COMPILES),
            cache: Arc::new(cache),
            clock: options.clock.clone(),
            state: options.state.clone(),
            fetch: options.fetch.clone(),
            warm: Arc::new(Semaphore::new(warm::PLACES as usize)),
            shared: Mutex::default(),
        })
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    pub(crate) fn path(&self, spec: &Spec) -> PathBuf {
        self.dir.join(&spec.file)
    }

    pub(crate) fn prune(&self) {
        let cache = self.cache.clone();
        tokio::task::spawn_blocking(move || cache.prune());
    }

    /// Reads a plugin's file. The mark is given in any case, so
    /// that a bad file is not read again before it changes.
    pub(crate) async fn read(
        &self,
        spec: &Spec,
    ) -> (Option<watch::Mark>, Result<Candidate, LoadError>) {
        let path = self.path(spec);
        let missing = path.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mark = watch::Mark::of(&path);
            (mark, read(&path, mark))
        });
        read.await
            .unwrap_or_else(|error| (None, Err(LoadError::Unreadable(missing, error.to_string()))))
    }

    /// Takes a candidate through the rest of the gate. One that stands `apart`
    /// keeps state of its own, which nobody records, and reaches nobody.
    pub(crate) async fn load(
        &self,
        spec: &Arc<Spec>,
        new: Candidate,
        apart: bool,
        floor: &Floor,
    ) -> Result<Version, GateError> {
        let key = Key::new(&new.digest, &spec.config_json, &self.compatibility);
        let (code, report) = match self.kept(&key, spec).await {
            Some(kept) => kept,
            None => self.compile(&key, spec, new.wasm).await?,
        };
        // What is kept may have been compiled for a plugin with other grants.
        inspect::check_imports(&report.shape.imports, &spec.grants)?;
        inspect::check_warm(&report.shape.imports, spec.warm.is_some())?;
        // Its limits may have changed since the gate saw it.
        let probed = pipeline::means(&report.shape, &spec.name, &spec.grants);
        pipeline::probe(&code, &spec.name, &spec.limits, &probed, &floor.lane).await?;
        self.share(key, &code);
        let now_ms = self.clock.now_ms();
        let means = self.means(spec, &report.shape, apart);
        let digest = report.shape.digest;
        let condemned = floor.hands().and_then(|hands| hands.condemned(&spec.name, digest));
        Ok(Version::new(spec.clone(), Arc::new(report), code, means, now_ms, condemned))
    }

    fn means(&self, spec: &Spec, shape: &Shape, apart: bool) -> Means {
        let space = shape.wants("kv").then(|| match apart {
            false => self.state.space(&spec.name),
            true => Space::new(spec.name.clone(), self.clock.clone()),
        });
        let fetch = self.fetch.clone().filter(|_| !apart);
        Means {
            space,
            reach: Reach::of(&spec.grants, fetch),
            responds: spec.grants.iter().any(|grant| grant == "responder"),
            pool: spec.warm.map(|rule| Arc::new(Pool::new(rule, self.warm.clone()))),
        }
    }

    async fn kept(&self, key: &Key, spec: &Spec) -> Option<(Arc<Code>, Report)> {
        let (forge, cache, wanted) = (self.forge.clone(), self.cache.clone(), *key);
        let shared = self.shared.lock().get(key).and_then(Weak::upgrade);
        let config = spec.config_json.clone();
        let found = tokio::task::spawn_blocking(move || {
            let (report, file) = cache.load(&wanted)?;
            let code = match shared {
                Some(code) => Ok(code),
                None => forge.ready(&report, &Native::Kept(file), config),
            };
            Some(code.map(|code| (code, report)))
        });
        match found.await.ok()?? {
            Ok(kept) => Some(kept),
            Err(error) => {
                tracing::warn!(plugin = %spec.name, %error, "a cache entry does not load; compiling again");
                None
            }
        }
    }

    async fn compile(
        &self,
        key: &Key,
        spec: &Spec,
        wasm: Bytes,
    ) -> Result<(Arc<Code>, Report), GateError> {
        let failed = |what: &dyn std::fmt::Display| GateError::Compile(what.to_string());
        let _turn = self.compiling.acquire().await;
        let Built { report, native } = self.compiler.build(Job::new(spec), wasm).await?;
        let (forge, cache, key) = (self.forge.clone(), self.cache.clone(), *key);
        let (plugin, config) = (spec.name.clone(), spec.config_json.clone());
        let ready = tokio::task::spawn_blocking(move || {
            let native = match cache.store(&key, &report, &native) {
                Ok(file) => Native::Kept(file),
                Err(error) => {
                    tracing::warn!(%plugin, %error, "the native code is not kept; the next start compiles again");
                    Native::Bytes(native)
                }
            };
            forge.ready(&report, &native, config).map(|code| (code, report))
        });
        let ready = ready.await.map_err(|error| failed(&error))?;
        ready.map_err(|error| failed(&format_args!("the native code does not load: {error:#}")))
    }

    fn share(&self, key: Key, code: &Arc<Code>) {
        let mut shared = self.shared.lock();
        shared.retain(|_, code| code.strong_count() > 0);
        shared.insert(key, Arc::downgrade(code));
    }
}

fn read(path: &Path, mark: Option<watch::Mark>) -> Result<Candidate, LoadError> {
    let unreadable = |error: std::io::Error| LoadError::Unreadable(path.into(), error.to_string());
    let Some(mark) = mark else { return Err(LoadError::Missing(path.into())) };
    if !mark.is_file() {
        return Err(LoadError::Unreadable(path.into(), "it is no file".into()));
    }
    if mark.size() > COMPONENT_BYTES {
        return Err(GateError::TooLarge { size: mark.size() }.into());
    }
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut wasm = Vec::new();
    file.take(COMPONENT_BYTES + 1).read_to_end(&mut wasm).map_err(unreadable)?;
    let digest = Digest::new(Sha256::digest(&wasm).into());
    Ok(Candidate { mark, digest, wasm: wasm.into() })
}

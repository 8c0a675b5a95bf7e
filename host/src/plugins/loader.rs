//! From a file to a version: read, gate, cache, share, probe.
use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::build::{self, Built, Job};
use super::cache::{Cache, Key};
use super::call::Means;
use super::code::{Code, Linkers};
use super::compile::Compiler;
use super::gate::{self, GateError};
use super::http::{Fetch, Reach};
use super::kv::{Space, State};
use super::limits::COMPONENT_BYTES;
use super::report::{Report, Shape};
use super::slow::Lane;
use super::spec::Spec;
use super::version::Version;
use super::warm::{self, Pool};
use super::{engine, watch};
use crate::clock::Clock;

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

pub(super) struct Loader {
    dir: PathBuf,
    engine: Engine,
    linkers: Linkers,
    compatibility: [u8; 32],
    compiler: Compiler,
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
pub(super) struct Candidate {
    pub(super) mark: watch::Mark,
    pub(super) shape: Shape,
    wasm: Bytes,
}

impl Loader {
    pub(super) fn new(
        options: &super::Options,
        engine: Engine,
        cache: Cache,
    ) -> wasmtime::Result<Self> {
        Ok(Self {
            dir: options.dir.clone(),
            linkers: Linkers::new(&engine)?,
            compatibility: engine::compatibility(&engine),
            engine,
            compiler: options.compiler.clone(),
            cache: Arc::new(cache),
            clock: options.clock.clone(),
            state: options.state.clone(),
            fetch: options.fetch.clone(),
            warm: Arc::new(Semaphore::new(warm::PLACES as usize)),
            shared: Mutex::default(),
        })
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    pub(super) fn path(&self, spec: &Spec) -> PathBuf {
        self.dir.join(&spec.file)
    }

    pub(super) fn prune(&self) {
        let cache = self.cache.clone();
        tokio::task::spawn_blocking(move || cache.prune());
    }

    /// Reads and inspects a plugin's file. The mark is given in any case, so
    /// that a bad file is not read again before it changes.
    pub(super) async fn read(
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
    pub(super) async fn load(
        &self,
        spec: &Arc<Spec>,
        new: Candidate,
        apart: bool,
        lane: &Lane,
    ) -> Result<Version, GateError> {
        gate::check_imports(&new.shape.imports, &spec.grants)?;
        gate::check_warm(&new.shape.imports, spec.warm.is_some())?;
        let key = Key::new(&new.shape.digest, &spec.config_json, &self.compatibility);
        let (code, report) = match self.kept(&key, spec).await {
            Some(kept) => kept,
            None => self.compile(&key, spec, new.wasm).await?,
        };
        // Its limits may have changed since the gate saw it.
        let probed = build::means(&report.shape, &spec.name, &spec.grants);
        build::probe(&code, &spec.name, &spec.limits, &probed, lane).await?;
        self.share(key, &code);
        let now_ms = self.clock.now_ms();
        let means = self.means(spec, &report.shape, apart);
        Ok(Version::new(spec.clone(), Arc::new(report), code, means, now_ms))
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
        let (cache, wanted) = (self.cache.clone(), *key);
        let found = tokio::task::spawn_blocking(move || cache.load(&wanted)).await.ok()?;
        let (report, native) = found?;
        if let Some(code) = self.shared.lock().get(key).and_then(Weak::upgrade) {
            return Some((code, report));
        }
        match self.ready(&report, &native, spec) {
            Ok(code) => Some((code, report)),
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
        let Built { report, native } = self.compiler.build(Job::new(spec), wasm).await?;
        let code = self.ready(&report, &native, spec).map_err(|error| {
            GateError::Compile(format!("the native code does not load: {error:#}"))
        })?;
        let (cache, key, kept) = (self.cache.clone(), *key, report.clone());
        let stored = tokio::task::spawn_blocking(move || cache.store(&key, &kept, &native)).await;
        if let Ok(Err(error)) = stored {
            tracing::warn!(plugin = %spec.name, %error, "the native code is not kept; the next start compiles again");
        }
        Ok((code, report))
    }

    fn ready(&self, report: &Report, native: &[u8], spec: &Spec) -> wasmtime::Result<Arc<Code>> {
        // SAFETY: the bytes come from our own compiler, either from its pipe
        // or from a directory that only this user can write to, with a checksum.
        let component = unsafe { Component::deserialize(&self.engine, native) }?;
        let init = report.snapshot_size.is_none().then(|| spec.config_json.clone());
        let wants_wasi = gate::wants_wasi(&report.shape.imports);
        Ok(Arc::new(Code::new(&self.linkers, &component, wants_wasi, init)?))
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
    let shape = gate::inspect(&wasm)?;
    Ok(Candidate { mark, shape, wasm: wasm.into() })
}

//! Native code for components: from memory where another plugin has it, from the cache, or compiled.
use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::build::{Built, Cache, Compiler, Job, Key};
use crate::gate::{self, GateError, Report};
use crate::run::{Code, Linkers, Ticker, engine};
use hookwright_model::Digest;
use hookwright_model::plugin::Spec;

/// Components that are compiled at a time: each takes much memory.
const COMPILES: usize = 2;

/// Native code by component and settings: what is in use, what the cache keeps, and what compiles the rest.
pub(crate) struct CodeStore {
    factory: Arc<CodeFactory>,
    compatibility: [u8; 32],
    compiler: Compiler,
    /// Places to compile in.
    compiling: Semaphore,
    cache: Arc<Cache>,
    /// Code in use, so that two plugins of one file and settings share it.
    shared: Mutex<HashMap<Key, Weak<Code>>>,
}

/// Code that was found or made, to be shared once it has passed its probe.
pub(crate) struct Found {
    key: Key,
    pub(crate) code: Arc<Code>,
    pub(crate) report: Report,
}

/// Where native code is.
enum Native {
    /// At the start of that file of the cache.
    Kept(PathBuf),
    Bytes(Vec<u8>),
}

/// What makes native code ready to be called.
struct CodeFactory {
    engine: Engine,
    linkers: Linkers,
}

impl CodeFactory {
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
        let wants_wasi = gate::wants_wasi(&report.shape.imports);
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

impl CodeStore {
    pub(crate) fn new(
        (engine, ticker): (Engine, Arc<Ticker>),
        compiler: Compiler,
        cache: Cache,
    ) -> wasmtime::Result<Self> {
        Ok(Self {
            compatibility: engine::compatibility(&engine),
            factory: Arc::new(CodeFactory { linkers: Linkers::new(&engine, ticker)?, engine }),
            compiler,
            compiling: Semaphore::new(COMPILES),
            cache: Arc::new(cache),
            shared: Mutex::default(),
        })
    }

    pub(crate) fn prune(&self) {
        let cache = self.cache.clone();
        tokio::task::spawn_blocking(move || cache.prune());
    }

    /// The code of a component with a plugin's settings.
    ///
    /// # Errors
    /// Where the component does not pass the gate, or does not compile.
    pub(crate) async fn code(
        &self,
        digest: &Digest,
        wasm: Bytes,
        spec: &Spec,
    ) -> Result<Found, GateError> {
        let key = Key::new(digest, &spec.config_json, &self.compatibility);
        let (code, report) = match self.kept(&key, spec).await {
            Some(kept) => kept,
            None => self.compile(&key, spec, wasm).await?,
        };
        Ok(Found { key, code, report })
    }

    async fn kept(&self, key: &Key, spec: &Spec) -> Option<(Arc<Code>, Report)> {
        let (factory, cache, wanted) = (self.factory.clone(), self.cache.clone(), *key);
        let shared = self.shared.lock().get(key).and_then(Weak::upgrade);
        let config = spec.config_json.clone();
        let found = tokio::task::spawn_blocking(move || {
            let (report, file) = cache.load(&wanted)?;
            let code = match shared {
                Some(code) => Ok(code),
                None => factory.ready(&report, &Native::Kept(file), config),
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
        let (factory, cache, key) = (self.factory.clone(), self.cache.clone(), *key);
        let (plugin, config) = (spec.name.clone(), spec.config_json.clone());
        let ready = tokio::task::spawn_blocking(move || {
            let native = match cache.store(&key, &report, &native) {
                Ok(file) => Native::Kept(file),
                Err(error) => {
                    tracing::warn!(%plugin, %error, "the native code is not kept; the next start compiles again");
                    Native::Bytes(native)
                }
            };
            factory.ready(&report, &native, config).map(|code| (code, report))
        });
        let ready = ready.await.map_err(|error| failed(&error))?;
        ready.map_err(|error| failed(&format_args!("the native code does not load: {error:#}")))
    }

    /// Lets other plugins of the same component and settings have it.
    pub(crate) fn share(&self, Found { key, code, .. }: &Found) {
        let mut shared = self.shared.lock();
        shared.retain(|_, code| code.strong_count() > 0);
        shared.insert(*key, Arc::downgrade(code));
    }
}

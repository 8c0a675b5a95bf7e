//! The interface `types`: the body of the guest's event, whole or in parts.
use std::sync::Arc;

use wasmtime::component::Resource;
use wasmtime::{Result, bail};

use crate::limits::POINTERS;
use crate::run::bindings::hookwright::plugin::types::{self, Body, HostBody};
use crate::run::fault::TooMuchText;
use crate::run::guest::Guest;
use hookwright_model::pointer::{Search, Unfit, Wanted};

/// Bytes that a search walks at a time.
const STEP: usize = 256 << 10;

impl types::Host for Guest {}

impl Guest {
    /// The pointers in the form that a search follows.
    fn wanted(&self, pointers: Vec<String>) -> Arc<Wanted> {
        match &self.selections {
            Some(selections) => selections.of(pointers),
            None => Arc::new(Wanted::new(&pointers)),
        }
    }
}

impl HostBody for Guest {
    fn size(&mut self, _body: Resource<Body>) -> Result<u64> {
        self.count()?;
        Ok(self.body.len() as u64)
    }

    async fn read(&mut self, _body: Resource<Body>) -> Result<Vec<u8>> {
        if self.body.len() as u64 > self.memory {
            bail!(TooMuchText);
        }
        self.enter(self.body.len()).await?;
        Ok(self.body.to_vec())
    }

    async fn select(
        &mut self,
        _body: Resource<Body>,
        pointers: Vec<String>,
    ) -> Result<Vec<Option<String>>> {
        self.enter(0).await?;
        if pointers.len() > POINTERS {
            bail!("`select` takes at most {POINTERS} pointers, not {}", pointers.len());
        }
        let (body, wanted) = (self.body.clone(), self.wanted(pointers));
        // One that is malformed leads nowhere; that of one that is too long nobody knows.
        if let Some(why) = wanted.unfit().filter(|why| *why != Unfit::Malformed) {
            bail!("`select` can't look up a pointer: {why}");
        }
        if !wanted.is_empty() {
            self.charge(body.len()).await;
        }
        let mut search = Search::new(&body, &wanted);
        while !search.go(STEP) {
            self.charge(STEP).await;
        }
        let found = search.found();
        let bytes: u64 = found.iter().flatten().map(|text| text.len() as u64).sum();
        if bytes > self.memory {
            bail!(TooMuchText);
        }
        let mut texts = Vec::with_capacity(found.len());
        for text in found {
            self.charge(text.map_or(0, str::len)).await;
            texts.push(text.map(str::to_owned));
        }
        Ok(texts)
    }

    fn drop(&mut self, _body: Resource<Body>) -> Result<()> {
        Ok(())
    }
}

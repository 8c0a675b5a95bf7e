//! The interface `kv`: the state that a plugin keeps.
use wasmtime::{Result, bail};

use crate::limits::STATE_VALUE;
use crate::run::bindings::hookwright::plugin::kv;
use crate::run::guest::Guest;
use crate::run::kv::{Changes, Refused};

impl Guest {
    async fn state(&mut self, bytes: usize) -> Result<&mut Changes> {
        self.enter(bytes).await?;
        match &mut self.changes {
            Some(changes) => Ok(changes),
            None => bail!("`kv` is there while an event is handled, not in `describe` or `init`"),
        }
    }
}

impl kv::Host for Guest {
    async fn get(&mut self, key: String) -> Result<Option<Vec<u8>>> {
        Ok(self.state(key.len() + STATE_VALUE).await?.get(&key).map(Vec::from))
    }

    async fn set(
        &mut self,
        key: String,
        value: Vec<u8>,
        ttl_ms: Option<u64>,
    ) -> Result<Result<(), kv::Error>> {
        let state = self.state(key.len() + value.len()).await?;
        Ok(state.set(&key, value.into(), ttl_ms).map_err(refused))
    }

    async fn delete(&mut self, key: String) -> Result<Result<(), kv::Error>> {
        Ok(self.state(key.len()).await?.delete(&key).map_err(refused))
    }

    async fn increment(
        &mut self,
        key: String,
        by: i64,
        ttl_ms: Option<u64>,
    ) -> Result<Result<i64, kv::Error>> {
        Ok(self.state(key.len()).await?.increment(&key, by, ttl_ms).map_err(refused))
    }
}

fn refused(why: Refused) -> kv::Error {
    match why {
        Refused::Key => kv::Error::BadKey,
        Refused::Value => kv::Error::TooLarge,
        Refused::Full => kv::Error::Full,
        Refused::NoNumber => kv::Error::NoNumber,
    }
}

//! The wasmtime engine: one configuration for serving and for compiling.
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig,
};

use crate::run::ticks::Ticker;

/// Bytes of a memory or table that stay mapped between two calls: LIMITS.md
/// has a call at half the price with them.
const KEEP: usize = 1 << 20;
/// Core instances, memories and tables of one component instance, at most: so many
/// the pool has for each of them. The gate refuses a component that needs more.
const CORE_INSTANCES: u32 = 48;
const MEMORIES: u32 = 4;
const TABLES: u32 = 48;
/// Entries of one table: a JavaScript engine has some ten thousand functions.
const TABLE_ENTRIES: usize = 64 << 10;
/// Bytes of the stack that a call runs on, and what of it the guest may use: the
/// rest is the host's, for what the guest calls.
const STACK: usize = 2 << 20;
const GUEST_STACK: usize = 512 << 10;

/// What the code is for. Native code of one serves the other only where the purpose is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Runs for every event.
    Serve,
    /// Runs once, for `init`: compiles in half the time.
    Initialize,
}

/// An engine with room for that many component instances at a time, and what ticks
/// its epochs while somebody runs a guest.
pub(crate) fn new(purpose: Purpose, instances: u32) -> wasmtime::Result<(Engine, Arc<Ticker>)> {
    let engine = Engine::new(&config(purpose, instances))?;
    let ticker = Ticker::start(&engine)?;
    Ok((engine, Arc::new(ticker)))
}

fn config(purpose: Purpose, instances: u32) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .async_stack_size(STACK)
        .max_wasm_stack(GUEST_STACK)
        .concurrency_support(false)
        .wasm_threads(false)
        .wasm_memory64(false)
        .wasm_exceptions(false)
        .wasm_function_references(false)
        .wasm_gc(false)
        .gc_support(false)
        // A replay through the same version gives the same verdict, floats included.
        .relaxed_simd_deterministic(true)
        .cranelift_nan_canonicalization(true)
        .cranelift_opt_level(match purpose {
            Purpose::Serve => OptLevel::Speed,
            Purpose::Initialize => OptLevel::None,
        })
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(instances)));
    config
}

fn pool(instances: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(CORE_INSTANCES))
        .total_memories(instances.saturating_mul(MEMORIES))
        .total_tables(instances.saturating_mul(TABLES))
        .total_stacks(instances)
        .table_elements(TABLE_ENTRIES)
        .max_tables_per_module(8)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        // The address space is reserved in any case; each plugin's own limit is the meter's.
        .max_memory_size(4 << 30)
        .linear_memory_keep_resident(KEEP)
        .table_keep_resident(KEEP)
        .pagemap_scan(if swap_is_active() { Enabled::No } else { Enabled::Auto });
    pool
}

/// A page that is swapped out looks to `PAGEMAP_SCAN` as if it had never been written.
/// If it can't be determined (a hidden `/proc`), swap is assumed.
fn swap_is_active() -> bool {
    std::fs::read_to_string("/proc/swaps").map_or(true, |text| text.lines().count() > 1)
}

/// Changes with everything that makes native code of one engine incompatible with another:
/// wasmtime's version, its settings, the processor.
pub(crate) fn compatibility(engine: &Engine) -> [u8; 32] {
    struct Sha(Sha256);
    impl Hasher for Sha {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut sha = Sha(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut sha);
    sha.0.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_of_a_small_pool_fits_a_large_one_but_no_draft() {
        let small = compatibility(&new(Purpose::Serve, 1).unwrap().0);
        assert_eq!(small, compatibility(&new(Purpose::Serve, 64).unwrap().0));
        assert_ne!(small, compatibility(&new(Purpose::Initialize, 1).unwrap().0));
    }
}

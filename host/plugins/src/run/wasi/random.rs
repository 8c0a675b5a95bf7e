//! Randomness that follows from the event's id, so that a replay sees the same.
use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};

/// Random bytes in one call.
const RANDOM_BYTES: u64 = 1 << 20;

/// SplitMix64 (Steele, Lea and Flood, 2014) from the event's id: no secret,
/// but the same in each replay.
pub(crate) struct Random(u64);

impl Random {
    pub(super) fn new((high, low): (u64, u64)) -> Self {
        let mut mixed = Self(high);
        Self(mixed.next() ^ low)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn bytes(&mut self, count: u64) -> wasmtime::Result<Vec<u8>> {
        if count > RANDOM_BYTES {
            wasmtime::bail!("asked for {count} random bytes at once; {RANDOM_BYTES} is the limit");
        }
        let count = usize::try_from(count)?;
        let mut out = Vec::with_capacity(count + 8);
        while out.len() < count {
            out.extend_from_slice(&self.next().to_le_bytes());
        }
        out.truncate(count);
        Ok(out)
    }
}

impl random::Host for Random {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.bytes(len)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.next())
    }
}

impl insecure::Host for Random {
    fn get_insecure_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.bytes(len)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.next())
    }
}

impl insecure_seed::Host for Random {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        Ok((self.next(), self.next()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_follows_from_the_seed() {
        let draw = |seed| Random::new(seed).bytes(20).unwrap();
        assert_eq!(draw((1, 2)), draw((1, 2)));
        assert_ne!(draw((1, 2)), draw((1, 3)));
        assert_ne!(draw((1, 2)), draw((2, 2)));
        assert!(Random::new((0, 0)).bytes(u64::MAX).is_err());
    }
}

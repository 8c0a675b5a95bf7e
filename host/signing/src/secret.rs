//! A secret that can't be printed and is wiped when dropped.
use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

/// Key, password or token. `Debug` shows only that there is one.
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<Vec<u8>>>);

impl Secret {
    /// Takes the bytes; they are zeroed when the last clone is dropped.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Arc::new(Zeroizing::new(bytes.into())))
    }

    /// The secret itself: for computing, never for showing.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Compares in a time that depends only on the lengths.
    pub fn matches(&self, candidate: &[u8]) -> bool {
        use subtle::ConstantTimeEq;
        self.expose().ct_eq(candidate).into()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other.expose())
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

//! What stands where something was.
use std::fmt::Write as _;

use hookwright_plugin::prelude::*;
use sha2::{Digest as _, Sha256};

/// What becomes of what is found.
#[config]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum How {
    /// It is taken out: the member or element, or the match.
    Remove,
    /// The mask stands in its place.
    #[default]
    Mask,
    /// SHA-256 of the salt, a zero byte and the value stands in its place, in
    /// hexadecimal: equal values stay equal. Who knows the salt can try all
    /// likely values, so this hides an address from a reader, not from a search.
    Hash,
}

pub(crate) struct Marker {
    pub(crate) mask: String,
    pub(crate) salt: String,
}

impl Marker {
    /// The text in the value's place, or none where nothing stays.
    pub(crate) fn mark(&self, how: How, value: &str) -> Option<String> {
        match how {
            How::Remove => None,
            How::Mask => Some(self.mask.clone()),
            How::Hash => {
                let hash =
                    Sha256::new().chain_update(&self.salt).chain_update([0]).chain_update(value);
                let mut text = String::with_capacity(64);
                for byte in hash.finalize() {
                    // Writing to a string can't fail.
                    let _never = write!(text, "{byte:02x}");
                }
                Some(text)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_sha256_of_salt_zero_value() {
        let marker = Marker { mask: "***".into(), salt: "s".into() };
        // printf 's\0a@b.c' | sha256sum
        let known = "6e1d967b22d9bafbe63b2f6eab647cade46f8e244011c04cc4c571bd30d826b5";
        assert_eq!(marker.mark(How::Hash, "a@b.c").as_deref(), Some(known));
    }
}

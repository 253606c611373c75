//! Bytes that must not be seen.

use std::fmt;

/// A secret. It cannot be printed.
pub struct Secret(Vec<u8>);

impl Secret {
    /// Keeps it.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

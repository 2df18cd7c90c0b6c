//! Text that must not be shown: passphrases and tokens.
//!
//! A [`Secret`] has no `Display`, prints as `***` under `Debug` and is wiped when dropped. It is never
//! serialized.

use std::fmt;
use zeroize::Zeroizing;

/// A passphrase or token held in memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a secret in.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The secret itself, for the cipher or the server it is meant for.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

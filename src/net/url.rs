//! An address and what of it may be shown.
//!
//! Neither `Display` nor `Debug` shows user, password or query; of a secret address only scheme and host are shown.

use super::NetError;
use std::fmt;

/// An `http` or `https` address.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    whole: reqwest::Url,
    secret: bool,
}

impl Url {
    /// An address whose path may be shown.
    pub fn parse(text: &str) -> Result<Self, NetError> {
        Self::read(text, false)
    }

    /// An address that is a key to what it names, such as a webhook's.
    pub fn secret(text: &str) -> Result<Self, NetError> {
        Self::read(text, true)
    }

    /// The text is never part of the error: it may be a secret with a slip in it.
    fn read(text: &str, secret: bool) -> Result<Self, NetError> {
        let whole =
            reqwest::Url::parse(text.trim()).map_err(|error| NetError::Address { why: error.to_string() })?;
        if !["http", "https"].contains(&whole.scheme()) || !whole.has_host() {
            return Err(NetError::Address { why: "it does not begin with http:// or https://".to_owned() });
        }
        Ok(Self { whole, secret })
    }

    /// The address of this path on the same server; a query is dropped.
    #[must_use]
    pub fn at_path(&self, path: &str) -> Self {
        let mut whole = self.whole.clone();
        whole.set_path(path);
        whole.set_query(None);
        whole.set_fragment(None);
        Self { whole, secret: self.secret }
    }

    /// True if the address carries a user, a password or a query: something that is not to stand in a plain file.
    pub fn has_credentials(&self) -> bool {
        !self.whole.username().is_empty() || self.whole.password().is_some() || self.whole.query().is_some()
    }

    /// The host's name or address.
    pub fn host(&self) -> &str {
        self.whole.host_str().unwrap_or_default()
    }

    pub(super) fn whole(&self) -> reqwest::Url {
        self.whole.clone()
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.whole.scheme(), self.host())?;
        if let Some(port) = self.whole.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(if self.secret { "/…" } else { self.whole.path() })
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

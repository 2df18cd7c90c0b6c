//! Paths inside a store that cannot lead out of it.

use super::{StoreError, StoreErrorKind};
use std::fmt;

/// A relative, `/`-separated path without empty, `.` or `..` components; the root is the empty path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct StorePath(String);

impl StorePath {
    /// The store's root.
    pub const ROOT: Self = Self(String::new());

    /// Accepts a path; refuses absolute ones, `.` and `..`, empty components and NUL.
    pub fn new(path: impl Into<String>) -> Result<Self, StoreError> {
        let path = path.into();
        let component = |c: &str| !c.is_empty() && c != "." && c != ".." && !c.contains('\0');
        if path.is_empty() || path.split('/').all(component) {
            Ok(Self(path))
        } else {
            Err(StoreError {
                kind: StoreErrorKind::BadPath,
                doing: "use",
                store: "the repository".to_owned(),
                path: path.escape_debug().take(200).collect(),
                why: "it is absolute, leaves its folder, or has an empty part".to_owned(),
            })
        }
    }

    /// This path with `below` added.
    pub fn join(&self, below: &str) -> Result<Self, StoreError> {
        if self.0.is_empty() { Self::new(below) } else { Self::new(format!("{}/{below}", self.0)) }
    }

    /// The path as text, without a leading slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last component; empty for the root.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or("")
    }

    /// The folder this path stands in; the root's is the root.
    #[must_use]
    pub fn parent(&self) -> Self {
        Self(self.0.rsplit_once('/').map_or(String::new(), |(folder, _)| folder.to_owned()))
    }

    /// The same path with a suffix on its last component, for example `.copy`.
    #[must_use]
    pub fn with_suffix(&self, suffix: &str) -> Self {
        debug_assert!(!suffix.contains('/'));
        Self(format!("{}{suffix}", self.0))
    }
}

impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "/" } else { &self.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leads_out() {
        for bad in ["/etc", "..", "a/../b", "a//b", "a/", "./a", "a/.", "a\0b"] {
            assert!(StorePath::new(bad).is_err(), "{bad}");
        }
        let path = StorePath::new("backup/main").unwrap().join("x=y/…").unwrap();
        assert_eq!(
            (path.as_str(), path.file_name(), path.parent().as_str()),
            ("backup/main/x=y/…", "…", "backup/main/x=y")
        );
        assert!(StorePath::ROOT.join("../x").is_err());
    }
}

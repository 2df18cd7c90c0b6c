//! Holding a stanza during an incident, as those see it who do not know where holds are kept.

use crate::base::{Result, Timestamp};

/// Keeps a stanza's repositories from losing anything while an incident is open.
pub trait Keeper {
    /// Places the hold of an incident, or prolongs it; when it ends by itself. Nothing if holds are not wanted here, or
    /// the stanza is not one of this host.
    fn place(&self, incident: &str, by: &str) -> Result<Option<Timestamp>>;

    /// Lifts the hold of an incident; false if it has none.
    fn lift(&self, incident: &str) -> Result<bool>;
}

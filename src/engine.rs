//! The verbs on a repository and a cluster: each takes a plan and reports to a sink.
//!
//! Knows no screen and no journal; a plan writes nothing.

pub mod archive_get;
pub mod archive_wait;
pub mod catalog;
pub mod check;
pub mod findings;
pub mod locks;
pub mod proof;
pub mod repositories;
pub mod restore;
pub mod served;
pub mod stanza;
pub mod wal_ranges;

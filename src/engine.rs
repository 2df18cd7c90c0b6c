//! The verbs on a repository and a cluster: each takes a plan and reports to a sink.
//!
//! Knows no screen and no journal; a plan writes nothing.

pub mod archive_get;
pub mod catalog;
pub mod locks;
pub mod proof;
pub mod repositories;
pub mod restore;
pub mod verify;
pub mod wal_ranges;

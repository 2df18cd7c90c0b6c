//! The verbs on a repository and a cluster: each takes a plan and reports to a sink.
//!
//! Knows no screen and no journal; a plan writes nothing.

pub mod annotate;
pub mod archive_get;
pub mod archive_push;
pub mod archive_wait;
pub mod backup;
pub mod catalog;
pub mod check;
pub mod expire;
pub mod findings;
pub mod hold;
mod identity;
pub mod local_wal;
pub mod locks;
pub mod page_scan;
pub mod pin;
pub mod proof;
pub mod reconcile;
pub mod repositories;
pub mod restore;
pub mod served;
pub mod snapshot;
pub mod stanza;
pub mod timeline_begin;
pub mod verify;
pub mod wal_ranges;

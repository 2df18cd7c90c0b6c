//! pgmayday: the disaster-recovery console for PostgreSQL.
//!
//! Data flows up through the rooms below; a room imports only what stands before it (the table is in
//! `ARCHITECTURE.md` and enforced by `tests/layers.rs`).

pub mod act;
pub mod base;
pub mod cli;
pub mod cluster;
pub mod codec;
pub mod config;
pub mod console;
pub mod engine;
pub mod incident;
pub mod journal;
pub mod lab;
pub mod model;
pub mod net;
pub mod recovery;
pub mod repo;
pub mod runbook;
pub mod store;
pub mod survey;
pub mod wal;

//! The console: the pure machine from keys to pictures, and the real program on a real terminal.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

#[path = "../common/fixtures.rs"]
mod fixtures;
mod harness;
mod keys;
mod pictures;
mod samples;
mod terminal;
mod update;

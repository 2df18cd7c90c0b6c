//! The console: the pure machine from keys to pictures, and the real program on a real terminal.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "the program is tested, or says why not"
)]

#[path = "../common/cluster.rs"]
#[expect(dead_code, reason = "each user of the module uses a part of it")]
mod cluster;
#[path = "../common/fixtures.rs"]
mod fixtures;
mod flight;
mod harness;
mod hung;
#[path = "../../benches/restore/hung.rs"]
mod hung_stanza;
mod incident;
mod keys;
mod outbox;
mod pictures;
mod pilot;
mod place;
mod samples;
mod secrets;
mod terminal;
mod update;

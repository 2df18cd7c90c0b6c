//! Backups of a real cluster under load, with real pgBackRest as the other side: each restores what the other made, and goes
//! on where the other stopped. Where PostgreSQL or pgBackRest is missing a test says so and ends; under `REQUIRE_SERVERS`
//! it fails.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking and says why it skips"
)]
#![expect(clippy::disallowed_methods, reason = "a test starts programs and looks into its own environment")]

mod blocks;
mod damage;
mod interop;
mod kill;
mod moving;
mod options;
mod peer;
#[path = "../contract/common/random.rs"]
mod random;
mod snapshots;
mod standby;
mod tablespaces;
mod together;
mod tools;
mod versions;
mod workload;
#[path = "../common/yard.rs"]
mod yard;

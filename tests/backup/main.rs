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

mod interop;
mod peer;
mod workload;
#[path = "../common/yard.rs"]
mod yard;

//! The command contract, tested from outside: the built program against repositories that real pgBackRest wrote, real
//! PostgreSQL servers, damaged and hostile copies. It never calls into the library.
//!
//! `PGMAYDAY_TEST_BIN` runs the suite against another program with the same options (pgBackRest itself, to check the
//! suite). As root, everything runs as `PGMAYDAY_TEST_USER` (default `postgres`); else as whoever started the tests.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, says what it skips, and starts real programs"
)]

mod common;
mod damage;
mod disasters;
mod expire;
mod flips;
mod hostile;
mod kill;
mod recover;
mod restore;
mod verify;

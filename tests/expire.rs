//! What expire takes out and what it leaves: retention scenarios on made-up repositories, whatever is thrown at it, a kill
//! at every point, and the same repository given to the installed pgBackRest.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking and says what it skips"
)]
#![expect(clippy::disallowed_methods, reason = "a test starts programs")]

#[path = "expire/entries.rs"]
mod entries;
#[path = "common/fixtures.rs"]
mod fixtures;
#[path = "expire/keeps.rs"]
mod keeps;
#[path = "expire/kills.rs"]
mod kills;
#[path = "common/made.rs"]
mod made;
#[path = "expire/program.rs"]
mod program;
#[path = "contract/common/random.rs"]
mod random;
#[path = "expire/repairs.rs"]
mod repairs;
#[path = "expire/scenarios.rs"]
mod scenarios;
#[path = "expire/versus.rs"]
mod versus;
#[path = "expire/world.rs"]
mod world;

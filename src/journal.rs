//! The journal: what happened in an incident, in an append-only chain of lines that proves itself.
//!
//! Nothing here judges a recovery or draws a screen, and nothing in it is ever changed or removed.
//!
//! # Form
//!
//! `incidents/<id>/journal.jsonl` holds one JSON object per line. Each bears its number (`seq`, from 1), the hash of the
//! line before (`previous`, 64 zeros in the first) and, always as its last member, its own `hash`: the SHA-256 of the
//! bytes of the line without that member and without the line feed. Beside it, `head` holds `SEQ:HASH` of the last
//! line, replaced after each line is on disk: a witness against lines that are dropped from the end. `SEQ:HASH` written
//! down anywhere else is a better one, for whoever can change the journal can change `head`.
//!
//! # Verifying by hand
//!
//! The hash of every line, and that each continues the one before, with `bash` and `sha256sum` alone:
//!
//! ```sh
#![doc = include_str!("journal/verify.sh")]
//! ```
//!
//! One line with `jq`, for reading: `jq -r '[.seq, .at, .actor, .kind, .hash] | @tsv' journal.jsonl`.
//!
//! # Crashes and damage
//!
//! - A line is written at once, made durable, and only then does `head` follow. A crash in between leaves `head` one
//!   line behind, which is no damage; `head` ahead of the journal is.
//! - Bytes after the last line feed are what a crash in the middle of a write leaves. The next writer replaces them by
//!   an entry that tells their number and their SHA-256 ([`Fact::Cut`]).
//! - A whole line that is wrong is damage, and stays. A recovery must not stop for it, so the next writer goes on after
//!   it, bound to the bytes as it found them; [`verify()`] tells the break for ever. Where `head` contradicts the
//!   journal, the writer first puts that down ([`Fact::Damaged`]), because its own `head` takes the old one's place.

mod chain;
mod error;
mod fact;
mod file;
mod head;
mod left;
mod stamp;
mod verify;
mod word;

pub use chain::{Contents, FIRST_PREVIOUS, Line, Torn, sha256};
pub use error::JournalError;
pub use fact::Fact;
pub use file::{JOURNAL_FILE, Journal, adopt};
pub use head::{HEAD_FILE, Witness};
pub use left::{archiving_left, backup_left, left_standby, no_archiving, no_backup, standby_left};
pub use stamp::Stamp;
pub use verify::{Finding, Proof, Verification, read_verified, verify};
pub use word::{Audience, Role, Scenario, Severity, TickResult};

use crate::base::Timestamp;
use serde::{Deserialize, Serialize};

/// The recipe of [verifying by hand](self#verifying-by-hand), for `bash` in the journal's folder.
pub const RECIPE: &str = include_str!("journal/verify.sh");

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, from 1, without holes.
    pub seq: u64,
    /// The wall clock.
    pub at: Timestamp,
    /// Milliseconds since boot.
    pub boot_ms: u64,
    /// Which boot.
    pub boot_id: String,
    /// The host.
    pub host: String,
    /// Who: `dk`, or `worker` for an operation.
    pub actor: String,
    /// What.
    #[serde(flatten)]
    pub fact: Fact,
    /// The hash of the line before; 64 zeros for the first.
    pub previous: String,
    /// SHA-256 of the line without this member.
    pub hash: String,
}

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
mod file;
mod head;
mod stamp;
mod verify;

pub use chain::{Contents, FIRST_PREVIOUS, Line, Torn};
pub use error::JournalError;
pub use file::{JOURNAL_FILE, Journal, adopt};
pub use head::{HEAD_FILE, Witness};
pub use stamp::Stamp;
pub use verify::{Finding, Proof, Verification, read_verified, verify};

use crate::base::Timestamp;
use crate::model::op::{Answer, Mark};
use serde::{Deserialize, Serialize};

/// The recipe of [verifying by hand](self#verifying-by-hand), for `bash` in the journal's folder.
pub const RECIPE: &str = include_str!("journal/verify.sh");

/// Something worth keeping for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fact {
    /// The incident began.
    Declared {
        /// The stanza.
        stanza: String,
        /// The environment's label.
        label: Option<String>,
        /// Why.
        reason: String,
        /// When the trouble was detected.
        detected_at: Timestamp,
        /// How long the recovery may take, seconds.
        rto_s: u64,
        /// How much may be lost, seconds.
        rpo_s: u64,
    },
    /// A person wrote something down.
    Note {
        /// What.
        text: String,
    },
    /// A plan was confirmed.
    Confirmed {
        /// Digest of the plan.
        digest: String,
        /// What it does, one line.
        summary: String,
        /// The exact command.
        command: String,
        /// The word that was typed; empty for a command line that confirms itself.
        typed: String,
        /// The operation made of it.
        operation: String,
    },
    /// A worker took an operation up.
    OperationStarted {
        /// Which.
        operation: String,
        /// 1 for the first worker.
        attempt: u32,
    },
    /// A step ended well.
    Step {
        /// The operation.
        operation: String,
        /// The step.
        step: String,
        /// How long it took, milliseconds.
        took_ms: u64,
        /// What came out.
        detail: String,
    },
    /// A moment that counts was reached.
    Reached {
        /// Which.
        mark: Mark,
        /// The operation, if it was one.
        operation: Option<String>,
    },
    /// Something went on that a reader should know.
    Warning {
        /// The operation, if it was one.
        operation: Option<String>,
        /// The sentence.
        text: String,
    },
    /// A person answered a question of an operation.
    Answered {
        /// The operation.
        operation: String,
        /// What was asked.
        question: String,
        /// What was answered.
        answer: Answer,
    },
    /// An operation ended.
    OperationEnded {
        /// Which.
        operation: String,
        /// True if everything was done.
        done: bool,
        /// What came out, or what failed and why.
        lines: Vec<String>,
    },
    /// A torn line at the end was cut off before this one was written: a crash in the middle of a write.
    Cut {
        /// How many bytes.
        bytes: u64,
        /// Their SHA-256.
        sha256: String,
    },
    /// The journal was found damaged before this one was written; what proved it has been replaced since.
    Damaged {
        /// What was found.
        text: String,
    },
    /// The incident holds the stanza: nothing is removed from its repositories, and nothing is backed up.
    HoldPlaced {
        /// When that ends by itself.
        until: Timestamp,
    },
    /// The incident no longer holds the stanza.
    HoldLifted,
    /// The incident is over.
    Closed {
        /// What is to be said about it.
        text: String,
    },
    /// Something this program does not know, written by a later one: its members as they stand.
    #[serde(untagged)]
    Unknown(serde_json::Map<String, serde_json::Value>),
}

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

//! The journal: what happened in an incident, in an append-only chain of lines that proves itself.
//!
//! Nothing here judges a recovery or draws a screen, and nothing in it is ever changed or removed.

use crate::base::Timestamp;
use crate::model::op::{Answer, Mark};
use serde::{Deserialize, Serialize};

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
    /// The incident is over.
    Closed {
        /// What is to be said about it.
        text: String,
    },
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

/// The journal of one incident.
#[derive(Debug)]
pub struct Journal {
    file: std::path::PathBuf,
}

impl Journal {
    /// The journal in an incident's folder.
    pub fn open(folder: &std::path::Path) -> crate::base::Result<Self> {
        Ok(Self { file: folder.join("journal.jsonl") })
    }

    /// Appends a fact.
    pub fn append(&self, actor: &str, fact: &Fact) -> crate::base::Result<()> {
        use std::io::Write as _;
        let fail =
            |error: std::io::Error| crate::base::Report::failed(format!("{}: {error}", self.file.display()));
        let line = serde_json::json!({ "actor": actor, "fact": fact });
        let mut file =
            std::fs::OpenOptions::new().append(true).create(true).open(&self.file).map_err(fail)?;
        writeln!(file, "{line}").map_err(fail)
    }
}

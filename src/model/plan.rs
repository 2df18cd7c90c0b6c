//! A recovery as it is proposed: the request a person makes and the plan shown for a yes. Plain values.

use super::forecast::Forecast;
use crate::base::Timestamp;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What a person asks for: where to recover to. Everything else comes from the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoverRequest {
    /// The stanza.
    pub stanza: String,
    /// `time`, `name`, `lsn`, `xid` or `immediate`.
    pub kind: String,
    /// Targets of that kind, the best first; the others are tried, each earlier than the one before, if the
    /// application's check finds the damage in what was recovered.
    pub targets: Vec<String>,
    /// Stop just before the target instead of just after.
    pub exclusive: bool,
    /// The timeline to follow; nothing = the one the cluster is on.
    pub timeline: Option<u32>,
    /// The backup set; nothing = chosen.
    pub set: Option<String>,
    /// Ask a person at the pause before promotion.
    pub asks: bool,
    /// Make no backup of the recovered cluster.
    #[serde(default)]
    pub no_first_backup: bool,
}

/// How a check of the plan came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// It holds.
    Ok,
    /// It holds, but somebody should know something.
    Warn,
    /// It does not hold: the recovery is refused.
    Fail,
    /// It could not be told.
    Unknown,
}

/// One check of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// How it came out.
    pub state: CheckState,
    /// What was checked and what came out, one sentence.
    pub text: String,
}

/// A recovery in place, worked out; nothing was written for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecoverPlan {
    /// What was asked for.
    pub request: RecoverRequest,
    /// The target in words.
    pub target: String,
    /// The target as a moment, if it is one, or if the proof knows one.
    pub target_at: Option<Timestamp>,
    /// The data directory that will be replaced.
    pub data_dir: PathBuf,
    /// Repository and backup set.
    pub repo: Option<u32>,
    /// The set's label.
    pub set: Option<String>,
    /// When the set ended.
    pub set_stop: Option<Timestamp>,
    /// Bytes and files to be copied.
    pub copy_bytes: u64,
    /// Files.
    pub copy_files: u64,
    /// WAL to be replayed, bytes.
    pub replay_bytes: u64,
    /// Segments.
    pub replay_segments: u64,
    /// Timeline followed.
    pub timeline: Option<u32>,
    /// Room: path, bytes needed, bytes free.
    pub space: Vec<(PathBuf, u64, u64)>,
    /// The last commit that will be there.
    pub last_commit: Option<Timestamp>,
    /// The first commit that will be missing.
    pub first_lost_commit: Option<Timestamp>,
    /// Everything after this moment up to the newest WAL is given up; the newest moment known.
    pub newest: Option<Timestamp>,
    /// How long it will take, from what recoveries of this cluster on this host took; nothing if none was measured.
    pub forecast: Option<Forecast>,
    /// The checks, all of them.
    pub checks: Vec<Check>,
    /// The steps, in their order.
    pub steps: Vec<String>,
    /// The command that does exactly this, for a shell.
    pub command: String,
    /// Digest of everything above that decides what is done: what was confirmed is what is executed.
    pub digest: String,
}

impl RecoverPlan {
    /// True if nothing refuses it.
    pub fn can_start(&self) -> bool {
        self.checks.iter().all(|check| check.state != CheckState::Fail)
    }

    /// True if this is the plan of what was asked: a timeline left open was filled in by the plan.
    pub fn answers(&self, asked: &RecoverRequest) -> bool {
        let timeline = asked.timeline.or(self.request.timeline);
        self.request == RecoverRequest { timeline, ..asked.clone() }
    }

    /// The recovery in one line.
    pub fn summary(&self) -> String {
        format!("recover {} in {} to {}", self.request.stanza, self.data_dir.display(), self.target)
    }

    /// What must be typed to start it: the stanza's name.
    pub fn word(&self) -> &str {
        &self.request.stanza
    }
}

//! A proof as it is shown: numbers and sentences.

use super::{Listing, Placed, Question, Reading};
use crate::base::{Bytes, Lsn, WalSegmentSize};
use crate::engine::restore::ProofDepth;
use crate::model::target::Target;
use crate::wal::stop::{Effect, EffectKind};
use serde::Serialize;

/// Why the target can be reached.
#[derive(Debug, Clone, Serialize)]
pub struct Proof {
    /// How much was read: `listing`, `scan` or `full`.
    pub depth: &'static str,
    /// The timeline recovery follows.
    pub timeline: u32,
    /// The first WAL segment needed.
    pub first_segment: String,
    /// The last WAL segment needed, or present.
    pub last_segment: String,
    /// Segments between them, both included.
    pub segments: u64,
    /// How many of them are not in the archive but in the saved `pg_wal`.
    #[serde(skip_serializing_if = "is_zero")]
    pub salvaged: u64,
    /// Their bytes.
    pub wal_bytes: u64,
    /// Where recovery stops; absent if it goes to the end of the archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// The last commit that will be there, if one was met.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_commit: Option<Ending>,
    /// The first commit that will be missing, if one was met.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_lost_commit: Option<Ending>,
    /// Settings the server must have at least, as far as the log tells: name and value.
    pub parameters: Vec<(&'static str, u32)>,
    /// What recovery is to reach, in words.
    pub target: String,
    /// What is wrong with the archive behind the stop, where recovery must not read: a server from 15 on reads ahead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble_behind: Option<String>,
    /// Where the last record with a meaning that was read begins; a recovery that stops after it misses nothing.
    #[serde(skip)]
    pub last_record: Option<Lsn>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form serde calls")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The record at which recovery stops.
#[derive(Debug, Clone, Serialize)]
pub struct Stop {
    /// Where it begins.
    pub lsn: String,
    /// Where it ends.
    pub end_lsn: String,
    /// True if it is still replayed.
    pub after: bool,
    /// The transaction it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub xid: Option<u32>,
    /// Its time, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
}

/// The end of a transaction.
#[derive(Debug, Clone, Serialize)]
pub struct Ending {
    /// The transaction.
    pub xid: u32,
    /// When it ended, UTC.
    pub time: String,
    /// Where its record begins.
    pub lsn: String,
}

impl Proof {
    pub(super) fn build(
        question: &Question<'_>,
        placed: &Placed<'_>,
        listing: &Listing,
        size: WalSegmentSize,
        reading: Option<&Reading>,
    ) -> Self {
        let outcome = reading.map(|reading| &reading.outcome);
        let ending = |ended: crate::wal::stop::Ended| Ending {
            xid: ended.xid.0,
            time: ended.time.to_string(),
            lsn: ended.lsn.to_string(),
        };
        let stop = outcome.and_then(|o| o.stop).map(|stop| Stop {
            lsn: stop.lsn.to_string(),
            end_lsn: stop.end_lsn.to_string(),
            after: stop.after,
            xid: stop.xid.map(|xid| xid.0),
            time: stop.time.map(|time| time.to_string()),
        });
        let parameters = outcome.and_then(|o| o.parameters).map_or_else(Vec::new, |p| {
            vec![
                ("max_connections", p.max_connections),
                ("max_worker_processes", p.max_worker_processes),
                ("max_wal_senders", p.max_wal_senders),
                ("max_prepared_transactions", p.max_prepared_transactions),
                ("max_locks_per_transaction", p.max_locks_per_transaction),
            ]
        });
        Self {
            depth: match question.depth {
                ProofDepth::Listing => "listing",
                ProofDepth::Scan => "scan",
                ProofDepth::Full => "full",
            },
            timeline: placed.path.target().0,
            first_segment: placed.first.to_string(),
            last_segment: listing.last.to_string(),
            segments: listing.segments,
            salvaged: listing.salvaged,
            wal_bytes: listing.segments * u64::from(size.bytes()),
            stop: if *question.target == Target::End { None } else { stop },
            last_commit: outcome.and_then(|o| o.last_commit).map(ending),
            first_lost_commit: outcome.and_then(|o| o.first_commit_after).map(ending),
            parameters,
            target: question.target.to_string(),
            trouble_behind: None,
            last_record: outcome.and_then(|o| o.last_record),
        }
    }

    /// Bytes of WAL to be replayed.
    pub fn wal_bytes(&self) -> u64 {
        self.wal_bytes
    }

    /// The proof in sentences, most important first.
    pub fn sentences(&self) -> Vec<String> {
        let mut out = Vec::new();
        match &self.stop {
            Some(stop) => {
                let side = if stop.after { "after" } else { "before" };
                let what = stop
                    .xid
                    .map_or_else(|| "the record".to_owned(), |xid| format!("the end of transaction {xid}"));
                let when = stop.time.as_ref().map_or_else(String::new, |time| format!(", {time}"));
                out.push(format!(
                    "{}: recovery stops just {side} {what} at LSN {}{when}",
                    self.target, stop.lsn
                ));
            }
            None => out.push(format!("{}, along timeline {}", self.target, self.timeline)),
        }
        out.push(format!(
            "{} WAL segments ({}) from {} to {}, none missing; read: {}",
            self.segments,
            Bytes(self.wal_bytes),
            self.first_segment,
            self.last_segment,
            match self.depth {
                "listing" => "names and headers",
                "scan" => "every record to the stop",
                _ => "every record",
            }
        ));
        if let Some(last) = &self.last_commit {
            out.push(format!(
                "last commit kept: transaction {} at {} (LSN {})",
                last.xid, last.time, last.lsn
            ));
        }
        if let Some(lost) = &self.first_lost_commit {
            out.push(format!(
                "first commit lost: transaction {} at {} (LSN {})",
                lost.xid, lost.time, lost.lsn
            ));
        }
        out
    }
}

/// An effect that no rollback undoes, in words.
pub(super) fn effect(effect: &Effect) -> String {
    match &effect.kind {
        EffectKind::DatabaseMarked { database } => format!("database {database} marked invalid"),
        EffectKind::DatabaseDropped { database, .. } => format!("the files of database {database} removed"),
        EffectKind::TablespaceDropped { tablespace } => format!("tablespace {tablespace} removed"),
    }
}

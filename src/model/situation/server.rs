//! What a session with a server tells about what hinders it.
//!
//! Data only.

use crate::base::{Lsn, SystemId, Timeline, Timestamp};
use serde::Serialize;

/// What came of asking a server for a session: each of these is an answer. Silence is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Contact {
    /// It gave one.
    Session,
    /// The system says that nobody listens there.
    Refused,
    /// It is there and takes no sessions now: starting, stopping, not yet consistent.
    NotNow {
        /// Its words.
        why: String,
    },
    /// It is there and lets this user not in.
    Denied {
        /// Its words.
        why: String,
    },
    /// It is there and answers with an error, for example that it has too many clients.
    Error {
        /// Its words.
        why: String,
    },
    /// The session ended before the question was answered.
    Lost {
        /// What was seen of that.
        why: String,
    },
}

/// What a server says of what hinders it and of who depends on it.
#[expect(clippy::struct_excessive_bools, reason = "each is an answer of its own")]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct HealthFacts {
    /// It replays somebody's log.
    pub in_recovery: bool,
    /// We may see what other roles' sessions do: else nothing is known of waiting commits and open transactions.
    pub sees_all: bool,
    /// The cluster's identifier.
    pub system_id: Option<SystemId>,
    /// Sessions are read-only unless they say otherwise.
    pub read_only_default: bool,
    /// Who a commit waits for, as `synchronous_standby_names` has it; empty: for nobody.
    pub sync_names: String,
    /// Standbys connected now.
    pub standbys: Vec<StandbyLink>,
    /// Commits that wait for a standby now.
    pub commits_waiting: CommitWait,
    /// How many more transaction ids there are before writes are refused.
    pub xids_left: u64,
    /// How many more multixact ids.
    pub multixacts_left: u64,
    /// Databases in which pages were found to be wrong.
    pub checksum_failures: Vec<ChecksumFailure>,
    /// Pages carry checksums.
    pub checksums: bool,
    /// What it receives its log by; nothing for a primary, and for a standby that receives from nobody.
    pub receiver: Option<ReceiverFacts>,
    /// A standby has its log on disk up to here.
    pub received_lsn: Option<Lsn>,
    /// When the last transaction that a standby replayed was committed.
    pub replayed_commit_at: Option<Timestamp>,
    /// A standby waits so long before it replays a commit, on purpose.
    pub apply_delay_ms: u64,
    /// How archiving goes; nothing where it does not archive.
    pub archiver: Option<ArchiverFacts>,
    /// Transactions that wrote and are not committed yet, the oldest first.
    pub open_writers: Vec<OpenWriter>,
    /// Prepared transactions.
    pub prepared: u64,
}

/// A standby as its primary sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StandbyLink {
    /// What it calls itself.
    pub name: String,
    /// Where it connects from.
    pub from: Option<String>,
    /// `streaming`, `catchup`, `backup`, …
    pub state: String,
    /// `sync`, `quorum`, `potential`, `async`.
    pub sync_state: String,
    /// It has replayed up to here.
    pub replay_lsn: Option<Lsn>,
    /// It has on disk up to here.
    pub flush_lsn: Option<Lsn>,
}

/// Commits that wait for a standby.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct CommitWait {
    /// How many.
    pub count: u64,
    /// How long the longest has waited, milliseconds.
    pub longest_ms: u64,
}

/// Pages of a database that were found to be wrong when they were read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChecksumFailure {
    /// The database; nothing for what all share.
    pub database: Option<String>,
    /// How many since the statistics were reset.
    pub count: u64,
    /// When the last one was found.
    pub last_at: Option<Timestamp>,
}

/// How a standby receives its log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReceiverFacts {
    /// `streaming`, `waiting`, `starting`, …
    pub status: String,
    /// The timeline of what it receives.
    pub timeline: Option<Timeline>,
    /// Who it receives from.
    pub sender: Option<String>,
    /// When the last message came, by its own clock.
    pub last_message_at: Option<Timestamp>,
}

/// How archiving goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArchiverFacts {
    /// When a file was archived last.
    pub last_archived_at: Option<Timestamp>,
    /// The file it fails for since then.
    pub failing_for: Option<String>,
    /// When it failed last.
    pub last_failed_at: Option<Timestamp>,
}

/// A transaction that wrote and is not committed yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenWriter {
    /// The server process.
    pub pid: u32,
    /// The role.
    pub user: String,
    /// The database.
    pub database: String,
    /// What it calls itself.
    pub application: String,
    /// The first word of its last statement; the rest may hold secrets.
    pub verb: String,
    /// `active`, `idle in transaction`, …
    pub state: String,
    /// When it began.
    pub since: Timestamp,
}

/// What became of one small commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum WriteTest {
    /// It was committed.
    Committed {
        /// How long that took, milliseconds.
        took_ms: u64,
    },
    /// It hung and was ended.
    Hung {
        /// How long it was waited for, milliseconds.
        waited_ms: u64,
        /// What it waited for, in the server's words; nothing if that could not be asked.
        waits_for: Option<String>,
        /// The server says that its session is gone.
        ended: bool,
    },
    /// The server refused it.
    Refused {
        /// Its words.
        why: String,
    },
    /// None was tried, on purpose.
    NotTried {
        /// Why not.
        why: String,
    },
}

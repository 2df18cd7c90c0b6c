//! One look at a server: which phase it is in, where replay stands, what it waits for.

use super::Server;
use crate::base::{Lsn, PgVersion, Timestamp};
use crate::cluster::ClusterError;
use crate::cluster::activity::Startup;
use crate::cluster::control::{ControlFile, State};
use crate::cluster::lock_file::LockFile;
use crate::cluster::pace::Signs;
use crate::cluster::replay::Position;
use crate::cluster::sql::{Sql, SqlError};
use std::fmt;
use std::time::{Duration, Instant};

/// Why replay is paused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pause {
    /// The target was reached; the log's words about the record it stopped at.
    AtTarget(String),
    /// A limit of this server is too low for the WAL (from 14 on it pauses instead of stopping).
    Limits(String),
    /// Somebody asked for it, or the log does not tell.
    Asked,
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtTarget(words) | Self::Limits(words) => f.write_str(words),
            Self::Asked => f.write_str("somebody asked for it"),
        }
    }
}

/// What a server is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Starting; not replaying as far as can be seen.
    Starting,
    /// Replaying WAL.
    Replaying {
        /// True once the data is consistent.
        consistent: bool,
        /// True while sessions can read.
        readable: bool,
    },
    /// Replay stands still on purpose; sessions can read.
    Paused(Pause),
    /// Takes writes.
    Primary,
    /// Was told to stop and has not yet ended.
    Stopping,
    /// Ended because it was told to, by its target action or a signal.
    Ended,
    /// Ended on its own; [`Server::wait`] gives the reason as its error.
    Failed,
}

/// One look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// What it does.
    pub phase: Phase,
    /// Where replay stands.
    pub position: Position,
    /// What the replaying process waits for, in the server's words; nothing if it works or that is not known.
    pub waits_for: Option<String>,
    /// Why SQL did not answer although it should.
    pub sql_problem: Option<String>,
    /// The signs of life, for judging the pace.
    pub signs: Signs,
    /// When the look was taken.
    pub at: Instant,
}

/// What one query tells about a server that answers.
struct Answer {
    in_recovery: bool,
    position: Position,
    paused: bool,
    waits_for: Option<String>,
}

impl Server {
    /// Looks once. Takes no longer than a statement may.
    pub fn observe(&mut self) -> Result<Observation, ClusterError> {
        self.log.look();
        let mut seen = Observation {
            phase: Phase::Starting,
            position: Position::default(),
            waits_for: None,
            sql_problem: None,
            signs: Signs { log_bytes: self.log.facts().bytes, ..Signs::default() },
            at: Instant::now(),
        };
        let Some(pid) = self.live_pid()? else {
            self.sql = None;
            // What it wrote last came after the look above.
            self.log.look();
            let facts = self.log.facts();
            let told = match self.exit {
                Some(status) => status.success(),
                None => facts.fatal().is_none() && self.stopped_cleanly(),
            };
            seen.phase = if told { Phase::Ended } else { Phase::Failed };
            return Ok(seen);
        };
        self.pid = Some(pid);
        let status = LockFile::read(&self.data_dir)?.and_then(Result::ok).and_then(|lock| lock.status);
        let startup = Startup::of(pid);
        if let Some(startup) = &startup {
            seen.signs.cpu_ticks = startup.cpu_ticks;
            seen.signs.io_bytes = startup.io_bytes;
        }
        match status.as_deref() {
            Some("stopping") => seen.phase = Phase::Stopping,
            Some("starting") => self.look_without_sql(startup.as_ref(), &mut seen),
            // Before 10 the lock file does not tell: asking is the only way.
            _ => match self.ask() {
                Ok(answer) => {
                    // What the server wrote before it answered may have come after the look above.
                    self.log.look();
                    self.take_answer(answer, &mut seen);
                }
                Err(error) => {
                    self.look_without_sql(startup.as_ref(), &mut seen);
                    if status.is_some() && !matches!(error, SqlError::NotNow { .. }) {
                        seen.sql_problem = Some(error.to_string());
                        self.judge_by_control_file(&mut seen);
                    }
                }
            },
        }
        seen.signs.replayed = seen.position.replayed;
        Ok(seen)
    }

    fn look_without_sql(&self, startup: Option<&Startup>, seen: &mut Observation) {
        let facts = self.log.facts();
        let Some(startup) = startup else { return };
        seen.phase = Phase::Replaying { consistent: facts.consistent_at.is_some(), readable: false };
        let control = ControlFile::read(&self.data_dir).ok();
        let size = control.as_ref().map(|control| control.segment_size);
        let named = startup.segment.zip(size).map(|(segment, size)| segment.start_lsn(size));
        // The control file's positions move at restart points: they are a floor.
        let floor = control.map(|control| control.redo_lsn.max(control.min_recovery_lsn));
        seen.position.replayed = named.max(floor.filter(|_| named.is_none())).or(facts.consistent_at);
        seen.waits_for = startup.segment.filter(|_| startup.fetching).map(|segment| match &startup.helper {
            Some((pid, title)) => format!("restore_command for {segment} (process {pid}: {title})"),
            None => format!("WAL segment {segment}"),
        });
    }

    /// A server that runs but lets nobody in: its control file still says which side of promotion it is on.
    fn judge_by_control_file(&self, seen: &mut Observation) {
        if let Ok(control) = ControlFile::read(&self.data_dir) {
            match control.state {
                State::InProduction => seen.phase = Phase::Primary,
                State::InArchiveRecovery => {
                    let consistent = self.log.facts().consistent_at.is_some();
                    seen.phase = Phase::Replaying { consistent, readable: false };
                }
                _ => {}
            }
        }
    }

    fn stopped_cleanly(&self) -> bool {
        ControlFile::read(&self.data_dir).is_ok_and(|control| control.stopped_cleanly())
    }

    fn take_answer(&self, answer: Answer, seen: &mut Observation) {
        let facts = self.log.facts();
        seen.position = answer.position;
        seen.waits_for = answer.waits_for;
        seen.phase = if !answer.in_recovery {
            Phase::Primary
        } else if !answer.paused {
            Phase::Replaying { consistent: true, readable: true }
        } else if let Some(stopping) = &facts.stopping {
            Phase::Paused(Pause::AtTarget(stopping.clone()))
        } else if let Some(limit) = &facts.insufficient {
            Phase::Paused(Pause::Limits(limit.clone()))
        } else {
            Phase::Paused(Pause::Asked)
        };
    }

    /// Asks the server; the session is kept for the next time and given up on any error.
    fn ask(&mut self) -> Result<Answer, SqlError> {
        if self.sql.is_none() {
            let mut address = self.address();
            address.connect_limit = Duration::from_secs(2);
            address.statement_limit = Duration::from_secs(5);
            self.sql = Some(Sql::connect(&address, Some(&self.owner))?);
        }
        let question = question(self.version);
        let Some(sql) = &mut self.sql else {
            return Err(SqlError::Unreachable { at: self.address().place(), why: "no session".to_owned() });
        };
        match sql.rows(&question) {
            Ok(rows) => Ok(read_answer(rows.into_iter().next().unwrap_or_default())),
            Err(error) => {
                self.sql = None;
                Err(error)
            }
        }
    }
}

/// One row: in recovery, replayed position, microseconds of the last commit, paused, what replay waits for.
fn question(version: PgVersion) -> String {
    let (position, paused) = match version {
        v if v.at_least(14) => ("pg_last_wal_replay_lsn()", "pg_get_wal_replay_pause_state() = 'paused'"),
        v if v.at_least(10) => ("pg_last_wal_replay_lsn()", "pg_is_wal_replay_paused()"),
        _ => ("pg_last_xlog_replay_location()", "pg_is_xlog_replay_paused()"),
    };
    let waits = if version.at_least(10) {
        "(select wait_event_type || '/' || wait_event from pg_stat_activity where backend_type = 'startup' limit 1)"
    } else {
        "null"
    };
    // The functions about pausing fail outside recovery.
    format!(
        "select r, {position}, (extract(epoch from pg_last_xact_replay_timestamp()) * 1000000)::bigint, \
         case when r then {paused} else false end, case when r then {waits} end \
         from (select pg_is_in_recovery() as r) as s"
    )
}

fn read_answer(row: Vec<Option<String>>) -> Answer {
    let mut fields = row.into_iter();
    let mut next = || fields.next().flatten();
    let in_recovery = next().as_deref() == Some("t");
    let replayed: Option<Lsn> = next().and_then(|text| text.parse().ok());
    let last_commit = next().and_then(|text| text.parse().ok()).map(Timestamp);
    let paused = next().as_deref() == Some("t");
    Answer {
        in_recovery,
        position: Position { replayed, exact: replayed.is_some(), last_commit },
        paused,
        waits_for: next(),
    }
}

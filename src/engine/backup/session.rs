//! A backup in the server's eyes: begun and ended in one session, which is held all the time between.
//!
//! If the session is lost the server forgets the backup; nothing is left behind on it. Statements follow the version:
//! `pg_backup_start` from 15 on, `pg_start_backup` before.

use crate::base::{Lsn, Report, Result, Timestamp, WalSegment};
use crate::cluster::sql::{Row, Sql, literal};
use crate::repo::Database;
use std::collections::BTreeMap;
use std::time::Duration;

/// The session that makes the backup, and which functions its server has.
pub(super) struct Session {
    sql: Sql,
    version_number: u32,
    /// The server's process of this session.
    pub(super) backend: i32,
}

/// Where and when a backup began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    /// Where replay has to begin.
    pub(super) lsn: Lsn,
    /// The segment of that.
    pub(super) segment: WalSegment,
    /// The segment that was written to just before.
    pub(super) segment_before: WalSegment,
    /// The server's clock just before.
    pub(super) at: Timestamp,
}

/// Where and when a backup ended, and what the server wants to be kept with it.
#[derive(Debug, Clone)]
pub(super) struct Stop {
    /// Replay has to come at least this far.
    pub(super) lsn: Lsn,
    /// The segment of that.
    pub(super) segment: WalSegment,
    /// The server's clock just after.
    pub(super) at: Timestamp,
    /// The content of `backup_label`.
    pub(super) label: String,
    /// The content of `tablespace_map`; may be empty.
    pub(super) tablespace_map: String,
}

/// The oldest server that can be backed up while it runs.
const OLDEST: u32 = 130_000;

impl Session {
    pub(super) fn new(mut sql: Sql, limit: Duration) -> Result<Self> {
        let number = sql.value("show server_version_num")?.and_then(|text| text.parse().ok()).unwrap_or(0);
        if number < OLDEST {
            return Err(Report::failed(format!(
                "a running PostgreSQL of version number {number} cannot be backed up: 13 is the oldest that can"
            ))
            .hint("stop it and back it up with --no-online, or use pgBackRest"));
        }
        // A name in another schema must not stand before the system's, and a long checkpoint is no failure.
        sql.rows("set search_path = pg_catalog")?;
        sql.rows(&format!("set statement_timeout = {}", limit.as_millis()))?;
        sql.rows("set lock_timeout = 0")?;
        // Nothing is said while files are copied, however long that takes.
        if number >= 140_000 {
            sql.rows("set idle_session_timeout = 0")?;
        }
        let [backend] = fields(sql.rows("select pg_backend_pid()")?)?;
        Ok(Self { sql, version_number: number, backend: parsed(&backend)? })
    }

    /// The session itself, for questions.
    pub(super) fn sql(&mut self) -> &mut Sql {
        &mut self.sql
    }

    /// Begins the backup; the server makes a checkpoint.
    pub(super) fn start(&mut self, name: &str, fast: bool) -> Result<Start> {
        let before =
            "select pg_walfile_name(pg_current_wal_insert_lsn()), extract(epoch from clock_timestamp())";
        let [segment, at] = fields(self.sql.rows(before)?)?;
        let name = literal(name);
        let call = if self.version_number >= 150_000 {
            format!("pg_backup_start({name}, {fast})")
        } else {
            format!("pg_start_backup({name}, {fast}, false)")
        };
        let [lsn, first] =
            fields(self.sql.rows(&format!("select lsn, pg_walfile_name(lsn) from {call} as lsn"))?)?;
        let (lsn, first) = (parsed(&lsn)?, parsed(&first)?);
        Ok(Start { lsn, segment: first, segment_before: parsed(&segment)?, at: seconds(&at)? })
    }

    /// Ends the backup. The server is told not to wait for its archiver: who makes the backup waits.
    pub(super) fn stop(&mut self) -> Result<Stop> {
        let call = if self.version_number >= 150_000 {
            "pg_backup_stop(false)"
        } else {
            "pg_stop_backup(false, false)"
        };
        let statement = format!(
            "select lsn, pg_walfile_name(lsn), extract(epoch from clock_timestamp()), labelfile, spcmapfile from {call}"
        );
        let [lsn, segment, at, label, tablespace_map] = fields(self.sql.rows(&statement)?)?;
        Ok(Stop { lsn: parsed(&lsn)?, segment: parsed(&segment)?, at: seconds(&at)?, label, tablespace_map })
    }

    /// The server's clock, to the microsecond.
    pub(super) fn clock(&mut self) -> Result<Timestamp> {
        let [at] =
            fields(self.sql.rows("select (extract(epoch from clock_timestamp()) * 1000000)::bigint")?)?;
        Ok(Timestamp(parsed(&at)?))
    }

    /// Up to where WAL has been written into the server's buffers.
    pub(super) fn insert_lsn(&mut self) -> Option<Lsn> {
        let text = self.sql.value("select pg_current_wal_insert_lsn()").ok()??;
        text.parse().ok()
    }

    /// Oid and name of every tablespace that is a place of its own.
    pub(super) fn tablespaces(&mut self) -> Result<BTreeMap<u32, String>> {
        let rows = self.sql.rows("select oid, spcname from pg_tablespace where oid not in (1663, 1664)")?;
        rows.into_iter()
            .map(|row| {
                let [oid, name] = fields(vec![row])?;
                Ok((parsed(&oid)?, name))
            })
            .collect()
    }

    /// The databases, by name.
    pub(super) fn databases(&mut self) -> Result<Vec<Database>> {
        let rows = self.sql.rows(
            "select oid, datname, (select oid from pg_database where datname = 'template0') from pg_database \
             order by datname collate \"C\"",
        )?;
        rows.into_iter()
            .map(|row| {
                let [oid, name, last] = fields(vec![row])?;
                // A cluster without template0 has no system objects beyond those initdb made.
                let last_system_oid = if last.is_empty() { 0 } else { parsed(&last)? };
                Ok(Database { name, oid: parsed(&oid)?, last_system_oid })
            })
            .collect()
    }
}

/// The fields of the first row, NULL as empty text.
fn fields<const N: usize>(rows: Vec<Row>) -> Result<[String; N]> {
    let row = rows.into_iter().next().unwrap_or_default();
    let texts: Vec<String> = row.into_iter().map(Option::unwrap_or_default).collect();
    texts
        .try_into()
        .map_err(|_| Report::failed("the server gave an answer of another shape than it was asked for"))
}

fn parsed<T: std::str::FromStr>(text: &str) -> Result<T> {
    text.parse()
        .map_err(|_| Report::failed(format!("the server answered '{text}', which is not what was asked for")))
}

/// Whole seconds of an epoch with a fraction.
fn seconds(text: &str) -> Result<Timestamp> {
    parsed::<i64>(text.split('.').next().unwrap_or_default()).map(Timestamp::from_unix_s)
}

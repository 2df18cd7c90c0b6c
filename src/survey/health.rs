//! Asking one server what hinders it, who depends on it and what is not committed yet; and on request, whether a commit
//! comes back.
//!
//! Asks, never commands; the one thing that is ever written is the write test's few bytes. A session lasts for one look.

use super::member::{ServerPlace, version};
use crate::base::{PgVersion, TargetTime, Timeline, Timestamp};
use crate::cluster::sql::{Row, Sql, SqlError};
use crate::cluster::write_test::write_test;
use crate::model::fact::{Answer, SILENT};
use crate::model::situation::{
    ArchiverFacts, ChecksumFailure, CommitWait, Contact, HealthFacts, OpenWriter, ReceiverFacts, StandbyLink,
    WriteTest,
};
use std::time::Duration;

/// The longest wait for a commit of the write test.
const WRITE_LIMIT: Duration = Duration::from_secs(3);
/// With less room for WAL than this no commit is tried: it might be the one that finds none.
const LEAST_ROOM_BYTES: u64 = 64 << 20;
/// How many open transactions are told.
const MOST_WRITERS: usize = 20;

impl ServerPlace {
    /// How a session came to be, and what the server says in it.
    pub(super) fn health(&self) -> (Answer<Contact>, Answer<HealthFacts>) {
        let (address, owner) = self.way();
        let connected = Sql::connect(&address, owner.as_ref());
        let mut sql = match connected {
            Ok(sql) => sql,
            Err(error) => {
                let why = error.to_string();
                return (contact(error), Answer::Unknown { why });
            }
        };
        match ask(&mut sql) {
            Ok(facts) => (Answer::Known { value: Contact::Session }, Answer::Known { value: facts }),
            Err(SqlError::Failed { code, why }) => {
                let why = if code.is_empty() { why } else { format!("{why} (SQLSTATE {code})") };
                (Answer::Known { value: Contact::Session }, Answer::Unknown { why })
            }
            Err(error) => {
                let why = error.to_string();
                (contact(error), Answer::Unknown { why })
            }
        }
    }

    /// Whether a commit comes back. Not tried in recovery, before 9.6, and where there is hardly any room for WAL.
    pub(super) fn write(&self) -> Answer<WriteTest> {
        let not = |why: &str| Answer::Known { value: WriteTest::NotTried { why: why.to_owned() } };
        let unknown = |error: SqlError| Answer::Unknown { why: error.to_string() };
        if let Some(room) =
            self.data_dir.as_ref().and_then(|dir| super::folder::room(&super::folder::wal_folder(dir)))
            && room.free_bytes < LEAST_ROOM_BYTES
        {
            return not("there is hardly any room for WAL");
        }
        let (address, owner) = self.way();
        let old = |sql: &mut Sql| {
            let number = sql.value("show server_version_num")?.and_then(|text| text.parse::<u32>().ok());
            Ok::<_, SqlError>(number.is_some_and(|number| number < 90_600) || sql.is_in_recovery()?)
        };
        match Sql::connect(&address, owner.as_ref()).and_then(|mut sql| old(&mut sql)) {
            Ok(true) => return not("it is in recovery, or before 9.6"),
            Ok(false) => {}
            Err(error) => return unknown(error),
        }
        match write_test(&address, owner.as_ref(), WRITE_LIMIT) {
            Ok(test) => Answer::Known { value: test },
            Err(error) => unknown(error),
        }
    }
}

/// What was answered, if it was: silence is none.
fn contact(error: SqlError) -> Answer<Contact> {
    let known = |value| Answer::Known { value };
    if error.is_refused() {
        return known(Contact::Refused);
    }
    match error {
        SqlError::NotNow { why, .. } => known(Contact::NotNow { why }),
        SqlError::Denied { why, .. } => known(Contact::Denied { why }),
        SqlError::Failed { why, .. } => known(Contact::Error { why }),
        SqlError::Lost { why, .. } if !super::member::silent(&why) => known(Contact::Lost { why }),
        SqlError::Lost { .. } => Answer::Unknown { why: SILENT.to_owned() },
        SqlError::Unreachable { why, .. } if super::member::silent(&why) => {
            Answer::Unknown { why: SILENT.to_owned() }
        }
        SqlError::Unreachable { why, .. } => Answer::Unknown { why: format!("out of reach ({why})") },
    }
}

fn ask(sql: &mut Sql) -> Result<HealthFacts, SqlError> {
    let number = sql.value("show server_version_num")?.unwrap_or_default();
    let version = version(&number);
    let since = |major: u16| version.is_none_or(|version| version.at_least(major));
    let mut facts = HealthFacts::default();
    state(sql, version, &mut facts)?;
    facts.standbys = standbys(sql, since(10))?;
    facts.commits_waiting = commits(sql, version)?;
    if since(12) {
        facts.checksum_failures = failures(sql)?;
    }
    if facts.in_recovery {
        facts.receiver = receiver(sql, version)?;
    } else {
        (facts.open_writers, facts.prepared) = writers(sql)?;
    }
    Ok(facts)
}

fn state(sql: &mut Sql, version: Option<PgVersion>, facts: &mut HealthFacts) -> Result<(), SqlError> {
    let since = |major: u16| version.is_none_or(|version| version.at_least(major));
    let (log, position) = if since(10) { ("wal", "lsn") } else { ("xlog", "location") };
    let controlled = version.is_none_or(|version| version.at_least(10) || version.to_string() == "9.6");
    let system_id = if controlled { "(select system_identifier from pg_control_system())" } else { "null" };
    // 2^31 ids can be told apart; writes are refused 3 million before that.
    let stats = if since(10) { "pg_has_role(current_user, 'pg_read_all_stats', 'usage')" } else { "false" };
    let row = sql.rows(&format!(
        "select pg_is_in_recovery(), current_setting('is_superuser') = 'on' or {stats}, {system_id}, current_setting('default_transaction_read_only') = 'on', \
         current_setting('synchronous_standby_names'), \
         (select 2147483647::bigint - 3000000 - max(age(datfrozenxid)) from pg_database), \
         (select 2147483647::bigint - 3000000 - max(mxid_age(datminmxid)) from pg_database), \
         current_setting('data_checksums') = 'on', \
         pg_last_{log}_receive_{position}(), pg_last_xact_replay_timestamp() at time zone 'UTC', \
         (select setting from pg_settings where name = 'recovery_min_apply_delay'), \
         current_setting('archive_mode'), \
         (select last_archived_time at time zone 'UTC' from pg_stat_archiver), \
         (select last_failed_wal from pg_stat_archiver where last_failed_time > coalesce(last_archived_time, '-infinity')), \
         (select last_failed_time at time zone 'UTC' from pg_stat_archiver)"
    ))?;
    let mut fields = row.into_iter().next().unwrap_or_default().into_iter();
    let mut next = || fields.next().flatten();
    let yes = |field: Option<String>| field.as_deref() == Some("t");
    let number = |field: Option<String>| field.and_then(|text| text.parse::<i64>().ok());
    let count = |field: Option<i64>| u64::try_from(field.unwrap_or(i64::MAX).max(0)).unwrap_or(0);
    facts.in_recovery = yes(next());
    facts.sees_all = yes(next());
    facts.system_id =
        next().and_then(|text| text.parse::<i64>().ok()).map(|id| crate::base::SystemId(id.cast_unsigned()));
    facts.read_only_default = yes(next());
    facts.sync_names = next().unwrap_or_default();
    facts.xids_left = count(number(next()));
    facts.multixacts_left = count(number(next()));
    facts.checksums = yes(next());
    facts.received_lsn = next().and_then(|text| text.parse().ok());
    facts.replayed_commit_at = moment(next());
    facts.apply_delay_ms = number(next()).and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0);
    let archives = next();
    let (last_archived_at, failing_for, last_failed_at) = (moment(next()), next(), moment(next()));
    let does = match archives.as_deref() {
        Some("always") => true,
        Some("on") => !facts.in_recovery,
        _ => false,
    };
    facts.archiver = does.then_some(ArchiverFacts { last_archived_at, failing_for, last_failed_at });
    Ok(())
}

/// A time that was asked for in UTC.
fn moment(field: Option<String>) -> Option<Timestamp> {
    field.and_then(|text| TargetTime::parse(&format!("{text}+00")).ok().map(|time| time.at))
}

fn standbys(sql: &mut Sql, modern: bool) -> Result<Vec<StandbyLink>, SqlError> {
    let suffix = if modern { "lsn" } else { "location" };
    let rows = sql.rows(&format!(
        "select application_name, client_addr, state, sync_state, replay_{suffix}, flush_{suffix} \
         from pg_stat_replication order by 1 limit 100"
    ))?;
    let link = |row: Row| {
        let mut fields = row.into_iter();
        let mut next = || fields.next().flatten();
        StandbyLink {
            name: next().unwrap_or_default(),
            from: next(),
            state: next().unwrap_or_default(),
            sync_state: next().unwrap_or_default(),
            replay_lsn: next().and_then(|text| text.parse().ok()),
            flush_lsn: next().and_then(|text| text.parse().ok()),
        }
    };
    Ok(rows.into_iter().map(link).collect())
}

/// Before 9.6 the server does not say what a session waits for.
fn commits(sql: &mut Sql, version: Option<PgVersion>) -> Result<CommitWait, SqlError> {
    if version.is_some_and(|version| !version.at_least(10) && version.to_string() != "9.6") {
        return Ok(CommitWait::default());
    }
    // Since its last change of state a session that waits does nothing else.
    let row = sql.rows(
        "select count(*), coalesce(max(extract(epoch from clock_timestamp() - greatest(query_start, state_change)) * 1000), 0)::bigint \
         from pg_stat_activity where wait_event = 'SyncRep' and pid <> pg_backend_pid()",
    )?;
    let mut fields = row.into_iter().next().unwrap_or_default().into_iter();
    let mut next = || fields.next().flatten().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    Ok(CommitWait { count: next(), longest_ms: next() })
}

fn failures(sql: &mut Sql) -> Result<Vec<ChecksumFailure>, SqlError> {
    let rows = sql.rows(
        "select datname, checksum_failures, checksum_last_failure at time zone 'UTC' \
         from pg_stat_database where checksum_failures > 0 order by 2 desc limit 100",
    )?;
    let failure = |row: Row| {
        let mut fields = row.into_iter();
        let mut next = || fields.next().flatten();
        ChecksumFailure {
            database: next(),
            count: next().and_then(|text| text.parse().ok()).unwrap_or(0),
            last_at: moment(next()),
        }
    };
    Ok(rows.into_iter().map(failure).collect())
}

fn receiver(sql: &mut Sql, version: Option<PgVersion>) -> Result<Option<ReceiverFacts>, SqlError> {
    if version.is_some_and(|version| !version.at_least(10) && version.to_string() != "9.6") {
        return Ok(None);
    }
    let sender = if version.is_none_or(|version| version.at_least(11)) {
        "sender_host || ':' || sender_port"
    } else {
        "null::text"
    };
    let rows = sql.rows(&format!(
        "select status, received_tli, {sender}, last_msg_receipt_time at time zone 'UTC' from pg_stat_wal_receiver limit 1"
    ))?;
    Ok(rows.into_iter().next().map(|row| {
        let mut fields = row.into_iter();
        let mut next = || fields.next().flatten();
        ReceiverFacts {
            status: next().unwrap_or_default(),
            timeline: next().and_then(|text| text.parse().ok()).map(Timeline),
            sender: next(),
            last_message_at: moment(next()),
        }
    }))
}

/// Who has written and not committed. Of the statement only the first word is told: the rest may hold secrets. Sessions
/// of this program do not count.
fn writers(sql: &mut Sql) -> Result<(Vec<OpenWriter>, u64), SqlError> {
    let rows = sql.rows(&format!(
        "select pid, usename, datname, application_name, upper(substring(query from '^\\s*([A-Za-z]+)')), state, \
         xact_start at time zone 'UTC' from pg_stat_activity \
         where backend_xid is not null and pid <> pg_backend_pid() and application_name <> 'pgmayday' \
         and xact_start is not null and query not like 'select pg_logical_emit_message(%/* pgmayday-%' \
         order by xact_start limit {MOST_WRITERS}"
    ))?;
    let writer = |row: Row| {
        let mut fields = row.into_iter();
        let mut next = || fields.next().flatten();
        Some(OpenWriter {
            pid: next()?.parse().ok()?,
            user: next().unwrap_or_default(),
            database: next().unwrap_or_default(),
            application: next().unwrap_or_default(),
            verb: next().unwrap_or_default(),
            state: next().unwrap_or_default(),
            since: moment(next())?,
        })
    };
    let writers = rows.into_iter().filter_map(writer).collect();
    let prepared = sql.value("select count(*) from pg_prepared_xacts")?;
    Ok((writers, prepared.and_then(|text| text.parse().ok()).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_silence_is_no_answer() {
        let at = || "here".to_owned();
        let unreachable = |why: &str| contact(SqlError::Unreachable { at: at(), why: why.to_owned() });
        assert_eq!(
            unreachable("Connection refused (os error 111)"),
            Answer::Known { value: Contact::Refused }
        );
        assert!(matches!(unreachable("no answer within 2 s"), Answer::Unknown { .. }));
        assert!(matches!(unreachable("No route to host (os error 113)"), Answer::Unknown { .. }));
        let full = contact(SqlError::Failed {
            code: "53300".to_owned(),
            why: "sorry, too many clients already".to_owned(),
        });
        assert!(matches!(full, Answer::Known { value: Contact::Error { .. } }));
        let lost = |why: &str| contact(SqlError::Lost { at: at(), why: why.to_owned() });
        assert!(matches!(lost("no answer within 4 s"), Answer::Unknown { .. }));
        assert!(matches!(lost("connection closed"), Answer::Known { value: Contact::Lost { .. } }));
    }
}

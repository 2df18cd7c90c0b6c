//! Does a commit come back? One small transaction that leaves nothing behind but a few bytes of WAL and a number.
//!
//! It writes no row: a logical message, which nobody reads who did not ask for its prefix, makes the commit one that is
//! written to disk and waited for like any other. PostgreSQL itself waits without end for a synchronous standby, and
//! `statement_timeout` does not count there; so a second session is opened first, and ends the one that hangs.
//! Never run where the file system of the WAL is nearly full: the bytes might be the last ones.

use super::owner::Account;
use super::sql::{Address, Sql, SqlError, literal};
use crate::model::situation::WriteTest;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The prefix of the message.
const PREFIX: &str = "pgmayday";
/// How long it is waited until a session that was told to end has done so.
const END_LIMIT: Duration = Duration::from_secs(2);

/// Tells the tests of this process apart.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// Commits once on a server of PostgreSQL 9.6 or later that is not in recovery. Takes a few seconds longer than
/// `limit` at most.
pub fn write_test(
    address: &Address,
    owner: Option<&Account>,
    limit: Duration,
) -> Result<WriteTest, SqlError> {
    // Without somebody who can end it nothing is begun.
    let mut guard = Sql::connect(address, owner)?;
    let mut patient = address.clone();
    patient.statement_limit = limit;
    let mut writer = Sql::connect(&patient, owner)?;
    let token = format!("{PREFIX}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let statement = format!("select pg_logical_emit_message(true, {}, '') /* {token} */", literal(PREFIX));
    let begun = Instant::now();
    let answer = writer.rows(&statement);
    let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    match answer {
        Ok(_) => Ok(WriteTest::Committed { took_ms }),
        Err(SqlError::Failed { code, why }) if code != "57014" => Ok(WriteTest::Refused { why }),
        Err(_) => {
            let waits_for = waits_for(&mut guard, &token);
            let ended = end(&mut guard, &token);
            Ok(WriteTest::Hung { waited_ms: took_ms, waits_for, ended })
        }
    }
}

/// The session that runs the statement with this token, and no other.
fn own(token: &str) -> String {
    format!(
        "from pg_stat_activity where pid <> pg_backend_pid() and query like {}",
        literal(&format!("select pg_logical_emit_message(%/* {token} */"))
    )
}

fn waits_for(guard: &mut Sql, token: &str) -> Option<String> {
    let what = guard.value(&format!("select wait_event_type || ' ' || wait_event {}", own(token)));
    what.ok().flatten()
}

/// Ends the session; true once the server says that it is gone.
fn end(guard: &mut Sql, token: &str) -> bool {
    let begun = Instant::now();
    let left = format!("select count(*) {} and state <> 'idle'", own(token));
    loop {
        let asked = guard.rows(&format!("select pg_terminate_backend(pid) {}", own(token)));
        if asked.is_err() {
            return false;
        }
        if guard.value(&left).is_ok_and(|count| count.as_deref() == Some("0")) {
            return true;
        }
        if begun.elapsed() > END_LIMIT {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

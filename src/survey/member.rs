//! Looking at one server: a session with it, and its data directory where that is on this host.
//!
//! Asks, never commands; a session lasts for one look. Every wait has its limit.

use crate::base::{PgVersion, Timeline};
use crate::cluster::ClusterError;
use crate::cluster::control::{CONTROL_FILE, ControlFile};
use crate::cluster::owner::{Account, Users, owner_of};
use crate::cluster::reach::{Configured, socket};
use crate::cluster::running::{self, Running};
use crate::cluster::sql::{Address, Host, Row, Sql, SqlError};
use crate::model::board::{DataDirFacts, ServerFacts};
use crate::model::fact::{Answer, SILENT};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The longest wait for a session, and for an answer in it.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
const STATEMENT_LIMIT: Duration = Duration::from_secs(2);
/// Who is asked for where the owner of the data directory is not known.
const SUPERUSER: &str = "postgres";

/// Where a server is and how it is spoken to.
#[derive(Debug, Clone)]
pub(super) struct ServerPlace {
    pub host: Option<String>,
    pub port: u16,
    /// The port was configured, not assumed.
    pub port_chosen: bool,
    pub socket_dir: Option<PathBuf>,
    pub data_dir: Option<PathBuf>,
    pub user: Option<String>,
    pub database: String,
    pub users: Arc<Users>,
}

impl ServerPlace {
    pub(super) fn look(&self) -> Answer<ServerFacts> {
        let (address, owner) = self.way();
        let asked = Sql::connect(&address, owner.as_ref()).and_then(|mut sql| ask(&mut sql));
        match asked {
            Ok(facts) => Answer::Known { value: facts },
            Err(error) => told(error),
        }
    }

    /// How it is spoken to, and the owner of its data directory where that is here.
    pub(super) fn way(&self) -> (Address, Option<Account>) {
        let owner = self.data_dir.as_ref().and_then(|dir| owner_of(dir, &self.users).ok());
        (self.address(owner.as_ref()), owner)
    }

    /// The folder of the socket it is spoken to through; nothing for a server that is spoken to by its host.
    pub(super) fn socket(&self) -> Option<PathBuf> {
        match self.way().0.host {
            Host::Socket(folder) => Some(folder).filter(|folder| !folder.as_os_str().is_empty()),
            Host::Tcp(_) => None,
        }
    }

    fn address(&self, owner: Option<&Account>) -> Address {
        let user = self.user.clone().or_else(|| owner.map(|owner| owner.name.clone()));
        let user = user.unwrap_or_else(|| SUPERUSER.to_owned());
        let configured = Configured {
            data_dir: self.data_dir.as_deref(),
            socket_dir: self.socket_dir.as_deref(),
            port: self.port,
            port_chosen: self.port_chosen,
        };
        let (folder, port) = socket(&configured);
        let mut address = Address::socket(folder, port, &user, &self.database);
        if let Some(host) = &self.host {
            address.host = Host::Tcp(host.clone());
        }
        address.connect_limit = CONNECT_LIMIT;
        address.statement_limit = STATEMENT_LIMIT;
        address
    }
}

fn ask(sql: &mut Sql) -> Result<ServerFacts, SqlError> {
    let number = sql.value("show server_version_num")?.unwrap_or_default();
    let version = version(&number);
    let row = sql.rows(&question(version))?.into_iter().next().unwrap_or_default();
    Ok(read(row, version))
}

/// `150020` is 15, `90624` is 9.6.
pub(super) fn version(number: &str) -> Option<PgVersion> {
    let number: u32 = number.parse().ok()?;
    let major = number / 10_000;
    if major >= 10 {
        u16::try_from(major).ok().map(PgVersion::major)
    } else {
        format!("9.{}", number / 100 % 100).parse().ok()
    }
}

/// One row: in recovery, timeline, position, writable, streaming, paused, lag in milliseconds, what archiving fails
/// for. Functions about recovery fail outside it, and the others inside.
fn question(version: Option<PgVersion>) -> String {
    let since = |major| version.is_none_or(|version| version.at_least(major));
    let (log, position) = if since(10) { ("wal", "lsn") } else { ("xlog", "location") };
    let paused = if since(14) {
        "pg_get_wal_replay_pause_state() = 'paused'".to_owned()
    } else {
        format!("pg_is_{log}_replay_paused()")
    };
    let has_receiver = version.is_none_or(|version| version.at_least(10) || version.to_string() == "9.6");
    let (received, streaming) = if has_receiver {
        (
            "coalesce((select received_tli from pg_stat_wal_receiver limit 1), \
             (select timeline_id from pg_control_checkpoint()))",
            "exists (select 1 from pg_stat_wal_receiver where status is null or status = 'streaming')",
        )
    } else {
        ("null", "false")
    };
    let file_name = if since(10) { "pg_walfile_name" } else { "pg_xlogfile_name" };
    format!(
        "select r, \
         case when r then {received} \
           else ('x' || substr({file_name}(pg_current_{log}_{position}()), 1, 8))::bit(32)::int end, \
         case when r then pg_last_{log}_replay_{position}() else pg_current_{log}_{position}() end, \
         not r and current_setting('default_transaction_read_only') = 'off', \
         {streaming}, \
         case when r then {paused} else false end, \
         case when not r then null \
           when pg_last_{log}_receive_{position}() = pg_last_{log}_replay_{position}() then 0 \
           else greatest(0, extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp()) * 1000)::bigint end, \
         case when r and current_setting('archive_mode') <> 'always' then null \
           when current_setting('archive_mode') = 'off' then 'archive_mode is off' \
           else (select last_failed_wal from pg_stat_archiver \
             where last_failed_time > coalesce(last_archived_time, '-infinity')) end \
         from (select pg_is_in_recovery() as r) as s"
    )
}

fn read(row: Row, version: Option<PgVersion>) -> ServerFacts {
    let mut fields = row.into_iter();
    let mut next = || fields.next().flatten();
    let flag = |field: Option<String>| field.as_deref() == Some("t");
    ServerFacts {
        in_recovery: flag(next()),
        timeline: next().and_then(|text| text.parse().ok()).map(Timeline),
        lsn: next().and_then(|text| text.parse().ok()),
        writable: flag(next()),
        streaming: flag(next()),
        paused: flag(next()),
        lag_ms: next().and_then(|text| text.parse().ok()),
        archive_failing: next(),
        version,
    }
}

/// A refusal is an answer; silence, and being let in by nobody, is none.
fn told(error: SqlError) -> Answer<ServerFacts> {
    if error.is_refused() {
        return Answer::Failed { why: "refused".to_owned() };
    }
    match error {
        SqlError::Unreachable { why, .. } if silent(&why) => Answer::Unknown { why: SILENT.to_owned() },
        SqlError::Lost { why, .. } if silent(&why) => Answer::Unknown { why: SILENT.to_owned() },
        SqlError::Unreachable { why, .. } => Answer::Unknown { why: format!("out of reach ({why})") },
        SqlError::NotNow { why, .. } => Answer::Failed { why },
        SqlError::Denied { why, .. } => Answer::Unknown { why: format!("it lets nobody in ({why})") },
        SqlError::Failed { why, .. } => Answer::Unknown { why: format!("it answers with an error ({why})") },
        SqlError::Lost { .. } => Answer::Failed { why: "the session was lost".to_owned() },
    }
}

/// Nobody said anything.
pub(super) fn silent(why: &str) -> bool {
    ["no answer", "timed out", "timeout", "did not end within", "temporarily unavailable"]
        .iter()
        .any(|sign| why.contains(sign))
}

/// A data directory of this host.
#[derive(Debug, Clone)]
pub(super) struct DataDir(pub PathBuf);

impl DataDir {
    pub(super) fn look(&self) -> Answer<DataDirFacts> {
        let control = match ControlFile::read(&self.0) {
            Ok(control) => control,
            Err(error) => return unreadable(&self.0, &error),
        };
        let running = match running::look_for_server(&self.0) {
            Ok(Running::Yes { .. }) => Some(true),
            Ok(Running::No | Running::Stale { .. }) => Some(false),
            Ok(Running::Unknown { .. }) | Err(_) => None,
        };
        Answer::Known {
            value: DataDirFacts {
                system_id: control.system_id,
                version: control.version,
                state: control.state.to_string(),
                timeline: control.timeline,
                running,
            },
        }
    }
}

fn unreadable(data_dir: &Path, error: &ClusterError) -> Answer<DataDirFacts> {
    match error {
        ClusterError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            let what = if data_dir.exists() { CONTROL_FILE } else { "the directory" };
            Answer::Failed { why: format!("{what} is missing") }
        }
        ClusterError::Io { source, .. } => Answer::Unknown { why: source.to_string() },
        ClusterError::Control { source, .. } => Answer::Failed { why: source.to_string() },
        other => Answer::Unknown { why: other.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_the_server_numbers_them() {
        let text = |number| version(number).map(|version| version.to_string());
        assert_eq!(text("150020").as_deref(), Some("15"));
        assert_eq!(text("90624").as_deref(), Some("9.6"));
        assert_eq!(text(""), None);
    }

    #[test]
    fn silence_is_unknown_and_refusal_is_not() {
        let unreachable = |why: &str| told(SqlError::Unreachable { at: String::new(), why: why.to_owned() });
        let unknown = |answer| matches!(answer, Answer::Unknown { why } if why == "no answer");
        assert!(unknown(unreachable("no answer within 2 s")));
        assert!(unknown(unreachable("connection timed out")));
        assert!(unknown(unreachable("Resource temporarily unavailable (os error 11)")));
        let refused = unreachable("Connection refused (os error 111)");
        assert_eq!(refused, Answer::Failed { why: "refused".to_owned() });
        assert!(matches!(unreachable("No route to host (os error 113)"), Answer::Unknown { .. }));
        let denied = told(SqlError::Denied { at: String::new(), why: "no entry".to_owned() });
        assert!(matches!(denied, Answer::Unknown { .. }));
    }
}

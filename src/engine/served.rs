//! The server of a cluster as a backup and a check must know it: asked once by SQL, then judged against the cluster's
//! own files and against what archiving needs.
//!
//! Asking changes nothing; [`close_segment`] is the one thing here that writes into the server's WAL. What archives WAL
//! is recognised by its command line, never run.

mod archive_command;
mod judge;

use crate::base::{
    Context as _, Lsn, PgVersion, Report, Result, SystemId, Timestamp, WalSegment, WalSegmentSize,
};
use crate::cluster::control::WalLevel;
use crate::cluster::owner::{Users, owner_of};
use crate::cluster::reach;
use crate::cluster::sql::{Row, Sql, SqlError, literal};
use crate::config::{PgSettings, Settings};
pub use archive_command::{Archives, who_archives};
pub use judge::{Wanted, judge, judge_cluster};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// The settings that are asked for, all at once.
const ASKED: [&str; 9] = [
    "archive_command",
    "archive_library",
    "archive_mode",
    "checkpoint_timeout",
    "data_directory",
    "full_page_writes",
    "max_wal_senders",
    "wal_level",
    "wal_segment_size",
];

/// `archive_mode` of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArchiveMode {
    /// Nothing is archived.
    Off,
    /// The primary archives.
    On,
    /// A standby archives, too.
    Always,
}

/// What a server says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// Its major version.
    pub version: PgVersion,
    /// The data directory it serves; nothing if this role may not see it.
    pub data_dir: Option<PathBuf>,
    /// The system identifier of the cluster it serves; nothing if this role may not see it, or before 10.
    pub system_id: Option<SystemId>,
    /// True while it replays WAL: a standby, or a recovery.
    pub in_recovery: bool,
    /// Whether it archives.
    pub archive_mode: ArchiveMode,
    /// What it archives with; empty if nothing is set, or if archiving is off.
    pub archive_command: String,
    /// The library it archives with instead (from 15 on); empty if none.
    pub archive_library: String,
    /// How much its WAL tells.
    pub wal_level: WalLevel,
    /// How many standbys and receivers may be connected.
    pub max_wal_senders: u32,
    /// The longest time between two checkpoints.
    pub checkpoint_timeout: Duration,
    /// Whether whole pages go into WAL after a checkpoint.
    pub full_page_writes: bool,
    /// The size of its WAL segments.
    pub segment_size: WalSegmentSize,
}

/// Opens a session with the server of the cluster `pg`; as root, through the owner of its data directory.
pub fn connect(settings: &Settings, pg: &PgSettings, statement_limit: Duration) -> Result<Sql> {
    let address = reach::address(settings, pg, statement_limit);
    let owner =
        if pg.host.is_none() && pg.path.exists() { Some(owner_of(&pg.path, &Users::new())?) } else { None };
    Sql::connect(&address, owner.as_ref()).map_err(|error| {
        let refused = error.is_refused();
        let report = Report::from(error);
        if !refused {
            return report;
        }
        report.hint(format!(
            "start the server of {}, or correct pg{key}-socket-path and pg{key}-port",
            pg.path.display(),
            key = pg.key
        ))
    })
}

/// Asks a server what a backup and a check must know.
pub fn ask(sql: &mut Sql) -> Result<Served> {
    let mut asked = || -> Result<Served> {
        let version = version(sql)?;
        let in_recovery = sql.is_in_recovery()?;
        let names: Vec<String> = ASKED.iter().map(|name| literal(name)).collect();
        let rows = sql.rows(&format!(
            "select name, setting, unit from pg_catalog.pg_settings where name in ({})",
            names.join(", ")
        ))?;
        Settled::of(rows).served(version, in_recovery, system_id(sql, version)?)
    };
    asked().while_doing(|| "asking the server about itself".to_owned())
}

fn version(sql: &mut Sql) -> Result<PgVersion> {
    let number = sql.value("show server_version_num")?.unwrap_or_default();
    version_of(&number).ok_or_else(|| Report::failed(format!("the server says its version is '{number}'")))
}

/// `150018` is 15, `90624` is 9.6.
fn version_of(number: &str) -> Option<PgVersion> {
    let number: u32 = number.parse().ok()?;
    let major = number / 10_000;
    let text = if major >= 10 { major.to_string() } else { format!("{major}.{}", number / 100 % 100) };
    text.parse().ok()
}

/// The identifier in the control file the server itself uses.
fn system_id(sql: &mut Sql, version: PgVersion) -> Result<Option<SystemId>> {
    if !version.at_least(10) {
        return Ok(None);
    }
    match sql.value("select system_identifier from pg_catalog.pg_control_system()") {
        // SQL has no unsigned type: the upper half shows as negative.
        Ok(text) => Ok(text.and_then(|text| text.parse::<i64>().ok()).map(|id| SystemId(id.cast_unsigned()))),
        Err(SqlError::Failed { code, .. }) if code == "42501" => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The settings as they were answered: value and unit by name.
struct Settled(BTreeMap<String, (String, String)>);

impl Settled {
    fn of(rows: Vec<Row>) -> Self {
        let read = |row: Row| {
            let mut fields = row.into_iter().map(Option::unwrap_or_default);
            Some((fields.next()?, (fields.next()?, fields.next()?)))
        };
        Self(rows.into_iter().filter_map(read).collect())
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|(value, _)| value.as_str())
    }

    fn wrong(&self, name: &str) -> Report {
        let shown = self.text(name).map_or_else(|| "nothing".to_owned(), |text| format!("'{text}'"));
        Report::failed(format!("the server says {shown} for {name}"))
    }

    fn number(&self, name: &str) -> Result<u64> {
        self.text(name).and_then(|text| text.parse().ok()).ok_or_else(|| self.wrong(name))
    }

    /// A size, whose unit is bytes from 11 on and pages before.
    fn bytes(&self, name: &str) -> Result<u64> {
        let unit = match self.0.get(name).map(|(_, unit)| unit.as_str()) {
            Some("B") => 1,
            Some("8kB") => 8192,
            _ => return Err(self.wrong(name)),
        };
        Ok(self.number(name)?.saturating_mul(unit))
    }

    fn served(&self, version: PgVersion, in_recovery: bool, system_id: Option<SystemId>) -> Result<Served> {
        let archive_mode = match self.text("archive_mode") {
            Some("off") => ArchiveMode::Off,
            Some("on") => ArchiveMode::On,
            Some("always") => ArchiveMode::Always,
            _ => return Err(self.wrong("archive_mode")),
        };
        let wal_level = match self.text("wal_level") {
            Some("minimal") => WalLevel::Minimal,
            Some("archive" | "hot_standby" | "replica") => WalLevel::Replica,
            Some("logical") => WalLevel::Logical,
            _ => return Err(self.wrong("wal_level")),
        };
        let segment_size = u32::try_from(self.bytes("wal_segment_size")?)
            .ok()
            .and_then(|bytes| WalSegmentSize::new(bytes).ok())
            .ok_or_else(|| self.wrong("wal_segment_size"))?;
        // What the server shows instead of a command while archiving is off.
        let command = self.text("archive_command").filter(|text| *text != "(disabled)");
        Ok(Served {
            version,
            data_dir: self.text("data_directory").map(PathBuf::from),
            system_id,
            in_recovery,
            archive_mode,
            archive_command: command.unwrap_or_default().to_owned(),
            archive_library: self.text("archive_library").unwrap_or_default().to_owned(),
            wal_level,
            max_wal_senders: u32::try_from(self.number("max_wal_senders")?).unwrap_or(u32::MAX),
            checkpoint_timeout: Duration::from_secs(self.number("checkpoint_timeout")?),
            full_page_writes: self.text("full_page_writes") == Some("on"),
            segment_size,
        })
    }
}

/// What the server's archiver says of its work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Archiver {
    /// How often it failed since the statistics were reset.
    pub failed_count: u64,
    /// The file it failed for last.
    pub last_failed: Option<String>,
    /// When that was.
    pub last_failed_at: Option<Timestamp>,
    /// The file it archived last.
    pub last_archived: Option<String>,
}

impl fmt::Display for Archiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.last_archived.as_deref().unwrap_or("nothing yet");
        match &self.last_failed {
            Some(failed) => {
                let at = self.last_failed_at.map(|at| format!(" at {at}")).unwrap_or_default();
                let times =
                    if self.failed_count == 1 { "once" } else { &format!("{} times", self.failed_count) };
                write!(
                    f,
                    "PostgreSQL's archiver failed {times}, last for {failed}{at}; it archived last {last}"
                )
            }
            None => write!(f, "PostgreSQL's archiver reports no failure; it archived last {last}"),
        }
    }
}

/// Asks the server how archiving goes.
pub fn archiver(sql: &mut Sql) -> Result<Archiver> {
    let rows = sql.rows(
        "select failed_count, last_failed_wal, extract(epoch from last_failed_time)::bigint, last_archived_wal \
         from pg_catalog.pg_stat_archiver",
    )?;
    let mut fields = rows.into_iter().next().unwrap_or_default().into_iter();
    let mut next = || fields.next().flatten();
    Ok(Archiver {
        failed_count: next().and_then(|text| text.parse().ok()).unwrap_or(0),
        last_failed: next(),
        last_failed_at: next().and_then(|text| text.parse().ok()).map(Timestamp::from_unix_s),
        last_archived: next(),
    })
}

/// A restore point and the segment it is in, which was closed behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// Where the restore point lies.
    pub restore_point: Lsn,
    /// The segment, which will now be archived.
    pub segment: WalSegment,
}

/// Makes a restore point, so that there is something to archive, and closes the segment it is in.
///
/// Only on a server that takes writes; it refuses a name of more than 63 bytes.
pub fn close_segment(sql: &mut Sql, version: PgVersion, restore_point: &str) -> Result<Closed> {
    let name = literal(restore_point);
    let (switch, file_name) = if version.at_least(10) {
        ("pg_switch_wal", "pg_walfile_name")
    } else {
        ("pg_switch_xlog", "pg_xlogfile_name")
    };
    let odd = |what: &str, error: crate::base::units::UnitError| {
        Report::failed(format!("the server answered {what}() oddly: {error}"))
    };
    let mut closed = || -> Result<Closed> {
        let lsn = sql.value(&format!("select pg_catalog.pg_create_restore_point({name})"))?;
        let segment = sql.value(&format!("select pg_catalog.{file_name}(pg_catalog.{switch}())"))?;
        Ok(Closed {
            restore_point: lsn.unwrap_or_default().parse().map_err(|e| odd("pg_create_restore_point", e))?,
            segment: segment.unwrap_or_default().parse().map_err(|e| odd(switch, e))?,
        })
    };
    closed().while_doing(|| "closing the current WAL segment".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(changed: &[(&str, &str, &str)]) -> Vec<Row> {
        let usual = [
            ("archive_command", "(disabled)", ""),
            ("archive_mode", "off", ""),
            ("checkpoint_timeout", "300", "s"),
            ("data_directory", "/srv/pg", ""),
            ("full_page_writes", "on", ""),
            ("max_wal_senders", "10", ""),
            ("wal_level", "replica", ""),
            ("wal_segment_size", "16777216", "B"),
        ];
        let other = |name: &str| changed.iter().find(|(other, ..)| *other == name);
        let text = |text: &str| Some(text.to_owned()).filter(|text| text != "NULL");
        usual
            .iter()
            .map(|row| other(row.0).unwrap_or(row))
            .map(|(name, value, unit)| vec![text(name), text(value), text(unit)])
            .collect()
    }

    #[test]
    fn settings_are_understood_in_the_form_of_every_version() {
        let version = PgVersion::major(15);
        let of = |changed: &[(&str, &str, &str)]| Settled::of(rows(changed)).served(version, false, None);
        let plain = of(&[]).unwrap();
        assert_eq!((plain.archive_mode, plain.archive_command.as_str()), (ArchiveMode::Off, ""));
        assert_eq!((plain.checkpoint_timeout, plain.max_wal_senders), (Duration::from_secs(300), 10));
        assert_eq!(plain.segment_size, WalSegmentSize::DEFAULT);
        let pages = of(&[("wal_segment_size", "2048", "8kB"), ("wal_level", "hot_standby", "")]).unwrap();
        assert_eq!((pages.segment_size, pages.wal_level), (WalSegmentSize::DEFAULT, WalLevel::Replica));
        for bad in [("wal_level", "more", ""), ("wal_segment_size", "17", "B"), ("archive_mode", "NULL", "")]
        {
            let report = of(&[bad]).unwrap_err();
            assert!(report.headline.contains(bad.0), "{report}");
        }
    }

    #[test]
    fn version_numbers_become_versions() {
        let text = |number: &str| version_of(number).map(|version| version.to_string());
        assert_eq!(text("150018").as_deref(), Some("15"));
        assert_eq!(text("90624").as_deref(), Some("9.6"));
        assert_eq!((text("x"), text("")), (None, None));
    }

    #[test]
    fn the_archivers_trouble_is_told_with_file_and_time() {
        let quiet =
            Archiver { last_archived: Some("000000010000000000000002".to_owned()), ..Archiver::default() };
        assert!(quiet.to_string().contains("no failure") && quiet.to_string().ends_with("0002"), "{quiet}");
        let failing = Archiver {
            failed_count: 7,
            last_failed: Some("000000010000000000000003".to_owned()),
            last_failed_at: Some(Timestamp::from_unix_s(0)),
            last_archived: None,
        };
        assert_eq!(
            failing.to_string(),
            "PostgreSQL's archiver failed 7 times, last for 000000010000000000000003 at 1970-01-01 00:00:00+00; \
             it archived last nothing yet"
        );
    }
}

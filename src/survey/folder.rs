//! Looking into a data directory of this host: whether it could start, where its log ends, what room there is, what waits
//! to be archived; and the end of the server's log.
//!
//! Reads only, and starts nothing but `postgres -C`, which reads the configuration and ends.

use crate::base::Timestamp;
use crate::cluster::binaries::Search;
use crate::cluster::certificate;
use crate::cluster::configuration::{DEBIAN_CLUSTERS, last_value, outside_file};
use crate::cluster::control::{CONTROL_FILE, ControlFile};
use crate::cluster::lock_file::LockFile;
use crate::cluster::log_tail;
use crate::cluster::owner::{Users, owner_of, run_as};
use crate::cluster::process::run_limited;
use crate::cluster::running::{self, Running};
use crate::engine::local_wal;
use crate::model::fact::Answer;
use crate::model::op::Cancel;
use crate::model::situation::{
    ArchiveQueue, Certificate, ConfigurationFacts, ControlFacts, FolderFacts, LogTail, Room,
};
use crate::recovery::exchange::CONTROL_ASIDE;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The longest wait for `postgres -C`.
const CONFIGURATION_LIMIT: Duration = Duration::from_secs(5);
/// What every start needs; the name before 10 stands after the bar.
const NEEDED: [&str; 8] = [
    "PG_VERSION",
    "base/1",
    "global/pg_filenode.map",
    "pg_multixact",
    "pg_tblspc",
    "pg_wal|pg_xlog",
    "pg_xact|pg_clog",
    "global/1262",
];

/// A data directory of this host, and what is known about its server.
#[derive(Debug, Clone)]
pub(super) struct FolderPlace {
    pub data_dir: PathBuf,
    pub log: Option<PathBuf>,
    pub pg_bin: Option<PathBuf>,
    pub users: Arc<Users>,
}

impl FolderPlace {
    pub(super) fn look(&self) -> Answer<FolderFacts> {
        let data_dir = &self.data_dir;
        match std::fs::metadata(data_dir) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Answer::Failed { why: "the directory is missing".to_owned() };
            }
            Err(error) => return Answer::Unknown { why: error.to_string() },
        }
        if let Err(error) = std::fs::read_dir(data_dir) {
            return Answer::Unknown { why: error.to_string() };
        }
        let running = match running::look_for_server(data_dir) {
            Ok(Running::Yes { .. }) => Some(true),
            Ok(Running::No | Running::Stale { .. }) => Some(false),
            Ok(Running::Unknown { .. }) | Err(_) => None,
        };
        let wal = wal_folder(data_dir);
        let mut facts = FolderFacts {
            quarantined: is_quarantined(data_dir),
            lock_pid: lock_pid(data_dir),
            running,
            missing: missing(data_dir),
            signal: ["standby.signal", "recovery.signal"]
                .into_iter()
                .find(|name| data_dir.join(name).exists())
                .map(str::to_owned),
            wal_bytes: bytes_in(&wal),
            room: room(data_dir),
            wal_room: room(&wal),
            queue: queue(&wal.join("archive_status")),
            certificate: self.certificate(),
            starts_by_itself: starts_by_itself(data_dir),
            ..FolderFacts::default()
        };
        let control = match ControlFile::read(data_dir) {
            Ok(control) => control,
            Err(error) => {
                let there = data_dir.join(CONTROL_FILE).exists();
                if there {
                    facts.control_wrong = Some(error.to_string());
                } else {
                    facts.missing.insert(0, CONTROL_FILE.to_owned());
                }
                return Answer::Known { value: facts };
            }
        };
        if running == Some(false) {
            match local_wal::end(data_dir, &control, &Cancel::default()) {
                Ok(end) => facts.wal_end = Some(end),
                Err(why) => facts.wal_wrong = Some(why),
            }
            facts.configuration = self.configuration(&control);
        }
        facts.control = Some(ControlFacts {
            state: control.state.to_string(),
            stopped_in_order: control.stopped_cleanly(),
            timeline: control.timeline,
            redo_lsn: control.redo_lsn,
            checkpoint_lsn: control.checkpoint_lsn,
            written_at: control.written_at,
            checksums: control.data_checksums,
        });
        Answer::Known { value: facts }
    }

    pub(super) fn log(&self) -> Answer<LogTail> {
        let Some(path) = log_tail::find(&self.data_dir, self.log.as_deref(), lock_pid(&self.data_dir)) else {
            let why = "where its log is, is not known: name it in pgmayday.toml (log)";
            return Answer::Unknown { why: why.to_owned() };
        };
        match log_tail::read(&path) {
            Ok(tail) => Answer::Known { value: tail },
            Err(error) => Answer::Unknown { why: format!("{}: {error}", path.display()) },
        }
    }

    /// What `ssl_cert_file` names, if TLS is on, as the files say.
    fn certificate(&self) -> Option<Certificate> {
        let named = |name: &str| {
            let own = std::fs::read(self.data_dir.join("postgresql.auto.conf")).ok();
            let own = own.and_then(|text| last_value(&text, name));
            let main = || std::fs::read(self.config_file()).ok().and_then(|text| last_value(&text, name));
            own.or_else(main)
        };
        let on = named("ssl")
            .is_some_and(|value| matches!(value.to_lowercase().as_str(), "on" | "true" | "yes" | "1"));
        if !on {
            return None;
        }
        let file = named("ssl_cert_file").unwrap_or_else(|| "server.crt".to_owned());
        let path = self.data_dir.join(file);
        certificate::valid_until(&path).map(|valid_until| Certificate { path, valid_until })
    }

    fn config_file(&self) -> PathBuf {
        outside_file(&self.data_dir, Path::new(DEBIAN_CLUSTERS))
            .unwrap_or_else(|| self.data_dir.join("postgresql.conf"))
    }

    /// Lets the server's own program read the configuration; nothing if it is not found or may not be run.
    fn configuration(&self, control: &ControlFile) -> Option<ConfigurationFacts> {
        let named =
            self.pg_bin.clone().map(PathBuf::into_os_string).or_else(|| std::env::var_os("PGMAYDAY_PG_BIN"));
        let path = std::env::var_os("PATH");
        let binaries = Search::new(named.as_deref(), path.as_deref()).find(control.version).ok()?;
        let owner = owner_of(&self.data_dir, &self.users).ok()?;
        let ask = |name: &str| {
            let mut command = run_as(&owner, &binaries.program("postgres")).ok()?;
            command.arg("-D").arg(&self.data_dir).arg("-C").arg(name).env("LC_ALL", "C.UTF-8");
            let config = self.config_file();
            if !config.starts_with(&self.data_dir) {
                command.arg("-c").arg(format!("config_file={}", config.display()));
            }
            run_limited(command, CONFIGURATION_LIMIT).ok()
        };
        let asked = ask("shared_preload_libraries")?;
        if !asked.success() {
            return Some(ConfigurationFacts {
                wrong: Some(plain(&asked.complaint())),
                ..ConfigurationFacts::default()
            });
        }
        let libraries = asked.stdout.trim().split(',').map(|name| name.trim().trim_matches('"').to_owned());
        let folders = library_folders(&binaries.folder);
        let missing = |name: &String| {
            let plain = !name.is_empty() && !name.contains('/');
            plain
                && !folders.is_empty()
                && !folders.iter().any(|folder| folder.join(format!("{name}.so")).is_file())
        };
        Some(ConfigurationFacts { wrong: None, missing_libraries: libraries.filter(missing).collect() })
    }
}

/// The message without its severity, which is all that is told of a configuration.
fn plain(complaint: &str) -> String {
    let text = complaint
        .split_once("FATAL:  ")
        .or_else(|| complaint.split_once("LOG:  "))
        .map_or(complaint, |(_, text)| text);
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// Where the modules beside a folder of programs are: those of its folders that hold some.
fn library_folders(bin: &Path) -> Vec<PathBuf> {
    let candidates = ["../lib", "../lib/postgresql", "../lib64", "../lib/pgsql"].map(|name| bin.join(name));
    let holds = |folder: &PathBuf| folder.join("plpgsql.so").is_file();
    candidates.into_iter().filter(holds).collect()
}

/// `pg_wal`, or `pg_xlog` before 10; where neither is there, what it would be called now.
pub(super) fn wal_folder(data_dir: &Path) -> PathBuf {
    let old = data_dir.join("pg_xlog");
    if old.exists() { old } else { data_dir.join("pg_wal") }
}

/// A recovery took it out of service: no server starts in it.
fn is_quarantined(data_dir: &Path) -> bool {
    !data_dir.join(CONTROL_FILE).exists() && data_dir.join(CONTROL_ASIDE).exists()
}

fn lock_pid(data_dir: &Path) -> Option<u32> {
    LockFile::read(data_dir).ok().flatten()?.ok().map(|lock| lock.pid)
}

fn missing(data_dir: &Path) -> Vec<String> {
    let absent = |needed: &&&str| !needed.split('|').any(|name| data_dir.join(name).exists());
    let mut missing: Vec<String> = NEEDED
        .iter()
        .filter(absent)
        .filter_map(|needed| needed.split('|').next())
        .map(str::to_owned)
        .collect();
    let links = std::fs::read_dir(data_dir.join("pg_tblspc")).into_iter().flatten().flatten();
    missing.extend(
        links
            .filter(|link| !link.path().exists())
            .map(|link| format!("pg_tblspc/{}", link.file_name().to_string_lossy())),
    );
    missing
}

fn bytes_in(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.metadata().ok())
        .filter(std::fs::Metadata::is_file)
        .map(|meta| meta.len())
        .sum()
}

/// Room on the file system of a folder.
pub(super) fn room(folder: &Path) -> Option<Room> {
    let stat = rustix::fs::statvfs(folder).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Some(Room {
        free_bytes: bytes(stat.f_bavail),
        total_bytes: bytes(stat.f_blocks),
        // Where files need no place of their own, their number is told as 0 of 0.
        free_files: (stat.f_files > 0).then_some(stat.f_favail),
    })
}

fn queue(status: &Path) -> ArchiveQueue {
    let mut queue = ArchiveQueue::default();
    for entry in std::fs::read_dir(status).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(file) = name.to_str().and_then(|name| name.strip_suffix(".ready")) else { continue };
        queue.ready += 1;
        let written = entry.metadata().and_then(|meta| meta.modified()).ok();
        let since = written.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        let Some(at) = since.and_then(|at| i64::try_from(at.as_micros()).ok()).map(Timestamp) else {
            continue;
        };
        if queue.oldest.as_ref().is_none_or(|(_, oldest)| at < *oldest) {
            queue.oldest = Some((file.to_owned(), at));
        }
    }
    queue
}

/// What `start.conf` of Debian says; nothing where another starts the server.
fn starts_by_itself(data_dir: &Path) -> Option<bool> {
    let folder = outside_file(data_dir, Path::new(DEBIAN_CLUSTERS))?.parent()?.to_owned();
    let text = std::fs::read_to_string(folder.join("start.conf")).ok()?;
    let word = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'))?;
    match word {
        "auto" => Some(true),
        "manual" | "disabled" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_and_what_waits_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        assert_eq!(missing(data).len(), NEEDED.len());
        for needed in NEEDED {
            std::fs::create_dir_all(data.join(needed.split('|').next_back().unwrap())).unwrap();
        }
        assert!(missing(data).is_empty(), "the names before 10 will do");
        std::os::unix::fs::symlink("/nowhere/at/all", data.join("pg_tblspc/16400")).unwrap();
        assert_eq!(missing(data), ["pg_tblspc/16400"]);
        assert_eq!(wal_folder(data), data.join("pg_xlog"));
        let status = data.join("pg_xlog/archive_status");
        std::fs::create_dir(&status).unwrap();
        for name in ["000000010000000000000001.ready", "000000010000000000000002.ready", "x.done"] {
            std::fs::write(status.join(name), "").unwrap();
        }
        let queue = queue(&status);
        assert_eq!((queue.ready, queue.oldest.is_some()), (2, true));
        assert!(!is_quarantined(data));
        std::fs::write(data.join("global/pg_control.quarantined"), "").unwrap();
        assert!(is_quarantined(data));
    }
}

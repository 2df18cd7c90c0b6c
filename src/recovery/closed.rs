//! The closed state: a server that nobody but the recovery can reach, and that reaches out to nobody.
//!
//! Every setting stands on the command line, so that nothing inherited counts and nothing needs to be cleaned up:
//! the closed state ends with the process.

use crate::base::PgVersion;
use crate::cluster::control::ControlFile;
use crate::cluster::server::StartOptions;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Host-based authentication of the closed state: its socket's folder is open to the owner alone.
pub const HBA: &str = "local all all trust\n";

/// Where the closed server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// Folder of its socket, accessible to nobody else.
    pub sockets: PathBuf,
    /// The port in the socket's name.
    pub port: u16,
    /// A file holding [`HBA`].
    pub hba_file: PathBuf,
    /// The cluster's configuration file, if it is kept outside the data directory.
    pub config_file: Option<PathBuf>,
}

/// What a server must have at least to replay the log of a primary: settings and their values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits(BTreeMap<String, u32>);

impl Limits {
    /// What the primary had when the control file was written.
    pub fn of(control: &ControlFile) -> Self {
        let mut limits = Self::default();
        limits.raise([
            ("max_connections", control.max_connections),
            ("max_worker_processes", control.max_worker_processes),
            ("max_wal_senders", control.max_wal_senders.unwrap_or(0)),
            ("max_prepared_transactions", control.max_prepared_xacts),
            ("max_locks_per_transaction", control.max_locks_per_xact),
        ]);
        limits
    }

    /// Takes in what the log says: a later change may demand more.
    pub fn raise(&mut self, values: impl IntoIterator<Item = (impl Into<String>, u32)>) {
        for (name, value) in values {
            let known = self.0.entry(name.into()).or_default();
            *known = value.max(*known);
        }
    }
}

impl Closed {
    /// How a server of `version` is started in the closed state, fetching WAL by `restore_command`.
    pub fn options(
        &self,
        version: PgVersion,
        restore_command: &str,
        limits: &Limits,
        log: &Path,
        superuser: &str,
    ) -> StartOptions {
        let mut options = StartOptions::private(&self.sockets, self.port, log, superuser);
        options.config_file.clone_from(&self.config_file);
        let mut set = |name: &str, value: String| options.settings.push((name.to_owned(), value));
        set("hba_file", self.hba_file.display().to_string());
        set("external_pid_file", self.hba_file.with_extension("pid").display().to_string());
        set("unix_socket_permissions", "0700".to_owned());
        set("restore_command", restore_command.to_owned());
        set("hot_standby", "on".to_owned());
        // Subscriptions would take production's replication slots.
        set("max_logical_replication_workers", "0".to_owned());
        // archive_mode stays as it is: with an empty command the segments and the new history are held.
        for silent in [
            "archive_command",
            "archive_cleanup_command",
            "recovery_end_command",
            "primary_conninfo",
            "primary_slot_name",
            "synchronous_standby_names",
        ] {
            set(silent, String::new());
        }
        if version.at_least(15) {
            set("archive_library", String::new());
        }
        for (name, value) in limits.0.iter().filter(|(_, value)| **value > 0) {
            set(name, value.to_string());
        }
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_can_reach_in_and_nothing_reaches_out() {
        let closed = Closed { sockets: "/s".into(), port: 5432, hba_file: "/h".into(), config_file: None };
        let mut limits = Limits::default();
        limits.raise([("max_connections", 100), ("max_wal_senders", 10)]);
        limits.raise([("max_connections", 50), ("max_wal_senders", 20), ("max_worker_processes", 0)]);
        let options = closed.options("15".parse().unwrap(), "get %f", &limits, Path::new("/log"), "postgres");
        let value = |name: &str| options.settings.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        for empty in [
            "archive_command",
            "archive_library",
            "recovery_end_command",
            "primary_conninfo",
            "synchronous_standby_names",
        ] {
            assert_eq!(value(empty), Some(""), "{empty}");
        }
        assert_eq!((value("max_connections"), value("max_wal_senders")), (Some("100"), Some("20")));
        assert_eq!(value("max_worker_processes"), None);
        assert_eq!((options.listen_addresses.as_str(), value("archive_mode")), ("", None));
    }
}

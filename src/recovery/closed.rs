//! The closed state: a server that nobody but the recovery can reach, and that reaches out to nobody.
//!
//! Every setting stands on the command line, so that nothing inherited counts and nothing needs to be cleaned up:
//! the closed state ends with the process.

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
}

impl Closed {
    /// The settings for the command line of a server on `data_dir`, fetching WAL by `restore_command`.
    pub fn settings(&self, data_dir: &Path, restore_command: &str) -> Vec<(String, String)> {
        let path = |path: &Path| path.display().to_string();
        let mut all = vec![
            ("data_directory", path(data_dir)),
            ("hba_file", path(&self.hba_file)),
            ("listen_addresses", String::new()),
            ("unix_socket_directories", path(&self.sockets)),
            ("unix_socket_permissions", "0700".to_owned()),
            ("port", self.port.to_string()),
            ("restore_command", restore_command.to_owned()),
            ("logging_collector", "off".to_owned()),
            ("log_destination", "stderr".to_owned()),
            ("hot_standby", "on".to_owned()),
            // Subscriptions would take production's replication slots.
            ("max_logical_replication_workers", "0".to_owned()),
        ];
        // archive_mode stays as it is: with an empty command the segments and the new history are held.
        for silent in [
            "external_pid_file",
            "archive_command",
            "archive_cleanup_command",
            "recovery_end_command",
            "primary_conninfo",
            "primary_slot_name",
            "synchronous_standby_names",
        ] {
            all.push((silent, String::new()));
        }
        all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_can_reach_in_and_nothing_reaches_out() {
        let closed = Closed { sockets: "/s".into(), port: 5432, hba_file: "/h".into() };
        let settings = closed.settings(Path::new("/new"), "get %f");
        let value = |name: &str| settings.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        for empty in ["listen_addresses", "archive_command", "recovery_end_command", "primary_conninfo"] {
            assert_eq!(value(empty), Some(""), "{empty}");
        }
        assert_eq!((value("data_directory"), value("archive_mode")), (Some("/new"), None));
    }
}

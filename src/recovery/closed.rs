//! The closed state: a server that nobody but the recovery can reach, and that reaches out to nobody.
//!
//! Every setting stands on the command line, so that nothing inherited counts and nothing needs to be cleaned up:
//! the closed state ends with the process.

use crate::cluster::server::StartOptions;
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
    /// How a server is started in the closed state, fetching WAL by `restore_command`.
    pub fn options(&self, restore_command: &str, log: &Path, superuser: &str) -> StartOptions {
        let mut options = StartOptions::private(&self.sockets, self.port, log, superuser);
        let mut set = |name: &str, value: String| options.settings.push((name.to_owned(), value));
        set("hba_file", self.hba_file.display().to_string());
        set("unix_socket_permissions", "0700".to_owned());
        set("restore_command", restore_command.to_owned());
        set("hot_standby", "on".to_owned());
        // Subscriptions would take production's replication slots.
        set("max_logical_replication_workers", "0".to_owned());
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
            set(silent, String::new());
        }
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_can_reach_in_and_nothing_reaches_out() {
        let closed = Closed { sockets: "/s".into(), port: 5432, hba_file: "/h".into() };
        let options = closed.options("get %f", Path::new("/log"), "postgres");
        let value = |name: &str| options.settings.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        for empty in
            ["archive_command", "recovery_end_command", "primary_conninfo", "synchronous_standby_names"]
        {
            assert_eq!(value(empty), Some(""), "{empty}");
        }
        assert_eq!((options.listen_addresses.as_str(), value("archive_mode")), ("", None));
    }
}

//! What a server's last words mean for a recovery, and what to do next.
//!
//! The texts looked for are PostgreSQL's own English ones; servers started by this program speak English.

use crate::base::Kind;

/// One known reason for a server to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explanation {
    /// What to look for in the message or its detail.
    needle: &'static str,
    /// The class of the failure.
    pub kind: Kind,
    /// What it means.
    pub meaning: &'static str,
    /// What to do next.
    pub advice: &'static str,
}

const fn row(needle: &'static str, kind: Kind, meaning: &'static str, advice: &'static str) -> Explanation {
    Explanation { needle, kind, meaning, advice }
}

/// The first match counts: special ones stand before general ones.
const KNOWN: &[Explanation] = &[
    row(
        "recovery ended before configured recovery target was reached",
        Kind::TargetUnreachable,
        "the archive ended before the target: the time is later than the last commit, or the name or transaction does not exist",
        "ask for a plan of the same target: it names the nearest targets that can be reached",
    ),
    row(
        "requested recovery stop point is before consistent recovery point",
        Kind::TargetUnreachable,
        "the target lies before the end of the backup",
        "restore an older backup set, or choose a later target",
    ),
    row(
        "is not a child of this server's history",
        Kind::TargetUnreachable,
        "the target timeline forked off before this backup was taken",
        "restore a backup set from before the fork, or give the timeline the backup is on",
    ),
    row(
        "is not in this server's history",
        Kind::TargetUnreachable,
        "the WAL needed belongs to a timeline that does not lead to the target",
        "restore a backup set from before the fork, or give another target timeline",
    ),
    row(
        "does not contain minimum recovery point",
        Kind::TargetUnreachable,
        "the target timeline forked off before the point this data directory has already replayed to",
        "restore again from a backup set before the fork",
    ),
    row(
        "recovery target timeline",
        Kind::TargetUnreachable,
        "the history file of the target timeline is not in the archive",
        "give a timeline whose .history file is archived, or 'current'",
    ),
    row(
        "multiple recovery targets specified",
        Kind::Usage,
        "postgresql.auto.conf or postgresql.conf sets two recovery targets",
        "remove the target that is not wanted from the configuration",
    ),
    row(
        "wal_level=minimal",
        Kind::TargetUnreachable,
        "the cluster wrote WAL with wal_level=minimal, which cannot be replayed past",
        "choose a target before that, or a backup set taken after it",
    ),
    row(
        "WAL ends before end of online backup",
        Kind::Damaged,
        "the archive lacks WAL the backup needs to become consistent",
        "verify the repository; restore another backup set",
    ),
    row(
        "WAL ends before consistent recovery point",
        Kind::Damaged,
        "the archive lacks WAL this data directory needs to become consistent",
        "verify the repository; restore another backup set",
    ),
    row(
        "could not restore file",
        Kind::Damaged,
        "restore_command failed in a way that must not be taken for the end of the archive",
        "read the lines of restore_command just before it in the log: they name the WAL file and the reason",
    ),
    row(
        "checkpoint record",
        Kind::Damaged,
        "the WAL the recovery starts from is not there or not readable",
        "check that backup_label is in the data directory and that restore_command works for its user",
    ),
    row(
        "could not find redo location",
        Kind::Damaged,
        "the WAL the recovery starts from is not there or not readable",
        "check that restore_command works for the user of the server; do not remove backup_label",
    ),
    row("invalid data in file \"backup_label\"", Kind::Damaged, "backup_label is damaged", "restore again"),
    row(
        "backup_label contains data inconsistent with control file",
        Kind::Damaged,
        "backup_label and pg_control come from different backups",
        "restore again into an empty directory",
    ),
    row(
        "insufficient parameter settings",
        Kind::Failed,
        "a limit of this server is lower than on the cluster that wrote the WAL",
        "start with max_connections, max_worker_processes, max_wal_senders, max_prepared_transactions and max_locks_per_transaction as pg_control shows them",
    ),
    row(
        "must specify restore_command",
        Kind::Usage,
        "recovery was asked for without a restore_command",
        "restore with a recovery type, or set restore_command",
    ),
    row(
        "incorrect checksum in control file",
        Kind::Damaged,
        "pg_control is damaged",
        "restore again; do not use pg_resetwal",
    ),
    row(
        "database files are incompatible with server",
        Kind::Failed,
        "the data directory belongs to another PostgreSQL version or build",
        "start it with the version its PG_VERSION file names",
    ),
    row(
        "lock file \"postmaster.pid\" already exists",
        Kind::Failed,
        "another server runs, or seems to run, in this data directory",
        "check who it is before anything else; do not remove postmaster.pid under a running server",
    ),
    row(
        "pre-existing shared memory block",
        Kind::Failed,
        "processes of an earlier server still use this data directory",
        "end the old server's remaining processes first",
    ),
    row(
        "Address already in use",
        Kind::Failed,
        "another program uses the port or socket",
        "choose another port, or stop the program that has it",
    ),
    row(
        "could not create lock file",
        Kind::Failed,
        "the socket folder is not writable for the server's user",
        "give a socket folder the server's user may write to",
    ),
    row(
        "could not create any",
        Kind::Failed,
        "the server could not open the port or the socket it was told to",
        "choose another port or socket folder",
    ),
    row(
        "has invalid permissions",
        Kind::Failed,
        "the data directory must not be open to others",
        "set its mode to 0700 or 0750",
    ),
    row(
        "has wrong ownership",
        Kind::Failed,
        "the server must run as the owner of its data directory",
        "start it as that user, or give the directory to the right one",
    ),
    row(
        "execution of the PostgreSQL server is not permitted",
        Kind::Failed,
        "the data directory belongs to root, and PostgreSQL refuses to run as root",
        "give the data directory to an unprivileged user such as postgres",
    ),
    row(
        "No space left on device",
        Kind::Failed,
        "the file system is full",
        "make room (WAL of the recovery counts too) and start again: recovery goes on",
    ),
    row(
        "Cannot allocate memory",
        Kind::Failed,
        "there is not enough memory for shared_buffers and the limits in force",
        "start with a smaller shared_buffers",
    ),
    row(
        "could not access file",
        Kind::Failed,
        "a library in shared_preload_libraries is not installed on this host",
        "install the package, or start without that library until it is",
    ),
    row(
        "could not load server certificate file",
        Kind::Failed,
        "the TLS certificate is missing or not readable for the server's user",
        "copy the certificate, or start with ssl=off",
    ),
    row(
        "private key file",
        Kind::Failed,
        "the TLS key is missing, open to others or not readable for the server's user",
        "fix its owner and mode, or start with ssl=off",
    ),
    row(
        "contains errors",
        Kind::Usage,
        "a configuration file has a line this server does not accept",
        "read the lines before it in the log: they name the file and the line",
    ),
    row(
        "unrecognized configuration parameter",
        Kind::Usage,
        "a setting is not known to this version or needs an extension's library",
        "remove the setting, or install and preload the extension",
    ),
    row(
        "could not access the server configuration file",
        Kind::Failed,
        "the configuration is not in the data directory (Debian keeps it in /etc/postgresql)",
        "name the configuration file, or copy it into the data directory",
    ),
    row(
        "could not load",
        Kind::Failed,
        "a file the server needs at start, such as pg_hba.conf, is missing or wrong",
        "read the lines before it in the log",
    ),
    row(
        "invalid page",
        Kind::Damaged,
        "a data page is damaged",
        "restore another backup set; do not set zero_damaged_pages on the only copy",
    ),
    row(
        "invalid memory alloc request",
        Kind::Damaged,
        "a WAL record is damaged or does not fit the data it is replayed on",
        "verify the repository; restore another backup set",
    ),
];

/// The explanation of a message (with its detail, if it has one), if it is a known one.
pub fn explain(message: &str) -> Option<&'static Explanation> {
    KNOWN.iter().find(|known| message.contains(known.needle))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_can_be_reached_and_says_something() {
        for known in KNOWN {
            assert_eq!(explain(known.needle), Some(known), "{} is hidden by an entry above it", known.needle);
            assert!(known.meaning.len() > 15 && known.advice.len() > 8, "{}", known.needle);
        }
        assert!(explain("all is well").is_none());
    }

    #[test]
    fn real_lines_find_their_meaning() {
        let kind = |text: &str| explain(text).map(|known| known.kind);
        assert_eq!(
            kind("recovery ended before configured recovery target was reached"),
            Some(Kind::TargetUnreachable)
        );
        assert_eq!(
            kind("requested timeline 3 is not a child of this server's history"),
            Some(Kind::TargetUnreachable)
        );
        assert_eq!(kind("recovery target timeline 9 does not exist"), Some(Kind::TargetUnreachable));
        assert_eq!(kind("could not locate required checkpoint record"), Some(Kind::Damaged));
        assert_eq!(
            kind("could not bind IPv4 address \"127.0.0.1\": Address already in use"),
            Some(Kind::Failed)
        );
    }
}

//! The words a runbook may use: variables, automatic checks, operations. Fills, checks and runs nothing itself.

use super::Confirm;

/// Something that is filled in from the facts, or by hand on paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Its name in `${…}`.
    pub name: &'static str,
    /// What it stands for.
    pub what: &'static str,
}

const fn variable(name: &'static str, what: &'static str) -> Variable {
    Variable { name, what }
}

/// Every variable.
pub const VARIABLES: &[Variable] = &[
    variable("app_host", "the address the application connects to"),
    variable("app_port", "the port the application connects to"),
    variable("app_role", "the role the application connects as"),
    variable("cluster", "the name of the Patroni cluster (its scope)"),
    variable("data_dir", "the data directory of the cluster"),
    variable("database", "the database concerned"),
    variable("elapsed", "the time since the trouble was detected"),
    variable("host", "the host of the primary"),
    variable("incident", "the name of the incident"),
    variable("member", "the Patroni member concerned"),
    variable("next_update", "when the next message is due"),
    variable("patroni_config", "Patroni's configuration file on the host concerned"),
    variable("pg_bin", "the folder of PostgreSQL's programs"),
    variable("port", "the port of the primary"),
    variable("quarantine", "where the old data directory was put"),
    variable("reason", "why the incident was declared"),
    variable("replica", "the host of the replica concerned"),
    variable("replica_data_dir", "the data directory of the replica concerned"),
    variable("replica_port", "the port of the replica concerned"),
    variable(
        "replica_server",
        "where the replica's server is reached: its host, or the folder of its socket on this host",
    ),
    variable(
        "server",
        "where the primary's server is reached: its host, or the folder of its socket on this host",
    ),
    variable("service", "the systemd unit of the server"),
    variable("side_dir", "the data directory of the side instance"),
    variable("side_port", "the port of the side instance"),
    variable("side_socket", "the folder of the side instance's socket, which nobody else may enter"),
    variable("snapshot", "the name of the snapshot"),
    variable("stanza", "the stanza"),
    variable("table", "the table concerned, with its schema"),
    variable("target", "the moment, transaction, position or name to recover to"),
    variable("target_type", "what the target is: time, xid, lsn or name"),
];

/// What a program can see of a checklist's item; whoever walks the runbook answers it from the facts, and where they
/// say nothing a person looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    /// Its name in `check = "…"`.
    pub name: &'static str,
    /// What is true if it holds.
    pub what: &'static str,
}

const fn check(name: &'static str, what: &'static str) -> Check {
    Check { name, what }
}

/// Every automatic check.
pub const CHECKS: &[Check] = &[
    check("accepts-connections", "the server answers a query on its own address"),
    check(
        "application-writes",
        "the application's role writes and commits through the application's address",
    ),
    check("archiving-works", "the last segment is archived and nothing waits in archive_status"),
    check("backup-fresh", "the last good backup is not older than it may be"),
    check("disk-space", "there is room for the data beside the old directory"),
    check("incident-hold", "an incident holds the stanza: nothing is expired"),
    check("no-stop-file", "no stop file keeps backups and archiving away"),
    check("replicas-on-timeline", "every replica streams on the new timeline"),
    check("repository-readable", "the repository opens with the configured passphrase"),
    check("roles-named", "somebody is named who leads, and somebody who types"),
    check("settings-clean", "no recovery setting is left in postgresql.auto.conf"),
    check("wal-continuous", "no segment is missing between the last good backup and now"),
];

/// A command of this program that an act may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// Its name in `operation = "…"`.
    pub name: &'static str,
    /// The words it is called with, behind `pgmayday`.
    pub words: &'static [&'static str],
    /// The least confirmation it may have.
    pub least: Confirm,
}

const fn operation(name: &'static str, words: &'static [&'static str], least: Confirm) -> Operation {
    Operation { name, words, least }
}

/// Every operation.
pub const OPERATIONS: &[Operation] = &[
    operation("backup", &["backup"], Confirm::Key),
    operation("board", &["board"], Confirm::None),
    operation("check", &["check"], Confirm::None),
    operation("incident-close", &["incident", "close"], Confirm::Key),
    operation("incident-declare", &["incident", "declare"], Confirm::Key),
    operation("incident-report", &["incident", "report"], Confirm::None),
    operation("info", &["info"], Confirm::None),
    operation("recover", &["recover"], Confirm::Typed),
    operation("recover-plan", &["recover", "--dry-run"], Confirm::None),
    operation("restore", &["restore"], Confirm::Typed),
    operation("restore-plan", &["restore", "--dry-run"], Confirm::None),
    operation("snapshot", &["snapshot"], Confirm::Key),
    operation("verify", &["verify"], Confirm::None),
    operation("wal-gaps", &["wal", "gaps"], Confirm::None),
    operation("wal-ranges", &["wal", "ranges"], Confirm::None),
];

/// The operation of this name.
pub fn operation_of(name: &str) -> Option<&'static Operation> {
    OPERATIONS.iter().find(|operation| operation.name == name)
}

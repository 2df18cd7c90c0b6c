//! Options that only the command line and the environment may carry.
//!
//! A table, nothing else; names, ranges and defaults are pgBackRest 2.60's.

use super::commands::{ALL, BACKUP_TYPE, EXPIRE, REPO_GET, REPO_LS, RESTORE, RESTORE_TYPE, STANZA_NEEDED};
use super::define::Kind::{Choice, Flag, Path, Text};
use super::define::{Need, OptionDef, line};

/// The rows of this table.
pub(super) const OPTIONS: &[OptionDef] = &[
    line("archive-expire-before", Text, "", EXPIRE, "also expire WAL that is older than this segment"),
    line(
        "config",
        Text,
        "/etc/pgbackrest/pgbackrest.conf",
        ALL,
        "configuration file; --no-config reads none",
    )
    .negatable(),
    line(
        "config-include-path",
        Path,
        "/etc/pgbackrest/conf.d",
        ALL,
        "folder whose *.conf files are read after the configuration file",
    ),
    line("config-path", Path, "/etc/pgbackrest", ALL, "folder of pgbackrest.conf and conf.d"),
    line(
        "detail-level",
        Choice(&["full", "progress"]),
        "full",
        &["info"],
        "how much is told: everything, or only the state and progress",
    ),
    line("dry-run", Flag, "n", &["expire", "restore"], "show what would be done and change nothing"),
    line(
        "force",
        Flag,
        "n",
        &["backup", "restore", "stanza-create", "stanza-delete", "stop"],
        "go on where the command would refuse",
    )
    .needs(&[Need::on("online", &["n"]).only(&["backup"])]),
    line("oldest", Flag, "n", EXPIRE, "expire the oldest backup")
        .needs(&[Need::on("stanza", &[]).only(&["expire"])]),
    line(
        "online",
        Flag,
        "y",
        &["backup", "stanza-create", "stanza-upgrade"],
        "back up a running cluster; --no-online for a stopped one",
    )
    .negatable(),
    line("output", Choice(&["text", "json"]), "text", ALL, "form of the output")
        .kinds(&[
            ("verify", Choice(&["none", "text", "json"])),
            ("version", Choice(&["text", "num", "json"])),
        ])
        .defaults(&[("verify", "none")]),
    line("set", Text, "", &["annotate", "expire", "info", "restore", "verify"], "label of the backup set")
        .defaults(&[("restore", "latest")])
        .needs(&[Need::on("stanza", &[]).only(&["info"])])
        .required_by(&["annotate"]),
    line("stanza", Text, "", ALL, "name of the stanza: the cluster this is about").required_by(STANZA_NEEDED),
    line("target", Text, "", RESTORE, "recovery target: a time, LSN, transaction id or restore point name")
        .needs(&[Need::on("type", &["lsn", "name", "time", "xid"])])
        .required(),
    line(
        "target-action",
        Choice(&["pause", "promote", "shutdown"]),
        "pause",
        RESTORE,
        "what the server does when the target is reached",
    )
    .needs(&[Need::on("type", &["immediate", "lsn", "name", "time", "xid"])]),
    line("target-exclusive", Flag, "n", RESTORE, "stop just before the target instead of just after it")
        .needs(&[Need::on("type", &["lsn", "time", "xid"])]),
    line("target-timeline", Text, "", RESTORE, "timeline to recover along: a number, current or latest")
        .needs(&[Need::on("type", &["default", "lsn", "name", "standby", "time", "xid"])]),
    line("type", Text, "", &["backup", "info", "restore"], "kind of backup, or of recovery target")
        .kinds(&[("backup", BACKUP_TYPE), ("info", BACKUP_TYPE), ("restore", RESTORE_TYPE)])
        .defaults(&[("backup", "incr"), ("restore", "default")]),
    line("verbose", Flag, "n", &["verify"], "tell about everything, not only about errors"),
    line("filter", Text, "", REPO_LS, "list only names that match this regular expression"),
    line("ignore-missing", Flag, "n", REPO_GET, "a missing file is not an error"),
    line("raw", Flag, "n", REPO_GET, "hand out the bytes as they are stored"),
    line("recurse", Flag, "n", REPO_LS, "list folders below too"),
    line("sort", Choice(&["none", "asc", "desc"]), "asc", REPO_LS, "order of the listing"),
];

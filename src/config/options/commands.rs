//! Names for what the option tables share: sets of commands, kinds, sizes.

use super::define::{Commands, Kind};

/// Option is valid for every command.
pub(super) const ALL: Commands = &[];
pub(super) const ARCHIVE: Commands = &["archive-get", "archive-push"];
pub(super) const ARCHIVERS: Commands = &["archive-push", "backup", "check"];
pub(super) const BACKUP: Commands = &["backup"];
pub(super) const EXPIRE: Commands = &["expire"];
pub(super) const GET: Commands = &["archive-get"];
pub(super) const PUSH: Commands = &["archive-push"];
pub(super) const READERS: Commands = &["archive-get", "info", "repo-get", "repo-ls", "restore", "verify"];
pub(super) const REPO_GET: Commands = &["repo-get"];
pub(super) const REPO_LS: Commands = &["repo-ls"];
pub(super) const RESTORE: Commands = &["restore"];
pub(super) const RETENTION: Commands = &["backup", "expire"];
pub(super) const SERVER: Commands = &["server"];
pub(super) const WORKERS: Commands = &["archive-get", "archive-push", "backup", "restore", "verify"];
pub(super) const WRITERS: Commands = &["archive-push", "backup"];
pub(super) const SQL_USERS: Commands =
    &["backup", "check", "stanza-create", "stanza-delete", "stanza-upgrade"];
pub(super) const PG_HOST_USERS: Commands =
    &["archive-get", "archive-push", "backup", "check", "stanza-create", "stanza-delete", "stanza-upgrade"];
pub(super) const PG_USERS: Commands = &[
    "archive-get",
    "archive-push",
    "backup",
    "check",
    "restore",
    "stanza-create",
    "stanza-delete",
    "stanza-upgrade",
];
/// As `SQL_USERS`, and `restore`, whose guards and recovery supervision also connect to the server.
pub(super) const PG_USERS_SQL: Commands =
    &["backup", "check", "restore", "stanza-create", "stanza-delete", "stanza-upgrade"];
pub(super) const REPO_USERS: Commands = &[
    "annotate",
    "archive-get",
    "archive-push",
    "backup",
    "check",
    "expire",
    "info",
    "repo-get",
    "repo-ls",
    "restore",
    "stanza-create",
    "stanza-delete",
    "stanza-upgrade",
    "verify",
];
pub(super) const STANZA_NEEDED: Commands = &[
    "annotate",
    "archive-get",
    "archive-push",
    "backup",
    "expire",
    "restore",
    "stanza-create",
    "stanza-delete",
    "stanza-upgrade",
    "verify",
];
pub(super) const BACKUP_TYPE: Kind = Kind::Choice(&["full", "diff", "incr"]);
pub(super) const RESTORE_TYPE: Kind =
    Kind::Choice(&["default", "immediate", "time", "name", "lsn", "xid", "standby", "preserve", "none"]);

pub(super) const KIB: u64 = 1 << 10;
pub(super) const MIB: u64 = 1 << 20;
pub(super) const GIB: u64 = 1 << 30;
pub(super) const TIB: u64 = 1 << 40;
pub(super) const PIB: u64 = 1 << 50;

//! Options of a PostgreSQL cluster, `pgN-…`.
//!
//! A table, nothing else; names, ranges and defaults are pgBackRest 2.60's.

use super::commands::{PG_HOST_USERS, PG_USERS, PG_USERS_SQL, SQL_USERS};
use super::define::Kind::{Choice, Integer, Path, Text, Time};
use super::define::{Need, OptionDef, global, stanza};

/// The rows of this table.
pub(super) const OPTIONS: &[OptionDef] = &[
    stanza("pg-path", Path, "", PG_USERS, "PostgreSQL data directory")
        .needs(&[Need::on("stanza", &[]).only(&["check"])])
        .pg()
        .required_by(&[
            "archive-get",
            "backup",
            "check",
            "restore",
            "stanza-create",
            "stanza-delete",
            "stanza-upgrade",
        ])
        .old(&["db-path", "db?-path"]),
    stanza("pg-host", Text, "", PG_USERS, "host of PostgreSQL, if it is not this one")
        .pg()
        .old(&["db-host", "db?-host"]),
    global("pg-host-type", Choice(&["ssh", "tls"]), "ssh", PG_HOST_USERS, "protocol to the PostgreSQL host")
        .needs(&[Need::on("pg-host", &[])])
        .pg(),
    global("pg-host-cert-file", Text, "", PG_HOST_USERS, "certificate shown to the PostgreSQL host")
        .needs(&[Need::on("pg-host-type", &["tls"])])
        .pg()
        .required(),
    global("pg-host-key-file", Text, "", PG_HOST_USERS, "private key for the PostgreSQL host")
        .needs(&[Need::on("pg-host-type", &["tls"])])
        .pg()
        .required(),
    global("pg-host-ca-file", Text, "", PG_HOST_USERS, "certificate authority of the PostgreSQL host")
        .needs(&[Need::on("pg-host-type", &["tls"])])
        .pg(),
    global(
        "pg-host-ca-path",
        Text,
        "",
        PG_HOST_USERS,
        "folder of certificate authorities of the PostgreSQL host",
    )
    .needs(&[Need::on("pg-host-type", &["tls"])])
    .pg(),
    stanza("pg-host-cmd", Text, "pgbackrest", PG_HOST_USERS, "command on the PostgreSQL host")
        .needs(&[Need::on("pg-host-type", &["ssh"])])
        .pg()
        .old(&["db-cmd", "db?-cmd"]),
    stanza(
        "pg-host-config",
        Path,
        "/etc/pgbackrest/pgbackrest.conf",
        PG_HOST_USERS,
        "configuration file on the PostgreSQL host",
    )
    .needs(&[Need::on("pg-host", &[])])
    .pg()
    .old(&["db-config", "db?-config"]),
    stanza(
        "pg-host-config-include-path",
        Path,
        "/etc/pgbackrest/conf.d",
        PG_HOST_USERS,
        "include folder on the PostgreSQL host",
    )
    .needs(&[Need::on("pg-host", &[])])
    .pg(),
    stanza(
        "pg-host-config-path",
        Path,
        "/etc/pgbackrest",
        PG_HOST_USERS,
        "configuration folder on the PostgreSQL host",
    )
    .needs(&[Need::on("pg-host", &[])])
    .pg(),
    stanza("pg-host-port", Integer(0, 65_535), "", PG_HOST_USERS, "port on the PostgreSQL host")
        .needs(&[Need::on("pg-host-type", &["ssh", "tls"])])
        .pg()
        .old(&["db-ssh-port", "db?-ssh-port"]),
    stanza("pg-host-user", Text, "postgres", PG_HOST_USERS, "user on the PostgreSQL host")
        .needs(&[Need::on("pg-host-type", &["ssh"])])
        .pg()
        .old(&["db-user", "db?-user"]),
    stanza("pg-database", Text, "postgres", PG_USERS_SQL, "database to connect to")
        .needs(&[Need::on("pg-path", &[])])
        .pg(),
    stanza("pg-port", Integer(0, 65_535), "5432", PG_USERS_SQL, "port of PostgreSQL")
        .needs(&[Need::on("pg-path", &[])])
        .pg()
        .old(&["db-port", "db?-port"]),
    stanza("pg-socket-path", Text, "", PG_USERS_SQL, "folder of PostgreSQL's Unix socket")
        .needs(&[Need::on("pg-path", &[])])
        .pg()
        .old(&["db-socket-path", "db?-socket-path"]),
    stanza("pg-user", Text, "", PG_USERS_SQL, "PostgreSQL role to connect as")
        .needs(&[Need::on("pg-path", &[])])
        .pg(),
    stanza("pg-version-force", Text, "", PG_USERS, "take this as the version of PostgreSQL"),
    global("db-timeout", Time(100, 604_800_000), "30m", SQL_USERS, "how long a query may take"),
];

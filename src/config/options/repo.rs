//! Options of a repository, `repoN-…`.
//!
//! A table, nothing else; names, ranges and defaults are pgBackRest 2.60's.

use super::commands::{BACKUP, KIB, MIB, PIB, READERS, REPO_USERS, RETENTION};
use super::define::Kind::{Choice, Flag, Integer, Pairs, Path, Size, Text};
use super::define::{Need, OptionDef, global, line};

/// The rows of this table.
pub(super) const OPTIONS: &[OptionDef] = &[
    line("report", Flag, "n", &["check"], "write a report of the configuration").hidden(),
    line(
        "repo",
        Integer(1, 256),
        "",
        &[
            "annotate",
            "archive-get",
            "backup",
            "expire",
            "info",
            "repo-get",
            "repo-ls",
            "restore",
            "stanza-delete",
            "verify",
        ],
        "number of the repository to use",
    ),
    global(
        "repo-type",
        Choice(&["azure", "cifs", "gcs", "posix", "s3", "sftp"]),
        "posix",
        REPO_USERS,
        "kind of storage of the repository",
    )
    .repo()
    .old(&["repo-type"]),
    global("repo-path", Path, "/var/lib/pgbackrest", REPO_USERS, "folder of the repository in its storage")
        .repo()
        .old(&["repo-path"]),
    global(
        "repo-cipher-type",
        Choice(&["none", "aes-256-cbc"]),
        "none",
        REPO_USERS,
        "encryption of the repository",
    )
    .repo()
    .old(&["repo-cipher-type"]),
    global("repo-cipher-pass", Text, "", REPO_USERS, "passphrase of the repository")
        .needs(&[Need::on("repo-cipher-type", &["aes-256-cbc"])])
        .secret()
        .repo()
        .required()
        .old(&["repo-cipher-pass"]),
    global(
        "repo-hardlink",
        Flag,
        "n",
        BACKUP,
        "make unchanged files hard links, so that each backup looks complete",
    )
    .needs(&[Need::on("repo-bundle", &["n"]).otherwise("n")])
    .repo()
    .old(&["hardlink"]),
    global("repo-symlink", Flag, "y", RETENTION, "keep a link to the latest backup")
        .needs(&[Need::on("repo-type", &["posix"]).otherwise("n")])
        .repo(),
    global(
        "repo-target-time",
        Text,
        "",
        READERS,
        "read the repository as it was at this time, in versioned storage",
    ),
    global(
        "repo-retention-full-type",
        Choice(&["count", "time"]),
        "count",
        RETENTION,
        "keep full backups by count or by days",
    )
    .repo(),
    global(
        "repo-retention-full",
        Integer(1, 9_999_999),
        "",
        RETENTION,
        "how many full backups, or days of them, are kept",
    )
    .repo()
    .old(&["retention-full"]),
    global(
        "repo-retention-diff",
        Integer(1, 9_999_999),
        "",
        RETENTION,
        "how many differential backups are kept",
    )
    .repo()
    .old(&["retention-diff"]),
    global(
        "repo-retention-archive-type",
        Choice(&["full", "diff", "incr"]),
        "full",
        RETENTION,
        "kind of backup that archive retention counts",
    )
    .repo()
    .old(&["retention-archive-type"]),
    global("repo-retention-archive", Integer(1, 9_999_999), "", RETENTION, "backups for which WAL is kept")
        .repo()
        .old(&["retention-archive"]),
    global(
        "repo-retention-history",
        Integer(0, 9_999_999),
        "",
        RETENTION,
        "days for which manifests of expired backups are kept",
    )
    .repo(),
    global("repo-bundle", Flag, "n", BACKUP, "bundle small files").repo(),
    global("repo-bundle-size", Size(MIB, PIB), "20MiB", BACKUP, "size at which a bundle is closed")
        .needs(&[Need::on("repo-bundle", &["y"])])
        .repo(),
    global("repo-bundle-limit", Size(8 * KIB, PIB), "2MiB", BACKUP, "largest file that goes into a bundle")
        .needs(&[Need::on("repo-bundle", &["y"])])
        .repo(),
    global("repo-block", Flag, "n", BACKUP, "back up changed blocks only")
        .needs(&[Need::on("repo-bundle", &["y"]).otherwise("n")])
        .repo(),
    global("repo-block-size-map", Pairs, "", BACKUP, "block size for each file size")
        .needs(&[Need::on("repo-block", &["y"])])
        .hidden()
        .repo(),
    global("repo-block-age-map", Pairs, "", BACKUP, "block size factor for each file age")
        .needs(&[Need::on("repo-block", &["y"])])
        .hidden()
        .repo(),
    global("repo-block-checksum-size-map", Pairs, "", BACKUP, "checksum size for each block size")
        .needs(&[Need::on("repo-block", &["y"])])
        .hidden()
        .repo(),
    global("repo-block-size-super", Size(32 * KIB, 16 * MIB), "256KiB", BACKUP, "size of a super block")
        .needs(&[Need::on("repo-block", &["y"])])
        .hidden()
        .repo(),
    global(
        "repo-block-size-super-full",
        Size(32 * KIB, 16 * MIB),
        "1MiB",
        BACKUP,
        "size of a super block in a full backup",
    )
    .needs(&[Need::on("repo-block", &["y"])])
    .hidden()
    .repo(),
    global("repo-host", Text, "", REPO_USERS, "host of the repository, if it is not this one")
        .repo()
        .old(&["backup-host"]),
    global("repo-host-type", Choice(&["ssh", "tls"]), "ssh", REPO_USERS, "protocol to the repository host")
        .needs(&[Need::on("repo-host", &[])])
        .repo(),
    global("repo-host-cert-file", Text, "", REPO_USERS, "certificate shown to the repository host")
        .needs(&[Need::on("repo-host-type", &["tls"])])
        .repo()
        .required(),
    global("repo-host-key-file", Text, "", REPO_USERS, "private key for the repository host")
        .needs(&[Need::on("repo-host-type", &["tls"])])
        .repo()
        .required(),
    global("repo-host-ca-file", Text, "", REPO_USERS, "certificate authority of the repository host")
        .needs(&[Need::on("repo-host-type", &["tls"])])
        .repo(),
    global(
        "repo-host-ca-path",
        Text,
        "",
        REPO_USERS,
        "folder of certificate authorities of the repository host",
    )
    .needs(&[Need::on("repo-host-type", &["tls"])])
    .repo(),
    global("repo-host-cmd", Text, "pgbackrest", REPO_USERS, "command on the repository host")
        .needs(&[Need::on("repo-host-type", &["ssh"])])
        .repo()
        .old(&["backup-cmd"]),
    global(
        "repo-host-config",
        Text,
        "/etc/pgbackrest/pgbackrest.conf",
        REPO_USERS,
        "configuration file on the repository host",
    )
    .needs(&[Need::on("repo-host", &[])])
    .repo()
    .old(&["backup-config"]),
    global(
        "repo-host-config-include-path",
        Path,
        "/etc/pgbackrest/conf.d",
        REPO_USERS,
        "include folder on the repository host",
    )
    .needs(&[Need::on("repo-host", &[])])
    .repo(),
    global(
        "repo-host-config-path",
        Path,
        "/etc/pgbackrest",
        REPO_USERS,
        "configuration folder on the repository host",
    )
    .needs(&[Need::on("repo-host", &[])])
    .repo(),
    global("repo-host-port", Integer(0, 65_535), "", REPO_USERS, "port on the repository host")
        .needs(&[Need::on("repo-host-type", &["ssh", "tls"])])
        .repo()
        .old(&["backup-ssh-port"]),
    global("repo-host-user", Text, "pgbackrest", REPO_USERS, "user on the repository host")
        .needs(&[Need::on("repo-host-type", &["ssh"])])
        .repo()
        .old(&["backup-user"]),
];

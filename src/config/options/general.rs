//! Options of every command: process, protocol, logging.
//!
//! A table, nothing else; names, ranges and defaults are pgBackRest 2.60's.

use super::commands::{ALL, KIB, MIB, REPO_USERS, SERVER, WORKERS, WRITERS};
use super::define::Kind::{Choice, Flag, Integer, Pairs, Path, SizeOf, Text, Time};
use super::define::{Need, OptionDef, global};

/// The rows of this table.
pub(super) const OPTIONS: &[OptionDef] = &[
    global("allow-root", Flag, "n", ALL, "allow running as root").defaults(&[("restore", "y")]),
    global(
        "archive-timeout",
        Time(100, 86_400_000),
        "1m",
        &["archive-get", "archive-push", "backup", "check"],
        "how long to wait for a WAL segment to be archived",
    ),
    global("beta", Flag, "n", ALL, "enable features that pgBackRest calls beta").hidden(),
    global(
        "buffer-size",
        SizeOf(&[
            16 * KIB,
            32 * KIB,
            64 * KIB,
            128 * KIB,
            256 * KIB,
            512 * KIB,
            MIB,
            2 * MIB,
            4 * MIB,
            8 * MIB,
            16 * MIB,
        ]),
        "1MiB",
        ALL,
        "size of the buffers for reading and writing",
    ),
    global("cmd", Text, "pgbackrest", WORKERS, "command that runs pgBackRest"),
    global("cmd-ssh", Text, "ssh", REPO_USERS, "command that runs the SSH client"),
    global("compress", Flag, "y", WRITERS, "compress with gzip; use compress-type instead"),
    global(
        "compress-level",
        Integer(-7, 22),
        "",
        WRITERS,
        "compression level; its range depends on compress-type",
    )
    .needs(&[Need::on("compress-type", &["bz2", "gz", "lz4", "zst"]).otherwise("0")]),
    global("compress-level-network", Integer(-5, 12), "1", REPO_USERS, "compression level between hosts"),
    global(
        "compress-type",
        Choice(&["none", "bz2", "gz", "lz4", "zst"]),
        "gz",
        WRITERS,
        "compression of new files in the repository",
    ),
    global("delta", Flag, "n", &["backup", "restore"], "compare checksums and copy only what differs"),
    global("io-timeout", Time(100, 3_600_000), "1m", ALL, "how long one read or write may take"),
    global("job-retry", Integer(0, 360), "2", WORKERS, "how often a failed file is tried again")
        .defaults(&[("archive-get", "1"), ("archive-push", "1")])
        .hidden(),
    global("job-retry-interval", Time(0, 900_000), "15s", WORKERS, "how long to wait before another try")
        .hidden(),
    // pgBackRest's check takes no lock-path; ours tells of stop files, which lie there.
    global(
        "lock-path",
        Path,
        "/tmp/pgbackrest",
        &[
            "annotate",
            "archive-get",
            "archive-push",
            "backup",
            "check",
            "expire",
            "info",
            "restore",
            "stanza-create",
            "stanza-delete",
            "stanza-upgrade",
            "start",
            "stop",
        ],
        "folder of the lock files",
    ),
    global(
        "neutral-umask",
        Flag,
        "y",
        ALL,
        "create files with the modes of the repository, whatever the umask",
    ),
    global("priority", Integer(-20, 19), "", ALL, "process priority, from -20 to 19"),
    global("process-max", Integer(1, 999), "1", WORKERS, "how many files are handled at the same time"),
    global(
        "protocol-timeout",
        Time(100, 604_800_000),
        "31m",
        ALL,
        "how long another process may stay silent",
    ),
    // pgBackRest's archive-get takes a spool-path only with archive-async; ours fetches ahead without being told.
    global(
        "spool-path",
        Path,
        "/var/spool/pgbackrest",
        &["archive-get", "archive-push", "restore"],
        "folder where WAL waits for asynchronous archiving",
    )
    .needs(&[Need::on("archive-async", &["y"]).only(&["archive-push"])]),
    global("sck-block", Flag, "n", ALL, "use blocking sockets").hidden(),
    global("sck-keep-alive", Flag, "y", ALL, "keep idle connections alive"),
    global("tcp-keep-alive-count", Integer(1, 32), "", ALL, "lost probes before a connection is given up")
        .needs(&[Need::on("sck-keep-alive", &["y"])]),
    global("tcp-keep-alive-idle", Integer(1, 3600), "", ALL, "idle seconds before the first probe")
        .needs(&[Need::on("sck-keep-alive", &["y"])]),
    global("tcp-keep-alive-interval", Integer(1, 900), "", ALL, "seconds between probes")
        .needs(&[Need::on("sck-keep-alive", &["y"])]),
    global("tls-cipher-12", Text, "", ALL, "ciphers offered with TLS 1.2"),
    global("tls-cipher-13", Text, "", ALL, "ciphers offered with TLS 1.3"),
    global(
        "log-level-console",
        Choice(&["off", "error", "warn", "info", "detail", "debug", "trace"]),
        "warn",
        ALL,
        "what is told on the terminal",
    ),
    global(
        "log-level-file",
        Choice(&["off", "error", "warn", "info", "detail", "debug", "trace"]),
        "info",
        ALL,
        "what is written to log files",
    ),
    global(
        "log-level-stderr",
        Choice(&["off", "error", "warn", "info", "detail", "debug", "trace"]),
        "off",
        ALL,
        "what is written to standard error",
    ),
    global("log-path", Path, "/var/log/pgbackrest", ALL, "folder of the log files"),
    global("log-subprocess", Flag, "n", REPO_USERS, "log what subprocesses do"),
    global("log-timestamp", Flag, "y", ALL, "put the time before each log line"),
    global("tls-server-ca-file", Path, "", SERVER, "certificate authority of the server's clients")
        .required(),
    global("tls-server-cert-file", Path, "", SERVER, "certificate of the server").required(),
    global("tls-server-key-file", Path, "", SERVER, "private key of the server").required(),
    global("tls-server-auth", Pairs, "", SERVER, "stanzas a client may use, as client=stanzas").required(),
    global("tls-server-address", Text, "localhost", SERVER, "address the server listens on"),
    global("tls-server-port", Integer(1, 65_535), "8432", SERVER, "port the server listens on"),
];

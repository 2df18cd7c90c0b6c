//! Options of archiving and fetching WAL.
//!
//! A table, nothing else; names, ranges and defaults are pgBackRest 2.60's.

use super::commands::{ARCHIVE, ARCHIVERS, BACKUP, GET, MIB, PIB, PUSH};
use super::define::Kind::{Flag, Size};
use super::define::{Need, OptionDef, global};

/// The rows of this table.
pub(super) const OPTIONS: &[OptionDef] = &[
    global("archive-async", Flag, "n", ARCHIVE, "archive and fetch WAL asynchronously"),
    global("archive-get-queue-max", Size(0, 4 * PIB), "128MiB", GET, "how much WAL is fetched ahead"),
    global(
        "archive-header-check",
        Flag,
        "y",
        PUSH,
        "check the header of each WAL segment before archiving it",
    ),
    global(
        "archive-missing-retry",
        Flag,
        "y",
        GET,
        "ask again for a WAL segment that was missing in the queue",
    ),
    global(
        "archive-push-batch-size",
        Size(MIB, 4 * PIB),
        "16GiB",
        PUSH,
        "how much WAL one asynchronous run pushes",
    ),
    global(
        "archive-push-queue-max",
        Size(0, 4 * PIB),
        "",
        PUSH,
        "drop WAL when more than this waits to be archived",
    )
    .old(&["archive-queue-max"]),
    global("archive-check", Flag, "y", ARCHIVERS, "check that the WAL of the backup arrives in the archive")
        .needs(&[Need::on("online", &["y"]).only(&["backup"]).otherwise("n")]),
    global("archive-copy", Flag, "n", BACKUP, "copy the WAL of the backup into the backup")
        .needs(&[Need::on("archive-check", &["y"]).only(&["backup"]).otherwise("n")]),
    global("archive-mode-check", Flag, "y", ARCHIVERS, "check PostgreSQL's archive_mode").needs(&[Need::on(
        "archive-check",
        &["y"],
    )
    .otherwise("n")]),
];

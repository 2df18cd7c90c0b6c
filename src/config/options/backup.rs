//! Options of backing up.
//!
//! A table, nothing else; names, ranges and defaults are pgBackRest 2.60's.

use super::commands::{BACKUP, TIB};
use super::define::Kind::{Flag, FlagOr, List, Pairs, Size};
use super::define::{OptionDef, global};

/// The rows of this table.
pub(super) const OPTIONS: &[OptionDef] = &[
    global("annotation", Pairs, "", &["annotate", "backup"], "a note as key=value, kept with the backup")
        .required_by(&["annotate"]),
    global("backup-standby", FlagOr(&["n", "prefer", "y"]), "n", &["backup", "check"], "copy from a standby"),
    global("checksum-page", Flag, "", BACKUP, "validate page checksums while copying"),
    global("page-header-check", Flag, "y", BACKUP, "validate page headers while copying"),
    global("exclude", List, "", BACKUP, "path below the data directory that is left out"),
    global("expire-auto", Flag, "y", BACKUP, "expire after a successful backup"),
    global(
        "manifest-save-threshold",
        Size(1, TIB),
        "1GiB",
        BACKUP,
        "save the manifest each time this much was copied",
    ),
    global("resume", Flag, "y", BACKUP, "continue a backup that was interrupted"),
    global("start-fast", Flag, "n", BACKUP, "start with an immediate checkpoint"),
    global("stop-auto", Flag, "n", BACKUP, "stop a backup that a lost process left open").hidden(),
];

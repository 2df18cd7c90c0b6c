//! Options of restoring that files may carry.
//!
//! A table, nothing else; names, ranges and defaults are pgBackRest 2.60's.

use super::commands::RESTORE;
use super::define::Kind::{Choice, Flag, List, Pairs, Text};
use super::define::{Need, OptionDef, global};

/// The rows of this table.
pub(super) const OPTIONS: &[OptionDef] = &[
    global(
        "archive-mode",
        Choice(&["preserve", "off"]),
        "preserve",
        RESTORE,
        "keep archiving as it was, or switch it off in the restored cluster",
    ),
    global("db-exclude", List, "", RESTORE, "restore all databases but this one"),
    global("db-include", List, "", RESTORE, "restore only this database"),
    global("link-all", Flag, "n", RESTORE, "restore all symbolic links as links"),
    global("link-map", Pairs, "", RESTORE, "restore a link to another place, as link=destination"),
    global("tablespace-map", Pairs, "", RESTORE, "restore a tablespace to another place, as name=folder"),
    global("tablespace-map-all", Text, "", RESTORE, "restore all tablespaces below this folder"),
    global("recovery-option", Pairs, "", RESTORE, "a recovery setting as name=value")
        .needs(&[Need::on("type", &["default", "immediate", "lsn", "name", "time", "standby", "xid"])]),
];

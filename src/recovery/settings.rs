//! What a recovery wrote into `postgresql.auto.conf`, and proving that it is gone again.
//!
//! A replica cloned later would inherit a target and promote itself at it.

/// Every setting a restore may have written.
pub const RECOVERY_SETTINGS: [&str; 12] = [
    "restore_command",
    "recovery_target",
    "recovery_target_action",
    "recovery_target_inclusive",
    "recovery_target_lsn",
    "recovery_target_name",
    "recovery_target_time",
    "recovery_target_timeline",
    "recovery_target_xid",
    "recovery_end_command",
    "archive_cleanup_command",
    "archive_mode",
];

/// Finds what is still in `postgresql.auto.conf`, by the server's own reading of the file.
///
/// One row per setting: its name, and the error the server has with that line, if any.
pub fn left_query() -> String {
    let names: Vec<String> = RECOVERY_SETTINGS.iter().map(|name| format!("'{name}'")).collect();
    format!(
        "SELECT name, coalesce(error, '') FROM pg_file_settings
           WHERE sourcefile LIKE '%/postgresql.auto.conf' AND name IN ({}) ORDER BY seqno",
        names.join(", ")
    )
}

/// The statement that takes one setting out of `postgresql.auto.conf`.
pub fn reset_statement(name: &str) -> String {
    format!("ALTER SYSTEM RESET {name}")
}

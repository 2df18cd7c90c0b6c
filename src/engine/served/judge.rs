//! Judging a server: is it the one of this cluster, and will its WAL arrive where a backup needs it?
//!
//! Compares what was asked before; asks nothing and changes nothing. Each sentence says what to do next.

use super::archive_command::{self, Archives, WORD, who_archives};
use super::{ArchiveMode, Served};
use crate::base::Kind;
use crate::cluster::control::{ControlFile, WalLevel};
use crate::engine::findings::Findings;
use std::path::Path;

/// What is wanted of a server besides serving the cluster.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The stanza its WAL goes to.
    pub stanza: &'a str,
    /// Its WAL must arrive in the archive (`archive-check`).
    pub archive_check: bool,
    /// `archive_mode=always` is refused (`archive-mode-check`).
    pub archive_mode_check: bool,
    /// A backup is taken from a standby.
    pub from_standby: bool,
    /// This program, to recognise it in `archive_command`.
    pub program: &'a Path,
    /// An `archive_command` that would do, for the advice.
    pub suggestion: Option<&'a str>,
}

/// Judges a server that is to serve the cluster in `data_dir`, whose control file is `control`. What concerns archiving is
/// not asked of a server in recovery: it archives nothing, or the primary's judge says so.
pub fn judge(served: &Served, control: &ControlFile, data_dir: &Path, wanted: &Wanted<'_>) -> Findings {
    let mut found = judge_cluster(served, control, data_dir);
    if served.wal_level == WalLevel::Minimal {
        found.fail(
            "wal_level",
            Kind::Failed,
            "wal_level is minimal: its WAL is not enough for a recovery",
            Some("set wal_level = replica and restart the server".to_owned()),
        );
    } else {
        found.ok("wal_level", served.wal_level.to_string());
    }
    if wanted.archive_check && !served.in_recovery {
        archiving(served, wanted, &mut found);
    }
    others(served, wanted, &mut found);
    found
}

/// Judges only whether the server serves the cluster in `data_dir`.
pub fn judge_cluster(served: &Served, control: &ControlFile, data_dir: &Path) -> Findings {
    let mut found = Findings::new();
    place(served, data_dir, &mut found);
    if served.version == control.version {
        found.ok("version", format!("PostgreSQL {}", served.version));
    } else {
        found.fail(
            "version",
            Kind::Failed,
            format!(
                "the server is PostgreSQL {}, but pg_control in {} is of {}",
                served.version,
                data_dir.display(),
                control.version
            ),
            Some("check that port and socket lead to the server of this data directory".to_owned()),
        );
    }
    match served.system_id {
        Some(id) if id != control.system_id => found.fail(
            "system identifier",
            Kind::Failed,
            format!(
                "the server serves a cluster with system identifier {id}, but pg_control in {} has {}",
                data_dir.display(),
                control.system_id
            ),
            Some("check that port and socket lead to the server of this data directory".to_owned()),
        ),
        _ => found.ok("system identifier", control.system_id.to_string()),
    }
    found
}

/// The same folder is told by where both paths lead; pgBackRest compares their text.
fn place(served: &Served, data_dir: &Path, found: &mut Findings) {
    const NAME: &str = "data directory";
    let Some(theirs) = &served.data_dir else {
        return found.warn(
            NAME,
            "this role may not see data_directory, so it is not proven which folder the server serves",
            Some("grant pg_read_all_settings to it, or connect as a superuser".to_owned()),
        );
    };
    let both = format!("the server serves {}, pg-path is {}", theirs.display(), data_dir.display());
    if theirs == data_dir {
        return found.ok(NAME, data_dir.display().to_string());
    }
    match (theirs.canonicalize(), data_dir.canonicalize()) {
        (Ok(one), Ok(other)) if one == other => found.warn(
            NAME,
            format!("{both}: the same folder under two names, which pgBackRest takes for two"),
            Some(format!("set pg-path to {}", theirs.display())),
        ),
        (Ok(_), Ok(_)) => found.fail(
            NAME,
            Kind::Failed,
            format!("{both}: two different folders"),
            Some("correct pg-path, or port and socket".to_owned()),
        ),
        (Err(error), _) => found.fail(
            NAME,
            Kind::Failed,
            format!("{both}, and {} cannot be found here: {error}", theirs.display()),
            Some("the server may run in a container or on another host: run this there".to_owned()),
        ),
        (_, Err(error)) => found.fail(
            NAME,
            Kind::Failed,
            format!("{both}, and {} cannot be found: {error}", data_dir.display()),
            Some("correct pg-path".to_owned()),
        ),
    }
}

fn archiving(served: &Served, wanted: &Wanted<'_>, found: &mut Findings) {
    let instead = wanted.suggestion.map_or_else(
        || "archive_command of this program or of pgBackRest".to_owned(),
        |command| format!("archive_command = '{}'", command.replace('\'', "''")),
    );
    match served.archive_mode {
        ArchiveMode::Off => {
            return found.fail(
                "archive_mode",
                Kind::Failed,
                "archive_mode is off: no WAL is archived",
                Some(format!("set archive_mode = on and {instead}; changing archive_mode needs a restart of the server")),
            );
        }
        ArchiveMode::Always if wanted.archive_mode_check => found.fail(
            "archive_mode",
            Kind::Failed,
            "archive_mode is always: a standby would archive the same WAL a second time",
            Some(
                "set archive_mode = on, which needs a restart of the server; or archive-mode-check=n, if you know that only \
                 one of them archives"
                    .to_owned(),
            ),
        ),
        ArchiveMode::Always => found.ok("archive_mode", "always, which archive-mode-check=n allows"),
        ArchiveMode::On => found.ok("archive_mode", "on"),
    }
    if !served.archive_library.is_empty() {
        return found.fail(
            "archive_library",
            Kind::Failed,
            format!("archive_library is '{}': archive_command is not used", served.archive_library),
            Some(format!("reset archive_library, set {instead} and reload the server")),
        );
    }
    command(served, wanted, &instead, found);
}

fn command(served: &Served, wanted: &Wanted<'_>, instead: &str, found: &mut Findings) {
    const NAME: &str = "archive_command";
    let shown = archive_command::shown(&served.archive_command);
    let next = Some(format!("set {instead} and reload the server"));
    let who = who_archives(&served.archive_command, wanted.program);
    let named = match &who {
        Archives::Ours { stanza, .. } | Archives::PgBackRest { stanza } => stanza.as_deref(),
        Archives::Nobody | Archives::Other => None,
    };
    if let Some(other) = named.filter(|name| *name != wanted.stanza) {
        return found.fail(
            NAME,
            Kind::Failed,
            format!(
                "archive_command is '{shown}': it archives to stanza '{other}', not to '{}'",
                wanted.stanza
            ),
            next,
        );
    }
    match who {
        Archives::Nobody => {
            found.fail(NAME, Kind::Failed, "archive_command is empty: WAL piles up in pg_wal", next);
        }
        Archives::Other => found.fail(
            NAME,
            Kind::Failed,
            format!("archive_command is '{shown}': it runs neither pgBackRest nor this program"),
            next,
        ),
        Archives::Ours { pgbackrest_agrees: false, .. } => found.warn(
            NAME,
            format!("archive_command is '{shown}': pgBackRest's own check and backup refuse it, because it lacks the word {WORD}"),
            Some("name the configuration in it: --config=/etc/pgbackrest/pgbackrest.conf".to_owned()),
        ),
        Archives::Ours { .. } | Archives::PgBackRest { .. } => found.ok(NAME, shown),
    }
}

fn others(served: &Served, wanted: &Wanted<'_>, found: &mut Findings) {
    match (served.full_page_writes, wanted.from_standby) {
        (true, _) => found.ok("full_page_writes", "on"),
        (false, true) => found.fail(
            "full_page_writes",
            Kind::Failed,
            "full_page_writes is off: a backup from a standby could hold torn pages that nothing repairs",
            Some("set full_page_writes = on and reload the primary".to_owned()),
        ),
        (false, false) => found.warn(
            "full_page_writes",
            "full_page_writes is off: after a crash the server may be left with torn pages (during a backup it is \
             switched on by itself)",
            Some("set full_page_writes = on unless the storage writes pages whole".to_owned()),
        ),
    }
    if wanted.from_standby && served.max_wal_senders == 0 {
        found.warn(
            "max_wal_senders",
            "max_wal_senders is 0: no standby can follow this server by streaming",
            Some("set max_wal_senders above 0 and restart the server".to_owned()),
        );
    }
}

#[cfg(test)]
mod tests;

//! `pgmayday info`: stanzas, archives and backups of the repositories, in pgBackRest's shape.
//!
//! JSON has the schema and values of pgBackRest 2.60, text its layout. A damaged repository is a state in the
//! output, never a failure of the command.

mod json;
mod text;

use super::Call;
use super::command::{CommandSpec, Run, nothing_own};
use super::output::{self, Output};
use crate::base::{BackupKind, Report, Result};
use crate::engine::catalog::{self, Query};
use crate::engine::locks::LockFolder;
use crate::engine::repositories::Repositories;
use std::path::PathBuf;

pub(super) const SPEC: CommandSpec = CommandSpec {
    name: "info",
    about: "Show stanzas, archives and backups",
    long_about: "Prints what the repositories hold: per stanza its state, clusters, range of archived WAL and backups. \
                 --stanza and --repo narrow it, --set shows one backup with databases, tablespaces, links and \
                 damaged files, --type one kind of backup. --output=json has pgBackRest's schema.",
    options_of: "info",
    reads_configuration: true,
    own: nothing_own,
    run: Run::Plain(run),
    failure_exit: None,
};

fn run(call: &Call) -> Result<()> {
    let settings = &call.settings;
    let progress_only = settings.text("detail-level") == Some("progress");
    let query = Query {
        stanza: settings.stanza(),
        set: settings.text("set"),
        kind: settings.text("type").and_then(kind),
        progress_only,
    };
    if progress_only && query.set.is_some() {
        return Err(Report::usage("--set cannot be used with --detail-level=progress"));
    }
    let repositories = Repositories::open(settings, call.command);
    let locks = LockFolder(PathBuf::from(settings.text("lock-path").unwrap_or("/tmp/pgbackrest")));
    let catalog = catalog::read(&repositories.slots, &query, &locks);
    for warning in repositories.warnings.iter().chain(&catalog.warnings) {
        call.console.warn(warning);
    }
    match call.output {
        Output::Json => output::bare_json(&json::Document { catalog: &catalog, progress_only }),
        Output::Text => output::text(&text::document(&catalog, &query)),
    }
}

fn kind(name: &str) -> Option<BackupKind> {
    [BackupKind::Full, BackupKind::Diff, BackupKind::Incr].into_iter().find(|kind| kind.to_string() == name)
}

//! The guards: each refuses one way of losing data, names itself, and says what to do instead.
//!
//! A guard never asks and never waits. `--accept=NAME` turns exactly one of them into a warning.

use super::prepare::Survey;
use super::request::Request;
use crate::base::{Kind, PgVersion, Report, Result};
use crate::cluster::control::ControlFile;
use crate::cluster::running::Running;
use crate::repo::Manifest;
use std::path::Path;

/// Nothing may run in the target.
pub(super) fn not_running(running: &Running, data_dir: &Path) -> Result<()> {
    match running {
        Running::No | Running::Stale { .. } => Ok(()),
        Running::Yes { pid, why } => Err(Report::new(
            Kind::Refused(None),
            format!("a server runs in {} (process {pid}: {why})", data_dir.display()),
        )
        .hint("stop it first, or restore into another folder with --pg1-path")),
        Running::Unknown { why } => Err(Report::refused(
            "running-unknown",
            format!("cannot tell whether a server runs in {}: {why}", data_dir.display()),
        )
        .hint("run as root or as the owner of the data directory, on the host and in the container where the server would run")),
    }
}

/// What stands in the target must be wanted there: nothing, an interrupted run of the same request, or what `--delta`
/// or `--force` may touch.
pub(super) fn occupied(request: &Request, survey: &Survey, resumes: bool, data_dir: &Path) -> Result<()> {
    let Some(first) = survey.occupied.first() else { return Ok(()) };
    if resumes {
        return Ok(());
    }
    if !request.delta && !request.force {
        return Err(Report::new(Kind::Refused(None), format!("{} is not empty", first.display())).hint(
            "restore into an empty folder; or, if what stands there is this cluster and may be overwritten, use --delta",
        ));
    }
    let known = ["PG_VERSION", "backup.manifest", super::marker::MARKER_NAME]
        .iter()
        .any(|name| data_dir.join(name).exists());
    if known {
        return Ok(());
    }
    Err(Report::new(
        Kind::Refused(None),
        format!(
            "{} holds neither PG_VERSION nor backup.manifest: it is not a PostgreSQL data directory",
            data_dir.display()
        ),
    )
    .hint("check --pg1-path: --delta and --force would remove everything in that folder"))
}

/// A data directory that is to be overwritten must hold the same cluster.
pub(super) fn same_cluster(manifest: &Manifest, data_dir: &Path) -> Result<()> {
    let Ok(control) = ControlFile::read(data_dir) else { return Ok(()) };
    if control.system_id == manifest.db.system_id {
        return Ok(());
    }
    Err(Report::refused(
        "foreign-cluster",
        format!(
            "{} holds another cluster (system identifier {}, the backup has {})",
            data_dir.display(),
            control.system_id,
            manifest.db.system_id
        ),
    )
    .hint("check --stanza and --pg1-path; restore into an empty folder instead"))
}

/// A data directory that is to be overwritten must be of the same major version.
pub(super) fn same_version(manifest: &Manifest, data_dir: &Path) -> Result<()> {
    let Ok(text) = std::fs::read_to_string(data_dir.join("PG_VERSION")) else { return Ok(()) };
    match text.trim().parse::<PgVersion>() {
        Ok(version) if version == manifest.db.version => Ok(()),
        _ => Err(Report::refused(
            "other-version",
            format!(
                "{} holds PostgreSQL {}, the backup is of {}",
                data_dir.display(),
                text.trim().escape_debug(),
                manifest.db.version
            ),
        )
        .hint("check --set and --pg1-path; restore into an empty folder instead")),
    }
}

/// Segments that were never archived exist only in the directory that is to be overwritten.
pub(super) fn unarchived_wal(survey: &Survey, data_dir: &Path) -> Option<String> {
    let first = survey.unarchived_wal.first()?;
    Some(format!(
        "{} WAL file(s) in {}/pg_wal were never archived (from {first}) and will be removed: copy that folder aside first if the last transactions matter",
        survey.unarchived_wal.len(),
        data_dir.display()
    ))
}

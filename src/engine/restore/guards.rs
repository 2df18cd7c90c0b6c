//! The guards: each refuses one way of losing data, names itself, and says what to do instead.
//!
//! A guard never asks and never waits. `--accept=NAME` turns exactly one of them into a warning.

use super::layout::{Layout, RootKind};
use super::prepare::Survey;
use super::request::Request;
use crate::base::{Kind, PgVersion, Report, Result};
use crate::cluster::ClusterError;
use crate::cluster::control::ControlFile;
use crate::cluster::owner::{self, Users};
use crate::cluster::running::Running;
use crate::repo::{Manifest, Owner};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

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
fn occupied(request: &Request, survey: &Survey, resumes: bool, data_dir: &Path) -> Result<()> {
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
fn same_cluster(manifest: &Manifest, data_dir: &Path) -> Result<()> {
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
fn same_version(manifest: &Manifest, data_dir: &Path) -> Result<()> {
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

/// Where WAL is replayed, the server's user must be able to run what fetches it: else the restore succeeds and the
/// start fails.
pub(super) fn can_fetch(request: &Request, manifest: &Manifest) -> Result<()> {
    if !request.fetches() {
        return Ok(());
    }
    let users = Users::new();
    let named =
        manifest.paths.iter().find(|entry| entry.name == "pg_data").map(|entry| entry.user.as_deref());
    let known = match named {
        Some(Owner::Named(name)) => users.account(name),
        _ => None,
    };
    let account = match known {
        _ if !owner::is_root() => owner::current(&users),
        Some(account) => account,
        None if request.data_dir.exists() => owner::owner_of(&request.data_dir, &users)?,
        None => return Ok(()),
    };
    match owner::check_executable_by(&account, request.restore_command.program()) {
        Err(error @ ClusterError::NotExecutable { .. }) => {
            Err(Report::refused("restore-command", format!("recovery could not fetch WAL: {error}"))
                .hint("install this program where that user can run it, for example in /usr/local/bin"))
        }
        other => Ok(other?),
    }
}

/// Everything that must hold before what stands in the target is overwritten or removed.
pub(super) fn may_overwrite(
    request: &Request,
    manifest: &Manifest,
    layout: &Layout,
    survey: &Survey,
    resumes: bool,
) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    layout.check_disjoint(&real_place)?;
    occupied(request, survey, resumes, layout.data_dir())?;
    if !survey.occupied.is_empty() && !resumes {
        request.unless_accepted(own_places(layout, survey), &mut warnings)?;
        request.unless_accepted(same_cluster(manifest, layout.data_dir()), &mut warnings)?;
        request.unless_accepted(same_version(manifest, layout.data_dir()), &mut warnings)?;
        warnings.extend(unarchived_wal(survey, layout.data_dir()));
    }
    Ok(warnings)
}

/// What stands in a tablespace or a linked place belongs to this cluster only if its data directory links there; else
/// it is production's tablespace (a forgotten map), or a folder somebody mistyped.
fn own_places(layout: &Layout, survey: &Survey) -> Result<()> {
    let data_dir = layout.data_dir();
    for root in layout.roots().iter().filter(|root| survey.occupied.contains(&root.path)) {
        let link = match &root.kind {
            RootKind::Data => continue,
            RootKind::Tablespace(oid, _) => data_dir.join("pg_tblspc").join(oid.to_string()),
            RootKind::Folder | RootKind::File => {
                data_dir.join(root.prefix.strip_prefix("pg_data/").unwrap_or(&root.prefix))
            }
        };
        if !link.is_symlink() || real_place(&link) != real_place(&root.path) {
            return Err(Report::refused(
                "foreign-place",
                format!(
                    "{} ({}) is not empty, and {} does not link to it: what stands there may belong to another cluster",
                    root.path.display(),
                    root.prefix,
                    link.display()
                ),
            )
            .hint("give it another place with --tablespace-map or --link-map, or empty it yourself"));
        }
    }
    Ok(())
}

/// Where a path leads once every link that exists by now is followed.
fn real_place(path: &Path) -> PathBuf {
    let mut missing: Vec<OsString> = Vec::new();
    for ancestor in path.ancestors() {
        if let Ok(real) = ancestor.canonicalize() {
            return missing.iter().rev().fold(real, |place, name| place.join(name));
        }
        missing.extend(ancestor.file_name().map(OsString::from));
    }
    path.to_owned()
}

/// Segments that were never archived exist only in the directory that is to be overwritten.
fn unarchived_wal(survey: &Survey, data_dir: &Path) -> Option<String> {
    let first = survey.unarchived_wal.first()?;
    Some(format!(
        "{} WAL file(s) in {}/pg_wal were never archived (from {first}) and will be removed: copy that folder aside first if the last transactions matter",
        survey.unarchived_wal.len(),
        data_dir.display()
    ))
}

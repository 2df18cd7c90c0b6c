//! Making the target ready: what stands there, what must go, which folders and links are made.
//!
//! [`survey`] only looks; [`clear`] removes exactly what the survey of that moment finds and nothing outside the
//! layout's roots; links are removed as links and never followed. In a tablespace's folder only this version's
//! own subfolder is touched.

use super::copy::{CONTROL_NAME, CONTROL_TEMPORARY, write_error};
use super::layout::{Layout, Root, RootKind};
use super::marker::MARKER_NAME;
use super::owners::{self, Owners};
use super::surplus;
use crate::base::{Kind, Report, Result, files};
use crate::repo::Manifest;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{DirBuilder, FileType};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The file of a backup that is never restored: links to tablespaces are made from the manifest, with the maps
/// applied; the server would make them again as they were, and lead the restored cluster into the old one's.
pub(super) const TABLESPACE_MAP: &str = "pg_data/tablespace_map";

/// What `mkfs` leaves at the top of a filesystem.
const LOST_AND_FOUND: &str = "lost+found";

/// How many paths to be removed are named; the rest is counted.
const NAMED_REMOVALS: usize = 50;

/// What stands in the target now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// Roots that hold something besides a marker.
    pub occupied: Vec<PathBuf>,
    /// Bytes in files the backup also has; what of them is reused shows only after hashing.
    pub kept_bytes: u64,
    /// Files the backup also has.
    pub kept_files: u64,
    /// Entries the backup does not have: how many.
    pub surplus: u64,
    /// Their bytes.
    pub surplus_bytes: u64,
    /// The first of them.
    pub surplus_named: Vec<PathBuf>,
    /// Bytes on disk that stand in each root and are reused, overwritten or removed.
    pub standing_bytes: BTreeMap<PathBuf, u64>,
    /// Unarchived WAL segments in the data directory (`.ready`), which a delta restore would remove.
    pub unarchived_wal: Vec<String>,
}

/// What an entry is in the backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Folder,
    File,
    Link,
    Nothing,
}

/// The backup's names, for looking up what belongs.
struct Names<'a> {
    manifest: &'a Manifest,
    folders: HashSet<&'a str>,
    links: HashMap<&'a Path, &'a str>,
}

impl<'a> Names<'a> {
    fn new(manifest: &'a Manifest, layout: &'a Layout) -> Self {
        let folders = manifest.paths.iter().map(|p| p.name.as_str()).collect();
        Self {
            manifest,
            folders,
            links: layout.links().iter().map(|l| (l.path.as_path(), l.destination.as_str())).collect(),
        }
    }

    fn expected(&self, name: &str, path: &Path) -> Expected {
        if name == TABLESPACE_MAP {
            Expected::Nothing
        } else if self.links.contains_key(path) {
            Expected::Link
        } else if self.folders.contains(name) {
            Expected::Folder
        } else if self.manifest.files.find(name).is_some() {
            Expected::File
        } else {
            Expected::Nothing
        }
    }
}

/// Looks at every root and changes nothing.
pub(super) fn survey(manifest: &Manifest, layout: &Layout) -> Result<Survey> {
    let mut survey = Survey::default();
    walk(manifest, layout, &mut |root, entry| {
        if is_marker(entry.manifest_name) {
            return Ok(());
        }
        if survey.occupied.last() != Some(&root.path) {
            survey.occupied.push(root.path.clone());
        }
        let on_disk = surplus::weigh(entry.path, entry.kind.is_dir() && !entry.keep)?;
        let standing = survey.standing_bytes.entry(root.path.clone()).or_default();
        *standing = standing.saturating_add(on_disk);
        if entry.keep {
            survey.kept_files += u64::from(entry.kind.is_file());
            survey.kept_bytes += entry.bytes;
        } else {
            survey.surplus += 1;
            survey.surplus_bytes += on_disk;
            if survey.surplus_named.len() < NAMED_REMOVALS {
                survey.surplus_named.push(entry.path.to_owned());
            }
        }
        Ok(())
    })?;
    survey.unarchived_wal = unarchived_wal(layout.data_dir());
    Ok(survey)
}

/// Removes `pg_control` first, so that nothing can start from here on, then everything the backup does not have.
/// Returns how many entries went.
/// Manifest names in `spared` stay although the backup does not have them.
pub(super) fn clear(manifest: &Manifest, layout: &Layout, spared: &[String]) -> Result<u64> {
    if let Some(control) = layout.path_of(CONTROL_NAME) {
        surplus::remove(&control, false)?;
        if let Some(folder) = control.parent().filter(|f| f.is_dir()) {
            files::sync_folder(folder).map_err(|error| write_error(folder, &error))?;
        }
    }
    let mut removed = 0;
    walk(manifest, layout, &mut |_, entry| {
        let stays = is_marker(entry.manifest_name) || spared.iter().any(|name| name == entry.manifest_name);
        if !entry.keep && !stays {
            surplus::remove(entry.path, entry.kind.is_dir())?;
            removed += 1;
        }
        Ok(())
    })?;
    Ok(removed)
}

/// Makes folders (parents first) and links, with owner and mode.
pub(super) fn build(manifest: &Manifest, layout: &Layout, owners: &Owners) -> Result<()> {
    for root in layout.roots() {
        let folder = if root.kind == RootKind::File { root.path.parent() } else { Some(root.path.as_path()) };
        let Some(folder) = folder else { continue };
        for made in make_folders(folder)? {
            owners::give(&made, owners.data()).map_err(|error| write_error(&made, &error))?;
        }
    }
    for entry in &manifest.paths {
        let Some(path) = layout.path_of(&entry.name) else { continue };
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(write_error(&path, &error));
            }
            _ => {}
        }
        let set = || {
            owners::give(&path, owners.of(entry.user.as_deref(), entry.group.as_deref()))?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(entry.mode))
        };
        set().map_err(|error| write_error(&path, &error))?;
    }
    for link in layout.links() {
        // One that stands here survived the clearing, so its text is right.
        if !link.path.is_symlink() {
            std::os::unix::fs::symlink(&link.destination, &link.path)
                .map_err(|error| write_error(&link.path, &error))?;
        }
        owners::give_link(&link.path, owners.data()).map_err(|error| write_error(&link.path, &error))?;
    }
    Ok(())
}

/// Makes a folder and those above it that are missing, and returns the ones made, outermost first: they must be given
/// to the server's user, who could not get through them otherwise.
pub(super) fn make_folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut missing: Vec<PathBuf> =
        folder.ancestors().take_while(|f| !f.exists()).map(Path::to_path_buf).collect();
    missing.reverse();
    for folder in &missing {
        DirBuilder::new().mode(0o700).create(folder).map_err(|error| write_error(folder, &error))?;
    }
    Ok(missing)
}

/// An entry met on the walk.
struct Met<'a> {
    manifest_name: &'a str,
    path: &'a Path,
    kind: FileType,
    bytes: u64,
    keep: bool,
}

/// Visits every entry of every root; folders that do not belong are visited as one entry.
fn walk(
    manifest: &Manifest,
    layout: &Layout,
    visit: &mut dyn FnMut(&Root, &Met<'_>) -> Result<()>,
) -> Result<()> {
    let names = Names::new(manifest, layout);
    for root in layout.roots() {
        match &root.kind {
            RootKind::File => walk_file_root(root, visit)?,
            RootKind::Tablespace(..) => {
                let version = format!("PG_{}_{}", manifest.db.version, manifest.db.catalog);
                walk_folder(
                    &names,
                    root,
                    root.path.join(&version),
                    format!("{}/{version}", root.prefix),
                    visit,
                )?;
            }
            RootKind::Data | RootKind::Folder => {
                walk_folder(&names, root, root.path.clone(), root.prefix.clone(), visit)?;
            }
        }
    }
    Ok(())
}

fn walk_file_root(root: &Root, visit: &mut dyn FnMut(&Root, &Met<'_>) -> Result<()>) -> Result<()> {
    match std::fs::symlink_metadata(&root.path) {
        Ok(meta) if meta.is_dir() => Err(Report::new(
            Kind::Refused(None),
            format!("{} is to be the file {}, but a folder stands there", root.path.display(), root.prefix),
        )
        .hint("give the file its own place with --link-map")),
        Ok(meta) => {
            let keep = meta.is_file();
            visit(
                root,
                &Met {
                    manifest_name: &root.prefix,
                    path: &root.path,
                    kind: meta.file_type(),
                    bytes: meta.len(),
                    keep,
                },
            )
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(look_error(&root.path, &error)),
    }
}

fn walk_folder(
    names: &Names<'_>,
    root: &Root,
    start: PathBuf,
    name: String,
    visit: &mut dyn FnMut(&Root, &Met<'_>) -> Result<()>,
) -> Result<()> {
    let mut pending = vec![(start, name)];
    while let Some((folder, folder_name)) = pending.pop() {
        let at_top = folder == root.path;
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(look_error(&folder, &error)),
        };
        for entry in entries {
            let entry = entry.map_err(|error| look_error(&folder, &error))?;
            let (path, file_name) = (entry.path(), entry.file_name());
            let meta = entry.metadata().map_err(|error| look_error(&path, &error))?;
            let kind = meta.file_type();
            let manifest_name = file_name.to_str().map(|n| format!("{folder_name}/{n}"));
            let expected = manifest_name.as_deref().map_or(Expected::Nothing, |n| names.expected(n, &path));
            let keep = match expected {
                Expected::Folder => kind.is_dir(),
                Expected::File => kind.is_file(),
                Expected::Link => std::fs::read_link(&path)
                    .is_ok_and(|text| names.links.get(path.as_path()).is_some_and(|d| text == Path::new(d))),
                Expected::Nothing => is_waiting_control(&folder_name, &file_name),
            };
            let bytes = if kind.is_file() { meta.len() } else { 0 };
            if expected == Expected::Nothing && at_top && kind.is_dir() && file_name == LOST_AND_FOUND {
                continue;
            }
            let manifest_name = manifest_name.unwrap_or_default();
            visit(root, &Met { manifest_name: &manifest_name, path: &path, kind, bytes, keep })?;
            if keep && kind.is_dir() {
                pending.push((path, manifest_name));
            }
        }
    }
    Ok(())
}

/// The marker, or what a kill left of writing it.
fn is_marker(manifest_name: &str) -> bool {
    let name = manifest_name.strip_prefix("pg_data/").unwrap_or_default();
    name == MARKER_NAME || name.strip_suffix(files::TEMPORARY_SUFFIX) == Some(MARKER_NAME)
}

/// A killed restore's own waiting `pg_control` is written again, not surplus.
fn is_waiting_control(folder_name: &str, file_name: &std::ffi::OsStr) -> bool {
    folder_name == "pg_data/global" && file_name == CONTROL_TEMPORARY
}

fn unarchived_wal(data_dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(data_dir.join("pg_wal/archive_status")) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".ready").map(str::to_owned))
        .collect();
    names.sort_unstable();
    names
}

fn look_error(path: &Path, error: &io::Error) -> Report {
    Report::failed(format!("cannot look at {}: {error}", path.display()))
        .hint("run as root or as the owner of the data directory")
}

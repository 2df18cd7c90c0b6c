//! Making a manifest out of what was read: defaults applied, parts compared with each other.
//!
//! A manifest whose parts contradict each other is refused here, whatever its checksum says: the checksum proves
//! that nothing changed since it was written, not that it was written by an honest program.

use super::super::archive_info::cipher_as_configured;
use super::super::backup_info::{is_block_beta, missing};
use super::super::error::Fault;
use super::files::{Attributes, FileTable, Owner};
use super::names::shown;
use super::parse::{Completeness, Draft, Loose};
use super::{LinkEntry, Manifest, ManifestDb, PathEntry, beta_text};
use crate::base::{BackupKind, BackupLabel, PgVersion, Timestamp};
use crate::codec::Compression;
use crate::store::StorePath;

impl Draft {
    /// The manifest, if its parts agree.
    pub(super) fn assemble(
        mut self,
        backrest_version: String,
        folder: &StorePath,
        expected: &BackupLabel,
        encrypted: bool,
        completeness: Completeness,
    ) -> Result<Manifest, Fault> {
        let label = self.label.take().ok_or_else(|| missing("backup-label"))?;
        if label != *expected {
            return Err(Fault::hostile(format!("it is the manifest of backup {label}, not of {expected}")));
        }
        let kind = self.kind.ok_or_else(|| missing("backup-type"))?;
        let prior = self.prior.take();
        if kind != label.kind() || (kind == BackupKind::Full) != prior.is_none() {
            return Err(Fault::format("its label, type and prior do not agree"));
        }
        if self.has_blocks && is_block_beta(&backrest_version)
            || self.block_incr && is_block_beta(&backrest_version)
        {
            return Err(Fault::Unsupported(beta_text(&label)));
        }
        let stop = self.stop.ok_or_else(|| missing("backup-timestamp-stop"))?;
        if completeness == Completeness::Whole {
            self.check_finished(stop)?;
        }
        let references = self.take_references(&label)?;
        let db = self.db()?;
        let compression = match (self.compression, self.compress) {
            (Some(compression), _) => compression,
            (None, Some(true)) => Compression::Gz,
            (None, Some(false)) => Compression::None,
            (None, None) => return Err(missing("option-compress-type")),
        };
        let paths = sorted_paths(std::mem::take(&mut self.paths), &self.path_defaults)?;
        let links = sorted_links(std::mem::take(&mut self.links), &self.link_defaults)?;
        let files = std::mem::take(&mut self.files).finish(&label, self.bundle, &self.file_defaults)?;
        check_tree(&files, &paths)?;
        if !self.targets.iter().any(|target| target.name == "pg_data" && !target.link) {
            return Err(missing("the target pg_data"));
        }
        Ok(Manifest {
            label,
            kind,
            prior,
            references,
            start: self.start.ok_or_else(|| missing("backup-timestamp-start"))?,
            stop,
            copy_start: self.copy_start.ok_or_else(|| missing("backup-timestamp-copy-start"))?,
            archive_start: self.archive_start,
            archive_stop: self.archive_stop,
            lsn_start: self.lsn_start,
            lsn_stop: self.lsn_stop,
            block_incr: self.block_incr,
            bundle: self.bundle,
            bundle_raw: self.bundle_raw,
            backrest_version,
            db,
            compression,
            online: self.online.ok_or_else(|| missing("option-online"))?,
            checksum_page: self.checksum_page,
            archive_check: self.archive_check,
            archive_copy: self.archive_copy,
            standby: self.standby,
            hardlink: self.hardlink,
            made_with: self.made_with,
            cipher_pass: cipher_as_configured(self.cipher_pass, encrypted)?,
            targets: self.targets,
            databases: self.databases,
            annotations: self.annotations,
            paths,
            links,
            files,
            folder: folder.clone(),
        })
    }

    fn check_finished(&self, stop: Timestamp) -> Result<(), Fault> {
        if stop.unix_s() == 0 {
            return Err(Fault::Unfinished("it has no stop time".to_owned()));
        }
        if let Some(name) = &self.uncopied {
            return Err(Fault::Unfinished(format!("the file '{}' was not copied", shown(name))));
        }
        Ok(())
    }

    /// The reference list, completed for manifests that lack it and proven to cover every file.
    fn take_references(&mut self, label: &BackupLabel) -> Result<Vec<BackupLabel>, Fault> {
        let mut used = self.files.owners().to_vec();
        let listed = self.references.take();
        let references = listed.unwrap_or_else(|| {
            // Manifests before 2.42 have no list; it is the labels seen, in order, then the backup itself.
            used.sort_unstable();
            used.retain(|owner| owner != label);
            used.iter().chain([label]).cloned().collect()
        });
        let full = label.full();
        if references.last() != Some(label) || references.iter().any(|other| other.full() != full) {
            return Err(Fault::format("its list of references does not end in itself, or leaves its set"));
        }
        let mut unique = references.clone();
        unique.sort_unstable();
        unique.dedup();
        if unique.len() != references.len() {
            return Err(Fault::format("its list of references names a backup twice"));
        }
        let outside = self.files.owners().iter().find(|owner| unique.binary_search(owner).is_err());
        match outside {
            Some(owner) => Err(Fault::hostile(format!(
                "a file is stored in backup {owner}, which is not in its references"
            ))),
            None => Ok(references),
        }
    }

    /// The version of the cluster, which must be one whose files this program knows.
    fn known_version(&self) -> Result<PgVersion, Fault> {
        let version = self.db_version.ok_or_else(|| missing("db-version"))?;
        match version.numbers() {
            Some(_) => Ok(version),
            None => Err(Fault::Unsupported(format!(
                "PostgreSQL {version} is not known to this program (9.5 to 18 are)"
            ))),
        }
    }

    fn db(&self) -> Result<ManifestDb, Fault> {
        Ok(ManifestDb {
            catalog: self.db_catalog.ok_or_else(|| missing("db-catalog-version"))?,
            control: self.db_control.ok_or_else(|| missing("db-control-version"))?,
            id: self.db_id.ok_or_else(|| missing("db-id"))?,
            system_id: self.db_system_id.ok_or_else(|| missing("db-system-id"))?,
            version: self.known_version()?,
        })
    }
}

/// Applies the defaults of folders.
fn sorted_paths(mut loose: Vec<Loose>, defaults: &Attributes) -> Result<Vec<PathEntry>, Fault> {
    sort_unique(&mut loose)?;
    let entry = |path: Loose| {
        let mode = path.attributes.mode.or(defaults.mode).ok_or_else(|| missing("the mode of a folder"))?;
        let (user, group) = owners(path.attributes, defaults)?;
        Ok(PathEntry { name: path.name, mode, user, group })
    };
    loose.into_iter().map(entry).collect()
}

fn sorted_links(mut loose: Vec<Loose>, defaults: &Attributes) -> Result<Vec<LinkEntry>, Fault> {
    sort_unique(&mut loose)?;
    let entry = |link: Loose| {
        let (user, group) = owners(link.attributes, defaults)?;
        Ok(LinkEntry { name: link.name, destination: link.destination, user, group })
    };
    loose.into_iter().map(entry).collect()
}

fn owners(given: Attributes, defaults: &Attributes) -> Result<(Owner<String>, Owner<String>), Fault> {
    let user = given.user.or_else(|| defaults.user.clone()).ok_or_else(|| missing("the user of an entry"))?;
    let group =
        given.group.or_else(|| defaults.group.clone()).ok_or_else(|| missing("the group of an entry"))?;
    Ok((user, group))
}

fn sort_unique(loose: &mut [Loose]) -> Result<(), Fault> {
    loose.sort_by(|a, b| a.name.cmp(&b.name));
    match loose.windows(2).find(|pair| pair[0].name == pair[1].name) {
        Some(pair) => Err(Fault::hostile(format!("'{}' is listed twice", shown(&pair[0].name)))),
        None => Ok(()),
    }
}

/// Every file and folder must stand in a listed folder, and no name may be both.
fn check_tree(files: &FileTable, paths: &[PathEntry]) -> Result<(), Fault> {
    let listed = |name: &str| paths.binary_search_by(|path| path.name.as_str().cmp(name)).is_ok();
    let lost = |name: &str| Fault::hostile(format!("'{}' stands in no listed folder", shown(name)));
    for path in paths {
        match path.name.rsplit_once('/') {
            Some((parent, _)) if !listed(parent) => return Err(lost(&path.name)),
            _ => {}
        }
        if files.find(&path.name).is_some() {
            return Err(Fault::hostile(format!("'{}' is both file and folder", shown(&path.name))));
        }
    }
    let mut known_parent = "";
    for index in 0..files.len() {
        let name = files.name(index);
        let parent = name.rsplit_once('/').map_or("", |(parent, _)| parent);
        if parent != known_parent {
            if !listed(parent) {
                return Err(lost(name));
            }
            known_parent = parent;
        }
    }
    Ok(())
}

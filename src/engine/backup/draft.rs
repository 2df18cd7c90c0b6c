//! The manifest of a backup while it is made, and at its end.
//!
//! Everything is kept in the order of the scan. What was not copied yet has no checksum, as pgBackRest has it in the
//! manifests of unfinished backups; what was removed meanwhile is left out.

use super::compare::Decision;
use super::copy::{Done, Outcome, Pages, StoredFile};
use super::scan::{Scan, ScanFile};
use crate::base::{BackupLabel, Result, Timestamp};
use crate::codec::Sha1Hash;
use crate::repo::{FileRecord, FileTableBuilder, Manifest, Owner};

/// What became of every file so far.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    scan: &'a Scan,
    decisions: &'a [Decision],
    prior: Option<&'a Manifest>,
    outcomes: Vec<Option<Outcome>>,
    stored_bytes: u64,
    bundling: bool,
    checksum_page: bool,
}

/// A file that is no part of the data directory as it was looked at: what the server says at the end, copied WAL.
#[derive(Debug, Clone)]
pub(super) struct Extra {
    pub(super) name: String,
    pub(super) stored: StoredFile,
    pub(super) at: Timestamp,
}

/// What was counted at the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counted {
    /// Files stored by this backup.
    pub(super) stored: u64,
    /// Files an earlier backup stores.
    pub(super) same: u64,
    /// Files that were removed while the backup was made.
    pub(super) gone: u64,
}

impl<'a> Draft<'a> {
    pub(super) fn new(
        scan: &'a Scan,
        decisions: &'a [Decision],
        prior: Option<&'a Manifest>,
        bundling: bool,
        checksum_page: bool,
    ) -> Self {
        let outcomes = vec![None; scan.files.len()];
        Self { scan, decisions, prior, outcomes, stored_bytes: 0, bundling, checksum_page }
    }

    /// Takes in what a job did.
    pub(super) fn take(&mut self, done: Vec<Done>) {
        for (number, outcome) in done {
            if let Outcome::Stored(stored) = &outcome {
                self.stored_bytes += stored.size_bytes;
            }
            self.outcomes[number as usize] = Some(outcome);
        }
    }

    /// Bytes of the cluster's files that are stored to their ends.
    pub(super) const fn stored_bytes(&self) -> u64 {
        self.stored_bytes
    }

    /// What was counted so far.
    pub(super) fn counted(&self) -> Counted {
        let mut counted = Counted::default();
        for (outcome, decision) in self.outcomes.iter().zip(self.decisions) {
            match (outcome, decision) {
                (Some(Outcome::Stored(_)), _) => counted.stored += 1,
                (Some(Outcome::Same { .. }), _) | (None, Decision::Same(_) | Decision::Empty) => {
                    counted.same += 1;
                }
                (Some(Outcome::Gone), _) => counted.gone += 1,
                (None, Decision::Copy { .. }) => {}
            }
        }
        counted
    }

    /// Fills the manifest's files, folders, links and targets; `extras` come on top.
    pub(super) fn fill(&self, manifest: &mut Manifest, extras: &[Extra]) -> Result<()> {
        let mut table = FileTableBuilder::default();
        let base = self.scan.paths.iter().find(|path| path.name == "pg_data");
        for (number, file) in self.scan.files.iter().enumerate() {
            if let Some(record) = self.record(number, file, &manifest.label) {
                table.add(record)?;
            }
        }
        for extra in extras {
            let (user, group) =
                base.map_or((Owner::Unnamed, Owner::Unnamed), |base| (base.user.clone(), base.group.clone()));
            let mode = base.map_or(0o600, |base| base.mode & 0o640);
            let mut record = stored_record(&extra.stored);
            (record.name, record.modified_s) = (&extra.name, extra.at.unix_s());
            (record.mode, record.user, record.group) = (Some(mode), Some(user), Some(group));
            table.add(record)?;
        }
        manifest.files = table.build(&manifest.label, self.bundling)?;
        manifest.targets.clone_from(&self.scan.targets);
        manifest.paths.clone_from(&self.scan.paths);
        manifest.links.clone_from(&self.scan.links);
        Ok(())
    }

    fn record(&self, number: usize, file: &'a ScanFile, own: &BackupLabel) -> Option<FileRecord<'a>> {
        let mut record = match (&self.outcomes[number], self.decisions[number]) {
            (Some(Outcome::Gone), _) => return None,
            (Some(Outcome::Stored(stored)), _) => stored_record(stored),
            (Some(Outcome::Same { prior, pages }), _) => self.same_record(*prior, Some(pages), own)?,
            (None, Decision::Same(prior)) => self.same_record(prior, None, own)?,
            (None, Decision::Empty) => empty_record(file, self.checksum_page),
            (None, Decision::Copy { .. }) => FileRecord {
                size_bytes: file.size_bytes,
                repo_size_bytes: file.size_bytes,
                ..FileRecord::default()
            },
        };
        let (user, group) = self.scan.owner(file);
        record.name = &file.name;
        record.modified_s = file.modified_s;
        record.mode = Some(file.mode);
        (record.user, record.group) = (Some(owned(user)), Some(owned(group)));
        Some(record)
    }

    /// An entry of the manifest before, as a reference to the backup that stores it.
    fn same_record(&self, prior: u32, pages: Option<&Pages>, own: &BackupLabel) -> Option<FileRecord<'a>> {
        let entry = self.prior?.files.get(prior as usize);
        let (page_ok, page_errors) = match pages.filter(|pages| pages.ok.is_some()) {
            Some(pages) => (pages.ok, pages.bad.clone()),
            None => (entry.page_ok, entry.page_errors),
        };
        Some(FileRecord {
            size_bytes: entry.size_bytes,
            repo_size_bytes: entry.repo_size_bytes,
            bundle: entry.bundle,
            checksum: entry.checksum,
            repo_checksum: entry.repo_checksum,
            owner: Some(entry.owner.clone()).filter(|owner| owner != own),
            block: entry.block,
            page_ok,
            page_errors,
            ..FileRecord::default()
        })
    }
}

fn stored_record<'r>(stored: &StoredFile) -> FileRecord<'r> {
    FileRecord {
        size_bytes: stored.size_bytes,
        repo_size_bytes: stored.repo_size_bytes,
        bundle: stored.bundle,
        checksum: Some(stored.sha1).filter(|sha1| *sha1 != Sha1Hash::EMPTY),
        repo_checksum: stored.repo_sha1,
        block: stored.block,
        page_ok: stored.pages.ok,
        page_errors: stored.pages.bad.clone(),
        ..FileRecord::default()
    }
}

fn empty_record<'r>(file: &ScanFile, checks_pages: bool) -> FileRecord<'r> {
    FileRecord { page_ok: (checks_pages && file.page_checked).then_some(true), ..FileRecord::default() }
}

fn owned(owner: Owner<&str>) -> Owner<String> {
    match owner {
        Owner::Named(name) => Owner::Named(name.to_owned()),
        Owner::Unnamed => Owner::Unnamed,
    }
}

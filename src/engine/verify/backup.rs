//! One backup: its manifest and the copy, every file it names, the WAL it needs, and what else lies in its folder.
//!
//! A file that an earlier backup of the set stores was looked at in that backup's turn, if it is described there in the
//! same words; otherwise it is looked at here, as a restore of this backup would read it.

use super::archive::Archives;
use super::files::{Checker, Job};
use super::finding::{Counts, Fault, Findings, Level, Verdict};
use super::infos::{self, Infos};
use super::labels::Listed;
use super::outcome::{BackupResult, BackupStatus};
use super::{Work, entry, info_now, pool, stray, wal};
use crate::base::{BackupLabel, Report, Result};
use crate::codec::hash::xxh3_128;
use crate::repo::{FileEntry, Manifest, RepoError, Twins};
use std::collections::HashMap;

/// How often a manifest that is not there is looked for: an expire removes it before it says so.
const LOOKS: usize = 3;

/// What came out for every stored file of one backup set, by a digest of all that its manifest says of it.
#[derive(Default)]
pub(super) struct Known {
    full: Option<BackupLabel>,
    verdicts: HashMap<[u8; 16], Verdict>,
}

impl Known {
    /// Forgets other sets: no backup refers to a file outside its own.
    fn enter(&mut self, label: &BackupLabel) {
        let full = Some(label.full());
        if self.full != full {
            self.verdicts.clear();
            self.full = full;
        }
    }
}

/// What of a manifest decides how each of its files is read.
struct Seeds<'a> {
    manifest: &'a Manifest,
    stream: [u8; 16],
    /// The backups a block map of each owner may point to.
    references: HashMap<&'a BackupLabel, [u8; 16]>,
}

impl<'a> Seeds<'a> {
    fn new(manifest: &'a Manifest) -> Self {
        let passphrase = manifest.cipher_pass.as_ref().map_or("", |passphrase| passphrase.expose());
        let stream = format!("{}\0{}\0{passphrase}", manifest.compression, manifest.bundle_raw);
        let mut path = Vec::new();
        let references = manifest.references.iter().map(|label| {
            path.extend_from_slice(label.as_str().as_bytes());
            path.push(0);
            (label, xxh3_128(&path))
        });
        let references = references.collect();
        Self { manifest, stream: xxh3_128(stream.as_bytes()), references }
    }

    /// Two files with the same digest are read in the same way from the same place.
    fn digest(&self, file: &FileEntry<'_>, scratch: &mut Vec<u8>) -> [u8; 16] {
        scratch.clear();
        scratch.extend_from_slice(&self.stream);
        for text in [file.owner.as_str(), file.name] {
            scratch.extend_from_slice(text.as_bytes());
            scratch.push(0);
        }
        let (bundle, offset) = file.bundle.unwrap_or_default();
        for number in [file.size_bytes, file.repo_size_bytes, bundle, offset] {
            scratch.extend_from_slice(&number.to_le_bytes());
        }
        for hash in [file.checksum, file.repo_checksum] {
            scratch.extend_from_slice(&hash.map_or([0; 20], |hash| hash.0));
        }
        if let Some(block) = file.block {
            scratch.extend_from_slice(&block.block_bytes.to_le_bytes());
            scratch.push(block.checksum_bytes);
            scratch.extend_from_slice(&block.map_bytes.to_le_bytes());
            let owners = self.manifest.references.iter().find(|label| *label == file.owner);
            scratch.extend_from_slice(&owners.map_or([0; 16], |label| self.references[label]));
        }
        xxh3_128(scratch)
    }
}

/// Verifies one backup.
pub(super) fn verify(
    work: &Work<'_>,
    infos: &Infos,
    label: &Listed,
    archives: &Archives,
    known: &mut Known,
) -> Result<BackupResult> {
    known.enter(&label.label);
    let mut result = BackupResult {
        label: label.label.clone(),
        status: BackupStatus::InProgress,
        counts: Counts::default(),
        wal: None,
        findings: Findings::default(),
    };
    if !label.finished {
        if work.request.set.is_some() {
            result.findings.add(Level::Unknown, &label.folder, "is not finished: nothing can be said of it");
        }
        return Ok(result);
    }
    let Some(manifest) = manifest(work, infos, label, &mut result)? else {
        result.findings.sort();
        return Ok(result);
    };
    files(work, &manifest, known, &mut result)?;
    if result.counts.missing > 0 && is_unlisted(work, label) {
        return Ok(expired(result));
    }
    let contradicted = label.entry.as_ref().is_some_and(|entry| {
        let cluster = infos.backup.history.get(&entry.db_id);
        entry::compare(entry, cluster, &manifest, &label.folder, &mut result.findings)
    });
    let (need, wal_unknown) = wal::need(&manifest, label, archives, &mut result.findings);
    let lost_wal = need.as_ref().is_some_and(|need| need.missing + need.damaged > 0);
    if lost_wal && is_unlisted(work, label) {
        return Ok(expired(result));
    }
    stray::tell(work, &manifest, &label.folder, &mut result.findings)?;
    let counts = &result.counts;
    result.status = if contradicted || counts.damaged() > 0 {
        BackupStatus::Invalid
    } else if lost_wal {
        BackupStatus::WalMissing
    } else if counts.unreadable > 0 || wal_unknown {
        BackupStatus::Unknown
    } else {
        BackupStatus::Valid
    };
    result.wal = need;
    result.findings.sort();
    Ok(result)
}

/// The manifest, if it or its copy can be used; otherwise the result says why not.
fn manifest(
    work: &Work<'_>,
    infos: &Infos,
    label: &Listed,
    result: &mut BackupResult,
) -> Result<Option<Manifest>> {
    if !infos.manifests_open {
        let why = "was not read: backup.info holds its key, and neither it nor its copy can be used";
        result.findings.add(Level::Unknown, &label.folder.join("backup.manifest")?, why);
        result.status = BackupStatus::Unknown;
        return Ok(None);
    }
    let read = || work.stanza.manifest_twins(&infos.backup, &label.label);
    let missing = |twins: &Twins<Manifest>| {
        [&twins.main, &twins.copy].iter().all(|one| one.as_ref().err().is_some_and(RepoError::is_missing))
    };
    let mut twins = read()?;
    for _ in 0..LOOKS {
        if twins.agree() {
            break;
        }
        work.wait()?;
        if is_unlisted(work, label) {
            result.status = BackupStatus::Expired;
            result.findings.add(Level::Note, &label.folder, "was expired while the stanza was verified");
            return Ok(None);
        }
        twins = read()?;
        if !missing(&twins) {
            break;
        }
    }
    infos::tell(&mut result.findings, &twins);
    if twins.main.as_ref().err().is_some_and(RepoError::is_missing) && twins.copy.is_ok() {
        let why = "without it the next backup or expire drops this backup from backup.info: copy backup.manifest.copy \
                   to backup.manifest";
        result.findings.add(Level::Warning, &twins.path, why);
    }
    if twins.value.is_none() {
        result.status = match result.findings.damage {
            0 => BackupStatus::Unknown,
            _ => BackupStatus::ManifestMissing,
        };
    }
    Ok(twins.value)
}

/// Looks at every file of the manifest.
fn files(work: &Work<'_>, manifest: &Manifest, known: &mut Known, result: &mut BackupResult) -> Result<()> {
    let (seeds, table) = (Seeds::new(manifest), &manifest.files);
    let (mut singles, mut inside) = (Vec::new(), Vec::new());
    let mut scratch = Vec::new();
    let mut page_errors = 0_u64;
    for number in 0..table.len() {
        let file = table.get(number);
        page_errors += u64::from(file.page_ok == Some(false));
        if !file.is_stored() {
            result.counts.add(Verdict::Sound);
            continue;
        }
        if let Some(verdict) = known.verdicts.get(&seeds.digest(&file, &mut scratch)) {
            result.counts.add(*verdict);
            tell_known(manifest, &file, *verdict, &mut result.findings);
            continue;
        }
        let Ok(id) = u32::try_from(number) else { return Err(Report::failed("too many files")) };
        if file.bundle.is_some() { inside.push(id) } else { singles.push(id) }
    }
    if page_errors > 0 {
        let path = manifest.folder.join(manifest.label.as_str())?;
        let why = format!(
            "{page_errors} file(s) had wrong page checksums when it was made: `info --set` names them"
        );
        result.findings.add(Level::Warning, &path, why);
    }
    // Large files first, so that no thread is left with one at the end.
    singles.sort_unstable_by_key(|id| std::cmp::Reverse(table.get(*id as usize).repo_size_bytes));
    inside.sort_unstable_by(|a, b| {
        let place = |id: &u32| {
            let file = table.get(*id as usize);
            (file.owner, file.bundle)
        };
        place(a).cmp(&place(b))
    });
    work.expect(0, (singles.len() + inside.len()) as u64);
    let checker = Checker::new(work, manifest, std::mem::take(&mut result.findings));
    let of_bundle = |id: &u32| {
        let file = table.get(*id as usize);
        (file.owner, file.bundle.map(|(bundle, _)| bundle))
    };
    let bundles = inside.chunk_by(|a, b| of_bundle(a) == of_bundle(b)).map(Job::Bundle);
    let jobs = singles.iter().map(|id| Job::Single(*id)).chain(bundles);
    pool::run(work, jobs, |job, buffer| checker.run(&job, buffer))?;
    let (findings, bad) = checker.finish();
    result.findings = findings;
    for id in singles.iter().chain(&inside) {
        let verdict = bad.get(id).copied().unwrap_or(Verdict::Sound);
        result.counts.add(verdict);
        let digest = seeds.digest(&table.get(*id as usize), &mut scratch);
        known.verdicts.insert(digest, verdict);
    }
    Ok(())
}

/// A file that is damaged where an earlier backup stores it is damaged for this one, too.
fn tell_known(manifest: &Manifest, file: &FileEntry<'_>, verdict: Verdict, findings: &mut Findings) {
    let Ok((path, ..)) = manifest.stored(file) else { return };
    let (level, what) = match verdict {
        Verdict::Sound => return,
        Verdict::Bad(Fault::Missing) => (Level::Damage, "is missing"),
        Verdict::Bad(_) => (Level::Damage, "is damaged"),
        Verdict::Unreadable => (Level::Unknown, "could not be read"),
    };
    findings.add_file(level, &path, file.name, format!("{what}, as told for backup {}", file.owner));
}

/// True if the backup was listed and is not any more.
fn is_unlisted(work: &Work<'_>, label: &Listed) -> bool {
    label.entry.is_some() && info_now(work).is_some_and(|info| !info.backups.contains_key(&label.label))
}

fn expired(mut result: BackupResult) -> BackupResult {
    result.status = BackupStatus::Expired;
    result.counts = Counts::default();
    result.findings = Findings::default();
    result
}

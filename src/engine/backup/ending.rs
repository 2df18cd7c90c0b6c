//! The end of a backup: the server is told, its WAL is seen in the archive, and the backup is made to exist.

use super::copy::{Pages, StoredFile, write_error};
use super::draft::{Counted, Draft, Extra};
use super::plan::Plan;
use super::run::{Around, Known, await_segments, refuse_running};
use super::session::Stop;
use super::{Outcome, PageErrors, control};
use crate::base::{Lsn, Report, Result, Timestamp, WalSegment, WalSegmentSize};
use crate::codec::{CodecError, EncoderPool};
use crate::engine::reconcile;
use crate::repo::{ArchiveId, BackupEntry, FileEntry, Found, Manifest};
use crate::store::{Range, Storage, StorePath};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write as _};
use std::time::Duration;

/// What the end of a backup left to be said in its manifest.
#[derive(Debug)]
pub(super) struct Ended {
    /// Nothing for an offline backup.
    stop: Option<Stop>,
    at: Timestamp,
    extras: Vec<Extra>,
}

impl Ended {
    /// For the step's line.
    pub(super) fn told(&self) -> String {
        self.stop.as_ref().map_or_else(|| "offline".to_owned(), |stop| format!("at {}", stop.lsn))
    }
}

/// Ends the backup on the server and sees its WAL into the archive.
pub(super) fn stop(around: &Around<'_>, known: &mut Known, plan: &Plan) -> Result<Ended> {
    let request = around.request;
    let Some(servers) = &mut known.servers else {
        refuse_started(around, known)?;
        return Ok(Ended { stop: None, at: Timestamp::now(), extras: Vec::new() });
    };
    let mut stop = servers.primary().stop()?;
    stop.segment = last_segment(&stop, known.control.segment_size);
    let storage = &**around.stanza.repository().storage();
    let encoders = plan.encoders(request)?;
    let mut extras = Vec::new();
    for (name, text) in [("backup_label", &stop.label), ("tablespace_map", &stop.tablespace_map)] {
        if !text.trim().is_empty() {
            let stored = store(
                storage,
                &plan.folder,
                &format!("pg_data/{name}"),
                &encoders.whole,
                &mut text.as_bytes(),
            )?;
            extras.push(Extra { name: format!("pg_data/{name}"), stored, at: stop.at });
        }
    }
    if let Some(start) = plan.start.filter(|_| request.archive_check) {
        let needed = segments(start.segment, stop.segment, known);
        await_segments(around, known, &needed)?;
        for segment in needed.into_iter().filter(|_| request.archive_copy) {
            extras.push(copy_segment(around, known, plan, &encoders.whole, segment, stop.at)?);
        }
    }
    Ok(Ended { at: stop.at, stop: Some(stop), extras })
}

/// Nobody may have started the server of an offline backup meanwhile, not even for a moment.
fn refuse_started(around: &Around<'_>, known: &Known) -> Result<()> {
    if around.request.force {
        return Ok(());
    }
    refuse_running(around.request, &known.primary_dir)?;
    let (_, now) = control::image(&known.primary_dir)?;
    if now == known.control {
        return Ok(());
    }
    Err(Report::failed(format!(
        "pg_control in {} changed while the cluster was copied: its server ran meanwhile, so that the copy is worthless",
        known.primary_dir.display()
    ))
    .hint("back it up again, stopped all the time, or running: leave --no-online out"))
}

/// The segment that holds the last byte before the stop. From 17 on the server names the segment behind where the stop is
/// exactly between two, and that one may never be written.
fn last_segment(stop: &Stop, size: WalSegmentSize) -> WalSegment {
    WalSegment::containing(stop.segment.timeline, Lsn(stop.lsn.0.saturating_sub(1)), size)
}

/// The segments from the backup's start to its stop.
fn segments(first: WalSegment, last: WalSegment, known: &Known) -> Vec<WalSegment> {
    let size = known.control.segment_size;
    let mut all = vec![first];
    let mut next = first;
    while next.number(size) < last.number(size) {
        next = next.next(size);
        all.push(next);
    }
    all
}

/// Stores a file that is no part of the data directory as it was looked at; never in a bundle.
fn store(
    storage: &dyn Storage,
    folder: &StorePath,
    name: &str,
    pool: &EncoderPool,
    content: &mut dyn Read,
) -> Result<StoredFile> {
    let spec = pool.spec();
    let path = folder.join(&format!("{name}{}", spec.compression.extension()))?;
    let failed = write_error(storage, &path);
    let pending = storage.create_in_tree(&path)?;
    let mut encoder = pool.encoder(pending).map_err(&failed)?;
    io::copy(content, &mut encoder).map_err(CodecError::from_io).map_err(&failed)?;
    let (mut pending, seal, stored) = encoder.finish().map_err(&failed)?;
    pending.flush().map_err(CodecError::Io).map_err(&failed)?;
    pending.commit()?;
    let plain = stored.sha1 == seal.sha1;
    Ok(StoredFile {
        size_bytes: seal.size_bytes,
        sha1: seal.sha1,
        repo_size_bytes: stored.size_bytes,
        repo_sha1: (!plain).then_some(stored.sha1),
        bundle: None,
        block: None,
        pages: Pages::default(),
    })
}

/// Copies a segment out of the archive into the backup.
fn copy_segment(
    around: &Around<'_>,
    known: &Known,
    plan: &Plan,
    pool: &EncoderPool,
    segment: WalSegment,
    at: Timestamp,
) -> Result<Extra> {
    let archive = around.stanza.archive(&known.archive);
    let id = ArchiveId { version: known.control.version, db_id: known.archive.current_db_id };
    let Found::One(found) = archive.find(&id, segment)? else {
        return Err(Report::failed(format!("segment {segment} was in the archive and is not any more")));
    };
    let mut decoder = archive.open(&id, &found)?;
    let storage = &**around.stanza.repository().storage();
    let name = format!("pg_data/pg_wal/{segment}");
    let stored = store(storage, &plan.folder, &name, pool, &mut decoder)?;
    decoder.finish().map_err(|error| Report::from(error).context(format!("copying segment {segment}")))?;
    if stored.sha1 != found.sha1 {
        return Err(Report::damaged(format!(
            "segment {segment} in the archive does not have the content its name says"
        )));
    }
    Ok(Extra { name, stored, at })
}

/// Makes everything durable and the backup exist.
pub(super) fn finish(
    around: &Around<'_>,
    known: &mut Known,
    plan: &Plan,
    draft: &Draft<'_>,
    ended: &Ended,
) -> Result<Manifest> {
    let (request, stanza) = (around.request, &around.stanza);
    let storage = &**stanza.repository().storage();
    let mut manifest = plan.frame(request, &known.info, &known.control, stanza.backup_folder()?)?;
    manifest.stop = ended.at;
    manifest.lsn_stop = ended.stop.as_ref().map(|stop| stop.lsn);
    manifest.archive_stop = ended.stop.as_ref().map(|stop| stop.segment);
    draft.fill(&mut manifest, &ended.extras)?;
    manifest.block_incr |= manifest.files.iter().any(|file| file.block.is_some());
    refuse_unsound(&manifest)?;
    if request.hardlink {
        link_unchanged(storage, &plan.folder, &manifest)?;
    }
    storage.settle(&plan.folder)?;
    refuse_incomplete(storage, &manifest)?;
    refuse_without_base(around, &manifest)?;
    stanza.commit_manifest(&known.info, &manifest)?;
    if request.latest_link {
        stanza.point_latest(&manifest.label)?;
    }
    let mut entry = BackupEntry::of(&manifest);
    entry.annotations.clone_from(&manifest.annotations);
    // What another host wrote meanwhile stays: its backups, and notes on those that are listed.
    known.info = reconcile::reconcile(stanza)?.info;
    known.info.backups.insert(manifest.label.clone(), entry);
    stanza.save_backup_info(&known.info)?;
    // Its time tells object stores' rules that the archive is in use. The backup exists, whatever becomes of that.
    let renewed = stanza.archive_info().and_then(|archive| stanza.save_archive_info(&archive.value));
    if let Err(error) = renewed {
        known.warn(around, format!("archive.info could not be written again: {error}"));
    }
    Ok(manifest)
}

/// Every object of the backup is there, and as long as it must be: locks are of one host, and another one may have
/// taken this backup for an interrupted one.
fn refuse_incomplete(storage: &dyn Storage, manifest: &Manifest) -> Result<()> {
    let mut needed: BTreeMap<StorePath, u64> = BTreeMap::new();
    for file in manifest.files.iter().filter(|file| file.stored_here && file.is_stored()) {
        let (path, range, _) = manifest.stored(&file)?;
        let start = if let Range::Part { offset, .. } = range { offset } else { 0 };
        let bytes = needed.entry(path).or_default();
        *bytes = (*bytes).max(start.saturating_add(file.repo_size_bytes));
    }
    for (path, bytes) in needed {
        let found = storage.stat(&path)?.map(|meta| meta.size_bytes);
        if found.is_none_or(|found| found < bytes) {
            return Err(Report::failed(format!(
                "{path} was written and is {}: another host works in this backup's folder",
                if found.is_some() { "shorter now" } else { "gone" }
            ))
            .hint("back up a stanza from one host only, or share lock-path between them"));
        }
    }
    Ok(())
}

/// The backups whose files this one uses are still listed: nobody on another host expired them meanwhile.
fn refuse_without_base(around: &Around<'_>, manifest: &Manifest) -> Result<()> {
    let listed = reconcile::reconcile(&around.stanza)?.info.backups;
    let used = manifest.files.iter().filter(|file| !file.stored_here).map(|file| file.owner.clone());
    let needed: BTreeSet<_> = used.chain(manifest.prior.clone()).collect();
    match needed.iter().find(|label| !listed.contains_key(*label)) {
        Some(gone) => Err(Report::failed(format!(
            "backup {gone}, which this one needs, was removed while it was made: another host expires this repository"
        ))
        .hint("make the backup again")),
        None => Ok(()),
    }
}

/// The last look before the backup exists: every file has what a restore needs to prove it.
fn refuse_unsound(manifest: &Manifest) -> Result<()> {
    let unsound = manifest.files.iter().find(|file| file.size_bytes > 0 && file.checksum.is_none());
    if let Some(file) = unsound {
        return Err(Report::failed(format!("{} was not copied: the backup is not complete", file.name)));
    }
    if manifest.files.find(super::compare::CONTROL_NAME).is_none() {
        return Err(Report::failed("pg_control was not copied: the backup is not complete"));
    }
    Ok(())
}

/// Gives every file of an earlier backup a name in this one's folder, where the store can.
fn link_unchanged(storage: &dyn Storage, folder: &StorePath, manifest: &Manifest) -> Result<()> {
    // What lies in a bundle, or in blocks of several backups, has no object that could bear the file's name.
    let whole = |file: &FileEntry<'_>| !file.stored_here && file.bundle.is_none() && file.block.is_none();
    for file in manifest.files.iter().filter(whole) {
        let (path, ..) = manifest.stored(&file)?;
        let own = folder.join(&format!("{}{}", file.name, manifest.compression.extension()))?;
        if !storage.hard_link(&path, &own)? {
            return Ok(());
        }
    }
    Ok(())
}

/// What came out, for people and programs.
pub(super) fn outcome(
    warnings: Vec<String>,
    plan: &Plan,
    manifest: &Manifest,
    counted: Counted,
    repo: u32,
    took: Duration,
) -> Outcome {
    let entry = BackupEntry::of(manifest);
    let page_errors = manifest
        .files
        .iter()
        .filter(|file| file.page_ok == Some(false))
        .map(|file| PageErrors { file: file.name.to_owned(), pages: file.page_errors.clone() });
    Outcome {
        label: manifest.label.to_string(),
        kind: manifest.kind.to_string(),
        prior: manifest.prior.as_ref().map(ToString::to_string),
        repo,
        resumed: plan.resumed,
        files_total: manifest.files.len() as u64,
        files_stored: counted.stored,
        files_unchanged: counted.same,
        files_gone: counted.gone,
        size_bytes: entry.size_bytes,
        stored_size_bytes: entry.delta_bytes,
        repo_bytes: entry.repo_delta_bytes,
        lsn_start: manifest.lsn_start.map(|lsn| lsn.to_string()),
        lsn_stop: manifest.lsn_stop.map(|lsn| lsn.to_string()),
        archive_start: manifest.archive_start.map(|segment| segment.to_string()),
        archive_stop: manifest.archive_stop.map(|segment| segment.to_string()),
        page_errors: page_errors.collect(),
        took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        warnings,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_between_two_segments_belongs_to_the_first() {
        let size = WalSegmentSize::DEFAULT;
        let stop = |lsn: &str, named: &str| Stop {
            lsn: lsn.parse().unwrap(),
            segment: named.parse().unwrap(),
            at: Timestamp(0),
            label: String::new(),
            tablespace_map: String::new(),
        };
        for (lsn, named, last) in [
            ("0/5000100", "000000020000000000000005", "000000020000000000000005"),
            // As 16 and as 17 name it.
            ("0/5000000", "000000020000000000000004", "000000020000000000000004"),
            ("0/5000000", "000000020000000000000005", "000000020000000000000004"),
            ("1/0", "000000020000000100000000", "0000000200000000000000FF"),
        ] {
            assert_eq!(last_segment(&stop(lsn, named), size).to_string(), last, "{lsn} {named}");
        }
    }
}

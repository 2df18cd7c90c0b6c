//! The catalog and the archive as lists for people: read on demand, as large as they are.
//!
//! A repository that cannot be read is a sentence beside the others. WAL comes as stretches, never as segments.

use super::verified;
use crate::base::state::StateDir;
use crate::base::{Report, Timestamp, WalSegmentSize};
use crate::config::Settings;
use crate::engine::catalog::{self, BackupView, Query, StanzaView, Status};
use crate::engine::locks::LockFolder;
use crate::engine::pin::{PIN, PIN_LSN, PIN_WAL, Pin};
use crate::engine::repositories::{Repositories, Slot};
use crate::engine::verify::record::Record;
use crate::engine::wal_ranges::way;
use crate::engine::wal_ranges::{self, ArchivedRanges};
use crate::model::catalog::{BackupRow, CatalogView, Pinned};
use crate::model::wal_view::{ArchiveRow, Stretch, TimelineRow, WalView};
use std::collections::BTreeMap;
use std::path::PathBuf;

const COMMAND: &str = "info";

/// The backups; with what verifications came to, where there is a state directory.
pub(super) fn catalog(settings: &Settings, stanza: &str, state: Option<&StateDir>) -> CatalogView {
    let repositories = Repositories::open(settings, COMMAND);
    let locks = LockFolder(PathBuf::from(settings.text("lock-path").unwrap_or("/tmp/pgbackrest")));
    let query = Query { stanza: Some(stanza), ..Query::default() };
    let read = catalog::read(&repositories.slots, &query, &locks);
    let mut troubles = repositories.warnings;
    troubles.extend(read.warnings);
    let mut records: BTreeMap<u32, Record> = BTreeMap::new();
    for slot in &repositories.slots {
        match state.map(|state| Record::read(state, stanza, slot.key)) {
            Some(Ok(Some(record))) => drop(records.insert(slot.key, record)),
            Some(Err(report)) => {
                troubles
                    .push(format!("repo{}: what was verified is not known: {}", slot.key, report.headline));
            }
            None | Some(Ok(None)) => {}
        }
    }
    let mut backups = Vec::new();
    for view in &read.stanzas {
        let sound = |status: &Status| matches!(status, Status::Ok);
        let unsound = view.repos.iter().filter(|repo| !sound(&repo.status));
        troubles.extend(unsound.map(|repo| format!("repo{}: {}", repo.key, repo.status)));
        backups.extend(view.backups.iter().map(|backup| row(view, backup, records.get(&backup.repo_key))));
    }
    CatalogView { stanza: stanza.to_owned(), backups, troubles, read_at: Some(Timestamp::now()) }
}

fn row(stanza: &StanzaView, backup: &BackupView, record: Option<&Record>) -> BackupRow {
    let entry = &backup.entry;
    let repo = stanza.repos.iter().find(|repo| repo.key == backup.repo_key);
    let version = repo.and_then(|repo| repo.databases.iter().find(|database| database.id == entry.db_id));
    let database = version
        .map_or_else(|| entry.db_id.to_string(), |database| format!("{}-{}", database.version, entry.db_id));
    let pinned = Pin::of(&entry.annotations);
    let other = |(key, _): &(&String, &String)| ![PIN, PIN_LSN, PIN_WAL].contains(&key.as_str());
    let notes = entry.annotations.iter().filter(|note| pinned.is_none() || other(note));
    BackupRow {
        repo: backup.repo_key,
        label: entry.label.to_string(),
        kind: entry.kind,
        prior: entry.prior.as_ref().map(ToString::to_string),
        start: entry.start,
        stop: entry.stop,
        size_bytes: entry.size_bytes,
        delta_bytes: entry.delta_bytes,
        stored_bytes: entry.repo_delta_bytes,
        wal: entry.archive_start.zip(entry.archive_stop).map(|(a, b)| (a.to_string(), b.to_string())),
        consistent_at: entry.lsn_stop,
        database,
        page_errors: entry.page_error,
        annotations: notes.map(|(key, text)| (key.clone(), text.clone())).collect(),
        pinned: pinned.map(|pin| Pinned { restore_point: pin.restore_point, doubts: pin.doubts }),
        verified: record.and_then(|record| verified::of_backup(record, entry)),
        online: entry.online,
        made_by: entry.backrest_version.clone(),
    }
}

pub(super) fn wal(settings: &Settings, stanza: &str) -> WalView {
    let repositories = Repositories::open(settings, COMMAND);
    let mut view = WalView { troubles: repositories.warnings, ..WalView::default() };
    for slot in &repositories.slots {
        match wal_ranges::read(std::slice::from_ref(slot), Some(stanza)) {
            Ok(found) => view.archives.extend(found.iter().map(|archived| archive(slot, archived))),
            Err(Report { headline, .. }) => view.troubles.push(format!("repo{}: {headline}", slot.key)),
        }
    }
    view.read_at = Some(Timestamp::now());
    view
}

fn archive(slot: &Slot, archived: &ArchivedRanges) -> ArchiveRow {
    // Which timeline came from which is an extra; without it the stretches still stand.
    let parents = way::parents(slot, archived).unwrap_or_default();
    let mut timelines: Vec<TimelineRow> = Vec::new();
    for range in &archived.ranges.ranges {
        let timeline = range.timeline();
        let there = Stretch {
            first: range.first,
            last: range.last,
            segments: range.segments(archived.size),
            stored_bytes: range.stored_bytes,
            missing: false,
            first_number: range.first.number(archived.size),
        };
        if let Some(row) = timelines.last_mut().filter(|row| row.timeline == timeline) {
            row.stretches.extend(gap(row, &there, archived.size));
            row.stretches.push(there);
        } else {
            let parent = parents.iter().find(|(child, _)| *child == timeline).map(|(_, parent)| *parent);
            timelines.push(TimelineRow { timeline, parent, stretches: vec![there] });
        }
    }
    ArchiveRow {
        repo: archived.repo_key,
        id: archived.id.to_string(),
        segment_bytes: archived.size.bytes(),
        size_assumed: archived.size_assumed,
        timelines,
        conflicts: archived.ranges.conflicts.clone(),
        impossible: archived.ranges.impossible.clone(),
    }
}

/// What is missing between the last stretch of a row and the next.
fn gap(row: &TimelineRow, next: &Stretch, size: WalSegmentSize) -> Option<Stretch> {
    let first = row.stretches.last()?.last.next(size);
    let first_number = first.number(size);
    let last = crate::base::WalSegment::from_number(row.timeline, next.first_number.checked_sub(1)?, size);
    let segments = next.first_number.checked_sub(first_number)?;
    Some(Stretch { first, last, segments, stored_bytes: 0, missing: true, first_number })
}

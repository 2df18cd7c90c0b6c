//! What is missing in the archives, and telling it.
//!
//! A segment may be on its way when its successors are there: it is looked for again before it is called missing.

use super::archive::Shelved;
use super::finding::Level;
use super::holes::{Hole, HoleKind, Shape};
use super::infos::Infos;
use super::segment::{self, Job};
use super::shelf::Shelf;
use super::{Work, info_now};
use crate::base::{PgVersion, Result, SystemId, Timeline, Timestamp, WalSegment, WalSegmentSize};
use crate::engine::pin::Pin;
use crate::repo::archive::WalRange;
use crate::repo::{BackupEntry, BackupInfo, Found};
use std::collections::BTreeMap;

/// A segment stored so lately that the one before it may still be on its way, in seconds.
const FRESH_S: i64 = 60;
/// How often a segment that may be on its way is looked for.
const LOOKS: usize = 8;
/// More missing segments than this are on no way.
const MOST_ON_THE_WAY: u64 = 4096;

/// Finds out what is missing, archive by archive; ids of one cluster are one archive.
pub(super) fn find_holes(work: &Work<'_>, infos: &Infos, shelved: &mut [Shelved]) -> Result<()> {
    if work.request.set.is_some() {
        return Ok(());
    }
    // What looks missing may have been expired since backup.info was read.
    let mut now = None;
    for index in 0..shelved.len() {
        let cluster = shelved[index].cluster;
        if shelved[index + 1..].iter().any(|other| other.cluster == cluster) {
            continue;
        }
        let hurt = |holes: &[Hole]| holes.iter().any(|hole| hole.kind == HoleKind::Missing);
        let mut holes = holes_of(shelved, cluster, &infos.backup, index);
        if (hurt(&holes) || !shelved[index].vanished.is_empty()) && now.is_none() {
            work.wait()?;
            now = info_now(work);
        }
        let info = now.as_ref().unwrap_or(&infos.backup);
        holes = if now.is_some() { holes_of(shelved, cluster, info, index) } else { holes };
        if hurt(&holes) && look_again(work, infos, shelved, index, &holes)? {
            holes = holes_of(shelved, cluster, info, index);
        }
        let own = &mut shelved[index];
        tell_holes(own, &holes)?;
        tell_histories(own, info)?;
        own.result.holes = holes;
    }
    Ok(())
}

fn holes_of(
    shelved: &[Shelved],
    cluster: (PgVersion, SystemId),
    info: &BackupInfo,
    index: usize,
) -> Vec<Hole> {
    let siblings = shelved.iter().filter(|other| other.cluster == cluster);
    let mut runs: Vec<WalRange> =
        siblings.flat_map(|other| other.result.ranges.iter().chain(&other.dark)).copied().collect();
    runs.sort_unstable_by_key(|run| run.first);
    let own = &shelved[index];
    let siblings = shelved.iter().filter(|other| other.cluster == cluster);
    let histories: BTreeMap<_, _> = siblings.flat_map(|other| other.histories.clone()).collect();
    let needs = needs(info, cluster);
    Shape { runs: &runs, histories: &histories, needs: &needs, size: own.size }.holes()
}

/// First and last segment of every backup of a cluster, oldest backup first; one that is pinned for a restore point needs
/// WAL through that.
fn needs(info: &BackupInfo, cluster: (PgVersion, SystemId)) -> Vec<(WalSegment, WalSegment)> {
    let cluster_of = |id: &u32| info.history.get(id).map(|db| (db.version, db.system_id));
    let own = info.backups.values().filter(|entry| cluster_of(&entry.db_id) == Some(cluster));
    let last = |entry: &BackupEntry| {
        let stop = entry.archive_stop?;
        let pinned = Pin::of(&entry.annotations).and_then(|pin| pin.wal);
        Some(pinned.filter(|pinned| pinned.timeline == stop.timeline && *pinned > stop).unwrap_or(stop))
    };
    let of = own.filter_map(|entry| entry.archive_start.zip(last(entry)));
    of.filter(|(start, stop)| start <= stop).collect()
}

/// Looks for missing segments once more, and for those that may be on their way several times; true if one came.
fn look_again(
    work: &Work<'_>,
    infos: &Infos,
    shelved: &mut [Shelved],
    index: usize,
    holes: &[Hole],
) -> Result<bool> {
    let own = &shelved[index];
    let missing: Vec<&Hole> = holes.iter().filter(|hole| hole.kind == HoleKind::Missing).collect();
    if missing.iter().map(|hole| hole.segments).sum::<u64>() > MOST_ON_THE_WAY {
        return Ok(false);
    }
    let mut wanted: Vec<WalSegment> = missing
        .iter()
        .flat_map(|hole| (0..hole.segments).map(|step| step_on(hole.first, step, own.size)))
        .collect();
    let fresh = missing.iter().any(|hole| is_fresh(work, &own.shelf, hole.last.next(own.size)));
    let mut came = Vec::new();
    for look in 0..if fresh { LOOKS } else { 1 } {
        if look > 0 {
            work.wait()?;
        }
        wanted.retain(|segment| match own.shelf.archive.find(&own.shelf.id, *segment) {
            Ok(Found::One(stored)) => {
                came.push(stored);
                false
            }
            _ => true,
        });
        if wanted.is_empty() {
            break;
        }
    }
    let came_any = !came.is_empty();
    for stored in came {
        let own = &mut shelved[index];
        let path = own.shelf.archive.path(&own.shelf.id, &stored)?;
        for job in Job::of_segment(&[(path, stored)]) {
            let mut buffer = vec![0; 64 * 1024];
            let cipher = infos.archive.cipher_pass.as_ref();
            let judged = segment::check(work, &own.shelf, cipher, &job, &mut buffer)?;
            own.take(&job, &judged);
        }
        own.result.ranges.push(WalRange {
            first: stored.segment,
            last: stored.segment,
            stored_bytes: stored.stored_bytes,
        });
        own.result.ranges.sort_unstable_by_key(|run| run.first);
    }
    Ok(came_any)
}

fn step_on(first: WalSegment, step: u64, size: WalSegmentSize) -> WalSegment {
    WalSegment::from_number(first.timeline, first.number(size) + step, size)
}

/// True if a segment was stored within the last minute, by the clocks of the store and of this host.
fn is_fresh(work: &Work<'_>, shelf: &Shelf, segment: WalSegment) -> bool {
    let found = shelf.archive.find(&shelf.id, segment);
    let Ok(Found::One(stored)) = found else { return false };
    let meta = shelf.archive.path(&shelf.id, &stored).ok().and_then(|path| work.storage.stat(&path).ok());
    let age = meta.flatten().map(|meta| Timestamp::now().unix_s() - meta.modified.unix_s());
    age.is_some_and(|age| age.abs() < FRESH_S)
}

/// Holes that hurt are damage; a segment that was there when it was listed is told apart.
fn tell_holes(own: &mut Shelved, holes: &[Hole]) -> Result<()> {
    for hole in holes {
        let path = own.shelf.folder.join(&hole.first.folder())?.join(&hole.first.to_string())?;
        let many = if hole.segments == 1 {
            "is missing".to_owned()
        } else {
            format!("and all up to {} are missing ({} segments)", hole.last, hole.segments)
        };
        let (level, why) = match hole.kind {
            HoleKind::Missing => {
                (Level::Damage, format!("{many}: recovery from the backups before it ends there"))
            }
            HoleKind::Expired => (Level::Note, format!("{many}, as expiring leaves it")),
            HoleKind::Unneeded => (Level::Note, format!("{many}; no backup needs it")),
        };
        own.result.findings.add(level, &path, why);
    }
    let hurts = |segment: &WalSegment| {
        holes.iter().any(|hole| hole.kind == HoleKind::Missing && (hole.first..=hole.last).contains(segment))
    };
    for segment in own.vanished.iter().filter(|segment| !hurts(segment)) {
        let path = own.shelf.folder.join(&segment.folder())?.join(&segment.to_string())?;
        own.result.findings.add(Level::Note, &path, "was expired while the archive was read");
    }
    Ok(())
}

/// A timeline without its history file cannot be followed to by backups from before its fork.
fn tell_histories(own: &mut Shelved, info: &BackupInfo) -> Result<()> {
    let needs = needs(info, own.cluster);
    let shape = Shape { runs: &own.result.ranges, histories: &own.histories, needs: &needs, size: own.size };
    let mut timelines: Vec<Timeline> = own.result.ranges.iter().map(WalRange::timeline).collect();
    timelines.dedup();
    let lost = timelines.into_iter().filter(|timeline| !own.shelf.histories.contains(timeline));
    let told: Vec<_> =
        lost.filter(|t| t.0 > 1).map(|timeline| (timeline, shape.needs_history(timeline))).collect();
    for (timeline, needed) in told {
        let path = own.shelf.folder.join(&timeline.history_file())?;
        let (level, why) = if needed {
            (Level::Damage, "is missing: backups from before the timeline's fork cannot recover to it")
        } else {
            (Level::Note, "is not there; no backup needs it")
        };
        own.result.findings.add(level, &path, why);
    }
    Ok(())
}

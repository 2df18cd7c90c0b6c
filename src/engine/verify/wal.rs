//! The WAL a backup needs to become consistent: without it every file of the backup may be sound and it cannot be used.
//!
//! pgBackRest does not look for it. A segment that was copied into the backup itself is not missed in the archive.

use super::archive::{Archives, Shelved};
use super::finding::{Findings, Level, Verdict};
use super::holes::Shape;
use super::labels::Listed;
use super::outcome::WalNeed;
use crate::base::{WalSegment, WalSegmentSize};
use crate::repo::Manifest;
use crate::repo::archive::WalRange;
use std::collections::BTreeMap;

/// A stretch of WAL that is not looked at segment by segment.
const LONG: u64 = 65_536;

/// What the backup needs and what of it is not there; true if that could not be found out.
pub(super) fn need(
    manifest: &Manifest,
    label: &Listed,
    archives: &Archives,
    findings: &mut Findings,
) -> (Option<WalNeed>, bool) {
    let Some((start, stop)) = manifest.archive_start.zip(manifest.archive_stop) else { return (None, false) };
    let cluster = (manifest.db.version, manifest.db.system_id);
    let own: Vec<&Shelved> = archives.shelved.iter().filter(|shelf| shelf.cluster == cluster).collect();
    let mut need = WalNeed { start, stop, missing: 0, damaged: 0 };
    if start > stop {
        let why = format!("cannot be right: it needs WAL from {start} to {stop}");
        findings.add(Level::Damage, &label.folder, why);
        need.missing = 1;
        return (Some(need), false);
    }
    let size = own.last().map_or(WalSegmentSize::DEFAULT, |shelf| shelf.size);
    let mut runs: Vec<WalRange> = own.iter().flat_map(|shelf| shelf.result.ranges.iter()).copied().collect();
    runs.sort_unstable_by_key(|run| run.first);
    let shape = Shape { runs: &runs, histories: &BTreeMap::new(), needs: &[], size };
    let copied = |segment: WalSegment| manifest.files.find(&format!("pg_data/pg_wal/{segment}")).is_some();
    let blind = !archives.listed || own.iter().any(|shelf| !shelf.shelf.listed);
    let dark = |segment: WalSegment| {
        let mut dark = own.iter().flat_map(|shelf| &shelf.dark);
        blind || dark.any(|run| (run.first..=run.last).contains(&segment))
    };
    let mut unknown = false;
    let mut missing = Vec::new();
    for (first, last) in shape.absent(start, stop) {
        // A stretch that long is lost as a whole; what a backup copies is never so much.
        if last - first >= LONG && !blind {
            need.missing += last - first + 1;
            missing.push(WalSegment::from_number(start.timeline, first, size));
            continue;
        }
        for segment in (first..=last).map(|number| WalSegment::from_number(start.timeline, number, size)) {
            if dark(segment) {
                unknown = true;
                break;
            }
            if !copied(segment) {
                need.missing += 1;
                missing.push(segment);
            }
        }
    }
    let mut damaged = Vec::new();
    for (segment, verdict) in own.iter().flat_map(|shelf| shelf.bad.range(start..=stop)) {
        match verdict {
            _ if copied(*segment) => {}
            Verdict::Unreadable => unknown = true,
            _ => {
                need.damaged += 1;
                damaged.push(*segment);
            }
        }
    }
    for (list, count, what) in [
        (&missing, need.missing, "missing in the archive"),
        (&damaged, need.damaged, "damaged in the archive"),
    ] {
        let Some(first) = list.first() else { continue };
        let more = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
        findings.add(
            Level::Damage,
            &label.folder,
            format!("cannot become consistent: WAL segment {first}{more}, which it needs, is {what}"),
        );
    }
    if unknown {
        let why = format!("needs WAL {start} to {stop}, and not all of it could be looked at");
        findings.add(Level::Unknown, &label.folder, why);
    }
    (Some(need), unknown)
}

//! The WAL a backup needs to become consistent: without it every file of the backup may be sound and it cannot be used.
//!
//! pgBackRest does not look for it. A segment that was copied into the backup itself is not missed in the archive.

use super::archive::Shelved;
use super::finding::{Findings, Level, Verdict};
use super::holes::Shape;
use super::labels::Label;
use super::outcome::WalNeed;
use crate::base::{Result, WalSegment};
use crate::repo::Manifest;
use crate::repo::archive::WalRange;
use std::collections::BTreeMap;

/// What the backup needs and what of it is not there; true if that could not be found out.
pub(super) fn need(
    manifest: &Manifest,
    label: &Label,
    archives: &[Shelved],
    findings: &mut Findings,
) -> Result<(Option<WalNeed>, bool)> {
    let Some((start, stop)) = manifest.archive_start.zip(manifest.archive_stop) else {
        return Ok((None, false));
    };
    let cluster = (manifest.db.version, manifest.db.system_id);
    let own: Vec<&Shelved> = archives.iter().filter(|shelf| shelf.cluster == cluster).collect();
    let mut need = WalNeed { start, stop, missing: 0, damaged: 0 };
    let Some(shelf) = own.last() else {
        findings.add(
            Level::Damage,
            &label.folder,
            format!("needs WAL {start} to {stop}, but there is no archive of its cluster: it cannot become consistent"),
        );
        need.missing = 1;
        return Ok((Some(need), false));
    };
    let size = shelf.size;
    let mut runs: Vec<WalRange> = own.iter().flat_map(|shelf| shelf.result.ranges.iter()).copied().collect();
    runs.sort_unstable_by_key(|run| run.first);
    let shape = Shape { runs: &runs, histories: &BTreeMap::new(), needs: &[], size };
    let copied = |segment: WalSegment| manifest.files.find(&format!("pg_data/pg_wal/{segment}")).is_some();
    let dark = |segment: WalSegment| {
        own.iter().flat_map(|shelf| &shelf.dark).any(|run| (run.first..=run.last).contains(&segment))
    };
    let mut unknown = false;
    let mut missing = Vec::new();
    for (first, last) in shape.absent(start, stop) {
        for number in first..=last {
            let segment = WalSegment::from_number(start.timeline, number, size);
            if dark(segment) {
                unknown = true;
            } else if !copied(segment) {
                need.missing += 1;
                missing.push(segment);
            }
            // A range that long is told by its beginning.
            if missing.len() > 1000 {
                break;
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
    for (list, what) in [(&missing, "missing in the archive"), (&damaged, "damaged in the archive")] {
        let Some(first) = list.first() else { continue };
        let more = if list.len() > 1 { format!(" and {} more", list.len() - 1) } else { String::new() };
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
    Ok((Some(need), unknown))
}

//! What a hole in the archive means: which backups cannot be recovered past it, as far as the catalog tells.

use super::bar::last_number;
use crate::base::{Timeline, WalSegment, WalSegmentSize};
use crate::console::screens::paint::counted;
use crate::console::widgets::moment;
use crate::model::catalog::{BackupRow, CatalogView};
use crate::model::wal_view::{ArchiveRow, Stretch, TimelineRow};

/// What follows from the gap `gap` of `timeline`, in a sentence.
pub(super) fn consequence(
    archive: &ArchiveRow,
    timeline: &TimelineRow,
    gap: &Stretch,
    catalog: Option<&CatalogView>,
) -> String {
    let Some(catalog) = catalog else {
        return format!(
            "no recovery passes {}; the backups are not read yet, so it is not known which are behind it",
            gap.first
        );
    };
    let Ok(size) = WalSegmentSize::new(archive.segment_bytes) else {
        return format!("no recovery passes {}", gap.first);
    };
    let line = ancestry(archive, timeline.timeline);
    let (mut before, mut inside, mut after) = (None::<&BackupRow>, None::<&BackupRow>, None::<&BackupRow>);
    for backup in catalog.backups.iter().filter(|backup| backup.repo == archive.repo) {
        let Some((first, last)) = needed(backup) else { continue };
        if !on_line(archive, &line, first, size) {
            continue;
        }
        if last.number(size) < gap.first_number {
            before = before.filter(|other| other.stop >= backup.stop).or(Some(backup));
        } else if first.number(size) > last_number(gap) && first.timeline == timeline.timeline {
            after = after.filter(|other| other.stop <= backup.stop).or(Some(backup));
        } else if first.timeline == timeline.timeline {
            inside = Some(backup);
        }
    }
    let mut parts = Vec::new();
    if let Some(backup) = inside {
        parts.push(format!("backup {} needs it and cannot be recovered", backup.label));
    }
    if let Some(backup) = before {
        parts.push(format!(
            "backups that stopped up to {} UTC cannot be recovered past {}",
            moment(backup.stop),
            gap.first
        ));
    }
    match after {
        Some(backup) => parts.push(format!("backups from {} UTC on do not need it", moment(backup.stop))),
        None if parts.is_empty() => parts.push("no backup in the catalog needs it".to_owned()),
        None => parts.push("no backup was made after it: make one now".to_owned()),
    }
    parts.join("; ")
}

fn needed(backup: &BackupRow) -> Option<(WalSegment, WalSegment)> {
    let (first, last) = backup.wal.as_ref()?;
    Some((first.parse().ok()?, last.parse().ok()?))
}

/// A timeline with its ancestors, each with the number of the segment in which its child left it.
fn ancestry(archive: &ArchiveRow, timeline: Timeline) -> Vec<(Timeline, u64)> {
    let mut line = vec![(timeline, u64::MAX)];
    let find = |wanted: Timeline| archive.timelines.iter().find(|row| row.timeline == wanted);
    let mut here = find(timeline);
    while let Some((parent, at)) = here.and_then(|row| row.parent) {
        if line.iter().any(|(known, _)| *known == parent) {
            break;
        }
        line.push((parent, at.0 / u64::from(archive.segment_bytes.max(1))));
        here = find(parent);
    }
    line
}

fn on_line(archive: &ArchiveRow, line: &[(Timeline, u64)], first: WalSegment, size: WalSegmentSize) -> bool {
    // Without its history file nothing is known of where a timeline came from; then only its own backups count.
    let until = line.iter().find(|(timeline, _)| *timeline == first.timeline).map(|(_, until)| *until);
    !archive.timelines.is_empty() && until.is_some_and(|until| first.number(size) <= until)
}

/// What is to be said of a stretch in one line.
pub(super) fn words(timeline: &TimelineRow, stretch: &Stretch) -> String {
    let number = counted(stretch.segments, "segment", "segments");
    let names = if stretch.segments == 1 {
        stretch.first.to_string()
    } else {
        format!("{} – {}", stretch.first, stretch.last)
    };
    let missing = if stretch.missing { " missing" } else { "" };
    format!("TL {}  {number}{missing}  {names}", timeline.timeline)
}

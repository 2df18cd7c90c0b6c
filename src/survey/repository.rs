//! Looking at one repository: its backups, and its WAL. Two probes, so that one that hangs leaves the other.
//!
//! Reads info files and listings; opens no backup.

use crate::base::{BackupKind, Kind, Report, Timeline, WalSegment};
use crate::config::Settings;
use crate::engine::locks::{Lock, LockFolder, Work, percent_hundredths};
use crate::engine::repositories::{Repositories, Slot};
use crate::engine::wal_ranges::way::{self, Present};
use crate::model::board::{BackupFacts, TimelineFacts, WalFacts};
use crate::model::fact::Answer;
use crate::repo::BackupInfo;
use crate::repo::archive::WalRange;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// How many ends of backups are kept for the picture of the recovery window.
const MARKS: usize = 400;
/// How many runs of a timeline are kept for it.
const RUNS: usize = 2000;
/// For messages about options that other commands take.
const COMMAND: &str = "info";

/// A repository of a stanza.
#[derive(Debug, Clone)]
pub(super) struct RepoPlace {
    pub settings: Settings,
    pub stanza: String,
    pub key: u32,
}

/// What other probes' answers are compared with.
#[derive(Debug)]
pub(super) struct Needs {
    /// The first segments that backups need, oldest backup first.
    pub starts: Vec<WalSegment>,
    /// The labels of all backups.
    pub labels: BTreeSet<String>,
}

impl RepoPlace {
    fn open(&self) -> Result<Slot, Report> {
        let slot = Repositories::open_only(&self.settings, self.key, COMMAND).slots.into_iter().next();
        slot.ok_or_else(|| Report::usage(format!("repository {} is not configured", self.key)))
    }

    pub(super) fn backups(&self) -> (Answer<BackupFacts>, Option<Needs>) {
        let read = || {
            let slot = self.open()?;
            let repository = slot.repository.as_ref().map_err(Clone::clone)?;
            Ok::<_, Report>(repository.stanza(&self.stanza).backup_info()?.value)
        };
        match read() {
            Ok(info) => {
                let starts = info
                    .backups
                    .values()
                    .filter(|backup| backup.db_id == info.current_db_id)
                    .filter_map(|backup| backup.archive_start)
                    .collect();
                let labels = info.backups.keys().map(ToString::to_string).collect();
                (Answer::Known { value: self.facts(&info) }, Some(Needs { starts, labels }))
            }
            Err(report) => (told(&report), None),
        }
    }

    fn facts(&self, info: &BackupInfo) -> BackupFacts {
        let mut own: Vec<_> =
            info.backups.values().filter(|backup| backup.db_id == info.current_db_id).collect();
        own.sort_unstable_by_key(|backup| backup.stop);
        let last = |kind: BackupKind| {
            own.iter().rev().find(|backup| backup.kind == kind).map(|backup| (kind, backup.stop))
        };
        let trouble = match (info.backups.is_empty(), own.is_empty()) {
            (true, _) => Some("no valid backups".to_owned()),
            (false, true) => Some("no backups of the present cluster".to_owned()),
            (false, false) => None,
        };
        let skipped = own.len().saturating_sub(MARKS);
        let lock = self.lock();
        let percent =
            lock.bytes.map(|(done, total)| percent_hundredths(done, total)).or(lock.percent_hundredths);
        BackupFacts {
            total: info.backups.len(),
            oldest_stop: own.first().map(|backup| backup.stop),
            last: [BackupKind::Full, BackupKind::Diff, BackupKind::Incr]
                .into_iter()
                .filter_map(last)
                .collect(),
            newest_damaged: own
                .last()
                .filter(|backup| backup.page_error == Some(true))
                .map(|backup| backup.label.to_string()),
            with_errors: own.iter().filter(|backup| backup.page_error == Some(true)).count(),
            running: lock.held.then_some(percent),
            marks: own.iter().skip(skipped).map(|backup| (backup.stop, backup.kind)).collect(),
            trouble,
        }
    }

    /// A backup or expire at work. Up to 2.52 pgBackRest does not say on which repository; whoever says it holds the
    /// lock of the whole stanza beside the repository's own.
    fn lock(&self) -> Lock {
        let folder = self.settings.text("lock-path").unwrap_or("/tmp/pgbackrest");
        let folder = LockFolder(PathBuf::from(folder));
        let own = folder.of_repo(&self.stanza, Work::Backup, self.key);
        let others = self.settings.repos().iter().map(|repo| repo.key).filter(|key| *key != self.key);
        let elsewhere = || others.into_iter().any(|key| folder.of_repo(&self.stanza, Work::Backup, key).held);
        if own.held || elsewhere() { own } else { folder.of_stanza(&self.stanza, Work::Backup) }
    }

    pub(super) fn wal(&self) -> (Answer<WalFacts>, Option<Present>) {
        match self.open().and_then(|slot| way::present(&slot, &self.stanza)) {
            Ok(Some(present)) => (Answer::Known { value: wal_facts(&present) }, Some(present)),
            Ok(None) => (Answer::Known { value: WalFacts::default() }, None),
            Err(report) => (told(&report), None),
        }
    }
}

fn wal_facts(present: &Present) -> WalFacts {
    let ranges = &present.archived.ranges;
    let mut timelines: Vec<Timeline> = ranges.ranges.iter().map(WalRange::timeline).collect();
    timelines.dedup();
    let facts = |timeline: Timeline| {
        let own = || ranges.ranges.iter().filter(move |range| range.timeline() == timeline);
        let runs: Vec<(u64, u64)> = present.runs(timeline).collect();
        let skipped = runs.len().saturating_sub(RUNS);
        TimelineFacts {
            timeline,
            first: own().next().map(|range| range.first.to_string()).unwrap_or_default(),
            last: own().next_back().map(|range| range.last.to_string()).unwrap_or_default(),
            runs: runs.into_iter().skip(skipped).collect(),
        }
    };
    WalFacts {
        last_segment: ranges.ranges.last().map(|range| range.last.to_string()),
        last_stored: present.last_stored,
        last_commit: None,
        timelines: timelines.into_iter().map(facts).collect(),
        missing: 0,
        conflicts: ranges.conflicts.len() as u64,
    }
}

/// A failed look: damage was seen, being kept out says nothing.
fn told<T>(report: &Report) -> Answer<T> {
    match report.kind {
        Kind::Unreachable => Answer::Unknown { why: report.headline.clone() },
        _ => Answer::Failed { why: report.headline.clone() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn being_kept_out_is_not_damage() {
        let unknown: Answer<WalFacts> = told(&Report::new(Kind::Unreachable, "no entry"));
        assert!(matches!(unknown, Answer::Unknown { .. }));
        let failed: Answer<WalFacts> = told(&Report::damaged("no entry"));
        assert!(matches!(failed, Answer::Failed { .. }));
    }
}

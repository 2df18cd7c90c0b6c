//! A made-up stanza in memory with a calendar of its own: one backup a day, WAL all the time.

use crate::made::{self, Made, Wanted, segment};
use pgmayday::base::{BackupLabel, Result, Timestamp, WalSegment};
use pgmayday::engine::expire::{ExpireView, FullRetention, Request, Retention, execute, plan};
use pgmayday::model::op::{Cancel, Silent};
use pgmayday::store::memory::Memory;
use pgmayday::store::{Storage as _, StorePath};
use std::collections::BTreeMap;
use std::sync::Arc;

const DAY_S: i64 = 86_400;
/// 2026-03-01 12:00 UTC.
const BEGIN_S: i64 = 1_772_366_400;

/// The stanza, and where its calendar and its WAL stand.
pub(crate) struct World {
    pub(crate) made: Made,
    pub(crate) store: Memory,
    /// Days since the beginning; the next backup is made at the end of this one.
    pub(crate) day: i64,
    pub(crate) timeline: u32,
    /// The number of the last segment that was archived.
    pub(crate) number: u32,
    /// Everything archived, by cluster.
    pub(crate) archived: Vec<(u32, WalSegment)>,
    last: Option<BackupLabel>,
}

impl World {
    pub(crate) fn new() -> Self {
        let store = Memory::default();
        let made = Made::new(Arc::new(store.clone()));
        Self { made, store, day: 0, timeline: 1, number: 0, archived: Vec::new(), last: None }
    }

    /// A minute after the last backup ended.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_unix_s(BEGIN_S + self.day * DAY_S + 120)
    }

    /// Archives segments.
    pub(crate) fn wal(&mut self, count: u32) {
        for _ in 0..count {
            self.number += 1;
            let next = segment(self.timeline, self.number);
            self.made.wal(self.made.info.current_db_id, next);
            self.archived.push((self.made.info.current_db_id, next));
        }
    }

    /// A full backup: a day later, two segments of WAL before it, two for it.
    pub(crate) fn full(&mut self) -> BackupLabel {
        self.backup(None, false, &[])
    }

    pub(crate) fn full_with(&mut self, notes: &[(&str, &str)]) -> BackupLabel {
        self.backup(None, false, notes)
    }

    /// A differential backup of the newest full one.
    pub(crate) fn diff(&mut self) -> BackupLabel {
        let full = self.last.clone().unwrap().full();
        self.backup(Some(full), true, &[])
    }

    /// An incremental backup of the newest.
    pub(crate) fn incr(&mut self) -> BackupLabel {
        self.backup(self.last.clone(), false, &[])
    }

    pub(crate) fn wanted(
        &mut self,
        prior: Option<BackupLabel>,
        diff: bool,
        notes: &[(&str, &str)],
    ) -> Wanted {
        self.made.refresh();
        self.day += 1;
        self.wal(2);
        let start = segment(self.timeline, self.number + 1);
        self.wal(2);
        Wanted {
            prior,
            diff,
            start_s: BEGIN_S + self.day * DAY_S,
            wal: Some((start, segment(self.timeline, self.number))),
            notes: notes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        }
    }

    pub(crate) fn backup(
        &mut self,
        prior: Option<BackupLabel>,
        diff: bool,
        notes: &[(&str, &str)],
    ) -> BackupLabel {
        let wanted = self.wanted(prior, diff, notes);
        let label = self.made.backup(&wanted);
        self.last = Some(label.clone());
        self.made.save();
        label
    }

    /// A backup of a stopped cluster.
    pub(crate) fn offline(&mut self) -> BackupLabel {
        let wanted = Wanted { wal: None, ..self.wanted(None, false, &[]) };
        let label = self.made.backup(&wanted);
        self.last = Some(label.clone());
        self.made.save();
        label
    }

    /// Annotates without asking anybody.
    pub(crate) fn note(&mut self, label: &BackupLabel, key: &str, value: &str) {
        self.made.refresh();
        let entry = self.made.info.backups.get_mut(label).unwrap();
        entry.annotations.insert(key.to_owned(), value.to_owned());
        self.made.save();
    }

    /// Plans and does it; the two must say the same.
    pub(crate) fn expire(&self, retention: &Retention, request: &Request) -> Result<ExpireView> {
        let before = self.files();
        let plan = plan(&self.made.stanza, retention, request, self.now());
        assert!(before == self.files(), "a plan wrote something");
        let plan = plan?;
        let planned = plan.view();
        let done = execute(&plan, &Silent, &Cancel::default())?;
        assert_eq!(ExpireView { took_ms: None, ..done.clone() }, planned);
        made::assert_sound(&self.made.stanza, &self.archived);
        Ok(done)
    }

    /// Expires by a retention alone.
    pub(crate) fn keep(&self, retention: &Retention) -> ExpireView {
        self.expire(retention, &Request::default()).unwrap()
    }

    /// What is listed now.
    pub(crate) fn listed(&self) -> Vec<BackupLabel> {
        self.made.stanza.backup_info().unwrap().value.backups.into_keys().collect()
    }

    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        made::files(&self.store, &StorePath::ROOT)
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.store.stat(&StorePath::new(path).unwrap()).unwrap().is_some()
    }

    /// The numbers of the segments of a timeline that are still archived, as runs of first and last.
    pub(crate) fn runs(&self, id: u32, timeline: u32) -> Vec<(u32, u32)> {
        let mut runs: Vec<(u32, u32)> = Vec::new();
        let start = format!("archive/main/15-{id}/");
        let named = self.files().into_keys().filter_map(|path| {
            let name = path.strip_prefix(&start)?.split_once('/')?.1;
            let segment: WalSegment = name.get(..24)?.parse().ok()?;
            (name.as_bytes()[24] == b'-' && segment.timeline.0 == timeline)
                .then_some((segment.log << 8) | segment.seg)
        });
        for number in named.collect::<Vec<_>>() {
            match runs.last_mut() {
                Some(run) if run.1 + 1 == number => run.1 = number,
                _ => runs.push((number, number)),
            }
        }
        runs
    }
}

pub(crate) fn fulls(count: u64) -> Retention {
    Retention { full: FullRetention::Count(count), ..Retention::default() }
}

pub(crate) fn days(days: u64) -> Retention {
    Retention { full: FullRetention::Days(days), ..Retention::default() }
}

pub(crate) fn labels(view: &ExpireView) -> Vec<BackupLabel> {
    view.expired.iter().map(|reason| reason.label.clone()).collect()
}

//! Which WAL stays, and what in the archive goes.
//!
//! What stays is a set of spans of segment names, compared as text is, timeline included: each kept backup from its first
//! to its last segment; from the oldest of the newest backups on, everything; each pin through its restore point. What
//! lies in no span goes. [`Keep`] is pure; only [`cut`] looks at the archive, one folder at a time.

use super::choose::{ArchiveRule, Choice};
use super::{Request, WalRun};
use crate::base::{BackupLabel, Report, Result, Timeline, WalSegment};
use crate::engine::pin::LastWal;
use crate::repo::archive::WalFile;
use crate::repo::{Archive, ArchiveId, ArchiveInfo, BackupEntry, BackupInfo};
use serde::Serialize;

/// WAL that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WalSpan {
    /// The backup it stays for; nothing if an operator named the segment.
    pub backup: Option<BackupLabel>,
    /// The first segment.
    pub from: WalSegment,
    /// The last segment; nothing = everything after the first.
    pub through: Option<WalSegment>,
}

impl WalSpan {
    fn has(&self, segment: WalSegment) -> bool {
        segment >= self.from && self.through.is_none_or(|last| segment <= last)
    }

    fn reaches(&self, folder: &str) -> bool {
        folder >= self.from.folder().as_str()
            && self.through.is_none_or(|last| folder <= last.folder().as_str())
    }
}

/// What is done with the archive of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Keep {
    /// Nothing is touched.
    Everything,
    /// There is no backup of it left, and it is not the cluster that archives now.
    Nothing,
    /// What lies in no span goes.
    Spans {
        /// What stays.
        spans: Vec<WalSpan>,
        /// Beyond this folder everything that is kept at all is kept whole.
        last_folder: String,
        /// History files of timelines before this one go, unless a closed span of a pin has them; nothing = all stay.
        first_timeline: Option<Timeline>,
    },
}

/// What in the archive of one cluster goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) id: ArchiveId,
    /// The whole folder of the cluster.
    pub(super) whole: bool,
    pub(super) kept: Vec<WalSpan>,
    pub(super) folders: Vec<String>,
    pub(super) files: Vec<WalFile>,
    pub(super) histories: Vec<Timeline>,
    /// Folders and files in runs, for people.
    pub(super) runs: Vec<WalRun>,
}

/// True if WAL is looked at at all: with fewer backups than are asked for it is too soon.
pub(super) fn applies(info: &BackupInfo, choice: &Choice, rule: ArchiveRule, request: &Request) -> bool {
    let there = newest_first(info, choice, rule).count() as u64;
    request.archive_before.is_some() || there > 0 && rule.count <= there
}

/// The backups that count, newest first.
fn newest_first<'a>(
    info: &'a BackupInfo,
    choice: &'a Choice,
    rule: ArchiveRule,
) -> impl Iterator<Item = &'a BackupEntry> {
    info.backups.values().rev().filter(move |entry| entry.kind <= rule.kind && choice.counts(&entry.label))
}

/// Both files must tell the same story of the stanza's clusters, from the newest back: a folder's number means nothing
/// otherwise.
pub(super) fn same_history(archive: &ArchiveInfo, backup: &BackupInfo) -> Result<()> {
    let mut theirs = backup.history.iter().rev();
    for (id, (version, system)) in archive.history.iter().rev() {
        let same = theirs.next().is_some_and(|(other, cluster)| {
            (other, cluster.version, cluster.system_id) == (id, *version, *system)
        });
        if !same {
            return Err(Report::damaged(format!(
                "archive.info and backup.info do not agree on the stanza's clusters (cluster {id} of archive.info)"
            ))
            .hint("nothing was removed; find out which of the two files is from another time, and put it right"));
        }
    }
    Ok(())
}

impl Keep {
    /// What stays of cluster `id`; `info` is without the backups that go.
    pub(super) fn of(
        info: &BackupInfo,
        choice: &Choice,
        rule: ArchiveRule,
        id: u32,
        current: bool,
        before: Option<WalSegment>,
    ) -> Self {
        let newest: Vec<_> = newest_first(info, choice, rule).collect();
        let kept_count = usize::try_from(rule.count).unwrap_or(usize::MAX).min(newest.len());
        let of_id = |entry: &&&BackupEntry| entry.db_id == id;
        // Where nothing counts, what is pinned is all there is of that cluster: its newest backup stays recoverable.
        let all: Vec<_> = info.backups.values().rev().collect();
        let retained = newest[..kept_count]
            .iter()
            .rfind(of_id)
            .or_else(|| newest.iter().find(of_id))
            .or_else(|| all.iter().find(of_id))
            .copied();
        match (retained, before) {
            (Some(retained), _) => Self::from_backup(info, choice, retained, before),
            (None, Some(before)) if current => Self::Spans {
                spans: vec![WalSpan { backup: None, from: before, through: None }],
                last_folder: before.folder(),
                first_timeline: None,
            },
            (None, _) if current => Self::Everything,
            (None, _) => Self::Nothing,
        }
    }

    /// Everything from this backup on, and what the others need.
    fn from_backup(
        info: &BackupInfo,
        choice: &Choice,
        retained: &BackupEntry,
        before: Option<WalSegment>,
    ) -> Self {
        // A backup of a stopped cluster says nothing about WAL.
        let Some(start) = retained.archive_start else { return Self::Everything };
        let mut spans = Vec::new();
        for entry in info.backups.values().filter(|entry| entry.db_id == retained.db_id) {
            let Some(from) = entry.archive_start else { continue };
            let pin = choice.pins.get(&entry.label);
            // A later backup whose WAL sorts before the retained one's is on a timeline that went on beside it.
            let open = entry.label >= retained.label && (entry.label == retained.label || from < start);
            let through = match pin.map(|pin| pin.last_wal(entry)) {
                _ if open => None,
                Some(LastWal::Unknown) => None,
                Some(LastWal::Through(last)) => Some(last),
                None if entry.label > retained.label => continue,
                None => entry.archive_stop,
            };
            spans.push(WalSpan { backup: Some(entry.label.clone()), from, through });
        }
        if let Some(from) = before.filter(|before| *before < start) {
            spans.push(WalSpan { backup: None, from, through: Some(start) });
        }
        let open = spans.iter().filter(|span| span.through.is_none());
        let first_timeline = open.map(|span| span.from.timeline).min();
        Self::Spans { spans, last_folder: start.folder(), first_timeline }
    }
}

/// Looks at the archive of one cluster for what goes.
pub(super) fn cut(archive: &Archive, id: ArchiveId, keep: Keep, choice: &Choice) -> Result<Option<Cut>> {
    let mut cut = Cut {
        id,
        whole: false,
        kept: Vec::new(),
        folders: Vec::new(),
        files: Vec::new(),
        histories: Vec::new(),
        runs: Vec::new(),
    };
    match keep {
        Keep::Everything => return Ok(None),
        Keep::Nothing => cut.whole = true,
        Keep::Spans { spans, last_folder, first_timeline } => {
            let mut runs = Runs::default();
            for folder in archive.wal_folders(id)? {
                if !spans.iter().any(|span| span.reaches(&folder)) {
                    runs.folder(&folder);
                    cut.folders.push(folder);
                } else if folder <= last_folder {
                    for file in archive.wal_files(id, &folder)? {
                        if spans.iter().any(|span| span.has(file.segment)) {
                            runs.end();
                        } else {
                            runs.file(&file);
                            cut.files.push(file);
                        }
                    }
                } else {
                    runs.end();
                }
            }
            runs.end();
            cut.runs = runs.done;
            let pinned = |timeline: Timeline| {
                spans.iter().any(|span| {
                    span.backup.as_ref().is_some_and(|label| choice.pins.contains_key(label))
                        && (span.from.timeline..=span.through.unwrap_or(span.from).timeline)
                            .contains(&timeline)
                })
            };
            if let Some(first) = first_timeline {
                cut.histories = archive.histories(id)?;
                cut.histories.retain(|timeline| *timeline < first && !pinned(*timeline));
            }
            cut.kept = spans;
        }
    }
    Ok(Some(cut))
}

/// Gathers what goes into runs.
#[derive(Default)]
struct Runs {
    done: Vec<WalRun>,
    open: Option<WalRun>,
}

impl Runs {
    fn folder(&mut self, name: &str) {
        let run = self.extend(name);
        run.folders += 1;
    }

    fn file(&mut self, file: &WalFile) {
        let run = self.extend(&file.segment.to_string());
        run.files += 1;
    }

    fn extend(&mut self, name: &str) -> &mut WalRun {
        let run = self.open.get_or_insert_with(|| WalRun {
            from: name.to_owned(),
            through: String::new(),
            folders: 0,
            files: 0,
        });
        name.clone_into(&mut run.through);
        run
    }

    fn end(&mut self) {
        self.done.extend(self.open.take());
    }
}

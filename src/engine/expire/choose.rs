//! Which backups go, and for how many of the rest WAL is kept to the present.
//!
//! Pure: looks at `backup.info`, the retention, the request and a moment, at nothing else. Pinned backups are no part of
//! any count, so that a pin adds to what is kept and never takes the place of something else; what a pinned backup needs
//! stays with it.

use super::retention::{FullRetention, Retention};
use super::{Reason, Request, Rule};
use crate::base::{BackupKind, BackupLabel, Kind, Report, Result, Timestamp};
use crate::engine::pin::Pin;
use crate::repo::{BackupEntry, BackupInfo};
use std::collections::BTreeMap;

/// The guard that keeps pinned backups from being expired by name.
const PINNED: &str = "pinned";
const DAY_S: i64 = 86_400;

/// WAL is kept to the present for the newest backups of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ArchiveRule {
    /// Full ones; also differential ones; all.
    pub(super) kind: BackupKind,
    /// How many.
    pub(super) count: u64,
}

/// What was chosen.
#[derive(Debug)]
pub(super) struct Choice {
    /// What goes, and why.
    pub(super) expired: BTreeMap<BackupLabel, Reason>,
    /// What would go if the pinned backup did not need it.
    pub(super) spared: BTreeMap<BackupLabel, BackupLabel>,
    /// The pinned backups that stay.
    pub(super) pins: BTreeMap<BackupLabel, Pin>,
    /// The rule for WAL, or why it is not touched.
    pub(super) archive: std::result::Result<ArchiveRule, String>,
    /// The backup that was to be expired by name is listed here.
    pub(super) set_found: bool,
    pub(super) warnings: Vec<String>,
}

impl Choice {
    /// True if the backup counts where WAL is kept for a number of backups.
    pub(super) fn counts(&self, label: &BackupLabel) -> bool {
        !self.pins.contains_key(label) && !self.spared.contains_key(label)
    }
}

/// Chooses.
pub(super) fn choose(
    info: &BackupInfo,
    retention: &Retention,
    request: &Request,
    now: Timestamp,
) -> Result<Choice> {
    let pins =
        info.backups.iter().filter_map(|(label, entry)| Some((label.clone(), Pin::of(&entry.annotations)?)));
    let mut choice = Choice {
        expired: BTreeMap::new(),
        spared: BTreeMap::new(),
        pins: pins.collect(),
        archive: Err(String::new()),
        set_found: false,
        warnings: Vec::new(),
    };
    if let Some(set) = &request.set {
        by_name(info, set, request, &mut choice)?;
        choice.archive = archive_rule(retention, None);
        return Ok(choice);
    }
    let mut candidates = Candidates { info, pins: &choice.pins, found: BTreeMap::new() };
    let mut retention = *retention;
    if request.oldest {
        choice.warnings.extend(narrow_by_one(&candidates, &mut retention));
    }
    let days_met = by_retention(&mut candidates, &retention, request.oldest, now);
    let found = candidates.found;
    for (label, reason) in found {
        let needing = choice.pins.keys().find(|pinned| info.needs(pinned).contains(&label));
        match needing.cloned() {
            Some(pinned) => drop(choice.spared.insert(label, pinned)),
            None => drop(choice.expired.insert(label, reason)),
        }
    }
    // A backup that is pinned itself was never meant to go: only what it needs is spared.
    choice.spared.retain(|label, _| !choice.pins.contains_key(label));
    let full_left = info
        .backups
        .keys()
        .filter(|label| {
            label.kind() == BackupKind::Full && choice.counts(label) && !choice.expired.contains_key(label)
        })
        .count() as u64;
    choice.archive = archive_rule(&retention, days_met.then_some(full_left));
    Ok(choice)
}

/// What is to go, with everything that needs it.
struct Candidates<'a> {
    info: &'a BackupInfo,
    pins: &'a BTreeMap<BackupLabel, Pin>,
    found: BTreeMap<BackupLabel, Reason>,
}

impl Candidates<'_> {
    /// What counts, oldest first: no pinned backup, and nothing that is to go.
    fn counted(&self, kind: BackupKind) -> Vec<&BackupEntry> {
        let counts = |label: &BackupLabel| !self.pins.contains_key(label) && !self.found.contains_key(label);
        self.info.backups.values().filter(|entry| entry.kind <= kind && counts(&entry.label)).collect()
    }

    fn add(&mut self, head: &BackupLabel, rule: Rule) {
        for label in self.info.dependents(head) {
            let reason = Reason { label: label.clone(), rule, with: head.clone() };
            self.found.entry(label).or_insert(reason);
        }
    }

    /// Everything of this kind before the newest so many that count. A pinned one is a head, too: it stays, but what was
    /// made against it goes as it would without the pin.
    fn add_all_but(&mut self, keep: u64, listed: BackupKind, goes: BackupKind, rule: Rule) {
        let counted = self.counted(listed);
        let first_kept = usize::try_from(keep).ok().and_then(|keep| counted.len().checked_sub(keep));
        let Some(oldest_kept) = first_kept.and_then(|at| counted.get(at)) else { return };
        let before = self.info.backups.values().take_while(|entry| entry.label < oldest_kept.label);
        let heads: Vec<_> = before
            .filter(|entry| entry.kind == goes && !self.found.contains_key(&entry.label))
            .map(|entry| entry.label.clone())
            .collect();
        for head in heads {
            self.add(&head, rule);
        }
    }
}

/// `--oldest`: one full backup less than there are, for this run only.
fn narrow_by_one(candidates: &Candidates<'_>, retention: &mut Retention) -> Option<String> {
    let there = candidates.counted(BackupKind::Full).len() as u64;
    if there < 2 {
        return Some("there is no full backup that --oldest could expire: the only one stays".to_owned());
    }
    retention.full = FullRetention::Count(there - 1);
    retention.archive = Some(there - 1);
    retention.archive_kind = BackupKind::Full;
    None
}

/// Adds what the retention does not keep; true if a retention by days found its oldest backup.
fn by_retention(
    candidates: &mut Candidates<'_>,
    retention: &Retention,
    oldest: bool,
    now: Timestamp,
) -> bool {
    let mut days_met = false;
    match retention.full {
        FullRetention::All => {}
        FullRetention::Count(keep) => {
            let rule = if oldest { Rule::Oldest } else { Rule::Full };
            candidates.add_all_but(keep, BackupKind::Full, BackupKind::Full, rule);
        }
        FullRetention::Days(days) => {
            let limit_s =
                now.unix_s().saturating_sub(i64::try_from(days).unwrap_or(i64::MAX).saturating_mul(DAY_S));
            let full = candidates.counted(BackupKind::Full);
            // The newest one that is older than the limit reaches every moment after it.
            if let Some(at) = full.iter().rposition(|entry| entry.stop.unix_s() < limit_s) {
                days_met = true;
                let keep = (full.len() - at) as u64;
                candidates.add_all_but(keep, BackupKind::Full, BackupKind::Full, Rule::Days);
            }
        }
    }
    if let Some(keep) = retention.diff {
        candidates.add_all_but(keep, BackupKind::Diff, BackupKind::Diff, Rule::Diff);
    }
    days_met
}

/// `--set`: this backup and what needs it, whatever the retention says.
fn by_name(info: &BackupInfo, set: &BackupLabel, request: &Request, choice: &mut Choice) -> Result<()> {
    let Some(entry) = info.backups.get(set) else { return Ok(()) };
    choice.set_found = true;
    let mut full = info.backups.values().rev().filter(|entry| entry.kind == BackupKind::Full);
    if full.next().is_some_and(|newest| newest.label == *set)
        && full.next().is_none_or(|before| before.db_id != entry.db_id)
    {
        return Err(Report::new(
            Kind::Refused(None),
            format!("{set} is the only full backup of this cluster: it is not expired"),
        )
        .hint("make another full backup first"));
    }
    let gone = info.dependents(set);
    if let Some((label, pin)) = choice.pins.iter().find(|(label, _)| gone.contains(label)) {
        let what =
            if label == set { pin.text() } else { format!("needed by {label}, which is {}", pin.text()) };
        let refused = Report::refused(PINNED, format!("backup {set} is not expired: it is {what}"));
        if !request.accepts(PINNED) {
            return Err(refused.hint(format!(
                "take the pin off first: annotate --set={label} --annotation={}=",
                crate::engine::pin::PIN
            )));
        }
        choice.warnings.push(format!("{} (accepted: {PINNED})", refused.headline));
    }
    choice.pins.retain(|label, _| !gone.contains(label));
    if info.backups.keys().next_back().is_some_and(|newest| gone.contains(newest)) {
        choice.warnings.push(format!(
            "the newest backup goes with {set}: what can be reached may end at an earlier moment, if WAL was expired before"
        ));
    }
    let reason = |label: &BackupLabel| Reason { label: label.clone(), rule: Rule::Set, with: set.clone() };
    choice.expired = gone.iter().map(|label| (label.clone(), reason(label))).collect();
    Ok(())
}

/// For how many backups WAL is kept to the present; `full_left` is how many full ones a retention by days keeps.
fn archive_rule(retention: &Retention, full_left: Option<u64>) -> std::result::Result<ArchiveRule, String> {
    let kind = retention.archive_kind;
    let count = retention.archive.or(match (kind, retention.full) {
        (BackupKind::Full, FullRetention::Count(count)) => Some(count),
        (BackupKind::Full, FullRetention::Days(_)) => full_left,
        (BackupKind::Diff, _) => retention.diff,
        _ => None,
    });
    match (count, retention.full) {
        (Some(count), _) => Ok(ArchiveRule { kind, count }),
        (None, FullRetention::Days(_)) if kind == BackupKind::Full => {
            Err("no full backup is old enough for the retention by days: WAL is kept".to_owned())
        }
        (None, _) => Err("no retention of WAL is set: it is kept".to_owned()),
    }
}

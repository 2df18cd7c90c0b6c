//! Which backup set, from which repository.
//!
//! A repository that fails is not one without the backup: its failure is kept and told. Where something is to be
//! replayed, a set is chosen only together with the proof that the target can be reached from it.

use super::marker::Marker;
use super::request::Request;
use crate::base::{BackupLabel, Kind, Report, Result};
use crate::engine::proof::{self, Proof, Question};
use crate::engine::repositories::Repositories;
use crate::model::op::Cancel;
use crate::model::target::{Recovery, Target};
use crate::repo::{BackupEntry, BackupInfo, Manifest, Repository, Stanza};

/// The first major version whose WAL is read.
const FIRST_PROVABLE_MAJOR: u16 = 13;

/// A set with everything a plan needs of it.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) repository: Repository,
    pub(super) manifest: Manifest,
    pub(super) proof: Option<Proof>,
    pub(super) warnings: Vec<String>,
}

/// Asks the repositories in order; the first that can serve the request is taken.
pub(super) fn choose(
    request: &Request,
    repositories: &Repositories,
    resumed: Option<&Marker>,
    cancel: &Cancel,
) -> Result<Choice> {
    let set = resumed.and_then(Marker::set).or_else(|| request.set.clone());
    let mut failures: Vec<Report> = Vec::new();
    for slot in &repositories.slots {
        if resumed.is_some_and(|marker| marker.repo() != slot.key) {
            continue;
        }
        let repository = slot.repository.as_ref().map_err(Clone::clone);
        let chosen =
            repository.and_then(|repository| from_repository(request, set.as_ref(), repository, cancel));
        match chosen {
            Ok(mut choice) => {
                let earlier =
                    failures.iter().map(|f| format!("an earlier repository was passed over: {}", f.headline));
                choice.warnings.extend(earlier);
                return Ok(choice);
            }
            Err(report) if report.kind == Kind::Cancelled => return Err(report),
            Err(report) => {
                failures.push(report.context(format!("looking for a backup set in repo{}", slot.key)));
            }
        }
    }
    Err(most_telling(failures, resumed))
}

/// What to tell when no repository served: an unreachable target says more than a missing backup.
fn most_telling(failures: Vec<Report>, resumed: Option<&Marker>) -> Report {
    let rank = |report: &Report| match report.kind {
        Kind::TargetUnreachable => 0,
        Kind::Refused(_) => 1,
        Kind::Damaged => 2,
        Kind::Unreachable => 3,
        _ => 4,
    };
    let mut failures = failures;
    failures.sort_by_key(rank);
    let mut failures = failures.into_iter();
    let Some(first) = failures.next() else {
        if let Some(marker) = resumed {
            return Report::usage(format!(
                "the interrupted restore read from repo{}, which is not among the repositories of this call",
                marker.repo()
            ))
            .hint("name that repository, or use --delta to restore from another one");
        }
        return Report::usage("no repository is configured").hint("set repo1-path in pgbackrest.conf");
    };
    failures.fold(first, |told, other| told.context(format!("also: {}", other.headline)))
}

fn from_repository(
    request: &Request,
    set: Option<&BackupLabel>,
    repository: &Repository,
    cancel: &Cancel,
) -> Result<Choice> {
    let stanza = repository.stanza(&request.stanza);
    let loaded = stanza.backup_info()?;
    let (info, mut warnings) = (loaded.value, loaded.warnings);
    let candidates = candidates(&info, set, repository)?;
    let newest = candidates.last().copied().ok_or_else(|| no_backup(&request.stanza, repository, &info))?;
    let online: Vec<_> = candidates.iter().copied().filter(|set| set.online).collect();
    let (entry, proof) = match (&request.recovery, online.last().copied()) {
        (Recovery::To { target, .. }, Some(usable)) if newest.online || *target != Target::End => {
            let question = Question::new(request, target, &info, &online)?;
            choose_reachable(request, &stanza, &question, usable, &mut warnings, cancel)?
        }
        (Recovery::To { target, .. }, _) if *target != Target::End => return Err(offline(newest, target)),
        (Recovery::Standby { .. } | Recovery::Preserve, Some(usable)) if newest.online => {
            warn_of_missing_wal(request, &stanza, &info, usable, &mut warnings, cancel)?;
            (newest, None)
        }
        _ => (newest, None),
    };
    if request.recovery == Recovery::Nothing && entry.online {
        warnings.push(
            "with --type=none nothing is replayed: the cluster will not start before its WAL is there"
                .to_owned(),
        );
    }
    if entry.page_error == Some(true) {
        warnings.push(format!(
            "backup {} was taken over pages with wrong checksums; prefer another set if one is old enough",
            entry.label
        ));
    }
    let loaded = stanza.manifest(&info, &entry.label)?;
    warnings.extend(loaded.warnings);
    Ok(Choice { repository: repository.clone(), manifest: loaded.value, proof, warnings })
}

/// The sets that may be used, oldest first.
fn candidates<'a>(
    info: &'a BackupInfo,
    set: Option<&BackupLabel>,
    repository: &Repository,
) -> Result<Vec<&'a BackupEntry>> {
    let Some(label) = set else {
        let mut entries: Vec<_> = info.backups.values().filter(|b| b.db_id == info.current_db_id).collect();
        entries.sort_by_key(|b| (b.stop, b.label.clone()));
        return Ok(entries);
    };
    let entry = info.backups.get(label).ok_or_else(|| {
        let known: Vec<_> = info.backups.keys().map(BackupLabel::as_str).collect();
        Report::usage(format!("repo{} has no backup set {label}", repository.key()))
            .hint(format!("it has {}", if known.is_empty() { "none".to_owned() } else { known.join(", ") }))
    })?;
    Ok(vec![entry])
}

fn choose_reachable<'a>(
    request: &Request,
    stanza: &Stanza,
    question: &Question<'a>,
    newest: &'a BackupEntry,
    warnings: &mut Vec<String>,
    cancel: &Cancel,
) -> Result<(&'a BackupEntry, Option<Proof>)> {
    if !question.version.at_least(FIRST_PROVABLE_MAJOR) {
        let refusal = Report::refused(
            "unproven",
            format!(
                "PostgreSQL {} writes WAL this program does not read: whether {} can be reached is unknown",
                question.version, question.target
            ),
        )
        .hint("check the target by hand, then accept; recovery itself will tell");
        request.unless_accepted(Err(refusal), warnings)?;
        let before_all = || {
            Report::new(
                Kind::TargetUnreachable,
                format!("{} is before every backup set that may be used", question.target),
            )
            .hint("choose a later target, or another repository")
        };
        return match (proof::by_clock(question), question.target) {
            (None, Target::Time(_) | Target::Lsn(_)) => Err(before_all()),
            (found, _) => Ok((found.unwrap_or(newest), None)),
        };
    }
    let archive_info = stanza.archive_info()?;
    warnings.extend(archive_info.warnings);
    let archive = stanza.archive(&archive_info.value);
    let found = proof::find(question, &archive, request.process_max, cancel)?;
    warnings.extend(found.warnings);
    Ok((found.set, Some(found.proof)))
}

/// Where it is not for this program to say how recovery goes on, at least that it can begin is looked at.
fn warn_of_missing_wal(
    request: &Request,
    stanza: &Stanza,
    info: &BackupInfo,
    set: &BackupEntry,
    warnings: &mut Vec<String>,
    cancel: &Cancel,
) -> Result<()> {
    let question = Question::new(request, &Target::Immediate, info, &[set])?;
    if !question.version.at_least(FIRST_PROVABLE_MAJOR) {
        return Ok(());
    }
    let archived = stanza.archive_info().map_err(Report::from).and_then(|loaded| {
        proof::find(&question, &stanza.archive(&loaded.value), request.process_max, cancel)
    });
    match archived {
        Ok(_) => Ok(()),
        Err(report) if report.kind == Kind::Cancelled => Err(report),
        Err(report) => {
            warnings.push(format!(
                "the archive alone cannot make backup {} consistent ({}): the server needs that WAL from elsewhere",
                set.label, report.headline
            ));
            Ok(())
        }
    }
}

fn no_backup(stanza: &str, repository: &Repository, info: &BackupInfo) -> Report {
    let report =
        Report::failed(format!("repo{} has no backup of stanza {stanza} that can be used", repository.key()));
    if info.backups.is_empty() {
        report.hint("make one, or name another repository with --repo")
    } else {
        report.hint("its backups belong to an earlier cluster of this stanza; name one with --set")
    }
}

fn offline(entry: &BackupEntry, target: &Target) -> Report {
    Report::new(
        Kind::TargetUnreachable,
        format!(
            "backup {} was taken offline and has no WAL: {target} cannot be reached from it",
            entry.label
        ),
    )
    .hint("restore it as it is with --type=none")
}

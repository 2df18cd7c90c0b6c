//! Can a repository be recovered from, and how far?
//!
//! Pure. The best repository counts.

use super::eye::{Eye, FOLDER_STALE_S, REPOSITORY_STALE_S, Seen};
use super::{Draft, Proposal};
use crate::model::board::Repository;
use crate::model::board::judge::span;

/// How good a repository is; the greater, the better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Grade {
    No,
    Unknown,
    Stale,
    Good,
}

pub(super) fn judge(eye: &Eye<'_>) -> Proposal {
    let mut draft = Draft::default();
    let repositories = &eye.situation.board.repositories;
    let graded: Vec<_> = repositories.iter().map(|repository| grade(eye, repository, &mut draft)).collect();
    // One that is stale is the best there is only where no other may be better.
    let open = graded.iter().find(|(grade, _)| *grade == Grade::Unknown).map(|(_, why)| why.clone());
    match (graded.into_iter().max_by_key(|(grade, _)| *grade), open) {
        (None, _) => {
            draft.bad("no repository is configured", None);
            draft.propose("no", "no repository is configured")
        }
        (Some((Grade::Good, reason)), _) => draft.propose("yes", reason),
        (Some((Grade::Stale, reason)), Some(why)) => {
            draft.open(format!("{reason}; whether another is better is not known: {why}"))
        }
        (Some((Grade::Stale, reason)), None) => draft.propose("stale", reason),
        (Some((Grade::Unknown, reason)), _) => draft.open(reason),
        (Some((Grade::No, reason)), _) => draft.propose("no", reason),
    }
}

fn grade(eye: &Eye<'_>, repository: &Repository, draft: &mut Draft) -> (Grade, String) {
    let name = format!("repo{}", repository.key);
    let backups = match eye.see(&repository.backups, REPOSITORY_STALE_S) {
        Seen::Value(facts, _) => facts,
        Seen::Failed(why, at) => {
            draft.bad(format!("{name}: {why}"), at);
            return (Grade::No, format!("{name}: {why}"));
        }
        Seen::Unknown(why) => {
            draft.unknown(format!("{name}: {why}"), repository.backups.at);
            return (Grade::Unknown, format!("{name}: {why}"));
        }
    };
    let Some((kind, newest)) = backups.last.iter().max_by_key(|(_, stop)| *stop) else {
        let trouble = backups.trouble.as_deref().unwrap_or("no backups");
        draft.bad(format!("{name}: {trouble}"), repository.backups.at);
        return (Grade::No, format!("{name}: {trouble}"));
    };
    let age = eye.now.0.saturating_sub(newest.0);
    let limit = seconds_us(eye.situation.board.limits.backup_age_s);
    let (mut grade, mut reason) = (Grade::Good, format!("{name}: the last {kind} is {} old", span(age)));
    let mut worse = |to: Grade, why: String| {
        if to < grade {
            (grade, reason) = (to, why);
        }
    };
    if age > limit {
        let said = format!("{name}: the last {kind} is {} old, the limit is {}", span(age), span(limit));
        draft.late(said.clone(), Some(*newest));
        worse(Grade::Stale, said);
    } else {
        draft.good(format!("{name}: the last {kind} is {} old", span(age)), Some(*newest));
    }
    if let Some(label) = &backups.newest_damaged {
        let said = format!("{name}: damaged pages are in the last backup, {label}");
        draft.bad(said.clone(), None);
        worse(Grade::Stale, said);
    }
    unsound(eye, repository, &name, draft, &mut worse);
    wal(eye, repository, &name, draft, &mut worse);
    (grade, reason)
}

/// What verifying it came to.
fn unsound(
    eye: &Eye<'_>,
    repository: &Repository,
    name: &str,
    draft: &mut Draft,
    worse: &mut dyn FnMut(Grade, String),
) {
    let Some(verified) = eye.see_some(repository.verification.as_ref(), REPOSITORY_STALE_S).value() else {
        return;
    };
    for backup in &verified.unsound {
        let said = format!("{name}: {} is {}", backup.label, backup.wrong);
        draft.bad(said.clone(), Some(backup.at));
        worse(Grade::Stale, said);
    }
    match verified.last_proven {
        Some(at) if verified.unsound.is_empty() => {
            draft.good(format!("{name}: {} backups were proven sound", verified.proven), Some(at));
        }
        Some(_) => {}
        None => draft.unknown(format!("{name}: no backup was proven sound by verify"), None),
    }
}

fn wal(
    eye: &Eye<'_>,
    repository: &Repository,
    name: &str,
    draft: &mut Draft,
    worse: &mut dyn FnMut(Grade, String),
) {
    let facts = match eye.see(&repository.wal, REPOSITORY_STALE_S) {
        Seen::Value(facts, _) => facts,
        Seen::Failed(why, at) => {
            draft.bad(format!("{name}: its WAL: {why}"), at);
            return worse(Grade::No, format!("{name}: its WAL cannot be read: {why}"));
        }
        Seen::Unknown(why) => {
            draft.unknown(format!("{name}: its WAL: {why}"), repository.wal.at);
            return worse(Grade::Unknown, format!("{name}: its WAL: {why}"));
        }
    };
    if facts.conflicts > 0 {
        let said = format!("{name}: {} segments are stored twice with different content", facts.conflicts);
        draft.bad(said.clone(), None);
        worse(Grade::Stale, said);
    }
    if facts.missing > 0 {
        let said = format!("{name}: {} segments are missing: not every moment can be reached", facts.missing);
        draft.bad(said.clone(), None);
        worse(Grade::Stale, said);
    }
    let Some(stored) = facts.last_stored.max(facts.last_commit) else {
        draft.bad(format!("{name}: no WAL is archived"), None);
        return worse(Grade::No, format!("{name}: no WAL is archived"));
    };
    let behind = eye.now.0.saturating_sub(stored.0);
    let said = format!("{name}: the newest WAL was stored {} ago", span(behind));
    // A server that is stopped archives nothing, and one without work little: old WAL is behind only where some waits.
    let waits = waiting_us(eye);
    if waits.is_some_and(|waits| waits > seconds_us(eye.situation.board.limits.rpo_s)) {
        let said = format!("{said}, and WAL waits to be archived for {}", span(waits.unwrap_or(0)));
        draft.bad(said.clone(), Some(stored));
        return worse(Grade::Stale, said);
    }
    let late = behind > seconds_us(eye.situation.board.limits.rpo_s);
    let silent = eye.primary().is_some_and(|one| eye.is_silent(one.facts.folder.as_ref(), FOLDER_STALE_S));
    if late && silent {
        let said = format!("{said}; the data directory, where more may wait, was not looked at in time");
        draft.unknown(said.clone(), Some(stored));
        worse(Grade::Unknown, said);
    } else if late && waits.is_none() {
        draft.late(format!("{said}; whether more waits on the primary is not known"), Some(stored));
    } else {
        draft.good(said, Some(stored));
    }
}

/// How long the oldest segment waits to be archived on a primary whose folder is here; nothing if that is not known.
fn waiting_us(eye: &Eye<'_>) -> Option<i64> {
    let primary = eye.primary()?;
    let folder = eye.see_some(primary.facts.folder.as_ref(), FOLDER_STALE_S).value()?;
    Some(folder.queue.oldest.as_ref().map_or(0, |(_, at)| eye.now.0.saturating_sub(at.0)))
}

fn seconds_us(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000)
}

//! The repositories: how old the backups are, how far the WAL reaches, what is missing.

use super::{Line, State, Window, may_still_come, span, unseen};
use crate::base::{BackupKind, Timestamp};
use crate::model::board::{BackupFacts, Board, Repository, VerificationFacts, WalFacts};

/// A repository is looked at rarely; older than this is not known any more.
const STALE_S: i64 = 600;
/// A moment this far ahead of our clock is another clock's.
const CLOCK_SLACK_US: i64 = 60_000_000;

pub(super) fn lines(board: &Board, now: Timestamp) -> Vec<Line> {
    let several = board.repositories.len() > 1;
    let of = |repository: &Repository| {
        let wal = if several { format!("WAL repo{}", repository.key) } else { "WAL".to_owned() };
        [backups(board, repository, now), wal_line(board, repository, &wal, now)]
    };
    let verified = |repository: &Repository| {
        let name = if several { format!("verify repo{}", repository.key) } else { "verify".to_owned() };
        verify_line(board, repository, &name, now)
    };
    let lines = board.repositories.iter().flat_map(of);
    lines.chain(board.repositories.iter().filter_map(verified)).collect()
}

fn command(board: &Board, rest: &str) -> String {
    let stanza = board.identity.stanza.as_deref().unwrap_or("STANZA");
    format!("pgbackrest --stanza={stanza} {rest}")
}

/// A command of this program's own.
fn ours(board: &Board, rest: &str) -> String {
    let stanza = board.identity.stanza.as_deref().unwrap_or("STANZA");
    format!("pgmayday --stanza={stanza} {rest}")
}

fn backups(board: &Board, repository: &Repository, now: Timestamp) -> Line {
    let name = format!("repo{}", repository.key);
    if let Some(line) = unseen(&repository.backups, &name, STALE_S, now) {
        return line.next_of(&repository.backups, now, format!("see {}", repository.place));
    }
    let Some(facts) = repository.backups.value() else {
        return Line::new(State::Unknown, name, "not looked at yet");
    };
    let running = match facts.running {
        Some(Some(hundredths)) => format!(", a backup runs ({} %)", hundredths / 100),
        // Who tells no progress may also be expiring.
        Some(None) => ", a backup or expire runs".to_owned(),
        None => String::new(),
    };
    let damaged = facts.newest_damaged.as_deref();
    let Some((kind, newest)) = facts.last.iter().max_by_key(|(_, stop)| *stop) else {
        let trouble = facts.trouble.as_deref().unwrap_or("no backups");
        return Line::new(State::Failed, name, format!("{trouble}{running}"))
            .next(command(board, "--type=full backup"));
    };
    let age = now.0 - newest.0;
    let limit_us = i64::try_from(board.limits.backup_age_s).unwrap_or(i64::MAX / 1_000_000) * 1_000_000;
    if age < -CLOCK_SLACK_US {
        let ahead = span(-age);
        return Line::new(State::Late, name, format!("last {kind} ended {ahead} in the future"))
            .next("compare the clocks of the hosts");
    }
    let old = span(age);
    if age > limit_us {
        let pages = if damaged.is_some() { ", with damaged pages" } else { "" };
        return Line::new(
            State::Late,
            name,
            format!("last {kind} {old} old, limit {}{pages}{running}", hours(limit_us)),
        )
        .next(command(board, "backup"));
    }
    if let Some(label) = damaged {
        let text = format!("damaged pages in the last {kind}, {old} old{running}");
        let list = format!("--repo={} --set={label} info", repository.key);
        let next = format!("{} lists the files", ours(board, &list));
        return Line::new(State::Late, name, text).next(next);
    }
    if facts.with_errors > 0 {
        let errors = count(facts.with_errors, "backup");
        let text = format!("{errors} with page errors, last {kind} {old}{running}");
        return Line::new(State::Late, name, text).next("see info --set for the damaged files");
    }
    if let Some(trouble) = &facts.trouble {
        return Line::new(State::Late, name, format!("{trouble}, last {kind} {old}")).next("see info");
    }
    Line::new(State::Ok, name, format!("last {kind} {old}{}{running}", full(facts, *kind, now)))
}

/// How old the last full backup is, where the newest is another kind.
fn full(facts: &BackupFacts, newest: BackupKind, now: Timestamp) -> String {
    let full = facts.last.iter().find(|(kind, _)| *kind == BackupKind::Full);
    match full {
        Some((_, stop)) if newest != BackupKind::Full => format!(", full {}", span(now.0 - stop.0)),
        _ => String::new(),
    }
}

/// A limit in the unit it was surely meant in.
fn hours(us: i64) -> String {
    let seconds = us / 1_000_000;
    match seconds {
        s if s % 3600 == 0 => format!("{} h", s / 3600),
        s if s % 60 == 0 => format!("{} m", s / 60),
        s => format!("{s} s"),
    }
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn wal_line(board: &Board, repository: &Repository, name: &str, now: Timestamp) -> Line {
    if let Some(line) = unseen(&repository.wal, name, STALE_S, now) {
        return line.next_of(&repository.wal, now, format!("see {}", repository.place));
    }
    let Some(facts) = repository.wal.value() else {
        return Line::new(State::Unknown, name, "not looked at yet");
    };
    let segments = |number: u64| count(usize::try_from(number).unwrap_or(usize::MAX), "segment");
    if facts.conflicts > 0 {
        return Line::new(
            State::Failed,
            name,
            format!("{} stored twice, different", segments(facts.conflicts)),
        )
        .next("two servers archive here: find the second one; see wal gaps");
    }
    if facts.missing > 0 {
        return Line::new(State::Failed, name, format!("{} missing", segments(facts.missing)))
            .next(format!("{}; see wal gaps", command(board, "backup")));
    }
    let Some(stored) = newest(facts) else {
        return Line::new(State::Failed, name, "no WAL is archived").next(command(board, "check"));
    };
    let age = now.0 - stored.0;
    let rpo_us = i64::try_from(board.limits.rpo_s).unwrap_or(i64::MAX / 1_000_000) * 1_000_000;
    if age < -CLOCK_SLACK_US {
        return Line::new(State::Late, name, format!("stored {} in the future", span(-age)))
            .next("compare the clocks of the hosts");
    }
    let text = format!("{} behind (RPO {})", span(age), hours(rpo_us));
    if age > rpo_us {
        return Line::new(State::Late, name, text).next(command(board, "check"));
    }
    Line::new(State::Ok, name, text)
}

/// What verifying a repository came to; nothing where this host knows of none.
fn verify_line(board: &Board, repository: &Repository, name: &str, now: Timestamp) -> Option<Line> {
    let fact = repository.verification.as_ref().filter(|fact| !may_still_come(fact, now))?;
    let again = || ours(board, &format!("--repo={} verify", repository.key));
    if let Some(line) = unseen(fact, name, STALE_S, now) {
        return Some(line.next(format!("see the state directory; {}", again())));
    }
    let VerificationFacts { last, proven, last_proven, unsound } = fact.value()?;
    let ago = |at: Timestamp| format!("{} ago", span(now.0 - at.0));
    let line = |state, text| Line::new(state, name, text);
    if let Some(worst) = unsound.first() {
        let more = match unsound.len() {
            1 => String::new(),
            number => format!(", and {} more", number - 1),
        };
        let text = format!("{} is {}, seen {}{more}", worst.label, worst.wrong, ago(worst.at));
        return Some(line(State::Failed, text).next(format!("{} lists what is wrong", again())));
    }
    match last {
        Some(run) if run.damage > 0 => {
            let text = format!("damage found {}", ago(run.at));
            Some(line(State::Failed, text).next(format!("{} lists it", again())))
        }
        Some(run) if run.unknown > 0 => {
            let text = format!("not all could be looked at, {}", ago(run.at));
            Some(line(State::Unknown, text).next(again()))
        }
        Some(run) if run.whole => Some(line(State::Ok, format!("all sound {}", ago(run.at)))),
        Some(run) => Some(line(State::Ok, format!("stored bytes sound {}", ago(run.at)))),
        None => {
            last_proven.map(|at| line(State::Ok, format!("{} sound {}", count(*proven, "backup"), ago(at))))
        }
    }
}

fn newest(facts: &WalFacts) -> Option<Timestamp> {
    facts.last_stored.max(facts.last_commit)
}

/// How much would be lost if the cluster were gone now, microseconds: what the best repository lacks.
pub(super) fn loss_us(window: Option<&Window>, now: Timestamp) -> Option<i64> {
    window.map(|window| (now.0 - window.to.0).max(0))
}

/// The window of the repository that reaches farthest forward.
pub(super) fn window(board: &Board) -> Option<Window> {
    let of = |repository: &Repository| {
        let (backups, wal) = (repository.backups.value()?, repository.wal.value()?);
        let (from, to) = (backups.oldest_stop?, newest(wal)?);
        Some(Window { from, to, repo: repository.key, missing: wal.missing })
    };
    // One without a hole is worth more than one that reaches a little farther.
    board.repositories.iter().filter_map(of).max_by_key(|window| (window.missing == 0, window.to))
}

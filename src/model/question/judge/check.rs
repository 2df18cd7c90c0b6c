//! The automatic checks of a runbook's lists: whether the facts say that an item is so.
//!
//! Pure. Says that something is so only where it was seen; what needs a person's eye stays a person's.

use super::eye::{Eye, FOLDER_STALE_S, REPOSITORY_STALE_S, SERVER_STALE_S, Seen};
use crate::base::{Bytes, Timestamp};
use crate::model::board::judge::span;
use crate::model::board::{HoldFacts, Repository, Upkeep};
use crate::model::situation::{Contact, Situation, WriteTest};
use serde::Serialize;

/// What the facts say of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// It is so, or it is not; nothing where the facts do not decide.
    pub holds: Option<bool>,
    /// What was seen, one sentence.
    pub text: String,
}

/// What the facts say to the check of this name; nothing if there is no such check.
pub fn check(name: &str, situation: &Situation, now: Timestamp) -> Option<Checked> {
    let eye = Eye { situation, now };
    Some(match name {
        "accepts-connections" => accepts(&eye),
        "application-writes" => writes(&eye),
        "archiving-works" => archiving(&eye),
        "backup-fresh" => best(&eye, fresh),
        "disk-space" => room(&eye),
        "incident-hold" => upkeep(&eye, hold),
        "no-stop-file" => upkeep(&eye, stop_file),
        "replicas-on-timeline" => replicas(&eye),
        "repository-readable" => best(&eye, readable),
        "settings-clean" => open("the settings of a server are not read from here"),
        "wal-continuous" => best(&eye, continuous),
        _ => return None,
    })
}

fn said(holds: bool, text: impl Into<String>) -> Checked {
    Checked { holds: Some(holds), text: text.into() }
}

fn open(text: impl Into<String>) -> Checked {
    Checked { holds: None, text: text.into() }
}

fn accepts(eye: &Eye<'_>) -> Checked {
    let Some(one) = eye.primary() else { return open("no primary is known") };
    let name = &one.board.name;
    match eye.see(&one.facts.contact, SERVER_STALE_S) {
        Seen::Value(Contact::Session, _) if eye.is_primary(one) => said(true, format!("{name} answers")),
        Seen::Value(Contact::Session, _) => open(format!("{name} answers, and not as a primary")),
        Seen::Value(Contact::Refused, _) => said(false, format!("{name} refuses connections")),
        Seen::Value(
            Contact::NotNow { why }
            | Contact::Denied { why }
            | Contact::Error { why }
            | Contact::Lost { why },
            _,
        ) => said(false, format!("{name}: {why}")),
        Seen::Failed(why, _) => said(false, format!("{name}: {why}")),
        Seen::Unknown(why) => open(format!("{name}: {why}")),
    }
}

/// A commit of ours that fails proves that the application's fail, too; one that goes through proves nothing of its role
/// and its address. Its own check does.
fn writes(eye: &Eye<'_>) -> Checked {
    if let Some(one) = eye.primary() {
        match eye.see_some(one.facts.write.as_ref(), SERVER_STALE_S) {
            Seen::Value(WriteTest::Committed { .. } | WriteTest::NotTried { .. }, _) | Seen::Unknown(_) => {}
            Seen::Value(..) => {
                return said(false, format!("a commit on {} did not go through", one.board.name));
            }
            Seen::Failed(why, _) => return said(false, format!("a commit on {}: {why}", one.board.name)),
        }
    }
    match eye.see_some(eye.situation.board.application.as_ref(), SERVER_STALE_S) {
        Seen::Value(check, _) if !check.right => {
            said(false, format!("the application's check is not right: {}", check.why))
        }
        Seen::Value(..) => open("the application's check is right; whether it writes is not seen from here"),
        Seen::Failed(why, _) => open(format!("the application's check: {why}")),
        Seen::Unknown(why) => open(format!("the application's check: {why}")),
    }
}

fn archiving(eye: &Eye<'_>) -> Checked {
    let Some(one) = eye.primary() else { return open("no primary is known") };
    let name = &one.board.name;
    let health = match eye.see(&one.facts.health, SERVER_STALE_S) {
        Seen::Value(health, _) => health,
        Seen::Failed(why, _) => return open(format!("{name}: {why}")),
        Seen::Unknown(why) => return open(format!("{name}: {why}")),
    };
    let Some(archiver) = &health.archiver else { return said(false, format!("{name} does not archive")) };
    if let Some(segment) = &archiver.failing_for {
        return said(false, format!("{name}: archiving fails for {segment}"));
    }
    let Seen::Value(folder, _) = eye.see_some(one.facts.folder.as_ref(), FOLDER_STALE_S) else {
        return open(format!("{name} archives without a failure; what waits is not seen from here"));
    };
    match (folder.queue.ready, archiver.last_archived_at) {
        (0, Some(at)) => {
            let ago = span(eye.now.0.saturating_sub(at.0));
            said(true, format!("{name}: the last segment was archived {ago} ago and nothing waits"))
        }
        (0, None) => open(format!("{name} has archived nothing since its statistics were reset")),
        (ready, _) => open(format!("{name}: {ready} files wait to be archived")),
    }
}

/// The best repository decides: one that is good is enough.
fn best(eye: &Eye<'_>, of: fn(&Eye<'_>, &Repository) -> Checked) -> Checked {
    let all: Vec<Checked> = eye.situation.board.repositories.iter().map(|it| of(eye, it)).collect();
    let with = |holds: Option<bool>| all.iter().find(|checked| checked.holds == holds).cloned();
    let decided = with(Some(true)).or_else(|| with(None)).or_else(|| with(Some(false)));
    decided.unwrap_or_else(|| said(false, "no repository is configured"))
}

fn readable(eye: &Eye<'_>, repository: &Repository) -> Checked {
    let name = format!("repo{}", repository.key);
    match eye.see(&repository.backups, REPOSITORY_STALE_S) {
        Seen::Value(facts, _) if facts.total > 0 => {
            said(true, format!("{name} opens: {} backups", facts.total))
        }
        Seen::Value(facts, _) => {
            said(false, format!("{name}: {}", facts.trouble.as_deref().unwrap_or("no backups")))
        }
        Seen::Failed(why, _) => said(false, format!("{name}: {why}")),
        Seen::Unknown(why) => open(format!("{name}: {why}")),
    }
}

fn fresh(eye: &Eye<'_>, repository: &Repository) -> Checked {
    let name = format!("repo{}", repository.key);
    let Seen::Value(facts, _) = eye.see(&repository.backups, REPOSITORY_STALE_S) else {
        return readable(eye, repository);
    };
    let Some((kind, newest)) = facts.last.iter().max_by_key(|(_, stop)| *stop) else {
        return readable(eye, repository);
    };
    if let Some(label) = &facts.newest_damaged {
        return said(false, format!("{name}: damaged pages are in the last backup, {label}"));
    }
    let age_us = eye.now.0.saturating_sub(newest.0);
    let limit_us =
        i64::try_from(eye.situation.board.limits.backup_age_s).unwrap_or(i64::MAX).saturating_mul(1_000_000);
    said(
        age_us <= limit_us,
        format!("{name}: the last {kind} is {} old, the limit is {}", span(age_us), span(limit_us)),
    )
}

fn continuous(eye: &Eye<'_>, repository: &Repository) -> Checked {
    let name = format!("repo{}", repository.key);
    match eye.see(&repository.wal, REPOSITORY_STALE_S) {
        Seen::Value(facts, _) if facts.missing > 0 => {
            said(false, format!("{name}: {} segments are missing", facts.missing))
        }
        Seen::Value(facts, _) if facts.conflicts > 0 => said(
            false,
            format!("{name}: {} segments are stored twice with different content", facts.conflicts),
        ),
        Seen::Value(facts, _) => match &facts.last_segment {
            Some(last) => said(true, format!("{name}: no segment is missing up to {last}")),
            None => said(false, format!("{name}: no WAL is archived")),
        },
        Seen::Failed(why, _) => said(false, format!("{name}: {why}")),
        Seen::Unknown(why) => open(format!("{name}: {why}")),
    }
}

/// How much the data takes is not among the facts; a plan says it. So this only shows what there is.
fn room(eye: &Eye<'_>) -> Checked {
    let facts = eye.primary().and_then(|one| eye.see_some(one.facts.folder.as_ref(), FOLDER_STALE_S).value());
    match facts.and_then(|folder| folder.room) {
        Some(room) => open(format!(
            "{} of {} are free beside the data directory; the plan of a recovery says how much it needs",
            Bytes(room.free_bytes),
            Bytes(room.total_bytes)
        )),
        None => open("the file system of the data directory is not seen from here"),
    }
}

fn upkeep(eye: &Eye<'_>, of: fn(&Upkeep) -> Checked) -> Checked {
    match eye.see(&eye.situation.board.upkeep, REPOSITORY_STALE_S) {
        Seen::Value(upkeep, _) => of(upkeep),
        Seen::Failed(why, _) => open(why),
        Seen::Unknown(why) => open(why.to_string()),
    }
}

fn hold(upkeep: &Upkeep) -> Checked {
    match &upkeep.hold {
        Some(HoldFacts::Stands { incident, until, .. }) => {
            said(true, format!("incident {incident} holds it until {until}"))
        }
        Some(HoldFacts::Over { incident, until }) => {
            said(false, format!("the hold of incident {incident} ended at {until}"))
        }
        Some(HoldFacts::Unreadable { why }) => open(format!("there is a hold that cannot be read: {why}")),
        None => said(false, "nothing holds it on this host"),
    }
}

fn stop_file(upkeep: &Upkeep) -> Checked {
    match &upkeep.stopped_by {
        None => said(true, "there is no stop file"),
        Some(path) => said(false, format!("{} stops it", path.display())),
    }
}

fn replicas(eye: &Eye<'_>) -> Checked {
    let Some(primary) = eye.primary().filter(|one| eye.is_primary(*one)) else {
        return open("no primary answers");
    };
    let timeline = eye.server(primary).and_then(|facts| facts.timeline);
    let standbys = eye.standbys();
    if standbys.is_empty() {
        return open("no standby is known here");
    }
    for one in standbys {
        let name = &one.board.name;
        match eye.see(&one.board.server, SERVER_STALE_S) {
            Seen::Value(facts, _) if !facts.streaming => {
                return said(false, format!("{name} does not stream"));
            }
            Seen::Value(facts, _) if facts.timeline.is_none() || timeline.is_none() => {
                return open(format!("the timeline of {name} is not known"));
            }
            Seen::Value(facts, _) if facts.timeline != timeline => {
                return said(false, format!("{name} is on another timeline than {}", primary.board.name));
            }
            Seen::Value(..) => {}
            Seen::Failed(why, _) => return said(false, format!("{name}: {why}")),
            Seen::Unknown(why) => return open(format!("{name}: {why}")),
        }
    }
    said(true, "every standby streams on the timeline of the primary")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::BackupKind;
    use crate::model::board::{BackupFacts, Board, WalFacts};
    use crate::model::fact::{Answer, Fact};
    use std::path::PathBuf;

    const NOW: Timestamp = Timestamp(1_795_222_561_000_000);

    fn ago(seconds: i64) -> Timestamp {
        Timestamp(NOW.0 - seconds * 1_000_000)
    }

    fn known<T>(value: T) -> Fact<T> {
        Fact::known(value, ago(1))
    }

    fn failed<T>(why: &str) -> Fact<T> {
        let mut fact = Fact::default();
        fact.answered(Answer::Failed { why: why.to_owned() }, ago(1));
        fact
    }

    fn repository(key: u32, backups: Fact<BackupFacts>, wal: Fact<WalFacts>) -> Repository {
        Repository { key, place: String::new(), backups, wal, verification: None }
    }

    fn with(repositories: Vec<Repository>, upkeep: Fact<Upkeep>) -> Situation {
        Situation { board: Board { repositories, upkeep, ..Board::default() }, ..Situation::default() }
    }

    fn holds(name: &str, situation: &Situation) -> Option<bool> {
        check(name, situation, NOW).unwrap().holds
    }

    fn backups(age_s: i64) -> Fact<BackupFacts> {
        known(BackupFacts { total: 2, last: vec![(BackupKind::Full, ago(age_s))], ..BackupFacts::default() })
    }

    fn wal(missing: u64) -> Fact<WalFacts> {
        let last_segment = Some("000000010000000000000003".to_owned());
        known(WalFacts { last_segment, missing, ..WalFacts::default() })
    }

    #[test]
    fn what_nobody_has_looked_at_is_never_so() {
        let silent = with(vec![repository(1, Fact::default(), Fact::default())], Fact::default());
        for name in
            ["accepts-connections", "application-writes", "archiving-works", "backup-fresh", "disk-space"]
        {
            assert_eq!(holds(name, &silent), None, "{name}");
        }
        for name in
            ["incident-hold", "no-stop-file", "replicas-on-timeline", "repository-readable", "wal-continuous"]
        {
            assert_eq!(holds(name, &silent), None, "{name}");
        }
        assert_eq!(check("nobody-knows-this", &silent, NOW), None);
    }

    #[test]
    fn one_good_repository_is_enough_and_an_unknown_one_is_no_bad_one() {
        let good = || repository(1, backups(60), wal(0));
        let holed = || repository(2, backups(30 * 3600), wal(4));
        let gone = || repository(3, failed("no such folder"), failed("no such folder"));
        let silent = || repository(4, Fact::default(), Fact::default());
        for (repositories, expected) in [
            (vec![good(), holed(), gone()], Some(true)),
            (vec![holed(), gone()], Some(false)),
            (vec![holed(), silent()], None),
            (vec![], Some(false)),
        ] {
            let situation = with(repositories, Fact::default());
            assert_eq!(holds("wal-continuous", &situation), expected, "{situation:?}");
            assert_eq!(holds("backup-fresh", &situation), expected, "{situation:?}");
        }
        assert_eq!(holds("repository-readable", &with(vec![holed()], Fact::default())), Some(true));
        assert_eq!(holds("repository-readable", &with(vec![gone()], Fact::default())), Some(false));
    }

    #[test]
    fn holds_and_stop_files_are_seen_on_this_host() {
        let stands = HoldFacts::Stands {
            incident: "2026-11-21-01".to_owned(),
            since: ago(9),
            until: Timestamp(NOW.0 + 1),
            by: "dk".to_owned(),
        };
        let unreadable = HoldFacts::Unreadable { why: "permission denied".to_owned() };
        for (hold, expected) in [(Some(stands), Some(true)), (Some(unreadable), None), (None, Some(false))] {
            let upkeep = Upkeep { hold, stopped_by: Some(PathBuf::from("/tmp/x.stop")), archiving: None };
            let situation = with(Vec::new(), known(upkeep));
            assert_eq!(holds("incident-hold", &situation), expected);
            assert_eq!(holds("no-stop-file", &situation), Some(false));
        }
    }
}

//! Is there a standby that can take over, and does it have everything?
//!
//! Pure. A lag of 0 is never proof: "it has everything" is said only where the end of the primary's log was read, where
//! the primary answers, or where the standby was synchronous. Else it lacks an unknown tail, whose length in time is
//! bounded.

use super::eye::{Eye, FOLDER_STALE_S, One, SERVER_STALE_S, Seen};
use super::{Draft, Proposal};
use crate::base::{Bytes, Lsn, Timeline};
use crate::model::board::ServerFacts;
use crate::model::board::judge::span;
use crate::model::situation::HealthFacts;

/// So much is behind only in passing: one segment of WAL.
const PASSING_BYTES: u64 = 16 << 20;

/// How good a standby is; the greater, the better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Grade {
    No,
    Unknown,
    Lagging,
    Yes,
}

/// What is known of the primary whose log standbys should have.
struct Source<'a> {
    name: &'a str,
    facts: Option<&'a ServerFacts>,
    health: Option<&'a HealthFacts>,
    /// The end of its log: while it answers its position, else what its data directory says.
    end: Option<Lsn>,
    alive: bool,
    /// It was not seen to be gone, though its host is this one: where it stands is to be learned.
    hides: bool,
    /// When it was lost, if it is known since when it does not answer.
    lost_at: Option<i64>,
}

pub(super) fn judge(eye: &Eye<'_>) -> Proposal {
    let mut draft = Draft::default();
    let standbys = eye.standbys();
    if standbys.is_empty() {
        draft.bad("no standby is configured here", None);
        if eye.patroni().iter().any(|facts| facts.members.len() > 1) {
            draft.unknown("Patroni has members that are not configured here as members of the stanza", None);
            return draft
                .open("Patroni has members that are not configured here: name them in pgmayday.toml");
        }
        return draft.propose("no", "there is no standby");
    }
    let source = source(eye, &mut draft);
    let graded: Vec<(Grade, String)> =
        standbys.iter().map(|one| grade(eye, *one, source.as_ref(), &mut draft)).collect();
    let best = graded.into_iter().max_by_key(|(grade, _)| *grade);
    match best {
        Some((Grade::Yes, reason)) => draft.propose("yes", reason),
        Some((Grade::Lagging, reason)) => draft.propose("lagging", reason),
        Some((Grade::No, reason)) => draft.propose("no", reason),
        Some((Grade::Unknown, reason)) => draft.open(reason),
        None => draft.open("no standby could be looked at"),
    }
}

fn source<'a>(eye: &Eye<'a>, draft: &mut Draft) -> Option<Source<'a>> {
    let one = eye.primary()?;
    let name = one.board.name.as_str();
    let facts = eye.server(one).filter(|facts| !facts.in_recovery);
    let health = eye.see(&one.facts.health, SERVER_STALE_S).value();
    let folder = eye.see_some(one.facts.folder.as_ref(), FOLDER_STALE_S).value();
    let read = folder.and_then(|folder| folder.wal_end);
    if facts.is_none() {
        match read {
            Some(end) => draft.good(format!("the log of {name} ends at {end}: it was read to its end"), None),
            None => draft.unknown(format!("the end of the log of {name} was not read"), None),
        }
    }
    Some(Source {
        name,
        facts,
        health,
        end: facts.and_then(|facts| facts.lsn).or(read),
        alive: facts.is_some(),
        hides: one.facts.is_here() && super::primary::is_stopped(eye, one) != Some(true),
        lost_at: one.facts.contact.since.map(|at| at.0),
    })
}

fn grade(eye: &Eye<'_>, one: One<'_>, source: Option<&Source<'_>>, draft: &mut Draft) -> (Grade, String) {
    let name = one.board.name.as_str();
    eye.tell_contact(one, draft);
    let (facts, at) = match eye.see(&one.board.server, SERVER_STALE_S) {
        Seen::Value(facts, at) => (facts, at),
        Seen::Failed(why, _) => return (Grade::No, format!("{name}: {why}")),
        Seen::Unknown(why) => {
            // A server that nobody serves here is not merely silent.
            if super::primary::is_stopped(eye, one) == Some(true) {
                draft.bad(format!("no process serves the data directory of {name}"), None);
                return (Grade::No, format!("{name} does not run"));
            }
            return (Grade::Unknown, format!("{name}: {why}"));
        }
    };
    let Some(health) = eye.see(&one.facts.health, SERVER_STALE_S).value() else {
        draft.unknown(format!("{name} does not say how far it is"), None);
        return (Grade::Unknown, format!("{name} does not say how far it is"));
    };
    if let Some(reason) = stranger(name, facts, health, source) {
        draft.bad(reason.clone(), at);
        return (Grade::No, reason);
    }
    if facts.paused {
        let said = format!("{name} has its replay paused");
        draft.late(said.clone(), at);
        return (Grade::Lagging, said);
    }
    if health.apply_delay_ms > 0 {
        let delay =
            span(i64::try_from(health.apply_delay_ms).unwrap_or(i64::MAX / 1000).saturating_mul(1000));
        let said = format!("{name} replays {delay} late on purpose");
        draft.late(said.clone(), at);
        return (Grade::Lagging, said);
    }
    match source {
        Some(source) if source.alive => with_primary(eye, one, facts, health, source, draft),
        other => without_primary(eye, one, facts, health, other, draft),
    }
}

/// It is a copy of another cluster, or has gone another way.
fn stranger(
    name: &str,
    facts: &ServerFacts,
    health: &HealthFacts,
    source: Option<&Source<'_>>,
) -> Option<String> {
    let source = source?;
    if let (Some(own), Some(other)) = (health.system_id, source.health.and_then(|health| health.system_id))
        && own != other
    {
        return Some(format!("{name} is of another cluster than {}", source.name));
    }
    let timelines = facts.timeline.zip(source.facts.and_then(|facts| facts.timeline));
    if let Some((own, other)) = timelines.filter(|(own, other)| own > other) {
        return Some(format!(
            "{name} is on timeline {own}, {} on {other}: it has gone another way",
            source.name
        ));
    }
    // What was received may end within a record; what was replayed was whole. Asked one after the other, a primary that
    // writes has moved on, never back.
    let ahead = facts.lsn.zip(source.end).filter(|(own, end)| own > end && !facts.streaming);
    if let Some((own, end)) = ahead {
        return Some(format!(
            "{name} has replayed {own}, past the end {end} of {}: it has gone another way",
            source.name
        ));
    }
    None
}

fn with_primary(
    eye: &Eye<'_>,
    one: One<'_>,
    facts: &ServerFacts,
    health: &HealthFacts,
    source: &Source<'_>,
    draft: &mut Draft,
) -> (Grade, String) {
    let name = one.board.name.as_str();
    let at = one.board.server.at;
    let timelines = facts.timeline.zip(source.facts.and_then(|facts| facts.timeline));
    if !facts.streaming {
        if let Some((own, other)) = timelines.filter(|(own, other)| own < other) {
            return left_behind(eye, name, facts, (own, other, source.name), draft);
        }
        let said = format!("{name} receives nothing from {}, which is alive", source.name);
        draft.bad(said.clone(), at);
        return (Grade::Lagging, said);
    }
    let has = health.received_lsn.max(facts.lsn);
    let behind = has.zip(source.end).map(|(has, end)| end.0.saturating_sub(has.0));
    let limit_ms = eye.situation.board.limits.rpo_s.saturating_mul(1000);
    let Some(behind) = behind else {
        draft.unknown(format!("how far {name} is behind is not known"), at);
        return (Grade::Unknown, format!("how far {name} is behind is not known"));
    };
    let said = format!("{name} receives from {} and is {} behind it", source.name, Bytes(behind));
    if behind > PASSING_BYTES || facts.lag_ms.is_some_and(|lag| lag > limit_ms) {
        draft.late(said.clone(), at);
        return (Grade::Lagging, said);
    }
    draft.good(said.clone(), at);
    (Grade::Yes, said)
}

/// It is on an older timeline than its primary and receives nothing: it has yet to follow, or went past the fork.
fn left_behind(
    eye: &Eye<'_>,
    name: &str,
    facts: &ServerFacts,
    (own, other, primary): (Timeline, Timeline, &str),
    draft: &mut Draft,
) -> (Grade, String) {
    let switches = || eye.patroni().into_iter().flat_map(|facts| &facts.history);
    let fork = switches().find(|switch| switch.timeline == own).map(|switch| switch.lsn);
    let (grade, said) = match facts.lsn.zip(fork) {
        Some((replayed, fork)) if replayed > fork => {
            let said = format!(
                "{name} has replayed {replayed}, past {fork}, where {primary} left timeline {own}: it has gone another way"
            );
            (Grade::No, said)
        }
        Some(_) => {
            (Grade::Lagging, format!("{name} has yet to follow {primary} from timeline {own} to {other}"))
        }
        None => {
            let said = format!(
                "{name} receives nothing and is on timeline {own}, {primary} on {other}: it has yet to follow, or went past \
                 the fork, which its log tells; look again"
            );
            (Grade::Unknown, said)
        }
    };
    draft.bad(said.clone(), None);
    (grade, said)
}

fn without_primary(
    eye: &Eye<'_>,
    one: One<'_>,
    facts: &ServerFacts,
    health: &HealthFacts,
    source: Option<&Source<'_>>,
    draft: &mut Draft,
) -> (Grade, String) {
    let name = one.board.name.as_str();
    let has = health.received_lsn.max(facts.lsn);
    if let Some((has, end)) = has.zip(source.and_then(|source| source.end)) {
        if has >= end {
            let said = format!("{name} has the log up to its end at {end}");
            draft.good(said.clone(), None);
            return (Grade::Yes, said);
        }
        let said = format!("{name} has the log up to {has}, its end is at {end}");
        draft.late(said.clone(), None);
        return (Grade::Lagging, said);
    }
    if was_synchronous(eye, one) {
        let said = format!("{name} was the synchronous standby: every commit that was acknowledged is on it");
        draft.good(said.clone(), None);
        return (Grade::Yes, said);
    }
    // One that is only slow to answer is no lost primary: how far it is decides.
    if let Some(source) = source.filter(|source| source.hides || facts.streaming) {
        let said =
            format!("how far {name} is behind {} is not known while that one does not answer", source.name);
        draft.unknown(said.clone(), None);
        return (Grade::Unknown, said);
    }
    let until = source.and_then(|source| source.lost_at).unwrap_or(eye.now.0);
    let tail = health.replayed_commit_at.map(|at| until.saturating_sub(at.0).max(0));
    let said = match tail {
        Some(tail) => {
            format!("{name} may lack an unknown tail of the log, at most {} of commits", span(tail))
        }
        None => format!("{name} may lack an unknown tail of the log, of unknown length"),
    };
    draft.late(said.clone(), health.replayed_commit_at);
    (Grade::Lagging, said)
}

/// Patroni says so, which does it only while it holds.
fn was_synchronous(eye: &Eye<'_>, one: One<'_>) -> bool {
    let members = eye.patroni().into_iter().flat_map(|facts| &facts.members);
    members.filter(|member| matches!(member.role.as_str(), "sync_standby" | "quorum_standby")).any(|member| {
        member.role == "sync_standby"
            && member.port == Some(one.facts.port)
            && match (&member.host, &one.facts.host) {
                (Some(a), Some(b)) => a == b,
                (Some(host), None) => host.starts_with("127.") || host == "localhost",
                _ => false,
            }
    })
}

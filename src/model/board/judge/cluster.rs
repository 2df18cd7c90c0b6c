//! The application and the servers: who is alive, who writes, who follows.

use super::{Line, SERVER_STALE_S, State, clock, span, unseen};
use crate::base::{Lsn, Timeline, Timestamp};
use crate::model::board::{Application, Board, DataDirFacts, Member, ServerFacts};
use crate::model::fact::{Answer, Fact};

/// What the application's line is called.
pub(super) const APPLICATION: &str = "application";

pub(super) fn lines(board: &Board, now: Timestamp) -> Vec<Line> {
    let application = board.application.as_ref().map(|fact| application(fact, now));
    let members = board.members.iter().map(|member| line(board, member, now));
    application.into_iter().chain(members).collect()
}

fn application(fact: &Fact<Application>, now: Timestamp) -> Line {
    if let Some(line) = unseen(fact, APPLICATION, SERVER_STALE_S, now) {
        return line.next_of(fact, now, "run the monitor of pgmayday.toml by hand and see what it says");
    }
    match fact.value() {
        Some(application) if application.right => Line::new(State::Ok, APPLICATION, "its check is right"),
        Some(application) => {
            Line::new(State::Failed, APPLICATION, wrong(application, now)).next(advice(application, now))
        }
        None => Line::new(State::Unknown, APPLICATION, "not looked at yet"),
    }
}

/// `books do not agree since 02:03:11, last right 02:03:11.2`.
pub(super) fn wrong(application: &Application, now: Timestamp) -> String {
    let why = application.why.trim().trim_start_matches("the ");
    let mut text = if why.is_empty() { "its check is wrong".to_owned() } else { why.to_owned() };
    if let Some(since) = application.wrong_since {
        text = format!("{text} since {}", clock(since, now));
    }
    match last_right(application) {
        Some(right) => format!("{text}, last right {}", clock(right, now)),
        None => format!("{text}, never seen right"),
    }
}

/// The last moment the check was right before it became wrong.
pub(super) fn last_right(application: &Application) -> Option<Timestamp> {
    let before = |at: &&Timestamp| application.wrong_since.is_none_or(|since| **at < since);
    application.last_right.iter().filter(before).max().copied()
}

fn advice(application: &Application, now: Timestamp) -> String {
    match last_right(application) {
        Some(right) => format!("stop the writers, recover to {}", clock(right, now)),
        None => "find out when it was last right".to_owned(),
    }
}

/// The servers seen to take writes now.
pub(super) fn primaries(board: &Board, now: Timestamp) -> Vec<&Member> {
    let writes = |member: &&Member| known(member, now).is_some_and(|facts| !facts.in_recovery);
    board.members.iter().filter(writes).collect()
}

/// What a server said, if that was lately.
pub(super) fn known(member: &Member, now: Timestamp) -> Option<&ServerFacts> {
    let fresh = super::age_s(&member.server, now) <= SERVER_STALE_S;
    member.server.value().filter(|_| fresh)
}

fn line(board: &Board, member: &Member, now: Timestamp) -> Line {
    if let Some(line) = unseen(&member.server, &member.name, SERVER_STALE_S, now) {
        return silent(line, board, member, now);
    }
    let Some(facts) = member.server.value() else {
        return Line::new(State::Unknown, &member.name, "not looked at yet");
    };
    if facts.in_recovery { standby(board, member, facts, now) } else { primary(board, member, facts, now) }
}

/// The timeline of a primary that answers, if it is newer than this one.
fn newer_timeline(board: &Board, than: Timeline, now: Timestamp) -> Option<Timeline> {
    let answers = board.members.iter().filter_map(|member| known(member, now));
    answers
        .filter(|facts| !facts.in_recovery)
        .filter_map(|facts| facts.timeline)
        .find(|timeline| *timeline > than)
}

/// A server that does not answer: its data directory may tell more.
fn silent(mut line: Line, board: &Board, member: &Member, now: Timestamp) -> Line {
    let data_dir = member.data_dir.as_ref();
    match data_dir.map(|fact| &fact.answer) {
        Some(Answer::Failed { why }) => {
            line.text = format!("{}; {why}", line.text);
            line.state = State::Failed;
            line.next("its data is lost: promote a standby that is complete, or restore")
        }
        Some(Answer::Known { value: DataDirFacts { running: Some(false), state, timeline, .. } }) => {
            line.text = format!("{}, stopped ({state})", line.text);
            line.next(match newer_timeline(board, *timeline, now) {
                Some(newer) => format!(
                    "it is on timeline {timeline}, the primary on {newer}: do not start it as it is; rebuild it (runbook standby-rebuild)"
                ),
                None => "its data directory is there: start it and read its log".to_owned(),
            })
        }
        Some(Answer::Known { value: DataDirFacts { running: Some(true), .. } }) => {
            line.text = format!("{}, its process is there", line.text);
            line.next("read its log before anything is stopped")
        }
        _ => line.next_of(&member.server, now, "look from its own host"),
    }
}

fn primary(board: &Board, member: &Member, facts: &ServerFacts, now: Timestamp) -> Line {
    let on = facts.timeline.map(|timeline| format!(", timeline {timeline}")).unwrap_or_default();
    let of = |state, text: &str| Line::new(state, &member.name, text.to_owned());
    if primaries(board, now).len() > 1 {
        return of(State::Failed, &format!("primary{on}, and it is not the only one"))
            .next("stop the one that is not served before they part further");
    }
    if let Some(why) = &facts.archive_failing {
        return of(State::Late, &format!("primary{on}, archiving fails: {why}"))
            .next("read the server's log: what is not archived cannot be recovered");
    }
    if !facts.writable {
        return of(State::Late, &format!("primary{on}, read-only by default"))
            .next("see default_transaction_read_only");
    }
    of(State::Ok, &format!("primary, takes writes{on}"))
}

fn standby(board: &Board, member: &Member, facts: &ServerFacts, now: Timestamp) -> Line {
    let of = |state, text: String| Line::new(state, &member.name, text);
    let lag = facts.lag_ms.map(|ms| i64::try_from(ms).unwrap_or(i64::MAX / 1000) * 1000);
    let behind =
        lag.map_or_else(|| "behind by an unknown time".to_owned(), |lag| format!("{} behind", span(lag)));
    let primary = primaries(board, now).first().and_then(|member| known(member, now));
    if facts.paused {
        return of(State::Late, format!("standby, replay is paused, {behind}"))
            .next("resume it with pg_wal_replay_resume() unless it waits on purpose");
    }
    if let Some(timeline) = parted(facts, primary) {
        return of(
            State::Failed,
            format!("standby on timeline {timeline}, its primary has gone another way"),
        )
        .next("rebuild it from the primary or a backup");
    }
    if !facts.streaming {
        let state = if primary.is_some() { State::Failed } else { State::Late };
        let at = facts.lsn.map(|lsn: Lsn| format!(", has all up to {lsn}")).unwrap_or_default();
        return of(state, format!("standby, receives nothing{at}")).next(if primary.is_some() {
            "see primary_conninfo and its log"
        } else {
            "keep it as it is: it may be the best copy there is"
        });
    }
    let limit_us = i64::try_from(board.limits.rpo_s).unwrap_or(i64::MAX / 1_000_000) * 1_000_000;
    match lag {
        Some(lag) if lag <= limit_us => of(State::Ok, format!("standby, streaming, {behind}")),
        Some(_) => {
            of(State::Late, format!("standby, streaming, {behind}")).next("see what its replay waits for")
        }
        None => of(State::Ok, "standby, streaming".to_owned()),
    }
}

/// The timeline of a standby that cannot follow the primary any more: it stands on an older one, past the fork.
fn parted(standby: &ServerFacts, primary: Option<&ServerFacts>) -> Option<Timeline> {
    let own = standby.timeline?;
    let other = primary?.timeline?;
    (own != other && !standby.streaming).then_some(own)
}

//! What on this host keeps backups, WAL or expiry from going on: a stop file, an incident's hold, archiving that fails.
//!
//! Nothing is said where nothing stands in the way.

use super::{Line, SERVER_STALE_S, State, clock, may_still_come, span, unseen};
use crate::base::Timestamp;
use crate::model::board::{ArchiveTrouble, Board, HoldFacts};
use std::path::Path;

/// What the line is called that says that nothing is known.
const NAME: &str = "this host";

pub(super) fn lines(board: &Board, now: Timestamp) -> Vec<Line> {
    if may_still_come(&board.upkeep, now) {
        return Vec::new();
    }
    if let Some(line) = unseen(&board.upkeep, NAME, SERVER_STALE_S, now) {
        return vec![line.next("see lock-path and spool-path: stop files, holds and archiving errors")];
    }
    let Some(facts) = board.upkeep.value() else { return Vec::new() };
    let stopped = facts.stopped_by.as_deref().map(|file| stopped(board, file));
    let archiving = facts.archiving.as_ref().map(|trouble| archiving(trouble, now));
    let hold = facts.hold.as_ref().map(|hold| held(hold, now));
    [stopped, archiving, hold].into_iter().flatten().collect()
}

fn stopped(board: &Board, file: &Path) -> Line {
    let all = file.file_name().is_some_and(|name| name == "all.stop");
    let start = match (&board.identity.stanza, all) {
        (Some(stanza), false) => format!("pgmayday --stanza={stanza} start"),
        _ => "pgmayday start".to_owned(),
    };
    let text = format!("nothing is archived or backed up from this host, by {}", file.display());
    Line::new(State::Late, "stopped", text).next(format!("when the reason is gone: {start}"))
}

fn archiving(trouble: &ArchiveTrouble, now: Timestamp) -> Line {
    let which = trouble.file.as_ref().map(|file| format!(" for {file}")).unwrap_or_default();
    let more = match trouble.others {
        0 => String::new(),
        others => format!(", and {others} more"),
    };
    let text = format!("fails{which}: {}, {}{more}", trouble.why, span(now.0 - trouble.since.0));
    Line::new(State::Late, "archiving", text).next("put that right; PostgreSQL tries again by itself")
}

fn held(hold: &HoldFacts, now: Timestamp) -> Line {
    const EXPIRY: &str = "expiry";
    match hold {
        HoldFacts::Stands { incident, until, .. } => {
            let until = clock(*until, now);
            Line::new(State::Late, EXPIRY, format!("incident {incident} holds expiry until {until}"))
                .next("nothing is removed until then: watch the room in the repositories")
        }
        HoldFacts::Over { incident, until } => {
            let ago = span(now.0 - until.0);
            let text = format!("the hold of incident {incident} ended by itself {ago} ago");
            Line::new(State::Late, EXPIRY, text)
                .next("backups and WAL are removed again: place it anew if the incident is not over")
        }
        HoldFacts::Unreadable { why } => {
            Line::new(State::Unknown, EXPIRY, format!("held, by what cannot be read: {why}"))
                .next("look at that file; removing it lifts the hold")
        }
    }
}

//! Would the old data directory simply start, once what stopped it is put right?
//!
//! Pure. `no` needs evidence that data or log is lost; a full disk, a wrong setting or an expired certificate is
//! repaired, not restored.

use super::eye::{Eye, FOLDER_STALE_S, One, Seen};
use super::hinders::is_full;
use super::{Draft, Proposal};
use crate::model::situation::{FolderFacts, LogSign, LogTail, SignKind};

pub(super) fn judge(eye: &Eye<'_>) -> Proposal {
    let mut draft = Draft::default();
    let Some(one) = eye.primary() else {
        return draft.open("there is no primary whose data directory could be looked at");
    };
    eye.tell_contact(one, &mut draft);
    let name = one.board.name.as_str();
    if eye.server(one).is_some() {
        return draft.propose("yes", format!("{name} runs and answers"));
    }
    if !one.facts.is_here() {
        draft.unknown(format!("the data directory of {name} is on another host: look from there"), None);
        return draft.open(format!("the data directory of {name} is not on this host"));
    }
    if let Seen::Failed(why, at) = eye.see_some(one.board.data_dir.as_ref(), FOLDER_STALE_S) {
        draft.bad(format!("the data directory of {name}: {why}"), at);
        return draft.propose("no", format!("the data directory of {name} is not whole: {why}"));
    }
    let folder = match eye.see_some(one.facts.folder.as_ref(), FOLDER_STALE_S) {
        Seen::Value(folder, _) => folder,
        Seen::Failed(why, at) => {
            draft.bad(format!("the data directory of {name}: {why}"), at);
            return draft.propose("no", format!("the data directory of {name} is not whole: {why}"));
        }
        Seen::Unknown(why) => {
            draft.unknown(format!("the data directory of {name}: {why}"), None);
            return draft.open(format!("the data directory of {name} could not be looked at: {why}"));
        }
    };
    if let Some(reason) = lost(name, folder, &mut draft) {
        return draft.propose("no", reason);
    }
    let log = eye.see_some(one.facts.log.as_ref(), FOLDER_STALE_S).value();
    if log.is_none() {
        draft.unknown(format!("the log of {name} was not read"), None);
    }
    let last_words = log.and_then(|log| words(one, log, &mut draft));
    if let Some(sign) = last_words.filter(|sign| matches!(sign.kind, SignKind::WalLost)) {
        return draft.propose("no", format!("its last start ended with: {}", sign.text));
    }
    match folder.running {
        Some(true) => {
            return draft
                .open(format!("a process serves the data directory of {name} already; it does not answer"));
        }
        None => {
            return draft
                .open(format!("whether a process serves the data directory of {name} cannot be told"));
        }
        Some(false) => {}
    }
    if eye.is_silent(one.facts.log.as_ref(), FOLDER_STALE_S) {
        return draft.open(format!("the log of {name}, which says why it stopped, was not read in time"));
    }
    cause(name, folder, last_words, draft)
}

/// It is whole, as far as can be seen: what is to be put right before it is started?
fn cause(name: &str, folder: &FolderFacts, last_words: Option<&LogSign>, mut draft: Draft) -> Proposal {
    if let Some(sign) = last_words.filter(|sign| matches!(sign.kind, SignKind::Panic | SignKind::Page)) {
        return draft
            .open(format!("its last run ended with: {}; copy pg_wal, then try a closed start", sign.text));
    }
    let mut repairs = Vec::new();
    let rooms = [("data directory", folder.room), ("WAL", folder.wal_room)];
    for (what, room) in rooms {
        if room.as_ref().is_some_and(is_full) {
            draft.bad(format!("no room for the {what} of {name}"), None);
            repairs.push("make room".to_owned());
        }
    }
    if let Some(configuration) = &folder.configuration {
        if let Some(wrong) = &configuration.wrong {
            draft.bad(format!("the configuration of {name} cannot be read: {wrong}"), None);
            repairs.push(format!("put the configuration right ({wrong})"));
        }
        for library in &configuration.missing_libraries {
            draft.bad(format!("the library {library} is not installed"), None);
            repairs.push(format!("install the library {library} or take it out of shared_preload_libraries"));
        }
    }
    repairs.dedup();
    if repairs.is_empty()
        && let Some(sign) = last_words
    {
        repairs.push(format!("see its last words: {}", sign.text));
    }
    let Some(control) = &folder.control else {
        return draft.open(format!("pg_control of {name} was not read"));
    };
    draft.good(format!("pg_control of {name} is sound: {}", control.state), Some(control.written_at));
    // After a stop in order nothing is replayed; else the log must be there from the last checkpoint on.
    if !control.stopped_in_order {
        match (folder.wal_end, &folder.wal_wrong) {
            (Some(end), _) => {
                draft.good(format!("its WAL is whole from {} to {end}", control.redo_lsn), None);
            }
            (_, Some(why)) => {
                draft.bad(format!("its WAL: {why}"), None);
                return draft.propose("no", format!("the WAL {name} needs to start is not whole: {why}"));
            }
            _ => {
                draft.unknown("the end of its WAL was not read", None);
                return draft.open(format!("whether {name} has the WAL it needs to start is not known"));
            }
        }
    }
    let how = if repairs.is_empty() { String::new() } else { format!("; first {}", repairs.join(", ")) };
    draft.propose("yes", format!("{name} has its data and its WAL ({}){how}", control.state))
}

/// What proves that data or log is lost.
fn lost(name: &str, folder: &FolderFacts, draft: &mut Draft) -> Option<String> {
    if folder.quarantined {
        draft.bad(
            format!(
                "the data directory of {name} was taken out of service: its pg_control bears another name"
            ),
            None,
        );
        return Some(format!("the data directory of {name} was put into quarantine"));
    }
    if let Some(wrong) = &folder.control_wrong {
        draft.bad(format!("pg_control of {name}: {wrong}"), None);
        return Some(format!("pg_control of {name} cannot be believed: {wrong}"));
    }
    if let Some(first) = folder.missing.first() {
        for file in &folder.missing {
            draft.bad(format!("{file} of {name} is missing"), None);
        }
        let more = match folder.missing.len() {
            1 => String::new(),
            many => format!(" and {} more", many - 1),
        };
        return Some(format!("{first}{more} of {name} is missing"));
    }
    None
}

/// The last sign of the last run that may have stopped the server; nothing if it came up, or was stopped in order.
fn words<'a>(one: One<'_>, log: &'a LogTail, draft: &mut Draft) -> Option<&'a LogSign> {
    let place = |sign: &LogSign| {
        sign.line
            .map_or_else(|| log.path.display().to_string(), |line| format!("{}:{line}", log.path.display()))
    };
    if log.stopped_in_order {
        draft.late(
            format!("the last thing in the log of {} is a stop in order", one.board.name),
            log.written_at,
        );
        return None;
    }
    let stops = |sign: &&LogSign| {
        sign.last_run && !matches!(sign.kind, SignKind::ArchiveFails | SignKind::Index | SignKind::Wraparound)
    };
    let last = log.signs.iter().rev().find(stops)?;
    draft.bad(format!("the log of {}: {} ({})", one.board.name, last.text, place(last)), last.at);
    Some(last)
}

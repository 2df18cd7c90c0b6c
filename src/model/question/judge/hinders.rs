//! What hinders a primary that is alive: full disks, commits that hang, no quorum, and the like, the most binding first.
//!
//! Pure. `nothing` is proposed only where everything that could hinder was looked at.

use super::eye::{Eye, FOLDER_STALE_S, One, SERVER_STALE_S, Seen};
use super::{Draft, Proposal};
use crate::base::Bytes;
use crate::model::board::judge::span;
use crate::model::situation::{Contact, FolderFacts, HealthFacts, LogTail, Room, SignKind, WriteTest};

/// With less than this many transaction ids left, writes are refused before long; PostgreSQL stops at 3 million.
const XIDS_LEFT: u64 = 5_000_000;
/// With less room than this a server stops before long: two segments of WAL.
const LEAST_ROOM_BYTES: u64 = 32 << 20;
/// A commit that waits longer than this for a standby hangs.
const HANGS_MS: u64 = 5_000;
/// What PostgreSQL calls waiting for a synchronous standby.
const WAITS_FOR_STANDBY: &str = "SyncRep";
/// So many files that wait to be archived are a jam, if the oldest waits longer than [`JAM_US`].
const JAM_FILES: u64 = 3;
const JAM_US: i64 = 60_000_000;
/// So many are one, however old the first is.
const JAM_MANY: u64 = 64;
/// A sign in the log that is older says nothing about now.
const OLD_US: i64 = 3_600_000_000;

/// Everything looked at of one server.
struct Looked<'a> {
    name: &'a str,
    health: Option<&'a HealthFacts>,
    folder: Option<&'a FolderFacts>,
    log: Option<&'a LogTail>,
    write: Option<&'a WriteTest>,
    words: Option<&'a str>,
}

/// Looks at one thing: the exit and the reason, if that hinders.
type Rule = fn(&Eye<'_>, &Looked<'_>, &mut Draft) -> Option<(&'static str, String)>;

pub(super) fn judge(eye: &Eye<'_>) -> Proposal {
    let mut draft = Draft::default();
    if let Some(proposal) = quorum(eye, &mut draft) {
        return draft.propose(proposal.0, proposal.1);
    }
    let Some(one) = eye.primary() else {
        return draft.open("there is no primary to look at");
    };
    eye.tell_contact(one, &mut draft);
    let looked = look(eye, one, &mut draft);
    let rules: [Rule; 6] = [wraparound, disk, certificate, commits, archive, read_only];
    let mut found = None;
    for rule in rules {
        let next = rule(eye, &looked, &mut draft);
        found = found.or(next);
    }
    if let Some((exit, reason)) = found {
        return draft.propose(exit, reason);
    }
    if let Some(reason) = blind(eye, one, &looked) {
        return draft.open(reason);
    }
    let name = looked.name;
    let written = match looked.write {
        Some(WriteTest::Committed { took_ms }) => format!("a commit took {took_ms} ms"),
        _ => "no commit was tried".to_owned(),
    };
    draft.propose("nothing", format!("{name}: nothing that hinders was seen; {written}"))
}

/// What could hinder and is not known.
fn blind(eye: &Eye<'_>, one: One<'_>, looked: &Looked<'_>) -> Option<String> {
    let name = looked.name;
    let Some(health) = looked.health else { return Some(format!("{name} does not say how it is")) };
    // Asked twice at about the same time, it said that it is the primary, and that it is none.
    if health.in_recovery {
        return Some(format!("{name} has just become a primary, or a standby: look again"));
    }
    let committed = match looked.write {
        Some(WriteTest::Committed { .. }) => return unread(eye, one, looked),
        Some(WriteTest::Refused { why }) => {
            Some(format!("{name} refused a commit, and none of the usual reasons was seen: {why}"))
        }
        Some(WriteTest::Hung { waited_ms, waits_for, .. }) => {
            let on = waits_for.as_deref().unwrap_or("something that could not be asked");
            Some(format!("a commit on {name} took longer than {waited_ms} ms, and waited for {on}"))
        }
        None if one.facts.write.is_some() => {
            Some(format!("what became of the commit that was tried on {name} is not known"))
        }
        Some(WriteTest::NotTried { .. }) | None => None,
    };
    let unseen = || {
        (!health.sees_all).then(|| {
            format!(
                "{name} does not show us whether commits wait: try one, or ask as a member of pg_read_all_stats"
            )
        })
    };
    let lonely = || {
        let nobody = !health.sync_names.is_empty() && synchronous(health) == 0;
        nobody.then(|| {
            format!(
                "commits on {name} are to wait for '{}', and none of them is connected: try one",
                health.sync_names
            )
        })
    };
    committed.or_else(|| unread(eye, one, looked)).or_else(unseen).or_else(lonely)
}

/// What of its host should have been looked at and was not.
fn unread(eye: &Eye<'_>, one: One<'_>, looked: &Looked<'_>) -> Option<String> {
    let name = looked.name;
    if one.facts.is_here() && looked.folder.is_none() {
        return Some(format!("the disks of {name} could not be looked at"));
    }
    let silent = eye.is_silent(one.facts.log.as_ref(), FOLDER_STALE_S);
    silent.then(|| format!("the log of {name} was not read in time"))
}

/// How many standbys are connected that a commit may wait for.
fn synchronous(health: &HealthFacts) -> usize {
    health.standbys.iter().filter(|link| matches!(link.sync_state.as_str(), "sync" | "quorum")).count()
}

fn look<'a>(eye: &Eye<'a>, one: One<'a>, draft: &mut Draft) -> Looked<'a> {
    let name = one.board.name.as_str();
    let words = match eye.see(&one.facts.contact, SERVER_STALE_S) {
        Seen::Value(
            Contact::Error { why }
            | Contact::Denied { why }
            | Contact::NotNow { why }
            | Contact::Lost { why },
            _,
        ) => Some(why.as_str()),
        _ => None,
    };
    let health = match eye.see(&one.facts.health, SERVER_STALE_S) {
        Seen::Value(value, _) => Some(value),
        Seen::Failed(why, at) => {
            draft.late(format!("{name} does not say how it is: {why}"), at);
            None
        }
        Seen::Unknown(why) => {
            draft.unknown(format!("{name} does not say how it is: {why}"), one.facts.health.at);
            None
        }
    };
    if !one.facts.is_here() {
        draft.unknown(
            format!("the disks and the log of {name} are on another host and were not looked at"),
            None,
        );
    }
    let folder = eye.see_some(one.facts.folder.as_ref(), FOLDER_STALE_S).value();
    let log = eye.see_some(one.facts.log.as_ref(), FOLDER_STALE_S).value();
    if one.facts.is_here() && log.is_none() {
        draft.unknown(format!("the log of {name} was not read"), None);
    }
    let write = eye.see_some(one.facts.write.as_ref(), SERVER_STALE_S).value();
    match write {
        Some(WriteTest::Committed { took_ms }) => {
            draft.good(format!("{name}: a commit took {took_ms} ms"), None);
        }
        Some(WriteTest::Refused { why }) => draft.bad(format!("{name} refused a commit: {why}"), None),
        Some(WriteTest::Hung { waited_ms, waits_for, ended }) => {
            let waits = waits_for.as_deref().map(|on| format!(", waiting for {on}")).unwrap_or_default();
            let ended = if *ended { "it was ended" } else { "its session may still be there" };
            draft.bad(format!("{name}: a commit hung for {waited_ms} ms{waits}; {ended}"), None);
        }
        Some(WriteTest::NotTried { why }) => {
            draft.unknown(format!("{name}: no commit was tried: {why}"), None);
        }
        None => match eye.see_some(one.facts.write.as_ref(), SERVER_STALE_S) {
            Seen::Unknown(why) if one.facts.write.is_some() => {
                draft.unknown(format!("{name}: what became of a commit is not known: {why}"), None);
            }
            _ => draft.unknown(format!("{name}: no commit was tried"), None),
        },
    }
    Looked { name, health, folder, log, write, words }
}

/// All servers are standbys and Patroni has no leader, or has lost its store.
fn quorum(eye: &Eye<'_>, draft: &mut Draft) -> Option<(&'static str, String)> {
    let patroni = eye.patroni();
    for facts in &patroni {
        if facts.store_lost {
            draft.bad("a node of Patroni has lost its distributed store", None);
        }
        if facts.paused {
            draft.late("Patroni is paused", None);
        }
    }
    let writes = eye.members().any(|one| eye.is_primary(one));
    if writes || !eye.is_leaderless() {
        return None;
    }
    // Where the store is there and the primary is gone, an election is under way: that is for other questions.
    let lost = eye.has_lost_its_store();
    if !lost && eye.primary().is_some() {
        return None;
    }
    let answering: Vec<One<'_>> = eye.members().filter(|one| eye.server(*one).is_some()).collect();
    if answering.is_empty() {
        return None;
    }
    for one in &answering {
        draft.bad(format!("{} answers, but only as a standby", one.board.name), one.board.server.at);
    }
    let why = if lost { "Patroni has lost its distributed store" } else { "Patroni has no leader" };
    Some(("quorum-lost", format!("{why}: every server that answers is read-only, the data is there")))
}

fn wraparound(eye: &Eye<'_>, looked: &Looked<'_>, draft: &mut Draft) -> Option<(&'static str, String)> {
    let name = looked.name;
    if let Some(health) = looked.health {
        let left = health.xids_left.min(health.multixacts_left);
        if left < XIDS_LEFT {
            draft.bad(format!("{name} has {left} transaction ids left"), None);
            return Some((
                "wraparound",
                format!("{name} has only {left} transaction ids left before it refuses writes"),
            ));
        }
        draft.good(format!("{name} has {} million transaction ids left", left / 1_000_000), None);
    }
    let words = refusal(looked).filter(|why| why.contains("wraparound"));
    if let Some(why) = words {
        return Some(("wraparound", format!("{name} refuses writes: {why}")));
    }
    sign(eye, looked, SignKind::Wraparound, draft)
        .filter(|text| text.contains("not accepting"))
        .map(|text| ("wraparound", format!("its log: {text}")))
}

fn disk(eye: &Eye<'_>, looked: &Looked<'_>, draft: &mut Draft) -> Option<(&'static str, String)> {
    let name = looked.name;
    let rooms = looked.folder.map(|folder| [("data directory", folder.room), ("WAL", folder.wal_room)]);
    for (what, room) in rooms.into_iter().flatten() {
        let Some(room) = room else {
            draft.unknown(format!("the room for the {what} of {name} is not known"), None);
            continue;
        };
        let said = format!(
            "{} of {} free for the {what} of {name}",
            Bytes(room.free_bytes),
            Bytes(room.total_bytes)
        );
        if is_full(&room) {
            draft.bad(said.clone(), None);
            return Some(("disk-full", said));
        }
        draft.good(said, None);
    }
    if let Some(why) =
        refusal(looked).filter(|why| why.contains("No space left") || why.contains("disk full"))
    {
        return Some(("disk-full", format!("{name}: {why}")));
    }
    let said = sign(eye, looked, SignKind::DiskFull, draft)?;
    // Where there is room now, it was made since; where that is not known, the log decides.
    let has_room = looked.folder.is_some_and(|folder| folder.room.is_some() && folder.wal_room.is_some());
    (!has_room).then(|| ("disk-full", format!("the log of {name}: {said}")))
}

/// There is room for less than two segments, or for no file.
pub(super) fn is_full(room: &Room) -> bool {
    room.free_bytes < LEAST_ROOM_BYTES || room.free_files == Some(0)
}

fn certificate(eye: &Eye<'_>, looked: &Looked<'_>, draft: &mut Draft) -> Option<(&'static str, String)> {
    let name = looked.name;
    if let Some(why) = looked.words.filter(|why| is_expiry(why)) {
        return Some(("certificate", format!("{name}: {why}")));
    }
    let certificate = looked.folder.and_then(|folder| folder.certificate.as_ref());
    if let Some(certificate) = certificate {
        let left = certificate.valid_until.0.saturating_sub(eye.now.0);
        let path = certificate.path.display();
        if left < 0 {
            let said = format!("the certificate of {name} ({path}) expired {} ago", span(-left));
            draft.bad(said.clone(), None);
            return Some(("certificate", said));
        }
        draft.good(format!("the certificate of {name} is valid for {}", span(left)), None);
    }
    let said = sign(eye, looked, SignKind::CertificateExpired, draft)?;
    Some(("certificate", format!("the log of {name}: {said}")))
}

fn is_expiry(text: &str) -> bool {
    text.contains("certificate") && text.contains("expired")
}

fn commits(_: &Eye<'_>, looked: &Looked<'_>, draft: &mut Draft) -> Option<(&'static str, String)> {
    let name = looked.name;
    let mut lonely = false;
    if let Some(health) = looked.health {
        let wait = health.commits_waiting;
        let sync = synchronous(health);
        if wait.count > 0 && wait.longest_ms >= HANGS_MS {
            let longest =
                span(i64::try_from(wait.longest_ms).unwrap_or(i64::MAX / 1000).saturating_mul(1000));
            let said =
                format!("{} commits of {name} wait for a standby, the longest for {longest}", wait.count);
            draft.bad(said.clone(), None);
            return Some((
                "commits-hang",
                format!("{said}; synchronous_standby_names is '{}'", health.sync_names),
            ));
        }
        if !health.sync_names.is_empty() {
            let said = format!(
                "{name} waits for '{}', {sync} synchronous standbys are connected",
                health.sync_names
            );
            lonely = sync == 0;
            if lonely { draft.bad(said, None) } else { draft.good(said, None) }
        }
    }
    // A commit that waits for anything else, or came back late, is slow: a busy machine does that, too.
    let waits = |on: &Option<String>| on.as_ref().map_or(lonely, |on| on.contains(WAITS_FOR_STANDBY));
    match looked.write {
        Some(WriteTest::Hung { waits_for, waited_ms, .. }) if waits(waits_for) => {
            let on = waits_for.as_deref().unwrap_or("a synchronous standby that is not there");
            Some(("commits-hang", format!("a commit on {name} hung for {waited_ms} ms, waiting for {on}")))
        }
        _ => None,
    }
}

fn archive(eye: &Eye<'_>, looked: &Looked<'_>, draft: &mut Draft) -> Option<(&'static str, String)> {
    let name = looked.name;
    let failing = looked
        .health
        .and_then(|health| health.archiver.as_ref())
        .and_then(|archiver| archiver.failing_for.as_ref().map(|file| (file, archiver.last_archived_at)));
    if let Some((file, since)) = failing {
        let since =
            since.map(|at| format!(", nothing archived for {}", span(eye.now.0 - at.0))).unwrap_or_default();
        draft.bad(format!("{name} cannot archive {file}{since}"), None);
    }
    sign(eye, looked, SignKind::ArchiveFails, draft);
    let queue = looked.folder.map(|folder| &folder.queue);
    if let Some(queue) = queue {
        let waits = queue.oldest.as_ref().map_or(0, |(_, at)| eye.now.0.saturating_sub(at.0));
        let said =
            format!("{} files of {name} wait to be archived, the oldest for {}", queue.ready, span(waits));
        let jam = queue.ready >= JAM_MANY || (queue.ready >= JAM_FILES && waits > JAM_US);
        if jam || (failing.is_some() && queue.ready > 0) {
            let until = until_full(looked, waits)
                .map(|left| format!("; pg_wal is full in {left}"))
                .unwrap_or_default();
            draft.bad(said.clone(), None);
            return Some(("archive-stuck", format!("{said}{until}")));
        }
        draft.good(format!("{} files of {name} wait to be archived", queue.ready), None);
        return None;
    }
    failing.map(|(file, _)| ("archive-stuck", format!("{name} fails to archive {file}")))
}

/// How long the room for WAL lasts at the pace at which files came to wait.
fn until_full(looked: &Looked<'_>, waits_us: i64) -> Option<String> {
    let folder = looked.folder?;
    let room = folder.wal_room?;
    let ready = i64::try_from(folder.queue.ready).ok().filter(|ready| *ready > 0)?;
    let each = i64::try_from(folder.wal_bytes / folder.queue.ready.max(1)).ok()?.clamp(1 << 20, 16 << 20);
    let files = i64::try_from(room.free_bytes).ok()? / each;
    (waits_us > 0).then(|| span(files.saturating_mul(waits_us / ready)))
}

fn read_only(_: &Eye<'_>, looked: &Looked<'_>, draft: &mut Draft) -> Option<(&'static str, String)> {
    let (name, health) = (looked.name, looked.health?);
    if health.read_only_default {
        draft.bad(format!("{name} has default_transaction_read_only on"), None);
        return Some(("read-only", format!("{name} has default_transaction_read_only on")));
    }
    None
}

/// Why the server refused a session or a commit.
fn refusal<'a>(looked: &Looked<'a>) -> Option<&'a str> {
    let write = match looked.write {
        Some(WriteTest::Refused { why }) => Some(why.as_str()),
        _ => None,
    };
    write.or(looked.words)
}

/// The last sign of a kind in the log of the run that goes on, if it is of now.
fn sign(eye: &Eye<'_>, looked: &Looked<'_>, kind: SignKind, draft: &mut Draft) -> Option<String> {
    let log = looked.log?;
    let sign = log.signs.iter().rev().find(|sign| sign.kind == kind && sign.last_run)?;
    let at = sign.at.or(log.written_at)?;
    let place = sign
        .line
        .map_or_else(|| log.path.display().to_string(), |line| format!("{}:{line}", log.path.display()));
    let said = format!("{} ({place})", sign.text);
    if eye.now.0.saturating_sub(at.0) > OLD_US {
        draft.late(
            format!("the log of {} said {} ago: {said}", looked.name, span(eye.now.0 - at.0)),
            Some(at),
        );
        return None;
    }
    draft.bad(format!("the log of {}: {said}", looked.name), Some(at));
    Some(said)
}

//! Is the data damaged, and how: pages, an index alone, or what is in them?
//!
//! Pure. `none` is proposed only where the application's own check says that the data is right: no probe of a server
//! sees a wrong UPDATE.

use super::eye::{Eye, FOLDER_STALE_S, One, SERVER_STALE_S, Seen};
use super::{Draft, Proposal};
use crate::model::board::judge::span;
use crate::model::situation::{PageFacts, SignKind};

/// A sign in the log that is older is told and decides nothing: the damage may have been repaired since.
const OLD_US: i64 = 24 * 3_600_000_000;
/// A scan of all pages says little of now after so long.
const SCAN_STALE_S: i64 = 24 * 3600;

/// What speaks for what.
#[derive(Default)]
struct Tally {
    page: Option<String>,
    index: Option<String>,
    /// A page was wrong, and it is not known whether it is one of an index.
    unplaced: Option<String>,
}

pub(super) fn judge(eye: &Eye<'_>) -> Proposal {
    let mut draft = Draft::default();
    let mut tally = Tally::default();
    for one in eye.members().filter(|one| !eye.is_standby(*one)) {
        failures(eye, one, &mut tally, &mut draft);
        log(eye, one, &mut tally, &mut draft);
        pages(eye, one, &mut tally, &mut draft);
    }
    // What a standby has damaged is its own.
    for one in eye.members().filter(|one| eye.is_standby(*one)) {
        let mut own = Tally::default();
        failures(eye, one, &mut own, &mut draft);
        log(eye, one, &mut own, &mut draft);
        pages(eye, one, &mut own, &mut draft);
    }
    let application = eye.see_some(eye.situation.board.application.as_ref(), SERVER_STALE_S);
    let right = match application {
        Seen::Value(check, at) if check.right => {
            draft.good("the application's check is right", at);
            Some(true)
        }
        Seen::Value(check, at) => {
            let why = if check.why.is_empty() { "it does not say why" } else { check.why.as_str() };
            draft.bad(format!("the application's check is wrong: {why}"), at);
            Some(false)
        }
        Seen::Failed(why, at) => {
            draft.unknown(format!("the application's check failed: {why}"), at);
            None
        }
        Seen::Unknown(why) if eye.situation.board.application.is_some() => {
            draft.unknown(format!("the application's check: {why}"), None);
            None
        }
        Seen::Unknown(_) => {
            draft.unknown("no check of the application is configured (hooks.monitor of pgmayday.toml)", None);
            None
        }
    };
    if let Some(page) = tally.page {
        return draft.propose("physical", page);
    }
    // A wrong page that may be one of a table is taken for one.
    match (tally.unplaced, tally.index) {
        (Some(page), None) => return draft.propose("physical", page),
        (Some(_) | None, Some(index)) => return draft.propose("index", index),
        (None, None) => {}
    }
    let Some(right) = right else {
        return draft.open(
            "no page is seen to be damaged; whether the data is right, the application or its people must say",
        );
    };
    if let Some(what) = blind(eye) {
        let is = if right { "right" } else { "wrong" };
        return draft.open(format!("the application's check is {is}, but {what}"));
    }
    if right {
        draft.propose("none", "no page is seen to be damaged, and the application's check is right")
    } else {
        draft.propose("logical", "no page is seen to be damaged, and the application's check is wrong")
    }
}

/// Where damaged pages should have been looked for, and were not.
fn blind(eye: &Eye<'_>) -> Option<String> {
    let asked = |one: &One<'_>| eye.see(&one.facts.health, SERVER_STALE_S).value().is_some();
    let Some(one) = eye.primary().filter(asked) else {
        return Some("the primary could not be asked for damaged pages".to_owned());
    };
    let name = &one.board.name;
    if eye.is_silent(one.facts.log.as_ref(), FOLDER_STALE_S) {
        return Some(format!("the log of {name} was not read in time"));
    }
    let whole = |pages: &PageFacts| pages.whole && pages.unreadable.is_empty();
    let unread = one.facts.pages.is_some()
        && !eye.see_some(one.facts.pages.as_ref(), SCAN_STALE_S).value().is_some_and(whole);
    unread.then(|| format!("not all pages of {name} were read"))
}

fn failures(eye: &Eye<'_>, one: One<'_>, tally: &mut Tally, draft: &mut Draft) {
    let name = &one.board.name;
    let Some(health) = eye.see(&one.facts.health, SERVER_STALE_S).value() else {
        draft.unknown(format!("{name} could not be asked for damaged pages"), one.facts.health.at);
        return;
    };
    if !health.checksums {
        draft.unknown(format!("{name} has no page checksums: damaged pages are seen only by chance"), None);
    }
    for failure in &health.checksum_failures {
        let database = failure.database.as_deref().unwrap_or("the shared catalogs");
        let said = format!("{name} found {} wrong pages in {database}", failure.count);
        let old = failure.last_at.is_some_and(|at| eye.now.0.saturating_sub(at.0) > OLD_US);
        if old {
            draft.late(said, failure.last_at);
            continue;
        }
        draft.bad(said.clone(), failure.last_at);
        tally.unplaced.get_or_insert(said);
    }
    if health.checksums && health.checksum_failures.is_empty() {
        draft.good(format!("{name} has read no wrong page so far"), one.facts.health.at);
    }
}

fn log(eye: &Eye<'_>, one: One<'_>, tally: &mut Tally, draft: &mut Draft) {
    let name = &one.board.name;
    let Some(log) = eye.see_some(one.facts.log.as_ref(), FOLDER_STALE_S).value() else {
        draft.unknown(format!("the log of {name} was not read"), None);
        return;
    };
    for sign in log.signs.iter().filter(|sign| matches!(sign.kind, SignKind::Page | SignKind::Index)) {
        let line = sign.line.map(|line| format!(":{line}")).unwrap_or_default();
        let said = format!("the log of {name} says: {} ({}{line})", sign.text, log.path.display());
        if let Some(at) = sign.at.filter(|at| eye.now.0.saturating_sub(at.0) > OLD_US) {
            draft.late(format!("{said}, {} ago", span(eye.now.0 - at.0)), Some(at));
            continue;
        }
        draft.bad(said.clone(), sign.at);
        let into = if sign.kind == SignKind::Page { &mut tally.page } else { &mut tally.index };
        into.get_or_insert(said);
    }
}

fn pages(eye: &Eye<'_>, one: One<'_>, tally: &mut Tally, draft: &mut Draft) {
    let name = &one.board.name;
    let facts: &PageFacts = match eye.see_some(one.facts.pages.as_ref(), SCAN_STALE_S) {
        Seen::Value(facts, _) => facts,
        Seen::Failed(why, at) => {
            return draft.unknown(format!("the pages of {name} were not read: {why}"), at);
        }
        Seen::Unknown(why) if one.facts.pages.is_some() => {
            return draft.unknown(format!("the pages of {name} were not read: {why}"), None);
        }
        Seen::Unknown(_) => return,
    };
    let at = one.facts.pages.as_ref().and_then(|fact| fact.at);
    for damage in &facts.damaged {
        let what = damage.relation.as_ref().unwrap_or(&damage.file);
        let blocks: u64 = damage.blocks.iter().map(|(first, last)| u64::from(last - first) + 1).sum();
        let said = format!("{blocks} wrong pages in {what} of {name}");
        draft.bad(said.clone(), at);
        let into = match damage.index {
            Some(true) => &mut tally.index,
            Some(false) => &mut tally.page,
            None => &mut tally.unplaced,
        };
        into.get_or_insert(said);
    }
    for file in &facts.unreadable {
        draft.bad(format!("{file} of {name} cannot be read"), at);
        tally.page.get_or_insert(format!("{file} of {name} cannot be read"));
    }
    match (facts.whole, facts.damaged.is_empty()) {
        (true, true) => draft.good(format!("all {} pages of {name} are right", facts.pages), at),
        (false, true) => {
            draft.unknown(format!("{} pages of {name} are right, the rest was not read", facts.pages), at);
        }
        (_, false) => {}
    }
}

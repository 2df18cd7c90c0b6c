//! The checklists before and after a restore: what is to be looked at, by whom, and what it stops.
//!
//! An item with a probe is looked at by this program, and answered by it where that answers it whole ([`seen`]); every item
//! can be answered by a person, by name, and that stands. Nothing here looks at anything.

mod items;
pub mod seen;

use super::standing::{Standing, Tick};
use crate::journal::TickResult;
use crate::model::plan::RecoverPlan;
pub use items::{ITEMS, Item, POST_RESTORE, PRE_RESTORE, item, items};

/// How an item stands; nothing if nobody has looked at it.
pub fn tick<'a>(standing: &'a Standing, item: &Item) -> Option<&'a Tick> {
    standing.ticks.iter().find(|tick| tick.list == item.list && tick.item == item.id)
}

/// True if an item stops what comes after its checklist. An answer that is unknown is no answer.
pub fn stops(standing: &Standing, item: &Item) -> bool {
    let result = tick(standing, item).map(|tick| tick.result);
    item.blocking && !matches!(result, Some(TickResult::Ok | TickResult::NotApplicable))
}

/// What is said of a recovery that is started while blocking items of the checklist before it are open; nothing if none
/// is. What the plan shows is not open, unless a person said otherwise.
pub fn open_before(standing: &Standing, plan: &RecoverPlan) -> Option<String> {
    // A recovery that was done changed what the items are about: what was said before it says nothing of the next.
    let since =
        standing.attempts.iter().rfind(|attempt| attempt.done == Some(true)).map(|attempt| attempt.at);
    let said = |item: &Item| tick(standing, item).filter(|tick| since.is_none_or(|at| tick.at > at));
    let is_open = |item: &&Item| match said(item) {
        Some(tick) if !tick.automatic => stops(standing, item),
        _ => item.blocking && !seen::is_shown(plan, item),
    };
    let open: Vec<&str> = items(PRE_RESTORE).filter(is_open).map(|item| item.id).collect();
    (!open.is_empty()).then(|| format!("open in the {PRE_RESTORE} list: {}", open.join(", ")))
}

/// The blocking items of the checklist after a restore that are not answered well, once a person has begun it, and those
/// that are known not to be so; each in a sentence.
pub(super) fn open_blocking(standing: &Standing) -> Vec<String> {
    let begun = standing.ticks.iter().any(|tick| tick.list == POST_RESTORE && !tick.automatic);
    let failed = |item: &Item| tick(standing, item).is_some_and(|tick| tick.result == TickResult::Failed);
    let open = items(POST_RESTORE).filter(|item| stops(standing, item) && (begun || failed(item)));
    open.map(|item| {
        let how = tick(standing, item).map_or("not looked at", |tick| tick.result.said());
        format!("{POST_RESTORE}: {} ({how})", item.id)
    })
    .collect()
}

//! The walk of a journal through a runbook: its entries as steps, with the recoveries that an act asked for. One that is
//! confirmed while the runbook stands at such an act, or at its plan, is that act's, and its good end leads on. What
//! failed stays where it is, for it can be resumed. Writes nothing.

use super::current;
use crate::base::Timestamp;
use crate::journal::{Entry, Fact, TickResult};
use crate::runbook::walk::{Event, Happened, ItemState, Walk};
use crate::runbook::{How, Node, NodeKind, Runbook};

/// The operation of an act that is done where a target is chosen, and that of its plan.
const RECOVER: &str = "recover";
const PLAN: &str = "recover-plan";
/// The kind of target that a recovery has if none is named.
const LATEST: &str = "default";
const EXCLUSIVE: &str = "--target-exclusive";

/// How far a runbook is.
pub(super) struct Walked<'b> {
    pub walk: Walk<'b>,
    /// When a recovery ended well that no step asked for; nothing once somebody went on after it.
    pub beside: Option<Timestamp>,
}

/// How far `book` is by these entries.
pub(super) fn walked<'b>(book: &'b Runbook, entries: &[Entry]) -> Walked<'b> {
    let mut walked = Walked { walk: Walk::new(book), beside: None };
    let is_here = current(entries) == book.name;
    let mut digest = String::new();
    let mut confirmed: Vec<&str> = Vec::new();
    for entry in entries {
        if let Some(step) = step(entry, &mut digest) {
            walked.walk.apply(&step);
            walked.beside = None;
            continue;
        }
        match &entry.fact {
            Fact::Confirmed { operation, command, .. } => {
                confirmed.push(operation);
                begin(&mut walked.walk, entry, operation, command);
            }
            Fact::OperationEnded { operation, done: true, lines }
                if confirmed.contains(&operation.as_str()) =>
            {
                let led_on = end(&mut walked.walk, entry, operation, lines);
                walked.beside = Some(entry.at).filter(|_| !led_on && is_here);
            }
            _ => {}
        }
    }
    walked
}

/// Takes in what an entry leads to without being a step itself.
fn apply(walk: &mut Walk<'_>, entry: &Entry, events: Vec<Event>) {
    let book = walk.book();
    for event in events {
        let (runbook, digest) = (book.name.clone(), book.digest.clone());
        walk.apply(&Happened { at: entry.at, actor: entry.actor.clone(), runbook, digest, event });
    }
}

/// True if one stands at an act that is this operation.
fn is_at(walk: &Walk<'_>, name: &str) -> bool {
    !walk.is_fresh() && walk.node().is_some_and(|node| does(node, name))
}

fn does(node: &Node, name: &str) -> bool {
    let NodeKind::Act(act) = &node.kind else { return false };
    matches!(&act.how, How::Operation { operation, .. } if operation == name)
}

/// True if this command is the recovery that the act means: to the same kind of target, and just before it or at it.
fn means(node: &Node, command: &str) -> bool {
    let NodeKind::Act(act) = &node.kind else { return false };
    let How::Operation { options, .. } = &act.how else { return false };
    let kind = |word: &str| word.strip_prefix("--type=").map(str::to_owned);
    let asked = options.iter().find_map(|word| kind(word)).unwrap_or_else(|| LATEST.to_owned());
    let done = command.split(' ').find_map(kind).unwrap_or_else(|| LATEST.to_owned());
    // A variable stands for whatever target is looked for; the latest and a backup's end are none.
    let same =
        if asked.contains("${") { !matches!(done.as_str(), LATEST | "immediate") } else { asked == done };
    let exclusive = options.iter().any(|word| word == EXCLUSIVE);
    // A moment is one at which all was right; a transaction or a position may be the damage itself.
    let at_a_moment = matches!(done.as_str(), "time" | "name");
    same && (at_a_moment || exclusive == command.split(' ').any(|word| word == EXCLUSIVE))
}

/// The act one is at begins, if it is this recovery; if it is its plan, that is behind.
fn begin(walk: &mut Walk<'_>, entry: &Entry, operation: &str, command: &str) {
    if is_at(walk, PLAN) {
        let done = walk.now().and_then(|now| now.ways.into_iter().find(|way| way.id == "done"));
        let next = done.and_then(|way| walk.book().node(&way.goto.node));
        if next.is_some_and(|node| does(node, RECOVER) && means(node, command)) {
            let events = walk.ended(true, "the plan was confirmed").unwrap_or_default();
            apply(walk, entry, events);
        }
    }
    if is_at(walk, RECOVER) && walk.node().is_some_and(|node| means(node, command)) {
        let events = walk.begun(&format!("{operation}: {command}")).unwrap_or_default();
        apply(walk, entry, events);
    }
}

/// The act one is at has ended well, if this operation does it; true if it does.
fn end(walk: &mut Walk<'_>, entry: &Entry, operation: &str, lines: &[String]) -> bool {
    let began = walk.now().and_then(|now| now.began);
    let is_its =
        began.is_some_and(|began| began.what.split_once(": ").is_some_and(|(id, _)| id == operation));
    if is_its {
        let what = lines.first().map_or("done", String::as_str);
        let events = walk.ended(true, what).unwrap_or_default();
        apply(walk, entry, events);
    }
    is_its
}

/// An entry as a step in a runbook, if it is one; `digest` is that of the version that was entered last.
fn step(entry: &Entry, digest: &mut String) -> Option<Happened> {
    let (runbook, event) = match entry.fact.clone() {
        Fact::NodeEntered { runbook, digest: version, node } => {
            *digest = version;
            (runbook, Event::Entered { node })
        }
        Fact::NodeAnswered { runbook, node, exit, proposed, reason, .. } => {
            (runbook, Event::Answered { node, exit, proposed, reason })
        }
        Fact::NodePassed { runbook, node, note } => (runbook, Event::Passed { node, note }),
        Fact::WentBack { runbook, from, to } => (runbook, Event::WentBack { from, to }),
        Fact::ActStarted { runbook, node, what } => (runbook, Event::Began { node, what }),
        Fact::ActEnded { runbook, node, done, outcome, .. } => {
            (runbook, Event::Ended { node, done, what: outcome })
        }
        Fact::Ticked { list, item, automatic, result, detail } => {
            let (runbook, node) = list.split_once('/')?;
            let state = match result {
                TickResult::Ok => ItemState::Holds,
                TickResult::NotApplicable => ItemState::NotApplicable,
                TickResult::Failed | TickResult::Unknown => ItemState::Open,
            };
            let seen = Some(detail).filter(|detail| !detail.is_empty());
            let node = node.to_owned();
            (runbook.to_owned(), Event::Ticked { node, item, state, automatic, note: seen })
        }
        _ => return None,
    };
    Some(Happened { at: entry.at, actor: entry.actor.clone(), runbook, digest: digest.clone(), event })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::guide::FIRST_RUNBOOK;
    use crate::incident::guide::tests::{confirmed, entries_of as entries};
    use crate::runbook::Library;

    fn entered(node: &str) -> Fact {
        let (runbook, node) = (FIRST_RUNBOOK.to_owned(), node.to_owned());
        Fact::NodeEntered { runbook, digest: String::new(), node }
    }

    fn over(operation: &str, done: bool) -> Fact {
        Fact::OperationEnded { operation: operation.to_owned(), done, lines: vec!["recovered".to_owned()] }
    }

    #[test]
    fn a_recovery_that_was_begun_at_its_act_or_its_plan_leads_on() {
        const OP: &str = "20261121T021000Z-recover-7f3a";
        let library = Library::shipped();
        let book = library.book(FIRST_RUNBOOK).unwrap();
        for at in ["recover-latest", "plan-latest"] {
            let running = walked(book, &entries(&[entered(at), confirmed(OP)]));
            assert_eq!(running.walk.node().unwrap().id, "recover-latest", "{at}");
            let what = running.walk.now().unwrap().began.unwrap().what;
            assert_eq!(what, format!("{OP}: pgmayday recover"));
            // Stopped, it stays where it can be resumed.
            let stopped = walked(book, &entries(&[entered(at), confirmed(OP), over(OP, false)]));
            assert_eq!(stopped.walk.node().unwrap().id, "recover-latest", "{at}");
            let done = [entered(at), confirmed(OP), over(OP, false), over(OP, true)];
            let done = walked(book, &entries(&done));
            assert_eq!((done.walk.node().unwrap().id.as_str(), done.beside), ("service-check", None), "{at}");
        }
    }

    #[test]
    fn a_recovery_to_another_target_is_not_the_acts() {
        let library = Library::shipped();
        let node = |book: &str, name: &str| library.book(book).unwrap().node(name).unwrap().clone();
        let latest = node(FIRST_RUNBOOK, "recover-latest");
        let time = "pgmayday recover --stanza=main --type=time '--target=2026-11-28 13:27:06+00' --ask";
        let xid = "pgmayday recover --stanza=main --type=xid --target=733";
        let before = format!("{xid} --target-exclusive");
        assert!(means(&latest, "pgmayday recover --stanza=main --type=default --ask"));
        assert!(!means(&latest, time) && !means(&latest, "pgmayday recover --type=immediate"));
        let before_target = node("pitr", "recover-before");
        assert!(means(&before_target, &before) && means(&before_target, time));
        assert!(!means(&before_target, xid), "it would replay the damage");
        assert!(!means(&before_target, "pgmayday recover --type=default"));
    }

    #[test]
    fn a_recovery_that_no_step_asked_for_leads_nowhere_and_is_told_until_one_goes_on() {
        let library = Library::shipped();
        let book = library.book(FIRST_RUNBOOK).unwrap();
        let mut facts = vec![entered("alive"), confirmed("op"), over("op", true)];
        let beside = walked(book, &entries(&facts));
        assert_eq!(beside.walk.node().unwrap().id, "alive");
        assert!(beside.beside.is_some() && beside.walk.now().unwrap().began.is_none());
        facts.push(entered("service-check"));
        assert_eq!(walked(book, &entries(&facts)).beside, None);
        // Another operation's end is not the act's.
        let other = [entered("recover-latest"), confirmed("op"), over("other", true)];
        assert_eq!(walked(book, &entries(&other)).walk.node().unwrap().id, "recover-latest");
        // An act that is no recovery is not begun by one.
        let manual = [entered("disk-full"), confirmed("op")];
        assert!(walked(book, &entries(&manual)).walk.now().unwrap().began.is_none());
    }
}

//! What was answered or done a short while ago in another runbook of the incident, so that nobody is asked as if it had
//! never been heard. Only shown: whoever answers answers.

use crate::base::Timestamp;
use crate::journal::{Entry, Fact};
use crate::model::guide::Heard;
use crate::runbook::{Library, Node, NodeKind, Runbook, UNKNOWN};

/// What is older says nothing about now, seconds.
const STALE_S: i64 = 15 * 60;

/// How the same as `node` of `book` was answered or done last, if that is not too long ago. What was said before a
/// recovery was confirmed says nothing after it.
pub(super) fn heard(
    book: &Runbook,
    node: &Node,
    entries: &[Entry],
    library: &Library,
    now: Timestamp,
) -> Option<Heard> {
    let is_new = |entry: &&Entry| {
        now.unix_s() - entry.at.unix_s() <= STALE_S && !matches!(entry.fact, Fact::Confirmed { .. })
    };
    let newest = entries.iter().rev().take_while(is_new);
    newest.into_iter().find_map(|entry| {
        let (Fact::NodeAnswered { runbook, node: told, .. }
        | Fact::ActEnded { runbook, node: told, done: true, .. }) = &entry.fact
        else {
            return None;
        };
        // Who comes back to a question of the same runbook asks anew.
        if *runbook == book.name || !is_same(node, runbook, told, library) {
            return None;
        }
        let when = entry.at.to_utc().format("%H:%M");
        match &entry.fact {
            Fact::NodeAnswered { exit, .. } if exit != UNKNOWN => {
                let way = node.ways().into_iter().find(|way| way.id == exit)?;
                let text = format!("answered at {when} by {}: {}", entry.actor, way.label);
                Some(Heard { exit: Some(exit.clone()), text })
            }
            Fact::ActEnded { outcome, .. } => {
                let text = format!("done at {when} by {}, in {runbook}: {outcome}", entry.actor);
                Some(Heard { exit: None, text })
            }
            _ => None,
        }
    })
}

/// True if the node `told` of `runbook` asks or does the same: as one of the two says, or because the facts or the words
/// of the question are the same.
fn is_same(node: &Node, runbook: &str, told: &str, library: &Library) -> bool {
    if node.same.as_deref().and_then(|same| same.split_once('/')) == Some((runbook, told)) {
        return true;
    }
    let Ok((other, _)) = library.book_or_shipped(runbook) else { return false };
    match (&node.kind, other.node(told).map(|node| &node.kind)) {
        (NodeKind::Decide(here), Some(NodeKind::Decide(there))) => {
            here.ask.is_some() && here.ask == there.ask || here.question == there.question
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::guide::tests::{confirmed, entries_of};

    fn answered(runbook: &str, node: &str, exit: &str) -> Fact {
        Fact::NodeAnswered {
            runbook: runbook.to_owned(),
            node: node.to_owned(),
            exit: exit.to_owned(),
            proposed: None,
            reason: None,
            findings: Vec::new(),
        }
    }

    fn at(runbook: &str, node: &str, facts: &[Fact], later_s: i64) -> Option<Heard> {
        let library = Library::shipped();
        let book = library.book(runbook).unwrap();
        let entries = entries_of(facts);
        let now = Timestamp(entries.last().unwrap().at.0 + later_s * 1_000_000);
        heard(book, book.node(node).unwrap(), &entries, &library, now)
    }

    #[test]
    fn an_answer_in_one_runbook_is_heard_in_the_next_for_a_while() {
        let all = [answered("postgres-dr", "logical-road", "all")];
        let heard = at("pitr", "smaller", &all, 60).unwrap();
        assert_eq!(heard.exit.as_deref(), Some("all"));
        assert!(heard.text.starts_with("answered at ") && heard.text.contains(" by dk: "), "{}", heard.text);
        assert_eq!(at("pitr", "smaller", &all, STALE_S + 1), None, "that is too long ago");
        let unknown = [answered("postgres-dr", "logical-road", "unknown")];
        assert_eq!(at("pitr", "smaller", &unknown, 60), None, "who could not tell has said nothing");
        // The facts that are asked for are the same.
        let usable = [answered("postgres-dr", "repository", "yes")];
        assert_eq!(at("full-site", "repository", &usable, 0).unwrap().exit.as_deref(), Some("yes"));
        // And within one runbook one asks anew.
        assert_eq!(at("pitr", "smaller", &[answered("pitr", "smaller", "all")], 0), None);
    }

    #[test]
    fn what_was_done_is_heard_and_a_recovery_ends_all_that() {
        let text = String::new;
        let ended = |done| Fact::ActEnded {
            runbook: "postgres-dr".to_owned(),
            node: "stop-writers".to_owned(),
            what: text(),
            done,
            outcome: "the pool is paused".to_owned(),
        };
        let heard = at("pitr", "stop-writers", &[ended(true)], 60).unwrap();
        assert!(heard.exit.is_none() && heard.text.ends_with("in postgres-dr: the pool is paused"));
        assert_eq!(at("pitr", "stop-writers", &[ended(false)], 60), None);
        assert_eq!(at("pitr", "stop-writers", &[ended(true), confirmed("op")], 60), None);
    }

    #[test]
    fn what_shipped_runbooks_call_the_same_is_there_and_has_the_same_answers() {
        let library = Library::shipped();
        for volume in library.volumes() {
            for node in &volume.book().unwrap().nodes {
                let Some((runbook, told)) = node.same.as_deref().and_then(|same| same.split_once('/')) else {
                    continue;
                };
                let other = library.book(runbook).unwrap().node(told).unwrap();
                let ids = |node: &Node| {
                    let mut ids: Vec<String> = node.ways().into_iter().map(|way| way.id.to_owned()).collect();
                    ids.sort();
                    ids
                };
                assert_eq!(ids(node), ids(other), "{}", node.id);
            }
        }
    }
}

//! Files that are right, and files that are not: each mistake with its place and what would be right.

mod mistakes;

use super::library::SHIPPED;
use super::{Because, Library, Node, NodeKind, Runbook, UNKNOWN, follow, template};
use crate::model::question::QUESTIONS;
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::BTreeSet;

/// A small runbook with every kind of node.
pub(in crate::runbook) const SMALL: &str = r##"name = "small"
title = "A small one"
purpose = "To be read by tests."
applies = "Never."
start = "alive"
expected = "30m"

[node.alive]
kind = "decide"
question = "Is the primary alive?"
why = "It matters."
ask = "primary-alive"
look = ["pg_isready -h ${host}", "# or look"]
within = "2m"
[[node.alive.exit]]
id = "yes"
key = "y"
label = "yes"
goto = "list"
[[node.alive.exit]]
id = "no"
key = "n"
label = "no"
goto = "start"
[[node.alive.exit]]
id = "unknown"
key = "u"
label = "cannot tell"
goto = "tell"

[node.list]
kind = "checklist"
title = "Look"
goto = "tell"
[[node.list.item]]
id = "told"
text = "Told."
blocking = true
[[node.list.item]]
id = "room"
text = "Room."
why = "Full disks."
check = "disk-space"
blocking = false

[node.start]
kind = "act"
title = "Start it"
command = ["systemctl", "start", "${service}"]
risk = "Two of them."
confirm = "key"
undo = "Stop it."
on_done = "alive"
on_failed = "tell"

[node.tell]
kind = "notify"
title = "Tell"
audience = "internal"
template = "${stanza}: ${reason}"
goto = "end"

[node.end]
kind = "end"
title = "Over"
outcome = "service-back"
text = "It works."
"##;

pub(in crate::runbook) fn small() -> Runbook {
    Runbook::parse(SMALL).unwrap()
}

fn shipped() -> Vec<Runbook> {
    let books = SHIPPED.iter().map(|(name, text)| match Runbook::parse(text) {
        Ok(book) => book,
        Err(findings) => {
            let lines: Vec<String> = findings.iter().map(|finding| format!("{name}:{finding}")).collect();
            panic!("{}", lines.join("\n"));
        }
    });
    books.collect()
}

#[test]
fn the_small_one_is_read_whole() {
    let book = small();
    let sections: Vec<(usize, &str)> =
        book.nodes.iter().map(|node| (node.section, node.id.as_str())).collect();
    assert_eq!(sections, [(1, "alive"), (2, "list"), (3, "tell"), (4, "end"), (5, "start")]);
    assert_eq!(book.expected.map(|d| d.as_secs()), Some(1800));
    assert_eq!(book.nodes[0].within.map(|d| d.as_secs()), Some(120));
    assert_eq!(book.digest.len(), 64);
    let names: Vec<&str> = book.variables().iter().map(|variable| variable.name).collect();
    assert_eq!(names, ["host", "reason", "service", "stanza"]);
    let json = serde_json::to_value(&book).unwrap();
    assert_eq!(json["nodes"][0]["kind"], "decide");
    assert_eq!(json["nodes"][0]["exits"][0]["goto"], "list");
    assert_eq!(json["nodes"][4]["how"]["by"], "command");
    assert_eq!(json["nodes"][4]["confirm"], "key");
}

#[test]
fn every_shipped_file_is_without_a_mistake() {
    let library = Library::shipped();
    for (volume, book) in library.volumes().iter().zip(shipped()) {
        assert_eq!(library.findings(volume), [], "{}", volume.name);
        assert_eq!(volume.name, book.name);
        assert!(book.nodes.len() >= 12, "{} has {} nodes", book.name, book.nodes.len());
    }
}

#[test]
fn every_question_is_asked_by_the_first_runbook() {
    let book = &shipped()[0];
    let asked: BTreeSet<&str> = book
        .nodes
        .iter()
        .filter_map(|node| match &node.kind {
            NodeKind::Decide(decide) => decide.ask.as_deref(),
            _ => None,
        })
        .collect();
    assert_eq!(asked, QUESTIONS.iter().map(|question| question.name).collect());
}

/// Walks every way of every node: from each the answers lead to the node the file names, and to an end.
#[test]
fn every_exit_of_every_node_is_reached_by_some_answers() {
    for book in shipped() {
        let mut reached = BTreeSet::new();
        let mut ways = BTreeSet::new();
        let mut open = vec![book.start.clone()];
        while let Some(id) = open.pop() {
            if !reached.insert(id.clone()) {
                continue;
            }
            for way in book.node(&id).unwrap().ways() {
                ways.insert((id.clone(), way.id.to_owned()));
                open.push(way.goto.node.clone());
            }
        }
        let all: BTreeSet<(String, String)> = book
            .nodes
            .iter()
            .flat_map(|node| node.ways().into_iter().map(|way| (node.id.clone(), way.id.to_owned())))
            .collect();
        assert_eq!(ways, all, "{}", book.name);
        assert_eq!(reached.len(), book.nodes.len(), "{}", book.name);
    }
}

/// No promotion before fencing, no restore before the question whether the old directory starts: on every way.
#[test]
fn the_first_runbook_asks_before_it_acts() {
    let book = &shipped()[0];
    // Without the nodes that prove it, the act must be out of reach.
    let reached_without = |closed: &[&str], goal: &str| {
        let mut seen = BTreeSet::new();
        let mut open = vec![book.start.as_str()];
        while let Some(id) = open.pop() {
            if closed.contains(&id) || !seen.insert(id) {
                continue;
            }
            open.extend(book.node(id).unwrap().ways().into_iter().map(|way| way.goto.node.as_str()));
        }
        seen.contains(goal)
    };
    for act in ["promote-patroni", "promote-plain"] {
        assert!(reached_without(&[], act), "{act}");
        assert!(!reached_without(&["fenced"], act), "{act}");
    }
    for before in ["repository", "pre-restore", "plan-latest", "fenced-before-recovery"] {
        assert!(!reached_without(&[before], "recover-latest"), "{before}");
    }
    assert!(!reached_without(&["salvage"], "start-closed"));
    assert!(!reached_without(&["other-primary"], "start-closed"));
    assert!(!reached_without(&["closed-check"], "open"));
}

#[test]
fn a_dead_primary_is_not_restored_before_it_was_tried_to_start() {
    let book = &shipped()[0];
    let answers = |known: &'static [(&str, &str)]| {
        move |node: &Node| {
            let NodeKind::Decide(decide) = &node.kind else { return None };
            let ask = decide.ask.as_deref()?;
            known.iter().find(|(name, _)| *name == ask).map(|(_, exit)| (*exit).to_owned())
        }
    };
    let land = |from: &str, known| follow(book, from, answers(known)).unwrap();
    for (from, known, node, because) in [
        ("alive", &[][..], "alive", Because::Unknown),
        ("alive", &[("primary-alive", "unknown")], "alive", Because::Unknown),
        ("alive", &[("primary-alive", "maybe")], "alive", Because::Unknown),
        (
            "alive",
            &[("primary-alive", "yes"), ("what-hinders", "commits-hang")],
            "commits-hang",
            Because::NoQuestion,
        ),
        (
            "alive",
            &[
                ("primary-alive", "yes"),
                ("what-hinders", "nothing"),
                ("corruption", "logical"),
                ("committed", "no"),
            ],
            "terminate",
            Because::NoQuestion,
        ),
        ("alive", &[("primary-alive", "no"), ("failed-over", "no")], "salvage", Because::NoQuestion),
        ("alive", &[("primary-alive", "no"), ("failed-over", "yes")], "clients", Because::NoQuestion),
        ("starts", &[("does-it-start", "yes")], "repair", Because::NoQuestion),
        (
            "starts",
            &[("does-it-start", "no"), ("replica-healthy", "yes"), ("fenced", "no")],
            "fence",
            Because::NoQuestion,
        ),
        (
            "starts",
            &[("does-it-start", "no"), ("replica-healthy", "yes"), ("fenced", "yes"), ("failed-over", "no")],
            "promote-patroni",
            Because::NoQuestion,
        ),
        ("repository", &[("repository-usable", "no")], "no-repository", Because::NoQuestion),
    ] {
        let landing = land(from, known);
        assert_eq!((landing.node.id.as_str(), landing.because), (node, because), "{known:?}");
    }
    assert!(follow(book, "nowhere", |_| None).is_none());
}

#[test]
fn answers_that_lead_in_a_circle_end() {
    let text = SMALL.replace("goto = \"list\"", "goto = \"alive\"");
    let text = text
        .replace("goto = \"start\"", "goto = \"list\"")
        .replace("on_done = \"alive\"", "on_done = \"tell\"");
    let text = text.replacen("goto = \"tell\"", "goto = \"start\"", 1);
    let book = Runbook::parse(&text).unwrap();
    let landing = follow(&book, "alive", |_| Some("yes".to_owned())).unwrap();
    assert_eq!((landing.because, landing.taken.len()), (Because::Circle, 1));
}

#[test]
fn what_is_destructive_is_confirmed_and_a_secret_is_nowhere() {
    for book in shipped() {
        for node in &book.nodes {
            for text in node.texts() {
                assert!(!text.contains("secret:"), "{}: {}", book.name, node.id);
                assert_eq!(
                    template::shown(text, template::Quoting::Plain, &|_| Some(String::new())).missing.len(),
                    0
                );
            }
            if let NodeKind::Decide(decide) = &node.kind {
                assert!(decide.exits.iter().any(|exit| exit.id == UNKNOWN), "{}: {}", book.name, node.id);
            }
        }
    }
}

/// Every finding lies inside the text.
fn inside(text: &str) -> Result<(), TestCaseError> {
    let Err(findings) = Runbook::parse(text) else { return Ok(()) };
    prop_assert!(!findings.is_empty());
    let lines: Vec<&str> = text.split('\n').collect();
    for finding in findings {
        let line = lines.get(finding.place.line.wrapping_sub(1));
        prop_assert!(line.is_some(), "{finding}");
        prop_assert!((1..=line.unwrap().chars().count() + 1).contains(&finding.place.column), "{finding}");
        prop_assert!(!finding.what.is_empty() && !finding.next.is_empty());
    }
    Ok(())
}

/// One change of a text: a stretch of it goes, and something else comes in its place.
fn changed(text: &str, at: Index, length: usize, put: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = at.index(chars.len());
    let end = (at + length).min(chars.len());
    chars[..at].iter().chain(put.chars().collect::<Vec<_>>().iter()).chain(&chars[end..]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_told(text in "\\PC*|([\\[\\]=\"'.a-z \\n#{}$]{0,200})") {
        inside(&text)?;
    }

    #[test]
    fn any_change_of_a_shipped_file_is_read_or_told(
        which in any::<Index>(),
        changes in proptest::collection::vec(
            (any::<Index>(), 0usize..40, "(\\PC{0,6}|[\\[\\]=\"'.a-z\\n#{}$]{0,8}|node|unknown|goto = \"end\"|\\$\\{stanza)"),
            1..4,
        ),
    ) {
        let mut text = SHIPPED[which.index(SHIPPED.len())].1.to_owned();
        for (at, length, put) in changes {
            text = changed(&text, at, length, &put);
        }
        inside(&text)?;
    }

    #[test]
    fn lines_that_move_are_read_or_told(from in any::<Index>(), to in any::<Index>(), which in any::<Index>()) {
        let text = SHIPPED[which.index(SHIPPED.len())].1;
        let mut lines: Vec<&str> = text.lines().collect();
        let line = lines.remove(from.index(lines.len()));
        lines.insert(to.index(lines.len()), line);
        inside(&lines.join("\n"))?;
    }
}

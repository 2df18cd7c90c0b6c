//! Files that are right, and files that are not: each mistake with its place and what would be right.

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

/// `SMALL` with one text replaced, and everything that is found then.
fn broken(from: &str, to: &str) -> Vec<String> {
    assert!(SMALL.contains(from), "{from}");
    let text = SMALL.replacen(from, to, 1);
    Runbook::parse(&text).err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn every_mistake_is_told_with_its_place_and_what_would_be_right() {
    let table: &[(&str, &str, &str)] = &[
        ("name = \"small\"\n", "", "1:1: the runbook: 'name' is missing; add name = \"…\""),
        (
            "name = \"small\"",
            "name = \"Small one\"",
            "1:8: 'Small one' is no name for a runbook; use lower-case letters, digits and dashes, beginning with a letter",
        ),
        (
            "title = \"A small one\"",
            "titel = \"x\"",
            "1:1: the runbook: 'title' is missing; add title = \"…\"",
        ),
        (
            "title = \"A small one\"",
            "titel = \"x\"",
            "2:1: the runbook: 'titel' is no key; did you mean 'title'?",
        ),
        (
            "purpose = \"To be read by tests.\"",
            "purpose = 7",
            "3:11: the runbook: 'purpose' is a number; write purpose = \"…\"",
        ),
        (
            "applies = \"Never.\"",
            "applies = \"  \"",
            "4:11: the runbook: 'applies' is empty; say something, or remove the node",
        ),
        (
            "start = \"alive\"",
            "start = \"alife\"",
            "5:9: start: there is no node 'alife'; did you mean 'alive'?",
        ),
        (
            "expected = \"30m\"",
            "expected = \"30\"",
            "6:12: the runbook: '30' is no duration; write for example 90s, 5m or 2h, at most 30d",
        ),
        (
            "within = \"2m\"",
            "within = \"2 minutes\"",
            "14:10: node 'alive': '2 minutes' is no duration; write for example 90s, 5m or 2h, at most 30d",
        ),
        (
            "kind = \"decide\"",
            "kind = \"decision\"",
            "9:8: node 'alive': 'decision' is no kind of node; there are decide, checklist, act, notify, end",
        ),
        ("why = \"It matters.\"\n", "", "8:7: node 'alive': 'why' is missing; add why = \"…\""),
        (
            "ask = \"primary-alive\"",
            "ask = \"primary-alife\"",
            "12:7: node 'alive': there is no question 'primary-alife'; did you mean 'primary-alive'?",
        ),
        (
            "ask = \"primary-alive\"",
            "ask = \"replica-healthy\"",
            "12:7: node 'alive': the answer 'lagging' of 'replica-healthy' has no exit; add [[…exit]] with id = \"lagging\"",
        ),
        (
            "id = \"no\"",
            "id = \"nope\"",
            "24:8: node 'alive': 'nope' is no answer of 'primary-alive'; its answers are yes, no and unknown",
        ),
        (
            "id = \"unknown\"",
            "id = \"no\"",
            "26:6: node 'alive': the exit 'no' is there twice; each answer has one exit: rename or remove one",
        ),
        (
            "id = \"unknown\"",
            "id = \"other\"",
            "8:7: node 'alive': there is no exit 'unknown'; add one: \"could not look\" is not \"no\", and needs a way on",
        ),
        (
            "key = \"n\"",
            "key = \"y\"",
            "22:7: node 'alive': the key 'y' is given twice, also to 'yes'; each exit has a key of its own",
        ),
        (
            "key = \"n\"",
            "key = \"no\"",
            "22:7: node 'alive': 'no' is no key; write one lower-case letter or digit",
        ),
        (
            "key = \"n\"",
            "key = \"q\"",
            "22:7: node 'alive': the key 'q' means something else on every screen; choose one that is none of e g h j k l m q r",
        ),
        (
            "goto = \"list\"",
            "goto = \"lists\"",
            "19:8: node 'alive': 'yes' leads to 'lists', which is no node; did you mean 'list'?",
        ),
        (
            "goto = \"list\"",
            "goto = \"tell\"",
            "31:7: node 'list' is reached from nowhere; lead to it by a goto, or remove it",
        ),
        (
            "look = [\"pg_isready -h ${host}\", \"# or look\"]",
            "look = []",
            "13:1: node 'alive': 'look' says nothing; add look = [\"…\"]: how a person finds out by hand",
        ),
        (
            "pg_isready -h ${host}",
            "pg_isready -h ${hots}",
            "13:9: node 'alive': there is no variable 'hots'; did you mean 'host'?",
        ),
        (
            "pg_isready -h ${host}",
            "pg_isready -h '${host}'",
            "13:9: node 'alive': ${host} stands between quotes in 'look'; take it out of them: a value is quoted when it is filled in",
        ),
        (
            "pg_isready -h ${host}",
            "pg_isready ${secret:PASS}",
            "13:9: node 'alive': a secret in 'look' can be seen by others; secrets may stand in the url, header or body of http only",
        ),
        (
            "\"# or look\"",
            "\"x ${host\"",
            "13:34: node 'alive': '${' in 'look' has no end; close it, or write a shell's variable as $NAME",
        ),
        (
            "why = \"It matters.\"",
            "why = \"At ${host}.\"",
            "11:7: node 'alive': 'why' has a variable, and none is filled in there; write it without; variables stand in look, steps, template and commands",
        ),
        (
            "why = \"It matters.\"",
            "why = \"a\\u001b[2J\"",
            "11:7: node 'alive': 'why' has a control character; write plain text: a terminal would obey it",
        ),
        (
            "id = \"room\"",
            "id = \"told\"",
            "40:6: node 'list': the item 'told' is there twice; each item has a name of its own",
        ),
        (
            "check = \"disk-space\"",
            "check = \"disc-space\"",
            "43:9: node 'list': there is no check 'disc-space'; did you mean 'disk-space'?",
        ),
        (
            "blocking = true\n",
            "",
            "35:1: node 'list', item 1: 'blocking' is missing; add blocking = true if nobody may go on without it, else false",
        ),
        (
            "blocking = true",
            "blocking = \"yes\"",
            "38:12: node 'list', item 1: 'blocking' is a text; write blocking = true or false",
        ),
        (
            "command = [\"systemctl\", \"start\", \"${service}\"]\n",
            "",
            "46:7: node 'start': how it is done is missing; add operation, command, http or manual = true with steps",
        ),
        (
            "command = [\"systemctl\", \"start\", \"${service}\"]",
            "command = []",
            "49:1: node 'start': the command is empty; write command = [\"program\", \"argument\"]",
        ),
        (
            "command = [\"systemctl\", \"start\", \"${service}\"]",
            "command = [\"x\"]\nmanual = true",
            "50:1: node 'start': it is done in several ways; keep one of command, manual",
        ),
        (
            "command = [\"systemctl\", \"start\", \"${service}\"]",
            "operation = \"recovr\"",
            "49:13: node 'start': there is no operation 'recovr'; did you mean 'recover'?",
        ),
        (
            "command = [\"systemctl\", \"start\", \"${service}\"]",
            "operation = \"recover\"",
            "51:1: node 'start': 'recover' is not begun with so little confirmation; write confirm = \"typed\"",
        ),
        (
            "command = [\"systemctl\", \"start\", \"${service}\"]",
            "manual = true",
            "49:1: node 'start': 'steps' says nothing; add steps = [\"…\"]: the exact lines, or prose behind #",
        ),
        (
            "command = [\"systemctl\", \"start\", \"${service}\"]",
            "command = [\"x\"]\nsteps = [\"y\"]",
            "50:1: node 'start': 'steps' belongs to 'manual', and it is done by 'command'; remove it, or write manual",
        ),
        (
            "command = [\"systemctl\", \"start\", \"${service}\"]",
            "http = { method = \"PUSH\", url = \"ftp://x\" }",
            "49:19: node 'start', http: 'PUSH' is no method; write one of GET, POST, PUT, PATCH, DELETE",
        ),
        (
            "command = [\"systemctl\", \"start\", \"${service}\"]",
            "http = { method = \"PUSH\", url = \"ftp://x\" }",
            "49:33: node 'start', http: 'ftp://x' is no address; write https://host/path",
        ),
        (
            "confirm = \"key\"",
            "confirm = \"maybe\"",
            "51:11: node 'start': 'maybe' is no confirm; write one of none, key, typed",
        ),
        ("on_done = \"alive\"\n", "", "46:7: node 'start': 'on_done' is missing; add on_done = \"…\""),
        (
            "audience = \"internal\"",
            "audience = \"all\"",
            "59:12: node 'tell': 'all' is no audience; write one of internal, external, both",
        ),
        (
            "goto = \"end\"",
            "goto = \"start\"",
            "63:7: node 'end' is reached from nowhere; lead to it by a goto, or remove it",
        ),
        (
            "goto = \"end\"",
            "goto = \"start\"",
            "8:7: nobody comes out of this circle: alive → list → start → tell; lead one of them to a node from which an end is reached",
        ),
        (
            "outcome = \"service-back\"",
            "outcome = \"service-back\"\nrunbook = \"pitr\"",
            "67:11: node 'end': it goes on with 'pitr', and its outcome is service-back; write outcome = \"handed-over\", or remove 'runbook'",
        ),
        (
            "[node.end]",
            "[node.End]",
            "63:7: 'End' is no name for a node; use lower-case letters, digits and dashes, beginning with a letter",
        ),
    ];
    let mut wrong = Vec::new();
    for (from, to, told) in table {
        let found = broken(from, to);
        if !found.iter().any(|found| found == told) {
            wrong.push(format!("{from} → {to}:\n{told}\nis not among\n{}", found.join("\n")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once_and_in_order() {
    let text = SMALL
        .replace("kind = \"checklist\"", "kind = \"list\"")
        .replace("expected = \"30m\"", "expected = \"soon\"")
        .replace("audience = \"internal\"", "audience = \"me\"\ncolour = \"red\"");
    let findings = Runbook::parse(&text).unwrap_err();
    let lines: Vec<usize> = findings.iter().map(|finding| finding.place.line).collect();
    assert_eq!(lines, [6, 32, 59, 60], "{findings:?}");
}

#[test]
fn what_is_no_toml_is_told_alone_and_what_stands_twice_beside_the_rest() {
    let findings = Runbook::parse(&SMALL.replace("title = \"Look\"", "title = \"Look")).unwrap_err();
    assert!(findings.iter().all(|finding| finding.place.line == 33), "{findings:?}");
    let twice =
        SMALL.replace("title = \"Look\"", "title = \"Look\"\ntitle = \"Again\"").replace("\"30m\"", "\"x\"");
    let findings = Runbook::parse(&twice).unwrap_err();
    let lines: Vec<usize> = findings.iter().map(|finding| finding.place.line).collect();
    assert_eq!(lines, [6, 34], "{findings:?}");
    assert!(findings[1].next.contains("once"), "{findings:?}");
    let empty = Runbook::parse("").unwrap_err();
    assert!(
        empty.iter().all(|finding| (finding.place.line, finding.place.column) == (1, 1)) && empty.len() >= 6
    );
}

#[test]
fn a_way_that_leads_nowhere_hides_no_other_mistake() {
    let found = broken("goto = \"end\"", "goto = \"nowhere\"");
    assert_eq!(found.len(), 2, "{found:?}");
    let no_end = SMALL
        .replace("goto = \"end\"", "goto = \"start\"")
        .replace("on_done = \"alive\"", "on_done = \"tell\"");
    let found: Vec<String> = Runbook::parse(&no_end).unwrap_err().iter().map(ToString::to_string).collect();
    assert!(
        found.iter().any(|found| found.starts_with("8:7: no end is reached from node 'alive'")),
        "{found:?}"
    );
    assert!(found.iter().any(|found| found.contains("circle: start → tell")), "{found:?}");
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

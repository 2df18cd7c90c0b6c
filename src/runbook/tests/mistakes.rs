//! Mistakes in a file: every one told, with its place.

use super::*;

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

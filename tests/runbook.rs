//! Runbooks from outside: what is printed, drawn and checked, and that every command in a shipped one can be typed.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]
#![expect(clippy::disallowed_methods, reason = "tests start the program")]

use pgmayday::base::Timestamp;
use pgmayday::runbook::tree::{Style, legend, tree};
use pgmayday::runbook::walk::{Event, Happened, Walk, begin};
use pgmayday::runbook::{Library, NodeKind, Runbook, library, markdown, text};
use std::fs;
use std::process::{Command, Output};

/// A runbook with every kind of node and every way of doing.
const DOOR: &str = r##"name = "door"
title = "The door is stuck"
purpose = """
Opens a door. It has all kinds of nodes, so that a picture of it has them, too: a question, a list, acts, a message."""
applies = "When a door does not open."
start = "open"
expected = "5m"

[node.open]
kind = "decide"
question = "Does the door open?"
why = """
A door that opens needs no key:
- push first, then pull;
- a door that is locked on purpose is left alone."""
look = ["pg_isready -h ${host} -p ${port}", "# or push it"]
within = "1m"
[[node.open.exit]]
id = "yes"
key = "y"
label = "yes"
goto = "through"
[[node.open.exit]]
id = "no"
key = "n"
label = "no: it is locked, and the one who has the key is not there and does not answer"
goto = "before"
[[node.open.exit]]
id = "unknown"
key = "u"
label = "cannot tell"
goto = "call"

[node.before]
kind = "checklist"
title = "Before it is forced"
goto = "backup"
[[node.before.item]]
id = "asked"
text = "The owner was asked."
why = "Some doors have a reason."
blocking = true
[[node.before.item]]
id = "tools"
text = "Tools are there."
check = "disk-space"
blocking = false

[node.backup]
kind = "act"
title = "Take a picture of it"
operation = "backup"
options = ["--type=full"]
risk = "None."
confirm = "key"
undo = "Remove it."
on_done = "force"
on_failed = "call"

[node.force]
kind = "act"
title = "Force it"
manual = true
steps = ["lever --door ${data_dir}", "# gently"]
risk = "The door breaks."
confirm = "typed"
undo = "A carpenter."
on_done = "tell-gateway"
on_failed = "call"

[node.tell-gateway]
kind = "act"
title = "Tell the gateway"
http = { method = "POST", url = "https://gateway/doors", header = ["Authorization: Bearer ${secret:TOKEN}"], body = '{"door": "${stanza}"}' }
risk = "It is told twice."
confirm = "key"
undo = "Tell it again."
on_done = "open"
on_failed = "call"

[node.call]
kind = "notify"
title = "Call the carpenter"
audience = "both"
template = "The door of ${stanza} is stuck: ${reason}."
goto = "waiting"

[node.through]
kind = "end"
title = "Through"
outcome = "service-back"
text = "Close it behind you."

[node.waiting]
kind = "end"
title = "The carpenter comes"
outcome = "handed-over"
text = "Wait for him."
runbook = "pitr"
"##;

fn door() -> Runbook {
    Runbook::parse(DOOR).unwrap_or_else(|findings| panic!("{findings:?}"))
}

/// What happened, one second apart.
fn happened(book: &Runbook, events: Vec<Event>) -> Vec<Happened> {
    let lines = events.into_iter().enumerate().map(|(number, event)| Happened {
        at: Timestamp::from_unix_s(1_795_000_000 + i64::try_from(number).unwrap()),
        actor: "dk".to_owned(),
        runbook: book.name.clone(),
        digest: book.digest.clone(),
        event,
    });
    lines.collect()
}

#[test]
fn a_tree_shows_where_one_is_and_which_way_was_taken() {
    let book = door();
    let mut events = begin(&book);
    let walk_events = happened(&book, events.clone());
    events.extend(Walk::fold(&book, &walk_events).answer("n", None, None).unwrap());
    let events = happened(&book, events);
    let walk = Walk::fold(&book, &events);
    let drawn = |ascii| {
        let style = Style { ascii, columns: 60 };
        let lines = tree(&book, style, Some(&walk));
        assert!(lines.iter().all(|line| line.chars().count() <= 60), "{lines:#?}");
        assert!(!ascii || lines.iter().all(|line| line.is_ascii()), "{lines:#?}");
        format!("{}\n{}", lines.join("\n"), legend(style))
    };
    insta::assert_snapshot!("tree", drawn(false));
    insta::assert_snapshot!("tree-ascii", drawn(true));
}

#[test]
fn paper_and_screen_say_everything() {
    let book = door();
    insta::assert_snapshot!("markdown", markdown::markdown(&book));
    let shown = text::text(&book, "door.toml");
    insta::assert_snapshot!("text", shown);
    for form in [&markdown::markdown(&book), &shown] {
        assert!(!form.contains("secret:") && form.contains("Bearer ***"), "{form}");
    }
}

#[test]
fn the_first_runbook_is_drawn_whole_in_eighty_columns() {
    let library = Library::shipped();
    let book = library.book("postgres-dr").unwrap();
    let lines = tree(book, Style { ascii: false, columns: 80 }, None);
    insta::assert_snapshot!("tree-postgres-dr", lines.join("\n"));
    for volume in library.volumes() {
        let book = volume.book().unwrap();
        let lines = tree(book, Style { ascii: true, columns: 80 }, None);
        assert!(lines.iter().all(|line| line.chars().count() <= 80 && line.is_ascii()), "{}", book.name);
        let paper = markdown::markdown(book);
        for node in &book.nodes {
            let drawn = lines.iter().filter(|line| {
                let rest = line.trim_start_matches([' ', '|', '`', '-']);
                ["? ", "[] ", "! ", "@ ", "# "].iter().any(|kind| {
                    rest.strip_prefix(kind)
                        .is_some_and(|rest| rest.starts_with(&format!("{} ", node.section)))
                })
            });
            assert_eq!(drawn.count(), 1, "{}: {} in\n{}", book.name, node.id, lines.join("\n"));
            assert!(paper.contains(&format!("\n## {}. {}\n", node.section, node.title())), "{}", node.id);
            for way in node.ways() {
                let to = book.node(&way.goto.node).unwrap();
                assert!(paper.contains(&format!("**{}. {}**", to.section, to.title())), "{}", node.id);
            }
            if let NodeKind::Decide(decide) = &node.kind {
                assert!(decide.look.iter().all(|line| paper.contains(line.as_str())), "{}", node.id);
            }
        }
        let wide = text::text(book, "shipped");
        let prose = wide.lines().filter(|line| !line.starts_with("     "));
        assert!(prose.clone().all(|line| line.chars().count() <= 80), "{}", book.name);
    }
}

fn program(state: &std::path::Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgmayday"));
    command.env_clear().env("PGMAYDAY_STATE", state).arg("runbook");
    command
}

/// Exit code, standard output, standard error.
fn parts(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn files_replace_and_add_and_a_broken_one_is_told_not_passed_over() {
    let state = tempfile::tempdir().unwrap();
    let folder = state.path().join(library::STATE_FOLDER);
    let run = |args: &[&str]| parts(&program(state.path()).args(args).output().unwrap());
    assert_eq!(run(&["check"]).0, 0);
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("door.toml"), DOOR).unwrap();
    fs::write(
        folder.join("pitr.toml"),
        DOOR.replace("\"door\"", "\"pitr\"").replace("\"handed-over\"", "\"gone\""),
    )
    .unwrap();
    fs::write(folder.join("note.txt"), "no runbook").unwrap();
    let (code, out, err) = run(&["list"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(
        out.contains("door                    The door is stuck  (") && out.contains("NOT USABLE"),
        "{out}"
    );
    let (code, out, _) = run(&["list", "--output=json"]);
    let list: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &list["schema"]), (0, &"pgmayday.runbooks/1".into()));
    let rows = list["runbooks"].as_array().unwrap();
    assert_eq!((rows.len(), &rows[1]["name"], &rows[1]["from"]), (8, &"pitr".into(), &"file".into()));
    assert_eq!(rows[1]["findings"].as_array().unwrap().len(), 1);
    let (code, out, err) = run(&["show", "pitr"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("pitr.toml:97:11: node 'waiting': 'gone' is no outcome"), "{err}");
    assert!(err.contains("runbook show pitr --shipped"), "{err}");
    assert_eq!(run(&["show", "pitr", "--shipped"]).0, 0);
    let (code, out, _) = run(&["check"]);
    assert_eq!(code, 2);
    assert!(out.contains("pitr.toml:97:11: ") && out.contains("postgres-dr (shipped): no mistake"), "{out}");
    let (code, _, err) = run(&["show", "dor"]);
    assert_eq!(code, 2);
    assert!(err.contains("did you mean 'door'?"), "{err}");
    let (code, out, _) = run(&["show", "door", "--output=json"]);
    let shown: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &shown["schema"], &shown["start"]), (0, &"pgmayday.runbook/1".into(), &"open".into()));
    assert_eq!(run(&["show", "door", "--tree", "--ascii"]).1.lines().count(), 17);
    assert!(run(&["show", "door", "--markdown"]).1.starts_with("# The door is stuck\n"));
}

#[test]
fn check_tells_every_mistake_of_files_and_what_they_go_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| parts(&program(folder.path()).args(args).output().unwrap());
    let path = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let sound = path("door.toml", DOOR);
    let (code, out, err) = run(&["check", &sound]);
    assert_eq!((code, out, err.as_str()), (0, format!("{sound}: no mistake\n"), ""));
    let renamed = path("gate.toml", DOOR);
    let lost = path("lost.toml", &DOOR.replace("\"door\"", "\"lost\"").replace("\"pitr\"", "\"pitt\""));
    let bytes = folder.path().join("bytes.toml");
    fs::write(&bytes, b"name = \"x\"\ntitle = \"\xff\"").unwrap();
    let (code, out, _) = run(&["check", &renamed, &lost, bytes.to_str().unwrap(), &sound]);
    assert_eq!(code, 2);
    for told in [
        format!(
            "{renamed}:1:1: the runbook calls itself 'door', and the file is 'gate.toml'; write name = \"gate\"\n"
        ),
        format!(
            "{lost}:94:7: node 'waiting' goes on with 'pitt': there is no runbook 'pitt'; did you mean 'pitr'?\n"
        ),
        format!("{}:2:10: the file is not UTF-8 from here; store it as UTF-8\n", bytes.display()),
        format!("{sound}: no mistake\n"),
    ] {
        assert!(out.contains(&told), "{told}\nis not in\n{out}");
    }
    let (code, out, _) = run(&["check", &lost, "--output=json"]);
    let checked: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, &checked["schema"], &checked["ok"]),
        (2, &"pgmayday.runbook-check/1".into(), &false.into())
    );
    assert_eq!(checked["files"][0]["findings"][0]["line"], 94);
    let missing = run(&["check", "/nowhere/x.toml"]);
    assert_eq!(missing.0, 2);
    assert!(missing.2.contains("check the path"), "{}", missing.2);
    assert_eq!(run(&["check", "/dev/zero"]).0, 2);
    assert_eq!(run(&["show", "--file", &sound]).0, 0);
    assert_eq!(run(&["show"]).0, 2);
}

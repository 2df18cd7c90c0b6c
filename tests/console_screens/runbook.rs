//! The runbook's screen: what it shows at each kind of node, and what its keys ask for.

use crate::models::{at, in_incident, now};
use crate::pictures::check;
use crate::{entered, picture};
use pgmayday::console::input::Effect;
use pgmayday::console::keymap::Cmd;
use pgmayday::console::model::{Loaded, Model};
use pgmayday::console::screens::runbook::RunbookScreen;
use pgmayday::console::screens::{Action, Asked, Modal, Screen as _, ScreenId};
use pgmayday::console::theme::{State, Theme};
use pgmayday::incident::guide::{ItemState, Step};
use pgmayday::model::guide::{GuideItem, GuideKind, GuideNode, GuideStep, GuideView, GuideWay, Heard};
use pgmayday::model::question::judge::{Finding, Proposal};

const THEME: Theme = Theme { colour: true, ascii: false };

fn way(id: &str, key: Option<char>, label: &str, to: &str) -> GuideWay {
    GuideWay { id: id.to_owned(), key, label: label.to_owned(), to: to.to_owned() }
}

fn guide(node: GuideNode) -> GuideView {
    let step = |title: &str, left: &str, clock: &str, against: Option<&str>| GuideStep {
        title: title.to_owned(),
        left: left.to_owned(),
        at: Some(at(clock)),
        by: "dk".to_owned(),
        against: against.map(str::to_owned),
        well: true,
    };
    GuideView {
        incident: "2026-11-21-01".to_owned(),
        runbook: "postgres-dr".to_owned(),
        title: "PostgreSQL: from the pager to service back".to_owned(),
        path: vec![
            step("Is the primary alive?", "no", "02:14:30", None),
            step("Does the old data directory simply start?", "no", "02:16:02", Some("the disk is gone")),
        ],
        node,
        tree: vec!["1. Is the primary alive?".to_owned()],
        ..GuideView::default()
    }
}

fn question() -> GuideView {
    let node = GuideNode {
        id: "replica-healthy".to_owned(),
        section: 12,
        kind: GuideKind::Decide,
        title: "Is a replica healthy and complete?".to_owned(),
        prose: vec![
            "A replica that streamed to the last moment loses nothing: promote it rather than restore."
                .to_owned(),
        ],
        lines: vec!["psql -h db2 -c 'select pg_last_wal_receive_lsn()'".to_owned()],
        ways: vec![
            way("yes", Some('y'), "yes: it is complete", "Is the old primary fenced?"),
            way(
                "lagging",
                Some('a'),
                "it lags, or nobody knows how far it got",
                "What is lost by promoting it?",
            ),
            way("no", Some('n'), "no: the cluster is lost", "Is the repository usable?"),
            way("unknown", Some('u'), "cannot tell", "Look from a second place"),
        ],
        back: Some("Does the old data directory simply start?".to_owned()),
        entered_at: Some(at("02:16:02")),
        ..GuideNode::default()
    };
    let finding = |sign, text: &str| Finding { sign, text: text.to_owned(), at: Some(now()) };
    let proposal = Proposal {
        exit: Some("yes"),
        reason: "db2 has received all that the primary wrote".to_owned(),
        findings: vec![
            finding(State::Ok, "db2 answers and is in recovery"),
            finding(State::Failed, "db2 has no WAL receiver since 02:14:07"),
            finding(State::Unknown, "Patroni at db3:8008 does not answer"),
        ],
    };
    GuideView { proposal: Some(proposal), ..guide(node) }
}

fn checklist() -> GuideView {
    let item = |id: &str, text: &str, done: Option<bool>, blocking: bool| GuideItem {
        id: id.to_owned(),
        text: text.to_owned(),
        why: Some("What is forgotten here is found at four in the morning.".to_owned()),
        done,
        blocking,
        by: done.map(|_| ("dk".to_owned(), at("02:17:00"))),
        note: None,
        not_applicable: false,
        seen: None,
    };
    guide(GuideNode {
        id: "before".to_owned(),
        section: 20,
        kind: GuideKind::Checklist,
        title: "Before anything is promoted".to_owned(),
        items: vec![
            item("fenced", "The old primary is off and stays off.", Some(true), true),
            item("told", "Whoever depends on it knows.", None, true),
            item("tried", "It was tried on another host.", None, false),
        ],
        ways: Vec::new(),
        blocked: vec!["Whoever depends on it knows.".to_owned()],
        ..GuideNode::default()
    })
}

fn act(line: &str, by_hand: bool) -> GuideView {
    guide(GuideNode {
        id: "recover".to_owned(),
        section: 30,
        kind: GuideKind::Act,
        title: "Recover to just before the damage".to_owned(),
        prose: vec![
            "Risk: the wrong target costs a second recovery.".to_owned(),
            "Undo: the old directory is kept.".to_owned(),
        ],
        lines: vec![line.to_owned()],
        missing: vec!["target".to_owned()],
        ways: vec![
            way("done", None, "done", "Check the recovered data"),
            way("failed", None, "failed", "Restore by hand"),
        ],
        by_hand,
        operation: (!by_hand).then(|| "recover".to_owned()),
        typed: !by_hand,
        confirm: "after the typed name".to_owned(),
        ..GuideNode::default()
    })
}

/// An act that can be run from here.
fn command(line: &str, typed: bool) -> GuideView {
    let mut guide = act(line, false);
    "orders".clone_into(&mut guide.stanza);
    guide.node.missing.clear();
    (guide.node.operation, guide.node.typed) = (None, typed);
    guide.node.runs = Some("7f3a".to_owned());
    guide
}

/// The same while a worker does it.
fn running() -> GuideView {
    let mut guide = command("systemctl start shop.service", false);
    let operation = "20261121T021407Z-act-7f3a";
    guide.node.done_by = operation.parse().ok();
    guide.node.began =
        Some((format!("{operation}: systemctl start shop.service"), "dk".to_owned(), at("02:18:00")));
    guide
}

/// Every kind of node, in an incident.
pub(crate) fn models() -> Vec<Model> {
    let fresh = GuideView { fresh: true, path: Vec::new(), ..question() };
    let blind = GuideView { proposal: None, ..question() };
    let end = guide(GuideNode {
        kind: GuideKind::End,
        title: "Service is back".to_owned(),
        prose: vec!["Close the incident.".to_owned()],
        ..GuideNode::default()
    });
    let guides = [
        question(),
        fresh,
        blind,
        checklist(),
        act("pgmayday recover --stanza=orders", false),
        act("pg_ctlcluster 17 main promote", true),
        command("systemctl start shop.service", false),
        command("patronictl pause", true),
        running(),
        end,
    ];
    guides.into_iter().map(|guide| Model { guide: Loaded::Yes(guide), ..in_incident(false) }).collect()
}

fn model(guide: GuideView) -> Model {
    Model { guide: Loaded::Yes(guide), ..in_incident(false) }
}

/// The step a command asks for.
fn step(guide: GuideView, cmd: Cmd) -> Option<Action> {
    let model = model(guide);
    entered::<RunbookScreen>(&model).on(&model, cmd)
}

fn asked(action: Option<Action>) -> (String, Step) {
    match action {
        Some(Action::Do(Effect::Step { seen, step, .. })) => (seen, step),
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn each_kind_of_node_is_shown() {
    let pictures = [
        ("runbook-question", question()),
        ("runbook-begin", GuideView { fresh: true, path: Vec::new(), ..question() }),
        ("runbook-checklist", checklist()),
        ("runbook-command", command("systemctl start shop.service", false)),
        ("runbook-running", running()),
        ("runbook-act", act("pgmayday recover --stanza=orders --type=time --target='${target}'", false)),
    ];
    for (name, guide) in pictures {
        let model = model(guide);
        check(name, &entered::<RunbookScreen>(&model), &model);
    }
}

#[test]
fn one_key_answers_as_proposed_and_another_answer_asks_why() {
    let (seen, taken) = asked(step(question(), Cmd::Way(0)));
    assert_eq!(
        (seen.as_str(), taken),
        ("replica-healthy", Step::Answer { exit: "yes".into(), reason: None })
    );
    let Some(Action::Open(Modal::Ask { then, text, .. })) = step(question(), Cmd::Way(2)) else {
        unreachable!()
    };
    assert_eq!(then, Asked::Reason(2));
    assert!(text[0].contains("'yes'"), "{text:?}");
    let model = model(question());
    let mut screen = entered::<RunbookScreen>(&model);
    assert_eq!(screen.text(&model, then, "  "), None, "no reason, no answer");
    let (_, taken) = asked(screen.text(&model, then, "db2 lies on the same disk"));
    let reason = Some("db2 lies on the same disk".to_owned());
    assert_eq!(taken, Step::Answer { exit: "no".into(), reason });
    // That one cannot tell needs no reason.
    let (_, taken) = asked(step(question(), Cmd::Way(3)));
    assert_eq!(taken, Step::Answer { exit: "unknown".into(), reason: None });
    // Nor does an answer where nothing was proposed.
    let (_, taken) = asked(step(GuideView { proposal: None, ..question() }, Cmd::Way(2)));
    assert_eq!(taken, Step::Answer { exit: "no".into(), reason: None });
}

#[test]
fn the_evidence_that_was_shown_goes_with_the_answer() {
    let Some(Action::Do(Effect::Step { proposal, incident, .. })) = step(question(), Cmd::Way(0)) else {
        panic!()
    };
    assert_eq!((proposal.as_deref(), incident.as_str()), (question().proposal.as_ref(), "2026-11-21-01"));
}

#[test]
fn a_list_is_ticked_and_passed_only_when_nothing_blocks() {
    let model = model(checklist());
    let mut screen = entered::<RunbookScreen>(&model);
    screen.on(&model, Cmd::Down);
    let (_, taken) = asked(screen.on(&model, Cmd::Mark));
    assert_eq!(taken, Step::Tick { item: "told".into(), state: ItemState::Holds, note: None });
    // The next one that is open was chosen.
    let (_, taken) = asked(screen.on(&model, Cmd::Mark));
    assert_eq!(taken, Step::Tick { item: "tried".into(), state: ItemState::Holds, note: None });
    screen.on(&model, Cmd::Up);
    screen.on(&model, Cmd::Up);
    let (_, taken) = asked(screen.on(&model, Cmd::Mark));
    assert_eq!(taken, Step::Tick { item: "fenced".into(), state: ItemState::Open, note: None });
    let go_on = |model: &Model| {
        let bindings = entered::<RunbookScreen>(model).bindings(model);
        bindings.into_iter().find(|binding| binding.cmd == Cmd::Open).unwrap().disabled
    };
    assert!(go_on(&model).is_some_and(|why| why.contains("Whoever depends")));
    let mut free = checklist();
    free.node.blocked.clear();
    assert_eq!(go_on(&self::model(free)), None);
}

#[test]
fn what_was_answered_or_done_elsewhere_is_proposed() {
    let mut asked = question();
    asked.proposal = None;
    let text = "answered at 02:13 by am: no: the cluster is lost".to_owned();
    asked.node.heard = Some(Heard { exit: Some("no".to_owned()), text });
    let model = model(asked.clone());
    check("runbook-heard", &entered::<RunbookScreen>(&model), &model);
    // Where the facts propose something, that counts.
    let model = self::model(GuideView { proposal: question().proposal, ..asked });
    let shown = picture(&entered::<RunbookScreen>(&model), &model, THEME, (80, 21));
    assert!(shown.contains("Proposal: yes") && !shown.contains("answered at"), "{shown}");
}

#[test]
fn however_long_a_list_is_the_chosen_item_is_in_sight() {
    let mut long = checklist();
    let item = |number: usize| GuideItem {
        id: format!("i{number}"),
        text: format!("Item {number} is so on every host, and somebody has looked at each of them."),
        why: Some("It was forgotten once.".to_owned()),
        blocking: true,
        ..GuideItem::default()
    };
    long.node.items = (1..=14).map(item).collect();
    let model = model(long);
    let mut screen = entered::<RunbookScreen>(&model);
    for number in 1..=14 {
        let shown = picture(&screen, &model, THEME, (80, 21));
        assert!(shown.contains(&format!("▸Item {number} is")) && shown.contains("forgotten once"), "{shown}");
        assert_eq!(shown.contains("before"), !shown.contains("Item 1 is"), "{shown}");
        assert_eq!(shown.contains("after"), !shown.contains("Item 14 is"), "{shown}");
        screen.on(&model, Cmd::Down);
    }
}

#[test]
fn an_item_that_does_not_apply_asks_for_its_reason() {
    let model = model(checklist());
    let mut screen = entered::<RunbookScreen>(&model);
    screen.on(&model, Cmd::Down);
    let Some(Action::Open(Modal::Ask { text, then, .. })) = screen.on(&model, Cmd::NotApplicable) else {
        panic!("nothing was asked")
    };
    assert!(text[0].contains("Whoever depends"), "{text:?}");
    assert_eq!(screen.text(&model, then, " "), None, "no reason, no answer");
    screen.on(&model, Cmd::NotApplicable);
    let (_, taken) = asked(screen.text(&model, then, "nobody uses it yet"));
    let note = Some("nobody uses it yet".to_owned());
    assert_eq!(taken, Step::Tick { item: "told".into(), state: ItemState::NotApplicable, note });
    let mut waived = checklist();
    (waived.node.items[1].done, waived.node.items[1].not_applicable) = (Some(true), true);
    (waived.node.items[1].by, waived.node.items[1].note) =
        (Some(("dk".to_owned(), at("02:16:30"))), Some("nobody uses it yet".to_owned()));
    let model = self::model(waived);
    let mut screen = entered::<RunbookScreen>(&model);
    screen.on(&model, Cmd::Down);
    check("runbook-checklist-waived", &screen, &model);
}

#[test]
fn an_act_of_this_program_leads_to_its_screen_and_nothing_is_started_by_it() {
    let Some(Action::All(actions)) = step(act("pgmayday recover --stanza=orders", false), Cmd::Open) else {
        panic!()
    };
    assert!(
        matches!(actions[..], [Action::Do(Effect::Step { .. }), Action::Go(ScreenId::Target)]),
        "{actions:?}"
    );
    let Some(Action::All(actions)) = step(act("pg_ctlcluster 17 main promote", true), Cmd::Open) else {
        panic!()
    };
    assert!(matches!(actions[..], [Action::Do(Effect::Step { .. }), Action::Open(Modal::Text { .. })]));
    for model in models() {
        for binding in entered::<RunbookScreen>(&model).bindings(&model) {
            let action = entered::<RunbookScreen>(&model).on(&model, binding.cmd);
            let destructive =
                |action: &Action| matches!(action, Action::Do(effect) if effect.is_destructive());
            assert!(!action.is_some_and(|action| destructive(&action)), "{binding:?}");
        }
    }
    let Some(Action::Open(Modal::Ask { then, .. })) = step(act("x", true), Cmd::Way(1)) else {
        unreachable!()
    };
    assert_eq!(then, Asked::Outcome(false));
}

#[test]
fn an_act_is_run_by_its_key_and_after_a_typed_word_where_it_wants_one() {
    // To look at it is not to begin it.
    assert!(matches!(step(command("x", false), Cmd::Open), Some(Action::Open(Modal::Text { .. }))));
    let Some(Action::Do(Effect::RunAct { act: run, typed: None })) = step(command("x", false), Cmd::Run)
    else {
        panic!()
    };
    assert_eq!((run.node.as_str(), run.digest.as_str()), ("recover", "7f3a"));
    let Some(Action::Open(Modal::Confirm { word, text, .. })) =
        step(command("patronictl pause", true), Cmd::Run)
    else {
        panic!()
    };
    assert_eq!((word.as_str(), text[0].as_str()), ("orders", "patronictl pause"));
    let cannot = |guide: GuideView| {
        assert_eq!(step(guide.clone(), Cmd::Run), None);
        let model = model(guide);
        let bindings = entered::<RunbookScreen>(&model).bindings(&model);
        bindings.into_iter().find(|binding| binding.cmd == Cmd::Run).map(|binding| binding.disabled)
    };
    assert_eq!(cannot(act("by hand", true)), None, "it has no such key");
    assert!(cannot(running()).flatten().is_some_and(|why| why.contains("dk began it")));
    let mut lacking = command("x", false);
    (lacking.node.runs, lacking.node.missing) = (None, vec!["host".to_owned()]);
    assert!(cannot(lacking).flatten().is_some_and(|why| why.contains("${host}")));
}

#[test]
fn an_end_that_goes_on_begins_the_next_runbook() {
    let mut end = guide(GuideNode { kind: GuideKind::End, ..GuideNode::default() });
    assert_eq!(step(end.clone(), Cmd::Open), None);
    end.node.next_runbook = Some("pitr".to_owned());
    let Some(Action::Do(Effect::Step { runbook, step: Step::Begin, .. })) = step(end, Cmd::Open) else {
        panic!()
    };
    assert_eq!(runbook, "pitr");
}

#[test]
fn what_the_facts_show_goes_with_the_step_that_passes_the_list() {
    use pgmayday::model::question::judge::Checked;
    let mut list = checklist();
    let seen = |holds, text: &str| Some(Checked { holds, text: text.to_owned() });
    list.node.items[1].seen = seen(Some(true), "db1 is off");
    list.node.items[2].seen = seen(None, "not looked at");
    list.node.blocked.clear();
    check("runbook-checklist-seen", &entered::<RunbookScreen>(&model(list.clone())), &model(list.clone()));
    let (_, taken) = asked(step(list, Cmd::Open));
    assert_eq!(taken, Step::Pass { note: None, seen: vec![("told".to_owned(), "db1 is off".to_owned())] });
}

#[test]
fn values_that_are_missing_are_asked_for_one_after_the_other() {
    let mut lacking = act("pg_basebackup -h ${host} -D ${replica_data_dir}", false);
    lacking.node.missing = vec!["host".to_owned(), "replica_data_dir".to_owned()];
    let Some(Action::Open(Modal::Ask { then, text, .. })) = step(lacking.clone(), Cmd::Fill) else {
        panic!()
    };
    assert!(text[0].contains("the host of the primary"), "{text:?}");
    let model = model(lacking);
    let mut screen = entered::<RunbookScreen>(&model);
    let Some(Action::All(actions)) = screen.text(&model, then, "db1") else { panic!() };
    let [Action::Do(Effect::GiveValue { name, value }), Action::Open(Modal::Ask { then, .. })] = &actions[..]
    else {
        panic!("{actions:?}")
    };
    assert_eq!((name.as_str(), value.as_str(), *then), ("host", "db1", Asked::Value(1)));
    assert!(matches!(
        screen.text(&model, Asked::Value(1), "/srv/pg"),
        Some(Action::Do(Effect::GiveValue { .. }))
    ));
    assert_eq!(screen.text(&model, Asked::Value(0), " "), None);
}

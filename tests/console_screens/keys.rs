//! What keys do on the screens: tables of commands and what comes of them.

use crate::models::{
    asking, at, bad_update, bare, catalog, copying, failed, failing_plan, finished, following, history,
    in_incident, lost, many_backups, now, plan, planned, replaying, request, wal,
};
use crate::{entered, picture, screens};
use pgmayday::base::Timestamp;
use pgmayday::console::app::App;
use pgmayday::console::input::{Effect, Input, Key};
use pgmayday::console::keymap::Cmd;
use pgmayday::console::model::{Loaded, Model};
use pgmayday::console::screens::catalog::CatalogScreen;
use pgmayday::console::screens::history::HistoryScreen;
use pgmayday::console::screens::journal::JournalScreen;
use pgmayday::console::screens::running::RunningScreen;
use pgmayday::console::screens::target::TargetScreen;
use pgmayday::console::screens::{Action, Asked, Confirmed, Modal, Screen as _, ScreenId};
use pgmayday::console::theme::Theme;
use pgmayday::model::board::Operation;
use pgmayday::model::catalog::CatalogView;
use pgmayday::model::op::Life;
use pgmayday::model::wal_view::WalView;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const THEME: Theme = Theme { colour: true, ascii: false };

fn full() -> Model {
    Model {
        catalog: Loaded::Yes(catalog()),
        wal: Loaded::Yes(wal()),
        operation: Some(asking()),
        incidents: history().incidents,
        incident: in_incident(false).incident,
        ..planned(Loaded::Yes(plan()))
    }
}

fn models() -> Vec<Model> {
    let operations = [copying(), replaying(), lost(), failed(), finished()].map(following);
    let empty = Model {
        catalog: Loaded::Yes(CatalogView::default()),
        wal: Loaded::Yes(WalView::default()),
        ..bare()
    };
    let plans =
        [Loaded::Yes(failing_plan()), Loaded::Failed("no".into(), None), Loaded::Loading(now(), None)];
    let mut models = vec![bare(), bad_update(), full(), empty];
    models.extend(operations);
    models.extend(plans.map(planned));
    models.extend(crate::runbook::models());
    models.extend(crate::people::models());
    models.extend(crate::doctor::models());
    models
}

/// What an action would have done.
fn effects(action: Option<&Action>) -> Vec<Effect> {
    match action {
        Some(Action::Do(effect)) => vec![effect.clone()],
        Some(Action::All(actions)) => actions.iter().flat_map(|action| effects(Some(action))).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn every_key_does_something_and_none_stands_twice() {
    for model in models() {
        for mut screen in screens() {
            screen.entered(&model);
            screen.updated(&model);
            let mut keys = BTreeSet::new();
            let mut commands = BTreeSet::new();
            for binding in screen.bindings(&model) {
                assert!(binding.keys.iter().all(|key| keys.insert(*key)), "{:?}: {binding:?}", screen.id());
                assert!(commands.insert(format!("{:?}", binding.cmd)), "{:?}: {binding:?}", screen.id());
                assert!(binding.help.ends_with('.') && !binding.label.is_empty(), "{binding:?}");
                // The app asks for the filter's text itself.
                if binding.cmd == Cmd::Filter {
                    continue;
                }
                let before = picture(screen.as_ref(), &model, THEME, (130, 50));
                let action = screen.on(&model, binding.cmd);
                let after = picture(screen.as_ref(), &model, THEME, (80, 21));
                let same = before == picture(screen.as_ref(), &model, THEME, (130, 50));
                let nothing =
                    matches!(&action, None | Some(Action::All(_))) && effects(action.as_ref()).is_empty();
                if binding.disabled.is_some() {
                    let opens = matches!(&action, Some(Action::Open(Modal::Confirm { .. })));
                    assert!(!opens && effects(action.as_ref()).is_empty(), "{:?}: {binding:?}", screen.id());
                } else if binding.cmd != Cmd::Note {
                    let narrow_only = binding.cmd == Cmd::Open && after != before;
                    assert!(!nothing || !same || narrow_only, "{:?}: {binding:?}", screen.id());
                }
            }
        }
    }
}

#[test]
fn the_last_right_moment_is_proposed_planned_and_confirmed_by_name() {
    let model = bad_update();
    let mut screen = entered::<TargetScreen>(&model);
    assert_eq!(screen.on(&model, Cmd::Open), Some(Action::Do(Effect::Plan(Box::new(request())))));
    let ready = planned(Loaded::Yes(plan()));
    let Some(Action::Open(Modal::Confirm { word, text, then, .. })) = screen.on(&ready, Cmd::Open) else {
        unreachable!()
    };
    assert_eq!(word, "orders");
    assert_eq!(then, Confirmed::Start { request: Box::new(request()), digest: "7f3a9c01d2e4".into() });
    let text = text.join(" ");
    for said in ["quarantine", "Undo", "Given up: 10m14 of work", "asked"] {
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[test]
fn nothing_is_confirmed_but_the_plan_for_what_stands_there_now() {
    let confirms = |model: &Model, screen: &mut TargetScreen| {
        let footer = screen.bindings(model).into_iter().find(|binding| binding.cmd == Cmd::Open).unwrap();
        let opened = matches!(screen.on(model, Cmd::Open), Some(Action::Open(Modal::Confirm { .. })));
        (opened, footer.disabled)
    };
    let ready = planned(Loaded::Yes(plan()));
    let shown = || {
        let mut screen = entered::<TargetScreen>(&ready);
        screen.on(&ready, Cmd::Open);
        screen
    };
    assert_eq!(confirms(&ready, &mut shown()), (true, None));
    // A check fails; it is still being worked out; it could not be.
    let (opened, why) = confirms(&planned(Loaded::Yes(failing_plan())), &mut shown());
    assert!(!opened && why.unwrap().starts_with("441 GB are needed"));
    assert!(!confirms(&planned(Loaded::Loading(now(), Some(plan()))), &mut shown()).0);
    assert!(!confirms(&planned(Loaded::Failed("no".into(), Some(plan()))), &mut shown()).0);
    // The check was right later than when the plan was made.
    let mut moved = ready.clone();
    moved.board.application = None;
    assert!(!confirms(&moved, &mut shown()).0);
    let mut moved = ready.clone();
    let application = crate::models::wrong_application().value().cloned().unwrap();
    let later = pgmayday::model::board::Application { last_right: vec![at("02:03:12")], ..application };
    moved.board.application = Some(pgmayday::model::fact::Fact::known(later, now()));
    assert!(!confirms(&moved, &mut shown()).0);
    // Somebody edited the request since.
    let mut edited = shown();
    edited.text(&ready, Asked::Set, "20261113-020001F");
    edited.on(&ready, Cmd::Open);
    assert!(!confirms(&ready, &mut edited).0);
    // What was left open is filled in by the plan; what was asked for is never changed.
    let mut filled = plan();
    filled.request.timeline = Some(3);
    assert!(confirms(&planned(Loaded::Yes(filled)), &mut shown()).0);
    // The plan answers another request than it says.
    let mut odd = plan();
    odd.request.asks = false;
    assert!(!confirms(&planned(Loaded::Yes(odd)), &mut shown()).0);
    // The console is read-only; something runs already.
    let mut closed = ready.clone();
    closed.board.identity.read_only = true;
    assert!(confirms(&closed, &mut shown()).1.unwrap().contains("read-only"));
    let mut busy = ready.clone();
    busy.board.operations.push(Operation {
        id: "20261121T021407Z-recover-7f3a".into(),
        summary: "recover orders".into(),
        life: Life::Running { pid: 1 },
        step: None,
        started_at: None,
        ended: None,
        done: false,
        asks: false,
    });
    assert!(confirms(&busy, &mut shown()).1.unwrap().contains("at work: recover orders"));
}

#[test]
fn every_kind_of_target_becomes_its_request() {
    let model = bare();
    let cases: [(usize, &str, &str, &[&str]); 6] = [
        (1, "2026-11-21T02:03:00Z", "time", &["2026-11-21 02:03:00+00"]),
        (2, "pre-deploy-4711", "name", &["pre-deploy-4711"]),
        (3, "0/5A000148", "lsn", &["0/5A000148"]),
        (4, "48211", "xid", &["48211"]),
        (5, "", "immediate", &[]),
        (6, "", "default", &[]),
    ];
    for (row, text, kind, targets) in cases {
        let mut screen = entered::<TargetScreen>(&model);
        screen.on(&model, Cmd::First);
        (0..row).for_each(|_| drop(screen.on(&model, Cmd::Down)));
        if !text.is_empty() {
            // Enter on an empty line asks for it; the text comes back to the same line.
            let Some(Action::Open(Modal::Ask { then, .. })) = screen.on(&model, Cmd::Open) else {
                unreachable!()
            };
            assert_eq!(then, Asked::Field(row));
            screen.text(&model, then, text);
        }
        screen.text(&model, Asked::Field(7), "3");
        let Some(Action::Do(Effect::Plan(request))) = screen.on(&model, Cmd::Open) else {
            unreachable!("{kind}")
        };
        assert_eq!(
            (request.kind.as_str(), request.targets.as_slice()),
            (kind, targets.map_owned().as_slice())
        );
        assert_eq!((request.timeline, request.asks, request.exclusive), (Some(3), true, false));
    }
}

trait Owned {
    fn map_owned(&self) -> Vec<String>;
}

impl Owned for &[&str] {
    fn map_owned(&self) -> Vec<String> {
        self.iter().map(|text| (*text).to_owned()).collect()
    }
}

#[test]
fn wrong_texts_are_told_while_they_are_typed_and_never_planned() {
    let model = bare();
    let cases = [
        (1, "2026-11-21 25:00:00+00", "is not a time"),
        (1, "2026-11-21 02:00:00 CET", "ambiguous"),
        (3, "5A000148", "is not a valid LSN"),
        (4, "-1", "is not a valid transaction id"),
        (7, "0", "is not a timeline"),
        (8, "yesterday", "is not a valid backup label"),
    ];
    for (row, text, why) in cases {
        let mut screen = entered::<TargetScreen>(&model);
        screen.text(&model, Asked::Field(1), "2026-11-21 02:00:00+00");
        let told = screen.typed(&model, Asked::Field(row), text).join(" ");
        assert!(told.contains(why), "{told}");
        screen.text(&model, Asked::Field(row), text);
        assert!(picture(&screen, &model, THEME, (80, 21)).contains("✖ "), "{text}");
        assert!(effects(screen.on(&model, Cmd::Open).as_ref()).is_empty(), "{text}");
    }
    let echo = TargetScreen::default().typed(&model, Asked::Field(1), "2026-11-21 03:03:00+01");
    assert_eq!(echo, ["= 2026-11-21 02:03:00 UTC · 11 m ago"]);
}

#[test]
fn switches_and_just_before_reach_the_request() {
    let model = bare();
    let mut screen = entered::<TargetScreen>(&model);
    screen.text(&model, Asked::Field(4), "48211");
    screen.on(&model, Cmd::Last);
    screen.on(&model, Cmd::Mark);
    screen.on(&model, Cmd::Up);
    screen.on(&model, Cmd::Mark);
    let Some(Action::Do(Effect::Plan(request))) = screen.on(&model, Cmd::Open) else { unreachable!() };
    assert!(request.exclusive && !request.asks);
    // A target that has no "just before" never carries it.
    screen.on(&model, Cmd::Back);
    screen.on(&model, Cmd::First);
    (0..6).for_each(|_| drop(screen.on(&model, Cmd::Down)));
    let Some(Action::Do(Effect::Plan(request))) = screen.on(&model, Cmd::Open) else { unreachable!() };
    assert_eq!((request.kind.as_str(), request.exclusive), ("default", false));
}

#[test]
fn one_key_answers_one_question_and_right_needs_the_name() {
    let model = following(asking());
    let id = asking().spec.id;
    let mut screen = entered::<RunningScreen>(&model);
    let Some(Action::Open(Modal::Confirm { word, then, .. })) = screen.on(&model, Cmd::AnswerRight) else {
        unreachable!()
    };
    assert_eq!((word.as_str(), then), ("orders", Confirmed::AnswerRight(id.clone())));
    let damaged = Some(Action::Do(Effect::Damaged(id)));
    assert_eq!(screen.on(&model, Cmd::AnswerDamaged), damaged);
    assert_eq!(screen.on(&model, Cmd::AnswerDamaged), None, "the same question");
    let mut next = asking();
    next.state.seq += 3;
    assert_eq!(screen.on(&following(next), Cmd::AnswerDamaged), damaged, "the next question");
    for other in [copying(), lost(), failed(), finished()] {
        assert_eq!(screen.on(&following(other), Cmd::AnswerRight), None);
    }
    let orphan = pgmayday::model::op::Snapshot { life: Life::Lost, ..asking() };
    assert_eq!(
        entered::<RunningScreen>(&following(orphan.clone())).on(&following(orphan), Cmd::AnswerRight),
        None
    );
}

#[test]
fn only_what_stopped_is_resumed() {
    for (operation, resumes) in
        [(copying(), false), (asking(), false), (lost(), true), (failed(), true), (finished(), false)]
    {
        let model = following(operation);
        let action = entered::<RunningScreen>(&model).on(&model, Cmd::Resume);
        let opened = matches!(&action, Some(Action::Open(Modal::Confirm { word, then: Confirmed::Resume(_), .. })) if word == "orders");
        assert_eq!(opened, resumes);
        let mut closed = model;
        closed.board.identity.read_only = true;
        assert_eq!(entered::<RunningScreen>(&closed).on(&closed, Cmd::Resume), None);
    }
}

#[test]
fn the_chosen_backup_stays_chosen_and_goes_to_the_target_screen() {
    let model = Model { catalog: Loaded::Yes(catalog()), ..bare() };
    let mut screen = entered::<CatalogScreen>(&model);
    let hand =
        |text: &str| Some(Action::Hand { to: ScreenId::Target, asked: Asked::Set, text: text.to_owned() });
    assert_eq!(screen.on(&model, Cmd::Recover), hand("20261120-020001F_20261121-020001I"), "the newest");
    screen.on(&model, Cmd::Down);
    assert_eq!(screen.on(&model, Cmd::Recover), hand("20261113-020001F"));
    let mut again = catalog();
    again.backups.remove(0);
    again.backups.insert(3, catalog().backups[0].clone());
    again.read_at = Some(now());
    let model = Model { catalog: Loaded::Yes(again), ..bare() };
    screen.updated(&model);
    assert_eq!(screen.on(&model, Cmd::Recover), hand("20261113-020001F"), "read again");
    (0..4).for_each(|_| drop(screen.on(&model, Cmd::Sort)));
    assert_eq!(screen.on(&model, Cmd::Recover), hand("20261113-020001F"), "sorted by stored size");
    screen.text(&model, Asked::Filter, "TICKET");
    assert_eq!(screen.on(&model, Cmd::Recover), hand("20261120-020001F"), "by its annotation");
    screen.text(&model, Asked::Filter, "Before-the-move");
    assert_eq!(screen.on(&model, Cmd::Recover), hand("20261120-020001F"), "by what it is pinned for");
    screen.text(&model, Asked::Filter, "nothing has this");
    assert_eq!(screen.on(&model, Cmd::Recover), None);
}

#[test]
fn a_backup_whose_prior_is_gone_says_so() {
    let mut gone = catalog();
    gone.backups.remove(3);
    let model = Model { catalog: Loaded::Yes(gone), ..bare() };
    let mut screen = entered::<CatalogScreen>(&model);
    screen.on(&model, Cmd::Open);
    let shown = picture(&screen, &model, THEME, (80, 21));
    assert!(shown.contains("20261120-020001F_20261120-140001D, which is not in the repository"), "{shown}");
}

#[test]
fn the_journal_follows_its_tail_until_somebody_looks_back() {
    let mut model = in_incident(false);
    let mut screen = entered::<JournalScreen>(&model);
    let entry = |screen: &mut JournalScreen, model: &Model| match screen.on(model, Cmd::Open) {
        Some(Action::Open(Modal::Text { title, .. })) => title.split(',').next().unwrap().to_owned(),
        other => unreachable!("{other:?}"),
    };
    assert_eq!(entry(&mut screen, &model), "ENTRY 5");
    let view = model.incident.as_mut().unwrap();
    let mut line = view.lines[4].clone();
    line.seq = 6;
    view.lines.push(line.clone());
    assert_eq!(entry(&mut screen, &model), "ENTRY 6", "it follows");
    screen.on(&model, Cmd::Up);
    screen.on(&model, Cmd::Up);
    line.seq = 7;
    model.incident.as_mut().unwrap().lines.push(line);
    assert_eq!(entry(&mut screen, &model), "ENTRY 4", "it stays");
    screen.on(&model, Cmd::Last);
    assert_eq!(entry(&mut screen, &model), "ENTRY 7");
}

#[test]
fn an_incident_of_the_history_opens_its_journal() {
    let model = history();
    let mut screen = entered::<HistoryScreen>(&model);
    screen.on(&model, Cmd::Down);
    let watch = Action::Do(Effect::WatchIncident("2026-10-11-01".into()));
    let open = Some(Action::All(vec![watch, Action::Go(ScreenId::Journal)]));
    assert_eq!(screen.on(&model, Cmd::Open), open);
    // Another one is declared: the chosen one stays chosen.
    let mut more = history();
    let mut new = more.incidents[0].clone();
    new.id = "2026-11-21-03".into();
    more.incidents.insert(0, new);
    screen.updated(&more);
    assert_eq!(screen.on(&more, Cmd::Open), open);
}

#[test]
fn ten_thousand_backups_are_drawn_at_once() {
    let model = Model { catalog: Loaded::Yes(many_backups(10_000)), ..bare() };
    let mut screen = entered::<CatalogScreen>(&model);
    screen.on(&model, Cmd::Last);
    let area = Rect::new(0, 0, 120, 37);
    let mut buffer = Buffer::empty(area);
    let fastest = (0..20).map(|_| {
        let started = Instant::now();
        screen.draw(&model, THEME, area, &mut buffer);
        started.elapsed()
    });
    // Without optimization everything takes several times as long.
    let most = Duration::from_millis(if cfg!(debug_assertions) { 12 } else { 2 });
    let fastest = fastest.min().unwrap();
    assert!(fastest < most, "{fastest:?}");
}

#[test]
fn through_the_whole_console_a_set_becomes_a_confirmed_start() {
    let mut app = App::new(THEME, (80, 24), now());
    let press = |app: &mut App, keys: &str| {
        let key = |c| if c == '\n' { Key::Enter } else { Key::Char(c) };
        keys.chars().flat_map(|c| app.update(Input::Key(key(c)))).collect::<Vec<Effect>>()
    };
    app.update(Input::Board(Box::new(bad_update().board)));
    press(&mut app, ":backups\n");
    app.update(Input::Catalog(Ok(catalog())));
    press(&mut app, "R");
    assert_eq!(app.screen(), ScreenId::Target);
    let effects = press(&mut app, "\n");
    let set = Some("20261120-020001F_20261121-020001I".to_owned());
    let wanted = pgmayday::model::plan::RecoverRequest { set, ..request() };
    assert_eq!(effects, [Effect::Plan(Box::new(wanted.clone()))]);
    let mut answer = plan();
    answer.request = wanted.clone();
    app.update(Input::Plan(Box::new(wanted), Ok(Box::new(answer))));
    assert_eq!(press(&mut app, "\norder\n"), [], "not the whole name");
    let effects = press(&mut app, "s\n");
    assert!(
        matches!(effects.as_slice(), [Effect::Start { digest, typed, .. }] if digest == "7f3a9c01d2e4" && typed.as_str() == "orders")
    );
    // The question before promotion: the name again.
    app.update(Input::Started(Ok(asking().spec.id)));
    app.update(Input::Operation(Box::new(asking())));
    assert_eq!(press(&mut app, "y\n"), []);
    let promoted = press(&mut app, "orders\n");
    let [Effect::Promote { id, typed }] = &promoted[..] else { panic!("{promoted:?}") };
    assert_eq!((id, typed.as_str()), (&asking().spec.id, "orders"));
}

#[test]
fn a_plan_looked_at_again_is_worked_out_again() {
    let ready = planned(Loaded::Yes(plan()));
    let mut screen = entered::<TargetScreen>(&ready);
    screen.on(&ready, Cmd::Open);
    assert_eq!(screen.entered(&ready), [Effect::Plan(Box::new(request()))]);
    let working = planned(Loaded::Loading(Timestamp(now().0 - 1), None));
    assert_eq!(screen.entered(&working), []);
}

//! What each key and each input leads to, in tables.

use crate::pictures::{app, painted, text};
use crate::samples::{self, NOW};
use pgmayday::base::Report;
use pgmayday::console::app::App;
use pgmayday::console::input::{Effect, Input, Key};
use pgmayday::console::screens::ScreenId;
use pgmayday::console::theme::Theme;
use pgmayday::model::board::Board;
use pgmayday::model::guide::GuideView;
use pgmayday::model::op::Life;
use pgmayday::model::plan::{CheckState, RecoverPlan};

const THEME: Theme = Theme { colour: true, ascii: false };
const SIZE: (u16, u16) = (80, 24);

fn shown(app: &App) -> String {
    text(&painted(app, SIZE))
}

/// Presses keys; everything that was asked for.
fn press(app: &mut App, keys: &[Key]) -> Vec<Effect> {
    keys.iter().flat_map(|key| app.update(Input::Key(*key))).collect()
}

/// Types text, then Enter.
fn enter(app: &mut App, text: &str) -> Vec<Effect> {
    let mut keys: Vec<Key> = text.chars().map(Key::Char).collect();
    keys.push(Key::Enter);
    press(app, &keys)
}

fn on(board: Board) -> App {
    app(THEME, SIZE, board)
}

fn lost() -> Board {
    Board { operations: vec![samples::operation(Life::Lost)], ..samples::broken() }
}

#[test]
fn keys_lead_from_the_board_to_every_screen_and_esc_leads_back() {
    let ways = [
        ('t', ScreenId::Target),
        ('b', ScreenId::Catalog),
        ('w', ScreenId::Wal),
        ('o', ScreenId::Running),
        ('J', ScreenId::Journal),
        ('H', ScreenId::History),
    ];
    for (key, screen) in ways {
        let mut app = on(samples::recovering());
        press(&mut app, &[Key::Char(key)]);
        assert_eq!(app.screen(), screen, "{key}");
        press(&mut app, &[Key::Esc]);
        assert_eq!(app.screen(), ScreenId::Board, "{key}");
    }
}

#[test]
fn the_palette_leads_everywhere_from_everywhere() {
    let names = [
        ("board", ScreenId::Board),
        ("backups", ScreenId::Catalog),
        ("catalog", ScreenId::Catalog),
        ("wal", ScreenId::Wal),
        ("pitr", ScreenId::Target),
        ("attach", ScreenId::Running),
        ("journal", ScreenId::Journal),
        ("incidents", ScreenId::History),
    ];
    for (_, start) in names {
        for (name, screen) in names {
            let mut app = on(samples::recovering());
            let begin = names.iter().find(|(_, id)| *id == start).unwrap().0;
            enter(&mut app, &format!(":{begin}"));
            assert_eq!(app.screen(), start);
            enter(&mut app, &format!(":{name}"));
            assert_eq!(app.screen(), screen, "{begin} to {name}");
            assert!(!shown(&app).contains("COMMAND"), "the palette is closed");
        }
    }
}

#[test]
fn leaving_never_asks_and_is_possible_anywhere() {
    for keys in [&[Key::Char('q')][..], &[Key::Ctrl('c')], &[Key::Char(':'), Key::Char('q'), Key::Enter]] {
        let mut app = on(samples::recovering());
        assert_eq!(press(&mut app, keys), [Effect::Quit]);
        assert!(app.is_left());
    }
    // In a window that takes text q is a letter, and Ctrl-C still leaves.
    let mut app = on(samples::recovering());
    assert!(press(&mut app, &[Key::Char(':'), Key::Char('q')]).is_empty());
    assert_eq!(press(&mut app, &[Key::Ctrl('c')]), [Effect::Quit]);
    let mut small = self::app(THEME, (60, 20), samples::broken());
    assert!(press(&mut small, &[Key::Char('i'), Key::Char(':'), Key::Enter]).is_empty());
    assert_eq!(press(&mut small, &[Key::Char('q')]), [Effect::Quit]);
}

#[test]
fn suspend_and_refresh_are_asked_for_not_done() {
    assert_eq!(press(&mut on(samples::healthy()), &[Key::Ctrl('z')]), [Effect::Suspend]);
    for key in [Key::Char('r'), Key::Ctrl('l')] {
        assert!(press(&mut on(samples::healthy()), &[key]).contains(&Effect::Refresh));
    }
}

#[test]
fn an_incident_is_declared_with_a_reason_and_the_moment_it_was_detected() {
    let mut app = on(samples::broken());
    assert!(press(&mut app, &[Key::Char('i')]).is_empty());
    assert!(shown(&app).contains("DECLARE AN INCIDENT") && shown(&app).contains("the books do not agree"));
    let effects = press(&mut app, &[Key::Enter]);
    let reason = "the books do not agree".to_owned();
    assert_eq!(effects, [Effect::Declare { reason, detected_at: Some(samples::ago(656)) }]);

    let mut app = on(samples::healthy());
    press(&mut app, &[Key::Char('i')]);
    assert!(enter(&mut app, "").is_empty(), "a reason is needed");
    assert!(shown(&app).contains("write at least a word"));
    assert_eq!(enter(&mut app, "disk"), [Effect::Declare { reason: "disk".to_owned(), detected_at: None }]);
}

#[test]
fn the_typed_word_and_nothing_else_leads_to_a_destructive_effect() {
    let board = samples::recovering();
    let mut cancelled = on(board.clone());
    assert!(enter(&mut cancelled, ":cancel").is_empty());
    assert!(enter(&mut cancelled, "order").is_empty());
    assert!(shown(&cancelled).contains("that is not orders; nothing was done"));
    cancelled.update(Input::Paste("orders".to_owned()));
    let effects = enter(&mut cancelled, "s");
    assert!(
        matches!(&effects[..], [Effect::Cancel { id, typed }] if *id == samples::id() && typed.as_str() == "orders")
    );

    let mut refused = on(board);
    enter(&mut refused, ":cancel");
    assert!(press(&mut refused, &[Key::Enter, Key::Char('y'), Key::Enter, Key::Esc]).is_empty());
    assert!(!shown(&refused).contains("STOP THE OPERATION"), "Esc is no");

    let mut resumed = on(lost());
    enter(&mut resumed, ":resume");
    let effects = enter(&mut resumed, "orders");
    assert!(matches!(&effects[..], [effect @ Effect::Resume { .. }] if effect.is_destructive()));
}

#[test]
fn a_read_only_console_refuses_with_its_reason() {
    for board in [samples::recovering(), lost(), samples::broken()] {
        let mut board = board;
        board.identity.read_only = true;
        for command in ["cancel", "resume", "incident", "note", "close incident"] {
            let mut app = on(board.clone());
            let mut effects = enter(&mut app, &format!(":{command}"));
            press(&mut app, &[Key::Esc]);
            effects.extend(enter(&mut app, "orders"));
            assert!(effects.iter().all(|effect| !effect.writes()), "{command}: {effects:?}");
        }
        let mut app = on(board);
        press(&mut app, &[Key::Char('i')]);
        assert!(shown(&app).contains("READ-ONLY") && shown(&app).contains("nothing is changed from here"));
    }
}

#[test]
fn what_was_started_is_shown_at_once_but_not_under_somebodys_fingers() {
    let mut app = on(samples::broken());
    assert_eq!(app.update(Input::Started(Ok(samples::id()))), [Effect::Watch(samples::id())]);
    assert_eq!(app.screen(), ScreenId::Running);

    let mut typing = on(samples::broken());
    press(&mut typing, &[Key::Char('i')]);
    typing.update(Input::Started(Ok(samples::id())));
    assert_eq!(typing.screen(), ScreenId::Board);
    assert!(shown(&typing).contains("DECLARE AN INCIDENT"));
}

#[test]
fn a_live_operation_and_an_open_incident_are_followed_without_asking() {
    let mut app = App::new(THEME, SIZE, NOW);
    let effects = app.update(Input::Board(Box::new(samples::recovering())));
    let id = || "2026-11-21-01".to_owned();
    let expected = [
        Effect::WatchIncident(id()),
        Effect::WatchRunbook(id()),
        Effect::WatchTalk(id()),
        Effect::Watch(samples::id()),
    ];
    assert_eq!(effects, expected);
    app.update(Input::Operation(Box::new(samples::snapshot(Life::Running { pid: 1 }, false))));
    app.update(Input::Incident(Box::new(samples::incident_view())));
    assert!(app.update(Input::Board(Box::new(samples::recovering()))).is_empty(), "once is enough");
}

#[test]
fn a_failure_is_told_with_what_to_do_next() {
    let mut app = on(samples::broken());
    let report = Report::failed("the plan has changed").context("starting").hint("look at it again");
    app.update(Input::Started(Err(report)));
    for said in ["NOT STARTED", "the plan has changed", "while starting", "next: look at it again"] {
        assert!(shown(&app).contains(said), "{said}\n{}", shown(&app));
    }
    press(&mut app, &[Key::Esc]);
    enter(&mut app, ":messages");
    assert!(shown(&app).contains("MESSAGES") && shown(&app).contains("✖ the plan has changed"));
}

#[test]
fn an_answer_to_another_question_is_not_taken_for_this_plan() {
    let mut app = on(samples::broken());
    let other = pgmayday::model::plan::RecoverRequest { set: Some("x".to_owned()), ..samples::request() };
    app.update(Input::Plan(Box::new(other), Err(Report::failed("no"))));
    assert!(app.model().plan.is_none());
}

#[test]
fn pasted_text_never_acts_as_keys() {
    let mut app = on(samples::recovering());
    assert!(app.update(Input::Paste("qqq\u{3}:cancel\rorders\r".to_owned())).is_empty());
    assert_eq!(app.screen(), ScreenId::Board);
    assert!(!app.is_left());
}

#[test]
fn a_disabled_key_says_why() {
    let mut app = on(samples::healthy());
    press(&mut app, &[Key::Char('o')]);
    assert_eq!(app.screen(), ScreenId::Board);
    assert!(shown(&app).contains("operation: no operation is known here"));
    press(&mut app, &[Key::Char('?')]);
    assert!(shown(&app).contains("not now: no operation is known here"));
}

#[test]
fn closing_tells_what_is_left_and_keeps_the_sentence_for_who_goes_back() {
    let mut app = on(samples::recovering());
    app.update(Input::Incident(Box::new(samples::incident_view())));
    let guide = GuideView {
        incident: "2026-11-21-01".to_owned(),
        left: vec!["the standby in /srv/b was left stopped".to_owned()],
        ..GuideView::default()
    };
    app.update(Input::Guide(Ok(Box::new(guide.clone()))));
    enter(&mut app, ":close incident");
    assert!(shown(&app).contains("/srv/b"), "{}", shown(&app));
    assert!(enter(&mut app, "back, without a second node").is_empty());
    assert!(shown(&app).contains("CLOSE OVER OPEN MATTERS") && shown(&app).contains("/srv/b"));
    press(&mut app, &[Key::Esc]);
    enter(&mut app, ":close incident");
    assert!(shown(&app).contains("> back, without a second node"), "{}", shown(&app));
    // Once nothing is left, Enter takes it as it stands.
    press(&mut app, &[Key::Esc]);
    app.update(Input::Guide(Ok(Box::new(GuideView { left: Vec::new(), ..guide }))));
    enter(&mut app, ":close incident");
    let effects = press(&mut app, &[Key::Enter]);
    assert_eq!(effects, [Effect::CloseIncident("back, without a second node".to_owned())]);
}

#[test]
fn what_is_open_in_the_checklist_is_told_before_the_typed_word() {
    let ask = |followed: bool| {
        let mut app = on(Board { incident: Some(samples::incident()), ..samples::broken() });
        if followed {
            app.update(Input::Incident(Box::new(samples::incident_view())));
        }
        press(&mut app, &[Key::Char('t')]);
        for _ in 0..3 {
            for effect in press(&mut app, &[Key::Enter]) {
                if let Effect::Plan(request) = effect {
                    let plan = RecoverPlan { request: (*request).clone(), ..samples::plan(CheckState::Ok) };
                    app.update(Input::Plan(request, Ok(Box::new(plan))));
                }
            }
        }
        shown(&app)
    };
    let told = ask(true);
    assert!(told.contains("Type orders") && told.contains("open in the pre-restore list: reason"), "{told}");
    assert!(!ask(false).contains("pre-restore"), "an incident that is not read says nothing");
}

#[test]
fn a_message_longer_than_its_line_is_read_to_its_end() {
    let mut app = on(samples::broken());
    let text =
        "incident 2026-11-28-01 is declared; the clock runs; nothing is expired until the day after tomorrow";
    app.update(Input::Said(Ok(text.to_owned())));
    let seen = shown(&app);
    let tail: Vec<&str> = seen.lines().rev().skip(1).take(2).map(str::trim).collect();
    assert_eq!(format!("{} {}", tail[1], tail[0]), format!("✔ {text}"), "{seen}");
    app.update(Input::Said(Ok("word ".repeat(100))));
    let seen = shown(&app);
    assert!(seen.lines().rev().nth(1).unwrap().trim().ends_with(" …"), "{seen}");
}

#[test]
fn an_operation_leads_back_to_the_runbook_of_its_incident() {
    let mut app = on(samples::recovering());
    press(&mut app, &[Key::Char('o')]);
    app.update(Input::Operation(Box::new(samples::snapshot(Life::Running { pid: 1 }, false))));
    assert!(shown(&app).contains("R runbook"), "{}", shown(&app));
    press(&mut app, &[Key::Char('R')]);
    assert_eq!(app.screen(), ScreenId::Runbook);
    // One that has lost its worker is taken up by the same key.
    let mut lost = on(Board { incident: Some(samples::incident()), ..lost() });
    press(&mut lost, &[Key::Char('o')]);
    lost.update(Input::Operation(Box::new(samples::snapshot(Life::Lost, false))));
    press(&mut lost, &[Key::Char('R')]);
    assert!(shown(&lost).contains("RESUME THE OPERATION"), "{}", shown(&lost));
}

//! Pictures of every screen in the states that matter, at the smallest size and a wide one.

use crate::models::{
    asking, bad_update, bare, catalog, copying, failed, failing_plan, finished, following, history,
    in_incident, lost, now, plan, planned, replaying, standing, wal,
};
use crate::{entered, picture};
use pgmayday::base::Timestamp;
use pgmayday::console::keymap::Cmd;
use pgmayday::console::model::{Loaded, Model};
use pgmayday::console::screens::catalog::CatalogScreen;
use pgmayday::console::screens::history::HistoryScreen;
use pgmayday::console::screens::journal::JournalScreen;
use pgmayday::console::screens::running::RunningScreen;
use pgmayday::console::screens::target::TargetScreen;
use pgmayday::console::screens::wal::WalScreen;
use pgmayday::console::screens::{Asked, Screen};
use pgmayday::console::theme::Theme;

const COLOUR: Theme = Theme { colour: true, ascii: false };
const PLAIN: Theme = Theme { colour: false, ascii: true };

/// What is left of terminals of 80×24 and 120×40 for a screen.
const SIZES: [(u16, u16); 2] = [(80, 21), (120, 37)];

pub(crate) fn check(name: &str, screen: &dyn Screen, model: &Model) {
    let [narrow, wide] = SIZES.map(|size| picture(screen, model, COLOUR, size));
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(name, format!("{narrow}{}\n{wide}", "=".repeat(80)));
    });
    // Colour adds nothing to the words, and ASCII takes none away.
    for size in SIZES {
        let colourless = picture(screen, model, Theme { colour: false, ascii: false }, size);
        assert_eq!(colourless, picture(screen, model, COLOUR, size), "{name}");
        let ascii = picture(screen, model, PLAIN, size);
        assert!(ascii.is_ascii(), "{name}: {ascii}");
        let words = |text: &str| {
            text.split(|c: char| !c.is_ascii_alphanumeric()).map(str::to_owned).collect::<Vec<_>>()
        };
        let lost: Vec<String> = words(&colourless).into_iter().filter(|word| !ascii.contains(word)).collect();
        assert!(lost.is_empty(), "{name}: {lost:?} missing in ASCII");
    }
}

fn with_catalog(loaded: Loaded<pgmayday::model::catalog::CatalogView>) -> Model {
    Model { catalog: loaded, ..bare() }
}

#[test]
fn catalog_screens() {
    check("catalog-unread", &entered::<CatalogScreen>(&bare()), &bare());
    let reading = with_catalog(Loaded::Loading(Timestamp(now().0 - 3_000_000), None));
    check("catalog-reading", &entered::<CatalogScreen>(&reading), &reading);
    let why = "the store of repo1 does not answer: connection timed out\nlook at the network";
    let broken = with_catalog(Loaded::Failed(why.into(), None));
    check("catalog-failed", &entered::<CatalogScreen>(&broken), &broken);
    let none =
        with_catalog(Loaded::Yes(pgmayday::model::catalog::CatalogView { backups: Vec::new(), ..catalog() }));
    check("catalog-empty", &entered::<CatalogScreen>(&none), &none);
    let model = with_catalog(Loaded::Yes(catalog()));
    let mut screen = entered::<CatalogScreen>(&model);
    check("catalog", &screen, &model);
    screen.on(&model, Cmd::Open);
    check("catalog-detail", &screen, &model);
    screen.on(&model, Cmd::Back);
    let mut signs = entered::<CatalogScreen>(&model);
    signs.on(&model, Cmd::First);
    signs.on(&model, Cmd::Open);
    check("catalog-detail-pinned", &signs, &model);
    (0..5).for_each(|_| drop(signs.on(&model, Cmd::Down)));
    check("catalog-detail-page-errors", &signs, &model);
    signs.on(&model, Cmd::Last);
    check("catalog-detail-damaged", &signs, &model);
    screen.on(&model, Cmd::Sort);
    screen.text(&model, Asked::Filter, "DIFF");
    check("catalog-filtered", &screen, &model);
}

#[test]
fn wal_screens() {
    check("wal-unread", &entered::<WalScreen>(&bare()), &bare());
    let none = Model { wal: Loaded::Yes(pgmayday::model::wal_view::WalView::default()), ..bare() };
    check("wal-empty", &entered::<WalScreen>(&none), &none);
    let model = Model { wal: Loaded::Yes(wal()), catalog: Loaded::Yes(catalog()), ..bare() };
    let mut screen = entered::<WalScreen>(&model);
    check("wal", &screen, &model);
    screen.on(&model, Cmd::Down);
    screen.on(&model, Cmd::Down);
    (0..3).for_each(|_| drop(screen.on(&model, Cmd::ZoomIn)));
    check("wal-zoomed", &screen, &model);
}

#[test]
fn target_screens() {
    check("target-time", &entered::<TargetScreen>(&bare()), &bare());
    let mut screen = entered::<TargetScreen>(&bare());
    screen.text(&bare(), Asked::Field(1), "2026-11-21 02:03:00+00");
    check("target-time-given", &screen, &bare());
    screen.text(&bare(), Asked::Field(1), "2026-11-21 02:63:00");
    screen.text(&bare(), Asked::Field(7), "0");
    check("target-time-wrong", &screen, &bare());
    check("target-last-right", &entered::<TargetScreen>(&bad_update()), &bad_update());
}

#[test]
fn plan_screens() {
    let plans = [
        ("plan-working", Loaded::Loading(Timestamp(now().0 - 3_400_000), None)),
        (
            "plan-error",
            Loaded::Failed(
                "no set ends before the target\nthe oldest ended 2026-11-13 03:14:01+00".into(),
                None,
            ),
        ),
        ("plan", Loaded::Yes(plan())),
        ("plan-refused", Loaded::Yes(failing_plan())),
    ];
    for (name, loaded) in plans {
        let model = planned(loaded);
        let mut screen = entered::<TargetScreen>(&model);
        screen.on(&model, Cmd::Open);
        check(name, &screen, &model);
    }
}

#[test]
fn running_screens() {
    check("running-none", &entered::<RunningScreen>(&bare()), &bare());
    let mut screen = RunningScreen::default();
    // Two samples make a rate: 6 s before, 3 GB less were there.
    let mut before = copying();
    before.copy.as_mut().unwrap().bytes_done -= 3 << 30;
    before.sampled_at = before.sampled_at.map(|at| Timestamp(at.0 - 6_000_000));
    screen.updated(&following(before));
    let model = following(copying());
    screen.updated(&model);
    check("running-copying", &screen, &model);
    screen.on(&model, Cmd::Log);
    check("running-log", &screen, &model);
    // Where the replay began is not known yet, and the numbers are as long as they get.
    let mut begun = replaying();
    begun.replay.as_mut().unwrap().from = None;
    begun.replay.as_mut().unwrap().goal = Some(pgmayday::base::Lsn(0x1C_5A00_0148));
    begun.replay.as_mut().unwrap().replayed = Some(pgmayday::base::Lsn(0x1C_4C12_A8F0));
    let states = [
        ("running-replay-begun", begun),
        ("running-replaying", replaying()),
        ("running-standing-still", standing()),
        ("running-asking", asking()),
        ("running-lost", lost()),
        ("running-failed", failed()),
        ("running-done", finished()),
    ];
    for (name, operation) in states {
        let model = following(operation);
        check(name, &entered::<RunningScreen>(&model), &model);
    }
}

#[test]
fn journal_and_history_screens() {
    check("journal-none", &entered::<JournalScreen>(&bare()), &bare());
    let model = in_incident(false);
    let mut screen = entered::<JournalScreen>(&model);
    check("journal", &screen, &model);
    screen.on(&model, Cmd::Up);
    screen.text(&model, Asked::Filter, "worker");
    check("journal-filtered", &screen, &model);
    let mut model = in_incident(true);
    let view = model.incident.as_mut().unwrap();
    (view.chain_ok, view.chain) = (false, "line 3 was changed after it was written".into());
    check("journal-served", &entered::<JournalScreen>(&model), &model);
    check("history-none", &entered::<HistoryScreen>(&bare()), &bare());
    check("history", &entered::<HistoryScreen>(&history()), &history());
}

//! The history's trend: how incidents and drills stood to their targets, in the order of time.

use crate::entered;
use crate::models::{at, history};
use crate::pictures::check;
use pgmayday::console::keymap::Cmd;
use pgmayday::console::screens::Screen as _;
use pgmayday::console::screens::history::HistoryScreen;
use pgmayday::incident::standing::Loss;

#[test]
fn incidents_and_drills_are_a_trend() {
    let mut model = history();
    for (place, lost_ms) in [(1, 120_000), (2, 900_000)] {
        let view = &mut model.incidents[place];
        let (last_commit, until) = (at("02:03:00"), at("02:05:00"));
        view.standing.loss = Some(Loss { last_commit, until, lost_ms, until_newest: true });
    }
    let mut drill = model.incidents[1].clone();
    (drill.id, drill.label) = ("2026-08-01-01".to_owned(), Some("LAB".to_owned()));
    drill.rto_ms = Some(3_100_000);
    model.incidents.push(drill);
    assert!(model.incidents[3].is_drill() && !model.incidents[0].is_drill());
    let mut screen = entered::<HistoryScreen>(&model);
    screen.on(&model, Cmd::Last);
    check("history-trend", &screen, &model);
}

//! The console's screens besides the board: what they show in the situations that matter, what their keys do, and
//! that no size and no model breaks them.

#![expect(clippy::unwrap_used, reason = "a test that cannot make its model must fail")]

mod chaos;
mod doctor;
mod keys;
mod models;
mod options;
mod people;
mod pictures;
mod runbook;
mod trend;
mod way;
mod whole;

use pgmayday::console::keymap::Cmd;
use pgmayday::console::model::Model;
use pgmayday::console::screens::Screen;
use pgmayday::console::screens::catalog::CatalogScreen;
use pgmayday::console::screens::checklist::ChecklistScreen;
use pgmayday::console::screens::doctor::DoctorScreen;
use pgmayday::console::screens::history::HistoryScreen;
use pgmayday::console::screens::journal::JournalScreen;
use pgmayday::console::screens::options::OptionsScreen;
use pgmayday::console::screens::people::PeopleScreen;
use pgmayday::console::screens::runbook::RunbookScreen;
use pgmayday::console::screens::running::RunningScreen;
use pgmayday::console::screens::talk::TalkScreen;
use pgmayday::console::screens::target::TargetScreen;
use pgmayday::console::screens::wal::WalScreen;
use pgmayday::console::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Every screen, fresh.
fn screens() -> Vec<Box<dyn Screen>> {
    vec![
        Box::new(CatalogScreen::default()),
        Box::new(WalScreen::default()),
        Box::new(TargetScreen::default()),
        Box::new(OptionsScreen::default()),
        Box::new(RunningScreen::default()),
        Box::new(RunbookScreen::default()),
        Box::new(JournalScreen::default()),
        Box::new(HistoryScreen::default()),
        Box::new(PeopleScreen::default()),
        Box::new(TalkScreen::default()),
        Box::new(ChecklistScreen::default()),
        Box::new(DoctorScreen::default()),
    ]
}

/// A screen that was entered with this model.
fn entered<S: Screen + Default>(model: &Model) -> S {
    let mut screen = S::default();
    screen.entered(model);
    screen.updated(model);
    screen
}

/// The screen drawn at this size.
fn drawn(screen: &dyn Screen, model: &Model, theme: Theme, (width, height): (u16, u16)) -> Buffer {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    screen.draw(model, theme, area, &mut buffer);
    buffer
}

/// What it looks like.
fn picture(screen: &dyn Screen, model: &Model, theme: Theme, (width, height): (u16, u16)) -> String {
    let mut buffer = drawn(screen, model, theme, (width, height));
    theme.finish(&mut buffer);
    let line = |y: u16| (0..width).map(|x| buffer[(x, y)].symbol().to_owned()).collect::<String>();
    (0..height).map(|y| line(y).trim_end().to_owned() + "\n").collect()
}

/// Every command there is.
const COMMANDS: [Cmd; 62] = [
    Cmd::Up,
    Cmd::Down,
    Cmd::Left,
    Cmd::Right,
    Cmd::PageUp,
    Cmd::PageDown,
    Cmd::First,
    Cmd::Last,
    Cmd::NextPane,
    Cmd::PreviousPane,
    Cmd::Open,
    Cmd::Back,
    Cmd::Filter,
    Cmd::Sort,
    Cmd::Refresh,
    Cmd::Palette,
    Cmd::Help,
    Cmd::Quit,
    Cmd::Suspend,
    Cmd::Board,
    Cmd::Backups,
    Cmd::Wal,
    Cmd::Recover,
    Cmd::Options,
    Cmd::Operation,
    Cmd::Journal,
    Cmd::History,
    Cmd::Incident,
    Cmd::Note,
    Cmd::Commands,
    Cmd::Log,
    Cmd::ZoomIn,
    Cmd::ZoomOut,
    Cmd::AnswerRight,
    Cmd::AnswerDamaged,
    Cmd::Resume,
    Cmd::Cancel,
    Cmd::CloseIncident,
    Cmd::Mark,
    Cmd::Run,
    Cmd::Fill,
    Cmd::Approve,
    Cmd::People,
    Cmd::Talk,
    Cmd::Checklist,
    Cmd::Doctor,
    Cmd::TakeRole,
    Cmd::OfferRole,
    Cmd::Acknowledge,
    Cmd::NewTask,
    Cmd::NewFollowUp,
    Cmd::Finish,
    Cmd::GiveUp,
    Cmd::NotSo,
    Cmd::NotApplicable,
    Cmd::Untold,
    Cmd::Draft,
    Cmd::Send,
    Cmd::Sentence,
    Cmd::Promise,
    Cmd::Told,
    Cmd::Flush,
];

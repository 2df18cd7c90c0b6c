//! The archived WAL: one bar per timeline, what is missing in it, and what that means for a recovery.
//!
//! Segments are never listed one by one; a million of them are a few stretches.

mod bar;
mod draw;
mod gaps;

use super::paint::{Sheet, count, done};
use super::{Action, Screen, ScreenId};
use crate::console::input::{Effect, Key};
use crate::console::keymap::{Binding, Cmd};
use crate::console::model::{Loaded, Model};
use crate::console::theme::{State, Theme};
use crate::console::widgets::{Selection, age};
use crate::model::wal_view::{ArchiveRow, Stretch, TimelineRow, WalView};
use bar::View;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Columns before the bars.
const LABEL: u16 = 8;
/// More halvings than this are no use: one segment of any log is shown by then.
const MOST_ZOOM: u32 = 40;

/// The WAL.
#[derive(Debug, Default)]
pub struct WalScreen {
    /// The chosen stretch, counted over all timelines of all archives.
    selected: Selection,
    /// How often the shown part was halved.
    zoom: u32,
    /// The first segment shown when zoomed, counted from the archive's first.
    left: u64,
}

/// A stretch with where it belongs.
#[derive(Clone, Copy)]
struct Place<'a> {
    archive: &'a ArchiveRow,
    timeline: &'a TimelineRow,
    stretch: &'a Stretch,
}

fn places(wal: &WalView) -> impl Iterator<Item = Place<'_>> {
    wal.archives.iter().flat_map(|archive| {
        archive.timelines.iter().flat_map(move |timeline| {
            timeline.stretches.iter().map(move |stretch| Place { archive, timeline, stretch })
        })
    })
}

impl WalScreen {
    fn place<'a>(&self, model: &'a Model) -> Option<Place<'a>> {
        places(model.wal.value()?).nth(self.selected.at())
    }

    fn archive<'a>(&self, wal: &'a WalView) -> Option<&'a ArchiveRow> {
        places(wal).nth(self.selected.at()).map(|place| place.archive).or(wal.archives.first())
    }

    /// The part of the archive that is shown.
    fn view(&self, archive: &ArchiveRow, cells: u16) -> View {
        let (first, last) = bar::range(archive).unwrap_or((0, 0));
        let total = last.saturating_sub(first).saturating_add(1);
        let span = (total >> self.zoom.min(MOST_ZOOM)).max(1);
        View { first: first.saturating_add(self.left.min(total - span)), span, cells }
    }

    /// Shows the chosen stretch in the middle of what is shown.
    fn centre(&mut self, model: &Model) {
        let Some(place) = self.place(model) else { return };
        let view = self.view(place.archive, 1);
        let first = bar::range(place.archive).map_or(0, |(first, _)| first);
        let middle =
            place.stretch.first_number.saturating_add(place.stretch.segments / 2).saturating_sub(first);
        self.left = middle.saturating_sub(view.span / 2);
    }

    fn pan(&mut self, model: &Model, right: bool) {
        let Some(archive) = model.wal.value().and_then(|wal| self.archive(wal)) else { return };
        let view = self.view(archive, 1);
        let first = bar::range(archive).map_or(0, |(first, _)| first);
        let (here, step) = (view.first.saturating_sub(first), (view.span / 4).max(1));
        self.left = if right { here.saturating_add(step) } else { here.saturating_sub(step) };
        // What lies beyond the end is not remembered, or the way back would seem to do nothing.
        self.left = self.view(archive, 1).first.saturating_sub(first);
    }
}

/// How many stretches there are in all.
fn stretches(model: &Model) -> usize {
    model.wal.value().map_or(0, |wal| places(wal).count())
}

impl Screen for WalScreen {
    fn id(&self) -> ScreenId {
        ScreenId::Wal
    }

    fn title(&self) -> &'static str {
        "WAL"
    }

    fn bindings(&self, model: &Model) -> Vec<Binding> {
        let none = self.place(model).is_none().then(|| "no WAL is listed".to_owned());
        let whole =
            none.clone().or_else(|| (self.zoom == 0).then(|| "everything is shown already".to_owned()));
        vec![
            Binding::new(
                &[Key::Char('+'), Key::Char('=')],
                Cmd::ZoomIn,
                "zoom in",
                "Show half as much, around the chosen stretch.",
            )
            .unless(none),
            Binding::new(&[Key::Char('-')], Cmd::ZoomOut, "zoom out", "Show twice as much.").unless(whole),
        ]
    }

    fn entered(&mut self, model: &Model) -> Vec<Effect> {
        let mut effects = vec![Effect::LoadWal];
        if matches!(model.catalog, Loaded::No) {
            // What a gap means is told by the backups.
            effects.push(Effect::LoadCatalog);
        }
        effects
    }

    fn updated(&mut self, model: &Model) {
        self.selected.keep(stretches(model));
    }

    fn on(&mut self, model: &Model, cmd: Cmd) -> Option<Action> {
        if self.selected.on(cmd, stretches(model)) {
            self.centre(model);
            return done();
        }
        match cmd {
            Cmd::Left => self.pan(model, false),
            Cmd::Right => self.pan(model, true),
            Cmd::ZoomIn => {
                let span =
                    model.wal.value().and_then(|wal| self.archive(wal)).map_or(1, |a| self.view(a, 1).span);
                if span > 1 {
                    self.zoom += 1;
                }
                self.centre(model);
            }
            Cmd::ZoomOut => {
                self.zoom = self.zoom.saturating_sub(1);
                self.centre(model);
            }
            _ => return None,
        }
        done()
    }

    fn draw(&self, model: &Model, theme: Theme, area: Rect, buffer: &mut Buffer) {
        let mut sheet = Sheet::new(theme, area, buffer);
        let wal = model.wal.value();
        let Some((wal, archive)) = wal.and_then(|wal| Some((wal, self.archive(wal)?))) else {
            return draw::empty(&mut sheet, model);
        };
        let mut words = draw::title(archive);
        if wal.archives.len() > 1 {
            let at = wal.archives.iter().position(|other| std::ptr::eq(other, archive)).unwrap_or(0);
            words = format!("{} of {}, {words}", at + 1, wal.archives.len());
        }
        if let Some(at) = wal.read_at {
            words = format!("{words}, {} ago", age(at, model.now));
        }
        sheet.rule(0, "WAL", &words);
        let mut y = 1;
        let failed = if let Loaded::Failed(why, _) = &model.wal { why.lines().next() } else { None };
        for trouble in failed.into_iter().chain(wal.troubles.iter().map(String::as_str)).take(3) {
            sheet.cut(0, y, u16::MAX, &format!("! {trouble}"), theme.state(State::Late));
            y += 1;
        }
        let place = self.place(model);
        let timelines = u16::try_from(archive.timelines.len()).unwrap_or(u16::MAX).saturating_add(3);
        let lines = timelines.min(sheet.height().saturating_sub(y) / 2);
        let view = self.view(archive, sheet.width().saturating_sub(LABEL + 1));
        y += draw::archive(&mut sheet.below(y), archive, place, view, lines);
        if let Some(place) = place {
            let number = places(wal).count();
            sheet.rule(
                y,
                "CHOSEN",
                &format!("stretch {} of {}", self.selected.at() + 1, count(number as u64)),
            );
            y += 1 + draw::chosen(&mut sheet.below(y + 1), place);
        }
        draw::gaps(&mut sheet.below(y), model, archive, place);
    }
}

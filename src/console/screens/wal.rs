//! The archived WAL: one bar per timeline, what is missing in it, and what that means for a recovery.
//!
//! Segments are never listed one by one; a million of them are a few stretches.

mod bar;
mod gaps;

use super::paint::{Sheet, count, counted, done, since};
use super::{Action, Screen, ScreenId};
use crate::console::input::{Effect, Key};
use crate::console::keymap::{Binding, Cmd};
use crate::console::model::{Loaded, Model};
use crate::console::theme::{State, Theme};
use crate::console::widgets::{Selection, age, size};
use crate::model::wal_view::{ArchiveRow, Stretch, TimelineRow, WalView};
use bar::{Cell, View};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Columns before the bars.
const LABEL: u16 = 8;
/// More than this is no use: 64 halvings show one segment of any log.
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

    fn draw_archive(
        &self,
        sheet: &mut Sheet<'_>,
        archive: &ArchiveRow,
        place: Option<Place<'_>>,
        lines: u16,
    ) -> u16 {
        let view = self.view(archive, sheet.width().saturating_sub(LABEL + 1));
        let chosen = place.and_then(|place| {
            archive.timelines.iter().position(|row| row.timeline == place.timeline.timeline)
        });
        let room = usize::from(lines.saturating_sub(2));
        let top = first_line(chosen.unwrap_or(0), archive.timelines.len(), room);
        let mut y = 0;
        for (at, timeline) in archive.timelines.iter().enumerate().skip(top).take(room) {
            draw_timeline(sheet, y, archive, timeline, view);
            y += 1;
            if let Some(place) = place.filter(|_| chosen == Some(at)) {
                draw_mark(sheet, y, place.stretch, view);
                y += 1;
            }
        }
        let lsn = |number: u64| crate::base::Lsn(number.saturating_mul(archive.segment_bytes.into()));
        let dim = sheet.theme.dim();
        let end = lsn(view.first.saturating_add(view.span)).to_string();
        sheet.right(LABEL, y, view.cells, &end, dim);
        sheet.text(LABEL, y, &lsn(view.first).to_string(), dim);
        y + 1
    }
}

/// How many stretches there are in all.
fn stretches(model: &Model) -> usize {
    model.wal.value().map_or(0, |wal| places(wal).count())
}

/// The first line of a list that shows line `at` near the middle of `height` lines.
fn first_line(at: usize, length: usize, height: usize) -> usize {
    let mut selection = Selection::default();
    selection.choose(at);
    selection.first(length, height)
}

/// Numbers of the segments of a timeline that are stored twice.
fn conflicts(archive: &ArchiveRow, timeline: &TimelineRow) -> Vec<u64> {
    let Ok(size) = crate::base::WalSegmentSize::new(archive.segment_bytes) else { return Vec::new() };
    let own = archive.conflicts.iter().filter(|segment| segment.timeline == timeline.timeline);
    own.map(|segment| segment.number(size)).collect()
}

fn draw_timeline(sheet: &mut Sheet<'_>, y: u16, archive: &ArchiveRow, timeline: &TimelineRow, view: View) {
    let theme = sheet.theme;
    sheet.cut(0, y, LABEL - 1, &format!(" TL {}", timeline.timeline), theme.strong());
    let cells = bar::cells(timeline, &conflicts(archive, timeline), view);
    for (x, cell) in (LABEL..).zip(&cells) {
        let (symbol, style) = match cell {
            Cell::Empty => continue,
            Cell::There => ("█", Style::new()),
            Cell::Gap => ("░", theme.state(State::Failed)),
            Cell::Conflict => ("!", theme.state(State::Late)),
        };
        sheet.text(x, y, symbol, style);
    }
    let segment = |lsn: crate::base::Lsn| lsn.0 / u64::from(archive.segment_bytes.max(1));
    let is_empty = |cell: u16| cells.get(usize::from(cell)) == Some(&Cell::Empty);
    // Where it left its parent, and where its children left it, if the bars leave room for a sign.
    let cell_of = |number| view.cells_of(number).map(|(first, _)| first);
    let own = timeline.parent.and_then(|(_, at)| cell_of(segment(at)));
    if let Some(cell) = own.and_then(|cell| cell.checked_sub(1)).filter(|cell| is_empty(*cell)) {
        sheet.text(LABEL + cell, y, "╰", theme.dim());
    }
    for child in &archive.timelines {
        let left = child.parent.filter(|(parent, _)| *parent == timeline.timeline).map(|(_, at)| segment(at));
        let Some(cell) = left.and_then(cell_of) else { continue };
        for cell in [cell, cell + 1].into_iter().filter(|cell| is_empty(*cell)).take(1) {
            sheet.text(LABEL + cell, y, "╮", theme.dim());
        }
    }
}

/// The sign below the chosen stretch.
fn draw_mark(sheet: &mut Sheet<'_>, y: u16, stretch: &Stretch, view: View) {
    let style = sheet.theme.focus();
    let last = bar::last_number(stretch);
    let end = view.first.saturating_add(view.span.saturating_sub(1));
    if view.cells == 0 || last < view.first || stretch.first_number > end {
        return;
    }
    let first = view.cells_of(stretch.first_number.max(view.first)).map_or(0, |(first, _)| first);
    let last = view.cells_of(last.min(end)).map_or(first, |(_, last)| last).max(first);
    if first == last {
        sheet.text(LABEL + first, y, "▲", style);
        return;
    }
    sheet.text(LABEL + first, y, &format!("╰{}╯", "─".repeat(usize::from(last - first - 1))), style);
}

/// The archive's line: what it is, how many segments, what is wrong.
fn archive_words(archive: &ArchiveRow) -> String {
    let stretches = || archive.timelines.iter().flat_map(|timeline| &timeline.stretches);
    let sum = |missing| {
        let counts = stretches().filter(|stretch| stretch.missing == missing).map(|stretch| stretch.segments);
        counts.fold(0, u64::saturating_add)
    };
    let gaps = stretches().filter(|stretch| stretch.missing).count() as u64;
    let of = size(archive.segment_bytes.into());
    let assumed = if archive.size_assumed { ", assumed" } else { "" };
    let there = counted(sum(false), "segment", "segments");
    let mut words = vec![format!("repo{} {}: {there} of {of}{assumed}", archive.repo, archive.id)];
    if gaps > 0 {
        words.push(format!("{} missing in {}", count(sum(true)), counted(gaps, "gap", "gaps")));
    }
    if !archive.conflicts.is_empty() {
        words.push(counted(archive.conflicts.len() as u64, "conflict", "conflicts"));
    }
    if !archive.impossible.is_empty() {
        words.push(format!("{} with an impossible name", archive.impossible.len()));
    }
    words.join(", ")
}

fn draw_chosen(sheet: &mut Sheet<'_>, place: Place<'_>) -> u16 {
    let stretch = place.stretch;
    let (state, plain) = (sheet.theme.state(State::Failed), Style::new());
    let style = if stretch.missing { state } else { plain };
    sheet.text(1, 0, &gaps::words(place.timeline, stretch), style);
    let mut y = 1;
    let mut more = Vec::new();
    if stretch.missing {
        more.push("missing".to_owned());
    } else {
        more.push(format!("{} stored", size(stretch.stored_bytes)));
    }
    if let Some((parent, at)) = place.timeline.parent {
        more.push(format!("TL {} left TL {parent} at {at}", place.timeline.timeline));
    }
    let doubles: Vec<String> = place
        .archive
        .conflicts
        .iter()
        .filter(|segment| (stretch.first..=stretch.last).contains(segment))
        .map(ToString::to_string)
        .collect();
    if let Some(first) = doubles.first() {
        more.push(format!("! {} stored twice with different content: {first}", doubles.len()));
    }
    let dim = sheet.theme.dim();
    y += sheet.below(y).wrapped(1, 0, &more.join(" · "), dim);
    y
}

fn draw_gaps(sheet: &mut Sheet<'_>, model: &Model, archive: &ArchiveRow, chosen: Option<Place<'_>>) {
    let gaps: Vec<(&TimelineRow, &Stretch)> = archive
        .timelines
        .iter()
        .flat_map(|timeline| timeline.stretches.iter().map(move |stretch| (timeline, stretch)))
        .filter(|(_, stretch)| stretch.missing)
        .collect();
    sheet.rule(0, "GAPS", &if gaps.is_empty() { String::new() } else { gaps.len().to_string() });
    if gaps.is_empty() {
        let ok = sheet.theme.state(State::Ok);
        sheet.text(1, 1, sheet.theme.symbol(State::Ok), ok);
        sheet.text(
            3,
            1,
            "none: every segment between the first and the last of each timeline is there",
            Style::new(),
        );
        return;
    }
    let here = chosen.and_then(|place| gaps.iter().position(|(_, gap)| std::ptr::eq(*gap, place.stretch)));
    let mut y = 1;
    for (at, (timeline, gap)) in gaps.iter().enumerate().skip(here.unwrap_or(0)) {
        if y >= sheet.height() {
            break;
        }
        let theme = sheet.theme;
        let failed = theme.state(State::Failed);
        sheet.text(1, y, theme.symbol(State::Failed), failed);
        let style = if here == Some(at) { theme.strong() } else { Style::new() };
        sheet.text(3, y, &gaps::words(timeline, gap), style);
        y += 1;
        let text = gaps::consequence(archive, timeline, gap, model.catalog.value());
        y += sheet.below(y).wrapped(5, 0, &text, Style::new());
    }
}

fn draw_empty(sheet: &mut Sheet<'_>, model: &Model) {
    sheet.rule(0, "WAL", "");
    let mut lines: Vec<String> = Vec::new();
    match &model.wal {
        Loaded::No => lines.push("The archive was not listed yet; r lists it.".to_owned()),
        Loaded::Loading(from, None) => {
            lines.push(format!("Listing the archive, for {}.", since(*from, model.now)));
        }
        Loaded::Failed(why, _) => {
            lines.extend(why.lines().map(str::to_owned));
            lines.push("r lists it again.".to_owned());
        }
        Loaded::Yes(wal) | Loaded::Loading(_, Some(wal)) => {
            lines.extend(wal.troubles.iter().cloned());
            lines.push(
                "No WAL is archived. Without it only the moments at which backups stopped can be reached."
                    .to_owned(),
            );
            lines.push("The server archives with these two lines in postgresql.conf:".to_owned());
            lines.push("archive_mode = on".to_owned());
            let stanza = model.board.identity.stanza.as_deref().unwrap_or("NAME");
            lines.push(format!("archive_command = 'pgbackrest --stanza={stanza} archive-push %p'"));
        }
    }
    let mut y = 2;
    for line in lines {
        y += sheet.below(y).wrapped(3, 0, &line, Style::new()).max(1);
    }
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
            return draw_empty(&mut sheet, model);
        };
        let mut words = archive_words(archive);
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
        y += self.draw_archive(&mut sheet.below(y), archive, place, lines);
        if let Some(place) = place {
            let number = places(wal).count();
            sheet.rule(
                y,
                "CHOSEN",
                &format!("stretch {} of {}", self.selected.at() + 1, count(number as u64)),
            );
            y += 1 + draw_chosen(&mut sheet.below(y + 1), place);
        }
        draw_gaps(&mut sheet.below(y), model, archive, place);
    }
}

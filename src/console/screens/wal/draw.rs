//! How the archived WAL is drawn: the bars, the chosen stretch in words, the gaps.

use super::bar::{Cell, View, cells as cells_of_timeline, last_number};
use super::gaps::{consequence, words};
use super::{LABEL, Place};
use crate::base::{Lsn, WalSegmentSize};
use crate::console::model::{Loaded, Model};
use crate::console::screens::paint::{Sheet, count, counted, since};
use crate::console::theme::State;
use crate::console::widgets::{Selection, size};
use crate::model::wal_view::{ArchiveRow, Stretch, TimelineRow};
use ratatui::style::Style;

/// The bars of an archive; the chosen stretch is marked. Returns the lines it took, at most `lines`.
pub(super) fn archive(
    sheet: &mut Sheet<'_>,
    archive: &ArchiveRow,
    place: Option<Place<'_>>,
    view: View,
    lines: u16,
) -> u16 {
    let chosen = place
        .and_then(|place| archive.timelines.iter().position(|row| row.timeline == place.timeline.timeline));
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
    let lsn = |number: u64| Lsn(number.saturating_mul(archive.segment_bytes.into()));
    let dim = sheet.theme.dim();
    let end = lsn(view.first.saturating_add(view.span)).to_string();
    sheet.right(LABEL, y, view.cells, &end, dim);
    sheet.text(LABEL, y, &lsn(view.first).to_string(), dim);
    y + 1
}

/// The first line of a list that shows line `at` near the middle of `height` lines.
fn first_line(at: usize, length: usize, height: usize) -> usize {
    let mut selection = Selection::default();
    selection.choose(at);
    selection.first(length, height)
}

/// Numbers of the segments of a timeline that are stored twice.
fn conflicts(archive: &ArchiveRow, timeline: &TimelineRow) -> Vec<u64> {
    let Ok(size) = WalSegmentSize::new(archive.segment_bytes) else { return Vec::new() };
    let own = archive.conflicts.iter().filter(|segment| segment.timeline == timeline.timeline);
    let mut numbers: Vec<u64> = own.map(|segment| segment.number(size)).collect();
    numbers.sort_unstable();
    numbers
}

/// One timeline, and where it was forked.
fn draw_timeline(sheet: &mut Sheet<'_>, y: u16, archive: &ArchiveRow, timeline: &TimelineRow, view: View) {
    let theme = sheet.theme;
    sheet.cut(0, y, LABEL - 1, &format!(" TL {}", timeline.timeline), theme.strong());
    let cells = cells_of_timeline(timeline, &conflicts(archive, timeline), view);
    for (x, cell) in (LABEL..).zip(&cells) {
        let (symbol, style) = match cell {
            Cell::Empty => continue,
            Cell::There => ("█", Style::new()),
            Cell::Gap => ("░", theme.state(State::Failed)),
            Cell::Conflict => ("!", theme.state(State::Late)),
        };
        sheet.text(x, y, symbol, style);
    }
    let segment = |lsn: Lsn| lsn.0 / u64::from(archive.segment_bytes.max(1));
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
    let last = last_number(stretch);
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

/// The size of a segment where nobody chose another.
const USUAL_BYTES: u32 = 16 << 20;

/// The archive's line: what it is, how many segments, what is wrong.
pub(super) fn title(archive: &ArchiveRow) -> String {
    let stretches = || archive.timelines.iter().flat_map(|timeline| &timeline.stretches);
    let sum = |missing| {
        let counts = stretches().filter(|stretch| stretch.missing == missing).map(|stretch| stretch.segments);
        counts.fold(0, u64::saturating_add)
    };
    let gaps = stretches().filter(|stretch| stretch.missing).count() as u64;
    let of = size(archive.segment_bytes.into());
    let assumed = if archive.size_assumed { ", assumed" } else { "" };
    let there = counted(sum(false), "segment", "segments");
    let mut words = vec![format!("repo{} {}: {there}", archive.repo, archive.id)];
    if gaps > 0 {
        words.push(format!("{} missing in {}", count(sum(true)), counted(gaps, "gap", "gaps")));
    }
    if !archive.conflicts.is_empty() {
        words.push(counted(archive.conflicts.len() as u64, "conflict", "conflicts"));
    }
    if !archive.impossible.is_empty() {
        words.push(format!("{} misnamed", archive.impossible.len()));
    }
    // Nearly all are of that size; the room is for what is wrong.
    if archive.segment_bytes != USUAL_BYTES || archive.size_assumed {
        words.push(format!("{of} each{assumed}"));
    }
    words.join(", ")
}

/// The chosen stretch in words. Returns the lines it took.
pub(super) fn chosen(sheet: &mut Sheet<'_>, place: Place<'_>) -> u16 {
    let stretch = place.stretch;
    let (state, plain) = (sheet.theme.state(State::Failed), Style::new());
    let style = if stretch.missing { state } else { plain };
    sheet.text(1, 0, &words(place.timeline, stretch), style);
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

/// The gaps and what they mean, the chosen one first.
pub(super) fn gaps(sheet: &mut Sheet<'_>, model: &Model, archive: &ArchiveRow, chosen: Option<Place<'_>>) {
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
        sheet.text(3, y, &words(timeline, gap), style);
        y += 1;
        let text = consequence(archive, timeline, gap, model.catalog.value());
        y += sheet.below(y).wrapped(5, 0, &text, Style::new());
    }
}

/// What is said where no WAL is listed.
pub(super) fn empty(sheet: &mut Sheet<'_>, model: &Model) {
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

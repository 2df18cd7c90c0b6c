//! A timeline as one line of cells: what is archived, what is missing, what is there twice, where it was forked.
//!
//! A gap is never lost by zooming out: a cell that holds a missing segment shows the gap.

use crate::model::wal_view::{ArchiveRow, Stretch, TimelineRow};

/// What one cell of the bar stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cell {
    /// Nothing of this timeline lies here.
    Empty,
    /// All of it is archived.
    There,
    /// At least one segment is missing.
    Gap,
    /// At least one segment is stored twice with different content.
    Conflict,
}

/// The segments a line of cells shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct View {
    /// The number of the first segment shown.
    pub(super) first: u64,
    /// How many segments are shown.
    pub(super) span: u64,
    /// How many cells there are.
    pub(super) cells: u16,
}

impl View {
    /// First and last segment number of a cell; several cells may show one segment.
    fn of_cell(self, cell: u16) -> (u64, u64) {
        let offset = |cell: u64| scaled(self.span, cell, u64::from(self.cells.max(1)));
        let at = |cell: u64| self.first.saturating_add(offset(cell));
        let first = at(cell.into());
        (first, at(u64::from(cell) + 1).saturating_sub(1).max(first))
    }

    /// First and last cell that show a segment; nothing if it is not shown.
    pub(super) fn cells_of(self, number: u64) -> Option<(u16, u16)> {
        let offset = number.checked_sub(self.first).filter(|offset| *offset < self.span)?;
        let cells = u64::from(self.cells);
        let last = up(cells, offset.saturating_add(1), self.span).saturating_sub(1);
        let first = up(cells, offset, self.span).min(last);
        Some((u16::try_from(first).ok()?, u16::try_from(last).ok()?))
    }
}

/// `whole × part ÷ of`.
fn scaled(whole: u64, part: u64, of: u64) -> u64 {
    u64::try_from(u128::from(whole) * u128::from(part) / u128::from(of.max(1))).unwrap_or(u64::MAX)
}

/// The same, rounded up.
fn up(whole: u64, part: u64, of: u64) -> u64 {
    u64::try_from((u128::from(whole) * u128::from(part)).div_ceil(u128::from(of.max(1)))).unwrap_or(u64::MAX)
}

/// The number of the last segment of a stretch.
pub(super) fn last_number(stretch: &Stretch) -> u64 {
    stretch.first_number.saturating_add(stretch.segments.saturating_sub(1))
}

/// First and last segment number of an archive.
pub(super) fn range(archive: &ArchiveRow) -> Option<(u64, u64)> {
    let stretches = || archive.timelines.iter().flat_map(|timeline| &timeline.stretches);
    Some((stretches().map(|s| s.first_number).min()?, stretches().map(last_number).max()?))
}

/// The cells of a timeline. `conflicts` are the numbers of its segments that are stored twice, in order.
pub(super) fn cells(timeline: &TimelineRow, conflicts: &[u64], view: View) -> Vec<Cell> {
    let of = |cell| {
        let (first, last) = view.of_cell(cell);
        let conflict = conflicts.get(conflicts.partition_point(|number| *number < first));
        if conflict.is_some_and(|number| *number <= last) {
            return Cell::Conflict;
        }
        let from = timeline.stretches.partition_point(|stretch| last_number(stretch) < first);
        let here = timeline.stretches[from..].iter().take_while(|stretch| stretch.first_number <= last);
        let mut cell = Cell::Empty;
        for stretch in here {
            if stretch.missing {
                return Cell::Gap;
            }
            cell = Cell::There;
        }
        cell
    };
    (0..view.cells).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Timeline, WalSegment, WalSegmentSize};

    fn timeline(parts: &[(u64, u64, bool)]) -> TimelineRow {
        let name = |number| WalSegment::from_number(Timeline(1), number, WalSegmentSize::DEFAULT);
        let stretch = |&(first, segments, missing): &(u64, u64, bool)| Stretch {
            first: name(first),
            last: name(first + segments - 1),
            segments,
            stored_bytes: 0,
            missing,
            first_number: first,
        };
        TimelineRow { timeline: Timeline(1), parent: None, stretches: parts.iter().map(stretch).collect() }
    }

    fn text(cells: &[Cell]) -> String {
        cells.iter().map(|cell| [' ', '#', '.', '!'][*cell as usize]).collect()
    }

    #[test]
    fn one_missing_segment_of_a_million_is_seen_at_every_zoom() {
        let timeline = timeline(&[(0, 500_000, false), (500_000, 1, true), (500_001, 499_999, false)]);
        let whole = View { first: 0, span: 1_000_000, cells: 10 };
        assert_eq!(text(&cells(&timeline, &[], whole)), "#####.####");
        let near = View { first: 499_998, span: 5, cells: 10 };
        assert_eq!(text(&cells(&timeline, &[], near)), "####..####");
        assert_eq!(near.cells_of(500_000), Some((4, 5)));
        assert_eq!((near.cells_of(0), near.cells_of(500_003)), (None, None));
        assert_eq!((whole.cells_of(499_999), whole.cells_of(500_000)), (Some((4, 4)), Some((5, 5))));
        // What a cell shows and where a segment is shown agree at every zoom.
        for (span, cells) in [(324, 71), (7, 71), (71, 71), (1, 3), (1000, 9)] {
            let view = View { first: 20, span, cells };
            for number in 20..20 + span {
                let (first, last) = view.cells_of(number).unwrap();
                for cell in first..=last {
                    let (from, to) = view.of_cell(cell);
                    assert!((from..=to).contains(&number), "{span} {cells}: {number} in {cell}");
                }
            }
        }
    }

    #[test]
    fn a_conflict_hides_everything_else_and_nothing_lies_outside() {
        let timeline = timeline(&[(4, 2, false)]);
        let view = View { first: 0, span: 8, cells: 8 };
        assert_eq!(text(&cells(&timeline, &[5], view)), "    #!  ");
        assert_eq!(cells(&timeline, &[], View { first: 0, span: 0, cells: 0 }), []);
    }
}

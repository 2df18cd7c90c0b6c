//! The recovery window as a picture: one bar for each timeline, laid out by the amount of WAL, with forks and gaps;
//! below it the backups, laid out by time. It shows what is there; the WAL and backup screens give the numbers.

use crate::base::{BackupKind, Timestamp};
use crate::console::model::Model;
use crate::console::theme::{State, Theme};
use crate::console::widgets::{age, left, moment, time};
use crate::model::board::judge::Window;
use crate::model::board::{BackupFacts, Repository, TimelineFacts, WalFacts};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// Columns before the picture.
const LABEL: usize = 8;
/// The most timelines drawn; older ones are counted.
const MOST_TIMELINES: usize = 3;

/// What a piece of the picture is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Label,
    /// A timeline left behind.
    Old,
    /// The newest timeline.
    Current,
    Backup,
    Trouble,
}

/// One line of the picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    label: String,
    text: String,
    part: Part,
}

impl Row {
    fn new(label: impl Into<String>, text: impl Into<String>, part: Part) -> Self {
        Self { label: label.into(), text: text.into(), part }
    }

    pub(super) fn line(&self, theme: Theme) -> Line<'static> {
        let style = match self.part {
            Part::Label | Part::Old => theme.dim(),
            Part::Current => Style::new(),
            Part::Backup => theme.strong(),
            Part::Trouble => theme.state(State::Failed),
        };
        Line::from(vec![
            Span::styled(format!(" {}", left(&self.label, LABEL - 1)), theme.dim()),
            Span::styled(self.text.clone(), style),
        ])
    }
}

/// The rule's title: from when to when.
pub(super) fn title(window: Option<&Window>, several: bool, now: Timestamp) -> String {
    match window {
        Some(window) => format!(
            "RECOVERY WINDOW{} ── {} … {} UTC ({})",
            if several { format!(" repo{}", window.repo) } else { String::new() },
            moment(window.from),
            time(window.to, now),
            age(window.from, window.to)
        ),
        None => "RECOVERY WINDOW".to_owned(),
    }
}

/// The picture of the window's repository, or of the first that is known, in so many columns.
pub(super) fn picture(model: &Model, window: Option<&Window>, columns: usize) -> Vec<Row> {
    let room = columns.saturating_sub(LABEL + 1).max(10);
    let board = &model.board;
    let reaches =
        |repository: &&Repository| repository.wal.value().is_some_and(|wal| !wal.timelines.is_empty());
    let chosen = |repository: &&Repository| window.is_some_and(|window| window.repo == repository.key);
    let mut known = board.repositories.iter().filter(reaches);
    let Some(repository) = known.clone().find(chosen).or_else(|| known.next()) else {
        return vec![Row::new("", nothing(&board.repositories), Part::Label)];
    };
    let mut rows = Vec::new();
    if let Some(wal) = repository.wal.value() {
        rows.extend(timelines(wal, room));
    }
    if let Some(backups) = repository.backups.value() {
        rows.extend(marks(backups, model.now, room));
    }
    rows
}

/// What is said where there is nothing to draw.
fn nothing(repositories: &[Repository]) -> String {
    let looked = |repository: &Repository| repository.wal.value().is_some();
    if repositories.is_empty() {
        "no repository is configured: set repo1-path".to_owned()
    } else if repositories.iter().all(looked) {
        "no WAL is archived yet: nothing but the end of a backup can be reached".to_owned()
    } else {
        "not known yet how far back and forward a recovery can go".to_owned()
    }
}

/// The bars, a line for the gaps, and how many timelines are older than those drawn.
fn timelines(wal: &WalFacts, room: usize) -> Vec<Row> {
    let older = wal.timelines.len().saturating_sub(MOST_TIMELINES);
    let shown = &wal.timelines[older..];
    let scale = Scale::of(shown, room);
    let mut bars: Vec<Vec<char>> = shown.iter().map(|timeline| scale.bar(timeline)).collect();
    for child in 1..bars.len() {
        // A branch hangs from the one above it, one column before its first segment.
        let Some(at) = scale.start(&shown[child]).checked_sub(1) else { continue };
        let above = &mut bars[child - 1];
        if above[at..].iter().all(|c| *c == ' ') {
            above[at] = '╮';
        }
        bars[child][at] = '╰';
    }
    let newest = shown.len().saturating_sub(1);
    let mut rows: Vec<Row> = bars
        .into_iter()
        .zip(shown)
        .enumerate()
        .map(|(number, (bar, timeline))| {
            let part = if number == newest { Part::Current } else { Part::Old };
            Row::new(format!("TL {}", timeline.timeline), bar.into_iter().collect::<String>(), part)
        })
        .collect();
    if older > 0 {
        rows[0].label = format!("TL {} +{older}", shown[0].timeline);
    }
    rows.extend(gaps(wal, shown, &scale));
    rows
}

/// Points at the gaps, where segments are missing.
fn gaps(wal: &WalFacts, shown: &[TimelineFacts], scale: &Scale) -> Option<Row> {
    let columns: Vec<usize> = shown.iter().flat_map(|timeline| scale.gaps(timeline)).collect();
    let (Some(first), true) = (columns.iter().min(), wal.missing > 0) else { return None };
    let mut text = vec![' '; scale.room];
    for column in &columns {
        text[*column] = '↑';
    }
    let text: String = text.into_iter().collect();
    let plural = if wal.missing == 1 { "" } else { "s" };
    let said = format!(" {} segment{plural} missing", wal.missing);
    // Behind the last arrow if there is room, else before the first.
    let after = columns.iter().max().map_or(0, |last| last + 1);
    let text = if after + said.len() <= scale.room {
        format!("{}{said}", text.trim_end())
    } else if said.len() < *first {
        let before = format!("{said} ");
        let rest: String = text.chars().skip(before.chars().count()).collect();
        format!("{before}{rest}")
    } else {
        text
    };
    Some(Row::new("", text, Part::Trouble))
}

/// Where segments stand in the picture.
struct Scale {
    first: u64,
    count: u64,
    room: usize,
}

impl Scale {
    fn of(timelines: &[TimelineFacts], room: usize) -> Self {
        let runs = || timelines.iter().flat_map(|timeline| &timeline.runs);
        let first = runs().map(|(first, _)| *first).min().unwrap_or(0);
        let last = runs().map(|(_, last)| *last).max().unwrap_or(first);
        Self { first, count: last.saturating_sub(first).saturating_add(1), room }
    }

    /// The column a segment begins in; a column of its own beyond the last.
    fn column(&self, segment: u64) -> usize {
        let at = u128::from(segment.saturating_sub(self.first)) * self.room as u128 / u128::from(self.count);
        usize::try_from(at).unwrap_or(self.room).min(self.room)
    }

    fn start(&self, timeline: &TimelineFacts) -> usize {
        timeline.runs.first().map_or(0, |(first, _)| self.column(*first).min(self.room - 1))
    }

    fn bar(&self, timeline: &TimelineFacts) -> Vec<char> {
        let mut bar = vec![' '; self.room];
        for (first, last) in &timeline.runs {
            let from = self.column(*first).min(self.room - 1);
            let to = self.column(last.saturating_add(1)).max(from + 1);
            bar[from..to].fill('█');
        }
        // A gap is seen however small it is.
        for column in self.gaps(timeline) {
            bar[column] = ' ';
        }
        bar
    }

    /// A column for each gap of a timeline.
    fn gaps(&self, timeline: &TimelineFacts) -> Vec<usize> {
        let behind = timeline.runs.windows(2).map(|pair| self.column(pair[0].1.saturating_add(1)));
        behind.map(|column| column.min(self.room - 1)).collect()
    }
}

/// The backups by the time they ended: the fuller kind wins a column.
fn marks(backups: &BackupFacts, now: Timestamp, room: usize) -> Option<Row> {
    let from = backups.marks.iter().map(|(at, _)| at.0).min()?;
    let span = now.0.max(from + 1) - from;
    let mut text = vec![None; room];
    for (at, kind) in &backups.marks {
        let column = i128::from(at.0 - from) * (room as i128 - 1) / i128::from(span);
        let column = usize::try_from(column).unwrap_or(0).min(room - 1);
        let place: &mut Option<BackupKind> = &mut text[column];
        *place = Some(place.map_or(*kind, |before| before.min(*kind)));
    }
    let sign = |kind: &Option<BackupKind>| match kind {
        None => ' ',
        Some(BackupKind::Full) => 'F',
        Some(BackupKind::Diff) => 'd',
        Some(BackupKind::Incr) => 'i',
    };
    let text: String = text.iter().map(sign).collect();
    Some(Row::new("backup", text.trim_end(), Part::Backup))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Timeline;

    fn timeline(number: u32, runs: &[(u64, u64)]) -> TimelineFacts {
        let name = String::new();
        TimelineFacts { timeline: Timeline(number), first: name.clone(), last: name, runs: runs.to_vec() }
    }

    fn drawn(wal: &WalFacts, room: usize) -> Vec<String> {
        timelines(wal, room).into_iter().map(|row| row.text.trim_end().to_owned()).collect()
    }

    #[test]
    fn branches_hang_from_their_parents_and_gaps_are_seen() {
        let wal = WalFacts {
            timelines: vec![timeline(1, &[(0, 9)]), timeline(2, &[(10, 19)])],
            ..WalFacts::default()
        };
        assert_eq!(drawn(&wal, 20), ["██████████", "         ╰██████████"]);
        let wal = WalFacts {
            timelines: vec![timeline(1, &[(0, 4)]), timeline(2, &[(10, 14), (17, 29)])],
            missing: 2,
            ..WalFacts::default()
        };
        let expected = [
            format!("{}         ╮", "█".repeat(10)),
            format!("{}╰{}    {}", " ".repeat(19), "█".repeat(10), "█".repeat(26)),
            format!("{}↑ 2 segments missing", " ".repeat(30)),
        ];
        assert_eq!(drawn(&wal, 60), expected);
    }

    #[test]
    fn one_missing_segment_among_many_thousands_is_seen() {
        let wal = WalFacts {
            timelines: vec![timeline(1, &[(0, 49_999), (50_001, 100_000)])],
            missing: 1,
            ..WalFacts::default()
        };
        let lines = drawn(&wal, 60);
        assert_eq!(lines[0].chars().filter(|c| *c == ' ').count(), 1, "{lines:?}");
        assert!(lines[1].contains('↑') && lines[1].contains("1 segment missing"), "{lines:?}");
    }

    #[test]
    fn nothing_is_drawn_outside_whatever_the_numbers_say() {
        let odd: [&[(u64, u64)]; 6] = [
            &[],
            &[(0, 0)],
            &[(0, u64::MAX)],
            &[(u64::MAX, u64::MAX)],
            &[(5, 2)],
            &[(1, 2), (u64::MAX - 1, u64::MAX)],
        ];
        for first in odd {
            for second in odd {
                for room in [10, 11, 70] {
                    let timelines = vec![timeline(1, first), timeline(2, second)];
                    let wal = WalFacts { timelines, missing: 3, ..WalFacts::default() };
                    for line in drawn(&wal, room) {
                        assert!(line.chars().count() <= room, "{line}");
                    }
                }
            }
        }
    }

    #[test]
    fn backups_stand_where_they_ended_and_the_fuller_wins() {
        let at = |s| Timestamp::from_unix_s(s);
        let marks_of = |all: &[(i64, BackupKind)]| {
            let facts = BackupFacts {
                marks: all.iter().map(|(s, kind)| (at(*s), *kind)).collect(),
                ..BackupFacts::default()
            };
            marks(&facts, at(100), 11).map(|row| row.text)
        };
        let all =
            [(0, BackupKind::Full), (50, BackupKind::Incr), (51, BackupKind::Diff), (100, BackupKind::Incr)];
        assert_eq!(marks_of(&all).as_deref(), Some("F    d    i"));
        assert_eq!(marks_of(&[]), None);
        assert_eq!(marks_of(&[(100, BackupKind::Full)]).as_deref(), Some("F"));
    }
}

//! The catalog's table: only the lines that are seen are put into words.

use super::order::{Shown, Sort};
use crate::base::Timestamp;
use crate::console::screens::paint::Sheet;
use crate::console::theme::State;
use crate::console::widgets::{age, duration, elapsed, size, width};
use crate::model::catalog::BackupRow;
use ratatui::style::Style;

/// Columns the table takes.
pub(super) const WIDTH: u16 = 80;

/// The signs of a backup stand before them, one column each: what verifying it came to, page errors, a pin.
/// Columns: where they begin, how wide they are, their title, the order that goes by them; numbers stand right.
const COLUMNS: [(u16, u16, &str, Option<Sort>); 8] = [
    (3, 20, "backup", None),
    (24, 4, "type", None),
    (29, 16, "stop (UTC)", Some(Sort::Stop)),
    (46, 5, "age", None),
    (52, 5, "took", Some(Sort::Took)),
    (58, 8, "size", Some(Sort::Size)),
    (67, 8, "stored", Some(Sort::Stored)),
    (76, 4, "x", None),
];

/// The line of titles; the one the list goes by is marked.
pub(super) fn head(sheet: &mut Sheet<'_>, y: u16, sort: Sort) {
    for (at, (x, width, title, by)) in COLUMNS.into_iter().enumerate() {
        let marked = by == Some(sort);
        let style = if marked { sheet.theme.focus() } else { sheet.theme.dim() };
        let title = if marked { format!("↓{title}") } else { title.to_owned() };
        if at < 3 {
            sheet.cut(x, y, width, &title, style);
        } else {
            sheet.right(x, y, width, &title, style);
        }
    }
}

/// One backup.
pub(super) fn line(sheet: &mut Sheet<'_>, y: u16, backup: &BackupRow, shown: Shown, now: Timestamp) {
    let plain = Style::new();
    let theme = sheet.theme;
    if let Some(state) = verdict(backup) {
        sheet.text(0, y, theme.symbol(state), theme.state(state));
    }
    if backup.page_errors == Some(true) {
        sheet.text(1, y, "!", theme.state(State::Late));
    }
    if backup.pinned.is_some() {
        sheet.text(2, y, "*", theme.focus());
    }
    let values = [
        name(backup, shown.depth),
        backup.kind.to_string(),
        backup.stop.to_utc().format("%Y-%m-%d %H:%M").to_string(),
        age(backup.stop, now),
        duration(elapsed(backup.start, backup.stop)),
        narrow(backup.size_bytes),
        narrow(backup.stored_bytes),
        ratio(backup),
    ];
    for (at, ((x, width, ..), value)) in COLUMNS.into_iter().zip(&values).enumerate() {
        let style = if at == 3 { theme.dim() } else { plain };
        if at < 3 {
            sheet.cut(x, y, width, value, style);
        } else {
            sheet.right(x, y, width, value, style);
        }
    }
}

/// What verifying a backup proved; nothing where it proved neither, as when only stored bytes were looked at.
pub(super) fn verdict(backup: &BackupRow) -> Option<State> {
    let verified = backup.verified.as_ref()?;
    match verified.wrong {
        Some(_) => Some(State::Failed),
        None => verified.is_proven().then_some(State::Ok),
    }
}

/// The label, without the part that is its full's: that stands above it.
fn name(backup: &BackupRow, depth: u8) -> String {
    let own = backup.label.rsplit_once('_').map_or(backup.label.as_str(), |(_, own)| own);
    match depth {
        0 => own.to_owned(),
        depth => format!("{}└ {own}", " ".repeat(usize::from(depth.min(3)) - 1)),
    }
}

/// A size in eight columns.
fn narrow(bytes: u64) -> String {
    let text = size(bytes);
    if width(&text) > 8 { text.replace(' ', "") } else { text }
}

/// How many bytes of the cluster one stored byte of this backup holds.
pub(super) fn ratio(backup: &BackupRow) -> String {
    if backup.stored_bytes == 0 {
        return String::new();
    }
    let tenths = u128::from(backup.delta_bytes) * 10 / u128::from(backup.stored_bytes);
    if tenths < 1000 {
        format!("{}.{}", tenths / 10, tenths % 10)
    } else {
        format!("{}", (tenths / 10).min(9999))
    }
}

//! Everything the catalog tells of one backup: what it needs, what it reaches, what was written about it.

use super::order::needs;
use super::table::{ratio, verdict};
use crate::base::Timestamp;
use crate::console::screens::paint::{Sheet, counted};
use crate::console::theme::State;
use crate::console::widgets::{age, duration, elapsed, moment, size};
use crate::model::catalog::{BackupRow, CatalogView};
use ratatui::style::Style;

/// Draws it, as far as there is room.
pub(super) fn draw<'a>(sheet: &mut Sheet<'_>, catalog: &'a CatalogView, backup: &BackupRow, now: Timestamp) {
    sheet.rule(0, "BACKUP", &format!("repo{}, PostgreSQL {}", backup.repo, backup.database));
    let (theme, plain) = (sheet.theme, Style::new());
    let mut y = 1;
    y += sheet.wrapped(1, y, &backup.label, theme.strong());
    let mut field = |name: &str, text: &str, style: Style| {
        let mut line = sheet.below(y);
        line.text(1, 0, name, theme.dim());
        y = y.saturating_add(line.wrapped(10, 0, text, style).max(1));
    };
    let span = duration(elapsed(backup.start, backup.stop));
    let online = if backup.online { "from a running cluster" } else { "from a stopped cluster" };
    field("type", &format!("{}, {online}, written by version {}", backup.kind, backup.made_by), plain);
    field("stop", &format!("{} UTC, {} ago, took {span}", moment(backup.stop), age(backup.stop, now)), plain);
    field("reaches", &format!("no moment before {} UTC", moment(backup.stop)), plain);
    let sizes = format!(
        "{}, of it {} in this backup, stored as {}{}",
        size(backup.size_bytes),
        size(backup.delta_bytes),
        size(backup.stored_bytes),
        match ratio(backup) {
            text if text.is_empty() => text,
            text => format!(" (1 for {text})"),
        }
    );
    field("size", &sizes, plain);
    match &backup.wal {
        Some((first, last)) => field("WAL", &format!("needs {first} to {last}"), plain),
        None => field("WAL", "needs none to be consistent", plain),
    }
    if let Some(lsn) = backup.consistent_at {
        field("LSN", &format!("consistent from {lsn} on"), plain);
    }
    let (chain, whole) = needs(catalog, backup);
    if !whole {
        let prior = chain.first().map_or(backup, |first| first).prior.as_deref().unwrap_or("?");
        let text = format!("{prior}, which is not in the repository: this backup cannot be restored");
        field("needs", &text, theme.state(State::Failed));
    } else if chain.is_empty() {
        field("needs", "no other backup", plain);
    } else {
        // What stands before the underscore is the label of the full, which is the first of them.
        let own = |label: &'a str| label.rsplit_once('_').map_or(label, |(_, own)| own);
        let labels: Vec<&str> = chain.iter().map(|backup| own(&backup.label)).collect();
        let text = format!("{}: {}", counted(labels.len() as u64, "backup", "backups"), labels.join(", "));
        field("needs", &text, plain);
    }
    let (text, state) = verified(catalog, backup, now);
    let style = match state {
        Some(state) => theme.state(state),
        None => plain,
    };
    field("verified", &text, style);
    match backup.page_errors {
        Some(true) => {
            let list = command(catalog, backup, "info");
            let text = format!("! checksum errors were found while it was made; {list} lists the files");
            field("pages", &text, theme.state(State::Late));
        }
        Some(false) => field("pages", "no checksum error while it was made", plain),
        None => field("pages", "checksums were not looked at", plain),
    }
    if let Some(pin) = &backup.pinned {
        let kept = match &pin.restore_point {
            Some(name) => format!("* for restore point '{name}': kept with all WAL up to it"),
            None => "* kept whatever the retention says".to_owned(),
        };
        field("pinned", &kept, plain);
        for doubt in &pin.doubts {
            field("", &format!("! {doubt}: all WAL since it is kept"), theme.state(State::Late));
        }
    }
    for (name, value) in &backup.annotations {
        field("note", &format!("{name}: {value}"), plain);
    }
}

/// What verifying the backup came to, how old that is, and how to look anew.
fn verified(catalog: &CatalogView, backup: &BackupRow, now: Timestamp) -> (String, Option<State>) {
    let again = command(catalog, backup, "verify");
    let Some(known) = &backup.verified else {
        return (format!("never, as far as this host knows; {again}"), None);
    };
    let (old, state) = (age(known.at, now), verdict(backup));
    let text = match (&known.wrong, known.whole) {
        (Some(wrong), _) => format!("it was {wrong} {old} ago; {again} lists what is wrong"),
        (None, true) => format!("every byte it needs was sound {old} ago"),
        (None, false) => format!("its stored bytes were sound {old} ago; {again} looks into them"),
    };
    (text, state)
}

/// A command line about this backup.
fn command(catalog: &CatalogView, backup: &BackupRow, name: &str) -> String {
    format!("pgmayday --stanza={} --repo={} --set={} {name}", catalog.stanza, backup.repo, backup.label)
}

//! The board where nothing is configured: it says what to write, and where.

use super::Page;
use crate::console::theme::State;
use crate::console::widgets::cut_left;
use ratatui::text::{Line, Span};

/// The lines that make a first configuration.
const FIRST: [&str; 5] =
    ["[global]", "repo1-path=/var/lib/pgbackrest", "", "[main]", "pg1-path=/var/lib/postgresql/15/main"];

pub(super) fn draw(page: &mut Page<'_>) {
    let identity = &page.model.board.identity;
    page.skip(1);
    page.rule("WHAT TO DO");
    let file = identity.configuration.first().map(|path| path.display().to_string());
    let file = file.unwrap_or_else(|| "/etc/pgbackrest/pgbackrest.conf".to_owned());
    let room = usize::from(page.rest.width).saturating_sub(44);
    page.line(" pgmayday reads the configuration of pgBackRest. Where backups exist already,");
    page.line(" name their file: pgmayday --config=PATH. Otherwise write these lines:");
    page.skip(1);
    for line in FIRST {
        page.line(Line::styled(format!("     {line}"), page.theme.strong()));
    }
    page.skip(1);
    page.line(format!(" into {}, then make the first backup:", cut_left(&file, room)));
    page.skip(1);
    for command in ["stanza-create", "--type=full backup"] {
        page.line(Line::styled(format!("     pgbackrest --stanza=main {command}"), page.theme.strong()));
    }
    page.skip(1);
    page.line(" A disposable cluster to try everything on: pgmayday lab up --dir DIR");
    if identity.configuration.is_empty() {
        page.skip(1);
        let mark = page.symbol(State::Unknown);
        page.line(Line::from(vec![mark, Span::raw("no configuration file was found or could be read")]));
    }
}

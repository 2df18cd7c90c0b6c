//! The catalog: every backup of every repository, what it needs and what it reaches. It looks; it changes nothing.

mod detail;
mod order;
mod table;

use super::paint::{Sheet, WIDE, counted, done, since};
use super::{Action, Asked, Screen, ScreenId};
use crate::console::input::{Effect, Key};
use crate::console::keymap::{Binding, Cmd};
use crate::console::model::{Loaded, Model};
use crate::console::theme::{State, Theme};
use crate::console::widgets::{Selection, age};
use crate::model::catalog::{BackupRow, CatalogView};
use crate::model::fact::Answer;
use order::{Shown, Sort};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// The backups.
#[derive(Debug, Default)]
pub struct CatalogScreen {
    sort: Sort,
    filter: String,
    detail: bool,
    selected: Selection,
    /// The chosen backup's repository and label, so that it stays chosen when the catalog is read again.
    chosen: Option<(u32, String)>,
    shown: Vec<Shown>,
    /// How many repositories have backups.
    repositories: usize,
    /// What `shown` was worked out from.
    of: Option<Seen>,
}

/// A catalog, told apart from another reading of it.
type Seen = (String, Option<crate::base::Timestamp>, usize);

fn seen(catalog: &CatalogView) -> Seen {
    (catalog.stanza.clone(), catalog.read_at, catalog.backups.len())
}

impl CatalogScreen {
    fn arrange(&mut self, catalog: &CatalogView) {
        self.shown = order::shown(catalog, self.sort, &self.filter);
        self.of = Some(seen(catalog));
        self.repositories = repositories(catalog);
        let chosen = self.chosen.as_ref().and_then(|(repo, label)| {
            self.shown.iter().position(|shown| {
                let backup = &catalog.backups[shown.index];
                backup.repo == *repo && backup.label == *label
            })
        });
        // Nothing chosen yet: the newest, wherever the tree puts it.
        let newest = || {
            let stop = |at: &usize| catalog.backups[self.shown[*at].index].stop;
            (0..self.shown.len()).max_by_key(stop)
        };
        self.selected.choose(chosen.or_else(newest).unwrap_or(0));
    }

    fn backup<'a>(&self, model: &'a Model) -> Option<&'a BackupRow> {
        let shown = self.shown.get(self.selected.at())?;
        model.catalog.value()?.backups.get(shown.index)
    }

    fn rearrange(&mut self, model: &Model) {
        if let Some(catalog) = model.catalog.value() {
            self.arrange(catalog);
        }
    }

    fn title_line(&self, model: &Model) -> String {
        let now = model.now;
        let reading = match &model.catalog {
            Loaded::Loading(from, _) => format!(", reading for {}", since(*from, now)),
            Loaded::Failed(..) => ", the last reading failed".to_owned(),
            _ => String::new(),
        };
        let Some(catalog) = model.catalog.value() else { return reading.trim_start_matches(", ").to_owned() };
        let all = catalog.backups.len() as u64;
        if all == 0 {
            return format!("none{reading}");
        }
        let number = if self.filter.is_empty() {
            counted(all, "backup", "backups")
        } else {
            format!("{} of {} match '{}'", self.shown.len(), counted(all, "backup", "backups"), self.filter)
        };
        let read = catalog.read_at.map(|at| age(at, now)).unwrap_or_default();
        format!("{number}, {}, read {read} ago{reading}", self.sort.words())
    }

    fn draw_list(&self, sheet: &mut Sheet<'_>, model: &Model, catalog: &CatalogView) {
        let mut y = 0;
        for trouble in troubles(model, catalog) {
            let text = format!("{} {trouble}", sheet.theme.symbol(State::Late));
            let style = sheet.theme.state(State::Late);
            y += sheet.below(y).wrapped(0, 0, &text, style).min(2);
        }
        for running in running(model) {
            sheet.text(0, y, &running, sheet.theme.focus());
            y += 1;
        }
        table::head(sheet, y, self.sort);
        y += 1;
        let room = usize::from(sheet.height().saturating_sub(y));
        // The lines that name a repository take room too; with one left in sight the chosen line is never lost.
        let named = if self.repositories > 1 && self.sort == Sort::Tree { self.repositories } else { 0 };
        let top = self.selected.first(self.shown.len(), room.saturating_sub(named).max(1));
        let mut repo = None;
        for (at, shown) in self.shown.iter().enumerate().skip(top) {
            let Some(backup) = catalog.backups.get(shown.index).filter(|_| y < sheet.height()) else { break };
            if named > 0 && repo != Some(backup.repo) {
                sheet.text(0, y, &format!("repo{}", backup.repo), sheet.theme.strong());
                y += 1;
                repo = Some(backup.repo);
            }
            table::line(sheet, y, backup, *shown, model.now);
            if at == self.selected.at() {
                sheet.restyle(y, sheet.theme.chosen());
            }
            y += 1;
        }
        if self.shown.is_empty() {
            sheet.text(2, y, "no backup matches; / with nothing shows all again", Style::new());
        }
    }
}

/// How many repositories have backups.
fn repositories(catalog: &CatalogView) -> usize {
    let mut keys: Vec<u32> = catalog.backups.iter().map(|backup| backup.repo).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.len()
}

/// What is wrong with the repositories, the reason of a failed reading first.
fn troubles<'a>(model: &'a Model, catalog: &'a CatalogView) -> impl Iterator<Item = &'a str> {
    let failed = match &model.catalog {
        Loaded::Failed(why, _) => why.lines().next(),
        _ => None,
    };
    failed.into_iter().chain(catalog.troubles.iter().map(String::as_str))
}

/// Backups that run now, as the board knows them.
fn running(model: &Model) -> impl Iterator<Item = String> {
    model.board.repositories.iter().filter_map(|repository| {
        let Answer::Known { value } = &repository.backups.answer else { return None };
        let percent = value.running?;
        // Who tells no progress may also be expiring.
        Some(match percent {
            Some(hundredths) => {
                format!("▶ a backup into repo{} runs, {} % done", repository.key, hundredths / 100)
            }
            None => format!("▶ a backup or expire of repo{} runs", repository.key),
        })
    })
}

impl Screen for CatalogScreen {
    fn id(&self) -> ScreenId {
        ScreenId::Catalog
    }

    fn title(&self) -> &'static str {
        "backups"
    }

    fn bindings(&self, model: &Model) -> Vec<Binding> {
        let none = self.backup(model).is_none().then(|| "there is no backup to choose".to_owned());
        let read = model.catalog.value().is_some_and(|catalog| !catalog.backups.is_empty());
        let unread = (!read).then(|| "there are no backups to show".to_owned());
        vec![
            Binding::new(
                &[Key::Enter],
                Cmd::Open,
                "detail",
                "Show or hide everything known of the chosen backup.",
            )
            .unless(none.clone()),
            Binding::new(
                &[Key::Char('R')],
                Cmd::Recover,
                "recover from it",
                "Choose a target for this backup set.",
            )
            .unless(none),
            Binding::new(
                &[Key::Char('s')],
                Cmd::Sort,
                "sort",
                "Go on to the next order: tree, stop, took, size, stored.",
            )
            .unless(unread.clone()),
            Binding::new(
                &[Key::Char('/')],
                Cmd::Filter,
                "filter",
                "Show only labels, types and annotations with a text.",
            )
            .unless(unread),
        ]
    }

    fn entered(&mut self, model: &Model) -> Vec<Effect> {
        self.updated(model);
        vec![Effect::LoadCatalog]
    }

    fn updated(&mut self, model: &Model) {
        match model.catalog.value() {
            Some(catalog) if self.of.as_ref() != Some(&seen(catalog)) => self.arrange(catalog),
            Some(_) => {}
            None => {
                self.shown.clear();
                self.of = None;
            }
        }
    }

    fn on(&mut self, model: &Model, cmd: Cmd) -> Option<Action> {
        if self.selected.on(cmd, self.shown.len()) {
            self.chosen = self.backup(model).map(|backup| (backup.repo, backup.label.clone()));
            return done();
        }
        match cmd {
            Cmd::Open => self.detail = !self.detail && self.backup(model).is_some(),
            Cmd::Sort => {
                self.sort = self.sort.next();
                self.rearrange(model);
            }
            Cmd::Recover => {
                let text = self.backup(model)?.label.clone();
                return Some(Action::Hand { to: ScreenId::Target, asked: Asked::Set, text });
            }
            Cmd::Back if self.detail => self.detail = false,
            Cmd::Back if !self.filter.is_empty() => {
                self.filter.clear();
                self.rearrange(model);
            }
            _ => return None,
        }
        done()
    }

    fn text(&mut self, model: &Model, asked: Asked, text: &str) -> Option<Action> {
        if asked == Asked::Filter {
            text.trim().clone_into(&mut self.filter);
            self.rearrange(model);
        }
        None
    }

    fn draw(&self, model: &Model, theme: Theme, area: Rect, buffer: &mut Buffer) {
        let mut sheet = Sheet::new(theme, area, buffer);
        let Some(catalog) = model.catalog.value().filter(|catalog| !catalog.backups.is_empty()) else {
            sheet.rule(0, "BACKUPS", &self.title_line(model));
            return empty(&mut sheet.below(2), model);
        };
        let backup = self.backup(model);
        if let Some(backup) = backup.filter(|_| sheet.width() >= WIDE) {
            let right = sheet.width().saturating_sub(table::WIDTH + 3);
            detail::draw(&mut sheet.part(table::WIDTH + 3, 0, right, u16::MAX), catalog, backup, model.now);
            sheet.part(table::WIDTH + 1, 0, 1, u16::MAX).upright(0);
            let mut left = sheet.part(0, 0, table::WIDTH, u16::MAX);
            left.rule(0, "BACKUPS", &self.title_line(model));
            return self.draw_list(&mut left.below(1), model, catalog);
        }
        if let Some(backup) = backup.filter(|_| self.detail) {
            return detail::draw(&mut sheet, catalog, backup, model.now);
        }
        sheet.rule(0, "BACKUPS", &self.title_line(model));
        let room = sheet.height().saturating_sub(3);
        self.draw_list(&mut sheet.part(0, 1, u16::MAX, room), model, catalog);
        if let Some(backup) = backup {
            let y = sheet.height().saturating_sub(1);
            sheet.cut(0, y, u16::MAX, &in_short(catalog, backup), theme.dim());
        }
    }
}

/// The chosen backup in one line.
fn in_short(catalog: &CatalogView, backup: &BackupRow) -> String {
    let (chain, whole) = order::needs(catalog, backup);
    let needs = match (chain.len() as u64, whole) {
        (_, false) => "a backup it needs is missing".to_owned(),
        (0, _) => "needs no other backup".to_owned(),
        (number, _) => format!("needs {} before it", counted(number, "backup", "backups")),
    };
    format!("{} in repo{}: {needs}", backup.label, backup.repo)
}

/// What is said where there is no backup.
fn empty(sheet: &mut Sheet<'_>, model: &Model) {
    let mut lines: Vec<(String, State)> = Vec::new();
    let mut say = |text: &str, state: State| lines.push((text.to_owned(), state));
    match &model.catalog {
        Loaded::No => say("The backups were not read yet; r reads them.", State::Ok),
        Loaded::Loading(from, None) => {
            let waited = since(*from, model.now);
            say(&format!("Reading the backups of all repositories, for {waited}."), State::Ok);
        }
        Loaded::Failed(why, _) => {
            why.lines()
                .enumerate()
                .for_each(|(at, line)| say(line, if at == 0 { State::Failed } else { State::Ok }));
            say("r reads them again.", State::Ok);
        }
        Loaded::Yes(catalog) | Loaded::Loading(_, Some(catalog)) => {
            catalog.troubles.iter().for_each(|trouble| say(trouble, State::Late));
            say("There is no backup. Without one nothing can be recovered. Make the first one:", State::Ok);
            say("", State::Ok);
            let stanza = if catalog.stanza.is_empty() { "NAME" } else { &catalog.stanza };
            say(&format!("    pgbackrest --stanza={stanza} --type=full backup"), State::Ok);
        }
    }
    let mut y = 0;
    for (text, state) in lines {
        let style = if state == State::Ok { Style::new() } else { sheet.theme.state(state) };
        let mark = if state == State::Ok { "  " } else { sheet.theme.symbol(state) };
        sheet.text(1, y, mark, style);
        if text.starts_with(' ') {
            sheet.text(3, y, &text, style);
            y += 1;
        } else {
            y += sheet.below(y).wrapped(3, 0, &text, style).max(1);
        }
    }
}

//! The journal of an incident: the clock against its target, the phases, and every entry with its hash.
//!
//! Shows what was written; only a note can be added, through the app.

pub(super) mod summary;

use super::paint::{Sheet, counted, done};
use super::{Action, Asked, Modal, Screen, ScreenId, incident};
use crate::console::input::{Effect, Key};
use crate::console::keymap::{Binding, Cmd};
use crate::console::model::Model;
use crate::console::theme::{State, Theme};
use crate::console::widgets::{Selection, age, clock, cut_at_word, lines, moment};
use crate::incident::{IncidentView, JournalLine};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Lines of a page.
const PAGE: usize = 10;

/// The journal.
#[derive(Debug, Default)]
pub struct JournalScreen {
    filter: String,
    /// The chosen entry's number; nothing follows the newest.
    chosen: Option<u64>,
}

impl JournalScreen {
    fn shown<'a>(&'a self, incident: &'a IncidentView) -> Vec<&'a JournalLine> {
        let wanted = self.filter.to_lowercase();
        let has = |line: &&JournalLine| {
            let text = |text: &str| text.to_lowercase().contains(&wanted);
            wanted.is_empty() || text(&line.text) || text(&line.actor)
        };
        incident.lines.iter().filter(has).collect()
    }

    /// The place of the chosen entry among those shown; the last one while following.
    fn at(&self, shown: &[&JournalLine]) -> usize {
        let last = shown.len().saturating_sub(1);
        let chosen = self.chosen.map(|seq| shown.iter().take_while(|line| line.seq < seq).count());
        chosen.map_or(last, |at| at.min(last))
    }

    fn step(&mut self, model: &Model, to: impl FnOnce(usize) -> usize) {
        let Some(incident) = &model.incident else { return };
        let (chosen, is_last) = {
            let shown = self.shown(incident);
            let at = to(self.at(&shown)).min(shown.len().saturating_sub(1));
            (shown.get(at).map(|line| line.seq), at + 1 >= shown.len())
        };
        self.chosen = chosen.filter(|_| !is_last);
    }

    fn draw_entries(&self, sheet: &mut Sheet<'_>, model: &Model, incident: &IncidentView) {
        let shown = self.shown(incident);
        let all = counted(incident.lines.len() as u64, "entry", "entries");
        let number = if self.filter.is_empty() {
            all
        } else {
            format!("{} of {all} match '{}'", shown.len(), self.filter)
        };
        let follows = if self.chosen.is_none() { ", following the newest" } else { "" };
        sheet.rule(0, "JOURNAL", &format!("{number}{follows}"));
        let at = self.at(&shown);
        let theme = sheet.theme;
        let state = if incident.chain_ok { State::Ok } else { State::Failed };
        let chain = lines(&incident.chain, usize::from(sheet.width().saturating_sub(2)));
        let foot = sheet.height().saturating_sub(u16::try_from(chain.len()).unwrap_or(1));
        let room = usize::from(foot.saturating_sub(2));
        let mut chosen = Selection::default();
        chosen.choose(at);
        let top = chosen.first(shown.len(), room);
        let day = |line: &JournalLine| line.at.to_utc().date_naive();
        let days = incident.lines.first().map(day) != incident.lines.last().map(day);
        let stamps: u16 = if days { 15 } else { 9 };
        let texts = sheet.width().saturating_sub(stamps + 17 + 9);
        let mut y = 1;
        for (number, line) in shown.iter().enumerate().skip(top).take(room) {
            sheet.text(0, y, &stamp(line, days), Style::new());
            sheet.right(stamps, y, 5, &age(line.at, model.now), theme.dim());
            sheet.cut(stamps + 6, y, 10, &line.actor, theme.dim());
            sheet.text(stamps + 17, y, &cut_at_word(&line.text, texts.into()), Style::new());
            sheet.right(stamps + 17 + texts, y, 9, &line.hash_tail, theme.dim());
            if number == at && self.chosen.is_some() {
                sheet.restyle(y, theme.chosen());
            }
            y += 1;
        }
        if shown.is_empty() {
            sheet.text(0, y, "nothing matches; / with nothing shows all again", theme.dim());
        }
        sheet.text(0, foot, theme.symbol(state), theme.state(state));
        for (y, line) in (foot..).zip(&chain) {
            sheet.text(2, y, line, Style::new());
        }
    }
}

/// When an entry was written; with its day where the journal has several.
fn stamp(line: &JournalLine, days: bool) -> String {
    if days { line.at.to_utc().format("%m-%d %H:%M:%S").to_string() } else { clock(line.at) }
}

impl Screen for JournalScreen {
    fn id(&self) -> ScreenId {
        ScreenId::Journal
    }

    fn title(&self) -> &'static str {
        "journal"
    }

    fn bindings(&self, model: &Model) -> Vec<Binding> {
        let none = model.incident.is_none().then(|| "no incident is followed".to_owned());
        let closed = model.incident.as_ref().filter(|incident| incident.closed_at.is_some());
        let no_note = none.clone().or(closed.map(|_| "the incident is closed".to_owned()));
        // A note goes to the open incident, which may not be the one on the screen.
        let open = model.board.incident.as_ref().map(|open| &open.id);
        let other = model.incident.as_ref().filter(|shown| open.is_some_and(|open| *open != shown.id));
        let no_note = no_note.or(other.map(|_| "this is not the open incident".to_owned()));
        let empty = model.incident.as_ref().is_none_or(|incident| self.shown(incident).is_empty());
        let no_entry = none.clone().or(empty.then(|| "there is no entry".to_owned()));
        let mut bindings = vec![
            Binding::new(&[Key::Char('m')], Cmd::Note, "note", "Write a note into the journal.")
                .unless(no_note),
            Binding::new(&[Key::Enter], Cmd::Open, "whole entry", "Show everything of the chosen entry.")
                .unless(no_entry),
            Binding::new(&[Key::Char('/')], Cmd::Filter, "filter", "Show only entries with a text.")
                .unless(none),
        ];
        bindings.extend(incident::ways(model, self.id()));
        bindings
    }

    fn entered(&mut self, model: &Model) -> Vec<Effect> {
        match (&model.incident, &model.board.incident) {
            (None, Some(open)) => vec![Effect::WatchIncident(open.id.clone())],
            _ => Vec::new(),
        }
    }

    fn on(&mut self, model: &Model, cmd: Cmd) -> Option<Action> {
        match cmd {
            Cmd::Up => self.step(model, |at| at.saturating_sub(1)),
            Cmd::Down => self.step(model, |at| at + 1),
            Cmd::PageUp => self.step(model, |at| at.saturating_sub(PAGE)),
            Cmd::PageDown => self.step(model, |at| at + PAGE),
            Cmd::First => self.step(model, |_| 0),
            Cmd::Last => self.chosen = None,
            Cmd::Open => {
                let shown = self.shown(model.incident.as_ref()?);
                let line = shown.get(self.at(&shown))?;
                return Some(Action::Open(Modal::Text {
                    title: format!("ENTRY {}, {} UTC", line.seq, moment(line.at)),
                    lines: vec![
                        line.text.clone(),
                        String::new(),
                        format!("by {}, hash …{}", line.actor, line.hash_tail),
                    ],
                }));
            }
            Cmd::Back if !self.filter.is_empty() => self.filter.clear(),
            Cmd::People | Cmd::Talk | Cmd::Checklist => return incident::go(model, cmd),
            _ => return None,
        }
        done()
    }

    fn text(&mut self, _model: &Model, asked: Asked, text: &str) -> Option<Action> {
        if asked == Asked::Filter {
            text.trim().clone_into(&mut self.filter);
            self.chosen = None;
        }
        None
    }

    fn draw(&self, model: &Model, theme: Theme, area: Rect, buffer: &mut Buffer) {
        let mut sheet = Sheet::new(theme, area, buffer);
        let Some(incident) = &model.incident else {
            sheet.rule(0, "JOURNAL", "no incident");
            let text = "No incident is open. i on the board declares one: its clock starts, and everything that is \
                        done is written down here. H on the board shows the incidents there were.";
            sheet.wrapped(3, 2, text, Style::new());
            return;
        };
        let y = summary::draw(&mut sheet, incident, model.now);
        self.draw_entries(&mut sheet.below(y), model, incident);
    }
}

//! Doctor: what the configuration means, every option with its value and where that comes from.
//!
//! Shows only; secrets are hidden before they come here.

use super::paint::{Sheet, counted, done};
use super::{Action, Asked, Modal, Screen, ScreenId};
use crate::console::input::{Effect, Key};
use crate::console::keymap::{Binding, Cmd};
use crate::console::model::{Loaded, Model};
use crate::console::theme::{State, Theme};
use crate::console::widgets::{Selection, cut, cut_left};
use crate::model::effective::{ConfigView, Scope, Setting};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// A line of the screen.
enum Line<'a> {
    /// Where a scope begins.
    Scope(&'a Scope),
    /// An option of it.
    Setting(&'a Scope, &'a Setting),
}

/// What the configuration means.
#[derive(Debug, Default)]
pub struct DoctorScreen {
    selected: Selection,
    filter: String,
    /// Only what somebody set: no default.
    only_set: bool,
}

/// What an option has that nobody set.
const DEFAULT: &str = "default";

impl DoctorScreen {
    /// The options that match the filter, each behind the title of its scope.
    fn lines<'a>(&self, view: &'a ConfigView) -> Vec<Line<'a>> {
        let wanted = self.filter.to_lowercase();
        let matches = |setting: &&Setting| {
            let has = |text: &str| text.to_lowercase().contains(&wanted);
            let fits =
                wanted.is_empty() || has(&setting.option) || has(&setting.value) || has(&setting.origin);
            fits && !(self.only_set && setting.origin == DEFAULT)
        };
        let mut lines = Vec::new();
        for scope in &view.scopes {
            let mut settings = scope.options.iter().filter(matches).peekable();
            if settings.peek().is_some() {
                lines.push(Line::Scope(scope));
                lines.extend(settings.map(|setting| Line::Setting(scope, setting)));
            }
        }
        lines
    }

    fn opened(&self, model: &Model) -> Option<Action> {
        let lines = self.lines(model.configuration.value()?);
        let Line::Setting(scope, setting) = lines.get(self.selected.at())? else { return None };
        Some(Action::Open(Modal::Text {
            title: setting.option.clone(),
            lines: vec![
                format!("{} = {}", setting.option, setting.value),
                String::new(),
                format!("of {}", scope.title()),
                format!("from {}", setting.origin),
            ],
        }))
    }

    /// The first line is a title; the first option is what is looked for.
    fn choose_first(&mut self, model: &Model) {
        self.selected.choose(usize::from(self.count(model) > 1));
    }

    fn count(&self, model: &Model) -> usize {
        model.configuration.value().map_or(0, |view| self.lines(view).len())
    }
}

impl Screen for DoctorScreen {
    fn id(&self) -> ScreenId {
        ScreenId::Doctor
    }

    fn title(&self) -> &'static str {
        "doctor"
    }

    fn bindings(&self, model: &Model) -> Vec<Binding> {
        let unread = || model.configuration.value().is_none().then(|| "it is not read yet".to_owned());
        let no_setting =
            unread().or_else(|| self.opened(model).is_none().then(|| "choose an option".to_owned()));
        let only = if self.only_set { "all" } else { "only what is set" };
        vec![
            Binding::new(
                &[Key::Char(' ')],
                Cmd::Mark,
                only,
                "Hide what is only a default, or show it again.",
            )
            .unless(unread().or_else(|| no_default(model))),
            Binding::new(&[Key::Enter], Cmd::Open, "whole", "The whole value and where it comes from.")
                .unless(no_setting),
            Binding::new(&[Key::Char('/')], Cmd::Filter, "filter", "Show only options with this text.")
                .unless(unread()),
        ]
    }

    fn entered(&mut self, _model: &Model) -> Vec<Effect> {
        vec![Effect::LoadConfiguration]
    }

    fn updated(&mut self, model: &Model) {
        self.selected.keep(self.count(model));
    }

    fn on(&mut self, model: &Model, cmd: Cmd) -> Option<Action> {
        if self.selected.on(cmd, self.count(model)) {
            return done();
        }
        match cmd {
            Cmd::Mark => {
                self.only_set = !self.only_set;
                self.choose_first(model);
                done()
            }
            Cmd::Open => self.opened(model),
            Cmd::Back if !self.filter.is_empty() => {
                self.filter.clear();
                done()
            }
            _ => None,
        }
    }

    fn text(&mut self, model: &Model, asked: Asked, text: &str) -> Option<Action> {
        if asked == Asked::Filter {
            text.trim().clone_into(&mut self.filter);
            self.choose_first(model);
        }
        None
    }

    fn draw(&self, model: &Model, theme: Theme, area: Rect, buffer: &mut Buffer) {
        let mut sheet = Sheet::new(theme, area, buffer);
        let view = match &model.configuration {
            Loaded::Failed(why, None) => {
                sheet.rule(0, "DOCTOR", "the configuration cannot be used");
                let style = theme.state(State::Failed);
                sheet.below(2).said(0, (theme.symbol(State::Failed), style), why, Style::new());
                return;
            }
            loaded => loaded.value(),
        };
        let Some(view) = view else {
            sheet.rule(0, "DOCTOR", "being read");
            return;
        };
        let below = warnings(&mut sheet, model, view);
        let lines = self.lines(view);
        if lines.is_empty() {
            let text = if self.filter.is_empty() {
                "no option has a value"
            } else {
                "nothing matches; / with nothing shows all again"
            };
            sheet.text(2, below + 1, text, theme.dim());
            return;
        }
        let room = usize::from(sheet.height().saturating_sub(below));
        let first = self.selected.first(lines.len(), room);
        for (y, (at, line)) in (below..).zip(lines.iter().enumerate().skip(first).take(room)) {
            self.line(&mut sheet, y, line);
            if at == self.selected.at() {
                sheet.restyle(y, theme.chosen());
            }
        }
    }
}

/// Why there is nothing to hide, if there is nothing.
fn no_default(model: &Model) -> Option<String> {
    let mut options = model.configuration.value()?.scopes.iter().flat_map(|scope| &scope.options);
    (!options.any(|setting| setting.origin == DEFAULT)).then(|| "no option has a default".to_owned())
}

/// What was odd while reading.
fn warnings(sheet: &mut Sheet<'_>, model: &Model, view: &ConfigView) -> u16 {
    let theme = sheet.theme;
    let files: Vec<String> =
        model.board.identity.configuration.iter().map(|path| path.display().to_string()).collect();
    let from = if files.is_empty() { "no file was read".to_owned() } else { files.join(", ") };
    let odd = match view.warnings.len() {
        0 => "nothing odd".to_owned(),
        number => counted(number as u64, "warning", "warnings"),
    };
    sheet.rule(0, "DOCTOR", &format!("{odd}, {from}"));
    let mut y = 1;
    for warning in view.warnings.iter().take(4) {
        let style = theme.state(State::Late);
        y += sheet.said(y, (theme.symbol(State::Late), style), warning, Style::new());
    }
    y
}

impl DoctorScreen {
    fn line(&self, sheet: &mut Sheet<'_>, y: u16, line: &Line<'_>) {
        let theme = sheet.theme;
        match line {
            Line::Scope(scope) => {
                let set = if self.only_set { ", without defaults" } else { "" };
                let more = if self.filter.is_empty() {
                    format!("{}{set}", counted(scope.options.len() as u64, "option", "options"))
                } else {
                    format!("options with '{}'{set}", self.filter)
                };
                sheet.rule(y, &scope.title(), &more);
            }
            Line::Setting(_, setting) => {
                let half = sheet.width() * 3 / 5;
                let text = format!("{}={}", setting.option, setting.value);
                sheet.text(2, y, &cut(&text, usize::from(half.saturating_sub(3))), Style::new());
                let room = sheet.width().saturating_sub(half);
                let style = if setting.origin == DEFAULT { theme.dim() } else { Style::new() };
                sheet.text(half, y, &cut_left(&setting.origin, usize::from(room)), style);
            }
        }
    }
}

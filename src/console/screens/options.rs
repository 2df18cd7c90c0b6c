//! Options compared: the ways out beside each other, and why and how of the chosen one.
//!
//! Decides nothing and starts nothing: a recovery is started from its plan, everything else from the runbook.

use super::paint::{Sheet, done, since};
use super::{Action, Modal, Screen, ScreenId};
use crate::console::input::{Effect, Key};
use crate::console::keymap::{Binding, Cmd};
use crate::console::model::{Loaded, Model};
use crate::console::theme::{State, Theme};
use crate::console::widgets::{Selection, age, elapsed};
use crate::model::options::{Options, Weighed};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Where the columns begin.
const TIME: u16 = 27;
const LOSS: u16 = 48;

/// So long a comparison may take before looking again asks anew, milliseconds: the servers are given ten seconds of it.
const PATIENCE_MS: u64 = 60_000;

/// The ways out.
#[derive(Debug, Default)]
pub struct OptionsScreen {
    selected: Selection,
}

fn options(model: &Model) -> Option<&Options> {
    model.options.as_ref().and_then(|(_, loaded)| loaded.value())
}

fn time(weighed: &Weighed) -> String {
    weighed.time.map_or_else(|| "not measured here".to_owned(), |time| time.to_string())
}

fn draw_ways(sheet: &mut Sheet<'_>, options: &Options, chosen: usize) -> u16 {
    let (theme, dim) = (sheet.theme, sheet.theme.dim());
    for (x, title) in [(3, "way out, the damage"), (TIME, "takes"), (LOSS, "gives up")] {
        sheet.text(x, 0, title, dim);
    }
    let mut y = 1;
    for (at, weighed) in options.ways.iter().enumerate() {
        let state = theme.state(weighed.sign);
        sheet.text(1, y, theme.symbol(weighed.sign), state);
        let style = if at == chosen { theme.strong() } else { Style::new() };
        sheet.cut(3, y, TIME - 4, &weighed.title, style);
        let measured = if weighed.time.is_some() { style } else { dim };
        sheet.cut(TIME, y, LOSS - TIME - 1, &time(weighed), measured);
        sheet.cut(3, y + 1, LOSS - 4, &weighed.damage, dim);
        let lines = sheet.below(y).wrapped(LOSS, 0, &weighed.gives_up.to_string(), style).max(2);
        if at == chosen {
            (y..y + lines).for_each(|y| sheet.restyle(y, theme.chosen()));
        }
        y = y.saturating_add(lines);
    }
    y
}

/// Why and how of the chosen way.
fn draw_detail(sheet: &mut Sheet<'_>, weighed: &Weighed) {
    sheet.rule(0, &weighed.title.to_uppercase(), "");
    let mut y = 1;
    let how = weighed.how.iter().map(|how| ("how", how));
    for (name, text) in [("why", &weighed.why)].into_iter().chain(how) {
        sheet.text(1, y, name, sheet.theme.dim());
        y = y.saturating_add(sheet.below(y).wrapped(10, 0, text, Style::new()).max(1));
    }
}

impl OptionsScreen {
    fn count(model: &Model) -> usize {
        options(model).map_or(0, |options| options.ways.len())
    }

    fn opened(&self, model: &Model) -> Option<Action> {
        let weighed = options(model)?.ways.get(self.selected.at())?;
        let mut lines = vec![
            weighed.why.clone(),
            String::new(),
            format!("takes: {}", time(weighed)),
            format!("gives up: {}", weighed.gives_up),
            format!("damage: {}", weighed.damage),
            String::new(),
        ];
        lines.extend(weighed.how.iter().cloned());
        Some(Action::Open(Modal::Text { title: weighed.title.to_uppercase(), lines }))
    }
}

impl Screen for OptionsScreen {
    fn id(&self) -> ScreenId {
        ScreenId::Options
    }

    fn title(&self) -> &'static str {
        "options"
    }

    fn bindings(&self, model: &Model) -> Vec<Binding> {
        let none = (Self::count(model) == 0).then(|| "nothing was compared yet".to_owned());
        let runbook = model.why_not(Cmd::Runbook);
        vec![
            Binding::new(&[Key::Enter], Cmd::Open, "whole", "All that is said of this way.").unless(none),
            Binding::new(&[Key::Char('t')], Cmd::Recover, "target", "Back to the target and its plan."),
            Binding::new(&[Key::Char('R')], Cmd::Runbook, "runbook", "To the runbook of the open incident.")
                .unless(runbook),
        ]
    }

    fn entered(&mut self, model: &Model) -> Vec<Effect> {
        match &model.options {
            // What is under way is waited for, but not for ever.
            Some((_, Loaded::Loading(since, _))) if elapsed(*since, model.now) < PATIENCE_MS => Vec::new(),
            None => Vec::new(),
            Some((request, _)) => vec![Effect::Compare(Box::new(request.clone()))],
        }
    }

    fn updated(&mut self, model: &Model) {
        self.selected.keep(Self::count(model));
    }

    fn on(&mut self, model: &Model, cmd: Cmd) -> Option<Action> {
        match cmd {
            Cmd::Open => self.opened(model),
            Cmd::Recover => Some(Action::Go(ScreenId::Target)),
            Cmd::Runbook if model.why_not(cmd).is_none() => Some(Action::Go(ScreenId::Runbook)),
            _ if self.selected.on(cmd, Self::count(model)) => done(),
            _ => None,
        }
    }

    fn draw(&self, model: &Model, theme: Theme, area: Rect, buffer: &mut Buffer) {
        let mut sheet = Sheet::new(theme, area, buffer);
        let Some((_, loaded)) = &model.options else {
            sheet.rule(0, "OPTIONS", "nothing was compared yet");
            let text = "Choose a target first (t); o there compares the ways out for it.";
            sheet.wrapped(1, 2, text, Style::new());
            return;
        };
        let looked = match loaded {
            Loaded::Loading(from, _) => format!("looking for {}", since(*from, model.now)),
            _ => options(model)
                .map_or_else(String::new, |options| format!("{} old", age(options.at, model.now))),
        };
        let target = options(model).map(|options| options.target.clone());
        let said: Vec<String> = target.into_iter().chain([looked]).collect();
        sheet.rule(0, "OPTIONS", &said.join(" · "));
        let mut y = 1;
        if let Loaded::Failed(why, _) = loaded {
            let sign = (theme.symbol(State::Failed), theme.state(State::Failed));
            y += sheet.said(y, sign, why, Style::new());
        }
        if let Some(options) = options(model) {
            let at = self.selected.at();
            y += draw_ways(&mut sheet.below(y), options, at);
            if let Some(weighed) = options.ways.get(at) {
                draw_detail(&mut sheet.below(y), weighed);
            }
        } else if matches!(loaded, Loaded::Loading(..)) {
            sheet.wrapped(1, y, "Two plans and a look at every server. Nothing is written.", Style::new());
        }
    }
}

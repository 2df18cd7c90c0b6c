//! The checklists before and after a restore: every item as it stands, by whom, and what the program sees of it now.
//!
//! Ticks nothing by itself: an item is so because a person says it by name, also where the program shows that it is.

mod draw;
mod seen;

use super::paint::done;
use super::{Action, Asked, Part, Screen, ScreenId, incident};
use crate::console::input::{Effect, Key};
use crate::console::keymap::{Binding, Cmd};
use crate::console::model::Model;
use crate::console::theme::Theme;
use crate::console::widgets::Selection;
use crate::incident::checklist::{self, ITEMS, Item, POST_RESTORE, PRE_RESTORE};
use crate::incident::{IncidentView, Settle, TickResult};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// The lists, in the order in which they are seen to.
const LISTS: [&str; 2] = [PRE_RESTORE, POST_RESTORE];

/// The checklists.
#[derive(Debug, Default)]
pub struct ChecklistScreen {
    selected: Selection,
    /// What is being said of which item.
    asking: Option<(&'static Item, TickResult)>,
}

impl ChecklistScreen {
    fn item(&self) -> Option<&'static Item> {
        ITEMS.get(self.selected.at())
    }

    fn begin(&mut self, model: &Model, view: &IncidentView, cmd: Cmd) -> Option<Action> {
        let item = self.item()?;
        let (result, title, text, part) = match cmd {
            Cmd::Mark => {
                // What the program shows goes with the tick: it is what the person saw.
                let detail = seen::seen(model, item).map_or_else(String::new, |(_, text)| text);
                let what = Settle::Tick { item, result: TickResult::Ok, detail };
                return Some(incident::settle(view, what));
            }
            Cmd::NotSo => (TickResult::Failed, "NOT SO", "What was seen instead.", Part::Why),
            Cmd::NotApplicable => {
                (TickResult::NotApplicable, "DOES NOT APPLY", "Why it does not apply here.", Part::Why)
            }
            Cmd::Untold => (TickResult::Unknown, "OPEN AGAIN", "Why nobody can tell any more.", Part::Why),
            _ => return None,
        };
        self.asking = Some((item, result));
        let text = vec![item.text.to_owned(), text.to_owned()];
        Some(incident::ask(title, text, "", part))
    }
}

impl Screen for ChecklistScreen {
    fn id(&self) -> ScreenId {
        ScreenId::Checklist
    }

    fn title(&self) -> &'static str {
        "checklist"
    }

    fn bindings(&self, model: &Model) -> Vec<Binding> {
        let untouched = || {
            let tick = checklist::tick(&incident::shown(model)?.standing, self.item()?);
            tick.is_none().then(|| "nobody has said anything of it yet".to_owned())
        };
        let key = |key: char, cmd: Cmd, label: &'static str, help: &'static str| {
            Binding::new(&[Key::Char(key)], cmd, label, help).unless(incident::why_not(model))
        };
        let mut bindings = vec![
            key(' ', Cmd::Mark, "it is so", "The chosen item is so; your name stands with it."),
            key('f', Cmd::NotSo, "not so", "The chosen item is not so: what was seen."),
            key('n', Cmd::NotApplicable, "n/a", "The chosen item does not apply here: why."),
            key('u', Cmd::Untold, "open again", "Take back what was said of the chosen item: why."),
        ];
        if let Some(last) = bindings.last_mut() {
            last.disabled = last.disabled.take().or_else(untouched);
        }
        // The items are about who does what: who is who is one key away.
        let ways = incident::ways(model, self.id());
        bindings.extend(ways.into_iter().map(|way| Binding { in_footer: way.cmd == Cmd::People, ..way }));
        bindings
    }

    fn entered(&mut self, model: &Model) -> Vec<Effect> {
        incident::entered(model)
    }

    fn on(&mut self, model: &Model, cmd: Cmd) -> Option<Action> {
        if let Some(way) = incident::go(model, cmd) {
            return Some(way);
        }
        if self.selected.on(cmd, ITEMS.len()) {
            return done();
        }
        let view = incident::shown(model)?;
        if cmd == Cmd::NextPane || cmd == Cmd::PreviousPane {
            // To the first item of the other list.
            let list = self.item().map_or(PRE_RESTORE, |item| item.list);
            self.selected.choose(ITEMS.iter().position(|item| item.list != list).unwrap_or(0));
            return done();
        }
        let refused =
            self.bindings(model).into_iter().any(|binding| binding.cmd == cmd && binding.disabled.is_some());
        if refused { None } else { self.begin(model, view, cmd) }
    }

    fn text(&mut self, model: &Model, asked: Asked, text: &str) -> Option<Action> {
        let (Asked::Part(_), Some(view)) = (asked, incident::shown(model)) else { return None };
        let (item, result) = self.asking.take()?;
        Some(incident::settle(view, Settle::Tick { item, result, detail: text.trim().to_owned() }))
    }

    fn draw(&self, model: &Model, theme: Theme, area: Rect, buffer: &mut Buffer) {
        draw::screen(model, self.selected, theme, area, buffer);
    }
}

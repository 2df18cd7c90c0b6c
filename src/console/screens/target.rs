//! Target and plan: where to recover to, what that takes and loses, and the way to the typed confirmation.
//!
//! Starts nothing: it asks for a plan, and opens the window in which the stanza's name must be typed.

mod form;
mod options;
mod plan_pane;
mod readiness;

use super::paint::{Sheet, WIDE, done};
use super::{Action, Asked, Modal, Screen, ScreenId};
use crate::console::input::{Effect, Key};
use crate::console::keymap::{Binding, Cmd};
use crate::console::model::Model;
use crate::console::theme::Theme;
use crate::model::plan::RecoverRequest;
use form::{Choice, Form, ROWS, Row};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use readiness::Planned;

/// Columns of the form beside a plan.
const FORM: u16 = 58;

/// Target and plan.
#[derive(Debug, Default)]
pub struct TargetScreen {
    form: Form,
    /// The line the next key works on.
    cursor: usize,
    /// The plan is shown and has the keys; else the form.
    plan: bool,
    /// Checks left out at the top.
    scroll: usize,
    /// A person has chosen something; nothing is preselected any more.
    touched: bool,
}

impl TargetScreen {
    fn row(&self) -> Row {
        ROWS.get(self.cursor).copied().unwrap_or(Row::Asks)
    }

    fn request(&self, model: &Model) -> Option<RecoverRequest> {
        self.form.request(model).ok()
    }

    fn move_to(&mut self, at: usize) {
        self.cursor = at.min(ROWS.len() - 1);
        if let Row::Choice(choice) = self.row() {
            self.form.choice = choice;
        }
        self.touched = true;
    }

    /// Preselects the application's last right moment where the application is known to be wrong. A check that gives no
    /// answer for a moment changes nothing under somebody's fingers.
    fn propose(&mut self, model: &Model) {
        if self.touched || self.plan {
            return;
        }
        let application = model.board.application.as_ref().and_then(|fact| fact.value());
        self.form.choice = match application {
            Some(check) if !check.right && !check.last_right.is_empty() => Choice::LastRight,
            None if self.form.choice == Choice::LastRight => Choice::LastRight,
            _ => Choice::Time,
        };
        self.cursor = form::number(Row::Choice(self.form.choice));
    }

    fn ask(&self, row: Row) -> Action {
        let number = form::number(row);
        let text = self.form.text(row);
        Action::Open(Modal::Ask {
            title: row.name().to_uppercase(),
            text: vec![row.form().to_owned()],
            initial: text.to_owned(),
            then: Asked::Field(number),
        })
    }

    /// Enter on the form: fill in what is missing, else plan, or go to the plan there is.
    fn open(&mut self, model: &Model) -> Option<Action> {
        let row = self.row();
        if matches!(row, Row::Choice(_)) && row.has_text() && self.form.error(row, model).is_some() {
            return Some(self.ask(row));
        }
        let request = self.request(model)?;
        self.plan = true;
        self.scroll = 0;
        self.touched = true;
        match readiness::planned(model, Some(&request)) {
            Planned::Plan(_) | Planned::Working(_) => None,
            _ => Some(Action::Do(Effect::Plan(Box::new(request)))),
        }
    }

    /// Enter on the plan: the way to the typed word, or a plan again where there is none.
    fn go_on(&mut self, model: &Model) -> Option<Action> {
        let request = self.request(model)?;
        match readiness::planned(model, Some(&request)) {
            Planned::Nothing | Planned::Another | Planned::Failed(_) => {
                Some(Action::Do(Effect::Plan(Box::new(request))))
            }
            Planned::Working(_) => None,
            Planned::Plan(_) => {
                let plan = readiness::confirmable(model, Some(&request)).ok()?;
                Some(Action::Open(readiness::confirm(plan, request)))
            }
        }
    }

    fn change(&mut self) -> Option<Action> {
        self.touched = true;
        match self.row() {
            Row::Exclusive if self.form.can_be_exclusive() => self.form.exclusive = !self.form.exclusive,
            Row::Asks => self.form.asks = !self.form.asks,
            row if row.has_text() => return Some(self.ask(row)),
            _ => {}
        }
        None
    }

    fn commands(&self, model: &Model) -> Option<Action> {
        let request = self.request(model);
        let Planned::Plan(plan) = readiness::planned(model, request.as_ref()) else { return None };
        Some(Action::Open(Modal::Text {
            title: "THE COMMAND THAT DOES EXACTLY THIS".to_owned(),
            lines: plan.command.lines().map(str::to_owned).collect(),
        }))
    }

    fn compare(&self, model: &Model) -> Option<Action> {
        let compare = Effect::Compare(Box::new(self.request(model)?));
        Some(Action::All(vec![Action::Do(compare), Action::Go(ScreenId::Options)]))
    }

    /// Why Enter does nothing now.
    fn stuck(&self, model: &Model) -> Option<String> {
        if !self.plan {
            let asks = self.row().has_text() && matches!(self.row(), Row::Choice(_));
            return if asks { None } else { self.form.request(model).err() };
        }
        let request = match self.form.request(model) {
            Ok(request) => request,
            Err(why) => return Some(why),
        };
        match readiness::planned(model, Some(&request)) {
            Planned::Plan(_) | Planned::Working(_) => readiness::confirmable(model, Some(&request)).err(),
            _ => None,
        }
    }
}

impl Screen for TargetScreen {
    fn id(&self) -> ScreenId {
        ScreenId::Target
    }

    fn title(&self) -> &'static str {
        "target and plan"
    }

    fn bindings(&self, model: &Model) -> Vec<Binding> {
        let request = self.request(model);
        let planned = readiness::planned(model, request.as_ref());
        let (label, help) = match (self.plan, planned) {
            (true, Planned::Plan(_) | Planned::Working(_)) => {
                ("confirm", "Go on to the typed confirmation of this plan.")
            }
            _ => ("plan", "Work out a plan for this target. Writes nothing."),
        };
        let nothing = match self.row() {
            _ if self.plan => Some("Esc goes back to the target first".to_owned()),
            Row::Exclusive if !self.form.can_be_exclusive() => {
                Some("only for a time, an LSN or a transaction".to_owned())
            }
            Row::Exclusive | Row::Asks => None,
            row if row.has_text() => None,
            _ => Some("there is nothing to fill in on this line".to_owned()),
        };
        let no_plan = (!matches!(planned, Planned::Plan(_))).then(|| "there is no plan yet".to_owned());
        vec![
            Binding::new(&[Key::Enter], Cmd::Open, label, help).unless(self.stuck(model)),
            Binding::new(&[Key::Char(' ')], Cmd::Mark, "change", "Fill in the line, or switch it on or off.")
                .unless(nothing),
            Binding::new(
                &[Key::Char('o')],
                Cmd::Options,
                "options",
                "Compare this recovery with the other ways out.",
            )
            .unless(self.form.request(model).err()),
            Binding::new(
                &[Key::Char('v')],
                Cmd::Commands,
                "command",
                "Show the command that does exactly this plan.",
            )
            .unless(no_plan),
        ]
    }

    fn entered(&mut self, model: &Model) -> Vec<Effect> {
        // A target that was left without its value was passed over, not chosen.
        let chosen = Row::Choice(self.form.choice);
        if !self.plan && chosen.has_text() && self.form.error(chosen, model).is_some() {
            self.touched = false;
        }
        self.propose(model);
        // A plan that is shown again, or looked at again, is worked out again from what is there now.
        let request = self.request(model).filter(|_| self.plan);
        match readiness::planned(model, request.as_ref()) {
            Planned::Working(_) => Vec::new(),
            _ => request.map(|request| Effect::Plan(Box::new(request))).into_iter().collect(),
        }
    }

    fn updated(&mut self, model: &Model) {
        self.propose(model);
    }

    fn on(&mut self, model: &Model, cmd: Cmd) -> Option<Action> {
        match (cmd, self.plan) {
            (Cmd::Up, true) => self.scroll = self.scroll.saturating_sub(1),
            (Cmd::Down, true) => self.scroll = self.scroll.saturating_add(1).min(self.checks(model)),
            (Cmd::Up, false) => self.move_to(self.cursor.saturating_sub(1)),
            (Cmd::Down, false) => self.move_to(self.cursor + 1),
            (Cmd::First, false) => self.move_to(0),
            (Cmd::Last, false) => self.move_to(ROWS.len() - 1),
            (Cmd::Open, true) => return self.go_on(model),
            (Cmd::Open, false) => return self.open(model),
            (Cmd::Mark, false) => return self.change(),
            (Cmd::Commands, _) => return self.commands(model),
            (Cmd::Options, _) => return self.compare(model),
            (Cmd::Back, true) => self.plan = false,
            _ => return None,
        }
        done()
    }

    fn text(&mut self, _model: &Model, asked: Asked, text: &str) -> Option<Action> {
        let number = match asked {
            Asked::Field(number) if number < ROWS.len() => number,
            Asked::Set => form::number(Row::Set),
            _ => return None,
        };
        text.trim().clone_into(&mut self.form.texts[number]);
        if let Some(Row::Choice(choice)) = ROWS.get(number) {
            self.form.choice = *choice;
            self.cursor = number;
            self.touched = true;
        }
        self.plan = false;
        None
    }

    fn typed(&self, model: &Model, asked: Asked, text: &str) -> Vec<String> {
        match asked {
            Asked::Field(number) => {
                ROWS.get(number).map(|row| options::typed(*row, text, model)).unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }

    fn draw(&self, model: &Model, theme: Theme, area: Rect, buffer: &mut Buffer) {
        let mut sheet = Sheet::new(theme, area, buffer);
        let request = self.request(model);
        let planned = readiness::planned(model, request.as_ref());
        if sheet.width() >= WIDE {
            let cursor = (!self.plan).then_some(self.cursor);
            options::draw(&mut sheet.part(0, 0, FORM, u16::MAX), model, &self.form, cursor);
            sheet.part(FORM, 0, 1, u16::MAX).upright(0);
            return plan_pane::draw(
                &mut sheet.part(FORM + 2, 0, u16::MAX, u16::MAX),
                model,
                planned,
                self.scroll,
            );
        }
        if self.plan {
            plan_pane::draw(&mut sheet, model, planned, self.scroll);
        } else {
            let y = options::draw(&mut sheet, model, &self.form, Some(self.cursor));
            match planned {
                Planned::Nothing => {}
                Planned::Plan(plan) => plan_pane::in_short(&mut sheet.below(y), plan),
                _ => plan_pane::draw(&mut sheet.below(y), model, planned, 0),
            }
        }
    }
}

impl TargetScreen {
    /// Checks that can be scrolled away.
    fn checks(&self, model: &Model) -> usize {
        match readiness::planned(model, self.request(model).as_ref()) {
            Planned::Plan(plan) => plan.checks.len().saturating_sub(1),
            _ => 0,
        }
    }
}

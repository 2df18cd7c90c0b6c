//! People: who plays which part, who does what until when, and what is to be done afterwards.
//!
//! Nothing is settled by looking; what is settled is asked for, in words where words are needed.

mod asking;
mod draw;

use super::paint::done;
use super::{Action, Asked, Screen, ScreenId, incident};
use crate::console::input::{Effect, Key};
use crate::console::keymap::{Binding, Cmd};
use crate::console::model::Model;
use crate::console::theme::Theme;
use crate::console::widgets::Selection;
use crate::incident::standing::Standing;
use crate::incident::{IncidentView, Role, Settle};
use asking::Asking;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// A line that can be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row {
    /// A role.
    Role(Role),
    /// A task, by its name.
    Task(u64),
    /// A follow-up, by its name.
    FollowUp(u64),
}

/// Every line, top down: the roles, then what is open before what has ended.
fn rows(standing: &Standing) -> Vec<Row> {
    let mut rows: Vec<Row> = Role::ALL.iter().map(|role| Row::Role(*role)).collect();
    let mut tasks: Vec<_> = standing.tasks.iter().collect();
    tasks.sort_by_key(|task| (task.end.is_some(), task.due_at));
    rows.extend(tasks.into_iter().map(|task| Row::Task(task.id)));
    let mut after: Vec<_> = standing.follow_ups.iter().collect();
    after.sort_by_key(|follow_up| (follow_up.done.is_some(), &follow_up.due));
    rows.extend(after.into_iter().map(|follow_up| Row::FollowUp(follow_up.id)));
    rows
}

/// People.
#[derive(Debug, Default)]
pub struct PeopleScreen {
    selected: Selection,
    /// The chosen line, so that it stays chosen when others come and go.
    chosen: Option<Row>,
    asking: Option<Asking>,
}

impl PeopleScreen {
    fn row(&self, view: &IncidentView) -> Option<Row> {
        rows(&view.standing).get(self.selected.at()).copied()
    }

    /// Settles what needs no word, or asks for the first one.
    fn begin(&mut self, model: &Model, view: &IncidentView, cmd: Cmd) -> Option<Action> {
        let row = self.row(view);
        let asking = match (cmd, row) {
            (Cmd::TakeRole, Some(Row::Role(role))) => {
                let holder = view.standing.holder(role);
                if holder.is_none() {
                    return Some(incident::settle(view, Settle::TakeRole { role, reason: None }));
                }
                Asking::Take(role)
            }
            (Cmd::Acknowledge, Some(Row::Role(role))) => {
                return Some(incident::settle(view, Settle::AcknowledgeRole { role }));
            }
            (Cmd::OfferRole, Some(Row::Role(role))) => Asking::Offer(role),
            (Cmd::NewTask, _) => Asking::task(),
            (Cmd::NewFollowUp, _) => Asking::follow_up(),
            (Cmd::Finish, Some(Row::Task(task))) => Asking::EndTask { task, done: true },
            (Cmd::GiveUp, Some(Row::Task(task))) => Asking::EndTask { task, done: false },
            (Cmd::Finish, Some(Row::FollowUp(follow_up))) => Asking::FinishFollowUp(follow_up),
            _ => return None,
        };
        let question = asking.question(model, view);
        self.asking = Some(asking);
        Some(question)
    }

    /// Why a command cannot be used on the chosen line; nothing if it can.
    fn why_not(&self, model: &Model, cmd: Cmd) -> Option<String> {
        let after = matches!(cmd, Cmd::NewFollowUp)
            || cmd == Cmd::Finish
                && matches!(incident::shown(model).and_then(|view| self.row(view)), Some(Row::FollowUp(_)));
        let closed = if after { incident::why_not_after(model) } else { incident::why_not(model) };
        closed.or_else(|| {
            let view = incident::shown(model)?;
            of_row(view, self.row(view), cmd, &model.actor)
        })
    }
}

/// What of the chosen line speaks against a command.
fn of_row(view: &IncidentView, row: Option<Row>, cmd: Cmd, actor: &str) -> Option<String> {
    let standing = &view.standing;
    let said = |text: &str| Some(text.to_owned());
    match (cmd, row) {
        (Cmd::TakeRole | Cmd::OfferRole | Cmd::Acknowledge, Some(Row::Role(role))) => {
            let held = standing.roles.get(&role);
            let mine = held.is_some_and(|held| held.holder == actor);
            let offered = held.and_then(|held| held.offered_to.as_deref());
            match cmd {
                Cmd::TakeRole if mine => Some(format!("you are {} already", role.said())),
                Cmd::OfferRole if !mine => Some(format!("you are not {}", role.said())),
                Cmd::Acknowledge if offered != Some(actor) => said("this role is not offered to you"),
                _ => None,
            }
        }
        (Cmd::TakeRole | Cmd::OfferRole | Cmd::Acknowledge, _) => said("choose a role"),
        (Cmd::Finish | Cmd::GiveUp, Some(Row::Task(id))) => {
            let open = standing.open_tasks().any(|task| task.id == id);
            (!open).then(|| "this task has ended".to_owned())
        }
        (Cmd::Finish, Some(Row::FollowUp(id))) => {
            let open = standing.open_follow_ups().any(|follow_up| follow_up.id == id);
            (!open).then(|| "this follow-up is done".to_owned())
        }
        (Cmd::Finish, _) => said("choose a task or a follow-up"),
        (Cmd::GiveUp, _) => said("choose a task"),
        _ => None,
    }
}

impl Screen for PeopleScreen {
    fn id(&self) -> ScreenId {
        ScreenId::People
    }

    fn title(&self) -> &'static str {
        "people"
    }

    fn bindings(&self, model: &Model) -> Vec<Binding> {
        let key = |key: char, cmd: Cmd, label: &'static str, help: &'static str| {
            Binding::new(&[Key::Char(key)], cmd, label, help).unless(self.why_not(model, cmd))
        };
        let mut bindings = vec![
            key('t', Cmd::TakeRole, "take", "Take the chosen role; from somebody else with a reason."),
            key('o', Cmd::OfferRole, "offer", "Offer the chosen role; until it is acknowledged you hold it."),
            key('a', Cmd::Acknowledge, "acknowledge", "Take over the chosen role, which was offered to you."),
            key('n', Cmd::NewTask, "task", "Give somebody a task with a time."),
            key('d', Cmd::Finish, "done", "The chosen task or follow-up is done."),
            key('f', Cmd::NewFollowUp, "follow-up", "Write down what is to be done after the incident."),
            key('x', Cmd::GiveUp, "drop", "The chosen task is not done any more.").quiet(),
        ];
        bindings.extend(incident::ways(model, self.id()));
        bindings
    }

    fn entered(&mut self, model: &Model) -> Vec<Effect> {
        incident::entered(model)
    }

    fn updated(&mut self, model: &Model) {
        let Some(view) = incident::shown(model) else { return };
        let rows = rows(&view.standing);
        if let Some(at) = self.chosen.and_then(|chosen| rows.iter().position(|row| *row == chosen)) {
            self.selected.choose(at);
        }
        self.selected.keep(rows.len());
    }

    fn on(&mut self, model: &Model, cmd: Cmd) -> Option<Action> {
        if let Some(way) = incident::go(model, cmd) {
            return Some(way);
        }
        let view = incident::shown(model)?;
        if self.selected.on(cmd, rows(&view.standing).len()) {
            self.chosen = self.row(view);
            return done();
        }
        if self.why_not(model, cmd).is_some() {
            return None;
        }
        self.begin(model, view, cmd)
    }

    fn text(&mut self, model: &Model, asked: Asked, text: &str) -> Option<Action> {
        let (Asked::Part(_), Some(view)) = (asked, incident::shown(model)) else { return None };
        match self.asking.take()?.answered(text.trim()) {
            Ok(what) => Some(incident::settle(view, what)),
            Err(asking) => {
                let question = asking.question(model, view);
                self.asking = Some(asking);
                Some(question)
            }
        }
    }

    fn typed(&self, model: &Model, asked: Asked, text: &str) -> Vec<String> {
        match asked {
            Asked::Part(part) => asking::meant(part, text.trim(), model.now),
            _ => Vec::new(),
        }
    }

    fn draw(&self, model: &Model, theme: Theme, area: Rect, buffer: &mut Buffer) {
        draw::screen(model, self.selected, theme, area, buffer);
    }
}

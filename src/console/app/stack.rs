//! The screens and the way one came: the board is always at the bottom.

use crate::console::model::Model;
use crate::console::screens::{
    Screen, ScreenId, board, catalog, checklist, doctor, history, journal, options, people, runbook, running,
    talk, target, wal,
};

/// All screens, and those that are open, the shown one last.
pub(super) struct Stack {
    screens: Vec<Box<dyn Screen>>,
    open: Vec<ScreenId>,
}

impl Default for Stack {
    fn default() -> Self {
        let screens: Vec<Box<dyn Screen>> = vec![
            Box::new(board::BoardScreen),
            Box::new(catalog::CatalogScreen::default()),
            Box::new(wal::WalScreen::default()),
            Box::new(target::TargetScreen::default()),
            Box::new(options::OptionsScreen::default()),
            Box::new(running::RunningScreen::default()),
            Box::new(runbook::RunbookScreen::default()),
            Box::new(journal::JournalScreen::default()),
            Box::new(history::HistoryScreen::default()),
            Box::new(people::PeopleScreen::default()),
            Box::new(talk::TalkScreen::default()),
            Box::new(checklist::ChecklistScreen::default()),
            Box::new(doctor::DoctorScreen::default()),
        ];
        Self { screens, open: vec![ScreenId::Board] }
    }
}

impl Stack {
    /// The screen that is shown.
    pub(super) fn top(&self) -> ScreenId {
        self.open.last().copied().unwrap_or(ScreenId::Board)
    }

    /// Opens a screen; one that is open already is gone back to.
    pub(super) fn go(&mut self, id: ScreenId) {
        match self.open.iter().position(|open| *open == id) {
            Some(at) => self.open.truncate(at + 1),
            None => self.open.push(id),
        }
    }

    /// Back to the board: what led away from it is over.
    pub(super) fn home(&mut self) {
        self.open.truncate(1);
    }

    /// One level up; false on the board.
    pub(super) fn back(&mut self) -> bool {
        let deep = self.open.len() > 1;
        if deep {
            self.open.pop();
        }
        deep
    }

    pub(super) fn shown(&self) -> &dyn Screen {
        let at = self.at(self.top());
        self.screens[at].as_ref()
    }

    pub(super) fn shown_mut(&mut self) -> &mut dyn Screen {
        let at = self.at(self.top());
        self.screens[at].as_mut()
    }

    /// The model changed.
    pub(super) fn updated(&mut self, model: &Model) {
        self.screens.iter_mut().for_each(|screen| screen.updated(model));
    }

    /// The titles of the open screens, the board first.
    pub(super) fn crumbs(&self) -> impl Iterator<Item = &'static str> {
        self.open.iter().map(|id| self.screens[self.at(*id)].title())
    }

    fn at(&self, id: ScreenId) -> usize {
        self.screens.iter().position(|screen| screen.id() == id).unwrap_or(0)
    }
}

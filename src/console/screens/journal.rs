//! The journal screen.

use super::{Action, Screen, ScreenId};
use crate::console::keymap::{Binding, Cmd};
use crate::console::model::Model;
use crate::console::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// The journal screen.
#[derive(Debug, Default)]
pub struct JournalScreen;

impl Screen for JournalScreen {
    fn id(&self) -> ScreenId {
        ScreenId::Journal
    }

    fn title(&self) -> &'static str {
        "journal"
    }

    fn bindings(&self, _model: &Model) -> Vec<Binding> {
        Vec::new()
    }

    fn on(&mut self, _model: &Model, _cmd: Cmd) -> Option<Action> {
        None
    }

    fn draw(&self, _model: &Model, _theme: Theme, _area: Rect, _buffer: &mut Buffer) {}
}

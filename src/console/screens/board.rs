//! The board.

use super::{Action, Screen, ScreenId};
use crate::console::keymap::{Binding, Cmd};
use crate::console::model::Model;
use crate::console::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// The board.
#[derive(Debug, Default)]
pub struct BoardScreen;

impl Screen for BoardScreen {
    fn id(&self) -> ScreenId {
        ScreenId::Board
    }

    fn title(&self) -> &'static str {
        "board"
    }

    fn bindings(&self, _model: &Model) -> Vec<Binding> {
        Vec::new()
    }

    fn on(&mut self, _model: &Model, _cmd: Cmd) -> Option<Action> {
        None
    }

    fn draw(&self, _model: &Model, _theme: Theme, _area: Rect, _buffer: &mut Buffer) {}
}

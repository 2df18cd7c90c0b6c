//! The operation screen.

use super::{Action, Screen, ScreenId};
use crate::console::keymap::{Binding, Cmd};
use crate::console::model::Model;
use crate::console::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// The operation screen.
#[derive(Debug, Default)]
pub struct RunningScreen;

impl Screen for RunningScreen {
    fn id(&self) -> ScreenId {
        ScreenId::Running
    }

    fn title(&self) -> &'static str {
        "operation"
    }

    fn bindings(&self, _model: &Model) -> Vec<Binding> {
        Vec::new()
    }

    fn on(&mut self, _model: &Model, _cmd: Cmd) -> Option<Action> {
        None
    }

    fn draw(&self, _model: &Model, _theme: Theme, _area: Rect, _buffer: &mut Buffer) {}
}

//! The console: what an operator sees and presses at three in the morning.
//!
//! [`app::App`] is pure: inputs in, effects out, a frame drawn from the model; the same inputs make the same screens.
//! Only `console/runtime` touches the terminal, threads, files and servers. No key starts anything by itself: what
//! changes a cluster is planned, shown, and confirmed by a typed name.

pub mod app;
pub mod input;
pub mod keymap;
pub mod modal;
pub mod model;
pub mod picker;
pub mod runtime;
pub mod screens;
pub mod theme;
pub mod widgets;

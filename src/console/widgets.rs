//! What every screen is made of: rules with titles, bars, numbers as people say them, tables. Nothing here knows a
//! screen or decides a colour's meaning.
//!
//! Everything is drawn with box and block characters; where only ASCII may be used, the finished picture is
//! translated ([`Theme::finish`](super::theme::Theme::finish)), so a screen never asks which it is.

mod numbers;
mod rule;
mod table;
mod text;

pub use numbers::{Zone, age, bar, beside, clock, duration, elapsed, moment, rate, size, time};
pub use rule::{Joint, joint, rule, split_rule, upright};
pub use table::{Column, Selection, table};
pub use text::{cut, cut_at_word, cut_left, left, lines, put, right, width, with_more};

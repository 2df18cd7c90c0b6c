//! What the rows came to: how many answers were right, and every one that was not, in words.

use crate::table::{Row, UNDECIDABLE};
use crate::world::Answers;
use std::any::Any;
use std::fmt::{self, Write as _};

/// What the rows came to.
#[derive(Default)]
pub(crate) struct Rates {
    right: usize,
    unknown: usize,
    needless: usize,
    wrong: usize,
    broken: usize,
    left_out: Vec<&'static str>,
    /// How often a probe had run out of time and everything was looked at once more.
    pub(crate) asked_again: usize,
    misses: String,
}

impl Rates {
    /// Compares a row's answers with what is expected of it.
    pub(crate) fn judge(&mut self, row: &Row, answers: &Answers) {
        for (question, expected) in row.expected {
            let Some(proposed) = answers.get(*question) else {
                self.wrong += 1;
                self.miss(row, question, "nothing at all", expected, "the program does not answer it");
                continue;
            };
            match (proposed.exit.as_str(), proposed.exit == *expected) {
                ("unknown", true) if UNDECIDABLE.contains(&row.name) => self.unknown += 1,
                (_, true) => self.right += 1,
                (exit, false) => {
                    *if exit == "unknown" { &mut self.needless } else { &mut self.wrong } += 1;
                    self.miss(row, question, exit, expected, &proposed.why);
                }
            }
        }
    }

    /// The row cannot be made here.
    pub(crate) fn left_out(&mut self, row: &Row) {
        self.left_out.push(row.name);
    }

    /// Making the row failed.
    pub(crate) fn broken(&mut self, row: &Row, panic: &(dyn Any + Send)) {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it does not say why");
        self.broken += 1;
        let _ = writeln!(self.misses, "row '{}' could not be made: {said}", row.name);
    }

    fn miss(&mut self, row: &Row, question: &str, proposed: &str, expected: &str, why: &str) {
        let _ = writeln!(
            self.misses,
            "row '{}', question {question}: proposed {proposed}, expected {expected}, because: {why}",
            row.name
        );
    }

    /// Everything that was not as expected.
    pub(crate) fn misses(&self) -> &str {
        if self.asked() == 0 { "no situation has this name" } else { &self.misses }
    }

    pub(crate) fn is_right(&self) -> bool {
        self.misses.is_empty() && (self.asked() > 0 || !self.left_out.is_empty())
    }

    fn asked(&self) -> usize {
        self.right + self.unknown + self.needless + self.wrong + self.broken
    }
}

impl fmt::Display for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} answers: {} right, {} unknown where it was listed, {} needlessly unknown, {} wrong; {} rows could not be \
             made; looked again {} times; left out: {:?}",
            self.right + self.unknown + self.needless + self.wrong,
            self.right,
            self.unknown,
            self.needless,
            self.wrong,
            self.broken,
            self.asked_again,
            self.left_out
        )
    }
}

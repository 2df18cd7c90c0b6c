//! Progress of running work on standard error: one line that is rewritten on a terminal, plain lines otherwise.
//!
//! Samples may be lost and may come out of order; the furthest one is shown. Never blocks the work: a terminal that
//! takes no more text loses lines, not time.

use super::output::{Console, Level, Output, to_stderr};
use crate::base::Bytes;
use crate::model::op::{Event, Progress, Sink};
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often the line on a terminal is rewritten.
const REWRITE_EVERY: Duration = Duration::from_millis(250);
/// How often a plain line is written.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows events and progress of one operation.
#[derive(Debug)]
pub struct Lines {
    console: Console,
    terminal: bool,
    shown: Mutex<Shown>,
}

#[derive(Debug)]
struct Shown {
    furthest: Progress,
    at: Instant,
    line: Rewritten,
}

/// The line at the bottom of a terminal that is written over again and again.
#[derive(Debug, Default)]
pub(super) struct Rewritten {
    /// Characters that stand there now.
    width: usize,
}

impl Rewritten {
    /// Writes it over.
    pub(super) fn show(&mut self, line: &str) {
        let now = line.chars().count();
        let width = self.width.max(now);
        let mut stderr = io::stderr().lock();
        drop(write!(stderr, "\r{line:width$}").and_then(|()| stderr.flush()));
        self.width = now;
    }

    /// Removes it, so that other text can follow.
    pub(super) fn clear(&mut self) {
        if self.width > 0 {
            drop(write!(io::stderr().lock(), "\r{:width$}\r", "", width = self.width));
            self.width = 0;
        }
    }
}

/// True if a line can be rewritten for somebody who looks.
pub(super) fn on_terminal(console: Console) -> bool {
    console.output() == Output::Text && console.tells(Level::Warn) && io::stderr().is_terminal()
}

impl Lines {
    /// Shows on this console; on a terminal only if results are for people.
    pub fn new(console: Console) -> Self {
        let shown = Shown { furthest: Progress::default(), at: Instant::now(), line: Rewritten::default() };
        Self { console, terminal: on_terminal(console), shown: Mutex::new(shown) }
    }

    /// Removes the line that is rewritten, so that other text can follow.
    fn clear(&self) {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).line.clear();
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Sink for Lines {
    fn event(&self, event: Event) {
        self.clear();
        match event {
            Event::StepStarted { step } => self.console.info(&step),
            Event::StepDone { step, took_ms, detail } => self.console.info(&done(&step, took_ms, &detail)),
            Event::Warning { text } => self.console.warn(&text),
            Event::Amount { .. } | Event::Reached { .. } => {}
        }
    }

    fn progress(&self, progress: Progress) {
        let plain = !self.terminal && self.console.tells(Level::Info);
        if !self.terminal && !plain {
            return;
        }
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let pause = if self.terminal { REWRITE_EVERY } else { LINE_EVERY };
        if progress.bytes_done < shown.furthest.bytes_done || shown.at.elapsed() < pause {
            return;
        }
        shown.furthest = progress;
        shown.at = Instant::now();
        let line = in_words(progress);
        if plain {
            to_stderr(&line);
        } else {
            shown.line.show(&line);
        }
    }
}

/// What a finished step took and came to.
pub(super) fn done(step: &str, took_ms: u64, detail: &str) -> String {
    let seconds = format!("{}.{} s", took_ms / 1000, took_ms % 1000 / 100);
    if detail.is_empty() { format!("{step}: {seconds}") } else { format!("{step}: {seconds}, {detail}") }
}

/// Stays below 100 % until everything is in place.
pub(super) fn in_words(progress: Progress) -> String {
    let Progress { bytes_done, bytes_total, files_done, files_total } = progress;
    let percent = match bytes_total {
        0 => 0,
        total => u128::from(bytes_done) * 100 / u128::from(total),
    };
    let percent = if bytes_done >= bytes_total && files_done >= files_total { 100 } else { percent.min(99) };
    format!(
        "{percent:3}%  {} of {}  {files_done} of {files_total} files",
        Bytes(bytes_done),
        Bytes(bytes_total)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hundred_percent_means_everything() {
        let sample = |bytes_done, files_done| Progress {
            bytes_done,
            bytes_total: 1 << 20,
            files_done,
            files_total: 7,
        };
        assert_eq!(in_words(sample(1 << 20, 6)), " 99%  1.0 MB of 1.0 MB  6 of 7 files");
        assert_eq!(in_words(sample(1 << 20, 7)), "100%  1.0 MB of 1.0 MB  7 of 7 files");
        assert_eq!(in_words(sample(0, 0)), "  0%  0 B of 1.0 MB  0 of 7 files");
    }

    #[test]
    fn steps_say_how_long_they_took() {
        assert_eq!(done("copy", 61_250, "44.7 MB"), "copy: 61.2 s, 44.7 MB");
        assert_eq!(done("sync", 40, ""), "sync: 0.0 s");
    }
}

//! What stands above the steps when a person is needed: the question, a worker that is gone, the end.

use crate::console::screens::paint::Sheet;
use crate::console::theme::State;
use crate::console::widgets::clock;
use crate::model::op::{Life, Mark, Outcome, Question, Snapshot};
use ratatui::style::Style;

/// The question before promotion. Returns the lines it took.
pub(super) fn question(sheet: &mut Sheet<'_>, question: &Question, sent: bool) -> u16 {
    let theme = sheet.theme;
    sheet.rule(0, "YOUR ANSWER IS NEEDED", "nothing is promoted before it");
    let mut y = 2;
    y += sheet.below(y).wrapped(3, 0, &question.text, theme.strong()) + 1;
    // Whatever the checks said, the two answers stay on the screen.
    let last = sheet.height().saturating_sub(5).max(y);
    for line in &question.evidence {
        if y >= last {
            sheet.text(5, y, "… L shows all of it", theme.dim());
            y += 1;
            break;
        }
        y += sheet.below(y).wrapped(5, 0, line, Style::new()).max(1);
    }
    y += 1;
    if sent {
        sheet.text(3, y, "the answer was given; the worker takes it up", theme.dim());
        return y + 2;
    }
    sheet.pieces(
        3,
        y,
        &[("y", theme.focus()), ("  it is right: promote; the application goes on from here", Style::new())],
    );
    y += 1;
    let text = "  the damage is in it: do not promote; go to the moment before, or end";
    sheet.pieces(3, y, &[("n", theme.focus()), (text, Style::new())]);
    y + 2
}

/// The worker is gone. Returns the lines it took.
pub(super) fn lost(sheet: &mut Sheet<'_>, operation: &Snapshot) -> u16 {
    let theme = sheet.theme;
    let failed = theme.state(State::Failed);
    sheet.rule(0, "THE WORKER IS GONE", "");
    let at = match operation.state.current() {
        Some((at, name)) => format!("It ended without a word in step {}, {name}.", at + 1),
        None => "It ended without a word between two steps.".to_owned(),
    };
    let mut y = 1 + sheet.said(1, (theme.symbol(State::Failed), failed), &at, theme.strong());
    y += sheet.below(y).wrapped(3, 0, safe(operation), Style::new());
    let next = "What is done is written down. R resumes from there; nothing that is done is done again.";
    y += sheet.below(y).wrapped(3, 0, next, Style::new());
    y + 1
}

/// What is safe, as far as the moments reached tell.
fn safe(operation: &Snapshot) -> &'static str {
    let reached = |mark| operation.state.marks.contains_key(&mark);
    if reached(Mark::ServiceBack) || reached(Mark::AcceptingConnections) {
        "The recovered cluster stands in its place; the old data directory is whole, in quarantine."
    } else if reached(Mark::Validated) || reached(Mark::TargetReached) {
        "The old data directory is whole: in its place, or in quarantine if the exchange was made. None was removed."
    } else {
        "The old data directory is whole and in its place; only the copy beside it is unfinished."
    }
}

/// How it ended and what to do next. Returns the lines it took.
pub(super) fn ended(sheet: &mut Sheet<'_>, operation: &Snapshot) -> u16 {
    let Some((at, outcome)) = &operation.state.ended else { return 0 };
    let theme = sheet.theme;
    let (title, state) = match outcome {
        Outcome::Done { .. } => ("DONE", State::Ok),
        Outcome::Failed { kind, .. } if kind == "cancelled" => ("CANCELLED", State::Late),
        Outcome::Failed { .. } => ("FAILED", State::Failed),
    };
    sheet.rule(0, title, &format!("at {} UTC", clock(*at)));
    let style = theme.state(state);
    sheet.text(1, 1, theme.symbol(state), style);
    let mut y = 1;
    let mut say = |text: &str, style: Style| y += sheet.below(y).wrapped(3, 0, text, style).max(1);
    match outcome {
        Outcome::Done { lines } => {
            for line in lines {
                say(line, Style::new());
            }
            if let Some(text) = operation.against_forecast() {
                say(&text, Style::new());
            }
            let left =
                if operation.state.warnings.is_empty() { "" } else { "; the log says what is left to do" };
            say(&format!("Next: look at the application{left}."), theme.strong());
        }
        Outcome::Failed { headline, context, hint, .. } => {
            say(headline, theme.strong());
            for line in context {
                say(&format!("while {line}"), theme.dim());
            }
            if let Some(hint) = hint {
                say(&format!("next: {hint}"), Style::new());
            }
            say(safe(operation), Style::new());
            say("R takes it up again where it stopped.", Style::new());
        }
    }
    if let Some(incident) = &operation.spec.incident {
        say(&format!("Report: pgmayday incident report {incident}"), theme.dim());
    }
    y + 1
}

/// A line about what the life of the worker says, if that is not simply at work.
pub(super) fn life(operation: &Snapshot) -> Option<(String, State)> {
    match &operation.life {
        Life::Starting => Some(("the worker is being started".to_owned(), State::Ok)),
        Life::Unknown { why } => {
            Some((format!("whether a worker is at it cannot be told: {why}"), State::Unknown))
        }
        Life::Running { .. } if operation.state.cancel_requested => {
            Some(("asked to stop; it ends at the next safe point".to_owned(), State::Late))
        }
        Life::Running { .. } | Life::Lost | Life::Ended => None,
    }
}

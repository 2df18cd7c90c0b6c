//! The operation that runs, was lost or is over: its steps, its speed, its question, its end.
//!
//! Follows; what it starts (an answer, a resumption) goes through the app, and what promotes needs the typed name.

mod panes;
mod speed;
mod steps;

use super::paint::{Sheet, counted, hours};
use super::{Action, Confirmed, Modal, Screen, ScreenId};
use crate::base::Millis;
use crate::console::input::{Effect, Key};
use crate::console::keymap::{Binding, Cmd};
use crate::console::model::{Model, READ_ONLY};
use crate::console::theme::{State, Theme};
use crate::console::widgets::{clock, elapsed, lines, width};
use crate::model::op::{Answer, Life, Mark, Outcome, Question, Snapshot};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use speed::Speed;

/// The running or last operation.
#[derive(Debug, Default)]
pub struct RunningScreen {
    speed: Speed,
    /// The question that was answered last: operation and its last record, so that one key answers one question.
    answered: Option<(String, u64)>,
}

/// Answers are asked for only while a worker waits for them.
fn question(operation: &Snapshot) -> Option<&Question> {
    let waits = matches!(operation.life, Life::Running { .. });
    operation.state.question.as_ref().filter(|_| waits)
}

/// True if another worker may take it up.
fn resumable(operation: &Snapshot) -> bool {
    match operation.life {
        Life::Lost => true,
        Life::Ended => matches!(operation.state.ended, Some((_, Outcome::Failed { .. }))),
        _ => false,
    }
}

impl RunningScreen {
    fn sent(&self, operation: &Snapshot) -> bool {
        let this = (operation.spec.id.as_str(), operation.state.seq);
        self.answered.as_ref().is_some_and(|(id, seq)| (id.as_str(), *seq) == this)
    }

    fn no_answer(&self, model: &Model) -> Option<String> {
        let asked = model.operation.as_ref().and_then(|operation| question(operation).map(|_| operation));
        match asked {
            None => Some("nothing is asked now".to_owned()),
            Some(_) if model.board.identity.read_only => Some(READ_ONLY.to_owned()),
            Some(operation) if self.sent(operation) => Some("the answer was given".to_owned()),
            Some(_) => None,
        }
    }

    fn answer(&mut self, model: &Model, answer: Answer) -> Option<Action> {
        if self.no_answer(model).is_some() {
            return None;
        }
        let operation = model.operation.as_ref()?;
        let id = operation.spec.id.clone();
        if answer == Answer::Damaged {
            self.answered = Some((id.to_string(), operation.state.seq));
            return Some(Action::Do(Effect::Damaged(id)));
        }
        Some(Action::Open(Modal::Confirm {
            title: "IT IS RIGHT: PROMOTE".to_owned(),
            text: vec![
                operation.spec.summary.clone(),
                "The recovered cluster takes the place of the old one, is promoted to a new timeline and opened.".to_owned(),
                "The old data directory is kept whole in quarantine until a person removes it.".to_owned(),
                "What was committed after the target is not in it, and the way back is another recovery.".to_owned(),
            ],
            word: operation.spec.stanza.clone(),
            then: Confirmed::AnswerRight(id),
        }))
    }

    /// What is known before an answer, and every warning.
    fn log(operation: &Snapshot) -> Action {
        let evidence = question(operation).map(|asked| asked.evidence.clone()).unwrap_or_default();
        let mut lines: Vec<String> = evidence.into_iter().chain(log_lines(operation)).collect();
        if lines.is_empty() {
            lines.push("There was no warning.".to_owned());
        }
        Action::Open(Modal::Text { title: "LOG".to_owned(), lines })
    }

    fn resume(model: &Model) -> Option<Action> {
        let operation = model.operation.as_ref().filter(|_| no_resumption(model).is_none())?;
        let at = operation.state.current().map_or_else(String::new, |(at, name)| {
            format!("It goes on from step {}, {name}; what is done before it stays.", at + 1)
        });
        Some(Action::Open(Modal::Confirm {
            title: "RESUME THE OPERATION".to_owned(),
            text: vec![
                operation.spec.summary.clone(),
                at,
                "A new worker does the same plan; the old data directory goes to quarantine as planned."
                    .to_owned(),
            ],
            word: operation.spec.stanza.clone(),
            then: Confirmed::Resume(operation.spec.id.clone()),
        }))
    }
}

/// Why nothing can be resumed.
fn no_resumption(model: &Model) -> Option<String> {
    match &model.operation {
        _ if model.board.identity.read_only => Some(READ_ONLY.to_owned()),
        Some(operation) if resumable(operation) => None,
        Some(operation) if matches!(operation.life, Life::Ended) => Some("it is done".to_owned()),
        Some(_) => Some("a worker is at it".to_owned()),
        None => Some("there is no operation".to_owned()),
    }
}

/// The command, as it would be typed.
fn command(operation: &Snapshot) -> Vec<String> {
    let quoted = |word: &String| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,+@%".contains(c);
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    };
    let words: Vec<String> = operation.spec.arguments.iter().map(quoted).collect();
    let mut lines =
        vec![format!("cd {}", operation.spec.working_dir.display()), format!("pgmayday {}", words.join(" "))];
    if !operation.spec.environment.is_empty() {
        lines.push(format!("with the variables {}", operation.spec.environment.join(", ")));
    }
    lines
}

fn log_lines(operation: &Snapshot) -> impl DoubleEndedIterator<Item = String> {
    operation.state.warnings.iter().map(|(at, text)| format!("{} {text}", clock(*at)))
}

fn draw_empty(sheet: &mut Sheet<'_>) {
    sheet.rule(0, "OPERATION", "none");
    sheet.text(3, 2, "No recovery runs, and none is followed.", Style::new());
    sheet.text(3, 4, "Esc leads to the board; there, choose a target and plan a recovery.", Style::new());
    sheet.text(3, 5, "`pgmayday attach` follows one that was started elsewhere.", Style::new());
}

/// The last warnings, as many as there is room for.
fn draw_log(sheet: &mut Sheet<'_>, operation: &Snapshot) {
    let number = operation.state.warnings.len() as u64;
    if number == 0 {
        return;
    }
    sheet.rule(0, "LOG", &counted(number, "warning", "warnings"));
    let room = usize::from(sheet.height().saturating_sub(1));
    let columns = usize::from(sheet.width().saturating_sub(3));
    let mut shown: Vec<String> = Vec::new();
    for text in log_lines(operation).rev() {
        let wrapped = lines(&text, columns);
        if shown.len() + wrapped.len() > room && !shown.is_empty() {
            break;
        }
        shown.splice(0..0, wrapped);
    }
    let style = sheet.theme.state(State::Late);
    for (y, line) in (1..).zip(shown.iter().take(room)) {
        sheet.text(1, y, line, style);
    }
}

fn draw_title(sheet: &mut Sheet<'_>, operation: &Snapshot, model: &Model) {
    let state = &operation.state;
    let until = state.ended.as_ref().map_or(model.now, |(at, _)| *at);
    let gone = state.started_at.map(|since| hours(elapsed(since, until))).unwrap_or_default();
    // The forecast is of the way to the service, and nothing more.
    let ahead = !state.marks.contains_key(&Mark::ServiceBack) && state.ended.is_none();
    let forecast = operation.spec.forecast.as_ref().filter(|_| ahead);
    let of = forecast.map_or_else(String::new, |forecast| format!(" of ~{}", Millis(forecast.total.p50_ms)));
    let total = format!("{gone}{of}");
    let step = state.current().map(|(at, name)| format!("step {} of {}, {name}", at + 1, state.steps.len()));
    let attempt = (state.attempt > 1).then(|| format!("worker {}", state.attempt));
    let place: Vec<String> = [step, attempt].into_iter().flatten().collect();
    sheet.rule(0, "RECOVERY", &place.join(", "));
    let x = sheet.width().saturating_sub(u16::try_from(width(&total)).unwrap_or(0) + 3);
    let style = sheet.theme.strong();
    sheet.text(x, 0, &format!(" {total} "), style);
    sheet.cut(1, 1, sheet.width().saturating_sub(2), &operation.spec.summary, style);
}

impl RunningScreen {
    fn draw_operation(&self, sheet: &mut Sheet<'_>, operation: &Snapshot, model: &Model) {
        draw_title(sheet, operation, model);
        let mut y = 2;
        if let Some((text, state)) = panes::life(operation) {
            let style = sheet.theme.state(state);
            sheet.pieces(1, y, &[(sheet.theme.symbol(state), style), (" ", style), (&text, style)]);
            y += 1;
        }
        let mut rest = sheet.below(y);
        y += match (question(operation), &operation.life) {
            (Some(asked), _) => panes::question(&mut rest, asked, self.sent(operation)),
            (None, Life::Lost) => panes::lost(&mut rest, operation),
            (None, _) => panes::ended(&mut rest, operation),
        };
        let footer = sheet.height().saturating_sub(1);
        let left = footer.saturating_sub(y);
        let warnings = u16::try_from(operation.state.warnings.len()).unwrap_or(u16::MAX);
        let log = if warnings == 0 { 0 } else { (warnings.min(3) + 1).min(left / 2) };
        let mut middle = sheet.part(0, y, u16::MAX, left - log);
        let used = steps::draw(&mut middle, operation, &self.speed, model.now);
        draw_log(&mut sheet.part(0, y + used, u16::MAX, left.saturating_sub(used)), operation);
        if matches!(operation.life, Life::Starting | Life::Running { .. }) {
            let text = "the recovery goes on if this terminal closes; `pgmayday attach` returns here";
            sheet.text(1, footer, text, sheet.theme.dim());
        }
    }
}

impl Screen for RunningScreen {
    fn id(&self) -> ScreenId {
        ScreenId::Running
    }

    fn title(&self) -> &'static str {
        "operation"
    }

    fn bindings(&self, model: &Model) -> Vec<Binding> {
        let none = model.operation.is_none().then(|| "there is no operation".to_owned());
        let mut bindings = Vec::new();
        let asks = model.operation.as_ref().is_some_and(|operation| question(operation).is_some());
        let foot = |binding: Binding, shown: bool| if shown { binding } else { binding.quiet() };
        let answer = self.no_answer(model);
        let right = Binding::new(
            &[Key::Char('y')],
            Cmd::AnswerRight,
            "it is right",
            "The recovered data is right: promote it, after the typed name.",
        );
        bindings.push(foot(right.unless(answer.clone()), asks));
        let damaged = Binding::new(
            &[Key::Char('n')],
            Cmd::AnswerDamaged,
            "damaged",
            "The damage is in it: do not promote; try the moment before, or end.",
        );
        bindings.push(foot(damaged.unless(answer), asks));
        let resume = Binding::new(
            &[Key::Char('R')],
            Cmd::Resume,
            "resume",
            "Start a new worker that goes on where the last one stopped.",
        );
        let resumable = model.operation.as_ref().is_some_and(resumable);
        // Where nothing can be resumed, the key is the one it is on the board.
        if model.board.incident.is_some() && !resumable {
            let text = "Back to the runbook of the incident: a recovery that it asked for leads it on.";
            bindings.push(Binding::new(&[Key::Char('R')], Cmd::Runbook, "runbook", text));
        } else {
            bindings.push(foot(resume.unless(no_resumption(model)), resumable));
        }
        bindings.push(
            Binding::new(
                &[Key::Char('L')],
                Cmd::Log,
                "log",
                "Show every warning, and what is known before an answer.",
            )
            .unless(none.clone()),
        );
        bindings.push(
            Binding::new(
                &[Key::Char('v')],
                Cmd::Commands,
                "command",
                "Show the exact command of this operation.",
            )
            .unless(none),
        );
        bindings
    }

    fn updated(&mut self, model: &Model) {
        if let Some(operation) = &model.operation {
            self.speed.take(operation);
        }
    }

    fn on(&mut self, model: &Model, cmd: Cmd) -> Option<Action> {
        match cmd {
            Cmd::AnswerRight => self.answer(model, Answer::Right),
            Cmd::AnswerDamaged => self.answer(model, Answer::Damaged),
            Cmd::Resume => Self::resume(model),
            Cmd::Runbook if model.why_not(cmd).is_none() => Some(Action::Go(ScreenId::Runbook)),
            Cmd::Log => model.operation.as_ref().map(Self::log),
            Cmd::Commands => {
                let lines = command(model.operation.as_ref()?);
                Some(Action::Open(Modal::Text { title: "THE COMMAND OF THIS OPERATION".to_owned(), lines }))
            }
            _ => None,
        }
    }

    fn draw(&self, model: &Model, theme: Theme, area: Rect, buffer: &mut Buffer) {
        let mut sheet = Sheet::new(theme, area, buffer);
        match &model.operation {
            Some(operation) => self.draw_operation(&mut sheet, operation, model),
            None => draw_empty(&mut sheet),
        }
    }
}

//! The steps of an operation, with the bar of what is under way.

use super::speed::Speed;
use crate::base::Timestamp;
use crate::console::screens::paint::{Sheet, count, counted, lasting, near, share, since};
use crate::console::theme::State;
use crate::console::widgets::{Selection, age, bar, cut_at_word, duration, elapsed, rate, size, width};
use crate::model::op::{Life, Mark, Progress, Replay, Snapshot, Step, StepStatus};
use ratatui::style::Style;

/// A stand-still is told after this, milliseconds.
const STILL_MS: u64 = 5_000;

/// Draws as many steps as fit, the one under way among them. Returns the lines it took.
pub(super) fn draw(sheet: &mut Sheet<'_>, operation: &Snapshot, speed: &Speed, now: Timestamp) -> u16 {
    let steps = &operation.state.steps;
    let at = operation.state.current().map_or_else(
        || steps.iter().take_while(|step| matches!(step.status, StepStatus::Done { .. })).count(),
        |(at, _)| at,
    );
    let bars = bars(operation, speed, now);
    let room = usize::from(sheet.height()).saturating_sub(bars.len());
    // What is left out is counted, on a line of its own.
    let hidden = steps.len() > room;
    let shown = if hidden { room.saturating_sub(1) } else { room };
    let mut current = Selection::default();
    current.choose(at);
    let top = current.first(steps.len(), shown);
    let mut y = 0;
    for (number, step) in steps.iter().enumerate().skip(top).take(shown) {
        draw_step(sheet, y, (number, step), names(steps), &operation.life, now);
        y += 1;
        if number == at {
            for (text, state) in &bars {
                let style = state.map_or(Style::new(), |state| sheet.theme.state(state));
                let text = if text.is_empty() { draw_bar(sheet, y, operation, now) } else { text.clone() };
                sheet.text(7, y, &text, style);
                y += 1;
            }
        }
    }
    if hidden {
        let after = steps.len().saturating_sub(top + shown);
        let before = (top > 0).then(|| format!("{} before these", counted(top as u64, "step", "steps")));
        let after = (after > 0).then(|| format!("{} after these", counted(after as u64, "step", "steps")));
        let words: Vec<String> = before.into_iter().chain(after).collect();
        sheet.text(7, y, &words.join(", "), sheet.theme.dim());
        y += 1;
    }
    y
}

/// Columns of the names: no more than they take, so that what came out has the room.
fn names(steps: &[Step]) -> u16 {
    let longest = steps.iter().map(|step| width(&step.name)).max().unwrap_or(0);
    if longest <= 18 { 18 } else { 26 }
}

fn draw_step(
    sheet: &mut Sheet<'_>,
    y: u16,
    (number, step): (usize, &Step),
    names: u16,
    life: &Life,
    now: Timestamp,
) {
    let gone = *life == Life::Lost;
    let theme = sheet.theme;
    let (symbol, symbol_style, style) = match &step.status {
        StepStatus::Waiting => ("○", theme.dim(), theme.dim()),
        StepStatus::Running { .. } if !gone => ("▶", theme.focus(), theme.strong()),
        StepStatus::Done { .. } => (theme.symbol(State::Ok), theme.state(State::Ok), Style::new()),
        StepStatus::Running { .. } | StepStatus::Stopped => {
            (theme.symbol(State::Failed), theme.state(State::Failed), theme.strong())
        }
    };
    sheet.right(0, y, 3, &(number + 1).to_string(), theme.dim());
    sheet.text(4, y, symbol, symbol_style);
    // Name, duration, what came out: the duration stands in one column.
    sheet.cut(6, y, names, &step.name, style);
    let (time, detail) = match &step.status {
        StepStatus::Running { .. } if gone => ("lost".to_owned(), ""),
        StepStatus::Running { since: from } => (since(*from, now), ""),
        StepStatus::Done { took_ms, detail } => (duration(*took_ms), detail.as_str()),
        StepStatus::Stopped => ("stopped".to_owned(), ""),
        StepStatus::Waiting => return,
    };
    sheet.right(6 + names, y, 8, &time, theme.dim());
    let room = usize::from(sheet.width().saturating_sub(6 + names + 10));
    sheet.text(6 + names + 10, y, &cut_at_word(detail, room), Style::new());
}

/// What is told below the step under way. An empty text stands for the bar itself, which needs the width.
fn bars(operation: &Snapshot, speed: &Speed, now: Timestamp) -> Vec<(String, Option<State>)> {
    let mut lines = match (moving(operation), operation.copy, &operation.replay) {
        (Some(Moving::Copy), Some(copy), _) => {
            vec![(String::new(), None), copy_words(operation, copy, speed)]
        }
        (Some(Moving::Replay), _, Some(replay)) => {
            let mut lines = vec![(String::new(), None), (replayed_words(replay, now), None)];
            lines.extend(time_words(replay));
            lines
        }
        _ => return Vec::new(),
    };
    let old = operation.sampled_at.filter(|at| elapsed(*at, now) > 10_000 && is_at_work(operation));
    if let Some(at) = old {
        lines.push((format!("the last sample is {} old", age(at, now)), Some(State::Late)));
    }
    lines
}

fn is_at_work(operation: &Snapshot) -> bool {
    matches!(operation.life, Life::Starting | Life::Running { .. })
}

/// What the samples are about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moving {
    Copy,
    Replay,
}

/// What moves in the step under way, if its samples are of this step.
fn moving(operation: &Snapshot) -> Option<Moving> {
    let state = &operation.state;
    let (at, _) = state.current()?;
    if let StepStatus::Running { since } = state.steps.get(at)?.status {
        operation.sampled_at.filter(|sampled| *sampled >= since)?;
    }
    let (started, finished) =
        (state.marks.get(&Mark::RestoreStarted), state.marks.get(&Mark::RestoreFinished));
    match (started, finished) {
        (Some(started), Some(finished)) if finished >= started => Some(Moving::Replay),
        // A worker that reports no marks is taken by what it samples.
        (None, _) if operation.replay.is_some() => Some(Moving::Replay),
        _ => Some(Moving::Copy),
    }
}

/// Percent of the work: 100 only once the operation is done.
fn percent(done: u64, total: u64) -> u64 {
    share(done, total, 100).min(99)
}

fn replay_share(replay: &Replay) -> (u64, u64) {
    let (Some(from), Some(at), Some(goal)) = (replay.from, replay.replayed, replay.goal) else {
        return (0, 0);
    };
    (at.0.saturating_sub(from.0), goal.0.saturating_sub(from.0))
}

fn draw_bar(sheet: &mut Sheet<'_>, y: u16, operation: &Snapshot, now: Timestamp) -> String {
    let (done, total, after) = match (moving(operation), operation.copy, &operation.replay) {
        (Some(Moving::Copy), Some(copy), _) => {
            let text = format!("{} of {}", size(copy.bytes_done), size(copy.bytes_total));
            (copy.bytes_done, copy.bytes_total, text)
        }
        (_, _, Some(replay)) => {
            let (done, total) = replay_share(replay);
            let lsn =
                |lsn: Option<crate::base::Lsn>| lsn.map_or_else(|| "?".to_owned(), |lsn| lsn.to_string());
            (done, total, format!("{} of {}", lsn(replay.replayed), lsn(replay.goal)))
        }
        _ => return String::new(),
    };
    let columns = sheet.width().saturating_sub(46).clamp(12, 60);
    let text = bar(columns.into(), done, total);
    let x = sheet.text(7, y, &text, sheet.theme.focus());
    let stopped = if is_at_work(operation) { Style::new() } else { sheet.theme.dim() };
    let x = if total > 0 {
        sheet.right(x, y, 6, &format!("{} %", percent(done, total)), sheet.theme.strong());
        x + 6
    } else {
        let since = operation.sampled_at.map(|at| format!(" {} ago", age(at, now))).unwrap_or_default();
        sheet.text(x, y, &since, sheet.theme.dim())
    };
    sheet.text(x + 2, y, &after, stopped);
    String::new()
}

fn copy_words(operation: &Snapshot, copy: Progress, speed: &Speed) -> (String, Option<State>) {
    let id = operation.spec.id.as_str();
    let files = format!("file {} of {}", count(copy.files_done), count(copy.files_total));
    if !is_at_work(operation) {
        return (files, None);
    }
    let still = speed.still_ms(id);
    if still >= STILL_MS && copy.bytes_done < copy.bytes_total {
        return (format!("{files} · nothing has moved for {}", lasting(still)), Some(State::Late));
    }
    match speed.bytes_per_s(id).filter(|per_s| *per_s > 0) {
        Some(per_s) => {
            let left = copy.bytes_total.saturating_sub(copy.bytes_done).saturating_mul(1000) / per_s;
            (format!("{files} · {} · ready in {}", rate(per_s), lasting(left)), None)
        }
        None => (format!("{files} · the rate is not known yet"), None),
    }
}

fn replayed_words(replay: &Replay, now: Timestamp) -> String {
    let at = replay
        .last_commit
        .map_or_else(|| "no commit replayed yet".to_owned(), |at| format!("replayed to {}", near(at, now)));
    match replay.target {
        Some(target) => format!("{at} · target {}", near(target, now)),
        None => at,
    }
}

fn time_words(replay: &Replay) -> Vec<(String, Option<State>)> {
    if replay.still_ms >= STILL_MS {
        let waits = replay.waits_for.as_deref().map_or_else(
            || "what it waits for is not known".to_owned(),
            |what| format!("it waits for {what}"),
        );
        let late = Some(State::Late);
        return vec![(format!("! nothing has moved for {}", lasting(replay.still_ms)), late), (waits, late)];
    }
    let speed = replay.bytes_per_s.filter(|per_s| *per_s > 0).map(rate);
    let left = replay.left_ms.map(|left| format!("at the target in {}", lasting(left)));
    let words: Vec<String> = speed.into_iter().chain(left).collect();
    let text = if words.is_empty() { "the rate is not known yet".to_owned() } else { words.join(" · ") };
    vec![(text, None)]
}

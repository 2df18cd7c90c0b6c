//! The plan: what would be copied and replayed, what would be lost, what was checked, what would be done.

use super::readiness::Planned;
use crate::base::Timestamp;
use crate::console::model::Model;
use crate::console::screens::paint::{Sheet, count, counted, exactly, flow, since};
use crate::console::theme::State;
use crate::console::widgets::{age, duration, elapsed, lines as wrapped, size};
use crate::model::plan::{Check, CheckState, Loss, RecoverPlan};
use ratatui::style::Style;

/// Draws where planning stands; `scroll` lines of the checks are left out at the top.
pub(super) fn draw(sheet: &mut Sheet<'_>, model: &Model, planned: Planned<'_>, scroll: usize) {
    match planned {
        Planned::Plan(plan) => draw_plan(sheet, plan, model.now, scroll),
        Planned::Nothing => {
            sheet.rule(0, "PLAN", "");
            sheet.text(1, 1, "Enter works out a plan. A plan writes nothing.", Style::new());
        }
        Planned::Another => {
            sheet.rule(0, "PLAN", "");
            let text = "The last plan was for another target and cannot be confirmed. Enter plans this one.";
            sheet.wrapped(1, 1, text, Style::new());
        }
        Planned::Working(from) => {
            sheet.rule(0, "PLAN", "");
            let text = format!("planning for {}", since(from, model.now));
            sheet.text(1, 1, &text, sheet.theme.strong());
            let text =
                "Reading backups, listing WAL and proving that the target is reachable. Nothing is written.";
            sheet.wrapped(1, 2, text, Style::new());
        }
        Planned::Failed(why) => {
            let failed = sheet.theme.state(State::Failed);
            sheet.rule(0, "PLAN", "could not be worked out");
            sheet.text(1, 1, sheet.theme.symbol(State::Failed), failed);
            let mut y = 1;
            for line in why.lines() {
                y += sheet.below(y).wrapped(3, 0, line, Style::new());
            }
        }
    }
}

/// Says that there is a plan, below the form.
pub(super) fn in_short(sheet: &mut Sheet<'_>, plan: &RecoverPlan) {
    let state = if plan.can_start() { State::Ok } else { State::Failed };
    let words = if plan.can_start() {
        "the plan for this target is ready"
    } else {
        "the plan for this target cannot start"
    };
    sheet.rule(0, "PLAN", "");
    let sign = (sheet.theme.symbol(state), sheet.theme.state(state));
    sheet.said(1, sign, &format!("{words}: Enter shows it"), Style::new());
}

/// True unless it is known that nothing is given up.
pub(super) fn gives_up(loss: &Loss) -> bool {
    *loss != Loss::Nothing
}

fn draw_plan(sheet: &mut Sheet<'_>, plan: &RecoverPlan, now: Timestamp, scroll: usize) {
    let digest: String = plan.digest.chars().take(8).collect();
    let refused = if plan.can_start() { "" } else { ", cannot start" };
    sheet.rule(0, "PLAN", &format!("{digest}{refused}"));
    let mut y = 1;
    if let Some(check) = plan.checks.iter().find(|check| check.state == CheckState::Fail) {
        y += draw_check(&mut sheet.below(y), check);
    }
    for (name, text, state) in numbers(plan, now) {
        let theme = sheet.theme;
        sheet.text(1, y, name, theme.dim());
        let style = if state == State::Ok { Style::new() } else { theme.state(state) };
        y += sheet.below(y).wrapped(10, 0, &text, style).max(1);
    }
    let steps = steps(plan, sheet.width().saturating_sub(2));
    let below = u16::try_from(steps.len()).unwrap_or(u16::MAX).saturating_add(1);
    let room = sheet.height().saturating_sub(y).saturating_sub(below);
    draw_checks(&mut sheet.part(0, y, u16::MAX, room), plan, scroll);
    let taken = room.min(check_lines(plan, sheet.width()).saturating_add(1));
    y = y.saturating_add(taken);
    sheet.rule(y, "WILL DO", "");
    for line in steps {
        y = y.saturating_add(1);
        sheet.text(1, y, &line, Style::new());
    }
}

fn numbers(plan: &RecoverPlan, now: Timestamp) -> Vec<(&'static str, String, State)> {
    let ok = State::Ok;
    let mut lines = Vec::new();
    let ago = plan.target_at.map(|at| format!(", {} ago", age(at, now))).unwrap_or_default();
    lines.push(("target", format!("{}{ago}", plan.target), ok));
    if plan.request.targets.len() > 1 {
        let earlier = plan.request.targets.len() as u64 - 1;
        let text = format!(
            "{} if the check finds the damage in it",
            counted(earlier, "earlier moment", "earlier moments")
        );
        lines.push(("then", text, ok));
    }
    let before = plan.set_stop.zip(plan.target_at).map(|(stop, at)| duration(elapsed(stop, at)));
    let before = before.map(|span| format!(", {span} before the target")).unwrap_or_default();
    let repo = plan.repo.map(|repo| format!(" in repo{repo}")).unwrap_or_default();
    match &plan.set {
        Some(set) => lines.push(("set", format!("{set}{repo}{before}"), ok)),
        None => lines.push(("set", "none fits".to_owned(), State::Failed)),
    }
    lines.push((
        "copy",
        format!(
            "{}, {}, beside {}",
            size(plan.copy_bytes),
            counted(plan.copy_files, "file", "files"),
            plan.data_dir.display()
        ),
        ok,
    ));
    let timeline = plan.timeline.map(|timeline| format!(", timeline {timeline}")).unwrap_or_default();
    let segments = counted(plan.replay_segments, "segment", "segments");
    lines.push(("replay", format!("{} of WAL, {segments}{timeline}", size(plan.replay_bytes)), ok));
    for (path, needed, free) in &plan.space {
        let state = if needed > free { State::Failed } else { ok };
        lines.push((
            "needs",
            format!("{} of {} free on {}", size(*needed), size(*free), path.display()),
            state,
        ));
    }
    lines.push(("forecast", forecast(plan, now), ok));
    if let Some(at) = plan.last_commit {
        lines.push(("keeps", format!("everything up to the commit of {}", exactly(at)), ok));
    }
    let loss = plan.loss();
    let state = if gives_up(&loss) { State::Late } else { ok };
    lines.push(("loses", loss.to_string(), state));
    lines
}

/// How long it will take, and from what that is known.
fn forecast(plan: &RecoverPlan, now: Timestamp) -> String {
    match &plan.forecast {
        Some(forecast) => {
            format!("{}, {}, newest {} ago", forecast.total, forecast.basis(), age(forecast.newest, now))
        }
        None => "none: no recovery was measured here yet".to_owned(),
    }
}

/// The checks, the worst first; the first failing one already stands above the plan.
fn ordered(plan: &RecoverPlan) -> Vec<&Check> {
    let rank = |check: &&Check| match check.state {
        CheckState::Fail => 0,
        CheckState::Unknown => 1,
        CheckState::Warn => 2,
        CheckState::Ok => 3,
    };
    let mut checks: Vec<&Check> = plan.checks.iter().collect();
    checks.sort_by_key(rank);
    if !plan.can_start() {
        checks.remove(0);
    }
    checks
}

fn check_lines(plan: &RecoverPlan, width: u16) -> u16 {
    let room = usize::from(width.saturating_sub(3)).max(1);
    let lines: usize = ordered(plan).iter().map(|check| wrapped(&check.text, room).len().max(1)).sum();
    u16::try_from(lines).unwrap_or(u16::MAX)
}

fn draw_checks(sheet: &mut Sheet<'_>, plan: &RecoverPlan, scroll: usize) {
    let of = |state: CheckState| plan.checks.iter().filter(|check| check.state == state).count() as u64;
    let mut words = vec![format!("{} hold", count(of(CheckState::Ok)))];
    for (state, word) in
        [(CheckState::Warn, "to know"), (CheckState::Unknown, "unknown"), (CheckState::Fail, "failed")]
    {
        if of(state) > 0 {
            words.push(format!("{} {word}", of(state)));
        }
    }
    let checks = ordered(plan);
    let scroll = scroll.min(checks.len().saturating_sub(1));
    let fits = check_lines(plan, sheet.width()) < sheet.height();
    if !fits {
        words.push(format!("from {} of {}, arrows scroll", scroll + 1, checks.len()));
    }
    sheet.rule(0, "CHECKS", &words.join(", "));
    let mut y = 1;
    for check in checks.into_iter().skip(if fits { 0 } else { scroll }) {
        y += draw_check(&mut sheet.below(y), check);
    }
}

fn draw_check(sheet: &mut Sheet<'_>, check: &Check) -> u16 {
    let state = State::from(check.state);
    let style = sheet.theme.state(state);
    let plain = if state == State::Failed { style } else { Style::new() };
    sheet.said(0, (sheet.theme.symbol(state), style), &check.text, plain)
}

/// The steps in numbered lines of at most `width` columns.
fn steps(plan: &RecoverPlan, width: u16) -> Vec<String> {
    let steps: Vec<String> =
        plan.steps.iter().enumerate().map(|(at, step)| format!("{} {step}", at + 1)).collect();
    flow(&steps, "  ", width.into())
}

//! The one sentence, and what to do now.

use super::cluster::{APPLICATION, known, last_right, primaries, wrong};
use super::protection::loss_us;
use super::{Line, State, Suggestion, Window, clock, span};
use crate::base::Timestamp;
use crate::model::board::{Board, Member, Operation};
use crate::model::op::Life;

const NAME: &str = "cluster";

pub(super) fn headline(
    board: &Board,
    cluster: &[Line],
    protection: &[Line],
    window: Option<&Window>,
    now: Timestamp,
) -> Line {
    if board.identity.stanza.is_none() {
        return Line::new(State::Unknown, NAME, nothing_configured(board)).next("see the lines below");
    }
    // While a recovery is at it, the state of the servers is its doing.
    if let Some(line) = board.operations.iter().find_map(at_work) {
        return line;
    }
    let lost = loss(window, now);
    let primaries = primaries(board, now);
    if let Some(application) = damaged(board, now).filter(|_| !primaries.is_empty()) {
        let line = Line::new(State::Failed, APPLICATION, wrong(application, now));
        let reach = last_right(application).zip(window);
        return line.next(match reach {
            Some((right, window)) if window.from <= right && window.missing == 0 => {
                format!("the repository reaches back to it: recover to {}", clock(right, now))
            }
            Some(_) | None => {
                "nothing shows yet that a recovery reaches back to when it was right".to_owned()
            }
        });
    }
    if primaries.len() > 1 {
        let names: Vec<&str> = primaries.iter().map(|member| member.name.as_str()).collect();
        return Line::new(State::Failed, NAME, format!("two servers take writes: {}", names.join(" and ")))
            .next("stop the one that is not served");
    }
    if primaries.is_empty() {
        return nobody_writes(board, cluster, &lost, now);
    }
    let worst = protection.iter().chain(cluster).max_by_key(|line| line.state);
    match worst {
        Some(line) if line.state > State::Ok => {
            let text = format!("the primary is alive, but {}: {}; {lost}", line.name, line.text);
            let shown = Line::new(line.state, NAME, text);
            Line { next: line.next.clone(), ..shown }
        }
        _ if board.repositories.is_empty() => {
            Line::new(State::Failed, NAME, "alive, but no repository protects it")
                .next("configure repo1-path")
        }
        _ => Line::new(State::Ok, NAME, format!("alive and protected; {lost}")),
    }
}

/// An operation that is under way or was lost; nothing of one that is over.
fn at_work(operation: &Operation) -> Option<Line> {
    let step = operation.step.as_deref().unwrap_or("before its first step");
    let (state, text, next) = match operation.life {
        Life::Lost => {
            (State::Failed, format!("an operation lost its worker in {step}"), "o opens it, R resumes it")
        }
        Life::Running { .. } if operation.asks => {
            (State::Late, format!("an operation waits for your answer in {step}"), "o opens it")
        }
        Life::Starting | Life::Running { .. } => {
            (State::Late, format!("an operation is at work: {step}"), "o opens it")
        }
        Life::Ended | Life::Unknown { .. } => return None,
    };
    Some(Line::new(state, "operation", text).next(next))
}

fn nothing_configured(board: &Board) -> String {
    match board.identity.stanzas.as_slice() {
        [] => "no cluster is configured".to_owned(),
        several => format!("there are several stanzas, choose one by --stanza: {}", several.join(", ")),
    }
}

/// How much would be lost.
fn loss(window: Option<&Window>, now: Timestamp) -> String {
    match (window, loss_us(window, now)) {
        (Some(window), _) if window.missing > 0 => {
            format!("a loss now costs more than the last {}", span(now.0 - window.to.0))
        }
        (_, Some(lost)) => format!("a loss now costs the last {}", span(lost)),
        _ => "what a loss would cost is not known".to_owned(),
    }
}

/// The application, where its check was seen to be wrong.
fn damaged(board: &Board, now: Timestamp) -> Option<&crate::model::board::Application> {
    let fact = board.application.as_ref()?;
    let fresh = super::age_s(fact, now) <= super::SERVER_STALE_S;
    fact.value().filter(|application| fresh && !application.right)
}

fn nobody_writes(board: &Board, cluster: &[Line], lost: &str, now: Timestamp) -> Line {
    let servers = || cluster.iter().filter(|line| line.name != APPLICATION);
    let Some(worst) = servers().max_by_key(|line| line.state) else {
        return Line::new(State::Unknown, NAME, format!("no server is configured; {lost}"))
            .next("set pg1-path");
    };
    let pending = |member: &Member| super::may_still_come(&member.server, now);
    if worst.state == State::Unknown && board.members.iter().any(pending) {
        return Line::new(State::Unknown, NAME, format!("no server has answered yet; {lost}"));
    }
    let down = format!("{} {}", worst.name, worst.text);
    if let Some(standby) = best_standby(board, now) {
        let text = format!("no server takes writes: {down}");
        let at = known(standby, now).and_then(|facts| facts.lsn).map(|lsn| format!(" (at {lsn})"));
        let next = format!(
            "{}{} answers: promote it if it is complete and right",
            standby.name,
            at.unwrap_or_default()
        );
        return Line::new(State::Failed, NAME, text).next(next);
    }
    let state = if worst.state == State::Failed { State::Failed } else { State::Unknown };
    let what =
        if state == State::Failed { "no server takes writes" } else { "no server was seen to take writes" };
    let shown = Line::new(state, NAME, format!("{what}: {down}; {lost}"));
    Line { next: worst.next.clone(), ..shown }
}

/// The standby that answers and has the most.
fn best_standby(board: &Board, now: Timestamp) -> Option<&Member> {
    let answers = board.members.iter().filter(|member| known(member, now).is_some_and(|f| f.in_recovery));
    answers.max_by_key(|member| known(member, now).and_then(|facts| facts.lsn))
}

pub(super) fn suggestions(board: &Board, headline: &Line, now: Timestamp) -> Vec<Suggestion> {
    let mut all = Vec::new();
    let mut add = |key, text: String| all.push(Suggestion { key, text });
    for operation in &board.operations {
        match &operation.life {
            Life::Running { .. } if operation.asks => {
                add("o", format!("{} waits for your answer", operation.summary));
            }
            Life::Starting | Life::Running { .. } => add("o", format!("{} is under way", operation.summary)),
            Life::Lost => add("o", format!("{} lost its worker: resume it", operation.summary)),
            Life::Ended | Life::Unknown { .. } => {}
        }
    }
    // What is being recovered needs no second plan.
    let busy = board.operations.iter().any(|operation| at_work(operation).is_some());
    let broken = headline.state == State::Failed && board.identity.stanza.is_some() && !busy;
    if broken && board.incident.is_none() {
        add("i", "declare the incident: the clock runs".to_owned());
    }
    if board.incident.as_ref().is_some_and(|open| open.service_back_at.is_none()) {
        add("R", "go on with the runbook, where the incident is".to_owned());
    }
    if let Some(application) = damaged(board, now).filter(|_| !busy) {
        let to =
            last_right(application).map(|right| format!(" to {}", clock(right, now))).unwrap_or_default();
        add("t", format!("plan the recovery{to}"));
    } else if broken {
        add("t", "choose a target and plan the recovery".to_owned());
    }
    if let Some(back) = board.incident.as_ref().and_then(|incident| incident.service_back_at) {
        let since = clock(back, now);
        add(
            ":close",
            if broken {
                format!("close the incident whose service was back at {since}: this trouble is another one")
            } else {
                format!("close the incident: service has been back since {since}")
            },
        );
    }
    if board.incident.is_some() {
        add("J", "read the journal of the incident".to_owned());
    }
    if board.identity.stanza.is_some() {
        add("b", "look at the backups".to_owned());
        add("w", "look at the WAL".to_owned());
    }
    all
}

//! Telling people: how that stands, sending what was shown, and what waits, tried again and again while an incident is
//! open. A channel that is down holds up nobody but the thread it is tried on.

use super::tools::Tools;
use crate::base::{Result, Timestamp};
use crate::console::input::Input;
use crate::incident::comms::{Delivered, Queued, Route, Status};
use crate::incident::{Audience, IncidentView};
use std::time::{Duration, Instant};

/// How often is looked how it stands.
const LOOK: Duration = Duration::from_secs(1);
/// How often is looked whether the time of something that waits has come: 30 s after its first failure, then ever later.
const AGAIN: Duration = Duration::from_secs(5);
/// No sleep is longer: the console is left at once.
const NAP: Duration = Duration::from_millis(250);

/// Tells how it stands in an incident whenever that changes, until nobody wants it any more.
pub(super) fn follow(tools: &Tools, id: &str, current: impl Fn() -> bool) {
    let mut last: Option<Result<Status>> = None;
    while current() && !tools.stopped() {
        let now = status(tools, id);
        if last.as_ref() != Some(&now) {
            tools.tell(Input::Talk(now.clone().map(Box::new)));
            last = Some(now);
        }
        std::thread::sleep(LOOK);
    }
}

fn status(tools: &Tools, id: &str) -> Result<Status> {
    let incidents = tools.incidents()?;
    let view = incidents.view(id)?;
    incidents.talk(&view, &tools.setup.site.of(&view.stanza), &routes(tools, &view))
}

fn routes(tools: &Tools, view: &IncidentView) -> Vec<Route> {
    Route::of_site(&tools.setup.site.of(&view.stanza), &tools.setup.word)
}

/// Sends a message by every channel of its audience; what came of it, in a sentence.
pub(super) fn send(tools: &Tools, id: &str, audience: Audience, text: &str) -> Result<String> {
    let incidents = tools.incidents()?;
    let view = incidents.view(id)?;
    let routes = routes(tools, &view);
    incidents.queue_for(&view, &tools.setup.actor, (audience, text), &routes)?;
    tools.tell(Input::Talk(status(tools, id).map(Box::new)));
    Ok(said(&flush(tools, id, false)?))
}

/// Sends what waits in an incident; what came of it, in a sentence.
pub(super) fn flush_now(tools: &Tools, id: &str) -> Result<String> {
    flush(tools, id, true).map(|delivered| said(&delivered))
}

fn flush(tools: &Tools, id: &str, at_once: bool) -> Result<Delivered> {
    let incidents = tools.incidents()?;
    let view = incidents.view(id)?;
    let delivered = incidents.flush(id, &tools.setup.actor, &routes(tools, &view), at_once)?;
    tools.tell(Input::Talk(status(tools, id).map(Box::new)));
    Ok(delivered)
}

fn said(delivered: &Delivered) -> String {
    let names = |sent: bool| {
        let outcomes = delivered.outcomes.iter().filter(|outcome| outcome.sent == sent);
        let mut names: Vec<&str> = outcomes.map(|outcome| outcome.channel.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names.join(", ")
    };
    let (sent, waits) = (names(true), names(false));
    let mut parts = Vec::new();
    if !sent.is_empty() {
        parts.push(format!("sent by {sent}"));
    }
    if !waits.is_empty() {
        parts.push(format!("queued for {waits}, tried again by itself"));
    }
    parts.extend(delivered.troubles.iter().cloned());
    if parts.is_empty() { "nothing is to be sent now".to_owned() } else { parts.join("; ") }
}

/// Tries what waits again and again while an incident of the stanza is open and the console is.
///
/// A read-only console sends nothing. What is sent here is told; why something is not stands on the screen and in the
/// journal, and is told as a failure only where the queue itself cannot be used, once per reason.
pub(super) fn outbox(tools: &Tools, go_on: &dyn Fn() -> bool) {
    let mut told = None;
    let mut next = Instant::now();
    while go_on() {
        if Instant::now() < next {
            std::thread::sleep(NAP);
            continue;
        }
        match again(tools) {
            Ok(Some(said)) => tools.tell(Input::Said(Ok(said))),
            Ok(None) => told = None,
            Err(report) if told.as_ref() != Some(&report) => {
                tools.tell(Input::Said(Err(report.clone())));
                told = Some(report);
            }
            Err(_) => {}
        }
        next = Instant::now() + AGAIN;
    }
}

/// One try; what was sent by it.
fn again(tools: &Tools) -> Result<Option<String>> {
    // Without a stanza or a place for incidents there is nothing that could wait.
    let (Ok(stanza), Ok(incidents)) = (tools.stanza(), tools.incidents()) else { return Ok(None) };
    // Whoever reads the incidents tells that they cannot be read.
    let Ok(Some(open)) = incidents.open_one(&stanza) else { return Ok(None) };
    let now = Timestamp::now();
    let is_due = |queued: &Queued| {
        queued.channels.iter().any(|channel| channel.is_open() && channel.not_before <= now)
    };
    if !incidents.messages(&open.id)?.0.iter().any(is_due) {
        return Ok(None);
    }
    let delivered = flush(tools, &open.id, false)?;
    let sent = delivered.outcomes.iter().any(|outcome| outcome.sent) || !delivered.troubles.is_empty();
    Ok(sent.then(|| said(&delivered)))
}

//! Following an operation from a terminal: what happens is told until it ends, and leaving it changes nothing.
//!
//! Finished steps, warnings and questions are lines of standard output; where it stands now is one line on a terminal
//! that is rewritten. With `--output=json` only the end is told.

use super::output::{self, Output};
use super::progress::{self, Rewritten};
use super::{Call, operation};
use crate::base::state::OpId;
use crate::base::{Bytes, Report, Result};
use crate::model::op::{Life, OpState, Outcome, Replay, Snapshot, Step, StepStatus};
use crate::recovery::supervisor::Supervisor;
use signal_hook::consts::SIGINT;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(100);
/// How often the line on a terminal is rewritten.
const REWRITE_EVERY: Duration = Duration::from_millis(250);
/// Exit code of a command that was left by Ctrl-C: the operation has none yet.
const LEFT: u8 = 130;

/// Tells what happens in an operation until it ends; its exit code, or its failure. Ctrl-C leaves it running.
pub(super) fn follow(call: &Call, supervisor: &Supervisor, id: &OpId) -> Result<u8> {
    let leave = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGINT, Arc::clone(&leave))
        .map_err(|error| Report::failed(format!("cannot listen for Ctrl-C: {error}")))?;
    let mut follower = supervisor.follow(id)?;
    let mut told = Told::new(call);
    loop {
        let snapshot = follower.poll()?;
        told.tell(&snapshot)?;
        match &snapshot.life {
            Life::Ended => return ended(call, &snapshot),
            Life::Lost => return Err(lost(supervisor, &snapshot)),
            Life::Unknown { why } => {
                return Err(Report::failed(format!("it cannot be told whether {id} runs: {why}"))
                    .hint("attach as the user it runs as"));
            }
            Life::Starting | Life::Running { .. } if leave.load(Ordering::Acquire) => {
                told.clear();
                output::to_stderr(&format!("the recovery goes on; pgmayday attach {id} returns here"));
                return Ok(LEFT);
            }
            Life::Starting | Life::Running { .. } => std::thread::sleep(LOOK),
        }
    }
}

/// The end of an operation as the end of this command.
fn ended(call: &Call, snapshot: &Snapshot) -> Result<u8> {
    let Some((_, outcome)) = &snapshot.state.ended else { return Ok(0) };
    match (outcome, call.output) {
        (_, Output::Json) if outcome.is_done() => output::json("operation", snapshot).map(|()| 0),
        (Outcome::Done { lines }, _) => {
            let lines: Vec<String> = lines.iter().cloned().chain(snapshot.against_forecast()).collect();
            output::text(&lines.join("\n")).map(|()| 0)
        }
        (failed @ Outcome::Failed { .. }, _) => Err(failed
            .report()
            .unwrap_or_else(|| Report::failed("the operation failed"))
            .hint(format!("`pgmayday attach {} --resume` goes on from where it stopped", snapshot.spec.id))),
    }
}

/// A worker that is gone: where it was, and how to go on.
pub(super) fn lost(supervisor: &Supervisor, snapshot: &Snapshot) -> Report {
    let id = &snapshot.spec.id;
    let done = |step: &&Step| matches!(step.status, StepStatus::Done { .. });
    let place = match (place(&snapshot.state), snapshot.state.steps.iter().rfind(done)) {
        (Some((number, of, name)), _) => format!("in step {number} of {of}, {name}"),
        (None, Some(last)) => format!("after the step {}", last.name),
        (None, None) => "before its first step".to_owned(),
    };
    let printed = supervisor.log_file(id);
    let printed = printed.display();
    Report::failed(format!("the worker of {id} is gone, {place}; what it printed is in {printed}"))
        .hint(format!("pgmayday attach {id} --resume"))
}

/// The step under way: its number from 1, how many there are, its name.
fn place(state: &OpState) -> Option<(usize, usize, &str)> {
    state.current().map(|(at, name)| (at + 1, state.steps.len(), name))
}

/// What was told so far.
struct Told {
    text: bool,
    /// Only where a line can be rewritten, and when it was.
    line: Option<(Rewritten, Option<Instant>)>,
    attempt: u32,
    warnings: usize,
    steps: Vec<String>,
    asked: bool,
    stopping: bool,
}

impl Told {
    fn new(call: &Call) -> Self {
        Self {
            text: call.output == Output::Text,
            line: progress::on_terminal(call.console).then(|| (Rewritten::default(), None)),
            attempt: 0,
            warnings: 0,
            steps: Vec::new(),
            asked: false,
            stopping: false,
        }
    }

    /// Tells what is new.
    fn tell(&mut self, snapshot: &Snapshot) -> Result<()> {
        if !self.text {
            return Ok(());
        }
        let news = self.news(snapshot);
        if !news.is_empty() {
            self.clear();
            output::text(&news)?;
        }
        if !matches!(snapshot.life, Life::Starting | Life::Running { .. }) {
            self.clear();
        } else if let Some((line, at)) = &mut self.line
            && at.is_none_or(|at| at.elapsed() >= REWRITE_EVERY)
        {
            *at = Some(Instant::now());
            line.show(&now(snapshot));
        }
        Ok(())
    }

    /// Makes room for other text.
    fn clear(&mut self) {
        if let Some((line, at)) = &mut self.line {
            line.clear();
            *at = None;
        }
    }

    /// Lines about what has happened since the last time.
    fn news(&mut self, snapshot: &Snapshot) -> String {
        let state = &snapshot.state;
        let mut out = String::new();
        let mut line = |text: &str| {
            let _infallible = writeln!(out, "{text}");
        };
        if state.attempt != self.attempt {
            line(&begun(snapshot));
            self.attempt = state.attempt;
            self.asked = false;
            self.stopping = false;
        }
        for (_, warning) in state.warnings.iter().skip(self.warnings) {
            line(&format!("warning: {warning}"));
        }
        self.warnings = self.warnings.max(state.warnings.len());
        for (number, step) in state.steps.iter().enumerate() {
            let StepStatus::Done { took_ms, detail } = &step.status else { continue };
            if !self.steps.contains(&step.name) {
                let done = progress::done(&step.name, *took_ms, detail);
                line(&format!("{}/{} {done}", number + 1, state.steps.len()));
                self.steps.push(step.name.clone());
            }
        }
        // A resumed operation may do a step again.
        let done = |name: &String| {
            state
                .steps
                .iter()
                .any(|step| step.name == *name && matches!(step.status, StepStatus::Done { .. }))
        };
        self.steps.retain(done);
        if state.cancel_requested && !self.stopping {
            line("it was asked to stop; it ends at the next safe point");
        }
        self.stopping = state.cancel_requested;
        if let Some(question) = state.question.as_ref().filter(|_| !self.asked) {
            let id = &snapshot.spec.id;
            line(&format!("question: {}", question.text));
            question.evidence.iter().for_each(|evidence| line(&format!("  {evidence}")));
            line(&format!(
                "answer with\n  pgmayday attach {id} --answer=right\nor\n  pgmayday attach {id} --answer=damaged"
            ));
        }
        self.asked = state.question.is_some();
        out
    }
}

/// The line that says what is begun.
fn begun(snapshot: &Snapshot) -> String {
    let spec = &snapshot.spec;
    let attempt = match snapshot.state.attempt {
        1 => String::new(),
        number => format!(" (attempt {number})"),
    };
    format!("{}: {}{attempt}", spec.id, spec.summary)
}

/// Where it stands, in one line.
fn now(snapshot: &Snapshot) -> String {
    let state = &snapshot.state;
    if state.question.is_some() {
        return "waiting for the answer".to_owned();
    }
    let Some((number, of, name)) = place(state) else { return "starting".to_owned() };
    let mut line = format!("{number}/{of} {name}");
    // What was sampled last belongs to whichever step samples it.
    match (&snapshot.copy, &snapshot.replay) {
        (_, Some(replay)) if name.contains("replay") => line.push_str(&replayed(replay)),
        (Some(copy), _) if name.contains("copy") || name.contains("restore") => {
            line.push_str("  ");
            line.push_str(&progress::in_words(*copy));
        }
        _ => {}
    }
    line
}

/// Where the replay stands.
fn replayed(replay: &Replay) -> String {
    let mut text = String::new();
    let mut add = |part: String| {
        text.push_str("  ");
        text.push_str(&part);
    };
    match (replay.replayed, replay.goal) {
        (Some(at), Some(goal)) => add(format!("{at} of {goal}")),
        (Some(at), None) => add(at.to_string()),
        _ => {}
    }
    if let Some(commit) = replay.last_commit {
        add(format!("last commit {commit}"));
    }
    if let Some(speed) = replay.bytes_per_s {
        add(format!("{}/s", Bytes(speed)));
    }
    match &replay.waits_for {
        Some(what) => add(format!("waits for {what}")),
        None if replay.still_ms >= 5000 => add(format!("nothing has moved for {} s", replay.still_ms / 1000)),
        None => {}
    }
    text
}

/// All operations, one line each.
pub(super) fn table(snapshots: &[Snapshot]) -> String {
    let mut out = String::new();
    for snapshot in snapshots {
        let life = match (&snapshot.life, &snapshot.state.ended) {
            (Life::Starting, _) => "starting",
            (Life::Running { .. }, _) if snapshot.state.question.is_some() => "asks",
            (Life::Running { .. }, _) => "running",
            (Life::Unknown { .. }, _) => "unknown",
            (Life::Ended, Some((_, Outcome::Failed { kind, .. }))) => kind.as_str(),
            (Life::Ended, _) => "done",
            (Life::Lost, _) => "lost",
        };
        let at = match place(&snapshot.state).filter(|_| snapshot.life != Life::Ended) {
            Some((number, of, name)) => format!("  [{number}/{of} {name}]"),
            None => String::new(),
        };
        let _infallible = writeln!(out, "{}  {life:<9} {}{at}", snapshot.spec.id, snapshot.spec.summary);
    }
    out
}

/// What is printed of all operations.
#[derive(serde::Serialize)]
pub(super) struct Operations<'a> {
    /// Newest first.
    pub(super) operations: &'a [Snapshot],
    /// Those that cannot be read, and why.
    pub(super) unreadable: &'a [String],
}

/// Prints all operations.
pub(super) fn list(call: &Call, supervisor: &Supervisor) -> Result<()> {
    let (operations, unreadable) = supervisor.list()?;
    if call.output == Output::Json {
        return output::json("operations", &Operations { operations: &operations, unreadable: &unreadable });
    }
    for text in &unreadable {
        call.console.warn(text);
    }
    if operations.is_empty() {
        return output::text("there are no operations");
    }
    output::text(&table(&operations))
}

/// Starts a worker again and follows it.
pub(super) fn resume(call: &Call, supervisor: &Supervisor, id: &OpId) -> Result<u8> {
    operation::may_start(&super::site::site(call)?)?;
    supervisor.resume(id)?;
    operation::taken_up(supervisor, id)?;
    follow(call, supervisor, id)
}

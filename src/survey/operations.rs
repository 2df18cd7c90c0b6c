//! Looking at the operations of the state directory: those at work, those left alone, those that ended lately.

use crate::base::Timestamp;
use crate::base::state::StateDir;
use crate::model::board::Operation;
use crate::model::op::{Life, Outcome, Snapshot};
use crate::recovery::supervisor::Supervisor;

/// This program, as a worker would be started; nothing is started here.
const PROGRAM: &str = "/proc/self/exe";
/// How long an ended operation is shown, microseconds.
const SHOWN_US: i64 = 24 * 3_600_000_000;
/// How many are shown.
const MOST: usize = 20;

pub(super) fn look(state: &StateDir, stanza: Option<&str>, now: Timestamp) -> (Vec<Operation>, Vec<String>) {
    match Supervisor::new(state.clone(), PROGRAM).list() {
        Ok((snapshots, troubles)) => {
            let of_stanza = |snapshot: &&Snapshot| stanza.is_none_or(|stanza| snapshot.spec.stanza == stanza);
            let shown = snapshots.iter().filter(of_stanza).filter(|snapshot| is_shown(snapshot, now));
            (shown.take(MOST).map(operation).collect(), troubles)
        }
        Err(report) => (Vec::new(), vec![report.headline]),
    }
}

fn is_shown(snapshot: &Snapshot, now: Timestamp) -> bool {
    match (&snapshot.life, &snapshot.state.ended) {
        (Life::Ended, Some((at, _))) => now.0.saturating_sub(at.0) < SHOWN_US,
        _ => true,
    }
}

fn operation(snapshot: &Snapshot) -> Operation {
    let state = &snapshot.state;
    let ended = state.ended.as_ref().map(|(_, outcome)| match outcome {
        Outcome::Done { lines } => lines.first().cloned().unwrap_or_else(|| "done".to_owned()),
        Outcome::Failed { headline, .. } => headline.clone(),
    });
    Operation {
        id: snapshot.spec.id.to_string(),
        summary: snapshot.spec.summary.clone(),
        life: snapshot.life.clone(),
        step: state.current().map(|(at, name)| format!("step {} of {}, {name}", at + 1, state.steps.len())),
        started_at: state.started_at,
        ended,
        done: state.ended.as_ref().is_some_and(|(_, outcome)| outcome.is_done()),
        // A question whose worker is gone waits for another worker, not for an answer.
        asks: state.question.is_some() && matches!(snapshot.life, Life::Running { .. }),
    }
}

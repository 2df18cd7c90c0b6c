//! Waiting for a server to come to a state, as long as it is alive and not longer.

use super::{Observation, Pause, Phase, Server};
use crate::cluster::ClusterError;
use crate::cluster::activity::Startup;
use crate::cluster::pace::{Pace, Watch};
use crate::model::op::Cancel;
use std::time::{Duration, Instant};

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The data is consistent: replaying beyond consistency, paused, or taking writes.
    Consistent,
    /// Sessions can read.
    Readable,
    /// Recovery is over or waits at its end: paused, taking writes, or shut down by its target action.
    TargetReached,
    /// The server takes writes.
    Writable,
}

impl Until {
    fn holds(self, phase: &Phase) -> bool {
        match phase {
            Phase::Primary => true,
            Phase::Paused(_) => self != Self::Writable,
            Phase::Replaying { consistent, readable } => match self {
                Self::Consistent => *consistent,
                Self::Readable => *readable,
                Self::TargetReached | Self::Writable => false,
            },
            _ => false,
        }
    }

    fn what(self) -> &'static str {
        match self {
            Self::Consistent => "the wait for consistent data",
            Self::Readable => "the wait for the server to accept reads",
            Self::TargetReached => "the replay to the target",
            Self::Writable => "the wait for the server to accept writes",
        }
    }
}

/// How long nothing may move before a wait gives up. Slow is not stuck: only stillness counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// The longest stillness.
    pub still: Duration,
}

impl Default for Patience {
    /// Five minutes: longer than any retry of a store, shorter than anybody waits without looking.
    fn default() -> Self {
        Self { still: Duration::from_secs(300) }
    }
}

impl Server {
    /// Waits until the server is in the state asked for, reporting every look with its pace.
    ///
    /// Fails as soon as the server ends, when nothing has moved for as long as there is patience, or when the
    /// operator cancels; in the last two cases the server is left as it is.
    pub fn wait(
        &mut self,
        until: Until,
        patience: Patience,
        cancel: &Cancel,
        report: &mut dyn FnMut(&Observation, Pace),
    ) -> Result<Observation, ClusterError> {
        let mut watch = Watch::new(Instant::now());
        let mut pause = Duration::from_millis(20);
        loop {
            if cancel.requested() {
                return Err(ClusterError::Cancelled);
            }
            let seen = self.observe()?;
            let pace = watch.judge(&seen.signs, seen.at);
            report(&seen, pace);
            match &seen.phase {
                // Resuming would stop the server: this is no place to wait, nor the target.
                Phase::Paused(Pause::Limits(words))
                    if until != Until::Consistent && until != Until::Readable =>
                {
                    return Err(limits_too_low(until, words));
                }
                phase if until.holds(phase) => return Ok(seen),
                Phase::Failed => return Err(ClusterError::Server(Box::new(self.failure()))),
                Phase::Ended if until == Until::TargetReached && self.log.facts().shut_down_at_target => {
                    return Ok(seen);
                }
                Phase::Ended => {
                    let why = "the server was stopped before that".to_owned();
                    return Err(ClusterError::WrongState { what: until.what(), why });
                }
                // A promotion asked for takes a moment to be heard.
                Phase::Paused(why) if !self.promoting => {
                    let why = format!("replay is paused: {why}");
                    return Err(ClusterError::WrongState { what: until.what(), why });
                }
                _ => {}
            }
            if let Pace::Standing { still } = pace
                && still >= patience.still
            {
                return Err(ClusterError::Stuck {
                    what: until.what().to_owned(),
                    standing_s: still.as_secs(),
                    why: self.reason_for_stillness(&seen),
                });
            }
            std::thread::sleep(pause);
            pause = (pause * 3 / 2).min(Duration::from_millis(250));
        }
    }

    fn reason_for_stillness(&self, seen: &Observation) -> String {
        if let Some(problem) = &seen.sql_problem {
            return format!("it runs but refuses sessions: {problem}");
        }
        if let Phase::Paused(why) = &seen.phase {
            return format!("replay is still paused: {why}");
        }
        match (&seen.waits_for, self.pid) {
            (Some(waits), _) => format!("replay waits for {waits}"),
            (None, Some(pid)) => self.what_it_does(pid),
            (None, None) => "the process is not known".to_owned(),
        }
    }

    /// What can be seen of a server's work from outside.
    pub(super) fn what_it_does(&self, pid: u32) -> String {
        match Startup::of(pid) {
            Some(Startup { helper: Some((helper, title)), .. }) => {
                format!("its startup process waits for process {helper}: {title}")
            }
            Some(Startup { segment: Some(segment), .. }) => format!("its startup process is at {segment}"),
            Some(_) => "its startup process is busy".to_owned(),
            None => {
                let last = self.log.facts().complaints.last();
                last.map_or_else(
                    || "its log does not say why".to_owned(),
                    |c| format!("its log last said: {}", c.message),
                )
            }
        }
    }
}

fn limits_too_low(until: Until, words: &str) -> ClusterError {
    let why = format!(
        "replay has paused: {words}; stop the server and start it with limits at least as large as pg_control shows"
    );
    ClusterError::WrongState { what: until.what(), why }
}

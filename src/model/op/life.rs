//! An operation as it stands: the fold of its records. One fold for a live, a re-attached and a finished operation.
//!
//! Applying a record twice changes nothing; nothing here reads a clock.

use super::{Event, Mark, Outcome, Progress, Question, Record, RecordKind, Replay, Spec};
use crate::base::{Millis, Timestamp};
use crate::model::forecast::{Measured, scores};
use serde::{Deserialize, Serialize};

/// Where a step stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum StepStatus {
    /// Not begun.
    Waiting,
    /// Under way.
    Running {
        /// Since when.
        since: Timestamp,
    },
    /// Done.
    Done {
        /// How long it took, in milliseconds.
        took_ms: u64,
        /// What came out.
        detail: String,
    },
    /// The operation stopped in it.
    Stopped,
}

/// One step of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// Where it stands.
    #[serde(flatten)]
    pub status: StepStatus,
}

/// What the records of an operation say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpState {
    /// Number of the last record taken in.
    pub seq: u64,
    /// When the first worker took it up.
    pub started_at: Option<Timestamp>,
    /// How many workers took it up.
    pub attempt: u32,
    /// The steps in their order.
    pub steps: Vec<Step>,
    /// The moments reached, the last time each was.
    pub marks: std::collections::BTreeMap<Mark, Timestamp>,
    /// Bytes the steps that tell it have moved, by the step's name.
    #[serde(default)]
    pub amounts: std::collections::BTreeMap<String, u64>,
    /// A step was done more than once: for another target, or by another worker.
    #[serde(default)]
    pub again: bool,
    /// Warnings, oldest first.
    pub warnings: Vec<(Timestamp, String)>,
    /// What a person is asked now.
    pub question: Option<Question>,
    /// Somebody asked it to stop.
    pub cancel_requested: bool,
    /// How it ended, and when.
    pub ended: Option<(Timestamp, Outcome)>,
}

impl OpState {
    /// Takes a record in; one that was taken in before is ignored.
    pub fn apply(&mut self, record: &Record) {
        if record.seq <= self.seq {
            return;
        }
        self.seq = record.seq;
        match &record.kind {
            RecordKind::Started { attempt, steps } => self.take_up(record.at, *attempt, steps),
            RecordKind::Event(event) => self.event(record.at, event),
            RecordKind::Asked(question) => self.question = Some(question.clone()),
            RecordKind::Answered { .. } => self.question = None,
            RecordKind::CancelRequested => self.cancel_requested = true,
            RecordKind::Ended(outcome) => self.end(record.at, outcome),
        }
    }

    /// The fold of all these records.
    pub fn of<'a>(records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut state = Self::default();
        for record in records {
            state.apply(record);
        }
        state
    }

    fn take_up(&mut self, at: Timestamp, attempt: u32, steps: &[String]) {
        self.started_at.get_or_insert(at);
        self.attempt = attempt;
        self.question = None;
        self.cancel_requested = false;
        self.ended = None;
        // What an earlier worker finished stays as its time; the rest is to be done.
        let old = std::mem::take(&mut self.steps);
        let known = |name: &String| old.iter().find(|step| step.name == *name).cloned();
        self.steps = steps
            .iter()
            .map(|name| match known(name) {
                Some(step) if matches!(step.status, StepStatus::Done { .. }) => step,
                _ => Step { name: name.clone(), status: StepStatus::Waiting },
            })
            .collect();
    }

    fn event(&mut self, at: Timestamp, event: &Event) {
        match event {
            Event::StepStarted { step } => {
                let known = self.steps.iter().find(|known| known.name == *step);
                self.again |= known.is_some_and(|known| matches!(known.status, StepStatus::Done { .. }));
                self.set(step, StepStatus::Running { since: at });
            }
            Event::StepDone { step, took_ms, detail } => {
                self.set(step, StepStatus::Done { took_ms: *took_ms, detail: detail.clone() });
            }
            Event::Amount { step, bytes } => {
                self.amounts.insert(step.clone(), *bytes);
            }
            Event::Reached { mark } => {
                self.marks.insert(*mark, at);
            }
            Event::Warning { text } => self.warnings.push((at, text.clone())),
        }
    }

    fn set(&mut self, name: &str, status: StepStatus) {
        match self.steps.iter_mut().find(|step| step.name == name) {
            Some(step) => step.status = status,
            // A step nobody announced is shown all the same, where it happened.
            None => self.steps.push(Step { name: name.to_owned(), status }),
        }
    }

    fn end(&mut self, at: Timestamp, outcome: &Outcome) {
        self.question = None;
        for step in &mut self.steps {
            if matches!(step.status, StepStatus::Running { .. }) {
                step.status = StepStatus::Stopped;
            }
        }
        self.ended = Some((at, outcome.clone()));
    }

    /// The steps that are done, with their milliseconds.
    fn done(&self) -> impl Iterator<Item = (&str, u64)> {
        self.steps.iter().filter_map(|step| match step.status {
            StepStatus::Done { took_ms, .. } => Some((step.name.as_str(), took_ms)),
            _ => None,
        })
    }

    /// True if it went from its first step to its last without a break and without a second try.
    fn was_straight(&self) -> bool {
        self.attempt == 1 && !self.again
    }

    /// What a finished recovery measured. One that was interrupted, or tried again, measured something else.
    pub fn measured(&self) -> Option<Measured> {
        let (ended, _) = self.ended.as_ref().filter(|(_, outcome)| outcome.is_done())?;
        let bytes = |step: &str| self.amounts.get(step).copied();
        if self.was_straight() { Measured::new(*ended, self.done(), bytes) } else { None }
    }

    /// The step under way: its number from 0, and its name.
    pub fn current(&self) -> Option<(usize, &str)> {
        let running = |step: &&Step| matches!(step.status, StepStatus::Running { .. } | StepStatus::Stopped);
        self.steps.iter().position(|step| running(&step)).map(|at| (at, self.steps[at].name.as_str()))
    }
}

/// Whether somebody works on an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "life", rename_all = "snake_case")]
pub enum Life {
    /// Its worker was started a moment ago and has not taken it up yet.
    Starting,
    /// Its worker is at work.
    Running {
        /// The worker's process.
        pid: u32,
    },
    /// Its worker is gone and did not end it: it can be resumed.
    Lost,
    /// It is over.
    Ended,
    /// It cannot be told.
    Unknown {
        /// Why.
        why: String,
    },
}

/// Everything a screen shows of one operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// What it is.
    pub spec: Spec,
    /// Whether somebody works on it.
    #[serde(flatten)]
    pub life: Life,
    /// What its records say.
    pub state: OpState,
    /// The last sample of the copying.
    pub copy: Option<Progress>,
    /// The last sample of the replay.
    pub replay: Option<Replay>,
    /// When the last sample was written.
    pub sampled_at: Option<Timestamp>,
}

impl Snapshot {
    /// What it took, once it is done, against what was forecast; nothing where nothing was, or where a part was done twice:
    /// only the report has all of that.
    pub fn against_forecast(&self) -> Option<String> {
        let forecast = self.spec.forecast.as_ref()?;
        let ended = self.state.ended.as_ref();
        ended.filter(|(_, outcome)| outcome.is_done() && self.state.was_straight())?;
        let all = scores(forecast, self.state.done()).into_iter().find(|score| score.part.is_none())?;
        Some(format!(
            "it took {} to the service, without the time of people; the forecast was {}",
            Millis(all.actual_ms),
            all.forecast
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> Vec<Record> {
        let step = |name: &str| Event::StepStarted { step: name.to_owned() };
        let done = |name: &str| Event::StepDone { step: name.to_owned(), took_ms: 5, detail: "x".to_owned() };
        let names = ["stop", "copy", "replay"].map(str::to_owned).to_vec();
        [
            RecordKind::Started { attempt: 1, steps: names.clone() },
            RecordKind::Event(step("stop")),
            RecordKind::Event(done("stop")),
            RecordKind::Event(step("copy")),
            RecordKind::Started { attempt: 2, steps: names },
            RecordKind::Event(step("copy")),
            RecordKind::Event(Event::Warning { text: "slow".to_owned() }),
            RecordKind::Asked(Question { text: "right?".to_owned(), evidence: Vec::new() }),
        ]
        .into_iter()
        .enumerate()
        .map(|(number, kind)| Record {
            seq: number as u64 + 1,
            at: Timestamp::from_unix_s(i64::try_from(number).unwrap()),
            boot_ms: number as u64,
            kind,
        })
        .collect()
    }

    #[test]
    fn folding_twice_changes_nothing_and_an_earlier_workers_steps_stay() {
        let records = records();
        let mut state = OpState::of(&records);
        let once = state.clone();
        for record in &records {
            state.apply(record);
        }
        assert_eq!(state, once);
        assert_eq!((state.attempt, state.current()), (2, Some((1, "copy"))));
        assert!(matches!(state.steps[0].status, StepStatus::Done { took_ms: 5, .. }));
        assert!(state.question.is_some() && state.warnings.len() == 1);
    }

    #[test]
    fn a_failure_stops_the_step_and_clears_the_question() {
        let mut state = OpState::of(&records());
        let outcome = Outcome::from(&crate::base::Report::damaged("bad").hint("look"));
        let ended = Record { seq: 9, at: Timestamp(9), boot_ms: 9, kind: RecordKind::Ended(outcome.clone()) };
        state.apply(&ended);
        assert_eq!(state.steps[1].status, StepStatus::Stopped);
        assert!(state.question.is_none());
        assert_eq!(outcome.report().map(|report| report.kind), Some(crate::base::Kind::Damaged));
    }

    #[test]
    fn every_record_survives_the_file() {
        for record in records() {
            let text = serde_json::to_string(&record).unwrap();
            assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record, "{text}");
        }
    }
}

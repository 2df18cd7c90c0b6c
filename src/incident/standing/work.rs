//! What is to be done and what was: tasks, checklists, the position in the runbook, attempts, the loss, follow-ups.

use super::{Standing, plain};
use crate::base::Timestamp;
use crate::incident::checklist::{POST_RESTORE, seen};
use crate::journal::{Entry, Fact, TickResult};
use serde::Serialize;

/// Something that somebody is to do within a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Task {
    /// Its name: the number of its entry.
    pub id: u64,
    /// What.
    pub text: String,
    /// Who.
    pub owner: String,
    /// When it was given.
    pub added_at: Timestamp,
    /// When it is to be done.
    pub due_at: Timestamp,
    /// How it ended.
    pub end: Option<TaskEnd>,
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskEnd {
    /// When.
    pub at: Timestamp,
    /// Who said so.
    pub by: String,
    /// True if it was done, false if it was dropped.
    pub done: bool,
    /// What came out, or why it was dropped.
    pub text: String,
}

impl Task {
    /// True if it should be done by now and has not ended.
    pub fn is_late(&self, now: Timestamp) -> bool {
        self.end.is_none() && now > self.due_at
    }
}

/// How an item of a checklist stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tick {
    /// The checklist.
    pub list: String,
    /// The item.
    pub item: String,
    /// How it stands.
    pub result: TickResult,
    /// True if a probe answered.
    pub automatic: bool,
    /// Who, or on whose behalf.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// What was seen.
    pub detail: String,
}

/// Where in a runbook an incident is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Position {
    /// Which runbook.
    pub runbook: String,
    /// SHA-256 of its text when the node was entered; going back keeps it.
    pub digest: String,
    /// Which node.
    pub node: String,
    /// Since when.
    pub since: Timestamp,
}

/// A recovery that was confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    /// The operation.
    pub operation: String,
    /// Who confirmed it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// True if everything was done; nothing while that is not told.
    pub done: Option<bool>,
}

/// What a recovery gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// The last commit that is recovered.
    pub last_commit: Timestamp,
    /// Everything after it up to here is given up.
    pub until: Timestamp,
    /// How much that is, milliseconds.
    pub lost_ms: u64,
    /// False if nothing newer than the detection of the trouble was known, which then is the end.
    pub until_newest: bool,
}

/// Something to be done after the incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FollowUp {
    /// Its name: the number of its entry.
    pub id: u64,
    /// What.
    pub text: String,
    /// Who.
    pub owner: String,
    /// By when, as a day.
    pub due: String,
    /// What came out, when it is done.
    pub done: Option<String>,
}

impl Standing {
    pub(super) fn apply_work(&mut self, entry: &Entry) {
        match &entry.fact {
            Fact::TaskAdded { text, owner, minutes } => self.tasks.push(Task {
                id: entry.seq,
                text: plain(text),
                owner: plain(owner),
                added_at: entry.at,
                due_at: Timestamp(entry.at.0.saturating_add(i64::from(*minutes) * 60_000_000)),
                end: None,
            }),
            Fact::TaskEnded { task, done, text } => {
                let (by, text) = (plain(&entry.actor), plain(text));
                if let Some(task) = self.tasks.iter_mut().find(|known| known.id == *task) {
                    task.end.get_or_insert(TaskEnd { at: entry.at, by, done: *done, text });
                }
            }
            Fact::FollowUpAdded { text, owner, due } => self.follow_ups.push(FollowUp {
                id: entry.seq,
                text: plain(text),
                owner: plain(owner),
                due: plain(due),
                done: None,
            }),
            Fact::FollowUpDone { follow_up, text } => {
                if let Some(known) = self.follow_ups.iter_mut().find(|known| known.id == *follow_up) {
                    known.done.get_or_insert(plain(text));
                }
            }
            _ => self.apply_course(entry),
        }
    }

    fn apply_course(&mut self, entry: &Entry) {
        match &entry.fact {
            Fact::NodeEntered { runbook, digest, node } => {
                let (runbook, digest, node) = (plain(runbook), plain(digest), plain(node));
                self.position = Some(Position { runbook, digest, node, since: entry.at });
            }
            Fact::WentBack { runbook, to, .. } => {
                let here = self.position.as_mut().filter(|here| here.runbook == *runbook);
                if let Some(here) = here {
                    (here.node, here.since) = (plain(to), entry.at);
                }
            }
            Fact::Ticked { list, item, automatic, result, detail } => {
                self.tick(entry, (list, item), *automatic, *result, detail);
            }
            Fact::Step { operation, step, detail, .. } => {
                if let Some((item, result)) = seen::of_step(step, detail) {
                    let detail = format!("{operation}, {step}: {detail}");
                    self.tick(entry, (item.list, item.id), true, result, &detail);
                }
            }
            Fact::Confirmed { operation, last_commit, newest, .. } => {
                self.confirmed(entry, operation, *last_commit, *newest);
            }
            Fact::OperationEnded { operation, done, .. } => {
                if let Some(attempt) = self.attempt(operation) {
                    (attempt.ended_at, attempt.done) = (Some(entry.at), Some(*done));
                }
            }
            Fact::OperationStarted { operation, .. } => {
                // What an earlier worker ended with is not how it ended.
                if let Some(attempt) = self.attempt(operation) {
                    (attempt.ended_at, attempt.done) = (None, None);
                }
            }
            _ => {}
        }
    }

    /// The last answer counts; but what a person said is not changed by the program.
    fn tick(
        &mut self,
        entry: &Entry,
        (list, item): (&str, &str),
        automatic: bool,
        result: TickResult,
        detail: &str,
    ) {
        let tick = Tick {
            list: plain(list),
            item: plain(item),
            result,
            automatic,
            by: plain(&entry.actor),
            at: entry.at,
            detail: plain(detail),
        };
        let known =
            self.ticks.iter_mut().find(|known| (&known.list, &known.item) == (&tick.list, &tick.item));
        match known {
            Some(known) if automatic && !known.automatic => {}
            Some(known) => *known = tick,
            None => self.ticks.push(tick),
        }
    }

    fn attempt(&mut self, operation: &str) -> Option<&mut Attempt> {
        self.attempts.iter_mut().find(|attempt| attempt.operation == operation)
    }

    fn confirmed(
        &mut self,
        entry: &Entry,
        operation: &str,
        last_commit: Option<Timestamp>,
        newest: Option<Timestamp>,
    ) {
        if self.attempt(operation).is_none() {
            // What was so after the recovery before says nothing of this one.
            self.ticks.retain(|tick| tick.list != POST_RESTORE);
            self.attempts.push(Attempt {
                number: u32::try_from(self.attempts.len() + 1).unwrap_or(u32::MAX),
                operation: plain(operation),
                by: plain(&entry.actor),
                at: entry.at,
                ended_at: None,
                done: None,
            });
        }
        self.loss = last_commit.map(|last_commit| {
            let until = newest.unwrap_or(self.detected_at);
            let span_us = until.0.saturating_sub(last_commit.0);
            let lost_ms = u64::try_from(span_us / 1000).unwrap_or(0);
            Loss { last_commit, until, lost_ms, until_newest: newest.is_some() }
        });
    }
}

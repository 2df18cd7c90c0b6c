//! The way of an incident through its runbook: the journal's entries as the steps of a walk, and the other way round.
//!
//! The journal is the position: nothing else is kept. A step is refused where it is not possible or where somebody
//! else has gone on meanwhile. Does nothing of what a runbook says.

mod heard;
mod left;
mod roles;
mod show;
mod values;
mod walked;

pub use crate::runbook::walk::ItemState;
pub(super) use left::left;
pub use show::Look;
pub use values::{Values, meaning};
use walked::{Walked, walked};

use super::settle::reasoned;
use super::{Incidents, Standing};
use crate::base::{Kind, Report, Result};
use crate::journal::{Entry, Fact, TickResult};
use crate::model::guide::GuideView;
use crate::model::question::judge::Proposal;
use crate::runbook::walk::{Event, Walk, begin};
use crate::runbook::{Library, Runbook};

/// The runbook an incident begins with.
pub const FIRST_RUNBOOK: &str = "postgres-dr";

/// The runbook of a rehearsal.
pub const FIRE_DRILL: &str = "fire-drill";

/// What a person does at a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Begins the runbook.
    Begin,
    /// Answers a question.
    Answer {
        /// By this exit.
        exit: String,
        /// Why; needed against what the facts propose.
        reason: Option<String>,
    },
    /// Says of an item how it is.
    Tick {
        /// Which.
        item: String,
        /// That.
        state: ItemState,
        /// What was seen; why, where it does not apply.
        note: Option<String>,
    },
    /// Has the list or the message behind.
    Pass {
        /// What is to be said of it.
        note: Option<String>,
        /// The items that the facts showed to be so, each with what was seen.
        seen: Vec<(String, String)>,
    },
    /// Begins what the act says.
    Begun {
        /// What was begun: an operation, a command.
        what: String,
    },
    /// Has ended it.
    Ended {
        /// It did what it was to do.
        done: bool,
        /// What came out.
        outcome: String,
    },
    /// Goes back by one node.
    Back,
}

impl Incidents {
    /// The runbook an incident is in, or begins with, and how far it is.
    pub fn guide(&self, id: &str, library: &Library, look: &Look<'_>) -> Result<GuideView> {
        let entries = self.entries(id)?;
        let name = current(&entries);
        let (book, trouble) = library.book_or_shipped(&name)?;
        let Walked { walk, beside } = walked(book, &entries);
        let mut view = show::view(id, &walk, look, &standing(&entries));
        view.troubles.extend(trouble);
        view.troubles.extend(beside.filter(|_| !walk.is_over()).map(|at| {
            let at = at.to_utc().format("%H:%M:%S UTC");
            format!("a recovery ended well at {at}, which no step here had asked for: go on from here by what is so now")
        }));
        view.left = left(&entries, library);
        view.node.heard = walk.node().and_then(|node| heard::heard(book, node, &entries, library, look.now));
        Ok(view)
    }

    /// Takes a step in the runbook `name`, at the node the person saw; the nodes it stands at afterwards are in the journal.
    ///
    /// # Errors
    /// Refused where the incident stands at another node by now, and where the step is not possible.
    pub fn step(
        &self,
        id: &str,
        actor: &str,
        book: &Runbook,
        (seen, proposal): (&str, Option<&Proposal>),
        step: &Step,
    ) -> Result<()> {
        let entries = self.entries(id)?;
        let walk = walked(book, &entries).walk;
        let node = walk.node().map(|node| node.id.as_str()).unwrap_or_default();
        if *step != Step::Begin && node != seen {
            let headline = format!("the incident stands at '{node}' by now, not at '{seen}'");
            return Err(Report::new(Kind::Refused(None), headline)
                .hint("somebody went on from another terminal: look at it again"));
        }
        let proposed = proposal.map(|proposal| proposal.exit.unwrap_or(crate::runbook::UNKNOWN));
        let walk = match step {
            Step::Pass { seen, .. } => self.seen_to(id, actor, walk, seen)?,
            _ => walk,
        };
        let events = match step {
            Step::Begin if walk.is_fresh() || walk.is_over() => begin(book),
            Step::Begin => return Err(Report::usage(format!("the runbook {} was begun already", book.name))),
            Step::Answer { exit, reason } => walk.answer(exit, proposed, reason.as_deref())?,
            Step::Tick { item, state, note } => {
                let hint = "`pgmayday incident runbook tick ITEM --result=n/a --note=TEXT` gives it";
                reasoned(item, result_of(*state), note.as_deref().unwrap_or_default(), hint)?;
                if *state == ItemState::Holds && roles::are_asked_for(&walk, item) {
                    self.take_open_roles(id, actor, &standing(&entries))?;
                }
                walk.set_tick(item, *state, false, note.as_deref())?
            }
            Step::Pass { note, .. } => walk.pass(note.as_deref())?,
            Step::Begun { what } => walk.begun(what)?,
            Step::Ended { done, outcome } => walk.ended(*done, outcome)?,
            Step::Back => walk.back()?,
        };
        let findings = proposal.map_or_else(Vec::new, words_of);
        for event in events {
            self.append(id, actor, &fact(book, event, &findings))?;
        }
        Ok(())
    }
}

impl Incidents {
    /// Whoever says that the roles are named takes those that nobody holds: so they are.
    fn take_open_roles(&self, id: &str, actor: &str, standing: &Standing) -> Result<()> {
        roles::open(standing).try_for_each(|role| self.take_role(id, actor, role, None))
    }

    /// Writes down which items the facts showed to be so; the walk as it stands then.
    fn seen_to<'b>(
        &self,
        id: &str,
        actor: &str,
        walk: Walk<'b>,
        seen: &[(String, String)],
    ) -> Result<Walk<'b>> {
        if seen.is_empty() {
            return Ok(walk);
        }
        let book = walk.book();
        for (item, text) in seen {
            for event in walk.set_tick(item, ItemState::Holds, true, Some(text))? {
                self.append(id, actor, &fact(book, event, &[]))?;
            }
        }
        Ok(walked(book, &self.entries(id)?).walk)
    }
}

/// The runbook the journal is in.
pub fn current(entries: &[Entry]) -> String {
    let entered = entries.iter().rev().find_map(|entry| match &entry.fact {
        Fact::NodeEntered { runbook, .. } => Some(runbook.clone()),
        _ => None,
    });
    entered.unwrap_or_else(|| FIRST_RUNBOOK.to_owned())
}

/// The evidence of a proposal as it is kept: a line each.
fn words_of(proposal: &Proposal) -> Vec<String> {
    let said = std::iter::once(proposal.reason.clone());
    said.chain(proposal.findings.iter().map(|finding| finding.text.clone())).collect()
}

/// Of which list of the journal the items of a node are.
fn list_of(runbook: &str, node: &str) -> String {
    format!("{runbook}/{node}")
}

/// How an item stands, as the journal says it.
fn result_of(state: ItemState) -> TickResult {
    match state {
        ItemState::Holds => TickResult::Ok,
        ItemState::Open => TickResult::Failed,
        ItemState::NotApplicable => TickResult::NotApplicable,
    }
}

/// How the incident stands between people.
fn standing(entries: &[Entry]) -> Standing {
    let mut standing = Standing::default();
    for entry in entries {
        standing.apply(entry);
    }
    standing
}

/// A step as it is written down.
fn fact(book: &Runbook, event: Event, findings: &[String]) -> Fact {
    let runbook = book.name.clone();
    match event {
        Event::Entered { node } => Fact::NodeEntered { runbook, digest: book.digest.clone(), node },
        Event::Answered { node, exit, proposed, reason } => {
            Fact::NodeAnswered { runbook, node, exit, proposed, reason, findings: findings.to_vec() }
        }
        Event::Ticked { node, item, state, automatic, note } => Fact::Ticked {
            list: list_of(&runbook, &node),
            item,
            automatic,
            result: result_of(state),
            detail: note.unwrap_or_default(),
        },
        Event::Passed { node, note } => Fact::NodePassed { runbook, node, note },
        Event::Began { node, what } => Fact::ActStarted { runbook, node, what },
        Event::Ended { node, done, what } => {
            Fact::ActEnded { runbook, node, what: String::new(), done, outcome: what }
        }
        Event::WentBack { from, to } => Fact::WentBack { runbook, from, to },
    }
}

#[cfg(test)]
mod tests;

//! How far a runbook has been walked: the fold of what a journal says happened.
//!
//! Pure: the same events always lead to the same place, and a walk writes nothing. Whoever walks asks for the events
//! of a step, writes them down, and applies what was written. Nothing that happened is ever dropped: what was undone by
//! going back stays in the path, and so does what was done in a version of the runbook that is no longer there.

mod fold;
mod step;

pub use step::begin;

use super::{Item, Node, NodeKind, Runbook, Way};
use crate::base::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Something that happened in a walk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A node was come to.
    Entered {
        /// Its id.
        node: String,
    },
    /// A question was answered.
    Answered {
        /// The node.
        node: String,
        /// The exit taken.
        exit: String,
        /// The exit that the facts proposed, `unknown` included; nothing if nothing was proposed.
        proposed: Option<String>,
        /// Why, where a person said it.
        reason: Option<String>,
    },
    /// An item of a list was seen to, or is open again.
    Ticked {
        /// The node.
        node: String,
        /// The item.
        item: String,
        /// How it stands.
        state: ItemState,
        /// True if the program saw it, not a person.
        automatic: bool,
        /// What was seen.
        note: Option<String>,
    },
    /// A list or a message is behind.
    Passed {
        /// The node.
        node: String,
        /// What is to be said of it.
        note: Option<String>,
    },
    /// An act was begun.
    Began {
        /// The node.
        node: String,
        /// What was begun: an operation's name, a command.
        what: String,
    },
    /// An act ended.
    Ended {
        /// The node.
        node: String,
        /// True if it was done, false if it failed.
        done: bool,
        /// What came out.
        what: String,
    },
    /// Somebody went back by one node.
    WentBack {
        /// The node that was left.
        from: String,
        /// The node that is asked again.
        to: String,
    },
}

/// How an item of a list stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemState {
    /// It is so.
    Holds,
    /// It is not so, or no longer.
    Open,
    /// It does not apply here, as a person says with a reason.
    NotApplicable,
}

impl ItemState {
    /// True if one goes on with it.
    pub fn lets_pass(self) -> bool {
        self != Self::Open
    }
}

/// An event as a journal has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happened {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// The runbook's name.
    pub runbook: String,
    /// Its version: the digest of its file.
    pub digest: String,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// One stay at a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Visit {
    /// The node.
    pub node: String,
    /// Its title; its id where this version has no such node.
    pub title: String,
    /// Its number on paper, in this version.
    pub section: Option<usize>,
    /// When it was entered.
    pub entered_at: Timestamp,
    /// By whom.
    pub by: String,
    /// What was begun, and when.
    pub began: Option<Began>,
    /// How it was left.
    pub left: Option<Leaving>,
    /// Somebody went back past it: it no longer counts.
    pub undone: bool,
}

/// An act under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Began {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// What.
    pub what: String,
}

/// How a node was left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leaving {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// How.
    #[serde(flatten)]
    pub how: Left,
}

/// The ways of leaving a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "left", rename_all = "snake_case")]
pub enum Left {
    /// By an answer.
    Answered {
        /// The exit.
        exit: String,
        /// The answer as a person read it.
        label: String,
        /// What the facts proposed.
        proposed: Option<String>,
        /// Why.
        reason: Option<String>,
    },
    /// The list or message is behind.
    Passed {
        /// What is to be said of it.
        note: Option<String>,
    },
    /// The act was done.
    Done {
        /// What came out.
        what: String,
    },
    /// The act failed.
    Failed {
        /// Why.
        what: String,
    },
    /// Somebody went back.
    Back,
}

impl Left {
    /// True if a person answered otherwise than the facts proposed.
    pub fn is_override(&self) -> bool {
        matches!(self, Self::Answered { exit, proposed: Some(proposed), .. } if proposed != exit)
    }

    /// The way that was taken; nothing for going back.
    fn way(&self) -> Option<&str> {
        match self {
            Self::Answered { exit, .. } => Some(exit),
            Self::Passed { .. } => Some("next"),
            Self::Done { .. } => Some("done"),
            Self::Failed { .. } => Some("failed"),
            Self::Back => None,
        }
    }
}

/// An item that was seen to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tick {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// How it stands.
    pub state: ItemState,
    /// True if the program saw it.
    pub automatic: bool,
    /// What was seen.
    pub note: Option<String>,
}

/// A runbook and how far it has been walked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walk<'b> {
    book: &'b Runbook,
    path: Vec<Visit>,
    /// The visits that count, as places in `path`.
    trail: Vec<usize>,
    ticks: BTreeMap<(String, String), Tick>,
    troubles: Vec<String>,
    /// The other version whose events came last.
    other_version: Option<String>,
}

/// What is possible now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Now<'b> {
    /// The node.
    pub node: &'b Node,
    /// The ways on; none while something blocks them, and at an end.
    pub ways: Vec<Way<'b>>,
    /// What blocks them: items that nobody may go on without.
    pub blocked: Vec<&'b Item>,
    /// The act that is under way.
    pub began: Option<Began>,
    /// The node one can go back to.
    pub back: Option<&'b Node>,
}

impl<'b> Walk<'b> {
    /// A runbook that nobody has begun.
    pub fn new(book: &'b Runbook) -> Self {
        Self {
            book,
            path: Vec::new(),
            trail: Vec::new(),
            ticks: BTreeMap::new(),
            troubles: Vec::new(),
            other_version: None,
        }
    }

    /// The runbook.
    pub fn book(&self) -> &'b Runbook {
        self.book
    }

    /// True if the journal says nothing of it yet.
    pub fn is_fresh(&self) -> bool {
        self.path.is_empty()
    }

    /// Every stay at a node, in order; also those that were undone.
    pub fn path(&self) -> &[Visit] {
        &self.path
    }

    /// The stays that count: from the start to here without what was undone.
    pub fn trail(&self) -> impl Iterator<Item = &Visit> {
        self.trail.iter().filter_map(|number| self.path.get(*number))
    }

    /// What a person should know: answers of another version, a place that is no longer there.
    pub fn troubles(&self) -> &[String] {
        &self.troubles
    }

    /// The tick of an item, if it has one.
    pub fn tick(&self, node: &str, item: &str) -> Option<&Tick> {
        self.ticks.get(&(node.to_owned(), item.to_owned()))
    }

    fn last(&self) -> Option<&Visit> {
        self.trail.last().and_then(|number| self.path.get(*number))
    }

    /// The start, which every runbook has.
    fn start(&self) -> Option<&'b Node> {
        self.book.node(&self.book.start)
    }

    /// Where the walk stands: the last node that was entered, or where it was left to. The start where this version has no
    /// such node; nothing for a runbook without a start, which cannot be loaded.
    pub fn node(&self) -> Option<&'b Node> {
        let Some(last) = self.last() else { return self.start() };
        let Some(node) = self.book.node(&last.node) else { return self.start() };
        let Some(way) = last.left.as_ref().and_then(|left| left.how.way()) else { return Some(node) };
        // An answer that this version does not have is asked for again.
        let taken = node.ways().into_iter().find(|known| known.id == way);
        taken.map_or(Some(node), |taken| self.book.node(&taken.goto.node))
    }

    /// True if it came to an end.
    pub fn is_over(&self) -> bool {
        self.node().is_some_and(|node| matches!(node.kind, NodeKind::End(_)))
    }

    /// What is possible now.
    pub fn now(&self) -> Option<Now<'b>> {
        let node = self.node()?;
        let blocked = match &node.kind {
            NodeKind::Checklist(list) => {
                let holds =
                    |item: &Item| self.tick(&node.id, &item.id).is_some_and(|tick| tick.state.lets_pass());
                list.items.iter().filter(|item| item.blocking && !holds(item)).collect()
            }
            _ => Vec::new(),
        };
        let ways = if blocked.is_empty() { node.ways() } else { Vec::new() };
        let here = self.last().filter(|last| last.node == node.id && last.left.is_none());
        let began = here.and_then(|here| here.began.clone());
        // Where the last node was left and the next one not entered yet, the last one is the one before.
        let before = if here.is_some() { self.trail.iter().rev().nth(1) } else { self.trail.last() };
        let back =
            before.and_then(|number| self.path.get(*number)).and_then(|visit| self.book.node(&visit.node));
        Some(Now {
            node,
            ways,
            blocked,
            began,
            back: back.filter(|back| back.id != node.id || here.is_some()),
        })
    }
}

#[cfg(test)]
mod tests;

//! Where an incident is in its runbook, as it is shown: the way here, the node, what is possible, what the facts propose.
//!
//! Data only. Made from a runbook, a journal and the facts by `incident`; drawn by the console, printed by the command line.

use super::question::judge::{Checked, Proposal};
use crate::base::Timestamp;
use crate::base::state::OpId;
use serde::Serialize;

/// A runbook and how far it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct GuideView {
    /// The incident.
    pub incident: String,
    /// Its stanza: the word that is typed where one is wanted.
    pub stanza: String,
    /// The runbook's name.
    pub runbook: String,
    /// Its title.
    pub title: String,
    /// SHA-256 of its text.
    pub digest: String,
    /// Nobody has begun it yet.
    pub fresh: bool,
    /// What a person should know of it: another version, a node that is gone, a runbook that cannot be read.
    pub troubles: Vec<String>,
    /// The nodes on the way here, oldest first, without those that somebody went back past.
    pub path: Vec<GuideStep>,
    /// The node.
    pub node: GuideNode,
    /// What the facts propose; nothing where the node asks nothing of them.
    pub proposal: Option<Proposal>,
    /// What would stay open if the incident were closed now, each in a sentence: this runbook, standbys to be rebuilt.
    pub left: Vec<String>,
    /// The whole runbook drawn as a tree, 80 columns, with the way here marked.
    pub tree: Vec<String>,
}

/// A node that was left.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GuideStep {
    /// Its title.
    pub title: String,
    /// How it was left, in a few words.
    pub left: String,
    /// When.
    pub at: Option<Timestamp>,
    /// By whom.
    pub by: String,
    /// It was answered otherwise than the facts proposed; why.
    pub against: Option<String>,
    /// It ended well; false for an act that failed.
    pub well: bool,
}

/// What a node is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GuideKind {
    /// A question.
    #[default]
    Decide,
    /// Things to see to.
    Checklist,
    /// Something is done.
    Act,
    /// Somebody is told.
    Notify,
    /// It is over.
    End,
}

/// The node one is at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GuideNode {
    /// Its name in the file.
    pub id: String,
    /// Its number on paper.
    pub section: usize,
    /// What it is.
    pub kind: GuideKind,
    /// The question, or what it is about.
    pub title: String,
    /// What hangs on it: paragraphs.
    pub prose: Vec<String>,
    /// How to look by hand, the commands of an act, the text of a message: lines, variables filled in.
    pub lines: Vec<String>,
    /// Variables among them without a value.
    pub missing: Vec<String>,
    /// The items of a list.
    pub items: Vec<GuideItem>,
    /// The ways on.
    pub ways: Vec<GuideWay>,
    /// What keeps one from going on: texts of items.
    pub blocked: Vec<String>,
    /// The operation that does the act which was begun.
    pub done_by: Option<OpId>,
    /// The act that was begun: what, by whom, when.
    pub began: Option<(String, String, Timestamp)>,
    /// It is done by a person: there is no executor.
    pub by_hand: bool,
    /// The operation of this program that it is.
    pub operation: Option<String>,
    /// The name of exactly what would be run here, as it is shown; nothing where it cannot be run.
    pub runs: Option<String>,
    /// A word is typed before it is run.
    pub typed: bool,
    /// What a person gives before it is done: nothing, a key, a typed word.
    pub confirm: String,
    /// The title of the node one can go back to.
    pub back: Option<String>,
    /// When it was entered.
    pub entered_at: Option<Timestamp>,
    /// How the same was answered or done a short while ago elsewhere in this incident.
    pub heard: Option<Heard>,
    /// After how long to ask for help, seconds.
    pub within_s: Option<u64>,
    /// How it ended, at an end.
    pub outcome: Option<String>,
    /// The runbook that goes on from an end.
    pub next_runbook: Option<String>,
}

/// What was answered or done already, elsewhere in the incident.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Heard {
    /// The answer that was given; nothing for what was done.
    pub exit: Option<String>,
    /// What, when and by whom: "answered at 02:17 by dk: yes, it answers".
    pub text: String,
}

/// An item of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GuideItem {
    /// Its name in the list.
    pub id: String,
    /// What has to be so.
    pub text: String,
    /// Why it matters.
    pub why: Option<String>,
    /// Nobody goes on without it.
    pub blocking: bool,
    /// How it stands: true = so, false = not; nothing if nobody has looked.
    pub done: Option<bool>,
    /// It does not apply here, as a person said: one goes on without it.
    pub not_applicable: bool,
    /// Who or what said so and when.
    pub by: Option<(String, Timestamp)>,
    /// What was seen.
    pub note: Option<String>,
    /// What the facts say of it now; nothing where they are not asked, or say nothing.
    pub seen: Option<Checked>,
}

impl GuideItem {
    /// The facts say that it is so, and nobody has said otherwise.
    pub fn holds_by_itself(&self) -> bool {
        self.done.is_none() && self.seen.as_ref().is_some_and(|seen| seen.holds == Some(true))
    }

    /// Nobody goes on while it is as it is.
    pub fn blocks(&self) -> bool {
        self.blocking && self.done != Some(true) && !self.holds_by_itself()
    }
}

impl GuideNode {
    /// The items that are so by what the facts say, each with what was seen: they are written down with the step that
    /// has the list behind.
    pub fn seen_to_hold(&self) -> Vec<(String, String)> {
        let holding = self.items.iter().filter(|item| item.holds_by_itself());
        holding.filter_map(|item| Some((item.id.clone(), item.seen.as_ref()?.text.clone()))).collect()
    }
}

/// A way on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GuideWay {
    /// Its name.
    pub id: String,
    /// Its key; nothing for what is not a question's answer.
    pub key: Option<char>,
    /// As a person reads it.
    pub label: String,
    /// The title of the node it leads to.
    pub to: String,
}

//! Where a runbook leads as long as its questions are answered by what is known.
//!
//! Answers nothing itself and never goes past what only a person can do or say.

use super::{Node, NodeKind, Runbook, UNKNOWN};
use serde::Serialize;

/// Where it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landing<'b> {
    /// The node at which a person is needed.
    pub node: &'b Node,
    /// The questions answered on the way: node and exit.
    pub taken: Vec<(&'b str, &'b str)>,
    /// Why it ends there.
    pub because: Because,
}

/// Why it goes no further by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// The node is no question.
    NoQuestion,
    /// The question has no known answer: nothing is done on an unknown.
    Unknown,
    /// The answers lead to a question that was answered already.
    Circle,
}

/// Follows the answers from a node; nothing if there is no such node.
///
/// `answer` gives the exit of a question that is known; without one, with one the question does not have, and with
/// `unknown` a person is asked.
pub fn follow<'b>(
    book: &'b Runbook,
    from: &str,
    mut answer: impl FnMut(&Node) -> Option<String>,
) -> Option<Landing<'b>> {
    let mut node = book.node(from)?;
    let mut taken: Vec<(&str, &str)> = Vec::new();
    let because = loop {
        let NodeKind::Decide(decide) = &node.kind else { break Because::NoQuestion };
        if taken.iter().any(|(id, _)| *id == node.id) {
            break Because::Circle;
        }
        let said = answer(node).filter(|said| said != UNKNOWN);
        let exit = decide.exits.iter().find(|exit| Some(exit.id.as_str()) == said.as_deref());
        let Some((exit, next)) = exit.and_then(|exit| Some((exit, book.node(&exit.goto.node)?))) else {
            break Because::Unknown;
        };
        taken.push((&node.id, &exit.id));
        node = next;
    };
    Some(Landing { node, taken, because })
}

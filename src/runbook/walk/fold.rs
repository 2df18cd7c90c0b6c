//! From events to a walk. Takes whatever a journal says and never fails: what does not fit this version is kept and told.

use super::{Began, Event, Happened, Leaving, Left, Tick, Visit, Walk};
use crate::runbook::{NodeKind, Runbook};

impl<'b> Walk<'b> {
    /// The walk of `book` as `events` tell it; those of other runbooks are passed over.
    pub fn fold<'e>(book: &'b Runbook, events: impl IntoIterator<Item = &'e Happened>) -> Self {
        let mut walk = Self::new(book);
        for happened in events {
            walk.apply(happened);
        }
        walk
    }

    /// Takes one more event in.
    pub fn apply(&mut self, happened: &Happened) {
        if happened.runbook != self.book.name {
            return;
        }
        self.note_version(happened);
        match &happened.event {
            Event::Entered { node } => self.enter(node, happened),
            Event::Answered { node, exit, proposed, reason } => {
                let label = self.label(node, exit);
                let (exit, proposed, reason) = (exit.clone(), proposed.clone(), reason.clone());
                self.leave(node, happened, Left::Answered { exit, label, proposed, reason });
            }
            Event::Passed { node, note } => self.leave(node, happened, Left::Passed { note: note.clone() }),
            Event::Ended { node, done, what } => {
                let what = what.clone();
                self.leave(node, happened, if *done { Left::Done { what } } else { Left::Failed { what } });
            }
            Event::Began { node, what } => {
                let began = Began { at: happened.at, by: happened.actor.clone(), what: what.clone() };
                if let Some(visit) = self.visit(node, happened) {
                    visit.began = Some(began);
                }
            }
            Event::Ticked { node, item, state, automatic, note } => {
                self.visit(node, happened);
                let tick = Tick {
                    at: happened.at,
                    by: happened.actor.clone(),
                    state: *state,
                    automatic: *automatic,
                    note: note.clone(),
                };
                self.ticks.insert((node.clone(), item.clone()), tick);
            }
            Event::WentBack { from, to } => self.go_back(from, to, happened),
        }
    }

    /// Tells once per change that events come from another version.
    fn note_version(&mut self, happened: &Happened) {
        let other = (happened.digest != self.book.digest).then(|| happened.digest.clone());
        if other == self.other_version {
            return;
        }
        if let Some(digest) = &other {
            let digest: String = digest.chars().filter(char::is_ascii_hexdigit).take(12).collect();
            self.troubles.push(format!(
                "from {} on it was walked in another version of this runbook ({digest})",
                happened.at
            ));
        }
        self.other_version = other;
    }

    fn label(&self, node: &str, exit: &str) -> String {
        let ways = self.book.node(node).map(crate::runbook::Node::ways).unwrap_or_default();
        ways.into_iter()
            .find(|way| way.id == exit)
            .map_or_else(|| exit.to_owned(), |way| way.label.to_owned())
    }

    fn enter(&mut self, node: &str, happened: &Happened) {
        if self.last().is_some_and(|last| last.node == node && last.left.is_none()) {
            return;
        }
        if node == self.book.start && self.last().is_some_and(|last| self.is_end(&last.node)) {
            self.trail.clear();
        }
        // A list that is come to again is gone through again.
        self.ticks.retain(|(list, _), _| list != node);
        self.push(node, happened);
    }

    fn is_end(&self, node: &str) -> bool {
        self.book.node(node).is_some_and(|node| matches!(node.kind, NodeKind::End(_)))
    }

    fn push(&mut self, node: &str, happened: &Happened) {
        let known = self.book.node(node);
        if known.is_none() {
            let shown: String = node.chars().filter(|c| !c.is_control()).take(80).collect();
            self.troubles.push(format!(
                "the step '{shown}', entered {}, is no longer in this runbook: it goes on from the start; what was done \
                 before is in the path",
                happened.at
            ));
        }
        self.trail.push(self.path.len());
        self.path.push(Visit {
            node: node.to_owned(),
            title: known.map_or(node, crate::runbook::Node::title).to_owned(),
            section: known.map(|node| node.section),
            entered_at: happened.at,
            by: happened.actor.clone(),
            began: None,
            left: None,
            undone: false,
        });
    }

    /// The stay at `node` that an event is about: the last one, or a new one where its entry was not written down.
    fn visit(&mut self, node: &str, happened: &Happened) -> Option<&mut Visit> {
        if !self.last().is_some_and(|last| last.node == node && last.left.is_none()) {
            self.push(node, happened);
        }
        let number = *self.trail.last()?;
        self.path.get_mut(number)
    }

    fn leave(&mut self, node: &str, happened: &Happened, how: Left) {
        let left = Leaving { at: happened.at, by: happened.actor.clone(), how };
        if let Some(visit) = self.visit(node, happened) {
            visit.left = Some(left);
        }
    }

    fn go_back(&mut self, from: &str, to: &str, happened: &Happened) {
        let back = Leaving { at: happened.at, by: happened.actor.clone(), how: Left::Back };
        if let Some(visit) = self.trail.last().and_then(|number| self.path.get_mut(*number))
            && visit.node == from
            && visit.left.is_none()
        {
            visit.left = Some(back);
        }
        // Everything behind the node that is asked again no longer counts, nor does its answer.
        let kept = self
            .trail
            .iter()
            .rposition(|number| self.path.get(*number).is_some_and(|visit| visit.node == to));
        for number in self.trail.split_off(kept.unwrap_or(self.trail.len())) {
            if let Some(visit) = self.path.get_mut(number) {
                visit.undone = true;
            }
        }
        self.push(to, happened);
    }
}

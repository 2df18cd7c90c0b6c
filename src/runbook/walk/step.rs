//! The events of one step: what is to be written down when a person answers, ticks, does or goes back.
//!
//! Refuses what is not possible now; changes nothing.

use super::{Event, ItemState, Now, Walk};
use crate::base::{Report, Result};
use crate::runbook::{NodeKind, Runbook, UNKNOWN};

/// The events that begin a runbook.
pub fn begin(book: &Runbook) -> Vec<Event> {
    vec![Event::Entered { node: book.start.clone() }]
}

impl<'b> Walk<'b> {
    /// What is possible now, or why nothing is.
    fn possible(&self) -> Result<Now<'b>> {
        self.now().ok_or_else(|| Report::failed(format!("the runbook {} has no start", self.book().name)))
    }

    /// A question is answered by the exit or the key `said`. Who answers otherwise than the facts propose says why;
    /// `proposed` is `unknown` where the facts say nothing.
    pub fn answer(&self, said: &str, proposed: Option<&str>, reason: Option<&str>) -> Result<Vec<Event>> {
        let now = self.possible()?;
        let NodeKind::Decide(_) = &now.node.kind else {
            return Err(Report::usage(format!("'{}' is no question", now.node.title())));
        };
        let by_key = |key: char| said.chars().eq([key]);
        let way = now.ways.iter().find(|way| way.id == said || way.key.is_some_and(by_key));
        let way = way.ok_or_else(|| {
            let answers: Vec<String> = now.ways.iter().map(|way| way.id.to_owned()).collect();
            Report::usage(format!("'{}' has no such answer", now.node.title()))
                .hint(format!("its answers are {}", answers.join(", ")))
        })?;
        let reason = reason.map(str::trim).filter(|reason| !reason.is_empty());
        let against = proposed.is_some_and(|proposed| proposed != way.id);
        // Saying that one does not know needs no reason.
        if against && way.id != UNKNOWN && reason.is_none() {
            let proposed = proposed.unwrap_or(UNKNOWN);
            return Err(Report::usage(format!("the facts say '{proposed}' and the answer is '{}'", way.id))
                .hint("say why: it is written down with the answer"));
        }
        let answered = Event::Answered {
            node: now.node.id.clone(),
            exit: way.id.to_owned(),
            proposed: proposed.map(str::to_owned),
            reason: reason.map(str::to_owned),
        };
        Ok(vec![answered, Event::Entered { node: way.goto.node.clone() }])
    }

    /// An item is seen to, is open again, or does not apply; `seen` is what was seen, or why it does not.
    pub fn set_tick(
        &self,
        item: &str,
        state: ItemState,
        automatic: bool,
        seen: Option<&str>,
    ) -> Result<Vec<Event>> {
        let now = self.possible()?;
        let NodeKind::Checklist(list) = &now.node.kind else {
            return Err(Report::usage(format!("'{}' is no list", now.node.title())));
        };
        if !list.items.iter().any(|known| known.id == item) {
            let items: Vec<&str> = list.items.iter().map(|item| item.id.as_str()).collect();
            return Err(Report::usage(format!("'{}' has no such item", list.title))
                .hint(format!("its items are {}", items.join(", "))));
        }
        let note = seen.map(str::to_owned);
        Ok(vec![Event::Ticked { node: now.node.id.clone(), item: item.to_owned(), state, automatic, note }])
    }

    /// A list or a message is behind.
    pub fn pass(&self, note: Option<&str>) -> Result<Vec<Event>> {
        let now = self.possible()?;
        if !matches!(now.node.kind, NodeKind::Checklist(_) | NodeKind::Notify(_)) {
            return Err(Report::usage(format!("'{}' is neither a list nor a message", now.node.title())));
        }
        let Some(way) = now.ways.first() else {
            let open: Vec<&str> = now.blocked.iter().map(|item| item.text.as_str()).collect();
            return Err(Report::new(crate::base::Kind::Refused(None), format!("open: {}", open.join("; ")))
                .hint("see to it and tick it; nobody goes on without it"));
        };
        let passed = Event::Passed { node: now.node.id.clone(), note: note.map(str::to_owned) };
        Ok(vec![passed, Event::Entered { node: way.goto.node.clone() }])
    }

    /// An act is begun: `what` is an operation's name or a command.
    pub fn begun(&self, what: &str) -> Result<Vec<Event>> {
        let now = self.act()?;
        Ok(vec![Event::Began { node: now.node.id.clone(), what: what.to_owned() }])
    }

    /// An act ended.
    pub fn ended(&self, done: bool, what: &str) -> Result<Vec<Event>> {
        let now = self.act()?;
        let name = if done { "done" } else { "failed" };
        let ended = Event::Ended { node: now.node.id.clone(), done, what: what.to_owned() };
        let entered = now.ways.iter().find(|way| way.id == name);
        let entered = entered.map(|way| Event::Entered { node: way.goto.node.clone() });
        Ok(std::iter::once(ended).chain(entered).collect())
    }

    fn act(&self) -> Result<Now<'b>> {
        let now = self.possible()?;
        match &now.node.kind {
            NodeKind::Act(_) => Ok(now),
            _ => Err(Report::usage(format!("'{}' is nothing that is done", now.node.title()))),
        }
    }

    /// Back by one node. What an act did is not taken back by that.
    pub fn back(&self) -> Result<Vec<Event>> {
        let now = self.possible()?;
        let back =
            now.back.ok_or_else(|| Report::usage("this is the first step: there is nothing before it"))?;
        Ok(vec![Event::WentBack { from: now.node.id.clone(), to: back.id.clone() }])
    }
}

//! What the facts on the board mean: a state, a few words an operator would say, and what to do next.
//!
//! Pure. Unknown is never good; a fact that is old is said to be old.

mod cluster;
mod headline;
mod protection;
mod upkeep;
mod words;

pub use words::{clock, span};

use super::Board;
use crate::base::Timestamp;
use crate::model::fact::{Answer, Fact};
use crate::model::plan::CheckState;
use serde::Serialize;

/// How good something is; the greater, the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// As it should be.
    Ok,
    /// Not as expected; look at it.
    Late,
    /// It could not be told.
    Unknown,
    /// Broken.
    Failed,
}

impl From<CheckState> for State {
    fn from(check: CheckState) -> Self {
        match check {
            CheckState::Ok => Self::Ok,
            CheckState::Warn => Self::Late,
            CheckState::Fail => Self::Failed,
            CheckState::Unknown => Self::Unknown,
        }
    }
}

/// One thing and how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// How good it is.
    pub state: State,
    /// What is judged: `pg1`, `repo1`, `WAL`, `application`.
    pub name: String,
    /// How it stands, in a few words.
    pub text: String,
    /// What to do next; nothing where nothing needs to be done.
    pub next: Option<String>,
}

impl Line {
    fn new(state: State, name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { state, name: name.into(), text: text.into(), next: None }
    }

    fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// What to do next, unless the answer may still come by itself.
    fn next_of<T>(self, fact: &Fact<T>, now: Timestamp, next: impl Into<String>) -> Self {
        if may_still_come(fact, now) { self } else { self.next(next) }
    }

    /// The text and what to do next as one.
    pub fn whole(&self) -> String {
        self.next.as_ref().map_or_else(|| self.text.clone(), |next| format!("{}: {next}", self.text))
    }
}

/// From when to when a recovery can go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Window {
    /// The end of the oldest backup.
    pub from: Timestamp,
    /// When the newest WAL was stored.
    pub to: Timestamp,
    /// The repository that reaches farthest forward.
    pub repo: u32,
    /// Segments missing in between: not every moment can be reached.
    pub missing: u64,
}

/// Something worth doing now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Suggestion {
    /// The console's key.
    pub key: &'static str,
    /// What it does and why now.
    pub text: String,
}

/// The whole judgement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// The application and the servers.
    pub cluster: Vec<Line>,
    /// What stands in the way on this host; then the repositories: backups and WAL, and what verifying them came to.
    pub protection: Vec<Line>,
    /// How far back and forward a recovery can go; nothing if that is not known.
    pub window: Option<Window>,
    /// The one sentence: what is broken, what is protected, how much would be lost.
    pub headline: Line,
    /// What to do now, the most urgent first.
    pub next: Vec<Suggestion>,
}

/// Judges the facts of a board.
pub fn judge(board: &Board, now: Timestamp) -> Judgement {
    let cluster = cluster::lines(board, now);
    let mut protection = upkeep::lines(board, now);
    protection.extend(protection::lines(board, now));
    let window = protection::window(board);
    let headline = headline::headline(board, &cluster, &protection, window.as_ref(), now);
    let next = headline::suggestions(board, &headline, now);
    Judgement { cluster, protection, window, headline, next }
}

/// A fact whose last look is older than this is not known any more.
const SERVER_STALE_S: i64 = 30;

/// A first answer that is not there yet is waited for so long before anything is advised.
const PATIENCE_US: i64 = 3_000_000;

/// Nobody has answered yet, and it is too early to make something of that.
fn may_still_come<T>(fact: &Fact<T>, now: Timestamp) -> bool {
    let early = fact.asked.is_none_or(|asked| now.0 - asked.0 < PATIENCE_US);
    matches!(fact.answer, Answer::Pending) && early
}

/// Seconds since the fact was seen, if it was.
fn age_s<T>(fact: &Fact<T>, now: Timestamp) -> i64 {
    fact.at.map_or(0, |at| now.0.saturating_sub(at.0) / 1_000_000)
}

/// The line of a fact that was not seen; nothing if it was and is fresh enough.
fn unseen<T>(fact: &Fact<T>, name: &str, stale_s: i64, now: Timestamp) -> Option<Line> {
    let lasting = |why: &str| match fact.since {
        Some(since) if now.0 - since.0 >= 1_000_000 => format!("{why} for {}", span(now.0 - since.0)),
        _ => why.to_owned(),
    };
    match &fact.answer {
        Answer::Pending => Some(Line::new(
            State::Unknown,
            name,
            fact.asked.map_or_else(
                || "not looked at yet".to_owned(),
                |asked| format!("no answer yet ({})", span(now.0 - asked.0)),
            ),
        )),
        Answer::Unknown { why } => Some(Line::new(State::Unknown, name, lasting(why))),
        Answer::Failed { why } => Some(Line::new(State::Failed, name, lasting(why))),
        Answer::Known { .. } if age_s(fact, now) > stale_s => {
            let age = span(age_s(fact, now) * 1_000_000);
            Some(Line::new(State::Unknown, name, format!("last seen {age} ago")))
        }
        Answer::Known { .. } => None,
    }
}

#[cfg(test)]
mod tests;

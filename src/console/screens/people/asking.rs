//! What is asked, word by word, before something is settled between people. What was said already is kept meanwhile.

use crate::base::Timestamp;
use crate::console::model::Model;
use crate::console::screens::{Action, Part, incident};
use crate::console::widgets::time;
use crate::incident::{IncidentView, MOST_TASK_MINUTES, Role, Settle, TASK_MINUTES, is_day};

/// What is being asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asking {
    /// Why a role is taken from somebody.
    Take(Role),
    /// To whom a role is offered.
    Offer(Role),
    /// What a task is, who does it, and within how many minutes.
    Task { text: Option<String>, owner: Option<String> },
    /// What is to be done afterwards, by whom, and by which day.
    FollowUp { text: Option<String>, owner: Option<String> },
    /// What came out of a task, or why it is dropped.
    EndTask { task: u64, done: bool },
    /// What came out of a follow-up.
    FinishFollowUp(u64),
}

impl Asking {
    pub(super) fn task() -> Self {
        Self::Task { text: None, owner: None }
    }

    pub(super) fn follow_up() -> Self {
        Self::FollowUp { text: None, owner: None }
    }

    /// The next question.
    pub(super) fn question(&self, model: &Model, view: &IncidentView) -> Action {
        let ask = |title: &str, lines: &[String], initial: &str, part| {
            incident::ask(title, lines.to_vec(), initial, part)
        };
        let line = |text: &str| vec![text.to_owned()];
        match self {
            Self::Take(role) => {
                let holder = view.standing.holder(*role).unwrap_or_default();
                let lines = [
                    format!(
                        "{holder} is {}. It is better handed over: ask {holder} to offer it.",
                        role.said()
                    ),
                    "Why it is taken all the same, in a sentence for the journal.".to_owned(),
                ];
                ask("TAKE THE ROLE", &lines, "", Part::Why)
            }
            Self::Offer(role) => {
                let lines = [
                    format!("Who is to be {}? The name as the journal calls that one.", role.said()),
                    "Until it is acknowledged you hold the role.".to_owned(),
                ];
                ask("OFFER THE ROLE", &lines, "", Part::Who)
            }
            Self::Task { text: None, .. } => ask("TASK", &line("What is to be done?"), "", Part::Text),
            Self::FollowUp { text: None, .. } => {
                ask("FOLLOW-UP", &line("What is to be done after the incident?"), "", Part::Text)
            }
            Self::Task { text: Some(text), owner: None } => {
                ask("TASK", &[text.clone(), "Who does it?".to_owned()], &model.actor, Part::Who)
            }
            Self::FollowUp { text: Some(text), owner: None } => {
                ask("FOLLOW-UP", &[text.clone(), "Who sees to it?".to_owned()], &model.actor, Part::Who)
            }
            Self::Task { text: Some(text), owner: Some(owner) } => {
                let lines = [format!("{owner}: {text}"), "Within how many minutes?".to_owned()];
                ask("TASK", &lines, &TASK_MINUTES.to_string(), Part::Minutes)
            }
            Self::FollowUp { text: Some(text), owner: Some(owner) } => {
                let week = Timestamp(model.now.0.saturating_add(7 * 86_400_000_000));
                let week = week.to_utc().format("%Y-%m-%d").to_string();
                let lines = [format!("{owner}: {text}"), "By which day?".to_owned()];
                ask("FOLLOW-UP", &lines, &week, Part::Day)
            }
            Self::EndTask { done: true, .. } | Self::FinishFollowUp(_) => {
                ask("DONE", &line("What came out? Enter alone says nothing more."), "", Part::Outcome)
            }
            Self::EndTask { .. } => {
                ask("DROP THE TASK", &line("Why it is not done any more."), "", Part::Why)
            }
        }
    }

    /// Takes an answer: what is to be settled, or what is still to be asked.
    pub(super) fn answered(self, text: &str) -> Result<Settle, Self> {
        let said = text.to_owned();
        match self {
            Self::Take(role) => Ok(Settle::TakeRole { role, reason: Some(said) }),
            Self::Offer(role) => Ok(Settle::OfferRole { role, to: said }),
            Self::Task { text: None, owner } => Err(Self::Task { text: Some(said), owner }),
            Self::Task { text, owner: None } => Err(Self::Task { text, owner: Some(said) }),
            Self::Task { text: Some(text), owner: Some(owner) } => match minutes(&said) {
                Some(minutes) => Ok(Settle::AddTask { text, owner, minutes }),
                None => Err(Self::Task { text: Some(text), owner: Some(owner) }),
            },
            Self::FollowUp { text: None, owner } => Err(Self::FollowUp { text: Some(said), owner }),
            Self::FollowUp { text, owner: None } => Err(Self::FollowUp { text, owner: Some(said) }),
            Self::FollowUp { text: Some(text), owner: Some(owner) } => {
                if is_day(&said) {
                    return Ok(Settle::AddFollowUp { text, owner, due: said });
                }
                Err(Self::FollowUp { text: Some(text), owner: Some(owner) })
            }
            Self::EndTask { task, done } => Ok(Settle::EndTask { task, done, text: said }),
            Self::FinishFollowUp(follow_up) => Ok(Settle::FinishFollowUp { follow_up, text: said }),
        }
    }
}

fn minutes(text: &str) -> Option<u32> {
    text.parse().ok().filter(|minutes| (1..=MOST_TASK_MINUTES).contains(minutes))
}

/// What is typed for a part would mean, or what is wrong with it.
pub(super) fn meant(part: Part, text: &str, now: Timestamp) -> Vec<String> {
    match part {
        Part::Minutes => vec![minutes(text).map_or_else(
            || format!("whole minutes, from 1 to {MOST_TASK_MINUTES}"),
            |minutes| {
                let due = Timestamp(now.0.saturating_add(i64::from(minutes) * 60_000_000));
                format!("= due {} UTC", time(due, now))
            },
        )],
        Part::Day if !is_day(text) => vec!["a day, for example 2026-12-01".to_owned()],
        _ => Vec::new(),
    }
}

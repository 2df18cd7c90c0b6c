//! Facts as the judges see them: fresh or not, and who is who.
//!
//! Pure; proposes nothing.

use super::Draft;
use crate::base::Timestamp;
use crate::model::board::judge::span;
use crate::model::board::{Member, ServerFacts};
use crate::model::fact::{Answer, Fact, SILENT};
use crate::model::situation::{Contact, MemberFacts, PatroniFacts, PatroniMember, Situation};

/// What a server said is not known any more after so many seconds.
pub(super) const SERVER_STALE_S: i64 = 30;
/// What its folder and its log told.
pub(super) const FOLDER_STALE_S: i64 = 60;
/// What a repository told.
pub(super) const REPOSITORY_STALE_S: i64 = 600;

/// The situation, seen at a moment.
pub(super) struct Eye<'a> {
    pub situation: &'a Situation,
    pub now: Timestamp,
}

/// A fact, as far as it counts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Seen<'a, T> {
    /// Fresh.
    Value(&'a T, Option<Timestamp>),
    /// Looked at and broken.
    Failed(&'a str, Option<Timestamp>),
    /// Not looked at, no answer, or too old.
    Unknown(Why<'a>),
}

/// Why something is unknown.
#[derive(Debug, Clone, Copy)]
pub(super) enum Why<'a> {
    Said(&'a str),
    NotLooked,
    Old(i64),
}

impl<'a, T> Seen<'a, T> {
    pub(super) fn value(self) -> Option<&'a T> {
        match self {
            Self::Value(value, _) => Some(value),
            _ => None,
        }
    }
}

impl std::fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Said(why) => f.write_str(why),
            Self::NotLooked => f.write_str("not looked at yet"),
            Self::Old(us) => write!(f, "last seen {} ago", span(*us)),
        }
    }
}

/// One member with everything known of it.
#[derive(Clone, Copy)]
pub(super) struct One<'a> {
    pub at: usize,
    pub board: &'a Member,
    pub facts: &'a MemberFacts,
}

impl<'a> Eye<'a> {
    pub(super) fn see<T>(&self, fact: &'a Fact<T>, stale_s: i64) -> Seen<'a, T> {
        let age_us = fact.at.map_or(0, |at| self.now.0.saturating_sub(at.0));
        match &fact.answer {
            Answer::Pending => Seen::Unknown(Why::NotLooked),
            Answer::Unknown { why } => Seen::Unknown(Why::Said(why)),
            Answer::Known { .. } | Answer::Failed { .. } if age_us > stale_s.saturating_mul(1_000_000) => {
                Seen::Unknown(Why::Old(age_us))
            }
            Answer::Failed { why } => Seen::Failed(why, fact.at),
            Answer::Known { value } => Seen::Value(value, fact.at),
        }
    }

    pub(super) fn see_some<T>(&self, fact: Option<&'a Fact<T>>, stale_s: i64) -> Seen<'a, T> {
        fact.map_or(Seen::Unknown(Why::NotLooked), |fact| self.see(fact, stale_s))
    }

    /// It is looked at, and no look has come back, or none for long: another one may bring what decides.
    pub(super) fn is_silent<T>(&self, fact: Option<&'a Fact<T>>, stale_s: i64) -> bool {
        match fact.map(|fact| self.see(fact, stale_s)) {
            Some(Seen::Unknown(Why::NotLooked | Why::Old(_))) => true,
            Some(Seen::Unknown(Why::Said(why))) => why == SILENT,
            Some(Seen::Value(..) | Seen::Failed(..)) | None => false,
        }
    }

    pub(super) fn members(&self) -> impl Iterator<Item = One<'a>> + use<'a> {
        let both = self.situation.board.members.iter().zip(&self.situation.members);
        both.enumerate().map(|(at, (board, facts))| One { at, board, facts })
    }

    pub(super) fn server(&self, one: One<'a>) -> Option<&'a ServerFacts> {
        self.see(&one.board.server, SERVER_STALE_S).value()
    }

    /// It answers and takes no orders from another.
    pub(super) fn is_primary(&self, one: One<'a>) -> bool {
        self.server(one).is_some_and(|facts| !facts.in_recovery)
    }

    /// It answers as a standby, or its folder says that it would start as one.
    pub(super) fn is_standby(&self, one: One<'a>) -> bool {
        if let Some(facts) = self.server(one) {
            return facts.in_recovery;
        }
        if let Some(health) = self.see(&one.facts.health, SERVER_STALE_S).value() {
            return health.in_recovery;
        }
        let folder = self.see_some(one.facts.folder.as_ref(), FOLDER_STALE_S).value();
        folder.is_some_and(|folder| folder.signal.as_deref() == Some("standby.signal"))
    }

    /// The member that is the primary, or that was: who answers as one, else the first that is no standby.
    pub(super) fn primary(&self) -> Option<One<'a>> {
        let answers = self.members().find(|one| self.is_primary(*one));
        answers.or_else(|| self.members().find(|one| !self.is_standby(*one)))
    }

    /// All that are standbys, or may be: everybody but the primary.
    pub(super) fn standbys(&self) -> Vec<One<'a>> {
        let primary = self.primary().map(|one| one.at);
        self.members().filter(|one| Some(one.at) != primary && !self.is_primary(*one)).collect()
    }

    /// Says of one member how it is reached, as evidence.
    pub(super) fn tell_contact(&self, one: One<'a>, draft: &mut Draft) {
        let name = &one.board.name;
        match self.see(&one.facts.contact, SERVER_STALE_S) {
            Seen::Value(Contact::Session, at) => {
                let role = match self.server(one) {
                    Some(facts) if facts.in_recovery => " as a standby",
                    Some(_) => " as a primary",
                    None => "",
                };
                draft.good(format!("{name} answers{role}"), at);
            }
            Seen::Value(Contact::Refused, at) => {
                draft.bad(format!("{name} refuses connections at {}", one.board.place), at);
            }
            Seen::Value(Contact::NotNow { why }, at) => {
                draft.late(format!("{name} is there and takes no sessions now: {why}"), at);
            }
            Seen::Value(Contact::Denied { why }, at) => {
                draft.late(format!("{name} is there and lets us not in: {why}"), at);
            }
            Seen::Value(Contact::Error { why }, at) => {
                draft.late(format!("{name} is there and answers with an error: {why}"), at);
            }
            Seen::Value(Contact::Lost { why }, at) => {
                draft.late(format!("{name}: the session was lost: {why}"), at);
            }
            Seen::Failed(why, at) => draft.bad(format!("{name}: {why}"), at),
            Seen::Unknown(why) => {
                let from_here = if one.facts.is_here() { "" } else { ", looked at from this host only" };
                draft.unknown(format!("{name}: {why}{from_here}"), one.facts.contact.at);
            }
        }
    }

    /// A standby that receives from its primary now, with who it receives from. One that may receive from another standby
    /// proves nothing: that one goes on sending when its own primary is long gone.
    pub(super) fn streaming(&self) -> Option<(One<'a>, Option<&'a str>)> {
        self.members().find_map(|one| {
            self.server(one).filter(|facts| facts.in_recovery && facts.streaming)?;
            // Without it nobody knows when something came last, nor from whom.
            let health = self.see(&one.facts.health, SERVER_STALE_S).value()?;
            let receiver = health.receiver.as_ref();
            let silent = receiver
                .and_then(|receiver| receiver.last_message_at)
                .is_some_and(|at| self.now.0.saturating_sub(at.0) > SILENT_US);
            let sender = receiver.and_then(|receiver| receiver.sender.as_deref());
            (!silent && !self.may_be_relayed(one, sender)).then_some((one, sender))
        })
    }

    /// Another standby sends its log on to somebody, or does not say whether it does, and the sender is not the primary by
    /// its address.
    fn may_be_relayed(&self, one: One<'a>, sender: Option<&str>) -> bool {
        let primary = self.primary();
        let named = primary.zip(sender).is_some_and(|(primary, sender)| {
            let host = primary.facts.host.as_ref();
            host.is_some_and(|host| sender == format!("{host}:{}", primary.facts.port))
        });
        let relays = |other: One<'a>| match self.see(&other.facts.health, SERVER_STALE_S) {
            Seen::Value(health, _) => !health.standbys.is_empty(),
            _ => !self.is_gone(other),
        };
        let primary = primary.map(|one| one.at);
        !named && self.members().any(|other| other.at != one.at && Some(other.at) != primary && relays(other))
    }

    /// Nobody listens at its address, or no process serves its data directory.
    fn is_gone(&self, one: One<'a>) -> bool {
        let contact = self.see(&one.facts.contact, SERVER_STALE_S).value();
        let folder = self.see_some(one.facts.folder.as_ref(), FOLDER_STALE_S).value();
        matches!(contact, Some(Contact::Refused))
            || folder.is_some_and(|folder| folder.running == Some(false))
    }

    /// What the nodes of Patroni say that answered.
    pub(super) fn patroni(&self) -> Vec<&'a PatroniFacts> {
        let seen = self.situation.patroni.iter();
        seen.filter_map(|node| self.see(&node.facts, SERVER_STALE_S).value()).collect()
    }

    /// A node of Patroni that has its store lists the cluster: only then it is known that nobody leads.
    pub(super) fn lists(&self) -> bool {
        self.patroni().into_iter().any(|facts| facts.listed && !facts.store_lost)
    }

    /// Every node of Patroni that answers has lost its store.
    pub(super) fn has_lost_its_store(&self) -> bool {
        let answers = self.patroni();
        !answers.is_empty() && answers.iter().all(|facts| facts.store_lost)
    }

    /// Every node of Patroni that answers has lost its store, or nobody holds the leader's key. One who holds it while its
    /// server is being started again leads.
    pub(super) fn is_leaderless(&self) -> bool {
        (self.has_lost_its_store() || self.lists()) && !self.listed().any(PatroniMember::is_leader)
    }

    /// Leaders whose servers run, as the nodes of Patroni see them that have not lost the store.
    pub(super) fn leaders(&self) -> Vec<&'a PatroniMember> {
        self.listed().filter(|member| member.is_leader() && member.runs()).collect()
    }

    /// The members as the nodes of Patroni list them that have not lost the store.
    fn listed(&self) -> impl Iterator<Item = &'a PatroniMember> + use<'a> {
        let sees = self.patroni().into_iter().filter(|facts| !facts.store_lost);
        sees.flat_map(|facts| &facts.members)
    }
}

/// A receiver that has heard nothing for longer may be connected to a host that is gone: a living sender says something
/// at least every half of `wal_receiver_timeout`'s minute.
const SILENT_US: i64 = 40_000_000;

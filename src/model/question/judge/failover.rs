//! Has Patroni failed over already?
//!
//! Pure.

use super::eye::{Eye, SERVER_STALE_S, Seen};
use super::{Draft, Proposal};
use crate::base::Timestamp;
use crate::model::situation::{MemberFacts, PatroniMember};

pub(super) fn judge(eye: &Eye<'_>) -> Proposal {
    let mut draft = Draft::default();
    if eye.situation.patroni.is_empty() {
        draft.unknown("no address of Patroni is configured (patroni of pgmayday.toml)", None);
        return draft.propose("no-patroni", "no Patroni is configured");
    }
    let mut refused = 0;
    for node in &eye.situation.patroni {
        let address = &node.address;
        match eye.see(&node.facts, SERVER_STALE_S) {
            Seen::Value(facts, at) => {
                for member in &facts.members {
                    tell(address, member, at, &mut draft);
                }
                if facts.paused {
                    draft.late(format!("{address}: Patroni is paused and fails over only when told to"), at);
                }
                if facts.store_lost {
                    draft.bad(format!("{address}: the distributed store is lost"), at);
                }
            }
            Seen::Failed(why, at) => {
                refused += 1;
                draft.bad(format!("{address}: {why}"), at);
            }
            Seen::Unknown(why) => draft.unknown(format!("{address}: {why}"), node.facts.at),
        }
    }
    let answers = eye.patroni();
    if answers.is_empty() {
        let all = refused == eye.situation.patroni.len();
        let how = if all { "refuses connections on every node" } else { "does not answer" };
        return draft
            .open(format!("Patroni {how}: whether it failed over is not known; see the distributed store"));
    }
    let paused = answers.iter().any(|facts| facts.paused);
    let leaders = eye.leaders();
    let Some(leader) = leaders.first().copied() else {
        let how = if paused { "it is paused and elects none by itself" } else { "none was elected" };
        if !eye.lists() {
            return draft.open(
                "Patroni does not list its cluster: it waits for its distributed store, or has lost it",
            );
        }
        return draft.propose("no", format!("Patroni has no leader whose server runs; {how}"));
    };
    if let Some(other) = leaders.iter().find(|other| other.name != leader.name) {
        return draft.open(format!(
            "one node of Patroni names {} as the leader, another {}: it may fail over now, look again",
            leader.name, other.name
        ));
    }
    let old = eye.situation.members.first();
    let Some(old) = old else {
        return draft.propose("yes", format!("{} leads", leader.name));
    };
    if is_same(old, leader) {
        return draft.propose("no", format!("{} still leads", leader.name));
    }
    draft.propose("yes", format!("{} leads now", leader.name))
}

fn tell(address: &str, member: &PatroniMember, at: Option<Timestamp>, draft: &mut Draft) {
    let PatroniMember { name, role, state, .. } = member;
    let timeline = member.timeline.map(|timeline| format!(", timeline {timeline}")).unwrap_or_default();
    let lag = match member.lag_bytes {
        Some(lag) if !member.is_leader() => format!(", {lag} bytes behind as it says"),
        None if !member.is_leader() => ", behind by an unknown amount".to_owned(),
        _ => String::new(),
    };
    let said = format!("{address}: {name} is {role}, {state}{timeline}{lag}");
    if member.runs() { draft.good(said, at) } else { draft.bad(said, at) }
}

/// The leader is the server at this place. A place on this host may be called by any of its names.
fn is_same(old: &MemberFacts, leader: &PatroniMember) -> bool {
    let port = leader.port.is_none_or(|port| port == old.port);
    match (&old.host, &leader.host) {
        (Some(old), Some(leader)) => old == leader && port,
        (None, Some(leader)) => port && is_local(leader),
        _ => port,
    }
}

fn is_local(host: &str) -> bool {
    host == "localhost" || host == "::1" || host.starts_with("127.")
}

//! Is the damage committed yet? If not, ending the transaction that did it ends the incident.
//!
//! Pure.

use super::eye::{Eye, SERVER_STALE_S, Seen};
use super::{Draft, Proposal};
use crate::model::board::judge::span;

pub(super) fn judge(eye: &Eye<'_>) -> Proposal {
    let mut draft = Draft::default();
    let Some(one) = eye.primary() else {
        return draft.open("there is no primary to ask for open transactions");
    };
    let name = one.board.name.as_str();
    let health = match eye.see(&one.facts.health, SERVER_STALE_S) {
        Seen::Value(health, _) => health,
        Seen::Failed(why, at) => {
            draft.unknown(format!("{name} cannot be asked for open transactions: {why}"), at);
            return draft.open(format!("{name} cannot be asked for open transactions"));
        }
        Seen::Unknown(why) => {
            draft
                .unknown(format!("{name} cannot be asked for open transactions: {why}"), one.facts.health.at);
            return draft.open(format!("{name} cannot be asked for open transactions"));
        }
    };
    for writer in &health.open_writers {
        let open = span(eye.now.0.saturating_sub(writer.since.0));
        draft.late(
            format!(
                "{name}: process {} ({} in {}, {}) has written and is open for {open}; last: {}, {}",
                writer.pid, writer.user, writer.database, writer.application, writer.verb, writer.state
            ),
            Some(writer.since),
        );
    }
    if health.prepared > 0 {
        draft.late(
            format!("{name}: {} prepared transactions wait for their second phase", health.prepared),
            None,
        );
    }
    let application = eye.see_some(eye.situation.board.application.as_ref(), SERVER_STALE_S);
    let right = match application {
        Seen::Value(check, at) if check.right => {
            draft.good("the application's check, which sees what is committed, is right", at);
            Some(true)
        }
        Seen::Value(check, at) => {
            draft.bad(
                format!("the application's check, which sees what is committed, is wrong: {}", check.why),
                at,
            );
            Some(false)
        }
        _ => None,
    };
    let open = health.open_writers.len() as u64 + health.prepared;
    match (right, open) {
        (Some(false), _) => draft.propose("yes", "the application sees the damage, so it is committed"),
        (_, 0) if !health.sees_all => {
            let said = format!("{name} does not show us other roles' sessions: whether one has written is not known");
            draft.unknown(said.clone(), None);
            draft.open(said)
        }
        (_, 0) => {
            draft.good(format!("{name}: no transaction that wrote is open"), None);
            draft.propose("yes", format!("no transaction that wrote is open on {name}: whatever was done is committed"))
        }
        (Some(true), _) => draft.propose(
            "no",
            format!("the application's check is still right, and {open} transactions that wrote are open on {name}"),
        ),
        (None, _) => draft.open(format!(
            "{open} transactions that wrote are open on {name}: if one of them did it, pg_terminate_backend ends this"
        )),
    }
}

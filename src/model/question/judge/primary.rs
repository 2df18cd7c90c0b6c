//! Is the primary alive? Silence is unknown; a refusal is a no only where something else proves that nobody is there.
//!
//! Pure.

use super::eye::{Eye, FOLDER_STALE_S, One, SERVER_STALE_S, Seen};
use super::{Draft, Proposal};
use crate::model::situation::Contact;

pub(super) fn judge(eye: &Eye<'_>) -> Proposal {
    let mut draft = Draft::default();
    eye.members().for_each(|one| eye.tell_contact(one, &mut draft));
    let alive: Vec<One<'_>> = eye.members().filter(|one| eye.is_primary(*one)).collect();
    if let Some(first) = alive.first() {
        let name = &first.board.name;
        if alive.len() > 1 {
            let names: Vec<&str> = alive.iter().map(|one| one.board.name.as_str()).collect();
            draft.bad(
                format!("{} all answer as primaries: stop the one that is not served", names.join(", ")),
                None,
            );
        }
        return draft.propose("yes", format!("{name} answers as a primary"));
    }
    let Some(primary) = eye.primary() else {
        return nobody(eye, draft);
    };
    if let Some(proposal) = still_sends(eye, &mut draft) {
        return draft.propose("yes", proposal);
    }
    folder(eye, primary, &mut draft);
    let name = primary.board.name.clone();
    match eye.see(&primary.facts.contact, SERVER_STALE_S) {
        Seen::Value(Contact::Denied { .. } | Contact::Error { .. }, _) => {
            draft.propose("yes", format!("{name} is there: it answers with an error"))
        }
        Seen::Value(Contact::NotNow { why }, _) => {
            draft.open(format!("{name} is there and takes no sessions now ({why}): wait, and read its log"))
        }
        Seen::Value(Contact::Session, _) => {
            draft.open(format!("{name} gave a session and did not say what it is"))
        }
        Seen::Value(Contact::Refused | Contact::Lost { .. }, _) | Seen::Failed(..) => {
            refused(eye, primary, draft)
        }
        Seen::Unknown(_) if is_stopped(eye, primary) == Some(true) => {
            draft.propose("no", format!("no process serves the data directory of {name}"))
        }
        Seen::Unknown(why) => {
            let reason = if primary.facts.is_here() {
                format!("{name}: {why}, and its process is not proven gone: it may hang")
            } else {
                format!("{name}: {why}; that says nothing about it: look from a second place")
            };
            draft.open(reason)
        }
    }
}

/// A standby still receives from a primary that cannot be reached: why that proves it alive.
fn still_sends(eye: &Eye<'_>, draft: &mut Draft) -> Option<String> {
    let (standby, sender) = eye.streaming()?;
    let from = sender.map(|sender| format!(" from {sender}")).unwrap_or_default();
    let name = &standby.board.name;
    draft.good(format!("{name} receives its log{from} now"), standby.board.server.at);
    Some(format!("it cannot be reached from here, but {name} still receives its log{from}"))
}

/// Nobody is, or was, a primary as far as can be seen.
fn nobody(eye: &Eye<'_>, mut draft: Draft) -> Proposal {
    if eye.situation.board.members.is_empty() {
        return draft.open("no server is configured");
    }
    let answers = eye.members().find(|one| eye.server(*one).is_some());
    if let Some(one) = answers.filter(|_| eye.is_leaderless()) {
        return draft.propose(
            "yes",
            format!(
                "{} answers, but every server is a standby, and Patroni has no leader: the data is there, nobody may write",
                one.board.name
            ),
        );
    }
    if let Some(reason) = still_sends(eye, &mut draft) {
        return draft.propose("yes", reason);
    }
    draft.open(
        "every server that is configured is a standby: the primary is none of them, or was made a standby",
    )
}

fn refused(eye: &Eye<'_>, primary: One<'_>, mut draft: Draft) -> Proposal {
    let name = primary.board.name.clone();
    match is_stopped(eye, primary) {
        Some(true) => {
            return draft.propose("no", format!("{name} refuses connections and its process is gone"));
        }
        Some(false) => {
            return draft.open(format!(
                "{name} refuses connections, but a process serves its data directory: is it another port or socket?"
            ));
        }
        None => {}
    }
    if primary.facts.is_here() {
        return draft
            .open(format!("{name} refuses connections, and whether its process is gone cannot be told"));
    }
    // The host answers for its server. Somebody else must have lost it, too: a firewall also refuses. One that receives,
    // be it from another standby, has lost nobody.
    let lost = |one: &One<'_>| eye.server(*one).is_some_and(|facts| facts.in_recovery && !facts.streaming);
    let standbys: Vec<One<'_>> = eye.standbys().into_iter().filter(lost).collect();
    let patroni = eye.patroni().into_iter().flat_map(|facts| &facts.members).any(|member| {
        member.host.as_deref() == primary.facts.host.as_deref()
            && member.port == Some(primary.facts.port)
            && !member.runs()
    });
    if patroni {
        draft.bad(format!("Patroni says that the server of {name} does not run"), None);
        return draft
            .propose("no", format!("{name} refuses connections, and Patroni says that it does not run"));
    }
    if standbys.is_empty() {
        return draft
            .open(format!("{name} refuses connections; a firewall may do that: look from its own host"));
    }
    for standby in &standbys {
        draft.bad(format!("{} receives from nobody", standby.board.name), standby.board.server.at);
    }
    draft.propose("no", format!("{name} refuses connections, and no standby receives from it any more"))
}

/// What the data directory says of it.
fn folder(eye: &Eye<'_>, primary: One<'_>, draft: &mut Draft) {
    let name = &primary.board.name;
    match is_stopped(eye, primary) {
        Some(true) => draft.bad(format!("no process serves the data directory of {name}"), at(primary)),
        Some(false) => draft.late(format!("a process serves the data directory of {name}"), at(primary)),
        None if primary.facts.is_here() => {
            draft.unknown(
                format!("whether a process serves the data directory of {name} cannot be told"),
                at(primary),
            );
        }
        None => {
            draft.unknown(format!("the host of {name} is not this one: its processes cannot be seen"), None);
        }
    }
}

fn at(one: One<'_>) -> Option<crate::base::Timestamp> {
    one.facts.folder.as_ref().and_then(|fact| fact.at)
}

/// Whether nobody serves its data directory; nothing if that cannot be told.
pub(super) fn is_stopped(eye: &Eye<'_>, one: One<'_>) -> Option<bool> {
    let folder = eye.see_some(one.facts.folder.as_ref(), FOLDER_STALE_S).value()?;
    folder.running.map(|running| !running)
}

//! Is the old primary kept from writing, now and after the next boot?
//!
//! Pure. Silence is no fence: `yes` needs a process proven gone and a start proven impossible.

use super::eye::{Eye, FOLDER_STALE_S};
use super::primary::is_stopped;
use super::{Draft, Proposal};
use crate::model::situation::Contact;

pub(super) fn judge(eye: &Eye<'_>) -> Proposal {
    let mut draft = Draft::default();
    // The old primary is one that does not answer as one now; where all do, the first that was configured.
    let silent = eye.members().find(|one| !eye.is_standby(*one) && !eye.is_primary(*one));
    let old = silent.or_else(|| eye.members().find(|one| !eye.is_standby(*one)));
    let Some(one) = old else {
        return draft.open("no server here is, or was, a primary");
    };
    eye.tell_contact(one, &mut draft);
    let name = one.board.name.as_str();
    if eye.is_primary(one) {
        return draft.propose("no", format!("{name} answers and takes writes"));
    }
    let contact = eye.see(&one.facts.contact, super::eye::SERVER_STALE_S).value();
    if contact.is_some_and(|contact| !matches!(contact, Contact::Refused)) {
        return draft.propose("no", format!("the server of {name} is there"));
    }
    if let Some((standby, _)) = eye.streaming() {
        draft.bad(format!("{} still receives its log", standby.board.name), standby.board.server.at);
        return draft.propose("no", format!("{} still receives the log of {name}", standby.board.name));
    }
    match is_stopped(eye, one) {
        Some(false) => return draft.propose("no", format!("a process serves the data directory of {name}")),
        Some(true) => draft.good(format!("no process serves the data directory of {name}"), None),
        None if one.facts.is_here() => {
            draft.unknown(
                format!("whether a process serves the data directory of {name} cannot be told"),
                None,
            );
            return draft.open(format!("whether {name} is stopped cannot be told"));
        }
        None => {
            draft.unknown(
                format!("{name} is on another host: whether it is stopped cannot be seen from here"),
                None,
            );
            return draft.open(format!(
                "{name} is on another host: switch it off, cut it off, or have a named person sign that it is"
            ));
        }
    }
    let folder = eye.see_some(one.facts.folder.as_ref(), FOLDER_STALE_S).value();
    let quarantined = folder.is_some_and(|folder| folder.quarantined);
    if quarantined {
        draft.good(
            format!("no server can start in the data directory of {name}: its pg_control bears another name"),
            None,
        );
        return draft.propose("yes", format!("{name} is stopped and cannot start"));
    }
    match folder.and_then(|folder| folder.starts_by_itself) {
        Some(false) => {
            draft.propose("yes", format!("{name} is stopped, and its automatic start is disabled"))
        }
        Some(true) => {
            draft.bad(format!("{name} starts with the host"), None);
            draft.propose(
                "no",
                format!("{name} is stopped, but starts again with the host: disable that first"),
            )
        }
        None => {
            draft.unknown(format!("whether {name} starts with the host cannot be told"), None);
            draft.open(format!(
                "{name} is stopped; whether it is started again cannot be told: disable its start"
            ))
        }
    }
}

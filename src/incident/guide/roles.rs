//! The automatic check of a runbook's lists that the journal answers itself: who is named to what. Looks at no server.

use crate::incident::Standing;
use crate::journal::Role;
use crate::model::question::judge::Checked;
use crate::runbook::NodeKind;
use crate::runbook::walk::Walk;

/// The check that somebody leads and somebody types.
const NAMED: &str = "roles-named";

/// The roles it asks for.
const ASKED: [Role; 2] = [Role::Lead, Role::Operator];

/// What the journal says to the check of this name; nothing if it is one of the facts'.
pub(super) fn checked(name: &str, standing: &Standing) -> Option<Checked> {
    if name != NAMED {
        return None;
    }
    let held = |role: Role| standing.holder(role).map(|holder| format!("{holder} is {}", role.said()));
    let open: Vec<&str> = open(standing).map(Role::said).collect();
    Some(if open.is_empty() {
        let held: Vec<String> = ASKED.into_iter().filter_map(held).collect();
        Checked { holds: Some(true), text: held.join(", ") }
    } else {
        let text = format!("nobody is {}: who ticks this takes what nobody holds", open.join(" or "));
        Checked { holds: Some(false), text }
    })
}

/// The roles it asks for that nobody holds.
pub(super) fn open(standing: &Standing) -> impl Iterator<Item = Role> {
    ASKED.into_iter().filter(|role| standing.holder(*role).is_none())
}

/// True if this item of the list one is at is that check.
pub(super) fn are_asked_for(walk: &Walk<'_>, item: &str) -> bool {
    let Some(NodeKind::Checklist(list)) = walk.node().map(|node| &node.kind) else { return false };
    list.items.iter().any(|known| known.id == item && known.check.as_deref() == Some(NAMED))
}

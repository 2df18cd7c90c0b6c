//! The items of the checklists, as data: what is to be so, why, and what it stops. Knows no incident.

use serde::Serialize;

/// One item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Item {
    /// Its checklist.
    pub list: &'static str,
    /// Its name in it.
    pub id: &'static str,
    /// What is to be so.
    pub text: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// True if nothing goes on before it is so, or somebody says by name that it does not apply.
    pub blocking: bool,
    /// The probe that can answer it; nothing where only a person can.
    pub probe: Option<&'static str>,
}

/// Before the first byte is restored.
pub const PRE_RESTORE: &str = "pre-restore";
/// After the recovery, before the incident is closed.
pub const POST_RESTORE: &str = "post-restore";

/// Every item, in the order in which it is looked at.
pub const ITEMS: &[Item] = &[
    before(
        "reason",
        true,
        None,
        "The reason is recorded",
        "Whoever joins, and whoever reads the report, must know why data is put back.",
    ),
    before(
        "exact-point",
        true,
        Some("plan-target"),
        "The exact point is known: time to the millisecond, transaction, LSN or name",
        "A minute too late replays the damage; a minute too early gives up good commits.",
    ),
    before(
        "target-name",
        true,
        None,
        "Host, stanza and data directory are the ones that are meant",
        "The most expensive mistake is the right restore onto the wrong cluster.",
    ),
    before(
        "backup-available",
        true,
        Some("plan-set"),
        "A backup set before that point is there and whole, and every WAL segment up to it",
        "A hole that is found after the copy costs the time of the copy.",
    ),
    before(
        "disk-space",
        true,
        Some("plan-space"),
        "Every filesystem has room for the copy, the WAL and a margin",
        "A full disk stops the replay; the old data directory is still needed, too.",
    ),
    before(
        "fenced",
        true,
        None,
        "The old primary is stopped and cannot come back by itself",
        "Two primaries that both take writes cannot be put together again.",
    ),
    before(
        "stakeholders-told",
        true,
        None,
        "Whoever depends on the service has been told",
        "They decide better with the loss in front of them, and stop writing in time.",
    ),
    before(
        "tried-elsewhere",
        false,
        None,
        "The same recovery was tried on a host that is not production",
        "Worth it where the clock allows; the plan proves what can be proven without.",
    ),
    after(
        "connect",
        true,
        Some("verify-connect"),
        "The application's role connects to every database",
        "A database that was half dropped only shows when somebody connects to it.",
    ),
    after(
        "counts",
        true,
        Some("verify-smoke"),
        "The important tables hold what is expected of them",
        "Replay ends well also at the wrong point; only the data tells.",
    ),
    after(
        "health",
        true,
        Some("verify-health"),
        "The application's own health check is good, and a write commits through its address",
        "A server that answers SELECT 1 may still hang at every commit.",
    ),
    after(
        "migrations",
        true,
        None,
        "The schema is that of the running application version",
        "A point before a migration needs the migration, or the earlier application.",
    ),
    after(
        "endpoints",
        true,
        None,
        "Pools, proxies and DNS lead to the recovered cluster, and only there",
        "A forgotten pool still writes into what was given up.",
    ),
    after(
        "archiving",
        true,
        Some("verify-archiving"),
        "WAL of the new timeline and its history file arrive in every repository",
        "Until then the next failure cannot be recovered from.",
    ),
    after(
        "replicas",
        true,
        None,
        "Every replica is on the new timeline, or stopped until it is rebuilt",
        "A replica that kept the old history brings the damage back when it is promoted.",
    ),
    after(
        "first-backup",
        true,
        Some("verify-first-backup"),
        "A full backup of the recovered cluster is made",
        "It ends the dependence on a chain that crosses the recovery.",
    ),
    after(
        "error-rates",
        false,
        None,
        "Error rates were watched for 30 minutes",
        "What the checks do not know shows there first.",
    ),
    after(
        "status-page",
        false,
        None,
        "The status page says that it is over",
        "Silence reads as still broken.",
    ),
    after(
        "outcome",
        true,
        None,
        "The outcome is recorded: what was lost, what was kept, what is to be done",
        "A year later nobody remembers.",
    ),
];

/// Before the restore; looked at by this probe, if by any.
const fn before(
    id: &'static str,
    blocking: bool,
    probe: Option<&'static str>,
    text: &'static str,
    why: &'static str,
) -> Item {
    Item { list: PRE_RESTORE, id, text, why, blocking, probe }
}

/// The same after it.
const fn after(
    id: &'static str,
    blocking: bool,
    probe: Option<&'static str>,
    text: &'static str,
    why: &'static str,
) -> Item {
    Item { list: POST_RESTORE, ..before(id, blocking, probe, text, why) }
}

/// The items of a checklist.
pub fn items(list: &str) -> impl Iterator<Item = &'static Item> {
    ITEMS.iter().filter(move |item| item.list == list)
}

/// The item of this name.
pub fn item(list: &str, id: &str) -> Option<&'static Item> {
    items(list).find(|item| item.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_plain() {
        let names: BTreeSet<(&str, &str)> = ITEMS.iter().map(|item| (item.list, item.id)).collect();
        assert_eq!(names.len(), ITEMS.len());
        for item in ITEMS {
            assert!(item.id.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{}", item.id);
            assert!(!item.text.ends_with('.') && item.why.ends_with('.'), "{}", item.id);
        }
        assert!(items(PRE_RESTORE).count() >= 7 && items(POST_RESTORE).count() >= 8);
        assert!(item(PRE_RESTORE, "connect").is_none() && item(POST_RESTORE, "connect").is_some());
    }
}

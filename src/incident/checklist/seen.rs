//! What the program itself sees of the items: in a plan, and in a step of the recovery that ended well.
//!
//! An item is answered by it only where what was seen answers it whole; what answers a part is evidence for the person who
//! ticks. Pure.

use super::items::{Item, POST_RESTORE, PRE_RESTORE, items};
use crate::base::Bytes;
use crate::journal::{Fact, TickResult, archiving_left, backup_left};
use crate::model::plan::RecoverPlan;

/// What a plan shows of an item; nothing if it does not look at it.
pub fn of_plan(plan: &RecoverPlan, item: &Item) -> Option<(TickResult, String)> {
    let digest = plan.digest.get(..8).unwrap_or(&plan.digest);
    let (result, text) = match item.probe? {
        "plan-target" => target(plan)?,
        "plan-set" => set(plan)?,
        "plan-space" => space(plan)?,
        _ => return None,
    };
    Some((result, format!("plan {digest}: {text}")))
}

/// One target that the log was found to reach; of several, or of one that waits for more log, none is known yet.
fn target(plan: &RecoverPlan) -> Option<(TickResult, String)> {
    plan.set.as_ref()?;
    let last = plan.last_commit.map_or_else(String::new, |at| format!(", last commit {at}"));
    let one = plan.request.targets.len() <= 1;
    let (result, others) =
        if one { (TickResult::Ok, "") } else { (TickResult::Unknown, ", or an earlier one") };
    Some((result, format!("{}{last}{others}", plan.target)))
}

fn set(plan: &RecoverPlan) -> Option<(TickResult, String)> {
    let set = plan.set.as_ref()?;
    let stop = plan.set_stop.map_or_else(String::new, |at| format!(" ended {at}"));
    let (result, refused) = if plan.can_start() {
        (TickResult::Ok, "")
    } else {
        (TickResult::Failed, "; a check of the plan refuses it")
    };
    Some((result, format!("{set}{stop}, {} segments to replay{refused}", plan.replay_segments)))
}

fn space(plan: &RecoverPlan) -> Option<(TickResult, String)> {
    if plan.space.is_empty() {
        return None;
    }
    let short = plan.space.iter().any(|(_, needed, free)| needed > free);
    let places: Vec<String> = plan
        .space
        .iter()
        .map(|(path, needed, free)| {
            format!("{} needs {} of {}", path.display(), Bytes(*needed), Bytes(*free))
        })
        .collect();
    Some((if short { TickResult::Failed } else { TickResult::Ok }, places.join(", ")))
}

/// True if a plan answers the item whole and well. Whether a backup is whole no plan tells: it reads no file of it.
pub fn is_shown(plan: &RecoverPlan, item: &Item) -> bool {
    let whole = item.probe != Some("plan-set");
    whole && of_plan(plan, item).is_some_and(|(result, _)| result == TickResult::Ok)
}

/// The items before a restore that a plan answers whole, as facts for the journal.
pub(in crate::incident) fn ticks(plan: &RecoverPlan) -> Vec<Fact> {
    let tick = |item: &'static Item| {
        let (result, detail) = of_plan(plan, item).filter(|_| is_shown(plan, item))?;
        let (list, item) = (item.list.to_owned(), item.id.to_owned());
        Some(Fact::Ticked { list, item, automatic: true, result, detail })
    };
    items(PRE_RESTORE).filter_map(tick).collect()
}

/// The item after a restore that a step of the recovery answers whole, and how.
pub(in crate::incident) fn of_step(step: &str, detail: &str) -> Option<(&'static Item, TickResult)> {
    let (probe, result) = match step {
        "prove archive" if archiving_left(detail) => ("verify-archiving", TickResult::Failed),
        "prove archive" => ("verify-archiving", TickResult::Ok),
        "first backup" if backup_left(detail) => ("verify-first-backup", TickResult::Failed),
        "first backup" => ("verify-first-backup", TickResult::Ok),
        _ => return None,
    };
    let item = items(POST_RESTORE).find(|item| item.probe == Some(probe))?;
    Some((item, result))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::checklist::item;
    use crate::journal::{no_archiving, no_backup};

    fn plan() -> RecoverPlan {
        RecoverPlan {
            set: Some("20261120-020001F".to_owned()),
            space: vec![("/data".into(), 2 << 30, 3 << 30)],
            ..RecoverPlan::sample()
        }
    }

    #[test]
    fn a_plan_answers_the_items_it_looks_at_and_no_other() {
        let seen: Vec<String> = ticks(&plan())
            .iter()
            .map(|fact| match fact {
                Fact::Ticked { item, automatic: true, result, detail, .. } => {
                    format!("{item} {}: {detail}", result.name())
                }
                other => unreachable!("{other:?}"),
            })
            .collect();
        assert_eq!(
            seen,
            [
                "exact-point ok: plan 7f3a: 2026-11-21 02:03:00+00",
                "disk-space ok: plan 7f3a: /data needs 2.0 GB of 3.0 GB",
            ]
        );
    }

    #[test]
    fn what_is_short_is_not_ticked_as_right() {
        let short = RecoverPlan { space: vec![("/data".into(), 3, 2)], ..plan() };
        let space = item(PRE_RESTORE, "disk-space").unwrap();
        assert_eq!(of_plan(&short, space).unwrap().0, TickResult::Failed);
        assert_eq!(of_plan(&RecoverPlan::sample(), space), None, "nothing was looked at");
        assert!(ticks(&RecoverPlan::sample()).is_empty(), "no set was found to reach the target");
        let mut several = plan();
        several.request.targets.push("2026-11-21 02:02:00+00".to_owned());
        let point = item(PRE_RESTORE, "exact-point").unwrap();
        assert!(!is_shown(&several, point), "which of them it will be nobody knows");
    }

    #[test]
    fn steps_answer_what_they_see_whole() {
        let seen = |step, detail: &str| of_step(step, detail).map(|(item, result)| (item.id, result));
        assert_eq!(seen("prove archive", "00000002.history"), Some(("archiving", TickResult::Ok)));
        assert_eq!(seen("prove archive", &no_archiving()), Some(("archiving", TickResult::Failed)));
        assert_eq!(seen("first backup", "20261128-125133F"), Some(("first-backup", TickResult::Ok)));
        assert_eq!(seen("first backup", &no_backup("locked")), Some(("first-backup", TickResult::Failed)));
        // These look at a part only: a person says the rest.
        for step in ["verify", "first write", "verify writes"] {
            assert_eq!(seen(step, "all right"), None, "{step}");
        }
    }
}

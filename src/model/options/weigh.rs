//! Each way weighed by itself. Pure.

use super::{GivesUp, Ground, Planned, Way, Weighed};
use crate::model::forecast::Forecast;
use crate::model::plan::{CheckState, RecoverPlan};
use crate::model::question::judge::{Proposal, Sign, judge};

/// What kind of damage the facts show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Damage {
    /// A statement did it: it is in the log, and in everything that follows the log.
    Logical,
    /// Pages: they are in this data directory alone.
    Physical,
    /// An index differs from its table: no road but a rebuild of the index cures it.
    Index,
    /// None is seen.
    None,
    /// Not known.
    Unknown,
}

impl Damage {
    /// True if this way may leave the damage behind. One that goes where the log went keeps what a statement did; a
    /// directory that is started keeps its pages; and no way rebuilds an index.
    fn is_helped_by(self, way: Way) -> bool {
        match self {
            Self::Logical => matches!(way, Way::Recover | Way::Beside),
            Self::Physical => way != Way::StartOld,
            Self::Index => false,
            Self::None | Self::Unknown => true,
        }
    }
}

/// What the facts say to the questions that decide which ways are open.
struct Seen {
    damage: Damage,
    alive: Option<bool>,
    starts: Option<Proposal>,
    replica: Option<Proposal>,
}

impl Seen {
    fn of(ground: &Ground<'_>) -> Self {
        let asked = |name: &str| judge(name, ground.situation, ground.now);
        let exit = |name: &str| asked(name).and_then(|proposal| proposal.exit);
        Self {
            damage: match exit("corruption") {
                Some("logical") => Damage::Logical,
                Some("physical") => Damage::Physical,
                Some("index") => Damage::Index,
                Some("none") => Damage::None,
                _ => Damage::Unknown,
            },
            alive: exit("primary-alive").map(|exit| exit == "yes"),
            starts: asked("does-it-start"),
            replica: asked("replica-healthy"),
        }
    }
}

/// Every way there is: what is open comes first, and among equals what changes least.
pub(super) fn all(ground: &Ground<'_>) -> Vec<Weighed> {
    let seen = Seen::of(ground);
    // A recovery to the latest is no recovery to a target before the damage, and neither is a copy made so.
    if ground.request.is_latest() {
        ordered(&seen, None, Some(ground.plan))
    } else {
        ordered(&seen, Some(ground.plan), ground.latest)
    }
}

fn ordered(seen: &Seen, plan: Option<Planned<'_>>, latest: Option<Planned<'_>>) -> Vec<Weighed> {
    let recover =
        plan.map(|plan| planned(Way::Recover, "recover to the target", plan, target_damage(seen.damage)));
    let copy = plan.map(|plan| beside(seen, plan));
    let latest = latest
        .map(|plan| planned(Way::RecoverLatest, "recover to the latest", plan, latest_damage(seen.damage)));
    let all = [start_old(seen), promote(seen), copy, recover, latest];
    let mut ways: Vec<(bool, Weighed)> = all
        .into_iter()
        .flatten()
        .map(|weighed| {
            let helps = seen.damage.is_helped_by(weighed.way);
            (helps, if helps { weighed } else { with_something_to_know(weighed) })
        })
        .collect();
    ways.sort_by_key(|(helps, weighed)| {
        let rank = match weighed.sign {
            Sign::Ok => 0,
            Sign::Late => 1,
            Sign::Unknown => 2,
            Sign::Failed => 3,
        };
        // What is open and leaves the damage stands behind everything that is open and does not.
        (rank > 1, !helps, rank, weighed.way)
    });
    ways.into_iter().map(|(_, weighed)| weighed).collect()
}

/// Not plainly good, even if it is open.
fn with_something_to_know(weighed: Weighed) -> Weighed {
    let sign = if weighed.sign == Sign::Ok { Sign::Late } else { weighed.sign };
    Weighed { sign, ..weighed }
}

/// The old server, if there is anything to start.
fn start_old(seen: &Seen) -> Option<Weighed> {
    if seen.alive == Some(true) {
        return None;
    }
    let starts = seen.starts.as_ref()?;
    Some(Weighed {
        way: Way::StartOld,
        title: "start the old server".to_owned(),
        sign: match starts.exit {
            Some("yes") => Sign::Ok,
            Some("no") => Sign::Failed,
            _ => Sign::Unknown,
        },
        why: starts.reason.clone(),
        time: None,
        gives_up: match starts.exit {
            Some("yes") => GivesUp::Nothing,
            _ => GivesUp::Unknown { why: "whether it starts whole".to_owned() },
        },
        damage: match seen.damage {
            Damage::None => "none is seen",
            Damage::Logical | Damage::Physical => "stays",
            Damage::Index => REINDEX,
            Damage::Unknown => "stays, if there is any",
        }
        .to_owned(),
        how: lines(&[
            "copy pg_wal aside, repair what stopped it, start it closed, look, then open it",
            "runbook postgres-dr, from \"Does the old data directory simply start?\"",
        ]),
    })
}

/// The best standby.
fn promote(seen: &Seen) -> Option<Weighed> {
    let replica = seen.replica.as_ref()?;
    let sign = match (replica.exit, seen.alive) {
        (Some("no"), _) => Sign::Failed,
        // Two primaries are worse than none: what answers is stopped and fenced first.
        (Some("yes"), Some(false)) => Sign::Ok,
        (Some("yes" | "lagging"), _) => Sign::Late,
        _ => Sign::Unknown,
    };
    let fence = match seen.alive {
        Some(true) => "; the primary answers: stop and fence it first",
        Some(false) => "; fence the old primary first",
        None => "; whether the primary is gone is not known: fence it first",
    };
    let fence = if sign == Sign::Failed { "" } else { fence };
    let complete = replica.exit == Some("yes");
    Some(Weighed {
        way: Way::Promote,
        title: "promote a standby".to_owned(),
        sign,
        why: format!("{}{fence}", replica.reason),
        time: None,
        gives_up: match (complete, seen.alive) {
            (true, Some(false)) => GivesUp::Nothing,
            (true, _) => GivesUp::Unknown { why: "what commits until the fence".to_owned() },
            (false, _) => GivesUp::Unknown { why: "what it has not received".to_owned() },
        },
        damage: match (seen.damage, replica.exit) {
            (Damage::Logical, Some("lagging")) => "perhaps not replayed there yet: pause it and look",
            (Damage::Logical, _) => "stays: it was replayed there, too",
            (Damage::Physical, _) => "undone, if the standby's own pages are sound",
            (Damage::Index, _) => REINDEX,
            (Damage::None, _) => "none is seen",
            (Damage::Unknown, _) => "stays, if a statement did it",
        }
        .to_owned(),
        how: lines(&[
            "runbook postgres-dr, from \"Is a replica healthy?\": fence, promote, repoint the application",
        ]),
    })
}

/// A copy at the target, from which rows are taken by hand.
fn beside(seen: &Seen, plan: Planned<'_>) -> Weighed {
    // What is to be known of a recovery in place (servers that are stopped, limits that are raised) is none of a copy's.
    let (sign, why) = in_the_way(plan).unwrap_or_else(|plan| (Sign::Ok, from_set(plan)));
    // It brings rows back and no service: plainly good only where a statement did it and the cluster serves.
    let serves = seen.damage == Damage::Logical && seen.alive == Some(true);
    let weighed = Weighed {
        way: Way::Beside,
        title: "take rows from a copy".to_owned(),
        sign,
        why: format!("{why}; then by hand: dump from the copy, compare, load"),
        time: forecast(plan).map(|forecast| forecast.beside),
        gives_up: GivesUp::Nothing,
        damage: if seen.damage == Damage::Index {
            REINDEX
        } else {
            "undone row by row, while the cluster serves"
        }
        .to_owned(),
        how: lines(&["runbook table-recovery"]),
    };
    if serves { weighed } else { with_something_to_know(weighed) }
}

fn planned(way: Way, title: &str, plan: Planned<'_>, damage: &str) -> Weighed {
    let (sign, why) = openness(plan);
    Weighed {
        way,
        title: title.to_owned(),
        sign,
        why,
        time: forecast(plan).map(|forecast| forecast.total),
        gives_up: match plan {
            Ok(plan) => GivesUp::Planned(plan.loss()),
            Err(_) => GivesUp::Unknown { why: "there is no plan".to_owned() },
        },
        damage: damage.to_owned(),
        how: plan.iter().map(|plan| plan.command.clone()).collect(),
    }
}

/// Whether a plan can start, and why.
fn openness(plan: Planned<'_>) -> (Sign, String) {
    in_the_way(plan).unwrap_or_else(|plan| {
        let told = plan.checks.iter().find(|check| check.state == CheckState::Warn);
        match told {
            Some(told) => (Sign::Late, format!("{}; to know: {}", from_set(plan), told.text)),
            None => (Sign::Ok, format!("{}; all {} checks hold", from_set(plan), plan.checks.len())),
        }
    })
}

/// What keeps a plan from being carried out, or leaves that unknown; else the plan.
fn in_the_way(plan: Planned<'_>) -> Result<(Sign, String), &RecoverPlan> {
    let plan = match plan {
        Ok(plan) => plan,
        Err(report) => return Ok((Sign::Failed, report.headline.clone())),
    };
    let first = |state, sign| {
        let check = plan.checks.iter().find(|check| check.state == state)?;
        Some((sign, check.text.clone()))
    };
    let stands = first(CheckState::Fail, Sign::Failed);
    stands.or_else(|| first(CheckState::Unknown, Sign::Unknown)).ok_or(plan)
}

fn from_set(plan: &RecoverPlan) -> String {
    format!("from {}", plan.set.as_deref().unwrap_or("no backup set"))
}

fn forecast(plan: Planned<'_>) -> Option<&Forecast> {
    plan.ok().and_then(|plan| plan.forecast.as_ref())
}

/// What is said of a damaged index, whichever way is taken.
const REINDEX: &str = "stays: REINDEX cures it, and loses nothing";

fn target_damage(damage: Damage) -> &'static str {
    match damage {
        Damage::Index => REINDEX,
        Damage::Logical => "undone, if the target lies before it",
        Damage::Physical => "undone, if the backup's pages are sound",
        Damage::None => "none is seen",
        Damage::Unknown => "undone, if it came after the target",
    }
}

fn latest_damage(damage: Damage) -> &'static str {
    match damage {
        Damage::Index => REINDEX,
        Damage::Logical => "stays: it is in the log",
        Damage::Physical => "undone, if the backup's pages are sound",
        Damage::None => "none is seen",
        Damage::Unknown => "stays, if a statement did it",
    }
}

fn lines(text: &[&str]) -> Vec<String> {
    text.iter().map(|&line| line.to_owned()).collect()
}

#[cfg(test)]
mod tests;

use super::*;
use crate::base::{Report, Timestamp};
use crate::model::forecast::Span;
use crate::model::plan::{Check, Loss, RecoverRequest};
use serde_json::json;

fn proposal(exit: Option<&'static str>, reason: &str) -> Proposal {
    Proposal { exit, reason: reason.to_owned(), findings: Vec::new() }
}

/// The primary is gone by a fault of its own: its directory is whole and a standby has everything.
fn gone() -> Seen {
    Seen {
        damage: Damage::None,
        alive: Some(false),
        starts: Some(proposal(Some("yes"), "db1 has its data and its WAL")),
        replica: Some(proposal(Some("yes"), "db2 has everything")),
    }
}

fn plan(state: CheckState) -> RecoverPlan {
    let both = |ms| Span { p50_ms: ms, p90_ms: ms };
    RecoverPlan {
        set: Some("20261120-020001F".to_owned()),
        last_commit: Some(Timestamp::from_unix_s(100)),
        first_lost_commit: Some(Timestamp::from_unix_s(110)),
        newest: Some(Timestamp::from_unix_s(400)),
        forecast: Some(Forecast {
            runs: 1,
            newest: Timestamp(0),
            copied_bytes: (10, 10),
            far: false,
            copy: both(600),
            replay: both(300),
            rest: both(50),
            beside: both(900),
            total: both(950),
        }),
        checks: vec![Check { state, text: "what was checked".to_owned() }],
        ..RecoverPlan::sample()
    }
}

fn weighed(seen: &Seen, plan: Planned<'_>, latest: Option<Planned<'_>>) -> Vec<(Way, Sign)> {
    ordered(seen, Some(plan), latest).iter().map(|weighed| (weighed.way, weighed.sign)).collect()
}

fn one(seen: &Seen, way: Way) -> Weighed {
    let good = plan(CheckState::Ok);
    ordered(seen, Some(Ok(&good)), Some(Ok(&good))).into_iter().find(|weighed| weighed.way == way).unwrap()
}

#[test]
fn what_changes_least_comes_first_among_what_is_open() {
    let good = plan(CheckState::Ok);
    assert_eq!(
        weighed(&gone(), Ok(&good), Some(Ok(&good))),
        [
            (Way::StartOld, Sign::Ok),
            (Way::Promote, Sign::Ok),
            (Way::Recover, Sign::Ok),
            (Way::RecoverLatest, Sign::Ok),
            (Way::Beside, Sign::Late),
        ]
    );
    let lost = Seen {
        starts: Some(proposal(Some("no"), "pg_control is gone")),
        replica: Some(proposal(None, "?")),
        ..gone()
    };
    assert_eq!(
        weighed(&lost, Err(&Report::failed("no repository")), Some(Ok(&plan(CheckState::Fail)))),
        [
            (Way::Promote, Sign::Unknown),
            (Way::StartOld, Sign::Failed),
            (Way::Beside, Sign::Failed),
            (Way::Recover, Sign::Failed),
            (Way::RecoverLatest, Sign::Failed),
        ]
    );
}

#[test]
fn a_primary_that_answers_is_not_started_and_is_fenced_before_another_is_promoted() {
    let alive = Seen { alive: Some(true), ..gone() };
    let good = plan(CheckState::Ok);
    assert!(ordered(&alive, Some(Ok(&good)), None).iter().all(|weighed| weighed.way != Way::StartOld));
    for alive in [Some(true), None] {
        let promote = one(&Seen { alive, ..gone() }, Way::Promote);
        assert_eq!(promote.sign, Sign::Late, "{promote:?}");
        assert!(
            promote.why.contains("fence it first") && promote.gives_up != GivesUp::Nothing,
            "{promote:?}"
        );
    }
    assert_eq!(one(&gone(), Way::Promote).gives_up, GivesUp::Nothing);
}

#[test]
fn damage_by_a_statement_is_wherever_the_log_went() {
    let logical = Seen { damage: Damage::Logical, ..gone() };
    for way in [Way::StartOld, Way::Promote, Way::RecoverLatest] {
        let damage = one(&logical, way).damage;
        assert!(damage.starts_with("stays"), "{way:?}: {damage}");
        assert_eq!(one(&logical, way).sign, Sign::Late, "{way:?}: it is open, and does not help");
    }
    assert_eq!(one(&logical, Way::Recover).sign, Sign::Ok);
    assert!(one(&logical, Way::Recover).damage.starts_with("undone"));
    let behind = Seen { replica: Some(proposal(Some("lagging"), "db2 replays 1 h late")), ..logical };
    assert!(one(&behind, Way::Promote).damage.contains("pause it and look"));
    let physical = Seen { damage: Damage::Physical, ..gone() };
    assert_eq!(one(&physical, Way::StartOld).damage, "stays");
    for way in [Way::Promote, Way::Recover, Way::RecoverLatest] {
        assert!(one(&physical, way).damage.starts_with("undone"), "{way:?}");
    }
    // What is not known is never called undone without a condition.
    let unknown = Seen { damage: Damage::Unknown, ..gone() };
    for way in [Way::StartOld, Way::Promote, Way::Recover, Way::RecoverLatest] {
        assert!(one(&unknown, way).damage.contains(", if "), "{way:?}");
    }
}

#[test]
fn a_recovery_to_the_latest_is_not_called_one_to_a_target() {
    let latest = RecoverPlan::sample();
    let request = RecoverRequest { kind: "default".to_owned(), ..latest.request.clone() };
    let situation = crate::model::situation::Situation::default();
    let now = Timestamp::from_unix_s(500);
    let ground = Ground { request: &request, plan: Ok(&latest), latest: None, situation: &situation, now };
    let ways: Vec<Way> = all(&ground).iter().map(|weighed| weighed.way).collect();
    assert!(ways.contains(&Way::RecoverLatest), "{ways:?}");
    assert!(!ways.contains(&Way::Recover) && !ways.contains(&Way::Beside), "{ways:?}");
    let damage = |seen: &Seen| {
        ordered(seen, None, Some(Ok(&latest))).into_iter().find(|weighed| weighed.way == Way::RecoverLatest)
    };
    let logical = damage(&Seen { damage: Damage::Logical, ..gone() }).unwrap();
    assert!(logical.sign == Sign::Late && logical.damage.starts_with("stays"), "{logical:?}");
}

#[test]
fn rows_are_taken_from_a_copy_first_where_a_statement_did_it_and_the_cluster_serves() {
    let good = plan(CheckState::Ok);
    let first = |seen: &Seen| weighed(seen, Ok(&good), None)[0];
    let serves = Seen { damage: Damage::Logical, alive: Some(true), ..gone() };
    assert_eq!(first(&serves), (Way::Beside, Sign::Ok));
    // It brings no service back.
    let down = Seen { damage: Damage::Logical, ..gone() };
    assert_eq!(first(&down), (Way::Recover, Sign::Ok));
    // With something to know of every plan, what leaves the damage still stands behind what does not.
    let told = plan(CheckState::Warn);
    let copy = &ordered(&serves, Some(Ok(&told)), None)[0];
    assert!(
        copy.way == Way::Beside && !copy.why.contains("what was checked"),
        "nothing is stopped for a copy"
    );
    let ways: Vec<Way> = weighed(&serves, Ok(&told), Some(Ok(&told))).iter().map(|(way, _)| *way).collect();
    assert_eq!(ways, [Way::Beside, Way::Recover, Way::Promote, Way::RecoverLatest]);
}

#[test]
fn no_way_but_its_rebuild_cures_an_index_and_damaged_pages_are_not_simply_started() {
    let index = Seen { damage: Damage::Index, ..gone() };
    for way in [Way::StartOld, Way::Promote, Way::Beside, Way::Recover, Way::RecoverLatest] {
        let weighed = one(&index, way);
        assert!(weighed.damage.contains("REINDEX") && weighed.sign == Sign::Late, "{weighed:?}");
    }
    let physical = Seen { damage: Damage::Physical, ..gone() };
    assert_eq!(one(&physical, Way::StartOld).sign, Sign::Late);
    assert!(one(&physical, Way::Promote).damage.contains(", if "), "its pages may be wrong, too");
    let lost = Seen { starts: Some(proposal(Some("no"), "pg_control is gone")), ..gone() };
    assert_ne!(one(&lost, Way::StartOld).gives_up, GivesUp::Nothing);
}

#[test]
fn times_are_measured_or_left_out() {
    assert_eq!(one(&gone(), Way::Recover).time.map(|time| time.p50_ms), Some(950));
    assert_eq!(one(&gone(), Way::Beside).time.map(|time| time.p50_ms), Some(900));
    assert_eq!(one(&gone(), Way::Promote).time, None);
    let unmeasured = RecoverPlan { forecast: None, ..plan(CheckState::Ok) };
    assert!(ordered(&gone(), Some(Ok(&unmeasured)), None).iter().all(|weighed| weighed.time.is_none()));
}

#[test]
fn a_plan_that_cannot_be_told_is_not_open() {
    for (state, sign) in [
        (CheckState::Ok, Sign::Ok),
        (CheckState::Warn, Sign::Late),
        (CheckState::Unknown, Sign::Unknown),
        (CheckState::Fail, Sign::Failed),
    ] {
        let plan = plan(state);
        let ways = ordered(&gone(), Some(Ok(&plan)), None);
        let recover = ways.iter().find(|weighed| weighed.way == Way::Recover).unwrap();
        assert_eq!(recover.sign, sign, "{state:?}");
        assert_eq!(recover.why.ends_with("what was checked"), sign != Sign::Ok, "{recover:?}");
    }
}

#[test]
fn the_twin_says_the_same() {
    let recover = serde_json::to_value(one(&gone(), Way::Recover)).unwrap();
    assert_eq!(recover["way"], "recover");
    assert_eq!((&recover["gives_up"], &recover["loss"]), (&json!("planned"), &json!("span")), "{recover:#}");
    let promote = serde_json::to_value(one(&gone(), Way::Promote)).unwrap();
    assert_eq!((&promote["gives_up"], &promote["time"]), (&json!("nothing"), &json!(null)));
    assert_eq!(
        plan(CheckState::Ok).loss(),
        Loss::Span { from: Timestamp::from_unix_s(110), to: Timestamp::from_unix_s(400), exact: true }
    );
}

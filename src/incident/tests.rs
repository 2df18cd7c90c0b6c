//! The fold: moments, phases and clocks, and what damaged or unknown lines do to them.

use super::*;
use crate::journal::Stamp;

/// A folder with one incident whose entries have chosen clocks.
struct Desk {
    dir: tempfile::TempDir,
    journal: Journal,
    boot: &'static str,
}

const ID: &str = "2026-11-21-01";

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("incidents").join(ID);
        std::fs::create_dir_all(&folder).unwrap();
        let desk = Self { journal: Journal::create(&folder).unwrap(), dir, boot: "one" };
        let detected_at = Timestamp::from_unix_s(1000);
        let (stanza, reason) = ("main".to_owned(), "why".to_owned());
        let label = None;
        desk.at(
            1060,
            60,
            &Fact::Declared { stanza, label, reason, detected_at, rto_s: 600, rpo_s: 60, severity: None },
        );
        desk
    }

    /// An entry at this wall clock and boot clock, in seconds.
    fn at(&self, wall_s: i64, boot_s: u64, fact: &Fact) {
        let at = Timestamp::from_unix_s(wall_s);
        let stamp = Stamp { at, boot_ms: boot_s * 1000, boot_id: self.boot.into(), host: "db1".into() };
        self.journal.append_at(&stamp, "worker", fact).unwrap();
    }

    fn reached(&self, wall_s: i64, boot_s: u64, mark: Mark) {
        self.at(wall_s, boot_s, &Fact::Reached { mark, operation: None });
    }

    fn evidence(&self) -> Evidence {
        Incidents::new(StateDir::at(self.dir.path())).evidence(ID).unwrap()
    }

    /// Phases with their seconds.
    fn phases(&self) -> Vec<(String, u64)> {
        let phases = self.evidence().view.phases.into_iter();
        phases.map(|phase| (phase.name, phase.took_ms / 1000)).collect()
    }
}

fn named(phases: &[(&str, u64)]) -> Vec<(String, u64)> {
    phases.iter().map(|(name, s)| ((*name).to_owned(), *s)).collect()
}

#[test]
fn a_wall_clock_that_is_set_changes_no_recovery_time() {
    let desk = Desk::new();
    desk.reached(1080, 80, Mark::Confirmed);
    desk.reached(500, 100, Mark::RestoreStarted);
    desk.reached(9_000_000, 200, Mark::ServiceBack);
    let evidence = desk.evidence();
    let expected =
        [("declare", 60), ("decide and confirm", 20), ("prepare and stop", 20), ("first write", 100)];
    assert_eq!(desk.phases(), named(&expected));
    assert_eq!(evidence.view.rto_ms, Some(200_000));
    assert_eq!(evidence.remarks, ["The wall clock went back by 9m40 before entry 3."]);
    let rto = report::Rto::of(&evidence.view);
    assert_eq!((rto.from_declared_ms, rto.met), (Some(140_000), Some(true)));
}

#[test]
fn over_a_reboot_the_wall_clock_counts_and_it_is_told() {
    let mut desk = Desk::new();
    desk.reached(1100, 100, Mark::RestoreStarted);
    desk.boot = "two";
    desk.reached(1500, 20, Mark::RestoreFinished);
    desk.reached(1700, 220, Mark::ServiceBack);
    let expected = [("declare", 60), ("prepare and stop", 40), ("copy", 400), ("first write", 200)];
    assert_eq!(desk.phases(), named(&expected));
    let evidence = desk.evidence();
    assert_eq!(report::Rto::of(&evidence.view).met, Some(false));
    assert_eq!(
        evidence.remarks,
        ["The host or its boot changed during \"copy\": this time is the wall clock's."]
    );
}

#[test]
fn moments_are_those_of_the_last_attempt() {
    let desk = Desk::new();
    desk.reached(1100, 100, Mark::RestoreStarted);
    desk.reached(1200, 200, Mark::RestoreFinished);
    desk.reached(1250, 250, Mark::TargetReached);
    // The damage was in it: the target before.
    desk.reached(1300, 300, Mark::TargetReached);
    desk.reached(1310, 310, Mark::Validated);
    assert_eq!(
        desk.phases(),
        named(&[("declare", 60), ("prepare and stop", 40), ("copy", 100), ("replay", 100), ("verify", 10)])
    );
    // And everything once more.
    desk.reached(1400, 400, Mark::RestoreStarted);
    assert_eq!(desk.phases(), named(&[("declare", 60), ("prepare and stop", 340)]));
    let evidence = desk.evidence();
    assert_eq!(evidence.view.marks.keys().last(), Some(&Mark::RestoreStarted));
    assert_eq!((evidence.view.rto_ms, evidence.remarks.len()), (None, 1));
    assert_eq!(report::Rto::of(&evidence.view).met, None);
}

#[test]
fn a_confirmation_told_twice_is_one() {
    let desk = Desk::new();
    let text = String::new;
    let confirmed = Fact::Confirmed {
        digest: text(),
        summary: text(),
        command: text(),
        typed: text(),
        operation: text(),
        last_commit: None,
        newest: None,
        forecast: None,
    };
    desk.at(1090, 90, &confirmed);
    desk.reached(1095, 95, Mark::Confirmed);
    assert_eq!(desk.phases(), named(&[("declare", 60), ("decide and confirm", 30)]));
}

#[test]
fn what_is_unknown_or_damaged_is_shown_and_hides_nothing() {
    let desk = Desk::new();
    let later: Fact = serde_json::from_str(r#"{"kind":"moon_phase","phase":"full"}"#).unwrap();
    desk.at(1070, 70, &later);
    desk.reached(1100, 100, Mark::ServiceBack);
    let view = desk.evidence().view;
    assert!(view.chain_ok, "{}", view.chain);
    assert_eq!(view.lines[1].text, "moon_phase (not known to this version): phase=\"full\"");

    let mut bytes = std::fs::read(desk.journal.path()).unwrap();
    bytes.extend(b"\xff\x1b[2J\n");
    std::fs::write(desk.journal.path(), bytes).unwrap();
    let view = desk.evidence().view;
    assert!(!view.chain_ok && view.lines.len() == 4, "{view:?}");
    assert!(view.lines[3].text.starts_with("damaged line") && view.lines[3].at == view.lines[2].at);
    assert_eq!((view.stanza.as_str(), view.rto_ms), ("main", Some(100_000)));
}

#[test]
fn an_operation_that_was_taken_up_again_is_one() {
    let desk = Desk::new();
    let operation = || "20261121T014407Z-recover-7f3a".to_owned();
    let ended = |done| Fact::OperationEnded { operation: operation(), done, lines: vec!["so".to_owned()] };
    desk.at(1100, 100, &Fact::OperationStarted { operation: operation(), attempt: 1 });
    desk.at(1150, 150, &ended(false));
    desk.at(1200, 200, &Fact::OperationStarted { operation: operation(), attempt: 2 });
    let running = desk.evidence().operations;
    assert_eq!((running.len(), running[0].done, running[0].took_ms), (1, None, None));
    desk.at(1300, 300, &ended(true));
    let done = desk.evidence().operations;
    assert_eq!((done[0].attempts, done[0].done, done[0].took_ms), (2, Some(true), Some(200_000)));
}

#[test]
fn names_of_incidents_are_plain() {
    assert_eq!(number_of("2026-11-21-01"), Some(("2026-11-21".to_owned(), 1)));
    assert_eq!(number_of("2026-11-21-100"), Some(("2026-11-21".to_owned(), 100)));
    for name in ["", "2026-11-21", "2026-11-21-1", "2026-11-21-01/..", "2026-1-121-01", "20é6-11-21-01", ".."]
    {
        assert_eq!(number_of(name), None, "{name}");
    }
}

#[test]
fn a_rehearsal_is_told_by_its_label_or_its_runbook() {
    let mut view = IncidentView::default();
    assert!(!view.is_drill());
    for (label, drill) in [("LAB", true), ("fire drill eu", true), ("PRODUCTION", false), ("labour", false)] {
        view.label = Some(label.to_owned());
        assert_eq!(view.is_drill(), drill, "{label}");
    }
    view.label = None;
    view.standing.position = Some(standing::Position {
        runbook: guide::FIRE_DRILL.to_owned(),
        digest: String::new(),
        node: "kind".to_owned(),
        since: Timestamp::default(),
    });
    assert!(view.is_drill());
}

//! Fixed models: what the console would know in the situations that matter. One clock, no server, no file.

use pgmayday::base::{BackupKind, Lsn, Timeline, Timestamp, WalSegment, WalSegmentSize};
use pgmayday::console::model::{Loaded, Model};
use pgmayday::incident::{IncidentView, JournalLine, PhaseTime, Standing};
use pgmayday::model::board::{Application, Board, Identity};
use pgmayday::model::catalog::{BackupRow, CatalogView, Pinned, Verified};
use pgmayday::model::fact::Fact;
use pgmayday::model::forecast::{Forecast, Span};
use pgmayday::model::op::{
    Life, Mark, OpState, Outcome, Progress, Question, Replay, Snapshot, Spec, Step, StepStatus,
};
use pgmayday::model::plan::{Check, CheckState, RecoverPlan, RecoverRequest};
use pgmayday::model::wal_view::{ArchiveRow, Stretch, TimelineRow, WalView};

/// A moment, `HH:MM:SS` on 2026-11-21.
pub(crate) fn at(clock: &str) -> Timestamp {
    day("2026-11-21", clock)
}

/// A moment of a day.
pub(crate) fn day(date: &str, clock: &str) -> Timestamp {
    pgmayday::base::TargetTime::parse(&format!("{date} {clock}+00")).unwrap().at
}

/// The clock of all models.
pub(crate) fn now() -> Timestamp {
    at("02:14:07")
}

/// Nothing but who we are.
pub(crate) fn bare() -> Model {
    let identity = Identity {
        stanza: Some("orders".into()),
        stanzas: vec!["orders".into()],
        host: "db1".into(),
        label: Some("PRODUCTION".into()),
        ..Identity::default()
    };
    Model { now: now(), board: Board { identity, ..Board::default() }, ..Model::default() }
}

fn backup(repo: u32, label: &str, prior: Option<&str>, minutes: i64, gb: u64) -> BackupRow {
    let last = &label[label.len() - 16..];
    let (date, clock) = (&last[..8], &last[9..15]);
    let date = format!("{}-{}-{}", &date[..4], &date[4..6], &date[6..8]);
    let clock = format!("{}:{}:{}", &clock[..2], &clock[2..4], &clock[4..6]);
    let start = day(&date, &clock);
    let kind = match label.as_bytes().last() {
        Some(b'D') => BackupKind::Diff,
        Some(b'I') => BackupKind::Incr,
        _ => BackupKind::Full,
    };
    let number = u64::try_from((start.unix_s() - day("2026-11-07", "00:00:00").unix_s()) / 3600).unwrap();
    let segment = |number| WalSegment::from_number(Timeline(3), number, WalSegmentSize::DEFAULT).to_string();
    BackupRow {
        repo,
        label: label.into(),
        kind,
        prior: prior.map(Into::into),
        start,
        stop: Timestamp(start.0 + minutes * 60_000_000),
        size_bytes: 412 << 30,
        delta_bytes: gb << 30,
        stored_bytes: (gb << 30) / 4,
        wal: Some((segment(number), segment(number + 1))),
        consistent_at: Some(Lsn(number << 24 | 0x28)),
        database: "15-1".into(),
        page_errors: Some(false),
        pinned: None,
        verified: None,
        annotations: Vec::new(),
        online: true,
        made_by: "2.45".into(),
    }
}

/// Two repositories with full, diff and incr backups.
pub(crate) fn catalog() -> CatalogView {
    let mut backups = vec![
        backup(1, "20261113-020001F", None, 74, 402),
        backup(1, "20261113-020001F_20261115-020001D", Some("20261113-020001F"), 11, 31),
        backup(1, "20261120-020001F", None, 71, 412),
        backup(1, "20261120-020001F_20261120-140001D", Some("20261120-020001F"), 9, 22),
        backup(1, "20261120-020001F_20261121-000001I", Some("20261120-020001F_20261120-140001D"), 2, 3),
        backup(1, "20261120-020001F_20261121-020001I", Some("20261120-020001F_20261121-000001I"), 1, 1),
        backup(2, "20261119-030000F", None, 130, 411),
        backup(2, "20261119-030000F_20261120-030000D", Some("20261119-030000F"), 25, 44),
    ];
    backups[1].page_errors = Some(true);
    backups[2].annotations = vec![("ticket".into(), "4711".into())];
    let pin = Pinned { restore_point: Some("before-the-move-to-16".into()), doubts: Vec::new() };
    backups[2].pinned = Some(pin);
    let verified = |hours: i64, wrong: Option<&str>, whole| Verified {
        at: Timestamp(now().0 - hours * 3_600_000_000),
        wrong: wrong.map(Into::into),
        whole,
    };
    backups[2].verified = Some(verified(9, None, true));
    backups[3].verified = Some(verified(9, None, true));
    backups[4].verified = Some(verified(1, None, false));
    backups[7].verified = Some(verified(5, Some("damaged"), true));
    CatalogView { stanza: "orders".into(), backups, troubles: Vec::new(), read_at: Some(at("02:14:00")) }
}

fn stretch(timeline: u32, first: u64, segments: u64, missing: bool) -> Stretch {
    let name = |number| WalSegment::from_number(Timeline(timeline), number, WalSegmentSize::DEFAULT);
    Stretch {
        first: name(first),
        last: name(first + segments - 1),
        segments,
        stored_bytes: if missing { 0 } else { segments * 5_000_000 },
        missing,
        first_number: first,
    }
}

/// Two timelines, two segments missing, one stored twice.
pub(crate) fn wal() -> WalView {
    let name = |number| WalSegment::from_number(Timeline(3), number, WalSegmentSize::DEFAULT);
    let timelines = vec![
        TimelineRow { timeline: Timeline(2), parent: None, stretches: vec![stretch(2, 20, 110, false)] },
        TimelineRow {
            timeline: Timeline(3),
            parent: Some((Timeline(2), Lsn(129 << 24 | 0x148))),
            stretches: vec![
                stretch(3, 129, 73, false),
                stretch(3, 202, 2, true),
                stretch(3, 204, 140, false),
            ],
        },
    ];
    let archive = ArchiveRow {
        repo: 1,
        id: "15-1".into(),
        segment_bytes: 16 << 20,
        size_assumed: false,
        timelines,
        conflicts: vec![name(300)],
        impossible: Vec::new(),
    };
    WalView { archives: vec![archive], troubles: Vec::new(), read_at: Some(at("02:14:00")) }
}

/// The application's check is wrong; it was right at three moments.
pub(crate) fn wrong_application() -> Fact<Application> {
    let application = Application {
        right: false,
        why: "18 402 rows of orders changed at once".into(),
        last_right: vec![at("02:03:11.482"), at("02:03:01.12"), at("02:02:51")],
        wrong_since: Some(at("02:03:21")),
    };
    Fact::known(application, at("02:14:05"))
}

/// The board of a bad update.
pub(crate) fn bad_update() -> Model {
    let mut model = bare();
    model.board.application = Some(wrong_application());
    model
}

/// The request the bad update's model leads to.
pub(crate) fn request() -> RecoverRequest {
    RecoverRequest {
        stanza: "orders".into(),
        kind: "time".into(),
        targets: ["02:03:11.482", "02:03:01.12", "02:02:51"].map(|clock| at(clock).to_string()).to_vec(),
        exclusive: false,
        timeline: None,
        set: None,
        asks: true,
        no_first_backup: false,
    }
}

/// The steps of a recovery in place.
pub(crate) const STEPS: [&str; 12] = [
    "stop writers",
    "archive the last WAL",
    "prove the target",
    "save pg_wal",
    "stop the server",
    "restore beside",
    "replay to the target",
    "check the data",
    "exchange the directories",
    "promote",
    "verify writes",
    "open",
];

/// From six recoveries of about this size.
fn forecast() -> Forecast {
    let span = |p50_s: u64, p90_s: u64| Span { p50_ms: p50_s * 1000, p90_ms: p90_s * 1000 };
    Forecast {
        runs: 6,
        newest: Timestamp::from_unix_s(at("02:03:11").unix_s() - 12 * 86_400),
        copied_bytes: (380 << 30, 412 << 30),
        far: false,
        copy: span(740, 1_100),
        replay: span(260, 320),
        rest: span(24, 31),
        beside: span(1_000, 1_420),
        total: span(1_024, 1_441),
    }
}

/// A plan for [`request`].
pub(crate) fn plan() -> RecoverPlan {
    let check = |state, text: &str| Check { state, text: text.into() };
    RecoverPlan {
        request: request(),
        target: "2026-11-21 02:03:11.482 UTC".into(),
        target_at: Some(at("02:03:11.482")),
        data_dir: "/data/pg/15/main".into(),
        repo: Some(1),
        set: Some("20261120-020001F_20261121-000001I".into()),
        set_stop: Some(at("00:02:01")),
        copy_bytes: 412 << 30,
        copy_files: 22_811,
        replay_bytes: 1841 << 24,
        replay_segments: 1841,
        timeline: Some(3),
        space: vec![("/data".into(), 441 << 30, 1229 << 30)],
        last_commit: Some(at("02:03:11.113")),
        first_lost_commit: Some(at("02:03:11.512")),
        newest: Some(at("02:13:26")),
        forecast: Some(forecast()),
        checks: vec![
            check(CheckState::Ok, "the set ends before the target, by 2h01"),
            check(CheckState::Ok, "1 841 segments are present, without a gap"),
            check(
                CheckState::Ok,
                "a commit after the target exists in the archive, so recovery stops at it and not at the end",
            ),
            check(CheckState::Ok, "the system identifier is the one of the data directory"),
            check(
                CheckState::Warn,
                "max_connections is 200 here and was 500 when the WAL was written: raised for the recovery",
            ),
            check(
                CheckState::Ok,
                "the data directory and the copy are on one filesystem: they can be exchanged",
            ),
            check(CheckState::Ok, "space, owner, tablespaces"),
        ],
        steps: STEPS.map(str::to_owned).to_vec(),
        command: "pgmayday recover --stanza=orders --type=time '--target=2026-11-21 02:03:11.482+00' --ask"
            .into(),
        digest: "7f3a9c01d2e4".into(),
    }
}

/// The same, refused.
pub(crate) fn failing_plan() -> RecoverPlan {
    let mut plan = plan();
    plan.space[0].2 = 300 << 30;
    plan.forecast = None;
    let text =
        "441 GB are needed on /data and 300 GB are free: make room, or name another place with --beside";
    plan.checks.insert(3, Check { state: CheckState::Fail, text: text.into() });
    plan.checks.push(Check {
        state: CheckState::Unknown,
        text: "whether Patroni manages the server: it did not answer".into(),
    });
    plan
}

/// A model with this plan for its request.
pub(crate) fn planned(plan: Loaded<RecoverPlan>) -> Model {
    let mut model = bad_update();
    model.plan = Some((request(), plan));
    model
}

fn spec() -> Spec {
    Spec {
        schema: Spec::SCHEMA.into(),
        id: "20261121T021407Z-recover-7f3a".parse().unwrap(),
        stanza: "orders".into(),
        summary: "recover orders to 2026-11-21 02:03:11.482 UTC, in place of /data/pg/15/main".into(),
        arguments: ["recover", "--stanza=orders", "--type=time", "--target=2026-11-21 02:03:11.482+00"]
            .map(str::to_owned)
            .to_vec(),
        working_dir: "/root".into(),
        environment: vec!["PGBACKREST_REPO1_CIPHER_PASS".into()],
        by: "dk".into(),
        plan: Some("7f3a9c01d2e4".into()),
        incident: Some("2026-11-21-01".into()),
        asks: true,
        forecast: Some(forecast()),
    }
}

/// An operation with `done` steps done and the next one under way since `since`.
pub(crate) fn operation(done: usize, since: Timestamp) -> Snapshot {
    let details = ["2 hooks ran", "1 segment", "reachable", "3 segments", "", "412.0 GB", "28.8 GB of WAL"];
    let took = [1_240, 820, 14_200, 310, 4_020, 278_000, 131_000, 2_000, 90, 1_100, 800, 410];
    let status = |at: usize| match at {
        at if at < done => {
            let detail = details.get(at).copied().unwrap_or_default().into();
            StepStatus::Done { took_ms: took[at], detail }
        }
        at if at == done => StepStatus::Running { since },
        _ => StepStatus::Waiting,
    };
    let steps = STEPS
        .iter()
        .enumerate()
        .map(|(at, name)| Step { name: (*name).into(), status: status(at) })
        .collect();
    let state =
        OpState { seq: 40, started_at: Some(at("02:06:55")), attempt: 1, steps, ..OpState::default() };
    let life = Life::Running { pid: 4711 };
    Snapshot { spec: spec(), life, state, copy: None, replay: None, sampled_at: None }
}

/// Copying, 58 percent.
pub(crate) fn copying() -> Snapshot {
    let mut operation = operation(5, at("02:07:30"));
    operation.state.marks.insert(Mark::RestoreStarted, at("02:07:30"));
    let (done, total) = (241 << 30, 412 << 30);
    operation.copy =
        Some(Progress { bytes_done: done, bytes_total: total, files_done: 14_202, files_total: 22_811 });
    operation.sampled_at = Some(at("02:14:06"));
    operation.state.warnings =
        vec![(at("02:11:07"), "repo1: the store closed the connection, read again".into())];
    operation
}

/// Replaying.
pub(crate) fn replaying() -> Snapshot {
    let mut operation = operation(6, at("02:12:30"));
    operation.state.marks.insert(Mark::RestoreStarted, at("02:07:30"));
    operation.state.marks.insert(Mark::RestoreFinished, at("02:12:30"));
    operation.copy = copying().copy;
    operation.replay = Some(Replay {
        from: Some(Lsn(0x3A00_0028)),
        replayed: Some(Lsn(0x4C12_A8F0)),
        goal: Some(Lsn(0x5A00_0148)),
        last_commit: Some(at("01:22:40.113")),
        target: Some(at("02:03:11.482")),
        bytes_per_s: Some(148 << 20),
        left_ms: Some(125_400),
        still_ms: 0,
        waits_for: None,
    });
    operation.sampled_at = Some(at("02:14:06"));
    operation
}

/// Replay stands still.
pub(crate) fn standing() -> Snapshot {
    let mut operation = replaying();
    let replay = operation.replay.as_mut().unwrap();
    (replay.still_ms, replay.left_ms, replay.bytes_per_s) = (42_000, None, Some(0));
    replay.waits_for = Some("segment 00000003000000000000004C, asked for 42 s ago".into());
    operation
}

/// The question before promotion.
pub(crate) fn asking() -> Snapshot {
    let mut operation = operation(7, at("02:13:50"));
    operation.state.question = Some(Question {
        text: "Is the recovered data right?".into(),
        evidence: vec![
            "The application's check is right: 18 402 orders, sum 9 113 204.".into(),
            "Recovered to the commit of 2026-11-21 02:03:11.113 UTC; 3 112 later commits are not in it."
                .into(),
            "Look for yourself: psql -h /run/pgmayday/7f3a -p 5432 orders".into(),
        ],
    });
    operation
}

/// The worker is gone in the copy.
pub(crate) fn lost() -> Snapshot {
    Snapshot { life: Life::Lost, ..copying() }
}

/// Ended badly.
pub(crate) fn failed() -> Snapshot {
    let mut operation = copying();
    operation.life = Life::Ended;
    operation.state.steps[5].status = StepStatus::Stopped;
    operation.state.ended = Some((
        at("02:13:40"),
        Outcome::Failed {
            kind: "damaged".into(),
            headline: "bundle 12 of 20261120-020001F does not have the checksum of the manifest".into(),
            context: vec!["restoring base/16384/24576".into(), "reading repo1".into()],
            hint: Some("choose a set of another repository: --set, or repo2".into()),
        },
    ));
    operation
}

/// Ended well.
pub(crate) fn finished() -> Snapshot {
    let mut operation = operation(12, now());
    operation.life = Life::Ended;
    let lines = vec![
        "orders is served again from /data/pg/15/main on timeline 4, recovered to 02:03:11.113 UTC."
            .to_owned(),
        "The old data directory is in quarantine: /data/pg/15/main.quarantine-7f3a (412 GB).".to_owned(),
    ];
    operation.state.ended = Some((at("02:14:00"), Outcome::Done { lines }));
    operation
}

/// A model that follows this operation.
pub(crate) fn following(operation: Snapshot) -> Model {
    Model { operation: Some(operation), ..bad_update() }
}

/// An incident, `served` or still open.
pub(crate) fn incident(served: bool) -> IncidentView {
    use Mark::{Confirmed, Declared, Detected, RestoreFinished, RestoreStarted, ServiceBack, TargetReached};
    let mut moments = vec![
        (Detected, at("02:03:21")),
        (Declared, at("02:05:02")),
        (Confirmed, at("02:06:55")),
        (RestoreStarted, at("02:07:30")),
    ];
    if served {
        moments.extend([
            (RestoreFinished, at("02:11:30")),
            (TargetReached, at("02:13:30")),
            (ServiceBack, at("02:14:00")),
        ]);
    }
    let names = ["noticing", "deciding", "preparing", "copying", "replaying", "checking and opening"];
    let phases = moments.windows(2).zip(names).map(|(pair, name)| PhaseTime {
        name: name.into(),
        from: pair[0].0,
        to: pair[1].0,
        took_ms: u64::try_from((pair[1].1.0 - pair[0].1.0) / 1000).unwrap(),
    });
    let line = |seq: u64, clock: &str, actor: &str, text: &str, hash: &str| JournalLine {
        seq,
        at: at(clock),
        actor: actor.into(),
        text: text.into(),
        hash_tail: hash.into(),
    };
    IncidentView {
        id: "2026-11-21-01".into(),
        stanza: "orders".into(),
        label: Some("PRODUCTION".into()),
        reason: "18 402 rows of orders changed at once".into(),
        detected_at: at("02:03:21"),
        declared_at: at("02:05:02"),
        closed_at: None,
        rto_s: 3600,
        rpo_s: 300,
        phases: phases.collect(),
        marks: moments.into_iter().collect(),
        rto_ms: served.then_some(639_000),
        lines: vec![
            line(1, "02:05:02", "dk", "declared: 18 402 rows of orders changed at once", "0b1c22d3"),
            line(2, "02:05:40", "dk", "note: the release of 02:03 is being taken back", "9f00aa17"),
            line(
                3,
                "02:06:55",
                "dk",
                "plan 7f3a9c01 confirmed: recover orders to 2026-11-21 02:03:11.482 UTC, in place of /data/pg/15/main",
                "4471b0c9",
            ),
            line(4, "02:06:56", "worker", "20261121T021407Z-recover-7f3a started", "d83e1f02"),
            line(5, "02:07:30", "worker", "restore started", "77aa01be"),
        ],
        chain: "5 lines, each proves the one before it; the head is 77aa01be".into(),
        chain_ok: true,
        approvals: Vec::new(),
        values: std::collections::BTreeMap::new(),
        standing: Standing::default(),
    }
}

/// A model with an open incident.
pub(crate) fn in_incident(served: bool) -> Model {
    Model { incident: Some(incident(served)), ..bad_update() }
}

/// Three incidents, the newest still open.
pub(crate) fn history() -> Model {
    let mut open = incident(false);
    open.id = "2026-11-21-02".into();
    let mut late = incident(true);
    (late.id, late.rto_ms) = ("2026-09-02-01".into(), Some(5_025_000));
    late.reason = "the primary's disk failed".into();
    late.closed_at = Some(at("02:00:00"));
    let mut kept = incident(true);
    (kept.id, kept.closed_at) = ("2026-10-11-01".into(), Some(at("01:00:00")));
    Model { incidents: vec![open, kept, late], ..bare() }
}

/// A catalog of `number` backups.
pub(crate) fn many_backups(number: usize) -> CatalogView {
    let full = catalog().backups[2].clone();
    let row = |at: usize| {
        let mut row = full.clone();
        row.stop = Timestamp(full.stop.0 - i64::try_from(at).unwrap() * 3_600_000_000);
        row.start = Timestamp(row.stop.0 - 60_000_000);
        row.label = row.start.to_utc().format("%Y%m%d-%H%M%SF").to_string();
        row
    };
    CatalogView { backups: (0..number).map(row).collect(), ..catalog() }
}

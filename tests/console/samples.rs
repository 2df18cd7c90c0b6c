//! Boards, plans and operations as values: the same moment, the same cluster, in several states.

use pgmayday::base::state::OpId;
use pgmayday::base::{BackupKind, Lsn, PgVersion, Report, SystemId, Timeline, Timestamp};
use pgmayday::console::input::Input;
use pgmayday::incident::{IncidentView, Standing};
use pgmayday::model::board::{
    Application, BackupFacts, Board, DataDirFacts, Identity, Limits, Member, OpenIncident, Operation,
    Repository, ServerFacts, TimelineFacts, WalFacts,
};
use pgmayday::model::catalog::CatalogView;
use pgmayday::model::fact::{Answer, Fact};
use pgmayday::model::op::{Life, OpState, Progress, Question, Snapshot, Spec, Step, StepStatus};
use pgmayday::model::plan::{Check, CheckState, RecoverPlan, RecoverRequest};
use pgmayday::model::wal_view::WalView;

/// 2026-11-21 02:14:07 UTC.
pub(crate) const NOW: Timestamp = Timestamp(1_795_227_247_000_000);

/// A moment some seconds before [`NOW`].
pub(crate) fn ago(seconds: i64) -> Timestamp {
    Timestamp(NOW.0 - seconds * 1_000_000)
}

const HOUR: i64 = 3600;
const DAY: i64 = 86_400;

fn identity() -> Identity {
    Identity {
        stanza: Some("orders".to_owned()),
        stanzas: vec!["orders".to_owned()],
        host: "db1".to_owned(),
        label: Some("PRODUCTION".to_owned()),
        read_only: false,
        configuration: vec!["/etc/pgbackrest/pgbackrest.conf".into()],
    }
}

fn version() -> PgVersion {
    PgVersion::major(17)
}

fn server(in_recovery: bool) -> ServerFacts {
    ServerFacts {
        in_recovery,
        timeline: Some(Timeline(3)),
        lsn: Some(Lsn(0x5_A000_0148)),
        writable: !in_recovery,
        streaming: in_recovery,
        paused: false,
        lag_ms: in_recovery.then_some(200),
        archive_failing: None,
        version: Some(version()),
    }
}

fn data_dir() -> DataDirFacts {
    DataDirFacts {
        system_id: SystemId(7_432_101_234_566_789),
        version: version(),
        state: "in production".to_owned(),
        timeline: Timeline(3),
        running: Some(true),
    }
}

fn wal(missing: bool) -> WalFacts {
    let timeline = |number, runs: &[(u64, u64)]| TimelineFacts {
        timeline: Timeline(number),
        first: String::new(),
        last: String::new(),
        runs: runs.to_vec(),
    };
    let current = if missing { vec![(420, 1700), (1703, 2200)] } else { vec![(420, 2200)] };
    WalFacts {
        last_segment: Some("0000000300000005000000A0".to_owned()),
        last_stored: Some(ago(41)),
        last_commit: Some(ago(41)),
        timelines: vec![timeline(2, &[(100, 419)]), timeline(3, &current)],
        missing: if missing { 2 } else { 0 },
        conflicts: 0,
    }
}

fn backups() -> BackupFacts {
    let mut marks = Vec::new();
    for day in (0..14).rev() {
        let kind = if day % 7 == 6 { BackupKind::Full } else { BackupKind::Diff };
        marks.push((ago(day * DAY + 850), kind));
    }
    BackupFacts {
        total: marks.len(),
        oldest_stop: marks.first().map(|(at, _)| *at),
        last: vec![(BackupKind::Full, ago(6 * DAY + 850)), (BackupKind::Diff, ago(850))],
        with_errors: 0,
        newest_damaged: None,
        running: None,
        marks,
        trouble: None,
    }
}

fn member(name: &str, place: &str, in_recovery: bool) -> Member {
    let data_dir = (!in_recovery).then(|| Fact::known(data_dir(), ago(2)));
    Member {
        name: name.to_owned(),
        place: place.to_owned(),
        server: Fact::known(server(in_recovery), ago(1)),
        data_dir,
    }
}

/// Everything is as it should be.
pub(crate) fn healthy() -> Board {
    Board {
        identity: identity(),
        limits: Limits::default(),
        members: vec![member("pg1", "db1:5432", false), member("standby", "db2:5432", true)],
        repositories: vec![Repository {
            key: 1,
            place: "disk /var/lib/pgbackrest".to_owned(),
            backups: Fact::known(backups(), ago(3)),
            wal: Fact::known(wal(false), ago(3)),
            verification: None,
        }],
        upkeep: Fact::default(),
        application: None,
        operations: Vec::new(),
        incident: None,
        warnings: Vec::new(),
    }
}

/// The primary is gone, a repository is late, segments are missing, the application is wrong.
pub(crate) fn broken() -> Board {
    let mut board = healthy();
    board.members[0].server = Fact {
        answer: Answer::Failed { why: "refused".to_owned() },
        at: Some(ago(1)),
        since: Some(ago(12)),
        asked: None,
    };
    board.repositories[0].wal = Fact::known(wal(true), ago(3));
    let mut late = backups();
    late.last = vec![(BackupKind::Full, ago(8 * DAY)), (BackupKind::Diff, ago(27 * HOUR))];
    board.repositories.push(Repository {
        key: 2,
        place: "s3 backups-eu".to_owned(),
        backups: Fact::known(late, ago(3)),
        wal: Fact {
            answer: Answer::Unknown { why: "no answer".to_owned() },
            at: Some(ago(2)),
            since: Some(ago(90)),
            asked: None,
        },
        verification: None,
    });
    board.application = Some(Fact::known(
        Application {
            right: false,
            why: "the books do not agree".to_owned(),
            last_right: vec![ago(657), ago(667)],
            wrong_since: Some(ago(656)),
        },
        ago(1),
    ));
    board.warnings = vec!["repo2: the certificate expires in 3 days".to_owned()];
    board
}

/// Nothing answers: every probe has been waiting since the console was opened.
pub(crate) fn hung() -> Board {
    let mut board = healthy();
    for member in &mut board.members {
        member.server = Fact { asked: Some(ago(6)), ..Fact::default() };
        member.data_dir = None;
    }
    board.repositories[0].backups = Fact { asked: Some(ago(6)), ..Fact::default() };
    board.repositories[0].wal = Fact { asked: Some(ago(6)), ..Fact::default() };
    board
}

/// Nothing is configured.
pub(crate) fn empty() -> Board {
    Board { identity: Identity { host: "db1".to_owned(), ..Identity::default() }, ..Board::default() }
}

/// A broken cluster in an open incident with a recovery under way.
pub(crate) fn recovering() -> Board {
    let mut board = broken();
    board.incident = Some(incident());
    board.operations = vec![operation(Life::Running { pid: 4711 })];
    board
}

pub(crate) fn incident() -> OpenIncident {
    OpenIncident {
        id: "2026-11-21-01".to_owned(),
        reason: "the books do not agree".to_owned(),
        detected_at: ago(763),
        declared_at: ago(600),
        service_back_at: None,
    }
}

pub(crate) fn incident_view() -> IncidentView {
    IncidentView {
        id: "2026-11-21-01".to_owned(),
        stanza: "orders".to_owned(),
        reason: "the books do not agree".to_owned(),
        detected_at: ago(763),
        declared_at: ago(600),
        rto_s: 3600,
        rpo_s: 300,
        chain_ok: true,
        standing: Standing::default(),
        ..IncidentView::default()
    }
}

pub(crate) fn id() -> OpId {
    "20261121T021000Z-recover-7f3a".parse().unwrap()
}

pub(crate) fn operation(life: Life) -> Operation {
    Operation {
        id: id().to_string(),
        summary: "recover orders in place to 02:03:10".to_owned(),
        asks: false,
        done: life == Life::Ended,
        ended: (life == Life::Ended).then(|| "served again after 17m12".to_owned()),
        life,
        step: Some("copy".to_owned()),
        started_at: Some(ago(247)),
    }
}

pub(crate) fn snapshot(life: Life, asks: bool) -> Snapshot {
    let step = |name: &str, status| Step { name: name.to_owned(), status };
    let question =
        Question { text: "Is it right?".to_owned(), evidence: vec!["402 of 402 orders".to_owned()] };
    Snapshot {
        spec: Spec {
            schema: Spec::SCHEMA.to_owned(),
            id: id(),
            stanza: "orders".to_owned(),
            summary: "recover orders in place to 02:03:10".to_owned(),
            arguments: vec!["recover".to_owned()],
            working_dir: "/".into(),
            environment: Vec::new(),
            by: "dk".to_owned(),
            plan: Some("7f3a".to_owned()),
            incident: None,
            asks: true,
            forecast: None,
        },
        life,
        state: OpState {
            seq: 9,
            started_at: Some(ago(247)),
            attempt: 1,
            steps: vec![
                step("stop the writers", StepStatus::Done { took_ms: 1_200, detail: String::new() }),
                step("copy", StepStatus::Running { since: ago(200) }),
                step("replay", StepStatus::Waiting),
            ],
            question: asks.then_some(question),
            ..OpState::default()
        },
        copy: Some(Progress {
            bytes_done: 241 << 30,
            bytes_total: 412 << 30,
            files_done: 14_202,
            files_total: 22_811,
        }),
        replay: None,
        sampled_at: Some(ago(0)),
    }
}

pub(crate) fn request() -> RecoverRequest {
    RecoverRequest {
        stanza: "orders".to_owned(),
        kind: "time".to_owned(),
        targets: vec!["2026-11-21 02:03:10+00".to_owned()],
        exclusive: false,
        timeline: Some(3),
        set: None,
        asks: true,
        no_first_backup: false,
    }
}

pub(crate) fn plan(state: CheckState) -> RecoverPlan {
    plan_for(request(), state)
}

pub(crate) fn plan_for(request: RecoverRequest, state: CheckState) -> RecoverPlan {
    RecoverPlan {
        request,
        target: "2026-11-21 02:03:10+00".to_owned(),
        target_at: Some(ago(657)),
        data_dir: "/srv/pg/17/main".into(),
        repo: Some(1),
        set: Some("20261120-020001F".to_owned()),
        set_stop: Some(ago(DAY)),
        copy_bytes: 412 << 30,
        copy_files: 22_811,
        replay_bytes: 1_841 * (16 << 20),
        replay_segments: 1_841,
        timeline: Some(3),
        space: vec![("/srv/pg".into(), 441 << 30, 1_200 << 30)],
        last_commit: Some(ago(658)),
        first_lost_commit: Some(ago(656)),
        newest: Some(ago(41)),
        forecast: None,
        checks: vec![Check { state, text: "the set ends before the target".to_owned() }],
        steps: ["stop the writers", "copy", "replay"].map(str::to_owned).to_vec(),
        command: "pgmayday recover --stanza=orders --type=time --target='2026-11-21 02:03:10+00'".to_owned(),
        digest: "7f3a".to_owned(),
    }
}

/// Everything that may come in besides keys, one of each kind and state.
pub(crate) fn inputs() -> Vec<Input> {
    let lives = [
        Life::Starting,
        Life::Running { pid: 1 },
        Life::Lost,
        Life::Ended,
        Life::Unknown { why: "no permission".to_owned() },
    ];
    let with_operation = |life: &Life| {
        let mut board = recovering();
        board.operations = vec![operation(life.clone())];
        board
    };
    let mut boards = vec![healthy(), broken(), hung(), empty(), recovering()];
    boards.extend(lives.iter().map(with_operation));
    let mut inputs: Vec<Input> = boards.into_iter().map(|board| Input::Board(Box::new(board))).collect();
    for life in &lives {
        inputs.push(Input::Operation(Box::new(snapshot(life.clone(), false))));
    }
    inputs.push(Input::Operation(Box::new(snapshot(Life::Running { pid: 1 }, true))));
    for state in [CheckState::Ok, CheckState::Warn, CheckState::Fail, CheckState::Unknown] {
        inputs.push(Input::Plan(Box::new(request()), Ok(Box::new(plan(state)))));
    }
    let report = || Report::failed("it did not work").hint("try another way");
    inputs.extend([
        Input::Plan(Box::new(request()), Err(report())),
        Input::Catalog(Ok(CatalogView::default())),
        Input::Catalog(Err(report())),
        Input::Wal(Ok(WalView::default())),
        Input::Wal(Err(report())),
        Input::Started(Ok(id())),
        Input::Started(Err(report())),
        Input::Incident(Box::new(incident_view())),
        Input::Incidents(vec![incident_view()]),
        Input::Incidents(Vec::new()),
        Input::Said(Ok("done".to_owned())),
        Input::Said(Err(report())),
        Input::Tick(ago(-1)),
        Input::Paste("orders\norders\n".to_owned()),
        Input::Resize(80, 24),
        Input::Resize(120, 40),
    ]);
    inputs
}

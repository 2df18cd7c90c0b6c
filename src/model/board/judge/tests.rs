//! Whether the judgement says what an operator must know, situation by situation.

mod headlines;
mod situations;

use super::*;
use crate::base::{BackupKind, Lsn, PgVersion, SystemId, Timeline};
use crate::model::board::{
    Application, ArchiveTrouble, BackupFacts, DataDirFacts, HoldFacts, Identity, Member, Operation,
    Repository, ServerFacts, UnsoundBackup, Upkeep, VerificationFacts, VerifyRun, WalFacts,
};
use crate::model::op::Life;

const S: i64 = 1_000_000;
const HOUR: i64 = 3600 * S;

/// 2026-11-21 02:14:07 UTC.
fn now() -> Timestamp {
    Timestamp(1_795_227_247 * S)
}

fn ago(us: i64) -> Timestamp {
    Timestamp(now().0 - us)
}

fn server(in_recovery: bool) -> ServerFacts {
    ServerFacts {
        in_recovery,
        timeline: Some(Timeline(1)),
        lsn: Some(Lsn(0x5A00_0148)),
        writable: !in_recovery,
        streaming: in_recovery,
        paused: false,
        lag_ms: in_recovery.then_some(200),
        archive_failing: None,
        version: Some(PgVersion::major(15)),
    }
}

fn data_dir(running: Option<bool>) -> DataDirFacts {
    DataDirFacts {
        system_id: SystemId(7),
        version: PgVersion::major(15),
        state: "in production".to_owned(),
        timeline: Timeline(1),
        running,
    }
}

fn member(name: &str, facts: ServerFacts) -> Member {
    Member {
        name: name.to_owned(),
        place: "db:5432".to_owned(),
        server: Fact::known(facts, now()),
        data_dir: None,
    }
}

fn since<T>(answer: Answer<T>, for_us: i64) -> Fact<T> {
    Fact { answer, at: Some(now()), since: Some(ago(for_us)), asked: None }
}

fn failed<T>(why: &str, for_us: i64) -> Fact<T> {
    since(Answer::Failed { why: why.to_owned() }, for_us)
}

fn unknown<T>(why: &str, for_us: i64) -> Fact<T> {
    since(Answer::Unknown { why: why.to_owned() }, for_us)
}

fn backups() -> BackupFacts {
    BackupFacts {
        total: 2,
        oldest_stop: Some(ago(48 * HOUR)),
        last: vec![(BackupKind::Full, ago(48 * HOUR)), (BackupKind::Incr, ago(14 * 60 * S))],
        ..BackupFacts::default()
    }
}

fn wal() -> WalFacts {
    WalFacts {
        last_segment: Some("00000001000000000000005A".to_owned()),
        last_stored: Some(ago(41 * S)),
        ..WalFacts::default()
    }
}

fn repository(backups: BackupFacts, wal: WalFacts) -> Repository {
    Repository {
        key: 1,
        place: "disk /var/lib/pgbackrest".to_owned(),
        backups: Fact::known(backups, now()),
        wal: Fact::known(wal, now()),
        verification: None,
    }
}

/// What this host says stands in the way.
fn upkeep(change: impl FnOnce(&mut Upkeep)) -> Fact<Upkeep> {
    let mut upkeep = Upkeep::default();
    change(&mut upkeep);
    Fact::known(upkeep, now())
}

fn archiving(file: Option<&str>, others: usize) -> Fact<Upkeep> {
    let (file, why, since) = (file.map(str::to_owned), "repo1: no room".to_owned(), ago(185 * S));
    upkeep(|it| it.archiving = Some(ArchiveTrouble { file, why, since, others }))
}

/// What verifying everything three hours ago came to.
fn verified(whole: bool, damage: u64, unknown: u64) -> VerificationFacts {
    let last = Some(VerifyRun { at: ago(3 * HOUR), whole, damage, unknown });
    VerificationFacts { last, ..VerificationFacts::default() }
}

fn unsound(label: &str) -> UnsoundBackup {
    UnsoundBackup { label: label.to_owned(), wrong: "damaged".to_owned(), at: ago(HOUR) }
}

fn verify_said(board: &mut Board, facts: VerificationFacts) {
    board.repositories[0].verification = Some(Fact::known(facts, now()));
}

/// A primary, a standby, a repository, an application: all well.
fn healthy() -> Board {
    Board {
        identity: Identity { stanza: Some("orders".to_owned()), ..Identity::default() },
        members: vec![member("pg1", server(false)), member("standby", server(true))],
        repositories: vec![repository(backups(), wal())],
        application: Some(Fact::known(
            Application { right: true, last_right: vec![ago(S / 5)], ..Application::default() },
            now(),
        )),
        ..Board::default()
    }
}

fn damaged() -> Application {
    Application {
        right: false,
        why: "the books do not agree".to_owned(),
        last_right: vec![ago(656 * S - S / 5), ago(656 * S)],
        wrong_since: Some(ago(655 * S)),
    }
}

/// Judges the healthy board after a change.
fn after(change: impl FnOnce(&mut Board)) -> Judgement {
    let mut board = healthy();
    change(&mut board);
    judge(&board, now())
}

fn line<'a>(judgement: &'a Judgement, name: &str) -> &'a Line {
    let found = judgement.cluster.iter().chain(&judgement.protection).find(|line| line.name == name);
    found.unwrap_or_else(|| unreachable!("no line {name}: {judgement:#?}"))
}

/// The change, the line looked at, its state, its words.
type Situation = (fn(&mut Board), &'static str, State, &'static str);

/// The change, the headline's state, its words with what to do next.
type Headline = (fn(&mut Board), State, &'static str);

#[test]
fn the_window_prefers_a_repository_without_a_hole() {
    let judgement = after(|board| {
        let holed = repository(backups(), WalFacts { missing: 3, last_stored: Some(ago(S)), ..wal() });
        board.repositories.push(Repository { key: 2, ..holed });
    });
    let window = judgement.window.unwrap();
    assert_eq!((window.repo, window.from, window.to, window.missing), (1, ago(48 * HOUR), ago(41 * S), 0));
    assert_eq!(line(&judgement, "WAL repo2").text, "3 segments missing");
    assert!(after(|board| board.repositories[0].backups = unknown("no answer", S)).window.is_none());
}

#[test]
fn spans_and_clocks_are_as_people_say_them() {
    let spans = [0, 200_000, S, 41 * S, 119 * S, 120 * S, 2 * HOUR - S, 2 * HOUR, 47 * HOUR, 48 * HOUR, -S];
    let said: Vec<String> = spans.map(span).into();
    assert_eq!(said, ["0 s", "0.2 s", "1 s", "41 s", "119 s", "2 m", "119 m", "2 h", "47 h", "2 d", "0 s"]);
    assert_eq!(clock(ago(656 * S - S / 5), now()), "02:03:11.2");
    assert_eq!(clock(ago(24 * HOUR), now()), "2026-11-20 02:14:07");
}

#[test]
fn a_standby_that_a_recovery_left_behind_is_rebuilt_and_not_started() {
    let left = |timeline: u32| {
        let mut standby = member("standby", server(true));
        standby.server = failed("refused", 60 * S);
        let stopped = DataDirFacts { timeline: Timeline(timeline), ..data_dir(Some(false)) };
        standby.data_dir = Some(Fact::known(stopped, now()));
        let primary = ServerFacts { timeline: Some(Timeline(2)), ..server(false) };
        let board = Board { members: vec![member("pg1", primary), standby], ..Board::default() };
        let lines = judge(&board, now()).cluster;
        lines.into_iter().find(|line| line.name == "standby").unwrap().next.unwrap()
    };
    assert!(left(1).contains("do not start it as it is; rebuild it"), "{}", left(1));
    assert!(left(2).contains("start it and read its log"), "{}", left(2));
}

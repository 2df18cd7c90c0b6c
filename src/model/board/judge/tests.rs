//! Whether the judgement says what an operator must know, situation by situation.

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

const SITUATIONS: &[Situation] = &[
    (|_| {}, "pg1", State::Ok, "primary, takes writes, timeline 1"),
    (|_| {}, "standby", State::Ok, "standby, streaming, 0.2 s behind"),
    (|_| {}, "repo1", State::Ok, "last incr 14 m, full 2 d"),
    (|_| {}, "WAL", State::Ok, "41 s behind (RPO 5 m)"),
    (|_| {}, "application", State::Ok, "its check is right"),
    (|b| b.members[0].server = failed("refused", 12 * S), "pg1", State::Failed, "refused for 12 s"),
    (|b| b.members[0].server = unknown("no answer", 12 * S), "pg1", State::Unknown, "no answer for 12 s"),
    (|b| b.members[0].server = Fact::default(), "pg1", State::Unknown, "not looked at yet"),
    (|b| b.members[0].server.asked = Some(ago(3 * S)), "pg1", State::Ok, "primary, takes writes, timeline 1"),
    (
        |b| b.members[0].server = Fact { asked: Some(ago(3 * S)), ..Fact::default() },
        "pg1",
        State::Unknown,
        "no answer yet (3 s)",
    ),
    (|b| b.members[0].server.at = Some(ago(35 * S)), "pg1", State::Unknown, "last seen 35 s ago"),
    (
        |b| {
            b.members[0].server = failed("refused", 12 * S);
            b.members[0].data_dir = Some(Fact::known(data_dir(Some(false)), now()));
        },
        "pg1",
        State::Failed,
        "refused for 12 s, stopped (in production)",
    ),
    (
        |b| {
            b.members[0].server = unknown("no answer", 12 * S);
            b.members[0].data_dir = Some(Fact::known(data_dir(Some(true)), now()));
        },
        "pg1",
        State::Unknown,
        "no answer for 12 s, its process is there",
    ),
    (
        |b| {
            b.members[0].server = failed("refused", 12 * S);
            b.members[0].data_dir = Some(failed("global/pg_control is missing", S));
        },
        "pg1",
        State::Failed,
        "refused for 12 s; global/pg_control is missing",
    ),
    (
        |b| b.members[0].server = Fact::known(ServerFacts { writable: false, ..server(false) }, now()),
        "pg1",
        State::Late,
        "primary, timeline 1, read-only by default",
    ),
    (
        |b| {
            let why = Some("000000010000000000000007".to_owned());
            b.members[0].server = Fact::known(ServerFacts { archive_failing: why, ..server(false) }, now());
        },
        "pg1",
        State::Late,
        "primary, timeline 1, archiving fails: 000000010000000000000007",
    ),
    (
        |b| b.members[1].server = Fact::known(server(false), now()),
        "standby",
        State::Failed,
        "primary, timeline 1, and it is not the only one",
    ),
    (
        |b| b.members[1].server = Fact::known(ServerFacts { paused: true, ..server(true) }, now()),
        "standby",
        State::Late,
        "standby, replay is paused, 0.2 s behind",
    ),
    (
        |b| b.members[1].server = Fact::known(ServerFacts { streaming: false, ..server(true) }, now()),
        "standby",
        State::Failed,
        "standby, receives nothing, has all up to 0/5A000148",
    ),
    (
        |b| {
            b.members[0].server = failed("refused", S);
            b.members[1].server = Fact::known(ServerFacts { streaming: false, ..server(true) }, now());
        },
        "standby",
        State::Late,
        "standby, receives nothing, has all up to 0/5A000148",
    ),
    (
        |b| b.members[1].server = Fact::known(ServerFacts { lag_ms: Some(600_000), ..server(true) }, now()),
        "standby",
        State::Late,
        "standby, streaming, 10 m behind",
    ),
    (
        |b| {
            let facts = ServerFacts { timeline: Some(Timeline(2)), ..server(false) };
            b.members[0].server = Fact::known(facts, now());
            b.members[1].server = Fact::known(ServerFacts { streaming: false, ..server(true) }, now());
        },
        "standby",
        State::Failed,
        "standby on timeline 1, its primary has gone another way",
    ),
    (
        |b| {
            b.repositories[0].backups = Fact::known(
                BackupFacts { last: vec![(BackupKind::Diff, ago(27 * HOUR))], ..backups() },
                now(),
            );
        },
        "repo1",
        State::Late,
        "last diff 27 h old, limit 26 h",
    ),
    (
        |b| {
            b.repositories[0].backups = Fact::known(
                BackupFacts { trouble: Some("no valid backups".to_owned()), ..BackupFacts::default() },
                now(),
            );
        },
        "repo1",
        State::Failed,
        "no valid backups",
    ),
    (
        |b| b.repositories[0].backups = Fact::known(BackupFacts { with_errors: 1, ..backups() }, now()),
        "repo1",
        State::Late,
        "1 backup with page errors, last incr 14 m",
    ),
    (
        |b| {
            b.repositories[0].backups =
                Fact::known(BackupFacts { running: Some(Some(4250)), ..backups() }, now());
        },
        "repo1",
        State::Ok,
        "last incr 14 m, full 2 d, a backup runs (42 %)",
    ),
    (
        |b| b.repositories[0].backups = Fact::known(BackupFacts { running: Some(None), ..backups() }, now()),
        "repo1",
        State::Ok,
        "last incr 14 m, full 2 d, a backup or expire runs",
    ),
    (
        |b| {
            let newest_damaged = Some("20261121-020001F".to_owned());
            b.repositories[0].backups =
                Fact::known(BackupFacts { with_errors: 2, newest_damaged, ..backups() }, now());
        },
        "repo1",
        State::Late,
        "damaged pages in the last incr, 14 m old",
    ),
    (
        |b| {
            let (newest_damaged, last) =
                (Some("20261121-020001F".to_owned()), vec![(BackupKind::Full, ago(27 * HOUR))]);
            b.repositories[0].backups =
                Fact::known(BackupFacts { newest_damaged, last, running: Some(Some(7)), ..backups() }, now());
        },
        "repo1",
        State::Late,
        "last full 27 h old, limit 26 h, with damaged pages, a backup runs (0 %)",
    ),
    (|b| verify_said(b, verified(true, 0, 0)), "verify", State::Ok, "all sound 3 h ago"),
    (|b| verify_said(b, verified(false, 0, 0)), "verify", State::Ok, "stored bytes sound 3 h ago"),
    (|b| verify_said(b, verified(true, 2, 1)), "verify", State::Failed, "damage found 3 h ago"),
    (
        |b| verify_said(b, verified(true, 0, 1)),
        "verify",
        State::Unknown,
        "not all could be looked at, 3 h ago",
    ),
    (
        |b| {
            let facts = VerificationFacts { proven: 2, last_proven: Some(ago(S)), ..Default::default() };
            verify_said(b, facts);
        },
        "verify",
        State::Ok,
        "2 backups sound 1 s ago",
    ),
    (
        |b| {
            let unsound = vec![unsound("20261120-020001F"), unsound("20261119-020001F")];
            verify_said(b, VerificationFacts { unsound, ..verified(true, 0, 0) });
        },
        "verify",
        State::Failed,
        "20261120-020001F is damaged, seen 60 m ago, and 1 more",
    ),
    (
        |b| b.repositories[0].verification = Some(unknown("verify-main-1.json is damaged", 5 * S)),
        "verify",
        State::Unknown,
        "verify-main-1.json is damaged for 5 s",
    ),
    (
        |b| b.upkeep = upkeep(|it| it.stopped_by = Some("/tmp/pgbackrest/orders.stop".into())),
        "stopped",
        State::Late,
        "nothing is archived or backed up from this host, by /tmp/pgbackrest/orders.stop",
    ),
    (
        |b| {
            let (incident, by) = ("2026-11-21-01".to_owned(), "anna".to_owned());
            let (since, until) = (ago(HOUR), ago(-2 * HOUR));
            b.upkeep = upkeep(|it| it.hold = Some(HoldFacts::Stands { incident, since, until, by }));
        },
        "expiry",
        State::Late,
        "incident 2026-11-21-01 holds expiry until 04:14:07",
    ),
    (
        |b| {
            let (incident, until) = ("2026-11-21-01".to_owned(), ago(HOUR));
            b.upkeep = upkeep(|it| it.hold = Some(HoldFacts::Over { incident, until }));
        },
        "expiry",
        State::Late,
        "the hold of incident 2026-11-21-01 ended by itself 60 m ago",
    ),
    (
        |b| b.upkeep = upkeep(|it| it.hold = Some(HoldFacts::Unreadable { why: "no permission".to_owned() })),
        "expiry",
        State::Unknown,
        "held, by what cannot be read: no permission",
    ),
    (|b| b.upkeep = archiving(None, 0), "archiving", State::Late, "fails: repo1: no room, 3 m"),
    (
        |b| b.upkeep = archiving(Some("000000010000000000000007"), 4),
        "archiving",
        State::Late,
        "fails for 000000010000000000000007: repo1: no room, 3 m, and 4 more",
    ),
    (|b| b.upkeep = unknown("no answer", 9 * S), "this host", State::Unknown, "no answer for 9 s"),
    (
        |b| {
            b.repositories[0].backups =
                Fact::known(BackupFacts { last: vec![(BackupKind::Full, ago(-HOUR))], ..backups() }, now());
        },
        "repo1",
        State::Late,
        "last full ended 60 m in the future",
    ),
    (
        |b| b.repositories[0].backups = unknown("no answer", 25 * S),
        "repo1",
        State::Unknown,
        "no answer for 25 s",
    ),
    (
        |b| b.repositories[0].backups = failed("backup.info is damaged", 0),
        "repo1",
        State::Failed,
        "backup.info is damaged",
    ),
    (
        |b| b.repositories[0].wal = Fact::known(WalFacts { missing: 2, ..wal() }, now()),
        "WAL",
        State::Failed,
        "2 segments missing",
    ),
    (
        |b| b.repositories[0].wal = Fact::known(WalFacts { conflicts: 1, ..wal() }, now()),
        "WAL",
        State::Failed,
        "1 segment stored twice, different",
    ),
    (
        |b| b.repositories[0].wal = Fact::known(WalFacts { last_stored: Some(ago(600 * S)), ..wal() }, now()),
        "WAL",
        State::Late,
        "10 m behind (RPO 5 m)",
    ),
    (
        |b| b.repositories[0].wal = Fact::known(WalFacts::default(), now()),
        "WAL",
        State::Failed,
        "no WAL is archived",
    ),
    (|b| b.repositories[0].wal.at = Some(ago(700 * S)), "WAL", State::Unknown, "last seen 11 m ago"),
    (
        |b| b.application = Some(Fact::known(damaged(), now())),
        "application",
        State::Failed,
        "books do not agree since 02:03:12, last right 02:03:11.2",
    ),
    (
        |b| b.application = Some(unknown("the monitor failed: exit code 1", 4 * S)),
        "application",
        State::Unknown,
        "the monitor failed: exit code 1 for 4 s",
    ),
];

#[test]
fn every_situation_has_its_words() {
    for (number, (change, name, state, words)) in SITUATIONS.iter().enumerate() {
        let judgement = after(change);
        let line = line(&judgement, name);
        assert_eq!((line.state, line.text.as_str()), (*state, *words), "situation {number}");
        let advised = line.next.as_ref().is_some_and(|next| !next.is_empty());
        let waits = *words == "not looked at yet";
        assert_eq!(advised, *state != State::Ok && !waits, "situation {number}: what to do next: {line:?}");
        let all_ok =
            judgement.cluster.iter().chain(&judgement.protection).all(|line| line.state == State::Ok);
        assert_eq!(
            judgement.headline.state == State::Ok,
            all_ok,
            "situation {number}: {:?}",
            judgement.headline
        );
    }
}

/// The change, the headline's state, its words with what to do next.
type Headline = (fn(&mut Board), State, &'static str);

const HEADLINES: &[Headline] = &[
    (|_| {}, State::Ok, "alive and protected; a loss now costs the last 41 s"),
    (
        // The application is the loudest, whatever else there is.
        |b| {
            b.application = Some(Fact::known(damaged(), now()));
            b.repositories[0].wal = Fact::known(WalFacts { conflicts: 1, ..wal() }, now());
            b.members[1].server = Fact::known(server(false), now());
        },
        State::Failed,
        "books do not agree since 02:03:12, last right 02:03:11.2: \
         the repository reaches back to it: recover to 02:03:11.2",
    ),
    (
        |b| {
            b.application = Some(Fact::known(damaged(), now()));
            b.repositories.clear();
        },
        State::Failed,
        "books do not agree since 02:03:12, last right 02:03:11.2: \
         nothing shows yet that a recovery reaches back to when it was right",
    ),
    (
        // An application without a server is a consequence.
        |b| {
            b.application = Some(Fact::known(damaged(), now()));
            b.members[0].server = failed("refused", 12 * S);
            b.members.truncate(1);
        },
        State::Failed,
        "no server takes writes: pg1 refused for 12 s; a loss now costs the last 41 s: look from its own host",
    ),
    (
        |b| b.members[0].server = failed("refused", 12 * S),
        State::Failed,
        "no server takes writes: pg1 refused for 12 s: standby (at 0/5A000148) answers: promote it if it is complete and right",
    ),
    (
        |b| {
            b.members[0].server = unknown("no answer", 12 * S);
            b.members.truncate(1);
        },
        State::Unknown,
        "no server was seen to take writes: pg1 no answer for 12 s; a loss now costs the last 41 s: \
         look from its own host",
    ),
    (
        |b| b.members[1].server = Fact::known(server(false), now()),
        State::Failed,
        "two servers take writes: pg1 and standby: stop the one that is not served",
    ),
    (
        |b| b.repositories[0].wal = Fact::known(WalFacts { missing: 2, ..wal() }, now()),
        State::Failed,
        "the primary is alive, but WAL: 2 segments missing; a loss now costs more than the last 41 s: \
         pgbackrest --stanza=orders backup; see wal gaps",
    ),
    (
        |b| b.repositories[0].wal = unknown("no answer", 20 * S),
        State::Unknown,
        "the primary is alive, but WAL: no answer for 20 s; what a loss would cost is not known: \
         see disk /var/lib/pgbackrest",
    ),
    (|b| b.repositories.clear(), State::Failed, "alive, but no repository protects it: configure repo1-path"),
    (
        |b| b.members.clear(),
        State::Unknown,
        "no server is configured; a loss now costs the last 41 s: set pg1-path",
    ),
    (
        |b| {
            b.members.iter_mut().for_each(|member| member.server = Fact::default());
            b.repositories[0].wal = Fact::default();
        },
        State::Unknown,
        "no server has answered yet; what a loss would cost is not known",
    ),
    (|b| *b = Board::default(), State::Unknown, "no cluster is configured: see the lines below"),
];

#[test]
fn one_sentence_says_what_is_broken_and_what_it_costs() {
    for (number, (change, state, words)) in HEADLINES.iter().enumerate() {
        let judgement = after(change);
        let headline = &judgement.headline;
        assert_eq!((headline.state, headline.whole().as_str()), (*state, *words), "headline {number}");
    }
}

#[test]
fn what_stands_in_no_way_is_not_mentioned_and_what_does_says_how_to_go_on() {
    let names =
        |judgement: &Judgement| judgement.protection.iter().map(|line| line.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&after(|board| board.upkeep = upkeep(|_| {}))), ["repo1", "WAL"]);
    let never = after(|board| verify_said(board, VerificationFacts::default()));
    assert_eq!(names(&never), ["repo1", "WAL"], "never verified");
    let stopped = |file: &str| {
        let judgement = after(|board| board.upkeep = upkeep(|it| it.stopped_by = Some(file.into())));
        line(&judgement, "stopped").next.clone().unwrap()
    };
    assert!(stopped("/l/orders.stop").ends_with("pgmayday --stanza=orders start"));
    assert!(stopped("/l/all.stop").ends_with("pgmayday start"));
    let several = after(|board| {
        verify_said(board, verified(true, 1, 0));
        board.upkeep = archiving(None, 0);
        board.repositories.push(Repository { key: 2, ..repository(backups(), wal()) });
    });
    let expected = ["archiving", "repo1", "WAL repo1", "repo2", "WAL repo2", "verify repo1"];
    assert_eq!(names(&several), expected);
    assert_eq!(
        line(&several, "verify repo1").next.as_deref(),
        Some("pgmayday --stanza=orders --repo=1 verify lists it")
    );
    let damaged = after(|board| {
        let newest_damaged = Some("20261121-020001F".to_owned());
        board.repositories[0].backups = Fact::known(BackupFacts { newest_damaged, ..backups() }, now());
    });
    let next = line(&damaged, "repo1").next.as_deref();
    assert_eq!(next, Some("pgmayday --stanza=orders --repo=1 --set=20261121-020001F info lists the files"));
}

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
fn what_to_do_next_begins_with_what_waits() {
    let keys = |judgement: &Judgement| judgement.next.iter().map(|next| next.key).collect::<Vec<_>>();
    assert_eq!(keys(&after(|_| {})), ["b", "w"]);
    let wrong = after(|board| board.application = Some(Fact::known(damaged(), now())));
    assert_eq!(keys(&wrong), ["i", "t", "b", "w"]);
    assert_eq!(wrong.next[1].text, "plan the recovery to 02:03:11.2");
    let asked = after(|board| {
        let operation = |life, asks| Operation {
            id: "x".to_owned(),
            summary: "recover orders".to_owned(),
            life,
            step: None,
            started_at: None,
            ended: None,
            done: false,
            asks,
        };
        board.operations = vec![operation(Life::Running { pid: 1 }, true), operation(Life::Lost, false)];
    });
    assert_eq!(keys(&asked), ["o", "o", "b", "w"]);
    assert!(asked.next[0].text.contains("waits for your answer") && asked.next[1].text.contains("resume"));
    assert!(keys(&after(|board| *board = Board::default())).is_empty());
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

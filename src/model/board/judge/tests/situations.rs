//! Each situation and the words it gets.

use super::*;

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

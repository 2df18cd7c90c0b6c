//! The sentence at the top, and what to do next.

use super::*;

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

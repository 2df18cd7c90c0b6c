//! The judges against situations made by hand: each rule once, and that no age or silence becomes a no.

mod alive;
mod hinders;
mod replicas;

use super::*;
use crate::base::{Lsn, SystemId, Timeline};
use crate::model::board::{
    Application, BackupFacts, Board, Limits, Member, Repository, ServerFacts, WalFacts,
};
use crate::model::fact::{Answer, Fact};
use crate::model::situation::*;
use proptest::prelude::*;

const NOW: Timestamp = Timestamp(1_795_222_561_000_000);

fn ago(seconds: i64) -> Timestamp {
    Timestamp(NOW.0 - seconds * 1_000_000)
}

fn known<T>(value: T) -> Fact<T> {
    Fact::known(value, ago(1))
}

fn unknown<T>(why: &str) -> Fact<T> {
    let mut fact = Fact::default();
    fact.answered(Answer::Unknown { why: why.to_owned() }, ago(1));
    fact
}

fn failed<T>(why: &str) -> Fact<T> {
    let mut fact = Fact::default();
    fact.answered(Answer::Failed { why: why.to_owned() }, ago(1));
    fact
}

fn server(in_recovery: bool) -> ServerFacts {
    ServerFacts {
        in_recovery,
        timeline: Some(Timeline(1)),
        lsn: Some(Lsn(0x500_0000)),
        writable: !in_recovery,
        streaming: in_recovery,
        paused: false,
        lag_ms: in_recovery.then_some(0),
        archive_failing: None,
        version: None,
    }
}

fn health(in_recovery: bool) -> HealthFacts {
    HealthFacts {
        in_recovery,
        sees_all: true,
        system_id: Some(SystemId(7)),
        xids_left: 2_000_000_000,
        multixacts_left: 2_000_000_000,
        checksums: true,
        received_lsn: in_recovery.then_some(Lsn(0x500_0000)),
        replayed_commit_at: in_recovery.then_some(ago(9)),
        ..HealthFacts::default()
    }
}

fn folder(running: bool) -> FolderFacts {
    let room = Some(Room { free_bytes: 1 << 34, total_bytes: 1 << 35, free_files: None });
    let control = ControlFacts {
        state: "in production".to_owned(),
        stopped_in_order: false,
        timeline: Timeline(1),
        redo_lsn: Lsn(0x400_0000),
        checkpoint_lsn: Lsn(0x400_0100),
        written_at: ago(60),
        checksums: true,
    };
    FolderFacts {
        control: Some(control),
        running: Some(running),
        wal_end: (!running).then_some(Lsn(0x500_0000)),
        room,
        wal_room: room,
        ..FolderFacts::default()
    }
}

fn member(name: &str, answer: Fact<ServerFacts>) -> Member {
    Member { name: name.to_owned(), place: format!("{name}:5432"), server: answer, data_dir: None }
}

fn here(in_recovery: bool) -> MemberFacts {
    MemberFacts {
        host: None,
        port: 5432,
        socket: None,
        contact: known(Contact::Session),
        health: known(health(in_recovery)),
        write: (!in_recovery).then(|| known(WriteTest::Committed { took_ms: 3 })),
        log: Some(known(LogTail::default())),
        folder: Some(known(folder(true))),
        pages: None,
    }
}

/// A primary and a standby on this host, all well.
fn well() -> Situation {
    let backups = BackupFacts {
        total: 1,
        last: vec![(crate::base::BackupKind::Full, ago(3600))],
        ..BackupFacts::default()
    };
    let wal = WalFacts { last_stored: Some(ago(60)), ..WalFacts::default() };
    let repository = Repository {
        key: 1,
        place: "disk /r".to_owned(),
        backups: known(backups),
        wal: known(wal),
        verification: None,
    };
    let board = Board {
        limits: Limits::default(),
        members: vec![member("pg1", known(server(false))), member("standby", known(server(true)))],
        repositories: vec![repository],
        application: Some(known(Application { right: true, ..Application::default() })),
        ..Board::default()
    };
    Situation { board, members: vec![here(false), here(true)], patroni: Vec::new() }
}

/// Its primary was killed.
fn dead() -> Situation {
    let mut situation = well();
    situation.board.members[0].server = failed("refused");
    situation.members[0].contact = known(Contact::Refused);
    situation.members[0].health = unknown("refused");
    situation.members[0].folder = Some(known(folder(false)));
    if let Answer::Known { value } = &mut situation.board.members[1].server.answer {
        value.streaming = false;
    }
    situation
}

fn elsewhere(situation: &mut Situation, at: usize) {
    let facts = &mut situation.members[at];
    (facts.host, facts.log, facts.folder) = (Some("db9".to_owned()), None, None);
}

#[track_caller]
fn exit(name: &str, situation: &Situation) -> Option<&'static str> {
    let proposal = judge(name, situation, NOW).unwrap();
    assert!(!proposal.reason.is_empty() && proposal.findings.iter().all(|finding| !finding.text.is_empty()));
    proposal.exit
}

#[test]
fn where_all_is_well_everything_says_so() {
    for (name, expected) in [
        ("primary-alive", "yes"),
        ("what-hinders", "nothing"),
        ("corruption", "none"),
        ("does-it-start", "yes"),
        ("replica-healthy", "yes"),
        ("fenced", "no"),
        ("failed-over", "no-patroni"),
        ("repository-usable", "yes"),
        ("committed", "yes"),
    ] {
        assert_eq!(exit(name, &well()), Some(expected), "{name}: {:?}", judge(name, &well(), NOW));
    }
    assert_eq!(judge("no-such-question", &well(), NOW), None);
}

#[test]
fn a_killed_primary_is_dead_starts_and_has_a_standby_with_everything() {
    assert_eq!(exit("primary-alive", &dead()), Some("no"));
    assert_eq!(exit("does-it-start", &dead()), Some("yes"));
    assert_eq!(exit("replica-healthy", &dead()), Some("yes"));
    assert_eq!(exit("fenced", &dead()), None, "it may be started again");
    let mut behind = dead();
    let end = Some(Lsn(0x500_0100));
    behind.members[0].folder = Some(known(FolderFacts { wal_end: end, ..folder(false) }));
    assert_eq!(exit("replica-healthy", &behind), Some("lagging"));
    let mut gone = dead();
    elsewhere(&mut gone, 0);
    let tail = judge("replica-healthy", &gone, NOW).unwrap();
    assert_eq!(tail.exit, Some("lagging"), "lag 0 is no proof");
    assert!(tail.reason.contains("unknown tail"), "{}", tail.reason);
}

#[test]
fn silence_and_age_are_never_a_no() {
    let mut silent = dead();
    elsewhere(&mut silent, 0);
    silent.members[0].contact = unknown("no answer");
    silent.board.members[0].server = unknown("no answer");
    assert_eq!(exit("primary-alive", &silent), None);
    let mut old = dead();
    old.members[0].contact.at = Some(ago(120));
    old.members[1].contact.at = Some(ago(120));
    old.members[0].folder.as_mut().unwrap().at = Some(ago(120));
    old.board.members[0].server.at = Some(ago(120));
    assert_eq!(exit("primary-alive", &old), None, "what was seen two minutes ago is not known now");
    let mut stale = well();
    stale.board.members[0].server.at = Some(ago(120));
    stale.members[0].contact.at = Some(ago(120));
    stale.members[0].health.at = Some(ago(120));
    stale.board.members[1].server.at = Some(ago(120));
    assert_eq!(exit("primary-alive", &stale), None);
    assert_eq!(exit("what-hinders", &stale), None);
    assert_eq!(exit("committed", &stale), None);
}

#[test]
fn a_repository_is_as_good_as_what_can_be_recovered_from_it() {
    let with = |change: &dyn Fn(&mut Repository)| {
        let mut situation = well();
        change(&mut situation.board.repositories[0]);
        exit("repository-usable", &situation)
    };
    assert_eq!(with(&|repo| repo.backups = failed("wrong passphrase")), Some("no"));
    assert_eq!(with(&|repo| repo.backups = unknown("no answer")), None);
    assert_eq!(with(&|repo| repo.wal = unknown("no answer")), None);
    assert_eq!(with(&|repo| repo.backups = known(BackupFacts::default())), Some("no"));
    let gap = WalFacts { missing: 2, last_stored: Some(ago(1)), ..WalFacts::default() };
    assert_eq!(with(&|repo| repo.wal = known(gap.clone())), Some("stale"));
    let old =
        BackupFacts { last: vec![(crate::base::BackupKind::Full, ago(300_000))], ..BackupFacts::default() };
    assert_eq!(with(&|repo| repo.backups = known(old.clone())), Some("stale"));
    let idle = WalFacts { last_stored: Some(ago(9_000)), ..WalFacts::default() };
    assert_eq!(with(&|repo| repo.wal = known(idle.clone())), Some("yes"), "nothing waits to be archived");
    let mut unseen = well();
    unseen.board.repositories[0].wal = known(idle);
    unseen.members[0].folder = Some(unknown("no answer"));
    assert_eq!(exit("repository-usable", &unseen), None, "what waits to be archived is not known");
    unseen.members[0].folder = Some(failed("the directory is missing"));
    assert_eq!(exit("repository-usable", &unseen), Some("yes"), "a data directory that is lost has nothing");
    let mut two = well();
    let stale = Repository { backups: known(old), ..two.board.repositories[0].clone() };
    two.board.repositories.push(Repository { backups: unknown("no answer"), ..stale.clone() });
    two.board.repositories[0] = stale;
    assert_eq!(exit("repository-usable", &two), None, "the other one may be better");
}

#[test]
fn what_is_open_is_not_committed() {
    let writer = OpenWriter {
        pid: 1,
        user: "u".to_owned(),
        database: "d".to_owned(),
        application: "psql".to_owned(),
        verb: "UPDATE".to_owned(),
        state: "idle in transaction".to_owned(),
        since: ago(50),
    };
    let mut situation = well();
    situation.members[0].health = known(HealthFacts { open_writers: vec![writer], ..health(false) });
    assert_eq!(exit("committed", &situation), Some("no"));
    let mut blind = well();
    blind.members[0].health = known(HealthFacts { sees_all: false, ..health(false) });
    assert_eq!(exit("committed", &blind), None, "who may not see sessions has seen none");
    assert_eq!(exit("what-hinders", &blind), Some("nothing"), "a commit came back");
    blind.members[0].write = None;
    assert_eq!(exit("what-hinders", &blind), None);
    situation.board.application = None;
    assert_eq!(exit("committed", &situation), None);
}

/// Situations in which something is wrong, or nothing.
fn told() -> Vec<Situation> {
    let mut situations = vec![well(), dead()];
    let mut changed = |of: Situation, change: &dyn Fn(&mut Situation)| {
        let mut situation = of;
        change(&mut situation);
        situations.push(situation);
    };
    let hung = WriteTest::Hung { waited_ms: 5_000, waits_for: Some("IPC SyncRep".to_owned()), ended: true };
    changed(well(), &|it| it.members[0].write = Some(known(hung.clone())));
    let page = LogSign {
        kind: SignKind::Page,
        text: "invalid page".to_owned(),
        line: None,
        at: Some(ago(9)),
        last_run: true,
    };
    changed(well(), &|it| {
        it.members[0].log = Some(known(LogTail { signs: vec![page.clone()], ..LogTail::default() }));
    });
    let panic = LogSign { kind: SignKind::Panic, text: "stuck".to_owned(), ..page.clone() };
    changed(dead(), &|it| {
        it.members[0].log = Some(known(LogTail { signs: vec![panic.clone()], ..LogTail::default() }));
    });
    changed(well(), &|it| {
        it.board.application = Some(known(Application { right: false, ..Application::default() }));
    });
    let parted = ServerFacts { timeline: Some(Timeline(2)), streaming: false, ..server(true) };
    changed(well(), &|it| it.board.members[1].server = known(parted.clone()));
    let queue = ArchiveQueue { ready: 70, oldest: Some(("x".to_owned(), ago(900))) };
    changed(well(), &|it| {
        it.members[0].folder = Some(known(FolderFacts { queue: queue.clone(), ..folder(true) }));
        let wal = WalFacts { last_stored: Some(ago(900)), ..WalFacts::default() };
        it.board.repositories[0].wal = known(wal);
    });
    situations
}

proptest! {
    /// Whatever is blotted out, a known answer never turns into its opposite: it stays, or is unknown.
    #[test]
    fn less_known_is_never_another_truth(which in 0..8usize, holes in proptest::collection::vec(any::<bool>(), 15)) {
        let whole = told().swap_remove(which);
        let mut less = whole.clone();
        for at in 0..2 {
            if holes[at * 6] { less.board.members[at].server = unknown("no answer"); }
            if holes[at * 6 + 1] { less.members[at].contact = unknown("no answer"); }
            if holes[at * 6 + 2] { less.members[at].health = unknown("no answer"); }
            if holes[at * 6 + 3] { less.members[at].folder = Some(unknown("no answer")); }
            if holes[at * 6 + 4] { less.members[at].log = Some(unknown("no answer")); }
            if holes[at * 6 + 5] && less.members[at].write.is_some() {
                less.members[at].write = Some(unknown("no answer"));
            }
        }
        if holes[12] { less.board.repositories[0].backups = unknown("no answer"); }
        if holes[13] { less.board.repositories[0].wal = unknown("no answer"); }
        if holes[14] { less.board.application = Some(unknown("no answer")); }
        for kind in QUESTIONS {
            let name = kind.name;
            let (before, after) = (judge(name, &whole, NOW).unwrap().exit, judge(name, &less, NOW).unwrap().exit);
            prop_assert!(after.is_none() || after == before, "{which} {name}: {before:?} became {after:?}");
        }
    }
}

//! The judges against situations made by hand: each rule once, and that no age or silence becomes a no.

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
fn a_standby_that_still_receives_proves_a_primary_that_is_out_of_reach() {
    let mut situation = well();
    elsewhere(&mut situation, 0);
    situation.board.members[0].server = unknown("no answer");
    situation.members[0].contact = unknown("no answer");
    assert_eq!(exit("primary-alive", &situation), Some("yes"));
    assert_eq!(exit("fenced", &situation), Some("no"));
    let mut receiver = ReceiverFacts {
        status: "streaming".to_owned(),
        timeline: None,
        sender: Some("db9:5432".to_owned()),
        last_message_at: Some(ago(300)),
    };
    situation.members[1].health = known(HealthFacts { receiver: Some(receiver.clone()), ..health(true) });
    assert_eq!(
        exit("primary-alive", &situation),
        None,
        "a connection that has been silent for long proves nothing"
    );
    let known_health = std::mem::replace(&mut situation.members[1].health, unknown("no answer"));
    assert_eq!(exit("primary-alive", &situation), None, "when something came last is not known");
    situation.members[1].health = known_health;
    receiver.last_message_at = Some(ago(2));
    situation.members[1].health = known(HealthFacts { receiver: Some(receiver), ..health(true) });
    assert_eq!(exit("primary-alive", &situation), Some("yes"));
}

#[test]
fn what_another_standby_sends_on_proves_no_primary() {
    let mut situation = dead();
    elsewhere(&mut situation, 0);
    situation.board.members.push(member("third", known(server(true))));
    situation.members.push(here(true));
    assert_eq!(exit("primary-alive", &situation), Some("yes"), "the third receives, and nobody else sends");
    let link = StandbyLink {
        name: "third".to_owned(),
        from: None,
        state: "streaming".to_owned(),
        sync_state: "async".to_owned(),
        replay_lsn: None,
        flush_lsn: None,
    };
    situation.members[1].health = known(HealthFacts { standbys: vec![link], ..health(true) });
    assert_eq!(exit("primary-alive", &situation), Some("no"), "it may receive from the standby");
    let receiver = |sender: &str| ReceiverFacts {
        status: "streaming".to_owned(),
        timeline: None,
        sender: Some(sender.to_owned()),
        last_message_at: Some(ago(2)),
    };
    let third = |sender: &str| HealthFacts { receiver: Some(receiver(sender)), ..health(true) };
    situation.members[2].health = known(third("db9:5432"));
    assert_eq!(exit("primary-alive", &situation), Some("yes"), "it says that it receives from the primary");
    situation.members[2].health = known(third("db8:5432"));
    situation.members[1].health = unknown("no answer");
    assert_ne!(exit("primary-alive", &situation), Some("yes"), "whether the standby sends is not known");
}

#[test]
fn a_refusal_from_another_host_needs_a_second_witness() {
    let mut situation = dead();
    elsewhere(&mut situation, 0);
    assert_eq!(exit("primary-alive", &situation), Some("no"), "no standby receives from it");
    situation.board.members.truncate(1);
    situation.members.truncate(1);
    assert_eq!(exit("primary-alive", &situation), None, "a firewall refuses, too");
}

#[test]
fn what_hinders_is_named_the_most_binding_first() {
    let on = |change: &dyn Fn(&mut MemberFacts)| {
        let mut situation = well();
        change(&mut situation.members[0]);
        exit("what-hinders", &situation)
    };
    let with = |change: fn(&mut HealthFacts)| {
        on(&|facts| {
            let mut health = health(false);
            change(&mut health);
            facts.health = known(health);
        })
    };
    assert_eq!(with(|health| health.read_only_default = true), Some("read-only"));
    assert_eq!(with(|health| health.xids_left = 100), Some("wraparound"));
    assert_eq!(
        with(|health| health.commits_waiting = CommitWait { count: 1, longest_ms: 9_000 }),
        Some("commits-hang")
    );
    assert_eq!(
        with(|health| health.commits_waiting = CommitWait { count: 1, longest_ms: 50 }),
        Some("nothing")
    );
    let in_folder = |change: fn(&mut FolderFacts)| {
        on(&|facts| {
            let mut folder = folder(true);
            change(&mut folder);
            facts.folder = Some(known(folder));
        })
    };
    let full = Room { free_bytes: 1 << 20, total_bytes: 1 << 30, free_files: None };
    let roomy = Room { free_bytes: 1 << 34, total_bytes: 1 << 35, free_files: None };
    assert_eq!(in_folder(|folder| folder.wal_room = None), Some("nothing"));
    let of_room = |room: Room| {
        on(&|facts| facts.folder = Some(known(FolderFacts { wal_room: Some(room), ..folder(true) })))
    };
    assert_eq!(of_room(full), Some("disk-full"));
    assert_eq!(of_room(Room { free_files: Some(0), ..roomy }), Some("disk-full"), "no file can be made");
    assert_eq!(
        in_folder(|folder| folder.queue = ArchiveQueue { ready: 5, oldest: Some(("x".to_owned(), ago(600))) }),
        Some("archive-stuck")
    );
    assert_eq!(
        in_folder(|folder| folder.queue = ArchiveQueue { ready: 2, oldest: Some(("x".to_owned(), ago(5))) }),
        Some("nothing")
    );
    assert_eq!(
        in_folder(|folder| {
            folder.certificate = Some(Certificate { path: "/c".into(), valid_until: ago(5) });
        }),
        Some("certificate")
    );
    let hung = WriteTest::Hung { waited_ms: 5_000, waits_for: Some("IPC SyncRep".to_owned()), ended: true };
    let on_write = |test: WriteTest| on(&|facts| facts.write = Some(known(test.clone())));
    assert_eq!(on_write(hung), Some("commits-hang"));
    let refused = WriteTest::Refused { why: "for no known reason".to_owned() };
    assert_eq!(on(&|facts| facts.write = Some(known(refused.clone()))), None);
    assert_eq!(on(&|facts| facts.health = unknown("no answer")), None);
}

#[test]
fn what_is_slow_or_not_known_is_no_hanging_commit_and_not_nothing() {
    let on = |change: &dyn Fn(&mut MemberFacts)| {
        let mut situation = well();
        change(&mut situation.members[0]);
        exit("what-hinders", &situation)
    };
    let on_write = |test: WriteTest| on(&|facts| facts.write = Some(known(test.clone())));
    let slow = |on: Option<&str>| WriteTest::Hung {
        waited_ms: 5_000,
        waits_for: on.map(str::to_owned),
        ended: true,
    };
    for on in [Some("Client ClientRead"), Some("IO WALSync"), None] {
        assert_eq!(on_write(slow(on)), None, "{on:?}: a busy machine is slow, too");
    }
    let names = |facts: &mut MemberFacts| {
        facts.health = known(HealthFacts { sync_names: "nobody".to_owned(), ..health(false) });
    };
    assert_eq!(on(&names), Some("nothing"), "a commit came back");
    assert_eq!(on(&|facts| (names(facts), facts.write = None).1), None, "nobody it waits for is there");
    assert_eq!(on(&|facts| (names(facts), facts.write = Some(known(slow(None)))).1), Some("commits-hang"));
    assert_eq!(
        on(&|facts| facts.write = Some(unknown("no answer"))),
        None,
        "what was asked for is not known"
    );
    assert_eq!(on(&|facts| facts.write = Some(Fact::default())), None, "nor is it yet");
    assert_eq!(on(&|facts| facts.write = None), Some("nothing"), "nobody asked for it");
    assert_eq!(on(&|facts| facts.health = known(health(true))), None, "it was promoted between two looks");
    let not_tried = WriteTest::NotTried { why: "before 9.6".to_owned() };
    assert_eq!(on_write(not_tried), Some("nothing"));
    assert_eq!(on(&|facts| facts.log = Some(unknown("no answer"))), None);
    assert_eq!(on(&|facts| facts.log = Some(unknown("where it is, is not known"))), Some("nothing"));
}

#[test]
fn damage_is_told_apart_and_only_the_application_says_none() {
    let mut situation = well();
    situation.board.application = None;
    assert_eq!(exit("corruption", &situation), None);
    situation.board.application =
        Some(known(Application { right: false, why: "books".to_owned(), ..Application::default() }));
    assert_eq!(exit("corruption", &situation), Some("logical"));
    assert_eq!(exit("committed", &situation), Some("yes"));
    let sign = |kind| LogSign { kind, text: "x".to_owned(), line: Some(3), at: None, last_run: true };
    let log = |kind| Some(known(LogTail { signs: vec![sign(kind)], ..LogTail::default() }));
    situation.members[0].log = log(SignKind::Index);
    assert_eq!(exit("corruption", &situation), Some("index"));
    situation.members[0].log = log(SignKind::Page);
    assert_eq!(exit("corruption", &situation), Some("physical"));
    situation.members[0].log = Some(unknown("no answer"));
    assert_eq!(exit("corruption", &situation), None, "what the log says of pages is not known");
    let mut unscanned = well();
    unscanned.members[0].pages = Some(known(PageFacts { whole: false, ..PageFacts::default() }));
    assert_eq!(exit("corruption", &unscanned), None, "not all pages were read");
    let mut on_standby = well();
    on_standby.members[1].log = log(SignKind::Page);
    assert_eq!(exit("corruption", &on_standby), Some("none"), "what a standby has damaged is its own");
    let mut scanned = well();
    let damage =
        PageDamage { file: "base/5/1".to_owned(), blocks: vec![(3, 3)], relation: None, index: Some(true) };
    let pages = PageFacts { whole: true, damaged: vec![damage], ..PageFacts::default() };
    scanned.members[0].pages = Some(known(pages));
    assert_eq!(exit("corruption", &scanned), Some("index"));
    let failure = ChecksumFailure { database: None, count: 1, last_at: Some(ago(60)) };
    scanned.members[0].health = known(HealthFacts { checksum_failures: vec![failure], ..health(false) });
    assert_eq!(exit("corruption", &scanned), Some("index"), "the page that was found has been placed");
}

#[test]
fn a_repairable_cause_is_no_loss_and_a_loss_is_no_cause() {
    let with = |change: &dyn Fn(&mut FolderFacts)| {
        let mut situation = dead();
        let mut folder = folder(false);
        change(&mut folder);
        situation.members[0].folder = Some(known(folder));
        exit("does-it-start", &situation)
    };
    let wrong =
        ConfigurationFacts { wrong: Some("line 3".to_owned()), missing_libraries: vec!["x".to_owned()] };
    assert_eq!(with(&|folder| folder.configuration = Some(wrong.clone())), Some("yes"));
    assert_eq!(
        with(&|folder| folder.room = Some(Room { free_bytes: 0, total_bytes: 1, free_files: None })),
        Some("yes")
    );
    assert_eq!(with(&|folder| folder.missing = vec!["global/1262".to_owned()]), Some("no"));
    assert_eq!(with(&|folder| folder.control_wrong = Some("checksum".to_owned())), Some("no"));
    assert_eq!(with(&|folder| folder.quarantined = true), Some("no"));
    assert_eq!(
        with(&|folder| (folder.wal_end, folder.wal_wrong) = (None, Some("gone".to_owned()))),
        Some("no")
    );
    assert_eq!(with(&|folder| folder.wal_end = None), None);
    assert_eq!(with(&|folder| folder.running = None), None);
    let mut unread = dead();
    unread.members[0].log = Some(unknown("no answer"));
    assert_eq!(exit("does-it-start", &unread), None, "its last words are not known");
    let mut gone = dead();
    elsewhere(&mut gone, 0);
    assert_eq!(exit("does-it-start", &gone), None, "it is on another host");
}

#[test]
fn a_fence_is_proven_or_it_is_none() {
    let with = |change: &dyn Fn(&mut FolderFacts)| {
        let mut situation = dead();
        let mut folder = folder(false);
        change(&mut folder);
        situation.members[0].folder = Some(known(folder));
        exit("fenced", &situation)
    };
    assert_eq!(with(&|folder| folder.starts_by_itself = Some(false)), Some("yes"));
    assert_eq!(with(&|folder| folder.starts_by_itself = Some(true)), Some("no"));
    assert_eq!(with(&|folder| folder.quarantined = true), Some("yes"));
    assert_eq!(with(&|folder| folder.running = Some(true)), Some("no"));
    let mut gone = dead();
    elsewhere(&mut gone, 0);
    assert_eq!(exit("fenced", &gone), None, "silence is no fence");
}

fn node(facts: Fact<PatroniFacts>) -> PatroniNode {
    PatroniNode { address: "http://n:8008".to_owned(), facts }
}

fn patroni(leader_port: Option<u16>) -> PatroniFacts {
    let member = |name: &str, port, role: &str| PatroniMember {
        name: name.to_owned(),
        host: Some("127.0.0.1".to_owned()),
        port: Some(port),
        role: role.to_owned(),
        state: "running".to_owned(),
        timeline: None,
        lag_bytes: Some(0),
    };
    let role = |port| if leader_port == Some(port) { "leader" } else { "replica" };
    let members = vec![member("n1", 5432, role(5432)), member("n2", 5433, role(5433))];
    PatroniFacts { listed: true, members, ..PatroniFacts::default() }
}

#[test]
fn patroni_is_asked_and_its_silence_is_unknown() {
    let with = |nodes: Vec<PatroniNode>| {
        let mut situation = dead();
        situation.patroni = nodes;
        exit("failed-over", &situation)
    };
    assert_eq!(with(vec![node(known(patroni(Some(5433))))]), Some("yes"));
    assert_eq!(with(vec![node(known(patroni(Some(5432))))]), Some("no"));
    assert_eq!(with(vec![node(known(patroni(None)))]), Some("no"));
    let both = vec![node(known(patroni(Some(5432)))), node(known(patroni(Some(5433))))];
    assert_eq!(with(both), None, "they were asked while it failed over");
    assert_eq!(with(vec![node(unknown("no answer"))]), None);
    assert_eq!(with(vec![node(failed("refused"))]), None);
    let unlisted = PatroniFacts { listed: false, members: Vec::new(), ..patroni(None) };
    assert_eq!(with(vec![node(known(unlisted))]), None, "not to be listed is no proof that nobody leads");
    let lost = PatroniFacts { store_lost: true, ..patroni(Some(5433)) };
    assert_eq!(with(vec![node(known(lost))]), None, "who has lost the store tells what was");
}

#[test]
fn without_a_leader_all_are_read_only_and_the_data_is_there() {
    let mut situation = well();
    situation.board.members[0].server = known(ServerFacts { streaming: false, ..server(true) });
    situation.board.members[1].server = known(ServerFacts { streaming: false, ..server(true) });
    situation.members[0].health = known(health(true));
    situation.patroni = vec![node(known(patroni(None)))];
    assert_eq!(exit("what-hinders", &situation), Some("quorum-lost"));
    assert_eq!(exit("primary-alive", &situation), Some("yes"));
    let lost = PatroniFacts { store_lost: true, ..PatroniFacts::default() };
    situation.patroni = vec![node(known(lost))];
    assert_eq!(exit("what-hinders", &situation), Some("quorum-lost"));
}

#[test]
fn servers_that_are_all_down_are_not_there_though_nobody_leads() {
    let mut situation = dead();
    for at in 0..2 {
        situation.board.members[at].server = failed("refused");
        situation.members[at].contact = known(Contact::Refused);
        situation.members[at].health = unknown("refused");
        let signal = Some("standby.signal".to_owned());
        situation.members[at].folder = Some(known(FolderFacts { signal, ..folder(false) }));
    }
    situation.patroni = vec![node(known(patroni(None)))];
    assert_ne!(exit("primary-alive", &situation), Some("yes"));
    assert_ne!(exit("what-hinders", &situation), Some("quorum-lost"));
}

#[test]
fn a_leader_that_is_started_again_still_leads() {
    let mut situation = well();
    let mut listed = patroni(Some(5432));
    listed.members[0].state = "crashed".to_owned();
    situation.patroni = vec![node(known(listed))];
    // Patroni starts a crashed leader as a standby first.
    situation.board.members[0].server = known(ServerFacts { streaming: false, ..server(true) });
    situation.members[0].health = known(health(true));
    assert_ne!(exit("what-hinders", &situation), Some("quorum-lost"));
    // The leader is gone, and the store is there: the others elect one.
    let mut electing = dead();
    electing.patroni = vec![node(known(patroni(None)))];
    assert_ne!(exit("what-hinders", &electing), Some("quorum-lost"));
}

#[test]
fn how_far_a_standby_is_behind_one_that_is_silent_is_not_known() {
    let mut situation = well();
    situation.board.members[0].server = unknown("no answer");
    assert_eq!(exit("replica-healthy", &situation), None, "it may have gone another way");
    elsewhere(&mut situation, 0);
    assert_eq!(exit("replica-healthy", &situation), None, "it still receives");
}

#[test]
fn a_standby_of_an_older_timeline_may_have_yet_to_follow() {
    let mut situation = well();
    let on = |timeline| ServerFacts { timeline: Some(Timeline(timeline)), ..server(false) };
    situation.board.members[0].server = known(on(2));
    let left = ServerFacts { streaming: false, ..server(true) };
    situation.board.members[1].server = known(left);
    assert_eq!(exit("replica-healthy", &situation), None, "where the primary left its timeline is not known");
    let forked = |at: u64| {
        let switch = PatroniSwitch { timeline: Timeline(1), lsn: Lsn(at), at: None, leader: None };
        vec![node(known(PatroniFacts { history: vec![switch], ..patroni(Some(5432)) }))]
    };
    situation.patroni = forked(0x500_0000);
    assert_eq!(exit("replica-healthy", &situation), Some("lagging"), "it is not past the fork");
    situation.patroni = forked(0x4ff_ff00);
    assert_eq!(exit("replica-healthy", &situation), Some("no"), "it went past the fork");
}

#[test]
fn a_standby_of_another_history_is_none() {
    let other = |change: fn(&mut ServerFacts)| {
        let mut situation = dead();
        let mut facts = ServerFacts { streaming: false, ..server(true) };
        change(&mut facts);
        situation.board.members[1].server = known(facts);
        exit("replica-healthy", &situation)
    };
    assert_eq!(other(|facts| facts.lsn = Some(Lsn(0x900_0000))), Some("no"), "past the end of its primary");
    assert_eq!(other(|facts| facts.paused = true), Some("lagging"));
    let mut stranger = well();
    stranger.members[1].health = known(HealthFacts { system_id: Some(SystemId(8)), ..health(true) });
    assert_eq!(exit("replica-healthy", &stranger), Some("no"));
    let mut alone = well();
    alone.board.members.truncate(1);
    alone.members.truncate(1);
    assert_eq!(exit("replica-healthy", &alone), Some("no"));
    let mut silent = dead();
    elsewhere(&mut silent, 1);
    silent.board.members[1].server = unknown("no answer");
    assert_eq!(exit("replica-healthy", &silent), None);
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

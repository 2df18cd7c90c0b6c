//! What hinders, what is damaged, and what a repair would be enough for.

use super::*;

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

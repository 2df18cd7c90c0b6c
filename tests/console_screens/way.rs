//! The way of a bad update through the shipped runbook, from the first minute to the recovery: what each question shows
//! and proposes there, by a situation as the survey finds it.

use crate::entered;
use crate::models::{at, in_incident, now};
use crate::pictures::check;
use pgmayday::base::state::StateDir;
use pgmayday::base::{Lsn, SystemId, Timeline};
use pgmayday::console::model::{Loaded, Model};
use pgmayday::console::screens::runbook::RunbookScreen;
use pgmayday::incident::guide::{ItemState, Look, Step, Values};
use pgmayday::incident::{Declaration, Incidents};
use pgmayday::model::board::{Application, Board, HoldFacts, Member, ServerFacts, Upkeep};
use pgmayday::model::fact::Fact;
use pgmayday::model::guide::GuideView;
use pgmayday::model::situation::{
    ArchiverFacts, Contact, FolderFacts, HealthFacts, MemberFacts, Room, Situation, WriteTest,
};
use pgmayday::runbook::Library;

fn server() -> ServerFacts {
    ServerFacts {
        in_recovery: false,
        timeline: Some(Timeline(3)),
        lsn: Some(Lsn(0x5A00_0148)),
        writable: true,
        streaming: false,
        paused: false,
        lag_ms: None,
        archive_failing: None,
        version: None,
    }
}

fn member() -> MemberFacts {
    let archiver =
        ArchiverFacts { last_archived_at: Some(at("02:13:40")), failing_for: None, last_failed_at: None };
    let health = HealthFacts {
        sees_all: true,
        system_id: Some(SystemId(7_123_456_789)),
        xids_left: 2_000_000_000,
        multixacts_left: 2_000_000_000,
        checksums: true,
        archiver: Some(archiver),
        ..HealthFacts::default()
    };
    let room = Some(Room { free_bytes: 1 << 40, total_bytes: 1 << 41, free_files: None });
    let folder = FolderFacts { running: Some(true), room, wal_room: room, ..FolderFacts::default() };
    MemberFacts {
        host: None,
        port: 5432,
        socket: Some("/run/postgresql".into()),
        contact: Fact::known(Contact::Session, now()),
        health: Fact::known(health, now()),
        write: Some(Fact::known(WriteTest::Committed { took_ms: 4 }, now())),
        log: None,
        folder: Some(Fact::known(folder, now())),
        pages: None,
    }
}

/// A primary that answers and commits, and an application that says that its data is wrong.
fn situation() -> Situation {
    let primary = Member {
        name: "pg1".to_owned(),
        place: "db1:5432".to_owned(),
        server: Fact::known(server(), now()),
        data_dir: None,
    };
    let application = Application {
        right: false,
        why: "the books do not agree".to_owned(),
        last_right: vec![at("02:03:11")],
        wrong_since: Some(at("02:03:14")),
    };
    let hold = HoldFacts::Stands {
        incident: "2026-11-21-01".to_owned(),
        since: at("02:14:07"),
        until: at("14:14:07"),
        by: "dk".to_owned(),
    };
    let board = Board {
        members: vec![primary],
        application: Some(Fact::known(application, now())),
        upkeep: Fact::known(Upkeep { hold: Some(hold), ..Upkeep::default() }, now()),
        ..Board::default()
    };
    Situation { board, members: vec![member()], patroni: Vec::new() }
}

/// Journals bear the time at which a test runs; pictures do not.
fn timeless(mut guide: GuideView) -> GuideView {
    for step in &mut guide.path {
        step.at = Some(at("02:14:30"));
    }
    for item in &mut guide.node.items {
        item.by = item.by.take().map(|(by, _)| (by, at("02:14:30")));
    }
    guide.node.entered_at = Some(at("02:14:50"));
    guide
}

#[test]
fn the_runbook_of_a_bad_update_is_shown_with_what_the_facts_propose() {
    let folder = tempfile::tempdir().unwrap();
    let incidents = Incidents::new(StateDir::at(folder.path()));
    let declaration = Declaration {
        stanza: "orders".to_owned(),
        label: None,
        reason: "the books do not agree".to_owned(),
        detected_at: None,
        rto_s: 3600,
        rpo_s: 300,
        severity: None,
    };
    let id = incidents.declare("dk", &declaration).unwrap();
    let (library, situation, values) = (Library::shipped(), situation(), Values::default());
    let look = Look { situation: Some(&situation), values: &values, now: now(), ascii: false };
    let view = || incidents.guide(&id, &library, &look).unwrap();
    let book = library.book("postgres-dr").unwrap();
    let step = |step: &Step| {
        let view = view();
        incidents.step(&id, "dk", book, (&view.node.id, view.proposal.as_ref()), step).unwrap();
    };
    let picture = |name: &str| {
        let model = Model { guide: Loaded::Yes(timeless(view())), ..in_incident(false) };
        check(name, &entered::<RunbookScreen>(&model), &model);
    };
    step(&Step::Begin);
    picture("way-1-first-minute");
    for item in view().node.items.into_iter().filter(|item| !item.holds_by_itself()) {
        step(&Step::Tick { item: item.id, state: ItemState::Holds, note: None });
    }
    picture("way-2-everything-ticked");
    step(&Step::Pass { note: None, seen: view().node.seen_to_hold() });
    for (name, asked, proposed) in [
        ("way-3-alive", "alive", "yes"),
        ("way-4-hinders", "hinders", "nothing"),
        ("way-5-corruption", "corruption", "logical"),
        ("way-6-committed", "committed", "yes"),
    ] {
        let guide = view();
        assert_eq!((guide.node.id.as_str(), guide.proposal.unwrap().exit), (asked, Some(proposed)));
        picture(name);
        step(&Step::Answer { exit: proposed.to_owned(), reason: None });
    }
    picture("way-7-stop-writers");
}

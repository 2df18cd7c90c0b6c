//! The restore engine from its plan on: what it must never remove, overwrite or believe.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot prepare its ground must stop loudly"
)]

#[path = "common/fixtures.rs"]
mod fixtures;

use fixtures::Fixture;
use pgmayday::base::{Kind, Report, TargetTime, Timeline, Xid};
use pgmayday::cluster::recovery_settings::RestoreCommand;
use pgmayday::engine::repositories::{Repositories, Slot};
use pgmayday::engine::restore::{self, MARKER_NAME, Maps, Marker, Outcome, Plan, Request};
use pgmayday::model::op::{Cancel, Silent};
use pgmayday::model::target::{Recovery, Target, TimelineChoice};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

/// A fixture and a folder beside which everything is restored.
struct Ground {
    fixture: Fixture,
    folder: tempfile::TempDir,
}

impl Ground {
    fn new(name: &str) -> Self {
        Self { fixture: Fixture::open(name), folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    fn request(&self) -> Request {
        Request {
            stanza: self.fixture.stanza.clone(),
            data_dir: self.path("data"),
            set: None,
            recovery: Recovery::Nothing,
            recovery_options: Vec::new(),
            archiving_off: false,
            delta: false,
            force: false,
            maps: Maps::default(),
            db_include: Vec::new(),
            db_exclude: Vec::new(),
            process_max: 2,
            prove: None,
            salvage: None,
            accept: BTreeSet::new(),
            restore_command: RestoreCommand::new("/bin/false"),
        }
    }

    fn delta(&self) -> Request {
        Request { delta: true, ..self.request() }
    }

    fn plan(&self, request: Request) -> Result<Plan, Report> {
        let slot = Slot { key: 1, cipher: "none", repository: Ok(self.fixture.repository()) };
        let repositories = Repositories { slots: vec![slot], warnings: Vec::new() };
        Plan::build(request, &repositories, &Cancel::default())
    }

    fn restore(&self, request: Request) -> Result<Outcome, Report> {
        restore::execute(self.plan(request)?, &Silent, &Cancel::default())
    }

    fn refusal(&self, request: Request) -> Report {
        let report = self.plan(request).expect_err("the plan should be refused");
        assert!(matches!(report.kind, Kind::Refused(_)), "{report}");
        report
    }
}

/// The marker that a killed restore of this request leaves.
fn leave_marker(request: &Request, set: &str) {
    let marker = Marker::new(&request.identity(), &set.parse().unwrap(), 1, &[]);
    marker.write(&request.data_dir, None).unwrap();
}

fn control_of(data_dir: &Path) -> PathBuf {
    data_dir.join("global/pg_control")
}

const A1_FULL: &str = "20261121-010559F";

#[test]
fn a_cluster_that_was_started_is_never_resumed_over() {
    let ground = Ground::new("a1-plain-none");
    let request = ground.request();
    let set = ground.restore(request.clone()).unwrap().set;
    leave_marker(&request, &set);
    fs::write(request.data_dir.join("base/written-since"), b"rows").unwrap();
    let report = ground.refusal(request.clone());
    assert!(report.headline.contains("is not empty"), "{report}");
    assert!(request.data_dir.join("base/written-since").exists());
    // Without pg_control nothing can have been started: that is an interrupted restore.
    fs::remove_file(control_of(&request.data_dir)).unwrap();
    assert!(ground.restore(request.clone()).unwrap().resumed);
    assert!(!request.data_dir.join("base/written-since").exists());
}

#[test]
fn a_marker_that_a_kill_left_half_written_is_no_content() {
    let ground = Ground::new("a1-plain-none");
    let request = ground.request();
    fs::create_dir(&request.data_dir).unwrap();
    fs::write(request.data_dir.join(format!("{MARKER_NAME}.pgmayday.tmp")), b"{").unwrap();
    ground.restore(request.clone()).unwrap();
    let left: Vec<_> = fs::read_dir(&request.data_dir).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("pgmayday")), "{left:?}");
}

#[test]
fn a_plan_for_an_empty_folder_is_not_carried_out_over_a_cluster() {
    let ground = Ground::new("a1-plain-none");
    let plan = ground.plan(ground.delta()).unwrap();
    ground.restore(ground.request()).unwrap();
    let report = restore::execute(plan, &Silent, &Cancel::default()).unwrap_err();
    assert!(report.headline.contains("was empty when the restore was planned"), "{report}");
    assert!(control_of(&ground.path("data")).exists());
}

#[test]
fn a_plan_to_resume_is_void_once_the_restore_was_finished() {
    let ground = Ground::new("a1-plain-none");
    let request = ground.request();
    ground.restore(request.clone()).unwrap();
    fs::remove_file(control_of(&request.data_dir)).unwrap();
    leave_marker(&request, A1_FULL);
    let plan = ground.plan(request.clone()).unwrap();
    assert!(plan.resumes);
    ground.restore(request.clone()).unwrap();
    let report = restore::execute(plan, &Silent, &Cancel::default()).unwrap_err();
    assert!(report.headline.contains("no longer an interrupted restore"), "{report}");
    assert!(control_of(&request.data_dir).exists());
}

#[test]
fn a_linked_place_that_is_not_the_clusters_own_is_left_alone() {
    let ground = Ground::new("a1-plain-none");
    ground.restore(ground.request()).unwrap();
    let precious = ground.path("precious");
    fs::create_dir(&precious).unwrap();
    fs::write(precious.join("thesis"), b"years").unwrap();
    for below in ["pg_wal", "postgresql.conf"] {
        let maps = Maps { links: vec![(below.into(), precious.to_str().unwrap().into())], ..Maps::default() };
        let report = ground.refusal(Request { maps, ..ground.delta() });
        assert!(report.headline.contains("precious"), "{report}");
        assert_eq!(fs::read(precious.join("thesis")).unwrap(), b"years");
    }
}

#[test]
fn a_link_that_is_the_clusters_own_is_restored_through_again() {
    let ground = Ground::new("a1-plain-none");
    let wal = ground.path("wal");
    let maps = Maps { links: vec![("pg_wal".into(), wal.to_str().unwrap().into())], ..Maps::default() };
    ground.restore(Request { maps: maps.clone(), ..ground.request() }).unwrap();
    fs::write(wal.join("surplus"), b"x").unwrap();
    ground.restore(Request { maps, ..ground.delta() }).unwrap();
    assert!(!wal.join("surplus").exists() && wal.join("archive_status").is_dir());
    assert_eq!(fs::read_link(ground.path("data/pg_wal")).unwrap(), wal);
}

#[test]
fn places_that_meet_through_a_link_are_refused() {
    let ground = Ground::new("a1-plain-none");
    fs::create_dir(ground.path("data")).unwrap();
    symlink(ground.path("data"), ground.path("elsewhere")).unwrap();
    let place = ground.path("elsewhere/wal");
    let maps = Maps { links: vec![("pg_wal".into(), place.to_str().unwrap().into())], ..Maps::default() };
    let report = ground.refusal(Request { maps, ..ground.request() });
    assert!(report.headline.contains("into each other"), "{report}");
}

#[test]
fn a_filesystem_of_its_own_and_a_link_are_good_data_directories() {
    let ground = Ground::new("a1-plain-none");
    let lost = ground.path("volume/lost+found");
    fs::create_dir_all(&lost).unwrap();
    fs::write(lost.join("#12"), b"found").unwrap();
    symlink(ground.path("volume"), ground.path("data")).unwrap();
    ground.restore(ground.request()).unwrap();
    ground.restore(ground.delta()).unwrap();
    assert!(lost.join("#12").exists() && control_of(&ground.path("volume")).exists());
}

#[test]
fn folders_made_on_the_way_let_the_servers_user_through() {
    let ground = Ground::new("a2-zst-aes-bundle");
    let spaces = ground.path("made/for/spaces");
    let maps = Maps { tablespaces_all: Some(spaces.to_str().unwrap().into()), ..Maps::default() };
    let data_dir = ground.path("also/made/data");
    ground.restore(Request { maps, data_dir: data_dir.clone(), ..ground.request() }).unwrap();
    let owner = fs::metadata(&data_dir).unwrap().uid();
    for made in ["made", "made/for", "made/for/spaces", "also", "also/made"] {
        assert_eq!(fs::metadata(ground.path(made)).unwrap().uid(), owner, "{made}");
    }
}

#[test]
fn a_tablespace_map_that_stands_in_the_target_does_not_survive() {
    let ground = Ground::new("a1-plain-none");
    ground.restore(ground.request()).unwrap();
    let map = ground.path("data/tablespace_map");
    fs::write(&map, b"16384 /srv/production\n").unwrap();
    ground.restore(ground.delta()).unwrap();
    assert!(!map.exists());
}

#[test]
fn blocks_are_fetched_again_for_a_file_that_others_share() {
    let ground = Ground::new("a3-block-incr");
    let sets = ["20261121-003514F", "20261121-003514F_20261121-003523I"];
    let of = |set: &str| Some(set.parse().unwrap());
    ground.restore(Request { set: of(sets[0]), ..ground.request() }).unwrap();
    let copy = ground.path("copy");
    link_tree(&ground.path("data"), &copy);
    let before = contents(&copy);
    ground.restore(Request { set: of(sets[1]), ..ground.delta() }).unwrap();
    assert_eq!(contents(&copy), before, "the other names keep their content");
}

#[test]
fn settings_kept_from_the_target_are_those_that_stood_there_at_first() {
    let ground = Ground::new("a1-plain-none");
    let request = Request { recovery: Recovery::Preserve, ..ground.request() };
    ground.restore(request.clone()).unwrap();
    let whole = fs::read(ground.path("data/postgresql.auto.conf")).unwrap();
    assert!(!whole.is_empty());
    // A kill in the middle of the file: the target was empty, so there was nothing to keep.
    fs::write(ground.path("data/postgresql.auto.conf"), b"").unwrap();
    fs::remove_file(control_of(&request.data_dir)).unwrap();
    leave_marker(&request, A1_FULL);
    assert!(ground.restore(request.clone()).unwrap().resumed);
    assert_eq!(fs::read(ground.path("data/postgresql.auto.conf")).unwrap(), whole);
    fs::write(ground.path("data/postgresql.auto.conf"), b"work_mem = '1MB'\n").unwrap();
    ground.restore(Request { delta: true, ..request }).unwrap();
    assert_eq!(fs::read(ground.path("data/postgresql.auto.conf")).unwrap(), b"work_mem = '1MB'\n");
}

#[test]
fn an_interrupted_restore_whose_set_is_gone_gives_way_to_delta_only() {
    let ground = Ground::new("a1-plain-none");
    let request = ground.request();
    fs::create_dir(&request.data_dir).unwrap();
    leave_marker(&request, "20200101-000000F");
    let report = ground.plan(request.clone()).unwrap_err();
    assert!(report.headline.contains("no backup set 20200101-000000F"), "{report}");
    ground.restore(Request { delta: true, ..request }).unwrap();
    assert!(control_of(&ground.path("data")).exists());
}

/// Removes the stored segments whose names begin so.
fn lose_wal(ground: &Ground, below: &str, starts: &[&str]) {
    let folder = ground.fixture.repo().join("archive").join(&ground.fixture.stanza).join(below);
    let mut lost = 0;
    for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if starts.iter().any(|start| name.starts_with(start)) {
            fs::remove_file(entry.path()).unwrap();
            lost += 1;
        }
    }
    assert!(lost >= starts.len(), "nothing to lose in {}", folder.display());
}

fn to(target: Target) -> Recovery {
    Recovery::To { target, exclusive: false, action: None, timeline: None }
}

fn along(target: Target, timeline: u32) -> Recovery {
    let timeline = Some(TimelineChoice::Number(Timeline(timeline)));
    Recovery::To { target, exclusive: false, action: None, timeline }
}

const TL1: &str = "15-1/0000000100000000";

#[test]
fn a_newest_backup_without_wal_does_not_hide_an_older_one() {
    let ground = Ground::new("a1-plain-none");
    lose_wal(&ground, TL1, &["00000001000000000000000C"]);
    let time = TargetTime::parse("2026-11-21 01:06:04+00").unwrap();
    let plan = ground.plan(Request { recovery: to(Target::Time(time)), ..ground.request() }).unwrap();
    assert_eq!(plan.manifest.label.as_str(), A1_FULL);
}

#[test]
fn a_gap_behind_a_transaction_is_no_obstacle_to_it() {
    let ground = Ground::new("a1-plain-none");
    lose_wal(&ground, TL1, &["00000001000000000000000D"]);
    let plan = ground.plan(Request { recovery: to(Target::Xid(Xid(726))), ..ground.request() }).unwrap();
    assert_eq!(plan.manifest.label.as_str(), A1_FULL);
    let report =
        ground.plan(Request { recovery: to(Target::Xid(Xid(9_999))), ..ground.request() }).unwrap_err();
    assert_eq!(report.kind, Kind::TargetUnreachable);
    assert!(report.headline.contains("00000001000000000000000D is missing"), "{report}");
}

#[test]
fn the_server_does_not_read_ahead_into_trouble() {
    let ground = Ground::new("a1-plain-none");
    let trouble = || {
        let recovery = to(Target::Lsn("0/A00F38".parse().unwrap()));
        let plan = ground.plan(Request { recovery, ..ground.request() }).unwrap();
        let told = plan.proof.as_ref().unwrap().trouble_behind.clone();
        let off = plan.view().unwrap().settings.iter().any(|line| line == "recovery_prefetch = 'off'");
        assert_eq!(told.is_some(), off);
        told
    };
    assert_eq!(trouble(), None);
    let folder = ground.fixture.repo().join("archive/main").join(TL1);
    let next = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let next = next.into_iter().find(|p| p.to_string_lossy().contains("/00000001000000000000000B-")).unwrap();
    let mut content = fs::read(&next).unwrap();
    content[600_000] ^= 1;
    fs::write(&next, content).unwrap();
    assert!(trouble().unwrap().contains("00000001000000000000000B in the archive is damaged"));
    fs::remove_file(&next).unwrap();
    assert!(trouble().unwrap().contains("00000001000000000000000B is missing"));
}

#[test]
fn the_end_of_an_archive_that_ends_before_the_backup_is_not_reachable() {
    let ground = Ground::new("a1-plain-none");
    lose_wal(
        &ground,
        TL1,
        &["00000001000000000000000C", "00000001000000000000000D", "00000001000000000000000E"],
    );
    for target in [Target::End, Target::Immediate] {
        let report = ground.plan(Request { recovery: to(target), ..ground.request() }).unwrap_err();
        assert_eq!(report.kind, Kind::TargetUnreachable, "{report}");
        assert!(report.headline.contains("00000001000000000000000C"), "{report}");
    }
}

#[test]
fn a_timeline_without_wal_is_not_the_end_of_the_archive() {
    let ground = Ground::new("a2-zst-aes-bundle");
    lose_wal(&ground, "15-1/0000000200000000", &["00000002"]);
    let full = Request { set: Some("20261121-010647F".parse().unwrap()), ..ground.request() };
    let report = ground.plan(Request { recovery: to(Target::End), ..full.clone() }).unwrap_err();
    assert_eq!(report.kind, Kind::TargetUnreachable, "{report}");
    assert!(report.headline.contains("timeline 2 has a history file but no WAL"), "{report}");
    assert!(report.hint.unwrap().contains("--target-timeline=1"));
    ground.plan(Request { recovery: along(Target::End, 1), ..full }).unwrap();
}

#[test]
fn a_transaction_id_that_occurs_on_the_timeline_left_is_told() {
    let ground = Ground::new("a2-zst-aes-bundle");
    let full = Request { set: Some("20261121-010647F".parse().unwrap()), ..ground.request() };
    let warned = |recovery: Recovery| {
        let plan = ground.plan(Request { recovery, ..full.clone() }).unwrap();
        plan.warnings.iter().any(|w| w.contains("use --target-timeline=1"))
    };
    assert!(warned(to(Target::Xid(Xid(728)))));
    assert!(!warned(along(Target::Xid(Xid(728)), 1)));
    assert!(warned(to(Target::Lsn("0/E02B30".parse().unwrap()))));
}

#[test]
fn a_standby_that_must_get_wal_elsewhere_is_told_so() {
    let ground = Ground::new("a1-plain-none");
    let standby = Request { recovery: Recovery::Standby { timeline: None }, ..ground.request() };
    let told = |plan: Plan| plan.warnings.iter().any(|w| w.contains("needs that WAL from elsewhere"));
    assert!(!told(ground.plan(standby.clone()).unwrap()));
    lose_wal(&ground, TL1, &["00000001000000000000000C"]);
    assert!(told(ground.plan(standby).unwrap()));
}

#[test]
fn a_program_that_the_servers_user_cannot_run_is_no_restore_command() {
    let ground = Ground::new("a1-plain-none");
    let missing = RestoreCommand::new(ground.path("no-such-program"));
    let request = Request { recovery: to(Target::End), restore_command: missing, ..ground.request() };
    let report = ground.refusal(request.clone());
    assert_eq!(report.kind, Kind::Refused(Some("restore-command")), "{report}");
    ground.plan(Request { recovery: Recovery::Nothing, ..request.clone() }).unwrap();
    let accept = BTreeSet::from(["restore-command".to_owned()]);
    ground.plan(Request { accept, ..request }).unwrap();
}

/// Every file below `from` under the same name below `to`, by hard links.
fn link_tree(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            link_tree(&entry.path(), &target);
        } else {
            fs::hard_link(entry.path(), target).unwrap();
        }
    }
}

/// Name and content of every file below a folder, sorted.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(contents(&entry.path()));
        } else if entry.metadata().unwrap().nlink() > 0 {
            found.push((entry.path(), fs::read(entry.path()).unwrap()));
        }
    }
    found.sort();
    found
}

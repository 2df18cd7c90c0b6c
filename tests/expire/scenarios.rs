//! Retention by count, by days, of differential backups, by name; WAL for fewer backups than are kept; pins.

use crate::made::{WAL_SHA1, segment};
use crate::world::{World, days, fulls, labels};
use pgmayday::base::{BackupKind, BackupLabel, Kind, Timestamp};
use pgmayday::engine::expire::{FullRetention, Request, Retention, Rule, plan};
use pgmayday::engine::pin::{PIN, PIN_WAL, Pin};

fn set(label: &BackupLabel) -> Request {
    Request { set: Some(label.clone()), ..Request::default() }
}

fn accepting(request: Request, guard: &str) -> Request {
    Request { accept: [guard.to_owned()].into(), ..request }
}

fn headline(world: &World, retention: &Retention, request: &Request) -> (Kind, String) {
    let before = world.files();
    let report = world.expire(retention, request).unwrap_err();
    assert!(before == world.files(), "refused, yet it wrote: {report}");
    (report.kind, report.to_string())
}

#[test]
fn full_backups_go_with_everything_that_needs_them() {
    let mut world = World::new();
    let gone = [world.full(), world.diff(), world.incr(), world.full(), world.incr()];
    let kept = [world.full(), world.incr(), world.full()];
    let view = world.keep(&fulls(2));
    assert_eq!(labels(&view), gone);
    assert!(
        view.expired.iter().all(|reason| reason.rule == Rule::Full && reason.with == reason.label.full())
    );
    assert_eq!(world.listed(), kept);
    for label in &gone {
        assert!(!world.has(&format!("backup/main/{label}")), "{label}");
        assert!(world.has(&format!("backup/main/backup.history/2026/{label}.manifest.gz")), "{label}");
    }
    // WAL from the older of the two on; its backup began with segment 23.
    assert_eq!(world.runs(1, 1), [(23, 32)]);
    assert!(world.keep(&fulls(2)).is_empty(), "a second time there is nothing to do");
}

#[test]
fn fewer_backups_than_are_kept_change_nothing() {
    let mut world = World::new();
    let backups = [world.full(), world.incr()];
    let view = world.keep(&fulls(2));
    assert!(view.is_empty() && view.archive_kept.unwrap().contains("fewer than 2"));
    assert_eq!((world.listed(), world.runs(1, 1)), (backups.to_vec(), vec![(1, 8)]));
    // As many as are kept: what comes before the first of them cannot be used.
    world.full();
    world.keep(&fulls(2));
    assert_eq!(world.runs(1, 1), [(3, 12)]);
    let nothing = world.keep(&Retention::default());
    assert!(nothing.is_empty() && nothing.archive_kept.is_some());
}

#[test]
fn full_backups_count_as_differential_ones() {
    let mut world = World::new();
    let (first, one) = (world.full(), world.diff());
    let on_one = world.incr();
    let two = world.diff();
    let second = world.full();
    let two_diff = Retention { diff: Some(2), ..Retention::default() };
    let view = world.keep(&two_diff);
    assert_eq!(labels(&view), [one.clone(), on_one.clone()]);
    assert!(view.expired.iter().all(|reason| reason.rule == Rule::Diff && reason.with == one));
    assert_eq!(world.listed(), [first, two, second]);
}

#[test]
fn days_keep_the_newest_backup_that_is_older() {
    let mut world = World::new();
    let (first, on_first) = (world.full(), world.incr());
    let (second, third) = (world.full(), world.full());
    world.day += 2;
    assert!(labels(&world.keep(&days(4))).is_empty());
    let view = world.keep(&days(3));
    assert_eq!((labels(&view), view.expired[0].rule), (vec![first, on_first], Rule::Days));
    assert_eq!(world.listed(), [second.clone(), third]);
    assert_eq!(world.runs(1, 1), [(11, 16)]);
    // On the very second it is not older yet.
    let mut edge = World::new();
    let (old, new) = (edge.full(), edge.full());
    let stop = edge.made.info.backups[&new].stop;
    let after = |seconds: i64| {
        let now = Timestamp::from_unix_s(stop.unix_s() + 86_400 + seconds);
        labels(&plan(&edge.made.stanza, &days(1), &Request::default(), now).unwrap().view())
    };
    assert_eq!((after(-1), after(0), after(1)), (vec![], vec![], vec![old]));
}

#[test]
fn days_that_are_not_reached_keep_all_wal() {
    let mut world = World::new();
    world.full();
    world.full();
    let view = world.keep(&days(30));
    assert!(view.is_empty() && view.archive_kept.unwrap().contains("old enough"));
    assert_eq!(world.runs(1, 1), [(1, 8)]);
    // Reached with nothing to expire: what lies before the oldest backup is of no use.
    world.day += 31;
    world.keep(&days(30));
    assert_eq!(world.runs(1, 1), [(7, 8)]);
}

#[test]
fn a_backup_is_expired_by_name_with_what_needs_it() {
    let mut world = World::new();
    let first = world.full();
    let (diff, incr) = (world.diff(), world.incr());
    let other = world.diff();
    let view = world.expire(&Retention::default(), &set(&diff)).unwrap();
    assert_eq!(labels(&view), [diff.clone(), incr]);
    assert_eq!(world.listed(), [first.clone(), other.clone()]);
    // The newest full backup of a cluster stays until there is another one.
    let (kind, text) = headline(&world, &Retention::default(), &set(&first));
    assert!(kind == Kind::Refused(None) && text.contains("only full backup"), "{text}");
    let second = world.full();
    let warned = world.expire(&Retention::default(), &set(&second)).unwrap();
    assert!(warned.warnings.iter().any(|warning| warning.contains("newest backup")), "{warned:?}");
    assert_eq!(world.listed(), [first, other]);
    // What is not there is said, not guessed.
    assert!(world.expire(&Retention::default(), &set(&diff)).unwrap().expired.is_empty());
}

#[test]
fn the_newest_full_backup_of_a_new_cluster_stays() {
    let mut world = World::new();
    world.full();
    world.made.upgrade();
    let newest = world.full();
    let (kind, _) = headline(&world, &Retention::default(), &set(&newest));
    assert_eq!(kind, Kind::Refused(None));
}

#[test]
fn the_oldest_is_expired_once() {
    let mut world = World::new();
    let first = world.full();
    let (second, third) = (world.full(), world.full());
    let oldest = Request { oldest: true, ..Request::default() };
    let view = world.expire(&days(3000), &oldest).unwrap();
    assert_eq!((labels(&view), view.expired[0].rule), (vec![first], Rule::Oldest));
    assert_eq!((world.listed(), world.runs(1, 1)), (vec![second, third.clone()], vec![(7, 12)]));
    world.expire(&Retention::default(), &oldest).unwrap();
    let last = world.expire(&Retention::default(), &oldest).unwrap();
    assert!(last.warnings.iter().any(|warning| warning.contains("--oldest")), "{last:?}");
    assert_eq!(world.listed(), [third]);
}

#[test]
fn older_backups_keep_the_wal_that_makes_them_consistent() {
    let mut world = World::new();
    for _ in 0..4 {
        world.full();
    }
    world.made.archived(1, &format!("{}.partial-{WAL_SHA1}.gz", segment(1, 9)));
    world.made.archived(1, &format!("{}.partial-{WAL_SHA1}.gz", segment(1, 8)));
    world.made.archived(1, &format!("{}.00000028.backup", segment(1, 7)));
    world.made.archived(1, &format!("{}.00000028.backup", segment(1, 5)));
    let view = world.keep(&Retention { archive: Some(2), ..fulls(4) });
    assert!(view.expired.is_empty());
    // Segments 3-4 and 7-8 for the first two, from 11 on for the others.
    assert_eq!(world.runs(1, 1), [(3, 4), (7, 8), (11, 16)]);
    let at = |name: String| world.has(&format!("archive/main/15-1/{}/{name}", &name[..16]));
    assert!(!at(format!("{}.partial-{WAL_SHA1}.gz", segment(1, 9))));
    assert!(at(format!("{}.partial-{WAL_SHA1}.gz", segment(1, 8))));
    assert!(at(format!("{}.00000028.backup", segment(1, 7))));
    assert!(!at(format!("{}.00000028.backup", segment(1, 5))));
}

#[test]
fn the_kind_of_backup_decides_what_wal_is_counted_by() {
    let runs = |kind, archive| {
        let mut world = World::new();
        world.full();
        world.diff();
        world.incr();
        world.incr();
        world.keep(&Retention { archive: Some(archive), archive_kind: kind, ..Retention::default() });
        world.runs(1, 1)
    };
    assert_eq!(runs(BackupKind::Full, 1), [(3, 16)]);
    assert_eq!(runs(BackupKind::Diff, 1), [(3, 4), (7, 16)]);
    assert_eq!(runs(BackupKind::Incr, 1), [(3, 4), (7, 8), (11, 12), (15, 16)]);
    assert_eq!(runs(BackupKind::Incr, 3), [(3, 4), (7, 16)]);
    assert_eq!(runs(BackupKind::Diff, 3), [(1, 16)], "fewer than three");
    // Without a number the kind decides which retention stands for it.
    let mut world = World::new();
    world.full();
    world.diff();
    let by_diff = Retention { diff: Some(1), archive_kind: BackupKind::Diff, ..Retention::default() };
    world.keep(&by_diff);
    assert_eq!(world.runs(1, 1), [(3, 4), (7, 8)]);
    let incr = Retention { archive_kind: BackupKind::Incr, ..fulls(1) };
    assert!(world.keep(&incr).archive_kept.is_some());
}

#[test]
fn whole_folders_and_old_histories_go() {
    let mut world = World::new();
    world.full();
    // Into the next folders, and onto the next timeline.
    world.number = 0x300;
    world.full();
    world.timeline = 3;
    world.made.archived(1, "00000002.history");
    world.made.archived(1, "00000003.history");
    let third = world.full();
    let view = world.keep(&fulls(1));
    assert_eq!(world.listed(), [third]);
    assert_eq!((world.runs(1, 1), world.runs(1, 3)), (vec![], vec![(0x307, 0x308)]));
    assert!(!world.has("archive/main/15-1/0000000100000003"));
    assert!(
        !world.has("archive/main/15-1/00000002.history") && world.has("archive/main/15-1/00000003.history")
    );
    assert_eq!(view.archive[0].histories, ["00000002.history"]);
    assert_eq!(view.archive[0].removed.iter().map(|run| run.folders).sum::<u64>(), 2);
}

#[test]
fn a_cluster_without_backups_leaves_and_the_present_one_never_does() {
    let mut world = World::new();
    world.full();
    world.made.upgrade();
    world.full();
    let both = world.keep(&fulls(2));
    assert!(both.expired.is_empty() && world.has("archive/main/15-1"));
    world.full();
    let view = world.keep(&fulls(2));
    assert!(view.archive.iter().any(|archive| archive.whole && archive.id == "15-1"));
    assert!(!world.has("archive/main/15-1") && world.has("archive/main/15-2"));
    // A new cluster that has archived but was not backed up yet.
    world.made.upgrade();
    world.wal(3);
    world.keep(&fulls(1));
    assert_eq!(world.runs(3, 1).len(), 1);
}

#[test]
fn an_old_cluster_stays_recoverable_while_it_has_a_backup() {
    let mut world = World::new();
    world.full();
    world.full();
    world.wal(3);
    world.made.upgrade();
    world.full();
    world.keep(&Retention { archive: Some(1), ..fulls(9) });
    // Nothing of the first cluster is among the newest one: its own newest backup plays to the end.
    assert_eq!(world.runs(1, 1), [(3, 4), (7, 11)]);
}

#[test]
fn a_backup_of_a_stopped_cluster_says_nothing_about_wal() {
    let mut world = World::new();
    world.full();
    world.offline();
    let view = world.keep(&fulls(1));
    assert_eq!(view.expired.len(), 1);
    assert_eq!(world.runs(1, 1), [(1, 8)]);
}

#[test]
fn infos_that_disagree_stop_everything() {
    let mut world = World::new();
    world.full();
    world.full();
    world.made.archive.history.values_mut().for_each(|(_, system)| system.0 += 1);
    world.made.save();
    let (kind, text) = headline(&world, &fulls(1), &Request::default());
    assert!(kind == Kind::Damaged && text.contains("do not agree"), "{text}");
}

#[test]
fn a_segment_keeps_what_comes_after_it() {
    let mut world = World::new();
    world.full();
    world.full();
    let before = |number| Request { archive_before: Some(segment(1, number)), ..Request::default() };
    // Fewer backups than WAL is kept for, and yet what lies before the segment goes.
    world.expire(&fulls(5), &before(2)).unwrap();
    assert_eq!(world.runs(1, 1), [(2, 8)]);
    // Never what a backup needs.
    world.expire(&fulls(5), &before(8)).unwrap();
    assert_eq!(world.runs(1, 1), [(3, 8)]);
    world.expire(&fulls(1), &before(6)).unwrap();
    assert_eq!(world.runs(1, 1), [(6, 8)]);
    // An archive without backups.
    let mut bare = World::new();
    bare.wal(600);
    bare.expire(&fulls(1), &before(0x123)).unwrap();
    assert_eq!(bare.runs(1, 1), [(0x123, 600)]);
    assert!(!bare.has("archive/main/15-1/0000000100000000"));
}

#[test]
fn a_pinned_backup_stays_with_its_wal_and_counts_for_nothing() {
    let mut world = World::new();
    let pinned = world.full_with(&[(PIN, "pre-migration-7"), (PIN_WAL, &segment(1, 6).to_string())]);
    let ordinary = [world.full(), world.full(), world.full()];
    let view = world.keep(&fulls(2));
    assert_eq!(labels(&view), [ordinary[0].clone()]);
    assert_eq!(world.listed(), [pinned.clone(), ordinary[1].clone(), ordinary[2].clone()]);
    assert_eq!(world.runs(1, 1), [(3, 6), (11, 16)]);
    assert!(view.kept_by_pin.iter().any(|kept| kept.label == pinned && kept.pin == pinned));
    // Two newer ones that are pinned take nobody's place.
    let more = [world.full_with(&[(PIN, "")]), world.full_with(&[(PIN, "")])];
    assert!(labels(&world.keep(&fulls(2))).is_empty());
    assert_eq!(world.listed().len(), 5);
    // Once it is no longer pinned it is one of many.
    world.made.refresh();
    for label in more.iter().chain([&pinned]) {
        world.made.info.backups.get_mut(label).unwrap().annotations.clear();
    }
    world.made.save();
    world.keep(&fulls(2));
    assert_eq!(world.listed(), more);
}

#[test]
fn a_pin_that_does_not_say_where_it_ends_keeps_all_wal() {
    for notes in [&[(PIN, "name")][..], &[(PIN, "name"), (PIN_WAL, "rubbish")]] {
        let mut world = World::new();
        world.full_with(notes);
        world.full();
        world.full();
        let view = world.keep(&fulls(1));
        assert_eq!(world.runs(1, 1), [(3, 12)], "{notes:?}");
        assert_eq!(view.warnings.iter().any(|warning| warning.contains(PIN_WAL)), notes.len() > 1);
    }
    // Without a restore point it is the backup that is kept, no more.
    let mut world = World::new();
    world.full_with(&[(PIN, "")]);
    world.full();
    world.full();
    world.keep(&fulls(1));
    assert_eq!(world.runs(1, 1), [(3, 4), (11, 12)]);
}

#[test]
fn what_a_pinned_backup_needs_stays_with_it() {
    let mut world = World::new();
    let first = world.full();
    let (diff, incr) = (world.diff(), world.incr());
    let other = world.diff();
    let (second, third) = (world.full(), world.full());
    world.note(&incr, PIN, "");
    let view = world.keep(&Retention { diff: Some(1), ..fulls(1) });
    assert_eq!(labels(&view), [other, second]);
    assert_eq!(world.listed(), [first.clone(), diff.clone(), incr.clone(), third]);
    let kept: Vec<_> = view.kept_by_pin.iter().map(|kept| (&kept.label, &kept.pin)).collect();
    assert_eq!(kept, [(&incr, &incr), (&first, &incr), (&diff, &incr)]);
    assert_eq!(world.runs(1, 1), [(3, 4), (7, 8), (11, 12), (23, 24)]);
}

#[test]
fn what_was_made_against_a_pinned_backup_goes_as_ever() {
    let mut world = World::new();
    let pinned = world.full_with(&[(PIN, "")]);
    let (diff, on_diff) = (world.diff(), world.incr());
    let first = world.full();
    // While there are not more full backups than are kept, the set is whole.
    assert!(labels(&world.keep(&fulls(2))).is_empty());
    let second = world.full();
    assert_eq!(labels(&world.keep(&fulls(2))), [diff, on_diff]);
    assert_eq!(world.listed(), [pinned, first, second]);
    // The same for a differential one.
    let mut world = World::new();
    let full = world.full();
    let pinned = world.diff();
    world.note(&pinned, PIN, "");
    let (on_pinned, last) = (world.incr(), world.diff());
    let view = world.keep(&Retention { diff: Some(1), ..Retention::default() });
    assert_eq!((labels(&view), world.listed()), (vec![on_pinned], vec![full, pinned, last]));
}

#[test]
fn a_pin_refuses_to_be_expired_by_name() {
    let mut world = World::new();
    let first = world.full();
    let incr = world.incr();
    let second = world.full();
    world.note(&incr, PIN, "pre-deploy-3");
    for label in [&first, &incr] {
        let (kind, text) = headline(&world, &fulls(1), &set(label));
        assert!(kind == Kind::Refused(Some("pinned")) && text.contains("pre-deploy-3"), "{text}");
    }
    let accepted = world.expire(&fulls(1), &accepting(set(&first), "pinned")).unwrap();
    assert_eq!(labels(&accepted), [first, incr]);
    assert_eq!((world.listed(), world.runs(1, 1)), (vec![second], vec![(11, 12)]));
}

#[test]
fn a_pin_keeps_the_histories_of_its_timelines() {
    let mut world = World::new();
    world.timeline = 2;
    world.made.archived(1, "00000002.history");
    world.full_with(&[(PIN, "x"), (PIN_WAL, &segment(3, 9).to_string())]);
    for timeline in [3, 4, 5] {
        world.made.archived(1, &format!("{timeline:08X}.history"));
    }
    world.timeline = 5;
    world.full();
    world.keep(&fulls(1));
    let has = |timeline: u32| world.has(&format!("archive/main/15-1/{timeline:08X}.history"));
    assert_eq!([2, 3, 4, 5].map(has), [true, true, false, true]);
}

#[test]
fn pins_alone_expire_nothing() {
    let mut world = World::new();
    let notes = Pin { restore_point: None, lsn: None, wal: None, doubts: Vec::new() }.annotations();
    assert_eq!(notes, [(PIN.to_owned(), String::new())]);
    let both = [world.full_with(&[(PIN, "")]), world.full_with(&[(PIN, "")])];
    world.keep(&fulls(1));
    assert_eq!((world.listed(), world.runs(1, 1)), (both.to_vec(), vec![(1, 8)]));
    let oldest = Request { oldest: true, ..Request::default() };
    world.expire(&fulls(1), &oldest).unwrap();
    assert_eq!(world.listed(), both);
}

#[test]
fn a_backup_on_a_timeline_that_went_on_beside_keeps_its_wal() {
    let mut world = World::new();
    world.full();
    world.timeline = 2;
    world.full();
    // The old primary goes on archiving, and is backed up last.
    world.timeline = 1;
    let last = world.full();
    world.keep(&fulls(2));
    assert!(world.listed().contains(&last));
    assert_eq!((world.runs(1, 1), world.runs(1, 2)), (vec![(11, 12)], vec![(5, 8)]));
}

#[test]
fn old_manifests_go_when_their_days_are_over() {
    let mut world = World::new();
    let (first, second) = (world.full(), world.full());
    world.made.put("backup/main/backup.history/2024/20240105-000000F.manifest.gz", b"x");
    world.made.put("backup/main/backup.history/2025/20250105-000000F.manifest.gz", b"x");
    world.made.put("backup/main/backup.history/2025/notes.txt", b"x");
    let kept =
        |label: &BackupLabel| world.has(&format!("backup/main/backup.history/2026/{label}.manifest.gz"));
    world.keep(&fulls(1));
    assert!(kept(&first) && kept(&second));
    world.keep(&Retention { history_days: Some(365), ..fulls(1) });
    assert!(!world.has("backup/main/backup.history/2024") && kept(&first));
    assert!(world.has("backup/main/backup.history/2025/notes.txt"));
    let view = world.keep(&Retention { history_days: Some(0), ..fulls(1) });
    assert_eq!((view.manifest_years, view.manifests), (vec!["2025".to_owned()], vec![first.clone()]));
    assert!(!kept(&first) && kept(&second), "the manifest of a backup that is listed stays");
    // More days than there ever were.
    world.keep(&Retention { history_days: Some(9_999_999), ..fulls(1) });
    assert!(kept(&second));
}

#[test]
fn nobody_is_told_a_retention_that_is_not_meant() {
    let all = Retention::default();
    assert!(all.warnings(3)[0].contains("repo3-retention-full is not set"));
    assert!(fulls(1).warnings(1).is_empty());
    let diff = Retention { archive_kind: BackupKind::Diff, ..fulls(1) };
    assert!(diff.warnings(1)[0].contains("repo1-retention-diff"));
    let incr = Retention { archive_kind: BackupKind::Incr, full: FullRetention::Days(3), ..all };
    assert!(incr.warnings(1)[0].contains("repo1-retention-archive"));
}

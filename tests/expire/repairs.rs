//! What is done with folders that `backup.info` does not know, and with backups that have no folder.

use crate::made::Wanted;
use crate::world::{World, fulls};
use pgmayday::base::BackupLabel;
use pgmayday::engine::annotate::annotate;
use pgmayday::engine::expire::{ExpireView, Request, execute, plan};
use pgmayday::engine::pin::PIN;
use pgmayday::engine::reconcile::reconcile;
use pgmayday::model::op::{Cancel, Silent};

fn without_entry(world: &mut World, label: &BackupLabel) {
    world.made.info.backups.remove(label);
    world.made.save();
}

fn manifest(label: &BackupLabel) -> String {
    format!("backup/main/{label}/backup.manifest")
}

#[test]
fn a_sound_repository_is_left_as_it_is() {
    let mut world = World::new();
    world.full();
    world.incr();
    let reconciled = reconcile(&world.made.stanza).unwrap();
    assert!(!reconciled.changed && reconciled.warnings.is_empty() && reconciled.doubtful.is_empty());
    assert_eq!(reconciled.folders.len(), 2);
}

#[test]
fn a_backup_without_manifest_is_dropped_with_what_needs_it() {
    let mut world = World::new();
    let first = world.full();
    let (diff, incr) = (world.diff(), world.incr());
    let other = world.diff();
    world.made.remove(&manifest(&diff));
    world.made.remove(&format!("{}.copy", manifest(&diff)));
    let reconciled = reconcile(&world.made.stanza).unwrap();
    assert!(reconciled.changed);
    assert_eq!(reconciled.info.backups.keys().collect::<Vec<_>>(), [&first, &other]);
    // Both are gone, and what needs the one cannot be listed again.
    assert_eq!(reconciled.warnings.len(), 3, "{:?}", reconciled.warnings);
    // Reconciling writes nothing; expiring does, and removes what is left of both.
    assert_eq!(world.listed().len(), 4);
    let view = world.keep(&fulls(9));
    assert!(view.info_changes);
    assert_eq!((world.listed(), view.leftovers), (vec![first, other], vec![incr, diff]));
}

#[test]
fn a_listed_backup_is_kept_by_the_copy_of_its_manifest() {
    let mut world = World::new();
    let first = world.full();
    let diff = world.diff();
    for label in [&first, &diff] {
        world.made.remove(&manifest(label));
    }
    let reconciled = reconcile(&world.made.stanza).unwrap();
    assert!(!reconciled.changed, "{:?}", reconciled.warnings);
    assert_eq!(reconciled.warnings.len(), 2, "{:?}", reconciled.warnings);
    assert_eq!(reconciled.info.backups.keys().collect::<Vec<_>>(), [&first, &diff]);
    let view = expire_unchecked(&world);
    assert_eq!((world.listed(), view.leftovers), (vec![first, diff], Vec::new()));
}

#[test]
fn a_whole_backup_that_is_not_listed_is_listed_again() {
    let mut world = World::new();
    let first = world.full_with(&[("reason", "before the move")]);
    let (diff, incr) = (world.diff(), world.incr());
    let whole = world.made.info.clone();
    for label in [&first, &diff, &incr] {
        without_entry(&mut world, label);
    }
    let reconciled = reconcile(&world.made.stanza).unwrap();
    assert_eq!(format!("{:?}", reconciled.info.backups), format!("{:?}", whole.backups));
    world.keep(&fulls(1));
    assert_eq!(world.listed(), [first, diff, incr]);
}

#[test]
fn what_cannot_be_listed_is_junk_and_goes() {
    let mut world = World::new();
    let first = world.full();
    let (diff, incr) = (world.diff(), world.incr());
    // Its prior is gone, files and all; and a backup of a cluster nobody knows.
    world.made.remove(&manifest(&diff));
    world.made.remove(&format!("{}.copy", manifest(&diff)));
    without_entry(&mut world, &diff);
    without_entry(&mut world, &incr);
    let known = world.made.info.clone();
    world.made.info.history.values_mut().for_each(|cluster| cluster.system_id.0 += 5);
    world.made.save();
    let foreign = world.full();
    world.made.info = known;
    world.made.save();
    world.made.put("backup/main/20260101-000000F/pg_data/x", b"left over");
    let view = world.keep(&fulls(9));
    assert_eq!(world.listed(), std::slice::from_ref(&first));
    let left: Vec<_> = view.leftovers.iter().map(BackupLabel::as_str).collect();
    assert_eq!(left, [foreign.as_str(), incr.as_str(), diff.as_str(), "20260101-000000F"]);
    assert!(world.has(&manifest(&first)));
}

#[test]
fn a_manifest_that_cannot_be_read_protects_its_folder() {
    let mut world = World::new();
    let (first, second) = (world.full(), world.full());
    without_entry(&mut world, &first);
    for suffix in ["", ".copy"] {
        world.made.put(&format!("{}{suffix}", manifest(&first)), b"[backrest]\nrubbish\n");
    }
    let view = world.keep(&fulls(1));
    assert!(view.archive.is_empty() && view.archive_kept.is_some(), "it may need WAL: {view:?}");
    assert!(
        view.leftovers.is_empty() && view.warnings.iter().any(|warning| warning.contains("left alone")),
        "{view:?}"
    );
    assert!(world.has(&manifest(&first)));
    assert_eq!(world.listed(), [second]);
}

#[test]
fn a_pinned_backup_that_cannot_be_listed_is_no_junk() {
    let mut world = World::new();
    world.full();
    let known = world.made.info.clone();
    world.made.info.history.values_mut().for_each(|cluster| cluster.system_id.0 += 5);
    world.made.save();
    let pinned = world.full_with(&[(PIN, "")]);
    world.made.info = known;
    world.made.save();
    let view = world.keep(&fulls(1));
    assert!(view.leftovers.is_empty() && view.archive.is_empty(), "{view:?}");
    assert!(world.has(&manifest(&pinned)) && view.warnings.iter().any(|warning| warning.contains("pinned")));
}

#[test]
fn files_that_a_listed_backup_needs_stay() {
    let mut world = World::new();
    let first = world.full();
    let diff = world.diff();
    let second = world.full();
    // Half of the truth: the full backup is neither listed nor whole, what was made against it is.
    world.made.remove(&manifest(&first));
    without_entry(&mut world, &first);
    let view = expire_unchecked(&world);
    assert!(view.warnings.iter().any(|warning| warning.contains(first.as_str())), "{view:?}");
    assert!(view.leftovers.is_empty() && world.has(&format!("backup/main/{first}/pg_data/f{first}")));
    assert_eq!(world.listed(), [diff, second]);
}

/// For repositories that are not sound to begin with.
fn expire_unchecked(world: &World) -> ExpireView {
    let plan = plan(&world.made.stanza, &fulls(9), &Request::default(), world.now()).unwrap();
    execute(&plan, &Silent, &Cancel::default()).unwrap()
}

#[test]
fn the_newest_interrupted_backup_is_left_for_whoever_takes_it_up() {
    let mut world = World::new();
    world.full();
    world.full();
    let stale = partial(&mut world, None);
    let resumable = partial(&mut world, None);
    let view = world.keep(&fulls(1));
    assert_eq!(view.leftovers, [stale]);
    assert!(world.has(&format!("{}.copy", manifest(&resumable))));
}

#[test]
fn an_interrupted_backup_goes_with_the_backup_it_was_made_against() {
    let mut world = World::new();
    world.full();
    world.full();
    let (diff, on_diff) = (world.diff(), world.incr());
    let running = partial(&mut world, Some(on_diff.clone()));
    let by_name = |label: &BackupLabel| Request { set: Some(label.clone()), ..Request::default() };
    // Something else of its set goes: it stays.
    let other = world.backup(Some(diff.full()), true, &[]);
    // It must be the newest folder to be taken for a running one.
    let newer = partial(&mut world, Some(other.clone()));
    world.expire(&fulls(9), &by_name(&diff)).unwrap();
    assert!(!world.has(&format!("backup/main/{running}")) && world.has(&format!("backup/main/{newer}")));
    world.expire(&fulls(9), &by_name(&other)).unwrap();
    assert!(!world.has(&format!("backup/main/{newer}")));
}

fn partial(world: &mut World, prior: Option<BackupLabel>) -> BackupLabel {
    let wanted: Wanted = world.wanted(prior, false, &[]);
    world.made.partial(&wanted)
}

#[test]
fn notes_are_merged_and_removed() {
    let mut world = World::new();
    let label = world.full_with(&[("reason", "weekly"), ("ticket", "7")]);
    let note = |notes: &[(&str, &str)]| {
        let notes: Vec<_> =
            notes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        annotate(&world.made.stanza, &label, &notes).unwrap().unwrap()
    };
    let done = note(&[("ticket", ""), ("owner", "anna=dba"), ("reason", "before \"v2\" ünd")]);
    assert!(done.changed);
    let listed = world.made.stanza.backup_info().unwrap().value.backups[&label].annotations.clone();
    assert_eq!(listed, done.annotations);
    let expected = [("owner", "anna=dba"), ("reason", "before \"v2\" ünd")];
    assert!(listed.iter().map(|(key, value)| (key.as_str(), value.as_str())).eq(expected));
    let before = world.files();
    assert!(!note(&[("owner", "anna=dba"), ("none", "")]).changed);
    assert!(before == world.files());
    // The last note takes the whole object with it; the manifest keeps what was said when the backup was made.
    note(&[("owner", ""), ("reason", "")]);
    let info = String::from_utf8(world.files()["backup/main/backup.info"].clone()).unwrap();
    assert!(!info.contains("backup-annotation"), "{info}");
    let stanza = &world.made.stanza;
    let manifest = stanza.manifest(&stanza.backup_info().unwrap().value, &label).unwrap().value;
    assert_eq!(manifest.annotations.len(), 2);
    let unknown: BackupLabel = "20200101-000000F".parse().unwrap();
    assert!(annotate(stanza, &unknown, &[("a".to_owned(), "b".to_owned())]).unwrap().is_none());
}

//! Every recorded restore: the tree must be what real pgBackRest left, byte for byte.

use crate::common::fixture::{Fixture, Restored};
use crate::common::tree::{self, Tree};
use crate::common::{Case, Run, neutral, program, stand_in, user};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

/// Where `pg_control` keeps the location of its checkpoint; eight bytes, little endian, in every version since 9.5.
const CHECKPOINT_AT: usize = 32;

#[test]
fn plain_and_uncompressed() {
    every_restore("a1-plain-none");
}

#[test]
fn encrypted_bundles_with_a_tablespace_and_two_timelines() {
    every_restore("a2-zst-aes-bundle");
}

#[test]
fn block_incremental() {
    every_restore("a3-block-incr");
}

#[test]
fn gzip() {
    every_restore("a4-gz");
}

#[test]
fn lz4() {
    every_restore("a4-lz4");
}

#[test]
fn bzip2() {
    every_restore("a4-bz2");
}

#[test]
fn a_stanza_that_was_upgraded() {
    every_restore("a5-upgrade");
}

#[test]
fn postgresql_18_with_everything_on() {
    every_restore("a6-pg18");
}

#[test]
fn postgresql_17_gzip_bundles() {
    every_restore("a7-pg17-gz");
}

fn every_restore(name: &str) {
    let fixture = Fixture::load(name);
    for recorded in fixture.restores() {
        let case = Case::new(&fixture);
        let run = case.restore(&options(&case, &recorded)).ok();
        eprintln!("{name}/{}", recorded.id);
        assert_owner(&case.pgdata(), user().uid);
        if recorded.kind == "none" {
            assert_tree(&fixture, &recorded, &case, &run);
            assert_settings(&case);
        } else {
            assert!(case.pgdata().join("recovery.signal").exists(), "{run}");
        }
        assert_times(&fixture, recorded.set_used, &case);
        assert_eq!(fs::metadata(case.pgdata()).unwrap().mode() & 0o7777, 0o700);
    }
}

fn options(case: &Case, recorded: &Restored<'_>) -> Vec<String> {
    let mut options = vec![format!("--type={}", recorded.kind)];
    options.extend(recorded.set.map(|set| format!("--set={set}")));
    options.extend(
        recorded.options.iter().map(|option| option.replace("@WORK@", case.home().to_str().unwrap())),
    );
    options
}

fn assert_tree(fixture: &Fixture, recorded: &Restored<'_>, case: &Case, run: &Run) {
    let list = fs::read_to_string(fixture.dir.join(recorded.list.unwrap())).unwrap();
    let mut wanted = tree::recorded(&list, &case.dest());
    let mut found = tree::list(&case.dest());
    if !stand_in() {
        match recorded.differs {
            Some(differs) => tree::amend(&mut wanted, differs),
            None => as_newest(&mut wanted, &mut found, case),
        }
    }
    // It carries the time of the restore: compared parsed.
    for tree in [&mut wanted, &mut found] {
        let settings = tree.get_mut("pgdata/postgresql.auto.conf").unwrap();
        settings.size.clear();
        settings.content.clear();
    }
    let differences = tree::differences(&wanted, &found);
    assert!(differences.is_empty(), "{}/{}: {differences:#?}\n{run}", fixture.name, recorded.id);
}

/// A list recorded with 2.45 only (the newest refuses what `--type=none` never replays): no signal, and a `pg_control`
/// that cannot start without `backup_label`, but is the recorded one once its checkpoint is put back. A list recorded
/// with the newest already is so.
fn as_newest(wanted: &mut Tree, found: &mut Tree, case: &Case) {
    if wanted.remove("pgdata/recovery.signal").is_none() {
        return;
    }
    let mut control = fs::read(case.pgdata().join("global/pg_control")).unwrap();
    let crc_at =
        (64..control.len() - 4).find(|&at| crc_at(&control, at)).expect("a pg_control with a right checksum");
    assert_eq!(control[CHECKPOINT_AT..][..8], 0xDEAD_u64.to_le_bytes(), "the checkpoint still looks usable");
    control[CHECKPOINT_AT..][..8].copy_from_slice(&checkpoint_of(&case.pgdata()).to_le_bytes());
    let crc = crc32c::crc32c(&control[..crc_at]).to_le_bytes();
    control[crc_at..][..4].copy_from_slice(&crc);
    found.get_mut("pgdata/global/pg_control").unwrap().content = tree::sha256(&control);
}

fn crc_at(control: &[u8], at: usize) -> bool {
    crc32c::crc32c(&control[..at]).to_le_bytes() == control[at..at + 4]
}

/// The checkpoint a `backup_label` names.
fn checkpoint_of(pgdata: &Path) -> u64 {
    let label = fs::read_to_string(pgdata.join("backup_label")).unwrap();
    let lsn = label.lines().find_map(|line| line.strip_prefix("CHECKPOINT LOCATION: ")).unwrap();
    let (high, low) = lsn.split_once('/').unwrap();
    let part = |text| u64::from_str_radix(text, 16).unwrap();
    part(high) << 32 | part(low)
}

/// With `--type=none` nothing may steer a recovery; what else stood in the file stays.
fn assert_settings(case: &Case) {
    let active = active_settings(&case.pgdata());
    assert!(!active.keys().any(|name| name.starts_with("recovery_target")), "{active:?}");
}

/// The settings of `postgresql.auto.conf` in force: the last line of a name wins.
pub(crate) fn active_settings(pgdata: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(pgdata.join("postgresql.auto.conf")).unwrap();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#') && !line.trim().is_empty());
    lines
        .map(|line| line.split_once('=').unwrap_or_else(|| panic!("not a setting: {line}")))
        .map(|(k, v)| (k.trim().to_owned(), v.trim().to_owned()))
        .collect()
}

fn assert_times(fixture: &Fixture, label: &str, case: &Case) {
    for (path, time) in fixture.times(label) {
        // Rewritten, left out (the signal and links say it), or mapped elsewhere by this case's options.
        let path = case.dest().join(path);
        if let Ok(meta) = fs::symlink_metadata(&path)
            && !path.ends_with("postgresql.auto.conf")
        {
            assert_eq!(meta.mtime(), time, "{}", path.display());
        }
    }
}

fn assert_owner(folder: &Path, uid: u32) {
    assert_eq!(fs::metadata(folder).unwrap().uid(), uid, "{}", folder.display());
    for item in fs::read_dir(folder).unwrap() {
        let item = item.unwrap();
        let meta = item.metadata().unwrap();
        assert_eq!(meta.uid(), uid, "{}", item.path().display());
        if meta.is_dir() {
            assert_owner(&item.path(), uid);
        }
    }
}

#[test]
fn as_root_every_file_goes_to_the_owner_in_the_manifest() {
    if !user().dropped || user().name != "postgres" {
        eprintln!(
            "SKIPPED as_root_every_file_goes_to_the_owner_in_the_manifest: needs root and the user postgres"
        );
        return;
    }
    let fixture = Fixture::load("a2-zst-aes-bundle");
    let case = Case::new(&fixture);
    // Root made the folder: its owner must change, too.
    std::os::unix::fs::chown(case.pgdata(), Some(0), Some(0)).unwrap();
    fs::set_permissions(case.pgdata(), fs::Permissions::from_mode(0o700)).unwrap();
    let mut command = Command::new(program());
    neutral(&mut command);
    let mut command = case.configured(command, "restore");
    Run::of(
        command.arg("--type=none").arg(format!("--tablespace-map-all={}", case.path("restore/ts").display())),
    )
    .ok();
    assert_owner(&case.pgdata(), user().uid);
    assert_owner(&case.path("restore/ts/hot"), user().uid);
}

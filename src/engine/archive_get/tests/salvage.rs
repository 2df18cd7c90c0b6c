//! The salvage folder: what it may add to the archive, and what it must not.

use super::*;

const EIGHT: &str = "000000010000000000000008";
const NINE: &str = "000000010000000000000009";
const TEN: &str = "00000001000000000000000A";
const ELEVEN: &str = "00000001000000000000000B";

/// A recovery from segment 9 on, archived up to 9, with `saved` in the salvage folder.
fn with_saved(shelf: &Shelf, saved: &[(&str, Vec<u8>)]) -> Recovery {
    let mut recovery = Recovery::of(&[shelf]);
    let folder = recovery.folder.path().join("salvage");
    std::fs::create_dir(&folder).unwrap();
    for (name, content) in saved {
        std::fs::write(folder.join(name), content).unwrap();
    }
    recovery.job.salvage = Some(folder);
    recovery
}

fn saved(name: &'static str) -> (&'static str, Vec<u8>) {
    (name, segment_of(name, 7))
}

#[test]
fn what_was_never_archived_follows_what_was() {
    let shelf = Shelf::new().with(&[EIGHT, NINE]);
    let recovery = with_saved(&shelf, &[saved(TEN), saved(ELEVEN)]);
    recovery.expect_content(TEN, &segment_of(TEN, 7));
    recovery.expect_content(ELEVEN, &segment_of(ELEVEN, 7));
    // What is archived comes from the archive.
    recovery.expect_content(NINE, &segment_of(NINE, 0));
    std::fs::remove_file(recovery.destination()).unwrap();
    recovery.expect("00000001000000000000000C", 1, "salvage");
}

#[test]
fn recycled_and_empty_files_are_not_segments() {
    let shelf = Shelf::new().with(&[NINE]);
    let recycled = (TEN, segment_of("000000010000000000000002", 0));
    with_saved(&shelf, &[recycled]).expect(TEN, 1, "is not in");
    with_saved(&shelf, &[(TEN, vec![0; SIZE])]).expect(TEN, 1, "is not in");
    let mut foreign = segment_of(TEN, 0);
    foreign[24] ^= 1;
    with_saved(&shelf, &[(TEN, foreign)]).expect(TEN, 130, "it is of cluster");
    with_saved(&shelf, &[(TEN, segment_of(TEN, 0)[..9000].to_vec())]).expect(
        TEN,
        130,
        "of the 1048576 bytes",
    );
}

#[test]
fn a_gap_is_a_gap_in_the_salvage_folder_too() {
    let shelf = Shelf::new().with(&[NINE]);
    with_saved(&shelf, &[saved(ELEVEN)]).expect(TEN, 130, "is missing although 00000001000000000000000B");
    with_saved(&shelf, &[saved(ELEVEN)]).expect(ELEVEN, 130, "which stands before it");
}

#[test]
fn a_segment_past_a_fork_is_not_taken_onto_the_branch() {
    let shelf = Shelf::new().with(&[NINE]);
    shelf.put_file("00000002.history", "1\t0/9000A0\tno recovery target specified\n");
    let recovery = with_saved(&shelf, &[saved(TEN)]);
    recovery.expect(TEN, 130, "timeline 1 was left at 0/9000A0");
    let conf = recovery.job.data_dir.join("postgresql.auto.conf");
    std::fs::write(&conf, "recovery_target_timeline = 'current'\n").unwrap();
    recovery.expect(TEN, 0, "salvage");
    std::fs::write(&conf, "recovery_target_timeline = '2'\n").unwrap();
    recovery.expect(TEN, 130, "timeline 1 was left");
}

#[test]
fn a_saved_copy_replaces_a_damaged_one_only_if_it_is_the_same() {
    let shelf = Shelf::new().with(&[NINE]);
    let at = shelf.put(TEN, &segment_of(TEN, 7));
    let broken = || -> Arc<dyn Storage> {
        Arc::new(Faulty::new(shelf.0.clone(), Fault::Flip { path: at.clone(), offset: 99_999, mask: 1 }))
    };
    for (content, exit_code) in [(segment_of(TEN, 7), 0), (segment_of(TEN, 8), 130)] {
        let mut recovery = with_saved(&shelf, &[(TEN, content)]);
        recovery.job.repositories = vec![slot(1, broken())];
        recovery.expect(TEN, exit_code, "is not what its name says");
    }
}

#[test]
fn a_salvage_folder_that_is_gone_is_an_error_and_a_saved_history_is_used() {
    let shelf = Shelf::new().with(&[NINE]);
    let history = "1\t0/9000A0\tno recovery target specified\n";
    let recovery = with_saved(&shelf, &[("00000002.history", history.as_bytes().to_vec())]);
    recovery.expect_content("00000002.history", history.as_bytes());
    std::fs::remove_file(recovery.destination()).unwrap();
    let folder = recovery.folder.path();
    std::fs::rename(folder.join("salvage"), folder.join("gone")).unwrap();
    recovery.expect(TEN, 130, "salvage");
}

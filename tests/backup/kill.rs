//! Backups that are killed or asked to end at some moment: what was there before stays sound for both programs, and the next
//! backup of either comes to a whole one, with what was stored of an interrupted full one.
//!
//! `PGMAYDAY_KILLS` sets how many kills.

use crate::peer::{Peer, TO_ITS_END, ask_copy, restore, restores};
use crate::random::{Random, number};
use crate::tools::{
    AES, Running, Seen, backup, files, is_locked, label_folders, listed, ready, ready_with, stored_text,
    wait_until,
};
use crate::workload::{SUM, Writer, change, fill};
use crate::yard::{STANZA, Yard, installed};
use pgmayday::cluster::binaries::Binaries;
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What the stanza's backups take in the repository.
fn stored_bytes(yard: &Yard) -> u64 {
    files(&yard.path("repo1/backup")).values().map(|(_, _, bytes)| bytes).sum()
}

/// When a backup is to be killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// When its manifest was saved three times: at its start, and then with one and with two of the largest files, of which
    /// at least one is at rest.
    Saved,
    /// When it has stored this much.
    Stored(u64),
    /// So long after its start.
    After(Duration),
}

/// The saved manifest of the unfinished backup.
fn saved_manifest(yard: &Yard) -> Option<(u64, i64)> {
    let folder = label_folders(yard).pop().filter(|folder| !folder.join("backup.manifest").exists())?;
    let saved = std::fs::metadata(folder.join("backup.manifest.copy")).ok()?;
    Some((saved.ino(), saved.mtime_nsec()))
}

/// Kills a running backup at the moment, unless it ends before.
fn killed(yard: &Yard, kind: &str, moment: Moment) -> bool {
    let (before, begun) = (stored_bytes(yard), Instant::now());
    let (mut last_seen, mut times) = (None, 0);
    let mut running = Running::pgmayday(yard, &["backup", &format!("--type={kind}")]);
    loop {
        if running.has_ended() {
            running.end().exits(0, &[]);
            return false;
        }
        let now = match moment {
            Moment::Saved => {
                let saved = saved_manifest(yard);
                if saved.is_some() && saved != last_seen {
                    (last_seen, times) = (saved, times + 1);
                }
                times >= 3
            }
            Moment::Stored(bytes) => stored_bytes(yard).saturating_sub(before) >= bytes,
            Moment::After(time) => begun.elapsed() >= time,
        };
        if now {
            running.signal(Signal::KILL);
            drop(running.end());
            return true;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The unfinished full backup a kill left, if it can be taken up: its folder, and how many files its manifest has stored.
fn left_over(yard: &Yard) -> Option<(PathBuf, usize)> {
    let folder = label_folders(yard).pop()?;
    let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
    let open = name.len() == 16 && !folder.join("backup.manifest").exists();
    let copy = open && folder.join("backup.manifest.copy").exists();
    copy.then(|| {
        let text = stored_text(yard, &format!("{name}/backup.manifest.copy"));
        (folder, text.lines().filter(|line| line.contains("\"checksum\":")).count())
    })
}

/// Everything that was listed is listed still, and sound.
#[track_caller]
fn is_sound(yard: &Yard, expected: &[String]) {
    assert_eq!(listed(yard), expected);
    yard.pgmayday(&["verify"]).exits(0, &[]);
}

/// The largest files, and old enough by the first kill that their times prove something: nothing writes to them again, not
/// even autovacuum, which would find so many new rows within a minute. They are what can be taken up.
fn at_rest(yard: &Yard) {
    for (table, rows) in [("bulk", 150_000), ("bulk_too", 120_000)] {
        yard.ask(&format!(
            "create table {table} with (autovacuum_enabled = false) as \
             select g id, md5(g::text) || md5((-g)::text) x from generate_series(1, {rows}) g"
        ));
        yard.ask(&format!("vacuum (freeze) {table}"));
    }
    yard.ask("checkpoint");
    std::thread::sleep(Duration::from_secs(3));
}

struct Counts {
    killed: u32,
    taken_up: u32,
    reused: usize,
}

/// One way to store backups, killed again and again.
fn survives(binaries: &Binaries, cipher: &str, more: &str, kills: usize, random: &mut Random) -> Counts {
    let more = format!("{more}manifest-save-threshold=1MiB\nrepo1-retention-full=99\n");
    let yard = ready(binaries, cipher, &more);
    fill(&yard);
    at_rest(&yard);
    // Slow enough that what it writes does not become the largest file: that one is never at rest.
    let noise = Writer::pausing(&yard, Duration::from_millis(100));
    let begun = Instant::now();
    let full = backup(&yard, &["--type=full"]);
    let (took, bytes) = (begun.elapsed(), full["repo_bytes"].as_u64().unwrap());
    let mut counts = Counts { killed: 0, taken_up: 0, reused: 0 };
    let mut expected = listed(&yard);
    for turn in 0..kills {
        change(&yard, u32::try_from(turn).unwrap() + 1);
        let kind = if turn % 2 == 0 { "full" } else { "incr" };
        let moment = match turn {
            0 => Moment::Saved,
            1 => Moment::Stored(1),
            _ if random.below(3) == 0 => {
                Moment::After(took * u32::try_from(random.below(100)).unwrap() / 100)
            }
            _ => Moment::Stored(random.below(if kind == "full" { bytes } else { bytes / 8 })),
        };
        let was_killed = killed(&yard, kind, moment);
        eprintln!("turn {turn}: {kind}, {moment:?}, killed {was_killed}");
        if !was_killed {
            expected = listed(&yard);
            continue;
        }
        counts.killed += 1;
        // Killed after its manifest was there it exists, and is listed by whoever works next.
        let whole = label_folders(&yard).pop().filter(|folder| folder.join("backup.manifest").exists());
        is_sound(&yard, &listed(&yard));
        assert!(listed(&yard).starts_with(&expected));
        let left = left_over(&yard);
        let stored: BTreeMap<PathBuf, Seen> = left.iter().flat_map(|(folder, _)| files(folder)).collect();
        if turn % 4 == 3 {
            yard.pgbackrest(&["--type=incr", "backup"]).exits(0, &[]);
            if let Some(whole) = whole {
                assert!(listed(&yard).contains(&whole.file_name().unwrap().to_str().unwrap().to_owned()));
            }
        } else {
            let next = backup(&yard, &[&format!("--type={kind}")]);
            assert_eq!(next["resumed"], left.is_some() && kind == "full", "{next}");
            if let Some((folder, with_checksum)) = &left
                && kind == "full"
            {
                counts.taken_up += 1;
                let now = files(folder);
                let kept = stored.iter().filter(|(path, seen)| now.get(*path) == Some(*seen)).count();
                eprintln!("taken up with {with_checksum} files known, {kept} objects kept");
                counts.reused += kept;
            }
        }
        expected = listed(&yard);
        let folders = label_folders(&yard).len();
        assert_eq!(folders, expected.len(), "nothing is left over");
    }
    let sum = yard.ask(SUM);
    backup(&yard, &["--type=incr"]);
    drop(noise);
    is_sound(&yard, &listed(&yard));
    restores(&yard, binaries, None, "ours", SUM, &sum);
    restores(&yard, binaries, Some(&Peer::installed()), "theirs", SUM, &sum);
    counts
}

fn kill_again_and_again(test: &str, cipher: &str, more: &str) {
    let Some(binaries) = installed(test) else { return };
    let mut random = Random::seeded(test);
    let kills = number("PGMAYDAY_KILLS", 8, 50).div_ceil(2).max(2);
    let counts = survives(&binaries, cipher, more, kills, &mut random);
    assert!(counts.killed as usize * 2 >= kills, "most were really killed: {} of {kills}", counts.killed);
    assert!(
        counts.taken_up > 0 && counts.reused > 0,
        "taken up {}, objects kept {}",
        counts.taken_up,
        counts.reused
    );
}

#[test]
fn a_killed_bundled_encrypted_backup_harms_nothing() {
    let more = "compress-type=zst\nrepo1-bundle=y\nrepo1-bundle-size=2MiB\nprocess-max=2\n";
    kill_again_and_again("a_killed_bundled_encrypted_backup_harms_nothing", AES, more);
}

#[test]
fn a_killed_plain_backup_harms_nothing() {
    kill_again_and_again("a_killed_plain_backup_harms_nothing", "", "compress-type=none\nrepo1-bundle=n\n");
}

/// The server is in no backup: nobody holds a session that has begun one.
#[track_caller]
fn is_in_no_backup(yard: &Yard) {
    let sessions = "select count(*) from pg_stat_activity where query ~ 'pg_(start_backup|backup_start)' and pid <> pg_backend_pid()";
    wait_until("the end of the server's backup", || yard.ask(sessions) == "0");
}

#[test]
fn a_backup_that_is_asked_to_end_does() {
    let Some(binaries) = installed("a_backup_that_is_asked_to_end_does") else { return };
    // A checkpoint that nobody hurries takes minutes.
    let slow = "checkpoint_timeout = 30min\ncheckpoint_completion_target = 0.9";
    let yard = ready_with(&binaries, "", "compress-type=none\nrepo1-bundle=n\n", slow);
    fill(&yard);
    yard.ask("checkpoint");
    let sum = yard.ask(SUM);
    std::thread::sleep(Duration::from_secs(3));

    let running = crate::tools::stopped_in_copy(&yard, &["--type=full"]);
    running.signal(Signal::TERM);
    running.signal(Signal::CONT);
    running.end().exits(6, &["cancelled by the operator"]);
    assert!(!is_locked(&yard));
    is_in_no_backup(&yard);
    assert_eq!(listed(&yard), Vec::<String>::new());
    let left = left_over(&yard).unwrap();
    let next = backup(&yard, &["--type=full"]);
    assert_eq!(
        (&next["resumed"], next["label"].as_str().unwrap()),
        (&true.into(), left.0.file_name().unwrap().to_str().unwrap())
    );

    yard.ask("update big set n = 7");
    let begun = Instant::now();
    let mut running = Running::pgmayday(&yard, &["backup", "--type=incr", "--no-start-fast"]);
    let waits = "select count(*) from pg_stat_activity where query ~ 'pg_backup_start' and state = 'active' and pid <> pg_backend_pid()";
    wait_until("the wait for the checkpoint", || running.has_ended() || yard.ask(waits) == "1");
    std::thread::sleep(Duration::from_millis(500));
    assert!(!running.has_ended(), "the checkpoint takes its time");
    running.signal(Signal::TERM);
    running.end().exits(6, &["cancelled by the operator"]);
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "nobody waits for a checkpoint that is not wanted any more"
    );
    is_in_no_backup(&yard);
    backup(&yard, &["--type=incr"]);

    // The server goes away and comes back: that is no backup.
    let running = crate::tools::stopped_in_copy(&yard, &["--type=incr"]);
    yard.stop("pg");
    yard.start("pg");
    running.signal(Signal::CONT);
    let lost = running.end();
    assert!(matches!(lost.code, Some(1 | 5)), "{lost}");
    assert_eq!(listed(&yard).len(), 2);
    yard.ask("update big set n = 0");
    backup(&yard, &["--type=incr"]);
    restore(&yard, None, "copy", &TO_ITS_END);
    assert_eq!(ask_copy(&yard, &binaries, "copy", SUM), sum);
    assert!(yard.pgbackrest(&["info"]).out.contains(STANZA));
}

//! What single options of a backup do, and what the next backup makes of it.

use crate::peer::{Peer, TO_ITS_END, ask_copy, restore, restores};
use crate::tools::{AES, backup, files, info, listed, manifest_files, place_of, ready, section, stored_text};
use crate::workload::{SUM, change, fill};
use crate::yard::{Yard, installed};
use serde_json::{Value, json};
use std::fs::{self, File, FileTimes};
use std::path::Path;
use std::time::{Duration, SystemTime};

fn warns(document: &Value, words: &str) -> bool {
    document["warnings"].as_array().unwrap().iter().any(|text| text.as_str().unwrap().contains(words))
}

fn label(document: &Value) -> &str {
    document["label"].as_str().unwrap()
}

/// Writes a file of the data directory that is none of PostgreSQL's, with this time.
fn put(yard: &Yard, name: &str, content: &[u8], at: SystemTime) {
    let path = yard.path("pg").join(name);
    fs::write(&path, content).unwrap();
    File::options().write(true).open(&path).unwrap().set_times(FileTimes::new().set_modified(at)).unwrap();
    yard.give(&path);
}

fn restored(yard: &Yard, to: &str, name: &str) -> Vec<u8> {
    fs::read(yard.path(to).join(name)).unwrap()
}

#[test]
fn unchanged_files_are_linked_by_name() {
    let Some(binaries) = installed("unchanged_files_are_linked_by_name") else { return };
    let yard = ready(&binaries, "", "compress-type=gz\nrepo1-bundle=n\nrepo1-hardlink=y\nprocess-max=2\n");
    fill(&yard);
    yard.ask("checkpoint");
    std::thread::sleep(Duration::from_secs(3));
    let full = backup(&yard, &["--type=full", "--annotation=who=me", "--annotation=why=a=b, \"c\""]);
    change(&yard, 1);
    let sum = yard.ask(SUM);
    let incr = backup(&yard, &["--type=incr"]);
    let folder = |document: &Value| yard.path("repo1/backup/main").join(label(document));
    let (before, now) = (files(&folder(&full)), files(&folder(&incr)));
    let at = |folder: &Path, name: &str| folder.join(format!("{name}.gz"));
    let mut linked = 0;
    for (name, file) in manifest_files(&yard, label(&incr)) {
        let own = at(&folder(&incr), &name);
        let inode = |all: &std::collections::BTreeMap<std::path::PathBuf, crate::tools::Seen>,
                     path: &Path| all.get(path).map(|seen| seen.0);
        if file.get("reference").is_some() {
            assert!(
                inode(&now, &own).is_some()
                    && inode(&now, &own) == inode(&before, &at(&folder(&full), &name)),
                "{name}"
            );
            linked += 1;
        } else {
            assert!(inode(&now, &own).is_some_and(|own| before.values().all(|seen| seen.0 != own)), "{name}");
        }
    }
    assert!(linked > 500, "{linked}");
    yard.pgmayday(&["verify"]).exits(0, &[]);
    restores(&yard, &binaries, None, "ours", SUM, &sum);
    restores(&yard, &binaries, Some(&Peer::installed()), "theirs", SUM, &sum);

    for run in [yard.pgmayday(&["info", "--output=json"]), yard.pgbackrest(&["info", "--output=json"])] {
        let backups = info(&run);
        assert_eq!(backups[0]["annotation"], json!({"who": "me", "why": "a=b, \"c\""}));
        assert!(backups[1].get("annotation").is_none());
    }
    let metadata = section(&stored_text(&yard, &format!("{}/backup.manifest", label(&full))), "metadata");
    assert_eq!(metadata["annotation"]["who"], "me");
    // Nothing of the full one changes if the linked one goes.
    yard.pgmayday(&["expire", &format!("--set={}", label(&incr))]).exits(0, &[]);
    yard.pgmayday(&["verify"]).exits(0, &[]);
}

#[test]
fn what_the_operator_leaves_out_is_not_there() {
    let Some(binaries) = installed("what_the_operator_leaves_out_is_not_there") else { return };
    let yard = ready(&binaries, AES, "compress-type=lz4\n");
    fill(&yard);
    let now = SystemTime::now();
    fs::create_dir(yard.path("pg/junk")).unwrap();
    yard.give(&yard.path("pg/junk"));
    for name in ["junk/a", "core.1", "kept"] {
        put(&yard, name, b"text", now);
    }
    let sum = yard.ask(SUM);
    let made = backup(&yard, &["--type=full", "--exclude=junk/", "--exclude=core.1"]);
    let names = manifest_files(&yard, label(&made));
    assert!(
        names.contains_key("pg_data/kept")
            && !names.contains_key("pg_data/junk/a")
            && !names.contains_key("pg_data/core.1")
    );
    restores(&yard, &binaries, None, "copy", SUM, &sum);
    assert!(
        yard.path("copy/junk").is_dir()
            && !yard.path("copy/junk/a").exists()
            && !yard.path("copy/core.1").exists()
    );
}

#[test]
fn times_are_believed_only_where_they_prove_something() {
    let Some(binaries) = installed("times_are_believed_only_where_they_prove_something") else { return };
    let yard = ready(&binaries, "", "compress-type=none\n");
    fill(&yard);
    yard.ask("checkpoint");
    let old = SystemTime::now() - Duration::from_secs(3600);
    put(&yard, "settled", b"before", old);
    std::thread::sleep(Duration::from_secs(3));

    // A file that changes in the very second it is copied: the next backup cannot tell by its time.
    let young = (0..5).any(|_| {
        let at = SystemTime::now() + Duration::from_secs(1);
        put(&yard, "young", b"before", at);
        let full = backup(&yard, &["--type=full"]);
        let text = stored_text(&yard, &format!("{}/backup.manifest", label(&full)));
        let copied = section(&text, "backup")["backup-timestamp-copy-start"].as_u64().unwrap();
        put(&yard, "young", b"after!", at);
        at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() + 2 >= copied
    });
    assert!(young, "the machine is too slow for this test");
    put(&yard, "settled", b"after!", old);
    let incr = backup(&yard, &["--type=incr"]);
    let names = manifest_files(&yard, label(&incr));
    assert!(names["pg_data/young"].get("reference").is_none());
    // This is what a time is believed for, and what --delta is for.
    assert!(names["pg_data/settled"].get("reference").is_some());
    assert!(incr["files_stored"].as_u64().unwrap() < 60, "{incr}");
    restore(&yard, None, "copy", &TO_ITS_END);
    assert_eq!(
        (restored(&yard, "copy", "young"), restored(&yard, "copy", "settled")),
        (b"after!".to_vec(), b"before".to_vec())
    );
    let delta = backup(&yard, &["--type=incr", "--delta"]);
    let manifest = stored_text(&yard, &format!("{}/backup.manifest", label(&delta)));
    assert_eq!(section(&manifest, "backup:option")["option-delta"], true);
    assert!(section(&manifest, "target:file")["pg_data/settled"].get("reference").is_none());
    assert!(
        delta["files_stored"].as_u64().unwrap() < 60 && delta["files_unchanged"].as_u64().unwrap() > 500,
        "{delta}"
    );

    // Every time is another one, and nothing has changed.
    put(&yard, "settled", b"after!", old + Duration::from_secs(7));
    let table = place_of(&yard, "big");
    let path = yard.path("pg").join(&table);
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_times(FileTimes::new().set_modified(SystemTime::now()))
        .unwrap();
    let incr = backup(&yard, &["--type=incr"]);
    let names = manifest_files(&yard, label(&incr));
    assert_eq!(names["pg_data/settled"]["reference"], label(&delta));
    assert!(names[&format!("pg_data/{table}")].get("reference").is_some());

    // A time in the future, and one that goes back.
    put(&yard, "settled", b"third!", SystemTime::now() + Duration::from_secs(3600));
    let future = backup(&yard, &["--type=incr"]);
    assert!(warns(&future, "has a time in the future"), "{future}");
    put(&yard, "settled", b"fourth", old);
    let back = backup(&yard, &["--type=incr"]);
    assert!(warns(&back, "is older than in the last backup"), "{back}");
    yard.pgmayday(&["verify"]).exits(0, &[]);
}

#[test]
fn a_set_keeps_the_compression_of_its_full_backup() {
    let Some(binaries) = installed("a_set_keeps_the_compression_of_its_full_backup") else { return };
    let yard = ready(&binaries, AES, "compress-type=zst\n");
    fill(&yard);
    let full = backup(&yard, &["--type=full"]);
    change(&yard, 1);
    let sum = yard.ask(SUM);
    let incr = backup(&yard, &["--type=incr", "--compress-type=lz4", "--compress-level=12"]);
    assert!(warns(&incr, "compress-type zst instead of lz4"), "{incr}");
    let manifest = stored_text(&yard, &format!("{}/backup.manifest", label(&incr)));
    assert_eq!(section(&manifest, "backup:option")["option-compress-type"], "zst");
    restores(&yard, &binaries, None, "ours", SUM, &sum);
    restores(&yard, &binaries, Some(&Peer::installed()), "theirs", SUM, &sum);
    let next = backup(&yard, &["--type=full", "--compress-type=lz4"]);
    let manifest = stored_text(&yard, &format!("{}/backup.manifest", label(&next)));
    assert_eq!(section(&manifest, "backup:option")["option-compress-type"], "lz4");
    assert_eq!(listed(&yard), [label(&full), label(&incr), label(&next)]);
}

#[test]
fn a_backup_before_all_others_by_its_name_is_not_made() {
    let Some(binaries) = installed("a_backup_before_all_others_by_its_name_is_not_made") else { return };
    let yard = ready(&binaries, "", "compress-type=none\n");
    let first = backup(&yard, &["--type=full"]);
    let history = yard.path("repo1/backup/main/backup.history/2099");
    fs::create_dir(&history).unwrap();
    fs::write(history.join("20990101-000000F.manifest.gz"), "").unwrap();
    yard.pgmayday(&["backup", "--type=full"]).exits(1, &["set back", "20990101-000000F"]);
    // In the set of an older full backup labels still grow.
    let incr = backup(&yard, &["--type=incr"]);
    assert_eq!(listed(&yard), [label(&first), label(&incr)]);
    fs::remove_dir_all(&history).unwrap();
    backup(&yard, &["--type=full"]);

    // After an upgrade of the stanza nothing is there that a differential or incremental backup could stand on.
    yard.stop("pg");
    fs::rename(yard.path("pg"), yard.path("old")).unwrap();
    yard.initdb("pg");
    yard.settings("pg", &crate::peer::archive_command(&yard), "");
    yard.start("pg");
    yard.pgmayday(&["backup", "--type=incr"]).exits(1, &["stanza-upgrade"]);
    yard.pgmayday(&["stanza-upgrade"]).exits(0, &[]);
    for kind in ["diff", "incr"] {
        let made = backup(&yard, &[&format!("--type={kind}")]);
        if kind == "diff" {
            assert!(
                made["kind"] == "full" && made["prior"].is_null() && warns(&made, "this becomes a full one"),
                "{made}"
            );
        } else {
            assert_eq!(made["kind"], "incr");
        }
    }
    assert_eq!(listed(&yard).len(), 5);
}

#[test]
fn a_backup_with_its_wal_needs_no_archive() {
    let Some(binaries) = installed("a_backup_with_its_wal_needs_no_archive") else { return };
    for (cipher, more) in [("", "compress-type=none\nrepo1-bundle=n\n"), (AES, "compress-type=zst\n")] {
        let yard = ready(&binaries, cipher, more);
        fill(&yard);
        let full = backup(&yard, &["--type=full", "--archive-copy"]);
        change(&yard, 1);
        let sum = yard.ask(SUM);
        let incr = backup(&yard, &["--type=incr", "--archive-copy"]);
        for made in [&full, &incr] {
            let names = manifest_files(&yard, label(made));
            let wal: Vec<_> = names.iter().filter(|(name, _)| name.starts_with("pg_data/pg_wal/0")).collect();
            let last = format!("pg_data/pg_wal/{}", made["archive_stop"].as_str().unwrap());
            assert!(
                wal.iter().any(|(name, _)| **name == last)
                    && wal.iter().all(|(_, file)| file["size"] == 1 << 20),
                "{wal:?}"
            );
            assert!(wal.iter().all(|(_, file)| file.get("reference").is_none() && file.get("bni").is_none()));
        }
        yard.pgmayday(&["verify"]).exits(0, &[]);
        fs::remove_dir_all(yard.path("repo1/archive/main/15-1")).unwrap();
        for (peer, to) in [(None, "ours"), (Some(Peer::installed()), "theirs")] {
            restore(&yard, peer.as_ref(), to, &["--type=none"]);
            // pgBackRest asks for an archive recovery without saying from where, which no server starts with.
            drop(fs::remove_file(yard.path(to).join("recovery.signal")));
            assert_eq!(ask_copy(&yard, &binaries, to, SUM), sum, "{to}");
        }
        restore(&yard, Some(&Peer::installed()), "immediate", &TO_ITS_END);
        assert_eq!(ask_copy(&yard, &binaries, "immediate", SUM), sum);
        // This program proves a target by the archive, and says so.
        let target = format!("--pg1-path={}", yard.text("refused"));
        yard.pgmayday(&["restore", &target, TO_ITS_END[0], TO_ITS_END[1]])
            .exits(7, &["is not in the archive"]);
        assert!(!yard.path("refused").exists());
    }
}

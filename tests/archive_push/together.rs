//! Either program goes on where the other was stopped: the same archive, the same status files.

use super::cluster::{Cluster, STANZA, said, succeeded, wait_for};
use super::kill;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

fn ok_files(cluster: &Cluster) -> Vec<String> {
    let folder = cluster.path(&format!("spool/archive/{STANZA}/out"));
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn oks(names: &[String]) -> Vec<String> {
    names.iter().map(|name| format!("{name}.ok")).collect()
}

#[test]
fn what_one_program_archived_the_other_finds() {
    let Some(mut cluster) = Cluster::make("compress-type=zst") else { return };
    let names = cluster.stalled(2);
    let path = |name: &str| format!("pg_wal/{name}");
    succeeded(cluster.pgbackrest(&["--compress-type=gz", "archive-push", &path(&names[0])]));
    let before = (cluster.files(1), cluster.files(2));
    cluster.expect(&[], &names[0], 0, "before, with the same content");
    cluster.expect(&[], &names[1], 0, "");
    assert_eq!((cluster.files(1).len(), cluster.files(2).len()), (before.0.len() + 1, before.1.len() + 1));
    let again = succeeded(cluster.pgbackrest(&["archive-push", &path(&names[1])]));
    assert!(said(&again).contains("already exists"), "{}", said(&again));
    assert_eq!(cluster.files(1).len(), before.0.len() + 1);
    for key in [1, 2] {
        cluster.assert_no_gap(key, &names[0], &names[1]);
    }
}

#[test]
fn status_files_of_one_program_are_understood_by_the_other() {
    let Some(mut cluster) = Cluster::make("archive-async=y\ncompress-type=lz4\nprocess-max=2") else {
        return;
    };
    let names = cluster.stalled(4);
    let path = |name: &str| format!("pg_wal/{name}");
    cluster.expect(&[], &names[0], 0, "");
    wait_for("all that waits is pushed ahead", || ok_files(&cluster) == oks(&names));
    wait_for("the background process ends", || kill::pushers(&cluster).is_empty());
    // With the repositories out of reach only the status file can answer.
    let lock_away = |mode: u32| {
        for key in [1, 2] {
            fs::set_permissions(cluster.path(&format!("repo{key}")), fs::Permissions::from_mode(mode))
                .unwrap();
        }
    };
    lock_away(0o000);
    let theirs = succeeded(cluster.pgbackrest(&["archive-push", &path(&names[1])]));
    assert!(!said(&theirs).contains("ERROR"), "{}", said(&theirs));
    cluster.expect(&[], &names[2], 0, "");
    lock_away(0o750);
    // The other way round: their word is compared with the repositories.
    for name in ok_files(&cluster) {
        fs::remove_file(cluster.path(&format!("spool/archive/{STANZA}/out")).join(name)).unwrap();
    }
    succeeded(cluster.pgbackrest(&["archive-push", &path(&names[0])]));
    wait_for("pgBackRest pushed all that waits", || ok_files(&cluster) == oks(&names));
    cluster.expect(&["--log-level-console=info"], &names[3], 0, "found in every repository");
    lock_away(0o000);
    cluster.expect(&[], &names[3], 1, "cannot read");
    lock_away(0o750);
    // An error of theirs is no hindrance, and one of ours none for them.
    let error = cluster.path(&format!("spool/archive/{STANZA}/out/{}.error", names[2]));
    fs::write(&error, "25\nassertion").unwrap();
    fs::remove_file(error.with_extension("ok")).unwrap();
    cluster.expect(&[], &names[2], 0, "");
    assert!(!error.exists());
}

#[test]
fn an_ok_of_a_cluster_that_was_there_before_acknowledges_nothing() {
    let Some(mut cluster) = Cluster::make("archive-async=y\ncompress-type=lz4") else { return };
    let names = cluster.stalled(3);
    cluster.expect(&[], &names[0], 0, "");
    wait_for("all that waits is pushed ahead", || ok_files(&cluster) == oks(&names));
    wait_for("the background process ends", || kill::pushers(&cluster).is_empty());
    // A new cluster under the same stanza writes the same names.
    fs::rename(cluster.data(), cluster.path("former")).unwrap();
    let initdb = std::path::PathBuf::from("/usr/lib/postgresql/15/bin/initdb");
    let mut initdb = cluster.command(&initdb);
    initdb.args(["--no-sync", "-A", "trust", "-U", "postgres", "--wal-segsize=1", "-D"]).arg(cluster.data());
    super::run(&mut initdb);
    let settings = fs::read_to_string(cluster.path("former/postgresql.conf")).unwrap();
    fs::write(cluster.data().join("postgresql.conf"), settings).unwrap();
    cluster.give(&cluster.data().join("postgresql.conf"));
    cluster.start();
    succeeded(cluster.pgbackrest(&["stanza-upgrade"]));
    cluster.archive_with(&cluster.archive_command(true));
    let mut last = cluster.switch();
    while last < names[2] {
        last = cluster.switch();
    }
    cluster.wait_archived(&last);
    for key in [1, 2] {
        assert_eq!(cluster.archive(key).1.to_string(), "15-2");
        cluster.assert_no_gap(key, &names[0], &last);
    }
}

#[test]
fn a_server_changes_from_one_program_to_the_other_and_back_without_a_gap() {
    let Some(cluster) = Cluster::make("archive-async=y\ncompress-type=lz4\nprocess-max=2") else { return };
    cluster.ask("create table load (id int, pad text)");
    let first = cluster.switch();
    for turn in 0..8 {
        cluster.archive_with(&cluster.archive_command(turn % 2 == 0));
        cluster.ask("insert into load select i, repeat(md5(i::text), 30) from generate_series(1, 3000) i");
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    let last = cluster.switch();
    cluster.wait_archived(&last);
    for key in [1, 2] {
        cluster.assert_no_gap(key, &first, &last);
    }
}

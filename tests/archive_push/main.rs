//! `archive-push` from outside: the program as the `archive_command` of a real server, beside real pgBackRest.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests fail by panicking and say why they skip"
)]
#![expect(clippy::disallowed_methods, reason = "a test starts programs and looks into its own environment")]

#[path = "../common/cluster.rs"]
mod cluster;
mod kill;
mod load;
mod together;

use cluster::{Cluster, STANZA, run, said, succeeded, wait_for};
use pgmayday::codec::Sha1Hash;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Output;

impl Cluster {
    /// Lets the server end so many segments, which nobody archives, and stops it; gives their names.
    fn stalled(&mut self, count: usize) -> Vec<String> {
        let names = (0..count).map(|_| self.switch()).collect();
        self.stop();
        names
    }

    fn wal(&self, name: &str) -> PathBuf {
        self.data().join("pg_wal").join(name)
    }

    fn push(&self, options: &[&str], name: &str) -> Output {
        let path = format!("pg_wal/{name}");
        self.ours(&[options, &["archive-push", &path]].concat()).output().unwrap()
    }

    /// Pushes a file; expects an exit code and words in what is said.
    #[track_caller]
    fn expect(&self, options: &[&str], name: &str, code: i32, words: &str) {
        let output = self.push(options, name);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(words) && !text.contains("panicked"), "'{words}' is not in: {text}");
    }
}

#[test]
fn everything_archived_is_what_pgbackrest_reads_verifies_and_restores() {
    let Some(mut cluster) = Cluster::make("") else { return };
    cluster.archive_with(&cluster.archive_command(true));
    cluster.ask("create table ledger (id serial primary key, note text)");
    let (mut first, mut last) = (String::new(), String::new());
    for compression in ["none", "gz", "lz4", "zst", "bz2"] {
        cluster.configure(&format!("compress-type={compression}"));
        for _ in 0..3 {
            cluster.ask("insert into ledger (note) select md5(i::text) from generate_series(1, 2000) i");
            last = cluster.switch();
            if first.is_empty() {
                first.clone_from(&last);
            }
        }
        cluster.wait_archived(&last);
        let extension = if compression == "none" { String::new() } else { format!(".{compression}") };
        for key in [1, 2] {
            let name = format!("{last}-");
            let stored = cluster.files(key).into_iter().find(|file| file.contains(&name)).unwrap();
            assert!(stored.ends_with(&extension), "{stored}");
        }
    }
    for key in [1, 2] {
        cluster.assert_no_gap(key, &first, &last);
        for stored in cluster.proven(key) {
            let to = cluster.path("got");
            let name = stored.segment.to_string();
            let repo = format!("--repo={key}");
            succeeded(cluster.pgbackrest(&[&repo, "archive-get", &name, to.to_str().unwrap()]));
            let content = fs::read(&to).unwrap();
            assert_eq!(Sha1Hash::of(&content), stored.sha1);
            assert!(content == fs::read(cluster.wal(&name)).unwrap(), "{name} is not what the server wrote");
        }
        let verified = said(&succeeded(cluster.pgbackrest(&[&format!("--repo={key}"), "verify"])));
        assert!(!verified.contains("error") && !verified.contains("missing"), "{verified}");
    }
    // What pgBackRest insists on: the word in archive_command, and segments that arrive.
    succeeded(cluster.pgbackrest(&["check"]));
    succeeded(cluster.pgbackrest(&["--repo=2", "--type=full", "backup"]));
    cluster.ask("insert into ledger (note) values ('after the backup')");
    let rows = "select count(*), md5(string_agg(id||':'||note, ',' order by id)) from ledger";
    let before = cluster.ask(rows);
    cluster.wait_archived(&cluster.switch());
    let backup_history = cluster.files(2).into_iter().filter(|file| file.ends_with(".backup")).count();
    assert_eq!(backup_history, 1);
    cluster.stop();
    let restored = cluster.path("restored");
    let target = format!("--pg1-path={}", restored.display());
    succeeded(cluster.pgbackrest(&["--repo=2", &target, "--archive-mode=off", "restore"]));
    let server = cluster.serve(&restored);
    assert_eq!(cluster.ask(rows), before);
    cluster.stop_server(server);
}

#[test]
fn files_have_the_modes_of_the_format_whatever_the_umask() {
    let Some(mut cluster) = Cluster::make("") else { return };
    let name = cluster.stalled(1).remove(0);
    let mut shell = cluster.command(std::path::Path::new("/bin/sh"));
    let line = cluster.archive_command(true).replace("%p", &format!("pg_wal/{name}"));
    run(shell.args(["-c", &format!("umask 077; {line}")]).current_dir(cluster.data()));
    for key in [1, 2] {
        for file in cluster.files(key).iter().filter(|file| file.contains(&name)) {
            let mut path = cluster.path(&format!("repo{key}/archive/{STANZA}")).join(file);
            let mode = |path: &PathBuf| path.metadata().unwrap().permissions().mode() & 0o7777;
            assert_eq!(mode(&path), 0o640, "{}", path.display());
            for _ in 0..2 {
                path.pop();
                assert_eq!(mode(&path), 0o750, "{}", path.display());
            }
        }
    }
}

#[test]
fn one_broken_repository_is_named_and_nothing_is_acknowledged_until_it_works() {
    let Some(mut cluster) = Cluster::make("compress-type=zst") else { return };
    let names = cluster.stalled(2);
    let archive = cluster.path(&format!("repo2/archive/{STANZA}"));
    let sound = |name: &str| cluster.files(1).iter().any(|file| file.contains(name));
    for async_mode in ["--no-archive-async", "--archive-async"] {
        let name = if async_mode == "--archive-async" { &names[1] } else { &names[0] };
        fs::set_permissions(&archive, fs::Permissions::from_mode(0o000)).unwrap();
        cluster.expect(&[async_mode], name, 1, "repo2: ");
        assert!(sound(name), "the one that works is served: {async_mode} {:?}", cluster.files(1));
        fs::set_permissions(&archive, fs::Permissions::from_mode(0o750)).unwrap();
        // In the background the process before may be at its very end: then its answer is given once more.
        let mut pushed = cluster.push(&[async_mode], name);
        let begun = std::time::Instant::now();
        while pushed.status.code() == Some(1) && begun.elapsed() < std::time::Duration::from_secs(20) {
            pushed = cluster.push(&[async_mode], name);
        }
        let text = said(&pushed);
        assert_eq!(pushed.status.code(), Some(0), "{text}");
        assert!(text.contains("was in repo1 15-1 before, with the same content"), "{text}");
        for key in [1, 2] {
            assert_eq!(cluster.files(key).iter().filter(|file| file.contains(name.as_str())).count(), 1);
        }
        // As the server does after a success; in the background the first that fails keeps the later ones waiting.
        let status = cluster.data().join("pg_wal/archive_status");
        fs::rename(status.join(format!("{name}.ready")), status.join(format!("{name}.done"))).unwrap();
    }
    fs::rename(cluster.path("repo1"), cluster.path("gone")).unwrap();
    let both = cluster.push(&[], &names[0]);
    let text = said(&both);
    assert_eq!(both.status.code(), Some(1), "{text}");
    fs::rename(&archive, cluster.path("gone2")).unwrap();
    let text = said(&cluster.push(&[], &names[0]));
    assert!(text.contains("repo1: ") && text.contains("repo2: "), "{text}");
}

#[test]
fn duplicates_copies_recycled_files_and_other_clusters_are_refused() {
    let Some(mut cluster) = Cluster::make("") else { return };
    let names = cluster.stalled(2);
    cluster.expect(&[], &names[0], 0, "");
    let content = fs::read(cluster.wal(&names[0])).unwrap();
    let mut other = content.clone();
    other[5000] ^= 1;
    fs::write(cluster.wal(&names[0]), &other).unwrap();
    let before = (cluster.files(1), cluster.files(2));
    cluster.expect(&[], &names[0], 4, "is archived in repo1 15-1 with SHA-1");
    fs::write(cluster.wal(&names[0]), &content).unwrap();
    cluster.expect(&["--no-archive-mode-check"], &names[0], 0, "");
    assert_eq!((cluster.files(1), cluster.files(2)), before);
    // As the server recycles it: a finished segment under a name of the future.
    let future = "00000001000000000000007F";
    fs::copy(cluster.wal(&names[0]), cluster.wal(future)).unwrap();
    cluster.give(&cluster.wal(future));
    cluster.expect(&[], future, 4, "a recycled file");
    // A copy of the cluster with the same configuration.
    let copy = cluster.path("copy");
    run(std::process::Command::new("cp").arg("-a").arg(cluster.data()).arg(&copy));
    let path = format!("pg_wal/{}", names[1]);
    let output = cluster.ours(&["archive-push", &path]).current_dir(&copy).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("but the stanza's is"), "{}", said(&output));
    // Another cluster in the same place.
    let initdb = PathBuf::from("/usr/lib/postgresql/15/bin/initdb");
    let other = cluster.path("other");
    run(cluster.command(&initdb).args(["--no-sync", "--wal-segsize=1", "-D"]).arg(&other));
    let pg_path = format!("--pg1-path={}", other.display());
    let entries = fs::read_dir(other.join("pg_wal")).unwrap();
    let files = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    // The others are prepared for the future.
    let segment = files.filter(|name| name.len() == 24).min().unwrap();
    let output = cluster
        .ours(&[&pg_path, "archive-push", &format!("pg_wal/{segment}")])
        .current_dir(&other)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("repo1 archives PostgreSQL 15 with system identifier"),
        "{}",
        said(&output)
    );
    fs::write(cluster.data().join("pgmayday.quarantine"), "").unwrap();
    cluster.expect(&[], &names[1], 3, "marks this data directory as a copy");
    assert_eq!((cluster.files(1), cluster.files(2)), before);
}

#[test]
fn no_failure_has_an_exit_code_that_takes_the_archiver_down() {
    let Some(mut cluster) = Cluster::make("") else { return };
    let name = cluster.stalled(1).remove(0);
    let path = format!("pg_wal/{name}");
    let code = |arguments: &[&str]| {
        let output =
            cluster.command(cluster.program()).args(arguments).current_dir(cluster.data()).output().unwrap();
        let code = output.status.code().unwrap();
        assert!((1..=7).contains(&code), "{arguments:?}: {code}\n{}", said(&output));
        assert!(!output.stderr.is_empty());
    };
    let config = format!("--config={}", cluster.config().display());
    let stanza = format!("--stanza={STANZA}");
    for arguments in [
        &["archive-push"][..],
        &["archive-push", &path],
        &["archive-push", &path, "--no-such-option"],
        &["--config=/does/not/exist", &stanza, "archive-push", &path],
        &[&config, "--stanza=other", "archive-push", &path],
        &[&config, &stanza, "archive-push"],
        &[&config, &stanza, "archive-push", &path, "more"],
        &[&config, &stanza, "archive-push", "pg_wal/000000010000000000000099"],
        &[&config, &stanza, "archive-push", "pg_wal/archive_status"],
        &[&config, &stanza, "archive-push", ""],
        &[&config, &stanza, "--archive-async", "--spool-path=/proc", "archive-push", &path],
        &[&config, &stanza, "--compress-type=gz", "--compress-level=99", "archive-push", &path],
        &[
            &config,
            &stanza,
            "--lock-path=/proc/nothing",
            "--archive-async",
            "--archive-timeout=1",
            "archive-push",
            &path,
        ],
        &[&config, &stanza, "archive-push", "--attend-archive"],
    ] {
        code(arguments);
    }
    fs::write(cluster.path(&format!("lock/{STANZA}.stop")), "").unwrap();
    code(&[&config, &stanza, "archive-push", &path]);
    fs::remove_file(cluster.path(&format!("lock/{STANZA}.stop"))).unwrap();
    assert!(cluster.files(1).iter().all(|file| !file.contains(&name)));
    cluster.expect(&[], &name, 0, "");
}

#[test]
fn what_the_queue_limit_drops_is_told_and_on_record() {
    let Some(mut cluster) = Cluster::make("archive-push-queue-max=2MiB") else { return };
    let names = cluster.stalled(4);
    for mode in ["--no-archive-async", "--archive-async"] {
        cluster.expect(&[mode], &names[0], 0, "NOT archived: dropped because");
    }
    let record = fs::read_to_string(cluster.path(&format!("state/archive-push/{STANZA}.dropped"))).unwrap();
    assert_eq!(record.lines().count(), 1 + names.len(), "{record}");
    assert!(cluster.files(1).iter().all(|file| !file.contains(&names[0])));
    // Who waits longest for an answer is not who gets it: pgBackRest takes the word of the status file.
    wait_for("the background process ends", || kill::pushers(&cluster).is_empty());
    let theirs = cluster.pgbackrest(&["--archive-async", "archive-push", &format!("pg_wal/{}", names[1])]);
    assert!(said(&succeeded(theirs)).contains("NOT archived"));
}

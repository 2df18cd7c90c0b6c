//! Archiving under load: a server that writes without pause while its pushers are killed and a repository is full, then
//! read-only. Afterwards nothing is missing, and a recovery to the last commit has every row.
//!
//! `PGMAYDAY_LOAD_SECONDS` (30) is shared by the synchronous and the asynchronous run.

use super::cluster::{Cluster, said, succeeded};
use super::kill;
use pgmayday::cluster::owner::is_root;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const KILLS: usize = 20;

/// The second repository, on a filesystem of its own where this may mount one.
struct Island {
    folder: PathBuf,
    mounted: bool,
}

impl Drop for Island {
    fn drop(&mut self) {
        if self.mounted {
            drop(Command::new("umount").arg("-l").arg(&self.folder).status());
        }
    }
}

impl Island {
    /// Mounts it over the empty folder of the repository.
    fn new(folder: PathBuf, mount: bool) -> Self {
        let mounted = mount
            && Command::new("mount")
                .args(["-t", "tmpfs", "-o", "size=512m", "none"])
                .arg(&folder)
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success());
        if !mounted {
            eprintln!("skipped: a full and a read-only filesystem (this may not mount one)");
        }
        Self { folder, mounted }
    }

    /// Lets it be written to or not; the system refuses as long as a file is open for writing.
    fn remount(&self, how: &str) {
        super::wait_for("the filesystem is mounted anew", || {
            let mut mount = Command::new("mount");
            mount.args(["-o", &format!("remount,{how}")]).arg(&self.folder).stderr(Stdio::null());
            mount.status().is_ok_and(|status| status.success())
        });
    }

    fn lock(&self) {
        self.remount("ro");
    }

    fn unlock(&self) {
        self.remount("rw");
    }

    /// Fills the filesystem to its last byte.
    fn fill(&self) {
        let mut filler = fs::File::create(self.folder.join("filler")).unwrap();
        for size in [1 << 20, 4096, 1] {
            while filler.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn clear(&self) {
        fs::remove_file(self.folder.join("filler")).unwrap();
    }
}

/// Stops the writer whatever happens.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Inserts rows one by one until it is told to stop; gives the number of the last one that was committed.
fn write_rows(cluster: &Cluster, stop: &AtomicBool) -> u64 {
    let mut psql = cluster.psql("");
    let mut child = psql.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut answers = BufReader::new(from).lines();
    let mut last = 0;
    while !stop.load(Ordering::Acquire) {
        let row = last + 1;
        let pad = "(select string_agg(md5(random()::text), '') from generate_series(1, 40))";
        writeln!(to, "insert into load values ({row}, {pad}) returning id;").unwrap();
        assert_eq!(answers.next().unwrap().unwrap(), row.to_string());
        last = row;
    }
    drop(to);
    assert!(child.wait().unwrap().success());
    last
}

/// What the server's log says when the second repository is full, and when it is read-only.
const TROUBLES: [&str; 2] = ["No space left on device", "Read-only file system"];

/// Kills pushers and breaks the second repository for a while, as long as `time` says and until enough were killed.
fn torment(cluster: &Cluster, island: &Island, time: Duration, dice: &mut kill::Dice) -> usize {
    let begun = Instant::now();
    let mut killed = 0;
    let mut kill_until = |until: Duration, most: usize| {
        let mut next = begun.elapsed();
        while begun.elapsed() < until || (killed < most && begun.elapsed() < time * 5) {
            if killed < KILLS && begun.elapsed() >= next {
                let now = kill::kill_pushers(cluster);
                killed += now;
                let pause_ms = u64::try_from(time.as_millis()).unwrap() / 25;
                let pause_ms = if now == 0 { 0 } else { dice.below(pause_ms * 2) };
                next = begun.elapsed() + Duration::from_millis(pause_ms);
            }
            std::thread::sleep(Duration::from_micros(500 + dice.below(3000)));
        }
    };
    for (share, [trouble, relief]) in
        [(4, [Island::fill as fn(&Island), Island::clear]), (2, [Island::lock, Island::unlock])]
    {
        kill_until(time / share, 0);
        if island.mounted {
            let known = TROUBLES.map(|trouble| cluster.log().matches(trouble).count());
            trouble(island);
            // Nobody is killed until the trouble was noticed, or it might never be.
            super::wait_for("the trouble is told", || {
                TROUBLES.map(|trouble| cluster.log().matches(trouble).count()) != known
            });
            kill_until(begun.elapsed() + time / 10, 0);
            relief(island);
        }
    }
    kill_until(time, KILLS);
    killed
}

fn under_load(options: &str, restore_with_ours: bool) {
    let seconds: u64 =
        std::env::var("PGMAYDAY_LOAD_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(30);
    let time = Duration::from_secs((seconds / 2).max(5));
    let Some(mut cluster) = Cluster::make(options) else { return };
    let mut dice = kill::Dice(kill::knobs().1);
    // The filesystem comes under the stanza that was made already.
    let (repo2, aside) = (cluster.path("repo2"), cluster.path("aside"));
    fs::rename(&repo2, &aside).unwrap();
    fs::create_dir(&repo2).unwrap();
    let island = Island::new(repo2.clone(), is_root());
    for entry in fs::read_dir(&aside).unwrap() {
        let from = entry.unwrap().path();
        assert!(Command::new("cp").arg("-a").arg(&from).arg(&repo2).status().unwrap().success());
    }
    cluster.give(&repo2);
    // A killed pusher must look like a failed one: at a signal PostgreSQL restarts its archiver, which takes 10 s.
    cluster.archive_with(&format!("{} || exit 1", cluster.archive_command(true)));
    cluster.ask("create table load (id int primary key, pad text)");
    for key in [1, 2] {
        succeeded(cluster.pgbackrest(&[&format!("--repo={key}"), "--type=full", "backup"]));
    }
    let first = cluster.switch();
    let stop = AtomicBool::new(false);
    let (committed, killed) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| write_rows(&cluster, &stop));
        let stopping = Stop(&stop);
        let killed = torment(&cluster, &island, time, &mut dice);
        drop(stopping);
        (writer.join().unwrap(), killed)
    });
    let rows = "select count(*), max(id), md5(string_agg(id||':'||pad, ',' order by id)) from load";
    let before = cluster.ask(rows);
    assert!(before.starts_with(&format!("{committed}|{committed}|")), "{before}");
    let target = cluster.ask("select pg_current_wal_lsn()");
    let last = cluster.switch();
    cluster.ask("select pg_reload_conf()");
    cluster.wait_archived(&last);
    eprintln!("{options:?}: {committed} rows, segments {first} to {last}, {killed} pushers killed");
    assert!(killed >= KILLS, "only {killed} pushers were killed");
    cluster.stop();
    for key in [1, 2] {
        cluster.assert_no_gap(key, &first, &last);
        let verified = said(&succeeded(cluster.pgbackrest(&[&format!("--repo={key}"), "verify"])));
        assert!(!verified.contains("error") && !verified.contains("missing"), "{verified}");
    }
    let log = cluster.log();
    if island.mounted {
        for trouble in TROUBLES {
            assert!(log.contains(trouble), "'{trouble}' never happened:\n{log}");
        }
    }
    recover(&cluster, restore_with_ours, &target, rows, &before);
}

/// Restores from the repository that was tormented, recovers to the last commit and compares the rows.
fn recover(cluster: &Cluster, with_ours: bool, target: &str, rows: &str, expected: &str) {
    let restored = cluster.path("restored");
    fs::create_dir(&restored).unwrap();
    cluster.give(&restored);
    let path = format!("--pg1-path={}", restored.display());
    let lsn = format!("--target={target}");
    let options = ["--repo=2", &path, "--type=lsn", &lsn, "--target-action=promote", "--archive-mode=off"];
    if with_ours {
        let arguments = [&options[..], &["--accept=running-unknown", "restore"]].concat();
        succeeded(cluster.ours(&arguments).current_dir("/").output().unwrap());
    } else {
        succeeded(cluster.pgbackrest(&[&options[..], &["restore"]].concat()));
    }
    fs::set_permissions(&restored, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let server = cluster.serve(Path::new(&restored));
    assert_eq!(cluster.ask(rows), expected);
    cluster.stop_server(server);
}

#[test]
fn nothing_is_lost_under_load_when_each_call_pushes() {
    under_load("compress-type=zst\nprocess-max=2", false);
}

#[test]
fn nothing_is_lost_under_load_in_the_background() {
    under_load("compress-type=lz4\nprocess-max=2\narchive-async=y", true);
}

//! Pushers killed at any moment: nothing half-written is ever visible, and the next attempt succeeds.

use super::cluster::{Cluster, STANZA, said, succeeded, wait_for};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::time::{Duration, Instant};

/// The processes of the program under test that push for this cluster, foreground and background.
pub(crate) fn pushers(cluster: &Cluster) -> Vec<i32> {
    let config = format!("--config={}", cluster.config().display());
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        let ours = words.first().is_some_and(|word| word.ends_with(b"pgmayday"));
        if ours && words.contains(&config.as_bytes()) && words.contains(&&b"archive-push"[..]) {
            pids.push(pid);
        }
    }
    pids
}

/// Kills every pusher; gives how many there were.
pub(crate) fn kill_pushers(cluster: &Cluster) -> usize {
    let killed = pushers(cluster)
        .into_iter()
        .filter(|pid| Pid::from_raw(*pid).is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok()));
    killed.count()
}

/// How many kills, and a seed for their moments.
pub(crate) fn knobs() -> (u32, u64) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("PGMAYDAY_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    eprintln!("PGMAYDAY_SEED={seed}");
    (number("PGMAYDAY_KILLS").and_then(|kills| u32::try_from(kills).ok()).unwrap_or(30), seed)
}

/// Reproducible numbers; quality does not matter.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound.max(1)
    }
}

#[test]
fn a_push_killed_at_any_moment_leaves_nothing_half_done() {
    let Some(mut cluster) = Cluster::make("compress-type=zst") else { return };
    let (kills, seed) = knobs();
    let mut dice = Dice(seed);
    let names = cluster.stalled(usize::try_from(kills).unwrap().clamp(4, 40));
    let path = |name: &str| format!("pg_wal/{name}");
    let begun = Instant::now();
    cluster.expect(&[], &names[0], 0, "");
    let whole_us = u64::try_from(begun.elapsed().as_micros()).unwrap();
    let (mut cut_short, mut left_over) = (0, 0);
    for turn in 0..kills {
        let name = &names[1 + usize::try_from(turn).unwrap() % (names.len() - 1)];
        let before = cluster.files(1).len() + cluster.files(2).len();
        let mut child = cluster.ours(&["archive-push", &path(name)]).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(dice.below(whole_us * 6 / 5)));
        child.kill().unwrap();
        let died = child.wait().unwrap().code().is_none();
        cut_short += u32::from(died);
        // Reads and proves everything that is visible.
        for key in [1, 2] {
            cluster.proven(key);
            left_over += cluster.files(key).iter().filter(|file| file.ends_with(".pgbackrest.tmp")).count();
        }
        cluster.expect(&["--no-archive-mode-check"], name, 0, "");
        for key in [1, 2] {
            let stored = cluster.proven(key);
            let found = stored.iter().filter(|stored| stored.segment.to_string() == *name).count();
            assert_eq!(found, 1, "{name} after a kill");
            assert!(!cluster.files(key).iter().any(|file| file.ends_with(".pgbackrest.tmp")), "left behind");
        }
        assert!(cluster.files(1).len() + cluster.files(2).len() >= before);
    }
    eprintln!("{cut_short} of {kills} were killed in time, {left_over} left a temporary file");
    assert!(cut_short > kills / 4, "only {cut_short} of {kills} were killed before they had ended");
}

#[test]
fn a_killed_background_process_is_replaced_by_the_next_call() {
    let Some(mut cluster) = Cluster::make("compress-type=zst\narchive-async=y\nprocess-max=2") else {
        return;
    };
    let (kills, seed) = knobs();
    let mut dice = Dice(seed);
    let names = cluster.stalled(12);
    let mut killed = 0;
    for turn in 0..kills {
        let name = &names[usize::try_from(turn).unwrap() % names.len()];
        let mut call = cluster.ours(&["archive-push", &format!("pg_wal/{name}")]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(dice.below(120)));
        for pid in pushers(&cluster) {
            if u32::try_from(pid).unwrap() != call.id() {
                let pid = Pid::from_raw(pid).unwrap();
                killed += u32::from(kill_process(pid, Signal::KILL).is_ok());
            }
        }
        assert!(call.wait().unwrap().success(), "{name}");
        for key in [1, 2] {
            let stored = cluster.proven(key);
            assert_eq!(
                stored.iter().filter(|stored| stored.segment.to_string() == *name).count(),
                1,
                "{name}"
            );
        }
        // Half of the time everything is to be done anew.
        if turn % 2 == 0 {
            kill_pushers(&cluster);
            wait_for("they are gone", || pushers(&cluster).is_empty());
            for key in [1, 2] {
                fs::remove_dir_all(cluster.path(&format!("repo{key}/archive/made/15-1"))).unwrap();
            }
            fs::remove_dir_all(cluster.path("spool/archive")).unwrap();
        }
    }
    assert!(killed > kills / 4, "only {killed} were killed");
    wait_for("the background process ends by itself", || pushers(&cluster).is_empty());
}

#[test]
fn the_background_process_is_cut_loose_and_ends_by_itself() {
    let Some(mut cluster) = Cluster::make("archive-async=y") else { return };
    let names = cluster.stalled(2);
    cluster.expect(&[], &names[0], 0, "");
    let ok = cluster.path(&format!("spool/archive/{STANZA}/out/{}.ok", names[1]));
    wait_for("all that waits is pushed ahead", || ok.exists());
    let pids = pushers(&cluster);
    let [pid] = pids[..] else { panic!("{pids:?}") };
    let process = std::path::PathBuf::from(format!("/proc/{pid}"));
    assert_eq!(fs::read_link(process.join("cwd")).unwrap(), std::path::Path::new("/"));
    let stat = fs::read_to_string(process.join("stat")).unwrap();
    let session = stat.rsplit(") ").next().unwrap().split(' ').nth(3).unwrap().to_owned();
    assert_eq!(session, pid.to_string(), "it leads its own session");
    for entry in fs::read_dir(process.join("fd")).unwrap().flatten() {
        let target = fs::read_link(entry.path()).unwrap_or_default();
        assert!(!target.starts_with(cluster.data()), "it holds {}", target.display());
    }
    // pgBackRest respects its lock, and nothing but archiving is kept from working.
    let begun = Instant::now();
    let info = succeeded(cluster.pgbackrest(&["info"]));
    assert!(said(&info).contains("wal archive min/max"), "{}", said(&info));
    wait_for("it ends", || pushers(&cluster).is_empty());
    assert!(begun.elapsed() < Duration::from_secs(30));
}

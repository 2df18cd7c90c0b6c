//! `kill -9` in the middle of a restore, then the same command again: the same result, and work is not done twice.
//! Between the two nothing there can start. `PGMAYDAY_KILLS` sets how many kills.

use crate::common::random::{Random, number};
use crate::common::servers::{self, Primary, STANZA};
use crate::common::tree::{self, Tree};
use crate::common::{Case, Run, stand_in, work_root};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

/// Bytes the restored cluster must have at least: with less, a kill hardly ever hits the copy itself.
const BYTES: u64 = 300 << 20;

/// How many kills, unless the environment says otherwise; and in an endurance run.
const KILLS: usize = 8;
const MANY_KILLS: usize = 50;

const OPTIONS: &str = "repo1-cipher-type=aes-256-cbc\nrepo1-cipher-pass=kill-test\nrepo1-bundle=y\ncompress-type=zst\ncompress-level=1\n";

const ARGUMENTS: [&str; 3] = ["--type=immediate", "--archive-mode=off", "--process-max=2"];

/// The repository, made by real tools once and kept below the target directory.
fn repository() -> Option<PathBuf> {
    let bin = servers::postgres("15", "kill")?;
    let kept = work_root().join("kill-repo-3");
    // Two tests want it, perhaps in two processes: one makes it.
    let lock = File::create(kept.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    if kept.exists() {
        return Some(kept);
    }
    servers::pgbackrest("kill")?;
    let primary = Primary::make(&bin, OPTIONS);
    let server = primary.server();
    // The WAL of the load is in nobody's way: the backup starts after it.
    server.ask("alter system set archive_command = '/bin/true'");
    server.ask("select pg_reload_conf()");
    // Files of some 12 MB: a file that was cut short is written anew, so many are needed to see work reused.
    server.ask(
        "do $$ begin for n in 1..28 loop execute format('create table part_%s as select id, md5((id * %s)::text) as a, repeat(md5((id %% 97)::text), 2) as b from generate_series(1, 90000) id', n, n); end loop; end $$",
    );
    server.ask("do $$ begin for n in 1..200 loop execute format('create table small_%s as select generate_series(1, 300) as id', n); end loop; end $$");
    server.ask("alter system reset archive_command");
    server.ask("select pg_reload_conf()");
    primary.archive_all();
    primary.pgbackrest("backup", &["--type=full"]);
    Some(primary.keep_repo("kill-repo-3"))
}

fn case() -> Option<Case> {
    let template = format!(
        "[global]\nrepo1-path=@REPO1@\n{OPTIONS}lock-path=@LOCK@\nlog-path=@LOG@\nspool-path=@SPOOL@\nlog-level-console=warn\nlog-level-file=off\n\n[{STANZA}]\npg1-path=@PGDATA@\n"
    );
    Some(Case::on(&repository()?, STANZA, &template))
}

fn restore(case: &Case) -> Run {
    let mut command = case.restore_command();
    command.args(ARGUMENTS);
    if !stand_in() {
        command.arg("--output=json");
    }
    Run::of(&mut command).ok()
}

/// The tree with the settings file emptied: it carries the time of the restore.
fn result(case: &Case) -> Tree {
    let mut tree = tree::list(&case.dest());
    if let Some(entry) = tree.get_mut("pgdata/postgresql.auto.conf") {
        entry.size.clear();
        entry.content.clear();
    }
    tree
}

/// Starts a restore and kills it once this many bytes are in the target; gives whether it was still running.
fn killed_at(case: &Case, bytes: u64) -> bool {
    let mut command = case.restore_command();
    let mut child = command.args(ARGUMENTS).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while size_of(&case.dest()) < bytes && child.try_wait().unwrap().is_none() {
        sleep(Duration::from_millis(2));
    }
    let running = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    let _status = child.wait().unwrap();
    running
}

/// The sizes of all files below a folder, as they are while somebody writes there.
fn size_of(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => size_of(&entry.path()),
        meta => meta.map_or(0, |meta| meta.len()),
    };
    entries.map(size).sum()
}

#[test]
fn at_random_moments_and_run_again() {
    let Some(case) = case() else { return };
    let first = restore(&case);
    let wanted = result(&case);
    let bytes: u64 = wanted.values().filter_map(|entry| entry.size.parse::<u64>().ok()).sum();
    assert!(bytes >= BYTES, "only {bytes} bytes");
    if stand_in() {
        return;
    }
    assert_eq!(first.json()["bytes_reused"], 0, "{first}");
    let kills = u32::try_from(number("PGMAYDAY_KILLS", KILLS, MANY_KILLS)).unwrap();
    let mut random = Random::seeded("kill");
    let mut hit = 0;
    for turn in 0..kills {
        case.fresh();
        // Anywhere in its own slice, so that every part of a restore is hit.
        let aim = u64::from(turn) * bytes / u64::from(kills) + random.below(bytes / u64::from(kills));
        if !killed_at(&case, aim) {
            continue;
        }
        hit += 1;
        assert!(!case.pgdata().join("global/pg_control").exists(), "a killed restore could start");
        let there =
            tree::list(&case.dest()).values().filter_map(|entry| entry.size.parse::<u64>().ok()).sum::<u64>();
        let run = restore(&case);
        let differences = tree::differences(&wanted, &result(&case));
        assert!(differences.is_empty(), "killed at {aim} bytes: {differences:#?}\n{run}");
        let reused = run.json()["bytes_reused"].as_u64().unwrap();
        eprintln!("killed at {aim} of {bytes} bytes: {there} were there, {reused} reused");
        assert!(there < bytes / 4 || reused > 0, "nothing reused of {there} bytes\n{run}");
    }
    assert!(hit * 2 >= kills, "only {hit} of {kills} kills hit a running restore");
}

#[test]
fn another_request_does_not_take_over_a_killed_one() {
    let Some(case) = case() else { return };
    if stand_in() {
        return;
    }
    restore(&case);
    let bytes = size_of(&case.dest());
    let mut running = false;
    for divisor in [2, 3, 4, 6] {
        case.fresh();
        running = killed_at(&case, bytes / divisor);
        if running {
            break;
        }
    }
    assert!(running, "the restore was never hit");
    let before = tree::list(&case.dest());
    let run = case.restore(&["--type=none"]).refused(&[3]);
    assert_eq!(before, tree::list(&case.dest()), "refused, yet it wrote\n{run}");
    if let Some(bin) = servers::postgres("15", "kill") {
        servers::assert_refuses_to_start(&bin, &case.pgdata());
    }
    restore(&case);
}

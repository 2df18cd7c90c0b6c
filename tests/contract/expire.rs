//! Expire and annotate on repositories that real pgBackRest made of a real cluster: what is left is what pgBackRest leaves,
//! it can be used by both, a kill in the middle does no harm, and nobody works beside a running backup.
//! `PGMAYDAY_KILLS` sets how many kills.

use crate::common::random::{Random, number};
use crate::common::servers::{self, Primary, STANZA, Server, Settled};
use crate::common::tree::{self, Tree};
use crate::common::{Case, Run, as_user, program, run, scratch, stand_in, work_root};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How many kills, unless the environment says otherwise; and in an endurance run.
const KILLS: usize = 10;
const MANY_KILLS: usize = 50;

const OPTIONS: &str =
    "repo1-cipher-type=aes-256-cbc\nrepo1-cipher-pass=expire-test\ncompress-type=lz4\ncompress-level=1\n";

/// The kinds of the backups, in their order.
const CALENDAR: [&str; 8] = ["full", "incr", "diff", "incr", "full", "diff", "incr", "full"];

/// A cluster that writes, and is backed up once for every kind, with WAL before, between and after.
fn live(test: &str, kinds: &[&str]) -> Option<Primary> {
    if stand_in() {
        return None;
    }
    let bin = servers::postgres("15", test)?;
    servers::pgbackrest(test)?;
    let primary = Primary::make(&bin, OPTIONS);
    write(&primary);
    for kind in kinds {
        back_up(&primary, kind);
        write(&primary);
    }
    Some(primary)
}

/// Some rows, and a segment of WAL for them.
fn write(primary: &Primary) {
    let server = primary.server();
    server.ask("create table if not exists ledger (id serial primary key, note text)");
    server.ask("insert into ledger (note) select md5(random()::text) from generate_series(1, 500)");
    primary.archive_all();
}

fn back_up(primary: &Primary, kind: &str) {
    primary.pgbackrest("backup", &[&format!("--type={kind}"), "--no-expire-auto"]);
}

/// Both programs with one configuration, on whatever repository.
struct Tools {
    config: PathBuf,
}

impl Tools {
    fn command(&self, program: impl AsRef<std::ffi::OsStr>, repo: &Path, name: &str) -> Command {
        let mut command = as_user(program);
        command.arg(format!("--config={}", self.config.display())).arg(format!("--stanza={STANZA}"));
        command.arg(format!("--repo1-path={}", repo.display())).arg(name);
        command
    }

    fn ours(&self, repo: &Path, name: &str) -> Command {
        self.command(program(), repo, name)
    }

    fn theirs(&self, repo: &Path, name: &str, options: &[&str]) -> String {
        run(self.command("/usr/bin/pgbackrest", repo, name).args(options))
    }

    fn info(&self, repo: &Path) -> String {
        self.theirs(repo, "info", &["--output=json"])
    }

    fn labels(&self, repo: &Path) -> Vec<String> {
        labels(&self.info(repo))
    }

    /// Every listed backup is whole: pgBackRest reads every file of it and of what it needs.
    fn assert_valid(&self, repo: &Path) {
        let text = self.theirs(repo, "verify", &["--output=text", "--verbose"]);
        for label in self.labels(repo) {
            assert!(text.contains(&format!("backup: {label}, status: valid")), "{label}\n{text}");
        }
    }
}

/// A repository that nobody writes to any more, made once by real tools and kept below the target directory; copies of it.
struct Kept {
    repo: PathBuf,
    case: Case,
}

impl Kept {
    fn new() -> Option<Self> {
        if stand_in() {
            return None;
        }
        servers::pgbackrest("expire")?;
        let repo = work_root().join("expire-repo-1");
        // Two tests want it, perhaps in two processes: one makes it.
        let lock = File::create(repo.with_extension("lock")).unwrap();
        lock.lock().unwrap();
        if !repo.exists() {
            live("expire", &CALENDAR)?.keep_repo("expire-repo-1");
        }
        let template = format!(
            "[global]\nrepo1-path=@REPO1@\n{OPTIONS}lock-path=@LOCK@\nlog-path=@LOG@\nspool-path=@SPOOL@\nlog-level-console=warn\nlog-level-file=off\n\n[{STANZA}]\npg1-path=@PGDATA@\n"
        );
        let case = Case::on(&repo, STANZA, &template);
        Some(Self { repo, case })
    }

    fn tools(&self) -> Tools {
        Tools { config: self.case.path("pgbackrest.conf") }
    }

    fn copy(&self, name: &str) -> PathBuf {
        let copy = self.case.path(name);
        if copy.exists() {
            fs::remove_dir_all(&copy).unwrap();
        }
        run(as_user("cp").args(["-a", "--reflink=auto"]).arg(&self.repo).arg(&copy));
        copy
    }
}

fn labels(info: &str) -> Vec<String> {
    let info: Value = serde_json::from_str(info).unwrap();
    let backups = info[0]["backup"].as_array().unwrap();
    backups.iter().map(|backup| backup["label"].as_str().unwrap().to_owned()).collect()
}

/// Everything below a repository but the info files: each program puts its own name into those.
fn contents(repo: &Path) -> Tree {
    let mut tree = tree::list_all(repo);
    tree.retain(|path, _| !path.contains("backup.info"));
    tree
}

/// The labels in the lines of pgBackRest's log that begin so.
fn said(log: &str, what: &str) -> BTreeSet<String> {
    let words = log.lines().filter(|line| line.contains(what)).flat_map(str::split_whitespace);
    let label = |word: &&str| word.len() >= 16 && word.as_bytes()[8] == b'-' && word.as_bytes()[15] == b'F';
    words.map(|word| word.trim_end_matches(',')).filter(label).map(str::to_owned).collect()
}

#[test]
fn leaves_what_pgbackrest_leaves() {
    let Some(made) = Kept::new() else { return };
    let tools = made.tools();
    let all = tools.labels(&made.repo);
    let (first, diff) = (format!("--set={}", all[0]), format!("--set={}", all[2]));
    let newest = format!("--set={}", all[7]);
    let matrix: &[&[&str]] = &[
        &["--repo1-retention-full=1"],
        &["--repo1-retention-full=2"],
        &["--repo1-retention-full=3", "--repo1-retention-archive=1"],
        &["--repo1-retention-full=2", "--repo1-retention-diff=1"],
        &["--repo1-retention-diff=2"],
        &["--repo1-retention-full=9", "--repo1-retention-archive=2", "--repo1-retention-archive-type=diff"],
        &["--repo1-retention-full=9", "--repo1-retention-archive=3", "--repo1-retention-archive-type=incr"],
        &["--repo1-retention-full=1", "--repo1-retention-full-type=time"],
        &["--repo1-retention-full=1", "--repo1-retention-history=0"],
        &["--repo1-retention-full=1", "--repo1-retention-history=30"],
        &[&first],
        &[&diff, "--repo1-retention-full=9", "--repo1-retention-archive=1"],
        &[&newest],
    ];
    let mut removed = 0;
    for (turn, options) in matrix.iter().enumerate() {
        let (a, b) = (made.copy("a"), made.copy("b"));
        let before = tree::list_all(&a);
        let plan =
            Run::of(tools.ours(&a, "expire").args(*options).args(["--dry-run", "--output=json"])).ok().json();
        assert_eq!(before, tree::list_all(&a), "{options:?}: a dry run changed something");
        let dry =
            tools.theirs(&b, "expire", &[*options, &["--dry-run", "--log-level-console=detail"]].concat());
        let view = &plan["repos"][0]["expire"];
        let expired = view["expired"]
            .as_array()
            .unwrap()
            .iter()
            .map(|reason| reason["label"].as_str().unwrap().to_owned());
        assert_eq!(
            expired.collect::<BTreeSet<_>>(),
            said(&dry, "repo1: expire "),
            "{options:?}\n{plan}\n{dry}"
        );
        Run::of(tools.ours(&a, "expire").args(*options)).ok();
        tools.theirs(&b, "expire", options);
        let differences = tree::differences(&contents(&b), &contents(&a));
        assert!(differences.is_empty(), "{options:?}: {differences:#?}\n{plan}\n{dry}");
        assert_eq!(tools.info(&a), tools.info(&b), "{options:?}");
        removed += before.len() - tree::list_all(&a).len();
        // Reading everything takes its time.
        if turn % 4 == 0 {
            tools.assert_valid(&a);
        }
    }
    assert!(removed > 1000, "{removed}");
}

#[test]
fn what_is_left_restores_and_is_backed_up_further() {
    let Some(primary) = live("expire", &["full", "incr", "full", "incr", "full"]) else { return };
    let tools = Tools { config: primary.config() };
    let repo = primary.repo();
    let all = tools.labels(&repo);
    let oldest = format!("--set={}", all[0]);
    // The first set is pinned, though only two are kept, and WAL for one; and so it goes on reaching what it is pinned for.
    let point = primary.server().ask("select pg_walfile_name(pg_create_restore_point('before-it'))");
    primary.archive_all();
    let pins =
        ["--annotation=pgmayday-pin=before-it".to_owned(), format!("--annotation=pgmayday-pin-wal={point}")];
    Run::of(tools.ours(&repo, "annotate").arg(&oldest).args(&pins)).ok();
    let notes = tools.theirs(&repo, "info", &[&oldest, "--output=json"]);
    assert!(notes.contains("before-it") && notes.contains(&point), "{notes}");
    write(&primary);
    back_up(&primary, "full");
    write(&primary);
    let keep = ["--repo1-retention-full=2", "--repo1-retention-archive=1"];
    let run_ours = Run::of(tools.ours(&repo, "expire").args(keep)).ok();
    let left = tools.labels(&repo);
    assert_eq!(left.len(), 3, "{run_ours}");
    assert!(left[0] == all[0] && left[1] == all[4], "{left:?}");
    tools.assert_valid(&repo);
    assert_eq!(fs::read_link(repo.join(format!("backup/{STANZA}/latest"))).unwrap(), Path::new(&left[2]));
    // pgBackRest restores each; PostgreSQL becomes consistent with the WAL that is left, and reaches the pinned point.
    let cases: &[(usize, &[&str])] = &[
        (0, &["--type=immediate", "--target-action=promote"]),
        (0, &["--type=name", "--target=before-it", "--target-action=promote"]),
        (1, &["--type=immediate", "--target-action=promote"]),
        (2, &[]),
    ];
    for (index, options) in cases {
        let home = scratch("restored-");
        let pg = home.path().join("pg");
        fs::create_dir(&pg).unwrap();
        crate::common::give(&pg);
        run(as_user("chmod").arg("700").arg(&pg));
        let (set, path) = (format!("--set={}", left[*index]), format!("--pg1-path={}", pg.display()));
        primary.pgbackrest(
            "restore",
            &[&[set.as_str(), path.as_str(), "--archive-mode=off"], *options].concat(),
        );
        let mut server = Server::start(primary.bin(), &pg, &[]);
        assert_eq!(server.settle(), Settled::Writable, "{set} {options:?}\n{}", server.log());
        assert!(server.ask("select count(*) from ledger").parse::<u64>().unwrap() > 0);
        server.stop();
    }
    for kind in ["incr", "diff", "full"] {
        back_up(&primary, kind);
    }
    assert_eq!(tools.labels(&repo).len(), 6);
    tools.assert_valid(&repo);
    // Each program notes beside the other's notes.
    tools.theirs(&repo, "annotate", &[&oldest, "--annotation=theirs=1"]);
    Run::of(
        tools
            .ours(&repo, "annotate")
            .arg(&oldest)
            .args(["--annotation=ours=2", "--annotation=pgmayday-pin-wal="]),
    )
    .ok();
    let notes = tools.theirs(&repo, "info", &[&oldest, "--output=json"]);
    assert!(
        notes.contains("\"theirs\":\"1\"") && notes.contains("\"ours\":\"2\"") && !notes.contains(&point),
        "{notes}"
    );
}

#[test]
fn a_kill_at_any_moment_does_no_harm() {
    let Some(made) = Kept::new() else { return };
    let tools = made.tools();
    let options = ["--repo1-retention-full=1", "--repo1-retention-archive=1", "--repo1-retention-history=0"];
    let whole = made.copy("whole");
    let begun = Instant::now();
    Run::of(tools.ours(&whole, "expire").args(options)).ok();
    let took = begun.elapsed();
    let wanted = contents(&whole);
    let mut random = Random::seeded("expire");
    let kills = number("PGMAYDAY_KILLS", KILLS, MANY_KILLS);
    let (mut hit, mut halfway) = (0, 0);
    for turn in 0..kills {
        let repo = made.copy("killed");
        let before = contents(&repo).len();
        let mut child = tools
            .ours(&repo, "expire")
            .args(options)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Anywhere in its own slice of the time a whole run took.
        let slice = u64::try_from(took.as_micros()).unwrap() / kills as u64;
        sleep(Duration::from_micros(turn as u64 * slice + random.below(slice.max(1))));
        let running = child.try_wait().unwrap().is_none();
        child.kill().unwrap();
        let _status = child.wait().unwrap();
        hit += usize::from(running);
        let left = contents(&repo).len();
        halfway += usize::from(left < before && left > wanted.len());
        // Both read it as it is, and what they list is whole.
        let ours = Run::of(tools.ours(&repo, "info").arg("--output=json")).ok();
        assert_eq!(labels(&ours.out), tools.labels(&repo), "{ours}");
        assert_eq!(ours.json()[0]["status"]["code"], 0, "{ours}");
        tools.assert_valid(&repo);
        let again = Run::of(tools.ours(&repo, "expire").args(options)).ok();
        let differences = tree::differences(&wanted, &contents(&repo));
        assert!(differences.is_empty(), "turn {turn}: {differences:#?}\n{again}");
        assert_eq!(tools.info(&repo), tools.info(&whole), "turn {turn}");
    }
    eprintln!(
        "expire: {kills} kills, {hit} hit a running one, {halfway} left it half done; a run takes {took:?}"
    );
    assert!(hit * 2 >= kills && halfway > 0, "{hit} of {kills} kills hit, {halfway} half done");
}

#[test]
fn nothing_is_removed_while_pgbackrest_makes_a_backup() {
    let Some(primary) = live("expire", &["full", "full"]) else { return };
    let tools = Tools { config: primary.config() };
    let repo = primary.repo();
    // It waits for a checkpoint that nobody hurries.
    let mut backup = primary.pgbackrest_command("backup");
    backup
        .args(["--type=full", "--no-start-fast", "--no-expire-auto"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut running = backup.spawn().unwrap();
    let begun = Instant::now();
    let set = format!("--set={}", tools.labels(&repo)[0]);
    let lock = repo.with_file_name("lock").join(format!("{STANZA}-backup.lock"));
    while fs::metadata(&lock).map_or(0, |meta| meta.len()) == 0 {
        assert!(running.try_wait().unwrap().is_none() && begun.elapsed() < Duration::from_secs(60));
        sleep(Duration::from_millis(20));
    }
    let before = tree::list_all(&repo);
    let refused = Run::of(tools.ours(&repo, "expire").arg("--repo1-retention-full=1"));
    let noted = Run::of(tools.ours(&repo, "annotate").args([&set, "--annotation=a=b"]));
    assert!(running.try_wait().unwrap().is_none(), "the backup was over before anything was asked");
    refused.refused(&[1]).says(&["another backup"]);
    noted.refused(&[1]).says(&["another backup"]);
    let pid = rustix::process::Pid::from_child(&running);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let _status = running.wait().unwrap();
    let untouched = |tree: &Tree| tree.keys().filter(|path| path.ends_with("backup.manifest")).count();
    assert_eq!(untouched(&before), untouched(&tree::list_all(&repo)));
    // Its workers let the lock go a moment later.
    while Run::of(tools.ours(&repo, "expire").arg("--repo1-retention-full=1")).code != Some(0) {
        assert!(begun.elapsed() < Duration::from_secs(60), "the lock is never free");
        sleep(Duration::from_millis(200));
    }
    assert_eq!(tools.labels(&repo).len(), 1);
}

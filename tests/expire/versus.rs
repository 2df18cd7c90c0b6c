//! The same made-up repository given to this program and to the installed pgBackRest: what they leave is the same tree and
//! the same `backup.info`. Where they differ on purpose it is said here, and nowhere else.

use crate::made::{self, Made, STANZA, WAL_SHA1, Wanted, segment};
use crate::random::{Random, number};
use pgmayday::base::{BackupLabel, Kind, Timestamp};
use pgmayday::engine::expire::{ExpireView, FullRetention, Request, Retention, Rule, execute, plan};
use pgmayday::model::op::{Cancel, Silent};
use pgmayday::repo::{Repository, Stanza};
use pgmayday::store::StorePath;
use pgmayday::store::posix::Posix;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

const PGBACKREST: &str = "/usr/bin/pgbackrest";
const DAY_S: i64 = 86_400;

/// Options as both take them.
#[derive(Debug, Default)]
struct Options {
    retention: Retention,
    set: Option<BackupLabel>,
}

impl Options {
    fn arguments(&self) -> Vec<String> {
        let Retention { full, diff, archive, archive_kind, history_days } = self.retention;
        let mut arguments = vec![format!("--repo1-retention-archive-type={archive_kind}")];
        match full {
            FullRetention::All => {}
            FullRetention::Count(count) => arguments.push(format!("--repo1-retention-full={count}")),
            FullRetention::Days(days) => {
                arguments.extend([
                    format!("--repo1-retention-full={days}"),
                    "--repo1-retention-full-type=time".to_owned(),
                ]);
            }
        }
        let numbers = [("diff", diff), ("archive", archive), ("history", history_days)];
        arguments.extend(
            numbers
                .iter()
                .filter_map(|(name, number)| Some(format!("--repo1-retention-{name}={}", (*number)?))),
        );
        arguments.extend(self.set.iter().map(|label| format!("--set={label}")));
        arguments
    }
}

struct Place {
    home: tempfile::TempDir,
    now_s: i64,
}

impl Place {
    fn stanza(&self, repo: &str) -> Stanza {
        Repository::new(Arc::new(Posix::new(self.home.path().join(repo), "repo1")), 1, None).stanza(STANZA)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn pgbackrest(&self, repo: &str, arguments: &[String]) -> Output {
        let mut command = Command::new(PGBACKREST);
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PGBACKREST_"))
        {
            command.env_remove(name);
        }
        command
            .args(["--no-config", "--log-level-console=detail", "--log-level-file=off", "--log-timestamp"])
            .arg(format!("--stanza={STANZA}"))
            .arg(format!("--repo1-path={}", self.path(repo).display()))
            .arg(format!("--lock-path={}", self.path("lock").display()))
            .arg("expire")
            .args(arguments)
            .output()
            .unwrap()
    }
}

/// A repository with some of everything, its newest backup an hour old.
fn made_up(random: &mut Random) -> Place {
    // In memory where that can be had: every file is synced.
    let folder =
        [PathBuf::from("/dev/shm"), std::env::temp_dir()].into_iter().find(|folder| folder.is_dir()).unwrap();
    let home = tempfile::tempdir_in(folder).unwrap();
    fs::create_dir(home.path().join("lock")).unwrap();
    let now_s = Timestamp::now().unix_s();
    let mut made = Made::new(Arc::new(Posix::new(home.path().join("a"), "repo1")));
    let events = 4 + random.below(26);
    let mut at_s = now_s - 3600 - i64::try_from(events).unwrap() * DAY_S;
    let (mut timeline, mut number, mut labels) = (1, 0, Vec::<BackupLabel>::new());
    let mut hidden = Vec::new();
    for _ in 0..events {
        at_s += DAY_S;
        let id = made.info.current_db_id;
        for _ in 0..random.below(4) {
            number += 1 + u32::from(random.below(5) == 0) * 90;
            made.wal(id, segment(timeline, number));
        }
        match random.below(24) {
            0 => {
                timeline += 1;
                made.archived(id, &format!("{timeline:08X}.history"));
                continue;
            }
            1 => {
                made.upgrade();
                labels.clear();
                continue;
            }
            2 => {
                number += 1;
                made.archived(id, &format!("{}.partial-{WAL_SHA1}.gz", segment(timeline, number)));
                continue;
            }
            3 => {
                made.put(&format!("backup/{STANZA}/{}F/pg_data/x", made::stamp(at_s)), b"left over");
                continue;
            }
            _ => {}
        }
        let start = segment(timeline, number + 1);
        for _ in 0..=random.below(3) {
            number += 1;
            made.wal(id, segment(timeline, number));
        }
        made.archived(id, &format!("{start}.00000028.backup"));
        let prior = labels.get(usize::try_from(random.below(labels.len().max(1) as u64)).unwrap()).cloned();
        let mut wanted =
            Wanted { start_s: at_s, wal: Some((start, segment(timeline, number))), ..Wanted::default() };
        match random.below(10) {
            0..=3 => {}
            4..=6 => {
                wanted.prior = labels.last().map(BackupLabel::full);
                wanted.diff = true;
            }
            // Chains through any backup of the newest set.
            _ => {
                wanted.prior =
                    prior.filter(|label| labels.last().is_some_and(|last| last.full() == label.full()));
            }
        }
        if wanted.prior.is_none() && random.below(12) == 0 {
            wanted.wal = None;
        }
        let label = made.backup(&wanted);
        // One of a set: pgBackRest keeps a backup listed whose chain is broken twice.
        if random.below(14) == 0 && !hidden.iter().any(|other: &BackupLabel| other.full() == label.full()) {
            hidden.push(label.clone());
        }
        labels.push(label);
    }
    damage(&mut made, random, &hidden, at_s);
    Place { home, now_s }
}

/// Backups without manifest, backups that are not listed, an interrupted one.
fn damage(made: &mut Made, random: &mut Random, hidden: &[BackupLabel], at_s: i64) {
    made.save();
    for label in hidden {
        // Listed without a manifest; a manifest that is not listed; nothing left of it, nor of what needs it, but files.
        let kind = random.below(3);
        if kind != 1 {
            made.remove(&format!("backup/{STANZA}/{label}/backup.manifest"));
        }
        if kind == 0 {
            // With the copy of its manifest we would keep it, other than pgBackRest.
            made.remove(&format!("backup/{STANZA}/{label}/backup.manifest.copy"));
        }
        if kind == 2 {
            made.info.dependents(label).iter().for_each(|gone| drop(made.info.backups.remove(gone)));
        } else if kind == 1 {
            made.info.backups.remove(label);
        }
    }
    made.save();
    if random.below(5) == 0 {
        let full = made.info.backups.keys().next_back().map(BackupLabel::full);
        let prior = full.filter(|full| made.info.backups.contains_key(full) && random.below(2) == 0);
        made.partial(&Wanted { start_s: at_s + 60, prior, ..Wanted::default() });
    }
    if random.below(3) == 0 {
        made.put(&format!("backup/{STANZA}/backup.history/2024/20240105-000000F.manifest.gz"), b"x");
    }
}

fn options(random: &mut Random, listed: &[BackupLabel]) -> Options {
    let some = |random: &mut Random, most: u64| (random.below(2) == 0).then(|| 1 + random.below(most));
    let full = match random.below(8) {
        0 => FullRetention::All,
        1..=4 => FullRetention::Count(1 + random.below(4)),
        _ => FullRetention::Days(1 + random.below(30)),
    };
    let kind = [
        pgmayday::base::BackupKind::Full,
        pgmayday::base::BackupKind::Diff,
        pgmayday::base::BackupKind::Incr,
    ];
    let archive_kind = kind[usize::try_from(random.below(3)).unwrap()];
    let retention = Retention {
        full,
        diff: some(random, 4),
        archive: some(random, 4),
        archive_kind,
        history_days: (random.below(3) == 0).then(|| random.below(40)),
    };
    let named = usize::try_from(random.below(listed.len().max(1) as u64)).unwrap();
    let set = listed.get(named).filter(|_| random.below(3) == 0).cloned();
    Options { retention, set }
}

/// Everything but the info files, as text: path, and content or destination.
fn tree(place: &Place, repo: &str) -> BTreeMap<String, String> {
    let stanza = place.stanza(repo);
    let storage = &**stanza.repository().storage();
    let info = |path: &str| path.ends_with("backup.info") || path.ends_with("backup.info.copy");
    made::files(storage, &StorePath::ROOT)
        .into_iter()
        .filter(|(path, _)| !info(path))
        .map(|(path, content)| (path, String::from_utf8_lossy(&content).into_owned()))
        .collect()
}

fn info_text(stanza: &Stanza) -> String {
    let info = stanza.backup_info().unwrap().value;
    format!("{:?} {:?} {:?}", info.current_db_id, info.history, info.backups)
}

fn ours(place: &Place, options: &Options) -> Result<ExpireView, pgmayday::base::Report> {
    let request = Request { set: options.set.clone(), ..Request::default() };
    let plan = plan(&place.stanza("a"), &options.retention, &request, Timestamp::from_unix_s(place.now_s))?;
    execute(&plan, &Silent, &Cancel::default())
}

/// What pgBackRest said it would do to backups: the labels it would expire, and the folders it would remove.
fn announced(text: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let is_label = |word: &&str| word.trim_end_matches(',').parse::<BackupLabel>().is_ok();
    let labels = |line: &str| {
        line.split_whitespace()
            .filter(is_label)
            .map(|word| word.trim_end_matches(',').to_owned())
            .collect::<Vec<_>>()
    };
    let (mut expired, mut removed) = (BTreeSet::new(), BTreeSet::new());
    for line in text.lines() {
        if line.contains("repo1: expire ") {
            expired.extend(labels(line));
        } else if line.contains("repo1: remove expired backup 2") {
            removed.extend(labels(line));
        }
    }
    (expired, removed)
}

fn compare(random: &mut Random, turn: usize) -> Option<&'static str> {
    let place = made_up(random);
    let listed: Vec<_> = place.stanza("a").backup_info().unwrap().value.backups.into_keys().collect();
    let options = options(random, &listed);
    for copy in ["b", "c"] {
        let copied =
            Command::new("cp").arg("-a").arg(place.path("a")).arg(place.path(copy)).status().unwrap();
        assert!(copied.success());
    }
    let arguments = options.arguments();
    let context = format!("turn {turn}: {arguments:?}");
    let dry = place.pgbackrest("c", &[arguments.clone(), vec!["--dry-run".to_owned()]].concat());
    assert_eq!(tree(&place, "a"), tree(&place, "c"), "a dry run changed something");
    let theirs = place.pgbackrest("b", &arguments);
    let said = String::from_utf8_lossy(&theirs.stdout).into_owned();
    let partial = interrupted(&place);
    let ours = ours(&place, &options);
    let view = match ours {
        Ok(view) => view,
        Err(report) => {
            assert!(
                report.kind == Kind::Refused(None) && !theirs.status.success(),
                "{context}: {report}\n{said}"
            );
            assert_eq!(tree(&place, "a"), tree(&place, "b"), "{context}");
            return Some("refused");
        }
    };
    assert!(
        theirs.status.success(),
        "{context}: {view:?}\n{said}{}",
        String::from_utf8_lossy(&theirs.stderr)
    );
    assert_eq!(info_text(&place.stanza("a")), info_text(&place.stanza("b")), "{context}\n{view:#?}\n{said}");
    let (expired, removed) = announced(&String::from_utf8_lossy(&dry.stdout));
    assert_eq!(
        view.expired.iter().map(|reason| reason.label.to_string()).collect::<BTreeSet<_>>(),
        expired,
        "{context}"
    );
    let (mut a, mut b) = (tree(&place, "a"), tree(&place, "b"));
    // On purpose: an interrupted backup that can be taken up again is left to whoever does; 2.59 and later do the same.
    if let Some(label) = partial.filter(|label| !removed.is_empty() && removed.contains(label.as_str())) {
        let own = format!("backup/{STANZA}/{label}/");
        if a.keys().any(|path| path.starts_with(&own)) {
            a.retain(|path, _| !path.starts_with(&own));
        }
    }
    // On purpose: the link `latest` never names what is gone.
    let latest = format!("backup/{STANZA}/latest");
    if b.get(&latest)
        .is_some_and(|label| !b.contains_key(&format!("backup/{STANZA}/{label}/backup.manifest")))
    {
        a.remove(&latest);
        b.remove(&latest);
    }
    // On purpose: WAL before a retention by days is of no use even where nothing expires; so do 2.46 and later.
    let by_days =
        matches!(options.retention.full, FullRetention::Days(_)) && options.retention.archive.is_none();
    let none_by_days = !view.expired.iter().any(|reason| reason.rule == Rule::Days);
    if by_days && none_by_days && view.archive_kept.is_none() {
        let archive = |path: &String| !path.starts_with("archive/");
        a.retain(|path, _| archive(path));
        b.retain(|path, _| archive(path));
    }
    let differs: Vec<_> = a
        .iter()
        .filter(|(path, content)| b.get(*path) != Some(content))
        .chain(b.iter().filter(|(path, _)| !a.contains_key(*path)))
        .map(|(path, _)| path)
        .collect();
    assert!(differs.is_empty(), "{context}: {differs:#?}\n{view:#?}\n{said}");
    if view.expired.is_empty() { None } else { Some("expired") }
}

/// The newest folder, if it is of an interrupted backup.
fn interrupted(place: &Place) -> Option<BackupLabel> {
    let folders = place.stanza("a").label_folders().unwrap();
    let (label, state) = folders.into_iter().next_back()?;
    (state == pgmayday::repo::FolderState::Partial).then_some(label)
}

#[test]
fn what_is_left_is_what_pgbackrest_leaves() {
    if !Path::new(PGBACKREST).exists() {
        assert!(std::env::var_os("REQUIRE_SERVERS").is_none(), "{PGBACKREST} is required here");
        eprintln!("SKIPPED: {PGBACKREST} is not installed");
        return;
    }
    let mut random = Random::seeded("versus");
    let turns = number("PGMAYDAY_TURNS", 60, 1500);
    let mut came_to = BTreeMap::<_, usize>::new();
    for turn in 0..turns {
        *came_to.entry(compare(&mut random, turn)).or_default() += 1;
    }
    eprintln!("versus: {came_to:?}");
    assert!(came_to.get(&Some("expired")).is_some_and(|count| count * 3 > turns), "{came_to:?}");
}

//! Page checksums while the cluster is written to as fast as it goes.
//!
//! Bytes of pages are changed on disk behind the server's back. Those of a table nobody writes to must be told with file
//! and block, all of them and in every place that tells; of the others only those that were really changed. Without such
//! a change nothing may be told, however busy the server is. What PostgreSQL itself finds in the restored cluster is the
//! judge. `PGMAYDAY_BACKUPS` sets how many backups.

use crate::peer::{Copy, TO_ITS_END, restore};
use crate::random::{Random, number};
use crate::tools::{files, info, manifest_files, place_of, ready, ready_with, section, stored_text};
use crate::workload::Writer;
use crate::yard::{Yard, installed};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::process::Command;
use std::time::Duration;

const PAGE: u64 = 8192;

/// A page of a relation file with a bit that was turned over.
struct Flip {
    file: String,
    block: u64,
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Flip {
    fn plant(yard: &Yard, file: &str, block: u64, random: &mut Random) -> Self {
        let before = page(yard, file, block);
        let mut after = before.clone();
        let at = usize::try_from(random.below(PAGE)).unwrap();
        after[at] ^= 1 << random.below(8);
        write(yard, file, block, &after);
        Self { file: file.to_owned(), block, before, after }
    }

    /// Makes it right again, unless the server has written the page meanwhile.
    fn undo(&self, yard: &Yard) {
        if page(yard, &self.file, self.block) == self.after {
            write(yard, &self.file, self.block, &self.before);
        }
    }
}

fn page(yard: &Yard, file: &str, block: u64) -> Vec<u8> {
    let mut page = vec![0; usize::try_from(PAGE).unwrap()];
    std::fs::File::open(yard.path("pg").join(file)).unwrap().read_exact_at(&mut page, block * PAGE).unwrap();
    page
}

fn write(yard: &Yard, file: &str, block: u64, page: &[u8]) {
    let file = OpenOptions::new().write(true).open(yard.path("pg").join(file)).unwrap();
    file.write_all_at(page, block * PAGE).unwrap();
}

fn blocks(yard: &Yard, file: &str) -> u64 {
    yard.path("pg").join(file).metadata().unwrap().len() / PAGE
}

/// Different blocks of a file, about a quarter of them in a row with another one.
fn some(blocks: u64, count: u64, random: &mut Random) -> BTreeSet<u64> {
    let mut chosen = BTreeSet::new();
    for _ in 0..count {
        let block = random.below(blocks);
        chosen.insert(block);
        if random.below(4) == 0 && block + 1 < blocks {
            chosen.insert(block + 1);
        }
    }
    chosen
}

/// Blocks as pairs of first and last.
fn as_pairs(blocks: &BTreeSet<u64>) -> Vec<(u64, u64)> {
    let mut pairs: Vec<(u64, u64)> = Vec::new();
    for block in blocks {
        match pairs.last_mut() {
            Some((_, last)) if *last + 1 == *block => *last = *block,
            _ => pairs.push((*block, *block)),
        }
    }
    pairs
}

fn planned(flips: &[Flip]) -> BTreeMap<String, BTreeSet<u64>> {
    let mut all: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for flip in flips {
        all.entry(format!("pg_data/{}", flip.file)).or_default().insert(flip.block);
    }
    all
}

/// What a backup told, block by block.
fn told(document: &Value) -> BTreeMap<String, BTreeSet<u64>> {
    let errors = document["page_errors"].as_array().unwrap();
    let blocks = |error: &Value| {
        let pairs: Vec<(u64, u64)> = serde_json::from_value(error["pages"].clone()).unwrap();
        assert!(!pairs.is_empty(), "{error}");
        pairs.into_iter().flat_map(|(first, last)| first..=last).collect()
    };
    errors.iter().map(|error| (error["file"].as_str().unwrap().to_owned(), blocks(error))).collect()
}

/// What was told must stand in the manifest, in `backup.info` and in what both programs print.
#[track_caller]
fn is_recorded(yard: &Yard, label: &str, told: &BTreeMap<String, BTreeSet<u64>>) {
    let damaged = !told.is_empty();
    for (name, file) in manifest_files(yard, label) {
        let Some(blocks) = told.get(&name) else {
            assert_ne!(file["checksum-page"], false, "{name}: {file}");
            continue;
        };
        let ranges: Vec<Value> = as_pairs(blocks)
            .into_iter()
            .map(|(first, last)| if first == last { json!(first) } else { json!([first, last]) })
            .collect();
        assert_eq!(
            (&file["checksum-page"], &file["checksum-page-error"]),
            (&json!(false), &json!(ranges)),
            "{name}"
        );
    }
    let listed = section(&stored_text(yard, "backup.info"), "backup:current");
    assert_eq!(listed[label]["backup-error"], damaged);
    let set = format!("--set={label}");
    for run in [yard.pgmayday(&["info", "--output=json"]), yard.pgbackrest(&["info", "--output=json"])] {
        let backups = info(&run.exits(0, &[]));
        let backup = backups.iter().find(|backup| backup["label"] == label).unwrap();
        assert_eq!(backup["error"], damaged, "{backup}");
    }
    for run in [yard.pgmayday(&["info", &set]), yard.pgbackrest(&["info", &set])] {
        let run = run.exits(0, &[]);
        let named = |file: &String| run.out.contains(file.strip_prefix("pg_data/").unwrap());
        assert!(told.keys().all(named), "{run}");
    }
}

/// The blocks of a table that PostgreSQL finds damaged in a restored cluster.
fn found_by_postgres(yard: &Yard, copy: &Copy<'_>, table: &str) -> BTreeSet<u64> {
    let scan = format!("select count(*) from {table}");
    let run = copy.run("postgres", &["set zero_damaged_pages = on", "set enable_indexonlyscan = off", &scan]);
    let run = run.exits(0, &[]);
    let file = place_of(yard, table);
    let told =
        run.err.lines().filter_map(|line| line.split_once("invalid page in block ")?.1.split_once(' '));
    let told = told.filter(|(_, rest)| rest.contains(&format!("relation {file};")));
    told.map(|(block, _)| block.parse().unwrap()).collect()
}

/// Sessions that update, insert, cut off and make checkpoints all the time.
fn load(yard: &Yard) -> Vec<Writer> {
    yard.ask("create table hot with (fillfactor = 60) as select g id, 0 n, repeat('x', 200) x from generate_series(1, 6000) g");
    yard.ask("create table waves (x text)");
    let update = "update hot set n = n + 1 where id % 19 = (random() * 18)::int";
    let wave = "insert into waves select repeat(md5(random()::text), 20) from generate_series(1, 60);\n\
                delete from waves where random() < 0.3; vacuum waves;\n\
                do $$ begin if random() < 0.05 then truncate waves; end if; end $$;";
    vec![
        Writer::repeating(yard, update, Duration::from_millis(15)),
        Writer::repeating(yard, update, Duration::from_millis(40)),
        Writer::repeating(yard, wave, Duration::from_millis(60)),
        Writer::repeating(yard, "checkpoint", Duration::from_millis(350)),
    ]
}

#[test]
fn every_cold_flip_is_told_and_no_alarm_is_false() {
    let Some(binaries) = installed("every_cold_flip_is_told_and_no_alarm_is_false") else { return };
    let mut random = Random::seeded("every_cold_flip_is_told_and_no_alarm_is_false");
    let rounds = number("PGMAYDAY_BACKUPS", 6, 50);
    let settings = "shared_buffers = 4MB\ncheckpoint_timeout = 30s\nsynchronous_commit = off";
    let yard = ready_with(&binaries, "", "process-max=2\nrepo1-retention-full=3\n", settings);
    yard.ask("create table cold as select g id, repeat(md5(g::text), 6) x from generate_series(1, 6000) g");
    yard.ask("create index cold_id on cold (id)");
    yard.ask("vacuum (freeze) cold");
    let writers = load(&yard);
    yard.ask("checkpoint");
    let main = place_of(&yard, "cold");
    let cold = [main.clone(), format!("{main}_vm"), format!("{main}_fsm"), place_of(&yard, "cold_id")];
    let mut judged = false;
    for round in 0..rounds {
        let mut flips = Vec::new();
        if round % 2 == 0 {
            for file in &cold {
                let count = if *file == main { 7 } else { 1 };
                for block in some(blocks(&yard, file), count, &mut random) {
                    flips.push(Flip::plant(&yard, file, block, &mut random));
                }
            }
        }
        let expected = planned(&flips);
        let mut hot = Vec::new();
        if round % 2 == 0 {
            let file = place_of(&yard, "hot");
            for block in some(blocks(&yard, &file), 2, &mut random) {
                hot.push(Flip::plant(&yard, &file, block, &mut random));
            }
        }
        let kind = ["full", "incr", "incr", "diff"][round % 4];
        let delta = if random.below(2) == 0 { "--delta" } else { "--no-delta" };
        let run = yard.pgmayday(&["backup", &format!("--type={kind}"), delta, "--output=json"]);
        let run = run.exits(if flips.is_empty() { 0 } else { 4 }, &[]);
        let document = run.json();
        let mut told = told(&document);
        let recorded = told.clone();
        let hot_file = format!("pg_data/{}", place_of(&yard, "hot"));
        let hot_told = told.remove(&hot_file).unwrap_or_default();
        assert_eq!(told, expected, "round {round}: {run}");
        let hot_planted = planned(&hot).remove(&hot_file).unwrap_or_default();
        assert!(hot_told.is_subset(&hot_planted), "round {round}, of {hot_planted:?}: {run}");
        let label = document["label"].as_str().unwrap();
        is_recorded(&yard, label, &recorded);
        if !flips.is_empty() && !judged {
            judged = true;
            restore(&yard, None, "copy", &TO_ITS_END);
            let copy = Copy::start(&yard, &binaries, "copy");
            // The planner reads an index's first page, which may be among the damaged ones.
            copy.run("postgres", &["drop index cold_id"]).exits(0, &[]);
            assert_eq!(found_by_postgres(&yard, &copy, "cold"), expected[&format!("pg_data/{main}")]);
            // What was not told is whole, in the copy or by its WAL.
            assert!(found_by_postgres(&yard, &copy, "hot").is_subset(&hot_told));
        }
        for flip in flips.iter().chain(&hot) {
            flip.undo(&yard);
        }
    }
    assert!(judged);
    drop(writers);
}

#[test]
fn pages_are_not_judged_by_checksums_a_cluster_does_not_have() {
    let Some(binaries) = installed("pages_are_not_judged_by_checksums_a_cluster_does_not_have") else {
        return;
    };
    let yard = ready(&binaries, "", "");
    yard.ask("create table t as select g id, 0 n from generate_series(1, 2000) g");
    let full = crate::tools::backup(&yard, &["--type=full"]);
    yard.stop("pg");
    let mut off = Command::new("setpriv");
    off.args([
        "--reuid",
        &yard.owner.uid.to_string(),
        "--regid",
        &yard.owner.gid.to_string(),
        "--clear-groups",
    ]);
    off.arg(binaries.program("pg_checksums")).args(["--disable", "-D"]).arg(yard.path("pg"));
    crate::yard::Run::of(&mut off).exits(0, &[]);
    yard.start("pg");
    yard.ask("update t set n = 1");
    yard.ask("checkpoint");
    let incr = crate::tools::backup(&yard, &["--type=incr"]);
    assert_eq!((&incr["page_errors"], &incr["prior"]), (&json!([]), &full["label"]));
    assert!(incr["files_stored"].as_u64().unwrap() > 1);
    let asked = crate::tools::backup(&yard, &["--type=full", "--checksum-page"]);
    assert_eq!(asked["page_errors"], json!([]));
    let warned = asked["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .any(|warning| warning.as_str().unwrap().contains("no page checksums"));
    assert!(warned, "{asked}");
    assert!(!files(&yard.path("repo1")).is_empty());
}

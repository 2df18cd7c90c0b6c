//! Any single flipped byte in any file a restore uses: it fails naming the file, or the result is identical. A file
//! whose sound copy was used instead is named in a warning. Seeds are printed; `PGMAYDAY_FLIPS` sets how many flips.

use crate::common::edit;
use crate::common::fixture::Fixture;
use crate::common::random::{Random, number};
use crate::common::servers;
use crate::common::tree::{self, Tree};
use crate::common::{Case, Run, stand_in};
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// Over how many tests they are spread.
const FIXTURES: usize = 6;

/// How many flips all tests of this file make together, unless the environment says otherwise.
const FLIPS: usize = 500;

/// What a file is to the restore; decides how its damage must come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// An info file or manifest that has a twin.
    Main,
    /// The twin, read only if the main file fails.
    Copy,
    /// Contents of the cluster.
    Data,
    /// A segment or history file: read by the proof.
    Archive,
}

#[test]
fn in_a_plain_repository() {
    flip("a1-plain-none");
}

#[test]
fn in_an_encrypted_bundled_repository() {
    flip("a2-zst-aes-bundle");
}

#[test]
fn in_a_block_incremental_repository() {
    flip("a3-block-incr");
}

#[test]
fn in_a_gzip_repository() {
    flip("a4-gz");
}

#[test]
fn in_an_lz4_repository() {
    flip("a4-lz4");
}

#[test]
fn in_a_bzip2_repository() {
    flip("a4-bz2");
}

fn flip(name: &str) {
    let fixture = Fixture::load(name);
    let case = Case::on_copy(&fixture);
    let mut random = Random::seeded(name);
    let label = *fixture.backups().last().unwrap();
    let files = used_files(&fixture, &case, label);
    // What is undamaged must restore; every outcome is measured against it.
    case.restore(&["--type=none"]).ok();
    let wanted = tree::list(&case.dest());
    let count = number("PGMAYDAY_FLIPS", FLIPS, 10 * FLIPS).div_ceil(FIXTURES);
    let (mut refusals, mut started) = (0, 0);
    for turn in 0..count {
        let (path, role) = pick(&files, &mut random);
        let at = random.below(fs::metadata(path).unwrap().len());
        let mask = 1 << random.below(8);
        let told = format!("{name}, flip {turn}: bit mask {mask:#04x} of byte {at} in {}", path.display());
        if role == Role::Archive && stand_in() {
            continue;
        }
        let original = edit::flip(path, at, mask);
        let refused = if role == Role::Archive {
            in_archive(&case, path, &told)
        } else {
            in_backup(&case, path, role, &wanted, &told)
        };
        File::options().write(true).open(path).unwrap().write_all_at(&[original], at).unwrap();
        refusals += usize::from(refused);
        // Now and then a real server is the judge.
        if refused && role != Role::Archive && started < 2 && case.pgdata().exists() {
            started += 1;
            if let Some(bin) = servers::postgres("15", "flips") {
                servers::assert_refuses_to_start(&bin, &case.pgdata());
            }
        }
    }
    eprintln!("{name}: {count} flips, {refusals} refused, the others harmless");
    // Data is refused, info files have twins: a run that finds only one of the two kinds looked at nothing.
    assert!(stand_in() || count < 20 || (refusals > 0 && refusals < count), "{refusals} of {count} refused");
}

/// Half of the flips hit data, by size; the small files that decide everything get the other half.
fn pick<'a>(files: &'a [(PathBuf, Role)], random: &mut Random) -> (&'a Path, Role) {
    let role = match random.below(100) {
        0..50 => Role::Data,
        50..75 => Role::Main,
        75..80 => Role::Copy,
        _ => Role::Archive,
    };
    let those: Vec<_> = files.iter().filter(|(_, other)| *other == role).collect();
    let sizes: Vec<u64> = those.iter().map(|(path, _)| fs::metadata(path).unwrap().len()).collect();
    let total = if role == Role::Data { sizes.iter().sum() } else { those.len() as u64 };
    let mut point = random.below(total);
    for ((path, role), size) in those.iter().zip(&sizes) {
        let weight = if *role == Role::Data { *size } else { 1 };
        if point < weight {
            return (path, *role);
        }
        point -= weight;
    }
    unreachable!("the point lies below the total");
}

/// Every file that a restore of this set to the archive's end reads.
fn used_files(fixture: &Fixture, case: &Case, label: &str) -> Vec<(PathBuf, Role)> {
    let backup = case.repo.join("backup").join(&case.stanza);
    let archive = case.repo.join("archive").join(&case.stanza);
    let mut files = Vec::new();
    for path in [backup.join("backup.info"), case.backup_path(label, "backup.manifest")] {
        files.push((
            path.with_file_name(format!("{}.copy", path.file_name().unwrap().to_str().unwrap())),
            Role::Copy,
        ));
        files.push((path, Role::Main));
    }
    files.extend(
        stored_files(&fixture.manifest(label), label, &backup).into_iter().map(|path| (path, Role::Data)),
    );
    let start = fixture
        .manifest(label)
        .lines()
        .find_map(|line| Some(line.strip_prefix("backup-archive-start=\"")?.trim_end_matches('"').to_owned()))
        .unwrap();
    for path in tree::list_all(&archive).into_keys() {
        let file = path.rsplit('/').next().unwrap();
        let segment = file.len() > 40 && file[..24] >= *start && file[..8] == start[..8];
        if segment || file.ends_with(".history") {
            files.push((archive.join(path), Role::Archive));
        }
    }
    files.retain(|(path, _)| fs::metadata(path).unwrap().len() > 0);
    files
}

/// The files of the repository that hold what a manifest lists, each once.
fn stored_files(manifest: &str, label: &str, backup: &Path) -> Vec<PathBuf> {
    let lines = manifest
        .lines()
        .skip_while(|line| *line != "[target:file]")
        .skip(1)
        .take_while(|line| !line.is_empty());
    let extension = manifest
        .lines()
        .find_map(|line| line.strip_prefix("option-compress-type=\""))
        .unwrap()
        .trim_end_matches('"');
    let extension = match extension {
        "none" => String::new(),
        other => format!(".{other}"),
    };
    let mut paths: Vec<PathBuf> = Vec::new();
    for line in lines {
        let (name, value) = line.split_once('=').unwrap();
        let value: serde_json::Value = serde_json::from_str(value).unwrap();
        if value["size"] == 0 {
            continue;
        }
        let folder = backup.join(value["reference"].as_str().unwrap_or(label));
        paths.push(match value["bni"].as_u64() {
            Some(bundle) => folder.join(format!("bundle/{bundle}")),
            None if value["bim"].is_u64() => folder.join(format!("{name}.pgbi")),
            None => folder.join(format!("{name}{extension}")),
        });
    }
    paths.sort();
    paths.dedup();
    paths
}

/// How an error must name a damaged file: as it lies in the repository, or as it is called in the cluster.
fn named(run: &Run, path: &Path) -> bool {
    let text = path.to_str().unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    let stem = [".gz", ".lz4", ".bz2", ".pgbi"].iter().find_map(|end| text.strip_suffix(end)).unwrap_or(text);
    let inner = stem.split_once("/pg_data/").map(|(_, inner)| inner);
    let short = match inner {
        Some(inner) => inner.to_owned(),
        None if text.contains("/bundle/") => format!("bundle/{name}"),
        None => name.get(..24).filter(|_| name.len() > 40).unwrap_or(name).to_owned(),
    };
    stand_in() || run.text().contains(&short)
}

/// A flip in the backup: gives whether the restore refused.
fn in_backup(case: &Case, path: &Path, role: Role, wanted: &Tree, told: &str) -> bool {
    case.fresh();
    let run = case.restore(&["--type=none"]);
    if run.code == Some(0) {
        let differences = tree::differences(wanted, &tree::list(&case.dest()));
        let differences: Vec<_> =
            differences.iter().filter(|line| !line.starts_with("pgdata/postgresql.auto.conf:")).collect();
        assert!(differences.is_empty(), "{told}: restored otherwise without a word: {differences:#?}\n{run}");
        assert!(
            role != Role::Main || named(&run, path),
            "{told}: the copy was used and the damage is not said\n{run}"
        );
        return false;
    }
    assert!(role != Role::Main, "{told}: the sound copy was not used\n{run}");
    assert!(role != Role::Copy, "{told}: a copy nobody needed\n{run}");
    assert!(named(&run, path), "{told}: the file is not named\n{run}");
    case.assert_cannot_start(&run);
    true
}

/// A flip in the archive: a full proof refuses it, unless the bytes the server would get are the same.
fn in_archive(case: &Case, path: &Path, told: &str) -> bool {
    case.fresh();
    let run = Run::of(case.restore_command().args([
        "--type=default",
        "--archive-mode=off",
        "--prove=full",
        "--dry-run",
    ]));
    if run.code != Some(0) {
        assert!(named(&run, path), "{told}: the file is not named\n{run}");
        return true;
    }
    let name = path.file_name().unwrap().to_str().unwrap();
    if name.ends_with(".history") {
        // Its forks are proven by the log. The reason behind them decides nothing, and none of its words may change unsaid.
        assert!(named(&run, path), "{told}: believed without a word\n{run}");
        return false;
    }
    let stored = fs::read(path).unwrap();
    // Nothing but the checksum in the name knows what the content was.
    let content = match name.rsplit_once('.') {
        Some((_, "gz")) => edit::through("gzip", &["-dc"], &stored),
        Some((_, "lz4")) => edit::through("lz4", &["-dc"], &stored),
        Some((_, "bz2")) => edit::through("bzip2", &["-dc"], &stored),
        _ => stored,
    };
    assert_eq!(name.get(25..65), Some(edit::sha1(&content).as_str()), "{told}: believed\n{run}");
    false
}

/// Every bit of the small files that decide everything; the plan must not change without a word.
#[test]
#[ignore = "half an hour: a plan per bit"]
fn every_bit_of_every_info_and_history_file() {
    for name in ["a1-plain-none", "a2-zst-aes-bundle"] {
        let fixture = Fixture::load(name);
        let case = Case::on_copy(&fixture);
        let plan = || {
            Run::of(case.restore_command().args([
                "--type=default",
                "--archive-mode=off",
                "--dry-run",
                "--output=json",
            ]))
        };
        let decided = |run: &Run| {
            let mut plan = run.json();
            plan.as_object_mut().unwrap().remove("warnings");
            // It changes while other tests run.
            plan.as_object_mut().unwrap().remove("filesystems");
            plan
        };
        let wanted = decided(&plan().ok());
        let backup = case.repo.join("backup").join(&case.stanza);
        let archive = case.repo.join("archive").join(&case.stanza);
        let files = [
            backup.join("backup.info"),
            backup.join("backup.info.copy"),
            archive.join("archive.info"),
            archive.join("15-1/00000002.history"),
        ];
        for path in files.iter().filter(|path| path.exists()) {
            for bit in 0..fs::metadata(path).unwrap().len() * 8 {
                let original = edit::flip(path, bit / 8, 1 << (bit % 8));
                let run = plan();
                let told = format!("bit {bit} of {}", path.display());
                if run.code == Some(0) {
                    assert_eq!(decided(&run), wanted, "{told}\n{run}");
                    let copy = path.extension().is_some_and(|extension| extension == "copy");
                    assert!(copy || named(&run, path), "{told}: not said\n{run}");
                } else {
                    assert!(named(&run, path), "{told}: not named\n{run}");
                }
                File::options().write(true).open(path).unwrap().write_all_at(&[original], bit / 8).unwrap();
            }
        }
    }
}

/// Where recovery begins stands in `backup_label` alone.
#[test]
#[ignore = "half an hour: a restore per bit"]
fn every_bit_of_backup_label() {
    let fixture = Fixture::load("a1-plain-none");
    let case = Case::on_copy(&fixture);
    let path = case.backup_path(fixture.backups().last().unwrap(), "pg_data/backup_label");
    for bit in 0..fs::metadata(&path).unwrap().len() * 8 {
        let original = edit::flip(&path, bit / 8, 1 << (bit % 8));
        case.fresh();
        let run = case.restore(&["--type=none"]).refused(&[4]).says(&["backup_label"]);
        case.assert_cannot_start(&run);
        File::options().write(true).open(&path).unwrap().write_all_at(&[original], bit / 8).unwrap();
    }
}

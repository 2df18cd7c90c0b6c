//! Readers of foreign bytes against damaged real files: they never panic, never hang and take no memory by a claimed size.
//!
//! Seeds are files written by the real tools (`fuzz/seeds`). Edits know the formats a little: numbers become extreme, lines move,
//! brackets nest, and checksums are made right again so that the damage gets past them. `PGMAYDAY_FUZZ_CASES` sets the number of
//! cases per target; when it is set the cases are new ones each time. The input of the last case stays in the folder for
//! temporary files, also when the process was aborted.

#![expect(clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "a test fails aloud")]

#[path = "fuzz/edit.rs"]
mod edit;
#[path = "fuzz/repair.rs"]
mod repair;
#[path = "../fuzz/targets.rs"]
mod targets;

use edit::Edit;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, Instant};
use std::{fs, process, thread};

const CASES: u32 = 256;
/// A case that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(20);
/// What all cases together may take besides what the process has at the start.
const MEMORY_BYTES: u64 = 1 << 30;

/// Makes a file's checksums right again.
type Repair = fn(Vec<u8>) -> Vec<u8>;

/// Makes every allocation beyond the limit fail, which aborts the process.
fn limit_memory() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let status = fs::read_to_string("/proc/self/status").expect("Linux tells the size of a process");
        let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).expect("a size is told");
        let kilobytes: u64 = size.trim().trim_end_matches(" kB").parse().expect("a size is a number");
        let bytes = kilobytes * 1024 + MEMORY_BYTES;
        let limit = rustix::process::Rlimit { current: Some(bytes), maximum: Some(bytes) };
        rustix::process::setrlimit(rustix::process::Resource::As, limit).expect("a process may limit itself");
    });
}

/// Aborts the process when a case takes too long.
struct Watchdog {
    began: Arc<Mutex<Instant>>,
    ended: Arc<AtomicBool>,
}

impl Watchdog {
    fn new(target: &'static str) -> Self {
        let (began, ended) = (Arc::new(Mutex::new(Instant::now())), Arc::new(AtomicBool::new(false)));
        let dog = Self { began: Arc::clone(&began), ended: Arc::clone(&ended) };
        thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(200));
                if began.lock().is_ok_and(|began| began.elapsed() > PATIENCE) {
                    eprintln!("{target} hangs");
                    process::abort();
                }
            }
        });
        dog
    }

    fn pat(&self) {
        *self.began.lock().expect("nobody panics holding it") = Instant::now();
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

/// The number of cases, and where their randomness comes from.
#[expect(clippy::disallowed_methods, reason = "the one setting of this test")]
fn config() -> Config {
    let asked = std::env::var("PGMAYDAY_FUZZ_CASES").ok().and_then(|text| text.parse().ok());
    Config {
        cases: asked.unwrap_or(CASES),
        rng_seed: if asked.is_some() { RngSeed::Random } else { RngSeed::Fixed(7) },
        failure_persistence: None,
        ..Config::default()
    }
}

/// Feeds edited seeds of `fuzz/seeds/<name>` to `target`; half of them with their checksums made right by `repair`.
fn fuzz(name: &'static str, repair: Repair, target: fn(&[u8]) -> bool) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
    let mut seeds: Vec<Vec<u8>> = fs::read_dir(&folder)
        .expect("seeds are there")
        .map(|entry| fs::read(entry.expect("a listed seed").path()).expect("a readable seed"))
        .collect();
    seeds.sort();
    limit_memory();
    for seed in &seeds {
        assert!(target(seed), "a seed in {} is not taken as it is", folder.display());
    }
    let last = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}.last"));
    let watchdog = Watchdog::new(name);
    let strategy = (any::<Index>(), vec(any::<Edit>(), 1..5), any::<bool>());
    let outcome = TestRunner::new(config()).run(&strategy, |(seed, edits, repaired)| {
        let mut bytes = seed.get(&seeds).clone();
        for edit in &edits {
            edit.apply(&mut bytes);
        }
        if repaired {
            bytes = repair(bytes);
        }
        fs::write(&last, &bytes).expect("the temporary folder is writable");
        watchdog.pat();
        target(&bytes);
        Ok(())
    });
    if let Err(why) = outcome {
        panic!("{name}: {why}\nthe smallest such input is in {}", last.display());
    }
}

#[test]
fn repairs_leave_sound_files_as_they_are() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    let repairs: [(&str, Repair); 5] = [
        ("control", repair::control),
        ("wal", repair::wal),
        ("info", repair::info),
        ("archive-info", repair::info),
        ("manifest", repair::info),
    ];
    for (name, repair) in repairs {
        for entry in fs::read_dir(seeds.join(name)).expect("seeds are there") {
            let path = entry.expect("a listed seed").path();
            let sound = fs::read(&path).expect("a readable seed");
            assert!(repair(sound.clone()) == sound, "{} is changed by its repair", path.display());
        }
    }
}

fn unchanged(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

#[test]
fn stored_streams() {
    fuzz("stream", unchanged, targets::stream);
}

#[test]
fn control_files() {
    fuzz("control", repair::control, targets::control);
}

#[test]
fn lock_files() {
    fuzz("lock-file", unchanged, targets::lock_file);
}

#[test]
fn backup_infos() {
    fuzz("info", repair::info, targets::info);
}

#[test]
fn archive_infos() {
    fuzz("archive-info", repair::info, targets::archive_info);
}

#[test]
fn manifests() {
    fuzz("manifest", repair::info, targets::manifest);
}

#[test]
fn block_maps() {
    fuzz("block-map", unchanged, targets::block_map);
}

#[test]
fn configurations() {
    fuzz("config", unchanged, targets::config);
}

#[test]
fn wal_segments() {
    fuzz("wal", repair::wal, targets::wal);
}

#[test]
fn timeline_histories() {
    fuzz("history", unchanged, targets::history);
}

#[test]
fn runbooks() {
    fuzz("runbook", unchanged, targets::runbook);
}

//! Any flipped bit in any file of a repository is found and named with its file, or nothing that anybody reads has
//! changed. Seeds are printed; `PGMAYDAY_FLIPS` sets how many flips, `PGMAYDAY_SEED` repeats a run.

use super::fixtures::Fixture;
use super::{files_below, findings, look, shown};
use pgmayday::base::Timeline;
use pgmayday::codec::{Compression, Sha1Hash, StreamSpec, decode_small};
use pgmayday::wal::TimelineHistory;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// How many flips all tests of this file make together, unless the environment says otherwise.
const FLIPS: usize = 40;
/// Over how many tests they are spread.
const FIXTURES: usize = 5;

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
fn in_an_upgraded_repository() {
    flip("a5-upgrade");
}

/// A generator that needs no crate (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn flip(name: &str) {
    let fixture = Fixture::open(name);
    let sound = look(&fixture);
    super::assert_sound(&sound);
    let files: Vec<_> = files_below(&fixture.repo())
        .into_iter()
        .filter(|(_, path)| fs::metadata(path).unwrap().len() > 0)
        .collect();
    let seed = number("PGMAYDAY_SEED", u64::from(std::process::id()));
    eprintln!("{name}: PGMAYDAY_SEED={seed}");
    let mut random =
        Random(name.bytes().fold(seed, |seed, b| seed.wrapping_mul(31).wrapping_add(u64::from(b))));
    let count = number("PGMAYDAY_FLIPS", FLIPS as u64).div_ceil(FIXTURES as u64);
    let mut harmless = 0;
    for turn in 0..count {
        let (name_below, path) = pick(&files, &mut random);
        let at = random.below(fs::metadata(path).unwrap().len());
        let mask = 1_u8 << random.below(8);
        let told = format!("{name}, flip {turn}: bit mask {mask:#04x} of byte {at} in {name_below}");
        let file = File::options().read(true).write(true).open(path).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ mask], at).unwrap();
        let verification = look(&fixture);
        let named = findings(&verification).iter().any(|finding| finding.path == *name_below);
        if !named {
            assert!(nobody_reads_it(name_below, path), "{told}: not found\n{}", shown(&verification));
            super::assert_sound(&verification);
            harmless += 1;
        }
        file.write_all_at(&byte, at).unwrap();
    }
    eprintln!("{name}: {count} flips, {harmless} of them harmless");
    assert!(count < 8 || harmless * 2 < count, "{harmless} of {count} were harmless");
    super::assert_sound(&look(&fixture));
}

/// Half of the flips by size, half by file, and of these half in the small files that decide everything.
fn pick<'a>(files: &'a [(String, std::path::PathBuf)], random: &mut Random) -> (&'a str, &'a Path) {
    let small = |name: &str| !name.contains("/pg_data/") && !name.contains("/bundle/");
    let those: Vec<_> = match random.below(4) {
        0 => files.iter().filter(|(name, _)| small(name)).collect(),
        _ => files.iter().collect(),
    };
    if random.below(2) == 0 {
        let (name, path) = those[usize::try_from(random.below(those.len() as u64)).unwrap()];
        return (name, path);
    }
    let size = |path: &Path| fs::metadata(path).unwrap().len();
    let mut point = random.below(those.iter().map(|(_, path)| size(path)).sum());
    for (name, path) in those {
        if point < size(path) {
            return (name, path);
        }
        point -= size(path);
    }
    unreachable!("the point lies below the total")
}

/// True if what the flipped file says to anybody is what it said before: proven here by other means.
fn nobody_reads_it(name: &str, path: &Path) -> bool {
    let file = name.rsplit('/').next().unwrap();
    let stored = fs::read(path).unwrap();
    if name.starts_with("archive/") && file.len() >= 65 && file.as_bytes()[24] == b'-' {
        // A bit that the compression does not use: the content still has the checksum of its name.
        let compression = Compression::from_extension(&file[65..]).unwrap();
        let content = decode_small(&stored, &StreamSpec::full(compression, None), 64 << 20);
        return content.is_ok_and(|content| Sha1Hash::of(&content).to_string() == file[25..65]);
    }
    if let Some(timeline) = Timeline::from_history_file(file) {
        // Words for people behind the positions.
        return TimelineHistory::parse(&stored, timeline).is_ok();
    }
    if name.contains("/backup.history/") {
        // The header of gzip holds a time and an operating system.
        return decode_small(&stored, &StreamSpec::full(Compression::Gz, None), 64 << 20).is_ok();
    }
    // The history file of a backup is for people, but for the places it names.
    file.ends_with(".backup")
}

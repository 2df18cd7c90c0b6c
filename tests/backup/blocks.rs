//! Files that grow, shrink, cross the size from which on they are stored in blocks, are emptied and come back, over a chain of
//! backups by both programs, each of which restores every byte.
//!
//! The files lie in the data directory and are none of PostgreSQL's, so that each has exactly the size and the content that
//! was wanted. Without a pgBackRest that stores blocks the test says so and ends.

use crate::peer::{Peer, restore};
use crate::random::{Random, number};
use crate::tools::{AES, backup, manifest_files, ready};
use crate::yard::{Yard, installed};
use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes};
use std::time::{Duration, SystemTime};

const KIB: usize = 1024;
/// From this size on a file is stored in blocks.
const BORDER: usize = 16 * KIB;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn noise(bytes: usize, random: &mut Random) -> Vec<u8> {
    // Half of it repeats, so that compression has something to do.
    (0..bytes).map(|at| if at % 64 < 32 { b'.' } else { u8::try_from(random.below(256)).unwrap() }).collect()
}

/// The files as they should be: content, and how old their time says they are.
struct World {
    files: BTreeMap<String, (Vec<u8>, Duration)>,
}

impl World {
    fn new(random: &mut Random) -> Self {
        let mut files = BTreeMap::new();
        let sizes = [
            0,
            1,
            8 * KIB,
            BORDER - 1,
            BORDER,
            BORDER + 1,
            100 * KIB + 77,
            700 * KIB,
            3 << 20,
            (5 << 20) + 4321,
            12 << 20,
        ];
        for (number, bytes) in sizes.into_iter().enumerate() {
            files.insert(format!("f{number:02}-{bytes}"), (noise(bytes, random), Duration::from_secs(60)));
        }
        for days in [8, 15, 29] {
            files.insert(format!("old{days:02}"), (noise(300 * KIB, random), DAY * days));
        }
        Self { files }
    }

    /// Changes most files, each in its own way.
    fn turn(&mut self, random: &mut Random) {
        for (content, age) in self.files.values_mut() {
            let length = content.len();
            let below = |bound: usize, random: &mut Random| {
                usize::try_from(random.below(bound.max(1) as u64)).unwrap()
            };
            match random.below(9) {
                0 => continue,
                1 => content.clear(),
                2 => content.truncate(below(length, random)),
                3 => content.extend(noise(below(200 * KIB, random) + 1, random)),
                4 => *content = noise(BORDER - 2 + below(5, random), random),
                5 if length > BORDER => content.rotate_left(8 * KIB),
                6 => content.resize(length.next_multiple_of(8 * KIB), 0),
                _ => {
                    for _ in 0..3 {
                        let at = below(length, random);
                        content.iter_mut().skip(at).take(100).for_each(|byte| *byte ^= 0x5a);
                    }
                }
            }
            *age = Duration::from_secs(60);
        }
        self.files
            .insert(format!("new{}", random.below(1000)), (noise(40 * KIB, random), Duration::from_secs(60)));
    }

    fn write(&self, yard: &Yard) {
        let folder = yard.path("pg/odd");
        fs::create_dir_all(&folder).unwrap();
        yard.give(&folder);
        for (name, (content, age)) in &self.files {
            let path = folder.join(name);
            if fs::read(&path).is_ok_and(|before| before == *content) {
                continue;
            }
            fs::write(&path, content).unwrap();
            yard.give(&path);
            let at = SystemTime::now() - *age;
            // Several turns may fall into a minute: times must differ where contents do.
            File::options()
                .write(true)
                .open(&path)
                .unwrap()
                .set_times(FileTimes::new().set_modified(at))
                .unwrap();
        }
    }

    #[track_caller]
    fn is_in(&self, yard: &Yard, to: &str) {
        for (name, (content, _)) in &self.files {
            let found = fs::read(yard.path(to).join("odd").join(name)).unwrap();
            let differs = found.iter().zip(content).position(|(a, b)| a != b);
            assert!(
                found == *content,
                "{to}: {name} has {} bytes of {}, differs at {differs:?}",
                found.len(),
                content.len()
            );
        }
    }
}

#[test]
fn blocks_follow_files_that_grow_shrink_and_come_back() {
    let test = "blocks_follow_files_that_grow_shrink_and_come_back";
    let Some(binaries) = installed(test) else { return };
    let Some(peer) = Peer::with_blocks() else {
        eprintln!("skipped {test}: no pgBackRest that stores blocks is to be had here");
        return;
    };
    let mut random = Random::seeded(test);
    let rounds = number("PGMAYDAY_BACKUPS", 6, 50).min(20);
    for (cipher, more) in
        [(AES, "compress-type=zst\n"), ("", "compress-type=none\nrepo1-bundle-limit=64KiB\n")]
    {
        let more = format!("{more}repo1-bundle=y\nrepo1-block=y\nprocess-max=2\nrepo1-retention-full=99\n");
        let yard = ready(&binaries, cipher, &more);
        let mut world = World::new(&mut random);
        for round in 0..rounds {
            world.write(&yard);
            let kind = if round == 0 {
                "full"
            } else if random.below(4) == 0 {
                "diff"
            } else {
                "incr"
            };
            if round % 3 == 2 {
                peer.run(&yard, &[&format!("--type={kind}"), "backup"]).exits(0, &[]);
            } else {
                let delta = if random.below(3) == 0 { "--delta" } else { "--no-delta" };
                let made = backup(&yard, &[&format!("--type={kind}"), delta]);
                let files = manifest_files(&yard, made["label"].as_str().unwrap());
                let blocks = files.values().filter(|file| file.get("bim").is_some()).count();
                assert!(blocks > 10, "{blocks}");
                if round == 0 {
                    let sizes = ["old08", "old15", "old29"]
                        .map(|name| files[&format!("pg_data/odd/{name}")].get("bi").cloned());
                    assert_eq!(sizes, [Some(2.into()), Some(4.into()), None]);
                }
            }
            if round % 3 == 1 || round + 1 == rounds {
                for (peer, name) in [(None, "ours"), (Some(&peer), "theirs")] {
                    let to = format!("{name}{round}");
                    restore(&yard, peer, &to, &["--type=none"]);
                    world.is_in(&yard, &to);
                    fs::remove_dir_all(yard.path(&to)).unwrap();
                }
            }
            world.turn(&mut random);
        }
        yard.pgmayday(&["verify"]).exits(0, &[]);
        let verified = peer.run(&yard, &["verify", "--output=text", "--verbose", "--log-level-console=off"]);
        let verified = verified.exits(0, &["status: ok"]);
        assert_eq!(verified.out.matches("status: valid").count(), rounds, "{verified}");
    }
}

//! Damage to files: bits flipped in pages, files cut and taken away.

use crate::world::World;
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

const PAGE_BYTES: u64 = 8192;

impl World {
    /// The file of a relation.
    pub(crate) fn file_of(&self, relation: &str) -> PathBuf {
        self.cluster.data().join(self.cluster.ask(&format!("select pg_relation_filepath('{relation}')")))
    }

    /// Flips one bit of a page while the server is down, then starts it again.
    pub(crate) fn flip(&mut self, relation: &str, block: u64) {
        let path = self.file_of(relation);
        self.cluster.stop();
        let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
        let at = block * PAGE_BYTES + 5000;
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
        self.cluster.start();
        self.spoil();
    }

    /// Every WAL segment of the data directory is gone.
    pub(crate) fn lose_wal(&self) {
        for entry in fs::read_dir(self.cluster.data().join("pg_wal")).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::remove_file(path).unwrap();
            }
        }
    }
}

/// Flips one bit of a file.
pub(crate) fn flip_bit(path: &Path, at: u64) {
    let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

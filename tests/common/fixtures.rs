//! Real repositories for tests: each `tests/fixtures/*.tar.zst` extracted into a folder of its own.
//!
//! Extraction uses the crate's own decoder and a small reader of the tar format, so that it needs no tools.

use pgmayday::base::Secret;
use pgmayday::codec::{Compression, Decoder, StreamSpec};
use pgmayday::repo::Repository;
use pgmayday::store::posix::Posix;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Every fixture.
pub(crate) const ALL: [&str; 9] = [
    "a1-plain-none",
    "a2-zst-aes-bundle",
    "a3-block-incr",
    "a4-bz2",
    "a4-gz",
    "a4-lz4",
    "a5-upgrade",
    "a6-pg18",
    "a7-pg17-gz",
];

/// One extracted fixture; removed when dropped.
pub(crate) struct Fixture {
    root: tempfile::TempDir,
    /// The only stanza of its repository.
    pub(crate) stanza: String,
    /// The passphrase of its repository.
    pub(crate) cipher_pass: Option<String>,
}

impl Fixture {
    /// Extracts a fixture.
    pub(crate) fn open(name: &str) -> Self {
        let archive =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(format!("{name}.tar.zst"));
        let stored = fs::File::open(&archive).unwrap_or_else(|e| panic!("{}: {e}", archive.display()));
        let mut decoder = Decoder::new(stored, &StreamSpec::full(Compression::Zst, None)).unwrap();
        let mut tar = Vec::new();
        decoder.read_to_end(&mut tar).unwrap();
        let root = tempfile::Builder::new().prefix(&format!("pgmayday-{name}-")).tempdir().unwrap();
        untar(&tar, root.path());
        let template = fs::read_to_string(root.path().join("pgbackrest.conf.template")).unwrap();
        let line = |prefix: &str| template.lines().find_map(|l| l.strip_prefix(prefix).map(str::to_owned));
        let stanza = template
            .lines()
            .filter_map(|l| l.strip_prefix('[')?.strip_suffix(']'))
            .find(|section| *section != "global")
            .unwrap()
            .to_owned();
        Self { stanza, cipher_pass: line("repo1-cipher-pass="), root }
    }

    /// A path inside the extracted fixture.
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.root.path().join(below)
    }

    /// The repository's root folder.
    pub(crate) fn repo(&self) -> PathBuf {
        self.path("repo")
    }

    /// A file below `expected/`, as text.
    pub(crate) fn expected(&self, below: &str) -> String {
        let path = self.path("expected").join(below);
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// The names of the files below `expected/`, sorted.
    pub(crate) fn expected_names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("expected")).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The repository, opened.
    pub(crate) fn repository(&self) -> Repository {
        let storage = Arc::new(Posix::new(self.repo(), "repo1"));
        Repository::new(storage, 1, self.cipher_pass.clone().map(Secret::new))
    }

    /// Writes a `pgbackrest.conf` for this fixture, with `pgdata` as the data directory, and returns its path.
    pub(crate) fn config(&self, pgdata: &Path) -> PathBuf {
        let mut text = fs::read_to_string(self.path("pgbackrest.conf.template")).unwrap();
        let places = BTreeMap::from([
            ("@REPO1@", self.repo()),
            ("@PGDATA@", pgdata.to_owned()),
            ("@LOCK@", self.path("lock")),
            ("@LOG@", self.path("log")),
            ("@SPOOL@", self.path("spool")),
        ]);
        for (mark, place) in places {
            text = text.replace(mark, place.to_str().unwrap());
        }
        for folder in ["lock", "log", "spool"] {
            fs::create_dir_all(self.path(folder)).unwrap();
        }
        let path = self.path("pgbackrest.conf");
        fs::write(&path, text).unwrap();
        path
    }
}

// Each test program uses some of the helpers; naming them here keeps the others from being reported as unused.
const _: fn(&Fixture, &Path) -> PathBuf = Fixture::config;
const _: fn(&Fixture, &str) -> String = Fixture::expected;
const _: fn(&Fixture) -> Vec<String> = Fixture::expected_names;
const _: fn(&Fixture) -> Repository = Fixture::repository;
const _: [&str; 9] = ALL;
const _: fn(&Fixture) -> &String = |fixture| &fixture.stanza;

/// Extracts a GNU tar archive of files, folders and symbolic links.
fn untar(mut tar: &[u8], root: &Path) {
    let mut long_name: Option<String> = None;
    while tar.len() >= 512 && tar[0] != 0 {
        let (header, rest) = tar.split_at(512);
        let text = |range: std::ops::Range<usize>| {
            let field = &header[range];
            let end = field.iter().position(|b| *b == 0).unwrap_or(field.len());
            std::str::from_utf8(&field[..end]).unwrap().trim().to_owned()
        };
        let octal = |range| u32::from_str_radix(&text(range), 8).unwrap();
        let size = octal(124..136) as usize;
        let (content, kind) = (&rest[..size], header[156]);
        tar = &rest[size.next_multiple_of(512)..];
        if kind == b'L' {
            long_name = Some(std::str::from_utf8(content).unwrap().trim_end_matches('\0').to_owned());
            continue;
        }
        let path = root.join(long_name.take().unwrap_or_else(|| text(0..100)));
        match kind {
            b'5' => fs::create_dir_all(&path).unwrap(),
            b'2' => symlink(text(157..257), &path).unwrap(),
            b'0' | 0 => fs::write(&path, content).unwrap(),
            other => panic!("unexpected tar entry kind {other} for {}", path.display()),
        }
        if kind != b'2' {
            fs::set_permissions(&path, fs::Permissions::from_mode(octal(100..108))).unwrap();
        }
    }
}

//! What is fuzzed: one function per reader of foreign bytes, used by `tests/fuzz.rs` and by `cargo fuzz`.
//!
//! A target hands the bytes to the reader and walks everything the reader made of them; it tells whether they were taken. Any answer
//! is right, but it must come: no panic, no hang, no memory beyond what the bytes justify.

use pgmayday::base::{self, BackupLabel, Lsn, Secret, Timeline, WalSegment, Xid};
use pgmayday::cluster::control::{ControlFile, mark_unusable_checkpoint};
use pgmayday::cluster::lock_file::LockFile;
use pgmayday::codec::{Compression, Framing, StreamSpec, decode_small};
use pgmayday::config::{CliOption, Config, Sources};
use pgmayday::repo::{Repository, Stanza, blockmap};
use pgmayday::runbook::{Runbook, markdown, text, tree};
use pgmayday::store::StorePath;
use pgmayday::store::memory::Memory;
use pgmayday::wal::{ScanRequest, SegmentHeader, SegmentSource, Simulation, Target, TimelineHistory, scan};
use std::io::Read;
use std::ops::ControlFlow;
use std::sync::Arc;

/// A small object is never longer than this once decoded.
const LIMIT_BYTES: u64 = 4 << 20;

/// A stored stream: the cipher's container and every compression, framed as a file and as part of a bundle.
pub(crate) fn stream(bytes: &[u8]) -> bool {
    let mut taken = false;
    for compression in Compression::ALL {
        for cipher in [None, Some(Secret::new("fuzz"))] {
            for framing in [Framing::Full, Framing::Raw] {
                let plain = compression == Compression::None && cipher.is_none();
                let spec = StreamSpec { framing, ..StreamSpec::full(compression, cipher.clone()) };
                if let Ok(content) = decode_small(bytes, &spec, LIMIT_BYTES) {
                    assert!(content.len() as u64 <= LIMIT_BYTES);
                    taken |= !plain;
                }
            }
        }
    }
    taken
}

/// `pg_control`.
pub(crate) fn control(bytes: &[u8]) -> bool {
    let Ok(control) = ControlFile::parse(bytes) else { return false };
    assert!(!format!("{control:?}").is_empty());
    let mut marked = bytes.to_vec();
    if mark_unusable_checkpoint(&mut marked).is_ok() {
        let again = ControlFile::parse(&marked);
        assert!(again.is_ok_and(|control| control.checkpoint_is_marked_unusable()));
    }
    true
}

/// `postmaster.pid`.
pub(crate) fn lock_file(bytes: &[u8]) -> bool {
    LockFile::parse(&String::from_utf8_lossy(bytes)).is_ok()
}

fn path(text: &str) -> StorePath {
    StorePath::new(text).expect("a plain path")
}

/// The stanza `main` of a repository with just these files.
fn stanza(files: &[(&str, &[u8])]) -> Stanza {
    let memory = Memory::default();
    for (name, bytes) in files {
        memory.put(&path(name), bytes);
    }
    Repository::new(Arc::new(memory), 1, None).stanza("main")
}

/// `backup.info`.
pub(crate) fn info(bytes: &[u8]) -> bool {
    let info = stanza(&[("backup/main/backup.info", bytes)]).backup_info();
    info.is_ok_and(|info| !format!("{:?}", info.value).is_empty())
}

/// `archive.info`.
pub(crate) fn archive_info(bytes: &[u8]) -> bool {
    let info = stanza(&[("archive/main/archive.info", bytes)]).archive_info();
    info.is_ok_and(|info| !format!("{:?}", info.value).is_empty())
}

/// `backup.manifest`, as that of the backup it says it is.
pub(crate) fn manifest(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let said = text.split_once("backup-label=\"").and_then(|(_, rest)| rest.split('"').next()?.parse().ok());
    let label: BackupLabel = said.unwrap_or_else(|| "20261121-010559F".parse().expect("a label"));
    let stored = format!("backup/main/{label}/backup.manifest");
    let catalog: &[u8] = include_bytes!("seeds/info/plain-incr");
    let stanza = stanza(&[("backup/main/backup.info", catalog), (&stored, bytes)]);
    let catalog = stanza.backup_info().expect("the seed is sound").value;
    let Ok(manifest) = stanza.manifest(&catalog, &label) else { return false };
    let manifest = manifest.value;
    for file in manifest.files.iter() {
        if let Ok((path, _, _)) = manifest.stored(&file) {
            assert!(path.as_str().starts_with("backup/main/"), "{path} lies outside");
        }
    }
    assert!(!format!("{:?} {:?} {:?}", manifest.targets, manifest.paths, manifest.links).is_empty());
    true
}

/// A block map: length of the file (4 bytes), of a block (4), of a checksum (1), then the map.
pub(crate) fn block_map(bytes: &[u8]) -> bool {
    let Some((head, map)) = bytes.split_at_checked(9) else { return false };
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0u32, |number, byte| number << 8 | u32::from(*byte));
    let (file_bytes, block_bytes) = (u64::from(number(&head[..4])), number(&head[4..8]));
    let Ok(map) = blockmap::decode(map, file_bytes, block_bytes, head[8]) else { return false };
    assert_eq!(map.blocks.len() as u64, file_bytes.div_ceil(u64::from(block_bytes)));
    true
}

/// `pgbackrest.conf`.
pub(crate) fn config(bytes: &[u8]) -> bool {
    let path = std::env::temp_dir().join(format!("pgmayday-fuzz-{}.conf", std::process::id()));
    std::fs::write(&path, bytes).expect("the temporary folder is writable");
    let sources = Sources {
        cli: vec![CliOption { name: "config".into(), value: Some(path.display().to_string()) }],
        env: vec![("PASSPHRASE".into(), "fuzz".into()), ("PGBACKREST_REPO1_PATH".into(), "/fuzz".into())],
        default_dir: "/nonexistent".into(),
    };
    let Ok(config) = Config::load(&sources) else { return false };
    let mut stanzas: Vec<Option<String>> = config.stanzas().into_iter().map(Some).collect();
    stanzas.truncate(20);
    stanzas.push(None);
    for stanza in &stanzas {
        for command in ["info", "restore", "archive-get"] {
            if let Ok(settings) = config.settings(command, stanza.as_deref()) {
                assert!(!format!("{settings:?} {:?}", settings.pairs("link-map")).is_empty());
                assert!(!settings.effective().is_empty());
            }
        }
    }
    true
}

/// A log of one segment.
struct OneSegment<'a> {
    segment: WalSegment,
    bytes: &'a [u8],
}

impl SegmentSource for OneSegment<'_> {
    fn open(&self, segment: WalSegment) -> base::Result<Option<Box<dyn Read + Send>>> {
        // The seeds lack the zeros at the end of their segments of 1 MiB.
        let zeros = std::io::repeat(0).take((1u64 << 20).saturating_sub(self.bytes.len() as u64));
        let bytes = std::io::Cursor::new(self.bytes.to_vec()).chain(zeros);
        Ok((segment == self.segment).then(|| Box::new(bytes) as Box<dyn Read + Send>))
    }

    fn history(&self, _: Timeline) -> base::Result<Option<Vec<u8>>> {
        Ok(None)
    }
}

/// A WAL segment: every record, and where recoveries to several targets would stop.
pub(crate) fn wal(bytes: &[u8]) -> bool {
    let Ok(header) = SegmentHeader::parse(bytes) else { return false };
    let from = header.page_lsn;
    let segment = WalSegment::containing(header.timeline, from, header.segment_size);
    let path = TimelineHistory::root(header.timeline).path();
    let mut request = ScanRequest::new(path, from, header.segment_size);
    request.every_record = true;
    let mut records = 0;
    let targets = [Target::Latest, Target::Immediate, Target::Xid { xid: Xid(730), inclusive: true }];
    for target in targets {
        let mut simulation = Simulation::new(target, Lsn(from.0 + 1000));
        request.watch = simulation.watch();
        let mut last = from;
        let ended = scan(&OneSegment { segment, bytes }, &request, &mut |record| {
            records += 1;
            last = record.end_lsn;
            simulation.feed(record)
        });
        assert!(!format!("{ended:?} {:?}", simulation.finish(last)).is_empty());
    }
    let mut stopped = 0;
    let early = scan(&OneSegment { segment, bytes }, &request, &mut |_| {
        stopped += 1;
        ControlFlow::Break(())
    });
    assert!(stopped <= 1, "a visitor that broke off was called again: {early:?}");
    records > 0
}

/// A timeline history file, as that of timelines 2 to 4.
pub(crate) fn history(bytes: &[u8]) -> bool {
    let mut taken = false;
    for timeline in [2, 3, 4] {
        if let Ok(history) = TimelineHistory::parse(bytes, Timeline(timeline)) {
            let path = history.path();
            assert_eq!(path.target(), Timeline(timeline));
            assert_eq!(path.stretches().len(), path.forks().count() + 1);
            taken = true;
        }
    }
    taken
}

/// A runbook: read, checked, printed and drawn; a mistake in it always has a place in it.
pub(crate) fn runbook(bytes: &[u8]) -> bool {
    let file = String::from_utf8_lossy(bytes);
    match Runbook::parse(&file) {
        Ok(book) => {
            assert!(!markdown::markdown(&book).is_empty() && !text::text(&book, "fuzz").is_empty());
            let style = tree::Style { ascii: false, columns: 80 };
            assert!(tree::tree(&book, style, None).iter().all(|line| line.chars().count() <= 80));
            true
        }
        Err(findings) => {
            let lines: Vec<&str> = file.split('\n').collect();
            assert!(!findings.is_empty());
            for finding in findings {
                let line = lines.get(finding.place.line - 1).expect("a line of the file");
                assert!((1..=line.chars().count() + 1).contains(&finding.place.column), "{finding}");
            }
            false
        }
    }
}

//! What is fuzzed: one function per reader of foreign bytes, used by `tests/fuzz.rs` and by `cargo fuzz`.
//!
//! A target hands the bytes to the reader and walks everything the reader made of them; it tells whether they were taken. Any answer
//! is right, but it must come: no panic, no hang, no memory beyond what the bytes justify.

use pgmayday::base::{BackupLabel, Secret};
use pgmayday::cluster::control::{ControlFile, mark_unusable_checkpoint};
use pgmayday::cluster::lock_file::LockFile;
use pgmayday::codec::{Compression, Framing, StreamSpec, decode_small};
use pgmayday::config::{CliOption, Config, Sources};
use pgmayday::repo::{Repository, Stanza, blockmap};
use pgmayday::store::StorePath;
use pgmayday::store::memory::Memory;
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

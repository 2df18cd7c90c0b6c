//! Block maps made here against those that real pgBackRest wrote: the bytes, and the choices behind them.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "common/fixtures.rs"]
mod fixtures;

use fixtures::{ALL, Fixture};
use pgmayday::codec::{Compression, Framing, StreamSpec, decode_small};
use pgmayday::repo::blockmap::policy::{
    SuperBlockSizes, block_size_for, checksum_size_for, super_block_target,
};
use pgmayday::repo::blockmap::{self, MapBuilder, Taken};
use pgmayday::repo::{BlockInfo, BlockMap, FileEntry, Manifest, Stanza};
use pgmayday::store::{Range, Storage, StorePath};
use std::collections::{BTreeSet, HashMap};
use std::io::Read as _;

fn read(storage: &dyn Storage, path: &StorePath, range: Range) -> Vec<u8> {
    let mut bytes = Vec::new();
    storage.open(path, range).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

fn raw(manifest: &Manifest, compression: Compression) -> StreamSpec {
    StreamSpec { compression, cipher: manifest.cipher_pass.clone(), framing: Framing::Raw }
}

/// The map of a file stored as blocks, as its bytes and decoded.
fn map(stanza: &Stanza, manifest: &Manifest, file: &FileEntry<'_>, info: BlockInfo) -> (Vec<u8>, BlockMap) {
    let (path, range, _) = manifest.stored(file).unwrap();
    let stored = read(&**stanza.repository().storage(), &path, range);
    let map_at = stored.len() - usize::try_from(info.map_bytes).unwrap();
    let bytes = decode_small(&stored[map_at..], &raw(manifest, Compression::None), 1 << 20).unwrap();
    let map = blockmap::decode(&bytes, file.size_bytes, info.block_bytes, info.checksum_bytes).unwrap();
    (bytes, map)
}

/// A file stored as blocks, as one backup has it.
struct Seen<'a> {
    /// For messages.
    what: String,
    stanza: &'a Stanza,
    /// The manifests of the stanza up to that of the backup, which is the last.
    manifests: &'a [Manifest],
    file: &'a FileEntry<'a>,
    info: BlockInfo,
}

/// Visits every file stored as blocks of every backup of a stanza.
fn each_file(name: &str, stanza: &Stanza, visit: &mut dyn FnMut(&Seen<'_>)) {
    let info = stanza.backup_info().unwrap().value;
    // Labels sort by time, so that a backup comes after the one it builds on.
    let mut manifests: Vec<Manifest> = Vec::new();
    for label in info.backups.keys() {
        manifests.push(stanza.manifest(&info, label).unwrap().value);
        for file in manifests[manifests.len() - 1].files.iter() {
            if let Some(info) = file.block {
                let what = format!("{name} {label} {}", file.name);
                visit(&Seen { what, stanza, manifests: &manifests, file: &file, info });
            }
        }
    }
}

fn each_file_of_every_fixture(visit: &mut dyn FnMut(&Seen<'_>)) {
    for name in ALL {
        let fixture = Fixture::open(name);
        each_file(name, &fixture.repository().stanza(&fixture.stanza), visit);
    }
}

#[test]
fn every_real_block_map_is_encoded_to_the_same_bytes() {
    let (mut maps, mut several, mut again) = (0, 0, 0);
    each_file_of_every_fixture(&mut |Seen { what, stanza, manifests, file, info }| {
        let (bytes, map) = map(stanza, manifests.last().unwrap(), file, *info);
        let encoded = blockmap::encode(&map, info.block_bytes, info.checksum_bytes).unwrap();
        assert!(encoded == bytes, "{what}\n{bytes:02x?}\n{encoded:02x?}\n{map:?}");
        let runs: Vec<u32> =
            map.blocks.chunk_by(|a, b| a.reference == b.reference).map(|run| run[0].reference).collect();
        let backups: BTreeSet<u32> = runs.iter().copied().collect();
        maps += 1;
        several += usize::from(backups.len() > 1);
        again += runs.len() - backups.len();
    });
    eprintln!(
        "{maps} maps compared, {several} with blocks of several backups, {again} runs of one met before"
    );
    assert!(maps > 100 && several > 10 && again > 10, "{maps} {several} {again}");
}

/// The content of a file, block by block.
fn content(
    stanza: &Stanza,
    manifest: &Manifest,
    file: &FileEntry<'_>,
    info: BlockInfo,
    map: &BlockMap,
) -> Vec<u8> {
    let storage = &**stanza.repository().storage();
    let block_bytes = info.block_bytes as usize;
    let mut super_blocks = HashMap::new();
    let mut content = Vec::new();
    for block in &map.blocks {
        let key = (block.reference, block.bundle, block.offset);
        let plain: &Vec<u8> = super_blocks.entry(key).or_insert_with(|| {
            let path = manifest.super_block_path(block.reference, block.bundle, file.name).unwrap();
            let range = Range::Part { offset: block.offset, length: block.stored_bytes };
            let spec = raw(manifest, manifest.compression);
            decode_small(&read(storage, &path, range), &spec, block.plain_bytes).unwrap()
        });
        let from = block.index as usize * block_bytes;
        content.extend_from_slice(&plain[from..plain.len().min(from + block_bytes)]);
    }
    content
}

#[test]
fn the_builder_makes_the_maps_that_pgbackrest_made_of_the_same_files() {
    let (mut fresh, mut built_on, mut shorter) = (0, 0, 0);
    each_file_of_every_fixture(&mut |Seen { what, stanza, manifests, file, info }| {
        let manifest = manifests.last().unwrap();
        let (_, real) = map(stanza, manifest, file, *info);
        let content = content(stanza, manifest, file, *info, &real);
        let prior = manifest.prior.as_ref().and_then(|label| {
            let prior = manifests.iter().find(|prior| prior.label == *label).unwrap();
            let before = prior.files.get(prior.files.find(file.name)?);
            let before_info = before.block?;
            let kept =
                before.size_bytes == file.size_bytes || file.size_bytes >= u64::from(before_info.block_bytes);
            kept.then(|| map(stanza, prior, &before, before_info).1)
        });
        let own = u32::try_from(manifest.references.len() - 1).unwrap();
        let bundle = real.blocks.iter().find(|block| block.reference == own).map_or(0, |block| block.bundle);
        let mut super_blocks = real.blocks.iter().filter(|block| block.reference == own);
        let prior_blocks = prior.as_ref().map(|map| map.blocks.len());
        let target =
            super_block_target(manifest.prior.is_none(), info.block_bytes, SuperBlockSizes::default());
        let mut builder = MapBuilder::new(prior, own, bundle, info.block_bytes, info.checksum_bytes).unwrap();
        let mut stored = None;
        let mut close = |builder: &mut MapBuilder| {
            // Where pgBackRest put it is taken from there; how many blocks it has is ours to find out.
            let block = super_blocks.find(|block| Some(block.offset) != stored).unwrap();
            assert_eq!(block.plain_bytes, builder.open_bytes(), "{what}");
            stored = Some(block.offset);
            builder.closed(block.offset, block.stored_bytes).unwrap();
        };
        for block in content.chunks(info.block_bytes as usize) {
            if builder.take(block).unwrap() == Taken::New && builder.open_bytes() >= target {
                close(&mut builder);
            }
        }
        if builder.open_bytes() > 0 {
            close(&mut builder);
        }
        let built = builder.finish().unwrap();
        if file.stored_here {
            let built = built.unwrap();
            assert!(built == real, "{what}\n{built:?}\n{real:?}");
            fresh += usize::from(prior_blocks.is_none());
            built_on += usize::from(prior_blocks.is_some());
            shorter += usize::from(prior_blocks.is_some_and(|blocks| blocks > real.blocks.len()));
        } else {
            assert_eq!(built, None, "{what}: pgBackRest made a reference of it");
        }
    });
    eprintln!("{fresh} fresh, {built_on} on a map before, {shorter} shorter");
    assert!(fresh > 100 && built_on > 20, "{fresh} {built_on} {shorter}");
}

#[test]
fn files_of_a_full_backup_have_the_block_sizes_that_pgbackrest_chose() {
    let (mut blocks, mut whole) = (0, 0);
    for name in ALL {
        let fixture = Fixture::open(name);
        let stanza = fixture.repository().stanza(&fixture.stanza);
        let info = stanza.backup_info().unwrap().value;
        for label in info.backups.keys() {
            let manifest = stanza.manifest(&info, label).unwrap().value;
            if manifest.prior.is_some() || !manifest.block_incr {
                continue;
            }
            for file in manifest.files.iter() {
                let age_s = manifest.start.unix_s() - file.modified_s;
                let expected = block_size_for(file.size_bytes, age_s);
                let what = format!("{name} {label} {} {}", file.name, file.size_bytes);
                assert_eq!(file.block.map(|block| block.block_bytes), expected, "{what}");
                if let Some(block) = file.block {
                    assert_eq!(block.checksum_bytes, checksum_size_for(block.block_bytes), "{what}");
                }
                blocks += usize::from(file.block.is_some());
                whole += usize::from(file.block.is_none());
            }
        }
    }
    assert!(blocks > 100 && whole > 100, "{blocks} {whole}");
}

//! Every fixture repository read to the last byte: info files, manifests, every stored file, every segment.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "common/fixtures.rs"]
mod fixtures;

use fixtures::{ALL, Fixture};
use pgmayday::base::{BackupLabel, WalSegmentSize};
use pgmayday::codec::{Compression, Decoder, Framing, Sha1Hash, StreamSpec, decode_small};
use pgmayday::repo::{BlockMap, FileEntry, Found, Manifest, Repository, Stanza, blockmap};
use pgmayday::store::memory::Memory;
use pgmayday::store::{Range, Storage, StorePath};
use std::collections::HashMap;
use std::io::Read as _;
use std::sync::Arc;

fn read(storage: &dyn Storage, path: &StorePath, range: Range) -> Vec<u8> {
    let mut bytes = Vec::new();
    storage.open(path, range).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

/// The content of a file out of the repository.
fn content(stanza: &Stanza, manifest: &Manifest, file: &FileEntry<'_>) -> Vec<u8> {
    let storage = &**stanza.repository().storage();
    let (path, range, framing) = manifest.stored(file).unwrap();
    let stored = read(storage, &path, range);
    assert_eq!(stored.len() as u64, file.repo_size_bytes, "{}", file.name);
    assert_eq!(file.repo_checksum.unwrap_or(Sha1Hash::of(&stored)), Sha1Hash::of(&stored), "{}", file.name);
    let spec =
        StreamSpec { compression: manifest.compression, cipher: manifest.cipher_pass.clone(), framing };
    let Some(block) = file.block else {
        return decode_small(&stored, &spec, file.size_bytes).unwrap();
    };
    let map_at = stored.len() - usize::try_from(block.map_bytes).unwrap();
    let map_spec = StreamSpec { compression: Compression::None, framing: Framing::Raw, ..spec.clone() };
    let map = decode_small(&stored[map_at..], &map_spec, 1 << 20).unwrap();
    let map = blockmap::decode(&map, file.size_bytes, block.block_bytes, block.checksum_bytes).unwrap();
    assemble(stanza, manifest, file, &map, &spec)
}

fn assemble(
    stanza: &Stanza,
    manifest: &Manifest,
    file: &FileEntry<'_>,
    map: &BlockMap,
    spec: &StreamSpec,
) -> Vec<u8> {
    let storage = &**stanza.repository().storage();
    let block_bytes = file.block.unwrap().block_bytes as usize;
    let mut super_blocks = HashMap::new();
    let mut content = Vec::new();
    for block in &map.blocks {
        let plain = super_blocks.entry((block.reference, block.bundle, block.offset)).or_insert_with(|| {
            let path = manifest.super_block_path(block.reference, block.bundle, file.name).unwrap();
            let range = Range::Part { offset: block.offset, length: block.stored_bytes };
            decode_small(&read(storage, &path, range), spec, block.plain_bytes).unwrap()
        });
        assert_eq!(plain.len() as u64, block.plain_bytes, "{}", file.name);
        let from = block.index as usize * block_bytes;
        content.extend_from_slice(&plain[from..plain.len().min(from + block_bytes)]);
    }
    content
}

#[test]
fn every_file_of_every_backup_has_the_content_its_manifest_says() {
    let (mut files, mut with_blocks, mut maps_over_backups) = (0, 0, 0);
    for name in ALL {
        let fixture = Fixture::open(name);
        let repository = fixture.repository();
        assert_eq!(repository.stanzas().unwrap(), std::slice::from_ref(&fixture.stanza));
        let stanza = repository.stanza(&fixture.stanza);
        let info = stanza.backup_info().unwrap();
        assert!(info.warnings.is_empty());
        for label in info.value.backups.keys() {
            let manifest = stanza.manifest(&info.value, label).unwrap();
            assert!(manifest.warnings.is_empty());
            let manifest = manifest.value;
            let entry = &info.value.backups[label];
            assert_eq!(manifest.files.total_bytes(), entry.size_bytes);
            assert_eq!((manifest.lsn_stop, manifest.archive_stop), (entry.lsn_stop, entry.archive_stop));
            for file in manifest.files.iter() {
                assert_eq!(manifest.files.get(manifest.files.find(file.name).unwrap()), file);
                if file.size_bytes == 0 || (!file.stored_here && file.block.is_none()) {
                    continue;
                }
                let content = content(&stanza, &manifest, &file);
                assert_eq!(content.len() as u64, file.size_bytes, "{name} {label} {}", file.name);
                assert_eq!(Some(Sha1Hash::of(&content)), file.checksum, "{name} {label} {}", file.name);
                files += 1;
                with_blocks += usize::from(file.block.is_some());
                maps_over_backups += usize::from(file.block.is_some() && !file.stored_here);
            }
        }
    }
    assert!(
        files > 10_000 && with_blocks > 1000 && maps_over_backups > 500,
        "{files} {with_blocks} {maps_over_backups}"
    );
}

#[test]
fn decrypted_info_files_and_manifests_are_what_pgbackrest_shows() {
    for name in ALL {
        let fixture = Fixture::open(name);
        let stanza = fixture.repository().stanza(&fixture.stanza);
        let info = stanza.backup_info().unwrap().value;
        let user = stanza.repository().cipher().cloned();
        let folder = stanza.backup_folder().unwrap();
        let mut files = vec![
            (folder.join("backup.info").unwrap(), user.clone()),
            (stanza.archive_folder().unwrap().join("archive.info").unwrap(), user),
        ];
        for label in info.backups.keys() {
            let path = folder.join(label.as_str()).unwrap().join("backup.manifest").unwrap();
            files.push((path, info.cipher_pass.clone()));
        }
        for (path, cipher) in files {
            let stored = read(&**stanza.repository().storage(), &path, Range::Whole);
            let plain =
                decode_small(&stored, &StreamSpec::full(Compression::None, cipher), 16 << 20).unwrap();
            assert!(plain == fixture.expected(&format!("plain/{path}")).into_bytes(), "{name} {path}");
        }
    }
}

#[test]
fn every_segment_has_the_content_its_name_says() {
    for name in ALL {
        let fixture = Fixture::open(name);
        let stanza = fixture.repository().stanza(&fixture.stanza);
        let archive = stanza.archive(&stanza.archive_info().unwrap().value);
        let mut seen = 0;
        for id in archive.ids() {
            let mut all = Vec::new();
            archive
                .segments(&id, None, &mut |stored| {
                    all.push(stored);
                    true
                })
                .unwrap();
            assert!(all.is_sorted_by_key(|stored| stored.segment));
            for stored in &all {
                assert_eq!(archive.find(&id, stored.segment).unwrap(), Found::One(*stored));
                let mut decoder: Decoder<'_> = archive.open(&id, stored).unwrap();
                std::io::copy(&mut decoder, &mut std::io::sink()).unwrap();
                assert_eq!(decoder.finish().unwrap().sha1, stored.sha1, "{name} {}", stored.segment);
            }
            let (first, last) = (all[0].segment, all[all.len() - 1].segment);
            assert_eq!(archive.bounds(&id).unwrap(), Some((first, last)));
            let mut rest = Vec::new();
            archive
                .segments(&id, Some(last), &mut |stored| {
                    rest.push(stored.segment);
                    true
                })
                .unwrap();
            assert_eq!(rest, [last]);
            let size = WalSegmentSize::new(1 << 20).unwrap();
            let ranges = archive.ranges(&id, size).unwrap();
            assert!(ranges.conflicts.is_empty() && ranges.impossible.is_empty(), "{ranges:?}");
            let counted: u64 = ranges.ranges.iter().map(|range| range.segments(size)).sum();
            assert_eq!(counted, all.len() as u64);
            for timeline in archive.timelines(&id).unwrap() {
                let history = archive.history(&id, timeline).unwrap();
                assert_eq!(history.is_some(), timeline.0 > 1, "{name} timeline {timeline}");
            }
            seen += all.len();
        }
        assert!(seen > 0, "{name}");
    }
}

#[test]
fn odd_backups_are_named() {
    let fixture = Fixture::open("a1-plain-none");
    let stanza = fixture.repository().stanza(&fixture.stanza);
    let info = stanza.backup_info().unwrap().value;
    let absent: BackupLabel = "20200101-000000F".parse().unwrap();
    let error = stanza.manifest(&info, &absent).unwrap_err();
    assert!(error.is_missing(), "{error}");
    let nowhere = fixture.repository().stanza("../main");
    assert!(nowhere.backup_info().unwrap_err().to_string().contains("not the name of a stanza"));
}

/// Every flipped bit of an info file is an error, and with a sound copy beside it a warning.
#[test]
fn no_flipped_bit_of_an_info_file_goes_unnoticed() {
    for name in ["a1-plain-none", "a2-zst-aes-bundle"] {
        let fixture = Fixture::open(name);
        let real = fixture.repository();
        let real_stanza = real.stanza(&fixture.stanza);
        let files = [
            real_stanza.archive_folder().unwrap().join("archive.info").unwrap(),
            real_stanza.backup_folder().unwrap().join("backup.info").unwrap(),
        ];
        for path in files {
            let sound = read(&**real.storage(), &path, Range::Whole);
            let memory = Memory::default();
            let copy = path.with_suffix(".copy");
            let stanza =
                Repository::new(Arc::new(memory.clone()), 1, real.cipher().cloned()).stanza(&fixture.stanza);
            let warnings = |stanza: &Stanza| match path.file_name() {
                "archive.info" => stanza.archive_info().map(|loaded| loaded.warnings),
                _ => stanza.backup_info().map(|loaded| loaded.warnings),
            };
            for at in 0..sound.len() {
                for bit in 0..8 {
                    let mut bad = sound.clone();
                    bad[at] ^= 1 << bit;
                    memory.put(&path, &bad);
                    memory.put(&copy, &bad);
                    assert!(warnings(&stanza).is_err(), "{name} {path}: byte {at} bit {bit}");
                }
                memory.put(&copy, &sound);
                let warned = warnings(&stanza).unwrap();
                assert!(
                    warned.len() == 1 && warned[0].contains("info.copy"),
                    "{name} {path}: byte {at}: {warned:?}"
                );
                let cut = &sound[..at];
                memory.put(&path, cut);
                memory.put(&copy, cut);
                assert!(warnings(&stanza).is_err(), "{name} {path}: cut at {at}");
            }
        }
    }
}

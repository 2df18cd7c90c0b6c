//! What is written is what pgBackRest wrote: info files and manifests of every fixture, read and written again.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "common/fixtures.rs"]
mod fixtures;

use fixtures::{ALL, Fixture};
use pgmayday::base::Secret;
use pgmayday::codec::{Compression, StreamSpec, decode_small};
use pgmayday::repo::{Repository, Stanza, WRITER};
use pgmayday::store::memory::Memory;
use pgmayday::store::{Range, StorePath, read_small};
use std::sync::Arc;

/// The same stanza in an empty store of its own.
fn elsewhere(real: &Stanza) -> Stanza {
    let cipher = real.repository().cipher().cloned();
    Repository::new(Arc::new(Memory::default()), 1, cipher).stanza(real.name())
}

fn plain(stanza: &Stanza, path: &StorePath, compression: Compression, cipher: Option<&Secret>) -> String {
    let stored = read_small(&**stanza.repository().storage(), path, 64 << 20).unwrap();
    let spec = StreamSpec::full(compression, cipher.cloned());
    String::from_utf8(decode_small(&stored, &spec, 64 << 20).unwrap()).unwrap()
}

/// The text without what names its writer, and the sum over that.
fn unsigned(text: &str) -> String {
    let named =
        |line: &&str| !line.starts_with("backrest-version=") && !line.starts_with("backrest-checksum=");
    text.lines().filter(named).collect::<Vec<_>>().join("\n")
}

#[test]
fn info_files_are_written_as_they_were_read() {
    for name in ALL {
        let fixture = Fixture::open(name);
        let real = fixture.repository().stanza(&fixture.stanza);
        let ours = elsewhere(&real);
        ours.save_backup_info(&real.backup_info().unwrap().value).unwrap();
        ours.save_archive_info(&real.archive_info().unwrap().value).unwrap();
        let user = real.repository().cipher();
        for (path, again) in [
            (
                real.backup_folder().unwrap().join("backup.info").unwrap(),
                ours.backup_info().unwrap().warnings,
            ),
            (
                real.archive_folder().unwrap().join("archive.info").unwrap(),
                ours.archive_info().unwrap().warnings,
            ),
        ] {
            assert!(again.is_empty(), "{again:?}");
            let written = plain(&ours, &path, Compression::None, user);
            assert_eq!(unsigned(&written), unsigned(&fixture.expected(&format!("plain/{path}"))), "{name}");
            assert!(written.contains(WRITER));
            let storage = ours.repository().storage();
            let copy = read_small(&**storage, &path.with_suffix(".copy"), 1 << 20).unwrap();
            assert!(copy == read_small(&**storage, &path, 1 << 20).unwrap());
        }
    }
}

#[test]
fn manifests_are_written_as_they_were_read_byte_by_byte() {
    let mut written = 0;
    for name in ALL {
        let fixture = Fixture::open(name);
        let real = fixture.repository().stanza(&fixture.stanza);
        let info = real.backup_info().unwrap().value;
        let ours = elsewhere(&real);
        for label in info.backups.keys() {
            let manifest = real.manifest(&info, label).unwrap().value;
            ours.commit_manifest(&info, &manifest).unwrap();
            let path =
                real.backup_folder().unwrap().join(label.as_str()).unwrap().join("backup.manifest").unwrap();
            let text = plain(&ours, &path, Compression::None, info.cipher_pass.as_ref());
            let expected = fixture.expected(&format!("plain/{path}"));
            let first = text.lines().zip(expected.lines()).find(|(a, b)| a != b);
            assert!(text == expected, "{name} {label}: {first:?}");
            let kept = ours.history_path(label).unwrap();
            assert!(plain(&ours, &kept, Compression::Gz, info.cipher_pass.as_ref()) == expected);
            assert!(real.repository().storage().stat(&kept).unwrap().is_some(), "{kept}");
            assert_eq!(ours.manifest(&info, label).unwrap().value.files.len(), manifest.files.len());
            written += 1;
        }
    }
    assert!(written > 20, "{written}");
}

#[test]
fn a_manifest_that_is_not_whole_is_read_only_as_such() {
    let fixture = Fixture::open("a2-zst-aes-bundle");
    let real = fixture.repository().stanza(&fixture.stanza);
    let info = real.backup_info().unwrap().value;
    let label = info.backups.keys().next().unwrap();
    let mut manifest = real.manifest(&info, label).unwrap().value;
    manifest.stop = pgmayday::base::Timestamp(0);
    let ours = elsewhere(&real);
    ours.save_partial_manifest(&info, &manifest).unwrap();
    assert!(ours.manifest(&info, label).unwrap_err().to_string().contains("unfinished"));
    assert_eq!(ours.partial_manifest(&info, label).unwrap().files.len(), manifest.files.len());
    let storage = ours.repository().storage();
    let folder = real.backup_folder().unwrap().join(label.as_str()).unwrap();
    assert!(storage.open(&folder.join("backup.manifest").unwrap(), Range::Whole).is_err());
}

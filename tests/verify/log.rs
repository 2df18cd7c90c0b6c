//! Damage in the archive: every segment is missed if it is needed, and whatever is not a segment of the cluster is told.

use super::fixtures::Fixture;
use super::{archive_path, assert_found, assert_sound, backup, look, segments, shown, status};
use pgmayday::codec::{Compression, Sha1Hash, StreamSpec, encode_small};
use pgmayday::engine::verify::{BackupStatus, HoleKind, Level};
use std::fs;

/// Segments at the ends of a timeline that no backup needs, with their archive: it may begin and end anywhere.
fn unneeded(fixture: &str) -> &'static [&'static str] {
    match fixture {
        "a1-plain-none" => &["15-1/000000010000000000000008", "15-1/00000001000000000000000E"],
        "a2-zst-aes-bundle" => &[
            "15-1/000000010000000000000008",
            "15-1/000000010000000000000010",
            "15-1/00000002000000000000000F",
        ],
        "a5-upgrade" => &[
            "15-1/000000010000000000000008",
            "15-1/00000001000000000000000A",
            "16-2/000000010000000000000007",
            "16-2/00000001000000000000000C",
        ],
        other => panic!("{other}"),
    }
}

#[test]
fn each_segment_is_missed_unless_the_archive_may_end_there() {
    for name in ["a1-plain-none", "a2-zst-aes-bundle", "a5-upgrade"] {
        let fixture = Fixture::open(name);
        let all = segments(&fixture);
        for (segment, path) in &all {
            let folder = path.parent().unwrap().parent().unwrap();
            let of = folder.file_name().unwrap().to_str().unwrap().to_owned();
            let content = fs::read(path).unwrap();
            fs::remove_file(path).unwrap();
            let whole = look(&fixture);
            fs::write(path, content).unwrap();
            let archive = whole.archives.iter().find(|archive| archive.id == of).unwrap();
            if unneeded(name).contains(&format!("{of}/{segment}").as_str()) {
                assert_sound(&whole);
                assert_eq!(archive.counts.checked, archive.counts.valid);
                continue;
            }
            assert_found(&whole, Level::Damage, segment, "is missing");
            assert_eq!(archive.missing(), 1, "{name} {segment}: {}", shown(&whole));
            assert!(archive.holes.iter().any(|hole| hole.kind == HoleKind::Missing));
            for backup in &whole.backups {
                let wal = backup.wal.as_ref().unwrap();
                let segment = segment.parse().unwrap();
                let own = archive.id.starts_with("15") == backup_is_of_15(name, backup.label.as_str());
                let needed = own && (wal.start..=wal.stop).contains(&segment);
                let expected = if needed { BackupStatus::WalMissing } else { BackupStatus::Valid };
                assert_eq!((backup.status, wal.missing), (expected, u64::from(needed)), "{name} {segment}");
            }
        }
        assert_sound(&look(&fixture));
    }
}

/// Which of the two clusters of the upgraded stanza a backup is of; the other fixtures have one.
fn backup_is_of_15(fixture: &str, label: &str) -> bool {
    fixture != "a5-upgrade" || label == "20261121-003641F"
}

#[test]
fn a_segment_twice_with_different_content_is_a_conflict() {
    let fixture = Fixture::open("a1-plain-none");
    let (segment, path) = segments(&fixture).into_iter().find(|(name, _)| name.ends_with("0B")).unwrap();
    let mut other = fs::read(&path).unwrap();
    let last = other.len() - 1;
    other[last] ^= 1;
    let twin = path.with_file_name(format!("{segment}-{}", Sha1Hash::of(&other)));
    fs::write(&twin, &other).unwrap();
    let whole = look(&fixture);
    let name = |path: &std::path::Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    assert_found(&whole, Level::Damage, &name(&path), &name(&twin));
    assert_found(&whole, Level::Damage, &name(&twin), "sound by itself");
    assert_eq!(whole.archives[0].counts.other, 2);
    // The segment of a backup: PostgreSQL would be given neither.
    let (segment, path) = segments(&fixture).into_iter().find(|(name, _)| name.ends_with("0C")).unwrap();
    fs::remove_file(&twin).unwrap();
    fs::write(path.with_file_name(format!("{segment}-{}", Sha1Hash::of(&other))), &other).unwrap();
    let whole = look(&fixture);
    let incr = backup(&whole, "20261121-010559F_20261121-010607I");
    assert_eq!((incr.status, incr.wal.as_ref().unwrap().damaged), (BackupStatus::WalMissing, 1));
    // The same content under another extension is one segment.
    let fixture = Fixture::open("a1-plain-none");
    let (_, path) = segments(&fixture).swap_remove(3);
    let content = fs::read(&path).unwrap();
    let packed = encode_small(&content, &StreamSpec::full(Compression::Gz, None), None).unwrap();
    fs::write(path.with_file_name(format!("{}.gz", name(&path))), packed).unwrap();
    let whole = look(&fixture);
    assert_sound(&whole);
    assert_eq!(whole.archives[0].counts.checked, 8);
}

#[test]
fn a_segment_of_elsewhere_is_foreign() {
    // Another cluster's, with the right checksum in its name; its number is free here.
    let (fixture, other) = (Fixture::open("a1-plain-none"), Fixture::open("a5-upgrade"));
    let (_, theirs) = segments(&other).swap_remove(0);
    let spec = StreamSpec::full(Compression::from_extension(extension(&theirs)).unwrap(), None);
    let content = pgmayday::codec::decode_small(&fs::read(&theirs).unwrap(), &spec, 16 << 20).unwrap();
    let folder = archive_path(&fixture, "15-1/0000000100000000");
    let put = |name: &str, content: &[u8]| {
        let path = folder.join(format!("{name}-{}", Sha1Hash::of(content)));
        fs::write(&path, content).unwrap();
        path
    };
    let foreign = put("00000001000000000000000F", &content);
    assert_found(&look(&fixture), Level::Damage, &file_name(&foreign), "system identifier");
    fs::remove_file(foreign).unwrap();
    // Its own, under a later name: a recycled file that was archived.
    let (_, own) = segments(&fixture).swap_remove(2);
    let recycled = put("00000001000000000000000F", &fs::read(own).unwrap());
    assert_found(&look(&fixture), Level::Damage, &file_name(&recycled), "belongs elsewhere");
    fs::remove_file(recycled).unwrap();
    let zeros = put("00000001000000000000000F", &vec![0; 1 << 20]);
    assert_found(&look(&fixture), Level::Damage, &file_name(&zeros), "no WAL segment");
    fs::remove_file(zeros).unwrap();
    let short = put("00000001000000000000000F", &content[..content.len() - 8192]);
    assert_found(&look(&fixture), Level::Damage, &file_name(&short), "of the 1048576 bytes");
    fs::remove_file(short).unwrap();
    // What belongs to nothing is noted; a folder of a cluster nobody knows is odd.
    fs::write(folder.join("00000001000000000000000F-tmp.pgbackrest.tmp"), "x").unwrap();
    fs::create_dir(archive_path(&fixture, "14-7")).unwrap();
    let whole = look(&fixture);
    assert_found(&whole, Level::Note, ".pgbackrest.tmp", "being written");
    assert_found(&whole, Level::Warning, "14-7", "no cluster");
    assert_eq!(whole.worst(), Some(Level::Warning));
}

fn extension(path: &std::path::Path) -> &str {
    &path.file_name().unwrap().to_str().unwrap()[65..]
}

fn file_name(path: &std::path::Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn damaged_segments_are_named_and_tell_on_backups() {
    let fixture = Fixture::open("a4-gz");
    let (segment, path) = segments(&fixture).swap_remove(1);
    let content = fs::read(&path).unwrap();
    for damaged in [&content[..content.len() / 2], &[&content[..], b"x"].concat(), b""] {
        fs::write(&path, damaged).unwrap();
        let whole = look(&fixture);
        assert_found(&whole, Level::Damage, &file_name(&path), "");
        assert_found(&whole, Level::Damage, "20261121-010800F", &segment);
        assert_eq!(status(&whole, "20261121-010800F"), BackupStatus::WalMissing);
        assert_eq!((whole.archives[0].counts.valid, whole.archives[0].counts.other), (2, 1));
    }
    // Renamed to another checksum.
    fs::write(&path, &content).unwrap();
    let renamed =
        path.with_file_name(file_name(&path).replacen(&file_name(&path)[25..65], &"0".repeat(40), 1));
    fs::rename(&path, &renamed).unwrap();
    let whole = look(&fixture);
    assert_found(&whole, Level::Damage, &file_name(&renamed), "its name says");
    assert_eq!(whole.archives[0].counts.checksum_invalid, 1);
    // The whole archive is gone.
    fs::remove_dir_all(archive_path(&fixture, "15-1")).unwrap();
    let whole = look(&fixture);
    assert!(whole.archives.is_empty());
    assert_found(&whole, Level::Damage, "20261121-010800F", "is missing in the archive");
}

#[test]
fn a_history_file_is_proven_by_the_log() {
    let fixture = Fixture::open("a2-zst-aes-bundle");
    let stanza = fixture.repository().stanza(&fixture.stanza);
    let info = stanza.archive_info().unwrap().value;
    let id = stanza.archive(&info).ids()[0];
    let timeline = pgmayday::base::Timeline(2);
    let text = stanza.archive(&info).history(&id, timeline).unwrap().unwrap();
    let text = String::from_utf8(text).unwrap();
    let path = archive_path(&fixture, "15-1/00000002.history");
    let put = |text: &str| {
        let spec = StreamSpec::full(Compression::None, info.cipher_pass.clone());
        fs::write(&path, encode_small(text.as_bytes(), &spec, None).unwrap()).unwrap();
    };
    let lsn: pgmayday::base::Lsn = text.split('\t').nth(1).unwrap().parse().unwrap();
    for bit in [3, 4, 7, 12, 16, 20] {
        let wrong = pgmayday::base::Lsn(lsn.0 ^ (1 << bit));
        put(&text.replacen(&lsn.to_string(), &wrong.to_string(), 1));
        assert_found(&look(&fixture), Level::Damage, "00000002.history", "");
    }
    for wrong in [text.trim_end(), &text.replacen('1', "2", 1), &text.replacen('\t', " ", 1), ""] {
        put(wrong);
        assert_found(&look(&fixture), Level::Damage, "00000002.history", "");
    }
    fs::write(&path, "not encrypted at all, and long enough").unwrap();
    assert_found(&look(&fixture), Level::Damage, "00000002.history", "not encrypted");
    fs::remove_file(&path).unwrap();
    assert_found(&look(&fixture), Level::Damage, "00000002.history", "is missing");
    put(&text);
    assert_sound(&look(&fixture));
}

#[test]
fn a_partial_segment_and_a_backups_history_are_read_too() {
    let fixture = Fixture::open("a1-plain-none");
    let folder = archive_path(&fixture, "15-1/0000000100000000");
    let (segment, path) = segments(&fixture).pop().unwrap();
    let content = fs::read(&path).unwrap();
    let partial = folder.join(format!("{segment}.partial-{}", Sha1Hash::of(&content)));
    fs::rename(&path, &partial).unwrap();
    assert_sound(&look(&fixture));
    fs::write(&partial, &content[..content.len() - 1]).unwrap();
    assert_found(&look(&fixture), Level::Damage, &file_name(&partial), "");
    fs::write(&partial, &content).unwrap();
    let history = folder.join("000000010000000000000009.00000028.backup");
    let text = fs::read_to_string(&history).unwrap();
    fs::write(&history, text.replacen("START WAL LOCATION: 0/9", "START WAL LOCATION: 0/8", 1)).unwrap();
    assert_found(&look(&fixture), Level::Damage, ".backup", "as its name says");
}

//! Sound repositories.

use super::fixtures::{ALL, Fixture};
use super::{assert_sound, labels, look_at, request, segments};
use pgmayday::engine::verify::{BackupStatus, Depth, HoleKind, Request};

#[test]
fn every_fixture_is_sound_and_counted() {
    for name in ALL {
        let fixture = Fixture::open(name);
        let repository = fixture.repository();
        let stanza = repository.stanza(&fixture.stanza);
        let info = stanza.backup_info().unwrap().value;
        for (depth, process_max) in [(Depth::Full, 3), (Depth::Stored, 1)] {
            let whole = look_at(&repository, &fixture.stanza, &Request { depth, process_max, ..request() });
            assert_sound(&whole);
            assert_eq!(whole.backups.len(), info.backups.len(), "{name}");
            for backup in &whole.backups {
                let manifest = stanza.manifest(&info, &backup.label).unwrap().value;
                let files = manifest.files.len() as u64;
                assert_eq!((backup.counts.checked, backup.counts.valid), (files, files), "{name}");
                assert_eq!(backup.status, BackupStatus::Valid);
                let wal = backup.wal.as_ref().unwrap();
                assert_eq!(Some((wal.start, wal.stop)), manifest.archive_start.zip(manifest.archive_stop));
                assert_eq!((wal.missing, wal.damaged), (0, 0));
            }
            let counts = whole.archives.iter().map(|archive| archive.counts);
            let (checked, valid) = counts.fold((0, 0), |sum, c| (sum.0 + c.checked, sum.1 + c.valid));
            let there = segments(&fixture).len() as u64;
            assert_eq!((checked, valid), (there, there), "{name}");
            assert!(whole.archives.iter().all(|archive| !archive.segment_size_assumed));
            assert!(whole.archives.iter().all(|archive| archive.holes.is_empty()), "{name}");
            let ranged: u64 = whole
                .archives
                .iter()
                .flat_map(|archive| &archive.ranges)
                .map(|range| range.segments(pgmayday::base::WalSegmentSize::new(1 << 20).unwrap()))
                .sum();
            assert_eq!(ranged, there, "{name}");
            // Objects are read once: not more bytes than there are, plus what lists them.
            let stored: u64 = super::files_below(&fixture.repo())
                .iter()
                .map(|(_, path)| std::fs::metadata(path).unwrap().len())
                .sum();
            assert!(whole.bytes <= stored, "{name}: {} of {stored}", whole.bytes);
        }
    }
}

#[test]
fn one_set_is_verified_with_what_it_needs() {
    for name in ["a1-plain-none", "a3-block-incr"] {
        let fixture = Fixture::open(name);
        for label in labels(&fixture) {
            for depth in [Depth::Full, Depth::Stored] {
                let set = Some(label.clone());
                let one =
                    look_at(&fixture.repository(), &fixture.stanza, &Request { set, depth, ..request() });
                assert_sound(&one);
                assert_eq!(one.backups.len(), 1);
                let wal = one.backups[0].wal.as_ref().unwrap();
                let checked: u64 = one.archives.iter().map(|archive| archive.counts.checked).sum();
                assert!(checked >= 1 && checked < segments(&fixture).len() as u64, "{checked} {wal:?}");
                assert!(one.bytes > 0);
            }
        }
    }
}

#[test]
fn what_expiring_removed_is_no_loss() {
    // Between two backups only what the older needs is kept.
    let fixture = Fixture::open("a1-plain-none");
    for (name, path) in segments(&fixture) {
        if matches!(&name[22..], "08" | "0A" | "0B") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let whole = super::look(&fixture);
    assert_sound(&whole);
    let holes: Vec<_> =
        whole.archives[0].holes.iter().map(|h| (h.kind, h.first.seg, h.last.seg, h.segments)).collect();
    assert_eq!(holes, [(HoleKind::Expired, 0x0A, 0x0B, 2)]);
}

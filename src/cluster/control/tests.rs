use super::*;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

/// Start of a control file of 15, from a pgBackRest backup of a running cluster.
pub(crate) const PG15: &str = "\
408c38d474ee006b1405000025770d0c060000000000000078ee006b000000006000900000000000280090000000000001000000010000000100000000000000\
d602000000000000006000000100000000000000cc0200000100000001000000010000000000000078ee006b00000000d4020000d5020000d602000000000000\
e8030000000000000000000000000000000000000000000000000000000000000000000000000000000000000100000000000000140000000800000004000000\
000000004000000001000000080000000000000087d63241002000000000020000200000000010004000000020000000cc070000000800000100000001000000\
297869478c9ef3ed4b3e646347eb364481dc85716e4df62a10f579d7bc7cad663492cf1f";
/// Start of a control file of 16, after `initdb --wal-segsize=4`.
const PG16: &str = "\
3c67386a8b32016b14050000fff50e0c01000000000000008b32016b00000000d8fb870000000000d8fb87000000000001000000010000000100000000000000\
da02000000000000e13100000100000000000000d2020000010000000100000001000000000000008b32016b0000000000000000000000000000000000000000\
e803000000000000000000000000000000000000000000000000000000000000000000000000000000000000010000000000000064000000080000000a000000\
000000004000000000000000080000000000000087d63241002000000000020000200000000040004000000020000000cc070000000800000100000000000000\
cf90725a3f575dba550d48113a284ba4a5508f7968be3314e21e18f9cf4dd9e35bfa22ce";
/// Start of a control file of 18, after `initdb --wal-segsize=4`.
const PG18: &str = "\
501706d38b32016b080700003300120c01000000000000008c32016b0000000030d4ae000000000030d4ae000000000001000000010000000100000001000000\
f002000000000000f03100000100000000000000e8020000010000000100000001000000000000008c32016b0000000000000000000000000000000000000000\
e803000000000000000000000000000000000000000000000000000000000000000000000000000000000000010000000000000064000000080000000a000000\
000000004000000000000000080000000000000087d63241002000000000020000200000000040004000000020000000cc070000000800000100000001000000\
01386e4fde9d5d8e1c170a5393fd743d0c845ee5dee04d09c9adc101e36614f3a100000075169e79";

pub(crate) fn file(hex: &str) -> Vec<u8> {
    let mut bytes: Vec<u8> =
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    bytes.resize(CONTROL_FILE_BYTES, 0);
    bytes
}

#[test]
fn reads_what_pg_controldata_prints() {
    let control = ControlFile::parse(&file(PG15)).unwrap();
    assert_eq!(control.version, PgVersion::major(15));
    assert_eq!(control.system_id.to_string(), "7710424747602381888");
    assert_eq!(control.state.to_string(), "in production");
    assert_eq!(control.written_at.to_string(), "2026-11-21 01:06:00+00");
    assert_eq!(control.checkpoint_at.to_string(), "2026-11-21 01:06:00+00");
    assert_eq!(
        (control.checkpoint_lsn.to_string(), control.redo_lsn.to_string()),
        ("0/900060".into(), "0/900028".into())
    );
    assert_eq!((control.timeline, control.previous_timeline), (Timeline(1), Timeline(1)));
    assert_eq!((control.min_recovery_lsn, control.min_recovery_timeline), (Lsn::ZERO, Timeline(0)));
    assert_eq!(
        (control.backup_start_lsn, control.backup_end_lsn, control.backup_end_required),
        (Lsn::ZERO, Lsn::ZERO, false)
    );
    assert_eq!((control.wal_level, control.wal_log_hints), (WalLevel::Replica, false));
    assert_eq!(
        (control.max_connections, control.max_worker_processes, control.max_wal_senders),
        (20, 8, Some(4))
    );
    assert_eq!((control.max_prepared_xacts, control.max_locks_per_xact), (0, 64));
    assert!(control.track_commit_timestamp && control.data_checksums);
    assert_eq!(
        (control.page_bytes, control.wal_page_bytes, control.segment_size.bytes()),
        (8192, 8192, 1 << 20)
    );
    assert_eq!(control.stray_byte_at, None);
}

#[test]
fn newer_versions_have_their_own_layout() {
    for (hex, version, id, checkpoint, checksums) in [
        (PG16, 16, "7710499611398924092", "0/87FBD8", false),
        (PG18, 18, "7710499613157234512", "0/AED430", true),
    ] {
        let control = ControlFile::parse(&file(hex)).unwrap();
        assert_eq!(control.version, PgVersion::major(version));
        assert_eq!(
            (control.system_id.to_string(), control.checkpoint_lsn.to_string()),
            (id.into(), checkpoint.into())
        );
        assert_eq!((control.state, control.data_checksums), (State::ShutDown, checksums));
        assert_eq!(
            (control.max_connections, control.max_wal_senders, control.max_locks_per_xact),
            (100, Some(10), 64)
        );
        assert_eq!(control.segment_size.bytes(), 4 << 20);
        assert!(control.stopped_cleanly() && !control.track_commit_timestamp);
    }
}

/// Offsets here are those of the published table, not of [`Layout`].
#[test]
fn every_version_is_read_at_the_published_offsets() {
    for (version, copy, page, crc) in [
        ("9.5", 48, 216, 256),
        ("9.6", 48, 216, 256),
        ("10", 48, 216, 288),
        ("11", 40, 208, 280),
        ("12", 40, 216, 288),
        ("13", 40, 216, 288),
        ("14", 40, 216, 288),
        ("15", 40, 216, 288),
        ("16", 40, 216, 288),
        ("17", 40, 216, 288),
        ("18", 40, 216, 292),
    ] {
        let numbers = version.parse::<PgVersion>().unwrap().numbers().unwrap();
        let mut bytes = vec![0; CONTROL_FILE_BYTES];
        let mut put = |at: usize, value: u32| bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        put(0, 42);
        put(8, numbers.control);
        put(12, numbers.catalog);
        put(16, 5);
        put(32, 0x300);
        put(copy, 0x200);
        put(copy + 8, 7);
        put(copy + 12, 6);
        put(page, 8192);
        put(page + 8, 8192);
        put(page + 12, 16 << 20);
        put(page + 36, 1);
        let sum = crc32c::crc32c(&bytes[..crc]);
        bytes[crc..crc + 4].copy_from_slice(&sum.to_le_bytes());
        let control = ControlFile::parse(&bytes).unwrap();
        assert_eq!(control.version.to_string(), version);
        assert_eq!(
            (control.redo_lsn, control.timeline, control.previous_timeline),
            (Lsn(0x200), Timeline(7), Timeline(6))
        );
        assert_eq!((control.segment_size, control.data_checksums), (WalSegmentSize::DEFAULT, true));
        assert_eq!(control.max_wal_senders.is_some(), numbers.version.at_least(12));
    }
}

#[test]
fn the_unusable_mark_is_byte_for_byte_pgbackrests() {
    let mut bytes = file(PG15);
    mark_unusable_checkpoint(&mut bytes).unwrap();
    let hash = Sha256::digest(&bytes);
    let expected = file("e49447e730fe03a32c0fa2fcff6138e98ce0887aabb95d39d89f0f28603ded67");
    assert_eq!(hash[..], expected[..32]);
    assert!(ControlFile::parse(&bytes).unwrap().checkpoint_is_marked_unusable());
    let mut damaged = file(PG15);
    damaged[100] ^= 1;
    assert!(mark_unusable_checkpoint(&mut damaged).is_err(), "damage must not be sealed by a new checksum");
}

#[test]
fn every_flipped_bit_is_found() {
    for hex in [PG15, PG16, PG18] {
        let sound = file(hex);
        for at in 0..512 {
            for bit in 0..8 {
                let mut bytes = sound.clone();
                bytes[at] ^= 1 << bit;
                match ControlFile::parse(&bytes) {
                    Err(_) => {}
                    Ok(control) => assert_eq!(control.stray_byte_at, Some(at), "bit {bit} of byte {at}"),
                }
            }
        }
    }
}

#[test]
fn unknown_versions_are_named_with_their_numbers() {
    let mut bytes = file(PG15);
    bytes[12..16].copy_from_slice(&202_605_131_u32.to_le_bytes());
    let error = ControlFile::parse(&bytes).unwrap_err();
    assert_eq!(
        error.to_string(),
        "control version 1300 with catalog version 202605131 is not a known PostgreSQL version"
    );
    let mut foreign = file(PG15);
    foreign[8..12].reverse();
    foreign[12..16].reverse();
    assert!(ControlFile::parse(&foreign).unwrap_err().to_string().contains("big-endian"));
}

#[test]
fn short_files_are_named_so() {
    for length in [0, 8, 15, 16, 291] {
        let error = ControlFile::parse(&file(PG15)[..length]).unwrap_err();
        assert!(matches!(error, ControlError::Short { found, .. } if found == length), "{error}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..600), which in 0_usize..11, sealed: bool) {
        if bytes.len() >= 16 {
            let numbers = crate::base::postgres::VERSIONS[which];
            bytes[8..12].copy_from_slice(&numbers.control.to_le_bytes());
            bytes[12..16].copy_from_slice(&numbers.catalog.to_le_bytes());
            let crc = Layout::of(numbers.version).crc;
            if sealed && bytes.len() >= crc + 4 {
                let sum = crc32c::crc32c(&bytes[..crc]);
                bytes[crc..crc + 4].copy_from_slice(&sum.to_le_bytes());
            }
        }
        drop(ControlFile::parse(&bytes));
        drop(mark_unusable_checkpoint(&mut bytes));
    }
}

//! What is refused, dropped or never replaced.

use super::*;

#[test]
fn nothing_of_another_cluster_is_archived() {
    let yard = Yard::new();
    yard.write(ONE, &content_of(ONE, 1));
    yard.stanza(&[(1, 1), (2, SYSTEM), (3, 5)]);
    let error = yard.push(&yard.job(), ONE).unwrap_err();
    assert!(matches!(&error, PushError::Several(both) if both.len() == 2), "{error}");
    assert!(error.to_string().contains("with system identifier 5"), "{error}");
    assert!(yard.files(1).is_empty() && yard.files(2).is_empty());
    yard.stanza(&[(1, 1), (2, SYSTEM)]);
    let refused = |change: &dyn Fn(&mut Vec<u8>), why: &str| {
        let mut content = content_of(ONE, 1);
        change(&mut content);
        yard.write(ONE, &content);
        let error = yard.push(&yard.job(), ONE).unwrap_err();
        assert!(matches!(&error, PushError::Wrong { .. }) && error.to_string().contains(why), "{error}");
        assert!(yard.files(1).is_empty());
    };
    refused(&|content| content[24] ^= 1, "it is of cluster");
    refused(&|content| content[10] ^= 0x10, "a recycled file");
    refused(&|content| content[4] = 2, "its first page is of timeline 2");
    refused(&|content| content[0] = 0x13, "PostgreSQL 16");
    refused(&|content| content.truncate(SIZE - 1), "1048575 of the 1048576 bytes");
    refused(&|content| content.push(0), "1048577 of the 1048576 bytes");
    refused(&Vec::clear, "0 of the 1048576 bytes");
    refused(&|content| content.fill(0), "a page of zeros");
    let unchecked = Job { care: Care { header: false, ..yard.job().care }, ..yard.job() };
    yard.write(ONE, &vec![0; SIZE]);
    yard.push(&unchecked, ONE).unwrap();
}

#[test]
fn a_history_is_never_replaced_unless_that_is_said() {
    let yard = Yard::new();
    let text = b"1\t0/B00000\tno recovery target specified\n".to_vec();
    let backup = format!("{ONE}.00000028.backup");
    for name in [HISTORY, &backup] {
        yard.write(name, &text);
        for _ in 0..2 {
            assert_eq!(yard.push(&yard.job(), name).unwrap().warnings, [""; 0]);
        }
        assert_eq!(
            (yard.small(1, name).unwrap(), yard.small(2, name).unwrap()),
            (text.clone(), text.clone())
        );
        let other = b"1\t0/C00000\tno recovery target specified\n";
        yard.write(name, other);
        let report = Report::from(yard.push(&yard.job(), name).unwrap_err());
        assert!(report.hint.unwrap().contains("--accept=history-differs"));
        assert_eq!(yard.small(2, name).unwrap(), text);
        let accepted = Job { care: Care { replace_history: true, ..yard.job().care }, ..yard.job() };
        let warnings = yard.push(&accepted, name).unwrap().warnings;
        assert!(warnings.len() == 2 && warnings[0].contains("0/B00000"), "{warnings:?}");
        assert_eq!(
            (yard.small(1, name).unwrap(), yard.small(2, name).unwrap()),
            (other.to_vec(), other.to_vec())
        );
    }
    yard.write("00000003.history", b"rubbish");
    let warnings = yard.push(&yard.job(), "00000003.history").unwrap().warnings;
    assert!(warnings[0].contains("a recovery will not follow"), "{warnings:?}");
    yard.write("00000004.history", b"");
    let error = yard.push(&yard.job(), "00000004.history").unwrap_err();
    assert!(error.to_string().contains("it is empty"), "{error}");
}

#[test]
fn stopped_stanzas_copies_and_strange_names_archive_nothing() {
    let yard = Yard::new();
    yard.write(ONE, &content_of(ONE, 1));
    let job = yard.job();
    let stop = StopFile::of(&job.locks, Some("main"));
    stop.create().unwrap();
    assert!(matches!(yard.push(&job, ONE), Err(PushError::Stopped(_))));
    stop.remove().unwrap();
    for marker in SIDE_MARKERS {
        let path = yard.path("pg").join(marker);
        std::fs::write(&path, "").unwrap();
        assert!(matches!(yard.push(&job, ONE), Err(PushError::Side { .. })));
        assert!(attend(&job, &yard.path("spool"), Yard::limits(1)).is_err());
        std::fs::remove_file(&path).unwrap();
    }
    // A relative path is one of the server whose working directory this is.
    let error = push(&job, Path::new(&format!("pg_wal/{ONE}"))).unwrap_err();
    assert!(matches!(error, PushError::OtherServer { .. }), "{error}");
    for name in ["000000010000000000000001.part", "RECOVERYXLOG", "backup_label", ""] {
        assert!(matches!(push(&job, &yard.wal(name)), Err(PushError::Name(_))), "{name}");
    }
    let none = Job { repositories: Vec::new(), ..yard.job() };
    assert!(matches!(yard.push(&none, ONE), Err(PushError::NoRepository)));
    assert!(yard.files(1).is_empty() && yard.files(2).is_empty());
}

#[test]
fn what_is_dropped_is_acknowledged_warned_about_and_on_record() {
    let yard = Yard::new();
    for name in [ONE, TWO, THREE] {
        yard.write(name, &content_of(name, 1));
    }
    let job = Job { queue_max_bytes: Some(2 << 20), ..yard.job() };
    let warnings = yard.push(&job, ONE).unwrap().warnings;
    assert!(warnings[0].contains(ONE) && warnings[0].contains("NOT archived: dropped because 3 files wait"));
    yard.done(ONE);
    yard.push(&job, TWO).unwrap();
    yard.done(TWO);
    assert!(yard.archived(1, TWO).is_some() && yard.archived(1, ONE).is_none());
    // In the background everything that waits goes, as pgBackRest does.
    let job = Job { queue_max_bytes: Some(1 << 20), ..yard.job() };
    yard.write(HISTORY, b"1\t0/B00000\tno recovery target specified\n");
    assert_eq!(yard.attend(&job).unwrap(), Ended::Idle);
    let (pushed, launched) = yard.push_by_spool(&job, THREE);
    assert!(pushed.unwrap().warnings[0].contains("NOT archived"));
    assert_eq!((launched, yard.archived(1, THREE)), (0, None));
    let record = dropped::read(&yard.path("state/main.dropped")).unwrap();
    let names: Vec<String> = record.iter().map(|dropped| dropped.file.to_string()).collect();
    assert_eq!(names, [ONE, HISTORY, THREE]);
    let nowhere = Job { drop_log: Some(yard.path("pg/global/pg_control/x")), ..job };
    yard.write(ONE, &content_of(ONE, 1));
    let warnings = yard.push(&nowhere, ONE).unwrap().warnings;
    assert!(warnings[0].contains("could not be put on record"), "{warnings:?}");
}

#[test]
fn other_content_is_refused_and_written_nowhere() {
    let yard = Yard::new();
    let mut only_second = yard.job();
    only_second.repositories.remove(0);
    yard.write(ONE, &content_of(ONE, 1));
    yard.push(&only_second, ONE).unwrap();
    yard.write(ONE, &content_of(ONE, 2));
    let error = yard.push(&yard.job(), ONE).unwrap_err();
    assert!(matches!(&error, PushError::Duplicate { place, .. } if place == "repo2 15-2"), "{error}");
    assert!(yard.files(1).is_empty());
    assert!(yard.archived(2, ONE).unwrap() == content_of(ONE, 1));
    // A whole segment and an unfinished one are two things.
    let partial = format!("{ONE}.partial");
    yard.write(&partial, &content_of(ONE, 2));
    yard.push(&yard.job(), &partial).unwrap();
    // Two contents under one name, whoever put them there: even the right one is not enough.
    let folder = yard.path("repo1/archive/main/15-2/0000000100000000");
    yard.write(TWO, &content_of(TWO, 1));
    for digit in ["a", "b"] {
        std::fs::write(folder.join(format!("{TWO}-{}", digit.repeat(40))), "x").unwrap();
    }
    let error = yard.push(&yard.job(), TWO).unwrap_err();
    assert!(matches!(error, PushError::Torn { .. }), "{error}");
    assert!(yard.archived(2, TWO).is_some(), "the other repository has it all the same");
    yard.write(THREE, &content_of(THREE, 1));
    std::fs::write(folder.join(format!("{THREE}-{}", Sha1Hash::of(&content_of(THREE, 1)))), "").unwrap();
    let error = yard.push(&yard.job(), THREE).unwrap_err();
    assert!(matches!(error, PushError::Hollow { .. }), "{error}");
}

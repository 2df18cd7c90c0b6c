//! Keys, seals and the request log.

use super::*;
use crate::base::Timeline;
use crate::cluster::control;
use std::os::unix::fs::PermissionsExt as _;

fn control_file() -> ControlFile {
    ControlFile::parse(&control::tests::file(control::tests::PG15)).unwrap()
}

#[test]
fn another_restore_has_another_spool() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let repositories = ["1 repo1 (/r)".to_owned()];
    let control = control_file();
    let key = |data: &Path, repositories: &[String]| {
        folder_for(dir.path(), "main", data, &control, repositories).unwrap()
    };
    std::fs::write(data.join("recovery.signal"), "").unwrap();
    let first = key(&data, &repositories);
    assert_eq!(key(&data, &repositories), first);
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&data, &link).unwrap();
    assert_eq!(key(&link, &repositories), first, "the same directory by another name");
    assert!(first.starts_with(dir.path().join("archive/main")));
    assert_ne!(key(&data, &["2 repo2 (/r)".to_owned()]), first);
    // The same directory restored again.
    std::fs::rename(data.join("recovery.signal"), dir.path().join("kept")).unwrap();
    std::fs::write(data.join("recovery.signal"), "").unwrap();
    assert_ne!(key(&data, &repositories), first);
    let other = dir.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::rename(dir.path().join("kept"), other.join("recovery.signal")).unwrap();
    assert_ne!(key(&other, &repositories), first);
}

#[test]
fn a_spool_others_may_write_to_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("spool");
    Spool::open(folder.clone()).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(Spool::open(folder.clone()).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    std::fs::remove_dir(&folder).unwrap();
    std::os::unix::fs::symlink(dir.path(), &folder).unwrap();
    assert!(Spool::open(folder).is_err());
}

#[test]
fn seals_and_requests_round_trip() {
    let segment = WalSegment { timeline: Timeline(1), log: 2, seg: 3 };
    let seal = Seal { segment, quick: [0xAB; 16], from: "repo1 9.6-3".to_owned() };
    let (read, quick, from) = Seal::from_bytes(&seal.to_bytes()).unwrap();
    assert_eq!((read, quick, from), (segment, "ab".repeat(16), "repo1 9.6-3".to_owned()));
    let request = Request {
        at: Timestamp(1_795_242_701_467_172),
        name: segment.to_string(),
        outcome: "delivered".to_owned(),
        from: "spool (repo1 15-1)".to_owned(),
        took_ms: 3,
    };
    let line = request.to_line();
    assert_eq!(line, "1795242701467172\t000000010000000200000003\tdelivered\tspool (repo1 15-1)\t3\n");
    assert_eq!(Request::parse(line.trim_end()), Some(request.clone()));
    assert_eq!(request.delivered_segment(), Some(segment));
    for bad in ["", "1\t2\t3\t4", "x\ta\tdelivered\tb\t1", "1\ta\tdelivered\tb\t1\t2"] {
        assert_eq!(Request::parse(bad), None, "{bad}");
    }
}

#[test]
fn a_line_still_being_written_waits() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path().join("spool")).unwrap();
    let mut log = spool.requests();
    assert!(log.next_requests().unwrap().is_empty());
    let path = spool.folder().join(REQUEST_LOG);
    std::fs::write(&path, "1\ta\tdelivered\tb\t1\n2\tb\tdel").unwrap();
    assert_eq!(log.next_requests().unwrap().len(), 1);
    std::fs::write(&path, "1\ta\tdelivered\tb\t1\n2\tb\tdelivered\tb\t1\n").unwrap();
    let next = log.next_requests().unwrap();
    assert_eq!((next.len(), next[0].name.as_str()), (1, "b"));
    std::fs::write(&path, "1\ta\tdelivered\tb\t1\n".repeat(5000) + "2\tlast\tdelivered\tb\t1\n").unwrap();
    let recent = spool.recent_requests().next_requests().unwrap();
    assert!((500..5000).contains(&recent.len()), "{}", recent.len());
    assert_eq!(recent.last().unwrap().name, "last");
}

#[test]
fn abandoned_spools_are_removed_but_not_attended_ones() {
    let dir = tempfile::tempdir().unwrap();
    let spools: Vec<Spool> = ["pgmayday-a", "pgmayday-b", "pgmayday-c"]
        .map(|name| Spool::open(dir.path().join(name)).unwrap())
        .into();
    std::fs::create_dir(dir.path().join("in")).unwrap();
    for spool in &spools {
        std::fs::write(spool.folder().join("000000010000000000000001"), b"x").unwrap();
        std::fs::write(spool.folder().join(REQUEST_LOG), b"").unwrap();
    }
    let lock = spools[1].lock().unwrap().unwrap();
    let later = Timestamp(Timestamp::now().0 + 100_000_000);
    remove_abandoned(&spools[0], later, 1000).unwrap();
    assert!(spools[2].folder().exists());
    remove_abandoned(&spools[0], later, 50).unwrap();
    let exists: Vec<bool> = spools.iter().map(|spool| spool.folder().exists()).collect();
    assert_eq!(exists, [true, true, false]);
    assert!(dir.path().join("in").exists());
    drop(lock);
}

#[test]
fn two_calls_for_one_destination_take_turns_and_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let destination = dir.path().join("RECOVERYXLOG");
    std::thread::scope(|scope| {
        for writer in 0..8_u8 {
            let destination = &destination;
            scope.spawn(move || {
                for _ in 0..20 {
                    let mut temporary = super::super::deliver::Temporary::beside(destination).unwrap();
                    temporary.file().write_all(&[writer; 10_000]).unwrap();
                    if writer % 2 == 0 {
                        temporary.publish().unwrap();
                    }
                }
            });
        }
    });
    let content = std::fs::read(&destination).unwrap();
    assert!(content.len() == 10_000 && content.iter().all(|byte| *byte == content[0]));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

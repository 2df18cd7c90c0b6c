//! The log in real repositories: read to its end, with every commit that was recorded when they were made.

use crate::archive::Folder;
use crate::fixtures::{ALL, Fixture};
use crate::server::find_tool;
use crate::{records, waldump};
use pgmayday::base::{Lsn, Timeline, Timestamp, WalSegment};
use pgmayday::repo::ArchiveId;
use pgmayday::wal::scan::EndReason;
use pgmayday::wal::{Happening, Record, SegmentHeader, SegmentSource as _, prove_history};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

/// Everything one cluster archived, as plain files.
fn unpack(fixture: &Fixture, to: &Path) -> Vec<(ArchiveId, Folder, BTreeSet<WalSegment>)> {
    let repository = fixture.repository();
    let stanza = repository.stanza(&fixture.stanza);
    let archive = stanza.archive(&stanza.archive_info().unwrap().value);
    let mut unpacked = Vec::new();
    for id in archive.ids() {
        let path = to.join(id.to_string());
        fs::create_dir(&path).unwrap();
        let mut names = BTreeSet::new();
        let mut size = None;
        archive
            .segments(&id, None, &mut |stored| {
                let mut plain = archive.open(&id, &stored).unwrap();
                let file = path.join(stored.segment.to_string());
                io::copy(&mut plain, &mut File::create(&file).unwrap()).unwrap();
                let mut first = Vec::new();
                File::open(&file).unwrap().take(40).read_to_end(&mut first).unwrap();
                size = Some(SegmentHeader::parse(&first).unwrap().segment_size);
                names.insert(stored.segment)
            })
            .unwrap();
        for timeline in archive.timelines(&id).unwrap() {
            if let Some(text) = archive.history(&id, timeline).unwrap() {
                fs::write(path.join(timeline.history_file()), text).unwrap();
            }
        }
        unpacked.push((id, Folder::new(path, size.unwrap()), names));
    }
    unpacked
}

/// All records of all timelines of a cluster.
fn read_all(id: ArchiveId, folder: &Folder, names: &BTreeSet<WalSegment>) -> Vec<Record> {
    let mut all = Vec::new();
    let timelines: BTreeSet<Timeline> = names.iter().map(|segment| segment.timeline).collect();
    let first = names.first().unwrap().start_lsn(folder.size);
    for timeline in timelines {
        let (found, end) = records(folder, timeline.0, first, 2).unwrap();
        assert!(matches!(end.reason, EndReason::NoSegment(_)), "{id} {timeline}: {end:?}");
        let newest = names.iter().filter(|segment| segment.timeline == timeline).max().unwrap();
        assert!(end.end_lsn > newest.start_lsn(folder.size));
        let proof = prove_history(folder, timeline, folder.size, end.found).unwrap();
        assert!(proof.open_questions.is_empty(), "{proof:?}");
        if let Some(program) =
            find_tool(id.version.major_number(), "pg_waldump").filter(|_| timeline == Timeline(1))
        {
            let text = waldump::dump_timeline(&program, folder, timeline, first);
            waldump::compare_text(Some(&text), &found, end.end_lsn);
        }
        all.extend(found);
    }
    all
}

/// What the makers of the fixtures noted: transaction, time, and a position behind its commit.
fn check_marks(name: &str, marks: &[serde_json::Value], found: &[Record]) {
    for mark in marks {
        let text = |key: &str| mark[key].as_str().unwrap_or_default().to_owned();
        if let Some(point) = mark["restore_point"].as_str() {
            let end: Lsn = text("lsn").parse().unwrap();
            let named = |record: &&Record| matches!(&record.happening, Happening::RestorePoint { name, .. } if **name == *point);
            assert!(found.iter().any(|record| named(&record) && record.end_lsn == end), "{name} {point}");
            continue;
        }
        let (xid, time, behind) = (text("xid"), text("commit_ts"), text("lsn_after").parse::<Lsn>().unwrap());
        let is_it = |record: &Record| match &record.happening {
            Happening::Commit(done) => {
                done.xid.to_string() == xid && same_time(&time, done.time) && record.end_lsn <= behind
            }
            _ => false,
        };
        assert!(found.iter().any(is_it), "{name}: transaction {xid} at {time}");
    }
}

fn same_time(noted: &str, time: Timestamp) -> bool {
    noted.strip_suffix("+00").unwrap() == time.to_utc().format("%Y-%m-%d %H:%M:%S%.6f").to_string()
}

pub(crate) fn every_archive() {
    let manifest = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/manifest.json"));
    let manifest: serde_json::Value = serde_json::from_str(&manifest.unwrap()).unwrap();
    for name in ALL {
        let fixture = Fixture::open(name);
        let folder = tempfile::tempdir().unwrap();
        let mut found = Vec::new();
        for (id, source, names) in unpack(&fixture, folder.path()) {
            assert!(source.oldest_segment(Timeline(1)).unwrap().is_some());
            found.extend(read_all(id, &source, &names));
        }
        let noted =
            manifest["fixtures"].as_array().unwrap().iter().find(|noted| noted["name"] == name).unwrap();
        check_marks(name, noted["marks"].as_array().unwrap(), &found);
    }
}

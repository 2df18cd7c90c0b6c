//! The `wal` room against real PostgreSQL: every record compared with `pg_waldump`, every stop with a real recovery.
//!
//! Servers: 15 from Debian, others from `$PGMAYDAY_TEST_PG/<major>/bin` (default `target/pg`).

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, say why they skip, look into their environment and start servers"
)]

#[path = "wal/archive.rs"]
mod archive;
#[path = "wal/server.rs"]
mod server;
#[path = "wal/stops.rs"]
mod stops;
#[path = "wal/waldump.rs"]
mod waldump;

use archive::Folder;
use pgmayday::base::{Lsn, Timeline, WalSegment, WalSegmentSize};
use pgmayday::wal::scan::EndReason;
use pgmayday::wal::{
    Happening, Record, ScanEnd, ScanRequest, SegmentSource as _, TimelineHistory, WalError, prove_history,
    scan,
};
use server::Server;
use std::ops::ControlFlow;

/// All records from `from` to the end along the path to `timeline`.
fn records(
    folder: &Folder,
    timeline: u32,
    from: Lsn,
    threads: usize,
) -> Result<(Vec<Record>, ScanEnd), WalError> {
    let timeline = Timeline(timeline);
    let history = match folder.history(timeline).unwrap() {
        Some(text) => TimelineHistory::parse(&text, timeline)?,
        None => TimelineHistory::root(timeline),
    };
    let mut request = ScanRequest::new(history.path(), from, folder.size);
    request.every_record = true;
    request.threads = threads;
    request.zstd = Some(archive::zstd);
    let mut records = Vec::new();
    let end = scan(folder, &request, &mut |record| {
        records.push(record.clone());
        ControlFlow::Continue(())
    })?;
    Ok((records, end))
}

/// The workload of everything that matters, then every record compared with what `pg_waldump` prints.
fn compare(major: u16) {
    let Some(mut server) = Server::make(major, 1) else { return };
    let from = server.checkpoint();
    server.workload();
    let last = server.switch_and_wait();
    let folder = server.archive();
    let (found, end) = records(&folder, 1, from, 1).unwrap();
    let (parallel, parallel_end) = records(&folder, 1, from, 3).unwrap();
    assert_eq!((&found, &end), (&parallel, &parallel_end));
    assert!(
        matches!(end.reason, EndReason::NoSegment(missing) if missing == last.next(folder.size)),
        "{end:?}"
    );
    let compared = waldump::compare(&server, &found, from, end.end_lsn);
    assert!(compared.records > 5_000, "{compared:?}");
    for wanted in [
        "commit",
        "abort",
        "prepare",
        "commit prepared",
        "abort prepared",
        "assignment",
        "restore point",
        "parameters",
        "checkpoint",
        "switch",
        "database created",
        "database moved",
        "database dropped",
        "database marked",
        "tablespace created",
        "tablespace dropped",
        "full page writes",
        "across segments",
        "savepoint",
    ] {
        assert!(compared.kinds.contains(wanted), "no {wanted} among {:?}", compared.kinds);
    }
    let far_redo = found.iter().rev().find_map(|record| match &record.happening {
        Happening::Checkpoint(checkpoint) if !checkpoint.shutdown => Some(checkpoint.redo),
        _ => None,
    });
    let (tail, _) = records(&folder, 1, far_redo.unwrap(), 2).unwrap();
    assert_eq!(tail[..], found[found.len() - tail.len()..]);
    timelines(&mut server, &folder, from);
}

/// Promotes three times, once to before a fork, and checks paths and proofs.
fn timelines(server: &mut Server, folder: &Folder, from: Lsn) {
    server.sql("create table t2 as select generate_series(1, 1000) i");
    server.promote(2, "");
    server.sql("insert into t2 values (-1)");
    let last = server.switch_and_wait();
    assert_eq!(last.timeline, Timeline(2));
    let (found, end) = records(folder, 2, from, 2).unwrap();
    assert!(matches!(end.reason, EndReason::NoSegment(_)), "{end:?}");
    waldump::compare(server, &found, from, end.end_lsn);
    let proof = prove_history(folder, Timeline(2), folder.size, end.found).unwrap();
    assert!(proof.open_questions.is_empty(), "{proof:?}");
    assert_eq!((proof.proven[0].from, proof.proven[0].timeline), (Timeline(1), Timeline(2)));
    refute_flips(folder, 2, end.found);
}

/// No flipped bit of a history file may pass, but in the free text.
fn refute_flips(folder: &Folder, timeline: u32, expected: pgmayday::wal::Expected) {
    let good = folder.history(Timeline(timeline)).unwrap().unwrap();
    let parsed = TimelineHistory::parse(&good, Timeline(timeline)).unwrap();
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut text = good.clone();
            text[at] ^= 1 << bit;
            let harmless = TimelineHistory::parse(&text, Timeline(timeline)).is_ok_and(|read| read == parsed);
            let flipped = folder.with_history(Timeline(timeline), text);
            let proof = prove_history(&flipped, Timeline(timeline), folder.size, expected);
            let accepted = proof.as_ref().is_ok_and(|proof| proof.open_questions.is_empty());
            assert_eq!(accepted, harmless, "timeline {timeline} byte {at} bit {bit}: {proof:?}");
        }
    }
}

#[test]
fn every_record_is_read_as_pg_waldump_reads_it_15() {
    compare(15);
}

#[test]
fn every_record_is_read_as_pg_waldump_reads_it_16() {
    compare(16);
}

#[test]
fn every_record_is_read_as_pg_waldump_reads_it_18() {
    compare(18);
}

#[test]
fn recoveries_stop_where_the_simulation_says() {
    stops::compare(15);
}

#[test]
fn segments_by_name() {
    let size = WalSegmentSize::new(1 << 20).unwrap();
    assert_eq!(WalSegment::containing(Timeline(1), Lsn(0x20_0028), size).number(size), 2);
}

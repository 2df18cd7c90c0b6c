//! The `wal` room against real PostgreSQL: every record compared with `pg_waldump`, every stop with a real recovery.
//!
//! Servers: 15 from Debian, others as `tests/setup-postgres.sh` puts them. 13 and 14 have no tool to compare with: there
//! the same work must be understood, and recoveries must stop where the simulation says.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, say why they skip, look into their environment and start servers"
)]

#[path = "wal/archive.rs"]
mod archive;
#[path = "wal/archives.rs"]
mod archives;
#[path = "common/fixtures.rs"]
mod fixtures;
#[path = "wal/server.rs"]
mod server;
#[path = "wal/stops.rs"]
mod stops;
#[path = "wal/waldump.rs"]
mod waldump;

use archive::Folder;
use pgmayday::base::{Lsn, Timeline, Timestamp};
use pgmayday::wal::happening::{CompletionDetails, WalLevel};
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
    check_values(&found);
    let far_redo = found.iter().rev().find_map(|record| match &record.happening {
        Happening::Checkpoint(checkpoint) if !checkpoint.shutdown => Some(checkpoint.redo),
        _ => None,
    });
    let (tail, _) = records(&folder, 1, far_redo.unwrap(), 2).unwrap();
    assert_eq!(tail[..], found[found.len() - tail.len()..]);
    timelines(&mut server, &folder, from);
}

/// The workload's own numbers and names, so that versions without a printing tool are compared with something too.
fn check_values(found: &[Record]) {
    let all =
        |wanted: &dyn Fn(&Happening) -> bool| found.iter().filter(|record| wanted(&record.happening)).count();
    let set = all(&|happening| {
        matches!(happening, Happening::Parameters(p) if p.max_connections == 77 && p.max_prepared_transactions == 8
            && p.max_locks_per_transaction == 1000 && p.wal_level == WalLevel::Logical)
    });
    assert_eq!(set, 1);
    let names = all(
        &|happening| matches!(happening, Happening::RestorePoint { name, .. } if **name == *"first point"),
    );
    assert_eq!(names, 2);
    let prepared = |wanted: &str, subs: usize| {
        all(
            &|happening| matches!(happening, Happening::Prepare(p) if p.gid == wanted && p.subs.len() == subs),
        )
    };
    assert_eq!((prepared("gid one", 1), prepared("gid two", 0), prepared("gid three", 1)), (1, 1, 1));
    let commits = |wanted: &dyn Fn(&CompletionDetails) -> bool| {
        all(
            &|happening| matches!(happening, Happening::Commit(done) if done.details.as_deref().is_some_and(wanted)),
        )
    };
    // The name is written at wal_level=logical only.
    assert_eq!(commits(&|details| details.prepared && details.gid.as_deref() == Some("gid three")), 1);
    assert_eq!(commits(&|details| details.prepared && details.gid.is_none()), 1);
    assert_eq!(commits(&|details| details.dropped_files.len() > 1500), 1);
    assert_eq!(commits(&|details| details.subs.len() == 150), 1);
    let day = 86_400 * 1_000_000;
    let near = |time: Timestamp| (Timestamp::now().0 - time.0).abs() < day;
    assert!(found.iter().all(|record| match &record.happening {
        Happening::Commit(done) | Happening::Abort(done) => near(done.time),
        Happening::Checkpoint(checkpoint) =>
            near(checkpoint.time) && (400..100_000).contains(&checkpoint.next_xid),
        _ => true,
    }));
}

/// Promotes at the log's end, then once more to a moment before that fork, and checks paths and proofs.
fn timelines(server: &mut Server, folder: &Folder, from: Lsn) {
    server.sql("create table t2 as select generate_series(1, 1000) i");
    server.keep();
    server.sql("select pg_create_restore_point('early'); insert into t2 values (0)");
    server.promote(2, "");
    server.sql("insert into t2 values (-1)");
    let last = server.switch_and_wait();
    assert_eq!(last.timeline, Timeline(2));
    check_timeline(server, folder, 2, from, &[(2, 1)]);
    // PostgreSQL names timeline 2 as the parent although nothing of it was replayed, at a smaller position.
    server.go_back();
    server.promote(
        3,
        "recovery_target_timeline='2'\nrecovery_target_name='early'\nrecovery_target_action=promote",
    );
    server.sql("insert into t2 values (-2)");
    server.switch_and_wait();
    let text = folder.history(Timeline(3)).unwrap().unwrap();
    let history = TimelineHistory::parse(&text, Timeline(3)).unwrap();
    assert!(history.entries[1].switch_lsn < history.entries[0].switch_lsn, "{history:?}");
    check_timeline(server, folder, 3, from, &[(2, 1), (3, 1)]);
}

fn check_timeline(server: &Server, folder: &Folder, timeline: u32, from: Lsn, forks: &[(u32, u32)]) {
    let (found, end) = records(folder, timeline, from, 2).unwrap();
    assert!(matches!(end.reason, EndReason::NoSegment(_)), "{end:?}");
    if timeline == 2 {
        waldump::compare(server, &found, from, end.end_lsn);
    }
    let proof = prove_history(folder, Timeline(timeline), folder.size, end.found).unwrap();
    assert!(proof.open_questions.is_empty(), "{proof:?}");
    let proven: Vec<_> = proof.proven.iter().map(|fork| (fork.timeline.0, fork.from.0)).collect();
    assert_eq!(proven, forks);
    refute_flips(folder, timeline, end.found);
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
fn every_record_is_read_as_postgresql_13_reads_it() {
    compare(13);
}

#[test]
fn every_record_is_read_as_postgresql_14_reads_it() {
    compare(14);
}

#[test]
fn every_record_is_read_as_postgresql_15_reads_it() {
    compare(15);
}

#[test]
fn every_record_is_read_as_postgresql_16_reads_it() {
    compare(16);
}

#[test]
fn every_record_is_read_as_postgresql_17_reads_it() {
    compare(17);
}

#[test]
fn every_record_is_read_as_postgresql_18_reads_it() {
    compare(18);
}

#[test]
fn recoveries_of_13_stop_where_the_simulation_says() {
    stops::compare(13, 4);
}

#[test]
fn recoveries_of_14_stop_where_the_simulation_says() {
    stops::compare(14, 4);
}

#[test]
fn recoveries_of_15_stop_where_the_simulation_says() {
    stops::compare(15, 2);
}

#[test]
fn recoveries_of_16_stop_where_the_simulation_says() {
    stops::compare(16, 4);
}

#[test]
fn recoveries_of_17_stop_where_the_simulation_says() {
    stops::compare(17, 4);
}

#[test]
fn recoveries_of_18_stop_where_the_simulation_says() {
    stops::compare(18, 4);
}

#[test]
fn the_log_of_every_fixture_is_read_to_its_end() {
    archives::every_archive();
}

#[test]
fn a_half_done_drop_is_avoided_by_the_advised_position_13() {
    stops::half_done_drop(13);
}

#[test]
fn a_half_done_drop_is_avoided_by_the_advised_position_15() {
    stops::half_done_drop(15);
}

#[test]
fn a_half_done_drop_is_avoided_by_the_advised_position_18() {
    stops::half_done_drop(18);
}

/// A crash in the middle of a record across segments: the restarted server declares it void.
#[test]
fn a_record_cut_off_by_a_crash_is_overwritten() {
    let Some(mut server) = Server::make(15, 1) else { return };
    let from = server.checkpoint();
    server.sql("create table t (i int); select pg_switch_wal(); insert into t values (1)");
    server.sql("select pg_logical_emit_message(true, 'x', repeat('longest ', 400000))");
    let newest = server.sql("select pg_walfile_name(pg_current_wal_lsn())");
    server.stop("immediate");
    server.lose_segment(&newest);
    server.start();
    server.sql("insert into t values (2)");
    server.switch_and_wait();
    let folder = server.archive();
    let (found, end) = records(&folder, 1, from, 2).unwrap();
    let compared = waldump::compare(&server, &found, from, end.end_lsn);
    assert!(compared.kinds.contains("overwritten"), "{compared:?}");
}

use super::*;
use crate::base::Timeline;
use crate::wal::happening::{Checkpoint, CompletionDetails, DatabaseMark};

const CONSISTENT: Lsn = Lsn(1_000);

fn record(lsn: u64, xid: u32, manager: u8, happening: Happening) -> Record {
    let (prev, end_lsn) = (Lsn(lsn - 100), Lsn(lsn + 100));
    Record { lsn: Lsn(lsn), end_lsn, prev, xid: Xid(xid), manager, info: 0, total_bytes: 100, happening }
}

fn ends(lsn: u64, xid: u32, time: i64, committed: bool, subs: &[u32]) -> Record {
    let subs: Vec<_> = subs.iter().copied().map(Xid).collect();
    let details =
        (!subs.is_empty()).then(|| Box::new(CompletionDetails { subs, ..CompletionDetails::default() }));
    let done = Completion { xid: Xid(xid), time: Timestamp(time), details };
    let happening = if committed { Happening::Commit(done) } else { Happening::Abort(done) };
    record(lsn, xid, manager::XACT, happening)
}

fn commit(lsn: u64, xid: u32, time: i64) -> Record {
    ends(lsn, xid, time, true, &[])
}

fn run(target: Target, records: &[Record]) -> Outcome {
    let mut simulation = Simulation::new(target, CONSISTENT);
    for record in records {
        let _ = simulation.feed(record);
    }
    simulation.finish(records.last().unwrap().end_lsn)
}

fn stop(target: Target, records: &[Record]) -> Option<(u64, bool)> {
    run(target, records).stop.map(|stop| (stop.lsn.0, stop.after))
}

fn time(at: i64, inclusive: bool) -> Target {
    Target::Time { at: Timestamp(at), inclusive }
}

#[test]
fn times_stop_in_log_order_not_in_time_order() {
    // Commit records need not be in the order of their times.
    let log = [commit(1_000, 1, 10), commit(1_100, 2, 30), commit(1_200, 3, 20), commit(1_300, 4, 30)];
    assert_eq!(stop(time(20, true), &log), Some((1_100, false)));
    assert_eq!(stop(time(30, false), &log), Some((1_100, false)));
    assert_eq!(stop(time(30, true), &log), None);
    assert_eq!(stop(time(9, true), &log), Some((1_000, false)));
    let outcome = run(time(20, true), &log);
    assert_eq!((outcome.last_commit.unwrap().xid, outcome.first_commit_after.unwrap().xid), (Xid(1), Xid(2)));
    assert_eq!((outcome.commits_after, outcome.last_commit_after.unwrap().xid), (3, Xid(4)));
}

#[test]
fn a_rollback_past_the_time_stops_too() {
    let log = [commit(1_000, 1, 10), ends(1_100, 2, 30, false, &[]), commit(1_200, 3, 40)];
    assert_eq!(stop(time(20, true), &log), Some((1_100, false)));
    assert_eq!(run(time(20, true), &log).first_commit_after.unwrap().xid, Xid(3));
}

#[test]
fn a_sub_transaction_matches_only_its_own_rollback() {
    let xid = |xid, inclusive| Target::Xid { xid: Xid(xid), inclusive };
    let log = [ends(1_000, 7, 10, false, &[]), ends(1_100, 5, 20, true, &[6]), commit(1_200, 8, 30)];
    assert_eq!(stop(xid(5, true), &log), Some((1_100, true)));
    assert_eq!(stop(xid(5, false), &log), Some((1_100, false)));
    let outcome = run(xid(6, true), &log);
    assert_eq!((outcome.stop, outcome.sub_transaction_of), (None, Some(Xid(5))));
    assert_eq!(stop(xid(7, true), &log), Some((1_000, true)));
    let assigned =
        record(900, 5, manager::XACT, Happening::Assignment { top: Xid(5), subs: [Xid(6)].into() });
    assert_eq!(run(xid(6, true), &[assigned]).sub_transaction_of, Some(Xid(5)));
}

#[test]
fn a_stop_before_consistency_is_told() {
    let log = [commit(800, 1, 10), commit(900, 2, 20), commit(1_000, 3, 30)];
    assert!(!run(time(10, true), &log).consistent);
    // Replayed up to exactly the consistent position.
    assert!(run(time(20, true), &log).consistent);
    assert!(run(Target::Xid { xid: Xid(2), inclusive: true }, &log).consistent);
    assert!(!run(Target::Xid { xid: Xid(2), inclusive: false }, &log).consistent);
}

#[test]
fn immediate_stops_behind_a_transaction_or_before_the_next_record() {
    let other = |lsn| record(lsn, 0, manager::XLOG, Happening::Other);
    assert_eq!(stop(Target::Immediate, &[other(900), other(1_000)]), Some((1_000, false)));
    assert_eq!(stop(Target::Immediate, &[commit(900, 1, 1), other(1_000)]), Some((900, true)));
    assert_eq!(stop(Target::Immediate, &[other(700), other(800)]), None);
    assert_eq!(stop(Target::Immediate, &[other(2_000)]), Some((2_000, false)));
}

#[test]
fn the_first_of_equal_names_counts_and_all_are_listed() {
    let point = |lsn, name: &str| {
        record(lsn, 0, manager::XLOG, Happening::RestorePoint { time: Timestamp(5), name: name.into() })
    };
    let log = [point(1_000, "a"), point(1_100, "b"), point(1_200, "b")];
    let outcome = run(Target::Name("b".to_owned()), &log);
    assert_eq!(outcome.stop.map(|stop| (stop.lsn, stop.after)), Some((Lsn(1_100), true)));
    assert_eq!(outcome.restore_points.len(), 3);
    assert_eq!(run(Target::Name("c".to_owned()), &log).stop, None);
}

#[test]
fn replay_begins_behind_a_checkpoint_that_is_its_own_redo_position() {
    let checkpoint = |shutdown, redo| {
        let now = Timestamp(0);
        let (timeline, prev_timeline) = (Timeline(1), Timeline(1));
        let checkpoint = Checkpoint {
            shutdown,
            redo: Lsn(redo),
            timeline,
            prev_timeline,
            full_page_writes: true,
            wal_level: None,
            next_xid: 3,
            time: now,
        };
        record(1_000, 0, manager::XLOG, Happening::Checkpoint(Box::new(checkpoint)))
    };
    let target = Target::Lsn { lsn: Lsn(1_000), inclusive: true };
    assert_eq!(stop(target.clone(), &[checkpoint(true, 1_000), commit(1_100, 1, 1)]), Some((1_100, true)));
    assert_eq!(stop(target, &[checkpoint(false, 900), commit(1_100, 1, 1)]), Some((1_000, true)));
}

fn drop_database(at: u64, xid: u32) -> [Record; 3] {
    let mark = Happening::DatabaseInPlace(DatabaseMark::Invalid { database: 5 });
    let drop = Happening::DatabaseDropped { database: 5, tablespaces: [1663].into() };
    [
        record(at, 0, manager::HEAP, mark),
        record(at + 100, xid, manager::DATABASE, drop),
        commit(at + 200, xid, 50),
    ]
}

#[test]
fn a_dropped_database_is_in_force_before_its_commit() {
    let mut log = vec![commit(1_000, 1, 10)];
    log.extend(drop_database(1_100, 9));
    log.push(commit(1_400, 10, 60));
    let outcome = run(time(20, true), &log);
    assert_eq!(outcome.stop.unwrap().lsn, Lsn(1_300));
    assert_eq!(outcome.effects.len(), 2);
    assert!(outcome.effects.iter().all(|effect| effect.xid == Xid(9) && !effect.abandoned));
    assert_eq!(outcome.exclusive_lsn_before_effects(), Some(Lsn(1_100)));
    let better = run(Target::Lsn { lsn: Lsn(1_100), inclusive: false }, &log);
    assert!(better.effects.is_empty() && better.last_commit.unwrap().xid == Xid(1));
    assert!(run(time(55, true), &log).effects.is_empty());
    // Stopping between mark and drop.
    let between = run(Target::Lsn { lsn: Lsn(1_200), inclusive: false }, &log);
    assert_eq!(between.exclusive_lsn_before_effects(), Some(Lsn(1_100)));
}

#[test]
fn an_abandoned_drop_is_told_but_not_avoided() {
    let [mark, drop, _] = drop_database(1_000, 9);
    let log = [mark.clone(), drop.clone(), ends(1_200, 9, 30, false, &[]), commit(1_300, 10, 60)];
    let outcome = run(time(40, true), &log);
    assert_eq!(outcome.effects.len(), 2);
    assert_eq!(outcome.exclusive_lsn_before_effects(), None);
    // A second attempt that commits settles both.
    let again = [
        log[0].clone(),
        log[1].clone(),
        log[2].clone(),
        drop_at(&drop, 1_300, 11),
        commit(1_400, 11, 35),
        commit(1_500, 12, 60),
    ];
    assert!(run(time(40, true), &again).effects.is_empty());
}

fn drop_at(drop: &Record, lsn: u64, xid: u32) -> Record {
    record(lsn, xid, manager::DATABASE, drop.happening.clone())
}

#[test]
fn moves_and_failed_creations_harm_nobody() {
    let moved = Happening::DatabaseMoved { database: 5, from: 1663, to: 70_000 };
    let drop = Happening::DatabaseDropped { database: 5, tablespaces: [1663].into() };
    let log = [
        record(1_000, 4, manager::DATABASE, moved),
        commit(1_100, 4, 10),
        record(1_200, 0, manager::DATABASE, drop.clone()),
        commit(1_300, 5, 60),
    ];
    assert!(run(time(20, true), &log).effects.is_empty());
    let created = Happening::DatabaseCreated { database: 5, tablespace: 1663, from: None };
    let log = [
        record(1_000, 4, manager::DATABASE, created),
        record(1_100, 4, manager::DATABASE, drop),
        commit(1_200, 5, 60),
    ];
    assert!(run(time(20, true), &log).effects.is_empty());
    let space = record(1_000, 4, manager::TABLESPACE, Happening::TablespaceDropped { tablespace: 7 });
    let outcome = run(time(20, true), &[space, commit(1_100, 4, 30)]);
    assert_eq!(outcome.exclusive_lsn_before_effects(), Some(Lsn(1_000)));
}

#[test]
fn an_unreadable_mark_counts_once_its_drop_is_seen() {
    let mark = |lsn| record(lsn, 0, manager::HEAP, Happening::DatabaseInPlace(DatabaseMark::Unreadable));
    let [_, drop, commit_9] = drop_database(1_000, 9);
    let outcome = run(time(20, true), &[mark(900), mark(1_000), drop, commit_9]);
    assert_eq!(outcome.exclusive_lsn_before_effects(), Some(Lsn(1_000)));
    assert!(run(time(20, true), &[mark(900), commit(1_000, 3, 60)]).effects.is_empty());
}

#[test]
fn settings_and_minimal_wal_before_the_stop_are_told() {
    let set = |lsn, max_connections, wal_level| {
        let p = Parameters {
            max_connections,
            max_worker_processes: 8,
            max_wal_senders: 10,
            max_prepared_transactions: 0,
            max_locks_per_transaction: 64,
            wal_level,
        };
        record(lsn, 0, manager::XLOG, Happening::Parameters(p))
    };
    let log = [
        set(1_000, 200, WalLevel::Minimal),
        set(1_100, 50, WalLevel::Replica),
        commit(1_200, 1, 60),
        set(1_300, 900, WalLevel::Replica),
    ];
    let outcome = run(time(20, true), &log);
    assert_eq!(outcome.minimal_wal, Some(Lsn(1_000)));
    let parameters = outcome.parameters.unwrap();
    assert_eq!((parameters.max_connections, parameters.wal_level), (200, WalLevel::Replica));
}

#[test]
fn prepared_transactions_left_undecided_are_listed() {
    let prepared = |lsn, xid| {
        let prepared = Prepared {
            xid: Xid(xid),
            time: Timestamp(1),
            database: 5,
            gid: format!("g{xid}"),
            subs: vec![Xid(90)],
        };
        record(lsn, xid, manager::XACT, Happening::Prepare(Box::new(prepared)))
    };
    let log = [prepared(1_000, 4), prepared(1_100, 5), commit(1_200, 4, 10), commit(1_300, 6, 60)];
    let outcome = run(time(20, true), &log);
    assert_eq!(outcome.prepared.iter().map(|prepared| prepared.xid.0).collect::<Vec<_>>(), [5]);
    let outcome = run(Target::Xid { xid: Xid(90), inclusive: true }, &log);
    assert_eq!((outcome.stop, outcome.sub_transaction_of), (None, Some(Xid(5))));
}

//! Real recoveries to many targets, compared with what the simulation says of the same log.

use crate::records;
use crate::server::Server;
use pgmayday::base::{Lsn, Timestamp, Xid};
use pgmayday::wal::stop::Ended;
use pgmayday::wal::{Happening, Outcome, Record, Simulation, Target};
use std::fmt::Write as _;
use std::fs;

/// What a real recovery said.
struct Recovery {
    log: String,
    started: bool,
}

impl Recovery {
    fn after(&self, mark: &str) -> Option<&str> {
        self.log.lines().find_map(|line| Some(line.split_once(mark)?.1))
    }
}

/// A backup, work of every kind after it, and where both lie in the log.
struct Case {
    server: Server,
    found: Vec<Record>,
    consistent_at: Lsn,
    end: Lsn,
}

impl Case {
    fn make(major: u16) -> Option<Self> {
        let mut server = Server::make(major, 1)?;
        server.sql("create table t (i int); insert into t values (0)");
        let base = server.path("base");
        server.backup(&base);
        let label = fs::read_to_string(base.join("backup_label")).unwrap();
        let redo = field(&label, "START WAL LOCATION: ");
        server.sql(
            "insert into t values (1); select pg_sleep(0.05);
             begin; insert into t values (2); savepoint s; insert into t values (3); release s;
             savepoint r; insert into t values (4); rollback to r; select pg_sleep(0.05); commit;
             begin; insert into t values (5); rollback; select pg_sleep(0.05);
             begin; insert into t values (6); prepare transaction 'kept';
             insert into t values (7); select pg_sleep(0.05); commit prepared 'kept';
             begin; insert into t values (8); prepare transaction 'undone'; rollback prepared 'undone';
             select pg_create_restore_point('twice'); insert into t values (9);
             select pg_create_restore_point('twice'); select pg_sleep(0.05);
             create database gone",
        );
        server.sql_in("gone", "create table inside as select generate_series(1, 77) i");
        server.sql(
            "drop database gone; select pg_switch_wal(); insert into t values (10);
             select pg_sleep(0.05); insert into t values (11);",
        );
        server.switch_and_wait();
        let folder = server.archive();
        let history = fs::read_dir(&folder.path).unwrap().map(|entry| entry.unwrap().path());
        let history =
            history.into_iter().find(|path| path.extension().is_some_and(|e| e == "backup")).unwrap();
        let consistent_at = field(&fs::read_to_string(history).unwrap(), "STOP WAL LOCATION: ");
        server.stop("fast");
        let (found, end) = records(&folder, 1, redo, 1).unwrap();
        Some(Self { server, found, consistent_at, end: end.end_lsn })
    }

    fn simulate(&self, target: &Target) -> Outcome {
        let mut simulation = Simulation::new(target.clone(), self.consistent_at);
        let watch = simulation.watch();
        for (at, record) in self.found.iter().enumerate() {
            // Exactly what a scan delivers that was not asked for every record.
            let wanted = record.happening != Happening::Other
                || watch.iter().any(|lsn| record.end_lsn >= *lsn && record.lsn < *lsn)
                || watch.iter().any(|lsn| record.lsn >= *lsn && (at == 0 || self.found[at - 1].lsn < *lsn));
            if wanted && simulation.feed(record).is_break() {
                assert!(simulation.stopped());
            }
        }
        simulation.finish(self.end)
    }

    fn recover(&self, target: &Target) -> Recovery {
        let (log, started) = self.server.recover_copy(&self.server.path("base"), &settings(target));
        Recovery { log, started }
    }

    fn ends(&self) -> impl Iterator<Item = (&Record, Xid, Timestamp, bool)> {
        self.found.iter().filter_map(|record| match &record.happening {
            Happening::Commit(done) => Some((record, done.xid, done.time, true)),
            Happening::Abort(done) => Some((record, done.xid, done.time, false)),
            _ => None,
        })
    }

    /// Targets at and around everything that can be one.
    fn targets(&self) -> Vec<Target> {
        let mut targets = vec![
            Target::Latest,
            Target::Immediate,
            Target::Name("twice".to_owned()),
            Target::Name("never".to_owned()),
            Target::Lsn { lsn: self.end, inclusive: true },
            Target::Lsn { lsn: self.consistent_at, inclusive: false },
            Target::Lsn { lsn: self.found[1].lsn, inclusive: true },
        ];
        let ends: Vec<_> = self.ends().collect();
        for (at, (record, xid, time, _)) in ends.iter().enumerate() {
            let inclusive = at % 2 == 0;
            targets.push(Target::Xid { xid: *xid, inclusive });
            targets.push(Target::Time { at: *time, inclusive: !inclusive });
            targets.push(Target::Lsn { lsn: record.lsn, inclusive });
            if at % 3 == 0 {
                targets.push(Target::Time { at: Timestamp(time.0 - 1), inclusive: true });
                targets.push(Target::Lsn { lsn: Lsn(record.lsn.0 + 1), inclusive: !inclusive });
            }
        }
        let last = ends.last().unwrap().2;
        targets.push(Target::Time { at: last, inclusive: true });
        let subs = self.found.iter().filter_map(|record| match &record.happening {
            Happening::Commit(done) => done.subs().first().copied(),
            _ => None,
        });
        targets.extend(subs.map(|xid| Target::Xid { xid, inclusive: true }));
        targets
    }
}

/// What a person would write into the configuration.
fn settings(target: &Target) -> String {
    let (name, value, inclusive) = match target {
        Target::Latest => ("", String::new(), true),
        Target::Immediate => ("recovery_target", "immediate".to_owned(), true),
        Target::Time { at, inclusive } => ("recovery_target_time", at.to_string(), *inclusive),
        Target::Xid { xid, inclusive } => ("recovery_target_xid", xid.to_string(), *inclusive),
        Target::Lsn { lsn, inclusive } => ("recovery_target_lsn", lsn.to_string(), *inclusive),
        Target::Name(name) => ("recovery_target_name", name.clone(), true),
    };
    let mut lines = format!("recovery_target_inclusive={inclusive}\nrecovery_target_action=promote\n");
    if !name.is_empty() {
        writeln!(lines, "{name}='{value}'").unwrap();
    }
    lines
}

fn field(text: &str, mark: &str) -> Lsn {
    text.split_once(mark).unwrap().1.split_whitespace().next().unwrap().parse().unwrap()
}

fn log_time(time: Timestamp) -> String {
    time.to_utc().format("%Y-%m-%d %H:%M:%S%.6f").to_string().trim_end_matches('0').to_owned()
}

/// Recovers a real server to one of `every` targets (to all in the long run) and compares where it stopped and what it had replayed.
pub(crate) fn compare(major: u16, every: usize) {
    let Some(case) = Case::make(major) else { return };
    let (mut reached, mut refused) = (0, 0);
    let every = if std::env::var_os("PGMAYDAY_ENDURANCE").is_some() { 1 } else { every };
    let targets = case.targets();
    for target in targets.into_iter().step_by(every) {
        let outcome = case.simulate(&target);
        let real = case.recover(&target);
        let told = format!("{target:?}\n{outcome:#?}\n{}", real.log);
        let ended_early = real.log.contains("recovery ended before configured recovery target was reached");
        let too_early =
            real.log.contains("requested recovery stop point is before consistent recovery point");
        assert_eq!(outcome.stop.is_none() && target != Target::Latest, ended_early, "{told}");
        assert_eq!(outcome.stop.is_some() && !outcome.consistent, too_early, "{told}");
        assert_eq!(real.started, !ended_early && !too_early, "{told}");
        let Some(stop) = outcome.stop else {
            refused += 1;
            continue;
        };
        let side = if stop.after { "after" } else { "before" };
        let said = real.after("recovery stopping ").unwrap_or_else(|| panic!("{told}"));
        match &target {
            Target::Immediate => assert_eq!(said, "after reaching consistency", "{told}"),
            Target::Name(name) => {
                assert!(said.starts_with(&format!("at restore point \"{name}\"")), "{told}");
            }
            Target::Lsn { .. } => {
                assert_eq!(said, format!("{side} WAL location (LSN) \"{}\"", stop.lsn), "{told}");
            }
            _ => {
                let (xid, time) = (stop.xid.unwrap(), log_time(stop.time.unwrap()));
                assert!(
                    said.starts_with(side) && said.contains(&format!("of transaction {xid}, time {time}")),
                    "{told}"
                );
            }
        }
        if too_early {
            refused += 1;
            continue;
        }
        reached += 1;
        let done = real.after("redo done at ").unwrap().split_whitespace().next().unwrap();
        // The record read last: the one replayed last, or the one stopped before.
        assert_eq!(done, stop.lsn.to_string(), "{told}");
        let completed = real.after("last completed transaction was at log time ");
        let mut expected = outcome.last_ended.map(|Ended { time, .. }| log_time(time));
        if matches!(target, Target::Lsn { .. })
            && outcome.last_ended.is_some_and(|ended| ended.lsn == stop.lsn)
        {
            // PostgreSQL stops after the record before it notes the record's time.
            let before = case.ends().filter(|end| end.0.lsn < stop.lsn).last();
            expected = before.map(|(_, _, time, _)| log_time(time));
        }
        assert_eq!(completed.map(|text| text.trim_end_matches("+00").to_owned()), expected, "{told}");
    }
    assert!(reached > 30 / every && refused > 0, "{reached} reached, {refused} refused");
}

/// Stops just before the commit of a DROP DATABASE: the database is back by name but broken. Stopping where the
/// simulation advises, it is whole.
pub(crate) fn half_done_drop(major: u16) {
    let Some(case) = Case::make(major) else { return };
    let dropped =
        case.found.iter().position(|record| matches!(record.happening, Happening::DatabaseDropped { .. }));
    let owner = case.found[dropped.unwrap()].xid;
    let base = case.server.path("base");
    let ask = |server: &Server| server.try_sql_in("gone", "select count(*) from inside");
    for commit in case.ends().filter(|end| end.1 == owner) {
        let blunt = [
            Target::Xid { xid: owner, inclusive: false },
            Target::Time { at: commit.2, inclusive: false },
            Target::Lsn { lsn: case.found[dropped.unwrap()].end_lsn, inclusive: false },
        ];
        for target in blunt {
            let outcome = case.simulate(&target);
            assert!(outcome.effects.iter().all(|effect| !effect.abandoned), "{outcome:#?}");
            let advised = outcome.exclusive_lsn_before_effects().unwrap();
            let (log, answer) = case.server.recover_copy_and(&base, &settings(&target), ask);
            assert!(answer.unwrap().is_err(), "{log}");
            let better = Target::Lsn { lsn: advised, inclusive: false };
            assert!(case.simulate(&better).effects.is_empty());
            let (log, answer) = case.server.recover_copy_and(&base, &settings(&better), ask);
            assert_eq!(answer.unwrap().unwrap(), "77", "{log}");
        }
    }
}

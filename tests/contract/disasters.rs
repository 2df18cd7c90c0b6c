//! Disasters that a time target alone does not undo, on real clusters: the right database with the right rows comes
//! back, and every database of it takes connections. Where the obvious command would not do, the error says which does.

use crate::common::servers::{self, Primary, STANZA, Server, Settled};
use crate::common::{Case, Run, stand_in};

/// A primary with a ledger and a shop, one full backup, and a stanza that archives.
struct Scene {
    primary: Primary,
    case: Case,
}

fn scene(test: &str) -> Option<Scene> {
    let bin = servers::postgres("15", test)?;
    servers::pgbackrest(test)?;
    let options = "compress-type=lz4\n";
    let primary = Primary::make(&bin, options);
    let server = primary.server();
    server.ask("create table ledger (id int primary key, note text)");
    server.ask("create database shop");
    server.ask_in("shop", "create table orders as select generate_series(1, 500) as id");
    server.ask("insert into ledger select n, 'before the backup' from generate_series(1, 10) n");
    primary.pgbackrest("backup", &["--type=full"]);
    server.ask("insert into ledger select n, 'after the backup' from generate_series(11, 20) n");
    let case = Case::on(&primary.repo(), STANZA, &primary.template(options));
    Some(Scene { primary, case })
}

impl Scene {
    fn server(&self) -> &Server {
        self.primary.server()
    }

    /// The transaction that committed last.
    fn last_xid(&self) -> String {
        self.server().ask("select xid from pg_last_committed_xact()")
    }

    /// A moment between two commits, apart from both.
    fn moment(&self) -> String {
        self.server().ask("select pg_sleep(0.05)");
        let moment = self.server().ask("select clock_timestamp()");
        self.server().ask("select pg_sleep(0.05)");
        moment
    }

    fn restore(&self, options: &[&str]) -> Run {
        let run = self.case.restore(&[&["--archive-mode=off", "--target-action=promote"], options].concat());
        if run.code != Some(0) {
            self.case.assert_untouched(&run);
        }
        run
    }

    /// The recovered cluster; every database of it takes connections.
    fn recovered(&self) -> Server {
        let mut server = Server::start(self.primary.bin(), &self.case.pgdata(), &[]);
        assert_eq!(server.settle(), Settled::Writable, "{}", server.log());
        for database in server.ask("select datname from pg_database where datallowconn").lines() {
            assert_eq!(server.ask_in(database, "select 1"), "1", "{database}");
        }
        server
    }
}

/// The target an error advises in its `next:` line, as options.
fn advised(run: &Run, kind: &str) -> Vec<String> {
    let text = run.text();
    let next = text.split("next:").nth(1).unwrap_or_else(|| panic!("no advice\n{run}"));
    let words: Vec<_> = next
        .split_whitespace()
        .map(|word| word.trim_matches(|c: char| "`'\",;.()".contains(c)).to_owned())
        .collect();
    let at = words
        .iter()
        .position(|word| *word == format!("--type={kind}"))
        .unwrap_or_else(|| panic!("--type={kind} is not advised\n{run}"));
    words[at..].iter().take_while(|word| word.starts_with("--")).cloned().collect()
}

#[test]
fn just_before_a_drop_database() {
    let Some(scene) = scene("disasters::drop_database") else { return };
    let before = scene.moment();
    scene.server().ask("drop database shop");
    let xid = scene.last_xid();
    let dropped_at = scene.server().ask("select timestamp from pg_last_committed_xact()");
    scene.server().ask("insert into ledger values (21, 'after the drop')");
    scene.primary.archive_all();
    if stand_in() {
        return;
    }
    // The drop takes effect before its commit: "before that transaction" would come back with an invalid database.
    let by_xid = ["--type=xid", &format!("--target={xid}"), "--target-exclusive"];
    let by_time = ["--type=time", &format!("--target={dropped_at}"), "--target-exclusive"];
    for options in [by_xid, by_time] {
        scene.case.fresh();
        let run = scene.restore(&options).refused(&[3, 7]);
        let advice = advised(&run, "lsn");
        assert!(advice.contains(&"--target-exclusive".to_owned()), "{advice:?}\n{run}");
        scene.restore(&advice.iter().map(String::as_str).collect::<Vec<_>>()).ok();
        let server = scene.recovered();
        assert_eq!(server.ask_in("shop", "select count(*) from orders"), "500");
        assert_eq!(server.ask("select count(*) from ledger"), "20");
    }
    // A moment before the drop began stops at a later commit all the same, unless another one stands between.
    scene.case.fresh();
    let run = scene.restore(&["--type=time", &format!("--target={before}")]);
    if run.code == Some(0) {
        let server = scene.recovered();
        assert_eq!(server.ask_in("shop", "select count(*) from orders"), "500");
    } else {
        advised(&run.refused(&[3, 7]), "lsn");
    }
}

#[test]
fn inside_a_savepoints_transaction() {
    let Some(scene) = scene("disasters::savepoint") else { return };
    scene.server().ask("begin; insert into ledger values (30, 'outer'); savepoint s; insert into ledger values (31, 'inner'); release s; commit");
    let top = scene.server().ask("select xmin from ledger where id = 30");
    let sub = scene.server().ask("select xmin from ledger where id = 31");
    assert_ne!(top, sub);
    scene.server().ask("insert into ledger values (32, 'later')");
    scene.primary.archive_all();
    if stand_in() {
        return;
    }
    for (exclusive, rows) in [(false, "22"), (true, "20")] {
        scene.case.fresh();
        let target = format!("--target={sub}");
        let mut options = vec!["--type=xid", target.as_str()];
        options.extend(exclusive.then_some("--target-exclusive"));
        // A savepoint's own number never ends a recovery: it is refused naming the transaction, or taken for it.
        let run = scene.restore(&options);
        if run.code == Some(0) {
            run.says(&[&top]);
        } else {
            let run = run.refused(&[7]).says(&[&top]);
            let advice = advised(&run, "xid");
            assert_eq!(advice.contains(&"--target-exclusive".to_owned()), exclusive, "{run}");
            scene.restore(&advice.iter().map(String::as_str).collect::<Vec<_>>()).ok();
        }
        assert_eq!(scene.recovered().ask("select count(*) from ledger"), rows);
    }
}

#[test]
fn around_a_prepared_transaction() {
    let Some(scene) = scene("disasters::prepared") else { return };
    scene.server().ask_script("begin; insert into ledger values (40, 'prepared'); select pg_current_xact_id()::text; prepare transaction 'held';");
    let xid = scene.server().ask("select transaction from pg_prepared_xacts");
    let pending = scene.moment();
    scene.server().ask("insert into ledger values (41, 'between')");
    scene.server().ask_script("commit prepared 'held';");
    scene.server().ask("insert into ledger values (42, 'after')");
    scene.primary.archive_all();
    if stand_in() {
        return;
    }
    let target = format!("--target={xid}");
    let pending = format!("--target={pending}");
    let cases: [(&[&str], &str, &str); 3] = [
        (&["--type=xid", &target], "22", "0"),
        (&["--type=xid", &target, "--target-exclusive"], "21", "1"),
        (&["--type=time", &pending], "20", "1"),
    ];
    for (options, rows, prepared) in cases {
        scene.case.fresh();
        scene.restore(options).ok();
        let server = scene.recovered();
        assert_eq!(server.ask("select count(*) from ledger"), rows, "{options:?}");
        assert_eq!(server.ask("select count(*) from pg_prepared_xacts"), prepared, "{options:?}");
        if prepared == "1" {
            server.ask_script("commit prepared 'held';");
            assert_eq!(server.ask("select count(*) from ledger where id = 40"), "1");
        }
    }
}

#[test]
fn two_damages_at_once() {
    let Some(scene) = scene("disasters::two_damages") else { return };
    let before_both = scene.moment();
    scene.server().ask("update ledger set note = 'nobody wanted this'");
    let update = scene.last_xid();
    scene.server().ask("insert into ledger values (50, 'good, after the first')");
    let between = scene.moment();
    scene.server().ask("drop table ledger");
    let drop = scene.last_xid();
    scene.server().ask_in("shop", "insert into orders values (501)");
    scene.primary.archive_all();
    if stand_in() {
        return;
    }
    let checks: [(&[&str], &str, &str); 4] = [
        (&["--type=time", &format!("--target={before_both}")], "20", "0"),
        (&["--type=xid", &format!("--target={update}"), "--target-exclusive"], "20", "0"),
        (&["--type=time", &format!("--target={between}")], "21", "20"),
        (&["--type=xid", &format!("--target={drop}"), "--target-exclusive"], "21", "20"),
    ];
    for (options, rows, spoilt) in checks {
        scene.case.fresh();
        scene.restore(options).ok();
        let server = scene.recovered();
        assert_eq!(server.ask("select count(*) from ledger"), rows, "{options:?}");
        assert_eq!(
            server.ask("select count(*) from ledger where note = 'nobody wanted this'"),
            spoilt,
            "{options:?}"
        );
        assert_eq!(server.ask_in("shop", "select count(*) from orders"), "500", "{options:?}");
    }
}

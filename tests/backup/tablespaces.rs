//! Tablespaces: two databases in one, full and incremental, restored to other places by both programs.

use crate::peer::{Copy, Peer, TO_ITS_END, restore};
use crate::tools::{AES, backup, manifest_files, ready, section, stored_text};
use crate::workload::{SUM, change, fill};
use crate::yard::{Run, Yard, installed};
use std::fs;

fn in_third(yard: &Yard, sql: &str) -> String {
    let mut psql = crate::peer::psql(yard);
    Run::of(psql.args(["-d", "third", "-c", sql])).exits(0, &[]).out.trim_end().to_owned()
}

#[test]
fn tablespaces_come_back_with_every_database_in_them() {
    let Some(binaries) = installed("tablespaces_come_back_with_every_database_in_them") else { return };
    for (cipher, more) in [("", "compress-type=none\nrepo1-bundle=n\n"), (AES, "compress-type=zst\n")] {
        let yard = ready(&binaries, cipher, more);
        fill(&yard);
        fs::create_dir(yard.path("ts")).unwrap();
        yard.give(&yard.path("ts"));
        yard.ask(&format!("create tablespace space location '{}'", yard.text("ts")));
        yard.ask("create table spaced tablespace space as select g id, 0 n from generate_series(1, 3000) g");
        yard.ask("create database third tablespace space");
        in_third(&yard, "create table inside as select g id, 0 n from generate_series(1, 3000) g");
        let full = backup(&yard, &["--type=full"]);
        change(&yard, 1);
        yard.ask("update spaced set n = 1 where id % 50 = 7");
        in_third(&yard, "update inside set n = 2 where id % 30 = 7");
        let spaced = "select count(*) || ' ' || sum(n) from spaced";
        let inside = "select count(*) || ' ' || sum(n) from inside";
        let expected = [yard.ask(SUM), yard.ask(spaced), in_third(&yard, inside)];
        let incr = backup(&yard, &["--type=incr"]);
        let oid = yard.ask("select oid from pg_tablespace where spcname = 'space'");
        for made in [&full, &incr] {
            let label = made["label"].as_str().unwrap();
            let targets = section(&stored_text(&yard, &format!("{label}/backup.manifest")), "backup:target");
            assert_eq!(targets[&format!("pg_tblspc/{oid}")]["tablespace-name"], "space");
            let names = manifest_files(&yard, label);
            assert!(
                names.keys().filter(|name| name.starts_with(&format!("pg_tblspc/{oid}/PG_15_"))).count()
                    > 100
            );
        }
        yard.pgmayday(&["verify"]).exits(0, &[]);
        for (peer, to) in [(None, "ours"), (Some(Peer::installed()), "theirs")] {
            let place = yard.path(&format!("{to}_ts"));
            fs::create_dir(&place).unwrap();
            yard.give(&place);
            let map = format!("--tablespace-map=space={}", place.display());
            restore(&yard, peer.as_ref(), to, &[TO_ITS_END[0], TO_ITS_END[1], &map]);
            let copy = Copy::start(&yard, &binaries, to);
            let found = [copy.ask("postgres", SUM), copy.ask("postgres", spaced), copy.ask("third", inside)];
            assert_eq!(found, expected, "{to}");
        }
    }
}

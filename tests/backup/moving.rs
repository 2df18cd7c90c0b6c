//! A cluster that changes between the moment its files were listed and the moment they are read.

use crate::peer::{Peer, restores};
use crate::tools::{backup, listed, manifest_files, place_of, ready, stopped_in_copy};
use crate::workload::{SUM, fill};
use crate::yard::installed;
use rustix::process::Signal;
use std::fs;

#[test]
fn files_that_vanish_shrink_or_grow_are_made_right_by_replay() {
    let Some(binaries) = installed("files_that_vanish_shrink_or_grow_are_made_right_by_replay") else {
        return;
    };
    for bundle in ["n", "y"] {
        // Large files are copied first, small ones wait.
        let more = format!("compress-type=none\nrepo1-bundle={bundle}\nprocess-max=1\n");
        let yard = ready(&binaries, "", &more);
        fill(&yard);
        yard.ask("create table bulk as select g id, md5(g::text) x from generate_series(1, 60000) g");
        let tables = ["dropped", "emptied", "cut", "grown", "kept"];
        for table in tables {
            yard.ask(&format!(
                "create table {table} as select g id, repeat('x', 500) x from generate_series(1, 60) g"
            ));
        }
        yard.ask("checkpoint");
        let place = |table: &str| format!("pg_data/{}", place_of(&yard, table));
        let [dropped, emptied, cut, grown, kept] = tables.map(place);
        let size = |name: &str| {
            fs::metadata(yard.path("pg").join(name.strip_prefix("pg_data/").unwrap()))
                .map_or(0, |meta| meta.len())
        };
        let before = size(&grown);

        let running = stopped_in_copy(&yard, &["--type=full"]);
        yard.ask("drop table dropped");
        yard.ask("truncate emptied");
        yard.ask("delete from cut where id > 5");
        yard.ask("vacuum (truncate) cut");
        yard.ask("insert into grown select g, repeat('y', 500) from generate_series(1, 5000) g");
        yard.ask("insert into scratch values (2)");
        yard.ask("create table late as select 1 a");
        yard.ask("insert into ledger (note) values ('while it was copied')");
        yard.ask("checkpoint");
        let (cut_to, grown_to) = (size(&cut), size(&grown));
        assert!(cut_to < before && grown_to > before && size(&dropped) == 0 && size(&emptied) == 0);
        let rows = "select (select count(*) || ' ' || sum(id) from cut) || ' ' || (select count(*) || ' ' || sum(length(x)) from grown) || ' ' || \
             (select count(*) from emptied) || ' ' || (select count(*) from kept) || ' ' || (select count(*) from late) || ' ' || \
             (select count(*) from scratch) || ' ' || coalesce(to_regclass('dropped')::text, 'none')";
        let (sum, rows_now) = (yard.ask(SUM), yard.ask(rows));
        running.signal(Signal::CONT);
        let outcome = running.end().exits(0, &[]).json();
        assert!(outcome["files_gone"].as_u64().unwrap() >= 2, "{outcome}");

        let files = manifest_files(&yard, outcome["label"].as_str().unwrap());
        assert!(!files.contains_key(&dropped) && !files.contains_key(&emptied), "{dropped} {emptied}");
        assert_eq!(files[&cut]["size"], cut_to, "what was there when it was read");
        assert_eq!(files[&grown]["size"], before, "not more than when it was listed");
        assert_eq!(files[&kept]["size"], before);
        let scratch = format!("pg_data/{}", place_of(&yard, "scratch"));
        assert!(
            !files.contains_key(&scratch) && files.contains_key(&format!("{scratch}_init")),
            "an unlogged table is empty"
        );
        yard.pgmayday(&["verify"]).exits(0, &[]);
        // Unlogged rows are gone after a recovery; everything else is as it was.
        let rows_restored = rows_now.replace(" 2 none", " 0 none");
        assert_ne!(rows_restored, rows_now);
        let both = format!("select ({SUM}) || ' ' || ({rows})");
        let expected = format!("{sum} {rows_restored}");
        restores(&yard, &binaries, None, "ours", &both, &expected);
        restores(&yard, &binaries, Some(&Peer::installed()), "theirs", &both, &expected);
        let next = backup(&yard, &["--type=incr"]);
        let files = manifest_files(&yard, next["label"].as_str().unwrap());
        assert_eq!((&files[&cut]["size"], &files[&grown]["size"]), (&cut_to.into(), &grown_to.into()));
        restores(&yard, &binaries, None, "after", &both, &expected);
    }
}

#[test]
fn an_offline_backup_is_of_a_cluster_that_stays_stopped() {
    let Some(binaries) = installed("an_offline_backup_is_of_a_cluster_that_stays_stopped") else { return };
    let yard = ready(&binaries, "", "compress-type=none\n");
    fill(&yard);
    let sum = yard.ask(SUM);
    yard.pgmayday(&["backup", "--no-online", "--type=full"])
        .exits(3, &["a server runs", "leave --no-online out"]);
    yard.stop("pg");
    let full = backup(&yard, &["--no-online", "--type=full"]);
    assert!(full["lsn_start"].is_null() && full["archive_stop"].is_null(), "{full}");
    let incr = backup(&yard, &["--no-online", "--type=incr"]);
    assert_eq!(incr["prior"], full["label"]);
    assert_eq!(listed(&yard).len(), 2);
    yard.pgmayday(&["verify"]).exits(0, &[]);
    for (peer, to) in [(None, "ours"), (Some(Peer::installed()), "theirs")] {
        crate::peer::restore(&yard, peer.as_ref(), to, &[]);
        assert_eq!(crate::peer::ask_copy(&yard, &binaries, to, SUM), sum);
    }

    // Somebody starts the server meanwhile, for a moment or for good.
    for stays in [false, true] {
        let running = stopped_in_copy(&yard, &["--no-online", "--type=incr"]);
        yard.start("pg");
        if !stays {
            yard.stop("pg");
        }
        running.signal(Signal::CONT);
        let code = if stays { 3 } else { 1 };
        running.end().exits(code, &[if stays { "a server runs" } else { "its server ran meanwhile" }]);
        assert_eq!(listed(&yard).len(), 2);
    }
    // And the next online one finds unchanged files by checksum, because the last one was offline.
    let online = backup(&yard, &["--type=incr"]);
    assert!(
        online["warnings"]
            .as_array()
            .unwrap()
            .iter()
            .any(|text| text.as_str().unwrap().contains("by checksum")),
        "{online}"
    );
    restores(&yard, &binaries, Some(&Peer::installed()), "last", SUM, &sum);
}

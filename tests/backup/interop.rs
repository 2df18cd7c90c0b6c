//! Ours and pgBackRest's backups alternating in one repository, over compression, cipher, bundles and blocks.
//!
//! Four cells of the matrix always, all of them with `PGMAYDAY_ENDURANCE`. Blocks need a pgBackRest of 2.46 or later: the
//! one `tests/setup-pgbackrest.sh` fetched; without it those cells are left out by name.

use crate::peer::{Peer, archive_command, restores};
use crate::workload::{SUM, Writer, change, fill};
use crate::yard::{Yard, installed};
use pgmayday::cluster::binaries::Binaries;
use std::time::Duration;

const AES: &str = "Geheim+Passwort/4711";

/// One way to store backups.
#[derive(Debug, Clone, Copy)]
struct Cell {
    compression: &'static str,
    cipher: &'static str,
    bundle: bool,
    block: bool,
}

fn all() -> Vec<Cell> {
    let mut all = Vec::new();
    for compression in ["none", "gz", "lz4", "zst", "bz2"] {
        for cipher in ["", AES] {
            for (bundle, block) in [(false, false), (true, false), (true, true)] {
                all.push(Cell { compression, cipher, bundle, block });
            }
        }
    }
    all
}

/// The corners: the simplest, everything on, and two between.
fn corners() -> Vec<Cell> {
    vec![
        Cell { compression: "none", cipher: "", bundle: false, block: false },
        Cell { compression: "zst", cipher: AES, bundle: true, block: true },
        Cell { compression: "gz", cipher: AES, bundle: false, block: false },
        Cell { compression: "lz4", cipher: "", bundle: true, block: false },
    ]
}

fn alternates(yard: &Yard, binaries: &Binaries, peer: &Peer) {
    let mut round = 0;
    let mut next = |yard: &Yard| {
        round += 1;
        change(yard, round);
        yard.ask(SUM)
    };
    yard.pgmayday(&["stanza-create"]).exits(0, &[]);
    fill(yard);
    let noise = Writer::pausing(yard, Duration::from_millis(100));
    next(yard);
    yard.pgmayday(&["backup", "--type=full"]).exits(0, &[]);
    next(yard);
    yard.pgmayday(&["backup", "--type=diff"]).exits(0, &[]);
    let sum = next(yard);
    yard.pgmayday(&["backup", "--type=incr"]).exits(0, &[]);
    peer.run(yard, &["info"]).exits(0, &["status: ok"]);
    let quietly = ["verify", "--output=text", "--verbose", "--log-level-console=off"];
    let verified = peer.run(yard, &quietly).exits(0, &["status: ok"]);
    assert_eq!(verified.out.matches("status: valid").count(), 3, "{verified}");
    restores(yard, binaries, Some(peer), "theirs1", SUM, &sum);
    restores(yard, binaries, None, "ours1", SUM, &sum);

    next(yard);
    peer.run(yard, &["backup", "--type=incr"]).exits(0, &[]);
    let sum = next(yard);
    yard.pgmayday(&["backup", "--type=incr"]).exits(0, &[]);
    drop(noise);
    let info = peer.run(yard, &["info", "--output=json"]).exits(0, &[]).json();
    let kinds: Vec<&str> =
        info[0]["backup"].as_array().unwrap().iter().map(|backup| backup["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["full", "diff", "incr", "incr", "incr"]);
    peer.run(yard, &["verify", "--output=text"]).exits(0, &[]);
    restores(yard, binaries, Some(peer), "theirs2", SUM, &sum);
    restores(yard, binaries, None, "ours2", SUM, &sum);
}

/// The cells of one compression: all of them in an endurance run, else the corners.
fn backups_alternate(test: &str, compression: &str) {
    let cells = if std::env::var_os("PGMAYDAY_ENDURANCE").is_some() { all() } else { corners() };
    let mut cells = cells.into_iter().filter(|cell| cell.compression == compression).peekable();
    if cells.peek().is_none() {
        return;
    }
    let Some(binaries) = installed(test) else { return };
    for cell in cells {
        let peer = if cell.block { Peer::with_blocks() } else { Some(Peer::installed()) };
        let Some(peer) = peer else {
            eprintln!("left out {cell:?}: no pgBackRest that stores blocks is to be had here");
            continue;
        };
        eprintln!("{cell:?}");
        let yard = Yard::new(&binaries, &[cell.cipher]);
        let more = format!(
            "compress-type={}\nprocess-max=2\nrepo1-retention-full=9\n[global:backup]\narchive-timeout=120\n\
             repo1-bundle={}\n{}",
            cell.compression,
            if cell.bundle { "y" } else { "n" },
            if cell.block { "repo1-block=y\n" } else { "" }
        );
        yard.configure(&[cell.cipher], "pg", &more);
        yard.settings("pg", &archive_command(&yard), "");
        yard.start("pg");
        alternates(&yard, &binaries, &peer);
    }
}

#[test]
fn backups_alternate_uncompressed() {
    backups_alternate("backups_alternate_uncompressed", "none");
}

#[test]
fn backups_alternate_with_gzip() {
    backups_alternate("backups_alternate_with_gzip", "gz");
}

#[test]
fn backups_alternate_with_lz4() {
    backups_alternate("backups_alternate_with_lz4", "lz4");
}

#[test]
fn backups_alternate_with_zstandard() {
    backups_alternate("backups_alternate_with_zstandard", "zst");
}

#[test]
fn backups_alternate_with_bzip2() {
    backups_alternate("backups_alternate_with_bzip2", "bz2");
}

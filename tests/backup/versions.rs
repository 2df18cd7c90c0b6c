//! Full and incremental backups of every PostgreSQL version that is to be had here.

use crate::peer::{Peer, restores};
use crate::tools::{backup, ready};
use crate::workload::{SUM, change, fill};
use crate::yard::installed;
use pgmayday::cluster::binaries::{Binaries, Search};
use pgmayday::cluster::owner::{Users, is_root, run_as};
use std::path::{Path, PathBuf};

/// The programs of a version. Where the fetching script noted that it cannot be had, that excuses.
fn version(major: &str, test: &str) -> Option<Binaries> {
    installed(test)?;
    let places = [
        std::env::var_os("PGMAYDAY_TEST_PG").map(PathBuf::from),
        Some(Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("pg")),
        Some(PathBuf::from("/var/tmp/pgmayday-tests/pg")),
    ];
    let users = Users::new();
    let owner =
        if is_root() { users.account("postgres")? } else { pgmayday::cluster::owner::current(&users) };
    let runs = |bin: &PathBuf| {
        let asked =
            run_as(&owner, &bin.join("postgres")).map(|mut postgres| postgres.arg("--version").output());
        asked.is_ok_and(|output| output.is_ok_and(|output| output.status.success()))
    };
    let fetched = places.iter().flatten().map(|place| place.join(major).join("bin")).find(runs);
    let found = Search::new(fetched.as_ref().map(|bin| bin.as_os_str()), None).find(major.parse().unwrap());
    if let Ok(binaries) = found {
        return Some(binaries);
    }
    let note = places
        .iter()
        .flatten()
        .find_map(|place| std::fs::read_to_string(place.join(format!("{major}.unobtainable"))).ok());
    let required = std::env::var_os("REQUIRE_SERVERS").is_some();
    assert!(
        !required || note.is_some(),
        "{test}: PostgreSQL {major} is required here: run tests/setup-postgres.sh"
    );
    eprintln!(
        "skipped {test}: no PostgreSQL {major}: {}",
        note.as_deref().unwrap_or("run tests/setup-postgres.sh")
    );
    None
}

/// A full and an incremental backup, each restored by this program, and the last by a pgBackRest that knows the version.
fn is_backed_up(major: &str, test: &str) {
    let Some(binaries) = version(major, test) else { return };
    let yard = ready(&binaries, "", "compress-type=zst\nprocess-max=2\n");
    fill(&yard);
    change(&yard, 1);
    let sum = yard.ask(SUM);
    let full = backup(&yard, &["--type=full"]);
    assert_eq!((full["page_errors"].as_array().unwrap().len(), &full["kind"]), (0, &"full".into()));
    restores(&yard, &binaries, None, "full", SUM, &sum);
    change(&yard, 2);
    let sum = yard.ask(SUM);
    let incr = backup(&yard, &["--type=incr"]);
    assert_eq!((&incr["prior"], &incr["kind"]), (&full["label"], &"incr".into()));
    restores(&yard, &binaries, None, "incr", SUM, &sum);
    yard.pgmayday(&["verify"]).exits(0, &[]);
    if let Some(peer) = Peer::with_blocks() {
        restores(&yard, &binaries, Some(&peer), "theirs", SUM, &sum);
    }
}

#[test]
fn postgresql_13_is_backed_up() {
    is_backed_up("13", "postgresql_13_is_backed_up");
}

#[test]
fn postgresql_14_is_backed_up() {
    is_backed_up("14", "postgresql_14_is_backed_up");
}

#[test]
fn postgresql_16_is_backed_up() {
    is_backed_up("16", "postgresql_16_is_backed_up");
}

#[test]
fn postgresql_17_is_backed_up() {
    is_backed_up("17", "postgresql_17_is_backed_up");
}

#[test]
fn postgresql_18_is_backed_up() {
    is_backed_up("18", "postgresql_18_is_backed_up");
}

//! Named snapshots: listed, kept whatever the retention says, and come back to exactly.

use crate::peer::{ask_copy, restore};
use crate::tools::{backup, listed, ready};
use crate::workload::{SUM, Writer, change, fill};
use crate::yard::installed;

#[test]
fn a_snapshot_outlives_the_retention_and_is_exact() {
    let Some(binaries) = installed("a_snapshot_outlives_the_retention_and_is_exact") else { return };
    let yard = ready(&binaries, "", "compress-type=lz4\nrepo1-retention-full=1\nprocess-max=2\n");
    fill(&yard);
    let noise = Writer::start(&yard);
    change(&yard, 1);
    yard.pgmayday(&["snapshot"]).exits(0, &["no snapshots"]);
    let sum = yard.ask(SUM);
    let made = yard.pgmayday(&["snapshot", "pre-migration-4711", "--output=json"]).exits(0, &[]).json();
    let made = &made["snapshots"][0];
    assert_eq!(made["name"], "pre-migration-4711");
    // The very next commit is not in it.
    change(&yard, 2);
    let after = yard.ask(SUM);
    assert_ne!(sum, after);
    yard.pgmayday(&["snapshot", "pre-migration-4711"])
        .exits(2, &["there is a snapshot 'pre-migration-4711' already"]);
    for round in 3..5 {
        backup(&yard, &["--type=full"]);
        change(&yard, round);
    }
    drop(noise);
    let label = made["label"].as_str().unwrap();
    let all = listed(&yard);
    assert_eq!(
        (all.len(), all[0].as_str()),
        (2, label),
        "the retention kept one full backup, and the snapshot"
    );
    let list = yard.pgmayday(&["snapshot", "--output=json"]).exits(0, &[]).json();
    assert_eq!(&list["snapshots"][0], made);
    yard.pgmayday(&["verify"]).exits(0, &[]);

    // What is wanted after it is gone: its WAL ends with the restore point's segment.
    yard.stop("pg");
    let to_it = ["--type=name", "--target=pre-migration-4711", "--target-action=promote"];
    restore(&yard, None, "copy", &to_it);
    assert_eq!(ask_copy(&yard, &binaries, "copy", SUM), sum);
    yard.start("pg");
    yard.pgmayday(&["expire", &format!("--set={label}")]).exits(3, &["pinned"]);
    yard.pgmayday(&["expire", &format!("--set={label}"), "--accept=pinned"]).exits(0, &[]);
    assert_eq!(listed(&yard).len(), 1);
}

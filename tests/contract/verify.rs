//! `verify` while real pgBackRest works on the repository, and on what its less usual options leave there.

use crate::common::servers::{self, Primary, STANZA};
use crate::common::{Case, Run, stand_in};
use std::sync::atomic::{AtomicBool, Ordering};

fn verify(case: &Case, options: &[&str]) -> Run {
    Run::of(case.command("verify").args(options))
}

#[test]
fn a_repository_at_work_is_never_called_damaged() {
    if stand_in() {
        return;
    }
    let test = "verify::at_work";
    let Some(bin) = servers::postgres("15", test) else { return };
    let Some(_) = servers::pgbackrest(test) else { return };
    let primary = Primary::make(&bin, "repo1-retention-full=1\nrepo1-bundle=y\ncompress-type=zst\n");
    primary.server().ask_script(
        "create table big as select i, repeat(md5(i::text), 20) as t from generate_series(1, 40000) i;",
    );
    primary.pgbackrest("backup", &["--type=full"]);
    let case = Case::on(&primary.repo(), STANZA, &primary.template("repo1-bundle=y\n"));
    let done = AtomicBool::new(false);
    let (mut runs, mut seen_unfinished) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Full backups expire their predecessors; WAL is pushed all the while.
            for kind in ["incr", "full", "diff", "full", "incr", "full"] {
                primary
                    .server()
                    .ask_script("update big set i = i + 1 where i % 7 = 0; select pg_switch_wal();");
                primary.pgbackrest("backup", &[&format!("--type={kind}")]);
            }
            done.store(true, Ordering::Release);
        });
        while !done.load(Ordering::Acquire) {
            let run = verify(&case, &["--output=text", "--verbose", "--process-max=2"]).ok();
            seen_unfinished += usize::from(run.out.contains("status: in-progress"));
            runs += 1;
        }
    });
    eprintln!("{runs} runs while backups were made, {seen_unfinished} of them saw one");
    assert!(runs >= 3 && seen_unfinished > 0, "{runs} runs, {seen_unfinished} saw a running backup");
    // Without a record the segment after a backup is not switched.
    primary.server().ask_script("create table small as select 1 as i;");
    primary.archive_all();
    let run = verify(&case, &["--output=text", "--verbose"]).ok().says(&["status: valid"]);
    assert!(!run.out.contains("damage:") && !run.out.contains("warning:"), "{run}");
}

#[test]
fn hard_links_and_copied_wal_are_what_they_are() {
    if stand_in() {
        return;
    }
    let test = "verify::links";
    let Some(bin) = servers::postgres("15", test) else { return };
    let Some(_) = servers::pgbackrest(test) else { return };
    let mut primary = Primary::make(&bin, "repo1-hardlink=y\n");
    primary.pgbackrest("backup", &["--type=full"]);
    primary.server().ask_script("create table t as select 1 as a; select pg_switch_wal();");
    primary.pgbackrest("backup", &["--type=incr", "--archive-copy"]);
    primary.archive_all();
    primary.destroy();
    let case = Case::on(&primary.repo(), STANZA, &primary.template(""));
    let result = verify(&case, &["--output=json"]).ok().json()["repos"][0]["result"].clone();
    assert_eq!(result["findings"]["list"].as_array().unwrap().len(), 0, "{result}");
    let backups = result["backups"].as_array().unwrap();
    assert_eq!(backups.len(), 2);
    for backup in backups {
        assert_eq!(
            (&backup["status"], backup["findings"]["list"].as_array().unwrap().len()),
            (&"valid".into(), 0)
        );
    }
    // The second has its WAL inside: it is usable without the archive, though the archive has a hole.
    let wal = backups[1]["wal"]["start"].as_str().unwrap().to_owned();
    let segment = case.segment(&wal);
    let aside = case.path("aside");
    std::fs::rename(&segment, &aside).unwrap();
    let run = verify(&case, &["--output=json"]).refused(&[4]);
    let result = run.json()["repos"][0]["result"].clone();
    assert_eq!(result["backups"][1]["status"], "valid", "{run}");
    assert!(run.out.contains(&wal), "{run}");
    std::fs::rename(&aside, &segment).unwrap();
    // The first has not.
    let wal = backups[0]["wal"]["start"].as_str().unwrap().to_owned();
    std::fs::rename(case.segment(&wal), &aside).unwrap();
    let run = verify(&case, &["--output=json"]).refused(&[4]);
    assert_eq!(run.json()["repos"][0]["result"]["backups"][0]["status"], "wal_missing", "{run}");
}

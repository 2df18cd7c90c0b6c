//! The commands from outside: output, exit codes, guards, locks, and several repositories.

use crate::made::{self, Made, STANZA, Wanted, segment};
use pgmayday::base::{BackupLabel, Timestamp};
use pgmayday::engine::hold::{self, Hold};
use pgmayday::engine::locks::{LockFolder, StopFile, Work};
use pgmayday::engine::pin::PIN;
use pgmayday::store::StorePath;
use pgmayday::store::posix::Posix;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;

/// Repositories 1 and 2 with three full backups each, and their configuration.
struct Place {
    home: tempfile::TempDir,
    made: Vec<Made>,
    labels: Vec<BackupLabel>,
}

impl Place {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let begin_s = Timestamp::now().unix_s() - 10 * 86_400;
        let mut labels = Vec::new();
        let made = [1, 2].map(|repo| {
            let root = home.path().join(format!("repo{repo}"));
            let mut made = Made::new(Arc::new(Posix::new(root, &format!("repo{repo}"))));
            labels.clear();
            for day in 0..3u32 {
                let (start, stop) = (segment(1, day * 3 + 2), segment(1, day * 3 + 3));
                (1..=3).for_each(|more| made.wal(1, segment(1, day * 3 + more)));
                let start_s = begin_s + i64::from(day) * 86_400;
                labels.push(made.backup(&Wanted { start_s, wal: Some((start, stop)), ..Wanted::default() }));
            }
            made.save();
            made
        });
        let path = |name: &str| home.path().join(name).display().to_string();
        let text = format!(
            "[global]\nrepo1-path={}\nrepo2-path={}\nrepo1-retention-full=2\nrepo2-retention-full=1\nlock-path={}\n[{STANZA}]\npg1-path={}\n",
            path("repo1"),
            path("repo2"),
            path("lock"),
            path("pg")
        );
        fs::write(home.path().join("p.conf"), text).unwrap();
        Self { made: made.into(), labels, home }
    }

    fn locks(&self) -> LockFolder {
        LockFolder(self.home.path().join("lock"))
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_pgmayday"))
            .env_clear()
            .arg(format!("--config={}", self.home.path().join("p.conf").display()))
            .arg(format!("--stanza={STANZA}"))
            .args(arguments)
            .output()
            .unwrap()
    }

    fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let output = self.run(&[arguments, &["--output=json"]].concat());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (
            output.status.code().unwrap(),
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}{errors}")),
        )
    }

    fn listed(&self, repo: usize) -> Vec<BackupLabel> {
        self.made[repo - 1].stanza.backup_info().unwrap().value.backups.into_keys().collect()
    }

    fn files(&self) -> Vec<BTreeMap<String, Vec<u8>>> {
        self.made
            .iter()
            .map(|made| made::files(&**made.stanza.repository().storage(), &StorePath::ROOT))
            .collect()
    }

    fn repo_path(&self, repo: usize) -> PathBuf {
        self.home.path().join(format!("repo{repo}"))
    }

    /// Refused with this exit code and these words, and nothing was changed.
    #[track_caller]
    fn refused(&self, arguments: &[&str], code: i32, words: &[&str]) {
        let before = self.files();
        let output = self.run(arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
        assert!(before == self.files(), "refused, yet it wrote: {text}");
    }
}

#[test]
fn every_repository_by_its_own_retention() {
    let place = Place::new();
    let before = place.files();
    let (code, plan) = place.json(&["expire", "--dry-run"]);
    assert_eq!(
        (code, plan["schema"].as_str(), plan["dry_run"].as_bool()),
        (0, Some("pgmayday.expire-plan/1"), Some(true))
    );
    assert!(before == place.files(), "a dry run changed something");
    assert!(!place.home.path().join("lock").exists(), "a dry run locks nobody out");
    let text = String::from_utf8(place.run(&["expire", "--dry-run"]).stdout).unwrap();
    assert!(text.contains(place.labels[0].as_str()) && text.contains("dry run"), "{text}");
    let (code, done) = place.json(&["expire"]);
    assert_eq!((code, done["schema"].as_str()), (0, Some("pgmayday.expire/1")));
    let expired = |document: &Value, repo: usize| {
        document["repos"][repo]["expire"]["expired"].as_array().unwrap().len()
    };
    for document in [&plan, &done] {
        assert_eq!((expired(document, 0), expired(document, 1)), (1, 2), "{document}");
    }
    assert_eq!(done["repos"][1]["expire"]["archive"][0]["removed"][0]["files"], 7, "{done}");
    assert_eq!((place.listed(1), place.listed(2)), (place.labels[1..].to_vec(), place.labels[2..].to_vec()));
    let quiet = place.run(&["expire"]);
    assert!(quiet.status.success() && String::from_utf8_lossy(&quiet.stdout).contains("nothing"));
}

#[test]
fn one_repository_if_one_is_asked_for() {
    let place = Place::new();
    let (code, done) = place.json(&["expire", "--repo=2", "--repo2-retention-full=2"]);
    assert_eq!((code, done["repos"].as_array().unwrap().len()), (0, 1));
    assert_eq!((place.listed(1).len(), place.listed(2).len()), (3, 2));
}

#[test]
fn one_that_fails_does_not_stop_the_others() {
    let place = Place::new();
    for name in ["backup.info", "backup.info.copy"] {
        fs::write(place.repo_path(1).join(format!("backup/{STANZA}/{name}")), "[backrest]\n").unwrap();
    }
    let output = place.run(&["expire"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("1 of 2") && text.contains("repo1"), "{text}");
    assert_eq!(place.listed(2).len(), 1);
    let (code, document) = place.json(&["expire"]);
    assert_eq!((code, document["repos"][0]["error"]["kind"].as_str()), (1, Some("damaged")));
    // Alone, it fails as what it is.
    assert_eq!(place.run(&["expire", "--repo=1"]).status.code(), Some(4));
}

#[test]
fn an_incident_holds_everything() {
    let place = Place::new();
    let now = Timestamp::now();
    let hold = |until_s: i64| Hold {
        incident: "2026-11-21-01".to_owned(),
        since: now,
        until: Timestamp::from_unix_s(now.unix_s() + until_s),
        by: "anna".to_owned(),
    };
    hold::place(&place.locks(), STANZA, &hold(600), now).unwrap();
    place.refused(&["expire"], 3, &["incident-hold", "2026-11-21-01", "anna"]);
    let first = format!("--set={}", place.labels[0]);
    place.refused(&["expire", &first], 3, &["incident-hold"]);
    let shown = place.run(&["expire", "--dry-run"]);
    assert!(shown.status.success() && String::from_utf8_lossy(&shown.stderr).contains("2026-11-21-01"));
    assert_eq!(place.run(&["expire", "--repo=1", "--accept=incident-hold"]).status.code(), Some(0));
    assert_eq!((place.listed(1).len(), place.listed(2).len()), (2, 3));
    // A hold that nobody lifted ends, loudly.
    hold::place(&place.locks(), STANZA, &hold(-1), now).unwrap();
    let output = place.run(&["expire"]);
    assert!(output.status.success() && String::from_utf8_lossy(&output.stderr).contains("ALARM"));
    assert_eq!(place.listed(2).len(), 1);
}

#[test]
fn nobody_works_beside_another_or_on_a_stopped_stanza() {
    let place = Place::new();
    let annotate = format!("--set={}", place.labels[0]);
    let commands: [&[&str]; 2] = [&["expire"], &["annotate", &annotate, "--annotation=a=b"]];
    for repo in [1, 2] {
        let _held = place.locks().take(STANZA, &[Work::Backup], &[repo]).unwrap();
        for command in commands {
            place.refused(command, 1, &["another backup", "process"]);
        }
    }
    StopFile::of(&place.locks(), Some(STANZA)).create().unwrap();
    for command in commands {
        place.refused(command, 1, &["stopped"]);
    }
}

#[test]
fn requests_that_cannot_be_meant_are_refused() {
    let place = Place::new();
    place.refused(&["expire", "--set=yesterday"], 2, &["backup label"]);
    place.refused(&["expire", "--set=20260101-000000F", "--oldest"], 2, &["--oldest"]);
    place.refused(&["expire", "--archive-expire-before=00000001"], 2, &["segment"]);
    place.refused(&["annotate", "--set=20200101-000000F", "--annotation=a=b"], 1, &["20200101-000000F"]);
    let unknown = place.run(&["expire", "--set=20200101-000000F"]);
    assert!(
        unknown.status.success()
            && String::from_utf8_lossy(&unknown.stderr).contains("no backup 20200101-000000F")
    );
}

#[test]
fn a_pin_is_refused_by_its_guard_in_text_and_json() {
    let place = Place::new();
    let (first, pin) = (format!("--set={}", place.labels[0]), format!("--annotation={PIN}=pre-deploy-3"));
    assert!(place.run(&["annotate", &first, &pin]).status.success());
    place.refused(&["expire", &first], 3, &["guard: pinned", "pre-deploy-3", "annotate"]);
    let (code, document) = place.json(&["expire", &first]);
    assert_eq!((code, document["repos"][1]["error"]["guard"].as_str()), (3, Some("pinned")));
    // By retention it stays, with the others that are kept.
    assert!(place.run(&["expire"]).status.success());
    assert_eq!((place.listed(1).len(), place.listed(2).len()), (3, 2));
    assert!(place.run(&["annotate", &first, &format!("--annotation={PIN}=")]).status.success());
    assert!(place.run(&["expire"]).status.success());
    assert_eq!((place.listed(1).len(), place.listed(2).len()), (2, 1));
}

#[test]
fn each_repository_keeps_its_own_list_when_it_is_annotated() {
    let mut place = Place::new();
    // A backup that only the second repository has.
    let last = place.labels[2].clone();
    let start_s = Timestamp::now().unix_s() - 3600;
    let own = place.made[1].backup(&Wanted {
        start_s,
        wal: Some((segment(1, 9), segment(1, 9))),
        ..Wanted::default()
    });
    place.made[1].save();
    let before = place.files();
    let (code, document) = place.json(&["annotate", &format!("--set={own}"), "--annotation=reason=x"]);
    let found = |repo: usize| document["repos"][repo]["found"].as_bool().unwrap();
    assert_eq!((code, found(0), found(1)), (0, false, true), "{document}");
    assert!(before[0] == place.files()[0], "the first repository was written for the second");
    assert_eq!(place.listed(2).len(), 4);
    let (_, document) =
        place.json(&["annotate", &format!("--set={last}"), "--annotation=k=v", "--annotation=k2=v=2"]);
    for repo in [0, 1] {
        assert_eq!(document["repos"][repo]["annotations"]["k2"], "v=2", "{document}");
        let listed = place.made[repo].stanza.backup_info().unwrap().value.backups[&last].annotations.clone();
        assert_eq!(listed.len(), 2);
    }
    assert_eq!((place.listed(1).len(), place.listed(2).len()), (3, 4));
}

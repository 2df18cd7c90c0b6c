//! Verifying real repositories: sound ones are sound and counted as pgBackRest counts them, and every kind of damage is
//! found, named with its file, and told apart from what only could not be read.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, says its seed, and does what damages repositories"
)]

#[path = "../common/fixtures.rs"]
mod fixtures;

mod clean;
mod command;
mod damage;
mod flips;
mod log;

use fixtures::Fixture;
use pgmayday::base::BackupLabel;
use pgmayday::engine::verify::{
    BackupResult, BackupStatus, Depth, Finding, Level, Request, Verification, verify,
};
use pgmayday::model::op::{Cancel, Silent};
use pgmayday::repo::Repository;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A whole verification with little patience.
fn request() -> Request {
    let patience = Duration::from_millis(5);
    Request { set: None, depth: Depth::Full, process_max: 2, busy: false, patience }
}

fn look_at(repository: &Repository, stanza: &str, request: &Request) -> Verification {
    verify(&repository.stanza(stanza), request, &Silent, &Cancel::default())
        .unwrap_or_else(|report| panic!("{report}"))
}

/// Verifies the repository of a fixture as it is now.
fn look(fixture: &Fixture) -> Verification {
    look_at(&fixture.repository(), &fixture.stanza, &request())
}

/// Everything found, worse than a note.
fn findings(verification: &Verification) -> Vec<&Finding> {
    let all = verification.all_findings().flat_map(|findings| &findings.list);
    all.filter(|finding| finding.level > Level::Note).collect()
}

/// One line per finding, for messages.
fn shown(verification: &Verification) -> String {
    let all = verification.all_findings().flat_map(|findings| &findings.list);
    let lines = all.map(|f| format!("{:?} {} {:?}: {}", f.level, f.path, f.file, f.why));
    lines.collect::<Vec<_>>().join("\n")
}

/// There must be a finding of this level about an object whose path ends so, with this in its reason.
#[track_caller]
fn assert_found(verification: &Verification, level: Level, path: &str, why: &str) {
    let hit = |f: &&Finding| f.level == level && f.path.ends_with(path) && f.why.contains(why);
    let all: Vec<&Finding> = verification.all_findings().flat_map(|findings| &findings.list).collect();
    assert!(
        all.into_iter().any(|finding| hit(&finding)),
        "no {level:?} '{path}' with '{why}':\n{}",
        shown(verification)
    );
}

/// Nothing worse than a note.
#[track_caller]
fn assert_sound(verification: &Verification) {
    assert!(
        verification.worst().is_none_or(|level| level == Level::Note),
        "not sound:\n{}",
        shown(verification)
    );
}

fn status(verification: &Verification, label: &str) -> BackupStatus {
    backup(verification, label).status
}

fn backup<'a>(verification: &'a Verification, label: &str) -> &'a BackupResult {
    verification.backups.iter().find(|backup| backup.label.as_str() == label).unwrap()
}

/// The labels of a fixture's backups, oldest first.
fn labels(fixture: &Fixture) -> Vec<BackupLabel> {
    let info = fixture.repository().stanza(&fixture.stanza).backup_info().unwrap().value;
    info.backups.into_keys().collect()
}

fn backup_path(fixture: &Fixture, below: &str) -> PathBuf {
    fixture.repo().join("backup").join(&fixture.stanza).join(below)
}

fn archive_path(fixture: &Fixture, below: &str) -> PathBuf {
    fixture.repo().join("archive").join(&fixture.stanza).join(below)
}

/// Every file below a folder, with its path relative to it, sorted; links are left out.
fn files_below(root: &Path) -> Vec<(String, PathBuf)> {
    fn walk(root: &Path, folder: &Path, into: &mut Vec<(String, PathBuf)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let kind = fs::symlink_metadata(&path).unwrap().file_type();
            if kind.is_dir() {
                walk(root, &path, into);
            } else if kind.is_file() {
                into.push((path.strip_prefix(root).unwrap().to_str().unwrap().to_owned(), path));
            }
        }
    }
    let mut files = Vec::new();
    walk(root, root, &mut files);
    files.sort();
    files
}

/// The segments of the fixture's archive: name of 24 digits, and file.
fn segments(fixture: &Fixture) -> Vec<(String, PathBuf)> {
    let files = files_below(&archive_path(fixture, "")).into_iter();
    let named = files.filter_map(|(name, path)| {
        let file = name.rsplit('/').next()?.to_owned();
        (file.len() >= 65 && file.as_bytes()[24] == b'-').then(|| (file[..24].to_owned(), path))
    });
    named.collect()
}

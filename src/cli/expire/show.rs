//! What goes, or went, repository by repository: as text for people and as the body of the JSON document.

use crate::base::{Bytes, Kind, Report};
use crate::engine::expire::{ArchiveView, ExpireView, Reason, RepoRun, Rule, WalRun};
use serde::Serialize;
use std::fmt::Write as _;

/// Everything that is shown.
#[derive(Debug, Serialize)]
pub(super) struct Shown<'a> {
    stanza: &'a str,
    dry_run: bool,
    repos: Vec<ShownRepo<'a>>,
}

#[derive(Debug, Serialize)]
struct ShownRepo<'a> {
    repo: u32,
    #[serde(flatten)]
    outcome: Outcome<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome<'a> {
    Expire(&'a ExpireView),
    Error(Failure<'a>),
}

/// A failure of one repository.
#[derive(Debug, Serialize)]
struct Failure<'a> {
    kind: &'static str,
    guard: Option<&'static str>,
    headline: &'a str,
    hint: Option<&'a str>,
}

impl<'a> Failure<'a> {
    fn of(report: &'a Report) -> Self {
        let guard = if let Kind::Refused(guard) = report.kind { guard } else { None };
        Self { kind: report.kind.name(), guard, headline: &report.headline, hint: report.hint.as_deref() }
    }
}

impl<'a> Shown<'a> {
    pub(super) fn new(stanza: &'a str, dry_run: bool, runs: &'a [RepoRun]) -> Self {
        let repo = |run: &'a RepoRun| ShownRepo {
            repo: run.repo,
            outcome: match &run.outcome {
                Ok(view) => Outcome::Expire(view),
                Err(report) => Outcome::Error(Failure::of(report)),
            },
        };
        Self { stanza, dry_run, repos: runs.iter().map(repo).collect() }
    }
}

/// The text, one paragraph per repository.
pub(super) fn text(shown: &Shown<'_>) -> String {
    let mut out = String::new();
    for repo in &shown.repos {
        let _infallible = writeln!(out, "repo{}", repo.repo);
        match &repo.outcome {
            Outcome::Expire(view) => one(&mut out, view, shown.dry_run),
            Outcome::Error(failure) => line(&mut out, "failed", failure.headline),
        }
    }
    out
}

fn line(out: &mut String, name: &str, text: &str) {
    let _infallible = writeln!(out, "  {name:<10}{text}");
}

fn one(out: &mut String, view: &ExpireView, dry_run: bool) {
    for reason in &view.expired {
        line(out, "expire", &format!("{} ({})", reason.label, why(reason)));
    }
    for label in &view.leftovers {
        line(out, "remove", &format!("{label} (left over, no backup)"));
    }
    if view.freed_bytes > 0 {
        line(out, "frees", &format!("{} of backups", Bytes(view.freed_bytes)));
    }
    for kept in &view.kept_by_pin {
        let why = if kept.label == kept.pin {
            "pinned".to_owned()
        } else {
            format!("{} is pinned and needs it", kept.pin)
        };
        line(out, "keep", &format!("{} ({why})", kept.label));
    }
    if let Some(label) = &view.latest {
        line(out, "latest", &format!("points to {label}"));
    }
    for archive in &view.archive {
        archive_lines(out, archive);
    }
    if let Some(why) = &view.archive_kept {
        line(out, "archive", why);
    }
    for year in &view.manifest_years {
        line(out, "manifests", &format!("all of {year}"));
    }
    if !view.manifests.is_empty() {
        line(out, "manifests", &format!("{} of expired backups", view.manifests.len()));
    }
    if view.is_empty() {
        line(out, "nothing", "is to be removed");
    } else if dry_run {
        line(out, "dry run", "nothing was changed");
    }
}

fn why(reason: &Reason) -> String {
    let why = match reason.rule {
        Rule::Full => "beyond the full backups that are kept",
        Rule::Days => "older than the days that are kept",
        Rule::Diff => "beyond the differential backups that are kept",
        Rule::Set => "named by --set",
        Rule::Oldest => "the oldest",
    };
    if reason.label == reason.with { why.to_owned() } else { format!("needs {}: {why}", reason.with) }
}

fn archive_lines(out: &mut String, archive: &ArchiveView) {
    let mut say = |text: String| line(out, "archive", &format!("{}: {text}", archive.id));
    if archive.whole {
        say("all of it: no backup of that cluster is left".to_owned());
    }
    for run in &archive.removed {
        say(run_text(run));
    }
    if !archive.histories.is_empty() {
        say(archive.histories.join(", "));
    }
    if !archive.whole && archive.removed.is_empty() && archive.histories.is_empty() {
        say("no WAL to remove".to_owned());
    }
}

fn run_text(run: &WalRun) -> String {
    let mut parts = Vec::new();
    if run.folders > 0 {
        parts.push(format!("{} folder{}", run.folders, if run.folders == 1 { "" } else { "s" }));
    }
    if run.files > 0 {
        parts.push(format!("{} file{}", run.files, if run.files == 1 { "" } else { "s" }));
    }
    format!("{} from {} to {}", parts.join(" and "), run.from, run.through)
}

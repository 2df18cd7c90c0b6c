//! Expiring in every repository of a stanza: guards, locks, and one failing repository not stopping the others.

use super::view::ExpireView;
use super::{Request, Retention, execute, plan};
use crate::base::{Kind, Report, Result, Timestamp};
use crate::config::Settings;
use crate::engine::hold;
use crate::engine::locks::{LockFolder, Work};
use crate::engine::repositories::{Repositories, failure_in};
use crate::model::op::{Cancel, Event, Sink};

/// What is to be done, for which stanza.
#[derive(Debug)]
pub struct Job<'a> {
    /// What holds for `expire`.
    pub settings: &'a Settings,
    /// The stanza.
    pub stanza: &'a str,
    /// Where locks, stop files and holds are.
    pub locks: &'a LockFolder,
    /// What is asked for.
    pub request: Request,
    /// The moment from which days count back.
    pub now: Timestamp,
    /// The caller holds the locks of these repositories, as a backup does that expires when it is done.
    pub locked: bool,
}

/// What came out in one repository.
#[derive(Debug)]
pub struct RepoRun {
    /// The repository's number.
    pub repo: u32,
    /// What was done, or why not.
    pub outcome: Result<ExpireView>,
}

/// Does it in every repository that was opened. Fails as a whole, before anything is removed, where a hold stands, the
/// stanza is stopped, or somebody else works on it.
pub fn run(job: &Job<'_>, opened: Repositories, sink: &dyn Sink, cancel: &Cancel) -> Result<Vec<RepoRun>> {
    let warn = |text: String| sink.event(Event::Warning { text });
    let Job { stanza, locks, request, .. } = job;
    opened.warnings.into_iter().for_each(warn);
    if opened.slots.is_empty() {
        return Err(Report::usage("no repository is configured").hint("set repo1-path in the configuration"));
    }
    let held = hold::refuse_while_held(locks, stanza, job.now);
    match held {
        Ok(alarm) => alarm.into_iter().for_each(warn),
        Err(report) if request.dry_run => warn(report.headline),
        Err(report) if request.accepts(hold::GUARD) => {
            warn(format!("{} (accepted: {})", report.headline, hold::GUARD));
        }
        Err(report) => return Err(report),
    }
    let keys: Vec<u32> = opened.slots.iter().map(|slot| slot.key).collect();
    let _held = if request.dry_run || job.locked {
        None
    } else {
        locks.refuse_if_stopped(stanza)?;
        Some(locks.take(stanza, &[Work::Backup], &keys)?)
    };
    let mut runs = Vec::new();
    let mut set_found = request.set.is_none();
    for slot in opened.slots {
        let retention = Retention::of(job.settings, slot.key);
        retention.warnings(slot.key).into_iter().for_each(warn);
        let one = || {
            let plan = plan(&slot.repository?.stanza(stanza), &retention, request, job.now)?;
            set_found |= plan.set_found();
            if request.dry_run { Ok(plan.view()) } else { execute(&plan, sink, cancel) }
        };
        let outcome = one();
        for warning in outcome.iter().flat_map(|view| &view.warnings) {
            warn(format!("repo{}: {warning}", slot.key));
        }
        let cancelled = outcome.as_ref().is_err_and(|report| report.kind == Kind::Cancelled);
        runs.push(RepoRun { repo: slot.key, outcome });
        if cancelled {
            break;
        }
    }
    if let Some(set) = request.set.as_ref().filter(|_| !set_found) {
        warn(format!("there is no backup {set} in any of these repositories; `info` lists what there is"));
    }
    Ok(runs)
}

/// The failure of the whole, if any repository failed.
pub fn failure(runs: &[RepoRun]) -> Option<Report> {
    let outcomes: Vec<_> = runs.iter().map(|run| (run.repo, run.outcome.as_ref().err())).collect();
    failure_in("expire", &outcomes)
}

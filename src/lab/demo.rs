//! The demonstration: a real cluster, an UPDATE nobody wanted, the recovery to just before it, checked to the row.
//!
//! It knows what an operator would: from when on the application's check was wrong. The truth is used to judge the
//! result, never to find the target.

use super::disaster::{self, Disaster, Happened};
use super::layout::Lab;
use super::monitor;
use super::rehearsal::{LabService, source, spec, verify_live};
use super::truth::Truth;
use super::verify::Verdict;
use super::{LabError, up};
use crate::base::{TargetTime, Timeline, Timestamp};
use crate::cluster::control::ControlFile;
use crate::model::op::{Cancel, Event, Sink};
use crate::model::target;
use crate::recovery::in_place::{Phase, Recovered, Target, recover};
use serde::Serialize;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Load before and after the damage.
const LOAD: Duration = Duration::from_secs(4);
/// How many moments before the damage are tried.
const TRIES: usize = 5;

/// What a demonstration proves.
#[derive(Debug, Clone, Serialize)]
pub struct Evidence {
    /// True if every row was right, before and after promotion.
    pub right: bool,
    /// When the monitor first saw a wrong check.
    pub detected_at: String,
    /// The moment recovered to: the last at which the check was right.
    pub target: String,
    /// How many moments were tried.
    pub targets_tried: usize,
    /// From detection to the application's first commit, milliseconds.
    pub rto_ms: u64,
    /// Every phase in order.
    pub phases: Vec<Phase>,
    /// What really happened, which the recovery did not know.
    pub truth: Happened,
    /// Commits before the damage that the recovery gave up, since they came after the target.
    pub good_commits_lost: u64,
    /// Commits from the damage on that the recovery took back.
    pub later_commits_lost: u64,
    /// Time between the target and the damage, milliseconds.
    pub target_before_damage_ms: i64,
    /// The comparison at the target, before promotion.
    pub at_target: Verdict,
    /// The comparison after service was back.
    pub after_service: Verdict,
    /// The timeline the cluster is on now.
    pub timeline: u32,
    /// Where the old data directory is.
    pub quarantine: PathBuf,
    /// Standbys that must be rebuilt.
    pub standbys_to_rebuild: Vec<PathBuf>,
}

/// A disaster that happened and was noticed.
#[derive(Debug, Clone, Serialize)]
pub struct Struck {
    /// What really happened.
    pub truth: Happened,
    /// When the monitor first saw the check wrong.
    pub detected_at: Timestamp,
    /// Why it was wrong.
    pub why: String,
}

/// Lets the disaster happen under load and waits until the monitor has noticed.
///
/// Only for disasters that leave the server alive and that the application's check notices.
pub fn strike(lab: &Lab, disaster: Disaster, sink: &dyn Sink) -> Result<Struck, LabError> {
    wait_load(sink, "load");
    disaster::inject(lab, disaster)?;
    let truth =
        disaster::happened(lab)?.pop().ok_or_else(|| LabError::Wrong("nothing was injected".to_owned()))?;
    let detected_at = up::step(sink, "monitor notices", || wait_noticed(lab, Timestamp(truth.at_us)))?;
    let why = monitor::report(&lab.monitor_file(), Timestamp::now())?.why;
    Ok(Struck { truth, detected_at, why })
}

/// Lets the disaster happen in a running lab and recovers from it.
pub fn rehearse(lab: &Lab, disaster: Disaster, sink: &dyn Sink) -> Result<Evidence, LabError> {
    let Struck { truth, detected_at: detected, .. } = strike(lab, disaster, sink)?;
    wait_load(sink, "load goes on");
    let clock = Instant::now();
    let targets = up::step(sink, "decide target", || targets(lab, detected))?;
    let decided_ms = ms(clock.elapsed());
    let before = Truth::load(&lab.truth_file())?;
    let (recovered, at_target) = recovery(lab, &targets, sink)?;
    let after_service = up::step(sink, "verify in service", || verify_live(lab))?;
    Ok(evidence(detected, decided_ms, truth, &before, recovered, at_target, after_service))
}

/// The recovery itself, and what was compared at its target.
fn recovery(lab: &Lab, targets: &[Target], sink: &dyn Sink) -> Result<(Recovered, Verdict), LabError> {
    let operation = format!("{}-recover", compact(Timestamp::now()));
    let service = LabService::new(lab);
    let recovered =
        recover(&spec(lab, &operation)?, targets, &source(lab)?, &service, sink, &Cancel::default())?;
    let verdict = service.verdict().ok_or_else(|| LabError::Wrong("nothing was compared".to_owned()))?;
    Ok((recovered, verdict))
}

fn wait_load(sink: &dyn Sink, step: &str) {
    let step = step.to_owned();
    sink.event(Event::StepStarted { step: step.clone() });
    std::thread::sleep(LOAD);
    sink.event(Event::StepDone { step, took_ms: ms(LOAD), detail: String::new() });
}

fn evidence(
    detected: Timestamp,
    decided_ms: u64,
    truth: Happened,
    before: &Truth,
    recovered: Recovered,
    at_target: Verdict,
    after_service: Verdict,
) -> Evidence {
    let mut phases = vec![Phase { name: "decide target", took_ms: decided_ms, detail: String::new() }];
    phases.extend(recovered.phases);
    let until_service = phases.iter().position(|phase| phase.name == "first write").map_or(0, |at| at + 1);
    let damage = Timestamp(truth.at_us);
    let target = match &recovered.target.at {
        target::Target::Time(time) => time.at,
        _ => damage,
    };
    let kept = before.rows_at(target);
    let good = before.rows_at(damage).saturating_sub(kept);
    Evidence {
        right: at_target.right() && after_service.right(),
        detected_at: detected.to_string(),
        target: recovered.target.at.to_string(),
        targets_tried: recovered.tries,
        rto_ms: phases[..until_service].iter().map(|phase| phase.took_ms).sum(),
        phases,
        good_commits_lost: good,
        later_commits_lost: before.last().saturating_sub(kept + good),
        target_before_damage_ms: (damage.0 - target.0) / 1000,
        truth,
        at_target,
        after_service,
        timeline: recovered.timeline.0,
        quarantine: recovered.quarantine,
        standbys_to_rebuild: recovered.to_rebuild,
    }
}

/// Waits until the monitor's check was wrong after `since`; the moment it was.
fn wait_noticed(lab: &Lab, since: Timestamp) -> Result<Timestamp, LabError> {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(20) {
        if let Some(at) = monitor::first_wrong(&lab.monitor_file(), since)? {
            return Ok(at);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err(LabError::Timeout { what: "the monitor's noticing".to_owned(), seconds: 20 })
}

/// The moments to try, the best first: the last at which the check was right before it became wrong, then those
/// before it.
///
/// The last one may lie a hair after the damage's commit: a commit is timed before others see it. Then the check
/// on the recovered data says so, and the moment before is taken.
fn targets(lab: &Lab, wrong: Timestamp) -> Result<Vec<Target>, LabError> {
    let control = ControlFile::read(&lab.primary())?;
    let right = monitor::right_before(&lab.monitor_file(), wrong)?;
    if right.is_empty() {
        return Err(LabError::Wrong("the monitor never saw the application right".to_owned()));
    }
    let target = |at: &Timestamp| Target {
        at: target::Target::Time(TargetTime { at: *at, text: at.to_string(), zone_assumed: false }),
        exclusive: false,
        timeline: Timeline(control.timeline.0),
    };
    Ok(right.iter().rev().take(TRIES).map(target).collect())
}

fn compact(at: Timestamp) -> String {
    at.to_utc().format("%Y%m%dT%H%M%SZ").to_string()
}

fn ms(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

/// The narrowest terminal a table must fit.
const COLUMNS: usize = 80;

/// One phase of the table; a long detail goes on below itself.
fn row(name: &str, took_ms: u64, detail: &str) -> Vec<String> {
    let mut lines = vec![format!("  {name:<16}{:>4}.{:03} s ", took_ms / 1000, took_ms % 1000)];
    let indent = lines[0].len();
    for word in detail.split_whitespace() {
        let line = lines.len() - 1;
        if lines[line].len() + 1 + word.len() > COLUMNS && lines[line].len() > indent {
            lines.push(format!("{:indent$} {word}", ""));
        } else {
            lines[line] = format!("{} {word}", lines[line]);
        }
    }
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

impl Evidence {
    /// The evidence for a person.
    pub fn text(&self) -> String {
        let mut lines = vec![String::new(), "  phase              time    what".to_owned()];
        for Phase { name, took_ms, detail } in &self.phases {
            lines.extend(row(name, *took_ms, detail));
            if *name == "first write" {
                lines.push(format!("  {}", "-".repeat(COLUMNS - 2)));
                lines.extend(row("service back", self.rto_ms, "from the decision on (RTO)"));
                lines.push(format!("  {}", "-".repeat(COLUMNS - 2)));
            }
        }
        let verdict = &self.at_target;
        lines.extend([
            String::new(),
            format!("  target     {} ({} tried)", self.target, self.targets_tried),
            format!(
                "  damage     {} ({} ms later; the recovery did not know)",
                Timestamp(self.truth.at_us),
                self.target_before_damage_ms
            ),
            format!("  ledger     {} rows expected, {} found", verdict.rows_expected, verdict.rows_found),
            format!("  sha256     {} expected", verdict.ledger_expected),
            format!("             {} found", verdict.ledger_found),
            format!(
                "  given up   {} commits before the damage, {} after it",
                self.good_commits_lost, self.later_commits_lost
            ),
            format!("  timeline   {}", self.timeline),
            format!("  old data   quarantined in {}", self.quarantine.display()),
        ]);
        for standby in &self.standbys_to_rebuild {
            lines.push(format!("  standby    stays stopped, must be rebuilt: {}", standby.display()));
        }
        let all = verdict.differences.iter().chain(&self.after_service.differences);
        lines.extend(all.map(|difference| format!("  WRONG      {difference}")));
        lines.push(if self.right { "  every row is right" } else { "  NOT right" }.to_owned());
        lines.join("\n")
    }
}

//! `lab demo`: unattended where there is no terminal; on a terminal the damage is handed to a person and the console.
//!
//! The console is opened as on any cluster: this program with the lab's configuration. What came of it is compared
//! with the truth afterwards, to the row.

use super::{Act, EVIDENCE, Steps, Verb, output, own_program};
use crate::base::state::StateDir;
use crate::base::{Report, Result, Timestamp};
use crate::cli::output::Output;
use crate::cluster::control::ControlFile;
use crate::cluster::owner::{self, Account, Users, is_root, run_as};
use crate::incident::{IncidentView, Incidents};
use crate::lab::layout::STANZA;
use crate::lab::rehearsal::verify_live;
use crate::lab::verify::Verdict;
use crate::lab::{Disaster, Lab, process};
use crate::model::op::{Life, Sink, Snapshot};
use crate::recovery::supervisor::Supervisor;
use std::io::{BufRead as _, IsTerminal as _};
use std::path::Path;
use std::process::Stdio;

/// The exit code by which the end of a demonstration says that the lab must stay.
const STAYS: u8 = 10;

/// One demonstration.
pub(super) struct Demo<'a> {
    pub act: &'a Act,
    pub what: Disaster,
    pub keep_up: bool,
    /// Where the evidence of an unattended one is kept.
    pub evidence: Option<&'a Path>,
}

impl Demo<'_> {
    pub(super) fn run(&self) -> Result<u8> {
        let attended = std::io::stdin().is_terminal()
            && std::io::stdout().is_terminal()
            && self.act.output == Output::Text;
        self.say(&format!("a lab is made in {}", self.act.dir.display()));
        let up = self.part(Verb::Up)?;
        if up != 0 {
            return Ok(up);
        }
        if attended { self.attended() } else { self.unattended() }
            .map_err(|report| report.hint(format!("the lab is still up in {}", self.act.dir.display())))
    }

    fn part(&self, verb: Verb) -> Result<u8> {
        Act { verb, quiet: true, ..self.act.clone() }.run()
    }

    fn say(&self, text: &str) {
        Steps(self.act.output).line(text);
    }

    /// Rehearsal and down; the evidence is taken out of the lab before that goes away.
    fn unattended(&self) -> Result<u8> {
        let rehearsed = self.part(Verb::Rehearse(self.what))?;
        if rehearsed != 0 {
            // It stays for whoever wants to know why.
            self.say_how();
            return Ok(rehearsed);
        }
        let kept = self.evidence.map_or(Ok(0), |to| std::fs::copy(self.act.dir.join(EVIDENCE), to));
        let down = self.down()?;
        if let (Err(error), Some(to)) = (kept, self.evidence) {
            return Err(Report::failed(format!("cannot keep the evidence in {}: {error}", to.display())));
        }
        Ok(down)
    }

    /// The damage, the pager, the console; then what came of it.
    fn attended(&self) -> Result<u8> {
        let struck = self.part(Verb::Strike(self.what))?;
        if struck != 0 {
            self.say_how();
            return Ok(struck);
        }
        let mut line = String::new();
        std::io::stdin()
            .lock()
            .read_line(&mut line)
            .map_err(|error| Report::failed(format!("cannot read from the terminal: {error}")))?;
        self.console()?;
        match self.part(Verb::Conclude)? {
            STAYS => {
                self.say_how();
                Ok(0)
            }
            0 => self.down(),
            wrong => {
                self.say_how();
                Ok(wrong)
            }
        }
    }

    /// This program on the lab's configuration, as the lab's account, with our terminal.
    fn console(&self) -> Result<()> {
        let dir = &self.act.dir;
        let account = account(dir)?;
        let program = if is_root() { self.act.program_for(&account)? } else { own_program()? };
        let mut command = run_as(&account, &program)?;
        command.arg(format!("--config={}", dir.join("pgbackrest.conf").display()));
        command.arg(format!("--stanza={STANZA}"));
        // What this shell says of another cluster does not hold here.
        for (name, _) in std::env::vars_os() {
            if [&b"PGMAYDAY_"[..], b"PGBACKREST_"]
                .iter()
                .any(|ours| name.as_encoded_bytes().starts_with(ours))
            {
                command.env_remove(name);
            }
        }
        command.stdin(Stdio::inherit()).current_dir(dir);
        let ended =
            command.status().map_err(|error| Report::failed(format!("cannot open the console: {error}")))?;
        if !ended.success() {
            self.say(&format!("the console ended with {ended}"));
        }
        Ok(())
    }

    fn down(&self) -> Result<u8> {
        if self.keep_up {
            self.say_how();
            return Ok(0);
        }
        self.part(Verb::Down)
    }

    /// How to go on in a lab that stays.
    fn say_how(&self) {
        let dir = self.act.dir.display();
        self.say(&format!("the lab is still up in {dir}"));
        let become_owner = if is_root() { "runuser -u postgres -- " } else { "" };
        self.say(&format!("  {become_owner}pgmayday --config={dir}/pgbackrest.conf --stanza={STANZA}"));
        self.say(&format!("  pgmayday lab down --dir={dir}"));
    }
}

fn account(dir: &Path) -> Result<Account> {
    let users = Users::new();
    if is_root() { Ok(owner::owner_of(dir, &users)?) } else { Ok(owner::current(&users)) }
}

/// Lets the disaster happen and tells what a pager would, never what really happened.
pub(super) fn strike(lab: &Lab, what: Disaster, sink: &dyn Sink) -> Result<()> {
    let struck = crate::lab::demo::strike(lab, what, sink)?;
    let at = struck.detected_at.to_utc().format("%H:%M:%S UTC");
    output::text(&format!(
        "
  PAGER {at}  shop: {}

  The check of the application was right a moment ago and is wrong now. The server is
  alive and the application goes on writing on top of the damage.
  In the console:   i  declare the incident, the clock runs
                    t  choose the target: where the check was last right
                    ?  the keys of every screen      q  leave, work goes on
  Only the lab knows what really happened; it judges your recovery to the row.
  Press Enter to open the console.",
        struck.why
    ))
}

/// Tells what came of it; whether the lab must stay.
pub(super) fn conclude(lab: &Lab, sink: &dyn Sink) -> Result<u8> {
    let state = StateDir::at(lab.state_dir());
    let (operations, _) = Supervisor::new(state.clone(), &lab.settings().program).list()?;
    let (incidents, troubles) = Incidents::new(state).list()?;
    let mut lines: Vec<String> = incidents.iter().flat_map(incident_lines).collect();
    lines.extend(troubles);
    let unfinished = |snapshot: &&Snapshot| !matches!(snapshot.life, Life::Ended);
    if let Some(snapshot) = operations.iter().find(unfinished) {
        lines.push(format!("  {} is not finished", snapshot.spec.summary));
        output::text(&lines.join("\n"))?;
        return Ok(STAYS);
    }
    let recovered = ControlFile::read(&lab.primary()).is_ok_and(|control| control.timeline.0 > 1);
    if !recovered || process::postmaster(&lab.primary()).is_none() {
        lines.push("  no recovery was finished: nothing is compared".to_owned());
        output::text(&lines.join("\n"))?;
        return Ok(0);
    }
    let verdict = crate::lab::up::step(sink, "verify in service", || verify_live(lab))?;
    lines.extend(verdict_lines(&verdict));
    output::text(&lines.join("\n"))?;
    if verdict.right() { Ok(0) } else { Err(Report::failed("the recovered rows are not what was committed")) }
}

fn incident_lines(incident: &IncidentView) -> Vec<String> {
    let mut lines = vec![format!("  incident {}: {}", incident.id, incident.reason)];
    let seconds = |ms: u64| format!("{}.{:03} s", ms / 1000, ms % 1000);
    lines.extend(
        incident.phases.iter().map(|phase| format!("    {:<24}{:>12}", phase.name, seconds(phase.took_ms))),
    );
    lines.extend(incident.rto_ms.map(|rto| format!("    {:<24}{:>12}", "service back (RTO)", seconds(rto))));
    let closed = |at: Timestamp| format!("    closed {at}");
    lines.extend(incident.closed_at.map(closed));
    lines
}

fn verdict_lines(verdict: &Verdict) -> Vec<String> {
    let mut lines = vec![
        format!("  ledger   {} rows expected, {} found", verdict.rows_expected, verdict.rows_found),
        format!("  sha256   {} expected", verdict.ledger_expected),
        format!("           {} found", verdict.ledger_found),
    ];
    lines.extend(verdict.differences.iter().map(|difference| format!("  WRONG    {difference}")));
    lines.push(if verdict.right() { "  every row is right" } else { "  NOT right" }.to_owned());
    lines
}

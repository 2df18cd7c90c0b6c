//! `pgmayday check`: does protection work now, for one stanza or for all?

use super::Call;
use super::archive_command::archive_command;
use super::as_owner::step_down;
use super::command::{CommandSpec, Run, nothing_own};
use super::output::{self, Output};
use super::progress::Lines;
use crate::base::{Report, Result};
use crate::engine::check::{self, Checked, Request};
use crate::engine::findings::{Finding, Verdict};
use crate::model::op::Cancel;
use serde::Serialize;

pub(super) const SPEC: CommandSpec = CommandSpec {
    name: "check",
    about: "Check servers, archiving settings and repositories, and send a WAL segment through",
    long_about: "For one stanza or, without --stanza, for all that are configured: asks the servers and compares them \
                 with their data directories, judges the archiving settings, reads the info files of every \
                 repository, then closes the current WAL segment on the primary and waits until it is in every \
                 repository (archive-timeout). On a standby no segment is closed. Everything is looked at, whatever \
                 fails; the exit code is that of the first failure. --no-archive-check looks without sending \
                 anything.",
    options_of: "check",
    reads_configuration: true,
    own: nothing_own,
    run: Run::Coded(run),
    failure_exit: None,
};

#[derive(Serialize)]
struct Document {
    passed: bool,
    stanzas: Vec<Checked>,
}

fn run(call: &Call) -> Result<u8> {
    step_down(call)?;
    let names = match call.settings.stanza() {
        Some(name) => vec![name.to_owned()],
        None => call.config.stanzas(),
    };
    if names.is_empty() {
        return Err(Report::usage("no stanza is configured")
            .hint("write a section [NAME] with pg1-path into pgbackrest.conf"));
    }
    let program = std::env::current_exe()
        .map_err(|error| Report::failed(format!("cannot tell which program this is: {error}")))?;
    let lines = Lines::new(call.console);
    let mut stanzas = Vec::new();
    for stanza in &names {
        let settings = call.config.settings(SPEC.options_of, Some(stanza))?;
        let suggestion = archive_command(call, stanza).ok();
        let request =
            Request { settings: &settings, stanza, program: &program, suggestion: suggestion.as_deref() };
        stanzas.push(check::check(&request, &lines, &Cancel::default())?);
    }
    drop(lines);
    let document = Document { passed: stanzas.iter().all(|one| one.passed), stanzas };
    match call.output {
        Output::Json => output::json("check", &document)?,
        Output::Text => output::text(&document.to_text())?,
    }
    let failure = document.stanzas.iter().find_map(|one| one.checks.first_failure());
    Ok(failure.map_or(0, |(_, kind)| kind.exit_code()))
}

impl Document {
    fn to_text(&self) -> String {
        let blocks: Vec<String> = self.stanzas.iter().map(to_text).collect();
        blocks.join("\n\n")
    }
}

fn to_text(one: &Checked) -> String {
    let width = |of: fn(&Finding) -> usize| one.checks.all.iter().map(of).max().unwrap_or(0);
    let (subjects, names) = (width(|finding| finding.subject.len()), width(|finding| finding.name.len()));
    let failed = one.checks.all.iter().filter(|finding| matches!(finding.verdict, Verdict::Fail(_))).count();
    let verdict = match failed {
        0 => "all checks passed".to_owned(),
        1 => "1 check failed".to_owned(),
        many => format!("{many} checks failed"),
    };
    let mut lines = vec![format!("stanza {}: {verdict}", one.stanza)];
    for finding in &one.checks.all {
        let word = match finding.verdict {
            Verdict::Fail(_) => "FAIL",
            other => other.word(),
        };
        let Finding { subject, name, text, .. } = finding;
        lines.push(format!("  {word:4}  {subject:subjects$}  {name:names$}  {text}"));
        lines.extend(
            finding
                .next
                .iter()
                .map(|next| format!("  {:4}  {:subjects$}  {:names$}  next: {next}", "", "", "")),
        );
    }
    lines.join("\n")
}

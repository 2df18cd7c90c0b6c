//! `pgmayday survey`: everything the questions of an incident are judged by, and the answer each would get.
//!
//! Looks once at everything, each probe within its time. Changes nothing; only with `--write-test` a commit is tried on
//! the primary, which leaves a few bytes of WAL and uses up a transaction id.

use super::board::{symbol, wrapped};
use super::command::{CommandSpec, Run};
use super::output::{self, Level, Output};
use super::{Call, signals, site};
use crate::base::{Bytes, Result, Timestamp};
use crate::config::EVERY_COMMAND;
use crate::model::board::judge::span;
use crate::model::op::Cancel;
use crate::model::question::QUESTIONS;
use crate::model::question::judge::{Proposal, judge};
use crate::model::situation::Situation;
use crate::survey::{Scope, Survey};
use clap::{Arg, ArgAction, Command};
use serde::Serialize;
use std::sync::Mutex;
use std::time::{Duration, Instant};

pub(super) const SPEC: CommandSpec = CommandSpec {
    name: "survey",
    about: "Look closely at every member and say what an incident's questions would be answered with",
    long_about: "Looks once at every server, its data directory and log on this host, Patroni, the repositories and the \
                 application's check, for fifteen seconds at most, and proposes an answer to each question of the runbook with \
                 its reason and what was seen: is the primary alive, what hinders it, is the data damaged, would the old data \
                 directory start, is a standby fit to take over, is the old primary fenced, did Patroni fail over, is a \
                 repository usable, is the damage committed. What did not answer is unknown, never no. Nothing is changed. \
                 --write-test also tries one commit on the primary: it writes a few bytes of WAL, no row, uses up one \
                 transaction id, and is ended if it hangs. --pages reads every page of the data directories on this host \
                 and checks its checksum, which takes as long as reading them; Ctrl-C ends it and keeps what was found.",
    options_of: EVERY_COMMAND,
    reads_configuration: true,
    own,
    run: Run::Plain(run),
    failure_exit: None,
};

const WRITE_TEST: &str = "write-test";
const PAGES: &str = "pages";
/// The longest wait for facts, pages apart.
const LIMIT: Duration = Duration::from_secs(15);
/// Pages take what they take.
const PAGES_LIMIT: Duration = Duration::from_secs(7 * 24 * 3600);
/// How often it is told how far the reading of pages is.
const TELL_EVERY: Duration = Duration::from_secs(5);

#[derive(Serialize)]
struct Document<'a> {
    at: Timestamp,
    situation: &'a Situation,
    questions: &'a [Question],
}

/// A question and what is proposed.
#[derive(Serialize)]
struct Question {
    question: &'static str,
    #[serde(flatten)]
    proposal: Proposal,
}

fn own(command: Command) -> Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    command
        .arg(flag(WRITE_TEST, "try one commit on the primary: a few bytes of WAL, no row"))
        .arg(flag(PAGES, "read every page of the data directories on this host"))
}

fn run(call: &Call) -> Result<()> {
    let site = site::site(call)?;
    // Without a place for operations there are none.
    let state = site::state(call, &site).ok();
    let survey = Survey::new(&call.config, &site, call.settings.stanza(), state.as_ref());
    let scope = Scope {
        incident: true,
        write_test: call.args.get_flag(WRITE_TEST),
        pages: call.args.get_flag(PAGES),
    };
    let cancel = Cancel::default();
    if scope.pages {
        signals::cancel_on_request(&cancel)?;
    }
    let told = Mutex::new(Instant::now());
    let tell = |situation: Situation| {
        let mut told = told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if scope.pages && call.console.tells(Level::Warn) && told.elapsed() > TELL_EVERY {
            *told = Instant::now();
            progress(&situation);
        }
    };
    let limit = if scope.pages { PAGES_LIMIT } else { LIMIT };
    let situation = survey.situation(scope, limit, &tell, &|| !cancel.requested());
    let at = Timestamp::now();
    let proposed = |question: &'static str| {
        judge(question, &situation, at).map(|proposal| Question { question, proposal })
    };
    let questions: Vec<Question> = QUESTIONS.iter().filter_map(|kind| proposed(kind.name)).collect();
    match call.output {
        Output::Json => {
            output::json("survey", &Document { at, situation: &situation, questions: &questions })
        }
        Output::Text => output::text(&text(&situation, &questions, at)),
    }
}

fn progress(situation: &Situation) {
    for (member, facts) in situation.board.members.iter().zip(&situation.members) {
        if let Some(pages) = facts.pages.as_ref().and_then(|fact| fact.value()).filter(|pages| !pages.whole) {
            output::to_stderr(&format!(
                "{}: {} of {} read, {} files with wrong pages",
                member.name,
                Bytes(pages.done_bytes),
                Bytes(pages.total_bytes),
                pages.damaged.len()
            ));
        }
    }
}

fn text(situation: &Situation, questions: &[Question], now: Timestamp) -> String {
    let identity = &situation.board.identity;
    let stanza = identity.stanza.as_deref().unwrap_or("no stanza");
    let mut out = vec![format!("{stanza}, looked at from {} at {now}", identity.host)];
    for Question { question, proposal } in questions {
        out.push(String::new());
        let exit = proposal.exit.unwrap_or("unknown");
        wrapped(&mut out, &format!("{question}: {exit} "), &format!("— {}", proposal.reason));
        for finding in &proposal.findings {
            let age = finding.at.map(|at| now.0 - at.0).filter(|age| *age >= 1_000_000);
            let age = age.map(|age| format!(" ({} ago)", span(age))).unwrap_or_default();
            wrapped(&mut out, &format!("  {} ", symbol(finding.sign)), &format!("{}{age}", finding.text));
        }
    }
    for warning in &situation.board.warnings {
        wrapped(&mut out, "! ", warning);
    }
    out.join("\n")
}

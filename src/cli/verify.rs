//! `pgmayday verify`: whether what a repository holds can still be restored, byte by byte.
//!
//! Text has pgBackRest's layout with a line for every finding. Other than pgBackRest's, the exit code tells: 4 if damage
//! was found, 5 if something could not be looked at. Reads the repository and writes nothing into it; what came out is
//! kept in the state directory.

mod text;

use super::Call;
use super::command::{CommandSpec, Run};
use super::output::{self, Level as Told, Output, to_stderr};
use super::progress::{Lines, on_terminal};
use super::site;
use crate::base::{Kind, Report, Result};
use crate::config::EVERY_COMMAND;
use crate::engine::locks::{LockFolder, Work};
use crate::engine::repositories::Repositories;
use crate::engine::verify::{self, Depth, Level, Request, Verification, record};
use crate::model::op::Cancel;
use clap::{Arg, Command};
use serde::Serialize;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::path::PathBuf;
use std::time::Duration;

pub(super) const SPEC: CommandSpec = CommandSpec {
    name: "verify",
    about: "Verify that backups and WAL can still be restored",
    long_about: "Reads everything a stanza has in every repository (one with --repo, one backup and all it needs with \
                 --set): info files with their copies, every WAL segment, and every file of every backup, decoded and \
                 compared with its checksum; that the WAL each backup needs is there; and where WAL is missing. With \
                 --depth=stored only the stored bytes of backups are hashed, which is faster. \
                 Nothing is printed when all is well, unless --output=text --verbose or --output=json is given. The exit \
                 code is 4 if damage was found, 5 if something could not be looked at.",
    options_of: "verify",
    reads_configuration: true,
    own,
    run: Run::Coded(run),
    failure_exit: None,
};

/// How long what may only be changing is left alone.
const PATIENCE: Duration = Duration::from_millis(500);

fn own(command: Command) -> Command {
    let depth = Arg::new("depth").long("depth").value_name("DEPTH").value_parser(["stored", "full"]);
    command.arg(
        depth.help(
            "how deep files of backups are looked into: their stored bytes, or all of it [default: full]",
        ),
    )
}

/// What came out for one repository.
enum Verdict {
    Looked(Box<Verification>),
    Failed { repo: u32, report: Report },
}

fn run(call: &Call) -> Result<u8> {
    let stanza = call.settings.stanza().ok_or_else(|| Report::usage("verify needs --stanza"))?;
    let opened = Repositories::open(&call.settings, call.command);
    for warning in &opened.warnings {
        call.console.warn(warning);
    }
    if opened.slots.is_empty() {
        opened.all()?;
        return Ok(0);
    }
    let set = call.settings.text("set").map(str::parse).transpose();
    let set = set.map_err(|error: crate::base::units::UnitError| Report::usage(format!("--set: {error}")))?;
    let shallow = call.args.get_one::<String>("depth").is_some_and(|depth| depth == "stored");
    let cancel = cancel_on_signal()?;
    let lines = Lines::new(call.console);
    let mut verdicts = Vec::new();
    for slot in &opened.slots {
        let request = Request {
            set: set.clone(),
            depth: if shallow { Depth::Stored } else { Depth::Full },
            process_max: call
                .settings
                .number("process-max")
                .and_then(|n| usize::try_from(n).ok())
                .unwrap_or(1),
            busy: is_busy(call, stanza, slot.key),
            patience: PATIENCE,
        };
        let looked = slot
            .repository
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|repository| verify::verify(&repository.stanza(stanza), &request, &lines, &cancel));
        verdicts.push(match looked {
            Ok(verification) => Verdict::Looked(Box::new(verification)),
            Err(report) if report.kind == Kind::Cancelled => return Err(report),
            Err(report) => Verdict::Failed { repo: slot.key, report },
        });
    }
    drop(lines);
    keep(call, &verdicts);
    // With one repository its failure is the command's.
    if let [Verdict::Failed { report, .. }] = &verdicts[..] {
        return Err(report.clone());
    }
    show(call, stanza, &verdicts)?;
    Ok(exit_code(&verdicts))
}

/// A backup or expire of the stanza at work on this host.
fn is_busy(call: &Call, stanza: &str, repo: u32) -> bool {
    // pgBackRest's verify does not take the option, but the file with the locks is the same.
    let every = call.config.settings(EVERY_COMMAND, Some(stanza));
    let path = every.ok().and_then(|settings| settings.text("lock-path").map(PathBuf::from));
    let locks = LockFolder(path.unwrap_or_else(|| PathBuf::from("/tmp/pgbackrest")));
    locks.of_repo(stanza, Work::Backup, repo).held || locks.of_stanza(stanza, Work::Backup).held
}

/// Ctrl-C and SIGTERM end the work at the next buffer; a second one ends the process.
fn cancel_on_signal() -> Result<Cancel> {
    let cancel = Cancel::default();
    let mut signals = Signals::new([SIGINT, SIGTERM])
        .map_err(|error| Report::failed(format!("cannot listen for signals: {error}")))?;
    let asked = cancel.clone();
    std::thread::spawn(move || {
        for signal in signals.forever() {
            if asked.requested() {
                drop(signal_hook::low_level::emulate_default_handler(signal));
            }
            asked.request();
        }
    });
    Ok(cancel)
}

/// Keeps what came out; without a place to keep it the result stands all the same.
fn keep(call: &Call, verdicts: &[Verdict]) {
    let kept = site::site(call).and_then(|site| site::state(call, &site)).and_then(|state| {
        verdicts.iter().try_for_each(|verdict| match verdict {
            Verdict::Looked(verification) => record::keep(&state, verification),
            Verdict::Failed { .. } => Ok(()),
        })
    });
    if let Err(report) = kept {
        call.console.warn(&format!("the result is not kept: {}", report.headline));
    }
}

fn show(call: &Call, stanza: &str, verdicts: &[Verdict]) -> Result<()> {
    let verbose = call.settings.flag("verbose");
    match (call.output, call.settings.text("output")) {
        (Output::Json, _) => output::json("verify", &Document::new(stanza, verdicts))?,
        (Output::Text, Some("text")) => output::text(&text::document(verdicts, verbose))?,
        (Output::Text, _) => {
            let problems = text::document(verdicts, false);
            if !problems.is_empty() && call.console.tells(Told::Warn) {
                to_stderr(problems.trim_end());
            }
        }
    }
    let summary_wanted = call.settings.text("output") == Some("none") && on_terminal(call.console);
    if call.output == Output::Text
        && let Some(next) = text::next(verdicts)
    {
        call.console.warn(&next);
    }
    for verdict in verdicts {
        let summary = text::summary(verdict);
        if summary_wanted {
            to_stderr(&summary);
        } else {
            call.console.info(&summary);
        }
    }
    Ok(())
}

/// Damage counts most, then what could not be looked at.
fn exit_code(verdicts: &[Verdict]) -> u8 {
    let worst = verdicts.iter().filter_map(|verdict| match verdict {
        Verdict::Looked(verification) => verification.worst(),
        Verdict::Failed { .. } => None,
    });
    let failed = verdicts.iter().find_map(|verdict| match verdict {
        Verdict::Failed { report, .. } => Some(report.kind.exit_code()),
        Verdict::Looked(_) => None,
    });
    match (worst.max(), failed) {
        (Some(Level::Damage), _) => Kind::Damaged.exit_code(),
        (_, Some(code)) => code,
        (Some(Level::Unknown), None) => Kind::Unreachable.exit_code(),
        (_, None) => 0,
    }
}

#[derive(Serialize)]
struct Document<'a> {
    stanza: &'a str,
    repos: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    repo: u32,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<Failure<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a Verification>,
}

#[derive(Serialize)]
struct Failure<'a> {
    kind: &'static str,
    headline: &'a str,
    hint: Option<&'a str>,
}

impl<'a> Document<'a> {
    fn new(stanza: &'a str, verdicts: &'a [Verdict]) -> Self {
        let row = |verdict: &'a Verdict| match verdict {
            Verdict::Looked(verification) => Row {
                repo: verification.repo,
                status: text::status(verification),
                failure: None,
                result: Some(verification),
            },
            Verdict::Failed { repo, report } => Row {
                repo: *repo,
                status: "unknown",
                failure: Some(Failure {
                    kind: report.kind.name(),
                    headline: &report.headline,
                    hint: report.hint.as_deref(),
                }),
                result: None,
            },
        };
        Self { stanza, repos: verdicts.iter().map(row).collect() }
    }
}

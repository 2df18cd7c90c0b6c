//! `lab`: a disposable PostgreSQL to rehearse on.
//!
//! PostgreSQL refuses root, so as root the work is done by the same program run as the account `postgres`; root
//! itself only makes and removes the empty directory.

mod demo;

use super::Call;
use super::command::{CommandSpec, Run};
use super::output::{self, Output};
use crate::base::files::open_folder;
use crate::base::{Report, Result};
use crate::cluster::binaries::Search;
use crate::cluster::owner::{Account, Users, check_executable_by, is_root, run_as};
use crate::config::EVERY_COMMAND;
use crate::lab::{Disaster, Lab, disaster, down, service, status, up, workload};
use crate::model::op::{Event, Progress, Sink};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde::Serialize;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, lchown};
use std::path::{Path, PathBuf};

pub(super) const SPEC: CommandSpec = CommandSpec {
    name: "lab",
    about: "Make a disposable PostgreSQL, break it, recover it",
    long_about: "Under one marked directory, on a private socket and free loopback ports: a primary with a workload \
                 whose every commit is written down, a streaming standby, and an encrypted repository with full, \
                 differential and incremental backup. `lab break` lets a disaster happen to it; `lab demo` does \
                 everything: on a terminal it hands the damage to you and the console, elsewhere it recovers \
                 unattended to just before the damage; both compare the result to the row. \
                 Nothing outside the directory is ever touched.",
    options_of: EVERY_COMMAND,
    reads_configuration: false,
    own,
    run: Run::Coded(run),
    failure_exit: None,
};

/// Where the lab is when nothing else was said.
const DEFAULT_DIR: &str = ".lab";
/// Where demonstrations make their own directories: every account may enter it.
const DEMO_FOLDER: &str = "/var/tmp";
/// The account that runs servers when root asks for a lab.
const ACCOUNT: &str = "postgres";
/// The parts of the demonstration between up and down; not for people.
const REHEARSE: &str = "__rehearse";
const STRIKE: &str = "__strike";
const CONCLUDE: &str = "__conclude";
/// The option that leaves the lab up.
const KEEP: &str = "keep";
/// The demonstration's evidence inside the lab.
const EVIDENCE: &str = "evidence.json";

fn own(command: Command) -> Command {
    let names: Vec<&str> = Disaster::ALL.iter().map(|(name, _)| *name).collect();
    let what = Arg::new("disaster")
        .required(true)
        .value_parser(PossibleValuesParser::new(names))
        .help("what goes wrong");
    let noticed = Arg::new("disaster")
        .default_value(Disaster::BadUpdate.name())
        .value_parser(PossibleValuesParser::new(["bad-update", "drop-table", "drop-database"]))
        .help("what goes wrong");
    let keep = Arg::new(KEEP).long(KEEP).action(ArgAction::SetTrue).help("leave the lab up at the end");
    let service = service::Verb::ALL.map(|(name, _)| name);
    let verb = Arg::new("verb").required(true).value_parser(PossibleValuesParser::new(service));
    let part = |name: &'static str, about: &'static str| Command::new(name).about(about);
    command
        .subcommand_required(true)
        .arg(Arg::new("dir").long("dir").global(true).value_name("PATH").help(
            "the lab's directory [default: $PGMAYDAY_LAB, then ./.lab; for demo a new one in /var/tmp]",
        ))
        .arg(
            Arg::new("evidence")
                .long("evidence")
                .global(true)
                .value_name("FILE")
                .help("demo: where the evidence is kept as JSON"),
        )
        .arg(Arg::new("quiet").long("quiet").global(true).hide(true).action(ArgAction::SetTrue))
        .subcommand(part("up", "make a lab and leave it running"))
        .subcommand(part("break", "let a disaster happen, without saying what it did").arg(what))
        .subcommand(part("status", "show processes, positions, backups and what was injected"))
        .subcommand(part("down", "stop everything and remove the lab"))
        .subcommand(
            part("demo", "up, damage, recovery to just before it, comparison to the row, down")
                .arg(noticed.clone())
                .arg(keep),
        )
        .subcommand(part(REHEARSE, "the middle of demo").arg(noticed.clone()).hide(true))
        .subcommand(part(STRIKE, "the damage of demo").arg(noticed).hide(true))
        .subcommand(part(CONCLUDE, "the end of demo").hide(true))
        .subcommand(part(service::SUBCOMMAND, "the hooks of pgmayday.toml").arg(verb).hide(true))
        .subcommand(part(workload::SUBCOMMAND, "the workload's own process").hide(true))
}

/// What is to be done with a lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Up,
    Break(Disaster),
    Status,
    Down,
    Demo(Disaster),
    Rehearse(Disaster),
    Strike(Disaster),
    Conclude,
    Service(service::Verb),
    Workload,
}

/// One thing to do with one lab.
#[derive(Debug, Clone)]
struct Act {
    verb: Verb,
    dir: PathBuf,
    output: Output,
    quiet: bool,
}

fn run(call: &Call) -> Result<u8> {
    let verb = match call.args.subcommand() {
        Some(("up", _)) => Verb::Up,
        Some(("break", args)) => Verb::Break(named(args)?),
        Some(("status", _)) => Verb::Status,
        Some(("down", _)) => Verb::Down,
        Some((REHEARSE, args)) => Verb::Rehearse(named(args)?),
        Some((STRIKE, args)) => Verb::Strike(named(args)?),
        Some((CONCLUDE, _)) => Verb::Conclude,
        Some((service::SUBCOMMAND, args)) => Verb::Service(
            args.get_one::<String>("verb").map_or("", String::as_str).parse().map_err(Report::usage)?,
        ),
        Some((workload::SUBCOMMAND, _)) => Verb::Workload,
        Some((_, args)) => Verb::Demo(named(args)?),
        None => return Err(Report::usage("lab: what is to be done with it?")),
    };
    let act =
        Act { verb, dir: directory(call, verb)?, output: call.output, quiet: call.args.get_flag("quiet") };
    match verb {
        Verb::Demo(what) => {
            let keep_up = call.args.subcommand().is_some_and(|(_, args)| args.get_flag(KEEP));
            let evidence = call.args.get_one::<String>("evidence").map(Path::new);
            demo::Demo { act: &act, what, keep_up, evidence }.run()
        }
        _ => act.run(),
    }
}

fn named(args: &ArgMatches) -> Result<Disaster> {
    args.get_one::<String>("disaster").map_or("", String::as_str).parse().map_err(Report::usage)
}

fn directory(call: &Call, verb: Verb) -> Result<PathBuf> {
    let given = call.args.get_one::<String>("dir").map(PathBuf::from);
    let dir = given.or_else(|| std::env::var_os("PGMAYDAY_LAB").map(PathBuf::from)).unwrap_or_else(|| {
        let demo = || Path::new(DEMO_FOLDER).join(format!("pgmayday-demo-{}", std::process::id()));
        if matches!(verb, Verb::Demo(_)) { demo() } else { PathBuf::from(DEFAULT_DIR) }
    });
    std::path::absolute(dir).map_err(|e| Report::failed(format!("cannot tell where the lab is: {e}")))
}

impl Act {
    fn run(&self) -> Result<u8> {
        if is_root() { self.as_account() } else { self.as_myself() }
    }

    fn as_myself(&self) -> Result<u8> {
        match self.verb {
            Verb::Service(verb) => self.serve(verb),
            Verb::Conclude => demo::conclude(&Lab::open(&self.dir)?, &Steps(self.output)),
            _ => self.act().map(|()| 0),
        }
    }

    /// A hook: what it says goes to standard output, its exit code is the contract of `pgmayday.toml`.
    fn serve(&self, verb: service::Verb) -> Result<u8> {
        let variable = |name: &str| std::env::var_os(name).and_then(|value| value.into_string().ok());
        let failed = |report: Report| Report { kind: crate::base::Kind::Failed, ..report };
        let lab = Lab::open(&self.dir).map_err(|error| failed(error.into()))?;
        let (text, code) = service::serve(&lab, verb, &variable)?;
        output::text(&text)?;
        Ok(code)
    }

    fn act(&self) -> Result<()> {
        let dir = &self.dir;
        match self.verb {
            Verb::Up => {
                let named = std::env::var_os("PGMAYDAY_PG_BIN");
                let search = Search::new(named.as_deref(), std::env::var_os("PATH").as_deref());
                let lab = up::up(dir, own_program()?, &search, &Steps(self.output))?;
                if self.quiet { Ok(()) } else { self.show_status(&lab) }
            }
            Verb::Break(what) => {
                disaster::inject(&Lab::open(dir)?, what)?;
                self.say(
                    "lab-break",
                    &Done { dir },
                    "something has gone wrong; when, what and how much is for you to find out",
                )
            }
            Verb::Status => self.show_status(&Lab::open(dir)?),
            Verb::Down => {
                down::down_in(dir)?;
                if self.quiet {
                    return Ok(());
                }
                self.say("lab-down", &Done { dir }, &format!("the lab in {} is gone", dir.display()))
            }
            Verb::Rehearse(what) => self.rehearse(&Lab::open(dir)?, what),
            Verb::Strike(what) => demo::strike(&Lab::open(dir)?, what, &Steps(self.output)),
            Verb::Workload => workload::run(&Lab::open(dir)?).map_err(Report::from),
            Verb::Demo(_) | Verb::Conclude | Verb::Service(_) => {
                Err(Report::failed("a demonstration is made of the other parts"))
            }
        }
    }

    fn rehearse(&self, lab: &Lab, what: Disaster) -> Result<()> {
        let evidence = crate::lab::demo::rehearse(lab, what, &Steps(self.output))?;
        let path = lab.dir().join(EVIDENCE);
        serde_json::to_vec_pretty(&evidence)
            .map_err(std::io::Error::from)
            .and_then(|text| std::fs::write(&path, text))
            .map_err(|e| Report::failed(format!("cannot write {}: {e}", path.display())))?;
        self.say("lab-demo", &evidence, &evidence.text())?;
        if evidence.right {
            Ok(())
        } else {
            Err(Report::failed("the recovered rows are not what was committed"))
        }
    }

    fn show_status(&self, lab: &Lab) -> Result<()> {
        let status = status::look(lab)?;
        self.say("lab-status", &status, &status.text())
    }

    fn say(&self, name: &str, body: &impl Serialize, text: &str) -> Result<()> {
        match self.output {
            Output::Text => output::text(text),
            Output::Json => output::json(name, body),
        }
    }

    /// Does it as the account that owns the lab; root's part is only the directory itself.
    fn as_account(&self) -> Result<u8> {
        let dir = &self.dir;
        let account = Users::new().account(ACCOUNT).ok_or_else(|| {
            Report::failed(format!("there is no account '{ACCOUNT}' to run PostgreSQL as; root cannot"))
                .hint("install PostgreSQL (`make setup`), or run the lab as another user than root")
        })?;
        if self.verb == Verb::Up {
            make_dir(dir, &account)?;
        }
        let program = self.program_for(&account)?;
        let mut command = run_as(&account, &program)?;
        command.args(self.arguments());
        // Who calls a hook tells it where to look; a command of ours drops what would redirect PostgreSQL's tools.
        for name in service::VARIABLES.into_iter().filter(|_| matches!(self.verb, Verb::Service(_))) {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        let ended =
            command.status().map_err(|e| Report::failed(format!("cannot run the lab as {ACCOUNT}: {e}")))?;
        let emptied = match self.verb {
            Verb::Down => ended.success(),
            Verb::Up => !ended.success(),
            _ => false,
        };
        // Emptied by the account, which may not remove it from a folder of root's.
        if emptied && std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none()) {
            std::fs::remove_dir(dir)
                .map_err(|e| Report::failed(format!("cannot remove {}: {e}", dir.display())))?;
        }
        Ok(ended.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
    }

    fn arguments(&self) -> Vec<String> {
        let (verb, what) = match self.verb {
            Verb::Up => ("up", None),
            Verb::Break(what) => ("break", Some(what)),
            Verb::Status => ("status", None),
            Verb::Down => ("down", None),
            Verb::Demo(what) => ("demo", Some(what)),
            Verb::Rehearse(what) => (REHEARSE, Some(what)),
            Verb::Strike(what) => (STRIKE, Some(what)),
            Verb::Conclude => (CONCLUDE, None),
            Verb::Service(_) => (service::SUBCOMMAND, None),
            Verb::Workload => (workload::SUBCOMMAND, None),
        };
        let mut all = vec!["lab".to_owned(), verb.to_owned()];
        all.extend(what.map(|what| what.name().to_owned()));
        if let Verb::Service(verb) = self.verb {
            all.push(verb.name().to_owned());
        }
        all.push(format!("--dir={}", self.dir.display()));
        if self.output == Output::Json {
            all.push("--output=json".to_owned());
        }
        if self.quiet {
            all.push("--quiet".to_owned());
        }
        all
    }

    /// Our own program where the account can run it; a copy inside the lab where it cannot reach ours.
    fn program_for(&self, account: &Account) -> Result<PathBuf> {
        let own = own_program()?;
        if check_executable_by(account, &own).is_ok() {
            return Ok(own);
        }
        let folder = self.dir.join(up::PROGRAM_FOLDER);
        let copy = folder.join("pgmayday");
        if self.verb == Verb::Up {
            let failed = |e: std::io::Error| {
                Report::failed(format!("cannot copy our program to {}: {e}", copy.display()))
            };
            std::fs::create_dir(&folder).map_err(failed)?;
            std::fs::copy(&own, &copy).map_err(failed)?;
            for path in [&folder, &copy] {
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).map_err(failed)?;
                lchown(path, Some(account.uid), Some(account.gid)).map_err(failed)?;
            }
        }
        Ok(copy)
    }
}

#[derive(Serialize)]
struct Done<'a> {
    dir: &'a Path,
}

/// Makes the lab's directory and gives it to the account; an existing one must be empty.
fn make_dir(dir: &Path, account: &Account) -> Result<()> {
    let failed =
        |doing: &str, e: &std::io::Error| Report::failed(format!("cannot {doing} {}: {e}", dir.display()));
    if let Some(parent) = dir.parent() {
        std::fs::create_dir_all(parent).map_err(|e| failed("make the folder of", &e))?;
    }
    match std::fs::DirBuilder::new().mode(0o700).create(dir) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
            drop(open_folder(dir).map_err(|e| failed("open", &e))?);
            if std::fs::read_dir(dir).map_err(|e| failed("list", &e))?.next().is_some() {
                return Err(Report::usage(format!(
                    "cannot make a lab in {}: it is not empty",
                    dir.display()
                ))
                .hint("give a new directory by --dir, or take the old lab down first"));
            }
        }
        made => made.map_err(|e| failed("make", &e))?,
    }
    lchown(dir, Some(account.uid), Some(account.gid)).map_err(|e| failed("give away", &e))?;
    let mut test = run_as(account, Path::new("test"))?;
    let reachable = test.arg("-x").arg(dir).status().map_err(|e| failed("look at", &e))?;
    if reachable.success() {
        return Ok(());
    }
    std::fs::remove_dir(dir).map_err(|e| failed("remove", &e))?;
    Err(Report::usage(format!("the account '{ACCOUNT}' cannot reach {}", dir.display()))
        .hint("give a directory that every user may enter, for example --dir=/var/tmp/lab"))
}

fn own_program() -> Result<PathBuf> {
    std::env::current_exe().map_err(|e| Report::failed(format!("cannot tell where this program is: {e}")))
}

/// Shows steps on standard error as they end; nothing where the result is for programs.
struct Steps(Output);

impl Steps {
    fn line(&self, text: &str) {
        if self.0 == Output::Text {
            output::to_stderr(text);
        }
    }
}

impl Sink for Steps {
    fn event(&self, event: Event) {
        match event {
            Event::StepStarted { .. } | Event::Amount { .. } | Event::Reached { .. } => {}
            Event::StepDone { step, took_ms, detail } => {
                let (s, ms) = (took_ms / 1000, took_ms % 1000);
                self.line(format!("{s:>4}.{ms:03} s  {step:<20} {detail}").trim_end());
            }
            Event::Warning { text } => self.line(&format!("warning: {text}")),
        }
    }

    fn progress(&self, _: Progress) {}
}

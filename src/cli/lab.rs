//! `lab`: a disposable PostgreSQL to rehearse on.
//!
//! PostgreSQL refuses root, so as root the work is done by the same program run as the account `postgres`; root
//! itself only makes and removes the empty directory.

use crate::base::{Context as _, Kind, Report, Result};
use crate::cluster::owner::{Account, Users, check_executable_by, is_root, run_as};
use crate::lab::{Disaster, Lab, demo, disaster, down, status, up, workload};
use crate::model::op::{Event, Progress, Sink};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Where the lab is when nothing else was said.
const DEFAULT_DIR: &str = ".lab";
/// The account that runs servers when root asks for a lab.
/// The demonstration's evidence inside the lab.
const EVIDENCE: &str = "evidence.json";
const ACCOUNT: &str = "postgres";

/// What is to be done with a lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Up,
    Break(Disaster),
    Status,
    Down,
    Demo,
    /// The middle of the demonstration, inside a lab that is up; not for people.
    Rehearse,
    /// The workload's own process; not for people.
    Workload,
}

/// What the command line said.
#[derive(Debug, Clone)]
pub struct LabCall {
    /// The words after `lab`.
    pub words: Vec<String>,
    /// The lab's directory, if given.
    pub dir: Option<PathBuf>,
    /// Where the demonstration's evidence is to be kept, as JSON.
    pub evidence: Option<PathBuf>,
    /// True if JSON is wanted.
    pub json: bool,
}

impl LabCall {
    fn verb(&self) -> Result<Verb> {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["up"] => Ok(Verb::Up),
            ["status"] => Ok(Verb::Status),
            ["down"] => Ok(Verb::Down),
            ["demo"] => Ok(Verb::Demo),
            ["__rehearse"] => Ok(Verb::Rehearse),
            ["__workload"] => Ok(Verb::Workload),
            ["break", what] => what.parse().map(Verb::Break).map_err(Report::usage),
            ["break"] => Err(Report::usage("lab break: which disaster?").hint(disasters())),
            _ => Err(Report::usage(format!("lab: '{}' is not a thing to do", words.join(" ")))
                .hint("lab up | break NAME | status | down | demo")),
        }
    }

    fn arguments(&self, dir: &Path) -> Vec<String> {
        let mut all = vec!["lab".to_owned()];
        all.extend(self.words.iter().cloned());
        all.push(format!("--dir={}", dir.display()));
        if self.json {
            all.push("--output=json".to_owned());
        }
        all
    }
}

fn disasters() -> String {
    let names: Vec<&str> = Disaster::ALL.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

/// Does it.
pub fn run_lab(call: &LabCall) -> Result<()> {
    let verb = call.verb()?;
    let dir = std::path::absolute(call.dir.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_DIR)))
        .map_err(|e| Report::failed(format!("cannot tell where the lab is: {e}")))?;
    match verb {
        Verb::Demo => demonstrate(call, &dir),
        verb if is_root() => as_account(call, verb, &dir),
        verb => act(call, verb, &dir),
    }
}

/// Up, rehearsal, down; the evidence is taken out of the lab before that goes away.
fn demonstrate(call: &LabCall, dir: &Path) -> Result<()> {
    let part = |word: &str| run_lab(&LabCall { words: vec![word.to_owned()], dir: Some(dir.to_owned()), ..call.clone() });
    part("up")?;
    let rehearsed = part("__rehearse");
    let kept = match (&rehearsed, &call.evidence) {
        (Ok(()), Some(to)) => std::fs::copy(dir.join(EVIDENCE), to)
            .map(drop)
            .map_err(|e| Report::failed(format!("cannot keep the evidence in {}: {e}", to.display()))),
        _ => Ok(()),
    };
    if rehearsed.is_err() {
        // The lab stays for whoever wants to know why.
        return rehearsed.map_err(|report| report.hint(format!("the lab is still up in {}", dir.display())));
    }
    part("down").and(kept)
}

fn act(call: &LabCall, verb: Verb, dir: &Path) -> Result<()> {
    match verb {
        Verb::Up => {
            let program = own_program()?;
            let lab = up::up(dir, program, &Lines { show: !call.json })?;
            show_status(&lab, call.json)
        }
        Verb::Break(what) => {
            disaster::inject(&Lab::open(dir)?, what)?;
            say(if call.json {
                "{\"schema\":\"pgmayday.lab-break/1\",\"injected\":true}"
            } else {
                "Something has gone wrong. When, what and how many rows is for you to find out."
            })
        }
        Verb::Status => show_status(&Lab::open(dir)?, call.json),
        Verb::Down => {
            down::down(&Lab::open(dir)?)?;
            say(&if call.json {
                serde_json::json!({"schema": "pgmayday.lab-down/1", "removed": dir}).to_string()
            } else {
                format!("the lab in {} is gone", dir.display())
            })
        }
        Verb::Rehearse => {
            let evidence = demo::rehearse(&Lab::open(dir)?, &Lines { show: !call.json })?;
            let text = serde_json::to_string_pretty(&evidence).map_err(|e| Report::failed(e.to_string()))?;
            std::fs::write(dir.join(EVIDENCE), &text)
                .map_err(|e| Report::failed(format!("cannot write the evidence: {e}")))?;
            say(&if call.json { text } else { evidence.text() })?;
            if evidence.right { Ok(()) } else { Err(Report::failed("the recovered rows are not right")) }
        }
        Verb::Demo => Err(Report::failed("the demonstration is not a part of itself")),
        Verb::Workload => workload::run(&Lab::open(dir)?).map_err(Report::from),
    }
}

fn show_status(lab: &Lab, json: bool) -> Result<()> {
    let status = status::look(lab)?;
    if json {
        let text = serde_json::to_string(&status).map_err(|e| Report::failed(e.to_string()))?;
        say(&text)
    } else {
        say(status.text().trim_end())
    }
}

/// Does it as the account that owns the lab, whose only root part is the directory itself.
fn as_account(call: &LabCall, verb: Verb, dir: &Path) -> Result<()> {
    let account = Users::new().account(ACCOUNT).ok_or_else(|| {
        Report::failed(format!("there is no account '{ACCOUNT}' to run PostgreSQL as; root cannot"))
            .hint("install PostgreSQL (`make setup`), or run the lab as another user than root")
    })?;
    if verb == Verb::Up {
        make_dir(dir, &account)?;
    }
    let program = program_for(&account, dir, verb)?;
    let mut command = run_as(&account, &program)?;
    command.args(call.arguments(dir)).current_dir("/").stderr(Stdio::piped());
    let doing = || format!("running the lab as {ACCOUNT}");
    let failed = |e: std::io::Error| Report::failed(e.to_string());
    let mut child = command.spawn().map_err(failed).while_doing(doing)?;
    let mut said = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_string(&mut said).map_err(failed).while_doing(doing)?;
    }
    let ended = child.wait().map_err(failed).while_doing(doing)?;
    if !ended.success() {
        return Err(Report::new(kind_of(ended.code()), said.trim().trim_start_matches("error: ")));
    }
    if verb == Verb::Down && dir.exists() {
        // Emptied by the account, which may not remove it from a folder of root's.
        std::fs::remove_dir(dir).map_err(|e| Report::failed(format!("cannot remove {}: {e}", dir.display())))?;
    }
    Ok(())
}

fn kind_of(code: Option<i32>) -> Kind {
    match code {
        Some(2) => Kind::Usage,
        Some(3) => Kind::Refused(None),
        Some(4) => Kind::Damaged,
        Some(5) => Kind::Unreachable,
        Some(6) => Kind::Cancelled,
        Some(7) => Kind::TargetUnreachable,
        _ => Kind::Failed,
    }
}

/// Makes the lab's directory and gives it to the account; an existing one must be empty.
fn make_dir(dir: &Path, account: &Account) -> Result<()> {
    let failed = |doing: &str, e: &std::io::Error| Report::failed(format!("cannot {doing} {}: {e}", dir.display()));
    if let Some(parent) = dir.parent() {
        std::fs::create_dir_all(parent).map_err(|e| failed("make the parent of", &e))?;
    }
    match std::fs::DirBuilder::new().mode(0o700).create(dir) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
            let handle = crate::base::files::open_folder(dir).map_err(|e| failed("open", &e))?;
            drop(handle);
            if std::fs::read_dir(dir).map_err(|e| failed("list", &e))?.next().is_some() {
                return Err(Report::usage(format!("cannot make a lab in {}: it is not empty", dir.display()))
                    .hint("give a new directory by --dir, or take the old lab down first"));
            }
        }
        made => made.map_err(|e| failed("make", &e))?,
    }
    std::os::unix::fs::lchown(dir, Some(account.uid), Some(account.gid)).map_err(|e| failed("give away", &e))?;
    let mut test = run_as(account, Path::new("test"))?;
    let reachable = test.arg("-x").arg(dir).status().map_err(|e| failed("look at", &e))?;
    if reachable.success() {
        return Ok(());
    }
    std::fs::remove_dir(dir).map_err(|e| failed("remove", &e))?;
    Err(Report::usage(format!("the account '{ACCOUNT}' cannot reach {}", dir.display()))
        .hint("give a directory that every user may enter, for example --dir=/var/tmp/lab"))
}

/// Our own program where the account can run it; a copy inside the lab where it cannot reach ours.
fn program_for(account: &Account, dir: &Path, verb: Verb) -> Result<PathBuf> {
    let own = own_program()?;
    if check_executable_by(account, &own).is_ok() {
        return Ok(own);
    }
    let folder = dir.join(up::PROGRAM_FOLDER);
    let copy = folder.join("pgmayday");
    if verb == Verb::Up {
        let failed = |e: std::io::Error| Report::failed(format!("cannot copy our program to {}: {e}", copy.display()));
        std::fs::create_dir(&folder).map_err(failed)?;
        std::fs::copy(&own, &copy).map_err(failed)?;
        for path in [&folder, &copy] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).map_err(failed)?;
            std::os::unix::fs::lchown(path, Some(account.uid), Some(account.gid)).map_err(failed)?;
        }
    }
    Ok(copy)
}

fn own_program() -> Result<PathBuf> {
    std::env::current_exe().map_err(|e| Report::failed(format!("cannot tell where this program is: {e}")))
}

fn say(text: &str) -> Result<()> {
    let written = writeln!(std::io::stdout().lock(), "{text}");
    written.map_err(|e| Report::failed(format!("cannot write the answer: {e}")))
}

/// Shows steps as lines while they happen.
struct Lines {
    show: bool,
}

impl Sink for Lines {
    fn event(&self, event: Event) {
        let line = match event {
            Event::StepDone { step, took_ms, detail } => format!("{:>7} ms  {step} {detail}", took_ms),
            Event::Warning { text } => format!("warning: {text}"),
            Event::StepStarted { .. } => return,
        };
        if self.show {
            // A reader who went away does not stop the work.
            drop(say(line.trim_end()));
        }
    }

    fn progress(&self, _: Progress) {}
}

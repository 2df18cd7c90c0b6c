//! The command line: arguments in, one command run, an exit code out.
//!
//! Arguments are split in two: what pgBackRest knows goes to the configuration, the rest to clap. A command is one
//! file with a [`command::CommandSpec`]; adding one is a line in `commands::COMMANDS`. Nothing here decides
//! anything about a recovery, and no secret is ever printed.

mod annotate;
mod archive_command;
mod archive_get;
mod archive_push;
mod arguments;
mod as_owner;
mod attach;
mod backup;
mod board;
mod check;
pub mod command;
mod commands;
mod completions;
mod console;
mod doctor;
mod expire;
mod follow;
mod help;
mod incident;
mod info;
mod lab;
mod man;
mod operation;
pub mod output;
mod plan;
pub mod progress;
mod recover;
mod repo_get;
mod repo_ls;
mod restore;
mod runbook;
mod signals;
mod site;
mod snapshot;
mod stanza;
mod start;
mod stop;
mod survey;
mod tree;
mod verify;
mod version;
mod wal;
mod worker;

use crate::base::{Report, Result};
use crate::config::{CliOption, Config, Settings, Sources};
use clap::ArgMatches;
use command::{CommandSpec, Run};
use output::{Console, Output};
use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;

/// Everything a command is called with.
#[derive(Debug)]
pub struct Call {
    /// The command's name.
    pub command: &'static str,
    /// The whole configuration, for commands that look at several stanzas.
    pub config: Config,
    /// What holds for this command and the chosen stanza.
    pub settings: Settings,
    /// The words after the command's name.
    pub positional: Vec<String>,
    /// The command's own options and words, as clap read them.
    pub args: ArgMatches,
    /// The form the result is to have.
    pub output: Output,
    /// The guards that are overridden by `--accept=NAME[,…]`.
    pub accept: Vec<String>,
    /// Where warnings and progress go.
    pub console: Console,
    /// pgBackRest's options as this call was given them, to hand them on to a process of our own.
    pub given: Vec<CliOption>,
    /// The program as it was started, the first argument.
    pub program: PathBuf,
    /// The other arguments as they were given.
    pub arguments: Vec<String>,
    /// The command's own options as they were given, each as `--name` or `--name=value`.
    pub own: Vec<String>,
}

impl Call {
    /// True if the guard of this name is overridden.
    pub fn accepts(&self, guard: &str) -> bool {
        self.accept.iter().any(|name| name == guard)
    }
}

/// Runs the program with the arguments and the environment of this process.
pub fn main() -> ExitCode {
    main_with(std::env::args_os().collect(), std::env::vars_os().collect())
}

/// Runs the program with the given arguments (the program's name first) and environment.
pub fn main_with(args: Vec<OsString>, env: Vec<(OsString, OsString)>) -> ExitCode {
    let output = Output::of_arguments(&args);
    let failure_exit = commands::failure_exit(&args);
    let report = match catch_unwind(AssertUnwindSafe(|| run(args, output, env))) {
        Ok(Ok(code)) => return ExitCode::from(code),
        Ok(Err(report)) => report,
        Err(_) => Report::failed("an internal error stopped the command")
            .hint("the message above says where; please report it with the command you ran"),
    };
    output::failed(&report, output);
    ExitCode::from(failure_exit.unwrap_or_else(|| report.kind.exit_code()))
}

fn run(args: Vec<OsString>, output: Output, env: Vec<(OsString, OsString)>) -> Result<u8> {
    let mut args = args.into_iter();
    let program = args.next().map(PathBuf::from).unwrap_or_default();
    let arguments = args.clone().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let mut split = arguments::split(args)?;
    if split.version {
        return version::print(Output::Text).map(|()| 0);
    }
    if split.help {
        return help::print(&split.words).map(|()| 0);
    }
    // Without a command: the console where there is a terminal for it, else what it would show, as text.
    let name = split.words.first().cloned().unwrap_or_else(|| console::or_board(output).to_owned());
    if split.words.is_empty() {
        split.words.push(name.clone());
    }
    let spec = commands::find(&name)?;
    let call = call(spec, program, arguments, env, &split)?;
    match spec.run {
        Run::Plain(run) => run(&call).map(|()| 0),
        Run::Coded(run) => run(&call),
    }
}

/// What a command line means in an environment, without doing it; `arguments` begin with the command.
fn call_of(arguments: &[String], env: Vec<(OsString, OsString)>) -> Result<Call> {
    let split = arguments::split(arguments.iter().map(OsString::from))?;
    let name = split.words.first().ok_or_else(|| Report::usage("no command is given"))?;
    call(commands::find(name)?, PathBuf::from("pgmayday"), arguments.to_vec(), env, &split)
}

/// The environment as text. A setting that is not text is an error: leaving it out would change what is done.
fn readable(env: Vec<(OsString, OsString)>) -> Result<Vec<(String, String)>> {
    let mut readable = Vec::new();
    for (name, value) in env {
        let ours = name.as_encoded_bytes().starts_with(b"PGBACKREST_");
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => readable.push((name, value)),
            (name, _) if ours => {
                let name = name.unwrap_or_else(|name| name.to_string_lossy().into_owned());
                return Err(Report::usage(format!("environment variable {name} is not UTF-8"))
                    .hint("set it in UTF-8, or unset it"));
            }
            _ => {}
        }
    }
    Ok(readable)
}

fn call(
    spec: &'static CommandSpec,
    program: PathBuf,
    arguments: Vec<String>,
    env: Vec<(OsString, OsString)>,
    split: &arguments::Split,
) -> Result<Call> {
    let config = if spec.reads_configuration {
        Config::load(&Sources {
            cli: split.config.clone(),
            env: readable(env)?,
            default_dir: PathBuf::from("/etc/pgbackrest"),
        })
    } else {
        Config::of_command_line(&split.config)
    }?;
    let args = tree::read(spec, split)?;
    let settings = config.settings(spec.options_of, None)?;
    let accept = args.get_many::<String>(tree::ACCEPT).into_iter().flatten().cloned().collect();
    let output = Output::of_settings(&settings);
    let console = Console::new(&settings, output);
    for warning in config.warnings().iter().chain(settings.warnings()) {
        console.warn(warning);
    }
    let positional = split.words.iter().skip(1).cloned().collect();
    Ok(Call {
        command: spec.name,
        config,
        settings,
        positional,
        args,
        output,
        accept,
        console,
        given: split.config.clone(),
        program,
        arguments,
        own: split.own.clone(),
    })
}

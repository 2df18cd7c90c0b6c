//! An act of a runbook carried out: a command of this program, another program, or a call to a server.
//!
//! One act, once, until it ends or is asked to. No shell reads anything, no redirect is followed, and no secret reaches a
//! line that is kept. Decides nothing and writes nothing down: who asked for it does.

use crate::base::{Kind, Report, Result, Secret};
use crate::cluster::ClusterError;
use crate::cluster::process::{command, run_until};
use crate::model::op::Cancel;
use crate::net::{Http, Limits, Trust, Url};
use crate::runbook::How;
use crate::runbook::template::{Filled, Quoting, exposed, shown};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A program that runs longer is taken for one that hangs. Whoever watches it can ask it to end before.
const LONGEST: Duration = Duration::from_secs(48 * 3600);
/// The end of a call to a server.
const CALL: Limits = Limits { deadline: Duration::from_secs(60), most_bytes: 1 << 20, attempts: 1 };
/// How many lines of what a program said are kept, from its end.
const MOST_LINES: usize = 20;
/// How much of a line is kept.
const MOST_CHARS: usize = 300;

/// What an act is carried out with.
pub struct Means<'a> {
    /// This program, for its own commands.
    pub program: &'a Path,
    /// Options that lead its own commands to the same configuration.
    pub given: &'a [String],
    /// What variables stand for.
    pub value: &'a dyn Fn(&str) -> Option<String>,
    /// What secrets are, or why one cannot be had.
    pub secret: &'a dyn Fn(&str) -> std::result::Result<Secret, String>,
}

/// An act with everything it needs.
#[derive(Debug)]
pub enum Deed {
    /// A program with its arguments.
    Program {
        /// Which.
        program: PathBuf,
        /// Its arguments.
        arguments: Vec<String>,
    },
    /// A call to a server.
    Call(Call),
}

/// A call to a server.
#[derive(Debug)]
pub struct Call {
    method: String,
    url: Url,
    headers: Vec<(String, Secret)>,
    body: Option<Secret>,
    /// What the server says may repeat a secret, and is not kept.
    keeps_quiet: bool,
}

impl Deed {
    /// What is to be done, with every value in its place.
    ///
    /// # Errors
    /// What a person does by hand, and what lacks a value or a secret, cannot be carried out.
    pub fn of(how: &How, means: &Means<'_>) -> Result<Self> {
        match how {
            How::Operation { .. } => {
                let words = how.operation_words(&means.value);
                let (_, words) = words.ok_or_else(|| Report::usage("this program has no such operation"))?;
                let arguments = filled(words)?.into_iter().chain(means.given.iter().cloned()).collect();
                Ok(Self::Program { program: means.program.to_owned(), arguments })
            }
            How::Command { argv } => {
                let words = argv.iter().map(|word| shown(word, Quoting::Plain, &means.value)).collect();
                let mut words = filled(words)?.into_iter();
                let program = words.next().ok_or_else(|| Report::usage("the command is empty"))?;
                Ok(Self::Program { program: program.into(), arguments: words.collect() })
            }
            How::Http(http) => {
                let fill = |text: &str, quoting| {
                    let secret = |name: &str| (means.secret)(name).ok();
                    exposed(text, quoting, &means.value, &secret).map_err(|name| lacking(&name, means))
                };
                let mut headers = Vec::new();
                for header in &http.header {
                    let (name, value) = header.split_once(": ").unwrap_or((header, ""));
                    headers.push((name.to_owned(), fill(value, Quoting::Plain)?));
                }
                let keeps_quiet = !how.secrets().is_empty();
                let url = fill(&http.url, Quoting::Url)?;
                let url = if keeps_quiet { Url::secret(url.expose()) } else { Url::parse(url.expose()) };
                let body = http.body.as_ref().map(|body| fill(body, Quoting::Json)).transpose()?;
                Ok(Self::Call(Call { method: http.method.clone(), url: url?, headers, body, keeps_quiet }))
            }
            How::Manual { .. } => Err(Report::usage("this is done by a person: there is no executor for it")
                .hint("do it, then say what came out: `pgmayday incident runbook done TEXT`, or failed")),
        }
    }

    /// Does it; what it said, in lines.
    ///
    /// # Errors
    /// It failed, with the last lines of what it said, or was asked to end.
    pub fn carry_out(&self, cancel: &Cancel) -> Result<Vec<String>> {
        match self {
            Self::Program { program, arguments } => run(program, arguments, cancel),
            Self::Call(call) => call.send(),
        }
    }
}

fn filled(words: Vec<Filled>) -> Result<Vec<String>> {
    let missing: Vec<String> = words.iter().flat_map(|word| word.missing.clone()).collect();
    if let Some(name) = missing.first() {
        return Err(no_value(name));
    }
    Ok(words.into_iter().map(|word| word.shown).collect())
}

fn no_value(name: &str) -> Report {
    Report::usage(format!("${{{name}}} has no value here, so this cannot be run"))
        .hint("run it by hand with the value filled in, then say what came out")
}

fn lacking(name: &str, means: &Means<'_>) -> Report {
    match (means.secret)(name) {
        Err(why) if (means.value)(name).is_none() && is_secret(name) => {
            Report::usage(format!("${{secret:{name}}}: {why}"))
                .hint("set the variable, or name a file for it under [secret-file] in pgmayday.toml")
        }
        _ => no_value(name),
    }
}

/// Secrets are named in capitals, variables never.
fn is_secret(name: &str) -> bool {
    !name.chars().any(|c| c.is_ascii_lowercase())
}

fn run(program: &Path, arguments: &[String], cancel: &Cancel) -> Result<Vec<String>> {
    let mut call = command(program);
    call.args(arguments);
    let finished = run_until(call, LONGEST, cancel).map_err(|error| match error {
        ClusterError::Cancelled => {
            Report::new(Kind::Cancelled, format!("{} was asked to end", program.display()))
                .hint("what it had done until then is done: look before it is run again")
        }
        other => Report::failed(other.to_string()),
    })?;
    let said = last_lines(&[&finished.stdout, &finished.stderr]);
    if finished.success() {
        return Ok(said);
    }
    let ended = finished
        .code
        .map_or("was ended by a signal".to_owned(), |code| format!("ended with exit code {code}"));
    let report = Report::failed(format!("{} {ended}: {}", program.display(), finished.complaint()));
    Err(said.into_iter().rev().fold(report, Report::context))
}

/// The last lines of what was said, without what a terminal would obey.
fn last_lines(said: &[&str]) -> Vec<String> {
    let lines = said.iter().flat_map(|text| text.lines()).map(str::trim_end).filter(|line| !line.is_empty());
    let plain = |line: &str| line.chars().filter(|c| !c.is_control()).take(MOST_CHARS).collect::<String>();
    let lines: Vec<String> = lines.map(plain).collect();
    lines.iter().skip(lines.len().saturating_sub(MOST_LINES)).cloned().collect()
}

impl Call {
    fn send(&self) -> Result<Vec<String>> {
        let headers: Vec<(&str, &str)> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
        let body = self.body.as_ref().map(|body| body.expose().as_bytes());
        let trust = Trust::default();
        let answer = Http::new(CALL, trust).send(&self.method, &self.url, &headers, body)?;
        let mut said = vec![format!("{} {} answers with status {}", self.method, self.url, answer.status)];
        if !self.keeps_quiet {
            said.extend(last_lines(&[&String::from_utf8_lossy(&answer.body)]));
        }
        Ok(said)
    }
}

#[cfg(test)]
mod tests;

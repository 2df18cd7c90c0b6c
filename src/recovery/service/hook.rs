//! One hook: a program with its arguments, run without a shell as the owner of the data directory.
//!
//! Its output is bounded, its time too; a cancel kills it with everything it started.

use crate::base::{Kind, Report};
use crate::cluster::owner::{Account, run_as};
use crate::cluster::process::{Finished, run_until};
use crate::model::op::Cancel;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::Duration;

/// The exit code by which a verification says that the damage is in the data.
pub(super) const DAMAGED: i32 = 3;

/// The longest line that is shown.
const LINE_CHARS: usize = 300;

/// A program to be run.
pub(super) struct Hook<'a> {
    name: &'static str,
    words: &'a [String],
    limit: Duration,
    variables: Vec<(&'static str, OsString)>,
}

impl<'a> Hook<'a> {
    /// `name` as in `pgmayday.toml`; `words` has at least the program.
    pub(super) fn new(name: &'static str, words: &'a [String], limit: Duration) -> Self {
        Self { name, words, limit, variables: Vec::new() }
    }

    /// Adds a variable to its environment.
    pub(super) fn with(mut self, variable: &'static str, value: impl AsRef<OsStr>) -> Self {
        self.variables.push((variable, value.as_ref().to_owned()));
        self
    }

    /// Runs it to its end.
    pub(super) fn finish(&self, owner: &Account, cancel: &Cancel) -> Result<Finished, Report> {
        let (program, arguments) = self
            .words
            .split_first()
            .ok_or_else(|| Report::usage(format!("the {} hook names no program", self.name)))?;
        let mut command = run_as(owner, Path::new(program))?;
        command.args(arguments).envs(self.variables.iter().map(|(name, value)| (*name, value)));
        run_until(command, self.limit, cancel).map_err(|error| {
            let report = Report::from(error);
            if report.kind == Kind::Cancelled {
                return report;
            }
            report.context(format!("running the {} hook", self.name))
        })
    }

    /// What it said, if it went well.
    pub(super) fn judge(&self, finished: &Finished) -> Result<String, Report> {
        if finished.success() {
            return Ok(last_line(finished));
        }
        let how = finished.code.map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"));
        Err(Report::failed(format!(
            "the {} hook failed with {how}: {}",
            self.name,
            cut(&finished.complaint())
        ))
        .hint(format!("run it by hand, repair what it says, and resume: {}", self.words.join(" "))))
    }

    /// Runs it; its last line.
    pub(super) fn run(&self, owner: &Account, cancel: &Cancel) -> Result<String, Report> {
        self.judge(&self.finish(owner, cancel)?)
    }
}

/// The last line of standard output that says something.
pub(super) fn last_line(finished: &Finished) -> String {
    let line = finished.stdout.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    cut(line.trim())
}

fn cut(line: &str) -> String {
    line.chars().filter(|c| !c.is_control()).take(LINE_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::owner::{Users, current};

    fn run(words: &[&str]) -> Result<String, Report> {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        let hook = Hook::new("verify", &words, Duration::from_secs(20)).with("PGMAYDAY_STANZA", "a b");
        hook.run(&current(&Users::new()), &Cancel::default())
    }

    #[test]
    fn the_last_line_is_what_came_out_and_a_failure_says_why() {
        assert_eq!(run(&["/bin/echo", "one\n two $HOME ;x\n\n"]).unwrap(), "two $HOME ;x");
        assert_eq!(run(&["/bin/sh", "-c", "echo $PGMAYDAY_STANZA"]).unwrap(), "a b");
        let failed = run(&["/bin/sh", "-c", "echo fine; echo no disk >&2; exit 3"]).unwrap_err();
        assert!(failed.headline.contains("verify hook failed with exit code 3: no disk"), "{failed}");
        let missing = run(&["/no/such/program"]).unwrap_err();
        assert!(missing.to_string().contains("/no/such/program"), "{missing}");
        assert!(run(&[]).is_err());
        assert_eq!(run(&["/bin/echo", &"x".repeat(1000)]).unwrap().len(), LINE_CHARS);
    }
}

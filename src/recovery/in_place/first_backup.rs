//! The last step: a full backup of the recovered cluster, by the site's hook or by this program itself.
//!
//! Service is back before it begins, so nothing waits for it and nothing fails with it: what stands in its way is told with
//! the command that makes it by hand. A backup that outlived its worker is waited for, not made twice. It expires nothing:
//! what was recovered from may still be needed.

use super::run::Run;
use crate::base::{Bytes, Kind, Report, Result, Timeline, shell};
use crate::cluster::owner::run_as;
use crate::cluster::process::{Finished, run_until};
use crate::engine::hold;
use crate::engine::locks::{LockFolder, Work};
use crate::journal::no_backup;
use crate::model::op::{Event, Progress, Sink};
use crate::recovery::RecoveryError;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The longest a full backup may take.
const LIMIT: Duration = Duration::from_secs(48 * 3600);
/// How often is looked how far it is.
const LOOK: Duration = Duration::from_millis(500);

/// The first backup of the recovered cluster.
#[derive(Debug, Clone)]
pub struct FirstBackup {
    /// It is made as the last step.
    pub wanted: bool,
    /// The call of this program that makes it.
    pub words: Vec<String>,
    /// The site's own program, if one is configured.
    pub hook: Vec<String>,
    /// Where whoever backs the stanza up holds a lock.
    pub locks: LockFolder,
}

impl FirstBackup {
    /// The words after a call of this program that make it: soon, whole, removing nothing, and while an incident holds
    /// the stanza, too.
    pub fn command() -> [String; 5] {
        let accept = format!("--accept={}", hold::GUARD);
        ["--type=full", "--start-fast", "--no-expire-auto", &accept, "backup"].map(str::to_owned)
    }

    /// What makes it by hand, for a shell.
    pub fn by_hand(&self) -> String {
        let words = if self.hook.is_empty() { &self.words } else { &self.hook };
        shell::line(words.iter().map(String::as_str))
    }
}

/// What a backup says of itself as JSON.
#[derive(Deserialize)]
struct Made {
    label: String,
    repo: u32,
    size_bytes: u64,
    repo_bytes: u64,
    page_errors: Vec<IgnoredAny>,
    warnings: Vec<String>,
}

/// What a command that failed says as JSON.
#[derive(Deserialize)]
struct Refused {
    headline: String,
    hint: Option<String>,
}

impl Run<'_> {
    /// Makes it. Fails only if the operator cancels; what else stands in the way is kept for the outcome.
    pub(super) fn first_backup(&mut self, timeline: Timeline) -> Result<String, RecoveryError> {
        let made = match self.service.first_backup() {
            Ok(Some(said)) => Ok(said),
            Ok(None) => self.own_backup(timeline),
            Err(report) => Err(report),
        };
        match made {
            Ok(said) => {
                self.keep(|kept| kept.to_do = None)?;
                Ok(said)
            }
            Err(report) if report.kind == Kind::Cancelled => Err(report.into()),
            Err(report) => {
                let next = self.leave_backup()?;
                let text = format!("the recovered cluster is not backed up: {}; {next}", report.headline);
                self.sink.event(Event::Warning { text });
                Ok(no_backup(&report.headline))
            }
        }
    }

    /// Leaves it to a person; what there is to do.
    pub(super) fn leave_backup(&mut self) -> Result<String, RecoveryError> {
        let next = format!("make a full backup of it: {}", self.spec.first_backup.by_hand());
        self.keep(|kept| kept.to_do = Some(next.clone()))?;
        Ok(next)
    }

    fn own_backup(&self, timeline: Timeline) -> Result<String> {
        let first = &self.spec.first_backup;
        self.wait_for_others(&first.locks)?;
        if let Some(label) = self.source.full_backup_on(timeline) {
            return Ok(format!("{label}, made already"));
        }
        let (program, words) =
            first.words.split_first().ok_or_else(|| Report::failed("no command makes a backup"))?;
        let mut command = run_as(&self.owner, Path::new(program))?;
        command.args(words).args(["--output=json", "--wait"]);
        let (sink, stanza, over) = (self.sink, self.source.stanza(), AtomicBool::new(false));
        let finished = std::thread::scope(|scope| {
            let watch = scope.spawn(|| {
                while !over.load(Ordering::Acquire) {
                    std::thread::park_timeout(LOOK);
                    tell(sink, &first.locks, stanza);
                }
            });
            let finished = run_until(command, LIMIT, self.cancel);
            over.store(true, Ordering::Release);
            watch.thread().unpark();
            finished
        })?;
        let made = outcome(&finished)?;
        for text in made.warnings {
            sink.event(Event::Warning { text: format!("first backup: {text}") });
        }
        if !made.page_errors.is_empty() {
            let text = format!(
                "pages of the recovered cluster are damaged, in {} files; backup {} says which",
                made.page_errors.len(),
                made.label
            );
            sink.event(Event::Warning { text });
        }
        let (size, stored) = (Bytes(made.size_bytes), Bytes(made.repo_bytes));
        Ok(format!("{}, {size}, {stored} stored in repo{}", made.label, made.repo))
    }

    /// Waits until nobody backs the stanza up: it may be the backup that an earlier worker had begun.
    fn wait_for_others(&self, locks: &LockFolder) -> Result<()> {
        let stanza = self.source.stanza();
        let mut told = false;
        while locks.of_stanza(stanza, Work::Backup).held {
            if !told {
                let text = format!("a backup of {stanza} is running; its end is waited for");
                self.sink.event(Event::Warning { text });
                told = true;
            }
            self.cancel.check()?;
            tell(self.sink, locks, stanza);
            std::thread::sleep(LOOK);
        }
        Ok(())
    }
}

/// Tells how far the backup of a stanza is, as its lock says.
fn tell(sink: &dyn Sink, locks: &LockFolder, stanza: &str) {
    if let Some((bytes_done, bytes_total)) = locks.of_stanza(stanza, Work::Backup).bytes {
        sink.progress(Progress { bytes_done, bytes_total, ..Progress::default() });
    }
}

/// The backup that was made, or why none was.
fn outcome(finished: &Finished) -> Result<Made> {
    let text = finished.stdout.trim();
    // A backup that found damaged pages exits with a code of its own, and is made.
    if let Ok(made) = serde_json::from_str(text) {
        return Ok(made);
    }
    Err(match serde_json::from_str::<Refused>(text) {
        Ok(Refused { headline, hint: Some(hint) }) => Report::failed(format!("{headline} (next: {hint})")),
        Ok(Refused { headline, hint: None }) => Report::failed(headline),
        Err(_) => Report::failed(format!("the backup failed: {}", finished.complaint())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_of_it_is_what_the_command_says() {
        let finished = |code, stdout: &str| Finished {
            code: Some(code),
            stdout: stdout.to_owned(),
            stderr: "warning: w\nno space left\n".to_owned(),
        };
        let made = r#"{"schema":"pgmayday.backup/1","label":"20261121-010559F","kind":"full","repo":2,"size_bytes":9,
                       "repo_bytes":4,"page_errors":[{"file":"x","pages":[[1,2]]}],"warnings":["w"],"took_ms":1}"#;
        let made = outcome(&finished(4, made)).unwrap_or_else(|report| unreachable!("{report}"));
        assert_eq!((made.label.as_str(), made.repo, made.page_errors.len()), ("20261121-010559F", 2, 1));
        let why = |code, stdout: &str| outcome(&finished(code, stdout)).map(|_| ()).unwrap_err().headline;
        let refused = r#"{"schema":"pgmayday.error/1","kind":"failed","guard":null,"headline":"archive_mode is off",
                          "context":[],"hint":"set it"}"#;
        assert_eq!(why(1, refused), "archive_mode is off (next: set it)");
        assert_eq!(why(1, ""), "the backup failed: no space left");
        assert_eq!(why(0, "{}"), "the backup failed: no space left");
    }
}

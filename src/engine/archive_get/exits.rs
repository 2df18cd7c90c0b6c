//! What PostgreSQL is told: exit codes and the one line for its log.
//!
//! PostgreSQL's startup process takes 0 for delivered, 1 to 125 for "not in the archive" (recovery may end there),
//! and stops above 125. 126 and 127 are the shell's own and 143 reads as SIGTERM, so none of them is ever used. A
//! standby would be shut down by a code above 125, so there an error becomes absence, loudly, after patience.

use super::wanted::Wanted;
use crate::base::{Kind, Report};
use std::path::Path;
use std::time::Duration;

/// The file is at its destination.
pub const DELIVERED: u8 = 0;
/// The file is in no repository, and nothing says that it should be.
pub const ABSENT: u8 = 1;
/// Anything else; PostgreSQL stops.
pub const FAILED: u8 = 130;

/// What came of one request.
#[derive(Debug)]
pub enum Answer {
    /// The file is at its destination.
    Delivered {
        /// Where it came from, for example `repo1 15-1` or `spool (repo1 15-1)`.
        from: String,
        /// What else went wrong on the way, for example another repository that is damaged.
        warnings: Vec<String>,
    },
    /// The file is nowhere, after every place was looked at without error.
    Absent {
        /// Where was looked, in words.
        looked_at: String,
    },
    /// No answer is possible.
    Failed(Report),
}

/// What kind of server asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// A recovery that ends, and promotes, when it is told that nothing follows.
    Recovery,
    /// A standby that asks again and is shut down by an exit code above 125.
    Standby,
}

impl Asker {
    /// Which of the two the data directory says.
    pub fn of(data_dir: &Path) -> Self {
        let old_style = || {
            std::fs::read_to_string(data_dir.join("recovery.conf")).is_ok_and(|text| says_standby_mode(&text))
        };
        if data_dir.join("standby.signal").exists() || old_style() { Self::Standby } else { Self::Recovery }
    }
}

/// True if a `recovery.conf` (before PostgreSQL 12) switches standby mode on.
fn says_standby_mode(text: &str) -> bool {
    let mut on = false;
    for line in text.lines() {
        if let Some(rest) = line.trim_start().strip_prefix("standby_mode") {
            let value = rest.trim_start().trim_start_matches('=').trim_start().trim_start_matches('\'');
            on = ["on", "true", "yes", "1"].iter().any(|word| value.to_ascii_lowercase().starts_with(word));
        }
    }
    on
}

impl Answer {
    /// The process's exit code.
    pub fn exit_code(&self, asker: Asker) -> u8 {
        match (self, asker) {
            (Self::Delivered { .. }, _) => DELIVERED,
            (Self::Absent { .. }, _) | (Self::Failed(_), Asker::Standby) => ABSENT,
            (Self::Failed(_), Asker::Recovery) => FAILED,
        }
    }

    /// The line for the server's log: what, where, why, next; never more than one line.
    pub fn line(&self, wanted: Wanted, asker: Asker, took: Duration) -> String {
        let ms = took.as_millis();
        match self {
            Self::Delivered { from, warnings } if warnings.is_empty() => {
                format!("{wanted} delivered from {from} in {ms} ms")
            }
            Self::Delivered { from, warnings } => {
                format!(
                    "warning: {wanted} delivered from {from} in {ms} ms, but: {}",
                    one_line(&warnings.join("; "))
                )
            }
            Self::Absent { looked_at } => format!("{wanted} is not in {looked_at}"),
            Self::Failed(report) => failure_line(&format!("{wanted} not delivered: "), report, asker),
        }
    }
}

/// The line for a failure before or instead of an [`Answer`].
pub fn failure_line(what: &str, report: &Report, asker: Asker) -> String {
    let next = report.hint.as_deref().map(|hint| format!("; next: {}", one_line(hint))).unwrap_or_default();
    let fate = match asker {
        Asker::Recovery => "exit 130 stops the recovery here",
        Asker::Standby => "exit 1: this standby goes on without it and asks again",
    };
    let refused = if matches!(report.kind, Kind::Refused(_)) { "refused: " } else { "" };
    format!("error: {what}{refused}{} ({fate}){next}", one_line(&report.headline))
}

/// The text without line breaks.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed() -> Answer {
        Answer::Failed(Report::damaged("WAL segment X is\nmissing").hint("look"))
    }

    #[test]
    fn only_absence_is_one_and_everything_else_stops_a_recovery() {
        let delivered = Answer::Delivered { from: "repo1".to_owned(), warnings: Vec::new() };
        let absent = Answer::Absent { looked_at: "repo1".to_owned() };
        for asker in [Asker::Recovery, Asker::Standby] {
            assert_eq!((delivered.exit_code(asker), absent.exit_code(asker)), (0, 1));
        }
        assert_eq!(failed().exit_code(Asker::Recovery), 130);
        assert_eq!(failed().exit_code(Asker::Standby), 1);
    }

    #[test]
    fn every_answer_is_one_line_with_what_why_and_next() {
        let wanted = Wanted::parse("00000001000000000000000A").unwrap();
        let line = failed().line(wanted, Asker::Recovery, Duration::ZERO);
        assert_eq!(
            line,
            "error: 00000001000000000000000A not delivered: WAL segment X is missing \
             (exit 130 stops the recovery here); next: look"
        );
        let warned = Answer::Delivered { from: "repo2 15-1".to_owned(), warnings: vec!["a\nb".to_owned()] };
        assert!(!warned.line(wanted, Asker::Recovery, Duration::ZERO).contains('\n'));
    }

    #[test]
    fn a_standby_is_told_by_its_signal_file_or_its_old_configuration() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Asker::of(dir.path()), Asker::Recovery);
        std::fs::write(dir.path().join("recovery.conf"), "#standby_mode = on\nstandby_mode = 'off'\n")
            .unwrap();
        assert_eq!(Asker::of(dir.path()), Asker::Recovery);
        std::fs::write(dir.path().join("recovery.conf"), "standby_mode = 'on'\n").unwrap();
        assert_eq!(Asker::of(dir.path()), Asker::Standby);
        std::fs::write(dir.path().join("recovery.conf"), "").unwrap();
        std::fs::write(dir.path().join("standby.signal"), "").unwrap();
        assert_eq!(Asker::of(dir.path()), Asker::Standby);
    }
}

//! Reading a server's log as it grows: where recovery stands and why a server stopped.
//!
//! Reads only what was added since the last look, a bounded amount at a time. Understands the English messages of
//! 9.5 to 18 behind any `log_line_prefix` that ends before the severity.

use crate::base::{Lsn, Timeline};
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// The most that is read in one look; a log that grows faster is caught up with over several.
const LOOK_BYTES: u64 = 8 << 20;
/// A line longer than this is cut: no message of interest is.
const LINE_BYTES: usize = 64 << 10;
/// How many bad messages are kept.
const KEPT_COMPLAINTS: usize = 64;

/// How bad a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth a look.
    Warning,
    /// A statement failed.
    Error,
    /// A process ended.
    Fatal,
    /// The server crashed itself.
    Panic,
}

/// One bad message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// How bad.
    pub severity: Severity,
    /// The process that wrote it, if the line prefix tells.
    pub pid: Option<u32>,
    /// The message.
    pub message: String,
    /// Its detail and hint, if any followed.
    pub detail: Option<String>,
}

/// What the log told so far.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each seen or not yet seen")]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogFacts {
    /// Where the data became consistent.
    pub consistent_at: Option<Lsn>,
    /// The line that says at which record recovery stops, without its prefix.
    pub stopping: Option<String>,
    /// True once recovery has paused at its end.
    pub paused_at_end: bool,
    /// True once recovery stopped the server at its target.
    pub shut_down_at_target: bool,
    /// Why hot standby could not go on, if a limit was too low.
    pub insufficient: Option<String>,
    /// The last WAL file `restore_command` delivered.
    pub last_restored: Option<String>,
    /// The timeline chosen at promotion.
    pub new_timeline: Option<Timeline>,
    /// The startup process that failed.
    pub failed_startup: Option<u32>,
    /// True once the server said that it is ready for connections.
    pub ready: bool,
    /// The last bad messages, oldest first.
    pub complaints: Vec<Complaint>,
    /// The last line without a severity: what a program says that fails before it is a server.
    pub bare: Option<String>,
    /// Bytes read so far; growing means that the server does something.
    pub bytes: u64,
    /// True while detail and hint lines belong to the last complaint.
    attaching: bool,
}

impl LogFacts {
    /// The message that ended the server: of the startup process if that failed, else the last fatal one that is
    /// not about a client.
    pub fn fatal(&self) -> Option<&Complaint> {
        let fatal = || self.complaints.iter().rev().filter(|complaint| complaint.severity >= Severity::Fatal);
        fatal()
            .find(|complaint| self.failed_startup.is_some() && complaint.pid == self.failed_startup)
            .or_else(|| fatal().find(|complaint| !is_about_a_client(&complaint.message)))
    }
}

/// A log that is being followed.
#[derive(Debug)]
pub struct ServerLog {
    path: PathBuf,
    offset: u64,
    partial: Vec<u8>,
    facts: LogFacts,
}

impl ServerLog {
    /// Follows a log from its present end; it need not exist yet.
    pub fn from_end(path: &Path) -> Self {
        let offset = std::fs::metadata(path).map_or(0, |meta| meta.len());
        Self { path: path.to_owned(), offset, partial: Vec::new(), facts: LogFacts::default() }
    }

    /// Follows a log of a server that runs already, from its last start on; of a very long log only the end is read.
    pub fn of_running(path: &Path) -> Self {
        let mut log = Self::from_end(path);
        let end = log.offset;
        log.offset = end.saturating_sub(8 * LOOK_BYTES);
        while log.offset < end {
            let before = log.offset;
            log.look();
            if log.offset == before {
                break;
            }
        }
        log
    }

    /// The file followed.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads what was added and returns what is known now. A log that cannot be read adds nothing.
    pub fn look(&mut self) -> &LogFacts {
        let mut added = Vec::new();
        let read = File::open(&self.path).and_then(|mut file| {
            // A log cut to nothing starts again.
            if file.metadata()?.len() < self.offset {
                self.offset = 0;
                self.partial.clear();
            }
            file.seek(SeekFrom::Start(self.offset))?;
            file.take(LOOK_BYTES).read_to_end(&mut added)
        });
        if read.is_ok() {
            self.offset += added.len() as u64;
            self.facts.bytes += added.len() as u64;
            self.take(&added);
        }
        &self.facts
    }

    /// What is known from the looks so far.
    pub fn facts(&self) -> &LogFacts {
        &self.facts
    }

    fn take(&mut self, added: &[u8]) {
        for part in added.split_inclusive(|byte| *byte == b'\n') {
            let room = LINE_BYTES.saturating_sub(self.partial.len());
            self.partial.extend_from_slice(part.get(..part.len().min(room)).unwrap_or(part));
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.partial);
                self.facts.read_line(String::from_utf8_lossy(&line).trim_end());
            }
        }
    }
}

impl LogFacts {
    fn read_line(&mut self, line: &str) {
        const MARKS: [(&str, Option<Severity>); 7] = [
            ("LOG:  ", None),
            ("PANIC:  ", Some(Severity::Panic)),
            ("FATAL:  ", Some(Severity::Fatal)),
            ("ERROR:  ", Some(Severity::Error)),
            ("WARNING:  ", Some(Severity::Warning)),
            ("DETAIL:  ", None),
            ("HINT:  ", None),
        ];
        let first = MARKS
            .iter()
            .filter_map(|(mark, severity)| line.find(mark).map(|at| (at, *mark, *severity)))
            .min_by_key(|f| f.0);
        let Some((at, mark, severity)) = first else {
            // Continuation lines begin with a tab.
            if !line.is_empty() && !line.starts_with('\t') {
                self.bare = Some(line.to_owned());
            }
            return;
        };
        let (prefix, message) = (&line[..at], &line[at + mark.len()..]);
        match (mark, severity) {
            (_, Some(severity)) => {
                self.complain(severity, prefix, message);
                self.attaching = true;
            }
            ("LOG:  ", _) => {
                self.read_log_message(message);
                self.attaching = false;
            }
            _ => {
                if let Some(last) = self.complaints.last_mut().filter(|_| self.attaching) {
                    let detail =
                        last.detail.take().map_or_else(|| message.to_owned(), |d| format!("{d} {message}"));
                    last.detail = Some(detail);
                }
            }
        }
    }

    fn complain(&mut self, severity: Severity, prefix: &str, message: &str) {
        if message.contains("insufficient parameter settings") {
            self.insufficient = Some(message.to_owned());
        }
        if self.complaints.len() >= KEPT_COMPLAINTS {
            self.complaints.remove(0);
        }
        let pid = prefix.rsplit_once('[').and_then(|(_, rest)| rest.split(']').next()?.parse().ok());
        self.complaints.push(Complaint { severity, pid, message: message.to_owned(), detail: None });
    }

    fn read_log_message(&mut self, message: &str) {
        if message.starts_with("starting PostgreSQL ") {
            // What stands above is of an earlier run.
            *self = Self { bytes: self.bytes, ..Self::default() };
        } else if let Some(at) = message.strip_prefix("consistent recovery state reached at ") {
            self.consistent_at = at.split_whitespace().next().and_then(|lsn| lsn.parse().ok());
        } else if message.starts_with("recovery stopping ") {
            self.stopping = Some(message.to_owned());
        } else if message.starts_with("pausing at the end of recovery") || message == "recovery has paused" {
            self.paused_at_end = self.stopping.is_some();
        } else if message.starts_with("shutdown at recovery target") {
            self.shut_down_at_target = true;
        } else if let Some(id) = message.strip_prefix("selected new timeline ID: ") {
            self.new_timeline = id.trim().parse().ok().map(Timeline);
        } else if let Some(rest) = message.strip_prefix("restored log file \"") {
            self.last_restored = rest.split('"').next().map(str::to_owned);
        } else if message.starts_with("database system is ready to accept") {
            self.ready = true;
        } else if let Some(rest) = message.strip_prefix("startup process (PID ")
            && rest.contains("exited with exit code")
        {
            self.failed_startup = rest.split(')').next().and_then(|pid| pid.parse().ok());
        }
    }
}

/// Fatal for one session, not for the server.
fn is_about_a_client(message: &str) -> bool {
    const CLIENT: [&str; 14] = [
        "the database system is",
        "terminating connection",
        "terminating background worker",
        "terminating walreceiver",
        "could not connect to the primary server",
        "password authentication failed",
        "Peer authentication failed",
        "no pg_hba.conf entry",
        "role \"",
        "database \"",
        "cannot connect to invalid database",
        "sorry, too many clients",
        "remaining connection slots",
        "connection to client lost",
    ];
    CLIENT.iter().any(|start| message.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write as _;

    fn facts(text: &str) -> LogFacts {
        let mut log = ServerLog::from_end(Path::new("/nowhere"));
        log.take(text.as_bytes());
        log.facts
    }

    #[test]
    fn follows_a_recovery_to_its_pause() {
        let facts = facts(
            "2026-11-21 01:06:00.000 UTC [12] LOG:  starting archive recovery\n\
             2026-11-21 01:06:00.100 UTC [12] LOG:  restored log file \"000000010000000000000009\" from archive\n\
             2026-11-21 01:06:00.100 UTC [12] LOG:  consistent recovery state reached at 0/900100\n\
             2026-11-21 01:06:00.100 UTC [11] LOG:  database system is ready to accept read-only connections\n\
             2026-11-21 01:06:00.200 UTC [12] LOG:  recovery stopping before commit of transaction 727, time 2026-11-21 01:06:04.730656+00\n\
             2026-11-21 01:06:00.200 UTC [12] LOG:  pausing at the end of recovery\n\
             2026-11-21 01:06:00.200 UTC [12] HINT:  Execute pg_wal_replay_resume() to promote.\n",
        );
        assert_eq!(facts.consistent_at, Some(Lsn(0x90_0100)));
        assert!(facts.ready && facts.paused_at_end && facts.complaints.is_empty());
        assert!(facts.stopping.unwrap().starts_with("recovery stopping before commit of transaction 727"));
        assert_eq!(facts.last_restored.as_deref(), Some("000000010000000000000009"));
    }

    #[test]
    fn the_startup_process_has_the_last_word() {
        let told = facts(
            "x [30] FATAL:  role \"root\" does not exist\n\
             x [12] FATAL:  recovery ended before configured recovery target was reached\n\
             x [31] FATAL:  the database system is starting up\n\
             x [11] LOG:  startup process (PID 12) exited with exit code 1\n\
             x [40] FATAL:  something of a worker\n\
             x [11] LOG:  shutting down due to startup process failure\n",
        );
        assert_eq!(
            told.fatal().unwrap().message,
            "recovery ended before configured recovery target was reached"
        );
        let early =
            facts("FATAL:  data directory \"/x\" has invalid permissions\nDETAIL:  Permissions should be\n");
        assert_eq!(early.fatal().unwrap().detail.as_deref(), Some("Permissions should be"));
        let clients = facts("x [1] FATAL:  database \"a\" does not exist\n");
        assert!(clients.fatal().is_none());
    }

    #[test]
    fn reads_what_is_added_and_starts_again_when_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, "x [1] FATAL:  old\n").unwrap();
        let mut log = ServerLog::from_end(&path);
        assert!(log.look().complaints.is_empty());
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"x [2] FATAL:  ne").unwrap();
        assert!(log.look().complaints.is_empty());
        file.write_all(b"w\n").unwrap();
        assert_eq!(log.look().fatal().unwrap().message, "new");
        file.write_all(
            b"x [3] LOG:  starting PostgreSQL 15.20 on x\nx [4] LOG:  recovery stopping after y\n",
        )
        .unwrap();
        let again = ServerLog::of_running(&path);
        assert!(again.facts().complaints.is_empty() && again.facts().stopping.is_some());
        std::fs::write(&path, "x [3] PANIC:  cut\n").unwrap();
        assert_eq!(log.look().fatal().unwrap().message, "cut");
    }

    proptest! {
        #[test]
        fn no_log_makes_it_panic(text in "(LOG:  |FATAL:  |\\[|\\]|recovery stopping |startup process \\(PID |[a-z0-9/é\n ]){0,40}") {
            drop(facts(&text).fatal().cloned());
        }
    }
}

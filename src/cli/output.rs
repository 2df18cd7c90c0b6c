//! Where results, warnings and errors go.
//!
//! Results go to standard output: text for people, or with `--output=json` one JSON document that names its schema
//! as `pgmayday.<name>/1`. Warnings and progress go to standard error. An error goes to standard error as text, or
//! with `--output=json` to standard output as `pgmayday.error/1`, so that a caller reads one stream only.
//! A reader that went away is no error: a command that is doing something goes on doing it.

use crate::base::{Kind, Report, Result};
use crate::config::Settings;
use serde::Serialize;
use std::ffi::OsString;
use std::io::{self, Write};

/// The form results have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

impl Output {
    /// As the settings say.
    pub(super) fn of_settings(settings: &Settings) -> Self {
        if settings.text("output") == Some("json") { Self::Json } else { Self::Text }
    }

    /// As the arguments say, for errors that come before the settings are known.
    pub(super) fn of_arguments(args: &[OsString]) -> Self {
        let joined = args.iter().any(|arg| arg == "--output=json");
        let parted = args.windows(2).any(|pair| pair[0] == "--output" && pair[1] == "json");
        if joined || parted { Self::Json } else { Self::Text }
    }
}

/// Standard output; what is written after the reader went away is dropped silently.
#[derive(Debug)]
pub struct Stdout {
    lock: io::StdoutLock<'static>,
    reader_gone: bool,
}

impl Stdout {
    /// Locks standard output.
    pub fn lock() -> Self {
        Self { lock: io::stdout().lock(), reader_gone: false }
    }

    /// True once nobody reads any more; a command that only prints may stop.
    pub fn reader_gone(&self) -> bool {
        self.reader_gone
    }

    fn unless_gone<T>(&mut self, result: io::Result<T>, instead: T) -> io::Result<T> {
        match result {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.reader_gone = true;
                Ok(instead)
            }
            result => result,
        }
    }
}

impl Write for Stdout {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if self.reader_gone {
            return Ok(buffer.len());
        }
        let written = self.lock.write(buffer);
        self.unless_gone(written, buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.lock.flush();
        self.unless_gone(flushed, ())
    }
}

/// Prints text; a missing newline at its end is added.
pub fn text(text: &str) -> Result<()> {
    let newline = if text.ends_with('\n') || text.is_empty() { "" } else { "\n" };
    write_all(&[text.as_bytes(), newline.as_bytes()])
}

/// Prints a JSON object with its schema, `pgmayday.<name>/1`, as the first member.
pub fn json(name: &str, body: &impl Serialize) -> Result<()> {
    #[derive(Serialize)]
    struct Document<'a, T> {
        schema: String,
        #[serde(flatten)]
        body: &'a T,
    }
    bare_json(&Document { schema: format!("pgmayday.{name}/1"), body })
}

/// Prints JSON without a schema, for the shapes that are pgBackRest's.
pub fn bare_json(body: &impl Serialize) -> Result<()> {
    let bytes =
        serde_json::to_vec(body).map_err(|error| Report::failed(format!("cannot write JSON: {error}")))?;
    write_all(&[&bytes, b"\n"])
}

fn write_all(parts: &[&[u8]]) -> Result<()> {
    let mut out = Stdout::lock();
    let written = parts.iter().try_for_each(|part| out.write_all(part)).and_then(|()| out.flush());
    written.map_err(|error| Report::failed(format!("cannot write to standard output: {error}")))
}

/// Tells a failure: as text on standard error, or as JSON on standard output.
pub(super) fn failed(report: &Report, output: Output) {
    #[derive(Serialize)]
    struct Failure<'a> {
        kind: &'static str,
        guard: Option<&'static str>,
        headline: &'a str,
        context: &'a [String],
        hint: Option<&'a str>,
    }
    let kind = report.kind.name();
    let guard = match report.kind {
        Kind::Refused(guard) => guard,
        _ => None,
    };
    let (headline, context) = (&report.headline, &report.context);
    let body = Failure { kind, guard, headline, context, hint: report.hint.as_deref() };
    let told = output == Output::Json && json("error", &body).is_ok();
    if !told {
        to_stderr(&format!("error: {report}"));
    }
}

/// Writes a line to standard error; if even that fails there is nobody left to tell.
pub(super) fn to_stderr(line: &str) {
    drop(writeln!(io::stderr().lock(), "{line}"));
}

/// How much is told, as `log-level-console` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Errors only.
    Error,
    /// Also what may need attention.
    Warn,
    /// Also what is being done.
    Info,
    /// Also with which files.
    Detail,
}

/// Where warnings and progress go: standard error.
#[derive(Debug, Clone, Copy)]
pub struct Console {
    level: Level,
    output: Output,
}

impl Console {
    pub(super) fn new(settings: &Settings, output: Output) -> Self {
        let level = match settings.text("log-level-console") {
            Some("off" | "error") => Level::Error,
            Some("info") => Level::Info,
            Some("detail" | "debug" | "trace") => Level::Detail,
            _ => Level::Warn,
        };
        Self { level, output }
    }

    /// True if messages of this level are told.
    pub fn tells(self, level: Level) -> bool {
        level <= self.level
    }

    /// The form the command's result has.
    pub fn output(self) -> Output {
        self.output
    }

    /// Tells something that may need attention.
    pub fn warn(self, text: &str) {
        self.tell(Level::Warn, "warning: ", text);
    }

    /// Tells what is being done.
    pub fn info(self, text: &str) {
        self.tell(Level::Info, "", text);
    }

    /// Tells with what it is being done.
    pub fn detail(self, text: &str) {
        self.tell(Level::Detail, "", text);
    }

    fn tell(self, level: Level, prefix: &str, text: &str) {
        if self.tells(level) {
            to_stderr(&format!("{prefix}{text}"));
        }
    }
}

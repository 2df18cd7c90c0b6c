//! What can be wrong with a configuration, and how it is told.
//!
//! Values of secret options never get here.

use super::Origin;
use crate::base::Report;
use std::path::PathBuf;

/// Why a configuration cannot be used; each variant names what has to be changed and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A file or folder that was asked for cannot be read.
    #[error("cannot read the configuration {}: {why}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        why: String,
    },
    /// A line of a file is not in the form of a configuration.
    #[error("{}:{line}: {why}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u32,
        /// What is wrong with it; never its content.
        why: &'static str,
    },
    /// `pgmayday.toml` is not as it must be.
    #[error("{}, line {line}, column {column}: {why}", path.display())]
    Site {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The column, counted from 1.
        column: usize,
        /// What is wrong.
        why: String,
    },
    /// The address of a webhook cannot be had.
    #[error("webhook \"{name}\": {why}")]
    Webhook {
        /// What it is called.
        name: String,
        /// What is wrong; never the address.
        why: String,
    },
    /// The command line has an option that does not exist.
    #[error("option --{option} is not known")]
    Unknown {
        /// The name as given.
        option: String,
        /// What to write instead.
        hint: Option<String>,
    },
    /// An option is given in a form or a number it cannot have.
    #[error("option '{option}' {why} ({origin})")]
    Form {
        /// The name as given.
        option: String,
        /// What is wrong.
        why: String,
        /// Where it stands.
        origin: Origin,
        /// What to write instead.
        hint: Option<String>,
    },
    /// A value is not allowed.
    #[error("'{value}' is not valid for option '{option}' ({origin}): allowed is {allowed}")]
    Value {
        /// The option with its index.
        option: String,
        /// The value as given; `***` if it is secret.
        value: Box<str>,
        /// Where it stands.
        origin: Origin,
        /// What would have been accepted.
        allowed: Box<str>,
        /// What was probably meant.
        hint: Option<String>,
    },
    /// A secret on the command line, where every user of the host can read it.
    #[error(
        "option '{option}' is not allowed on the command line, where every user of this host can read it"
    )]
    SecretOnCommandLine {
        /// The option with its index.
        option: String,
        /// The environment variable that may carry it.
        variable: String,
    },
    /// The command does not take the option.
    #[error("option '{option}' is not valid for the command {command}")]
    NotForCommand {
        /// The option with its index.
        option: String,
        /// The command.
        command: String,
        /// What to write instead.
        hint: Option<String>,
    },
    /// An option on the command line counts only together with another one.
    #[error("option '{option}' is not valid without option '{needs}'")]
    Needs {
        /// The option with its index.
        option: String,
        /// The other option, with its accepted values.
        needs: String,
    },
    /// The command cannot do without an option.
    #[error("the command {command} requires option '{option}'")]
    Missing {
        /// The command.
        command: String,
        /// The option with its index.
        option: String,
        /// Where to set it.
        hint: String,
    },
    /// Two settings exclude each other.
    #[error("{what}")]
    Conflict {
        /// Both settings and why they cannot stand together.
        what: String,
    },
    /// The files to work on are on another host.
    #[error("{what} is on host '{host}' ({option}, {origin}), and {command} works on local files only")]
    OtherHost {
        /// The repository or cluster, in words.
        what: String,
        /// The host to run on.
        host: String,
        /// The option that names it.
        option: Box<str>,
        /// Where that option stands.
        origin: Origin,
        /// The command.
        command: Box<str>,
    },
    /// The repository is in a kind of storage this program cannot read.
    #[error(
        "repository {key} is of type '{kind}' ({option}, {origin}), which is not supported by this build yet"
    )]
    StorageKind {
        /// The repository's number.
        key: u32,
        /// The kind of storage.
        kind: String,
        /// The option that says so.
        option: String,
        /// Where that option stands.
        origin: Origin,
    },
}

impl ConfigError {
    fn next(&self) -> Option<String> {
        match self {
            Self::Unreadable { .. } => Some("check the path and that this user may read it".to_owned()),
            Self::Syntax { .. } => {
                Some("lines are '[section]', 'option=value' or begin with '#'; correct this one".to_owned())
            }
            Self::Site { .. } => {
                Some("correct the line, or remove it: everything in this file is optional".to_owned())
            }
            Self::Webhook { .. } => Some("put the address where url-env or url-file says it is".to_owned()),
            Self::Unknown { hint, .. }
            | Self::Form { hint, .. }
            | Self::Value { hint, .. }
            | Self::NotForCommand { hint, .. } => hint.clone(),
            Self::SecretOnCommandLine { option, variable } => {
                Some(format!("set {option} in the configuration file, or {variable} in the environment"))
            }
            Self::Needs { needs, .. } => Some(format!("add --{needs}, or leave this option out")),
            Self::Missing { hint, .. } => Some(hint.clone()),
            Self::Conflict { .. } => Some("change or remove one of them".to_owned()),
            Self::OtherHost { host, command, .. } => Some(format!("run {command} on host '{host}'")),
            Self::StorageKind { .. } => Some(
                "use a repository of type posix or cifs (--repo=N), or a copy of it on a local path"
                    .to_owned(),
            ),
        }
    }
}

impl From<ConfigError> for Report {
    fn from(error: ConfigError) -> Self {
        let report = Self::usage(error.to_string());
        match error.next() {
            Some(next) => report.hint(next),
            None => report,
        }
    }
}

//! pgBackRest's configuration: files, environment, command line, layered with every value's origin.
//!
//! [`Config::load`] reads everything once; [`Config::settings`] then answers what holds for one command and one
//! stanza. For each option and index the first layer that has it wins: command line, environment,
//! `[stanza:command]`, `[stanza]`, `[global:command]`, `[global]`, default; lists of several layers are never
//! merged. Unknown options are warned about and ignored.
//!
//! This room opens no repository and no cluster, and never prints a secret.

mod cross;
mod effective;
mod error;
mod file;
mod layers;
pub mod options;
mod places;
mod resolve;
mod settings;
pub mod site;
mod spelling;
mod value;

pub use crate::base::amount::time_ms;
pub use crate::base::closest::closest;
pub use error::ConfigError;
pub use options::EVERY_COMMAND;
pub use places::{PgSettings, RepoSettings};
pub use settings::{Effective, Settings};
pub use value::size_bytes;

use crate::base::Secret;
use file::Lookup;
use layers::{Layer, Layers};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Everything a configuration is made of.
#[derive(Debug, Clone)]
pub struct Sources {
    /// pgBackRest's options as the command line has them, in order.
    pub cli: Vec<CliOption>,
    /// The environment; only `PGBACKREST_*` and the variables that secrets name are looked at.
    pub env: Vec<(String, String)>,
    /// The folder of `pgbackrest.conf` and `conf.d` unless told otherwise: `/etc/pgbackrest`.
    pub default_dir: PathBuf,
}

/// One option of the command line, without its leading dashes.
#[derive(Clone, PartialEq, Eq)]
pub struct CliOption {
    /// The name as given, with index, `no-` or `reset-`.
    pub name: String,
    /// The value, if there is one; it may be a secret that does not belong here.
    pub value: Option<String>,
}

impl fmt::Debug for CliOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CliOption(--{})", self.name)
    }
}

impl CliOption {
    /// Tells whether an option of this name takes the next argument as its value.
    ///
    /// Fails if there is no such option, or not in this form.
    pub fn takes_argument(name: &str) -> Result<bool, ConfigError> {
        let found =
            options::find(name, true).map_err(|error| layers::unknown_on_command_line(name, error))?;
        Ok(!found.negated && !found.reset && !found.def.kind.is_flag())
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: the option has no value.
    Unset,
    /// The built-in default.
    Default,
    /// Follows from another option.
    Follows(&'static str),
    /// A line of a file.
    File {
        /// The file.
        path: Arc<Path>,
        /// The line, counted from 1.
        line: u32,
        /// The section, without brackets.
        section: Arc<str>,
    },
    /// An environment variable.
    Environment(String),
    /// The command line.
    CommandLine,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unset => f.write_str("not set"),
            Self::Default => f.write_str("default"),
            Self::Follows(option) => write!(f, "follows from {option}"),
            Self::File { path, line, section } => write!(f, "{}:{line} [{section}]", path.display()),
            Self::Environment(variable) => write!(f, "environment variable {variable}"),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}

/// A loaded configuration: all layers, before a command and a stanza are chosen.
#[derive(Debug, Clone)]
pub struct Config {
    layers: Layers,
    env: BTreeMap<String, Secret>,
    stanza_names: BTreeSet<String>,
    warnings: Vec<String>,
}

impl Config {
    /// Reads command line, environment and files.
    ///
    /// Fails on options that do not exist or are malformed on the command line, on files that were asked for
    /// and cannot be read, and on lines that are not in the form of a configuration.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let mut warnings = Vec::new();
        let cli = layers::from_command_line(&sources.cli)?;
        let env = layers::from_environment(&sources.env, &mut warnings)?;
        let lines = lookup(&cli, &env).read(&sources.default_dir)?;
        let stanza_names = stanza_names(&lines);
        let files = layers::from_lines(lines, &mut warnings)?;
        let mut seen = BTreeSet::new();
        warnings.retain(|warning| seen.insert(warning.clone()));
        let env_values = sources.env.iter().map(|(k, v)| (k.clone(), Secret::new(v.as_str()))).collect();
        Ok(Self { layers: Layers { cli, env, files }, env: env_values, stanza_names, warnings })
    }

    /// The command line alone, for commands that need neither environment nor files.
    pub fn of_command_line(cli: &[CliOption]) -> Result<Self, ConfigError> {
        let layers =
            Layers { cli: layers::from_command_line(cli)?, env: Layer::new(), files: BTreeMap::new() };
        Ok(Self { layers, env: BTreeMap::new(), stanza_names: BTreeSet::new(), warnings: Vec::new() })
    }

    /// The stanzas that have sections in the files, sorted.
    pub fn stanzas(&self) -> Vec<String> {
        self.stanza_names.iter().cloned().collect()
    }

    /// What was ignored while reading, one sentence each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The settings that hold for `command` (pgBackRest's name, or [`EVERY_COMMAND`]) and a stanza; without one,
    /// the stanza that command line or environment name counts.
    ///
    /// Fails on values that are not allowed, on options the command does not take (command line only) and on
    /// required ones that are missing.
    pub fn settings(&self, command: &str, stanza: Option<&str>) -> Result<Settings, ConfigError> {
        resolve::resolve(self, command, stanza)
    }

    /// As [`Config::settings`], for another command than that of the command line: what it does not take is passed over.
    pub fn settings_beside(&self, command: &str, stanza: Option<&str>) -> Result<Settings, ConfigError> {
        resolve::resolve_valid(self, command, stanza)
    }

    /// The sections of files that hold for a single command only, for example `global:backup`.
    pub fn command_sections(&self) -> impl Iterator<Item = &str> {
        self.layers.files.keys().map(AsRef::as_ref).filter(|name: &&str| name.contains(':'))
    }

    /// Every option of one section of the files as it stands there: name with index, value (`***` for secrets),
    /// origin.
    pub fn section(&self, name: &str) -> Vec<Effective> {
        let layer = self.layers.files.get(name);
        layer.map(|layer| layer.values().map(layers::Given::effective).collect()).unwrap_or_default()
    }
}

/// Which files to read, as command line and environment say.
fn lookup(cli: &Layer, env: &Layer) -> Lookup {
    let path = |name: &str| {
        let given = layers::plain(cli, name).or_else(|| layers::plain(env, name))?;
        given.texts().first().map(|text| PathBuf::from(*text))
    };
    Lookup {
        config: path("config"),
        no_config: layers::plain(cli, "config").is_some_and(layers::Given::is_negated),
        config_path: path("config-path"),
        include_path: path("config-include-path"),
    }
}

fn stanza_names(lines: &[file::Line]) -> BTreeSet<String> {
    let sections: BTreeSet<&str> = lines.iter().map(|line| line.section.as_ref()).collect();
    let names = sections.into_iter().map(|section| section.split_once(':').map_or(section, |(name, _)| name));
    names.filter(|name| *name != "global" && !name.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;

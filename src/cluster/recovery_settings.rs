//! How a restored cluster is told to recover: signal files, `postgresql.auto.conf` or `recovery.conf`, and taking
//! that back afterwards.
//!
//! The rules are pgBackRest's (types, order of lines, which lines are left out); where it writes a value without
//! doubling quotes, valid configuration text is written instead. Pure text in, text out: nothing here touches a file.

mod conf_text;
mod restore_command;

pub use conf_text::{ConfLine, parse_line, quoted, retract};
pub use restore_command::RestoreCommand;

use super::ClusterError;
use crate::base::{PgVersion, Timestamp};
use chrono::Local;
use conf_text::{append_block, disable_old_targets};
use std::collections::BTreeMap;

/// Where recovery ends. Texts are handed to PostgreSQL as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The end of the archive.
    Default,
    /// As soon as the backup is consistent.
    Immediate,
    /// A moment, in the form of [`crate::base::TargetTime::text`].
    Time(String),
    /// A position in the WAL.
    Lsn(String),
    /// A transaction id.
    Xid(String),
    /// A named restore point.
    Name(String),
    /// Never: follow as a standby.
    Standby,
    /// Nothing is set up; what the backup's files say is what happens.
    None,
    /// The files that are in the data directory stay as they are.
    Preserve,
}

impl Target {
    /// The value of `--type`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Immediate => "immediate",
            Self::Time(_) => "time",
            Self::Lsn(_) => "lsn",
            Self::Xid(_) => "xid",
            Self::Name(_) => "name",
            Self::Standby => "standby",
            Self::None => "none",
            Self::Preserve => "preserve",
        }
    }

    fn setting(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::Immediate => Some(("recovery_target", "immediate")),
            Self::Time(text) => Some(("recovery_target_time", text)),
            Self::Lsn(text) => Some(("recovery_target_lsn", text)),
            Self::Xid(text) => Some(("recovery_target_xid", text)),
            Self::Name(text) => Some(("recovery_target_name", text)),
            Self::Default | Self::Standby | Self::None | Self::Preserve => None,
        }
    }
}

/// What the server does when it has reached the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TargetAction {
    /// Waits, readable if hot standby is on; PostgreSQL's default.
    #[default]
    Pause,
    /// Ends recovery and takes writes.
    Promote,
    /// Stops.
    Shutdown,
}

impl TargetAction {
    /// The value of `recovery_target_action`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Promote => "promote",
            Self::Shutdown => "shutdown",
        }
    }
}

/// Everything that decides the recovery settings of one restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoverySettings {
    /// Major version of the restored cluster.
    pub version: PgVersion,
    /// Where recovery ends.
    pub target: Target,
    /// Stop just before the target instead of just after (`--target-exclusive`; time, lsn and xid).
    pub exclusive: bool,
    /// What happens at the target.
    pub action: TargetAction,
    /// `--target-timeline` if it was given: a number, `latest` or `current`.
    pub timeline: Option<String>,
    /// True for `--archive-mode=off`.
    pub archive_mode_off: bool,
    /// `--recovery-option` pairs, dashes or underscores in the names.
    pub options: Vec<(String, String)>,
    /// How WAL is fetched.
    pub restore_command: RestoreCommand,
}

/// The files that make a server recover as asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryFiles {
    /// An empty file to create.
    pub signal: Option<&'static str>,
    /// Files that must not be there: another signal would win over the one wanted.
    pub absent: Vec<&'static str>,
    /// The file the settings go into and its whole new content; nothing if no file changes.
    pub settings_file: Option<(&'static str, Vec<u8>)>,
    /// The lines added, in order.
    pub written: Vec<ConfLine>,
}

/// Holds the settings from 12 on.
pub const AUTO_CONF: &str = "postgresql.auto.conf";
/// Holds the settings before 12.
pub const RECOVERY_CONF: &str = "recovery.conf";
/// Makes a server from 12 on recover to a target.
pub const RECOVERY_SIGNAL: &str = "recovery.signal";
/// Makes a server from 12 on follow as a standby.
pub const STANDBY_SIGNAL: &str = "standby.signal";

impl RecoverySettings {
    /// The settings in the order they are written; fails on what this version does not take.
    pub fn lines(&self) -> Result<Vec<ConfLine>, ClusterError> {
        if matches!(self.target, Target::None | Target::Preserve) {
            return Ok(Vec::new());
        }
        let modern = self.version.at_least(12);
        let options = self.normalised_options()?;
        let own_command = options.contains_key("restore_command");
        let mut lines: Vec<ConfLine> =
            options.into_iter().map(|(name, value)| ConfLine::new(name, value)).collect::<Result<_, _>>()?;
        let mut add = |name: &str, value: &str| ConfLine::new(name, value).map(|line| lines.push(line));
        if self.archive_mode_off {
            if !modern {
                return Err(refused("archive-mode", "off needs PostgreSQL 12 or newer"));
            }
            add("archive_mode", "off")?;
        }
        if !own_command {
            add("restore_command", &self.restore_command.text()?)?;
        }
        if self.target == Target::Standby && !modern {
            add("standby_mode", "on")?;
        }
        if let Some((name, value)) = self.target.setting() {
            self.check_target()?;
            add(name, value)?;
            if self.exclusive && self.target != Target::Immediate {
                add("recovery_target_inclusive", "false")?;
            }
            if self.action != TargetAction::Pause {
                add("recovery_target_action", self.action.as_str())?;
            }
        }
        match self.timeline.as_deref() {
            // Before 12 the word is not known; leaving the setting out means the same.
            Some("current") if !modern => {}
            Some(timeline) => add("recovery_target_timeline", timeline)?,
            None if modern && self.target == Target::Immediate => add("recovery_target_timeline", "current")?,
            None => {}
        }
        Ok(lines)
    }

    /// What to write for this restore, given the restored `postgresql.auto.conf` (empty if there is none).
    ///
    /// From 12 on old target lines in it are commented out and the new settings follow in a block of their own,
    /// which says when it was made.
    pub fn files(&self, auto_conf: &[u8], now: Timestamp) -> Result<RecoveryFiles, ClusterError> {
        let written = self.lines()?;
        if self.target == Target::Preserve {
            return Ok(RecoveryFiles { signal: None, absent: Vec::new(), settings_file: None, written });
        }
        let clock = now.to_utc().with_timezone(&Local).format("%Y-%m-%d %H:%M:%S").to_string();
        if !self.version.at_least(12) {
            let settings_file =
                (!written.is_empty()).then(|| (RECOVERY_CONF, append_block(Vec::new(), &written, &clock)));
            // A second server start would find the file of a recovery that is over.
            let absent = if settings_file.is_some() {
                vec!["recovery.done"]
            } else {
                vec![RECOVERY_CONF, "recovery.done"]
            };
            return Ok(RecoveryFiles { signal: None, absent, settings_file, written });
        }
        let signal = match self.target {
            Target::None => None,
            Target::Standby => Some(STANDBY_SIGNAL),
            _ => Some(RECOVERY_SIGNAL),
        };
        let absent = [RECOVERY_SIGNAL, STANDBY_SIGNAL, RECOVERY_CONF]
            .into_iter()
            .filter(|name| Some(*name) != signal)
            .collect();
        let mut content = disable_old_targets(auto_conf, &clock);
        if !written.is_empty() {
            content = append_block(content, &written, &clock);
        }
        let settings_file = (content != auto_conf).then_some((AUTO_CONF, content));
        Ok(RecoveryFiles { signal, absent, settings_file, written })
    }

    fn normalised_options(&self) -> Result<BTreeMap<String, String>, ClusterError> {
        let mut options = BTreeMap::new();
        for (name, value) in &self.options {
            let name = name.replace('-', "_");
            if name == "standby_mode" && self.version.at_least(12) {
                return Err(refused(
                    "recovery-option standby_mode",
                    "PostgreSQL 12 and newer have no such setting; use --type=standby",
                ));
            }
            if options.insert(name.clone(), value.clone()).is_some() {
                return Err(refused(&format!("recovery-option {name}"), "given twice"));
            }
        }
        Ok(options)
    }

    fn check_target(&self) -> Result<(), ClusterError> {
        // recovery_target_lsn came with 10.
        if matches!(self.target, Target::Lsn(_)) && !self.version.at_least(10) {
            return Err(refused("recovery_target_lsn", "PostgreSQL 10 or newer is needed"));
        }
        Ok(())
    }
}

fn refused(name: &str, why: &str) -> ClusterError {
    ClusterError::Setting { name: name.to_owned(), why: why.to_owned() }
}

#[cfg(test)]
mod tests;

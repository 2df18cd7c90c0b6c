//! What the operator asked for, checked for contradictions and nothing else.

use super::layout::Maps;
use crate::base::{BackupLabel, Report, Result};
use crate::cluster::recovery_settings::RestoreCommand;
use crate::model::target::{Recovery, Target};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// How much of the WAL is read before a plan is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProofDepth {
    /// Names, gaps, duplicates and segment headers.
    Listing,
    /// Also every record up to the target.
    Scan,
    /// Also every record up to the end of what recovery may read, whatever the target.
    Full,
}

/// A restore as it was asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// The stanza.
    pub stanza: String,
    /// Where the data directory goes.
    pub data_dir: PathBuf,
    /// The backup set; nothing = the newest from which the target can be reached.
    pub set: Option<BackupLabel>,
    /// What the cluster is to do when it starts.
    pub recovery: Recovery,
    /// `--recovery-option` lines.
    pub recovery_options: Vec<(String, String)>,
    /// `--archive-mode=off`.
    pub archiving_off: bool,
    /// Keep and correct what stands in the target.
    pub delta: bool,
    /// Overwrite what stands in the target.
    pub force: bool,
    /// Tablespace and link maps.
    pub maps: Maps,
    /// Only these databases.
    pub db_include: Vec<String>,
    /// All but these databases.
    pub db_exclude: Vec<String>,
    /// Copying threads.
    pub process_max: usize,
    /// How much is proven beforehand; nothing = what suits the target.
    pub prove: Option<ProofDepth>,
    /// Guards the operator overrides, by name.
    pub accept: BTreeSet<String>,
    /// The command PostgreSQL will fetch WAL with.
    pub restore_command: RestoreCommand,
    /// A `pg_wal` with what the archive does not have; that command must be told of it too.
    pub salvage: Option<PathBuf>,
}

impl Request {
    /// True if this guard is overridden.
    pub fn accepts(&self, guard: &str) -> bool {
        self.accept.contains(guard)
    }

    /// True if the restored server fetches WAL with [`restore_command`](Self::restore_command).
    pub fn fetches(&self) -> bool {
        let replaced = |(name, _): &(String, String)| name.replace('-', "_") == "restore_command";
        matches!(self.recovery, Recovery::To { .. } | Recovery::Standby { .. })
            && !self.recovery_options.iter().any(replaced)
    }

    /// Turns a refusal into a warning if its guard is overridden.
    pub fn unless_accepted(&self, result: Result<()>, warnings: &mut Vec<String>) -> Result<()> {
        match result {
            Err(report) => match report.kind {
                crate::base::Kind::Refused(Some(guard)) if self.accepts(guard) => {
                    warnings.push(format!("{} (accepted: {guard})", report.headline));
                    Ok(())
                }
                _ => Err(report),
            },
            Ok(()) => Ok(()),
        }
    }

    /// Refuses requests that contradict themselves.
    pub fn check(&self) -> Result<()> {
        if let Recovery::To { target, exclusive, timeline, .. } = &self.recovery {
            let exact = matches!(target, Target::Time(_) | Target::Lsn(_) | Target::Xid(_));
            if *exclusive && !exact {
                return Err(Report::usage(format!(
                    "--target-exclusive has no meaning for --type={}",
                    target.type_name()
                ))
                .hint("it goes with --type=time, lsn or xid"));
            }
            if let Target::Name(name) = target
                && (name.is_empty() || name.len() > 63)
            {
                return Err(Report::usage("a restore point's name has 1 to 63 bytes"));
            }
            if matches!(target, Target::Immediate)
                && matches!(timeline, Some(crate::model::target::TimelineChoice::Number(_)))
            {
                return Err(Report::usage(
                    "--target-timeline has no meaning for --type=immediate: the backup's own timeline is used",
                ));
            }
        }
        Ok(())
    }

    /// Text that is the same exactly if the restored files are meant to be the same; for the marker's digest.
    pub fn identity(&self) -> String {
        let Self {
            stanza,
            data_dir,
            set,
            recovery,
            recovery_options,
            archiving_off,
            maps,
            db_include,
            db_exclude,
            ..
        } = self;
        format!(
            "{stanza:?} {} {set:?} {recovery:?} {recovery_options:?} {archiving_off} {maps:?} {db_include:?} {db_exclude:?}",
            data_dir.display()
        )
    }
}

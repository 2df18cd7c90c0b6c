//! Where a recovery's backup and WAL come from: the configured repositories of one stanza.
//!
//! Plans and asks; what it restores is a plan of the engine, proven before anything is written.

use super::exchange::is_vacant;
use super::in_place::Target;
use crate::base::{BackupKind, BackupLabel, Report, Result, Timeline, WalSegment, WalSegmentSize};
use crate::cluster::recovery_settings::RestoreCommand;
use crate::config::Settings;
use crate::engine::repositories::{Repositories, Slot};
use crate::engine::restore::{Maps, Plan, ProofDepth, Request};
use crate::engine::timeline_begin::first_segment;
use crate::model::op::Cancel;
use crate::model::target::{Recovery, Target as End, TargetAction, TimelineChoice};
use crate::repo::{Archive, ArchiveId, Found};
use std::path::Path;

/// The repositories of one stanza, and how PostgreSQL fetches from them.
#[derive(Debug)]
pub struct Source {
    stanza: String,
    repositories: Repositories,
    /// Where the cluster archives to, if that is more than is restored from.
    archives: Option<Repositories>,
    process_max: usize,
    command: RestoreCommand,
    set: Option<BackupLabel>,
}

impl Source {
    /// Opens the repositories that `settings` of a stanza name.
    ///
    /// `command` is a call of this program with what is needed to find them again, without a data directory.
    pub fn open(settings: &Settings, command: RestoreCommand) -> Result<Self> {
        let stanza = settings.stanza().ok_or_else(|| Report::usage("a recovery needs --stanza"))?.to_owned();
        let repositories = Repositories::open(settings, "restore");
        if repositories.slots.is_empty() {
            return Err(Report::usage("no repository is configured").hint("set repo1-path"));
        }
        let process_max = settings.number("process-max").and_then(|n| usize::try_from(n).ok()).unwrap_or(1);
        Ok(Self { stanza, repositories, archives: None, process_max, command, set: None })
    }

    /// Restores from this set instead of the newest that will do.
    #[must_use]
    pub fn with_set(self, set: Option<BackupLabel>) -> Self {
        Self { set, ..self }
    }

    /// Takes the repositories the cluster archives to from the settings of `archive-push`: a restore may be told to use
    /// one of them only.
    #[must_use]
    pub fn with_archives(self, settings: &Settings) -> Self {
        Self { archives: Some(Repositories::open(settings, "archive-push")), ..self }
    }

    /// The stanza.
    pub fn stanza(&self) -> &str {
        &self.stanza
    }

    /// Plans the restore into `into` for a pause at `target`, and proves that it will be reached.
    ///
    /// With `again`, what lies in `into` is a restore of ours for another target, to be corrected.
    pub fn plan(
        &self,
        into: &Path,
        salvage: &Path,
        target: &Target,
        again: bool,
        cancel: &Cancel,
    ) -> Result<Plan> {
        let timeline = TimelineChoice::Number(target.timeline);
        let wish = Wish {
            at: &target.at,
            exclusive: target.exclusive,
            timeline,
            depth: ProofDepth::Scan,
            wal: Some(salvage).filter(|folder| folder.exists()),
        };
        self.plan_for(into, salvage, &wish, again, &[], cancel)
    }

    /// As [`Source::plan`], for what a person only looks at: refusals named in `accept` become warnings that end with
    /// that name.
    pub fn plan_for(
        &self,
        into: &Path,
        salvage: &Path,
        wish: &Wish<'_>,
        again: bool,
        accept: &[&str],
        cancel: &Cancel,
    ) -> Result<Plan> {
        let request = Request {
            stanza: self.stanza.clone(),
            data_dir: into.to_owned(),
            set: self.set.clone(),
            recovery: Recovery::To {
                target: wish.at.clone(),
                exclusive: wish.exclusive,
                action: Some(TargetAction::Pause),
                // The end of a backup lies on the backup's own timeline.
                timeline: Some(wish.timeline).filter(|_| *wish.at != End::Immediate),
            },
            recovery_options: Vec::new(),
            archiving_off: false,
            delta: again,
            force: false,
            maps: Maps::default(),
            db_include: Vec::new(),
            db_exclude: Vec::new(),
            process_max: self.process_max,
            prove: Some(wish.depth),
            accept: accept.iter().map(|&guard| guard.to_owned()).collect(),
            restore_command: self.command_for(into, salvage),
            salvage: wish.wal.map(Path::to_owned),
        };
        Plan::build(request, &self.repositories, cancel)
    }

    /// The end of the archived log as a target at which replay can pause: the last record that means something.
    pub fn end(&self, into: &Path, salvage: &Path, target: &Target, cancel: &Cancel) -> Result<End> {
        let plan = self.plan(into, salvage, target, !is_vacant(into)?, cancel)?;
        Ok(end_of(&plan))
    }

    fn command_for(&self, data_dir: &Path, salvage: &Path) -> RestoreCommand {
        self.command
            .clone()
            .option("pg1-path", data_dir.to_string_lossy())
            .option("wal-salvage", salvage.to_string_lossy())
    }

    /// The `restore_command` of a server on `data_dir`; `salvage` is read after the repositories.
    pub fn restore_command(&self, data_dir: &Path, salvage: &Path) -> Result<String> {
        Ok(self.command_for(data_dir, salvage).text()?)
    }

    /// True once a WAL file (segment or history, by name) is in every repository that is restored from.
    pub fn archived(&self, file: &str) -> Result<bool> {
        self.is_in_all(&self.repositories, file)
    }

    /// True once a WAL file is in every repository the cluster archives to.
    pub fn archived_everywhere(&self, file: &str) -> Result<bool> {
        self.is_in_all(self.archives(), file)
    }

    fn archives(&self) -> &Repositories {
        self.archives.as_ref().unwrap_or(&self.repositories)
    }

    fn is_in_all(&self, repositories: &Repositories, file: &str) -> Result<bool> {
        for slot in &repositories.slots {
            let Some((archive, id)) = self.archive(slot)? else { return Ok(false) };
            if !is_in(&archive, id, file)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The archive of the stanza's current cluster.
    fn archive(&self, slot: &Slot) -> Result<Option<(Archive, ArchiveId)>> {
        let repository = slot.repository.as_ref().map_err(Clone::clone)?;
        let stanza = repository.stanza(&self.stanza);
        let info = stanza.archive_info()?.value;
        let current = info.history.get(&info.current_db_id);
        let id = current.map(|(version, _)| ArchiveId { version: *version, db_id: info.current_db_id });
        Ok(id.map(|id| (stanza.archive(&info), id)))
    }

    /// The first segment of a timeline, as its history in the first archive that has it says.
    pub fn first_segment(&self, timeline: Timeline, size: WalSegmentSize) -> Result<Option<WalSegment>> {
        for slot in &self.archives().slots {
            if let Some((archive, id)) = self.archive(slot)?
                && let Some(first) = first_segment(&archive, id, timeline, size)?
            {
                return Ok(Some(first));
            }
        }
        Ok(None)
    }

    /// A full backup that was begun on this timeline, in any repository that can be read.
    pub fn full_backup_on(&self, timeline: Timeline) -> Option<BackupLabel> {
        let readable = self.archives().slots.iter().filter_map(|slot| slot.repository.as_ref().ok());
        let mut infos = readable.filter_map(|repository| repository.stanza(&self.stanza).backup_info().ok());
        infos.find_map(|info| {
            let begun = |segment: WalSegment| segment.timeline == timeline;
            let mut backups = info.value.backups.into_values();
            let found = backups
                .find(|entry| entry.kind == BackupKind::Full && entry.archive_start.is_some_and(begun));
            found.map(|entry| entry.label)
        })
    }
}

/// Where a recovery is to end, as it is asked of [`Source::plan_for`].
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// The target.
    pub at: &'a End,
    /// Stop just before it.
    pub exclusive: bool,
    /// The timeline to follow.
    pub timeline: TimelineChoice,
    /// How much is read to prove it.
    pub depth: ProofDepth,
    /// Where there is WAL that the archive does not have.
    pub wal: Option<&'a Path>,
}

/// The end of the log that a plan for [`End::End`] has read, as a target; a log that ends with the backup is
/// recovered to the backup's end.
pub fn end_of(plan: &Plan) -> End {
    let last = plan.proof.as_ref().and_then(|proof| proof.last_record);
    match last {
        Some(lsn) if plan.manifest.lsn_stop.is_none_or(|consistent| lsn >= consistent) => End::Lsn(lsn),
        _ => End::Immediate,
    }
}

fn is_in(archive: &Archive, id: ArchiveId, file: &str) -> Result<bool> {
    if let Some(timeline) = Timeline::from_history_file(file) {
        return Ok(archive.history(&id, timeline)?.is_some());
    }
    let segment: WalSegment =
        file.parse().map_err(|e: crate::base::units::UnitError| Report::failed(e.to_string()))?;
    match archive.find(&id, segment)? {
        Found::One(_) => Ok(true),
        Found::Absent => Ok(false),
        Found::Conflict(copies) => {
            Err(Report::damaged(format!("{file} is in the archive with {} different contents", copies.len())))
        }
    }
}

//! A restore worked out to the last number before anything is written.
//!
//! Building a plan reads the repository and looks at the target; it writes nothing. What it holds is what
//! [`execute`](super::execute) does.

use super::guards;
use super::layout::Layout;
use super::marker::Marker;
use super::prepare::{self, Survey};
use super::request::Request;
use super::select::{self, Choice};
use super::selective::Selection;
use super::space::{self, Filesystem};
use crate::base::{Report, Result};
use crate::cluster::running;
use crate::engine::proof::Proof;
use crate::engine::repositories::Repositories;
use crate::model::op::Cancel;
use crate::model::target::Recovery;
use crate::repo::Manifest;
use crate::store::Storage;
use std::sync::Arc;

/// Replay recycles segments; more than this is not kept at once by default settings.
const WAL_ON_DISK_LIMIT_BYTES: u64 = 2 << 30;

/// A restore that can be executed.
#[derive(Debug)]
pub struct Plan {
    /// What was asked for.
    pub request: Request,
    /// The repository's number in the configuration.
    pub repo_key: u32,
    /// The manifest of the chosen set.
    pub manifest: Manifest,
    /// Where everything goes.
    pub layout: Layout,
    /// Which databases become holes.
    pub selection: Selection,
    /// What stands in the target.
    pub survey: Survey,
    /// Room per filesystem.
    pub filesystems: Vec<Filesystem>,
    /// Whether and why the target can be reached; nothing if nothing is to be replayed.
    pub proof: Option<Proof>,
    /// Bytes the target will have.
    pub bytes_total: u64,
    /// True if an interrupted run of the same request is finished.
    pub resumes: bool,
    /// What an operator should know.
    pub warnings: Vec<String>,
    pub(super) reuse: bool,
    pub(super) direct: bool,
    pub(super) storage: Arc<dyn Storage>,
}

impl Plan {
    /// Works the restore out.
    pub fn build(request: Request, repositories: &Repositories, cancel: &Cancel) -> Result<Self> {
        request.check()?;
        let mut warnings = Vec::new();
        request.unless_accepted(
            guards::not_running(&running::look(&request.data_dir)?, &request.data_dir),
            &mut warnings,
        )?;
        let marker = Marker::read(&request.data_dir)?;
        let resumes = marker.as_ref().is_some_and(|m| m.is_of(&request.identity()));
        refuse_other_restore(&request, marker.as_ref(), resumes)?;
        let resumed_from = marker.filter(|_| resumes);
        let choice = select::choose(&request, repositories, resumed_from.as_ref(), cancel)?;
        Self::from_choice(request, choice, resumes, warnings)
    }

    fn from_choice(
        request: Request,
        choice: Choice,
        resumes: bool,
        mut warnings: Vec<String>,
    ) -> Result<Self> {
        let Choice { repository, manifest, proof, warnings: said } = choice;
        warnings.extend(said);
        let layout = Layout::build(&manifest, &request.data_dir, &request.maps)?;
        warnings.extend(layout.warnings().iter().cloned());
        let selection = Selection::build(&manifest, &request.db_include, &request.db_exclude)?;
        let survey = prepare::survey(&manifest, &layout)?;
        guards::occupied(&request, &survey, resumes, layout.data_dir())?;
        if !survey.occupied.is_empty() && !resumes {
            request.unless_accepted(guards::same_cluster(&manifest, layout.data_dir()), &mut warnings)?;
            request.unless_accepted(guards::same_version(&manifest, layout.data_dir()), &mut warnings)?;
            warnings.extend(guards::unarchived_wal(&survey, layout.data_dir()));
        }
        let blank = |number: usize| selection.is_blank(manifest.files.get(number).name);
        let wal_bytes = proof.as_ref().map_or(0, Proof::wal_bytes).min(WAL_ON_DISK_LIMIT_BYTES);
        let reclaimed = survey.kept_bytes.saturating_add(survey.surplus_bytes);
        let filesystems = space::filesystems(&manifest, &layout, wal_bytes, reclaimed, &blank)?;
        request.unless_accepted(space::check(&filesystems), &mut warnings)?;
        let bytes_total = total_bytes(&manifest)?;
        let storage = Arc::clone(repository.storage());
        let reuse = resumes || !survey.occupied.is_empty();
        Ok(Self {
            repo_key: repository.key(),
            storage,
            reuse,
            direct: true,
            request,
            manifest,
            layout,
            selection,
            survey,
            filesystems,
            proof,
            bytes_total,
            resumes,
            warnings,
        })
    }

    /// Manifest names that stay as they stand in the target: recovery settings under `--type=preserve`.
    pub(super) fn spared(&self) -> &'static [&'static str] {
        if self.request.recovery == Recovery::Preserve { &PRESERVED } else { &[] }
    }

    /// True for files of the backup that are not restored.
    pub(super) fn leaves_out(&self, name: &str) -> bool {
        // Links to tablespaces are made from the manifest; the map would make the server make them again.
        name == "pg_data/tablespace_map"
            || (self.request.recovery == Recovery::Preserve
                && self.manifest.db.version.at_least(12)
                && name == "pg_data/postgresql.auto.conf"
                && self.layout.data_dir().join("postgresql.auto.conf").exists())
    }
}

/// What `--type=preserve` keeps.
const PRESERVED: [&str; 4] = [
    "pg_data/recovery.signal",
    "pg_data/standby.signal",
    "pg_data/recovery.conf",
    "pg_data/postgresql.auto.conf",
];

fn refuse_other_restore(request: &Request, marker: Option<&Marker>, resumes: bool) -> Result<()> {
    if marker.is_none() || resumes || request.delta || request.force {
        return Ok(());
    }
    let data_dir = request.data_dir.display();
    Err(Report::new(crate::base::Kind::Refused(None), format!("another restore was interrupted in {data_dir}"))
        .hint("run that restore's command again to finish it, or use --delta to turn what stands there into this one"))
}

/// The bytes of the target; sizes that cannot be are a lie of the manifest.
fn total_bytes(manifest: &Manifest) -> Result<u64> {
    let mut total = 0_u64;
    for number in 0..manifest.files.len() {
        total = total
            .checked_add(manifest.files.get(number).size_bytes)
            .filter(|sum| i64::try_from(*sum).is_ok())
            .ok_or_else(|| {
                Report::damaged(format!(
                    "the sizes in the manifest of {} add up to more than any disk holds",
                    manifest.label
                ))
            })?;
    }
    Ok(total)
}

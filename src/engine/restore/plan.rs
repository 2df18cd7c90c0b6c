//! A restore worked out to the last number before anything is written.
//!
//! Building a plan reads the repository and looks at the target; it writes nothing. What it holds is what
//! [`execute`](super::execute) does.

use super::copy::CONTROL_NAME;
use super::execute;
use super::guards;
use super::layout::Layout;
use super::marker::Marker;
use super::prepare::{self, Survey};
use super::request::Request;
use super::select::{self, Choice};
use super::selective::Selection;
use super::space::{self, Filesystem};
use crate::base::{Kind, Report, Result};
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
    /// Manifest names of files that stay as they stand in the target.
    pub(super) preserved: Vec<String>,
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
        if let Err(report) = execute::lock_target(&request.data_dir)
            && matches!(report.kind, Kind::Refused(_))
        {
            return Err(report);
        }
        let marker = Marker::of_unfinished(&request.data_dir)?;
        let resumed = marker.as_ref().filter(|m| m.is_of(&request.identity()));
        refuse_other_restore(&request, marker.as_ref(), resumed.is_some())?;
        let choice = match select::choose(&request, repositories, resumed, cancel) {
            // Its backup set may be gone by now; what stands in the target may be turned into another one.
            Err(report) if resumed.is_some() && (request.delta || request.force) && !is_cancel(&report) => {
                warnings.push(format!("the interrupted restore cannot be finished ({})", report.headline));
                let choice = select::choose(&request, repositories, None, cancel)?;
                return Self::from_choice(request, choice, None, warnings);
            }
            other => other?,
        };
        Self::from_choice(request.clone(), choice, resumed, warnings)
    }

    fn from_choice(
        request: Request,
        choice: Choice,
        earlier: Option<&Marker>,
        mut warnings: Vec<String>,
    ) -> Result<Self> {
        let Choice { repository, manifest, proof, warnings: said } = choice;
        warnings.extend(said);
        if manifest.files.find(CONTROL_NAME).is_none_or(|n| manifest.files.get(n).size_bytes == 0) {
            return Err(Report::damaged(format!(
                "the manifest of backup {} has no {CONTROL_NAME}: nothing restored from it could start",
                manifest.label
            ))
            .hint("restore another backup set (--set), or the same one from another repository (--repo)"));
        }
        let resumes = earlier.is_some();
        let layout = Layout::build(&manifest, &request.data_dir, &request.maps)?;
        warnings.extend(layout.warnings().iter().cloned());
        let selection = Selection::build(&manifest, &request.db_include, &request.db_exclude)?;
        let survey = prepare::survey(&manifest, &layout)?;
        warnings.extend(guards::may_overwrite(&request, &manifest, &layout, &survey, resumes)?);
        request.unless_accepted(guards::can_fetch(&request, &manifest), &mut warnings)?;
        let preserved = match earlier {
            Some(marker) => marker.preserved().to_vec(),
            None => preserved_in(&request, &manifest, &layout),
        };
        let blank = |number: usize| selection.is_blank(manifest.files.get(number).name);
        let wal_bytes = proof.as_ref().map_or(0, Proof::wal_bytes).min(WAL_ON_DISK_LIMIT_BYTES);
        let filesystems = space::filesystems(&manifest, &layout, wal_bytes, &survey.standing_bytes, &blank)?;
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
            preserved,
            warnings,
        })
    }

    /// True for files of the backup that are not restored.
    pub(super) fn leaves_out(&self, name: &str) -> bool {
        name == prepare::TABLESPACE_MAP || self.preserved.iter().any(|kept| kept == name)
    }
}

fn is_cancel(report: &Report) -> bool {
    report.kind == Kind::Cancelled
}

/// The recovery settings that stand in the target and stay as they are.
fn preserved_in(request: &Request, manifest: &Manifest, layout: &Layout) -> Vec<String> {
    let names: &[&str] = if request.recovery != Recovery::Preserve {
        &[]
    } else if manifest.db.version.at_least(12) {
        &["pg_data/recovery.signal", "pg_data/standby.signal", "pg_data/postgresql.auto.conf"]
    } else {
        &["pg_data/recovery.conf"]
    };
    let stands = |name: &&&str| layout.path_of(name).is_some_and(|path| path.exists());
    names.iter().filter(stands).map(|name| (*name).to_owned()).collect()
}

fn refuse_other_restore(request: &Request, marker: Option<&Marker>, resumes: bool) -> Result<()> {
    if marker.is_none() || resumes || request.delta || request.force {
        return Ok(());
    }
    let data_dir = request.data_dir.display();
    Err(Report::new(Kind::Refused(None), format!("another restore was interrupted in {data_dir}"))
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

//! Taking out what a plan says, in the order that leaves a sound repository at every moment.
//!
//! Each step removes only what no listed backup needs any more, because `backup.info` goes first.

use super::view::ExpireView;
use super::{Cut, Plan};
use crate::base::{Context as _, Report, Result};
use crate::model::op::{Cancel, Event, Sink};
use crate::repo::Archive;
use std::time::Instant;

/// Does it, and gives what was done.
pub fn execute(plan: &Plan, sink: &dyn Sink, cancel: &Cancel) -> Result<ExpireView> {
    let started = Instant::now();
    let stanza = &plan.stanza;
    let key = stanza.repository().key();
    let step = |name: &str, count: usize, work: &dyn Fn() -> Result<()>| {
        if count == 0 {
            return Ok::<_, Report>(());
        }
        let step = format!("repo{key}: {name}");
        sink.event(Event::StepStarted { step: step.clone() });
        let began = Instant::now();
        work().while_doing(|| format!("expiring stanza '{}': {step}", stanza.name()))?;
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        sink.event(Event::StepDone { step, took_ms, detail: count.to_string() });
        Ok(())
    };
    cancel.check()?;
    step("save backup.info", usize::from(plan.save), &|| Ok(stanza.save_backup_info(&plan.info)?))?;
    step("repoint latest", usize::from(plan.latest.is_some()), &|| {
        plan.latest.iter().try_for_each(|label| Ok(stanza.point_latest(label)?))
    })?;
    step("unmake expired backups", plan.unmade.len(), &|| {
        plan.unmade.iter().try_for_each(|label| {
            cancel.check()?;
            Ok(stanza.unmake_backup(label)?)
        })
    })?;
    step("remove backups", plan.folders.len(), &|| {
        plan.folders.iter().try_for_each(|label| {
            cancel.check()?;
            Ok(stanza.remove_label_folder(label)?)
        })
    })?;
    let pieces =
        |cut: &Cut| usize::from(cut.whole) + cut.folders.len() + cut.files.len() + cut.histories.len();
    step("remove WAL", plan.cuts.iter().map(pieces).sum(), &|| {
        plan.archive
            .iter()
            .try_for_each(|archive| plan.cuts.iter().try_for_each(|cut| remove(archive, cut, cancel)))
    })?;
    step("remove old manifests", plan.kept.years.len() + plan.kept.manifests.len(), &|| {
        plan.kept.years.iter().try_for_each(|year| stanza.remove_kept_year(year))?;
        Ok(plan.kept.manifests.iter().try_for_each(|label| stanza.remove_kept_manifest(label))?)
    })?;
    let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(ExpireView { took_ms: Some(took_ms), ..plan.view() })
}

fn remove(archive: &Archive, cut: &Cut, cancel: &Cancel) -> Result<()> {
    if cut.whole {
        return Ok(archive.remove_id(cut.id)?);
    }
    for folder in &cut.folders {
        cancel.check()?;
        archive.remove_wal_folder(cut.id, folder)?;
    }
    for file in &cut.files {
        cancel.check()?;
        archive.remove_wal_file(cut.id, file)?;
    }
    Ok(cut.histories.iter().try_for_each(|timeline| archive.remove_history(cut.id, *timeline))?)
}

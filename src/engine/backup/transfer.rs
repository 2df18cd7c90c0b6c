//! Copying all files by many threads, telling how far it is, and keeping the unfinished manifest fresh.

use super::blocks::BlockPolicy;
use super::copy::{Copier, Done, Shared};
use super::draft::Draft;
use super::plan::Plan;
use super::queue::Queue;
use super::run::{Around, Known};
use super::scan::Scan;
use super::servers::Servers;
use super::source::{PageOptions, Places};
use crate::base::{Report, Result};
use crate::engine::locks::Held;
use crate::model::op::Tally;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How often progress is told, and the lock file rewritten.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);
/// How often the session that holds the backup is asked whether it is still there: without it all copying is in vain.
const ASK_EVERY: Duration = Duration::from_secs(10);
/// The unfinished manifest is saved at most each time this share of all was copied.
const SAVE_SHARE: u64 = 100;

/// Copies what the plan says; the draft knows what became of every file.
pub(super) fn copy<'p>(
    around: &Around<'_>,
    known: &Known,
    plan: &'p Plan,
    scan: &'p Scan,
    locks: &mut Held,
) -> Result<Draft<'p>> {
    let request = around.request;
    let storage = &**around.stanza.repository().storage();
    let bundling = request.bundle.is_some();
    let mut draft = Draft::new(scan, &plan.decisions, plan.prior.as_ref(), bundling, plan.checksum_page);
    make_folders(around, plan, scan)?;
    save(around, known, plan, &draft)?;
    let encoders = plan.encoders(request)?;
    let relations = known.servers.as_ref().map_or(known.primary_dir.as_path(), |s| s.relations_dir());
    let pages = plan.checksum_page.then_some(PageOptions {
        page_bytes: known.control.page_bytes,
        header_check: request.page_header_check,
    });
    let block = request.block.map(|blocks| BlockPolicy {
        sizes: blocks,
        full: plan.prior_label().is_none(),
        reference: u32::try_from(plan.references().len() - 1).unwrap_or(u32::MAX),
        start: plan.started_at,
    });
    let (tally, stop) = (Tally::default(), AtomicBool::new(false));
    let insert_lsn = || known.servers.as_ref()?.insert_lsn();
    let shared = Shared {
        storage,
        folder: &plan.folder,
        scan,
        decisions: &plan.decisions,
        prior: plan.prior.as_ref().filter(|_| !plan.resumed),
        encoders: &encoders,
        places: Places { primary: &known.primary_dir, relations },
        pages,
        start_lsn: plan.start.map(|start| start.lsn),
        insert_lsn: &insert_lsn,
        block,
        bundling: request.bundle.is_some(),
        tally: &tally,
        cancel: around.cancel,
        stop: &stop,
    };
    let queue = Queue::build(scan, &plan.decisions, request.bundle, plan.first_bundle);
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..request.process_max.max(1) {
            let (sender, shared, queue) = (sender.clone(), &shared, &queue);
            scope.spawn(move || work(shared, queue, &sender));
        }
        drop(sender);
        let mut watch = Watch { around, known, plan, scan, tally: &tally, locks };
        let result = watch.until_done(&receiver, &mut draft);
        if result.is_err() {
            stop.store(true, Ordering::Relaxed);
        }
        result
    })?;
    Ok(draft)
}

/// One thread: jobs until there are none, or one has failed.
fn work(shared: &Shared<'_>, queue: &Queue, to: &mpsc::Sender<Result<Vec<Done>>>) {
    let mut copier = Copier::new(shared);
    while let Some(job) = queue.take() {
        let done = copier.run(job);
        let failed = done.is_err();
        // Nobody listens any more once another thread has failed.
        if to.send(done).is_err() || failed {
            return;
        }
    }
}

/// Who watches the threads.
struct Watch<'a, 'b> {
    around: &'a Around<'b>,
    known: &'a Known,
    plan: &'a Plan,
    scan: &'a Scan,
    tally: &'a Tally,
    locks: &'a mut Held,
}

impl Watch<'_, '_> {
    fn until_done(&mut self, from: &Receiver<Result<Vec<Done>>>, draft: &mut Draft<'_>) -> Result<()> {
        let total = self.plan.copied_bytes(self.scan);
        let save_every = self.around.request.save_every_bytes.max(total / SAVE_SHARE).max(1);
        let (mut told, mut asked, mut saved_at) = (Instant::now(), Instant::now(), 0);
        let mut failure: Option<Report> = None;
        loop {
            match from.recv_timeout(PROGRESS_EVERY) {
                Ok(Ok(done)) => draft.take(done),
                Ok(Err(report)) => {
                    failure = Some(report);
                    break;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let sample = self.tally.sample(total, self.plan.copied_files());
            if told.elapsed() >= PROGRESS_EVERY {
                told = Instant::now();
                self.around.sink.progress(sample);
                self.locks.progress(sample.bytes_done.min(total), total);
            }
            if asked.elapsed() >= ASK_EVERY {
                asked = Instant::now();
                self.known.servers.as_ref().map_or(Ok(()), Servers::still_there)?;
            }
            // A file that is not whole yet is nothing that could be taken up.
            if self.around.request.resume && draft.stored_bytes() >= saved_at + save_every {
                saved_at = draft.stored_bytes();
                save(self.around, self.known, self.plan, draft)?;
            }
        }
        self.around.sink.progress(self.tally.sample(total, self.plan.copied_files()));
        if let Some(report) = failure {
            // What was stored so far can be taken up.
            save(self.around, self.known, self.plan, draft).unwrap_or(());
            return Err(report);
        }
        Ok(())
    }
}

/// Saves the manifest as it stands.
pub(super) fn save(around: &Around<'_>, known: &Known, plan: &Plan, draft: &Draft<'_>) -> Result<()> {
    let folder = around.stanza.backup_folder()?;
    let mut manifest = plan.frame(around.request, &known.info, &known.control, folder)?;
    draft.fill(&mut manifest, &[])?;
    Ok(around.stanza.save_partial_manifest(&known.info, &manifest)?)
}

/// A full backup without bundles, and one with hard links, has every folder of the cluster.
fn make_folders(around: &Around<'_>, plan: &Plan, scan: &Scan) -> Result<()> {
    let storage = &**around.stanza.repository().storage();
    storage.make_folder(&plan.folder)?;
    let whole = plan.prior_label().is_none() && around.request.bundle.is_none();
    if whole || around.request.hardlink {
        for path in &scan.paths {
            storage.make_folder(&plan.folder.join(&path.name)?)?;
        }
        for target in scan.targets.iter().filter(|target| target.tablespace.is_some()) {
            let link = plan.folder.join("pg_data")?.join(&target.name)?;
            storage.point(&link, &format!("../../{}", target.name))?;
        }
    }
    Ok(())
}

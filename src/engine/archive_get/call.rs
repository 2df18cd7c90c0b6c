//! One try at one request: spool, repositories, salvage folder, in this order.

use super::deliver::{Identity, Temporary, put_small};
use super::lookup::{Archives, Search};
use super::salvage::Salvage;
use super::spool::{self, Spool, Taken};
use super::{Answer, GetError, Job, Wanted};
use crate::base::WalSegment;
use crate::cluster::control::ControlFile;
use crate::engine::repositories::Slot;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often a segment that is just arriving in the spool is looked at.
const ARRIVAL_POLL: Duration = Duration::from_millis(2);
/// A segment in the spool that has not grown for so long is not waited for.
const ARRIVAL_STALL: Duration = Duration::from_secs(2);

/// One try at one request.
pub(super) struct Call<'a> {
    job: &'a Job,
    pub(super) destination: &'a Path,
    control: ControlFile,
    pub(super) identity: Identity,
    pub(super) spool: Option<Spool>,
    /// Why there is no spool though one was wanted.
    no_spool: Option<String>,
}

impl<'a> Call<'a> {
    pub(super) fn begin(job: &'a Job, wanted: Wanted, destination: &'a Path) -> Result<Self, GetError> {
        let control = ControlFile::read(&job.data_dir)?;
        if control.checkpoint_is_marked_unusable() && !job.data_dir.join("backup_label").exists() {
            return Err(GetError::LabelGone(job.data_dir.clone()));
        }
        let identity = Identity::of(&control);
        // Only segments are fetched ahead, and only they show how far a recovery is.
        let ahead = matches!(wanted, Wanted::Segment(_));
        let opened = job.spool_path.as_ref().filter(|_| ahead).map(|path| {
            let describe = |slot: &Slot| match &slot.repository {
                Ok(repository) => format!("{} {}", slot.key, repository.storage().describe()),
                Err(_) => format!("{} -", slot.key),
            };
            let places: Vec<String> = job.repositories.iter().map(describe).collect();
            let folder = spool::folder_for(path, &job.stanza, &job.data_dir, &control, &places);
            folder.and_then(Spool::open).map_err(|error| format!("{}: {error}", path.display()))
        });
        let (spool, no_spool) = match opened {
            Some(Ok(spool)) => (Some(spool), None),
            Some(Err(why)) => (None, Some(why)),
            None => (None, None),
        };
        Ok(Self { job, destination, control, identity, spool, no_spool })
    }

    pub(super) fn salvage(&self) -> Option<Salvage<'_>> {
        self.job.salvage.as_ref().map(|folder| Salvage { folder, identity: self.identity })
    }

    pub(super) fn answer(&self, wanted: Wanted) -> Result<Answer, GetError> {
        let mut warnings = Vec::new();
        if let (Wanted::Segment(segment), Some(spool)) = (wanted, &self.spool)
            && let Some(answer) = self.take_from_spool(spool, segment, &mut warnings)
        {
            return Ok(answer);
        }
        let (archives, failures) = Archives::open(&self.job.repositories, &self.job.stanza, self.identity);
        warnings.extend(archives.warnings.iter().cloned());
        match wanted {
            Wanted::Segment(segment) => self.segment(segment, &archives, failures, warnings),
            Wanted::Partial(_) => {
                let mut search = archives.search(wanted)?;
                search.failures.splice(0..0, failures);
                match self.first_good(&archives, &mut search, &warnings)? {
                    Some(delivered) => Ok(delivered),
                    None => self.absent(&archives, search.failures),
                }
            }
            Wanted::History(timeline) => self.history(timeline, &archives, failures, warnings),
            Wanted::BackupHistory(..) => {
                let (found, others) = archives.small(wanted);
                match found.into_iter().next() {
                    Some((from, content)) => {
                        put_small(&content, self.destination)?;
                        Ok(Answer::Delivered { from, warnings })
                    }
                    None => self.absent(&archives, failures.into_iter().chain(others).collect()),
                }
            }
        }
    }

    /// Absence, if nothing failed.
    pub(super) fn absent(&self, archives: &Archives, failures: Vec<GetError>) -> Result<Answer, GetError> {
        if let Some(error) = GetError::all(failures) {
            return Err(error);
        }
        let salvage = self.job.salvage.as_ref().map(|folder| format!(", {}", folder.display()));
        Ok(Answer::Absent { looked_at: format!("{}{}", archives.looked_at(), salvage.unwrap_or_default()) })
    }

    /// A segment that was fetched ahead, or is just arriving.
    fn take_from_spool(
        &self,
        spool: &Spool,
        segment: WalSegment,
        warnings: &mut Vec<String>,
    ) -> Option<Answer> {
        let size_bytes = u64::from(self.identity.segment_size.bytes());
        let (mut seen, mut since) = (0, Instant::now());
        loop {
            // Looked at before the segment itself: it may become ready between the two.
            let arriving = spool.arriving_bytes(segment);
            match spool.take(segment, size_bytes, self.destination) {
                Ok(Taken::Delivered(from)) => {
                    let from = format!("spool ({from})");
                    return Some(Answer::Delivered { from, warnings: std::mem::take(warnings) });
                }
                Ok(Taken::None) => {}
                Ok(Taken::Unsound(why)) => {
                    warnings.push(format!("the copy fetched ahead was thrown away: {why}"));
                    return None;
                }
                Err(error) => {
                    warnings.push(format!("the copy fetched ahead cannot be used: {error}"));
                    return None;
                }
            }
            let bytes = arriving?;
            if bytes > seen {
                (seen, since) = (bytes, Instant::now());
            }
            if since.elapsed() > ARRIVAL_STALL || !spool.is_attended() {
                return None;
            }
            std::thread::sleep(ARRIVAL_POLL);
        }
    }

    fn segment(
        &self,
        segment: WalSegment,
        archives: &Archives,
        failures: Vec<GetError>,
        warnings: Vec<String>,
    ) -> Result<Answer, GetError> {
        let mut search = archives.search(Wanted::Segment(segment))?;
        search.failures.splice(0..0, failures);
        if let Some(delivered) = self.first_good(archives, &mut search, &warnings)? {
            return Ok(delivered);
        }
        if let (Some(copy), Some(salvage)) = (search.copies.first(), self.salvage())
            && salvage.replace(segment, copy.stored.sha1, self.destination)?
        {
            let from = salvage.folder.display().to_string();
            return Ok(Answer::Delivered { from, warnings: with_failures(warnings, &search.failures) });
        }
        if let Some(error) = GetError::all(search.failures) {
            return Err(error);
        }
        if let Some(salvage) = self.salvage()
            && salvage.deliver(segment, archives, (&self.job.data_dir, &self.control), self.destination)?
        {
            return Ok(Answer::Delivered { from: salvage.folder.display().to_string(), warnings });
        }
        self.absent_or_gap(segment, archives, &warnings)
    }

    /// Delivers the first copy that is sound; those that are not become failures.
    fn first_good(
        &self,
        archives: &Archives,
        search: &mut Search<'_>,
        warnings: &[String],
    ) -> Result<Option<Answer>, GetError> {
        let failed = |source| GetError::Destination { path: self.destination.to_owned(), source };
        for copy in &search.copies {
            let mut target = Temporary::beside(self.destination).map_err(failed)?;
            match archives.copy(copy, target.file(), self.destination) {
                Ok(_) => {
                    target.publish().map_err(failed)?;
                    let warnings = with_failures(warnings.to_vec(), &search.failures);
                    let slow = self.no_spool.iter().map(|why| format!(" (nothing is fetched ahead: {why})"));
                    let from = slow.fold(copy.from(), |from, why| from + &why);
                    return Ok(Some(Answer::Delivered { from, warnings }));
                }
                Err(error @ GetError::Destination { .. }) => return Err(error),
                Err(error) => search.failures.push(error),
            }
        }
        Ok(None)
    }

    /// A segment that is nowhere: the end of the archive, unless later ones are there.
    fn absent_or_gap(
        &self,
        segment: WalSegment,
        archives: &Archives,
        warnings: &[String],
    ) -> Result<Answer, GetError> {
        let later = |archives: &Archives| -> Result<_, GetError> {
            if let Some(found) = archives.later(segment)? {
                return Ok(Some(found));
            }
            let Some(salvage) = self.salvage() else { return Ok(None) };
            Ok(salvage.later(segment)?.map(|later| (later, salvage.folder.display().to_string())))
        };
        if later(archives)?.is_none() {
            return self.absent(archives, Vec::new());
        }
        // Segments are uploaded by several processes at once and may arrive out of order.
        std::thread::sleep(self.job.patience.upload);
        let mut search = archives.search(Wanted::Segment(segment))?;
        if let Some(delivered) = self.first_good(archives, &mut search, warnings)? {
            return Ok(delivered);
        }
        if let Some(error) = GetError::all(search.failures) {
            return Err(error);
        }
        match later(archives)? {
            Some((later, place)) => Err(GetError::Gap { missing: segment, later, place }),
            None => self.absent(archives, Vec::new()),
        }
    }
}

pub(super) fn with_failures(mut warnings: Vec<String>, failures: &[GetError]) -> Vec<String> {
    warnings.extend(failures.iter().map(ToString::to_string));
    warnings
}

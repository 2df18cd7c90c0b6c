//! The order in which files are restored, as jobs that many threads can take.
//!
//! Large files first, so that no thread is left with one at the end; files of one bundle together and in the order
//! in which they are stored, so that a bundle is read once from front to back; empty files last. Holds four bytes
//! per file.

use crate::repo::Manifest;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many files without stored content one job takes.
const EMPTY_FILES_PER_JOB: usize = 1000;

/// What a job is about.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// One file with its own stored object, or stored in blocks.
    Single,
    /// Neighbours in one bundle.
    Bundle,
    /// Files without stored content.
    Empty,
}

/// Jobs over file numbers of a manifest.
#[derive(Debug)]
pub(super) struct Queue {
    order: Vec<u32>,
    jobs: Vec<(Kind, Range<usize>)>,
    next: AtomicUsize,
}

/// One job, taken by one thread.
#[derive(Debug)]
pub(super) enum Job<'a> {
    /// A file with its own stored object, or stored in blocks.
    Single(usize),
    /// Files of one bundle in the order they are stored.
    Bundle(&'a [u32]),
    /// Files that need nothing from the repository.
    Empty(&'a [u32]),
}

impl Queue {
    /// Plans all files for which `wanted` is true; those for which `blank` is true need nothing from the repository.
    pub(super) fn build(
        manifest: &Manifest,
        wanted: impl Fn(usize) -> bool,
        blank: impl Fn(usize) -> bool,
    ) -> Self {
        let files = &manifest.files;
        let (mut singles, mut bundled, mut empty) = (Vec::new(), Vec::new(), Vec::new());
        for number in (0..files.len()).filter(|n| wanted(*n)) {
            let Ok(id) = u32::try_from(number) else { break };
            let file = files.get(number);
            if file.size_bytes == 0 || blank(number) {
                empty.push(id);
            } else if file.bundle.is_some() && file.block.is_none() {
                bundled.push(id);
            } else {
                singles.push(id);
            }
        }
        let size = |id: &u32| files.get(*id as usize).size_bytes;
        singles.sort_unstable_by_key(|id| std::cmp::Reverse(size(id)));
        let place = |id: &u32| {
            let file = files.get(*id as usize);
            (file.owner, file.bundle)
        };
        bundled.sort_unstable_by(|a, b| place(a).cmp(&place(b)));
        let mut jobs: Vec<_> = (0..singles.len()).map(|i| (Kind::Single, i..i + 1)).collect();
        let mut order = singles;
        let bundle_of = |id: &u32| {
            let file = files.get(*id as usize);
            (file.owner, file.bundle.map(|(bundle, _)| bundle))
        };
        for group in bundled.chunk_by(|a, b| bundle_of(a) == bundle_of(b)) {
            jobs.push((Kind::Bundle, order.len()..order.len() + group.len()));
            order.extend_from_slice(group);
        }
        for group in empty.chunks(EMPTY_FILES_PER_JOB) {
            jobs.push((Kind::Empty, order.len()..order.len() + group.len()));
            order.extend_from_slice(group);
        }
        Self { order, jobs, next: AtomicUsize::new(0) }
    }

    /// The next job, or nothing when all are taken.
    pub(super) fn take(&self) -> Option<Job<'_>> {
        let (kind, range) = self.jobs.get(self.next.fetch_add(1, Ordering::Relaxed))?;
        let files = &self.order[range.clone()];
        Some(match kind {
            Kind::Single => Job::Single(files[0] as usize),
            Kind::Bundle => Job::Bundle(files),
            Kind::Empty => Job::Empty(files),
        })
    }
}

//! The order in which files are copied, as jobs that many threads can take.
//!
//! Files with an object of their own come first, the largest before all, so that no thread is left with one at the end;
//! then bundles, each made by one thread from front to back. What was written at about the same time stands in one bundle,
//! because it will change at about the same time.

use super::compare::Decision;
use super::request::Bundling;
use super::scan::Scan;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One job, taken by one thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Job {
    /// A file with an object of its own.
    Single(u32),
    /// Files that go into the bundle of this number.
    Bundle(u64, Vec<u32>),
}

/// The jobs of a backup.
#[derive(Debug)]
pub(super) struct Queue {
    jobs: Vec<Job>,
    next: AtomicUsize,
}

impl Queue {
    /// Jobs for every file that is copied; bundles are numbered from `first_bundle`.
    pub(super) fn build(
        scan: &Scan,
        decisions: &[Decision],
        bundling: Option<Bundling>,
        first_bundle: u64,
    ) -> Self {
        let copied = decisions.iter().enumerate().filter(|(_, d)| matches!(d, Decision::Copy { .. }));
        let numbers = copied.filter_map(|(at, _)| u32::try_from(at).ok());
        let limit = bundling.map_or(0, |bundling| bundling.limit_bytes);
        let file = |number: &u32| &scan.files[*number as usize];
        let (mut small, mut large): (Vec<u32>, Vec<u32>) =
            numbers.partition(|number| bundling.is_some() && file(number).size_bytes <= limit);
        large.sort_by(|a, b| file(b).size_bytes.cmp(&file(a).size_bytes).then(a.cmp(b)));
        small.sort_by(|a, b| file(a).modified_s.cmp(&file(b).modified_s).then(a.cmp(b)));
        let mut jobs: Vec<Job> = large.into_iter().map(Job::Single).collect();
        let full = bundling.map_or(0, |bundling| bundling.size_bytes);
        let (mut bundle, mut bytes, mut id) = (Vec::new(), 0, first_bundle);
        for number in small {
            bytes += file(&number).size_bytes;
            bundle.push(number);
            if bytes >= full {
                jobs.push(Job::Bundle(id, std::mem::take(&mut bundle)));
                (bytes, id) = (0, id + 1);
            }
        }
        if !bundle.is_empty() {
            jobs.push(Job::Bundle(id, bundle));
        }
        Self { jobs, next: AtomicUsize::new(0) }
    }

    /// The next job nobody has taken.
    pub(super) fn take(&self) -> Option<&Job> {
        self.jobs.get(self.next.fetch_add(1, Ordering::Relaxed))
    }
}

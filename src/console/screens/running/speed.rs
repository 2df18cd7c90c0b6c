//! How fast the copy goes: the rate over the last samples. Knows only what the samples say; no clock is read.

use crate::base::Timestamp;
use crate::console::widgets::elapsed;
use crate::model::op::Snapshot;
use std::collections::VecDeque;

/// Samples older than this against the newest do not count, milliseconds.
const WINDOW_MS: u64 = 15_000;

/// The last samples of one operation's copy.
#[derive(Debug, Default)]
pub(super) struct Speed {
    operation: String,
    samples: VecDeque<(Timestamp, u64)>,
}

impl Speed {
    /// Takes a sample in; one that was seen before changes nothing.
    pub(super) fn take(&mut self, snapshot: &Snapshot) {
        let (Some(copy), Some(at)) = (snapshot.copy, snapshot.sampled_at) else { return };
        if self.operation != snapshot.spec.id.as_str() {
            snapshot.spec.id.as_str().clone_into(&mut self.operation);
            self.samples.clear();
        }
        // Less than before is another copy: a target was tried again.
        if self.samples.back().is_some_and(|(_, bytes)| *bytes > copy.bytes_done) {
            self.samples.clear();
        }
        if self.samples.back().is_none_or(|(last, _)| *last < at) {
            self.samples.push_back((at, copy.bytes_done));
        }
        while self.samples.len() > 2 && self.span_ms() > WINDOW_MS {
            self.samples.pop_front();
        }
    }

    fn span_ms(&self) -> u64 {
        let (Some(first), Some(last)) = (self.samples.front(), self.samples.back()) else { return 0 };
        elapsed(first.0, last.0)
    }

    /// Bytes per second of `operation`; nothing before there are two samples.
    pub(super) fn bytes_per_s(&self, operation: &str) -> Option<u64> {
        if self.operation != operation || self.span_ms() == 0 {
            return None;
        }
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        let per_s = u128::from(last.1.saturating_sub(first.1)) * 1000 / u128::from(self.span_ms());
        u64::try_from(per_s).ok()
    }

    /// For how long the copy has not moved, milliseconds, up to the newest sample.
    pub(super) fn still_ms(&self, operation: &str) -> u64 {
        let Some(last) = self.samples.back().filter(|_| self.operation == operation) else { return 0 };
        let same = self.samples.iter().rev().take_while(|(_, bytes)| *bytes == last.1).last();
        same.map_or(0, |first| elapsed(first.0, last.0))
    }
}

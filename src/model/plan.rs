//! A recovery as it is proposed: the request a person makes and the plan shown for a yes. Plain values.

use super::forecast::Forecast;
use crate::base::{Millis, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

/// What a person asks for: where to recover to. Everything else comes from the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoverRequest {
    /// The stanza.
    pub stanza: String,
    /// `time`, `name`, `lsn`, `xid` or `immediate`.
    pub kind: String,
    /// Targets of that kind, the best first; the others are tried, each earlier than the one before, if the
    /// application's check finds the damage in what was recovered.
    pub targets: Vec<String>,
    /// Stop just before the target instead of just after.
    pub exclusive: bool,
    /// The timeline to follow; nothing = the one the cluster is on.
    pub timeline: Option<u32>,
    /// The backup set; nothing = chosen.
    pub set: Option<String>,
    /// Ask a person at the pause before promotion.
    pub asks: bool,
    /// Make no backup of the recovered cluster.
    #[serde(default)]
    pub no_first_backup: bool,
}

impl RecoverRequest {
    /// The target as it was asked for.
    pub fn in_words(&self) -> String {
        self.targets.first().unwrap_or(&self.kind).clone()
    }

    /// True if the end of the archive is asked for.
    pub fn is_latest(&self) -> bool {
        self.kind == LATEST
    }

    /// The same for the end of the archive; nothing if that is what is asked for.
    pub fn to_latest(&self) -> Option<Self> {
        (!self.is_latest()).then(|| Self {
            kind: LATEST.to_owned(),
            targets: Vec::new(),
            exclusive: false,
            set: None,
            timeline: None,
            ..self.clone()
        })
    }
}

/// The kind of target that is the end of the archive.
const LATEST: &str = "default";

/// How a check of the plan came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// It holds.
    Ok,
    /// It holds, but somebody should know something.
    Warn,
    /// It does not hold: the recovery is refused.
    Fail,
    /// It could not be told.
    Unknown,
}

/// One check of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// How it came out.
    pub state: CheckState,
    /// What was checked and what came out, one sentence.
    pub text: String,
}

/// A recovery in place, worked out; nothing was written for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecoverPlan {
    /// What was asked for.
    pub request: RecoverRequest,
    /// The target in words.
    pub target: String,
    /// The target as a moment, if it is one, or if the proof knows one.
    pub target_at: Option<Timestamp>,
    /// The data directory that will be replaced.
    pub data_dir: PathBuf,
    /// Repository and backup set.
    pub repo: Option<u32>,
    /// The set's label.
    pub set: Option<String>,
    /// When the set ended.
    pub set_stop: Option<Timestamp>,
    /// Bytes and files to be copied.
    pub copy_bytes: u64,
    /// Files.
    pub copy_files: u64,
    /// WAL to be replayed, bytes.
    pub replay_bytes: u64,
    /// Segments.
    pub replay_segments: u64,
    /// Timeline followed.
    pub timeline: Option<u32>,
    /// Room: path, bytes needed, bytes free.
    pub space: Vec<(PathBuf, u64, u64)>,
    /// The last commit that will be there.
    pub last_commit: Option<Timestamp>,
    /// The first commit that will be missing.
    pub first_lost_commit: Option<Timestamp>,
    /// Everything after this moment up to the newest WAL is given up; the newest moment known.
    pub newest: Option<Timestamp>,
    /// How long it will take, from what recoveries of this cluster on this host took; nothing if none was measured.
    pub forecast: Option<Forecast>,
    /// The checks, all of them.
    pub checks: Vec<Check>,
    /// The steps, in their order.
    pub steps: Vec<String>,
    /// The command that does exactly this, for a shell.
    pub command: String,
    /// Digest of everything above that decides what is done: what was confirmed is what is executed.
    pub digest: String,
}

/// What a recovery gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "loss", rename_all = "snake_case")]
pub enum Loss {
    /// The work between two moments.
    Span {
        /// The first commit that will be missing; where that is not known, the last that will be there.
        from: Timestamp,
        /// The newest commit known.
        to: Timestamp,
        /// `from` is the first commit that will be missing.
        exact: bool,
    },
    /// Every commit from this one on; how many is not known.
    From {
        /// The first commit that will be missing.
        from: Timestamp,
    },
    /// Work up to this commit; from when on is not known.
    UpTo {
        /// The newest commit known.
        to: Timestamp,
    },
    /// Every commit after this one, the last that will be there; how many is not known.
    After {
        /// The last commit that will be there.
        last: Timestamp,
    },
    /// No commit: the log was read to its end, and nothing stands behind the target.
    Nothing,
    /// It cannot be told: no commit near the target was read.
    Unknown,
}

impl Loss {
    /// How long the work took that is given up, milliseconds; nothing where that is not known.
    pub fn span_ms(&self) -> Option<u64> {
        match self {
            Self::Span { from, to, .. } => {
                Some(u64::try_from(to.0.saturating_sub(from.0) / 1000).unwrap_or(0))
            }
            Self::Nothing => Some(0),
            Self::From { .. } | Self::UpTo { .. } | Self::After { .. } | Self::Unknown => None,
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Span { from, exact, .. } => {
                let span = Millis(self.span_ms().unwrap_or(0));
                let side = if *exact { "from" } else { "after" };
                write!(out, "{span} of work {side} {}", exactly(*from))
            }
            Self::From { from } => write!(out, "every commit from {} on", exactly(*from)),
            Self::UpTo { to } => write!(out, "work up to {}; how much is not known", exactly(*to)),
            Self::After { last } => {
                write!(out, "every commit after {}, if there is any: how many is not known", exactly(*last))
            }
            Self::Nothing => out.write_str("no commit that is known"),
            Self::Unknown => out.write_str("not known: no commit near the target was read"),
        }
    }
}

/// A moment as exactly as it is known.
fn exactly(at: Timestamp) -> String {
    let text = at.to_string();
    format!("{} UTC", text.strip_suffix("+00").unwrap_or(&text))
}

impl RecoverPlan {
    /// What it gives up.
    pub fn loss(&self) -> Loss {
        let newest = self.newest.filter(|newest| Some(*newest) > self.last_commit);
        match (self.first_lost_commit.or(self.last_commit), newest) {
            (Some(from), Some(to)) => Loss::Span { from, to, exact: self.first_lost_commit.is_some() },
            (None, Some(to)) => Loss::UpTo { to },
            (_, None) => match (self.first_lost_commit, self.last_commit) {
                (Some(from), _) => Loss::From { from },
                // Only who knows the newest commit knows that none is behind.
                (None, Some(_)) if self.newest.is_some() => Loss::Nothing,
                (None, Some(last)) => Loss::After { last },
                (None, None) => Loss::Unknown,
            },
        }
    }

    /// True if nothing refuses it.
    pub fn can_start(&self) -> bool {
        self.checks.iter().all(|check| check.state != CheckState::Fail)
    }

    /// True if this is the plan of what was asked: a timeline left open was filled in by the plan.
    pub fn answers(&self, asked: &RecoverRequest) -> bool {
        let timeline = asked.timeline.or(self.request.timeline);
        self.request == RecoverRequest { timeline, ..asked.clone() }
    }

    /// The recovery in one line.
    pub fn summary(&self) -> String {
        format!("recover {} in {} to {}", self.request.stanza, self.data_dir.display(), self.target)
    }

    /// What must be typed to start it: the stanza's name.
    pub fn word(&self) -> &str {
        &self.request.stanza
    }
}

#[cfg(test)]
impl RecoverPlan {
    /// A plan that nothing refuses, for tests.
    pub(crate) fn sample() -> Self {
        let request = RecoverRequest {
            stanza: "orders".to_owned(),
            kind: "time".to_owned(),
            targets: vec!["2026-11-21 02:03:00+00".to_owned()],
            exclusive: false,
            timeline: None,
            set: None,
            asks: false,
            no_first_backup: false,
        };
        Self {
            request,
            target: "2026-11-21 02:03:00+00".to_owned(),
            target_at: None,
            data_dir: "/srv/pg".into(),
            repo: None,
            set: None,
            set_stop: None,
            copy_bytes: 0,
            copy_files: 0,
            replay_bytes: 0,
            replay_segments: 0,
            timeline: None,
            space: Vec::new(),
            last_commit: None,
            first_lost_commit: None,
            newest: None,
            forecast: None,
            checks: Vec::new(),
            steps: Vec::new(),
            command: "pgmayday recover".to_owned(),
            digest: "7f3a".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_up_is_said_as_exactly_as_it_is_known() {
        let at = |s: i64| Some(Timestamp::from_unix_s(1_795_225_000 + s));
        let lost = |last, first_lost, newest| {
            let plan = RecoverPlan {
                last_commit: last,
                first_lost_commit: first_lost,
                newest,
                ..RecoverPlan::sample()
            };
            (plan.loss().to_string(), plan.loss().span_ms())
        };
        let told = |text: &str, ms| (text.to_owned(), ms);
        assert_eq!(
            lost(at(0), at(1), at(61)),
            told("1m00 of work from 2026-11-21 01:36:41 UTC", Some(60_000))
        );
        assert_eq!(
            lost(at(0), None, at(60)),
            told("1m00 of work after 2026-11-21 01:36:40 UTC", Some(60_000))
        );
        assert_eq!(lost(at(0), at(1), None), told("every commit from 2026-11-21 01:36:41 UTC on", None));
        assert_eq!(
            lost(None, None, at(0)),
            told("work up to 2026-11-21 01:36:40 UTC; how much is not known", None)
        );
        assert_eq!(lost(at(0), None, at(0)), told("no commit that is known", Some(0)));
        assert_eq!(
            lost(at(0), None, None),
            told("every commit after 2026-11-21 01:36:40 UTC, if there is any: how many is not known", None)
        );
        assert_eq!(lost(None, None, None), told("not known: no commit near the target was read", None));
    }

    #[test]
    fn the_latest_is_asked_for_once() {
        let latest = RecoverPlan::sample().request.to_latest().unwrap();
        assert_eq!((latest.kind.as_str(), latest.targets.len(), latest.exclusive), ("default", 0, false));
        assert_eq!(latest.to_latest(), None);
    }
}

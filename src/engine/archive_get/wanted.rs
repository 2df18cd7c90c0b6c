//! What PostgreSQL asks `restore_command` for: a name, understood or refused.
//!
//! Pure; the only names accepted are those an archive can hold.

use crate::base::units::is_upper_hex;
use crate::base::{Timeline, WalSegment};
use std::fmt;

/// One file of the archive, by what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// A whole WAL segment.
    Segment(WalSegment),
    /// The last, unfinished segment of a timeline that was left by a promotion; only people ask for it.
    Partial(WalSegment),
    /// The history of a timeline.
    History(Timeline),
    /// The description of a backup: the segment it began in and the offset inside it; only people ask for it.
    BackupHistory(WalSegment, u32),
}

impl Wanted {
    /// Understands a file name; nothing if no archive holds such a file.
    pub fn parse(name: &str) -> Option<Self> {
        if let Some(timeline) = Timeline::from_history_file(name) {
            return (timeline.0 != 0).then_some(Self::History(timeline));
        }
        let segment = name.get(..24)?.parse::<WalSegment>().ok().filter(|segment| segment.timeline.0 != 0)?;
        match name.get(24..)? {
            "" => Some(Self::Segment(segment)),
            ".partial" => Some(Self::Partial(segment)),
            rest => {
                let offset = rest.strip_prefix('.')?.strip_suffix(".backup")?;
                let offset =
                    is_upper_hex(offset, 8).then(|| u32::from_str_radix(offset, 16).ok()).flatten()?;
                Some(Self::BackupHistory(segment, offset))
            }
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Segment(segment) => write!(f, "{segment}"),
            Self::Partial(segment) => write!(f, "{segment}.partial"),
            Self::History(timeline) => f.write_str(&timeline.history_file()),
            Self::BackupHistory(segment, offset) => write!(f, "{segment}.{offset:08X}.backup"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_kinds_round_trip_and_nothing_else_is_taken() {
        for name in [
            "00000001000000000000000A",
            "00000001000000000000000A.partial",
            "00000002.history",
            "00000001000000000000000A.00000028.backup",
        ] {
            assert_eq!(Wanted::parse(name).map(|wanted| wanted.to_string()).as_deref(), Some(name));
        }
        for name in [
            "",
            "0",
            "00000001000000000000000a",
            "00000001000000000000000A.",
            "00000001000000000000000A.Partial",
            "00000001000000000000000A.28.backup",
            "../00000001000000000000000A",
            "00000000.history",
            "00000000000000000000000A",
            "2.history",
            "archive.info",
            "00000001000000000000000é",
        ] {
            assert_eq!(Wanted::parse(name), None, "{name}");
        }
    }
}

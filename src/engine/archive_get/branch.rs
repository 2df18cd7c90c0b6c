//! Which timelines this recovery follows.
//!
//! As PostgreSQL decides it: the setting `recovery_target_timeline`, by default the newest history that can be
//! reached by counting up. Needed where nothing else proves that a segment belongs to the branch wanted.

use super::error::GetError;
use crate::base::{Timeline, WalSegment, WalSegmentSize};
use crate::cluster::control::ControlFile;
use crate::wal::{TimelineHistory, TimelinePath};
use std::path::Path;

/// The value of `recovery_target_timeline`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Latest,
    Current,
    Number(Timeline),
}

/// Reads the setting from where a restore writes it.
fn target_of(data_dir: &Path, control: &ControlFile) -> Target {
    let (file, default) = if control.version.at_least(12) {
        ("postgresql.auto.conf", Target::Latest)
    } else {
        ("recovery.conf", Target::Current)
    };
    let text = std::fs::read_to_string(data_dir.join(file)).unwrap_or_default();
    let value = text.lines().filter_map(|line| setting(line, "recovery_target_timeline")).next_back();
    match value.as_deref() {
        Some("latest") => Target::Latest,
        Some("current") => Target::Current,
        Some(number) => number.parse().map_or(default, |number| Target::Number(Timeline(number))),
        None => default,
    }
}

/// The unquoted value, if the line sets `name`.
fn setting(line: &str, name: &str) -> Option<String> {
    let line = line.trim_start();
    let rest = line.get(..name.len()).filter(|start| start.eq_ignore_ascii_case(name))?.len();
    let rest = line[rest..].trim_start();
    let rest = rest.strip_prefix('=').map_or(rest, str::trim_start);
    let value = match rest.strip_prefix('\'') {
        Some(quoted) => quoted.split('\'').next()?,
        None => rest.split(|c: char| c.is_whitespace() || c == '#').next()?,
    };
    Some(value.to_owned())
}

/// The path of timelines this recovery follows; `history` gives the history of a timeline, if there is one.
pub(super) fn path_of(
    data_dir: &Path,
    control: &ControlFile,
    history: &dyn Fn(Timeline) -> Result<Option<TimelineHistory>, GetError>,
) -> Result<TimelinePath, GetError> {
    let start = control.timeline;
    let target = match target_of(data_dir, control) {
        Target::Number(timeline) => timeline,
        Target::Current => start,
        Target::Latest => {
            let mut newest = start;
            while history(Timeline(newest.0 + 1))?.is_some() {
                newest = Timeline(newest.0 + 1);
            }
            newest
        }
    };
    Ok(history(target)?.unwrap_or_else(|| TimelineHistory::root(target)).path())
}

/// Why a segment cannot lie on the path; nothing if it does.
pub(super) fn off_path(path: &TimelinePath, segment: WalSegment, size: WalSegmentSize) -> Option<String> {
    let target = path.target();
    let Some(stretch) = path.stretch(segment.timeline) else {
        return Some(format!(
            "timeline {} is not among those that lead to timeline {target}",
            segment.timeline
        ));
    };
    let (start, end) = (segment.start_lsn(size), segment.end_lsn(size));
    if stretch.end.is_some_and(|left| left <= start) {
        return Some(format!(
            "timeline {} was left at {} on the way to timeline {target}",
            segment.timeline,
            stretch.end.unwrap_or(start)
        ));
    }
    (stretch.begin >= end).then(|| format!("timeline {} begins only at {}", segment.timeline, stretch.begin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_read_as_postgresql_reads_it() {
        let name = "recovery_target_timeline";
        for (line, value) in [
            ("recovery_target_timeline = 'latest'", Some("latest")),
            ("  Recovery_Target_Timeline='2'", Some("2")),
            ("recovery_target_timeline 3 # x", Some("3")),
            ("#recovery_target_timeline = '2'", None),
            ("recovery_target_time = '2'", None),
            ("", None),
        ] {
            assert_eq!(setting(line, name).as_deref(), value, "{line}");
        }
    }

    #[test]
    fn a_segment_past_the_fork_is_off_the_path() {
        let history =
            TimelineHistory::parse(b"1\t0/B0000A0\tno recovery target specified\n", Timeline(2)).unwrap();
        let size = WalSegmentSize::DEFAULT;
        let off = |name: &str| off_path(&history.path(), name.parse().unwrap(), size);
        assert_eq!(off("00000001000000000000000A"), None);
        assert_eq!(off("00000001000000000000000B"), None);
        assert!(off("00000001000000000000000C").unwrap().contains("was left at 0/B0000A0"));
        assert_eq!(off("00000002000000000000000B"), None);
        assert!(off("00000002000000000000000A").unwrap().contains("begins only at"));
        assert!(off("00000003000000000000000B").is_some());
    }
}

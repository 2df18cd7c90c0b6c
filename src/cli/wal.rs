//! `pgmayday wal`: which WAL is archived, and where it has holes.

use super::Call;
use super::command::{CommandSpec, Run};
use super::output::{self, Output};
use crate::base::{Bytes, Report, Result, WalSegment, WalSegmentSize};
use crate::engine::repositories::Repositories;
use crate::engine::wal_ranges::{self, ArchivedRanges};
use clap::{Arg, Command};
use serde::Serialize;

pub(super) const SPEC: CommandSpec = CommandSpec {
    name: "wal",
    about: "Show ranges of archived WAL, and gaps",
    long_about: "`wal ranges` prints the runs of consecutive segments per repository, cluster and timeline; `wal gaps` \
                 the segments missing between them, and segments stored with different contents. A gap is no damage \
                 by itself: after expiring, only the WAL that old backups need is kept.",
    options_of: "info",
    reads_configuration: true,
    own,
    run: Run::Plain(run),
    failure_exit: None,
};

fn own(command: Command) -> Command {
    let what = Arg::new("what").required(true).value_parser(["ranges", "gaps"]);
    command.arg(what.help("what to show"))
}

fn run(call: &Call) -> Result<()> {
    if let Some(option) = ["set", "type"].into_iter().find(|name| call.settings.text(name).is_some()) {
        return Err(Report::usage(format!("wal does not take --{option}")));
    }
    let gaps_only = call.args.get_one::<String>("what").is_some_and(|what| what == "gaps");
    let repositories = Repositories::open(&call.settings, call.command);
    for warning in &repositories.warnings {
        call.console.warn(warning);
    }
    let found = wal_ranges::read(&repositories.slots, call.settings.stanza())?;
    let document =
        Document { archives: found.iter().map(|archive| ArchiveRow::new(archive, gaps_only)).collect() };
    match call.output {
        Output::Json => output::json(if gaps_only { "wal-gaps" } else { "wal-ranges" }, &document),
        Output::Text => output::text(&document.to_text(gaps_only)),
    }
}

#[derive(Serialize)]
struct Document {
    archives: Vec<ArchiveRow>,
}

#[derive(Serialize)]
struct ArchiveRow {
    stanza: String,
    repo: u32,
    archive: String,
    segment_bytes: u32,
    segment_size_assumed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ranges: Option<Vec<Row>>,
    gaps: Vec<Row>,
    conflicts: Vec<String>,
    impossible: Vec<String>,
}

/// Consecutive segments, there or missing.
#[derive(Serialize)]
struct Row {
    timeline: u32,
    first: String,
    last: String,
    segments: u64,
    start_lsn: String,
    end_lsn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    stored_bytes: Option<u64>,
}

impl Row {
    fn new(first: WalSegment, last: WalSegment, size: WalSegmentSize, stored_bytes: Option<u64>) -> Self {
        Self {
            timeline: first.timeline.0,
            first: first.to_string(),
            last: last.to_string(),
            segments: last.number(size) - first.number(size) + 1,
            start_lsn: first.start_lsn(size).to_string(),
            end_lsn: last.end_lsn(size).to_string(),
            stored_bytes,
        }
    }

    fn to_text(&self) -> String {
        let Self { timeline, first, last, segments, start_lsn, end_lsn, .. } = self;
        let stored = self.stored_bytes.map_or(String::new(), |bytes| format!(", {}", Bytes(bytes)));
        format!(
            "timeline {timeline}: {first} to {last} ({start_lsn} to {end_lsn}), {segments} segments{stored}"
        )
    }
}

impl ArchiveRow {
    fn new(archive: &ArchivedRanges, gaps_only: bool) -> Self {
        let size = archive.size;
        let found = archive.ranges.ranges.iter();
        let ranges = found.map(|range| Row::new(range.first, range.last, size, Some(range.stored_bytes)));
        let gaps = archive.ranges.gaps(size);
        let names = |segments: &[WalSegment]| segments.iter().map(ToString::to_string).collect();
        Self {
            stanza: archive.stanza.clone(),
            repo: archive.repo_key,
            archive: archive.id.to_string(),
            segment_bytes: size.bytes(),
            segment_size_assumed: archive.size_assumed,
            ranges: (!gaps_only).then(|| ranges.collect()),
            gaps: gaps.iter().map(|gap| Row::new(gap.first, gap.last, size, None)).collect(),
            conflicts: names(&archive.ranges.conflicts),
            impossible: names(&archive.ranges.impossible),
        }
    }

    fn to_text(&self) -> String {
        let assumed = if self.segment_size_assumed { ", assumed" } else { "" };
        let size = Bytes(u64::from(self.segment_bytes));
        let mut lines = vec![format!(
            "stanza {}, repo{}, archive {} (segments of {size}{assumed})",
            self.stanza, self.repo, self.archive
        )];
        lines.extend(self.ranges.iter().flatten().map(|range| format!("    {}", range.to_text())));
        lines.extend(self.gaps.iter().map(|gap| format!("    missing: {}", gap.to_text())));
        lines.extend(self.conflicts.iter().map(|name| format!("    stored with different contents: {name}")));
        lines.extend(self.impossible.iter().map(|name| format!("    does not fit the segment size: {name}")));
        lines.join("\n")
    }

    fn is_whole(&self) -> bool {
        self.gaps.is_empty() && self.conflicts.is_empty() && self.impossible.is_empty()
    }
}

impl Document {
    fn to_text(&self, gaps_only: bool) -> String {
        let shown: Vec<String> = self
            .archives
            .iter()
            .filter(|row| !gaps_only || !row.is_whole())
            .map(ArchiveRow::to_text)
            .collect();
        match (shown.is_empty(), gaps_only) {
            (true, true) => "no gaps".to_owned(),
            (true, false) => "no WAL is archived".to_owned(),
            (false, _) => shown.join("\n"),
        }
    }
}

//! The result of a verification as text, in the layout of pgBackRest's `verify`, with a line for every finding.

use super::Verdict;
use crate::base::Bytes;
use crate::engine::verify::{
    ArchiveResult, BackupResult, BackupStatus, Counts, Findings, Level, Verification,
};

/// `ok`, `error` or `unknown`.
pub(super) fn status(verification: &Verification) -> &'static str {
    match verification.worst() {
        Some(Level::Damage) => "error",
        Some(Level::Unknown) => "unknown",
        _ => "ok",
    }
}

/// All repositories; only what is not well unless everything is wanted.
pub(super) fn document(verdicts: &[Verdict], verbose: bool) -> String {
    let several = verdicts.len() > 1;
    let blocks: Vec<String> =
        verdicts.iter().filter_map(|verdict| block(verdict, several, verbose)).collect();
    blocks.join("\n")
}

fn block(verdict: &Verdict, several: bool, verbose: bool) -> Option<String> {
    let verification = match verdict {
        Verdict::Looked(verification) => verification,
        Verdict::Failed { repo, report } => {
            return Some(format!("repo: {repo}\nstatus: unknown\n  {}", report.headline));
        }
    };
    let shown = if verbose { Level::Note } else { Level::Warning };
    if !verbose && verification.worst().is_none_or(|level| level < shown) {
        return None;
    }
    let mut lines = vec![format!("stanza: {}", verification.stanza)];
    if several {
        lines.push(format!("repo: {}", verification.repo));
    }
    lines.push(format!("status: {}", status(verification)));
    findings(&mut lines, "  ", &verification.findings, shown);
    if verification.archives.is_empty() {
        lines.push("  archiveId: none found".to_owned());
    }
    for archive in &verification.archives {
        self::archive(&mut lines, archive, shown, verbose);
    }
    if verification.backups.is_empty() {
        lines.push("  backup: none found".to_owned());
    }
    for backup in &verification.backups {
        self::backup(&mut lines, backup, shown, verbose);
    }
    Some(lines.join("\n"))
}

fn archive(lines: &mut Vec<String>, archive: &ArchiveResult, shown: Level, verbose: bool) {
    if !verbose && archive.findings.worst().is_none_or(|level| level < shown) {
        return;
    }
    let ArchiveResult { id, counts, .. } = archive;
    lines.push(format!(
        "  archiveId: {id}, total WAL checked: {}, total valid WAL: {}",
        counts.checked, counts.valid
    ));
    lines.extend(counters(counts, archive.missing(), verbose));
    findings(lines, "    ", &archive.findings, shown);
}

fn backup(lines: &mut Vec<String>, backup: &BackupResult, shown: Level, verbose: bool) {
    let well =
        matches!(backup.status, BackupStatus::Valid | BackupStatus::InProgress | BackupStatus::Expired);
    if !verbose && well && backup.findings.worst().is_none_or(|level| level < shown) {
        return;
    }
    let BackupResult { label, status, counts, .. } = backup;
    lines.push(format!(
        "  backup: {label}, status: {status}, total files checked: {}, total valid files: {}",
        counts.checked, counts.valid
    ));
    if counts.checked > 0 {
        lines.extend(counters(counts, counts.missing, verbose));
    }
    findings(lines, "    ", &backup.findings, shown);
}

/// pgBackRest's four counters; only those that count something unless all are wanted.
fn counters(counts: &Counts, missing: u64, verbose: bool) -> Option<String> {
    let all = [
        ("missing", missing),
        ("checksum invalid", counts.checksum_invalid),
        ("size invalid", counts.size_invalid),
        ("other", counts.other + counts.unreadable),
    ];
    let told: Vec<String> = all
        .iter()
        .filter(|(_, count)| verbose || *count > 0)
        .map(|(name, count)| format!("{name}: {count}"))
        .collect();
    (!told.is_empty()).then(|| format!("    {}", told.join(", ")))
}

fn findings(lines: &mut Vec<String>, indent: &str, findings: &Findings, shown: Level) {
    for finding in findings.list.iter().filter(|finding| finding.level >= shown) {
        let level = match finding.level {
            Level::Damage => "damage",
            Level::Unknown => "unknown",
            Level::Warning => "warning",
            Level::Note => "note",
        };
        let file = finding.file.as_ref().map_or(String::new(), |file| format!(" ({file})"));
        lines.push(format!("{indent}{level}: {}{file}: {}", finding.path.escape_debug(), finding.why));
    }
    if findings.not_listed > 0 {
        lines.push(format!("{indent}… and {} more findings", findings.not_listed));
    }
}

/// One line about a repository.
pub(super) fn summary(verdict: &Verdict) -> String {
    let verification = match verdict {
        Verdict::Looked(verification) => verification,
        Verdict::Failed { repo, report } => return format!("repo{repo}: {}", report.headline),
    };
    let segments: u64 = verification.archives.iter().map(|archive| archive.counts.checked).sum();
    let files: u64 = verification.backups.iter().map(|backup| backup.counts.checked).sum();
    let (damage, unknown, warnings) = verification.totals();
    let state = match status(verification) {
        "ok" if warnings > 0 => format!("ok with {warnings} warning(s)"),
        "ok" => "ok".to_owned(),
        "error" => format!("{damage} damage(s) found"),
        _ => format!("{unknown} thing(s) could not be looked at"),
    };
    format!(
        "repo{}: {state}; {} backup(s) with {files} files, {segments} WAL segments, {} read in {}.{} s",
        verification.repo,
        verification.backups.len(),
        Bytes(verification.bytes),
        verification.took_ms / 1000,
        verification.took_ms % 1000 / 100,
    )
}

/// What to do about what was found; nothing where there is nothing to do.
pub(super) fn next(verdicts: &[Verdict]) -> Option<String> {
    let looked: Vec<&Verification> = verdicts
        .iter()
        .filter_map(|verdict| match verdict {
            Verdict::Looked(verification) => Some(&**verification),
            Verdict::Failed { .. } => None,
        })
        .collect();
    let backups = || looked.iter().flat_map(|verification| &verification.backups);
    let unusable = |backup: &BackupResult| {
        matches!(
            backup.status,
            BackupStatus::Invalid | BackupStatus::ManifestMissing | BackupStatus::WalMissing
        )
    };
    let damaged = looked.iter().any(|verification| verification.worst() == Some(Level::Damage));
    let wal = looked
        .iter()
        .flat_map(|verification| &verification.archives)
        .any(|archive| archive.findings.worst() == Some(Level::Damage));
    let unknown = looked.iter().any(|verification| verification.worst() == Some(Level::Unknown));
    if backups().any(unusable) {
        return Some(
            "next: find out what damaged the store; restore only from backups that are valid, or from another \
             repository; make a full backup and verify it before anything is expired"
                .to_owned(),
        );
    }
    if wal {
        return Some(
            "next: look for the segments in the pg_wal of the primary or a standby, or in another repository; a new \
             full backup does without them"
                .to_owned(),
        );
    }
    if damaged {
        return Some(
            "next: find out what damaged the store; the sound file of a pair can be copied over the other"
                .to_owned(),
        );
    }
    unknown.then(|| "next: see why it could not be read, and verify again: it may be damaged".to_owned())
}

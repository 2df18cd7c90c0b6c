//! The text form of `info`: pgBackRest's layout.

use crate::base::{BackupKind, BackupLabel, PgVersion, SystemId, Timestamp, WalSegment};
use crate::engine::catalog::{BackupView, Catalog, Detail, Query, StanzaView, Status};
use crate::engine::locks::{Lock, percent_hundredths};
use crate::repo::Target;
use std::fmt::{self, Write as _};

/// The whole document.
pub(super) fn document(catalog: &Catalog, query: &Query<'_>) -> String {
    if catalog.stanzas.is_empty() {
        return "No stanzas exist in the repository.\n".to_owned();
    }
    let mut out = String::new();
    for (index, stanza) in catalog.stanzas.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        // Writing to a String cannot fail.
        write_stanza(&mut out, stanza, query).unwrap_or_default();
    }
    out
}

fn write_stanza(out: &mut String, stanza: &StanzaView, query: &Query<'_>) -> fmt::Result {
    writeln!(out, "stanza: {}\n    status: {}", stanza.name, status_line(stanza, query.progress_only))?;
    write_running_backups(out, stanza)?;
    if query.progress_only {
        return Ok(());
    }
    if matches!(stanza.status, Status::Mixed | Status::DatabaseMismatch | Status::Other(_)) {
        write_repo_states(out, stanza)?;
    }
    if stanza.status != Status::MissingPath {
        writeln!(out, "    cipher: {}", stanza.cipher())?;
        if stanza.cipher() == "mixed" {
            for repo in &stanza.repos {
                writeln!(out, "        repo{}: {}", repo.key, repo.cipher)?;
            }
        }
    }
    write_databases(out, stanza, query.set.is_some())
}

fn status_line(stanza: &StanzaView, progress_only: bool) -> String {
    let (label, message) = match &stanza.status {
        Status::Ok => ("ok", None),
        Status::Mixed if !progress_only => ("mixed", None),
        Status::Other(_) => ("error", Some("other".to_owned())),
        other => ("error", Some(other.to_string())),
    };
    let parts: Vec<String> = message.into_iter().chain(running(stanza)).collect();
    if parts.is_empty() { label.to_owned() } else { format!("{label} ({})", parts.join(", ")) }
}

/// What is going on, with its progress.
fn running(stanza: &StanzaView) -> Vec<String> {
    let backup = sum(stanza.backup_locks.iter().map(|(_, lock)| lock));
    let shown = |what: &str, lock: &Lock| {
        let percent = match lock.bytes {
            Some((done, total)) => Some(percent_hundredths(done, total)),
            None => lock.percent_hundredths,
        };
        let progress =
            percent.map_or(String::new(), |percent| format!(" - {} complete", percent_text(percent)));
        lock.held.then(|| format!("{what}{progress}"))
    };
    let backup = shown("backup/expire running", &backup);
    backup.into_iter().chain(shown("restore running", &stanza.restore_lock)).collect()
}

/// Several backups as one.
fn sum<'a>(locks: impl Iterator<Item = &'a Lock>) -> Lock {
    let add = |a: Option<(u64, u64)>, b: Option<(u64, u64)>| match (a, b) {
        (Some((done, total)), Some((d, t))) => Some((done.saturating_add(d), total.saturating_add(t))),
        (one, other) => one.or(other),
    };
    locks.fold(Lock::default(), |all, lock| Lock {
        held: all.held || lock.held,
        bytes: add(all.bytes, lock.bytes),
        percent_hundredths: all.percent_hundredths.or(lock.percent_hundredths),
        pid: all.pid.or(lock.pid),
    })
}

fn percent_text(hundredths: u32) -> String {
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

/// One line per repository, if backups run in more than one.
fn write_running_backups(out: &mut String, stanza: &StanzaView) -> fmt::Result {
    let running: Vec<_> =
        stanza.backup_locks.iter().filter_map(|(key, lock)| Some((key, lock.bytes?))).collect();
    if running.len() > 1 {
        for (key, (done, total)) in running {
            let percent = percent_text(percent_hundredths(done, total));
            writeln!(out, "        repo{key} backup: {percent} complete")?;
        }
    }
    Ok(())
}

fn write_repo_states(out: &mut String, stanza: &StanzaView) -> fmt::Result {
    let several = stanza.repos.len() > 1;
    let indent = if several { "               " } else { "            " };
    for repo in &stanza.repos {
        if several {
            write!(out, "        repo{}: ", repo.key)?;
        }
        match &repo.status {
            Status::Ok => writeln!(out, "ok")?,
            Status::Other(why) => {
                if several {
                    writeln!(out, "error (other)")?;
                }
                for line in why.lines() {
                    writeln!(out, "{indent}{line}")?;
                }
            }
            other => writeln!(out, "error ({other})")?,
        }
    }
    Ok(())
}

/// A cluster over all repositories and history ids.
struct Group<'a> {
    cluster: (PgVersion, SystemId),
    bounds: Option<(WalSegment, WalSegment)>,
    backups: Vec<&'a BackupView>,
}

fn write_databases(out: &mut String, stanza: &StanzaView, one_set: bool) -> fmt::Result {
    let mut current = String::new();
    for group in groups(stanza) {
        // One backup is shown in its own cluster only.
        if one_set && !stanza.backups.is_empty() && group.backups.is_empty() {
            continue;
        }
        if Some(group.cluster) == stanza.current {
            current.push_str("\n    db (current)");
            write_group(&mut current, &group, one_set)?;
        } else if group.bounds.is_some() || !group.backups.is_empty() {
            out.push_str("\n    db (prior)");
            write_group(out, &group, one_set)?;
        }
    }
    out.push_str(&current);
    Ok(())
}

fn groups(stanza: &StanzaView) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for repo in &stanza.repos {
        for db in &repo.databases {
            let cluster = (db.version, db.system_id);
            let at = groups.iter().position(|group| group.cluster == cluster).unwrap_or_else(|| {
                groups.push(Group { cluster, bounds: None, backups: Vec::new() });
                groups.len() - 1
            });
            let found = repo.archives.iter().filter(|archive| archive.database_id == db.id);
            for (first, last) in found.filter_map(|archive| archive.bounds) {
                let (least, most) = groups[at].bounds.unwrap_or((first, last));
                groups[at].bounds = Some((least.min(first), most.max(last)));
            }
        }
    }
    for backup in &stanza.backups {
        let repo = stanza.repos.iter().find(|repo| repo.key == backup.repo_key);
        let db = repo.and_then(|repo| repo.databases.iter().find(|db| db.id == backup.entry.db_id));
        let cluster = db.map(|db| (db.version, db.system_id));
        if let Some(group) = groups.iter_mut().find(|group| Some(group.cluster) == cluster) {
            group.backups.push(backup);
        }
    }
    groups
}

fn write_group(out: &mut String, group: &Group<'_>, one_set: bool) -> fmt::Result {
    write!(out, "\n        wal archive min/max ({}): ", group.cluster.0)?;
    match group.bounds {
        Some((first, last)) => writeln!(out, "{first}/{last}")?,
        None => writeln!(out, "none present")?,
    }
    group.backups.iter().try_for_each(|backup| write_backup(out, backup, one_set))
}

fn write_backup(out: &mut String, backup: &BackupView, one_set: bool) -> fmt::Result {
    let entry = &backup.entry;
    writeln!(out, "\n        {} backup: {}", entry.kind, entry.label)?;
    let time = |t: Timestamp| t.local_text();
    writeln!(out, "            timestamp start/stop: {} / {}", time(entry.start), time(entry.stop))?;
    match (entry.archive_start, entry.archive_stop) {
        (Some(start), Some(stop)) => writeln!(out, "            wal start/stop: {start} / {stop}")?,
        _ => writeln!(out, "            wal start/stop: n/a")?,
    }
    if let (true, Some(start), Some(stop)) = (one_set, entry.lsn_start, entry.lsn_stop) {
        writeln!(out, "            lsn start/stop: {start} / {stop}")?;
    }
    let (size, delta) = (size_text(entry.size_bytes), size_text(entry.delta_bytes));
    writeln!(out, "            database size: {size}, database backup size: {delta}")?;
    write!(out, "            repo{}: ", backup.repo_key)?;
    if entry.map_bytes.is_none() {
        write!(out, "backup set size: {}, ", size_text(entry.repo_size_bytes))?;
    }
    writeln!(out, "backup size: {}", size_text(entry.repo_delta_bytes))?;
    write_references(out, backup, one_set)?;
    if let Some(detail) = &backup.detail {
        write_detail(out, detail)?;
    }
    match &backup.detail {
        Some(detail) if !detail.damaged_files.is_empty() => {
            writeln!(out, "            error list: {}", detail.damaged_files.join(", "))?;
        }
        _ if entry.page_error == Some(true) => writeln!(out, "            error(s) detected during backup")?,
        _ => {}
    }
    if one_set && !entry.annotations.is_empty() {
        writeln!(out, "            annotation(s)")?;
        for (name, text) in &entry.annotations {
            writeln!(out, "                {name}: {text}")?;
        }
    }
    Ok(())
}

fn write_references(out: &mut String, backup: &BackupView, one_set: bool) -> fmt::Result {
    let references = &backup.entry.references;
    if references.is_empty() {
        return Ok(());
    }
    if one_set {
        let labels: Vec<&str> = references.iter().map(BackupLabel::as_str).collect();
        return writeln!(out, "            backup reference list: {}", labels.join(", "));
    }
    let count = |kind| references.iter().filter(|label| label.kind() == kind).count();
    write!(out, "            backup reference total: {} full", count(BackupKind::Full))?;
    for kind in [BackupKind::Diff, BackupKind::Incr] {
        if count(kind) > 0 {
            write!(out, ", {} {kind}", count(kind))?;
        }
    }
    writeln!(out)
}

fn write_detail(out: &mut String, detail: &Detail) -> fmt::Result {
    let databases: Vec<String> =
        detail.databases.iter().map(|db| format!("{} ({})", db.name, db.oid)).collect();
    let shown = if databases.is_empty() { "none".to_owned() } else { databases.join(", ") };
    writeln!(out, "            database list: {shown}")?;
    let links: Vec<_> = detail.targets.iter().filter_map(link_parts).collect();
    if !links.is_empty() {
        writeln!(out, "            symlinks:")?;
    }
    for (name, destination) in links {
        writeln!(out, "                {name} => {destination}")?;
    }
    let tablespaces: Vec<_> = detail.targets.iter().filter(|target| target.tablespace.is_some()).collect();
    if !tablespaces.is_empty() {
        writeln!(out, "            tablespaces:")?;
    }
    for target in tablespaces {
        if let Some((oid, name)) = &target.tablespace {
            writeln!(out, "                {name} ({oid}) => {}", target.path)?;
        }
    }
    Ok(())
}

/// Name and destination of a link that is no tablespace.
pub(super) fn link_parts(target: &Target) -> Option<(String, String)> {
    if target.tablespace.is_some() {
        return None;
    }
    let name = target.name.strip_prefix("pg_data/").unwrap_or(&target.name);
    Some(target.file.as_ref().map_or_else(
        || (name.to_owned(), target.path.clone()),
        |file| (file.clone(), format!("{}/{file}", target.path)),
    ))
}

/// pgBackRest's sizes: powers of 1024 up to GB, one decimal, rounded, `.0` left out.
fn size_text(bytes: u64) -> String {
    let (unit, name) = match bytes {
        0..1024 => return format!("{bytes}B"),
        1024..0x10_0000 => (1024, "KB"),
        0x10_0000..0x4000_0000 => (0x10_0000, "MB"),
        _ => (0x4000_0000, "GB"),
    };
    let tenths = (u128::from(bytes) * 100 / unit + 5) / 10;
    match tenths % 10 {
        0 => format!("{}{name}", tenths / 10),
        tenth => format!("{}.{tenth}{name}", tenths / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_to_one_decimal() {
        for (bytes, text) in [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1KB"),
            (1074, "1KB"),
            (1076, "1.1KB"),
            (57_608, "56.3KB"),
            (1_048_575, "1024KB"),
            (1 << 20, "1MB"),
            (23_304_350, "22.2MB"),
            ((1 << 30) - 1, "1024MB"),
            (5 << 40, "5120GB"),
        ] {
            assert_eq!(size_text(bytes), text);
        }
    }

    #[test]
    fn percentages_keep_both_decimals() {
        assert_eq!(percent_text(9730), "97.30%");
        assert_eq!(percent_text(5), "0.05%");
        assert_eq!(percent_text(10_000), "100.00%");
    }
}

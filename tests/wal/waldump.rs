//! What `pg_waldump` prints, compared with what this crate reads.

use crate::archive::Folder;
use crate::server::{Server, find_tool};
use pgmayday::base::{Lsn, Timeline, Timestamp, WalSegment, Xid};
use pgmayday::wal::happening::{Completion, DatabaseMark, Parameters, WalLevel};
use pgmayday::wal::{Happening, Record, SegmentSource as _};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// What was seen during a comparison.
#[derive(Debug)]
pub(crate) struct Compared {
    pub(crate) records: usize,
    pub(crate) kinds: BTreeSet<&'static str>,
}

struct Line<'a> {
    manager: &'a str,
    total_bytes: u32,
    xid: Xid,
    lsn: Lsn,
    prev: Lsn,
    text: &'a str,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Self {
        let after =
            |mark: &str| line.split_once(mark).unwrap_or_else(|| panic!("{mark} in {line}")).1.trim_start();
        let until = |text: &'a str, end: char| text.split(end).next().unwrap().trim();
        let lsn = |text: &str| {
            let (high, low) = text.split_once('/').unwrap();
            Lsn(u64::from_str_radix(high, 16).unwrap() << 32 | u64::from_str_radix(low, 16).unwrap())
        };
        Self {
            manager: until(after("rmgr: "), ' '),
            total_bytes: until(after("(rec/tot):").split_once('/').unwrap().1, ',').parse().unwrap(),
            xid: Xid(until(after("tx:"), ',').parse().unwrap()),
            lsn: lsn(until(after("lsn: "), ',')),
            prev: lsn(until(after("prev "), ',')),
            text: after("desc: "),
        }
    }
}

const MANAGERS: [&str; 22] = [
    "XLOG",
    "Transaction",
    "Storage",
    "CLOG",
    "Database",
    "Tablespace",
    "MultiXact",
    "RelMap",
    "Standby",
    "Heap2",
    "Heap",
    "Btree",
    "Hash",
    "Gin",
    "Gist",
    "Sequence",
    "SPGist",
    "BRIN",
    "CommitTs",
    "ReplicationOrigin",
    "Generic",
    "LogicalMessage",
];

/// Compares every record with what PostgreSQL's own tools print, where a version has any.
pub(crate) fn compare(server: &Server, found: &[Record], from: Lsn, end: Lsn) -> Compared {
    let Some(program) = find_tool(server.major, "pg_waldump") else {
        let printed = (server.major >= 15 && server.archive().oldest_segment(Timeline(2)).unwrap().is_none())
            .then(|| inspect(server, from, end));
        return compare_text(printed.as_deref(), found, end);
    };
    compare_text(Some(&dump(&program, &server.archive().path, from)), found, end)
}

/// What `pg_waldump` prints of a folder; it knows no timelines, so it reads the newest file of every segment under one.
pub(crate) fn dump(program: &Path, archive: &Path, from: Lsn) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut segments: Vec<WalSegment> = fs::read_dir(archive)
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
        .collect();
    segments.sort_unstable();
    for segment in segments {
        let link = folder.path().join(WalSegment { timeline: Timeline(1), ..segment }.to_string());
        drop(fs::remove_file(&link));
        symlink(archive.join(segment.to_string()), link).unwrap();
    }
    let mut command = Command::new(program);
    let out =
        command.env("TZ", "UTC").args(["-s", &from.to_string(), "-p"]).arg(folder.path()).output().unwrap();
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// What `pg_waldump` prints of one timeline's own files.
pub(crate) fn dump_timeline(program: &Path, folder: &Folder, timeline: Timeline, from: Lsn) -> String {
    let mut command = Command::new(program);
    let (timeline, from) = (timeline.to_string(), from.to_string());
    command.env("TZ", "UTC").args(["-t", &timeline, "-s", &from, "-p"]).arg(&folder.path);
    String::from_utf8_lossy(&command.output().unwrap().stdout).into_owned()
}

/// The same lines out of the running server.
fn inspect(server: &Server, from: Lsn, end: Lsn) -> String {
    server.sql(&format!(
        "set client_min_messages = error; create extension if not exists pg_walinspect;
         select format('rmgr: %s len (rec/tot): 0/ %s, tx: %s, lsn: %s, prev %s, desc: %s %s %s', resource_manager,
           record_length, xid, start_lsn, prev_lsn, record_type, description, block_ref)
         from pg_get_wal_records_info('{from}', '{end}')"
    ))
}

/// Compares with printed lines, or, without them, only notes what was found.
pub(crate) fn compare_text(text: Option<&str>, found: &[Record], end: Lsn) -> Compared {
    let mut compared = Compared { records: found.len(), kinds: BTreeSet::new() };
    let lines: Option<Vec<_>> =
        text.map(|text| text.lines().filter(|line| line.starts_with("rmgr: ")).map(Line::parse).collect());
    if let Some(lines) = &lines {
        assert_eq!(found.len(), lines.len(), "records up to {end}");
    }
    for (at, record) in found.iter().enumerate() {
        let line = lines.as_ref().map(|lines| &lines[at]);
        if let Some(line) = line {
            let manager = MANAGERS[usize::from(record.manager)];
            let read = (record.lsn, record.prev, record.xid, record.total_bytes, manager);
            assert_eq!(
                read,
                (line.lsn, line.prev, line.xid, line.total_bytes, line.manager),
                "{}",
                line.text
            );
        }
        compare_meaning(record, line.map(|line| line.text), &mut compared.kinds);
        if record.lsn.0 >> 20 != (record.end_lsn.0 - 1) >> 20 && record.happening != Happening::Switch {
            compared.kinds.insert("across segments");
        }
    }
    compared
}

fn compare_meaning(record: &Record, text: Option<&str>, kinds: &mut BTreeSet<&'static str>) {
    let Some((kind, parts)) = meaning(record, kinds) else {
        assert!(!text.is_some_and(|text| must_matter(record.manager, text)), "{record:?} {text:?}");
        return;
    };
    kinds.insert(kind);
    if let Some(text) = text {
        for part in parts {
            assert!(text.contains(&part), "'{part}' is not in '{text}'");
        }
    }
}

/// What is read in one word, and the pieces PostgreSQL prints of it.
fn meaning(record: &Record, kinds: &mut BTreeSet<&'static str>) -> Option<(&'static str, Vec<String>)> {
    Some(match &record.happening {
        Happening::Other => return None,
        Happening::Commit(done) => completion("commit", "commit prepared", done, record, kinds),
        Happening::Abort(done) => completion("abort", "abort prepared", done, record, kinds),
        Happening::Prepare(prepared) => {
            let subs = if prepared.subs.is_empty() { String::new() } else { subs(&prepared.subs) };
            ("prepare", vec![format!("PREPARE gid {}: {}", prepared.gid, moment(prepared.time)), subs])
        }
        Happening::Assignment { top, subs } => {
            let list: Vec<_> = subs.iter().map(ToString::to_string).collect();
            ("assignment", vec![format!("ASSIGNMENT xtop {top}: subxacts: {}", list.join(" "))])
        }
        Happening::RestorePoint { name, .. } => ("restore point", vec![format!("RESTORE_POINT {name}")]),
        Happening::Parameters(p) => ("parameters", vec![settings(p)]),
        Happening::Checkpoint(c) => {
            let fpw = if c.full_page_writes { "fpw true" } else { "fpw false" };
            let next = format!("xid {}:{};", c.next_xid >> 32, c.next_xid & 0xFFFF_FFFF);
            let name = if c.shutdown { "CHECKPOINT_SHUTDOWN" } else { "CHECKPOINT_ONLINE" };
            let begin = format!("{name} redo {}; tli {}; prev tli {};", c.redo, c.timeline, c.prev_timeline);
            let end = if c.shutdown { "; shutdown" } else { "; online" };
            ("checkpoint", vec![begin, fpw.to_owned(), next, end.to_owned()])
        }
        Happening::CheckpointRedo { .. } => ("checkpoint redo", vec!["CHECKPOINT_REDO".to_owned()]),
        Happening::EndOfRecovery { timeline, prev_timeline, time, .. } => (
            "end of recovery",
            vec![format!("END_OF_RECOVERY tli {timeline}; prev tli {prev_timeline}; time {}", moment(*time))],
        ),
        Happening::FullPageWrites(on) => ("full page writes", vec![format!("FPW_CHANGE {on}")]),
        Happening::BackupEnd { start } => ("backup end", vec![format!("BACKUP_END {start}")]),
        Happening::Switch => ("switch", vec!["SWITCH".to_owned()]),
        Happening::Overwritten { time, lsn } => {
            ("overwritten", vec![format!("OVERWRITE_CONTRECORD lsn {lsn}; time {}", moment(*time))])
        }
        Happening::DatabaseCreated { database, tablespace, .. } => {
            ("database created", vec!["CREATE".to_owned(), format!("{tablespace}/{database}")])
        }
        Happening::DatabaseMoved { database, from, to } => {
            ("database moved", vec![format!("copy dir {from}/{database} to {to}/{database}")])
        }
        Happening::DatabaseDropped { database, tablespaces } => {
            let dirs = tablespaces.iter().map(|space| format!(" {space}/{database}"));
            ("database dropped", [format!("DROP dir {}/", tablespaces[0])].into_iter().chain(dirs).collect())
        }
        Happening::DatabaseInPlace(mark) => {
            assert!(*mark != DatabaseMark::Unreadable);
            let marked = matches!(mark, DatabaseMark::Invalid { .. });
            (if marked { "database marked" } else { "database in place" }, vec!["INPLACE".to_owned()])
        }
        Happening::TablespaceCreated { tablespace, path } => {
            ("tablespace created", vec![format!("CREATE {tablespace} \"{path}\"")])
        }
        Happening::TablespaceDropped { tablespace } => {
            ("tablespace dropped", vec![format!("DROP {tablespace}")])
        }
    })
}

fn settings(p: &Parameters) -> String {
    let level = match p.wal_level {
        WalLevel::Minimal => "minimal",
        WalLevel::Replica => "replica",
        WalLevel::Logical => "logical",
    };
    format!(
        "PARAMETER_CHANGE max_connections={} max_worker_processes={} max_wal_senders={} max_prepared_xacts={} \
         max_locks_per_xact={} wal_level={level} ",
        p.max_connections,
        p.max_worker_processes,
        p.max_wal_senders,
        p.max_prepared_transactions,
        p.max_locks_per_transaction
    )
}

fn completion(
    own: &'static str,
    prepared: &'static str,
    done: &Completion,
    record: &Record,
    kinds: &mut BTreeSet<&'static str>,
) -> (&'static str, Vec<String>) {
    let mut parts = vec![moment(done.time)];
    let details = done.details.as_deref();
    if !done.subs().is_empty() {
        kinds.insert("savepoint");
        parts.push(subs(done.subs()));
    }
    for file in details.map_or(&[][..], |details| &details.dropped_files) {
        parts.push(format!("/{}/{}", file.database, file.relation));
    }
    if details.is_some_and(|details| details.prepared) {
        parts.push(format!("_PREPARED {}: ", done.xid));
        return (prepared, parts);
    }
    assert_eq!(done.xid, record.xid);
    (own, parts)
}

fn subs(subs: &[Xid]) -> String {
    let list: Vec<_> = subs.iter().map(ToString::to_string).collect();
    format!("subxacts: {}", list.join(" "))
}

/// The part of a time that every tool prints alike: neither zeros at its end nor the zone.
fn moment(time: Timestamp) -> String {
    let text = time.to_utc().format("%Y-%m-%d %H:%M:%S%.6f").to_string();
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// What must never be passed over as meaningless.
fn must_matter(manager: u8, text: &str) -> bool {
    const NAMES: [&str; 12] = [
        "COMMIT",
        "ABORT",
        "PREPARE",
        "ASSIGNMENT",
        "RESTORE_POINT",
        "PARAMETER_CHANGE",
        "CHECKPOINT",
        "END_OF_RECOVERY",
        "FPW_CHANGE",
        "SWITCH",
        "BACKUP_END",
        "OVERWRITE",
    ];
    match manager {
        0 | 1 => NAMES.iter().any(|name| text.starts_with(name)),
        4 | 5 => true,
        10 => text.starts_with("INPLACE") && text.contains("rel 1664/0/"),
        _ => false,
    }
}

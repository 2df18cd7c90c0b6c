//! The end of a server's log, wherever it is kept: what in it stands out.
//!
//! Reads the last MiB of one file and knows PostgreSQL's English messages of 9.5 to 18 behind any `log_line_prefix`.
//! Follows nothing and writes nothing. Of a statement in the log nothing is kept: it may hold secrets.

use super::configuration::{DEBIAN_CLUSTERS, last_value, outside_file};
use crate::base::{TargetTime, Timestamp};
use crate::model::situation::{LogSign, LogTail, SignKind};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// How much of the end is read.
const TAIL_BYTES: u64 = 1 << 20;
/// Lines are counted in files up to this size.
const COUNTED_BYTES: u64 = 256 << 20;
/// How many signs are kept.
const MOST_SIGNS: usize = 64;
/// The most of a message that is kept, in characters.
const MOST_CHARS: usize = 200;
/// Where Debian's packages keep the logs.
const DEBIAN_LOGS: &str = "/var/log/postgresql";

/// Where the log of the server of `data_dir` is: as configured, as its collector last said, as Debian keeps it, or where
/// the running process `pid` writes its standard error to.
pub fn find(data_dir: &Path, configured: Option<&Path>, pid: Option<u32>) -> Option<PathBuf> {
    if let Some(path) = configured {
        return Some(path.to_owned());
    }
    let of_process = || {
        let path = std::fs::read_link(format!("/proc/{}/fd/2", pid?)).ok()?;
        path.is_file().then_some(path)
    };
    of_collector(data_dir).or_else(|| of_debian(data_dir)).or_else(of_process)
}

/// `current_logfiles` has a line `stderr log/postgresql-….log`; it outlives the server.
fn of_collector(data_dir: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(data_dir.join("current_logfiles")).ok()?;
    let name = text.lines().find_map(|line| line.strip_prefix("stderr "))?;
    Some(data_dir.join(name.trim())).filter(|path| path.is_file())
}

/// `/etc/postgresql/15/main/postgresql.conf` belongs to `/var/log/postgresql/postgresql-15-main.log`.
fn of_debian(data_dir: &Path) -> Option<PathBuf> {
    let file = outside_file(data_dir, Path::new(DEBIAN_CLUSTERS))?;
    let text = std::fs::read(&file).unwrap_or_default();
    if last_value(&text, "logging_collector")
        .is_some_and(|value| matches!(value.as_str(), "on" | "true" | "yes" | "1"))
    {
        return None;
    }
    let cluster = file.parent()?;
    let (name, version) = (cluster.file_name()?.to_str()?, cluster.parent()?.file_name()?.to_str()?);
    Some(Path::new(DEBIAN_LOGS).join(format!("postgresql-{version}-{name}.log")))
        .filter(|path| path.is_file())
}

/// Reads the end of a log.
pub fn read(path: &Path) -> io::Result<LogTail> {
    let mut file = File::open(path)?;
    let meta = file.metadata()?;
    let start = meta.len().saturating_sub(TAIL_BYTES);
    let mut line = (meta.len() <= COUNTED_BYTES).then(|| count_lines(&mut file, start)).transpose()?;
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let mut tail = LogTail { path: path.to_owned(), written_at: modified(&meta), ..LogTail::default() };
    for text in text.split_inclusive('\n') {
        line = line.map(|line| line + 1);
        take(&mut tail, text.trim_end(), line);
    }
    let surplus = tail.signs.len().saturating_sub(MOST_SIGNS);
    tail.signs.drain(..surplus);
    Ok(tail)
}

fn modified(meta: &std::fs::Metadata) -> Option<Timestamp> {
    let since = meta.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_micros()).ok().map(Timestamp)
}

/// The line feeds before `end`.
fn count_lines(file: &mut File, end: u64) -> io::Result<u64> {
    let mut reader = file.take(end);
    let mut buffer = vec![0; 256 << 10];
    let mut lines = 0;
    loop {
        let got = reader.read(&mut buffer)?;
        if got == 0 {
            return Ok(lines);
        }
        let pieces = buffer.get(..got).unwrap_or_default().split(|byte| *byte == b'\n').count();
        lines += pieces.saturating_sub(1) as u64;
    }
}

fn take(tail: &mut LogTail, text: &str, line: Option<u64>) {
    const MARKS: [&str; 6] = ["LOG:  ", "PANIC:  ", "FATAL:  ", "ERROR:  ", "WARNING:  ", "DETAIL:  "];
    let first = MARKS.iter().filter_map(|mark| Some((text.find(mark)?, *mark))).min_by_key(|found| found.0);
    // A line without a severity is what a program says that fails before it is a server.
    let (prefix, mark, message) = match first {
        Some((at, mark)) => (text.get(..at).unwrap_or(""), mark, text.get(at + mark.len()..).unwrap_or("")),
        None if text.starts_with('\t') => return,
        None => ("", "", text),
    };
    if mark == "LOG:  " {
        if message.starts_with("starting PostgreSQL ") {
            tail.signs.iter_mut().for_each(|sign| sign.last_run = false);
            (tail.came_up, tail.stopped_in_order) = (false, false);
        } else if message.starts_with("database system is ready to accept") {
            // What it said while it came up did not keep it from that.
            tail.signs
                .iter_mut()
                .filter(|sign| sign.kind == SignKind::Configuration)
                .for_each(|sign| sign.last_run = false);
            tail.came_up = true;
        } else if message.starts_with("database system is shut down") {
            tail.stopped_in_order = !tail.signs.iter().any(|sign| sign.last_run && stops(sign.kind));
        }
    }
    let Some(kind) = kind_of(mark, message) else { return };
    // A start that failed after it is no stop in order any more.
    tail.stopped_in_order &= !stops(kind);
    let text = message.chars().filter(|c| !c.is_control()).take(MOST_CHARS).collect();
    tail.signs.push(LogSign { kind, text, line, at: moment(prefix), last_run: true });
}

/// A server that says this stops.
fn stops(kind: SignKind) -> bool {
    matches!(kind, SignKind::WalLost | SignKind::Panic | SignKind::Configuration)
}

/// A time in UTC at the beginning of a line: `2026-11-21 02:07:13.123 UTC`.
fn moment(prefix: &str) -> Option<Timestamp> {
    let at = prefix.find(|c: char| c.is_ascii_digit())?;
    let mut words = prefix.get(at..)?.split_whitespace();
    let (day, time, zone) = (words.next()?, words.next()?, words.next()?);
    let utc = matches!(zone.trim_end_matches(|c: char| !c.is_ascii_alphabetic()), "UTC" | "GMT");
    utc.then(|| TargetTime::parse(&format!("{day} {time}+00")).ok().map(|time| time.at)).flatten()
}

/// What a message is a sign of. The first that fits counts: special ones stand before general ones.
fn kind_of(mark: &str, message: &str) -> Option<SignKind> {
    let has = |needle: &str| message.contains(needle);
    let any = |needles: &[&str]| needles.iter().any(|needle| message.contains(needle));
    let bad = matches!(mark, "PANIC:  " | "FATAL:  " | "ERROR:  ");
    if any(&["No space left on device", "Disk quota exceeded"]) {
        return Some(SignKind::DiskFull);
    }
    if has("certificate") && has("expired") {
        return Some(SignKind::CertificateExpired);
    }
    if any(&["to avoid wraparound data loss", "must be vacuumed within", "to avoid a database shutdown"]) {
        return Some(SignKind::Wraparound);
    }
    if mark == "LOG:  " {
        if any(&["was terminated by signal 9", "was terminated by signal 6", "was terminated by signal 11"]) {
            return Some(SignKind::Killed);
        }
        if has("archive command failed") || has("archive command was terminated") {
            return Some(SignKind::ArchiveFails);
        }
        let torn = any(&["invalid primary checkpoint record", "invalid checkpoint record"]);
        let setting = any(&["could not bind", "contains errors", "could not create any"]);
        return if torn { Some(SignKind::WalLost) } else { setting.then_some(SignKind::Configuration) };
    }
    if mark == "WARNING:  " {
        if has("page verification failed") {
            return Some(SignKind::Page);
        }
        return has("archiving write-ahead log file").then_some(SignKind::ArchiveFails);
    }
    if bad {
        return of_error(mark, &has, &any);
    }
    let says = any(&[
        "could not access the server configuration file",
        "invalid value for parameter",
        "syntax error in file",
    ]);
    (mark.is_empty() && message.starts_with("postgres: ") && says).then_some(SignKind::Configuration)
}

fn of_error(mark: &str, has: &dyn Fn(&str) -> bool, any: &dyn Fn(&[&str]) -> bool) -> Option<SignKind> {
    const INDEX: [&str; 9] = [
        "contains unexpected zero page at block",
        "contains corrupted page at block",
        "failed to re-find parent key in index",
        "item order invariant violated for index",
        "cross page item order invariant violated",
        "lacks matching index tuple within index",
        "high key invariant violated for index",
        "down-link lower bound invariant violated for index",
        "right sibling's left-link doesn't match",
    ];
    const PAGE: [&str; 8] = [
        "invalid page in block",
        "could not read block",
        "could not access status of transaction",
        "compressed pglz data is corrupt",
        "compressed lz4 data is corrupt",
        "missing chunk number",
        "unexpected chunk number",
        "invalid memory alloc request size",
    ];
    const WAL: [&str; 6] = [
        "could not locate a valid checkpoint record",
        "could not locate required checkpoint record",
        "could not find redo location",
        "WAL ends before",
        "incorrect checksum in control file",
        "invalid checkpoint record",
    ];
    const START: [&str; 15] = [
        "could not access file \"",
        "could not load server certificate file",
        "private key file",
        "contains errors",
        "unrecognized configuration parameter",
        "invalid value for parameter",
        "could not create any TCP/IP sockets",
        "could not create any Unix-domain sockets",
        "could not create lock file",
        "lock file \"",
        "has invalid permissions",
        "has wrong ownership",
        "Cannot allocate memory",
        "could not create shared memory segment",
        "could not load /",
    ];
    if any(&WAL) {
        return Some(SignKind::WalLost);
    }
    if any(&INDEX) {
        return Some(SignKind::Index);
    }
    if any(&PAGE) || has("could not open file \"base/") && has("No such file") {
        return Some(SignKind::Page);
    }
    if mark == "PANIC:  " {
        return Some(SignKind::Panic);
    }
    (mark == "FATAL:  " && any(&START)).then_some(SignKind::Configuration)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(text: &str) -> LogTail {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read(file.path()).unwrap()
    }

    #[test]
    fn signs_come_with_line_and_time_of_their_run() {
        let tail = told(
            "2026-11-21 02:00:00.5 UTC [1] LOG:  starting PostgreSQL 15.20 on x\n\
             2026-11-21 02:00:01.5 UTC [9] ERROR:  invalid page in block 3 of relation base/5/16384\n\
             \tat character 7\n\
             2026-11-21 02:00:02 CET [1] LOG:  starting PostgreSQL 15.20 on x\n\
             [1] PANIC:  could not locate a valid checkpoint record\n\
             [2] ERROR:  relation \"secret\" does not exist\n",
        );
        let [page, wal] = tail.signs.as_slice() else { panic!("{:?}", tail.signs) };
        assert_eq!((page.kind, page.line, page.last_run), (SignKind::Page, Some(2), false));
        assert_eq!(page.at.unwrap().to_string(), "2026-11-21 02:00:01.5+00");
        assert_eq!((wal.kind, wal.line, wal.at, wal.last_run), (SignKind::WalLost, Some(5), None, true));
        assert!(!tail.came_up && !tail.stopped_in_order);
    }

    #[test]
    fn a_stop_in_order_is_one_only_without_a_reason() {
        let run = "[1] LOG:  starting PostgreSQL 15 on x\n[1] LOG:  database system is ready to accept connections\n";
        let down = "[1] LOG:  database system is shut down\n";
        assert!(told(&format!("{run}{down}")).stopped_in_order);
        let failed = "[1] FATAL:  could not access file \"no_lib\": No such file or directory\n";
        let tail = told(&format!("{run}{failed}{down}"));
        assert!(!tail.stopped_in_order && tail.signs[0].kind == SignKind::Configuration);
        let tail = told(&format!("{run}{down}{failed}"));
        assert!(!tail.stopped_in_order, "a start failed after it");
        let again = told(&format!("{failed}{run}"));
        assert!(again.came_up && !again.signs[0].last_run);
    }

    #[test]
    fn messages_find_their_kind() {
        for (line, kind) in [
            (
                "PANIC:  could not write to file \"pg_wal/xlogtemp.9\": No space left on device",
                SignKind::DiskFull,
            ),
            (
                "LOG:  could not accept SSL connection: sslv3 alert certificate expired",
                SignKind::CertificateExpired,
            ),
            ("LOG:  server process (PID 7) was terminated by signal 9: Killed", SignKind::Killed),
            ("LOG:  archive command failed with exit code 1", SignKind::ArchiveFails),
            ("ERROR:  index \"i\" contains unexpected zero page at block 0", SignKind::Index),
            ("WARNING:  page verification failed, calculated checksum 1 but expected 2", SignKind::Page),
            (
                "ERROR:  could not read block 0 in file \"base/1/2\": read only 0 of 8192 bytes",
                SignKind::Page,
            ),
            ("PANIC:  stuck spinlock detected", SignKind::Panic),
            (
                "ERROR:  database is not accepting commands to avoid wraparound data loss in database \"x\"",
                SignKind::Wraparound,
            ),
            (
                "FATAL:  could not load server certificate file \"server.crt\": No such file",
                SignKind::Configuration,
            ),
        ] {
            let tail = told(&format!("x [1] {line}\n"));
            assert_eq!(tail.signs.first().map(|sign| sign.kind), Some(kind), "{line}");
        }
        assert!(
            told("x [1] ERROR:  duplicate key\nx [2] FATAL:  role \"a\" does not exist\n").signs.is_empty()
        );
    }

    #[test]
    fn the_line_is_counted_from_the_beginning_of_a_long_file() {
        let filler = "2026 [1] LOG:  checkpoint complete\n".repeat(60_000);
        let tail = told(&format!("{filler}x [1] PANIC:  it is over\n"));
        assert_eq!(tail.signs[0].line, Some(60_001));
    }

    proptest! {
        #[test]
        fn no_log_makes_it_panic(text in "(LOG:  |PANIC:  |FATAL:  |\\[|2026-11-21 |UTC |invalid page|é|[a-z0-9 \n]){0,60}") {
            drop(told(&text));
        }
    }
}

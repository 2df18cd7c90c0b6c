//! A repository nobody should have: 10,000 backups and 1,000,000 archived segments, for benchmarks and long tests.
//!
//! The info files are ours, written to the format; the segments are empty files with proper names, since a listing does not
//! open them.

use pgmayday::codec::Sha1Hash;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

pub(crate) const BACKUPS: u64 = 10_000;
pub(crate) const SEGMENTS: u64 = 1_000_000;
const SYSTEM_ID: &str = "7710413910099115611";

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> String + '_ {
    move |error| format!("{}: {error}", path.display())
}

/// `backup.info` with one full backup and 49 differentials per week, without end.
pub(crate) fn write_backups(folder: &Path) -> Result<(), String> {
    let mut lines = Vec::new();
    let mut full = String::new();
    for number in 0..BACKUPS {
        let start = 1_600_000_000 + number * 12_000;
        let stamp = chrono::DateTime::from_timestamp(start.cast_signed(), 0).unwrap_or_default();
        let stamp = stamp.format("%Y%m%d-%H%M%S");
        let is_full = number % 50 == 0;
        let label = if is_full { format!("{stamp}F") } else { format!("{full}_{stamp}D") };
        let (kind, prior) = if is_full {
            ("full", String::new())
        } else {
            ("diff", format!("\"backup-prior\":\"{full}\",\"backup-reference\":[\"{full}\"],"))
        };
        let wal = segment(number * SEGMENTS / BACKUPS);
        let lsn = format!("{:X}/{:X}", number >> 8, (number & 0xff) << 24 | 0x28);
        lines.push((
            label.clone(),
            format!(
                "{{\"backrest-format\":5,\"backrest-version\":\"2.45\",\"backup-archive-start\":\"{wal}\",\
                 \"backup-archive-stop\":\"{wal}\",\"backup-error\":false,\"backup-info-repo-size\":4192208,\
                 \"backup-info-repo-size-delta\":470,\"backup-info-size\":32487794,\"backup-info-size-delta\":8480,\
                 \"backup-lsn-start\":\"{lsn}\",\"backup-lsn-stop\":\"{lsn}\",{prior}\
                 \"backup-timestamp-start\":{start},\"backup-timestamp-stop\":{},\"backup-type\":\"{kind}\",\"db-id\":1,\
                 \"option-archive-check\":true,\"option-archive-copy\":false,\"option-backup-standby\":false,\
                 \"option-checksum-page\":true,\"option-compress\":true,\"option-hardlink\":false,\
                 \"option-online\":true}}",
                start + 60
            ),
        ));
        if is_full {
            full = label;
        }
    }
    lines.sort();
    let db = [
        ("db-catalog-version", "202209061"),
        ("db-control-version", "1300"),
        ("db-id", "1"),
        ("db-system-id", SYSTEM_ID),
        ("db-version", "\"15\""),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()));
    let history = format!(
        "{{\"db-catalog-version\":202209061,\"db-control-version\":1300,\"db-system-id\":{SYSTEM_ID},\"db-version\":\"15\"}}"
    );
    write_info(
        &folder.join("backup.info"),
        &[("backup:current", lines), ("db", db.to_vec()), ("db:history", vec![("1".into(), history)])],
    )
}

/// An archive without a gap, on one timeline.
pub(crate) fn write_archive(folder: &Path) -> Result<(), String> {
    let pair = |key: &str, value: String| (key.to_owned(), value);
    let db = vec![
        pair("db-id", "1".into()),
        pair("db-system-id", SYSTEM_ID.into()),
        pair("db-version", "\"15\"".into()),
    ];
    let history = vec![pair("1", format!("{{\"db-id\":{SYSTEM_ID},\"db-version\":\"15\"}}"))];
    write_info(&folder.join("archive.info"), &[("db", db), ("db:history", history)])?;
    let mut inside = PathBuf::new();
    for number in 0..SEGMENTS {
        let name = segment(number);
        if number % 256 == 0 {
            inside = folder.join("15-1").join(&name[..16]);
            fs::create_dir_all(&inside).map_err(at(&inside))?;
        }
        let path = inside.join(format!("{name}-{}.zst", Sha1Hash::of(name.as_bytes())));
        File::create(&path).map_err(at(&path))?;
    }
    Ok(())
}

/// The name of the n-th segment of 16 MiB on timeline 1.
fn segment(number: u64) -> String {
    format!("00000001{:08X}{:08X}", number >> 8, number & 0xff)
}

/// Writes an info file and its copy; the checksum is over the content as one JSON document.
fn write_info(path: &Path, sections: &[(&str, Vec<(String, String)>)]) -> Result<(), String> {
    let first = vec![
        ("backrest-format".to_owned(), "5".to_owned()),
        ("backrest-version".to_owned(), "\"2.45\"".to_owned()),
    ];
    let mut text = String::new();
    let mut document = String::from("{");
    for (name, pairs) in std::iter::once(&("backrest", first)).chain(sections) {
        let _ = writeln!(text, "[{name}]");
        let _ = write!(document, "{}\"{name}\":{{", if document.len() > 1 { "," } else { "" });
        for (index, (key, value)) in pairs.iter().enumerate() {
            let _ = writeln!(text, "{key}={value}");
            let _ = write!(document, "{}\"{key}\":{value}", if index > 0 { "," } else { "" });
        }
        text.push('\n');
        document.push('}');
    }
    document.push('}');
    let _ = write!(text, "[backrest]\nbackrest-checksum=\"{}\"\n", Sha1Hash::of(document.as_bytes()));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(at(folder))?;
    }
    for copy in [path.to_owned(), path.with_extension("info.copy")] {
        fs::write(&copy, &text).map_err(at(&copy))?;
    }
    Ok(())
}

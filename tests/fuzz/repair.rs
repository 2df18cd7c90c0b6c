//! Makes the checksums of damaged files right again, so that the damage behind them is read.
//!
//! Written apart from the readers under test, after the formats' descriptions.

use pgmayday::codec::Sha1Hash;
use serde_json::Value;
use serde_json::value::RawValue;
use std::fmt::Write as _;

fn le32(bytes: &[u8]) -> usize {
    bytes.iter().take(4).rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// `pg_control` of PostgreSQL 12 and later: the CRC stands behind the last field; 18 has one more.
pub(crate) fn control(mut bytes: Vec<u8>) -> Vec<u8> {
    let at = if bytes.len() > 12 && le32(&bytes[8..]) >= 1800 { 292 } else { 288 };
    if bytes.len() >= at + 4 {
        let crc = crc32c::crc32c(&bytes[..at]);
        bytes[at..at + 4].copy_from_slice(&crc.to_le_bytes());
    }
    bytes
}

/// WAL: the CRC of every record that lies within one page, as far as lengths lead.
pub(crate) fn wal(mut bytes: Vec<u8>) -> Vec<u8> {
    const PAGE: usize = 8192;
    const HEADER: usize = 24;
    let aligned = |at: usize| at.next_multiple_of(8);
    for (number, page) in bytes.chunks_exact_mut(PAGE).enumerate() {
        let mut at = aligned(if number == 0 { 40 } else { 24 } + le32(&page[16..]));
        while at + HEADER <= PAGE {
            let length = le32(&page[at..]);
            if length < HEADER || at + length > PAGE {
                break;
            }
            let crc = crc32c::crc32c(&page[at + HEADER..at + length]);
            let crc = crc32c::crc32c_append(crc, &page[at..at + 20]);
            page[at + 20..at + 24].copy_from_slice(&crc.to_le_bytes());
            at += aligned(length);
        }
    }
    bytes
}

/// Info files and manifests: SHA-1 over the content as one JSON document.
pub(crate) fn info(bytes: Vec<u8>) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(&bytes) else { return bytes };
    let mut document = String::from("{");
    let mut section = "";
    let mut previous = None;
    let mut old = None;
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name;
            continue;
        }
        let is_value = |at: &usize| serde_json::from_str::<&RawValue>(&line[at + 1..]).is_ok();
        let Some(at) = line.match_indices('=').map(|(at, _)| at).find(is_value) else { return bytes };
        let (key, value) = (&line[..at], &line[at + 1..]);
        if (section, key) == ("backrest", "backrest-checksum") {
            old = Some(value.to_owned());
            continue;
        }
        let opening = match previous.replace(section) {
            Some(before) if before == section => ",".to_owned(),
            Some(_) => format!("}},\"{section}\":{{"),
            None => format!("\"{section}\":{{"),
        };
        let _ = write!(document, "{opening}{}:{value}", Value::from(key));
    }
    document.push_str("}}");
    match old {
        Some(old) => text.replace(&old, &format!("\"{}\"", Sha1Hash::of(document.as_bytes()))).into_bytes(),
        None => bytes,
    }
}

//! Why a timeline was begun, as PostgreSQL writes it into a history file.
//!
//! Words: `getRecoveryStopReason` of `xlogrecovery.c`. They are for people: no recovery is decided by them, and none is
//! refused because of them.

use crate::base::Lsn;

/// Where replay stopped, in a reason that names such a place.
fn stop(reason: &[u8]) -> Option<&[u8]> {
    reason.strip_prefix(b"before ").or_else(|| reason.strip_prefix(b"after "))
}

/// True if the reason ends with a line feed of its own: of a stop at a time or an LSN.
pub(super) fn brings_a_line_feed(reason: &[u8]) -> bool {
    stop(reason).is_some_and(|at| !at.starts_with(b"transaction "))
}

/// True if PostgreSQL gives such a reason.
pub(super) fn is_known(reason: &[u8]) -> bool {
    let fixed: [&[u8]; 2] = [b"no recovery target specified", b"reached consistency"];
    let named = || reason.strip_prefix(b"at restore point \"").is_some_and(|name| name.ends_with(b"\""));
    fixed.contains(&reason) || named() || stop(reason).is_some_and(is_place)
}

/// A transaction, to which old versions add its time; an LSN; or a time.
fn is_place(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    if let Some(transaction) = text.strip_prefix("transaction ") {
        let (id, time) = transaction.split_once(' ').map_or((transaction, None), |(id, at)| (id, Some(at)));
        return id.parse::<u32>().is_ok() && time.is_none_or(is_time);
    }
    text.strip_prefix("LSN ").map_or_else(|| is_time(text), |lsn| lsn.parse::<Lsn>().is_ok())
}

/// `2026-11-21 01:06:03.25+00`, before Christ with ` BC` behind it.
fn is_time(text: &str) -> bool {
    let text = text.strip_suffix(" BC").unwrap_or(text);
    text.starts_with(|first: char| first.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_digit() || b"-+:. ".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_of_postgresql_is_known() {
        for reason in [
            "no recovery target specified",
            "reached consistency",
            "at restore point \"before \u{fc}pgrade\"",
            "before transaction 733",
            "after transaction 733 2026-11-21 01:06:03+00",
            "before 2026-11-21 07:01:02.123456+00",
            "after 0044-03-15 12:00:00-00:08:20 BC",
            "after LSN 0/5000000",
        ] {
            assert!(is_known(reason.as_bytes()), "{reason}");
        }
    }

    #[test]
    fn others_are_not() {
        for reason in [
            "no recovery target specifieD",
            "no re\u{fffd}",
            "at restore point x",
            "before LSN x",
            "after noon",
        ] {
            assert!(!is_known(reason.as_bytes()), "{reason}");
        }
        assert!(!is_known(b"before transaction 7\xff"));
    }
}

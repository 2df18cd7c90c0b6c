//! Manifests that outlived their backups, and how long they are kept.
//!
//! The manifest of a backup that is still listed stays, however old it is.

use crate::base::{BackupLabel, Result, Timestamp};
use crate::repo::{BackupInfo, Stanza};

const DAY_US: i64 = 86_400_000_000;

/// Kept manifests that go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct KeptCut {
    /// Whole years.
    pub(super) years: Vec<String>,
    /// Single ones.
    pub(super) manifests: Vec<BackupLabel>,
}

/// Looks for manifests of backups that are older than this many days and not listed any more.
pub(super) fn cut(stanza: &Stanza, info: &BackupInfo, days: u64, now: Timestamp) -> Result<KeptCut> {
    let span_us = i64::try_from(days).unwrap_or(i64::MAX).saturating_mul(DAY_US);
    let mut cut = KeptCut::default();
    let Some(oldest) = full_label_text(Timestamp(now.0.saturating_sub(span_us))) else { return Ok(cut) };
    for kept in stanza.kept_manifests()? {
        let goes =
            |label: &&BackupLabel| !info.backups.contains_key(*label) && label.as_str() < oldest.as_str();
        let mut gone: Vec<_> = kept.labels.iter().filter(goes).cloned().collect();
        if !oldest.starts_with(&kept.year) && kept.year < oldest && gone.len() == kept.labels.len() {
            cut.years.push(kept.year);
        } else {
            cut.manifests.append(&mut gone);
        }
    }
    Ok(cut)
}

/// The label a full backup begun at this moment would have, in this host's time zone as pgBackRest's labels are; nothing
/// for a moment before every label.
fn full_label_text(at: Timestamp) -> Option<String> {
    let local = at.local_text();
    let bytes = local.as_bytes();
    let (date, time) = (local.get(..10)?, local.get(11..19)?);
    let plain = bytes.get(..4)?.iter().all(u8::is_ascii_digit) && bytes.get(4) == Some(&b'-');
    plain.then(|| format!("{}-{}F", date.replace('-', ""), time.replace(':', "")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_becomes_a_label() {
        let label = full_label_text(Timestamp::from_unix_s(1_795_220_646)).unwrap();
        assert_eq!(label.parse::<BackupLabel>().unwrap().as_str(), label);
        // More days than there were.
        assert_eq!(full_label_text(Timestamp(i64::MIN)), None);
        assert_eq!(full_label_text(Timestamp::from_unix_s(-86_400 * 9_999_999)), None);
    }
}

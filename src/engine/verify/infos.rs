//! The info files of a stanza: both of each pair read and compared, and what they say of the clusters.
//!
//! A pair that is being written differs for a moment: it is read again before anything is said. What can be done
//! without a file that is lost is done: an unencrypted repository needs no key, and either file knows the clusters.

use super::Work;
use super::finding::{Findings, Level, level_of};
use crate::base::{Kind, PgVersion, Report, Result, SystemId};
use crate::repo::{ArchiveInfo, BackupInfo, RepoError, Twins};
use std::collections::BTreeMap;

/// What the info files say, as far as they could be read.
pub(super) struct Infos {
    /// The list of backups; empty if it could not be read.
    pub(super) backup: BackupInfo,
    /// The clusters of the archive.
    pub(super) archive: ArchiveInfo,
    /// `backup.info` was read.
    pub(super) knows_backups: bool,
    /// The key of the manifests is known, or none is needed.
    pub(super) manifests_open: bool,
    /// The key of the archive is known, or none is needed.
    pub(super) archive_open: bool,
}

/// Reads both pairs and tells what is wrong with them.
pub(super) fn read(work: &Work<'_>, findings: &mut Findings) -> Result<Infos> {
    let (mut backup, mut archive) = twins(work)?;
    if !(backup.agree() && archive.agree() && histories_differ(&backup, &archive).is_none()) {
        work.wait()?;
        (backup, archive) = twins(work)?;
    }
    refuse_wrong_key(work, &backup, &archive)?;
    refuse_no_stanza(work, &backup, &archive)?;
    tell(findings, &backup);
    tell(findings, &archive);
    if let Some(why) = histories_differ(&backup, &archive) {
        findings.add(Level::Damage, &archive.path, why);
    }
    let encrypted = work.stanza.repository().cipher().is_some();
    let (knows_backups, knows_archive) = (backup.value.is_some(), archive.value.is_some());
    let clusters: BTreeMap<u32, (PgVersion, SystemId)> =
        backup.value.as_ref().map(clusters).unwrap_or_default();
    let current = backup.value.as_ref().map_or(0, |info| info.current_db_id);
    Ok(Infos {
        archive: archive.value.unwrap_or(ArchiveInfo {
            current_db_id: current,
            history: clusters,
            cipher_pass: None,
        }),
        backup: backup.value.unwrap_or(BackupInfo {
            current_db_id: 0,
            history: BTreeMap::new(),
            backups: BTreeMap::new(),
            cipher_pass: None,
        }),
        knows_backups,
        manifests_open: knows_backups || !encrypted,
        archive_open: knows_archive || !encrypted,
    })
}

fn twins(work: &Work<'_>) -> Result<(Twins<BackupInfo>, Twins<ArchiveInfo>)> {
    work.cancel.check()?;
    Ok((work.stanza.backup_info_twins()?, work.stanza.archive_info_twins()?))
}

fn clusters(info: &BackupInfo) -> BTreeMap<u32, (PgVersion, SystemId)> {
    info.history.iter().map(|(id, db)| (*id, (db.version, db.system_id))).collect()
}

/// Both files must know the same clusters under the same numbers.
fn histories_differ(backup: &Twins<BackupInfo>, archive: &Twins<ArchiveInfo>) -> Option<String> {
    let (backup, archive) = (backup.value.as_ref()?, archive.value.as_ref()?);
    let same = clusters(backup) == archive.history && backup.current_db_id == archive.current_db_id;
    (!same).then(|| {
        "does not know the same clusters as backup.info: one of the two is of another stanza, or an upgrade of the \
         stanza was not finished"
            .to_owned()
    })
}

/// Tells what is wrong with a pair.
pub(super) fn tell<T>(findings: &mut Findings, twins: &Twins<T>) {
    let usable = twins.value.is_some();
    let copy = twins.copy_path();
    for (path, result, other) in
        [(&twins.path, &twins.main, copy.file_name()), (&copy, &twins.copy, twins.path.file_name())]
    {
        if let Err(error) = result {
            let instead = if usable { format!("; {other} is sound") } else { String::new() };
            findings.add(level_of(error), path, format!("{error}{instead}"));
        }
    }
    if twins.main.is_ok() && twins.copy.is_ok() && !twins.same {
        let why = "differs from its copy, though both are sound: what wrote them did not finish";
        findings.add(Level::Warning, &twins.path, why);
    }
}

/// Where no file can be read with the key there is, the key is wrong, not everything else.
fn refuse_wrong_key(work: &Work<'_>, backup: &Twins<BackupInfo>, archive: &Twins<ArchiveInfo>) -> Result<()> {
    let all = [&backup.main, &backup.copy, &archive.main, &archive.copy];
    let there: Vec<&RepoError> =
        all.iter().filter_map(|result| result.as_ref().err()).filter(|error| !error.is_missing()).collect();
    let read = all.iter().any(|result| result.is_ok());
    let all_are = |is: &dyn Fn(&RepoError) -> bool| !there.is_empty() && there.iter().all(|error| is(error));
    let key = work.stanza.repository().key();
    let refused = |why: &str, hint: &str| {
        Err(Report::new(Kind::Usage, format!("repository {key}: {why}")).hint(hint.to_owned()))
    };
    if read {
        Ok(())
    } else if all_are(&|error| matches!(error, RepoError::Encrypted(_))) {
        refused(
            "its info files are encrypted, but no passphrase is configured",
            "set repoN-cipher-type=aes-256-cbc and repoN-cipher-pass for this repository",
        )
    } else if all_are(&|error| matches!(error, RepoError::NotEncrypted(_))) {
        refused(
            "its info files are not encrypted, but a passphrase is configured",
            "set repoN-cipher-type=none, or check that this is the repository that was meant",
        )
    } else if there.len() > 1 && all_are(&RepoError::is_passphrase) {
        refused(
            "the passphrase is wrong: none of the stanza's info files can be decrypted with it",
            "correct repoN-cipher-pass; nothing was verified",
        )
    } else {
        Ok(())
    }
}

/// A stanza without any file or folder is not damaged; it is not there, or the repository is not mounted.
fn refuse_no_stanza(work: &Work<'_>, backup: &Twins<BackupInfo>, archive: &Twins<ArchiveInfo>) -> Result<()> {
    let missing = |result: &std::result::Result<(), RepoError>| {
        result.as_ref().err().is_some_and(RepoError::is_missing)
    };
    if ![&backup.main, &backup.copy, &archive.main, &archive.copy].into_iter().all(missing) {
        return Ok(());
    }
    for folder in [work.stanza.backup_folder(), work.stanza.archive_folder()] {
        if work.storage.stat(&folder?)?.is_some() {
            return Ok(());
        }
    }
    Err(Report::failed(format!("stanza '{}' is not in {}", work.stanza.name(), work.storage.describe()))
        .hint("`info` lists the stanzas; check repoN-path, and that the repository is mounted"))
}

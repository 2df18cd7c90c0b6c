//! Repositories made up backup by backup: whole as far as anybody can tell who does not start PostgreSQL on them.
//!
//! Every backup has a true manifest, its files and an entry in `backup.info`; WAL is named right and holds nothing.

use pgmayday::base::{BackupKind, BackupLabel, Lsn, PgVersion, SystemId, Timestamp, WalSegment};
use pgmayday::codec::{Compression, Sha1Hash};
use pgmayday::repo::{
    ArchiveInfo, BackupEntry, BackupInfo, Database, DbHistory, FileEntry, FileRecord, FileTableBuilder,
    MadeWith, Manifest, ManifestDb, Owner, PathEntry, Repository, Stanza, Target,
};
use pgmayday::store::memory::Memory;
use pgmayday::store::{EntryKind, Storage, StorePath, list_sorted, read_small, write_small};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The stanza of every one of them.
pub(crate) const STANZA: &str = "main";
/// The content of every file of every backup, and its SHA-1.
const CONTENT: &[u8] = b"15\n";
const CONTENT_SHA1: &str = "587b596f04f7db9c2cad3d6b87dd2b3a05de4f35";
/// The SHA-1 that segments bear in their names.
pub(crate) const WAL_SHA1: &str = "0123456789abcdef0123456789abcdef01234567";

/// What a backup is to be.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    /// The backup it is made against; nothing for a full one.
    pub(crate) prior: Option<BackupLabel>,
    /// When it began, seconds since 1970; it lasts a minute.
    pub(crate) start_s: i64,
    /// A differential rather than an incremental one.
    pub(crate) diff: bool,
    /// First and last segment; nothing for a backup of a stopped cluster.
    pub(crate) wal: Option<(WalSegment, WalSegment)>,
    /// Its notes.
    pub(crate) notes: Vec<(String, String)>,
}

/// A repository with one stanza.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) stanza: Stanza,
    pub(crate) info: BackupInfo,
    pub(crate) archive: ArchiveInfo,
}

impl Made {
    /// An empty stanza of one cluster.
    pub(crate) fn new(storage: Arc<dyn Storage>) -> Self {
        let cluster = DbHistory {
            version: PgVersion::major(15),
            system_id: SystemId(7_000_000_000_000_000_001),
            catalog: 202_209_061,
            control: 1300,
        };
        let info = BackupInfo {
            current_db_id: 1,
            history: BTreeMap::from([(1, cluster)]),
            backups: BTreeMap::new(),
            cipher_pass: None,
        };
        let archive = ArchiveInfo {
            current_db_id: 1,
            history: BTreeMap::from([(1, (cluster.version, cluster.system_id))]),
            cipher_pass: None,
        };
        let made = Self { stanza: Repository::new(storage, 1, None).stanza(STANZA), info, archive };
        made.save();
        made
    }

    /// Reads what the info files say now.
    pub(crate) fn refresh(&mut self) {
        self.info = self.stanza.backup_info().unwrap().value;
        self.archive = self.stanza.archive_info().unwrap().value;
    }

    /// A new cluster takes the place of the one before.
    pub(crate) fn upgrade(&mut self) {
        self.refresh();
        let id = self.info.current_db_id + 1;
        let mut cluster = self.info.history[&self.info.current_db_id];
        cluster.system_id.0 += 1;
        self.info.history.insert(id, cluster);
        self.info.current_db_id = id;
        self.archive.history.insert(id, (cluster.version, cluster.system_id));
        self.archive.current_db_id = id;
        self.save();
    }

    pub(crate) fn save(&self) {
        self.stanza.save_backup_info(&self.info).unwrap();
        self.stanza.save_archive_info(&self.archive).unwrap();
    }

    /// Makes a backup; it is listed once [`save`](Self::save) is called.
    pub(crate) fn backup(&mut self, wanted: &Wanted) -> BackupLabel {
        let manifest = self.manifest(wanted);
        self.write_files(&manifest);
        self.stanza.commit_manifest(&self.info, &manifest).unwrap();
        let label = manifest.label.clone();
        self.info.backups.insert(label.clone(), BackupEntry::of(&manifest));
        self.point_latest();
        label
    }

    /// Leaves what a backup leaves that was killed while it ran.
    pub(crate) fn partial(&mut self, wanted: &Wanted) -> BackupLabel {
        let mut manifest = self.manifest(wanted);
        manifest.stop = Timestamp(0);
        self.write_files(&manifest);
        self.stanza.save_partial_manifest(&self.info, &manifest).unwrap();
        manifest.label
    }

    fn point_latest(&self) {
        if let Some(newest) = self.info.backups.keys().next_back() {
            self.stanza.point_latest(newest).unwrap();
        }
    }

    /// Writes a file at a path inside the repository.
    pub(crate) fn put(&self, path: &str, content: &[u8]) {
        write_small(&**self.stanza.repository().storage(), &StorePath::new(path).unwrap(), content).unwrap();
    }

    pub(crate) fn remove(&self, path: &str) {
        self.stanza.repository().storage().remove(&StorePath::new(path).unwrap()).unwrap();
    }

    /// Archives a segment of cluster `id`.
    pub(crate) fn wal(&self, id: u32, segment: WalSegment) {
        self.put(&format!("archive/{STANZA}/15-{id}/{}/{segment}-{WAL_SHA1}.gz", segment.folder()), b"wal");
    }

    /// Archives a file that is no segment of cluster `id`, by its name.
    pub(crate) fn archived(&self, id: u32, name: &str) {
        let folder = if name.len() > 24 { format!("{}/", &name[..16]) } else { String::new() };
        self.put(&format!("archive/{STANZA}/15-{id}/{folder}{name}"), b"other");
    }

    fn write_files(&self, manifest: &Manifest) {
        for file in manifest.files.iter().filter(|file| file.stored_here) {
            let (path, ..) = manifest.stored(&file).unwrap();
            write_small(&**self.stanza.repository().storage(), &path, CONTENT).unwrap();
        }
    }

    pub(crate) fn manifest(&self, wanted: &Wanted) -> Manifest {
        let stamp = stamp(wanted.start_s);
        let label: BackupLabel = match &wanted.prior {
            None => format!("{stamp}F"),
            Some(prior) => format!("{}_{stamp}{}", prior.full(), if wanted.diff { 'D' } else { 'I' }),
        }
        .parse()
        .unwrap();
        let mut references = Vec::new();
        if let Some(prior) = &wanted.prior {
            references
                .extend(self.info.backups.get(prior).into_iter().flat_map(|entry| entry.references.clone()));
            references.push(prior.clone());
        }
        let id = self.info.current_db_id;
        let cluster = self.info.history[&id];
        let lsn =
            |segment: WalSegment| Lsn((u64::from(segment.log) << 32) | (u64::from(segment.seg) << 24) | 0x28);
        let mut files = FileTableBuilder::default();
        // One file of each backup it needs, and one of its own.
        for owner in references.iter().chain([&label]) {
            let name = format!("pg_data/f{owner}");
            let foreign = (*owner != label).then(|| owner.clone());
            files.add(record(&name, foreign)).unwrap();
        }
        references.push(label.clone());
        let start = Timestamp::from_unix_s(wanted.start_s);
        Manifest {
            kind: label.kind(),
            prior: wanted.prior.clone(),
            references,
            start,
            stop: Timestamp::from_unix_s(wanted.start_s + 60),
            copy_start: Timestamp::from_unix_s(wanted.start_s + 1),
            archive_start: wanted.wal.map(|(start, _)| start),
            archive_stop: wanted.wal.map(|(_, stop)| stop),
            lsn_start: wanted.wal.map(|(start, _)| lsn(start)),
            lsn_stop: wanted.wal.map(|(_, stop)| Lsn(lsn(stop).0 + 0x100)),
            block_incr: false,
            bundle: false,
            bundle_raw: false,
            backrest_version: "2.45".to_owned(),
            db: ManifestDb {
                catalog: cluster.catalog,
                control: cluster.control,
                id,
                system_id: cluster.system_id,
                version: cluster.version,
            },
            compression: Compression::None,
            online: wanted.wal.is_some(),
            checksum_page: false,
            archive_check: wanted.wal.is_some(),
            archive_copy: false,
            standby: false,
            hardlink: false,
            made_with: MadeWith::default(),
            cipher_pass: None,
            targets: vec![Target {
                name: "pg_data".to_owned(),
                path: "/pg".to_owned(),
                file: None,
                link: false,
                tablespace: None,
            }],
            databases: wanted
                .wal
                .iter()
                .map(|_| Database { name: "postgres".to_owned(), oid: 5, last_system_oid: 4 })
                .collect(),
            annotations: wanted.notes.iter().cloned().collect(),
            paths: vec![PathEntry {
                name: "pg_data".to_owned(),
                mode: 0o700,
                user: Owner::Named("postgres".to_owned()),
                group: Owner::Named("postgres".to_owned()),
            }],
            links: Vec::new(),
            files: files.build(&label, false).unwrap(),
            folder: self.stanza.backup_folder().unwrap(),
            label,
        }
    }
}

fn record(name: &str, owner: Option<BackupLabel>) -> FileRecord<'_> {
    let sha1: Sha1Hash = CONTENT_SHA1.parse().unwrap();
    FileRecord {
        name,
        size_bytes: CONTENT.len() as u64,
        repo_size_bytes: CONTENT.len() as u64,
        checksum: Some(sha1),
        owner,
        mode: Some(0o600),
        user: Some(Owner::Named("postgres".to_owned())),
        group: Some(Owner::Named("postgres".to_owned())),
        modified_s: 1_700_000_000,
        ..FileRecord::default()
    }
}

/// The moment as it stands in a label, in the time zone labels are in.
pub(crate) fn stamp(at_s: i64) -> String {
    let local = Timestamp::from_unix_s(at_s).local_text();
    format!("{}-{}", local[..10].replace('-', ""), local[11..19].replace(':', ""))
}

/// A segment by timeline and number, 16 MiB each.
pub(crate) fn segment(timeline: u32, number: u32) -> WalSegment {
    format!("{timeline:08X}{:08X}{:08X}", number >> 8, number & 0xFF).parse().unwrap()
}

/// Every file below a folder with its content.
pub(crate) fn files(storage: &dyn Storage, folder: &StorePath) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in list_sorted(storage, folder).unwrap() {
        let path = folder.join(&entry.name).unwrap();
        match entry.meta.kind {
            EntryKind::Folder => found.extend(files(storage, &path)),
            EntryKind::File => {
                found.insert(path.to_string(), read_small(storage, &path, 1 << 20).unwrap());
            }
            EntryKind::Link(to) => {
                found.insert(path.to_string(), to.into_bytes());
            }
        }
    }
    found
}

/// A copy of a store of its own.
pub(crate) fn copy(storage: &Memory) -> Memory {
    let copy = Memory::default();
    for (path, content) in files(storage, &StorePath::ROOT) {
        copy.put(&StorePath::new(path).unwrap(), &content);
    }
    copy
}

/// What must hold of every repository at every moment, read without any repair: what is listed is whole, and so is what it
/// needs, and the WAL between its start and its stop, as far as it was `archived`, is there.
pub(crate) fn assert_sound(stanza: &Stanza, archived: &[(u32, WalSegment)]) {
    let storage = &**stanza.repository().storage();
    let info = stanza.backup_info().unwrap();
    assert!(info.warnings.is_empty(), "{:?}", info.warnings);
    let info = info.value;
    let archive_info = stanza.archive_info().unwrap().value;
    let archive = stanza.archive(&archive_info);
    for (label, entry) in &info.backups {
        for needed in info.needs(label) {
            assert!(
                info.backups.contains_key(&needed),
                "{label} is listed and {needed}, which it needs, is not"
            );
        }
        let manifest = stanza.manifest(&info, label).unwrap();
        // Taken back in the middle of being removed: the copy of its manifest still tells all of it.
        let by_copy = |warning: &String| warning.ends_with("used backup.manifest.copy instead");
        assert!(manifest.warnings.iter().all(by_copy), "{:?}", manifest.warnings);
        for file in manifest.value.files.iter().filter(FileEntry::is_stored) {
            let (path, ..) = manifest.value.stored(&file).unwrap();
            assert!(storage.stat(&path).unwrap().is_some(), "{label} needs {path}, which is gone");
        }
        let (Some(start), Some(stop)) = (entry.archive_start, entry.archive_stop) else { continue };
        let id = archive.ids().into_iter().find(|id| id.db_id == entry.db_id).unwrap();
        for (_, segment) in archived.iter().filter(|(id, s)| *id == entry.db_id && (start..=stop).contains(s))
        {
            let found = archive.find(&id, *segment).unwrap();
            assert!(matches!(found, pgmayday::repo::Found::One(_)), "{label} needs {segment}: {found:?}");
        }
    }
}

/// The kinds of the backups, in their order; for messages.
pub(crate) fn kinds(info: &BackupInfo) -> String {
    let letter = |entry: &BackupEntry| match entry.kind {
        BackupKind::Full => 'F',
        BackupKind::Diff => 'D',
        BackupKind::Incr => 'I',
    };
    info.backups.values().map(letter).collect()
}

//! What a backup will consist of, once the server was told and its files were listed.
//!
//! A plan stores nothing. It has the manifest's frame: everything but the files.

use super::compare::Decision;
use super::request::Request;
use super::scan::Scan;
use super::session::Start;
use crate::base::{BackupKind, BackupLabel, Secret, Timestamp};
use crate::cluster::control::ControlFile;
use crate::codec::{Compression, EncoderPool, Framing, StreamSpec};
use crate::engine::backup::copy::Encoders;
use crate::repo::{
    BackupInfo, Database, FileTableBuilder, MadeWith, Manifest, ManifestDb, RepoError, WRITER,
};
use crate::store::StorePath;

/// What a backup will consist of.
pub(super) struct Plan {
    pub(super) kind: BackupKind,
    pub(super) label: BackupLabel,
    /// The manifest of the backup before, or of the interrupted one that is taken up.
    pub(super) prior: Option<Manifest>,
    /// The interrupted one is taken up.
    pub(super) resumed: bool,
    /// One per file of the scan.
    pub(super) decisions: Vec<Decision>,
    /// Nothing for an offline backup.
    pub(super) start: Option<Start>,
    pub(super) started_at: Timestamp,
    pub(super) copy_start: Timestamp,
    pub(super) compression: Compression,
    pub(super) cipher_pass: Option<Secret>,
    pub(super) bundle_raw: bool,
    pub(super) checksum_page: bool,
    pub(super) delta: bool,
    pub(super) standby: bool,
    pub(super) databases: Vec<Database>,
    /// The number of the first bundle.
    pub(super) first_bundle: u64,
    /// The backup's own folder.
    pub(super) folder: StorePath,
}

impl Plan {
    /// The backups whose files this one may use, itself last.
    pub(super) fn references(&self) -> Vec<BackupLabel> {
        let before =
            self.prior.iter().filter(|_| !self.resumed).flat_map(|prior| prior.references.iter().cloned());
        before.chain([self.label.clone()]).collect()
    }

    /// The label of the backup before, if this is no full one.
    pub(super) fn prior_label(&self) -> Option<&BackupLabel> {
        self.prior.as_ref().filter(|_| !self.resumed).map(|prior| &prior.label)
    }

    /// Original bytes of the files that are read.
    pub(super) fn copied_bytes(&self, scan: &Scan) -> u64 {
        let copied = scan.files.iter().zip(&self.decisions);
        copied.filter(|(_, d)| matches!(d, Decision::Copy { .. })).map(|(file, _)| file.size_bytes).sum()
    }

    /// How many files are read.
    pub(super) fn copied_files(&self) -> u64 {
        self.decisions.iter().filter(|d| matches!(d, Decision::Copy { .. })).count() as u64
    }

    /// Encoders for everything that is stored.
    pub(super) fn encoders(&self, request: &Request) -> Result<Encoders, crate::codec::CodecError> {
        let level =
            request.compress_level.filter(|level| crate::codec::level_is_valid(self.compression, *level));
        let pool = |compression: Compression, framing: Framing| {
            let cipher = self.cipher_pass.clone();
            let level = level.filter(|_| compression != Compression::None);
            EncoderPool::new(StreamSpec { compression, cipher, framing }, level)
        };
        let bundled = if self.bundle_raw { Framing::Raw } else { Framing::Full };
        Ok(Encoders {
            whole: pool(self.compression, Framing::Full)?,
            bundled: pool(self.compression, bundled)?,
            block: pool(self.compression, Framing::Raw)?,
            map: pool(Compression::None, Framing::Raw)?,
        })
    }

    /// The manifest without its files.
    pub(super) fn frame(
        &self,
        request: &Request,
        info: &BackupInfo,
        control: &ControlFile,
        folder: StorePath,
    ) -> Result<Manifest, RepoError> {
        let current = info.current();
        let count = u32::try_from(request.process_max).unwrap_or(u32::MAX);
        Ok(Manifest {
            label: self.label.clone(),
            kind: self.kind,
            prior: self.prior_label().cloned(),
            references: self.references(),
            start: self.started_at,
            stop: Timestamp(0),
            copy_start: self.copy_start,
            archive_start: self.start.map(|start| start.segment),
            archive_stop: None,
            lsn_start: self.start.map(|start| start.lsn),
            lsn_stop: None,
            block_incr: request.block.is_some(),
            bundle: request.bundle.is_some(),
            bundle_raw: self.bundle_raw,
            backrest_version: WRITER.to_owned(),
            db: ManifestDb {
                catalog: current.catalog,
                control: current.control,
                id: info.current_db_id,
                system_id: control.system_id,
                version: control.version,
            },
            compression: self.compression,
            online: request.online,
            checksum_page: self.checksum_page,
            archive_check: request.online && request.archive_check,
            archive_copy: request.online && request.archive_check && request.archive_copy,
            standby: self.standby,
            hardlink: request.hardlink,
            made_with: MadeWith {
                buffer_bytes: Some(super::copy::CHUNK_BYTES as u64),
                compress_level: Some(
                    request.compress_level.unwrap_or(crate::codec::default_level(self.compression)),
                ),
                compress_level_network: None,
                delta: Some(self.delta),
                process_max: Some(count),
            },
            cipher_pass: self.cipher_pass.clone(),
            targets: Vec::new(),
            databases: self.databases.clone(),
            annotations: request.annotations.clone(),
            paths: Vec::new(),
            links: Vec::new(),
            files: FileTableBuilder::default().build(&self.label, request.bundle.is_some())?,
            folder,
        })
    }
}

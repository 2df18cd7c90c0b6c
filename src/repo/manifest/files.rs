//! The files of a manifest in about 100 bytes each, names included.
//!
//! Each file is one packed record in an arena; users, groups, modes and labels are kept once. Records are packed by
//! this module only, so reading them back cannot fail. The table is sorted by name and holds each name once.

use super::super::error::{Fault, Place, RepoError};
use crate::base::BackupLabel;
use crate::codec::Sha1Hash;
use crate::store::StorePath;
use std::collections::HashMap;

/// A user or group of the host the backup was made on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owner<S> {
    /// Known by name.
    Named(S),
    /// A number without a name (`false` in the manifest).
    Unnamed,
}

impl Owner<String> {
    /// The same owner with a borrowed name.
    pub fn as_deref(&self) -> Owner<&str> {
        match self {
            Self::Named(name) => Owner::Named(name),
            Self::Unnamed => Owner::Unnamed,
        }
    }
}

/// How a file stored as blocks is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockInfo {
    /// Bytes of a block.
    pub block_bytes: u32,
    /// Bytes of each block's checksum in the map, 1 to 16.
    pub checksum_bytes: u8,
    /// Stored bytes of the map, at the end of the file's stored range.
    pub map_bytes: u64,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry<'a> {
    /// Its name, for example `pg_data/base/5/1247`.
    pub name: &'a str,
    /// Original bytes.
    pub size_bytes: u64,
    /// Stored bytes, block map included.
    pub repo_size_bytes: u64,
    /// Bundle and offset in it, if it is bundled.
    pub bundle: Option<(u64, u64)>,
    /// SHA-1 of the original content; nothing for an empty file.
    pub checksum: Option<Sha1Hash>,
    /// SHA-1 of the stored bytes, if it differs and was recorded.
    pub repo_checksum: Option<Sha1Hash>,
    /// The backup that stores it.
    pub owner: &'a BackupLabel,
    /// It is stored by the manifest's own backup.
    pub stored_here: bool,
    /// How it is laid out in blocks, if it is.
    pub block: Option<BlockInfo>,
    /// Permission bits.
    pub mode: u32,
    /// The owning user.
    pub user: Owner<&'a str>,
    /// The owning group.
    pub group: Owner<&'a str>,
    /// Modification time, seconds since 1970.
    pub modified_s: i64,
    /// Whether its page checksums were right; nothing if they were not looked at.
    pub page_ok: Option<bool>,
    /// The pages whose checksum was wrong, as inclusive ranges, counted from the start of the relation.
    pub page_errors: Vec<(u32, u32)>,
    /// The manifest's backup bundles, so that an empty file has no stored form.
    bundling: bool,
}

impl FileEntry<'_> {
    /// False for an empty file of a bundling backup, which exists in the manifest only.
    pub fn is_stored(&self) -> bool {
        self.size_bytes > 0 || self.bundle.is_some() || !self.bundling || !self.stored_here
    }
}

/// A file as its line says, before it is packed; the fields are those of [`FileEntry`].
#[derive(Debug, Default)]
pub struct FileRecord<'a> {
    /// Its name.
    pub name: &'a str,
    /// Original bytes.
    pub size_bytes: u64,
    /// Stored bytes.
    pub repo_size_bytes: u64,
    /// Bundle and offset in it.
    pub bundle: Option<(u64, u64)>,
    /// SHA-1 of the original content.
    pub checksum: Option<Sha1Hash>,
    /// SHA-1 of the stored bytes.
    pub repo_checksum: Option<Sha1Hash>,
    /// The backup that stores it; nothing for the manifest's own.
    pub owner: Option<BackupLabel>,
    /// How it is laid out in blocks.
    pub block: Option<BlockInfo>,
    /// Permission bits; nothing where the manifest's default holds.
    pub mode: Option<u32>,
    /// The owning user; nothing where the manifest's default holds.
    pub user: Option<Owner<String>>,
    /// The owning group; nothing where the manifest's default holds.
    pub group: Option<Owner<String>>,
    /// Modification time, seconds since 1970.
    pub modified_s: i64,
    /// Whether its page checksums were right.
    pub page_ok: Option<bool>,
    /// The pages whose checksum was wrong.
    pub page_errors: Vec<(u32, u32)>,
}

/// Mode, user and group; nothing where the defaults at the end of the manifest apply.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Attributes {
    pub(super) mode: Option<u32>,
    pub(super) user: Option<Owner<String>>,
    pub(super) group: Option<Owner<String>>,
}

#[derive(Debug)]
struct Resolved {
    mode: u32,
    user: Owner<String>,
    group: Owner<String>,
}

/// The files of a manifest.
#[derive(Debug)]
pub struct FileTable {
    arena: Vec<u8>,
    /// Where each record starts, in units of [`ALIGN`].
    starts: Vec<u32>,
    attributes: Vec<Resolved>,
    /// The backups that store files; the first is the manifest's own.
    owners: Vec<BackupLabel>,
    bundling: bool,
    total_bytes: u64,
}

/// Records start at multiples of this, so that 32 bits reach 16 GiB.
const ALIGN: usize = 4;

const HAS_CHECKSUM: u16 = 1;
const HAS_REPO_CHECKSUM: u16 = 1 << 1;
const HAS_BUNDLE: u16 = 1 << 2;
const HAS_REPO_SIZE: u16 = 1 << 3;
const HAS_BLOCK: u16 = 1 << 4;
const HAS_PAGE_RESULT: u16 = 1 << 5;
const PAGES_OK: u16 = 1 << 6;
const HAS_PAGE_ERRORS: u16 = 1 << 7;
const HAS_OWNER: u16 = 1 << 8;

impl FileTable {
    /// How many files there are.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// True if there is no file.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// The original bytes of all files together.
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// The memory the table holds, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.arena.capacity() + self.starts.capacity() * size_of::<u32>()
    }

    /// All files, in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = FileEntry<'_>> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// The index of the file called `name`.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.starts.binary_search_by(|start| self.reader(*start).name().cmp(name)).ok()
    }

    /// The name of the file at `index`.
    pub fn name(&self, index: usize) -> &str {
        self.reader(self.starts[index]).name()
    }

    /// The file at `index`, which must be below [`len`](Self::len).
    pub fn get(&self, index: usize) -> FileEntry<'_> {
        let mut record = self.reader(self.starts[index]);
        let flags = record.flags;
        let has = |flag| flags & flag != 0;
        let name = record.name();
        let size_bytes = record.varint();
        let modified_s = unzigzag(record.varint());
        let attributes = &self.attributes[record.index()];
        let repo_size_bytes = if has(HAS_REPO_SIZE) { record.varint() } else { size_bytes };
        let checksum = has(HAS_CHECKSUM).then(|| record.hash());
        let repo_checksum = has(HAS_REPO_CHECKSUM).then(|| record.hash());
        let bundle = has(HAS_BUNDLE).then(|| (record.varint(), record.varint()));
        let owner = if has(HAS_OWNER) { record.index() } else { 0 };
        let block = has(HAS_BLOCK).then(|| BlockInfo {
            block_bytes: record.small(),
            checksum_bytes: u8::try_from(record.varint()).unwrap_or(0),
            map_bytes: record.varint(),
        });
        let mut page_errors = Vec::new();
        if has(HAS_PAGE_ERRORS) {
            let count = record.index();
            page_errors.extend((0..count).map(|_| (record.small(), record.small())));
        }
        FileEntry {
            name,
            size_bytes,
            repo_size_bytes,
            bundle,
            checksum,
            repo_checksum,
            owner: &self.owners[owner],
            stored_here: owner == 0,
            block,
            mode: attributes.mode,
            user: attributes.user.as_deref(),
            group: attributes.group.as_deref(),
            modified_s,
            page_ok: has(HAS_PAGE_RESULT).then_some(has(PAGES_OK)),
            page_errors,
            bundling: self.bundling,
        }
    }

    fn reader(&self, start: u32) -> Reader<'_> {
        reader_at(&self.arena, start)
    }
}

fn reader_at(arena: &[u8], start: u32) -> Reader<'_> {
    let bytes = &arena[start as usize * ALIGN..];
    Reader { flags: u16::from_le_bytes([bytes[0], bytes[1]]), rest: &bytes[2..], name: None }
}

/// Takes a packed record apart.
struct Reader<'a> {
    flags: u16,
    rest: &'a [u8],
    name: Option<&'a str>,
}

impl<'a> Reader<'a> {
    fn name(&mut self) -> &'a str {
        if let Some(name) = self.name {
            return name;
        }
        let length = self.index();
        let (name, rest) = self.rest.split_at(length);
        self.rest = rest;
        // The arena holds the bytes of a str here; the check is cheap beside what the caller does with it.
        let name = std::str::from_utf8(name).unwrap_or_default();
        self.name = Some(name);
        name
    }

    fn varint(&mut self) -> u64 {
        let (mut value, mut shift) = (0, 0);
        for (at, byte) in self.rest.iter().enumerate() {
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                self.rest = &self.rest[at + 1..];
                break;
            }
        }
        value
    }

    fn index(&mut self) -> usize {
        usize::try_from(self.varint()).unwrap_or(usize::MAX)
    }

    fn small(&mut self) -> u32 {
        u32::try_from(self.varint()).unwrap_or(u32::MAX)
    }

    fn hash(&mut self) -> Sha1Hash {
        let mut hash = [0; 20];
        let (bytes, rest) = self.rest.split_at(20);
        hash.copy_from_slice(bytes);
        self.rest = rest;
        Sha1Hash(hash)
    }
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// Packs files one after another.
#[derive(Debug, Default)]
pub struct FileTableBuilder {
    arena: Vec<u8>,
    starts: Vec<u32>,
    attributes: Vec<Attributes>,
    attribute_index: HashMap<Attributes, u64>,
    owners: Vec<BackupLabel>,
    owner_index: HashMap<BackupLabel, u64>,
    last_name: String,
    unsorted: bool,
    total_bytes: u64,
    total_repo_bytes: u64,
}

impl FileTableBuilder {
    /// Packs one more file; mode, user and group must be given.
    pub fn add(&mut self, file: FileRecord<'_>) -> Result<(), RepoError> {
        self.push(file).map_err(|fault| fault.at(&own_place(), 0))
    }

    /// The table of the backup `own`, sorted; refuses a name that occurs twice.
    pub fn build(self, own: &BackupLabel, bundling: bool) -> Result<FileTable, RepoError> {
        let given = Attributes::default();
        self.finish(own, bundling, &given).map_err(|fault| fault.at(&own_place(), 0))
    }

    /// Packs one more file.
    pub(super) fn push(&mut self, record: FileRecord<'_>) -> Result<(), Fault> {
        let total = |sum: u64, more: u64| sum.checked_add(more).filter(|sum| i64::try_from(*sum).is_ok());
        let lie = || Fault::hostile("the sizes of the files add up to more than any store holds");
        self.total_bytes = total(self.total_bytes, record.size_bytes).ok_or_else(lie)?;
        self.total_repo_bytes = total(self.total_repo_bytes, record.repo_size_bytes).ok_or_else(lie)?;
        let start = u32::try_from(self.arena.len() / ALIGN).map_err(|_| {
            Fault::Unsupported("the manifest describes more files than fit into memory".to_owned())
        })?;
        self.unsorted |= !self.starts.is_empty() && self.last_name.as_str() >= record.name;
        self.last_name.clear();
        self.last_name.push_str(record.name);
        self.starts.push(start);
        self.pack(record);
        self.arena.resize(self.arena.len().next_multiple_of(ALIGN), 0);
        Ok(())
    }

    fn pack(&mut self, record: FileRecord<'_>) {
        let flags_at = self.arena.len();
        let mut flags = 0;
        self.arena.extend_from_slice(&[0, 0]);
        self.varint(record.name.len() as u64);
        self.arena.extend_from_slice(record.name.as_bytes());
        self.varint(record.size_bytes);
        self.varint(zigzag(record.modified_s));
        let attributes = Attributes { mode: record.mode, user: record.user, group: record.group };
        let attributes = intern(&mut self.attributes, &mut self.attribute_index, attributes);
        self.varint(attributes);
        if record.repo_size_bytes != record.size_bytes {
            flags |= HAS_REPO_SIZE;
            self.varint(record.repo_size_bytes);
        }
        for (hash, flag) in [(record.checksum, HAS_CHECKSUM), (record.repo_checksum, HAS_REPO_CHECKSUM)] {
            if let Some(hash) = hash {
                flags |= flag;
                self.arena.extend_from_slice(&hash.0);
            }
        }
        if let Some((id, offset)) = record.bundle {
            flags |= HAS_BUNDLE;
            self.varint(id);
            self.varint(offset);
        }
        if let Some(owner) = record.owner {
            flags |= HAS_OWNER;
            // Index 0 is the manifest's own label, which is put in front at the end.
            let owner = intern(&mut self.owners, &mut self.owner_index, owner) + 1;
            self.varint(owner);
        }
        if let Some(block) = record.block {
            flags |= HAS_BLOCK;
            self.varint(u64::from(block.block_bytes));
            self.varint(u64::from(block.checksum_bytes));
            self.varint(block.map_bytes);
        }
        if let Some(ok) = record.page_ok {
            flags |= HAS_PAGE_RESULT | if ok { PAGES_OK } else { 0 };
        }
        if !record.page_errors.is_empty() {
            flags |= HAS_PAGE_ERRORS;
            self.varint(record.page_errors.len() as u64);
            for (first, last) in record.page_errors {
                self.varint(u64::from(first));
                self.varint(u64::from(last));
            }
        }
        self.arena[flags_at..flags_at + 2].copy_from_slice(&u16::to_le_bytes(flags));
    }

    fn varint(&mut self, mut value: u64) {
        while value > 0x7f {
            self.arena.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.arena.push(value.to_le_bytes()[0]);
    }

    /// The backups that files refer to.
    pub(super) fn owners(&self) -> &[BackupLabel] {
        &self.owners
    }

    /// Applies the defaults, sorts, and refuses a name that occurs twice.
    pub(super) fn finish(
        mut self,
        own: &BackupLabel,
        bundling: bool,
        defaults: &Attributes,
    ) -> Result<FileTable, Fault> {
        if self.unsorted {
            let arena = &self.arena;
            self.starts.sort_unstable_by(|a, b| reader_at(arena, *a).name().cmp(reader_at(arena, *b).name()));
            let twice = self
                .starts
                .windows(2)
                .find(|w| reader_at(arena, w[0]).name() == reader_at(arena, w[1]).name());
            if let Some(pair) = twice {
                let name = reader_at(arena, pair[0]).name();
                return Err(Fault::hostile(format!(
                    "the file '{}' is listed twice",
                    super::names::shown(name)
                )));
            }
        }
        self.arena.shrink_to_fit();
        self.starts.shrink_to_fit();
        let attributes = self.attributes.iter().map(|a| resolve(a, defaults)).collect::<Result<_, _>>()?;
        let mut owners = self.owners;
        owners.insert(0, own.clone());
        Ok(FileTable {
            arena: self.arena,
            starts: self.starts,
            attributes,
            owners,
            bundling,
            total_bytes: self.total_bytes,
        })
    }
}

/// A manifest that is only being made stands nowhere yet.
fn own_place() -> Place {
    Place { store: "memory".to_owned(), path: StorePath::default() }
}

fn intern<T: Clone + Eq + std::hash::Hash>(list: &mut Vec<T>, index: &mut HashMap<T, u64>, value: T) -> u64 {
    if let Some(at) = index.get(&value) {
        return *at;
    }
    let at = list.len() as u64;
    list.push(value.clone());
    index.insert(value, at);
    at
}

fn resolve(given: &Attributes, defaults: &Attributes) -> Result<Resolved, Fault> {
    let missing = |what: &str| Fault::format(format!("a file has no {what} and there is no default"));
    Ok(Resolved {
        mode: given.mode.or(defaults.mode).ok_or_else(|| missing("mode"))?,
        user: given.user.clone().or_else(|| defaults.user.clone()).ok_or_else(|| missing("user"))?,
        group: given.group.clone().or_else(|| defaults.group.clone()).ok_or_else(|| missing("group"))?,
    })
}

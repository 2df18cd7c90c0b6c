//! Effects that no rollback undoes: databases and tablespaces made, moved, dropped, and rows changed in place.
//!
//! Formats: `dbcommands_xlog.h` (15 split creation in two and moved the drop's code), `tablespace.h`, `heapam_xlog.h`,
//! `pg_database.h`. `DROP DATABASE` first marks the row of `pg_database` by `datconnlimit = -2`, in place.

use super::{Dialect, Happening};
use crate::base::PgVersion;
use crate::wal::bytes::Cursor;
use crate::wal::image;
use crate::wal::record::Body;

/// What an in-place change of a `pg_database` row left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseMark {
    /// The row now says that the database is invalid: a drop has begun.
    Invalid {
        /// The database.
        database: u32,
    },
    /// The row was changed, but the database is as valid as before (a vacuum's freeze limits).
    Harmless {
        /// The database.
        database: u32,
    },
    /// The row stands in a page image this program could not unpack; it may be either.
    Unreadable,
}

const GLOBAL_TABLESPACE: u32 = 1664;
const INVALID_DATABASE: i32 = -2;

pub(super) fn decode(info: u8, main: &[u8], version: PgVersion) -> Option<Happening> {
    let mut bytes = Cursor(main);
    let drop_code = if version.at_least(15) { 0x20 } else { 0x10 };
    Some(match info & 0xF0 {
        0x00 => {
            let (database, tablespace) = (bytes.u32()?, bytes.u32()?);
            let (source, source_tablespace) = (bytes.u32()?, bytes.u32()?);
            if source == database {
                Happening::DatabaseMoved { database, from: source_tablespace, to: tablespace }
            } else {
                Happening::DatabaseCreated { database, tablespace, from: Some(source) }
            }
        }
        code if code == drop_code => {
            let database = bytes.u32()?;
            let count = bytes.count(4)?;
            let tablespaces = (0..count).map(|_| bytes.u32()).collect::<Option<_>>()?;
            Happening::DatabaseDropped { database, tablespaces }
        }
        0x10 => Happening::DatabaseCreated { database: bytes.u32()?, tablespace: bytes.u32()?, from: None },
        _ => return None,
    })
}

pub(super) fn tablespace(info: u8, main: &[u8]) -> Option<Happening> {
    let mut bytes = Cursor(main);
    let tablespace = bytes.u32()?;
    Some(match info & 0xF0 {
        0x00 => Happening::TablespaceCreated { tablespace, path: bytes.text()?.into() },
        0x10 => Happening::TablespaceDropped { tablespace },
        _ => return None,
    })
}

/// Looks whether an in-place heap change is one of `pg_database`, and at the row it leaves.
pub(super) fn in_place(parts: &Body<'_>, dialect: Dialect) -> Option<Happening> {
    let block = parts.blocks.first()?;
    let relation = block.relation;
    // pg_database is the only shared catalog that is changed in place; its file number changes with VACUUM FULL.
    if relation.tablespace != GLOBAL_TABLESPACE || relation.database != 0 || block.fork != 0 {
        return Some(Happening::Other);
    }
    let item = Cursor(parts.main).u16()?;
    let from_image;
    let row = if block.data.is_empty() {
        let Some(page) = block.image.and_then(|image| image::unpack(&image, dialect.zstd)) else {
            return Some(Happening::DatabaseInPlace(DatabaseMark::Unreadable));
        };
        from_image = page;
        image::row(&from_image, item)?
    } else {
        block.data
    };
    let database = Cursor(row).u32()?;
    let limit = connection_limit(row, dialect.version)?;
    Some(Happening::DatabaseInPlace(if limit == INVALID_DATABASE {
        DatabaseMark::Invalid { database }
    } else {
        DatabaseMark::Harmless { database }
    }))
}

/// `datconnlimit`: behind two fixed-length locale names up to 14, before the variable-length columns from 15 on.
fn connection_limit(row: &[u8], version: PgVersion) -> Option<i32> {
    let at = if version.at_least(15) { 80 } else { 208 };
    Cursor(row.get(at..)?).array().map(i32::from_le_bytes)
}

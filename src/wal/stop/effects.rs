//! Effects that no rollback undoes, and whether their transaction has committed.
//!
//! `DROP DATABASE` marks its row in place and removes files before it commits; `DROP TABLESPACE` removes its folder
//! before it commits. A recovery that ends between effect and commit has the row back and the files gone.

use crate::base::{Lsn, Xid};
use crate::wal::happening::{DatabaseMark, Happening};
use crate::wal::record::Record;
use std::collections::{BTreeMap, BTreeSet};

/// An effect in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// Where its record begins.
    pub lsn: Lsn,
    /// The transaction it belongs to; 0 if the log does not tell.
    pub xid: Xid,
    /// What was done.
    pub kind: EffectKind,
    /// True if its transaction came to nothing, so that the original server had the same broken object.
    pub abandoned: bool,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EffectKind {
    /// The database was marked invalid: nobody can connect.
    DatabaseMarked {
        /// The database.
        database: u32,
    },
    /// The database's files were removed.
    DatabaseDropped {
        /// The database.
        database: u32,
        /// From these tablespaces.
        tablespaces: Box<[u32]>,
    },
    /// The tablespace's folder was removed.
    TablespaceDropped {
        /// The tablespace.
        tablespace: u32,
    },
}

impl EffectKind {
    fn database(&self) -> Option<u32> {
        match self {
            Self::DatabaseMarked { database } | Self::DatabaseDropped { database, .. } => Some(*database),
            Self::TablespaceDropped { .. } => None,
        }
    }
}

/// The effects of the records taken so far.
#[derive(Debug, Default)]
pub(super) struct Effects {
    pending: Vec<Effect>,
    /// Databases made by a running transaction: removing them again harms nobody.
    created: BTreeSet<(u32, Xid)>,
    /// Databases being moved: by whom, and where from.
    moving: BTreeMap<u32, (Xid, u32)>,
    committed_moves: BTreeSet<(u32, u32)>,
    unreadable: Option<(Lsn, Xid)>,
}

impl Effects {
    pub(super) fn in_force(&self) -> Vec<Effect> {
        self.pending.clone()
    }

    pub(super) fn take(&mut self, record: &Record) {
        let (lsn, xid) = (record.lsn, record.xid);
        let new = |kind| Effect { lsn, xid, kind, abandoned: false };
        match &record.happening {
            Happening::DatabaseCreated { database, .. } => {
                self.created.insert((*database, xid));
            }
            Happening::DatabaseMoved { database, from, .. } => {
                self.moving.insert(*database, (xid, *from));
            }
            Happening::DatabaseInPlace(DatabaseMark::Invalid { database }) => {
                self.pending.push(new(EffectKind::DatabaseMarked { database: *database }));
            }
            Happening::DatabaseInPlace(DatabaseMark::Unreadable) => self.unreadable = Some((lsn, xid)),
            Happening::DatabaseDropped { database, tablespaces } => {
                self.dropped(*database, tablespaces, record);
            }
            Happening::TablespaceDropped { tablespace } => {
                self.pending.push(new(EffectKind::TablespaceDropped { tablespace: *tablespace }));
            }
            Happening::Commit(completion) => self.committed(completion.xid),
            Happening::Abort(completion) => self.aborted(Some(completion.xid)),
            // Nothing runs across a clean stop or the end of a recovery.
            Happening::Checkpoint(checkpoint) if checkpoint.shutdown => self.aborted(None),
            Happening::EndOfRecovery { .. } => self.aborted(None),
            _ => {}
        }
    }

    fn dropped(&mut self, database: u32, tablespaces: &[u32], record: &Record) {
        let (lsn, xid) = (record.lsn, record.xid);
        // The old files of a database that moved, or the files of one that was never finished.
        let old_files = |from: &u32| self.committed_moves.remove(&(database, *from));
        if tablespaces.iter().any(old_files) || self.created.contains(&(database, xid)) {
            return;
        }
        let mut marked = false;
        for effect in &mut self.pending {
            if effect.kind.database() == Some(database) {
                // The mark may be written before its transaction has an id.
                effect.xid = xid;
                effect.abandoned = false;
                marked = true;
            }
        }
        if let Some((lsn, marker)) = self.unreadable.take()
            && !marked
            && (marker == xid || marker == Xid(0))
        {
            let kind = EffectKind::DatabaseMarked { database };
            self.pending.push(Effect { lsn, xid, kind, abandoned: false });
        }
        let kind = EffectKind::DatabaseDropped { database, tablespaces: tablespaces.into() };
        self.pending.push(Effect { lsn, xid, kind, abandoned: false });
    }

    fn committed(&mut self, xid: Xid) {
        self.pending.retain(|effect| effect.xid != xid);
        self.created.retain(|(_, creator)| *creator != xid);
        let moved = &mut self.committed_moves;
        self.moving.retain(|database, (mover, from)| {
            if *mover == xid {
                moved.insert((*database, *from));
            }
            *mover != xid
        });
    }

    fn aborted(&mut self, xid: Option<Xid>) {
        for effect in &mut self.pending {
            effect.abandoned |= xid.is_none_or(|xid| effect.xid == xid);
        }
        self.created.retain(|(_, creator)| xid.is_some_and(|xid| *creator != xid));
        self.moving.retain(|_, (mover, _)| xid.is_some_and(|xid| *mover != xid));
    }
}

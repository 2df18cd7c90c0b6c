//! The names in a folder: listed in few calls, sorted, in one piece of memory.
//!
//! Looks at no entry; what kind each is stands in the listing where the filesystem keeps it there.

use rustix::fs::{FileType, RawDir};
use rustix::io::Errno;
use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;

/// The names in a folder, sorted, in one piece of memory.
pub(super) struct Names {
    arena: Vec<u8>,
    /// Where each begins, and its kind if the listing tells.
    entries: Vec<(usize, FileType)>,
}

impl Names {
    /// Lists a folder, without `.` and `..`; `buffer` is for what the kernel gives at once.
    pub(super) fn read(folder: &File, buffer: &mut [MaybeUninit<u8>]) -> io::Result<Self> {
        let mut names = Self { arena: Vec::new(), entries: Vec::new() };
        let mut listing = RawDir::new(folder, buffer);
        while let Some(entry) = listing.next() {
            let entry = match entry {
                // A folder that was removed while it was being listed.
                Err(Errno::NOENT) => break,
                entry => entry?,
            };
            let name = entry.file_name().to_bytes_with_nul();
            if !matches!(name, b".\0" | b"..\0") {
                names.entries.push((names.arena.len(), entry.file_type()));
                names.arena.extend_from_slice(name);
            }
        }
        let arena = &names.arena;
        names.entries.sort_unstable_by(|a, b| name_at(arena, a.0).cmp(name_at(arena, b.0)));
        Ok(names)
    }

    /// All names, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&CStr, FileType)> {
        self.entries.iter().map(|(start, kind)| (name_at(&self.arena, *start), *kind))
    }
}

fn name_at(arena: &[u8], start: usize) -> &CStr {
    arena.get(start..).and_then(|rest| CStr::from_bytes_until_nul(rest).ok()).unwrap_or_default()
}

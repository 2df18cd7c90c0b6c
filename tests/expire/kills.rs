//! A kill after every single change to the repository: whoever reads it then finds what is listed whole, and the same
//! command, run again, ends where an unbroken run ends.

use crate::made::{self, segment};
use crate::world::{World, fulls};
use pgmayday::base::BackupLabel;
use pgmayday::engine::expire::{Request, Retention, execute, plan};
use pgmayday::engine::pin::{PIN, PIN_WAL};
use pgmayday::engine::reconcile::reconcile;
use pgmayday::model::op::{Cancel, Silent};
use pgmayday::repo::{Repository, Stanza};
use pgmayday::store::memory::Memory;
use pgmayday::store::{
    Entry, Meta, PendingObject, Range, Storage, StoreError, StoreErrorKind, StorePath, StoreResult,
};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A store that dies after so many changes; a folder goes file by file.
#[derive(Debug, Clone)]
struct Mortal {
    inner: Memory,
    left: Arc<AtomicUsize>,
}

impl Mortal {
    fn change(&self, path: &StorePath) -> StoreResult<()> {
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        left.map(drop).map_err(|_| StoreError {
            kind: StoreErrorKind::Other,
            doing: "change",
            store: "mortal".to_owned(),
            path: path.to_string(),
            why: "killed".to_owned(),
        })
    }
}

impl Storage for Mortal {
    fn describe(&self) -> String {
        "mortal".to_owned()
    }
    fn stat(&self, path: &StorePath) -> StoreResult<Option<Meta>> {
        self.inner.stat(path)
    }
    fn list(&self, folder: &StorePath, visit: &mut dyn FnMut(Entry) -> bool) -> StoreResult<()> {
        self.inner.list(folder, visit)
    }
    fn open(&self, path: &StorePath, range: Range) -> StoreResult<Box<dyn Read + Send>> {
        self.inner.open(path, range)
    }
    fn create(&self, path: &StorePath) -> StoreResult<Box<dyn PendingObject>> {
        Ok(Box::new(Dying { store: self.clone(), path: path.clone(), inner: self.inner.create(path)? }))
    }
    fn remove(&self, path: &StorePath) -> StoreResult<()> {
        self.change(path)?;
        self.inner.remove(path)
    }
    fn remove_folder(&self, folder: &StorePath) -> StoreResult<()> {
        for path in made::files(&self.inner, folder).into_keys() {
            self.remove(&StorePath::new(path).unwrap())?;
        }
        Ok(())
    }
}

struct Dying {
    store: Mortal,
    path: StorePath,
    inner: Box<dyn PendingObject>,
}

impl Write for Dying {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.inner.write(buf)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl PendingObject for Dying {
    fn commit(self: Box<Self>) -> StoreResult<Meta> {
        self.store.change(&self.path)?;
        self.inner.commit()
    }
}

fn stanza(store: Memory, changes: usize) -> Stanza {
    let mortal = Mortal { inner: store, left: Arc::new(AtomicUsize::new(changes)) };
    Repository::new(Arc::new(mortal), 1, None).stanza(made::STANZA)
}

/// Everything that can go at once: sets, a differential one, junk, whole WAL folders, single segments, histories, an old
/// cluster, old manifests; and a pin and an interrupted backup that stay.
fn world() -> World {
    let mut world = World::new();
    world.full();
    world.made.upgrade();
    world.full_with(&[(PIN, "p"), (PIN_WAL, &segment(1, 9).to_string())]);
    world.full();
    world.incr();
    world.number = 0x200;
    world.timeline = 2;
    world.made.archived(2, "00000002.history");
    world.full();
    let (_, old) = (world.diff(), world.incr());
    world.timeline = 3;
    world.made.archived(2, "00000003.history");
    world.diff();
    world.full();
    world.diff();
    world.incr();
    world.made.put("backup/main/20250101-000000F/pg_data/x", b"left over");
    world.made.put("backup/main/backup.history/2025/20250101-000000F.manifest.gz", b"x");
    world.made.remove(&format!("backup/main/{old}/backup.manifest"));
    let wanted = world.wanted(None, false, &[]);
    world.made.partial(&wanted);
    world
}

fn killed_everywhere(world: &World, retention: &Retention, request: &Request) {
    let run = |store: &Memory, changes: usize| {
        let stanza = stanza(store.clone(), changes);
        plan(&stanza, retention, request, world.now())
            .and_then(|plan| execute(&plan, &Silent, &Cancel::default()))
    };
    let whole = made::copy(&world.store);
    run(&whole, usize::MAX).unwrap();
    let wanted = made::files(&whole, &StorePath::ROOT);
    assert!(wanted.len() + 15 < world.files().len(), "hardly anything went");
    let mut changes = 0;
    loop {
        let store = made::copy(&world.store);
        let ended = run(&store, changes).is_ok();
        let alive = stanza(store.clone(), usize::MAX);
        if changes > 0 {
            // As anybody reads it, without repairing it first. Nothing is changed yet at 0, a manifest is missing.
            made::assert_sound(&alive, &world.archived);
        }
        reconcile(&alive).unwrap();
        run(&store, usize::MAX).unwrap_or_else(|report| panic!("killed after {changes} changes: {report}"));
        let found = made::files(&store, &StorePath::ROOT);
        assert_eq!(differences(&wanted, &found), Vec::<String>::new(), "killed after {changes} changes");
        if ended {
            break;
        }
        changes += 1;
    }
    assert!(changes > 20, "only {changes} changes");
}

fn differences(wanted: &BTreeMap<String, Vec<u8>>, found: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let missing =
        wanted.keys().filter(|path| !found.contains_key(*path)).map(|path| format!("{path} is missing"));
    let extra = found.keys().filter(|path| !wanted.contains_key(*path)).map(|path| format!("{path} is left"));
    let other =
        wanted.iter().filter(|(path, content)| found.get(*path).is_some_and(|found| found != *content));
    missing.chain(extra).chain(other.map(|(path, _)| format!("{path} differs"))).collect()
}

#[test]
fn by_retention() {
    let retention = Retention { diff: Some(2), history_days: Some(30), ..fulls(2) };
    killed_everywhere(&world(), &retention, &Request::default());
}

#[test]
fn by_name() {
    let world = world();
    let listed = world.listed();
    let newest = listed.iter().rfind(|label| label.kind() == pgmayday::base::BackupKind::Full).unwrap();
    let set = |label: &BackupLabel| Request { set: Some(label.clone()), ..Request::default() };
    killed_everywhere(&world, &Retention { archive: Some(1), ..fulls(9) }, &set(newest));
}

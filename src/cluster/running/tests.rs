use super::*;
use crate::cluster::process::command;
use std::process::Child;

/// A process that ends with the test.
struct Guest(Child);

impl Drop for Guest {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn sleeper_in(dir: &Path) -> Guest {
    let mut sleep = command(Path::new("/bin/sleep"));
    Guest(sleep.arg("300").current_dir(dir).spawn().unwrap())
}

fn lock_naming(dir: &Path, pid: u32) {
    std::fs::write(dir.join("postmaster.pid"), format!("{pid}\n{}\n1795222561\n5432\n\n\n", dir.display()))
        .unwrap();
}

/// Ids above the kernel's limit are never alive.
const NEVER_ALIVE: u32 = 2_000_000_000;

#[test]
fn an_empty_or_missing_directory_is_free() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(look(dir.path()).unwrap(), Running::No);
    assert_eq!(look(&dir.path().join("missing")).unwrap(), Running::No);
}

#[test]
fn a_process_there_is_found_with_and_without_a_lock_file() {
    let dir = tempfile::tempdir().unwrap();
    let guest = sleeper_in(dir.path());
    let found = look(dir.path()).unwrap();
    let Running::Yes { pid, why } = found else { panic!("{found:?}") };
    assert_eq!(pid, guest.0.id());
    assert!(why.contains("sleep") && why.contains("working directory"), "{why}");
    lock_naming(dir.path(), NEVER_ALIVE);
    assert!(matches!(look(dir.path()).unwrap(), Running::Yes { pid, .. } if pid == guest.0.id()));
}

#[test]
fn who_only_stands_there_serves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let standing = sleeper_in(dir.path());
    let pid = standing.0.id();
    assert!(matches!(look(dir.path()).unwrap(), Running::Yes { pid: found, .. } if found == pid));
    assert_eq!(look_for_server(dir.path()).unwrap(), Running::No);
    let file = std::fs::File::create(dir.path().join("file")).unwrap();
    let mut sleep = command(Path::new("/bin/sleep"));
    let working = Guest(sleep.arg("300").stdout(file).spawn().unwrap());
    let pid = working.0.id();
    let found = look_for_server(dir.path()).unwrap();
    assert!(matches!(&found, Running::Yes { pid: found, .. } if *found == pid), "{found:?}");
}

#[test]
fn a_server_that_only_reads_its_configuration_serves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    // A program of the server's name that stays, as `postgres -C` does for a moment.
    let program = dir.path().join("postgres");
    std::fs::copy("/bin/sh", &program).unwrap();
    let spawn = |last: &str| {
        let mut shell = command(&program);
        Guest(
            shell
                .args(["-c", "while :; do sleep 1; done", "x", last])
                .current_dir(dir.path())
                .spawn()
                .unwrap(),
        )
    };
    let asking = spawn("-C");
    assert_eq!(look_for_server(dir.path()).unwrap(), Running::No);
    let serving = spawn("-c");
    let found = look(dir.path()).unwrap();
    assert!(matches!(&found, Running::Yes { pid, .. } if *pid == serving.0.id()), "{found:?}");
    drop((asking, serving));
}

#[test]
fn an_open_file_counts_also_in_a_linked_tablespace() {
    let dir = tempfile::tempdir().unwrap();
    let space = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("pg_tblspc")).unwrap();
    std::os::unix::fs::symlink(space.path(), dir.path().join("pg_tblspc/16400")).unwrap();
    let file = std::fs::File::create(space.path().join("16401")).unwrap();
    let mut sleep = command(Path::new("/bin/sleep"));
    let guest = Guest(sleep.arg("300").stdout(file).spawn().unwrap());
    let found = look(dir.path()).unwrap();
    assert!(
        matches!(&found, Running::Yes { pid, why } if *pid == guest.0.id() && why.contains("16401")),
        "{found:?}"
    );
}

#[test]
fn a_server_whose_directory_was_removed_and_made_again_is_found() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("pg");
    std::fs::create_dir(&dir).unwrap();
    let guest = sleeper_in(&dir);
    std::fs::remove_dir(&dir).unwrap();
    assert!(matches!(look(&dir).unwrap(), Running::Yes { pid, .. } if pid == guest.0.id()));
    std::fs::create_dir(&dir).unwrap();
    assert!(matches!(look(&dir).unwrap(), Running::Yes { pid, .. } if pid == guest.0.id()));
}

#[test]
fn a_lock_file_of_a_dead_or_unrelated_process_is_stale() {
    let dir = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let stranger = sleeper_in(elsewhere.path());
    for pid in [NEVER_ALIVE, stranger.0.id()] {
        lock_naming(dir.path(), pid);
        let found = look(dir.path()).unwrap();
        if Host::system().sees_every_process() {
            assert_eq!(found, Running::Stale { pid });
        } else {
            assert!(matches!(found, Running::Unknown { .. }), "{found:?}");
        }
    }
}

#[test]
fn a_lock_file_without_a_process_is_not_guessed_about() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("postmaster.pid"), "").unwrap();
    assert!(matches!(look(dir.path()).unwrap(), Running::Unknown { .. }));
    let guest = sleeper_in(dir.path());
    assert!(matches!(look(dir.path()).unwrap(), Running::Yes { pid, .. } if pid == guest.0.id()));
}

#[test]
fn a_closed_directory_is_unknown() {
    use std::os::unix::fs::PermissionsExt as _;
    if crate::cluster::owner::is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o000)).unwrap();
    let found = look(dir.path());
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    assert!(matches!(found.unwrap(), Running::Unknown { why } if why.contains("may not be read")));
}

#[test]
fn shared_memory_decides_where_processes_cannot_be_seen() {
    let lock = LockFile::parse("4711\n/srv/pg\n1795222561\n5433\n/run\nlocalhost\n 77 12\nready\n").unwrap();
    let segment = |creator: u32, attached: u64| Segment { id: 12, creator, attached };
    let judge = |segment: Option<Segment>, sees: bool| judge_lock(&lock, segment.as_ref(), None, sees);
    for creator in [4711, 0] {
        assert!(matches!(judge(Some(segment(creator, 3)), false), Running::Yes { pid: 4711, .. }));
        assert_eq!(judge(Some(segment(creator, 0)), false), Running::Stale { pid: 4711 });
    }
    // The segment of another server that got the same key and id says nothing about this one.
    assert!(matches!(judge(Some(segment(4712, 3)), false), Running::Unknown { .. }));
    assert_eq!(judge(Some(segment(4712, 3)), true), Running::Stale { pid: 4711 });
    assert!(matches!(judge(None, false), Running::Unknown { .. }));
    assert_eq!(judge(None, true), Running::Stale { pid: 4711 });
    let unseen = Some("somebody".to_owned());
    assert!(matches!(judge_lock(&lock, None, unseen, true), Running::Unknown { .. }));
}

//! `archive-get` from outside: the program on real repositories, and a real server whose recovery it feeds.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests fail by panicking and say why they skip"
)]
#![expect(clippy::disallowed_methods, reason = "a test starts programs and looks into its own environment")]

#[path = "common/fixtures.rs"]
mod fixtures;

use fixtures::Fixture;
use pgmayday::base::{Timeline, WalSegment, WalSegmentSize};
use pgmayday::cluster::control::ControlFile;
use pgmayday::cluster::owner::{Account, Users, current, is_root, run_as};
use pgmayday::codec::{Compression, Sha1Hash};
use pgmayday::repo::StoredSegment;
use pgmayday::wal::TimelineHistory;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Who owns clusters here: PostgreSQL refuses root.
fn owner() -> Option<Account> {
    let users = Users::new();
    if !is_root() {
        return Some(current(&users));
    }
    let found = users.account("postgres");
    if found.is_none() {
        skip("this is root and there is no user postgres");
    }
    found
}

fn skip(why: &str) {
    assert!(std::env::var_os("REQUIRE_SERVERS").is_none(), "servers are required here, but {why}");
    eprintln!("skipped: {why}");
}

/// The program under test where the owner can execute it, and a folder for everything else.
struct Yard {
    _folder: tempfile::TempDir,
    program: PathBuf,
    owner: Account,
}

impl Yard {
    fn new() -> Option<Self> {
        let owner = owner()?;
        let folder = tempfile::Builder::new().prefix("pgm").tempdir_in("/tmp").unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        chown(folder.path(), Some(owner.uid), Some(owner.gid)).unwrap();
        let program = folder.path().join("pgmayday");
        fs::copy(env!("CARGO_BIN_EXE_pgmayday"), &program).unwrap();
        Some(Self { _folder: folder, program, owner })
    }

    fn give(&self, path: &Path) {
        let whom = format!("{}:{}", self.owner.uid, self.owner.gid);
        assert!(Command::new("chown").arg("-R").arg(whom).arg(path).status().unwrap().success());
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = run_as(&self.owner, program).unwrap();
        for (name, _) in std::env::vars() {
            if ["PGBACKREST_", "PGMAYDAY_"].iter().any(|prefix| name.starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command.stdin(Stdio::null()).current_dir("/");
        command
    }
}

/// A restored data directory, the repository it came from, and what the archive holds.
struct Case<'a> {
    yard: &'a Yard,
    fixture: Fixture,
    config: PathBuf,
    data_dir: PathBuf,
}

/// What a call came to: exit code, what was delivered, and what it said.
type Got = (i32, Option<Vec<u8>>, String);

impl<'a> Case<'a> {
    fn new(yard: &'a Yard, name: &str) -> Self {
        let fixture = Fixture::open(name);
        let data_dir = fixture.path("pgdata");
        fs::create_dir(&data_dir).unwrap();
        fs::create_dir(fixture.path("ts")).unwrap();
        fs::set_permissions(&data_dir, fs::Permissions::from_mode(0o700)).unwrap();
        let config = fixture.config(&data_dir);
        let text = fs::read_to_string(&config).unwrap().replace("log-level-console=info\n", "");
        fs::write(&config, text).unwrap();
        yard.give(&fixture.path(""));
        let case = Self { yard, fixture, config, data_dir };
        case.restore(&case.data_dir);
        case
    }

    fn restore(&self, data_dir: &Path) {
        let tablespaces = self.fixture.path("ts").join(data_dir.file_name().unwrap());
        let output = self
            .program(data_dir)
            .arg("restore")
            .arg(format!("--tablespace-map-all={}", tablespaces.display()))
            .args(["--archive-mode=off", "--type=default"])
            // Processes of other tests come and go under the same user while it looks for a server.
            .arg("--accept=running-unknown")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// The program with this case's configuration for a data directory.
    fn program(&self, data_dir: &Path) -> Command {
        let mut command = self.yard.command(&self.yard.program);
        command
            .arg(format!("--config={}", self.config.display()))
            .arg(format!("--stanza={}", self.fixture.stanza))
            .arg(format!("--pg1-path={}", data_dir.display()));
        command
    }

    fn get_into(&self, data_dir: &Path, name: &str, to: &str, options: &[&str]) -> Got {
        let output = self
            .program(data_dir)
            .args(options)
            .args(["archive-get", name, to])
            .current_dir(data_dir)
            .output()
            .unwrap();
        let destination = data_dir.join(to);
        let content = fs::read(&destination).ok();
        drop(fs::remove_file(&destination));
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said.lines().count(), 1, "{said}");
        (output.status.code().unwrap(), content, said)
    }

    fn get(&self, name: &str, options: &[&str]) -> Got {
        self.get_into(&self.data_dir, name, "pg_wal/RECOVERYXLOG", options)
    }

    /// Asks without prefetcher; expects an exit code and words in the one line said.
    #[track_caller]
    fn expect(&self, name: &str, code: i32, words: &str) {
        let (found, content, said) = self.get(name, &["--no-archive-async"]);
        assert_eq!((found, content.is_some()), (code, code == 0), "{said}");
        assert!(said.contains(words), "'{words}' is not in: {said}");
        let left = fs::read_dir(self.data_dir.join("pg_wal")).unwrap().filter(|entry| {
            entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().contains("RECOVERY"))
        });
        assert_eq!(left.count(), 0, "something is left behind");
    }

    /// Every archived segment with its path.
    fn archived(&self) -> BTreeMap<WalSegment, (StoredSegment, PathBuf)> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.fixture.repo().join("archive").join(&self.fixture.stanza)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if let Some(stored) =
                    StoredSegment::from_name(path.file_name().unwrap().to_str().unwrap(), 0)
                {
                    found.insert(stored.segment, (stored, path));
                }
            }
        }
        found
    }

    fn stored(&self, name: &str) -> PathBuf {
        self.archived()[&name.parse().unwrap()].1.clone()
    }

    /// The spools of the stanza.
    fn spools(&self) -> Vec<PathBuf> {
        let folder = self.fixture.path("spool/archive").join(&self.fixture.stanza);
        fs::read_dir(folder)
            .map_or(Vec::new(), |entries| entries.map(|entry| entry.unwrap().path()).collect())
    }
}

/// The prefetchers of a spool, by the processes' command lines.
fn prefetchers(spool: &Path) -> Vec<i32> {
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        let attends = words.iter().any(|word| *word == b"--attend-spool")
            && words.contains(&spool.as_os_str().as_encoded_bytes());
        if attends {
            pids.push(pid);
        }
    }
    pids
}

fn wait_for(what: &str, mut happened: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !happened() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}: it never happened");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn flip(path: &Path, at: usize, mask: u8) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= mask;
    fs::write(path, bytes).unwrap();
}

/// Reproducible numbers; quality does not matter.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

#[test]
fn everything_archived_is_delivered_the_same_with_and_without_prefetcher() {
    let Some(yard) = Yard::new() else { return };
    for name in ["a1-plain-none", "a2-zst-aes-bundle", "a3-block-incr", "a6-pg18"] {
        let case = Case::new(&yard, name);
        let archived = case.archived();
        let mut ahead = 0;
        for (segment, (stored, _)) in &archived {
            let mut contents = Vec::new();
            for options in [&["--no-archive-async"][..], &["--process-max=2"]] {
                let (code, content, said) = case.get(&segment.to_string(), options);
                assert_eq!(code, 0, "{said}");
                ahead += u32::from(said.contains("from spool ("));
                contents.push(Sha1Hash::of(&content.unwrap()));
            }
            assert_eq!(contents, [stored.sha1; 2], "{name} {segment}");
        }
        assert!(ahead > 0, "{name}: nothing was fetched ahead");
        let last = *archived.keys().last().unwrap();
        case.expect(&last.next(WalSegmentSize::new(1 << 20).unwrap()).to_string(), 1, "is not in repo1");
        let newer = format!("{:08X}.history", last.timeline.0 + 1);
        case.expect(&newer, 1, "is not in repo1");
        assert_eq!(case.spools().len(), 1);
    }
}

#[test]
fn damage_of_every_kind_is_told_from_absence() {
    let Some(yard) = Yard::new() else { return };
    let case = Case::new(&yard, "a2-zst-aes-bundle");
    let (first, second) = ("00000002000000000000000D", "00000002000000000000000E");
    let path = case.stored(first);
    let sound = fs::read(&path).unwrap();
    for length in [0, 8, 16, 17, sound.len() / 2, sound.len() - 16, sound.len() - 1] {
        fs::write(&path, &sound[..length]).unwrap();
        case.expect(first, 130, "error: ");
    }
    fs::write(&path, &sound).unwrap();
    // A second copy under another checksum.
    let other = path.with_file_name(format!("{first}-{}.zst", "0".repeat(40)));
    fs::copy(&path, &other).unwrap();
    yard.give(&other);
    case.expect(first, 130, "archived with different contents");
    fs::remove_file(&other).unwrap();
    // Another segment's content under this name and its own checksum.
    let stolen = case.stored(second);
    let sha1 = case.archived()[&second.parse().unwrap()].0.sha1;
    let moved = path.with_file_name(format!("{first}-{sha1}.zst"));
    fs::rename(&path, case.fixture.path("aside")).unwrap();
    fs::copy(&stolen, &moved).unwrap();
    yard.give(&moved);
    case.expect(first, 130, "begins at 0/E00000 instead of 0/D00000");
    fs::remove_file(&moved).unwrap();
    case.expect(first, 130, "is missing although 00000002000000000000000E");
    fs::rename(case.fixture.path("aside"), &path).unwrap();
    case.expect(first, 0, "delivered");
    let text = fs::read_to_string(&case.config).unwrap();
    fs::write(&case.config, text.replace("repo1-cipher-pass=", "repo1-cipher-pass=wrong-")).unwrap();
    case.expect(first, 130, "passphrase");
    case.expect("00000003.history", 130, "passphrase");
    assert!(!case.get(first, &[]).2.contains("wrong-"), "a passphrase is shown");
    fs::write(&case.config, text).unwrap();
    // The data directory of another cluster.
    let foreign = Case::new(&yard, "a1-plain-none");
    let (code, _, said) = case.get_into(&foreign.data_dir, first, "pg_wal/RECOVERYXLOG", &[]);
    assert_eq!(code, 130);
    assert!(said.contains("has no archive of PostgreSQL 15 with system identifier"), "{said}");
}

#[test]
fn arguments_and_configurations_that_are_wrong_never_read_as_absent() {
    let Some(yard) = Yard::new() else { return };
    let case = Case::new(&yard, "a1-plain-none");
    let code = |arguments: &[&str]| {
        case.yard.command(&case.yard.program).args(arguments).output().unwrap().status.code().unwrap()
    };
    let config = format!("--config={}", case.config.display());
    for arguments in [
        &["archive-get"][..],
        &["archive-get", "000000010000000000000009"],
        &["archive-get", "000000010000000000000009", "/nowhere/x"],
        &["archive-get", "000000010000000000000009", "/tmp/x", "--no-such-option"],
        &["--config=/does/not/exist", "--stanza=main", "archive-get", "000000010000000000000009", "/tmp/x"],
        &[&config, "--stanza=other", "archive-get", "000000010000000000000009", "/tmp/x"],
        &[&config, "--stanza=main", "--repo=7", "archive-get", "000000010000000000000009", "/tmp/x"],
        &[&config, "--stanza=main", "archive-get", "000000010000000000000009", "/nowhere/x"],
    ] {
        assert_eq!(code(arguments), 130, "{arguments:?}");
    }
}

#[test]
fn flipped_bytes_of_every_segment_are_found_or_change_nothing() {
    let Some(yard) = Yard::new() else { return };
    let flips = if std::env::var_os("PGMAYDAY_ENDURANCE").is_some() { 200 } else { 3 };
    let mut dice = Dice(7);
    for name in ["a1-plain-none", "a2-zst-aes-bundle", "a6-pg18"] {
        let case = Case::new(&yard, name);
        for (segment, (stored, path)) in case.archived() {
            let length = fs::read(&path).unwrap().len();
            for _ in 0..flips {
                let (at, mask) = (dice.below(length), 1 << dice.below(8));
                flip(&path, at, mask);
                let (code, content, said) = case.get(&segment.to_string(), &["--no-archive-async"]);
                flip(&path, at, mask);
                match content {
                    Some(content) => assert_eq!(
                        (code, Sha1Hash::of(&content)),
                        (0, stored.sha1),
                        "{name} {segment} byte {at}: {said}"
                    ),
                    None => assert_eq!(code, 130, "{name} {segment} byte {at}: {said}"),
                }
                assert!(code == 130 || stored.compression != Compression::None, "{name} {segment} {at}");
            }
        }
    }
}

#[test]
fn a_flipped_history_is_found_or_says_the_same() {
    let Some(yard) = Yard::new() else { return };
    let case = Case::new(&yard, "a2-zst-aes-bundle");
    let name = "00000002.history";
    let says = |content: &[u8]| TimelineHistory::parse(content, Timeline(2)).unwrap().entries;
    let sound = says(&case.get(name, &[]).1.unwrap());
    let path = case.fixture.repo().join("archive/orders/15-1").join(name);
    let mut refused = 0;
    for at in 0..fs::read(&path).unwrap().len() {
        flip(&path, at, 1 << (at % 8));
        let (code, content, said) = case.get(name, &["--no-archive-async"]);
        flip(&path, at, 1 << (at % 8));
        match content {
            // The reason for the fork, a remark nobody reads, may carry anything printable.
            Some(content) => assert_eq!((code, says(&content)), (0, sound.clone()), "byte {at}: {said}"),
            None => assert!(code == 130 && said.contains(name), "byte {at}: {said}"),
        }
        refused += u32::from(code == 130);
    }
    assert!(refused > 40, "{refused}");
}

#[test]
fn a_killed_prefetcher_is_replaced_and_nothing_half_fetched_is_delivered() {
    let Some(yard) = Yard::new() else { return };
    let case = Case::new(&yard, "a3-block-incr");
    let mut killed = 0;
    for (number, (segment, (stored, _))) in case.archived().into_iter().enumerate() {
        let (code, content, said) = case.get(&segment.to_string(), &[]);
        assert_eq!((code, content.map(|content| Sha1Hash::of(&content))), (0, Some(stored.sha1)), "{said}");
        if number % 3 == 0 {
            let spool = &case.spools()[0];
            if number % 2 == 0 {
                wait_for("a prefetcher comes up", || !prefetchers(spool).is_empty());
            }
            for pid in prefetchers(spool) {
                let pid = rustix::process::Pid::from_raw(pid).unwrap();
                killed +=
                    u32::from(rustix::process::kill_process(pid, rustix::process::Signal::KILL).is_ok());
            }
        }
    }
    assert!(killed > 1, "no prefetcher was there to be killed");
}

#[test]
fn a_prefetcher_is_one_alone_cut_loose_and_leaves_when_its_spool_goes() {
    let Some(yard) = Yard::new() else { return };
    let case = Case::new(&yard, "a3-block-incr");
    let names: Vec<String> = case.archived().keys().map(ToString::to_string).collect();
    for name in &names[..4] {
        assert_eq!(case.get(name, &[]).0, 0);
    }
    let spool = case.spools().remove(0);
    wait_for("one prefetcher is left", || prefetchers(&spool).len() == 1);
    let process = PathBuf::from(format!("/proc/{}", prefetchers(&spool)[0]));
    assert_eq!(fs::read_link(process.join("cwd")).unwrap(), Path::new("/"));
    let stat = fs::read_to_string(process.join("stat")).unwrap();
    let session = stat.rsplit(") ").next().unwrap().split(' ').nth(3).unwrap().to_owned();
    assert_eq!(Path::new("/proc").join(session), process, "it leads its own session");
    for stream in 0..=2 {
        assert_eq!(fs::read_link(process.join(format!("fd/{stream}"))).unwrap(), Path::new("/dev/null"));
    }
    let log = fs::read_to_string(spool.join("requests.log")).unwrap();
    assert_eq!(log.lines().map(|line| line.split('\t').nth(1).unwrap()).collect::<Vec<_>>(), names[..4]);
    fs::rename(&spool, case.fixture.path("gone")).unwrap();
    wait_for("the prefetcher leaves", || prefetchers(&spool).is_empty());
}

#[test]
fn restores_side_by_side_have_their_own_spools_and_calls_do_not_disturb_each_other() {
    let Some(yard) = Yard::new() else { return };
    let case = Case::new(&yard, "a3-block-incr");
    let other = case.fixture.path("beside");
    fs::create_dir(&other).unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o700)).unwrap();
    yard.give(&other);
    case.restore(&other);
    let archived = case.archived();
    std::thread::scope(|scope| {
        for data_dir in [&case.data_dir, &other] {
            for caller in 0..3 {
                let (case, archived) = (&case, &archived);
                scope.spawn(move || {
                    for (segment, (stored, _)) in archived {
                        let to = format!("pg_wal/RECOVERYXLOG{caller}");
                        let (code, content, said) = case.get_into(data_dir, &segment.to_string(), &to, &[]);
                        let hash = content.map(|content| Sha1Hash::of(&content));
                        assert_eq!((code, hash), (0, Some(stored.sha1)), "{segment}: {said}");
                    }
                });
            }
        }
    });
    assert_eq!(case.spools().len(), 2);
}

/// A server that recovers; killed when dropped.
struct Server {
    child: Child,
    log: PathBuf,
    _socket: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let pid = rustix::process::Pid::from_child(&self.child);
            // An error means that it is gone already.
            let _gone = rustix::process::kill_process(pid, rustix::process::Signal::QUIT);
            drop(self.child.wait());
        }
    }
}

impl Server {
    fn start(case: &Case<'_>) -> Option<Self> {
        let program = Path::new("/usr/lib/postgresql/15/bin/postgres");
        if !program.exists() {
            skip("PostgreSQL 15 is not installed");
            return None;
        }
        let socket = tempfile::Builder::new().prefix("pgm-").tempdir_in("/tmp").unwrap();
        case.yard.give(socket.path());
        let log = case.fixture.path("server.log");
        let output = fs::File::create(&log).unwrap();
        let mut command = case.yard.command(program);
        command.arg("-D").arg(&case.data_dir);
        for setting in ["listen_addresses=", "fsync=off", "logging_collector=off", "hot_standby=on"] {
            command.args(["-c", setting]);
        }
        command.arg("-c").arg(format!("unix_socket_directories={}", socket.path().display()));
        let child = command.stdout(output.try_clone().unwrap()).stderr(output).spawn().unwrap();
        Some(Self { child, log, _socket: socket })
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until the server has stopped by itself; it must not have promoted.
    #[track_caller]
    fn stopped_without_promotion(mut self, case: &Case<'_>, why: &str) {
        wait_for("the server stops", || matches!(self.child.try_wait(), Ok(Some(_))));
        let log = self.log();
        assert!(log.contains("not delivered") && log.contains(why), "{log}");
        assert!(
            !log.contains("selected new timeline ID") && !log.contains("archive recovery complete"),
            "{log}"
        );
        let timeline = ControlFile::read(&case.data_dir).unwrap().timeline;
        assert!(timeline.0 <= 2, "it went on to timeline {timeline}");
    }
}

#[test]
fn a_server_recovers_to_the_end_and_its_requests_are_on_record() {
    let Some(yard) = Yard::new() else { return };
    let case = Case::new(&yard, "a2-zst-aes-bundle");
    let Some(server) = Server::start(&case) else { return };
    wait_for("the server is promoted", || server.log().contains("ready to accept connections"));
    let log = server.log();
    assert!(log.contains("selected new timeline ID: 3"), "{log}");
    let spool = case.spools().remove(0);
    let requests = fs::read_to_string(spool.join("requests.log")).unwrap();
    for segment in ["C", "D", "E", "F"].map(|digit| format!("\t00000002000000000000000{digit}\tdelivered\t"))
    {
        assert!(requests.contains(&segment), "{requests}");
    }
}

#[test]
fn a_server_stops_at_a_gap_a_flip_or_a_duplicate_and_never_promotes() {
    type Spoil = fn(&Path);
    let Some(yard) = Yard::new() else { return };
    let segment = "00000002000000000000000E";
    let spoil: [(&str, Spoil); 3] = [
        ("is missing although", |path| fs::remove_file(path).unwrap()),
        ("repo1", |path| flip(path, 1500, 1)),
        ("different contents", |path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            let other = format!("{}{}{}", &name[..25], "1".repeat(40), &name[65..]);
            fs::copy(path, path.with_file_name(other)).unwrap();
        }),
    ];
    for (why, spoil) in spoil {
        let case = Case::new(&yard, "a2-zst-aes-bundle");
        spoil(&case.stored(segment));
        yard.give(&case.fixture.repo());
        let Some(server) = Server::start(&case) else { return };
        server.stopped_without_promotion(&case, why);
    }
}

#[test]
fn a_standby_lives_through_a_gap_and_does_not_promote() {
    let Some(yard) = Yard::new() else { return };
    let case = Case::new(&yard, "a2-zst-aes-bundle");
    let path = case.stored("00000002000000000000000E");
    fs::rename(&path, case.fixture.path("aside")).unwrap();
    fs::rename(case.data_dir.join("recovery.signal"), case.data_dir.join("standby.signal")).unwrap();
    // However little the configuration wants to be told: PostgreSQL itself says nothing.
    let text = fs::read_to_string(&case.config).unwrap();
    fs::write(&case.config, text.replacen("[global]\n", "[global]\nlog-level-console=error\n", 1)).unwrap();
    let Some(mut server) = Server::start(&case) else { return };
    wait_for("the gap is told", || server.log().contains("this standby goes on without it"));
    assert!(matches!(server.child.try_wait(), Ok(None)), "{}", server.log());
    fs::rename(case.fixture.path("aside"), &path).unwrap();
    wait_for("the standby goes on", || {
        server.log().contains("restored log file \"00000002000000000000000F\"")
    });
    assert!(!server.log().contains("selected new timeline ID"), "{}", server.log());
}

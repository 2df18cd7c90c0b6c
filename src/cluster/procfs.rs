//! What `/proc` tells about processes: who uses a folder, who is whose child, how busy each is.
//!
//! Reads names of links and never follows them to a file system that might hang; `statx` asks without syncing.

use crate::cluster::owner::{Account, is_root, run_as};
use crate::cluster::process::{Finished, run_limited};
use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Inode of the pid namespace of the whole host (`PROC_PID_INIT_INO` of the kernel).
const INITIAL_PID_NAMESPACE: &str = "pid:[4026531836]";

/// How often a closed process is looked at again, and how long apart.
const LOOKS: u32 = 10;
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// A process that uses one of the folders asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Use {
    pub(super) pid: u32,
    /// What it does there, naming process and folder or file.
    pub(super) why: String,
    /// It is no server: somebody's shell that has nothing open there, or this program.
    pub(super) serves_nothing: bool,
}

/// Who uses the folders, and what kept this process from looking everywhere.
#[derive(Debug, Default)]
pub(super) struct Users {
    /// Servers first, then by process id.
    pub(super) found: Vec<Use>,
    /// Processes that might use them and could not be looked into.
    pub(super) closed: Vec<u32>,
    /// Why an unseen process might use them; nothing if none can.
    pub(super) unseen: Option<String>,
}

/// One line of `/proc/sysvipc/shm`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) id: u64,
    pub(super) creator: u32,
    pub(super) attached: u64,
}

/// This host as `/proc` shows it.
pub(super) struct Host {
    proc: PathBuf,
}

impl Host {
    pub(super) fn system() -> Self {
        Self { proc: PathBuf::from("/proc") }
    }

    /// True if no process of this kernel can be hidden in another pid namespace.
    pub(super) fn sees_every_process(&self) -> bool {
        let own = std::fs::read_link(self.proc.join("self/ns/pid"));
        own.is_ok_and(|name| name == Path::new(INITIAL_PID_NAMESPACE))
    }

    /// The shared memory segment with this key and id, if this IPC namespace has it.
    pub(super) fn shared_memory(&self, key: u64, id: u64) -> Option<Segment> {
        let table = std::fs::read_to_string(self.proc.join("sysvipc/shm")).ok()?;
        parse_segments(&table, key, id)
    }

    /// Every process with its working directory or an open file in one of `roots`. Of those that cannot be looked into
    /// only `suspects` count, where an earlier look saw into all others.
    pub(super) fn users_of(&self, roots: &[PathBuf], suspects: Option<&[u32]>) -> Users {
        let identities: HashSet<Identity> = roots.iter().filter_map(|root| identity(root)).collect();
        // What does not exist yet will be ours: a server of a removed directory of ours ran as us, too.
        let owner = roots.first().and_then(|root| std::fs::metadata(root).ok());
        let owner = owner.map_or_else(|| rustix::process::geteuid().as_raw(), |meta| meta.uid());
        let (me, own) = (std::process::id(), self.own_line());
        let mut users = Users::default();
        let mut servers = Vec::new();
        let mut hidden = Vec::new();
        for pid in self.pids() {
            if Some(&pid) == own.first() {
                continue;
            }
            match self.use_of(pid, roots, &identities) {
                Look::Uses { what, only_works_there } => {
                    let name = self.name(pid);
                    let server = is_server(&name);
                    let ours = !server && self.program(pid).is_some_and(|it| Some(it) == self.program(me));
                    // The shell the operator typed this command in, standing in the folder, serves nothing; neither does
                    // what this process is just about to start, which until then has its folder and its files.
                    let own_shell = only_works_there && !server && own.contains(&pid);
                    if own_shell || (ours && self.parent(pid) == Some(me)) {
                        continue;
                    }
                    if server && self.only_asks(pid) {
                        continue;
                    }
                    let why = format!("process {pid} ({name}) {what}");
                    let serves_nothing = ours || (only_works_there && !server);
                    let found = Use { pid, why, serves_nothing };
                    if server { servers.push(found) } else { users.found.push(found) }
                }
                Look::Nothing => {}
                Look::Denied => {
                    let uid = std::fs::metadata(self.of(pid)).map(|meta| meta.uid()).ok();
                    // A server runs as the owner of its data directory or refuses to start; root is never one.
                    let suspect = suspects.is_none_or(|suspects| suspects.contains(&pid));
                    if suspect && uid.is_some_and(|uid| uid != 0 && uid == owner) {
                        hidden.push(pid);
                    }
                }
            }
        }
        // Closed while it changes its user, starts or ends: a moment later it is open or gone.
        for _ in 0..LOOKS {
            if hidden.is_empty() {
                break;
            }
            std::thread::sleep(BETWEEN_LOOKS);
            hidden.retain(|&pid| match self.use_of(pid, roots, &identities) {
                Look::Denied => self.alive(pid),
                Look::Uses { what, .. } if !self.only_asks(pid) => {
                    let why = format!("process {pid} ({}) {what}", self.name(pid));
                    servers.push(Use { pid, why, serves_nothing: false });
                    false
                }
                Look::Nothing | Look::Uses { .. } => false,
            });
        }
        let seen = look_as_owner(owner, &hidden);
        hidden.retain(|pid| !seen.iter().any(|(seen, _)| seen == pid) && self.alive(*pid));
        for (pid, place) in seen.into_iter().filter(|(_, place)| is_below(place, roots)) {
            let what = format!("has its working directory in {}", place.display());
            let why = format!("process {pid} ({}) {what}", self.name(pid));
            servers.push(Use { pid, why, serves_nothing: false });
        }
        servers.append(&mut users.found);
        users.found = servers;
        users.unseen = self.describe_unseen(&hidden, owner);
        users.closed = hidden;
        users
    }

    /// True if the process is there and has not ended (an ended child not yet waited for has).
    pub(super) fn alive(&self, pid: u32) -> bool {
        self.stat(pid).is_some_and(|fields| !matches!(fields.first().map(String::as_str), Some("Z" | "X")))
    }

    /// True if the process is seen to work in the folder; false also if that may not be seen.
    pub(super) fn works_in(&self, pid: u32, folder: &Path) -> bool {
        let roots = [folder.canonicalize().unwrap_or_else(|_| folder.to_owned())];
        let cwd = self.of(pid).join("cwd");
        let same = identity(&cwd).is_some_and(|id| identity(&roots[0]) == Some(id));
        same || std::fs::read_link(cwd).is_ok_and(|place| is_below(&place, &roots))
    }

    /// Every process with its parent, as of now.
    pub(super) fn family(&self) -> Family {
        Family(self.pids().into_iter().filter_map(|pid| Some((pid, self.parent(pid)?))).collect())
    }

    /// The command line as `ps` shows it; servers write what they do there.
    pub(super) fn title(&self, pid: u32) -> String {
        let bytes = std::fs::read(self.of(pid).join("cmdline")).unwrap_or_default();
        let words: Vec<_> = bytes.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
        words.join(" ").trim_end().to_owned()
    }

    /// What a process runs, as far as that may be seen.
    fn program(&self, pid: u32) -> Option<PathBuf> {
        std::fs::read_link(self.of(pid).join("exe")).ok()
    }

    /// It is `postgres -C`, which reads the configuration in the data directory and ends.
    fn only_asks(&self, pid: u32) -> bool {
        let bytes = std::fs::read(self.of(pid).join("cmdline")).unwrap_or_default();
        bytes.split(|byte| *byte == 0).any(|word| word == b"-C")
    }

    /// Processor time used, in clock ticks, ended children included.
    pub(super) fn cpu_ticks(&self, pid: u32) -> u64 {
        // utime, stime, cutime, cstime: fields 14 to 17, of which two stand before the state.
        let fields = self.stat(pid).unwrap_or_default();
        fields.iter().skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum()
    }

    /// Bytes moved through files and pipes, ended children included; 0 if that may not be seen.
    pub(super) fn io_bytes(&self, pid: u32) -> u64 {
        let text = std::fs::read_to_string(self.of(pid).join("io")).unwrap_or_default();
        let counters =
            text.lines().filter_map(|line| line.strip_prefix("rchar: ").or(line.strip_prefix("wchar: ")));
        counters.filter_map(|number| number.parse::<u64>().ok()).sum()
    }

    fn describe_unseen(&self, hidden: &[u32], owner: u32) -> Option<String> {
        if let Some(first) = hidden.first() {
            let others = match hidden.len() {
                1 => String::new(),
                more => format!(" and {} others", more - 1),
            };
            return Some(format!(
                "process {first} ({}){others} of the data directory's owner may not be looked into by this user",
                self.name(*first)
            ));
        }
        let me = rustix::process::geteuid();
        let hides = !self.proc.join("1").exists();
        if hides && !me.is_root() && owner != me.as_raw() {
            return Some("/proc hides the processes of other users from this user".to_owned());
        }
        None
    }

    fn of(&self, pid: u32) -> PathBuf {
        self.proc.join(pid.to_string())
    }

    fn pids(&self) -> Vec<u32> {
        let entries = std::fs::read_dir(&self.proc).into_iter().flatten().flatten();
        let mut pids: Vec<u32> = entries
            .filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse().ok()))
            .collect();
        pids.sort_unstable();
        pids
    }

    /// This process and its ancestors.
    fn own_line(&self) -> Vec<u32> {
        let mut line = vec![std::process::id()];
        while let Some(parent) = line.last().and_then(|pid| self.parent(*pid)) {
            if parent == 0 || line.contains(&parent) {
                break;
            }
            line.push(parent);
        }
        line
    }

    fn parent(&self, pid: u32) -> Option<u32> {
        self.stat(pid)?.get(1)?.parse().ok()
    }

    /// The fields of `stat` from the state on.
    fn stat(&self, pid: u32) -> Option<Vec<String>> {
        let stat = std::fs::read(self.of(pid).join("stat")).ok()?;
        let stat = String::from_utf8_lossy(&stat);
        // The name stands in parentheses and may contain anything: fields are counted after the last one.
        let (_, fields) = stat.rsplit_once(')')?;
        Some(fields.split_whitespace().map(str::to_owned).collect())
    }

    fn name(&self, pid: u32) -> String {
        let name = std::fs::read_to_string(self.of(pid).join("comm")).unwrap_or_default();
        name.trim_end().to_owned()
    }

    fn use_of(&self, pid: u32, roots: &[PathBuf], identities: &HashSet<Identity>) -> Look {
        let folder = self.of(pid);
        let cwd = folder.join("cwd");
        let works_there = match std::fs::read_link(&cwd) {
            Ok(place) => {
                // A path is spelled differently in another mount namespace: the inode is not.
                let same = identity(&cwd).is_some_and(|id| identities.contains(&id));
                (same || is_below(&place, roots)).then_some(place)
            }
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return Look::Denied,
            Err(_) => return Look::Nothing,
        };
        let open = match std::fs::read_dir(folder.join("fd")) {
            Ok(entries) => entries
                .flatten()
                .filter_map(|entry| std::fs::read_link(entry.path()).ok())
                .find(|place| is_below(place, roots)),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied && works_there.is_none() => {
                return Look::Denied;
            }
            Err(_) => None,
        };
        match (works_there, open) {
            (Some(place), open) => Look::Uses {
                what: format!("has its working directory in {}", place.display()),
                only_works_there: open.is_none(),
            },
            (None, Some(file)) => {
                Look::Uses { what: format!("has {} open", file.display()), only_works_there: false }
            }
            (None, None) => Look::Nothing,
        }
    }
}

/// The working directories of processes root may not look into (a container without `CAP_SYS_PTRACE`), asked for
/// as the account they run as.
fn look_as_owner(owner: u32, pids: &[u32]) -> Vec<(u32, PathBuf)> {
    let Some(first) = pids.first().filter(|_| is_root()) else { return Vec::new() };
    // The kernel compares the groups, too.
    let Ok(meta) = std::fs::metadata(format!("/proc/{first}")) else { return Vec::new() };
    let account =
        Account { name: String::new(), uid: owner, gid: meta.gid(), home: "/".into(), named: false };
    let Ok(mut readlink) = run_as(&account, Path::new("readlink")) else { return Vec::new() };
    readlink.args(["-v", "-z", "--"]).args(pids.iter().map(|pid| format!("/proc/{pid}/cwd")));
    run_limited(readlink, Duration::from_secs(10)).map_or_else(|_| Vec::new(), |done| pair_links(pids, &done))
}

/// Which process each line of `readlink -v -z` is about: those it complains about have none.
fn pair_links(pids: &[u32], done: &Finished) -> Vec<(u32, PathBuf)> {
    let refused: HashSet<u32> = done
        .stderr
        .split("/proc/")
        .skip(1)
        .filter_map(|rest| rest.split('/').next().and_then(|digits| digits.parse().ok()))
        .collect();
    let answered: Vec<u32> = pids.iter().copied().filter(|pid| !refused.contains(pid)).collect();
    let places: Vec<&str> = done.stdout.split_terminator('\0').collect();
    if answered.len() != places.len() {
        return Vec::new();
    }
    answered.into_iter().zip(places.into_iter().map(PathBuf::from)).collect()
}

/// Who is whose child.
pub(super) struct Family(Vec<(u32, u32)>);

impl Family {
    /// The processes started by this one and still there, oldest id first.
    pub(super) fn children(&self, pid: u32) -> Vec<u32> {
        self.0.iter().filter(|(_, parent)| *parent == pid).map(|(child, _)| *child).collect()
    }
}

enum Look {
    Uses { what: String, only_works_there: bool },
    Nothing,
    Denied,
}

/// Device and inode of a folder, which are the same in every mount namespace.
type Identity = (u32, u32, u64);

fn identity(path: &Path) -> Option<Identity> {
    let found = statx(CWD, path, AtFlags::STATX_DONT_SYNC, StatxFlags::INO).ok()?;
    Some((found.stx_dev_major, found.stx_dev_minor, found.stx_ino))
}

/// True for a root itself or anything below it, also after it was removed.
fn is_below(place: &Path, roots: &[PathBuf]) -> bool {
    let bytes = place.as_os_str().as_bytes();
    let place = Path::new(std::ffi::OsStr::from_bytes(bytes.strip_suffix(b" (deleted)").unwrap_or(bytes)));
    roots.iter().any(|root| place.starts_with(root))
}

fn is_server(name: &str) -> bool {
    name.starts_with("postgres") || name == "postmaster"
}

fn parse_segments(table: &str, key: u64, id: u64) -> Option<Segment> {
    let mut lines = table.lines();
    let names: Vec<&str> = lines.next()?.split_whitespace().collect();
    let column = |name: &str| names.iter().position(|n| *n == name);
    let (at_key, at_id, at_creator, at_attached) =
        (column("key")?, column("shmid")?, column("cpid")?, column("nattch")?);
    lines.find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // The key is printed signed here and unsigned in the lock file.
        let found_key = fields.get(at_key)?.parse::<i64>().ok()? & 0xFFFF_FFFF;
        let found_id = fields.get(at_id)?.parse::<u64>().ok()?;
        if u64::try_from(found_key) != Ok(key & 0xFFFF_FFFF) || found_id != id {
            return None;
        }
        Some(Segment {
            id,
            creator: fields.get(at_creator)?.parse().ok()?,
            attached: fields.get(at_attached)?.parse().ok()?,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_segment_by_key_and_id() {
        let table = "       key      shmid perms                  size  cpid  lpid nattch   uid   gid\n\
                     -559038737          7   600                    56  4711  4712      6   101   104\n\
                         652544         11   600                    56  4800  4801      0   101   104\n";
        let one = parse_segments(table, 3_735_928_559, 7).unwrap();
        assert_eq!((one.creator, one.attached), (4711, 6));
        assert_eq!(parse_segments(table, 652_544, 11).unwrap().attached, 0);
        assert!(parse_segments(table, 652_544, 7).is_none() && parse_segments("", 1, 1).is_none());
    }

    #[test]
    fn refused_links_do_not_shift_the_others() {
        let done = |stdout: &str| Finished {
            code: Some(1),
            stdout: stdout.to_owned(),
            stderr: "readlink: /proc/5/cwd: Permission denied\n".to_owned(),
        };
        let paired = pair_links(&[4, 5, 6], &done("/srv/a\0/srv/b\0"));
        assert_eq!(paired, [(4, PathBuf::from("/srv/a")), (6, PathBuf::from("/srv/b"))]);
        assert!(pair_links(&[4, 5, 6], &done("/srv/a\0")).is_empty());
    }

    #[test]
    fn a_neighbour_with_the_same_beginning_is_not_below() {
        let roots = [PathBuf::from("/srv/pg")];
        for inside in ["/srv/pg", "/srv/pg/base/1/2", "/srv/pg (deleted)", "/srv/pg/base/1 (deleted)"] {
            assert!(is_below(Path::new(inside), &roots), "{inside}");
        }
        for outside in ["/srv/pg2", "/srv", "socket:[1]", "/srv/pg2/base (deleted)"] {
            assert!(!is_below(Path::new(outside), &roots), "{outside}");
        }
    }
}

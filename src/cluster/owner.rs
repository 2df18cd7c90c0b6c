//! Who owns a data directory, and acting as that account.
//!
//! Names become numbers through `getent`, so that directory services count; `/etc/passwd` and `/etc/group` answer
//! where `getent` is missing or does not come back. Changing the account is left to `setpriv`, which also sets the
//! supplementary groups. Nothing here changes the account of this process.

use super::ClusterError;
use super::process::{command, run_limited};
use std::collections::HashMap;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

/// A directory service that does not answer must not hang a restore.
const LOOKUP_LIMIT: Duration = Duration::from_secs(10);

/// A user account of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Login name; the number as text if the host has no name for it.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Home directory; `/` if unknown.
    pub home: PathBuf,
    /// True if the account is known to the host by name.
    pub named: bool,
}

/// The host's users and groups, each asked for once.
#[derive(Debug, Default)]
pub struct Users {
    accounts: Mutex<HashMap<String, Option<Account>>>,
    groups: Mutex<HashMap<String, Option<(String, u32)>>>,
}

impl Users {
    /// An empty cache over the host's users.
    pub fn new() -> Self {
        Self::default()
    }

    /// The account of a name; nothing if the host does not know it.
    pub fn account(&self, name: &str) -> Option<Account> {
        // getent reads a number as an id, which is another question.
        self.lookup_account(name).filter(|account| account.name == name)
    }

    /// The account of a user id, made up from the number alone if the host has no name for it.
    pub fn account_of(&self, uid: u32) -> Account {
        self.lookup_account(&uid.to_string()).filter(|account| account.uid == uid).unwrap_or_else(|| {
            Account { name: uid.to_string(), uid, gid: uid, home: PathBuf::from("/"), named: false }
        })
    }

    /// The user id of a name.
    pub fn user_id(&self, name: &str) -> Option<u32> {
        self.account(name).map(|account| account.uid)
    }

    /// The name of a user id.
    pub fn user_name(&self, uid: u32) -> Option<String> {
        Some(self.account_of(uid)).filter(|account| account.named).map(|account| account.name)
    }

    /// The group id of a name.
    pub fn group_id(&self, name: &str) -> Option<u32> {
        self.lookup_group(name).filter(|group| group.0 == name).map(|group| group.1)
    }

    /// The name of a group id.
    pub fn group_name(&self, gid: u32) -> Option<String> {
        self.lookup_group(&gid.to_string()).filter(|group| group.1 == gid).map(|group| group.0)
    }

    fn lookup_account(&self, key: &str) -> Option<Account> {
        remembered(&self.accounts, key, || {
            lookup("passwd", key).as_deref().and_then(|line| parse_passwd(line, key))
        })
    }

    fn lookup_group(&self, key: &str) -> Option<(String, u32)> {
        remembered(&self.groups, key, || {
            lookup("group", key).as_deref().and_then(|line| parse_group(line, key))
        })
    }
}

fn remembered<T: Clone>(cache: &Mutex<HashMap<String, T>>, key: &str, ask: impl FnOnce() -> T) -> T {
    // A poisoned cache still holds whole answers: each is inserted in one step.
    let lock = || cache.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(known) = lock().get(key) {
        return known.clone();
    }
    let answer = ask();
    lock().insert(key.to_owned(), answer.clone());
    answer
}

/// The database's line for a name or id, by `getent` or from the file.
fn lookup(database: &str, key: &str) -> Option<String> {
    if key.is_empty() || key.contains(['\0', '\n', ':']) {
        return None;
    }
    let mut getent = command(Path::new("getent"));
    getent.arg(database).arg("--").arg(key);
    match run_limited(getent, LOOKUP_LIMIT) {
        Ok(finished) if finished.success() => finished.stdout.lines().next().map(str::to_owned),
        // 2 is getent's "not found"; any other failure says nothing about the name.
        Ok(finished) if finished.code == Some(2) => None,
        _ => {
            let file = std::fs::read_to_string(Path::new("/etc").join(database)).ok()?;
            file.lines().find(|line| names_key(line, key)).map(str::to_owned)
        }
    }
}

/// True if a line of passwd or group has the key as its name or its number.
fn names_key(line: &str, key: &str) -> bool {
    let mut fields = line.split(':');
    fields.next() == Some(key) || fields.nth(1) == Some(key)
}

fn parse_passwd(line: &str, key: &str) -> Option<Account> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, uid, gid, _, home, ..] = fields.as_slice() else { return None };
    let home = if home.is_empty() { "/" } else { home };
    let account = Account {
        name: (*name).to_owned(),
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        home: PathBuf::from(home),
        named: true,
    };
    names_key(line, key).then_some(account)
}

fn parse_group(line: &str, key: &str) -> Option<(String, u32)> {
    let mut fields = line.split(':');
    let (name, _, gid) = (fields.next()?, fields.next()?, fields.next()?);
    let group = (name.to_owned(), gid.parse().ok()?);
    names_key(line, key).then_some(group)
}

/// The account this process acts as.
pub fn current(users: &Users) -> Account {
    users.account_of(rustix::process::geteuid().as_raw())
}

/// True if this process acts as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The account that owns a file or folder (links followed).
pub fn owner_of(path: &Path, users: &Users) -> Result<Account, ClusterError> {
    let meta = std::fs::metadata(path).map_err(|source| ClusterError::Io {
        doing: "look at",
        path: path.to_owned(),
        source,
    })?;
    let account = users.account_of(meta.uid());
    Ok(if account.named { account } else { Account { gid: meta.gid(), ..account } })
}

/// A command that runs `program` as `owner`: directly if this process is that account, through `setpriv` as root
/// (with the account's supplementary groups), refused otherwise.
pub fn run_as(owner: &Account, program: &Path) -> Result<Command, ClusterError> {
    if rustix::process::geteuid().as_raw() == owner.uid {
        return Ok(command(program));
    }
    if !is_root() {
        return Err(ClusterError::WrongUser {
            what: format!("running {}", program.display()),
            owner: owner.name.clone(),
            current: current(&Users::new()).name,
        });
    }
    let mut setpriv = command(Path::new("setpriv"));
    setpriv.arg(format!("--reuid={}", owner.uid)).arg(format!("--regid={}", owner.gid));
    // Supplementary groups are looked up by name: an id without a name has none.
    setpriv.arg(if owner.named { "--init-groups" } else { "--clear-groups" });
    setpriv.arg("--").arg(program);
    setpriv.env("HOME", &owner.home).env("USER", &owner.name).env("LOGNAME", &owner.name);
    Ok(setpriv)
}

/// Checks that `owner` can execute the program at an absolute path, as PostgreSQL will for `restore_command`.
///
/// The error names the path component that stands in the way. As another plain user only the mode bits can be
/// judged; as root and as the owner the kernel itself is asked, access lists and mount options included.
pub fn check_executable_by(owner: &Account, program: &Path) -> Result<(), ClusterError> {
    let refuse = |why: String| ClusterError::NotExecutable {
        program: program.to_owned(),
        owner: owner.name.clone(),
        why,
    };
    if !program.is_absolute() {
        return Err(refuse("the path is not absolute".to_owned()));
    }
    match std::fs::metadata(program) {
        Ok(meta) if meta.is_file() => {}
        Ok(_) => return Err(refuse("it is not a file".to_owned())),
        Err(error) => return Err(refuse(error.to_string())),
    }
    if may_execute(owner, program)? {
        return Ok(());
    }
    let mut components: Vec<&Path> = program.ancestors().collect();
    components.reverse();
    for component in components {
        if !may_execute(owner, component)? {
            let kind =
                if component == program { "execute permission is missing on" } else { "no access through" };
            return Err(refuse(format!("{kind} {}", component.display())));
        }
    }
    Err(refuse("permission denied".to_owned()))
}

fn may_execute(owner: &Account, path: &Path) -> Result<bool, ClusterError> {
    use rustix::fs::{Access, access};
    if rustix::process::geteuid().as_raw() == owner.uid {
        return Ok(access(path, Access::EXEC_OK).is_ok());
    }
    if is_root() {
        let mut test = run_as(owner, Path::new("test"))?;
        test.arg("-x").arg(path);
        let finished = run_limited(test, LOOKUP_LIMIT)?;
        return match finished.code {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(ClusterError::Program { program: "setpriv".to_owned(), why: finished.complaint() }),
        };
    }
    let Ok(meta) = std::fs::metadata(path) else { return Ok(false) };
    let mode = meta.permissions().mode();
    let shift = if meta.uid() == owner.uid {
        6
    } else if meta.gid() == owner.gid {
        3
    } else {
        0
    };
    Ok(mode >> shift & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_translate_both_ways() {
        let users = Users::new();
        assert_eq!((users.user_id("root"), users.group_id("root")), (Some(0), Some(0)));
        assert_eq!(
            (users.user_name(0).as_deref(), users.group_name(0).as_deref()),
            (Some("root"), Some("root"))
        );
        assert_eq!(users.account_of(0).home, Path::new("/root"));
        for hostile in ["", "0", "no-such-user-here", "--version", "-s", "a:b", "root\n"] {
            assert_eq!(users.user_id(hostile), None, "{hostile:?}");
            assert_eq!(users.group_id(hostile), None, "{hostile:?}");
        }
        let unknown = users.account_of(4_000_000_001);
        assert_eq!(
            (unknown.name.as_str(), unknown.named, users.user_name(4_000_000_001)),
            ("4000000001", false, None)
        );
    }

    #[test]
    fn lines_must_be_about_what_was_asked() {
        let line = "postgres:x:101:104:PostgreSQL:/var/lib/postgresql:/bin/bash";
        assert_eq!(parse_passwd(line, "postgres").map(|a| (a.uid, a.gid)), Some((101, 104)));
        assert_eq!(parse_passwd(line, "101").map(|a| a.name).as_deref(), Some("postgres"));
        assert!(parse_passwd(line, "104").is_none() && parse_passwd("postgres:x:101", "postgres").is_none());
        assert_eq!(parse_group("ssl-cert:x:103:postgres", "103"), Some(("ssl-cert".to_owned(), 103)));
        assert!(parse_group("ssl-cert:x:y:", "ssl-cert").is_none());
    }

    #[test]
    fn says_which_component_is_in_the_way() {
        let users = Users::new();
        let dir = tempfile::tempdir().unwrap();
        let closed = dir.path().join("closed");
        std::fs::create_dir(&closed).unwrap();
        let program = closed.join("tool");
        std::fs::write(&program, "#!/bin/sh\n").unwrap();
        let error = |owner: &Account, path: &Path| check_executable_by(owner, path).unwrap_err().to_string();
        let me = current(&users);
        assert!(error(&me, Path::new("bin/sh")).contains("not absolute"));
        assert!(error(&me, &closed).contains("not a file"));
        assert!(error(&me, &program).contains("execute permission is missing"));
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        check_executable_by(&me, &program).unwrap();
        if let (true, Some(nobody)) = (is_root(), users.account("nobody")) {
            check_executable_by(&nobody, Path::new("/bin/sh")).unwrap();
            std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).unwrap();
            let text = error(&nobody, &program);
            assert!(
                text.contains("no access through") && text.contains("user nobody cannot execute"),
                "{text}"
            );
        }
    }

    #[test]
    fn runs_as_the_owner_with_its_groups() {
        let users = Users::new();
        let me = current(&users);
        let direct = run_as(&me, Path::new("/usr/bin/id")).unwrap();
        assert_eq!(direct.get_program(), "/usr/bin/id");
        let Some(nobody) = users.account("nobody") else { return };
        if me.uid == nobody.uid {
            return;
        }
        if !is_root() {
            assert!(matches!(run_as(&nobody, Path::new("id")), Err(ClusterError::WrongUser { .. })));
            return;
        }
        let mut id = run_as(&nobody, Path::new("id")).unwrap();
        id.arg("-u");
        let finished = run_limited(id, LOOKUP_LIMIT).unwrap();
        assert_eq!(finished.stdout.trim(), nobody.uid.to_string());
    }
}

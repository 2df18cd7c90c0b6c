//! What the process that replays WAL is doing, seen from outside: before a server is consistent it answers no SQL.
//!
//! Read from `/proc`; nothing is signalled.

use super::procfs::Host;
use crate::base::WalSegment;

/// The startup process of a server in recovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Startup {
    /// Its process id.
    pub pid: u32,
    /// The WAL segment named in its title.
    pub segment: Option<WalSegment>,
    /// True while it fetches that segment, false while it replays it.
    pub fetching: bool,
    /// Processor time it and its helpers used, in clock ticks.
    pub cpu_ticks: u64,
    /// Bytes it and its helpers moved; 0 if that may not be seen.
    pub io_bytes: u64,
    /// The running `restore_command`: process id and command line.
    pub helper: Option<(u32, String)>,
}

impl Startup {
    /// The startup process of the server with this process id, if it is in recovery.
    pub fn of(postmaster: u32) -> Option<Self> {
        let host = Host::system();
        let family = host.family();
        let (pid, title) = family
            .children(postmaster)
            .into_iter()
            .map(|child| (child, host.title(child)))
            .find(|(_, title)| is_startup(title))?;
        let (segment, fetching) = read_title(&title);
        let mut startup = Self {
            pid,
            segment,
            fetching,
            cpu_ticks: host.cpu_ticks(pid),
            io_bytes: host.io_bytes(pid),
            helper: None,
        };
        let mut generation = family.children(pid);
        // restore_command runs under a shell and may itself start programs.
        for _ in 0..8 {
            for child in &generation {
                startup.cpu_ticks += host.cpu_ticks(*child);
                startup.io_bytes += host.io_bytes(*child);
                startup.helper = Some((*child, host.title(*child)));
            }
            generation = generation.iter().flat_map(|child| family.children(*child)).collect();
            if generation.is_empty() {
                break;
            }
        }
        Some(startup)
    }
}

/// `postgres: 15/main: startup recovering 0000…`, before 11 `postgres: startup process   recovering 0000…`.
fn is_startup(title: &str) -> bool {
    title.strip_prefix("postgres: ").is_some_and(|rest| rest.split_whitespace().any(|word| word == "startup"))
}

fn read_title(title: &str) -> (Option<WalSegment>, bool) {
    let segment = title.split_whitespace().last().and_then(|word| word.parse().ok());
    (segment, title.contains("waiting for "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_of_every_version() {
        let segment = "0000000100000000000000A4";
        for (title, fetching) in [
            (format!("postgres: startup recovering {segment}"), false),
            (format!("postgres: 15/main: startup recovering {segment}"), false),
            (format!("postgres: startup process   waiting for {segment}"), true),
        ] {
            assert!(is_startup(&title), "{title}");
            assert_eq!(read_title(&title), (Some(segment.parse().unwrap()), fetching), "{title}");
        }
        assert_eq!(read_title("postgres: startup "), (None, false));
        assert!(!is_startup("postgres: checkpointer") && !is_startup("postgres -D /startup"));
        assert!(Startup::of(std::process::id()).is_none());
    }
}

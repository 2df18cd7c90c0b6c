//! A panic never leaves the terminal broken, and one in the background never writes over the screen.
//!
//! On the thread that draws the terminal is given back first and the message then goes where it always goes. On any
//! other thread it is written down, and told when the console is left.

use super::terminal;
use crate::base::Timestamp;
use crate::base::state::StateDir;
use std::backtrace::Backtrace;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::panic::{PanicHookInfo, set_hook, take_hook};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;

type Before = Box<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>;

/// Our hook, until dropped.
pub(super) struct Hook {
    before: Arc<Before>,
    troubles: Arc<Mutex<Vec<String>>>,
}

impl Hook {
    /// Puts the hook before the one that is there; this thread is the one that draws.
    pub(super) fn install(state: Option<&StateDir>) -> Self {
        let drawing = std::thread::current().id();
        let log = state.map(|state| state.root().join("console.log"));
        let before: Arc<Before> = Arc::new(take_hook());
        let troubles = Arc::new(Mutex::new(Vec::new()));
        let (told, kept) = (Arc::clone(&before), Arc::clone(&troubles));
        set_hook(Box::new(move |info| on_panic(info, drawing, log.as_deref(), &told, &kept)));
        Self { before, troubles }
    }

    /// What happened in the background.
    pub(super) fn troubles(&self) -> Vec<String> {
        self.troubles.lock().map(|troubles| troubles.clone()).unwrap_or_default()
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        // A thread that panics may not change the hook; ours then only gives back what was given back.
        if !std::thread::panicking() {
            drop(take_hook());
            let before = Arc::clone(&self.before);
            set_hook(Box::new(move |info| before(info)));
        }
    }
}

fn on_panic(
    info: &PanicHookInfo<'_>,
    drawing: ThreadId,
    log: Option<&Path>,
    before: &Before,
    kept: &Mutex<Vec<String>>,
) {
    if std::thread::current().id() == drawing {
        terminal::give_back();
        before(info);
    }
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let trace = Backtrace::force_capture();
    let written = log.and_then(|log| write_down(log, &format!("{} {info}\n{trace}\n", Timestamp::now())));
    let told = written.map_or(String::new(), |log| format!("; the trace is in {}", log.display()));
    if let Ok(mut kept) = kept.lock() {
        kept.push(format!("an internal error stopped a task at {place}{told}"));
    }
}

/// Appends to the log, which only the owner may read; where it is, if that worked.
fn write_down(log: &Path, text: &str) -> Option<PathBuf> {
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(log).ok()?;
    file.write_all(text.as_bytes()).ok()?;
    Some(log.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both cases in one test: a hook belongs to the whole process.
    #[test]
    fn a_panic_in_the_background_is_written_down_and_one_while_drawing_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::at(dir.path());
        let told = Arc::new(Mutex::new(Vec::new()));
        let (outer, seen) = (take_hook(), Arc::clone(&told));
        set_hook(Box::new(move |info| seen.lock().unwrap().push(info.to_string())));
        let hook = Hook::install(Some(&state));
        std::thread::spawn(|| panic!("in the background")).join().unwrap_err();
        assert!(told.lock().unwrap().is_empty());
        drop(std::panic::catch_unwind(|| panic!("while drawing")).unwrap_err());
        let heard = told.lock().unwrap().clone();
        let log = std::fs::read_to_string(dir.path().join("console.log")).unwrap();
        assert_eq!(hook.troubles().len(), 2);
        drop(hook);
        drop(std::panic::catch_unwind(|| panic!("afterwards")).unwrap_err());
        drop(take_hook());
        set_hook(outer);
        assert!(heard.len() == 1 && heard[0].contains("while drawing"), "{heard:?}");
        assert!(log.contains("in the background") && log.contains("while drawing"), "{log}");
        assert_eq!(told.lock().unwrap().len(), 2, "the hook before is back");
    }
}

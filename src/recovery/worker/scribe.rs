//! Writing an operation's facts into its incident's journal, on a thread of its own.
//!
//! A journal that cannot be written, or that somebody keeps locked, never stops or slows the work: the first trouble
//! is told as a warning, and the work goes on.

use crate::base::state::StateDir;
use crate::journal::{Fact, Journal};
use crate::model::op::{Event, Spec};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Who writes.
const ACTOR: &str = "worker";
/// How long the end waits for the journal.
const PATIENCE: Duration = Duration::from_secs(10);

/// Takes facts for the journal; without an incident it drops them.
#[derive(Debug, Default)]
pub(super) struct Scribe {
    to: Mutex<Option<Sender<Fact>>>,
    trouble: Arc<Mutex<Option<String>>>,
    done: Mutex<Option<Receiver<()>>>,
}

impl Scribe {
    /// Writes for the incident the operation belongs to, if its folder is there.
    pub(super) fn of(state: &StateDir, spec: &Spec) -> Self {
        let plain = |name: &&String| !name.starts_with('.') && !name.contains('/') && !name.is_empty();
        let folder = spec.incident.as_ref().filter(plain).map(|name| state.incidents().join(name));
        folder.filter(|folder| folder.is_dir()).map(Self::at).unwrap_or_default()
    }

    fn at(folder: PathBuf) -> Self {
        let (to, facts) = channel();
        let (ended, done) = channel();
        let trouble = Arc::new(Mutex::new(None));
        let told = Arc::clone(&trouble);
        let work = move || {
            write(&folder, &facts, &told);
            drop(ended);
        };
        let thread = std::thread::Builder::new().name("journal".to_owned()).spawn(work);
        let scribe = Self { to: Mutex::new(Some(to)), trouble, done: Mutex::new(Some(done)) };
        if let Err(error) = thread {
            note(&scribe.trouble, &error);
        }
        scribe
    }

    /// Hands a fact over.
    pub(super) fn tell(&self, fact: Fact) {
        if let Some(to) = &*self.to.lock().unwrap_or_else(PoisonError::into_inner) {
            drop(to.send(fact));
        }
    }

    /// Hands an event over.
    pub(super) fn event(&self, spec: &Spec, event: &Event) {
        let operation = spec.id.to_string();
        match event.clone() {
            Event::StepStarted { .. } | Event::Amount { .. } => {}
            Event::StepDone { step, took_ms, detail } => {
                self.tell(Fact::Step { operation, step, took_ms, detail });
            }
            Event::Reached { mark } => self.tell(Fact::Reached { mark, operation: Some(operation) }),
            Event::Warning { text } => self.tell(Fact::Warning { operation: Some(operation), text }),
        }
    }

    /// The first trouble, once.
    pub(super) fn trouble(&self) -> Option<String> {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.as_mut().map(std::mem::take).filter(|text| !text.is_empty())
    }

    /// Waits until everything is written, but not for long.
    pub(super) fn finish(&self) {
        drop(self.to.lock().unwrap_or_else(PoisonError::into_inner).take());
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(done) = done
            && done.recv_timeout(PATIENCE) == Err(std::sync::mpsc::RecvTimeoutError::Timeout)
        {
            note(&self.trouble, &"it is still locked by somebody else");
        }
    }
}

/// Keeps the first trouble only; what was told stays as an empty text.
fn note(trouble: &Mutex<Option<String>>, why: &dyn std::fmt::Display) {
    let text = format!("the incident's journal cannot be written, the work goes on without it: {why}");
    trouble.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(text);
}

fn write(folder: &Path, facts: &Receiver<Fact>, trouble: &Mutex<Option<String>>) {
    for fact in facts {
        if let Err(error) = Journal::open(folder).and_then(|journal| journal.append(ACTOR, &fact).map(drop)) {
            note(trouble, &error);
        }
    }
}

//! The worker: the process that does an operation, in a session of its own, whatever becomes of the terminal.
//!
//! It alone writes the operation's records, from the first to the last, so that what happened needs no screen to be
//! known. It never asks twice for what an earlier worker was told, and never takes an operation up that nobody asked
//! for.

pub(in crate::recovery) mod environment;
pub(in crate::recovery) mod lock;
pub(in crate::recovery) mod records;
mod samples;
mod scribe;

pub use lock::TargetLock;

use super::recover::Asker;
use super::supervisor::folder::Folder;
use super::supervisor::reader::Reader;
use crate::base::state::{OpId, StateDir};
use crate::base::{Kind, Report, Result};
use crate::journal::Fact;
use crate::model::op::{Answer, Cancel, Event, Outcome, Progress, Question, RecordKind, Replay, Sink, Spec};
use records::{Records, say};
use samples::Samples;
use scribe::Scribe;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often samples are written and what could not be written is tried again.
const TICK: Duration = Duration::from_millis(250);
/// How often an answer is looked for.
const LOOK_FOR_ANSWER: Duration = Duration::from_millis(100);
/// How often, a second apart, the last records are tried to be written.
const LAST_TRIES: u32 = 10;

/// What a worker gives to the job it runs.
pub struct Tools<'a> {
    /// What is to be done.
    pub spec: &'a Spec,
    /// Takes events and progress.
    pub sink: &'a dyn Sink,
    /// Asks a person.
    pub asker: &'a dyn Asker,
    /// Says when to stop.
    pub cancel: &'a Cancel,
}

/// Something a worker can do.
pub trait Job {
    /// Every step in its order.
    fn steps(&self) -> Vec<String>;
    /// Does it; lines that say what came out.
    fn run(&self, tools: &Tools<'_>) -> Result<Vec<String>>;
}

/// Takes the operation up: session, locks, records, journal; then the job that `prepare` makes of its spec.
///
/// `prepare` is called in the folder that relative paths of the spec start from; the job runs in `/`. Fails as the
/// operation does.
pub fn run(state: &StateDir, id: &OpId, prepare: &dyn Fn(&Spec) -> Result<Box<dyn Job>>) -> Result<()> {
    // Refused to the leader of a process group, which a worker that was started by hand may be; it then stays there.
    rustix::process::setsid().ok();
    let cancel = Cancel::default();
    let _listening = listen(&cancel)?;
    let folder = Folder::of(state, id);
    let spec = folder.spec()?;
    let lock = lock::take(&folder)?;
    let (records, reader) = Records::open(&folder.events())?;
    wanted(&folder, &reader)?;
    let work = Work {
        attempt: reader.state.attempt + 1,
        scribe: Scribe::of(state, &spec),
        samples: Samples::default(),
        noted: AtomicBool::new(false),
        folder,
        spec,
        records,
        cancel,
    };
    let result = work.prepare(prepare).and_then(|job| work.carry_out(&*job));
    work.end(&result);
    drop(lock);
    result.map(drop)
}

/// Refuses an operation that is done, and a start that another worker has answered.
fn wanted(folder: &Folder, reader: &Reader) -> Result<()> {
    let name = folder.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
    let refuse = |why: &str| Err(Report::new(Kind::Refused(None), format!("{name}: {why}")));
    if reader.state.ended.as_ref().is_some_and(|(_, outcome)| outcome.is_done()) {
        return refuse("everything is done");
    }
    match folder.start_request()? {
        Some(request) if request.after_seq != reader.state.seq => {
            refuse("another worker has taken it up since this one was asked for")
        }
        _ => Ok(()),
    }
}

/// A request to stop comes as a signal; the terminal's end is no such request. Caught rather than ignored: what is
/// ignored would be ignored by every program started from here, too.
fn listen(cancel: &Cancel) -> Result<Listening> {
    let fail = |error: std::io::Error| Report::failed(format!("cannot listen for signals: {error}"));
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(fail)?;
    let listening = Listening(signals.handle());
    let cancel = cancel.clone();
    let work = move || {
        for signal in signals.forever() {
            if signal != SIGHUP {
                cancel.request();
            }
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(work).map_err(fail)?;
    Ok(listening)
}

/// Ends the thread that listens.
struct Listening(Handle);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// One attempt at an operation.
struct Work {
    spec: Spec,
    folder: Folder,
    attempt: u32,
    records: Records,
    samples: Samples,
    scribe: Scribe,
    cancel: Cancel,
    /// The request to stop is written down.
    noted: AtomicBool,
}

impl Work {
    fn prepare(&self, prepare: &dyn Fn(&Spec) -> Result<Box<dyn Job>>) -> Result<Box<dyn Job>> {
        environment::check(&self.spec)?;
        let place = &self.spec.working_dir;
        std::env::set_current_dir(place).map_err(|error| {
            Report::failed(format!(
                "the folder {} is not there any more ({error}); relative paths start from it",
                place.display()
            ))
            .hint("make it again, empty, then resume")
        })?;
        let job = prepare(&self.spec);
        // No data directory may look used by this process, and no filesystem be kept from being unmounted.
        std::env::set_current_dir("/")
            .map_err(|error| Report::failed(format!("cannot change to /: {error}")))?;
        job
    }

    fn carry_out(&self, job: &dyn Job) -> Result<Vec<String>> {
        self.records.append_or_fail(RecordKind::Started { attempt: self.attempt, steps: job.steps() })?;
        let operation = self.spec.id.to_string();
        self.scribe.tell(Fact::OperationStarted { operation, attempt: self.attempt });
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let clock = scope.spawn(|| {
                while !over.load(Ordering::Acquire) {
                    std::thread::park_timeout(TICK);
                    self.tick();
                }
            });
            let tools = Tools { spec: &self.spec, sink: self, asker: self, cancel: &self.cancel };
            let result = catch_unwind(AssertUnwindSafe(|| job.run(&tools)));
            over.store(true, Ordering::Release);
            clock.thread().unpark();
            result.unwrap_or_else(|panic| Err(broken(&*panic, &self.folder)))
        })
    }

    fn tick(&self) {
        if self.cancel.requested() && !self.noted.swap(true, Ordering::AcqRel) {
            self.records.append(RecordKind::CancelRequested);
        }
        if let Some(text) = self.scribe.trouble() {
            self.records.append(RecordKind::Event(Event::Warning { text }));
        }
        self.records.flush();
        // Nobody misses a sample.
        drop(self.samples.write(&self.folder.progress(), self.attempt));
    }

    /// Writes down how it ended: in the journal first, because nothing may follow the last record.
    fn end(&self, result: &Result<Vec<String>>) {
        let outcome = match result {
            Ok(lines) => Outcome::Done { lines: lines.clone() },
            Err(report) => Outcome::from(&with_guard(report)),
        };
        let (done, lines) = match &outcome {
            Outcome::Done { lines } => (true, lines.clone()),
            Outcome::Failed { headline, context, .. } => {
                let doing = context.iter().map(|doing| format!("while {doing}"));
                (false, std::iter::once(headline.clone()).chain(doing).collect())
            }
        };
        let operation = self.spec.id.to_string();
        self.scribe.tell(Fact::OperationEnded { operation, done, lines });
        self.scribe.finish();
        self.tick();
        self.records.append(RecordKind::Ended(outcome));
        for _ in 0..LAST_TRIES {
            if self.records.flush() {
                return;
            }
            std::thread::sleep(Duration::from_secs(1));
        }
        say(&format!(
            "how {} ended could not be written down: {}",
            self.spec.id,
            match result {
                Ok(lines) => lines.join("; "),
                Err(report) => report.to_string(),
            }
        ));
    }
}

impl Sink for Work {
    fn event(&self, event: Event) {
        if matches!(event, Event::StepStarted { .. }) {
            self.samples.step_began();
        }
        self.scribe.event(&self.spec, &event);
        self.records.append(RecordKind::Event(event));
    }

    fn progress(&self, progress: Progress) {
        self.samples.copy(progress);
    }

    fn replay(&self, replay: Replay) {
        self.samples.replay(replay);
    }
}

impl Asker for Work {
    fn ask(&self, question: Question) -> Result<Answer> {
        let text = question.text.clone();
        let asked = self.records.append(RecordKind::Asked(question));
        loop {
            self.cancel.check()?;
            // What cannot be read is not an answer; whoever gives one again replaces it.
            if let Ok(Some(reply)) = self.folder.reply()
                && reply.asked == asked
            {
                let (answer, by) = (reply.answer, reply.by);
                self.records.append(RecordKind::Answered { answer, by });
                let operation = self.spec.id.to_string();
                self.scribe.tell(Fact::Answered { operation, question: text, answer });
                return Ok(answer);
            }
            std::thread::sleep(LOOK_FOR_ANSWER);
        }
    }
}

/// The records know the class of a refusal but not its guard: its name must not get lost.
fn with_guard(report: &Report) -> Report {
    let mut report = report.clone();
    if let Kind::Refused(Some(guard)) = report.kind {
        report.headline = format!("{} (guard {guard}; --accept={guard} overrides it)", report.headline);
    }
    report
}

/// A mistake in this program ended the job.
fn broken(panic: &(dyn std::any::Any + Send), folder: &Folder) -> Report {
    let said = panic.downcast_ref::<&str>().copied();
    let said = said.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    Report::failed(format!("an internal error stopped the work: {said}"))
        .hint(format!("{} says where; please report it", folder.log().display()))
}

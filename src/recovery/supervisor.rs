//! Operations as others see them: start, list, follow, answer, cancel, resume. Files and locks only; no socket.
//!
//! An operation is alive while its worker holds the lock, so nothing here believes a number in a file. Damage to one
//! operation's files is told for that operation and hides no other. Nothing is ever removed.

pub(in crate::recovery) mod folder;
mod launch;
pub(in crate::recovery) mod reader;

use super::worker::environment;
use super::worker::records::Records;
use crate::base::state::{OpId, StateDir, make_folder};
use crate::base::{Kind, Report, Result, files};
use crate::model::forecast::Measured;
use crate::model::op::{Answer, Life, OpState, Outcome, RecordKind, Snapshot, Spec};
use folder::{Folder, Hold, Holder, Reply, Sample, StartRequest, failed};
use reader::Reader;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// How long a worker that was asked for may take until it holds its lock.
const STARTING: Duration = Duration::from_secs(5);
/// How many operations are listed, the newest.
const MOST_LISTED: usize = 200;

/// The operations of one state directory.
#[derive(Debug, Clone)]
pub struct Supervisor {
    state: StateDir,
    program: PathBuf,
}

impl Supervisor {
    /// The operations under `state`; workers are this program at `program`, usually `/proc/self/exe`.
    pub fn new(state: StateDir, program: impl Into<PathBuf>) -> Self {
        Self { state, program: program.into() }
    }

    /// Writes the operation down and starts its worker; does not wait for it.
    pub fn start(&self, spec: &Spec) -> Result<()> {
        launch::check(spec)?;
        environment::check(spec)?;
        let operations = self.state.operations();
        make_folder(&operations).map_err(|error| failed("make", &operations, &error))?;
        let folder = Folder::of(&self.state, &spec.id);
        // Made under another name, so that nobody ever sees an operation without its spec.
        let making = Folder::at(operations.join(format!(".{}", spec.id)));
        make_folder(making.path()).map_err(|error| failed("make", making.path(), &error))?;
        making.write_spec(spec)?;
        making.request_start(&StartRequest::after(0))?;
        std::fs::rename(making.path(), folder.path())
            .and_then(|()| files::sync_folder(&operations))
            .map_err(|error| failed("make", folder.path(), &error))?;
        self.launch(&folder, &spec.id)
    }

    /// Starts another worker for an operation that is not done and that nobody works on: one whose worker is gone,
    /// that failed, or that was cancelled.
    pub fn resume(&self, id: &OpId) -> Result<()> {
        let mut follower = self.follow(id)?;
        let snapshot = follower.poll()?;
        match &snapshot.life {
            Life::Running { pid } => {
                return Err(refused(format!("process {pid} is at work on {id}"))
                    .hint(format!("`pgmayday attach {id}` follows it")));
            }
            Life::Starting => {
                return Err(refused(format!("a worker for {id} was started a moment ago"))
                    .hint(format!("`pgmayday attach {id}` follows it")));
            }
            Life::Unknown { why } => {
                return Err(refused(format!("it is not known whether {id} runs: {why}")));
            }
            Life::Lost | Life::Ended => {}
        }
        if snapshot.state.ended.as_ref().is_some_and(|(_, outcome)| outcome.is_done()) {
            return Err(refused(format!("{id} is done; there is nothing to resume")));
        }
        environment::check(&snapshot.spec)?;
        follower.folder.request_start(&StartRequest::after(snapshot.state.seq))?;
        self.launch(&follower.folder, id)
    }

    fn launch(&self, folder: &Folder, id: &OpId) -> Result<()> {
        launch::worker(&self.program, &self.state, folder, id).map_err(|error| {
            Report::failed(format!("the worker of {id} cannot be started: {error}"))
                .hint(format!("`pgmayday attach {id} --resume` tries again"))
        })
    }

    /// Asks an operation to stop at the next safe point; it then ends as cancelled and can be resumed.
    ///
    /// If its worker is gone, it is ended as cancelled here.
    pub fn cancel(&self, id: &OpId) -> Result<()> {
        let mut follower = self.follow(id)?;
        match follower.poll()?.life {
            Life::Running { pid } => signal(&follower.folder, pid, id),
            Life::Starting => {
                Err(refused(format!("the worker of {id} is only starting")).hint("ask again in a moment"))
            }
            Life::Ended => Err(refused(format!("{id} has ended already"))),
            Life::Unknown { why } => Err(refused(format!("it is not known whether {id} runs: {why}"))),
            Life::Lost => {
                let lock = super::worker::lock::take(&follower.folder)?;
                let (records, _) = Records::open(&follower.folder.events())?;
                records.append(RecordKind::CancelRequested);
                let report = Report::new(Kind::Cancelled, "cancelled by the operator; its worker was gone");
                let ended = records.append_or_fail(RecordKind::Ended(Outcome::from(&report)));
                drop(lock);
                ended
            }
        }
    }

    /// Answers the question an operation asks now.
    pub fn answer(&self, id: &OpId, answer: Answer, by: &str) -> Result<()> {
        let mut follower = self.follow(id)?;
        let snapshot = follower.poll()?;
        let Some(asked) = follower.reader.asked else {
            return Err(refused(format!("{id} asks nothing")));
        };
        if !matches!(snapshot.life, Life::Running { .. }) {
            return Err(refused(format!("{id} does not run, so nothing would take the answer"))
                .hint(format!("`pgmayday attach {id} --resume` goes on and asks again")));
        }
        let given = follower.folder.reply()?.filter(|reply| reply.asked == asked);
        if let Some(given) = given {
            return Err(refused(format!("{} has answered {} already", given.by, in_words(given.answer))));
        }
        follower.folder.write_reply(&Reply { asked, answer, by: by.to_owned() })
    }

    /// The newest operations (at most 200), newest first; one that cannot be read is told among the second.
    pub fn list(&self) -> Result<(Vec<Snapshot>, Vec<String>)> {
        let operations = self.state.operations();
        let entries = match std::fs::read_dir(&operations) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok((Vec::new(), Vec::new()));
            }
            Err(error) => return Err(failed("list", &operations, &error)),
        };
        // What bears another name is none of ours; names begin with the time they were made at.
        let named = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<OpId>().ok());
        let mut ids: Vec<OpId> = named.collect();
        ids.sort_unstable_by(|a, b| b.cmp(a));
        ids.truncate(MOST_LISTED);
        let (mut found, mut damaged) = (Vec::new(), Vec::new());
        for id in ids {
            match self.follow(&id).and_then(|mut follower| follower.poll()) {
                Ok(snapshot) => found.push(snapshot),
                Err(report) => damaged.push(format!("{id}: {}", report.headline)),
            }
        }
        Ok((found, damaged))
    }

    /// What the finished recoveries of a stanza on this host measured. What cannot be read is left out: a forecast is
    /// made from what there is.
    pub fn measured(&self, stanza: &str) -> Vec<Measured> {
        let (operations, _) = self.list().unwrap_or_default();
        let of_stanza = operations.iter().filter(|operation| operation.spec.stanza == stanza);
        of_stanza.filter_map(|operation| operation.state.measured()).collect()
    }

    /// Follows one operation.
    pub fn follow(&self, id: &OpId) -> Result<Follower> {
        let folder = Folder::of(&self.state, id);
        let spec = folder.spec()?;
        Ok(Follower { folder, spec, reader: Reader::default(), sample: None, sampled: None })
    }

    /// The file with what the workers of an operation printed.
    pub fn log_file(&self, id: &OpId) -> PathBuf {
        Folder::of(&self.state, id).log()
    }
}

fn refused(why: String) -> Report {
    Report::new(Kind::Refused(None), why)
}

/// An answer as a person gives it.
fn in_words(answer: Answer) -> &'static str {
    match answer {
        Answer::Right => "right",
        Answer::Damaged => "damaged",
    }
}

/// Sends SIGTERM to the process that holds the lock, and to no other that got its number.
fn signal(folder: &Folder, pid: u32, id: &OpId) -> Result<()> {
    let gone = || refused(format!("the worker of {id} ended a moment ago"));
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(gone)?;
    let refuse = |error: rustix::io::Errno| failed("stop the worker of", folder.path(), &error.into());
    let process = pidfd_open(raw, PidfdFlags::empty()).map_err(refuse)?;
    // Only now: from here on the handle means the process that is compared, whatever becomes of its number.
    let Hold::Held(Some(holder)) = folder.hold() else { return Err(gone()) };
    if Holder::of(pid) != Some(holder) {
        return Err(refused(format!("the worker of {id} cannot be seen from here"))
            .hint("it may run in a container; cancel from there"));
    }
    pidfd_send_signal(&process, Signal::TERM).map_err(refuse)
}

/// Reads what is new of one operation; cheap to ask ten times a second.
#[derive(Debug)]
pub struct Follower {
    folder: Folder,
    spec: Spec,
    reader: Reader,
    sample: Option<Sample>,
    /// The file the sample was read from: when it was written, and which it is.
    sampled: Option<(SystemTime, u64)>,
}

impl Follower {
    /// The operation as it stands.
    pub fn poll(&mut self) -> Result<Snapshot> {
        let events = self.folder.events();
        // The lock first: if it is free then, everything its last holder had to say is in the file. Once more if the
        // file grew meanwhile, because another worker may have come and gone.
        let hold = loop {
            let hold = self.folder.hold();
            let grew = self.reader.read(&events)?;
            if hold != Hold::Free || self.reader.state.ended.is_some() || !grew {
                break hold;
            }
        };
        let request = if hold == Hold::Free { self.folder.start_request()? } else { None };
        let life = life(hold, &self.reader.state, request.as_ref());
        self.look_at_sample();
        let attempt = self.reader.state.attempt;
        let sample = self.sample.as_ref().filter(|sample| sample.attempt == attempt);
        Ok(Snapshot {
            spec: self.spec.clone(),
            life,
            state: self.reader.state.clone(),
            copy: sample.and_then(|sample| sample.copy),
            replay: sample.and_then(|sample| sample.replay.clone()),
            sampled_at: sample.map(|sample| sample.at),
        })
    }

    /// Samples may be lost: one that cannot be read is as good as none.
    fn look_at_sample(&mut self) {
        use std::os::unix::fs::MetadataExt as _;
        let path = self.folder.progress();
        let Ok(meta) = std::fs::metadata(&path) else { return };
        let now = meta.modified().ok().map(|modified| (modified, meta.ino()));
        if now != self.sampled {
            self.sampled = now;
            let bytes = std::fs::read(&path).unwrap_or_default();
            self.sample = serde_json::from_slice(&bytes).ok();
        }
    }
}

fn life(hold: Hold, state: &OpState, request: Option<&StartRequest>) -> Life {
    // A request that no worker has answered with a record yet.
    let open = |request: &&StartRequest| request.after_seq == state.seq;
    let young = |age: u64| u128::from(age) < STARTING.as_millis();
    match hold {
        Hold::Held(Some(Holder { pid, .. })) => Life::Running { pid },
        Hold::Held(None) => Life::Starting,
        Hold::Unknown(why) => Life::Unknown { why },
        Hold::Free if request.filter(open).and_then(StartRequest::age_ms).is_some_and(young) => {
            Life::Starting
        }
        Hold::Free if state.ended.is_some() => Life::Ended,
        Hold::Free => Life::Lost,
    }
}

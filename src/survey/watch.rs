//! The watcher: starts what is due, takes in what came back, says what does not come back, and tells the board.
//!
//! A probe's thread belongs to the survey, not to the watcher: while it is under way nobody starts a second one.

use super::repository::Needs;
use super::{Inner, Look, Place, Probe, Scope, operations};
use crate::base::Timestamp;
use crate::engine::wal_ranges::way::Present;
use crate::model::board::{
    Application, BackupFacts, DataDirFacts, Operation, ServerFacts, Upkeep, VerificationFacts, WalFacts,
};
use crate::model::fact::{Answer, Fact, SILENT};
use crate::model::situation::{
    Contact, FolderFacts, HealthFacts, LogTail, PageFacts, PatroniFacts, Situation, WriteTest,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The board is told at most this often.
const TELL_EVERY: Duration = Duration::from_millis(100);
/// How often the watcher looks up when nothing comes in.
const TICK: Duration = Duration::from_millis(50);
/// How often a probe that hangs since an earlier watcher is looked for.
const HANGING_EVERY: Duration = Duration::from_secs(1);
/// A probe that takes long rests for this many times as long.
const REST: u32 = 10;
/// But not so long that what it brought is stale before it looks again: a server's word counts for half a minute, a data
/// directory's for a minute, a repository's for ten.
const REST_OF_SERVER: Duration = Duration::from_secs(15);
const REST_OF_FOLDER: Duration = Duration::from_secs(25);
const REST_OF_REPOSITORY: Duration = Duration::from_secs(300);
/// What a probe brought back.
enum Finding {
    Server(Answer<ServerFacts>),
    DataDir(Answer<DataDirFacts>),
    Backups(Answer<BackupFacts>, Option<Needs>),
    Wal(Answer<WalFacts>, Option<Box<Present>>),
    Verification(Answer<VerificationFacts>),
    Upkeep(Answer<Upkeep>),
    Application(Answer<Application>),
    Operations(Vec<Operation>, Vec<String>),
    Health(Option<PathBuf>, Answer<Contact>, Box<Answer<HealthFacts>>),
    Write(Answer<WriteTest>),
    Log(Answer<LogTail>),
    Folder(Box<Answer<FolderFacts>>),
    Pages(Answer<PageFacts>),
    Patroni(Answer<PatroniFacts>),
    /// It stopped by a mistake of ours.
    Broken,
}

/// How a probe stands with this watcher.
#[derive(Clone, Copy)]
struct Turn {
    /// Nobody asked for it.
    left_out: bool,
    due: Instant,
    /// Since when it is under way.
    asked: Option<(Instant, Timestamp)>,
    /// It was said not to answer.
    late: bool,
    answered: bool,
}

/// One watcher of a survey.
pub(super) struct Watch {
    inner: Arc<Inner>,
    situation: Situation,
    turns: Vec<Turn>,
    /// Per repository: what the backups need, and the archive.
    needs: Vec<Option<Needs>>,
    archives: Vec<Option<Box<Present>>>,
    troubles: Vec<String>,
    refreshes: u64,
    sender: Sender<(usize, Finding)>,
    receiver: Receiver<(usize, Finding)>,
}

impl Watch {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        let (sender, receiver) = channel();
        let turn = |_: &Probe| Turn {
            left_out: true,
            due: Instant::now(),
            asked: None,
            late: false,
            answered: true,
        };
        let repositories = inner.blank.board.repositories.len();
        Self {
            situation: inner.blank.clone(),
            turns: inner.probes.iter().map(turn).collect(),
            needs: (0..repositories).map(|_| None).collect(),
            archives: (0..repositories).map(|_| None).collect(),
            troubles: Vec::new(),
            refreshes: inner.refreshes.load(Ordering::Relaxed),
            sender,
            receiver,
            inner,
        }
    }

    /// Watches what `scope` asks for until `go_on` says no; with a deadline until everything was looked at once or the
    /// deadline has come.
    pub(super) fn run(
        mut self,
        scope: &dyn Fn() -> Scope,
        tell: &dyn Fn(Situation),
        go_on: &dyn Fn() -> bool,
        deadline: Option<Instant>,
    ) -> Situation {
        let mut told: Option<(Instant, Situation)> = None;
        while go_on() {
            self.keep_to(scope());
            self.start_due(deadline.is_some());
            self.take_in();
            self.tell_the_late();
            let may = told.as_ref().is_none_or(|(at, _)| at.elapsed() >= TELL_EVERY);
            self.see_pages();
            if may && told.as_ref().is_none_or(|(_, before)| *before != self.situation) {
                tell(self.situation.clone());
                told = Some((Instant::now(), self.situation.clone()));
            }
            let done = self.turns.iter().all(|turn| turn.answered);
            if deadline.is_some_and(|deadline| done || Instant::now() >= deadline) {
                break;
            }
        }
        if deadline.is_some() {
            self.give_up();
        }
        self.situation
    }

    /// Takes up what is asked for from now on; leaves out what no longer is, and does not wait for it.
    fn keep_to(&mut self, scope: Scope) {
        for (probe, turn) in self.inner.probes.iter().zip(&mut self.turns) {
            let left_out = !scope.has(probe.part);
            if turn.left_out == left_out {
                continue;
            }
            *turn = Turn { left_out, due: Instant::now(), asked: None, late: false, answered: left_out };
            if let (true, Place::Write(at)) = (left_out, probe.place) {
                self.situation.members[at].write = None;
            }
        }
    }

    fn start_due(&mut self, once: bool) {
        let refreshes = self.inner.refreshes.load(Ordering::Relaxed);
        let all_now = refreshes != self.refreshes;
        self.refreshes = refreshes;
        let now = Instant::now();
        for index in 0..self.turns.len() {
            let turn = &mut self.turns[index];
            if all_now {
                turn.due = now;
            }
            if !turn.left_out && turn.asked.is_none() && turn.due <= now && !(once && turn.answered) {
                self.start(index);
            }
        }
    }

    /// Starts a probe, unless its thread is still under way for an earlier watcher.
    fn start(&mut self, index: usize) {
        let now = Timestamp::now();
        let mut flight = flight(&self.inner, index);
        if let Some(since) = *flight {
            drop(flight);
            self.hanging(index, since);
            return;
        }
        let (inner, sender) = (Arc::clone(&self.inner), self.sender.clone());
        let work = move || {
            let look = &inner.probes[index].look;
            let finding = catch_unwind(AssertUnwindSafe(|| find(look, inner.stanza.as_deref())));
            *self::flight(&inner, index) = None;
            // A watcher that is gone wants no answer.
            drop(sender.send((index, finding.unwrap_or(Finding::Broken))));
        };
        if std::thread::Builder::new().name("probe".to_owned()).spawn(work).is_ok() {
            *flight = Some(now);
            drop(flight);
            self.turns[index].asked = Some((Instant::now(), now));
            self.mark(index, &mut |fact| fact.asked(now));
        } else {
            drop(flight);
            self.turns[index].due = Instant::now() + self.inner.probes[index].every;
            self.mark(index, &mut |fact| fact.unknown("no thread could be started", now, now));
        }
    }

    /// Says of a probe that an earlier watcher started that it hangs; asks again a little later.
    fn hanging(&mut self, index: usize, since: Timestamp) {
        let Probe { limit, .. } = self.inner.probes[index];
        let waited_us = Timestamp::now().0.saturating_sub(since.0);
        if waited_us > i64::try_from(limit.as_micros()).unwrap_or(i64::MAX) {
            self.turns[index].due = Instant::now() + HANGING_EVERY;
            self.turns[index].answered = true;
            self.mark(index, &mut |fact| fact.silent(since));
        } else {
            self.turns[index].due = Instant::now() + TICK;
            self.mark(index, &mut |fact| fact.asked(since));
        }
    }

    fn take_in(&mut self) {
        let first = match self.receiver.recv_timeout(TICK) {
            Ok(first) => first,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
        };
        let more: Vec<_> = self.receiver.try_iter().collect();
        for (index, finding) in std::iter::once(first).chain(more) {
            let turn = &mut self.turns[index];
            if turn.left_out {
                continue;
            }
            let Probe { every, place, .. } = self.inner.probes[index];
            let took = turn.asked.take().map_or(Duration::ZERO, |(at, _)| at.elapsed());
            turn.due = Instant::now() + every.max((took * REST).min(longest_rest(place)));
            turn.late = false;
            turn.answered = true;
            self.apply(place, finding);
        }
    }

    fn apply(&mut self, place: Place, finding: Finding) {
        let now = Timestamp::now();
        match (place, finding) {
            (Place::Server(at), Finding::Server(answer)) => {
                self.situation.board.members[at].server.answered(answer, now);
            }
            (Place::DataDir(at), Finding::DataDir(answer)) => {
                self.situation.board.members[at].data_dir.get_or_insert_default().answered(answer, now);
            }
            (Place::Backups(at), Finding::Backups(answer, needs)) => {
                self.situation.board.repositories[at].backups.answered(answer, now);
                self.needs[at] = needs;
                self.count_missing(at);
                self.forget_expired(at);
            }
            (Place::Verification(at), Finding::Verification(answer)) => {
                self.situation.board.repositories[at]
                    .verification
                    .get_or_insert_default()
                    .answered(answer, now);
                self.forget_expired(at);
            }
            (Place::Upkeep, Finding::Upkeep(mut answer)) => {
                keep_since(&self.situation.board.upkeep, &mut answer);
                self.situation.board.upkeep.answered(answer, now);
            }
            (Place::Wal(at), Finding::Wal(answer, present)) => {
                self.situation.board.repositories[at].wal.answered(answer, now);
                self.archives[at] = present;
                self.count_missing(at);
            }
            (Place::Application, Finding::Application(answer)) => {
                self.situation.board.application.get_or_insert_default().answered(answer, now);
            }
            (Place::Operations, Finding::Operations(operations, troubles)) => {
                self.situation.board.operations = operations;
                self.warn(troubles);
            }
            (Place::Health(at), Finding::Health(socket, contact, health)) => {
                self.situation.members[at].socket = socket;
                self.situation.members[at].contact.answered(contact, now);
                self.situation.members[at].health.answered(*health, now);
            }
            (Place::Write(at), Finding::Write(answer)) => {
                self.situation.members[at].write.get_or_insert_default().answered(answer, now);
            }
            (Place::Log(at), Finding::Log(answer)) => {
                self.situation.members[at].log.get_or_insert_default().answered(answer, now);
            }
            (Place::Folder(at), Finding::Folder(answer)) => {
                self.situation.members[at].folder.get_or_insert_default().answered(*answer, now);
            }
            (Place::Pages(at), Finding::Pages(answer)) => {
                self.situation.members[at].pages.get_or_insert_default().answered(answer, now);
            }
            (Place::Patroni(at), Finding::Patroni(answer)) => {
                self.situation.patroni[at].facts.answered(answer, now);
            }
            (place, _) => self.mark_place(place, &mut |fact| fact.unknown("the probe failed", now, now)),
        }
    }

    /// How far the reading of pages is shows while it goes on.
    fn see_pages(&mut self) {
        for (probe, turn) in self.inner.probes.iter().zip(&self.turns) {
            let (Place::Pages(at), Look::Pages(pages), Some(_)) = (probe.place, &probe.look, turn.asked)
            else {
                continue;
            };
            let seen = pages.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let fact = self.situation.members[at].pages.get_or_insert_default();
            if seen.done_bytes > 0 && fact.value() != Some(&seen) {
                let asked = fact.asked;
                fact.answered(Answer::Known { value: seen }, Timestamp::now());
                fact.asked = asked;
            }
        }
    }

    /// What is missing depends on what the backups need, which another probe finds out.
    fn count_missing(&mut self, at: usize) {
        let Some(present) = &self.archives[at] else { return };
        if let Answer::Known { value } = &mut self.situation.board.repositories[at].wal.answer {
            value.missing = present.missing(self.needs[at].as_ref().map(|needs| needs.starts.as_slice()));
        }
    }

    /// What was wrong with a backup that was expired since is nobody's concern.
    fn forget_expired(&mut self, at: usize) {
        let Some(needs) = &self.needs[at] else { return };
        let fact = self.situation.board.repositories[at].verification.as_mut();
        if let Some(Answer::Known { value }) = fact.map(|fact| &mut fact.answer) {
            value.unsound.retain(|backup| needs.labels.contains(&backup.label));
        }
    }

    fn warn(&mut self, troubles: Vec<String>) {
        if troubles != self.troubles {
            self.situation.board.warnings.clone_from(&self.inner.blank.board.warnings);
            self.situation.board.warnings.extend(troubles.iter().cloned());
            self.troubles = troubles;
        }
    }

    fn tell_the_late(&mut self) {
        for index in 0..self.turns.len() {
            let turn = &mut self.turns[index];
            let Some((at, since)) = turn.asked else { continue };
            if !turn.late && at.elapsed() > self.inner.probes[index].limit {
                turn.late = true;
                self.mark(index, &mut |fact| fact.silent(since));
            }
        }
    }

    /// What did not answer until the deadline is unknown.
    fn give_up(&mut self) {
        let now = Timestamp::now();
        for index in 0..self.turns.len() {
            let turn = self.turns[index];
            let begun = matches!(self.inner.probes[index].place, Place::Pages(at)
                if self.situation.members[at].pages.as_ref().is_some_and(|fact| fact.value().is_some()));
            if !turn.answered && !begun {
                let under_way = *flight(&self.inner, index);
                let since = turn.asked.map(|(_, since)| since).or(under_way).unwrap_or(now);
                self.mark(index, &mut |fact| fact.silent(since));
            }
        }
    }

    fn mark(&mut self, index: usize, mark: &mut dyn FnMut(&mut dyn Marked)) {
        self.mark_place(self.inner.probes[index].place, mark);
    }

    fn mark_place(&mut self, place: Place, mark: &mut dyn FnMut(&mut dyn Marked)) {
        match place {
            Place::Server(at) => mark(&mut self.situation.board.members[at].server),
            Place::DataDir(at) => mark(self.situation.board.members[at].data_dir.get_or_insert_default()),
            Place::Backups(at) => mark(&mut self.situation.board.repositories[at].backups),
            Place::Wal(at) => mark(&mut self.situation.board.repositories[at].wal),
            Place::Verification(at) => {
                mark(self.situation.board.repositories[at].verification.get_or_insert_default());
            }
            Place::Upkeep => mark(&mut self.situation.board.upkeep),
            Place::Application => mark(self.situation.board.application.get_or_insert_default()),
            Place::Health(at) => {
                mark(&mut self.situation.members[at].contact);
                mark(&mut self.situation.members[at].health);
            }
            Place::Write(at) => mark(self.situation.members[at].write.get_or_insert_default()),
            Place::Log(at) => mark(self.situation.members[at].log.get_or_insert_default()),
            Place::Folder(at) => mark(self.situation.members[at].folder.get_or_insert_default()),
            Place::Pages(at) => mark(self.situation.members[at].pages.get_or_insert_default()),
            Place::Patroni(at) => mark(&mut self.situation.patroni[at].facts),
            Place::Operations => {
                let mut silence = Silence(false);
                mark(&mut silence);
                if silence.0 {
                    self.warn(vec![
                        "the state directory does not answer: operations are not known".to_owned(),
                    ]);
                }
            }
        }
    }
}

fn longest_rest(place: Place) -> Duration {
    match place {
        Place::Backups(_) | Place::Wal(_) | Place::Verification(_) => REST_OF_REPOSITORY,
        Place::DataDir(_) | Place::Log(_) | Place::Folder(_) => REST_OF_FOLDER,
        _ => REST_OF_SERVER,
    }
}

/// Every further attempt leaves a new error: archiving fails since the first one that was seen.
fn keep_since(before: &Fact<Upkeep>, answer: &mut Answer<Upkeep>) {
    let before = before.value().and_then(|upkeep| upkeep.archiving.as_ref());
    if let (Some(before), Answer::Known { value: Upkeep { archiving: Some(now), .. } }) = (before, answer) {
        now.since = now.since.min(before.since);
    }
}

/// A fact of any kind, as far as waiting for it goes.
trait Marked {
    /// A look at it is under way.
    fn asked(&mut self, since: Timestamp);
    /// It cannot be told.
    fn unknown(&mut self, why: &str, since: Timestamp, now: Timestamp);
    /// The look that is under way does not come back.
    fn silent(&mut self, since: Timestamp) {
        self.unknown(SILENT, since, Timestamp::now());
        self.asked(since);
    }
}

impl<T> Marked for Fact<T> {
    fn asked(&mut self, since: Timestamp) {
        self.asked = Some(since);
    }

    fn unknown(&mut self, why: &str, since: Timestamp, now: Timestamp) {
        let before = matches!(self.answer, Answer::Unknown { .. });
        self.answered(Answer::Unknown { why: why.to_owned() }, now);
        if !before {
            self.since = Some(since);
        }
    }
}

/// The operations are no fact; only their silence is noticed.
struct Silence(bool);

impl Marked for Silence {
    fn asked(&mut self, _: Timestamp) {}

    fn unknown(&mut self, _: &str, _: Timestamp, _: Timestamp) {
        self.0 = true;
    }
}

fn flight(inner: &Inner, index: usize) -> MutexGuard<'_, Option<Timestamp>> {
    inner.flights[index].lock().unwrap_or_else(PoisonError::into_inner)
}

fn find(look: &Look, stanza: Option<&str>) -> Finding {
    match look {
        Look::Server(server) => Finding::Server(server.look()),
        Look::DataDir(data_dir) => Finding::DataDir(data_dir.look()),
        Look::Backups(repo) => {
            let (answer, needs) = repo.backups();
            Finding::Backups(answer, needs)
        }
        Look::Wal(repo) => {
            let (answer, present) = repo.wal();
            Finding::Wal(answer, present.map(Box::new))
        }
        Look::Verification(record) => Finding::Verification(record.look()),
        Look::Upkeep(host) => Finding::Upkeep(host.look()),
        Look::Application(monitor) => Finding::Application(monitor.look()),
        Look::Operations(state) => {
            let (operations, troubles) = operations::look(state, stanza, Timestamp::now());
            Finding::Operations(operations, troubles)
        }
        Look::Health(server) => {
            let (contact, health) = server.health();
            Finding::Health(server.socket(), contact, Box::new(health))
        }
        Look::Write(server) => Finding::Write(server.write()),
        Look::Log(folder) => Finding::Log(folder.log()),
        Look::Folder(folder) => Finding::Folder(Box::new(folder.look())),
        Look::Pages(pages) => Finding::Pages(pages.look()),
        Look::Patroni(node) => Finding::Patroni(node.look()),
    }
}

//! What the app wants done, each on a thread of its own. A thread that hangs hinders no other, and none is started
//! twice for the same.

use super::follow::{self, Boards};
use super::guide::{Asked, Guides};
use super::tools::Tools;
use super::{Message, Setup, compare, start, talk};
use crate::base::state::OpId;
use crate::base::{Report, Result, Timestamp};
use crate::console::input::{ActShown, Effect, Input};
use crate::console::modal::Typed;
use crate::incident::{Audience, Settle};
use crate::model::op::{Answer, Cancel};
use crate::model::plan::RecoverRequest;
use crate::survey::Survey;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};

/// Who does what the app wants.
pub(super) struct Works {
    tools: Tools,
    survey: Survey,
    boards: Arc<Boards>,
    guides: Arc<Guides>,
    /// What is under way.
    busy: Arc<Mutex<BTreeSet<&'static str>>>,
    /// The plan that is being worked out.
    planning: Cancel,
    /// Grows with everything that replaces what was followed before.
    operation: Arc<AtomicU64>,
    incident: Arc<AtomicU64>,
    runbook: Arc<AtomicU64>,
    talk: Arc<AtomicU64>,
}

impl Works {
    pub(super) fn new(setup: Arc<Setup>, survey: Survey, to: Sender<Message>, stop: Arc<AtomicBool>) -> Self {
        let tools = Tools { setup, to, stop };
        let boards = Arc::new(Boards::new(tools.clone(), survey.blank()));
        Self {
            guides: Arc::new(Guides::new(tools.clone(), Arc::clone(&boards))),
            boards,
            tools,
            survey,
            busy: Arc::default(),
            planning: Cancel::default(),
            operation: Arc::default(),
            incident: Arc::default(),
            runbook: Arc::default(),
            talk: Arc::default(),
        }
    }

    /// Looks at everything, from now on and again and again.
    pub(super) fn look(&self) {
        let stop = Arc::clone(&self.tools.stop);
        let go_on = Arc::new(move || !stop.load(Ordering::Acquire));
        let (survey, still, boards) = (self.survey.clone(), Arc::clone(&go_on), Arc::clone(&self.boards));
        let tell = Arc::new(move |board| boards.seen(board));
        self.spawn("survey", move |_| survey.watch(tell, go_on));
        let (boards, open) = (Arc::clone(&self.boards), Arc::clone(&still));
        self.spawn("incidents", move |_| boards.look_for_incidents(&*still));
        if !self.tools.setup.site.read_only {
            self.spawn("outbox", move |tools| talk::outbox(tools, &*open));
        }
    }

    fn load_catalog(&mut self) {
        let survey = self.survey.clone();
        self.once("catalog", move |tools| tools.tell(Input::Catalog(survey.catalog())));
    }

    fn load_wal(&mut self) {
        let survey = self.survey.clone();
        self.once("wal", move |tools| tools.tell(Input::Wal(survey.wal())));
    }

    /// Does it; what comes of it is told later.
    pub(super) fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Refresh => self.survey.refresh(),
            Effect::LoadCatalog => self.load_catalog(),
            Effect::LoadWal => self.load_wal(),
            Effect::LoadIncidents => self.once("list", follow::incidents),
            Effect::WatchIncident(id) => {
                let (mine, current) = begin(&self.incident);
                self.spawn("incident", move |tools| {
                    follow::incident(tools, &id, || current.load(Ordering::Acquire) == mine);
                });
            }
            Effect::LoadConfiguration => self.once("configuration", |tools| {
                let view = tools.setup.config.view(tools.setup.stanza.as_deref());
                tools.tell(Input::Configuration(view.map(Box::new).map_err(Report::from)));
            }),
            Effect::WatchRunbook(id) => self.watch_runbook(id),
            Effect::WatchTalk(id) => {
                let (mine, current) = begin(&self.talk);
                self.spawn("talk", move |tools| {
                    talk::follow(tools, &id, || current.load(Ordering::Acquire) == mine);
                });
            }
            Effect::Settle { incident, what } => self.settle(incident, what),
            Effect::Send { incident, audience, text } => self.send(incident, audience, text),
            Effect::Flush(incident) => {
                self.say("flush", move |tools| talk::flush_now(tools, &incident));
            }
            Effect::Step { incident, runbook, seen, proposal, step } => {
                self.take_step(Asked { incident, runbook, seen, proposal, step });
            }
            Effect::RunAct { act, .. } => self.run_act(act),
            Effect::Watch(id) => {
                let (mine, current) = begin(&self.operation);
                self.spawn("operation", move |tools| {
                    follow::operation(tools, &id, || current.load(Ordering::Acquire) == mine);
                });
            }
            Effect::Plan(request) => self.plan(request),
            Effect::Compare(request) => self.compare(request),
            Effect::Start { request, digest, typed } => self.start(request, digest, typed),
            Effect::Resume { id, .. } => self.spawn("resume", move |tools| {
                let resumed = tools.supervisor().and_then(|supervisor| supervisor.resume(&id));
                tools.tell(Input::Started(resumed.map(|()| id)));
            }),
            Effect::Cancel { id, .. } => self.say("cancel", move |tools| {
                tools.supervisor()?.cancel(&id)?;
                Ok(format!("{id} was asked to stop"))
            }),
            Effect::Promote { id, .. } => self.answer(id, Answer::Right),
            Effect::Damaged(id) => self.answer(id, Answer::Damaged),
            Effect::Declare { reason, detected_at } => self.declare(reason, detected_at),
            Effect::Approve { digest, .. } => {
                self.on_incident("approve", "the plan is approved", move |tools, id, by| {
                    tools.incidents()?.approve(id, by, &digest).map(drop)
                });
            }
            Effect::GiveValue { name, value } => {
                let done = "the value is in the journal";
                self.on_incident("value", done, move |tools, id, by| {
                    tools.incidents()?.give_value(id, by, &name, &value)
                });
            }
            Effect::Note(text) => {
                self.on_incident("note", "the note is in the journal", move |tools, id, by| {
                    tools.incidents()?.note(id, by, &text)
                });
            }
            Effect::CloseIncident(text) => self.close_incident(text, false),
            Effect::CloseOver { text, .. } => self.close_incident(text, true),
            // The loop's own.
            Effect::Suspend | Effect::Quit => {}
        }
    }

    /// Starts what was confirmed.
    fn start(&self, request: Box<RecoverRequest>, digest: String, typed: Typed) {
        let detected_at = self.boards.wrong_since();
        self.spawn("start", move |tools| {
            let confirmed = start::Confirmed { request: &request, digest: &digest, typed: typed.as_str() };
            tools.tell(Input::Started(start::recovery(tools, &confirmed, detected_at)));
        });
    }

    /// Has an act carried out; where it is done the runbook's screen shows.
    fn run_act(&self, act: Box<ActShown>) {
        let guides = Arc::clone(&self.guides);
        self.spawn("act", move |tools| match guides.run(&act) {
            Ok(id) => tools.tell(Input::Said(Ok(format!("{id} does it; o shows how far it is")))),
            Err(report) => tools.tell(Input::Started(Err(report))),
        });
    }

    /// Works a plan out, in the place of the one before.
    fn plan(&mut self, request: Box<RecoverRequest>) {
        self.planning.request();
        self.planning = Cancel::default();
        let cancel = self.planning.clone();
        self.spawn("plan", move |tools| {
            let plan = (tools.setup.planner)(&request, &cancel).map(Box::new);
            // A plan that nobody waits for any more was cancelled on the way.
            if !cancel.requested() {
                tools.tell(Input::Plan(request, plan));
            }
        });
    }

    /// Weighs the ways out; of two comparisons asked for at once the app takes the one it still wants.
    fn compare(&self, request: Box<RecoverRequest>) {
        let survey = self.survey.clone();
        self.spawn("compare", move |tools| {
            let options = Box::new(compare::ways(tools, &survey, &request));
            tools.tell(Input::Compared(request, options));
        });
    }

    fn declare(&self, reason: String, detected_at: Option<Timestamp>) {
        let boards = Arc::clone(&self.boards);
        self.say("declare", move |tools| {
            let declaration = start::declaration(tools, reason, detected_at)?;
            let declared = tools.incidents()?.declare_alone(&tools.setup.actor, &declaration)?;
            boards.refresh_incident();
            let until = tools.hold(&declared);
            let until = until.map_or_else(String::new, |until| format!("; nothing is expired until {until}"));
            Ok(format!("incident {declared} is declared; the clock runs{until}"))
        });
    }

    /// Follows the runbook of an incident, in the place of the one before.
    fn watch_runbook(&self, id: String) {
        self.guides.look(&self.survey);
        let (mine, current) = begin(&self.runbook);
        let guides = Arc::clone(&self.guides);
        self.spawn("runbook", move |_| guides.follow(&id, || current.load(Ordering::Acquire) == mine));
    }

    /// Takes a step in a runbook; only a refusal is told, for the screen shows where one is.
    fn take_step(&self, asked: Asked) {
        let guides = Arc::clone(&self.guides);
        self.spawn("step", move |tools| {
            if let Err(report) = guides.step(&asked) {
                tools.tell(Input::Said(Err(report)));
            }
        });
    }

    /// Closes the open incident; over what is open only if a person said so.
    fn close_incident(&self, text: String, knowingly: bool) {
        self.on_incident("close", "the incident is closed", move |tools, id, by| {
            let incidents = tools.incidents()?;
            incidents.close(id, by, &text, knowingly)?;
            let released = tools.keeper().and_then(|keeper| incidents.release(id, by, &keeper));
            if let Err(report) = released {
                tools.tell(Input::Said(Err(report)));
            }
            Ok(())
        });
    }

    fn settle(&self, incident: String, what: Settle) {
        self.spawn("settle", move |tools| {
            let settled = tools
                .incidents()
                .and_then(|incidents| incidents.settle(&incident, &tools.setup.actor, &what));
            tools.tell(Input::Settled(incident, settled.map(|settled| settled.said)));
        });
    }

    fn send(&self, incident: String, audience: Audience, text: String) {
        self.spawn("send", move |tools| {
            let sent = talk::send(tools, &incident, audience, &text);
            tools.tell(Input::Settled(incident, sent));
        });
    }

    fn answer(&self, id: OpId, answer: Answer) {
        self.say("answer", move |tools| {
            tools.supervisor()?.answer(&id, answer, &tools.setup.actor)?;
            Ok("the answer was given".to_owned())
        });
    }

    /// Something done to the open incident, by whoever sits here.
    fn on_incident(
        &self,
        name: &'static str,
        done: &'static str,
        act: impl FnOnce(&Tools, &str, &str) -> Result<()> + Send + 'static,
    ) {
        let boards = Arc::clone(&self.boards);
        self.say(name, move |tools| {
            let open = tools.incidents()?.open_one(&tools.stanza()?)?;
            let open = open.ok_or_else(|| Report::failed("no incident is open"))?;
            act(tools, &open.id, &tools.setup.actor)?;
            boards.refresh_incident();
            Ok(done.to_owned())
        });
    }

    /// A task whose result is a sentence.
    fn say(&self, name: &'static str, task: impl FnOnce(&Tools) -> Result<String> + Send + 'static) {
        self.spawn(name, move |tools| tools.tell(Input::Said(task(tools))));
    }

    /// A task of which one at a time is enough; asked for again while it is under way, it is told.
    fn once(&self, name: &'static str, task: impl FnOnce(&Tools) + Send + 'static) {
        let busy = Arc::clone(&self.busy);
        if !busy.lock().is_ok_and(|mut busy| busy.insert(name)) {
            return;
        }
        self.spawn(name, move |tools| {
            let done = Done { busy, name };
            task(tools);
            drop(done);
        });
    }

    /// A thread; if it fails by an internal error, that is told.
    fn spawn(&self, name: &'static str, task: impl FnOnce(&Tools) + Send + 'static) {
        let tools = self.tools.clone();
        let guarded = move || {
            if catch_unwind(AssertUnwindSafe(|| task(&tools))).is_err() {
                let report = Report::failed(format!("an internal error stopped the task '{name}'"))
                    .hint("leave the console and open it again; what runs goes on");
                tools.tell(Input::Said(Err(report)));
            }
        };
        if let Err(error) = std::thread::Builder::new().name(name.to_owned()).spawn(guarded) {
            self.tools.tell(Input::Said(Err(Report::failed(format!("no thread can be started: {error}")))));
        }
    }
}

/// Says that a task is over, also when it panics.
struct Done {
    busy: Arc<Mutex<BTreeSet<&'static str>>>,
    name: &'static str,
}

impl Drop for Done {
    fn drop(&mut self) {
        if let Ok(mut busy) = self.busy.lock() {
            busy.remove(self.name);
        }
    }
}

/// A new turn of something of which only the newest counts.
fn begin(counter: &Arc<AtomicU64>) -> (u64, Arc<AtomicU64>) {
    (counter.fetch_add(1, Ordering::AcqRel) + 1, Arc::clone(counter))
}

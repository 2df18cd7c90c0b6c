//! The runbook of the open incident: the facts its questions are judged by, where the journal says it is, and the steps
//! a person takes. Who takes the first step takes the pilot's seat and keeps it until the console is left; only from that
//! seat a commit is tried, for everybody else only looks.

use super::Setup;
use super::follow::Boards;
use super::tools::Tools;
use crate::base::state::{OpId, StateDir};
use crate::base::{Result, Timestamp};
use crate::config::EVERY_COMMAND;
use crate::console::input::{ActShown, Input};
use crate::incident::guide::{Look, Step, Values};
use crate::incident::{Incidents, Pilot};
use crate::model::guide::GuideView;
use crate::model::question::judge::Proposal;
use crate::model::situation::Situation;
use crate::recovery::act::{Caller, ShownAct};
use crate::runbook::Library;
use crate::survey::{Scope, Survey};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often is looked whether the journal or the facts have changed.
const PAUSE: Duration = Duration::from_millis(500);

/// Everything about the runbook that outlives one look.
pub(super) struct Guides {
    tools: Tools,
    boards: Arc<Boards>,
    library: Library,
    facts: Mutex<Option<Situation>>,
    looking: AtomicBool,
    seat: Mutex<Option<(String, Pilot)>>,
}

/// A step as the screen asks for it.
pub(super) struct Asked {
    pub(super) incident: String,
    pub(super) runbook: String,
    pub(super) seen: String,
    pub(super) proposal: Option<Box<Proposal>>,
    pub(super) step: Step,
}

impl Guides {
    pub(super) fn new(tools: Tools, boards: Arc<Boards>) -> Self {
        let library = Library::of_host(tools.setup.state.as_ref().map(StateDir::root));
        Self {
            tools,
            boards,
            library,
            facts: Mutex::default(),
            looking: AtomicBool::new(false),
            seat: Mutex::default(),
        }
    }

    /// Begins to look closely, once, whenever an incident is open.
    pub(super) fn look(self: &Arc<Self>, survey: &Survey) {
        if self.looking.swap(true, Ordering::AcqRel) {
            return;
        }
        let (mine, asking, stop) = (Arc::clone(self), Arc::clone(self), Arc::clone(&self.tools.stop));
        let tell =
            move |situation| *mine.facts.lock().unwrap_or_else(PoisonError::into_inner) = Some(situation);
        let scope = Arc::new(move || asking.scope());
        survey.watch_situation(scope, Arc::new(tell), Arc::new(move || !stop.load(Ordering::Acquire)));
    }

    /// What is looked at now. A commit is tried only from the pilot's seat: each of ten watchers would try one, too, and a
    /// read-only console writes nothing.
    fn scope(&self) -> Scope {
        let Some(open) = self.boards.open_incident() else { return Scope::default() };
        let seat = self.seat.lock().unwrap_or_else(PoisonError::into_inner);
        let pilots = seat.as_ref().is_some_and(|(incident, _)| *incident == open);
        Scope { incident: true, write_test: pilots && !self.tools.setup.site.read_only, pages: false }
    }

    /// Tells where the incident is, whenever that or a fact changes, until nobody wants it any more.
    pub(super) fn follow(&self, id: &str, current: impl Fn() -> bool) {
        let mut last: Option<Result<GuideView>> = None;
        while current() && !self.tools.stopped() {
            let now = self.view(id);
            if last.as_ref() != Some(&now) {
                self.tools.tell(Input::Guide(now.clone().map(Box::new)));
                last = Some(now);
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn view(&self, id: &str) -> Result<GuideView> {
        let incidents = self.tools.incidents()?;
        let situation = self.facts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let values = self.values(&incidents, id, situation.as_ref());
        let ascii = self.tools.setup.theme.ascii;
        let look = Look { situation: situation.as_ref(), values: &values, now: Timestamp::now(), ascii };
        incidents.guide(id, &self.library, &look)
    }

    fn values(&self, incidents: &Incidents, id: &str, situation: Option<&Situation>) -> Values {
        let setup = &self.tools.setup;
        let settings = setup.config.settings(EVERY_COMMAND, setup.stanza.as_deref()).ok();
        Values::of(settings.as_ref(), incidents.view(id).ok().as_ref(), situation)
    }

    /// Takes a step.
    pub(super) fn step(&self, asked: &Asked) -> Result<()> {
        let incidents = self.tools.incidents()?;
        self.sit(&incidents, &asked.incident)?;
        let book = self.library.book_or_shipped(&asked.runbook)?;
        let shown = (asked.seen.as_str(), asked.proposal.as_deref());
        incidents.step(&asked.incident, &self.tools.setup.actor, book.0, shown, &asked.step)?;
        self.tools.tell(Input::Guide(self.view(&asked.incident).map(Box::new)));
        Ok(())
    }

    /// Starts the act that was shown as an operation, which writes down its beginning and its end itself.
    pub(super) fn run(&self, shown: &ActShown) -> Result<OpId> {
        let incidents = self.tools.incidents()?;
        self.sit(&incidents, &shown.incident)?;
        let Setup { given, working_dir, environment, actor, .. } = &*self.tools.setup;
        let ActShown { incident, runbook, node, title, digest } = shown.clone();
        let stanza = incidents.view(&incident)?.stanza;
        let act = ShownAct { incident, stanza, runbook, node, title, digest };
        let id = OpId::new("act", Timestamp::now())?;
        let spec = act.spec(id.clone(), Caller { given, working_dir, environment, by: actor })?;
        self.tools.supervisor()?.start(&spec)?;
        Ok(id)
    }

    /// Takes the pilot's seat, unless it is this console's already.
    fn sit(&self, incidents: &Incidents, id: &str) -> Result<()> {
        let mut seat = self.seat.lock().unwrap_or_else(PoisonError::into_inner);
        if seat.as_ref().is_none_or(|(incident, _)| incident != id) {
            *seat = None;
            *seat = Some((id.to_owned(), incidents.take_seat(id, &self.tools.setup.actor)?));
        }
        Ok(())
    }
}

//! What comes back from outside goes into the model; what follows from it by itself is only more looking.

use super::App;
use crate::base::Report;
use crate::base::state::OpId;
use crate::console::input::{Effect, Input};
use crate::console::modal::Window;
use crate::console::model::Loaded;
use crate::console::screens::{Modal, ScreenId};
use crate::console::theme::State;
use crate::incident::guide::Step;
use crate::model::board::Board;
use crate::model::op::Life;
use crate::model::plan::RecoverRequest;

impl App {
    pub(super) fn take_in(&mut self, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::Board(board) => self.board(*board, effects),
            Input::Catalog(result) => self.model.catalog.end(result.map_err(|report| said(&report))),
            Input::Wal(result) => self.model.wal.end(result.map_err(|report| said(&report))),
            Input::Plan(request, result) => answered(&mut self.model.plan, &request, result),
            Input::Compared(request, options) => answered(&mut self.model.options, &request, Ok(options)),
            Input::Started(result) => self.started(result, effects),
            Input::Operation(snapshot) => self.model.operation = Some(*snapshot),
            Input::Incident(view) => self.model.incident = Some(*view),
            Input::Guide(result) => {
                self.model.guide.end(result.map(|view| *view).map_err(|report| said(&report)));
                self.begin_runbook(effects);
            }
            Input::Incidents(incidents) => self.model.incidents = incidents,
            Input::Talk(result) => {
                self.model.talk.end(result.map(|status| *status).map_err(|report| said(&report)));
            }
            Input::Configuration(result) => {
                self.model.configuration.end(result.map(|view| *view).map_err(|report| said(&report)));
            }
            Input::Settled(incident, result) => self.settled(incident, result, effects),
            Input::Said(Ok(text)) => self.say(State::Ok, text),
            Input::Said(Err(report)) => {
                self.model.declaring = false;
                self.refuse("NOT DONE", &report);
            }
            Input::Key(_) | Input::Paste(_) | Input::Resize(..) | Input::Tick(_) => {}
        }
        self.screens.updated(&self.model);
    }

    fn started(&mut self, result: Result<OpId, Report>, effects: &mut Vec<Effect>) {
        self.model.starting = false;
        let id = match result {
            Ok(id) => id,
            Err(report) => return self.refuse("NOT STARTED", &report),
        };
        self.say(State::Ok, format!("started: {id}"));
        self.perform(Effect::Watch(id), effects);
        // Somebody who types must not find the keys meaning something else.
        if self.windows.last().is_some_and(Window::takes_text) {
            self.say(State::Ok, "it was started; :operation shows it");
        } else {
            self.windows.clear();
            self.screens.home();
            self.go(ScreenId::Running, effects);
        }
    }

    fn board(&mut self, board: Board, effects: &mut Vec<Effect>) {
        self.model.board = board;
        let open = self.model.board.incident.as_ref().map(|incident| incident.id.clone());
        // Followed once, when it is first seen: afterwards somebody may be reading another one.
        if open != self.opened {
            self.opened.clone_from(&open);
            self.model.guide = Loaded::No;
            self.model.talk = Loaded::No;
            if let Some(id) = &open {
                self.perform(Effect::WatchIncident(id.clone()), effects);
                self.perform(Effect::WatchRunbook(id.clone()), effects);
                self.perform(Effect::WatchTalk(id.clone()), effects);
                // Somebody who types must not find the keys meaning something else.
                if std::mem::take(&mut self.model.declaring) && self.windows.is_empty() {
                    self.begins.clone_from(&open);
                    self.go(ScreenId::Runbook, effects);
                }
            }
        }
        // A live operation is followed without being asked for, so that its progress is in sight at once.
        let busy = self.model.operation.as_ref().is_some_and(|operation| operation.life != Life::Ended);
        if let Some(id) = self.model.live_operation().filter(|id| !busy && self.followed() != Some(id)) {
            self.perform(Effect::Watch(id), effects);
        }
    }

    /// Who declares an incident begins its runbook with that; everybody else is asked.
    fn begin_runbook(&mut self, effects: &mut Vec<Effect>) {
        let Some(guide) =
            self.model.guide.value().filter(|guide| Some(&guide.incident) == self.begins.as_ref())
        else {
            return;
        };
        let (incident, runbook, fresh) = (guide.incident.clone(), guide.runbook.clone(), guide.fresh);
        self.begins = None;
        if fresh {
            let step = Step::Begin;
            self.perform(
                Effect::Step { incident, runbook, seen: String::new(), proposal: None, step },
                effects,
            );
        }
    }

    /// What was settled is looked at at once where it is on the screen; nobody waits for the next look.
    fn settled(&mut self, incident: String, result: Result<String, Report>, effects: &mut Vec<Effect>) {
        match result {
            Ok(text) => self.say(State::Ok, text),
            Err(report) => self.refuse("NOT DONE", &report),
        }
        if self.model.incident.as_ref().is_some_and(|followed| followed.id == incident) {
            self.perform(Effect::WatchIncident(incident), effects);
        }
    }

    /// Tells a failure: in a line, and where it has more to say, in a window.
    fn refuse(&mut self, title: &str, report: &Report) {
        self.say(State::Failed, report.headline.clone());
        let typing = self.windows.last().is_some_and(Window::takes_text);
        if !typing && (report.hint.is_some() || !report.context.is_empty() || title == "NOT STARTED") {
            let lines = report.to_string().lines().map(str::to_owned).collect();
            self.open(Modal::Text { title: title.to_owned(), lines });
        }
    }
}

/// Takes the answer to a request; to one nobody looks at any more it is dropped.
fn answered<T>(
    asked: &mut Option<(RecoverRequest, Loaded<T>)>,
    request: &RecoverRequest,
    result: Result<Box<T>, Report>,
) {
    if let Some((_, loaded)) = asked.as_mut().filter(|(asked, _)| asked == request) {
        loaded.end(result.map(|value| *value).map_err(|report| said(&report)));
    }
}

fn said(report: &Report) -> String {
    report.to_string()
}

//! Commands that hold on every screen, and the last gate before an effect leaves the app.

use super::App;
use crate::base::Timestamp;
use crate::base::state::OpId;
use crate::console::input::Effect;
use crate::console::keymap::Cmd;
use crate::console::model::{Loaded, READ_ONLY};
use crate::console::screens::{Asked, Confirmed, Modal, ScreenId};
use crate::console::theme::State;
use crate::console::widgets::moment;
use crate::model::plan::RecoverRequest;

impl App {
    /// Does what a key or a name in the palette means.
    pub(super) fn command(&mut self, cmd: Cmd, effects: &mut Vec<Effect>) {
        match cmd {
            Cmd::Quit => return self.perform(Effect::Quit, effects),
            Cmd::Suspend => return self.perform(Effect::Suspend, effects),
            Cmd::Help => return self.open(Modal::Help),
            Cmd::Palette => return self.open(Modal::Palette),
            Cmd::Refresh => return self.refresh(effects),
            _ => {}
        }
        if let Some(action) = self.screens.shown_mut().on(&self.model, cmd) {
            return self.act(Some(action), effects);
        }
        if let Some(why) = self.model.why_not(cmd) {
            return self.say(State::Late, why);
        }
        match cmd {
            Cmd::Back => self.back(effects),
            Cmd::Board => self.go(ScreenId::Board, effects),
            Cmd::Backups => self.go(ScreenId::Catalog, effects),
            Cmd::Wal => self.go(ScreenId::Wal, effects),
            Cmd::Recover => self.go(ScreenId::Target, effects),
            Cmd::Options => self.go(ScreenId::Options, effects),
            Cmd::Operation => self.go(ScreenId::Running, effects),
            Cmd::Runbook => self.go(ScreenId::Runbook, effects),
            Cmd::Journal => self.go(ScreenId::Journal, effects),
            Cmd::History => self.go(ScreenId::History, effects),
            Cmd::People => self.go(ScreenId::People, effects),
            Cmd::Talk => self.go(ScreenId::Talk, effects),
            Cmd::Checklist => self.go(ScreenId::Checklist, effects),
            Cmd::Doctor => self.go(ScreenId::Doctor, effects),
            Cmd::Filter => self.open_filter(),
            Cmd::Incident => self.open(self.declaring()),
            Cmd::Note => self.open(asked("NOTE", "What the journal shall keep, in a sentence.", Asked::Note)),
            Cmd::CloseIncident => self.ask_for_the_end(),
            Cmd::Approve => self.confirm_approval(),
            Cmd::Cancel => self.confirm_cancel(),
            Cmd::Resume => self.confirm_resume(),
            Cmd::Log => self.open(self.messages()),
            _ => {}
        }
    }

    /// Opens a screen and asks for what it needs.
    pub(super) fn go(&mut self, id: ScreenId, effects: &mut Vec<Effect>) {
        self.screens.go(id);
        self.enter(effects);
        match (id, self.model.any_operation()) {
            (ScreenId::Running, Some(operation)) if self.followed() != Some(&operation) => {
                self.perform(Effect::Watch(operation), effects);
            }
            _ => {}
        }
    }

    pub(super) fn back(&mut self, effects: &mut Vec<Effect>) {
        if self.screens.back() {
            self.enter(effects);
        }
    }

    fn enter(&mut self, effects: &mut Vec<Effect>) {
        for effect in self.screens.shown_mut().entered(&self.model) {
            self.perform(effect, effects);
        }
    }

    fn refresh(&mut self, effects: &mut Vec<Effect>) {
        self.perform(Effect::Refresh, effects);
        self.enter(effects);
        self.say(State::Ok, "looking again");
    }

    /// The operation that is being followed.
    pub(super) fn followed(&self) -> Option<&OpId> {
        self.model.operation.as_ref().map(|operation| &operation.spec.id)
    }

    /// Hands an effect out. Nothing that leaves a trace passes in a read-only console.
    pub(super) fn perform(&mut self, effect: Effect, effects: &mut Vec<Effect>) {
        if effect.writes() && self.model.board.identity.read_only {
            return self.say(State::Late, READ_ONLY);
        }
        let now = self.model.now;
        match &effect {
            Effect::LoadCatalog => self.model.catalog.begin(now),
            Effect::LoadWal => self.model.wal.begin(now),
            Effect::LoadConfiguration => self.model.configuration.begin(now),
            Effect::Plan(request) => asking(&mut self.model.plan, request, now),
            Effect::Compare(request) => asking(&mut self.model.options, request, now),
            Effect::Start { .. } => {
                self.model.starting = true;
                self.say(State::Ok, "starting: the plan is worked out once more and compared");
            }
            Effect::Resume { id, .. } => self.say(State::Ok, format!("resuming {id}")),
            Effect::Cancel { id, .. } => {
                self.say(State::Ok, format!("asking {id} to stop at the next safe point"));
            }
            Effect::Declare { .. } => self.model.declaring = true,
            Effect::Quit => self.left = true,
            _ => {}
        }
        if !effects.contains(&effect) {
            effects.push(effect);
        }
    }

    fn open_filter(&mut self) {
        let initial = self.filters.get(&(self.screens.top() as u8)).cloned().unwrap_or_default();
        self.open(Modal::Ask { title: String::new(), text: Vec::new(), initial, then: Asked::Filter });
    }

    fn declaring(&self) -> Modal {
        let application = self.model.board.application.as_ref().and_then(crate::model::fact::Fact::value);
        let since = application.and_then(|application| application.wrong_since);
        let detected = match since {
            Some(at) => {
                format!("The clock starts at {} UTC, when the application's check first failed.", moment(at))
            }
            None => "The clock starts now: nothing recorded when the trouble was noticed.".to_owned(),
        };
        Modal::Ask {
            title: "DECLARE AN INCIDENT".to_owned(),
            text: vec![detected, "Why, in a sentence. It begins the journal.".to_owned()],
            initial: application
                .filter(|application| !application.right)
                .map(|it| it.why.clone())
                .unwrap_or_default(),
            then: Asked::DeclareReason,
        }
    }

    /// What is still open in the incident, each in a sentence.
    fn open_matters(&self) -> Vec<String> {
        let open = self.model.board.incident.as_ref().map(|open| &open.id);
        let is_followed = self.model.incident.as_ref().is_some_and(|followed| Some(&followed.id) == open);
        if is_followed { self.model.open_matters() } else { Vec::new() }
    }

    fn ask_for_the_end(&mut self) {
        let mut text = vec!["What is to be said about it at the end.".to_owned()];
        let open = self.open_matters();
        if !open.is_empty() {
            text.push(String::new());
            text.push("Still open; it is closed over that only after a typed word:".to_owned());
            text.extend(open.into_iter().map(|matter| format!("- {matter}")));
        }
        let title = "CLOSE THE INCIDENT".to_owned();
        self.open(Modal::Ask { title, text, initial: self.farewell(), then: Asked::CloseIncident });
    }

    /// What was already typed to be said at the end of the open incident.
    fn farewell(&self) -> String {
        let open = self.model.board.incident.as_ref();
        let kept = self.farewell.as_ref().filter(|(id, _)| open.is_some_and(|open| open.id == *id));
        kept.map(|(_, text)| text.clone()).unwrap_or_default()
    }

    /// Closes the incident with this sentence; over what is open only after a typed word.
    pub(super) fn close_incident(&mut self, text: String, effects: &mut Vec<Effect>) {
        // Whoever goes back from the typed word, or is refused, finds the sentence again.
        self.farewell = self.model.board.incident.as_ref().map(|open| (open.id.clone(), text.clone()));
        let open = self.open_matters();
        if open.is_empty() {
            return self.perform(Effect::CloseIncident(text), effects);
        }
        let mut lines = vec!["These stay open, and the journal keeps that they were:".to_owned()];
        lines.extend(open.into_iter().map(|matter| format!("- {matter}")));
        self.confirm("CLOSE OVER OPEN MATTERS", lines, Confirmed::CloseOver(text));
    }

    fn confirm_approval(&mut self) {
        let Some(asked) = self.model.waiting_approval() else { return };
        let text = vec![
            format!("{} wants to start this and needs a second person:", asked.by),
            asked.summary.clone(),
            String::new(),
            asked.command.clone(),
            String::new(),
            "Work the plan out yourself (t) and compare. Your name is written down with it.".to_owned(),
        ];
        let then = Confirmed::Approve(asked.digest.clone());
        self.confirm("APPROVE A PLAN", text, then);
    }

    fn confirm_cancel(&mut self) {
        let Some(id) = self.model.live_operation() else { return };
        let text = vec![
            self.summary(&id),
            String::new(),
            "It stops at the next safe point. Nothing is removed; what is done stays done.".to_owned(),
            "It ends as cancelled and can be resumed from where it stopped.".to_owned(),
        ];
        self.confirm("STOP THE OPERATION", text, Confirmed::Cancel(id));
    }

    fn confirm_resume(&mut self) {
        let Some(id) = self.model.lost_operation() else { return };
        let text = vec![
            self.summary(&id),
            String::new(),
            "Its worker is gone. Another one takes it up where it stands: files that are already right are kept."
                .to_owned(),
        ];
        self.confirm("RESUME THE OPERATION", text, Confirmed::Resume(id));
    }

    fn confirm(&mut self, title: &str, text: Vec<String>, then: Confirmed) {
        let followed = self.model.operation.as_ref().map(|operation| operation.spec.stanza.clone());
        let word = self.model.board.identity.stanza.clone().or(followed).unwrap_or_default();
        self.open(Modal::Confirm { title: title.to_owned(), text, word, then });
    }

    fn summary(&self, id: &OpId) -> String {
        let on_board = self.model.board.operations.iter().find(|operation| operation.id == id.as_str());
        let followed = self.model.operation.as_ref().filter(|operation| operation.spec.id == *id);
        let summary = followed.map(|it| &it.spec.summary).or_else(|| on_board.map(|it| &it.summary));
        summary.map_or_else(|| id.to_string(), |summary| format!("{id}: {summary}"))
    }

    /// What was said last, and what was odd while looking.
    fn messages(&self) -> Modal {
        let said = self.notices.iter().rev().map(|notice| {
            format!("{} {} {}", moment(notice.at), self.theme.symbol(notice.state), notice.text)
        });
        let mut lines: Vec<String> = said.chain(self.model.board.warnings.iter().cloned()).collect();
        if lines.is_empty() {
            lines.push("Nothing was said yet.".to_owned());
        }
        Modal::Text { title: "MESSAGES".to_owned(), lines }
    }
}

/// Takes a request in the place of the one before, whose answer stays shown if it was to the same.
fn asking<T>(asked: &mut Option<(RecoverRequest, Loaded<T>)>, request: &RecoverRequest, now: Timestamp) {
    let mut loaded = match asked.take() {
        Some((before, loaded)) if before == *request => loaded,
        _ => Loaded::No,
    };
    loaded.begin(now);
    *asked = Some((request.clone(), loaded));
}

fn asked(title: &str, text: &str, then: Asked) -> Modal {
    Modal::Ask { title: title.to_owned(), text: vec![text.to_owned()], initial: String::new(), then }
}

//! No size and no model breaks a screen, and no command of one leads to something destructive by itself.

use crate::models::{
    asking, bad_update, bare, catalog, copying, failed, failing_plan, finished, following, history,
    in_incident, lost, now, plan, planned, replaying, request, standing, wal,
};
use crate::{COMMANDS, drawn, screens};
use pgmayday::base::{Lsn, Timestamp};
use pgmayday::console::keymap::Cmd;
use pgmayday::console::model::{Loaded, Model};
use pgmayday::console::screens::{Action, Asked, Confirmed, Modal, Part};
use pgmayday::console::theme::Theme;
use pgmayday::incident::IncidentView;
use pgmayday::model::catalog::{CatalogView, Pinned, Verified};
use pgmayday::model::forecast::Span;
use pgmayday::model::op::{Life, Mark, Snapshot, StepStatus};
use pgmayday::model::plan::{CheckState, RecoverPlan};
use pgmayday::model::wal_view::WalView;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

const THEME: Theme = Theme { colour: true, ascii: false };

fn rich() -> Model {
    Model {
        catalog: Loaded::Yes(catalog()),
        wal: Loaded::Yes(wal()),
        operation: Some(asking()),
        incidents: history().incidents,
        incident: in_incident(true).incident,
        ..planned(Loaded::Yes(failing_plan()))
    }
}

#[test]
fn every_size_is_drawn() {
    let model = rich();
    for mut screen in screens() {
        screen.entered(&model);
        screen.updated(&model);
        screen.on(&model, Cmd::Open);
        // One frame for all: what is drawn outside the screen's place would stay there to be seen.
        let mut frame = Buffer::empty(Rect::new(0, 0, 130, 50));
        for width in 1..=130 {
            for height in 1..=50 {
                screen.draw(&model, THEME, Rect::new(0, 0, width, height), &mut frame);
            }
            let outside = |x: u16| (0..50).all(|y| frame[(x, y)].symbol() == " ");
            assert!((width..130).all(outside), "{:?} draws beyond {width} columns", screen.id());
        }
    }
}

#[test]
fn every_state_is_drawn_at_odd_sizes() {
    let operations = [copying(), replaying(), standing(), lost(), failed(), finished()].map(following);
    let mut models = vec![Model::default(), bare(), bad_update(), history(), planned(Loaded::Yes(plan()))];
    models.extend(operations);
    models.extend(crate::people::models());
    models.extend(crate::doctor::models());
    for model in models {
        for mut screen in screens() {
            screen.entered(&model);
            for width in (1..=130).step_by(13) {
                for height in (1..=50).step_by(3) {
                    drawn(screen.as_ref(), &model, THEME, (width, height));
                }
            }
        }
    }
}

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.roll() % most as u64).unwrap()
    }

    fn one_in(&mut self, number: usize) -> bool {
        self.below(number) == 0
    }

    fn number(&mut self) -> u64 {
        [0, 1, 7, 1 << 20, u64::from(u32::MAX), u64::MAX / 3, u64::MAX][self.below(7)]
    }

    fn time(&mut self) -> Timestamp {
        [Timestamp(i64::MIN), Timestamp(0), now(), Timestamp(now().0 + 5), Timestamp(i64::MAX)][self.below(5)]
    }

    fn text(&mut self) -> String {
        let texts = [
            "",
            "orders",
            "日本語のテキスト",
            "a\u{301}\u{200b}\u{7}\n\tz",
            "0/0",
            "20261120-020001F",
            "1",
            "2026-11-21 02:03:00+00",
        ];
        let text = texts[self.below(texts.len())];
        if self.one_in(5) { text.repeat(40) } else { text.to_owned() }
    }

    fn catalog(&mut self) -> CatalogView {
        let mut view = catalog();
        for backup in &mut view.backups {
            if self.one_in(3) {
                (backup.label, backup.prior) = (self.text(), Some(self.text()));
            }
            if self.one_in(3) {
                (backup.start, backup.stop) = (self.time(), self.time());
                (backup.size_bytes, backup.delta_bytes, backup.stored_bytes) =
                    (self.number(), self.number(), self.number());
                backup.wal = Some((self.text(), self.text()));
            }
            if self.one_in(4) {
                backup.annotations.push((self.text(), self.text()));
            }
            if self.one_in(3) {
                backup.page_errors = Some(true);
                backup.pinned =
                    Some(Pinned { restore_point: Some(self.text()), doubts: vec![self.text(), self.text()] });
            }
            if self.one_in(3) {
                let (at, whole) = (self.time(), self.one_in(2));
                let wrong = self.one_in(2).then(|| self.text());
                backup.verified = Some(Verified { at, wrong, whole });
            }
        }
        view.read_at = Some(Timestamp(i64::try_from(self.roll() >> 20).unwrap()));
        view.backups.truncate(self.below(9));
        view
    }

    fn wal(&mut self) -> WalView {
        let mut view = wal();
        let mut other = view.archives[0].clone();
        for timeline in view.archives.iter_mut().flat_map(|archive| &mut archive.timelines) {
            if self.one_in(3) {
                timeline.parent = Some((timeline.timeline, Lsn(self.number())));
            }
            for stretch in &mut timeline.stretches {
                if self.one_in(4) {
                    (stretch.segments, stretch.first_number) = (self.number(), self.number());
                    stretch.missing = self.one_in(2);
                }
            }
        }
        if self.one_in(2) {
            (other.segment_bytes, other.repo) = (u32::try_from(self.number() >> 32).unwrap(), 2);
            other.timelines.truncate(self.below(3));
            view.archives.push(other);
        }
        if self.one_in(2) {
            view.archives.reverse();
        }
        view
    }

    fn operation(&mut self) -> Snapshot {
        let all = [copying, replaying, standing, asking, lost, failed, finished];
        let mut operation = all[self.below(all.len())]();
        operation.state.steps.truncate(self.below(13));
        for step in &mut operation.state.steps {
            if self.one_in(5) {
                step.status = StepStatus::Running { since: self.time() };
                step.name = self.text();
            }
        }
        if self.one_in(2) {
            operation.state.marks.insert(Mark::RestoreFinished, self.time());
            operation.state.marks.insert(Mark::RestoreStarted, self.time());
        }
        if let Some(copy) = operation.copy.as_mut().filter(|_| self.one_in(2)) {
            (copy.bytes_done, copy.bytes_total, copy.files_done) =
                (self.number(), self.number(), self.number());
        }
        if let Some(replay) = operation.replay.as_mut().filter(|_| self.one_in(2)) {
            (replay.from, replay.replayed, replay.goal) =
                (Some(Lsn(self.number())), Some(Lsn(self.number())), None);
            (replay.still_ms, replay.left_ms) = (self.number(), Some(self.number()));
        }
        let lives = [
            Life::Starting,
            Life::Lost,
            Life::Ended,
            Life::Unknown { why: self.text() },
            Life::Running { pid: 1 },
        ];
        operation.life = lives[self.below(lives.len())].clone();
        (operation.state.seq, operation.sampled_at) = (self.number(), Some(self.time()));
        for _ in 0..self.below(9) {
            operation.state.warnings.push((self.time(), self.text()));
        }
        if let Some(question) = &mut operation.state.question {
            (0..self.below(30)).for_each(|_| question.evidence.push(self.text()));
        }
        operation
    }

    fn plan(&mut self) -> RecoverPlan {
        let mut plan = if self.one_in(2) { plan() } else { failing_plan() };
        let states = [CheckState::Ok, CheckState::Warn, CheckState::Fail, CheckState::Unknown];
        for check in &mut plan.checks {
            check.state = if self.one_in(8) { states[self.below(4)] } else { CheckState::Ok };
        }
        plan.checks.truncate(self.below(9));
        plan.steps.truncate(self.below(13));
        (plan.last_commit, plan.first_lost_commit, plan.newest) =
            (Some(self.time()), Some(self.time()), Some(self.time()));
        (plan.digest, plan.set, plan.target) = (self.text(), Some(self.text()), self.text());
        plan.request.asks = !self.one_in(6);
        plan.copy_bytes = self.number();
        plan
    }

    fn incident(&mut self) -> IncidentView {
        let mut view = in_incident(true).incident.unwrap();
        (view.rto_s, view.rto_ms, view.detected_at) = (self.number(), Some(self.number()), self.time());
        (view.reason, view.chain, view.id) = (self.text(), self.text(), self.text());
        view.phases.iter_mut().for_each(|phase| phase.took_ms = self.number());
        for line in &mut view.lines {
            (line.text, line.actor, line.at, line.seq) =
                (self.text(), self.text(), self.time(), self.number());
        }
        view.lines.truncate(self.below(6));
        if self.one_in(2) {
            view.standing = crate::people::busy().incident.unwrap().standing;
            for task in &mut view.standing.tasks {
                (task.due_at, task.text, task.owner) = (self.time(), self.text(), self.text());
            }
            view.standing.follow_ups.truncate(self.below(3));
            view.standing.messages.truncate(self.below(3));
        }
        view
    }

    fn loaded<T>(&mut self, value: T) -> Loaded<T> {
        match self.below(6) {
            0 => Loaded::No,
            1 => Loaded::Loading(self.time(), Some(value)),
            2 => Loaded::Failed(self.text(), Some(value)),
            3 => Loaded::Failed(self.text(), None),
            _ => Loaded::Yes(value),
        }
    }

    fn model(&mut self) -> Model {
        let mut model = if self.one_in(3) { bare() } else { bad_update() };
        model.board.identity.read_only = self.one_in(5);
        let (catalog, wal, plan) = (self.catalog(), self.wal(), self.plan());
        (model.catalog, model.wal) = (self.loaded(catalog), self.loaded(wal));
        model.plan = (!self.one_in(4)).then(|| (request(), self.loaded(plan)));
        let mut options = crate::options::compared();
        for weighed in &mut options.ways {
            (weighed.title, weighed.why, weighed.damage) = (self.text(), self.text(), self.text());
            weighed.time = self.one_in(2).then(|| Span { p50_ms: self.number(), p90_ms: self.number() });
        }
        options.ways.truncate(self.below(6));
        model.options = (!self.one_in(4)).then(|| (request(), self.loaded(options)));
        model.operation = (!self.one_in(5)).then(|| self.operation());
        model.incident = (!self.one_in(5)).then(|| self.incident());
        let talk = crate::people::busy().talk.value().cloned().unwrap_or_default();
        model.talk = self.loaded(talk);
        model.incidents = (0..self.below(5)).map(|_| self.incident()).collect();
        model.now = self.time();
        model
    }
}

/// A screen asks for nothing destructive, and for a confirmation only of what may be confirmed.
fn is_harmless(action: &Action, model: &Model) {
    match action {
        Action::Do(effect) => assert!(!effect.is_destructive(), "{effect:?}"),
        Action::All(actions) => actions.iter().for_each(|action| is_harmless(action, model)),
        Action::Open(Modal::Confirm { word, then, .. }) => {
            assert_eq!(word, "orders");
            assert!(!model.board.identity.read_only);
            if let Confirmed::Start { request, digest } = then {
                let Some((asked, Loaded::Yes(plan))) = &model.plan else { unreachable!("no plan") };
                assert!(plan.can_start() && asked == &**request && plan.digest == *digest);
                assert_eq!((&plan.request.targets, plan.request.asks), (&request.targets, request.asks));
            }
        }
        _ => {}
    }
}

#[test]
fn random_models_and_commands_break_nothing() {
    let mut dice = Dice(0x2026_1121_0214_0007);
    let mut screens = screens();
    let mut confirmed = 0;
    for _ in 0..400 {
        let model = dice.model();
        if dice.one_in(5) {
            screens = crate::screens();
        }
        for screen in &mut screens {
            if dice.one_in(4) {
                screen.entered(&model);
            }
            // A screen may be drawn before it is told of a change; that must not break it either.
            drawn(screen.as_ref(), &model, THEME, (80, 21));
            screen.updated(&model);
            for _ in 0..12 {
                let cmd = if dice.one_in(3) { Cmd::Open } else { COMMANDS[dice.below(COMMANDS.len())] };
                let action = screen.on(&model, cmd);
                confirmed += usize::from(matches!(
                    &action,
                    Some(Action::Open(Modal::Confirm { then: Confirmed::Start { .. }, .. }))
                ));
                if let Some(action) = &action {
                    is_harmless(action, &model);
                }
                if dice.one_in(6) {
                    let part =
                        [Part::Text, Part::Who, Part::Minutes, Part::Day, Part::Outcome][dice.below(5)];
                    let asked = [
                        Asked::Filter,
                        Asked::Set,
                        Asked::Note,
                        Asked::Field(dice.below(14)),
                        Asked::Part(part),
                    ][dice.below(5)];
                    let text = dice.text();
                    screen.typed(&model, asked, &text);
                    screen.text(&model, asked, &text);
                }
            }
            let size =
                (1 + u16::try_from(dice.below(130)).unwrap(), 1 + u16::try_from(dice.below(50)).unwrap());
            drawn(screen.as_ref(), &model, THEME, size);
            screen.bindings(&model);
        }
    }
    assert!(confirmed > 0, "no confirmation was ever reached: the test says nothing");
}

//! The incidents there were: how long each took against its target, and how that goes over time. Opens a journal;
//! changes nothing.

mod trend;

use super::journal::summary::{elapsed_ms, judged, stands};
use super::paint::{Sheet, WIDE, counted, done, hours, share};
use super::{Action, Screen, ScreenId};
use crate::console::input::{Effect, Key};
use crate::console::keymap::{Binding, Cmd};
use crate::console::model::Model;
use crate::console::theme::{State, Theme};
use crate::console::widgets::{Selection, moment};
use crate::incident::IncidentView;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// All incidents.
#[derive(Debug, Default)]
pub struct HistoryScreen {
    selected: Selection,
    /// The chosen incident's name, so that it stays chosen when another one is declared.
    chosen: Option<String>,
}

/// Times of one line against a scale that fits all of them.
fn draw_line(sheet: &mut Sheet<'_>, y: u16, incident: &IncidentView, model: &Model, scale_ms: u64) {
    let theme = sheet.theme;
    let elapsed = elapsed_ms(incident, model.now);
    let target = incident.rto_s.saturating_mul(1000);
    let state = judged(elapsed, incident.rto_s);
    sheet.text(0, y, theme.symbol(state), theme.state(state));
    sheet.cut(2, y, 13, &incident.id, Style::new());
    let drill = if incident.is_drill() { "drill, " } else { "" };
    sheet.cut(16, y, 15, &format!("{drill}{}", stands(incident)), theme.dim());
    sheet.text(32, y, &hours(elapsed), theme.strong());
    sheet.text(41, y, &format!("of {}", hours(target)), theme.dim());
    let wide = sheet.width() >= WIDE;
    let bars: u16 = if wide { 40 } else { 25 };
    let cells = |ms: u64| u16::try_from(share(ms, scale_ms, u64::from(bars) - 1)).unwrap_or(0);
    let length = usize::from(cells(elapsed)).max(1);
    let x = 54;
    sheet.text(x, y, &"█".repeat(length), theme.state(state));
    // The target stands where the bar would end had it taken exactly that long.
    sheet.text(x + cells(target), y, "│", theme.strong());
    if wide {
        sheet.cut(x + bars + 1, y, u16::MAX, &incident.reason, Style::new());
    }
}

impl Screen for HistoryScreen {
    fn id(&self) -> ScreenId {
        ScreenId::History
    }

    fn title(&self) -> &'static str {
        "incidents"
    }

    fn bindings(&self, model: &Model) -> Vec<Binding> {
        let none = model.incidents.is_empty().then(|| "there is no incident".to_owned());
        vec![
            Binding::new(&[Key::Enter], Cmd::Open, "journal", "Open the journal of the chosen incident.")
                .unless(none),
        ]
    }

    fn entered(&mut self, _model: &Model) -> Vec<Effect> {
        vec![Effect::LoadIncidents]
    }

    fn updated(&mut self, model: &Model) {
        let place = |id: &String| model.incidents.iter().position(|incident| incident.id == *id);
        if let Some(at) = self.chosen.as_ref().and_then(place) {
            self.selected.choose(at);
        }
        self.selected.keep(model.incidents.len());
    }

    fn on(&mut self, model: &Model, cmd: Cmd) -> Option<Action> {
        if self.selected.on(cmd, model.incidents.len()) {
            self.chosen = model.incidents.get(self.selected.at()).map(|incident| incident.id.clone());
            return done();
        }
        match cmd {
            Cmd::Open => {
                let id = model.incidents.get(self.selected.at())?.id.clone();
                let watch = Action::Do(Effect::WatchIncident(id));
                Some(Action::All(vec![watch, Action::Go(ScreenId::Journal)]))
            }
            _ => None,
        }
    }

    fn draw(&self, model: &Model, theme: Theme, area: Rect, buffer: &mut Buffer) {
        let mut sheet = Sheet::new(theme, area, buffer);
        let incidents = &model.incidents;
        if incidents.is_empty() {
            sheet.rule(0, "INCIDENTS", "none");
            sheet.text(3, 2, "No incident was declared yet. i on the board declares one.", Style::new());
            sheet.text(3, 4, "Practise before the night it is needed:", Style::new());
            sheet.text(5, 5, "pgmayday lab up --dir /var/tmp/lab", Style::new());
            sheet.text(5, 6, "pgmayday lab break bad-update --dir /var/tmp/lab", Style::new());
            return;
        }
        let elapsed = |incident: &IncidentView| elapsed_ms(incident, model.now);
        let target = |incident: &IncidentView| incident.rto_s.saturating_mul(1000);
        let kept = incidents.iter().filter(|incident| incident.rto_ms.is_some());
        let kept = kept.filter(|incident| judged(elapsed(incident), incident.rto_s) != State::Failed).count();
        let number = counted(incidents.len() as u64, "incident", "incidents");
        sheet.rule(0, "INCIDENTS", &format!("{number}, {kept} within the target, newest first"));
        let dim = theme.dim();
        for (x, title) in [(2, "name"), (16, "state"), (32, "took"), (41, "target"), (54, "│ = target")] {
            sheet.text(x, 1, title, dim);
        }
        let scale =
            incidents.iter().map(|incident| elapsed(incident).max(target(incident))).max().unwrap_or(1);
        let room = usize::from(sheet.height().saturating_sub(4 + trend::HEIGHT));
        let top = self.selected.first(incidents.len(), room);
        for (y, (at, incident)) in (2..).zip(incidents.iter().enumerate().skip(top).take(room)) {
            draw_line(&mut sheet, y, incident, model, scale);
            if at == self.selected.at() {
                sheet.restyle(y, theme.chosen());
            }
        }
        let below = sheet.height().saturating_sub(1 + trend::HEIGHT);
        trend::draw(
            &mut sheet.part(0, below, u16::MAX, trend::HEIGHT),
            incidents,
            self.selected.at(),
            model.now,
        );
        if let Some(incident) = incidents.get(self.selected.at()) {
            let y = sheet.height().saturating_sub(1);
            let text =
                format!("{} detected {} UTC: {}", incident.id, moment(incident.detected_at), incident.reason);
            sheet.cut(0, y, u16::MAX, &text, theme.strong());
        }
    }
}

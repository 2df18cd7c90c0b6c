//! The board: what is alive, what is protected, how far back and forward a recovery can go, and what to do now.
//!
//! The facts are judged elsewhere; here is only where the eye goes. What runs or waits for a person stands first.

mod empty;
mod window;

use super::{Action, Screen, ScreenId, incident};
use crate::base::Timestamp;
use crate::console::input::Key;
use crate::console::keymap::{Binding, Cmd};
use crate::console::model::Model;
use crate::console::theme::{State, Theme};
use crate::console::widgets::{
    bar, cut, cut_at_word, duration, elapsed, left, lines, moment, put, rule, split_rule, time, upright,
    width,
};
use crate::model::board::judge::{self, Judgement, judge};
use crate::model::board::{OpenIncident, Operation};
use crate::model::op::Life;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// The board. It remembers nothing: everything on it is in the model.
#[derive(Debug, Default)]
pub struct BoardScreen;

/// How long an operation that ended stays on the board.
const ENDED_SHOWN_MS: u64 = 3_600_000;

impl Screen for BoardScreen {
    fn id(&self) -> ScreenId {
        ScreenId::Board
    }

    fn title(&self) -> &'static str {
        "board"
    }

    fn bindings(&self, model: &Model) -> Vec<Binding> {
        let key = |key, cmd, label, help| {
            Binding::new(&[Key::Char(key)], cmd, label, help).quiet().unless(model.why_not(cmd))
        };
        let runbook = "The runbook of the open incident: its question.";
        let runbook = model.board.incident.is_some().then(|| key('R', Cmd::Runbook, "runbook", runbook));
        let mut bindings = vec![
            key('i', Cmd::Incident, "incident", "Declare an incident: the clock runs, the journal begins."),
            key('t', Cmd::Recover, "recover", "Choose a target and see the plan. Nothing is started by it."),
            key('b', Cmd::Backups, "backups", "The backups of all repositories."),
            key('w', Cmd::Wal, "WAL", "The archived WAL, timeline by timeline, with its gaps."),
            key('o', Cmd::Operation, "operation", "The operation that runs, was lost, or ran last."),
            key('J', Cmd::Journal, "journal", "The journal of the open incident."),
            key('H', Cmd::History, "history", "All incidents with their recovery times."),
            key('c', Cmd::Doctor, "doctor", "What the configuration means, and where each value comes from."),
        ];
        bindings.splice(1..1, runbook);
        if model.board.incident.is_some() {
            bindings.splice(3..3, incident::ways(model, self.id()));
            // What an incident needs comes before what can wait.
            bindings.sort_by_key(|binding| matches!(binding.cmd, Cmd::Backups | Cmd::Wal));
            bindings.sort_by_key(|binding| matches!(binding.cmd, Cmd::History | Cmd::Doctor));
        }
        bindings
    }

    fn on(&mut self, _model: &Model, _cmd: Cmd) -> Option<Action> {
        None
    }

    fn draw(&self, model: &Model, theme: Theme, area: Rect, buffer: &mut Buffer) {
        let judgement = judge(&model.board, model.now);
        let mut page = Page { model, theme, buffer, rest: area };
        page.attention(&judgement);
        if model.board.identity.stanza.is_none() {
            empty::draw(&mut page);
        } else {
            page.sections(&judgement);
        }
    }
}

/// A page that fills from the top.
struct Page<'a> {
    model: &'a Model,
    theme: Theme,
    buffer: &'a mut Buffer,
    rest: Rect,
}

impl Page<'_> {
    /// Puts a line and goes on below it.
    fn line<'l>(&mut self, line: impl Into<Line<'l>>) {
        put(self.buffer, Rect { height: self.rest.height.min(1), ..self.rest }, line);
        self.skip(1);
    }

    fn skip(&mut self, height: u16) {
        let height = height.min(self.rest.height);
        self.rest.y += height;
        self.rest.height -= height;
    }

    fn rule(&mut self, title: &str) {
        rule(self.buffer, self.rest, Line::from(title), self.theme);
        self.skip(1);
    }

    fn symbol(&self, state: State) -> Span<'static> {
        Span::styled(format!("{} ", self.theme.symbol(state)), self.theme.state(state))
    }

    /// What runs, what is declared, and the one sentence.
    fn attention(&mut self, judgement: &Judgement) {
        let model = self.model;
        if let Some(incident) = &model.board.incident {
            self.line(incident_line(incident, model.now, self.theme));
        }
        let now = model.now;
        for operation in model.board.operations.iter().filter(|it| is_shown(model, it, now)).take(2) {
            self.operation(operation);
        }
        let head = &judgement.headline;
        let columns = usize::from(self.rest.width).saturating_sub(2);
        let style = if head.state == State::Ok { Style::new() } else { self.theme.strong() };
        for (number, text) in lines(&head.text, columns).into_iter().take(2).enumerate() {
            let mark = if number == 0 { self.symbol(head.state) } else { Span::raw("  ") };
            self.line(Line::from(vec![mark, Span::styled(text, style)]));
        }
        if let Some(next) = &head.next {
            for (number, text) in lines(next, columns.saturating_sub(2)).into_iter().take(2).enumerate() {
                let mark = Span::styled(if number == 0 { "  → " } else { "    " }, self.theme.focus());
                self.line(Line::from(vec![mark, Span::raw(text)]));
            }
        }
    }

    fn operation(&mut self, operation: &Operation) {
        let theme = self.theme;
        let (symbol, style, says) = match &operation.life {
            _ if operation.asks => {
                ("?", theme.state(State::Late), "waits for your answer: o opens it".to_owned())
            }
            Life::Starting => ("▶", theme.focus(), "is starting".to_owned()),
            Life::Running { .. } => ("▶", theme.focus(), self.running(operation)),
            Life::Lost => (
                theme.symbol(State::Failed),
                theme.state(State::Failed),
                "lost its worker: o, then resume".to_owned(),
            ),
            Life::Unknown { why } => (
                theme.symbol(State::Unknown),
                theme.state(State::Unknown),
                format!("cannot be looked at: {why}"),
            ),
            Life::Ended => {
                let state = if operation.done { State::Ok } else { State::Failed };
                let ended = operation.ended.clone().unwrap_or_else(|| "ended".to_owned());
                (theme.symbol(state), theme.state(state), ended)
            }
        };
        let room = usize::from(self.rest.width).saturating_sub(4 + width(&says).min(46));
        let summary = cut(&operation.summary, room);
        self.line(Line::from(vec![
            Span::styled(format!("{symbol} "), style),
            Span::styled(summary, theme.strong()),
            Span::raw("  "),
            Span::raw(says),
        ]));
    }

    /// The step, how far it is, and since when.
    fn running(&self, operation: &Operation) -> String {
        let model = self.model;
        let since = operation.started_at.map(|at| duration(elapsed(at, model.now))).unwrap_or_default();
        let step = operation.step.clone().unwrap_or_default();
        let followed = model.operation.as_ref().filter(|it| it.spec.id.as_str() == operation.id);
        let copied = followed.and_then(|it| it.copy).filter(|copy| copy.bytes_total > 0);
        let progress = copied.map(|copy| {
            let percent = u128::from(copy.bytes_done) * 100 / u128::from(copy.bytes_total);
            format!("{} {percent} % ", bar(12, copy.bytes_done, copy.bytes_total))
        });
        format!("{step} {}{since}", progress.unwrap_or_default())
    }

    fn sections(&mut self, judgement: &Judgement) {
        let shown_window =
            window::picture(self.model, judgement.window.as_ref(), usize::from(self.rest.width));
        // The ways from here stand in the last line; only what is more than that is said above it.
        let next = || judgement.next.iter().filter(|it| !matches!(it.key, "b" | "w"));
        let keys = next().map(|it| width(it.key)).max().unwrap_or(0).max(2) + 1;
        let columns = usize::from(self.rest.width).saturating_sub(keys + 1);
        let mut said: Vec<Line<'_>> = next()
            .flat_map(|it| {
                let heads = std::iter::once(it.key).chain(std::iter::repeat(""));
                lines(&it.text, columns).into_iter().zip(heads).map(|(text, key)| {
                    let key = Span::styled(left(key, keys), self.theme.focus());
                    Line::from(vec![Span::raw(" "), key, Span::raw(text)])
                })
            })
            .collect();
        if said.is_empty() && judgement.headline.state == State::Ok {
            said.push(Line::styled(" nothing needs to be done", self.theme.dim()));
        }
        // The two panes take what the window, two suggestions and the keys leave.
        let below = 1 + shown_window.len() + 1 + said.len().min(2) + 1;
        let room = usize::from(self.rest.height).saturating_sub(1 + below).max(2);
        let panes = self.panes(judgement, room);
        // Where there is room, the sections stand apart.
        let needed = 1 + panes[0].len().max(panes[1].len()) + below + said.len().saturating_sub(2);
        let gap = u16::from(usize::from(self.rest.height) >= needed + 4);
        self.skip(gap);
        self.put_panes(panes);
        self.skip(gap);
        let several = self.model.board.repositories.len() > 1;
        self.rule(&window::title(judgement.window.as_ref(), several, self.model.now));
        let theme = self.theme;
        for row in &shown_window {
            self.line(row.line(theme));
        }
        self.skip(gap);
        self.rule("NOW");
        let room = usize::from(self.rest.height).saturating_sub(1);
        said.into_iter().take(room).for_each(|line| self.line(line));
        self.keys();
        self.warnings();
    }

    /// The servers at the left, the repositories at the right.
    fn panes(&self, judgement: &Judgement, room: usize) -> [Vec<Line<'static>>; 2] {
        let at = self.split();
        let right = usize::from(self.rest.width - at - 2);
        [
            self.pane(&judgement.cluster, usize::from(at) - 1, room),
            self.pane(&judgement.protection, right, room),
        ]
    }

    /// The column of the upright line between the panes.
    fn split(&self) -> u16 {
        self.rest.width * 9 / 16
    }

    fn put_panes(&mut self, [left_rows, right_rows]: [Vec<Line<'static>>; 2]) {
        let at = self.split();
        let all = Rect { height: self.rest.height.min(1), ..self.rest };
        split_rule(self.buffer, all, at, [Line::from("CLUSTER"), Line::from("PROTECTION")], self.theme);
        self.skip(1);
        let height = u16::try_from(left_rows.len().max(right_rows.len())).unwrap_or(0).min(self.rest.height);
        let place = Rect { height, ..self.rest };
        upright(self.buffer, Rect { x: place.x + at, ..place }, self.theme);
        for (rows, x, columns) in
            [(left_rows, place.x, at), (right_rows, place.x + at + 2, place.width - at - 2)]
        {
            for (row, y) in rows.into_iter().zip(place.y..place.bottom()) {
                put(self.buffer, Rect { x, y, width: columns, height: 1 }, row);
            }
        }
        self.skip(height);
    }

    /// The lines of one pane: each in one row at least; where there is room the worst are told whole first, then what
    /// to do about them.
    fn pane(&self, judged: &[judge::Line], columns: usize, room: usize) -> Vec<Line<'static>> {
        let judged = matter_most(judged, room);
        let names = judged.iter().map(|line| width(&line.name)).max().unwrap_or(0).min(12);
        let text_columns = columns.saturating_sub(names + 4).max(8);
        let mut shown: Vec<Vec<Line<'static>>> = judged
            .iter()
            .map(|line| vec![self.row(line, names, &cut_at_word(&line.text, text_columns))])
            .collect();
        let mut worst_first: Vec<usize> = (0..judged.len()).collect();
        worst_first.sort_by_key(|at| std::cmp::Reverse(judged[*at].state));
        for with_next in [false, true] {
            for at in &worst_first {
                let used: usize = shown.iter().map(Vec::len).sum();
                let rows = self.rows(judged[*at], names, text_columns, with_next);
                if used - shown[*at].len() + rows.len() <= room {
                    shown[*at] = rows;
                }
            }
        }
        let mut rows: Vec<Line<'static>> = shown.into_iter().flatten().collect();
        rows.truncate(room);
        rows
    }

    fn rows(&self, line: &judge::Line, names: usize, columns: usize, with_next: bool) -> Vec<Line<'static>> {
        let mut texts = lines(&line.text, columns).into_iter();
        let mut rows = vec![self.row(line, names, &texts.next().unwrap_or_default())];
        let indent = " ".repeat(names + 4);
        rows.extend(texts.map(|text| Line::from(format!("{indent}{text}"))));
        if let Some(next) = line.next.as_ref().filter(|_| with_next) {
            let next = lines(&format!("→ {next}"), columns);
            rows.extend(
                next.into_iter().map(|text| Line::styled(format!("{indent}{text}"), self.theme.dim())),
            );
        }
        rows
    }

    fn row(&self, line: &judge::Line, names: usize, text: &str) -> Line<'static> {
        let name = left(&line.name, names + 2);
        Line::from(vec![self.symbol(line.state), Span::raw(name), Span::raw(text.to_owned())])
    }

    /// The ways from here, those that lead nowhere now dimmed.
    fn keys(&mut self) {
        let mut spans = vec![Span::raw(" ")];
        // Where an incident is open nobody declares another one, and the line has no room for both.
        let open = self.model.board.incident.is_some();
        let shown = |binding: &Binding| !open || binding.cmd != Cmd::Incident;
        let bindings = BoardScreen.bindings(self.model).into_iter().filter(shown).collect();
        for binding in fitting(bindings, usize::from(self.rest.width)) {
            let open = binding.disabled.is_none();
            let key = binding.keys.first().map(ToString::to_string).unwrap_or_default();
            spans.push(Span::styled(key, if open { self.theme.focus() } else { self.theme.dim() }));
            let style = if open { Style::new() } else { self.theme.dim() };
            spans.push(Span::styled(format!(" {}  ", binding.label), style));
        }
        self.line(Line::from(spans));
    }

    /// Where there is room: what was odd while looking.
    fn warnings(&mut self) {
        let warnings = &self.model.board.warnings;
        if warnings.is_empty() || self.rest.height < 3 {
            return;
        }
        self.skip(1);
        self.rule("ODD");
        let columns = usize::from(self.rest.width).saturating_sub(2);
        for text in warnings.iter().flat_map(|warning| lines(warning, columns)) {
            let late = self.symbol(State::Late);
            self.line(Line::from(vec![late, Span::raw(text)]));
        }
    }
}

/// The keys there is room for: first those give way that lead nowhere now, then the last ones.
fn fitting(mut bindings: Vec<Binding>, columns: usize) -> Vec<Binding> {
    let taken = |binding: &Binding| {
        binding.keys.first().map_or(0, |key| width(&key.to_string())) + width(&binding.label) + 3
    };
    while bindings.iter().map(taken).sum::<usize>() > columns + 1 {
        let closed = bindings.iter().rposition(|binding| binding.disabled.is_some());
        match closed.or_else(|| bindings.len().checked_sub(1)) {
            Some(at) => drop(bindings.remove(at)),
            None => break,
        }
    }
    bindings
}

/// What is shown where there is no room for all: what is as it should be gives way, from the end on.
fn matter_most(judged: &[judge::Line], room: usize) -> Vec<&judge::Line> {
    let mut kept: Vec<&judge::Line> = judged.iter().collect();
    while kept.len() > room.max(1) {
        let best = kept.iter().map(|line| line.state).min();
        match kept.iter().rposition(|line| Some(line.state) == best) {
            Some(at) => drop(kept.remove(at)),
            None => break,
        }
    }
    kept
}

/// Live, lost and asking operations always; ended ones for a while.
fn is_shown(model: &Model, operation: &Operation, now: Timestamp) -> bool {
    let followed = model.operation.as_ref().filter(|it| it.spec.id.as_str() == operation.id);
    let ended_at =
        followed.and_then(|it| it.state.ended.as_ref()).map(|(at, _)| *at).or(operation.started_at);
    operation.life != Life::Ended || ended_at.is_some_and(|at| elapsed(at, now) < ENDED_SHOWN_MS)
}

fn incident_line(incident: &OpenIncident, now: Timestamp, theme: Theme) -> Line<'static> {
    let back = incident.service_back_at.map(|at| format!(", service back {}", time(at, now)));
    let detected = if incident.detected_at.to_utc().date_naive() == now.to_utc().date_naive() {
        time(incident.detected_at, now)
    } else {
        moment(incident.detected_at)
    };
    Line::from(vec![
        Span::styled(format!("INCIDENT {}", incident.id), theme.strong()),
        Span::raw(format!("  detected {detected} UTC{}  ", back.unwrap_or_default())),
        Span::raw(incident.reason.clone()),
    ])
}

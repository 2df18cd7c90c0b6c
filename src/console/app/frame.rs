//! The picture: one line that says where one is, the screen, one line of messages, one line of keys.

use super::{App, SMALLEST};
use crate::console::keymap::{Binding, Cmd};
use crate::console::modal::Canvas;
use crate::console::theme::{State, Theme};
use crate::console::widgets::{beside, clock, cut, duration, elapsed, lines, put, width, with_more};
use crate::model::board::DataDirFacts;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget as _};

/// The most lines of a message; `:log` has all of it.
const MOST_LINES: usize = 3;

impl App {
    /// Draws everything.
    pub fn draw(&self, frame: &mut Frame<'_>) {
        let area = frame.area();
        self.paint(area, frame.buffer_mut());
    }

    /// Draws everything into a buffer.
    pub fn paint(&self, area: Rect, buffer: &mut Buffer) {
        if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
            too_small(area, buffer);
        } else {
            self.whole(area, buffer);
        }
        self.theme.finish(buffer);
    }

    fn whole(&self, area: Rect, buffer: &mut Buffer) {
        let line = |y: u16| Rect { y, height: 1, ..area };
        let screen = Rect { y: area.y + 1, height: area.height - 3, ..area };
        let (below, last) = (line(area.bottom() - 2), line(area.bottom() - 1));
        let bindings = self.bindings();
        self.header(line(area.y), buffer);
        self.screens.shown().draw(&self.model, self.theme, screen, buffer);
        self.message(below, buffer);
        footer(&bindings, self.theme, last, buffer);
        let canvas = Canvas {
            model: &self.model,
            screen: self.screens.shown(),
            theme: self.theme,
            bindings: &bindings,
            area: screen,
            below,
        };
        for window in &self.windows {
            window.draw(&canvas, buffer);
        }
    }

    /// Which cluster, in which environment, and the clocks. What does not fit goes, the least important first.
    fn header(&self, area: Rect, buffer: &mut Buffer) {
        let clocks = self.clocks(area.width);
        let room = usize::from(area.width).saturating_sub(clocks.width() + 2);
        let identity = &self.model.board.identity;
        let who = identity.stanza.as_deref().unwrap_or("no stanza");
        let data_dir = self.data_dir();
        let mut parts: Vec<(u8, Span<'_>)> =
            vec![(0, Span::styled(format!("{who} @ {}", identity.host), self.theme.strong()))];
        if let Some(facts) = data_dir {
            parts.push((3, Span::raw(format!("PG {}", facts.version))));
            let id = facts.system_id.to_string();
            let tail = id.char_indices().rev().nth(3).map_or(id.as_str(), |(at, _)| &id[at..]);
            parts.push((4, Span::styled(format!("sysid …{tail}"), self.theme.dim())));
        }
        if let Some(label) = &identity.label {
            parts.push((1, Span::styled(format!(" {label} "), self.theme.chosen())));
        }
        if identity.read_only {
            parts.push((2, Span::styled("READ-ONLY", self.theme.state(State::Late))));
        }
        let taken = |parts: &[(u8, Span<'_>)]| parts.iter().map(|(_, span)| span.width() + 3).sum::<usize>();
        while taken(&parts) > room + 3 && parts.iter().any(|(rank, _)| *rank > 2) {
            let least = parts.iter().map(|(rank, _)| *rank).max();
            parts.retain(|(rank, _)| Some(*rank) != least);
        }
        // The environment and whether anything can be done stay whatever the cluster is called.
        let others = taken(&parts[1..]);
        if taken(&parts) > room + 3 {
            parts[0].1.content = cut(&parts[0].1.content, room.saturating_sub(others)).into();
        }
        let mut spans: Vec<Span<'_>> = Vec::new();
        for (_, span) in parts {
            if !spans.is_empty() {
                spans.push(Span::styled(" · ", self.theme.dim()));
            }
            spans.push(span);
        }
        put(buffer, Rect { width: u16::try_from(room).unwrap_or(area.width), ..area }, Line::from(spans));
        let columns = u16::try_from(clocks.width()).unwrap_or(area.width).min(area.width);
        put(buffer, Rect { x: area.right() - columns, width: columns, ..area }, clocks);
    }

    fn data_dir(&self) -> Option<&DataDirFacts> {
        self.model.board.members.iter().find_map(|member| member.data_dir.as_ref()?.value())
    }

    /// The clock of the open incident, and the time.
    fn clocks(&self, columns: u16) -> Line<'static> {
        let mut spans = Vec::new();
        if let Some(incident) = &self.model.board.incident {
            let view = self.model.incident.as_ref().filter(|view| view.id == incident.id);
            let target_s = view.map_or(self.model.board.limits.rto_s, |view| view.rto_s);
            let until = incident.service_back_at.unwrap_or(self.model.now);
            let ms = elapsed(incident.detected_at, until);
            let over = ms > target_s.saturating_mul(1000);
            let style = match (over, incident.service_back_at.is_some()) {
                (true, _) => self.theme.state(State::Failed),
                (false, true) => self.theme.state(State::Ok),
                (false, false) => Style::new(),
            };
            let text = format!("RTO {} of {}", hours(ms / 1000), duration(target_s.saturating_mul(1000)));
            spans.push(Span::styled(text, style.patch(self.theme.strong())));
            spans.push(Span::raw("  "));
        }
        spans.push(Span::raw(format!("{} UTC", clock(self.model.now))));
        let local = beside(self.model.now, self.model.zone);
        // Where it is narrow the incident's clock and the environment's label need the room more.
        if !local.is_empty() && (self.model.board.incident.is_none() || columns >= 100) {
            spans.push(Span::styled(format!(" ({local})"), self.theme.dim()));
        }
        Line::from(spans)
    }

    /// The last message while it is new; else the way one came.
    fn message(&self, area: Rect, buffer: &mut Buffer) {
        if let Some(last) = self.notices.last().filter(|_| !self.dismissed) {
            let style = self.theme.state(last.state);
            let said = few_lines(&last.text, usize::from(area.width) - 2);
            // What is longer than the line grows upwards, over the screen, as long as it is shown.
            let top = area.y + 1 - u16::try_from(said.len()).unwrap_or(1);
            for (y, (text, sign)) in (top..).zip(
                said.into_iter()
                    .zip(std::iter::once(self.theme.symbol(last.state)).chain(std::iter::repeat(" "))),
            ) {
                let place = Rect { y, ..area };
                Clear.render(place, buffer);
                put(
                    buffer,
                    place,
                    Line::from(vec![Span::styled(format!("{sign} "), style), Span::raw(text)]),
                );
            }
            return;
        }
        let crumbs: Vec<&str> = self.screens.crumbs().collect();
        if crumbs.len() > 1 {
            put(buffer, area, Span::styled(crumbs.join(" › "), self.theme.dim()));
        }
    }
}

/// A message in as many lines as it takes, few at most.
fn few_lines(text: &str, columns: usize) -> Vec<String> {
    let mut said = lines(text, columns);
    if said.len() > MOST_LINES {
        said.truncate(MOST_LINES);
        if let Some(last) = said.last_mut() {
            *last = with_more(last, columns);
        }
    }
    if said.is_empty() { vec![String::new()] } else { said }
}

/// `01:00:00`, with days where there are any.
fn hours(s: u64) -> String {
    let day = if s >= 86400 { format!("{}d ", s / 86400) } else { String::new() };
    format!("{day}{:02}:{:02}:{:02}", s / 3600 % 24, s / 60 % 60, s % 60)
}

/// The keys of the screen; those of every screen give way, help and quit never.
fn footer(bindings: &[Binding], theme: Theme, area: Rect, buffer: &mut Buffer) {
    let shown: Vec<&Binding> = fitting(bindings, usize::from(area.width));
    let mut spans = Vec::new();
    for binding in shown {
        if !spans.is_empty() {
            spans.push(Span::raw("  "));
        }
        let enabled = binding.disabled.is_none();
        let key = binding.keys.first().map(ToString::to_string).unwrap_or_default();
        spans.push(Span::styled(key, if enabled { theme.focus() } else { theme.dim() }));
        let label = if enabled { Style::new() } else { theme.dim() };
        spans.push(Span::styled(format!(" {}", binding.label), label));
    }
    put(buffer, area, Line::from(spans));
}

/// What stands in a footer of this width. In the order in which they give way: refresh, the palette, then the
/// screen's own from the last on.
pub(super) fn fitting(bindings: &[Binding], columns: usize) -> Vec<&Binding> {
    let mut shown: Vec<&Binding> = bindings.iter().filter(|binding| binding.in_footer).collect();
    let taken = |binding: &&Binding| {
        binding.keys.first().map_or(0, |key| width(&key.to_string())) + width(&binding.label) + 3
    };
    while shown.iter().map(taken).sum::<usize>() > columns + 2 {
        let gives_way =
            [Cmd::Refresh, Cmd::Palette].into_iter().find_map(|cmd| shown.iter().position(|b| b.cmd == cmd));
        let own = || shown.iter().rposition(|binding| !matches!(binding.cmd, Cmd::Help | Cmd::Quit));
        match gives_way.or_else(own) {
            Some(at) => drop(shown.remove(at)),
            None => break,
        }
    }
    shown
}

fn too_small(area: Rect, buffer: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    let text = format!(
        "{}×{} is too small: enlarge to {}×{}  q quit",
        area.width, area.height, SMALLEST.0, SMALLEST.1
    );
    let shown = lines(&text, usize::from(area.width));
    let top = area.y + area.height.saturating_sub(u16::try_from(shown.len()).unwrap_or(0)) / 2;
    for (line, y) in shown.iter().zip(top..area.bottom()) {
        put(buffer, Rect { y, height: 1, ..area }, line.as_str());
    }
}

//! The picture of the comms: who is due when, the draft, the channels, the messages; or the draft that is to be sent.

use super::{Row, Shown, TalkScreen, message, queued, rows};
use crate::base::Timestamp;
use crate::console::model::{Loaded, Model};
use crate::console::screens::incident;
use crate::console::screens::paint::{Sheet, counted, since};
use crate::console::theme::{State, Theme};
use crate::console::widgets::{Selection, left, lines, time};
use crate::incident::comms::{Queued, Status};
use crate::incident::standing::{Channel, ChannelState, Message};
use crate::incident::{Audience, IncidentView, Role, words};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Lines the messages have at least.
const MESSAGES: u16 = 4;

/// Draws it.
pub(super) fn screen(screen: &TalkScreen, model: &Model, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let mut sheet = Sheet::new(theme, area, buffer);
    let Some(view) = incident::shown(model) else {
        let what = "Updates are due and sent in an incident.";
        return incident::none(&mut sheet, model, "COMMS", what);
    };
    if let Some(shown) = &screen.shown {
        return to_be_sent(&mut sheet, shown, model);
    }
    let lead = view.standing.holder(Role::Comms).unwrap_or("nobody");
    sheet.rule(0, "COMMS", &format!("{} · Comms Lead: {lead}", view.id));
    let chosen = screen.row(view);
    let mut y = 1;
    for audience in Audience::ALL {
        audience_line(&mut sheet, y, *audience, model, view);
        if chosen == Some(Row::Audience(*audience)) {
            sheet.restyle(y, theme.chosen());
        }
        y += 1;
    }
    y += troubles(&mut sheet.below(y), model);
    let channels = model.talk.value().map_or(0, |talk| talk.webhooks.len().min(4));
    let below = 2 + u16::try_from(channels.max(1)).unwrap_or(4) + MESSAGES;
    let room = sheet.height().saturating_sub(y + below);
    y += draft(&mut sheet.part(0, y, u16::MAX, room), screen, model, view);
    y += self::channels(&mut sheet.below(y), model);
    messages(&mut sheet.below(y), screen.selected, model, view);
}

/// Whom to tell when.
fn audience_line(sheet: &mut Sheet<'_>, y: u16, audience: Audience, model: &Model, view: &IncidentView) {
    let theme = sheet.theme;
    sheet.text(2, y, audience.said(), theme.strong());
    let talk = model.talk.value();
    let due = talk.and_then(|talk| talk.next(audience));
    if let Some(due) = due {
        let state = if due.late_ms(model.now).is_some() { State::Late } else { State::Ok };
        sheet.text(0, y, theme.symbol(state), theme.state(state));
        let style = if state == State::Late { theme.state(state) } else { Style::new() };
        sheet.cut(11, y, 16, &due.said(model.now), style);
        sheet.cut(28, y, 12, &format!("every {}", words::seconds(due.every_s)), theme.dim());
    } else {
        let text = if view.closed_at.is_some() { "nothing is due any more" } else { "not known yet" };
        sheet.text(11, y, text, theme.dim());
    }
    let told = view.standing.told.get(&audience);
    let told = told.map_or_else(|| "never told".to_owned(), |at| format!("told {}", time(*at, model.now)));
    sheet.cut(41, y, 14, &told, theme.dim());
    let by = match talk.map(|talk| talk.channels(audience)) {
        None => String::new(),
        Some(channels) if channels.is_empty() => "by nobody: no webhook".to_owned(),
        Some(channels) => channels.join(", "),
    };
    sheet.cut(56, y, u16::MAX, &by, theme.dim());
}

/// What could not be looked at.
fn troubles(sheet: &mut Sheet<'_>, model: &Model) -> u16 {
    let theme = sheet.theme;
    let style = theme.state(State::Late);
    let failed = match &model.talk {
        Loaded::Failed(why, _) => Some(why.lines().next().unwrap_or_default()),
        _ => None,
    };
    let troubles = model.talk.value().into_iter().flat_map(|talk| &talk.troubles).map(String::as_str);
    let mut y = 0;
    for trouble in failed.into_iter().chain(troubles).take(2) {
        sheet.text(0, y, theme.symbol(State::Late), style);
        sheet.text(2, y, trouble, style);
        y += 1;
    }
    y
}

fn draft(sheet: &mut Sheet<'_>, screen: &TalkScreen, model: &Model, view: &IncidentView) -> u16 {
    let room = usize::from(sheet.height());
    if room < 2 || view.closed_at.is_some() {
        return 0;
    }
    let audience = screen.audience(view);
    sheet.rule(0, "DRAFT", &format!("{}, the facts as they are now; d shows it to be sent", audience.said()));
    let width = usize::from(sheet.width().saturating_sub(2));
    let text = lines(&screen.draft(model, view), width);
    let cut = text.len() > room - 1;
    let shown = if cut { room - 2 } else { text.len() };
    let mut y = 1;
    for line in text.iter().take(shown) {
        sheet.text(2, y, line, Style::new());
        y += 1;
    }
    if cut {
        sheet.text(2, y, &format!("… {} lines more: d", text.len() - shown), sheet.theme.dim());
        y += 1;
    }
    y
}

fn channels(sheet: &mut Sheet<'_>, model: &Model) -> u16 {
    let Some(talk) = model.talk.value() else { return 0 };
    let theme = sheet.theme;
    sheet.rule(0, "CHANNELS", "");
    if talk.webhooks.is_empty() {
        sheet.text(2, 1, "none; add [[stanza.NAME.webhook]] to pgmayday.toml", theme.dim());
        return 2;
    }
    let mut y = 1;
    for hook in talk.webhooks.iter().take(4) {
        let who: Vec<&str> = hook.audience.iter().map(|audience| audience.said()).collect();
        let text = format!("{} {} {}", left(&hook.name, 16), left(&who.join(", "), 20), hook.place);
        sheet.text(2, y, &text, Style::new());
        y += 1;
    }
    y
}

fn waiting(talk: Option<&Status>, view: &IncidentView) -> String {
    let told = || view.standing.waiting_messages().count();
    match talk.map_or_else(told, |talk| talk.waiting.len()) {
        0 => "nothing waits".to_owned(),
        1 => "1 waits, tried again by itself".to_owned(),
        number => format!("{number} wait, tried again by themselves"),
    }
}

fn messages(sheet: &mut Sheet<'_>, selected: Selection, model: &Model, view: &IncidentView) {
    let theme = sheet.theme;
    let talk = model.talk.value();
    sheet.rule(0, "MESSAGES", &format!("{}, {}", view.standing.messages.len(), waiting(talk, view)));
    if view.standing.messages.is_empty() {
        sheet.text(2, 1, "none yet", theme.dim());
        return;
    }
    let before = Audience::ALL.len();
    let all = rows(view);
    let messages = &all[before.min(all.len())..];
    let mut place = Selection::default();
    let chosen = selected.at().checked_sub(before);
    place.choose(chosen.unwrap_or(0));
    let room = usize::from(sheet.height().saturating_sub(1));
    let first = place.first(messages.len(), room);
    for (y, (at, row)) in (1..).zip(messages.iter().enumerate().skip(first).take(room)) {
        let Row::Message(id) = row else { continue };
        if let Some(message) = message(view, id) {
            message_line(sheet, y, message, queued(model, id), model.now);
        }
        if chosen == Some(at) {
            sheet.restyle(y, theme.chosen());
        }
    }
}

fn message_line(sheet: &mut Sheet<'_>, y: u16, message: &Message, queued: Option<&Queued>, now: Timestamp) {
    let theme = sheet.theme;
    let some = |state| message.channels.iter().any(|channel| channel.state == state);
    let states = [
        (ChannelState::Failed, State::Failed),
        (ChannelState::Waiting, State::Late),
        (ChannelState::Sent, State::Ok),
    ];
    let state = states.into_iter().find(|(state, _)| some(*state)).map_or(State::Unknown, |(_, said)| said);
    sheet.text(0, y, theme.symbol(state), theme.state(state));
    let head = format!(
        "{} {} {}",
        left(&time(message.at, now), 9),
        left(message.audience.said(), 9),
        left(&message.by, 9)
    );
    let x = sheet.text(2, y, &head, theme.dim());
    let came: Vec<String> = message.channels.iter().map(|channel| came_of(channel, queued, now)).collect();
    sheet.text(x + 1, y, &came.join("; "), Style::new());
}

/// What came of a message on a channel, and what happens next.
pub(super) fn came_of(channel: &Channel, queued: Option<&Queued>, now: Timestamp) -> String {
    let name = &channel.name;
    let waiting = queued.and_then(|queued| queued.channels.iter().find(|known| known.name == *name));
    match channel.state {
        ChannelState::Sent => format!("{name} took it {}", time(channel.at, now)),
        ChannelState::Dropped => format!("given up for {name}"),
        ChannelState::Waiting | ChannelState::Failed => {
            let why = waiting.map_or(channel.why.as_str(), |waiting| waiting.why.as_str());
            let why = if why.is_empty() { String::new() } else { format!(": {why}") };
            let Some(waiting) = waiting else { return format!("queued for {name}{why}") };
            let next = if waiting.not_before > now {
                format!("in {}", since(now, waiting.not_before))
            } else {
                "now".to_owned()
            };
            let tries = counted(u64::from(waiting.attempts), "try", "tries");
            format!("queued for {name}, {tries}, next {next}{why}")
        }
    }
}

/// The draft as it is sent by Enter.
fn to_be_sent(sheet: &mut Sheet<'_>, shown: &Shown, model: &Model) {
    let theme = sheet.theme;
    let channels = model.talk.value().map(|talk| talk.channels(shown.audience)).unwrap_or_default();
    let by = if channels.is_empty() { "no channel".to_owned() } else { channels.join(", ") };
    sheet.rule(0, "SEND THIS?", &format!("{} update, by {by}", shown.audience.said()));
    let width = usize::from(sheet.width().saturating_sub(4));
    let text = lines(&shown.text, width);
    let room = usize::from(sheet.height().saturating_sub(5));
    let first = shown.scroll.min(text.len().saturating_sub(room));
    let mut y = 2;
    for line in text.iter().skip(first).take(room) {
        sheet.text(2, y, line, theme.strong());
        y += 1;
    }
    let witness = "The end of the journal is added as its last line: whoever gets it is a witness.";
    sheet.wrapped(2, y + 1, witness, theme.dim());
    if first + room < text.len() {
        sheet.text(2, y, "more below: Down", theme.focus());
    }
}

//! The picture of the runbook.

use crate::base::Timestamp;
use crate::console::model::{Loaded, Model};
use crate::console::screens::ScreenId;
use crate::console::screens::paint::{Sheet, near, since};
use crate::console::screens::talk;
use crate::console::theme::{State, Theme};
use crate::console::widgets::{age, clock, cut, lines};
use crate::model::guide::{GuideKind, GuideNode, GuideStep, GuideView};
use crate::model::question::judge::{Finding, Proposal};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Columns of the way here.
const PATH: u16 = 25;

/// Draws it.
pub(super) fn screen(model: &Model, item: usize, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let mut sheet = Sheet::new(theme, area, buffer);
    match &model.guide {
        Loaded::No if model.board.incident.is_none() => {
            sheet.rule(0, "RUNBOOK", "no incident");
            let text = "A runbook is walked in an incident. i on the board declares one: the clock starts, and the \
                        first question is asked here. `pgmayday runbook list` shows what there is to read.";
            sheet.wrapped(3, 2, text, Style::new());
        }
        Loaded::Failed(why, None) => {
            sheet.rule(0, "RUNBOOK", "cannot be shown");
            sheet.wrapped(3, 2, why, theme.state(State::Failed));
        }
        guide => {
            if let Some(guide) = guide.value() {
                let foot = sheet.height().saturating_sub(1);
                talk::line(&mut sheet, foot, model);
                whole(&mut sheet.part(0, 0, u16::MAX, foot), model, guide, item);
            } else {
                sheet.rule(0, "RUNBOOK", "");
                sheet.text(3, 2, "being read", theme.dim());
            }
        }
    }
}

fn whole(sheet: &mut Sheet<'_>, model: &Model, guide: &GuideView, item: usize) {
    let theme = sheet.theme;
    let more = format!("{}. of {}", guide.node.section, guide.title);
    sheet.rule(0, word(guide), if guide.fresh { &guide.title } else { &more });
    path(&mut sheet.part(0, 1, PATH, u16::MAX), guide);
    sheet.part(0, 1, u16::MAX, u16::MAX).upright(PATH);
    let mut right = sheet.part(PATH + 2, 1, u16::MAX, u16::MAX);
    let mut y = 0;
    for trouble in &guide.troubles {
        y += right.said(
            y,
            (theme.symbol(State::Late), theme.state(State::Late)),
            trouble,
            theme.state(State::Late),
        );
    }
    if guide.fresh {
        y += right.wrapped(0, y, "Nobody has begun it: Enter takes the first step.", Style::new());
    }
    y += right.wrapped(0, y, &guide.node.title, theme.strong()).max(1);
    y += late(&mut right, y, guide, model.now);
    let room = right.height().saturating_sub(y);
    node(&mut right.part(0, y, u16::MAX, room), model, guide, item);
}

fn word(guide: &GuideView) -> &'static str {
    match guide.node.kind {
        GuideKind::Decide => "QUESTION",
        GuideKind::Checklist => "CHECKLIST",
        GuideKind::Act if guide.node.by_hand => "TO DO BY HAND",
        GuideKind::Act => "TO DO",
        GuideKind::Notify => "TELL",
        GuideKind::End => "END",
    }
}

/// The nodes on the way here, the last ones if there is no room for all.
fn path(sheet: &mut Sheet<'_>, guide: &GuideView) {
    let theme = sheet.theme;
    let room = usize::from(sheet.height().saturating_sub(2));
    let shown = room / 2;
    let first = guide.path.len().saturating_sub(shown);
    let mut y = 0;
    if first > 0 {
        sheet.text(0, y, &format!("… {first} before"), theme.dim());
        y += 1;
    }
    for step in &guide.path[first..] {
        step_lines(sheet, y, step);
        y += 2;
    }
    sheet.text(0, y, "▶", theme.focus());
    for line in lines(&guide.node.title, usize::from(PATH - 3)).into_iter().take(3) {
        sheet.text(2, y, &line, theme.strong());
        y += 1;
    }
}

fn step_lines(sheet: &mut Sheet<'_>, y: u16, step: &GuideStep) {
    let theme = sheet.theme;
    let state = if step.well { State::Ok } else { State::Failed };
    sheet.text(0, y, theme.symbol(state), theme.state(state));
    sheet.cut(2, y, PATH - 2, &step.title, Style::new());
    let at = step.at.map_or_else(String::new, clock);
    let against = if step.against.is_some() { "! " } else { "" };
    let text = format!("{against}{} {at} {}", step.left, step.by);
    sheet.cut(
        2,
        y + 1,
        PATH - 2,
        &text,
        if against.is_empty() { theme.dim() } else { theme.state(State::Late) },
    );
}

/// How long one is at it, once that is longer than planned.
fn late(sheet: &mut Sheet<'_>, y: u16, guide: &GuideView, now: Timestamp) -> u16 {
    let (Some(entered), Some(within_s)) = (guide.node.entered_at, guide.node.within_s) else { return 0 };
    let spent_s = now.unix_s().saturating_sub(entered.unix_s());
    if u64::try_from(spent_s).unwrap_or(0) <= within_s {
        return 0;
    }
    let text = format!("{} at this step: ask for help", since(entered, now));
    let style = sheet.theme.state(State::Late);
    sheet.said(y, (sheet.theme.symbol(State::Late), style), &text, style)
}

fn node(sheet: &mut Sheet<'_>, model: &Model, guide: &GuideView, item: usize) {
    match guide.node.kind {
        GuideKind::Decide => decide(sheet, model, guide),
        GuideKind::Checklist => checklist(sheet, guide, item),
        GuideKind::Act | GuideKind::Notify => act(sheet, guide),
        GuideKind::End => end(sheet, guide),
    }
}

fn decide(sheet: &mut Sheet<'_>, model: &Model, guide: &GuideView) {
    let theme = sheet.theme;
    let below = u16::try_from(guide.node.ways.len()).unwrap_or(u16::MAX).saturating_add(3);
    let mut y = 0;
    let why = lines(&guide.node.prose.join(" "), usize::from(sheet.width()));
    // Evidence needs the room more than prose, which `e` shows whole.
    let shown = if guide.node.ways.len() > 5 { 1 } else { 3 };
    for (at, line) in why.iter().enumerate().take(shown) {
        let is_cut = at + 1 == shown && why.len() > shown;
        let line =
            if is_cut { format!("{} …", cut(line, usize::from(sheet.width()) - 2)) } else { line.clone() };
        sheet.text(0, y, &line, theme.dim());
        y += 1;
    }
    y += 1;
    if let Some(proposal) = &guide.proposal {
        let room = sheet.height().saturating_sub(y + below + 1);
        y += findings(&mut sheet.part(0, y, u16::MAX, room), proposal, model.now);
        y += 1;
        y += proposed(&mut sheet.below(y), guide, proposal);
    } else {
        let text = "The program cannot see this: look yourself (e shows how), then answer.";
        y += sheet.wrapped(0, y, text, Style::new());
    }
    y += 1;
    for way in &guide.node.ways {
        let key = way.key.map_or_else(String::new, String::from);
        let x = sheet.text(1, y, &key, theme.focus());
        let x = sheet.cut(x + 2, y, u16::MAX, &way.label, Style::new());
        if let Some(room) = sheet.width().checked_sub(x + 4).filter(|room| *room > 10) {
            sheet.cut(x + 1, y, room + 3, &format!("→ {}", way.to), theme.dim());
        }
        y += 1;
    }
}

/// What was seen, what speaks against all being well first; `e` has the rest.
fn findings(sheet: &mut Sheet<'_>, proposal: &Proposal, now: Timestamp) -> u16 {
    let theme = sheet.theme;
    let rank = |finding: &&Finding| match finding.sign {
        State::Failed => 0,
        State::Late => 1,
        State::Unknown => 2,
        State::Ok => 3,
    };
    let mut shown: Vec<&Finding> = proposal.findings.iter().collect();
    shown.sort_by_key(rank);
    let mut y = 0;
    for (at, finding) in shown.iter().enumerate() {
        let left = shown.len() - at;
        if y + 1 >= sheet.height() && left > 1 {
            sheet.text(2, y, &format!("{left} more: e"), theme.dim());
            return y + 1;
        }
        let seen = finding.at.map_or_else(String::new, |at| age(at, now));
        let width = sheet.width().saturating_sub(9);
        sheet.text(0, y, theme.symbol(finding.sign), theme.state(finding.sign));
        sheet.text(2, y, &cut(&finding.text, usize::from(width)), Style::new());
        sheet.right(sheet.width().saturating_sub(6), y, 6, &seen, theme.dim());
        y += 1;
    }
    y
}

fn proposed(sheet: &mut Sheet<'_>, guide: &GuideView, proposal: &Proposal) -> u16 {
    let theme = sheet.theme;
    let exit = proposal.exit.and_then(|exit| guide.node.ways.iter().find(|way| way.id == exit));
    let text = match exit {
        Some(way) => format!("Proposal: {}. {}", way.label, proposal.reason),
        None => format!("No proposal: {}", proposal.reason),
    };
    let style = if exit.is_some() { theme.strong() } else { theme.state(State::Unknown) };
    sheet.wrapped(0, 0, &text, style)
}

fn checklist(sheet: &mut Sheet<'_>, guide: &GuideView, chosen: usize) {
    let theme = sheet.theme;
    let mut y = 1;
    for (at, item) in guide.node.items.iter().enumerate() {
        let (mark, style) = match item.done {
            Some(true) if item.not_applicable => ("[-]", theme.state(State::Ok)),
            Some(true) => ("[x]", theme.state(State::Ok)),
            Some(false) => ("[!]", theme.state(State::Failed)),
            None if item.holds_by_itself() => ("[ ]", theme.state(State::Ok)),
            None => ("[ ]", Style::new()),
        };
        sheet.text(0, y, mark, style);
        if item.holds_by_itself() {
            sheet.text(1, y, theme.symbol(State::Ok), theme.state(State::Ok));
        }
        let must = if item.blocking { "" } else { " (advisory)" };
        let text = format!("{}{must}", item.text);
        let style = if at == chosen { theme.strong() } else { Style::new() };
        let shown = sheet.part(4, y, u16::MAX, u16::MAX).wrapped(0, 0, &text, style).max(1);
        if at == chosen {
            sheet.text(3, y, "▸", theme.focus());
            y += shown;
            let why = item.why.as_deref().unwrap_or_default();
            y += sheet.part(4, y, u16::MAX, u16::MAX).wrapped(0, 0, why, theme.dim());
            if let Some(seen) = &item.seen {
                let state = match seen.holds {
                    Some(true) => State::Ok,
                    Some(false) => State::Failed,
                    None => State::Unknown,
                };
                let mark = (theme.symbol(state), theme.state(state));
                y += sheet.part(4, y, u16::MAX, u16::MAX).said(0, mark, &seen.text, Style::new());
            }
            if let Some((by, when)) = &item.by {
                let note = item.note.as_ref().map_or_else(String::new, |note| format!(": {note}"));
                let said = format!("{by}, {}{note}", clock(*when));
                y += sheet.part(4, y, u16::MAX, u16::MAX).wrapped(0, 0, &said, theme.dim());
            }
        } else {
            y += shown;
        }
    }
}

fn act(sheet: &mut Sheet<'_>, guide: &GuideView) {
    let theme = sheet.theme;
    let mut y = 0;
    for line in &guide.node.prose {
        y += sheet.wrapped(0, y, line, theme.dim());
    }
    y += 1;
    for line in commands(&guide.node) {
        y += sheet.wrapped(1, y, &line, Style::new()).max(1);
    }
    if !guide.node.missing.is_empty() {
        y += sheet.wrapped(1, y, "s says what they stand for", theme.dim());
    }
    if let Some((_, by, at)) = &guide.node.began {
        let text = match &guide.node.done_by {
            Some(_) => format!("a worker does it since {} for {by}: o shows how far it is", clock(*at)),
            None => format!("begun {} by {by}: d when it is done, f if it failed", clock(*at)),
        };
        sheet.wrapped(0, y + 1, &text, theme.strong());
    }
}

fn end(sheet: &mut Sheet<'_>, guide: &GuideView) {
    let mut y = 0;
    for paragraph in &guide.node.prose {
        y += sheet.wrapped(0, y, paragraph, Style::new()) + 1;
    }
    if let Some(next) = &guide.node.next_runbook {
        sheet.text(0, y, &format!("It goes on with the runbook {next}: Enter."), sheet.theme.strong());
    }
}

/// The commands of an act with what is still to be filled in.
pub(super) fn commands(node: &GuideNode) -> Vec<String> {
    let mut lines = node.lines.clone();
    if !node.missing.is_empty() {
        lines.push(String::new());
        lines.push(format!("to be filled in: {}", node.missing.join(", ")));
    }
    lines
}

/// The screen on which an act of this program is done.
pub(super) fn screen_of(node: &GuideNode) -> Option<ScreenId> {
    match node.operation.as_deref()? {
        "recover" | "recover-plan" | "restore" | "restore-plan" => Some(ScreenId::Target),
        _ => None,
    }
}

/// Everything that was seen, and how to look by hand.
pub(super) fn evidence(guide: &GuideView, now: Timestamp) -> Vec<String> {
    let mut lines = guide.node.prose.clone();
    if let Some(proposal) = &guide.proposal {
        lines.push(String::new());
        lines.push(format!("proposed: {}", proposal.exit.unwrap_or("unknown")));
        lines.push(format!("because {}", proposal.reason));
        lines.extend(proposal.findings.iter().map(|finding| {
            let at =
                finding.at.map_or_else(String::new, |at| format!(" ({}, {})", near(at, now), age(at, now)));
            format!("{} {}{at}", said(finding.sign), finding.text)
        }));
    }
    if !guide.node.lines.is_empty() {
        lines.push(String::new());
        lines.push("by hand:".to_owned());
        lines.extend(commands(&guide.node));
    }
    lines
}

fn said(state: State) -> &'static str {
    match state {
        State::Ok => "ok:",
        State::Late => "late:",
        State::Failed => "failed:",
        State::Unknown => "unknown:",
    }
}

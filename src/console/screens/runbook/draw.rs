//! The picture of the runbook.

use super::list;
use crate::base::Timestamp;
use crate::console::model::{Loaded, Model};
use crate::console::screens::ScreenId;
use crate::console::screens::paint::{Sheet, near, since};
use crate::console::screens::talk;
use crate::console::theme::{State, Theme};
use crate::console::widgets::{age, clock, cut_at_word, lines, with_more};
use crate::model::guide::{GuideItem, GuideKind, GuideNode, GuideStep, GuideView, GuideWay};
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
    let columns = usize::from(PATH - 3);
    let here: Vec<String> = lines(&guide.node.title, columns).into_iter().take(3).collect();
    let room = usize::from(sheet.height()).saturating_sub(here.len());
    let title = |step: &GuideStep| lines(&step.title, columns);
    // Titles take a second line where there is room for all of them.
    let most =
        if guide.path.iter().map(|step| title(step).len().min(2) + 1).sum::<usize>() <= room { 2 } else { 1 };
    let fits =
        if most == 2 || guide.path.len() * 2 <= room { guide.path.len() } else { room.saturating_sub(1) / 2 };
    let first = guide.path.len().saturating_sub(fits);
    let mut y = 0;
    if first > 0 {
        sheet.text(0, y, &format!("… {first} before"), theme.dim());
        y += 1;
    }
    for step in guide.path.iter().skip(first) {
        let title = match title(step) {
            whole if whole.len() <= most => whole,
            _ if most == 1 => vec![cut_at_word(&step.title, columns)],
            long => {
                let rest = long.get(1..).unwrap_or_default().join(" ");
                long.first().cloned().into_iter().chain([cut_at_word(&rest, columns)]).collect()
            }
        };
        y += step_lines(sheet, y, step, &title);
    }
    sheet.text(0, y, "▶", theme.focus());
    for line in here {
        sheet.text(2, y, &line, theme.strong());
        y += 1;
    }
}

/// A step that was left; the lines it took.
fn step_lines(sheet: &mut Sheet<'_>, y: u16, step: &GuideStep, title: &[String]) -> u16 {
    let theme = sheet.theme;
    let state = if step.well { State::Ok } else { State::Failed };
    sheet.text(0, y, theme.symbol(state), theme.state(state));
    let mut below = y;
    for line in title {
        sheet.cut(2, below, PATH - 2, line, Style::new());
        below += 1;
    }
    let at = step.at.map_or_else(String::new, clock);
    let against = if step.against.is_some() { "! " } else { "" };
    let text = format!("{against}{} {at} {}", step.left, step.by);
    let style = if against.is_empty() { theme.dim() } else { theme.state(State::Late) };
    sheet.cut(2, below, PATH - 2, &text, style);
    below + 1 - y
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
        GuideKind::Checklist => list::draw(sheet, guide, item),
        GuideKind::Act | GuideKind::Notify => act(sheet, guide),
        GuideKind::End => end(sheet, guide),
    }
}

fn decide(sheet: &mut Sheet<'_>, model: &Model, guide: &GuideView) {
    let theme = sheet.theme;
    let columns = usize::from(sheet.width());
    let (said, style) = proposed(guide, theme);
    let seen = guide.proposal.as_ref().map_or_else(Vec::new, |proposal| findings(proposal, columns));
    // Evidence needs the room more than prose, which `e` shows whole.
    let labels = |way: &GuideWay| lines(&way.label, columns.saturating_sub(4));
    let ways = guide.node.ways.iter().map(|way| labels(way).len()).sum::<usize>();
    let fixed = ways + lines(&said, columns).len() + 2;
    let room = usize::from(sheet.height()).saturating_sub(fixed);
    let evidence = seen.iter().map(|(_, text)| text.len()).sum::<usize>();
    let gap = usize::from(!seen.is_empty());
    let prose = room.saturating_sub(evidence + gap).max(1);
    let mut y = few(sheet, &guide.node.prose, prose);
    y += 1;
    if !seen.is_empty() {
        let room = u16::try_from(room).unwrap_or(u16::MAX).saturating_sub(y);
        y += draw_findings(&mut sheet.part(0, y, u16::MAX, room), &seen, model.now) + 1;
    }
    y += sheet.wrapped(0, y, &said, style) + 1;
    for way in &guide.node.ways {
        let key = way.key.map_or_else(String::new, String::from);
        let x = sheet.text(1, y, &key, theme.focus());
        let mut x = x + 2;
        for (at, line) in labels(way).iter().enumerate() {
            y += u16::from(at > 0);
            x = sheet.text(4, y, line, Style::new());
        }
        if let Some(room) = sheet.width().checked_sub(x + 1).filter(|room| *room > 13) {
            sheet.text(x + 1, y, &cut_at_word(&format!("→ {}", way.to), room.into()), theme.dim());
        }
        y += 1;
    }
}

/// Paragraphs in at most so many lines; the lines they took.
fn few(sheet: &mut Sheet<'_>, prose: &[String], most: usize) -> u16 {
    let columns = usize::from(sheet.width());
    let mut whole: Vec<String> = prose.iter().flat_map(|paragraph| lines(paragraph, columns)).collect();
    if whole.len() > most {
        whole.truncate(most);
        if let Some(last) = whole.last_mut() {
            *last = with_more(last, columns);
        }
    }
    for (y, line) in (0..).zip(&whole) {
        sheet.text(0, y, line, sheet.theme.dim());
    }
    u16::try_from(whole.len()).unwrap_or(u16::MAX)
}

/// What was seen, what speaks against all being well first, each in as many lines as it takes.
fn findings(proposal: &Proposal, columns: usize) -> Vec<(&Finding, Vec<String>)> {
    let rank = |finding: &&Finding| match finding.sign {
        State::Failed => 0,
        State::Late => 1,
        State::Unknown => 2,
        State::Ok => 3,
    };
    let mut shown: Vec<&Finding> = proposal.findings.iter().collect();
    shown.sort_by_key(rank);
    shown.into_iter().map(|finding| (finding, lines(&finding.text, columns.saturating_sub(9)))).collect()
}

/// Draws them, as many as fit; `e` has the rest.
fn draw_findings(sheet: &mut Sheet<'_>, seen: &[(&Finding, Vec<String>)], now: Timestamp) -> u16 {
    let theme = sheet.theme;
    let room = usize::from(sheet.height());
    let whole = seen.iter().map(|(_, text)| text.len()).sum::<usize>() <= room;
    let mut y = 0;
    for (at, (finding, text)) in seen.iter().enumerate() {
        let left = seen.len() - at;
        if y + 1 >= sheet.height() && left > 1 {
            sheet.text(2, y, &format!("{left} more: e"), theme.dim());
            return y + 1;
        }
        let seen = finding.at.map_or_else(String::new, |at| age(at, now));
        sheet.text(0, y, theme.symbol(finding.sign), theme.state(finding.sign));
        sheet.right(sheet.width().saturating_sub(6), y, 6, &seen, theme.dim());
        let width = usize::from(sheet.width().saturating_sub(9));
        let text = if whole { text.clone() } else { vec![cut_at_word(&finding.text, width)] };
        for line in text {
            sheet.text(2, y, &line, Style::new());
            y += 1;
        }
    }
    y
}

/// What is proposed, and how it stands out.
fn proposed(guide: &GuideView, theme: Theme) -> (String, Style) {
    let exit = |exit: &str| guide.node.ways.iter().find(|way| way.id == exit);
    if let Some((proposal, way)) = guide.proposal.as_ref().and_then(|it| Some((it, exit(it.exit?)?))) {
        return (format!("Proposal: {}. {}", way.label, proposal.reason), theme.strong());
    }
    if let Some(heard) = &guide.node.heard {
        let key = heard.exit.as_deref().and_then(|it| exit(it)?.key);
        let again = key.map_or_else(String::new, |key| format!(". {key} if that still holds"));
        return (format!("Proposal: {}{again}", heard.text), theme.strong());
    }
    if let Some(proposal) = &guide.proposal {
        return (format!("No proposal: {}", proposal.reason), theme.state(State::Unknown));
    }
    let text = "The program cannot see this: look yourself (e shows how), then answer.";
    (text.to_owned(), Style::new())
}

fn act(sheet: &mut Sheet<'_>, guide: &GuideView) {
    let (theme, node) = (sheet.theme, &guide.node);
    let columns = usize::from(sheet.width());
    let wrapped = |text: &str, style: Style| {
        lines(text, columns.saturating_sub(1)).into_iter().map(|line| (line, style)).collect::<Vec<_>>()
    };
    // What is to be done about it stays on the screen, however long the commands are.
    let mut foot = Vec::new();
    if screen_of(node).is_some() {
        foot.extend(wrapped("Enter: the target is chosen and planned on its own screen", theme.dim()));
    } else if !node.missing.is_empty() {
        foot.extend(wrapped("s says what they stand for", theme.dim()));
    }
    if let Some(heard) = node.heard.as_ref().filter(|_| node.began.is_none()) {
        foot.extend(wrapped(&format!("{}; d if that holds", heard.text), theme.strong()));
    }
    if let Some((_, by, at)) = &node.began {
        let text = match &node.done_by {
            Some(_) => format!("a worker does it since {} for {by}: o shows how far it is", clock(*at)),
            None => format!("begun {} by {by}: d when it is done, f if it failed", clock(*at)),
        };
        foot.extend(wrapped(&text, theme.strong()));
    }
    let mut body: Vec<(String, Style)> =
        node.prose.iter().flat_map(|line| wrapped(line, theme.dim())).collect();
    body.push((String::new(), Style::new()));
    body.extend(commands(node).iter().flat_map(|line| match line.as_str() {
        "" => vec![(String::new(), Style::new())],
        line => wrapped(line, Style::new()),
    }));
    let room = usize::from(sheet.height()).saturating_sub(foot.len() + usize::from(!foot.is_empty()));
    if body.len() > room {
        body.truncate(room.saturating_sub(1));
        body.push(("… e shows the rest".to_owned(), theme.dim()));
    }
    if !foot.is_empty() {
        body.push((String::new(), Style::new()));
    }
    for (y, (line, style)) in (0..).zip(body.into_iter().chain(foot)) {
        sheet.text(1, y, &line, style);
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
    for item in &guide.node.items {
        lines.extend(item_lines(item));
    }
    lines.extend(guide.node.heard.iter().map(|heard| heard.text.clone()));
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

/// Everything about an item of a list.
fn item_lines(item: &GuideItem) -> Vec<String> {
    let state = match (item.done, item.not_applicable) {
        (_, true) => "does not apply",
        (Some(true), _) => "is so",
        (Some(false), _) => "is not so",
        (None, _) => "nobody has said anything of it",
    };
    let by = item.by.as_ref().map_or_else(String::new, |(by, at)| format!(", {by} at {}", clock(*at)));
    let note = item.note.as_ref().map_or_else(String::new, |note| format!(": {note}"));
    let why = item.why.iter().map(|why| format!("  {why}"));
    let seen = item.seen.iter().map(|seen| format!("  seen now: {}", seen.text));
    std::iter::once(item.text.clone())
        .chain(why)
        .chain([format!("  {state}{by}{note}")])
        .chain(seen)
        .collect()
}

fn said(state: State) -> &'static str {
    match state {
        State::Ok => "ok:",
        State::Late => "late:",
        State::Failed => "failed:",
        State::Unknown => "unknown:",
    }
}

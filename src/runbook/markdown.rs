//! A runbook for the printer: Markdown from which a person can work without this program, a pen in the hand.
//!
//! Everything stands in it: every question with how to find out, every exit with its number, boxes to tick, exact
//! commands, and lines to write names and times on. Texts are wrapped; commands never are.

use super::text::{audience, confirmed, destination, duration, prose, size, version, word};
use super::tree::{Style, legend, tree};
use super::{Act, Checklist, Decide, How, Node, NodeKind, Runbook, on_paper, typed_lines};

/// The width of prose on paper.
const COLUMNS: usize = 100;

/// The whole runbook.
pub fn markdown(book: &Runbook) -> String {
    let mut lines = vec![format!("# {}", book.title), String::new()];
    lines.extend(prose(&book.purpose, "", COLUMNS));
    lines.push(String::new());
    lines.extend(prose(&format!("**When:** {}", book.applies), "", COLUMNS));
    lines.extend([
        String::new(),
        format!("Runbook `{}`, version `{}`, {}.", book.name, version(book), size(book)),
        String::new(),
        "Incident ____________________   Stanza ____________________   Begun at ________ UTC   by ____________".to_owned(),
        String::new(),
    ]);
    lines.extend(variables(book));
    let style = Style { ascii: false, columns: COLUMNS };
    lines.extend(["## The whole tree".to_owned(), String::new()]);
    lines.extend(fenced(tree(book, style, None)));
    lines.extend([String::new(), legend(style)]);
    for node in &book.nodes {
        lines.push(String::new());
        lines.extend(section(book, node));
    }
    lines.join("\n") + "\n"
}

/// What is filled in by hand, each with a line to write it on.
fn variables(book: &Runbook) -> Vec<String> {
    let used = book.variables();
    if used.is_empty() {
        return Vec::new();
    }
    let mut lines = vec!["## Fill in first".to_owned(), String::new()];
    lines.extend(used.iter().map(|variable| {
        format!("- `${{{}}}` {}: ______________________________", variable.name, variable.what)
    }));
    lines.push(String::new());
    lines
}

/// Lines as they stand, in a fence that is longer than any run of backticks in them.
fn fenced(lines: Vec<String>) -> Vec<String> {
    let ticks = |line: &String| line.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(lines.iter().map(ticks).max().unwrap_or(0).max(2) + 1);
    std::iter::once(fence.clone()).chain(lines).chain(std::iter::once(fence)).collect()
}

fn section(book: &Runbook, node: &Node) -> Vec<String> {
    let help =
        node.within.map_or_else(String::new, |within| format!(" · ask for help after {}", duration(within)));
    let mut lines = vec![format!("## {}. {}", node.section, node.title()), String::new()];
    lines.extend([format!("*{}*{help}", word(node)), String::new()]);
    match &node.kind {
        NodeKind::Decide(decide) => lines.extend(question(book, node, decide)),
        NodeKind::Checklist(list) => lines.extend(checklist(book, list)),
        NodeKind::Act(act) => lines.extend(doing(book, act)),
        NodeKind::Notify(notify) => {
            lines.extend([format!("To: {}", audience(notify.audience)), String::new()]);
            lines.extend(prose(&notify.template, "> ", COLUMNS));
            lines.extend([String::new(), signed("Sent")]);
            lines.extend([String::new(), format!("Go on with **{}**", destination(book, &notify.goto.node))]);
        }
        NodeKind::End(end) => {
            lines.extend([format!("Outcome: **{}**", end.outcome.name()), String::new()]);
            lines.extend(prose(&end.text, "", COLUMNS));
            if let Some(next) = &end.runbook {
                lines.extend([String::new(), format!("Go on with the runbook **{next}**.")]);
            }
            lines.extend([String::new(), signed("Ended")]);
        }
    }
    lines
}

/// Room for who and when.
fn signed(what: &str) -> String {
    format!("{what} at ________ UTC by ____________________")
}

fn question(book: &Runbook, node: &Node, decide: &Decide) -> Vec<String> {
    let mut lines = prose(&decide.why, "", COLUMNS);
    lines.extend([String::new(), "How to find out:".to_owned(), String::new()]);
    lines.extend(fenced(typed_lines(&decide.look, &on_paper)));
    lines.push(String::new());
    for way in node.ways() {
        let key = way.key.map_or_else(String::new, |key| format!(" ({key})"));
        let answer = format!("- [ ] {}{key} → **{}**", way.label, destination(book, &way.goto.node));
        lines.push(answer);
    }
    lines.extend([String::new(), format!("{}  seen: ______________________________", signed("Answered"))]);
    lines
}

fn checklist(book: &Runbook, list: &Checklist) -> Vec<String> {
    let mut lines = Vec::new();
    for item in &list.items {
        let must = if item.blocking { "**must** " } else { "" };
        let text = prose(&format!("- [ ] {must}{}", item.text), "", COLUMNS.saturating_sub(10));
        lines.extend(text);
        lines.extend(item.why.iter().flat_map(|why| prose(why, "  ", COLUMNS.saturating_sub(10))));
    }
    lines.extend([String::new(), signed("Ticked"), String::new()]);
    lines.push(format!("Go on with **{}**", destination(book, &list.goto.node)));
    lines
}

fn doing(book: &Runbook, act: &Act) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(prose(&format!("**Risk:** {}", act.risk), "", COLUMNS));
    lines.push(String::new());
    let who = match &act.how {
        How::Manual { .. } => "By hand".to_owned(),
        how => format!("Done by {}", how.actor()),
    };
    lines.extend([format!("{who}{}:", confirmed(act.confirm)), String::new()]);
    lines.extend(fenced(act.how.lines(&on_paper)));
    lines.push(String::new());
    lines.extend(prose(&format!("**Undo:** {}", act.undo), "", COLUMNS));
    lines.extend([
        String::new(),
        format!("- [ ] done → **{}**", destination(book, &act.on_done.node)),
        format!("- [ ] failed → **{}**", destination(book, &act.on_failed.node)),
        String::new(),
        signed("Ended"),
    ]);
    lines
}

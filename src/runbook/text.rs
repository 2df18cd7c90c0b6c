//! A runbook as text for a terminal of 80 columns. Only commands are longer: they stay as they are typed.

use super::{Audience, Confirm, How, Node, NodeKind, Runbook, on_paper, typed_lines};
use crate::base::prose::wrapped;
use std::time::Duration;

/// The width of the text.
pub const COLUMNS: usize = 80;

/// The whole runbook; `place` says where it comes from.
pub fn text(book: &Runbook, place: &str) -> String {
    let mut lines = vec![format!("{}: {}", book.name, book.title)];
    lines.extend(prose(&book.purpose, "  ", COLUMNS));
    lines.extend(prose(&format!("When: {}", book.applies), "  ", COLUMNS));
    lines.extend(prose(&format!("{place} · version {} · {}", version(book), size(book)), "  ", COLUMNS));
    for node in &book.nodes {
        lines.push(String::new());
        lines.extend(section(book, node));
    }
    lines.join("\n")
}

/// The digits of its digest by which a version is told.
pub fn version(book: &Runbook) -> String {
    book.digest.chars().take(12).collect()
}

/// How many steps it has and how long it should take.
pub fn size(book: &Runbook) -> String {
    let steps = format!("{} steps", book.nodes.len());
    book.expected.map_or(steps.clone(), |expected| format!("{steps}, expected within {}", duration(expected)))
}

/// A duration as it is written in a file.
pub fn duration(duration: Duration) -> String {
    match duration.as_secs() {
        s if s % 3600 == 0 && s > 0 => format!("{}h", s / 3600),
        s if s % 60 == 0 && s > 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

/// What a node is, in an operator's word.
pub fn word(node: &Node) -> &'static str {
    match &node.kind {
        NodeKind::Decide(_) => "question",
        NodeKind::Checklist(_) => "checklist",
        NodeKind::Act(act) if matches!(act.how, How::Manual { .. }) => "act by hand",
        NodeKind::Act(_) => "act",
        NodeKind::Notify(_) => "message",
        NodeKind::End(_) => "end",
    }
}

/// Paragraphs and items of a text in lines of a width, each behind `indent`.
pub fn prose(text: &str, indent: &str, columns: usize) -> Vec<String> {
    let room = columns.saturating_sub(indent.chars().count()).max(20);
    let mut blocks: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.lines().map(str::trim) {
        match blocks.last_mut().filter(|_| open && !line.is_empty() && !line.starts_with("- ")) {
            Some(block) => {
                block.push(' ');
                block.push_str(line);
            }
            None => blocks.push(line.to_owned()),
        }
        open = !line.is_empty();
    }
    let mut lines = Vec::new();
    for block in blocks {
        match block.strip_prefix("- ") {
            Some(item) => {
                for (number, line) in wrapped(item, room.saturating_sub(2)).into_iter().enumerate() {
                    lines.push(format!("{indent}{}{line}", if number == 0 { "- " } else { "  " }));
                }
            }
            None if block.is_empty() => lines.push(String::new()),
            None => lines.extend(wrapped(&block, room).into_iter().map(|line| format!("{indent}{line}"))),
        }
    }
    lines
}

/// One node.
pub fn section(book: &Runbook, node: &Node) -> Vec<String> {
    let kind = word(node);
    let help =
        node.within.map_or_else(String::new, |within| format!(", ask for help after {}", duration(within)));
    let mut lines = headed(&format!("{}. ", node.section), &format!("{} [{kind}{help}]", node.title()));
    match &node.kind {
        NodeKind::Decide(decide) => {
            lines.extend(prose(&decide.why, "   ", COLUMNS));
            lines.push("   by hand:".to_owned());
            lines.extend(typed_lines(&decide.look, &on_paper).into_iter().map(|line| format!("     {line}")));
        }
        NodeKind::Checklist(list) => {
            for item in &list.items {
                let must = if item.blocking { "" } else { " (advisory)" };
                lines.extend(headed("   [ ] ", &format!("{}{must}", item.text)));
                lines.extend(item.why.iter().flat_map(|why| prose(why, "       ", COLUMNS)));
            }
        }
        NodeKind::Act(act) => {
            lines.push(format!("   {}{}:", act.how.actor(), confirmed(act.confirm)));
            lines.extend(act.how.lines(&on_paper).into_iter().map(|line| format!("     {line}")));
            lines.extend(headed("   risk: ", &act.risk));
            lines.extend(headed("   undo: ", &act.undo));
        }
        NodeKind::Notify(notify) => {
            lines.push(format!("   to: {}", audience(notify.audience)));
            lines.extend(prose(&notify.template, "     ", COLUMNS));
        }
        NodeKind::End(end) => {
            lines.push(format!("   outcome: {}", end.outcome.name()));
            lines.extend(prose(&end.text, "   ", COLUMNS));
            lines.extend(end.runbook.iter().map(|next| format!("   goes on: runbook {next}")));
        }
    }
    lines.extend(node.ways().iter().flat_map(|way| {
        let key = way.key.map_or_else(|| "-".to_owned(), String::from);
        headed(&format!("   {key}  "), &format!("{} → {}", way.label, destination(book, &way.goto.node)))
    }));
    lines
}

/// Where a way leads: number and title.
pub fn destination(book: &Runbook, node: &str) -> String {
    book.node(node).map_or_else(|| node.to_owned(), |node| format!("{}. {}", node.section, node.title()))
}

/// What is given before an act, behind who does it.
pub fn confirmed(confirm: Confirm) -> &'static str {
    match confirm {
        Confirm::None => "",
        Confirm::Key => ", after a key",
        Confirm::Typed => ", after the typed name",
    }
}

/// Who is told.
pub fn audience(audience: Audience) -> &'static str {
    match audience {
        Audience::Internal => "internal",
        Audience::External => "external",
        Audience::Both => "internal and external",
    }
}

fn headed(head: &str, text: &str) -> Vec<String> {
    let room = COLUMNS.saturating_sub(head.chars().count()).max(20);
    let blank = " ".repeat(head.chars().count());
    let lines = wrapped(text, room).into_iter().enumerate();
    lines.map(|(number, line)| format!("{}{line}", if number == 0 { head } else { &blank })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_and_items_keep_their_form() {
        let text = "one two\nthree\n\nfour\n- an item that is long\n- b\nnext";
        let lines = prose(text, " ", 22);
        assert_eq!(lines, [" one two three", "", " four", " - an item that is", "   long", " - b next"]);
    }

    #[test]
    fn durations_read_as_they_are_written() {
        for (s, text) in [(90, "90s"), (300, "5m"), (7200, "2h"), (0, "0s")] {
            assert_eq!(duration(Duration::from_secs(s)), text);
        }
    }
}

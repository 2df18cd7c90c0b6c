//! A runbook as a drawn tree: every node once, under the answer that leads to it first, with "you are here".
//!
//! Draws lines of text; knows no terminal.

use super::{Node, NodeKind, Runbook, Walk, Way};
use crate::base::prose::width;
use std::collections::BTreeSet;

/// The characters of a drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Only ASCII characters.
    pub ascii: bool,
    /// The widest line.
    pub columns: usize,
}

/// The marks of a style.
struct Marks {
    branch: &'static str,
    last: &'static str,
    bar: &'static str,
    to: &'static str,
    here: &'static str,
    taken: &'static str,
    cut: &'static str,
    kinds: [&'static str; 5],
}

const DRAWN: Marks = Marks {
    branch: "├─ ",
    last: "└─ ",
    bar: "│  ",
    to: "→",
    here: "▶",
    taken: "✔",
    cut: "…",
    kinds: ["?", "☐", "!", "✉", "■"],
};

const ASCII: Marks = Marks {
    branch: "|- ",
    last: "`- ",
    bar: "|  ",
    to: "->",
    here: ">",
    taken: "+",
    cut: "~",
    kinds: ["?", "[]", "!", "@", "#"],
};

/// The room of the mark before each node.
const BLANK: &str = "  ";

/// The lines of the tree; `walk` shows where one is and which way was taken.
pub fn tree(book: &Runbook, style: Style, walk: Option<&Walk<'_>>) -> Vec<String> {
    let marks = if style.ascii { &ASCII } else { &DRAWN };
    let here = walk.filter(|walk| !walk.is_fresh()).and_then(Walk::node).map(|node| node.id.as_str());
    let taken = walk.map(|walk| walk.trail().map(|visit| visit.node.as_str()).collect()).unwrap_or_default();
    let mut tree =
        Tree { book, marks, columns: style.columns, here, taken, drawn: BTreeSet::new(), lines: Vec::new() };
    if let Some(start) = book.node(&book.start) {
        tree.run(start, "");
    }
    tree.lines
}

/// What the marks mean, in one line.
pub fn legend(style: Style) -> String {
    let marks = if style.ascii { &ASCII } else { &DRAWN };
    let [decide, list, act, notify, end] = marks.kinds;
    format!(
        "{decide} question  {list} checklist  {act} act  {notify} message  {end} end  {} you are here  {} taken",
        marks.here, marks.taken
    )
}

struct Tree<'b, 'w> {
    book: &'b Runbook,
    marks: &'static Marks,
    columns: usize,
    here: Option<&'b str>,
    taken: BTreeSet<&'w str>,
    drawn: BTreeSet<&'b str>,
    lines: Vec<String>,
}

impl<'b> Tree<'b, '_> {
    /// A node and what follows it without a choice, one below the other.
    fn run(&mut self, first: &'b Node, indent: &str) {
        let mut next = Some(first);
        while let Some(node) = next.take() {
            self.drawn.insert(&node.id);
            self.node(node, indent);
            let ways = node.ways();
            match &node.kind {
                NodeKind::Decide(_) => self.branches(&ways, indent),
                _ => {
                    let (main, other) =
                        ways.split_first().map_or((None, &[][..]), |(main, other)| (Some(main), other));
                    // The main way is drawn below, so what branches off before it must not take its node.
                    next = main.and_then(|way| self.fresh(way));
                    self.drawn.extend(next.map(|node| node.id.as_str()));
                    let other: Vec<Way<'b>> = match (main, next) {
                        (Some(main), None) => std::iter::once(*main).chain(other.iter().copied()).collect(),
                        _ => other.to_vec(),
                    };
                    self.branches(&other, indent);
                }
            }
        }
    }

    /// The node a way leads to, if it is not drawn yet.
    fn fresh(&self, way: &Way<'b>) -> Option<&'b Node> {
        self.book.node(&way.goto.node).filter(|node| !self.drawn.contains(node.id.as_str()))
    }

    fn branches(&mut self, ways: &[Way<'b>], indent: &str) {
        for (number, way) in ways.iter().enumerate() {
            let last = number + 1 == ways.len();
            let head = if last { self.marks.last } else { self.marks.branch };
            let label = match way.key {
                Some(key) => format!("{key} {}", way.label),
                None => way.label.to_owned(),
            };
            match self.fresh(way) {
                Some(node) => {
                    self.line(format!("{}{indent}{head}{label}", BLANK));
                    let bar = if last { "   " } else { self.marks.bar };
                    self.run(node, &format!("{indent}{bar}"));
                }
                None => {
                    let to = self.book.node(&way.goto.node);
                    let to = to.map_or_else(String::new, |node| format!("{} {}", node.section, node.title()));
                    self.line(format!("{}{indent}{head}{label} {} {to}", BLANK, self.marks.to));
                }
            }
        }
    }

    fn node(&mut self, node: &Node, indent: &str) {
        let mark = if self.here == Some(node.id.as_str()) {
            self.marks.here
        } else if self.taken.contains(node.id.as_str()) {
            self.marks.taken
        } else {
            " "
        };
        let [decide, list, act, notify, end] = self.marks.kinds;
        let kind = match &node.kind {
            NodeKind::Decide(_) => decide,
            NodeKind::Checklist(_) => list,
            NodeKind::Act(_) => act,
            NodeKind::Notify(_) => notify,
            NodeKind::End(_) => end,
        };
        self.line(format!("{mark} {indent}{kind} {} {}", node.section, node.title()));
    }

    fn line(&mut self, line: String) {
        if width(&line) <= self.columns {
            self.lines.push(line);
            return;
        }
        let kept: String = line.chars().take(self.columns.saturating_sub(1)).collect();
        self.lines.push(format!("{}{}", kept.trim_end(), self.marks.cut));
    }
}

//! A runbook as a drawn tree: every node once, under the answer that leads to it first, with "you are here".
//!
//! Draws lines of text; knows no terminal.

use super::{Node, NodeKind, Runbook, Walk, Way, graph};
use crate::base::prose::width;
use std::collections::{BTreeMap, BTreeSet};

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
    let hangs_on = graph::tree(book);
    let mut tree = Tree { book, marks, columns: style.columns, here, taken, hangs_on, lines: Vec::new() };
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
    /// Under which way of which node each node is drawn.
    hangs_on: BTreeMap<&'b str, (&'b str, usize)>,
    lines: Vec<String>,
}

impl<'b> Tree<'b, '_> {
    /// A node and what follows it without a choice, one below the other.
    fn run(&mut self, first: &'b Node, indent: &str) {
        let mut next = Some(first);
        while let Some(node) = next.take() {
            self.node(node, indent);
            let mut ways: Vec<(usize, Way<'b>)> = node.ways().into_iter().enumerate().collect();
            if !matches!(node.kind, NodeKind::Decide(_)) {
                next = ways.first().and_then(|(number, way)| self.drawn_here(node, *number, way));
                if next.is_some() {
                    ways.remove(0);
                }
            }
            self.branches(node, &ways, indent);
        }
    }

    /// The node a way leads to, if it is drawn under it.
    fn drawn_here(&self, node: &Node, number: usize, way: &Way<'b>) -> Option<&'b Node> {
        let to = self.book.node(&way.goto.node)?;
        let here = self.hangs_on.get(to.id.as_str()) == Some(&(node.id.as_str(), number));
        here.then_some(to)
    }

    fn branches(&mut self, node: &'b Node, ways: &[(usize, Way<'b>)], indent: &str) {
        for (place, (number, way)) in ways.iter().enumerate() {
            let last = place + 1 == ways.len();
            let head = if last { self.marks.last } else { self.marks.branch };
            let label = match way.key {
                Some(key) => format!("{BLANK}{indent}{head}{key} {}", way.label),
                None => format!("{BLANK}{indent}{head}{}", way.label),
            };
            if let Some(to) = self.drawn_here(node, *number, way) {
                self.lines.push(self.cut(&label, self.columns));
                let bar = if last { "   " } else { self.marks.bar };
                self.run(to, &format!("{indent}{bar}"));
            } else {
                self.reference(&label, way);
            }
        }
    }

    /// A way to a node that is drawn elsewhere. Its number is what is followed: whatever is cut, that stays.
    fn reference(&mut self, label: &str, way: &Way<'b>) {
        let to = self.book.node(&way.goto.node);
        let number = format!(" {} {}", self.marks.to, to.map_or(0, |to| to.section));
        let label = self.cut(label, self.columns.saturating_sub(width(&number) + 2));
        let line = format!("{label}{number} {}", to.map_or("", Node::title));
        self.lines.push(self.cut(line.trim_end(), self.columns));
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
        let line = format!("{mark} {indent}{kind} {} {}", node.section, node.title());
        self.lines.push(self.cut(&line, self.columns));
    }

    fn cut(&self, line: &str, columns: usize) -> String {
        if width(line) <= columns {
            return line.to_owned();
        }
        let kept: String = line.chars().take(columns.saturating_sub(1)).collect();
        format!("{}{}", kept.trim_end(), self.marks.cut)
    }
}

//! What the nodes are together: every way leads somewhere, every node is reached, an end is within reach of each.
//!
//! Also gives every node its number on paper: in the order in which the tree is walked, the first answer first, detours
//! (a failure, an unknown) behind everything else.

use super::finding::Place;
use super::nodes::near;
use super::read::Reader;
use super::{NodeKind, Runbook, UNKNOWN, Way};
use std::collections::{BTreeMap, BTreeSet};

/// The runbook with its nodes numbered; what is wrong with their ways is told.
pub(super) fn check(reader: &mut Reader<'_>, mut book: Runbook) -> Option<Runbook> {
    let index: BTreeMap<&str, usize> =
        book.nodes.iter().enumerate().map(|(number, node)| (node.id.as_str(), number)).collect();
    let mut ways: Vec<Vec<(usize, bool)>> = vec![Vec::new(); book.nodes.len()];
    let mut dangling = BTreeSet::new();
    for (number, node) in book.nodes.iter().enumerate() {
        for way in node.ways() {
            let found = index.get(way.goto.node.as_str());
            if let (Some(found), Some(ways)) = (found, ways.get_mut(number)) {
                ways.push((*found, is_main(&way)));
                continue;
            }
            dangling.insert(number);
            let what =
                format!("node '{}': '{}' leads to '{}', which is no node", node.id, way.id, way.goto.node);
            let next = near(&way.goto.node, book.nodes.iter().map(|node| node.id.as_str()));
            reader.found_in(way.goto.place, what, next);
        }
    }
    let start = index.get(book.start.as_str()).copied()?;
    let order: Vec<usize> = order(&ways, start).into_iter().map(|(node, _)| node).collect();
    let ways: Vec<Vec<usize>> =
        ways.into_iter().map(|ways| ways.into_iter().map(|(to, _)| to).collect()).collect();
    for (number, node) in book.nodes.iter().enumerate() {
        if !order.contains(&number) {
            let what = format!("node '{}' is reached from nowhere", node.id);
            reader.found_in(node.place, what, "lead to it by a goto, or remove it");
        }
    }
    let ends = book.nodes.iter().enumerate().filter(|(_, node)| matches!(node.kind, NodeKind::End(_)));
    // What a way that leads nowhere was meant to reach is not known: those nodes are told once, not twice.
    let safe: BTreeSet<usize> = ends.map(|(number, _)| number).chain(dangling).collect();
    without_end(reader, &book, &ways, &safe);
    let sections: BTreeMap<usize, usize> =
        order.into_iter().enumerate().map(|(section, number)| (number, section + 1)).collect();
    for (number, node) in book.nodes.iter_mut().enumerate() {
        node.section = sections.get(&number).copied().unwrap_or(0);
    }
    book.nodes.sort_by_key(|node| node.section);
    Some(book)
}

/// True for the ways of those who know and succeed; the others are drawn and numbered behind them.
fn is_main(way: &Way<'_>) -> bool {
    ![UNKNOWN, "failed"].contains(&way.id)
}

/// A node in the order of the tree, and the way it hangs on: node and number of the way.
pub(super) type Step = (usize, Option<(usize, usize)>);

/// Depth first from `start`, the first way first; what only an unknown or a failure leads to comes behind everything else.
///
/// Of each node its ways: where to, and whether it is a main one.
fn order(ways: &[Vec<(usize, bool)>], start: usize) -> Vec<Step> {
    let mut seen = BTreeSet::new();
    let mut steps = Vec::new();
    let of = |node: usize| ways.get(node).map(Vec::as_slice).unwrap_or_default().iter().copied().enumerate();
    let mut from = vec![(start, None)];
    let mut looked_at = 0;
    loop {
        while let Some((node, hangs_on)) = from.pop() {
            if seen.insert(node) {
                steps.push((node, hangs_on));
                let main = of(node).filter(|(_, (_, main))| *main).rev();
                from.extend(main.map(|(number, (to, _))| (to, Some((node, number)))));
            }
        }
        let Some((node, _)) = steps.get(looked_at).copied() else { return steps };
        let other = of(node).find(|(_, (to, main))| !main && !seen.contains(to));
        match other {
            Some((number, (to, _))) => from.push((to, Some((node, number)))),
            None => looked_at += 1,
        }
    }
}

/// The tree of a runbook without a mistake: of each node, by its id, the id of the node and the number of the way it hangs on.
pub(super) fn tree(book: &Runbook) -> BTreeMap<&str, (&str, usize)> {
    let id = |number: usize| book.nodes.get(number).map(|node| node.id.as_str());
    let place = |id: &str| book.nodes.iter().position(|node| node.id == id);
    let ways: Vec<Vec<(usize, bool)>> = book
        .nodes
        .iter()
        .map(|node| {
            let ways = node.ways();
            ways.iter().filter_map(|way| Some((place(&way.goto.node)?, is_main(way)))).collect()
        })
        .collect();
    let steps = place(&book.start).map(|start| order(&ways, start)).unwrap_or_default();
    let hung = steps.into_iter().filter_map(|(node, hangs_on)| {
        let (from, number) = hangs_on?;
        Some((id(node)?, (id(from)?, number)))
    });
    hung.collect()
}

/// Everything that can be reached from a node, itself only over a circle.
fn reach(ways: &[Vec<usize>], from: usize) -> BTreeSet<usize> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<usize> = ways.get(from).cloned().unwrap_or_default();
    while let Some(number) = open.pop() {
        if seen.insert(number) {
            open.extend(ways.get(number).into_iter().flatten());
        }
    }
    seen
}

/// Tells the circles nobody comes out of, once each, and the nodes that lead only into one.
fn without_end(reader: &mut Reader<'_>, book: &Runbook, ways: &[Vec<usize>], safe: &BTreeSet<usize>) {
    // Backwards from the ends, so that a large file costs no more than its ways.
    let mut from: Vec<Vec<usize>> = vec![Vec::new(); ways.len()];
    for (number, to) in ways.iter().enumerate() {
        for to in to {
            if let Some(from) = from.get_mut(*to) {
                from.push(number);
            }
        }
    }
    let mut good = safe.clone();
    let mut open: Vec<usize> = safe.iter().copied().collect();
    while let Some(number) = open.pop() {
        for before in from.get(number).into_iter().flatten() {
            if good.insert(*before) {
                open.push(*before);
            }
        }
    }
    let mut told = BTreeSet::new();
    for (number, node) in book.nodes.iter().enumerate() {
        if good.contains(&number) || told.contains(&number) {
            continue;
        }
        let reached = reach(ways, number);
        let circle =
            reached.contains(&number) && reached.iter().all(|other| reach(ways, *other).contains(&number));
        if circle {
            let mut names: Vec<(Place, &str)> = reached
                .iter()
                .filter_map(|number| book.nodes.get(*number))
                .map(|node| (node.place, node.id.as_str()))
                .collect();
            names.sort_unstable();
            let names: Vec<&str> = names.into_iter().map(|(_, name)| name).collect();
            let what = format!("nobody comes out of this circle: {}", names.join(" → "));
            reader.found_in(node.place, what, "lead one of them to a node from which an end is reached");
            told.extend(reached);
        } else {
            let what = format!("no end is reached from node '{}'", node.id);
            reader.found_in(node.place, what, "lead it to a node from which an end is reached");
            told.insert(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_way_is_walked_first_each_node_once_and_detours_last() {
        let (main, other) = (true, false);
        let ways = [
            vec![(2, main), (4, other), (1, main)],
            vec![(3, main)],
            vec![(3, main), (1, main)],
            vec![(0, main)],
            vec![],
        ];
        let steps = [(0, None), (2, Some((0, 0))), (3, Some((2, 0))), (1, Some((2, 1))), (4, Some((0, 1)))];
        assert_eq!(order(&ways, 0), steps);
        assert_eq!(reach(&[vec![2, 1], vec![3], vec![3, 1], vec![0]], 3), BTreeSet::from([0, 1, 2, 3]));
    }
}

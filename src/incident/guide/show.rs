//! A walk as it is shown: the node with its variables filled in, what the facts say to it, and the way here.

use super::{Values, roles};
use crate::base::Timestamp;
use crate::incident::Standing;
use crate::model::guide::{GuideItem, GuideKind, GuideNode, GuideStep, GuideView, GuideWay};
use crate::model::question::judge::{Checked, check, judge};
use crate::model::situation::Situation;
use crate::runbook::how::typed_lines;
use crate::runbook::template::{Quoting, shown, variables};
use crate::runbook::tree::{Style, tree};
use crate::runbook::walk::{ItemState, Left, Now, Visit, Walk};
use crate::runbook::{Confirm, How, Node, NodeKind, Runbook, Way, text};

/// What a runbook is looked at with.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// The facts, if they were looked for.
    pub situation: Option<&'a Situation>,
    /// What variables stand for.
    pub values: &'a Values,
    /// Now.
    pub now: Timestamp,
    /// Only ASCII characters in the tree.
    pub ascii: bool,
}

/// The width of the tree and of paragraphs that are wrapped here.
const COLUMNS: usize = 80;

pub(super) fn view(incident: &str, walk: &Walk<'_>, look: &Look<'_>, standing: &Standing) -> GuideView {
    let book = walk.book();
    let now = walk.now();
    let ask = now.as_ref().and_then(|now| match &now.node.kind {
        NodeKind::Decide(decide) => decide.ask.as_deref(),
        _ => None,
    });
    let proposal = ask.and_then(|ask| judge(ask, look.situation?, look.now));
    GuideView {
        incident: incident.to_owned(),
        stanza: look.values.get("stanza").unwrap_or_default(),
        runbook: book.name.clone(),
        title: book.title.clone(),
        digest: book.digest.clone(),
        fresh: walk.is_fresh(),
        troubles: walk.troubles().to_vec(),
        path: walk.trail().filter_map(step).collect(),
        node: now.map(|now| node(walk, &now, look, standing)).unwrap_or_default(),
        proposal,
        left: Vec::new(),
        tree: tree(book, Style { ascii: look.ascii, columns: COLUMNS }, Some(walk)),
    }
}

/// A visit that was left; nothing for the one that goes on.
fn step(visit: &Visit) -> Option<GuideStep> {
    let leaving = visit.left.as_ref()?;
    let (left, against, well) = match &leaving.how {
        Left::Answered { exit, reason, .. } => {
            let against = leaving.how.is_override().then(|| reason.clone().unwrap_or_default());
            (exit.clone(), against, true)
        }
        Left::Passed { .. } => ("seen to".to_owned(), None, true),
        Left::Done { .. } => ("done".to_owned(), None, true),
        Left::Failed { .. } => ("failed".to_owned(), None, false),
        Left::Back => return None,
    };
    let (at, by) = (Some(leaving.at), leaving.by.clone());
    Some(GuideStep { title: visit.title.clone(), left, at, by, against, well })
}

fn node(walk: &Walk<'_>, now: &Now<'_>, look: &Look<'_>, standing: &Standing) -> GuideNode {
    let shown = now.node;
    let mut view = GuideNode {
        id: shown.id.clone(),
        section: shown.section,
        title: shown.title().to_owned(),
        ways: ways(walk, now),
        done_by: now.began.as_ref().and_then(|began| began.what.split_once(": ")?.0.parse().ok()),
        began: now.began.as_ref().map(|began| (began.what.clone(), began.by.clone(), began.at)),
        back: now.back.map(|node| node.title().to_owned()),
        entered_at: walk.trail().last().map(|visit| visit.entered_at),
        within_s: shown.within.map(|within| within.as_secs()),
        ..GuideNode::default()
    };
    fill(&mut view, walk, shown, look, standing);
    view
}

fn ways(walk: &Walk<'_>, now: &Now<'_>) -> Vec<GuideWay> {
    now.ways.iter().map(|way| shown_way(walk.book(), way)).collect()
}

fn shown_way(book: &Runbook, way: &Way<'_>) -> GuideWay {
    let to = book.node(&way.goto.node).map_or(way.goto.node.as_str(), Node::title).to_owned();
    GuideWay { id: way.id.to_owned(), key: way.key, label: way.label.to_owned(), to }
}

/// What only a node of its kind has.
fn fill(view: &mut GuideNode, walk: &Walk<'_>, node: &Node, look: &Look<'_>, standing: &Standing) {
    let value = |name: &str| look.values.get(name);
    match &node.kind {
        NodeKind::Decide(decide) => {
            view.kind = GuideKind::Decide;
            view.prose = paragraphs(&decide.why);
            view.lines = told(typed_lines(&decide.look, &value));
        }
        NodeKind::Checklist(list) => {
            view.kind = GuideKind::Checklist;
            let item = |item: &crate::runbook::Item| {
                let tick = walk.tick(&node.id, &item.id);
                let ask = |name: &String| checked(name, look, standing);
                GuideItem {
                    id: item.id.clone(),
                    text: item.text.clone(),
                    why: item.why.clone(),
                    blocking: item.blocking,
                    done: tick.map(|tick| tick.state.lets_pass()),
                    not_applicable: tick.is_some_and(|tick| tick.state == ItemState::NotApplicable),
                    by: tick.map(|tick| (tick.by.clone(), tick.at)),
                    note: tick.and_then(|tick| tick.note.clone()),
                    seen: item.check.as_ref().and_then(ask),
                }
            };
            view.items = list.items.iter().map(item).collect();
            view.blocked =
                view.items.iter().filter(|item| item.blocks()).map(|item| item.text.clone()).collect();
            if view.blocked.is_empty() && view.ways.is_empty() {
                view.ways = node.ways().iter().map(|way| shown_way(walk.book(), way)).collect();
            }
        }
        NodeKind::Act(act) => {
            view.kind = GuideKind::Act;
            view.prose = vec![format!("Risk: {}", act.risk), format!("Undo: {}", act.undo)];
            view.lines = told(act.how.lines(&value));
            view.by_hand = matches!(act.how, How::Manual { .. });
            view.operation = match &act.how {
                How::Operation { operation, .. } => Some(operation.clone()),
                _ => None,
            };
            view.runs = act.how.digest(&value);
            view.typed = act.confirm == Confirm::Typed;
            text::confirmed(act.confirm).trim_start_matches(", ").clone_into(&mut view.confirm);
        }
        NodeKind::Notify(notify) => {
            view.kind = GuideKind::Notify;
            view.prose = vec![format!("To: {}", text::audience(notify.audience))];
            let filled = shown(&notify.template, Quoting::Plain, &value);
            view.lines = filled.shown.lines().map(str::to_owned).collect();
        }
        NodeKind::End(end) => {
            view.kind = GuideKind::End;
            view.prose = paragraphs(&end.text);
            view.outcome = Some(end.outcome.name().to_owned());
            view.next_runbook.clone_from(&end.runbook);
        }
    }
    view.missing = missing(node, &value);
}

/// Lines to be typed: one that lacks a value says so, and is no command before it has one.
fn told(lines: Vec<String>) -> Vec<String> {
    let line = |line: String| {
        let mut lacks: Vec<&str> = variables(&line).collect();
        lacks.dedup();
        if lacks.is_empty() || line.starts_with('#') {
            return line;
        }
        format!("# no value for {} yet: {line}", lacks.join(", "))
    };
    lines.into_iter().map(line).collect()
}

/// What an automatic check says: the journal of who is who, the facts of everything else.
fn checked(name: &str, look: &Look<'_>, standing: &Standing) -> Option<Checked> {
    roles::checked(name, standing).or_else(|| check(name, look.situation?, look.now))
}

/// Paragraphs and items of a text, unwrapped.
fn paragraphs(text: &str) -> Vec<String> {
    let mut paragraphs: Vec<String> = vec![String::new()];
    for line in text.lines().map(str::trim) {
        match paragraphs.last_mut().filter(|_| !line.is_empty() && !line.starts_with("- ")) {
            Some(open) if !open.is_empty() => *open = format!("{open} {line}"),
            _ => paragraphs.push(line.to_owned()),
        }
    }
    paragraphs.retain(|paragraph| !paragraph.is_empty());
    paragraphs
}

/// The variables of a node that nobody has given a value.
fn missing(node: &Node, value: &impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut missing = Vec::new();
    for text in node.texts() {
        for name in shown(text, Quoting::Plain, value).missing {
            if !missing.contains(&name) {
                missing.push(name);
            }
        }
    }
    missing
}

//! The runbook: the way here on the left, one question on the right with what was seen and what that proposes, the keys
//! that answer it. Answers nothing by itself; what an act says is shown with its exact commands.

mod draw;
mod list;

use super::paint::done;
use super::{Action, Asked, Confirmed, Modal, Part, Screen, ScreenId, incident};
use crate::console::input::{ActShown, Effect, Key};
use crate::console::keymap::{Binding, Cmd};
use crate::console::model::Model;
use crate::console::theme::Theme;
use crate::console::widgets::Selection;
use crate::incident::guide::{ItemState, Step, meaning};
use crate::model::guide::{GuideKind, GuideNode, GuideView, GuideWay};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// The exit that says that one does not know.
const UNKNOWN: &str = "unknown";

/// The runbook.
#[derive(Debug, Default)]
pub struct RunbookScreen {
    /// The chosen item of a list.
    item: Selection,
    /// The node the choice is of.
    node: String,
    /// The item of which is being said why it does not apply.
    asking: Option<String>,
}

impl Screen for RunbookScreen {
    fn id(&self) -> ScreenId {
        ScreenId::Runbook
    }

    fn title(&self) -> &'static str {
        "runbook"
    }

    fn bindings(&self, model: &Model) -> Vec<Binding> {
        let mut bindings = match model.guide.value() {
            Some(guide) if guide.fresh => {
                vec![Binding::new(&[Key::Enter], Cmd::Open, "begin", "Begin with the first question.")]
            }
            Some(guide) => node_bindings(guide),
            None => Vec::new(),
        };
        let none = || model.guide.value().is_none().then(|| "there is no runbook to be shown".to_owned());
        let back = model.guide.value().and_then(|guide| guide.node.back.as_ref());
        let missing = model.guide.value().is_some_and(|guide| !guide.node.missing.is_empty());
        let none_missing = (!missing).then(|| "every variable here has a value".to_owned());
        let tree =
            Binding::new(&[Key::Char('T')], Cmd::Tree, "tree", "The whole runbook as a tree: you are here.");
        // An act and a list have more keys than the footer has room for.
        let full = model.guide.value().is_some_and(|guide| {
            matches!(guide.node.kind, GuideKind::Act | GuideKind::Checklist) && !guide.fresh
        });
        let tree = Binding { in_footer: !full, ..tree };
        let more = [
            Binding::new(
                &[Key::Char('e')],
                Cmd::Evidence,
                "evidence",
                "Everything that was seen, and how to look by hand.",
            )
            .unless(none()),
            tree.unless(none()),
            Binding::new(
                &[Key::Char('B')],
                Cmd::StepBack,
                "back",
                "Back by one node; what was done stays done.",
            )
            .unless(back.is_none().then(|| "there is nothing before this".to_owned())),
            Binding::new(&[Key::Char('m')], Cmd::Note, "note", "Write something into the journal.")
                .quiet()
                .unless(model.why_not(Cmd::Note)),
            Binding::new(&[Key::Char('J')], Cmd::Journal, "journal", "The journal of the incident.")
                .quiet()
                .unless(model.why_not(Cmd::Journal)),
            Binding::new(
                &[Key::Char('s')],
                Cmd::Fill,
                "set values",
                "Say what the variables stand for that have no value.",
            )
            .quiet()
            .unless(none_missing),
            Binding::new(&[Key::Char('o')], Cmd::Operation, "operation", "The operation that runs.")
                .quiet()
                .unless(model.why_not(Cmd::Operation)),
            Binding::new(&[Key::Char('t')], Cmd::Recover, "recover", "Target and plan.")
                .quiet()
                .unless(model.why_not(Cmd::Recover)),
        ];
        // Where the node has few keys in the footer, there is room for the other screens of the incident; a list asks
        // who is who.
        let kind = model.guide.value().filter(|guide| !guide.fresh).map(|guide| guide.node.kind);
        let has_room = |cmd| match kind {
            Some(GuideKind::Decide) => true,
            Some(GuideKind::Checklist) => cmd == Cmd::People,
            _ => false,
        };
        let ways = incident::ways(model, self.id());
        let ways = ways.into_iter().map(|way| Binding { in_footer: has_room(way.cmd), ..way });
        let more = more.into_iter().chain(ways);
        // An answer's key means the answer.
        let free = |binding: &Binding| {
            !bindings.iter().any(|own| own.keys.iter().any(|key| binding.keys.contains(key)))
        };
        let more: Vec<Binding> = more.filter(free).collect();
        bindings.extend(more);
        bindings
    }

    fn entered(&mut self, model: &Model) -> Vec<Effect> {
        model
            .board
            .incident
            .as_ref()
            .map_or_else(Vec::new, |open| vec![Effect::WatchRunbook(open.id.clone())])
    }

    fn updated(&mut self, model: &Model) {
        let Some(guide) = model.guide.value() else { return };
        if guide.node.id != self.node {
            self.node.clone_from(&guide.node.id);
            self.item = Selection::default();
        }
        self.item.keep(guide.node.items.len());
    }

    fn on(&mut self, model: &Model, cmd: Cmd) -> Option<Action> {
        match cmd {
            Cmd::Recover => return Some(Action::Go(ScreenId::Target)),
            Cmd::Journal => return Some(Action::Go(ScreenId::Journal)),
            Cmd::Operation => return Some(Action::Go(ScreenId::Running)),
            Cmd::People | Cmd::Talk | Cmd::Checklist => return incident::go(model, cmd),
            _ => {}
        }
        let guide = model.guide.value()?;
        if guide.node.kind == GuideKind::Checklist && self.item.on(cmd, guide.node.items.len()) {
            return done();
        }
        match cmd {
            Cmd::Open if guide.fresh => Some(step(guide, Step::Begin)),
            Cmd::Open => open(guide),
            Cmd::Way(at) => way(guide, guide.node.ways.get(usize::from(at))?),
            Cmd::Mark => self.tick(guide),
            Cmd::NotApplicable => self.waive(guide),
            Cmd::Run => run(guide),
            Cmd::Fill => fill(guide, 0),
            Cmd::StepBack if guide.node.back.is_some() => Some(step(guide, Step::Back)),
            Cmd::Evidence => Some(Action::Open(Modal::Text {
                title: guide.node.title.clone(),
                lines: draw::evidence(guide, model.now),
            })),
            Cmd::Tree => {
                Some(Action::Open(Modal::Text { title: guide.title.clone(), lines: guide.tree.clone() }))
            }
            _ => None,
        }
    }

    fn text(&mut self, model: &Model, asked: Asked, text: &str) -> Option<Action> {
        let guide = model.guide.value()?;
        let reason = Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        match asked {
            Asked::Reason(at) => {
                let exit = guide.node.ways.get(usize::from(at))?.id.clone();
                reason.is_some().then(|| step(guide, Step::Answer { exit, reason }))
            }
            Asked::Value(at) => {
                let (name, value) = (guide.node.missing.get(usize::from(at))?.clone(), reason?);
                let given = Action::Do(Effect::GiveValue { name, value });
                Some(match fill(guide, at + 1) {
                    Some(next) => Action::All(vec![given, next]),
                    None => given,
                })
            }
            Asked::Part(Part::Why) => {
                let item = self.asking.take()?;
                let tick = Step::Tick { item, state: ItemState::NotApplicable, note: Some(reason?) };
                self.choose_next_open(guide);
                Some(step(guide, tick))
            }
            Asked::Outcome(well) => {
                let outcome = reason.unwrap_or_else(|| if well { "done" } else { "failed" }.to_owned());
                Some(step(guide, Step::Ended { done: well, outcome }))
            }
            _ => None,
        }
    }

    fn draw(&self, model: &Model, theme: Theme, area: Rect, buffer: &mut Buffer) {
        draw::screen(model, self.item.at(), theme, area, buffer);
    }
}

impl RunbookScreen {
    /// Ticks the chosen item or opens it again; after a tick the next one that is open is chosen.
    fn tick(&mut self, guide: &GuideView) -> Option<Action> {
        let item = guide.node.items.get(self.item.at())?;
        let done = item.done != Some(true);
        let state = if done { ItemState::Holds } else { ItemState::Open };
        if done {
            self.choose_next_open(guide);
        }
        Some(step(guide, Step::Tick { item: item.id.clone(), state, note: None }))
    }
}

impl RunbookScreen {
    /// After an item was seen to, the next one that is open.
    fn choose_next_open(&mut self, guide: &GuideView) {
        let items = &guide.node.items;
        let is_open = |other: &usize| items.get(*other).is_some_and(|item| item.done != Some(true));
        if let Some(next) = (self.item.at() + 1..items.len()).find(is_open) {
            self.item.choose(next);
        }
    }

    /// Asks why the chosen item does not apply.
    fn waive(&mut self, guide: &GuideView) -> Option<Action> {
        let item = guide.node.items.get(self.item.at())?;
        self.asking = Some(item.id.clone());
        let text = vec![item.text.clone(), "Why it does not apply here.".to_owned()];
        Some(ask("DOES NOT APPLY", text, Asked::Part(Part::Why)))
    }
}

/// Enter: what comes next at a node that is no question.
fn open(guide: &GuideView) -> Option<Action> {
    match guide.node.kind {
        GuideKind::Checklist if !guide.node.blocked.is_empty() => None,
        GuideKind::Checklist | GuideKind::Notify => {
            Some(step(guide, Step::Pass { note: None, seen: guide.node.seen_to_hold() }))
        }
        GuideKind::Act if guide.node.began.is_none() => {
            // Prose, and a command that lacks a value, is nothing that is begun.
            let command = guide.node.lines.iter().find(|line| !line.starts_with('#'));
            let what = command.unwrap_or(&guide.node.title).clone();
            // What can be run from here is begun by being run.
            if guide.node.runs.is_some() && draw::screen_of(&guide.node).is_none() {
                return Some(Action::Open(Modal::Text {
                    title: guide.node.title.clone(),
                    lines: draw::commands(&guide.node),
                }));
            }
            let begun = step(guide, Step::Begun { what });
            // What this console has a screen for is done there; everything else is shown to be typed.
            Some(match draw::screen_of(&guide.node) {
                Some(screen) => Action::All(vec![begun, Action::Go(screen)]),
                None => Action::All(vec![
                    begun,
                    Action::Open(Modal::Text {
                        title: guide.node.title.clone(),
                        lines: draw::commands(&guide.node),
                    }),
                ]),
            })
        }
        GuideKind::Act => Some(match draw::screen_of(&guide.node) {
            Some(screen) => Action::Go(screen),
            None => Action::Open(Modal::Text {
                title: guide.node.title.clone(),
                lines: draw::commands(&guide.node),
            }),
        }),
        GuideKind::End => {
            let next = guide.node.next_runbook.clone()?;
            Some(in_runbook(guide, next, Step::Begin))
        }
        GuideKind::Decide => None,
    }
}

/// Asks what the variables without a value stand for, one after the other.
fn fill(guide: &GuideView, at: u8) -> Option<Action> {
    let name = guide.node.missing.get(usize::from(at))?;
    let text =
        vec![format!("${{{name}}}: {}.", meaning(name)), "It holds for the whole incident.".to_owned()];
    Some(ask("A VALUE", text, Asked::Value(at)))
}

/// Why the act that is shown cannot be run from here; nothing if it can.
fn why_not_run(node: &GuideNode) -> Option<String> {
    if node.by_hand {
        return Some("it is done by a person: there is no executor for it".to_owned());
    }
    if let Some((_, by, _)) = &node.began {
        return Some(format!("{by} began it already"));
    }
    let lacks = node.missing.first().map(|name| format!("${{{name}}} has no value here: s gives it one"));
    lacks.or_else(|| node.runs.is_none().then(|| "it cannot be run from here".to_owned()))
}

/// Carries out the act that is shown; after a typed word where it wants one.
fn run(guide: &GuideView) -> Option<Action> {
    let node = &guide.node;
    if why_not_run(node).is_some() {
        return None;
    }
    let act = Box::new(ActShown {
        incident: guide.incident.clone(),
        runbook: guide.runbook.clone(),
        node: node.id.clone(),
        title: node.title.clone(),
        digest: node.runs.clone()?,
    });
    if !node.typed {
        return Some(Action::Do(Effect::RunAct { act, typed: None }));
    }
    let mut text = draw::commands(node);
    text.extend(node.prose.iter().cloned());
    let word = guide.stanza.clone();
    Some(Action::Open(Modal::Confirm { title: node.title.clone(), text, word, then: Confirmed::Act(act) }))
}

/// A step from the node that is shown, with the evidence that is shown.
fn step(guide: &GuideView, step: Step) -> Action {
    in_runbook(guide, guide.runbook.clone(), step)
}

fn in_runbook(guide: &GuideView, runbook: String, step: Step) -> Action {
    Action::Do(Effect::Step {
        incident: guide.incident.clone(),
        runbook,
        seen: guide.node.id.clone(),
        proposal: guide.proposal.clone().map(Box::new),
        step,
    })
}

/// What a key of a way does: an answer against the facts asks for its reason first.
fn way(guide: &GuideView, way: &GuideWay) -> Option<Action> {
    let at = guide.node.ways.iter().position(|known| known.id == way.id)?;
    let at = u8::try_from(at).ok()?;
    if guide.node.kind == GuideKind::Act {
        let well = way.id == "done";
        let title = if well { "WHAT CAME OUT" } else { "WHAT FAILED" };
        let text = vec!["A sentence for the journal.".to_owned()];
        return Some(ask(title, text, Asked::Outcome(well)));
    }
    let proposed = guide.proposal.as_ref().map(|proposal| proposal.exit.unwrap_or(UNKNOWN));
    if proposed.is_none_or(|proposed| proposed == way.id) || way.id == UNKNOWN {
        return Some(step(guide, Step::Answer { exit: way.id.clone(), reason: None }));
    }
    let proposed = proposed.unwrap_or(UNKNOWN);
    let text = vec![
        format!("The facts say '{proposed}'; your answer is '{}'.", way.label),
        "Why, in a sentence. It is written down with the answer.".to_owned(),
    ];
    Some(ask("AGAINST THE PROPOSAL", text, Asked::Reason(at)))
}

fn ask(title: &str, text: Vec<String>, then: Asked) -> Action {
    Action::Open(Modal::Ask { title: title.to_owned(), text, initial: String::new(), then })
}

/// The keys of a node.
fn node_bindings(guide: &GuideView) -> Vec<Binding> {
    let node = &guide.node;
    let way = |at: usize, key: char, way: &GuideWay| {
        let cmd = Cmd::Way(u8::try_from(at).unwrap_or(u8::MAX));
        let label = way.label.split([':', ',', ';']).next().unwrap_or(&way.label).to_owned();
        Binding::new(&[Key::Char(key)], cmd, label, format!("{}: leads to \"{}\".", way.label, way.to))
    };
    match node.kind {
        GuideKind::Decide => {
            let keyed = node.ways.iter().enumerate();
            let keyed = keyed.filter_map(|(at, it)| Some(way(at, it.key?, it).quiet()));
            // Who presses Enter because there is a proposal is told, not obeyed.
            let keys: Vec<String> = node.ways.iter().filter_map(|it| it.key.map(String::from)).collect();
            let why = format!("a question is answered by its own key: {}", keys.join(", "));
            let enter =
                Binding::new(&[Key::Enter], Cmd::Open, "answer", "Nothing: an answer has a key of its own.");
            keyed.chain(std::iter::once(enter.quiet().unless(Some(why)))).collect()
        }
        GuideKind::Checklist => {
            let blocked = (!node.blocked.is_empty()).then(|| format!("open: {}", node.blocked.join("; ")));
            vec![
                Binding::new(
                    &[Key::Char(' ')],
                    Cmd::Mark,
                    "tick",
                    "The chosen item is so, or is open again.",
                ),
                Binding::new(
                    &[Key::Char('n')],
                    Cmd::NotApplicable,
                    "n/a",
                    "The chosen item does not apply here: why.",
                ),
                Binding::new(&[Key::Enter], Cmd::Open, "go on", "The list is behind.").unless(blocked),
            ]
        }
        GuideKind::Act => {
            let ends = node.ways.iter().enumerate().zip(['d', 'f']);
            let runs = node.runs.is_some() && draw::screen_of(node).is_none();
            let begin = if node.began.is_none() && !runs { "begin" } else { "commands" };
            let run = "Carry it out from here; what it says is kept. A worker does it, whatever becomes of this terminal.";
            let run = Binding::new(&[Key::Char('x')], Cmd::Run, "run", run).unless(why_not_run(node));
            let run = Some(run).filter(|_| !node.by_hand && draw::screen_of(node).is_none());
            std::iter::once(Binding::new(
                &[Key::Enter],
                Cmd::Open,
                begin,
                "What is to be done, with its exact commands.",
            ))
            .chain(run)
            .chain(ends.map(|((at, it), key)| way(at, key, it)))
            .collect()
        }
        GuideKind::Notify => vec![Binding::new(&[Key::Enter], Cmd::Open, "told", "It was said; go on.")],
        GuideKind::End => {
            let next = node.next_runbook.iter();
            next.map(|next| {
                let help = format!("Begin the runbook {next}, in which this one goes on.");
                Binding::new(&[Key::Enter], Cmd::Open, "go on", help)
            })
            .collect()
        }
    }
}

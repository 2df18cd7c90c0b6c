//! Walks: what the events of a journal lead to, from every prefix of them, and across versions.

use super::{Event, Happened, ItemState, Left, Walk, begin};
use crate::base::{Kind, Timestamp};
use crate::runbook::Runbook;
use crate::runbook::tests::{SMALL, small};
use proptest::prelude::*;

/// Writes events down as a journal would: one second apart, by `dk`.
fn written(book: &Runbook, events: Vec<Event>, into: &mut Vec<Happened>) {
    for event in events {
        let at = Timestamp::from_unix_s(1_000 + i64::try_from(into.len()).unwrap());
        let (runbook, digest) = (book.name.clone(), book.digest.clone());
        into.push(Happened { at, actor: "dk".to_owned(), runbook, digest, event });
    }
}

fn here<'b>(walk: &Walk<'b>) -> &'b str {
    &walk.node().unwrap().id
}

/// Does steps by name until there are none left.
fn journal(book: &Runbook, steps: &[&str]) -> Vec<Happened> {
    let mut events = Vec::new();
    written(book, begin(book), &mut events);
    for step in steps {
        let walk = Walk::fold(book, &events);
        let next = match *step {
            "next" => walk.pass(None),
            "begun" => walk.begun("op-1"),
            "done" => walk.ended(true, "fine"),
            "failed" => walk.ended(false, "no unit"),
            "back" => walk.back(),
            "told" | "room" => walk.set_tick(step, ItemState::Holds, false, None),
            answer => walk.answer(answer, None, None),
        };
        written(book, next.unwrap_or_else(|report| panic!("{step}: {report}")), &mut events);
    }
    events
}

#[test]
fn a_walk_goes_where_its_answers_lead() {
    let book = small();
    let events = journal(&book, &["n", "begun", "done", "yes", "told", "next", "next"]);
    let walk = Walk::fold(&book, &events);
    assert!(walk.is_over());
    assert_eq!(here(&walk), "end");
    let path: Vec<(&str, bool)> = walk.path().iter().map(|v| (v.node.as_str(), v.left.is_some())).collect();
    assert_eq!(
        path,
        [("alive", true), ("start", true), ("alive", true), ("list", true), ("tell", true), ("end", false)]
    );
    let first = &walk.path()[0];
    assert_eq!(
        (first.by.as_str(), first.entered_at, first.section),
        ("dk", Timestamp::from_unix_s(1000), Some(1))
    );
    assert_eq!(first.left.as_ref().unwrap().at, Timestamp::from_unix_s(1001));
    assert_eq!(walk.path()[1].began.as_ref().unwrap().what, "op-1");
    assert!(walk.troubles().is_empty());
    assert_eq!(walk.now().unwrap().ways, []);
}

#[test]
fn every_prefix_of_a_journal_leads_to_where_the_walk_stood() {
    let book = small();
    let steps = ["n", "failed", "back", "begun", "done", "yes", "told", "back", "y", "told", "next", "next"];
    let events = journal(&book, &steps);
    let mut live = Walk::new(&book);
    for (number, event) in events.iter().enumerate() {
        live.apply(event);
        let resumed = Walk::fold(&book, &events[..=number]);
        assert_eq!(resumed, live, "after {event:?}");
        // Between leaving a node and entering the next one a crash loses nothing: the way is known.
        if let Some(Event::Entered { node }) = events.get(number + 1).map(|next| &next.event) {
            assert_eq!(here(&live), node, "after {event:?}");
        }
    }
    assert!(live.is_over());
}

#[test]
fn going_back_is_kept_and_no_longer_counts() {
    let book = small();
    let walk_events = journal(&book, &["y", "told", "next", "back"]);
    let walk = Walk::fold(&book, &walk_events);
    assert_eq!(here(&walk), "list");
    assert!(
        walk.tick("list", "told").unwrap().state.lets_pass(),
        "what was seen to stays so when one comes back"
    );
    let trail: Vec<&str> = walk.trail().map(|visit| visit.node.as_str()).collect();
    assert_eq!(trail, ["alive", "list"]);
    assert_eq!(walk.path().len(), 4);
    assert_eq!(walk.path()[2].left.as_ref().unwrap().how, Left::Back);
    assert!(walk.path()[1].undone && walk.path()[2].undone && !walk.path()[3].undone);
    let fresh = Walk::fold(&book, &journal(&book, &[]));
    assert!(fresh.back().unwrap_err().headline.contains("first step"));
}

#[test]
fn nobody_passes_what_blocks_and_a_list_is_gone_through_again() {
    let book = small();
    let events = journal(&book, &["y", "room"]);
    let walk = Walk::fold(&book, &events);
    let now = walk.now().unwrap();
    assert_eq!((now.ways.len(), now.blocked[0].id.as_str()), (0, "told"));
    let refused = walk.pass(None).unwrap_err();
    assert_eq!(refused.kind, Kind::Refused(None));
    assert!(refused.headline.contains("Told."), "{refused}");
    assert!(walk.set_tick("nothing", ItemState::Holds, false, None).is_err());
    assert!(walk.answer("y", None, None).is_err() && walk.ended(true, "").is_err());
    // Come to again by another way, its ticks are gone.
    let walk_events = journal(&book, &["y", "told", "back", "y"]);
    let walk = Walk::fold(&book, &walk_events);
    assert!(walk.tick("list", "told").is_none() && walk.pass(None).is_err());
}

#[test]
fn an_answer_against_the_facts_needs_a_reason() {
    let book = small();
    let events = journal(&book, &[]);
    let walk = Walk::fold(&book, &events);
    let override_of = |said, proposed, reason| walk.answer(said, proposed, reason);
    assert!(override_of("no", Some("yes"), None).is_err());
    assert!(override_of("no", Some("unknown"), Some("  ")).is_err());
    assert!(override_of("maybe", None, None).is_err());
    assert!(override_of("unknown", Some("yes"), None).is_ok());
    assert!(override_of("y", Some("yes"), None).is_ok());
    let mut events = events;
    written(&book, override_of("no", Some("yes"), Some("seen on its host")).unwrap(), &mut events);
    let walk = Walk::fold(&book, &events);
    let left = &walk.path()[0].left.as_ref().unwrap().how;
    assert!(left.is_override());
    let Left::Answered { reason, label, .. } = left else { panic!("{left:?}") };
    assert_eq!((reason.as_deref(), label.as_str()), (Some("seen on its host"), "no"));
}

#[test]
fn a_version_without_the_step_goes_on_from_the_start_and_loses_nothing() {
    let old =
        Runbook::parse(&SMALL.replace("start\"", "begin\"").replace("[node.start]", "[node.begin]")).unwrap();
    let events = journal(&old, &["no"]);
    let book = small();
    let mut walk = Walk::fold(&book, &events);
    assert_eq!(here(&walk), "alive");
    assert_eq!(walk.path().len(), 2);
    assert_eq!(walk.path()[1].title, "begin");
    let troubles = walk.troubles().join("\n");
    assert!(troubles.contains("another version") && troubles.contains("'begin'"), "{troubles}");
    assert_eq!(walk.troubles().len(), 2);
    let mut events = events;
    written(&book, walk.answer("yes", None, None).unwrap(), &mut events);
    for event in &events[3..] {
        walk.apply(event);
    }
    assert_eq!(here(&walk), "list");
    assert_eq!(walk.path().len(), 4);
    assert_eq!(Walk::fold(&book, &events), walk);
}

#[test]
fn an_answer_that_this_version_does_not_have_is_asked_for_again() {
    let book = small();
    let mut events = journal(&book, &[]);
    let gone = Event::Answered { node: "alive".into(), exit: "half".into(), proposed: None, reason: None };
    written(&book, vec![gone], &mut events);
    let walk = Walk::fold(&book, &events);
    assert_eq!(here(&walk), "alive");
    assert!(walk.answer("yes", None, None).is_ok());
}

#[test]
fn other_runbooks_are_passed_over_and_a_walk_can_begin_anew() {
    let book = small();
    let mut events = journal(&book, &["u", "next"]);
    let mut other = events.clone();
    for happened in &mut other {
        happened.runbook = "other".to_owned();
    }
    events.extend(other);
    assert_eq!(here(&Walk::fold(&book, &events)), "end");
    written(&book, begin(&book), &mut events);
    let walk = Walk::fold(&book, &events);
    assert_eq!((here(&walk), walk.trail().count(), walk.path().len()), ("alive", 1, 4));
    assert!(walk.back().is_err());
}

#[test]
fn events_survive_a_journal() {
    let book = small();
    for happened in journal(&book, &["n", "begun", "failed", "back"]) {
        let line = serde_json::to_string(&happened).unwrap();
        assert_eq!(serde_json::from_str::<Happened>(&line).unwrap(), happened);
    }
}

fn item_state() -> impl Strategy<Value = ItemState> {
    prop_oneof![Just(ItemState::Holds), Just(ItemState::Open), Just(ItemState::NotApplicable)]
}

fn any_event() -> impl Strategy<Value = Event> {
    let node = || {
        proptest::sample::select(vec!["alive", "list", "start", "tell", "end", "gone"])
            .prop_map(str::to_owned)
    };
    let word = || {
        proptest::sample::select(vec!["yes", "no", "unknown", "told", "room", "x"]).prop_map(str::to_owned)
    };
    prop_oneof![
        node().prop_map(|node| Event::Entered { node }),
        (node(), word()).prop_map(|(node, exit)| Event::Answered {
            node,
            exit,
            proposed: None,
            reason: None
        }),
        (node(), word(), item_state()).prop_map(|(node, item, state)| Event::Ticked {
            node,
            item,
            state,
            automatic: false,
            note: None
        }),
        node().prop_map(|node| Event::Passed { node, note: None }),
        node().prop_map(|node| Event::Began { node, what: "x".to_owned() }),
        (node(), any::<bool>()).prop_map(|(node, done)| Event::Ended { node, done, what: String::new() }),
        (node(), node()).prop_map(|(from, to)| Event::WentBack { from, to }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a journal says, there is a node, what is possible is possible, and nothing that happened is dropped.
    #[test]
    fn any_journal_leads_somewhere(events in proptest::collection::vec(any_event(), 0..20)) {
        let book = small();
        let mut happened = Vec::new();
        written(&book, events, &mut happened);
        let mut walk = Walk::new(&book);
        let mut seen = 0;
        for event in &happened {
            walk.apply(event);
            prop_assert!(walk.path().len() >= seen);
            seen = walk.path().len();
            let now = walk.now().unwrap();
            for way in &now.ways {
                prop_assert!(book.node(&way.goto.node).is_some());
            }
            if let Some(back) = now.back {
                let mut further = walk.clone();
                for event in walk.back().unwrap() {
                    let at = Timestamp::from_unix_s(5_000);
                    let (runbook, digest) = (book.name.clone(), book.digest.clone());
                    further.apply(&Happened { at, actor: "dk".into(), runbook, digest, event });
                }
                prop_assert_eq!(here(&further), back.id.as_str());
            }
        }
    }
}

use super::*;
use crate::base::Timestamp;
use crate::base::state::StateDir;
use crate::incident::Declaration;
use crate::journal::Role;
use crate::model::guide::GuideKind;
use crate::runbook::NodeKind;
use tempfile::TempDir;

/// The journal of an incident that says this.
pub(super) fn entries_of(facts: &[Fact]) -> Vec<Entry> {
    let dir = tempfile::tempdir().unwrap();
    let incidents = Incidents::new(StateDir::at(dir.path()));
    let id = incidents.declare("dk", &Declaration::sample()).unwrap();
    for fact in facts {
        incidents.append(&id, "dk", fact).unwrap();
    }
    incidents.entries(&id).unwrap()
}

/// A recovery to the latest that was confirmed.
pub(super) fn confirmed(operation: &str) -> Fact {
    let text = String::new;
    Fact::Confirmed {
        digest: text(),
        summary: text(),
        command: "pgmayday recover".to_owned(),
        typed: text(),
        operation: operation.to_owned(),
        last_commit: None,
        newest: None,
        forecast: None,
    }
}

/// An open incident and the shipped runbooks.
struct Desk {
    dir: TempDir,
    incidents: Incidents,
    library: Library,
    id: String,
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let incidents = Incidents::new(StateDir::at(dir.path()));
        let id = incidents.declare("dk", &Declaration::sample()).unwrap();
        Self { dir, incidents, library: Library::shipped(), id }
    }

    fn view(&self) -> GuideView {
        let mut values = Values::default();
        values.put("stanza", Some("orders"));
        let look = Look { situation: None, values: &values, now: Timestamp::now(), ascii: false };
        self.incidents.guide(&self.id, &self.library, &look).unwrap()
    }

    fn step_from(&self, seen: &str, proposal: Option<&Proposal>, step: &Step) -> Result<()> {
        let book = self.library.book(FIRST_RUNBOOK).unwrap();
        self.incidents.step(&self.id, "dk", book, (seen, proposal), step)
    }

    fn step(&self, step: &Step) -> Result<()> {
        self.step_from(&self.view().node.id, None, step)
    }
}

impl Desk {
    /// Begun, and walked to the first question.
    fn asked() -> Self {
        let desk = Self::new();
        desk.step(&Step::Begin).unwrap();
        while desk.view().node.kind == GuideKind::Checklist {
            for item in desk.view().node.items {
                desk.step(&Step::Tick { item: item.id, state: ItemState::Holds, note: None }).unwrap();
            }
            desk.step(&Step::Pass { note: None, seen: Vec::new() }).unwrap();
        }
        assert_eq!(desk.view().node.kind, GuideKind::Decide);
        desk
    }
}

fn answer(exit: &str, reason: Option<&str>) -> Step {
    Step::Answer { exit: exit.to_owned(), reason: reason.map(str::to_owned) }
}

#[test]
fn an_incident_begins_with_the_first_step_and_is_where_its_journal_says() {
    let desk = Desk::new();
    let fresh = desk.view();
    assert!(fresh.fresh && fresh.path.is_empty() && fresh.runbook == FIRST_RUNBOOK);
    desk.step(&Step::Begin).unwrap();
    assert!(desk.step(&Step::Begin).is_err(), "it was begun");
    assert_eq!((desk.view().fresh, desk.view().node.id == fresh.node.id), (false, true));

    let desk = Desk::asked();
    let first = desk.view();
    assert!(first.node.ways.iter().any(|way| way.id == "unknown"));
    let way = first.node.ways.iter().find(|way| way.id != "unknown").unwrap();
    desk.step(&answer(&way.id, None)).unwrap();
    let second = desk.view();
    assert_eq!(second.node.title, way.to);
    let last = second.path.last().unwrap();
    assert_eq!((last.left.as_str(), last.by.as_str()), (way.id.as_str(), "dk"));
    // Nothing but the journal holds it: whoever opens it next sees the same.
    let incidents = Incidents::new(StateDir::at(desk.dir.path()));
    let look = Look { situation: None, values: &Values::default(), now: Timestamp::now(), ascii: false };
    let again = incidents.guide(&desk.id, &Library::shipped(), &look).unwrap();
    assert_eq!((again.node.id, again.path), (second.node.id, second.path));
    desk.step(&Step::Back).unwrap();
    assert_eq!(desk.view().node.id, first.node.id);
    assert!(desk.incidents.view(&desk.id).unwrap().chain_ok);
}

#[test]
fn an_answer_against_the_facts_needs_its_reason_and_keeps_the_evidence() {
    let desk = Desk::asked();
    let node = desk.view().node;
    let ways: Vec<&str> = node.ways.iter().map(|way| way.id.as_str()).filter(|id| *id != "unknown").collect();
    let exit = crate::model::question::QUESTIONS
        .iter()
        .flat_map(|kind| kind.exits)
        .find(|exit| **exit == ways[0])
        .copied();
    let proposal = Proposal { exit, reason: "it was seen so".to_owned(), findings: Vec::new() };
    let refused = desk.step_from(&node.id, Some(&proposal), &answer(ways[1], None)).unwrap_err();
    assert!(refused.hint.is_some_and(|hint| hint.contains("why")));
    assert_eq!(desk.view().node.id, node.id);
    desk.step_from(&node.id, Some(&proposal), &answer(ways[1], Some("I saw it myself"))).unwrap();
    assert_eq!(desk.view().path.last().unwrap().against.as_deref(), Some("I saw it myself"));
    let kept = desk.incidents.entries(&desk.id).unwrap().into_iter().find_map(|entry| match entry.fact {
        Fact::NodeAnswered { findings, .. } => Some(findings),
        _ => None,
    });
    assert_eq!(kept.as_deref(), Some(&["it was seen so".to_owned()][..]));
    // Saying that one cannot tell needs none.
    let node = desk.view().node;
    if node.kind == GuideKind::Decide {
        desk.step_from(&node.id, Some(&proposal), &answer("unknown", None)).unwrap();
    }
}

#[test]
fn two_who_answer_at_once_do_not_go_on_twice() {
    let desk = Desk::asked();
    let seen = desk.view().node;
    let way = seen.ways.iter().find(|way| way.id != "unknown").unwrap().id.clone();
    desk.step_from(&seen.id, None, &answer(&way, None)).unwrap();
    let there = desk.view().node.id;
    let refused = desk.step_from(&seen.id, None, &answer(&way, None)).unwrap_err();
    assert_eq!(refused.kind, Kind::Refused(None), "{refused}");
    assert_eq!(desk.view().node.id, there);
}

#[test]
fn every_way_of_every_shipped_runbook_can_be_walked_through_the_journal() {
    let library = Library::shipped();
    for volume in library.volumes() {
        let book = volume.book().unwrap();
        let desk = Desk::new();
        let walk = |entries: &[Entry]| {
            let walk = walked(book, entries).walk;
            (
                walk.node().unwrap().id.clone(),
                walk.now().unwrap().ways.iter().map(|way| way.id.to_owned()).collect::<Vec<_>>(),
            )
        };
        let step =
            |seen: &str, step: &Step| desk.incidents.step(&desk.id, "dk", book, (seen, None), step).unwrap();
        step("", &Step::Begin);
        let mut turns = 0;
        loop {
            turns += 1;
            let (id, ways) = walk(&desk.incidents.entries(&desk.id).unwrap());
            let node = book.node(&id).unwrap();
            match &node.kind {
                NodeKind::End(_) => break,
                _ if turns > 200 => break,
                NodeKind::Decide(_) => step(&id, &answer(&ways[turns % ways.len()], None)),
                NodeKind::Checklist(list) => {
                    for item in &list.items {
                        let item = item.id.clone();
                        step(&id, &Step::Tick { item, state: ItemState::Holds, note: None });
                    }
                    step(&id, &Step::Pass { note: None, seen: Vec::new() });
                }
                NodeKind::Notify(_) => {
                    step(&id, &Step::Pass { note: Some("told".to_owned()), seen: Vec::new() });
                }
                NodeKind::Act(_) => {
                    step(&id, &Step::Begun { what: "it".to_owned() });
                    step(&id, &Step::Ended { done: turns % 3 != 0, outcome: "so".to_owned() });
                }
            }
            let now = walk(&desk.incidents.entries(&desk.id).unwrap()).0;
            let way = node.ways().into_iter().any(|way| way.goto.node == now);
            assert!(way, "{}: from {id} to {now}", book.name);
        }
        assert!(desk.incidents.view(&desk.id).unwrap().chain_ok);
    }
}

#[test]
fn every_automatic_check_is_judged_by_the_facts() {
    let situation = crate::model::situation::Situation::default();
    for check in crate::runbook::vocabulary::CHECKS {
        let judged = roles::checked(check.name, &Standing::default())
            .or_else(|| crate::model::question::judge::check(check.name, &situation, Timestamp::now()));
        assert!(judged.is_some_and(|seen| seen.holds != Some(true)), "{}", check.name);
    }
}

/// What is known of the host: an incident holds the stanza.
fn held() -> crate::model::situation::Situation {
    use crate::model::board::{Board, HoldFacts, Upkeep};
    use crate::model::fact::Fact as Known;
    let now = Timestamp::now();
    let (incident, by) = ("2026-11-21-01".to_owned(), "dk".to_owned());
    let hold = HoldFacts::Stands { incident, since: now, until: now, by };
    let upkeep = Known::known(Upkeep { hold: Some(hold), ..Upkeep::default() }, now);
    crate::model::situation::Situation {
        board: Board { upkeep, ..Board::default() },
        ..crate::model::situation::Situation::default()
    }
}

#[test]
fn what_the_facts_show_is_ticked_with_what_was_seen_when_the_list_is_passed() {
    let desk = Desk::new();
    desk.step(&Step::Begin).unwrap();
    let situation = held();
    let values = Values::default();
    let look = Look { situation: Some(&situation), values: &values, now: Timestamp::now(), ascii: false };
    let view = || desk.incidents.guide(&desk.id, &desk.library, &look).unwrap();
    for item in view().node.items.iter().filter(|item| item.id != "hold") {
        desk.step(&Step::Tick { item: item.id.clone(), state: ItemState::Holds, note: None }).unwrap();
    }
    let node = view().node;
    assert!(node.items.iter().any(|item| item.id == "hold" && item.holds_by_itself()), "{node:?}");
    let seen = node.seen_to_hold();
    desk.step(&Step::Pass { note: None, seen }).unwrap();
    assert_eq!(view().node.kind, GuideKind::Decide);
    let entries = desk.incidents.entries(&desk.id).unwrap();
    let ticked = entries.iter().find_map(|entry| match &entry.fact {
        Fact::Ticked { item, automatic: true, detail, .. } => Some((item.as_str(), detail.as_str())),
        _ => None,
    });
    assert!(
        ticked.is_some_and(|(item, text)| item == "hold" && text.contains("2026-11-21-01")),
        "{ticked:?}"
    );
}

#[test]
fn what_a_person_says_of_an_item_stands_against_what_the_facts_say() {
    let desk = Desk::new();
    desk.step(&Step::Begin).unwrap();
    desk.step(&Step::Tick { item: "hold".to_owned(), state: ItemState::Open, note: None }).unwrap();
    let situation = held();
    let values = Values::default();
    let look = Look { situation: Some(&situation), values: &values, now: Timestamp::now(), ascii: false };
    let node = desk.incidents.guide(&desk.id, &desk.library, &look).unwrap().node;
    assert_eq!(node.seen_to_hold(), []);
}

#[test]
fn who_says_that_roles_are_named_takes_those_that_nobody_holds() {
    let desk = Desk::new();
    desk.step(&Step::Begin).unwrap();
    let lead = || desk.view().node.items.into_iter().find(|item| item.id == "lead").unwrap();
    let seen = lead().seen.unwrap();
    assert_eq!(seen.holds, Some(false));
    assert!(seen.text.starts_with("nobody is Incident Lead or Restore Operator"), "{}", seen.text);
    desk.incidents.take_role(&desk.id, "am", Role::Lead, None).unwrap();
    assert!(lead().blocks(), "nobody types yet");
    let tick = |state| desk.step(&Step::Tick { item: "lead".to_owned(), state, note: None }).unwrap();
    tick(ItemState::Open);
    assert_eq!(desk.incidents.view(&desk.id).unwrap().standing.holder(Role::Operator), None);
    tick(ItemState::Holds);
    let standing = desk.incidents.view(&desk.id).unwrap().standing;
    let named = [Role::Lead, Role::Operator].map(|role| standing.holder(role).unwrap().to_owned());
    assert_eq!(named, ["am", "dk"]);
    assert_eq!(lead().seen.unwrap().text, "am is Incident Lead, dk is Restore Operator");
    // Another item takes nobody's part.
    let desk = Desk::new();
    desk.step(&Step::Begin).unwrap();
    desk.step(&Step::Tick { item: "never".to_owned(), state: ItemState::Holds, note: None }).unwrap();
    assert!(desk.incidents.view(&desk.id).unwrap().standing.roles.is_empty());
}

#[test]
fn an_item_that_does_not_apply_is_gone_on_without_and_its_reason_is_kept() {
    let desk = Desk::new();
    desk.step(&Step::Begin).unwrap();
    let waive = |note: Option<&str>| {
        let note = note.map(str::to_owned);
        desk.step(&Step::Tick { item: "hands-off".to_owned(), state: ItemState::NotApplicable, note })
    };
    assert!(waive(None).unwrap_err().headline.contains("reason"));
    assert!(waive(Some(" ")).is_err());
    waive(Some("no configuration management here")).unwrap();
    let item = || desk.view().node.items.into_iter().find(|item| item.id == "hands-off").unwrap();
    assert!(item().not_applicable && !item().blocks());
    assert_eq!(item().note.as_deref(), Some("no configuration management here"));
    let line = desk.incidents.view(&desk.id).unwrap().lines.pop().unwrap().text;
    assert!(line.contains("hands-off not applicable") && line.contains("no configuration"), "{line}");
    desk.step(&Step::Tick { item: "hands-off".to_owned(), state: ItemState::Open, note: None }).unwrap();
    assert!(!item().not_applicable && item().blocks(), "it is open again");
}

#[test]
fn what_a_person_gives_a_variable_holds_for_the_whole_incident() {
    let desk = Desk::new();
    desk.incidents.give_value(&desk.id, "dk", "database", "shop").unwrap();
    desk.incidents.give_value(&desk.id, "dk", "database", " orders ").unwrap();
    for (name, value) in [("databse", "x"), ("incident", "x"), ("database", " "), ("database", "a\nb")] {
        desk.incidents.give_value(&desk.id, "dk", name, value).unwrap_err();
    }
    let view = desk.incidents.view(&desk.id).unwrap();
    let values = Values::of(None, Some(&view), None);
    assert_eq!(values.get("database").as_deref(), Some("orders"));
    assert_eq!(meaning("database"), "the database concerned");
}

#[test]
fn a_server_here_is_reached_by_its_socket_and_a_command_without_a_value_says_so() {
    use crate::model::situation::{MemberFacts, Situation};
    let member = |host: Option<&str>, socket: Option<&str>| MemberFacts {
        host: host.map(str::to_owned),
        port: 5433,
        socket: socket.map(Into::into),
        ..MemberFacts::default()
    };
    let members = vec![member(None, Some("/run/pg one")), member(Some("db2"), None)];
    let situation = Situation { members, ..Situation::default() };
    let mut values = Values::of(None, None, Some(&situation));
    assert_eq!(values.get("server").as_deref(), Some("/run/pg one"));
    assert_eq!(values.get("replica_server").as_deref(), Some("db2"));
    // Whoever names another host means its server, too.
    let desk = Desk::asked();
    let mut view = desk.incidents.view(&desk.id).unwrap();
    view.values.insert("host".to_owned(), "db7".to_owned());
    let given = Values::of(None, Some(&view), Some(&situation));
    assert_eq!((given.get("host").as_deref(), given.get("server").as_deref()), (Some("db7"), Some("db7")));
    view.values.insert("server".to_owned(), "/run/there".to_owned());
    let given = Values::of(None, Some(&view), Some(&situation));
    assert_eq!(given.get("server").as_deref(), Some("/run/there"));
    values.put("port", Some("5433"));
    let lines = |values: &Values| {
        let look = Look { situation: None, values, now: Timestamp::now(), ascii: false };
        desk.incidents.guide(&desk.id, &desk.library, &look).unwrap().node.lines
    };
    let first = || lines(&values).into_iter().next().unwrap();
    assert_eq!(first(), "pg_isready -h '/run/pg one' -p 5433 -t 3");
    let bare = lines(&Values::default());
    assert_eq!(bare[0], "# no value for server, port yet: pg_isready -h ${server} -p ${port} -t 3");
    assert_eq!(bare[2], "# on the host itself:");
}

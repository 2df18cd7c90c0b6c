//! The screens between people in an incident: roles, tasks, messages, checklists; what they show and what keys ask for.

use crate::models::{at, in_incident, now, plan};
use crate::pictures::check;
use crate::{entered, picture};
use pgmayday::base::Timestamp;
use pgmayday::console::app::App;
use pgmayday::console::input::{Effect, Input, Key};
use pgmayday::console::keymap::Cmd;
use pgmayday::console::model::{Loaded, Model};
use pgmayday::console::screens::checklist::ChecklistScreen;
use pgmayday::console::screens::people::PeopleScreen;
use pgmayday::console::screens::runbook::RunbookScreen;
use pgmayday::console::screens::talk::TalkScreen;
use pgmayday::console::screens::{Action, Asked, Modal, Part, Screen, ScreenId};
use pgmayday::console::theme::Theme;
use pgmayday::incident::checklist::{self, POST_RESTORE, PRE_RESTORE};
use pgmayday::incident::comms::{Due, Hook, Queued, Status, Waiting};
use pgmayday::incident::standing::{
    Channel, ChannelState, FollowUp, Message, RoleStanding, Standing, Task, TaskEnd, Tick,
};
use pgmayday::incident::{Audience, Role, Settle, TickResult};
use pgmayday::model::board::OpenIncident;

const THEME: Theme = Theme { colour: true, ascii: false };
const ID: &str = "2026-11-21-01";

fn later(from: Timestamp, seconds: i64) -> Timestamp {
    Timestamp(from.0 + seconds * 1_000_000)
}

fn people(standing: &mut Standing) {
    let held = |holder: &str, clock: &str, to: Option<&str>| RoleStanding {
        holder: holder.to_owned(),
        since: at(clock),
        offered_to: to.map(str::to_owned),
    };
    standing.roles.insert(Role::Lead, held("dk", "02:05:12", Some("am")));
    standing.roles.insert(Role::Comms, held("am", "02:06:00", None));
    let task = |id, owner: &str, text: &str, due: Timestamp| Task {
        id,
        text: text.to_owned(),
        owner: owner.to_owned(),
        added_at: at("02:05:30"),
        due_at: due,
        end: None,
    };
    standing.tasks = vec![
        task(7, "dk", "stop the nightly batch", later(now(), 242)),
        task(5, "am", "ask the vendor about the controller", later(now(), -192)),
        task(6, "dk", "find out who ran the update", at("02:10:00")),
    ];
    let (by, text) = ("dk".to_owned(), "the release of 02:03".to_owned());
    standing.tasks[2].end = Some(TaskEnd { at: at("02:08:11"), by, done: true, text });
    let follow_up = |id, text: &str, due: &str, done: Option<&str>| FollowUp {
        id,
        text: text.to_owned(),
        owner: "am".to_owned(),
        due: due.to_owned(),
        done: done.map(str::to_owned),
    };
    standing.follow_ups = vec![
        follow_up(12, "an alarm on updates of more than 1 000 rows", "2026-12-01", None),
        follow_up(13, "take the right away from the release job", "2026-11-20", Some("")),
    ];
}

fn messages(standing: &mut Standing) {
    let channel = |name: &str, state, clock: &str, why: &str| Channel {
        name: name.to_owned(),
        state,
        at: at(clock),
        why: why.to_owned(),
    };
    let message = |id: &str, audience, clock: &str, channels| Message {
        id: id.to_owned(),
        audience,
        at: at(clock),
        by: "am".to_owned(),
        text: "We look into it.\nRecord 9:77aa01be".to_owned(),
        sha256: "00".to_owned(),
        channels,
    };
    standing.messages = vec![
        message(
            "first",
            Audience::Internal,
            "02:06:30",
            vec![channel("slack-ops", ChannelState::Sent, "02:06:31", "")],
        ),
        message(
            "second",
            Audience::External,
            "02:12:00",
            vec![
                channel("statuspage", ChannelState::Failed, "02:13:30", "503"),
                channel("bus", ChannelState::Sent, "02:12:01", ""),
            ],
        ),
    ];
    standing.told.insert(Audience::Internal, at("02:06:31"));
}

fn status() -> Status {
    let due = |audience, last, due, every_s| Due { audience, last, at: due, every_s };
    let hook = |name: &str, audience: &[Audience], place: &str| Hook {
        name: name.to_owned(),
        audience: audience.to_vec(),
        place: place.to_owned(),
    };
    let waiting = Waiting {
        name: "statuspage".to_owned(),
        attempts: 3,
        not_before: later(now(), 23),
        sent_at: None,
        dropped: false,
        why: "answered 503 Service Unavailable".to_owned(),
    };
    Status {
        id: ID.to_owned(),
        due: vec![
            due(Audience::Internal, Some(at("02:06:31")), later(now(), 444), 900),
            due(Audience::External, None, later(now(), -192), 1800),
        ],
        webhooks: vec![
            hook("slack-ops", &[Audience::Internal], "https://hooks.slack.com"),
            hook("statuspage", &[Audience::External], "https://status.example.com"),
            hook("bus", &[Audience::Internal, Audience::External], "variable BUS_URL is not set"),
        ],
        waiting: vec![Queued {
            message: "second".to_owned(),
            audience: Audience::External,
            at: at("02:12:00"),
            by: "am".to_owned(),
            text: "We look into it.".to_owned(),
            sha256: "00".to_owned(),
            head: "9:77aa01be".to_owned(),
            channels: vec![waiting],
        }],
        troubles: Vec::new(),
    }
}

fn ticks(standing: &mut Standing) {
    let tick = |list: &str, item: &str, result, automatic, detail: &str| Tick {
        list: list.to_owned(),
        item: item.to_owned(),
        result,
        automatic,
        by: "dk".to_owned(),
        at: at("02:09:00"),
        detail: detail.to_owned(),
    };
    standing.ticks = vec![
        tick(PRE_RESTORE, "reason", TickResult::Ok, false, ""),
        tick(PRE_RESTORE, "exact-point", TickResult::Ok, true, "plan 7f3a9c01: time 02:03:11"),
        tick(PRE_RESTORE, "fenced", TickResult::NotApplicable, false, "the host is gone"),
        tick(PRE_RESTORE, "disk-space", TickResult::Failed, false, "/data is full"),
        tick(POST_RESTORE, "connect", TickResult::Unknown, false, "the pool was down"),
    ];
}

/// An open incident with everything in it, seen by `dk`.
pub(crate) fn busy() -> Model {
    let mut model = in_incident(false);
    "dk".clone_into(&mut model.actor);
    let view = model.incident.as_mut().unwrap();
    people(&mut view.standing);
    messages(&mut view.standing);
    ticks(&mut view.standing);
    model.board.incident = Some(OpenIncident {
        id: ID.to_owned(),
        reason: view.reason.clone(),
        detected_at: view.detected_at,
        declared_at: view.declared_at,
        service_back_at: None,
    });
    model.talk = Loaded::Yes(status());
    model
}

/// Every state in which the screens of an incident differ.
pub(crate) fn models() -> Vec<Model> {
    let mut quiet = in_incident(false);
    quiet.board.incident.clone_from(&busy().board.incident);
    let mut closed = busy();
    closed.board.incident = None;
    closed.incident.as_mut().unwrap().closed_at = Some(at("02:13:00"));
    let mut read_only = busy();
    read_only.board.identity.read_only = true;
    let mut other = busy();
    "2026-09-02-01".clone_into(&mut other.incident.as_mut().unwrap().id);
    let failed = Model { talk: Loaded::Failed("the journal is gone".to_owned(), None), ..busy() };
    let with_plan = Model { plan: Some((plan().request, Loaded::Yes(plan()))), ..busy() };
    vec![busy(), quiet, closed, read_only, other, failed, with_plan]
}

fn settled(action: Option<Action>) -> Settle {
    match action {
        Some(Action::Do(Effect::Settle { incident, what })) => {
            assert_eq!(incident, ID);
            what
        }
        other => unreachable!("{other:?}"),
    }
}

/// What is asked for, and what stands in the line at first.
fn asked(action: Option<Action>) -> (Asked, String) {
    match action {
        Some(Action::Open(Modal::Ask { then, initial, .. })) => (then, initial),
        other => unreachable!("{other:?}"),
    }
}

fn down(screen: &mut dyn Screen, model: &Model, lines: usize) {
    (0..lines).for_each(|_| drop(screen.on(model, Cmd::Down)));
}

fn disabled(screen: &dyn Screen, model: &Model, cmd: Cmd) -> Option<String> {
    screen.bindings(model).into_iter().find(|binding| binding.cmd == cmd).unwrap().disabled
}

#[test]
fn people_are_shown() {
    check("people-none", &entered::<PeopleScreen>(&crate::models::bare()), &crate::models::bare());
    let model = busy();
    check("people", &entered::<PeopleScreen>(&model), &model);
    let mut quiet = in_incident(false);
    quiet.board.incident.clone_from(&model.board.incident);
    check("people-quiet", &entered::<PeopleScreen>(&quiet), &quiet);
}

#[test]
fn a_role_is_taken_offered_and_acknowledged() {
    let mut model = busy();
    let mut screen = entered::<PeopleScreen>(&model);
    assert!(disabled(&screen, &model, Cmd::TakeRole).unwrap().contains("already"));
    assert!(disabled(&screen, &model, Cmd::Acknowledge).is_some(), "it is offered to somebody else");
    let (then, _) = asked(screen.on(&model, Cmd::OfferRole));
    let to = "xx".to_owned();
    assert_eq!(settled(screen.text(&model, then, " xx ")), Settle::OfferRole { role: Role::Lead, to });
    // Nobody has the next one: taken at once. Somebody has the third: why is it taken?
    down(&mut screen, &model, 1);
    let taken = Settle::TakeRole { role: Role::Operator, reason: None };
    assert_eq!(settled(screen.on(&model, Cmd::TakeRole)), taken);
    assert!(screen.on(&model, Cmd::OfferRole).is_none(), "nobody offers what is not theirs");
    down(&mut screen, &model, 1);
    let (then, _) = asked(screen.on(&model, Cmd::TakeRole));
    assert_eq!(then, Asked::Part(Part::Why));
    let taken = Settle::TakeRole { role: Role::Comms, reason: Some("am is asleep".to_owned()) };
    assert_eq!(settled(screen.text(&model, then, "am is asleep")), taken);
    // The one it is offered to sees it, and acknowledges by one key.
    model.actor = "am".to_owned();
    screen.on(&model, Cmd::First);
    assert!(picture(&screen, &model, THEME, (80, 21)).contains("offered to you"));
    assert_eq!(settled(screen.on(&model, Cmd::Acknowledge)), Settle::AcknowledgeRole { role: Role::Lead });
}

#[test]
fn a_task_is_asked_for_word_by_word_and_ended() {
    let model = busy();
    let mut screen = entered::<PeopleScreen>(&model);
    let (then, _) = asked(screen.on(&model, Cmd::NewTask));
    let (then, owner) = asked(screen.text(&model, then, "call the vendor"));
    assert_eq!(
        (then, owner.as_str()),
        (Asked::Part(Part::Who), "dk"),
        "who asks does it, unless said otherwise"
    );
    let (then, minutes) = asked(screen.text(&model, then, "am"));
    assert_eq!((then, minutes.as_str()), (Asked::Part(Part::Minutes), "10"));
    for wrong in ["soon", "0", "10081", "-1"] {
        assert!(screen.typed(&model, then, wrong)[0].contains("whole minutes"), "{wrong}");
        assert_eq!(asked(screen.text(&model, then, wrong)).0, then, "{wrong}: asked again, nothing is lost");
    }
    assert_eq!(screen.typed(&model, then, "5"), ["= due 02:19:07 UTC"]);
    let (text, owner) = ("call the vendor".to_owned(), "am".to_owned());
    assert_eq!(settled(screen.text(&model, then, "5")), Settle::AddTask { text, owner, minutes: 5 });
    // The late one stands first; ended ones last.
    down(&mut screen, &model, 3);
    let (then, _) = asked(screen.on(&model, Cmd::Finish));
    assert!(matches!(then, Asked::Part(part) if part.may_be_empty()));
    let end = |done, text: &str| Settle::EndTask { task: 5, done, text: text.to_owned() };
    assert_eq!(settled(screen.text(&model, then, "")), end(true, ""));
    let (then, _) = asked(screen.on(&model, Cmd::GiveUp));
    assert_eq!(settled(screen.text(&model, then, "not needed")), end(false, "not needed"));
    down(&mut screen, &model, 2);
    assert_eq!(disabled(&screen, &model, Cmd::Finish).as_deref(), Some("this task has ended"));
}

#[test]
fn a_follow_up_outlives_its_incident() {
    let mut model = models().remove(2);
    assert!(model.incident.as_ref().is_some_and(|view| view.closed_at.is_some()));
    let mut screen = entered::<PeopleScreen>(&model);
    assert_eq!(disabled(&screen, &model, Cmd::NewTask).as_deref(), Some("the incident is closed"));
    let (then, _) = asked(screen.on(&model, Cmd::NewFollowUp));
    let (then, _) = asked(screen.text(&model, then, "mend the alarm"));
    let (then, day) = asked(screen.text(&model, then, "am"));
    assert_eq!((then, day.as_str()), (Asked::Part(Part::Day), "2026-11-28"));
    assert_eq!(asked(screen.text(&model, then, "tomorrow")).0, then);
    let (text, owner, due) = ("mend the alarm".to_owned(), "am".to_owned(), "2026-12-01".to_owned());
    assert_eq!(settled(screen.text(&model, then, "2026-12-01")), Settle::AddFollowUp { text, owner, due });
    down(&mut screen, &model, 6);
    let (then, _) = asked(screen.on(&model, Cmd::Finish));
    let finished = Settle::FinishFollowUp { follow_up: 12, text: "done with 4711".to_owned() };
    assert_eq!(settled(screen.text(&model, then, "done with 4711")), finished);
    // The chosen line stays chosen when lines come and go above it.
    let view = model.incident.as_mut().unwrap();
    view.standing.tasks.truncate(1);
    screen.updated(&model);
    let (then, _) = asked(screen.on(&model, Cmd::Finish));
    assert!(matches!(settled(screen.text(&model, then, "")), Settle::FinishFollowUp { follow_up: 12, .. }));
}

#[test]
fn comms_are_shown() {
    check("comms-none", &entered::<TalkScreen>(&crate::models::bare()), &crate::models::bare());
    let model = busy();
    let mut screen = entered::<TalkScreen>(&model);
    check("comms", &screen, &model);
    screen.on(&model, Cmd::Down);
    screen.on(&model, Cmd::Draft);
    check("comms-draft", &screen, &model);
    let failed = Model { talk: Loaded::Failed("the journal is gone".to_owned(), None), ..busy() };
    check("comms-failed", &entered::<TalkScreen>(&failed), &failed);
}

#[test]
fn only_a_draft_that_is_shown_is_sent_and_as_it_was_shown() {
    let mut model = busy();
    let mut screen = entered::<TalkScreen>(&model);
    assert!(screen.on(&model, Cmd::Send).is_none() && screen.on(&model, Cmd::Open).is_none());
    let (then, _) = asked(screen.on(&model, Cmd::Sentence));
    screen.text(&model, then, "The batch is stopped.");
    let (then, _) = asked(screen.on(&model, Cmd::Promise));
    screen.text(&model, then, "a plan by 02:30 UTC");
    screen.on(&model, Cmd::Draft);
    let shown = picture(&screen, &model, THEME, (80, 21));
    for said in ["The batch is stopped.", "Expected: a plan by 02:30 UTC", "by slack-ops, bus", "10m46 ago"] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
    // Time goes by; what is sent is what was read.
    model.now = later(model.now, 600);
    let Some(Action::Do(Effect::Send { audience, text, .. })) = screen.on(&model, Cmd::Send) else {
        panic!()
    };
    assert!(audience == Audience::Internal && text.contains("10m46 ago"), "{text}");
    // Afterwards nothing is left over for the next one, and nothing is sent twice.
    assert!(screen.on(&model, Cmd::Send).is_none());
    assert!(!picture(&screen, &model, THEME, (80, 21)).contains("batch"));
    screen.on(&model, Cmd::Draft);
    screen.on(&model, Cmd::Back);
    assert!(screen.on(&model, Cmd::Send).is_none(), "taken back");
}

#[test]
fn what_reaches_nobody_is_not_sent_and_what_was_told_is_written_down() {
    let mut model = busy();
    model.talk = Loaded::Yes(Status { webhooks: Vec::new(), ..status() });
    let mut screen = entered::<TalkScreen>(&model);
    screen.on(&model, Cmd::Draft);
    assert!(disabled(&screen, &model, Cmd::Send).unwrap().contains("no webhook reaches internal"));
    assert!(screen.on(&model, Cmd::Send).is_none());
    screen.on(&model, Cmd::Back);
    down(&mut screen, &model, 1);
    let (then, _) = asked(screen.on(&model, Cmd::Told));
    let told = Settle::Told { audience: Audience::External, text: "phoned the three".to_owned() };
    assert_eq!(settled(screen.text(&model, then, "phoned the three")), told);
}

#[test]
fn what_waits_is_tried_again_or_given_up() {
    let model = busy();
    let mut screen = entered::<TalkScreen>(&model);
    assert_eq!(screen.on(&model, Cmd::Flush), Some(Action::Do(Effect::Flush(ID.to_owned()))));
    down(&mut screen, &model, 2);
    let Some(Action::Open(Modal::Text { lines, .. })) = screen.on(&model, Cmd::Open) else { panic!() };
    assert!(lines.iter().any(|line| line.contains("3 tries, next in 23 s: answered 503")), "{lines:?}");
    let (then, _) = asked(screen.on(&model, Cmd::GiveUp));
    let given_up = Settle::DropMessage { message: "second".to_owned(), why: "phoned".to_owned() };
    assert_eq!(settled(screen.text(&model, then, "phoned")), given_up);
    down(&mut screen, &model, 1);
    assert!(screen.on(&model, Cmd::GiveUp).is_none(), "every channel took it");
    let quiet = Model { talk: Loaded::Yes(Status { waiting: Vec::new(), ..status() }), ..busy() };
    assert!(entered::<TalkScreen>(&quiet).on(&quiet, Cmd::Flush).is_none());
}

#[test]
fn the_runbook_says_at_its_foot_who_is_to_be_told_when() {
    let mut model = crate::runbook::models().remove(0);
    model.talk = busy().talk;
    model.incident = busy().incident;
    let foot = |model: &Model| {
        let shown = picture(&entered::<RunbookScreen>(model), model, THEME, (80, 21));
        shown.lines().last().unwrap().to_owned()
    };
    let said = foot(&model);
    assert!(
        said.starts_with("─ COMMS · internal due in 7m24 · ! external LATE by 3m12 · 1 queued · C · am "),
        "{said}"
    );
    model.talk = Loaded::No;
    assert!(foot(&model).contains("COMMS · not known yet"), "{}", foot(&model));
}

#[test]
fn the_runbooks_footer_has_room_for_the_other_screens_of_the_incident() {
    for model in crate::runbook::models() {
        let mut app = App::new(THEME, (80, 24), now());
        app.update(Input::Board(Box::new(busy().board)));
        app.update(Input::Guide(Ok(Box::new(model.guide.value().cloned().unwrap()))));
        app.update(Input::Key(Key::Char('R')));
        let area = ratatui::layout::Rect::new(0, 0, 80, 24);
        let mut buffer = ratatui::buffer::Buffer::empty(area);
        app.paint(area, &mut buffer);
        let footer: String = (0..80).map(|x| buffer[(x, 23)].symbol()).collect();
        for binding in app.bindings().into_iter().filter(|binding| binding.in_footer) {
            let may_give_way = matches!(binding.cmd, Cmd::Refresh | Cmd::Palette);
            let shown = format!("{} {}", binding.keys[0], binding.label);
            assert!(may_give_way || footer.contains(&shown), "'{shown}' is not in '{footer}'");
        }
    }
}

#[test]
fn checklists_are_shown() {
    check("checklist-none", &entered::<ChecklistScreen>(&crate::models::bare()), &crate::models::bare());
    let model = busy();
    let mut screen = entered::<ChecklistScreen>(&model);
    down(&mut screen, &model, 1);
    check("checklist", &screen, &model);
    screen.on(&model, Cmd::NextPane);
    check("checklist-after", &screen, &model);
}

#[test]
fn an_item_is_so_not_so_does_not_apply_or_is_open_again() {
    let model = Model { plan: Some((plan().request, Loaded::Yes(plan()))), ..busy() };
    let mut screen = entered::<ChecklistScreen>(&model);
    let item = |id: &str| checklist::item(PRE_RESTORE, id).unwrap();
    let tick =
        |id: &str, result, detail: &str| Settle::Tick { item: item(id), result, detail: detail.to_owned() };
    assert_eq!(settled(screen.on(&model, Cmd::Mark)), tick("reason", TickResult::Ok, ""));
    for (cmd, result) in [
        (Cmd::NotSo, TickResult::Failed),
        (Cmd::NotApplicable, TickResult::NotApplicable),
        (Cmd::Untold, TickResult::Unknown),
    ] {
        let (then, _) = asked(screen.on(&model, cmd));
        assert!(matches!(then, Asked::Part(part) if !part.may_be_empty()), "a reason is needed");
        assert_eq!(settled(screen.text(&model, then, "because")), tick("reason", result, "because"));
    }
    // What the program sees goes with the tick.
    down(&mut screen, &model, 1);
    let Settle::Tick { detail, .. } = settled(screen.on(&model, Cmd::Mark)) else { panic!() };
    assert!(detail.starts_with("plan 7f3a9c01: ") && detail.contains("last commit"), "{detail}");
    assert!(picture(&screen, &model, THEME, (80, 21)).contains("seen now: plan 7f3a9c01"));
    // Of what nobody has said anything, nothing is taken back.
    down(&mut screen, &model, 1);
    assert!(screen.on(&model, Cmd::Untold).is_none());
}

#[test]
fn nothing_is_settled_read_only_in_a_closed_incident_or_in_another_one() {
    let writes = [
        Cmd::TakeRole,
        Cmd::OfferRole,
        Cmd::Acknowledge,
        Cmd::NewTask,
        Cmd::Finish,
        Cmd::GiveUp,
        Cmd::Mark,
        Cmd::NotSo,
        Cmd::NotApplicable,
        Cmd::Draft,
        Cmd::Send,
        Cmd::Told,
        Cmd::Flush,
    ];
    let [_, _, closed, read_only, other, ..] = &models()[..] else { unreachable!() };
    for model in [closed, read_only, other] {
        let screens: [Box<dyn Screen>; 3] = [
            Box::new(entered::<PeopleScreen>(model)),
            Box::new(entered::<TalkScreen>(model)),
            Box::new(entered::<ChecklistScreen>(model)),
        ];
        for mut screen in screens {
            for cmd in writes {
                assert_eq!(screen.on(model, cmd), None, "{:?} {cmd:?}", screen.id());
            }
        }
    }
    // The open one is looked at, not the one that somebody read last.
    let watch = [Effect::WatchIncident(ID.to_owned())];
    assert_eq!(PeopleScreen::default().entered(other), watch);
    assert!(picture(&entered::<PeopleScreen>(other), other, THEME, (80, 21)).contains("being read"));
}

#[test]
fn through_the_whole_console_a_task_is_given_and_looked_at_at_once() {
    let mut app = App::new(THEME, (80, 24), now()).by("dk");
    let press = |app: &mut App, keys: &str| {
        let key = |c| if c == '\n' { Key::Enter } else { Key::Char(c) };
        keys.chars().flat_map(|c| app.update(Input::Key(key(c)))).collect::<Vec<Effect>>()
    };
    let effects = app.update(Input::Board(Box::new(busy().board)));
    assert!(effects.contains(&Effect::WatchTalk(ID.to_owned())), "{effects:?}");
    app.update(Input::Incident(Box::new(busy().incident.unwrap())));
    app.update(Input::Talk(Ok(Box::new(status()))));
    press(&mut app, "P");
    assert_eq!(app.screen(), ScreenId::People);
    assert_eq!(press(&mut app, "ncall the vendor\n\n"), []);
    let effects = press(&mut app, "\n");
    let (text, owner) = ("call the vendor".to_owned(), "dk".to_owned());
    let what = Settle::AddTask { text, owner, minutes: 10 };
    assert_eq!(effects, [Effect::Settle { incident: ID.to_owned(), what }]);
    let effects = app.update(Input::Settled(ID.to_owned(), Ok("task #9 for dk".to_owned())));
    assert_eq!(effects, [Effect::WatchIncident(ID.to_owned())]);
    // From one screen of the incident to the next and, sent by Enter only after it was shown, a message.
    press(&mut app, "C");
    assert_eq!(press(&mut app, "\n\n\n"), []);
    assert_eq!(press(&mut app, "d"), []);
    assert!(matches!(&press(&mut app, "\n")[..], [Effect::Send { audience: Audience::Internal, .. }]));
    press(&mut app, "K");
    assert_eq!(app.screen(), ScreenId::Checklist);
    assert!(matches!(&press(&mut app, " ")[..], [Effect::Settle { what: Settle::Tick { .. }, .. }]));
}

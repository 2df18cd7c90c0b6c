//! The fold of what people settle: hand-over, races, tasks, attempts, the loss, messages.

use super::*;
use crate::journal::{FIRST_PREVIOUS, TickResult};

/// A fold that takes entries by several people, a second apart.
#[derive(Default)]
struct Told {
    standing: Standing,
    seq: u64,
}

impl Told {
    fn by(&mut self, actor: &str, fact: Fact) -> u64 {
        self.seq += 1;
        self.standing.apply(&Entry {
            seq: self.seq,
            at: Timestamp::from_unix_s(1000 + i64::try_from(self.seq).unwrap()),
            boot_ms: self.seq * 1000,
            boot_id: "one".to_owned(),
            host: "db1".to_owned(),
            actor: actor.to_owned(),
            fact,
            previous: FIRST_PREVIOUS.to_owned(),
            hash: FIRST_PREVIOUS.to_owned(),
        });
        self.seq
    }

    fn lead(&self) -> (Option<&str>, Option<&str>) {
        let standing = self.standing.roles.get(&Role::Lead);
        (self.standing.holder(Role::Lead), standing.and_then(|standing| standing.offered_to.as_deref()))
    }
}

fn text(text: &str) -> String {
    text.to_owned()
}

#[test]
fn a_role_is_never_with_nobody_and_never_with_two() {
    let mut told = Told::default();
    let role = Role::Lead;
    let taken = |from: Option<&str>| Fact::RoleTaken { role, from: from.map(text), reason: None };
    told.by("dk", taken(None));
    // Somebody who saw it free, a moment later.
    told.by("am", taken(None));
    assert_eq!(told.lead(), (Some("dk"), None));
    told.by("am", Fact::RoleOffered { role, to: text("am") });
    assert_eq!(told.lead(), (Some("dk"), None), "only the holder hands over");
    told.by("dk", Fact::RoleOffered { role, to: text("am") });
    assert_eq!(told.lead(), (Some("dk"), Some("am")));
    told.by("xx", Fact::RoleAcknowledged { role, from: text("dk") });
    assert_eq!(told.lead(), (Some("dk"), Some("am")));
    told.by("am", Fact::RoleAcknowledged { role, from: text("dk") });
    assert_eq!(told.lead(), (Some("am"), None));
    told.by("am", Fact::RoleAcknowledged { role, from: text("dk") });
    told.by("dk", taken(Some("dk")));
    assert_eq!(told.lead(), (Some("am"), None), "what was true once changes nothing");
    told.by("dk", taken(Some("am")));
    assert_eq!(told.lead(), (Some("dk"), None));
}

#[test]
fn tasks_and_follow_ups_end_once_and_are_late_when_they_are() {
    let mut told = Told::default();
    let task = told.by("dk", Fact::TaskAdded { text: text("ask\u{1b}[2J"), owner: text("am"), minutes: 5 });
    let due = told.standing.tasks[0].due_at;
    assert_eq!(
        (due.0 - told.standing.tasks[0].added_at.0, told.standing.tasks[0].text.as_str()),
        (300_000_000, "ask [2J")
    );
    assert!(!told.standing.tasks[0].is_late(due) && told.standing.tasks[0].is_late(Timestamp(due.0 + 1)));
    told.by("am", Fact::TaskEnded { task: task + 7, done: true, text: text("another") });
    assert_eq!(told.standing.open_tasks().count(), 1);
    told.by("am", Fact::TaskEnded { task, done: true, text: text("so") });
    told.by("dk", Fact::TaskEnded { task, done: false, text: text("too late") });
    let end = told.standing.tasks[0].end.clone().unwrap();
    assert!(
        end.done
            && end.by == "am"
            && end.text == "so"
            && !told.standing.tasks[0].is_late(Timestamp(due.0 + 1))
    );
    let follow_up =
        told.by("dk", Fact::FollowUpAdded { text: text("x"), owner: text("am"), due: text("2026-12-01") });
    assert_eq!(told.standing.open_follow_ups().count(), 1);
    told.by("dk", Fact::FollowUpDone { follow_up, text: String::new() });
    assert_eq!(told.standing.open_follow_ups().count(), 0);
}

#[test]
fn the_position_is_where_the_runbook_was_entered_or_gone_back_to() {
    let mut told = Told::default();
    let enter =
        |node: &str| Fact::NodeEntered { runbook: text("pitr"), digest: text("abc"), node: text(node) };
    told.by("dk", enter("one"));
    told.by("dk", enter("two"));
    told.by("dk", Fact::WentBack { runbook: text("other"), from: text("two"), to: text("one") });
    assert_eq!(told.standing.position.as_ref().unwrap().node, "two");
    told.by("dk", Fact::WentBack { runbook: text("pitr"), from: text("two"), to: text("one") });
    let position = told.standing.position.unwrap();
    assert_eq!((position.node.as_str(), position.digest.as_str()), ("one", "abc"));
}

#[test]
fn attempts_are_numbered_and_the_loss_is_that_of_the_last_plan() {
    let mut told = Told::default();
    told.by(
        "dk",
        Fact::Declared {
            stanza: text("main"),
            label: None,
            reason: text("why"),
            detected_at: Timestamp::from_unix_s(900),
            rto_s: 60,
            rpo_s: 60,
            severity: Some(Severity::Sev1),
        },
    );
    let confirmed = |operation: &str, last: Option<i64>, newest: Option<i64>| Fact::Confirmed {
        digest: text("d"),
        summary: text("s"),
        command: text("c"),
        typed: text("main"),
        operation: text(operation),
        last_commit: last.map(Timestamp::from_unix_s),
        newest: newest.map(Timestamp::from_unix_s),
        forecast: None,
    };
    told.by("dk", confirmed("a", Some(800), None));
    let loss = told.standing.loss.unwrap();
    assert_eq!((loss.lost_ms, loss.until_newest), (100_000, false));
    told.by("worker", Fact::OperationEnded { operation: text("a"), done: false, lines: vec![] });
    told.by("dk", confirmed("b", Some(800), Some(950)));
    told.by("worker", Fact::OperationStarted { operation: text("b"), attempt: 1 });
    assert_eq!(told.standing.loss.unwrap().lost_ms, 150_000);
    let attempts: Vec<(u32, Option<bool>)> =
        told.standing.attempts.iter().map(|attempt| (attempt.number, attempt.done)).collect();
    assert_eq!(attempts, [(1, Some(false)), (2, None)]);
    assert_eq!(told.standing.severity, Some(Severity::Sev1));
}

#[test]
fn a_message_is_told_when_a_channel_took_it_and_not_before() {
    let mut told = Told::default();
    let audience = Audience::Internal;
    told.by(
        "am",
        Fact::MessageQueued {
            message: text("m"),
            audience,
            channels: vec![text("chat"), text("pager")],
            text: text("so\nit is"),
            sha256: text("x"),
            head: text("1:00"),
        },
    );
    let failed = |channel: &str| Fact::MessageFailed {
        message: text("m"),
        channel: text(channel),
        attempt: 1,
        why: text("status 500"),
    };
    told.by("am", failed("chat"));
    assert!(told.standing.told.is_empty() && told.standing.waiting_messages().count() == 1);
    let sent = Fact::MessageSent {
        message: text("m"),
        channel: text("chat"),
        audience,
        sha256: text("x"),
        attempt: 2,
    };
    let at = told.by("am", sent);
    assert_eq!(told.standing.told[&audience], Timestamp::from_unix_s(1000 + i64::try_from(at).unwrap()));
    told.by("am", failed("chat"));
    assert_eq!(told.standing.messages[0].channels[0].state, ChannelState::Sent, "what was taken stays taken");
    assert_eq!(told.standing.waiting_messages().count(), 1);
    told.by("am", Fact::MessageDropped { message: text("m"), channel: text("pager"), why: text("phoned") });
    assert_eq!(told.standing.waiting_messages().count(), 0);
}

#[test]
fn the_last_tick_of_an_item_counts() {
    let mut told = Told::default();
    for result in [TickResult::Failed, TickResult::Ok] {
        let (list, item, detail) = (text("pre-restore"), text("reason"), String::new());
        told.by("dk", Fact::Ticked { list, item, automatic: false, result, detail });
    }
    assert_eq!((told.standing.ticks.len(), told.standing.ticks[0].result), (1, TickResult::Ok));
}

#[test]
fn what_was_so_after_one_recovery_says_nothing_of_the_next() {
    let mut told = Told::default();
    let confirmed = |operation: &str| Fact::Confirmed {
        digest: text("d"),
        summary: text("s"),
        command: text("c"),
        typed: text("main"),
        operation: text(operation),
        last_commit: None,
        newest: None,
        forecast: None,
    };
    let tick = |list: &str, item: &str| Fact::Ticked {
        list: text(list),
        item: text(item),
        automatic: false,
        result: TickResult::Ok,
        detail: String::new(),
    };
    told.by("dk", confirmed("first"));
    told.by("dk", tick("pre-restore", "reason"));
    told.by("dk", tick("post-restore", "archiving"));
    // Told again, it is the same recovery.
    told.by("dk", confirmed("first"));
    assert_eq!(told.standing.ticks.len(), 2);
    told.by("dk", confirmed("second"));
    let left: Vec<&str> = told.standing.ticks.iter().map(|tick| tick.item.as_str()).collect();
    assert_eq!(left, ["reason"]);
}

#[test]
fn what_a_person_said_is_not_changed_by_the_program() {
    let mut told = Told::default();
    let step = |detail: &str| Fact::Step {
        operation: text("op"),
        step: text("first backup"),
        took_ms: 1,
        detail: text(detail),
    };
    told.by("worker", step(&crate::journal::no_backup("locked")));
    let tick = |told: &Told| {
        let tick = &told.standing.ticks[0];
        (tick.item.clone(), tick.automatic, tick.result)
    };
    assert_eq!(tick(&told), (text("first-backup"), true, TickResult::Failed));
    told.by("worker", step("20261128-125133F"));
    assert_eq!(tick(&told), (text("first-backup"), true, TickResult::Ok));
    let (list, item, detail) =
        (text("post-restore"), text("first-backup"), text("it is of the wrong stanza"));
    told.by("dk", Fact::Ticked { list, item, automatic: false, result: TickResult::Failed, detail });
    told.by("worker", step("20261128-125133F"));
    assert_eq!(tick(&told), (text("first-backup"), false, TickResult::Failed));
}

//! What an entry tells: the facts of an incident, as they were seen, said or done.
//!
//! A fact only ever gains members that may be missing: every journal ever written stays readable. What a later version
//! wrote (a kind, or a value of a known kind) is [`Fact::Unknown`] with its members as they stand. No member is called
//! as one of [`super::Entry`], beside which it stands in a line. Holds no secret.

use super::word::{Audience, Role, Scenario, Severity, TickResult};
use crate::base::Timestamp;
use crate::model::forecast::Forecast;
use crate::model::op::{Answer, Mark};
use serde::{Deserialize, Serialize};

/// Something worth keeping for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fact {
    /// The incident began.
    Declared {
        /// The stanza.
        stanza: String,
        /// The environment's label.
        label: Option<String>,
        /// Why.
        reason: String,
        /// When the trouble was detected.
        detected_at: Timestamp,
        /// How long the recovery may take, seconds.
        rto_s: u64,
        /// How much may be lost, seconds.
        rpo_s: u64,
        /// How bad it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        severity: Option<Severity>,
    },
    /// How bad it is was judged anew.
    SeverityChanged {
        /// From now on.
        severity: Severity,
        /// Why.
        reason: String,
    },
    /// Which kind of recovery it has become, with what is expected of that kind.
    ScenarioChosen {
        /// Which.
        scenario: Scenario,
        /// How long the recovery may take, seconds.
        rto_s: u64,
        /// How much may be lost, seconds.
        rpo_s: u64,
    },
    /// A person wrote something down.
    Note {
        /// What.
        text: String,
    },
    /// The actor took a role that nobody held, or that its holder can no longer hand over.
    RoleTaken {
        /// Which.
        role: Role,
        /// Who held it until now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        /// Why it was taken from somebody without being handed over.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The holder offers a role to somebody, and holds it until that is acknowledged.
    RoleOffered {
        /// Which.
        role: Role,
        /// To whom.
        to: String,
    },
    /// The actor, to whom the role was offered, holds it now.
    RoleAcknowledged {
        /// Which.
        role: Role,
        /// Who held it until now.
        from: String,
    },
    /// Somebody is to do something within a time. The number of this entry is the task's name.
    TaskAdded {
        /// What.
        text: String,
        /// Who.
        owner: String,
        /// Within how many minutes.
        minutes: u32,
    },
    /// A task ended.
    TaskEnded {
        /// The number of the entry that added it.
        task: u64,
        /// True if it was done, false if it was dropped.
        done: bool,
        /// What came out, or why it was dropped.
        text: String,
    },
    /// A node of a runbook was entered.
    NodeEntered {
        /// Which runbook.
        runbook: String,
        /// SHA-256 of its text.
        digest: String,
        /// Which node.
        node: String,
    },
    /// A question of a runbook was answered, with what was known when it was.
    NodeAnswered {
        /// Which runbook.
        runbook: String,
        /// Which node.
        node: String,
        /// The exit that was taken.
        exit: String,
        /// The exit that the facts proposed; nothing where they proposed none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        proposed: Option<String>,
        /// Why; given where the answer is not the proposed one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// The evidence as it was shown at that moment.
        #[serde(default)]
        findings: Vec<String>,
    },
    /// Somebody went back to an earlier node.
    WentBack {
        /// In which runbook.
        runbook: String,
        /// From which node.
        from: String,
        /// To which.
        to: String,
    },
    /// A checklist or a message of a runbook is behind.
    NodePassed {
        /// In which runbook.
        runbook: String,
        /// Which node.
        node: String,
        /// What is to be said of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// An item of a checklist was looked at.
    Ticked {
        /// The checklist.
        list: String,
        /// The item.
        item: String,
        /// True if a probe answered, false if the actor did.
        automatic: bool,
        /// How it stands.
        result: TickResult,
        /// What was seen.
        #[serde(default)]
        detail: String,
    },
    /// Something a runbook asks for is being done outside of an operation.
    ActStarted {
        /// In which runbook.
        runbook: String,
        /// At which node.
        node: String,
        /// What: the command, or the step done by hand.
        what: String,
    },
    /// It ended.
    ActEnded {
        /// In which runbook.
        runbook: String,
        /// At which node.
        node: String,
        /// What.
        what: String,
        /// True if it did what it was to do.
        done: bool,
        /// What came out.
        outcome: String,
    },
    /// A message waits to be sent; it is in a file of its own before this is written.
    MessageQueued {
        /// Its name.
        message: String,
        /// For whom.
        audience: Audience,
        /// By which channels.
        channels: Vec<String>,
        /// The text.
        text: String,
        /// SHA-256 of the text.
        sha256: String,
        /// `SEQ:HASH`, the end of this journal when it was written; part of the text.
        head: String,
    },
    /// A channel took a message.
    MessageSent {
        /// Its name.
        message: String,
        /// The channel.
        channel: String,
        /// For whom.
        audience: Audience,
        /// SHA-256 of the text.
        sha256: String,
        /// At which attempt.
        attempt: u32,
    },
    /// A channel did not take a message; it stays queued. Told at the first failure and whenever the reason changes.
    MessageFailed {
        /// Its name.
        message: String,
        /// The channel.
        channel: String,
        /// At which attempt.
        attempt: u32,
        /// Why.
        why: String,
    },
    /// A message is not sent by a channel any more.
    MessageDropped {
        /// Its name.
        message: String,
        /// The channel.
        channel: String,
        /// Why.
        why: String,
    },
    /// A person told an audience by other means.
    Told {
        /// Whom.
        audience: Audience,
        /// What, and how.
        text: String,
    },
    /// The actor acts; everybody else watches.
    PilotTaken,
    /// The actor acts no more.
    PilotLeft,
    /// A plan was confirmed.
    Confirmed {
        /// Digest of the plan.
        digest: String,
        /// What it does, one line.
        summary: String,
        /// The exact command.
        command: String,
        /// The word that was typed; empty for a command line that confirms itself.
        typed: String,
        /// The operation made of it.
        operation: String,
        /// The last commit that will be there, as the plan proved it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last_commit: Option<Timestamp>,
        /// The newest moment known; what lies between is given up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        newest: Option<Timestamp>,
        /// How long it was to take.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        forecast: Option<Forecast>,
    },
    /// A worker took an operation up.
    OperationStarted {
        /// Which.
        operation: String,
        /// 1 for the first worker.
        attempt: u32,
    },
    /// A step ended well.
    Step {
        /// The operation.
        operation: String,
        /// The step.
        step: String,
        /// How long it took, milliseconds.
        took_ms: u64,
        /// What came out.
        detail: String,
    },
    /// A variable of the runbooks stands for this from now on.
    ValueGiven {
        /// The variable.
        name: String,
        /// What it stands for.
        value: String,
    },
    /// A second person is asked to approve a plan: without that it is not started.
    ApprovalAsked {
        /// The plan's digest.
        digest: String,
        /// The plan in one line.
        summary: String,
        /// The command line.
        command: String,
    },
    /// A plan was approved by somebody who did not ask for that.
    Approved {
        /// The plan's digest.
        digest: String,
    },
    /// A moment that counts was reached.
    Reached {
        /// Which.
        mark: Mark,
        /// The operation, if it was one.
        operation: Option<String>,
    },
    /// Something went on that a reader should know.
    Warning {
        /// The operation, if it was one.
        operation: Option<String>,
        /// The sentence.
        text: String,
    },
    /// A person answered a question of an operation.
    Answered {
        /// The operation.
        operation: String,
        /// What was asked.
        question: String,
        /// What was answered.
        answer: Answer,
    },
    /// An operation ended.
    OperationEnded {
        /// Which.
        operation: String,
        /// True if everything was done.
        done: bool,
        /// What came out, or what failed and why.
        lines: Vec<String>,
    },
    /// A torn line at the end was cut off before this one was written: a crash in the middle of a write.
    Cut {
        /// How many bytes.
        bytes: u64,
        /// Their SHA-256.
        sha256: String,
    },
    /// The journal was found damaged before this one was written; what proved it has been replaced since.
    Damaged {
        /// What was found.
        text: String,
    },
    /// The incident holds the stanza: nothing is removed from its repositories, and nothing is backed up.
    HoldPlaced {
        /// When that ends by itself.
        until: Timestamp,
    },
    /// The incident no longer holds the stanza.
    HoldLifted,
    /// Something is to be done after the incident. The number of this entry is its name.
    FollowUpAdded {
        /// What.
        text: String,
        /// Who.
        owner: String,
        /// By when, as a day.
        due: String,
    },
    /// A follow-up was done.
    FollowUpDone {
        /// The number of the entry that added it.
        follow_up: u64,
        /// What came out.
        text: String,
    },
    /// The incident is over.
    Closed {
        /// What is to be said about it.
        text: String,
    },
    /// Something this program does not know, written by a later one: its members as they stand.
    #[serde(untagged)]
    Unknown(serde_json::Map<String, serde_json::Value>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_member_of_a_fact_hides_one_of_its_entry() {
        let code = include_str!("fact.rs");
        let facts = code.split("pub enum Fact {").nth(1).unwrap().split("\n}\n").next().unwrap();
        let members: Vec<&str> = facts
            .lines()
            .filter(|line| !line.trim_start().starts_with(['/', '#']))
            .filter_map(|line| line.strip_prefix("        ")?.split_once(": ").map(|(name, _)| name))
            .collect();
        assert!(members.contains(&"reason") && members.len() > 50, "{members:?}");
        for taken in ["seq", "at", "boot_ms", "boot_id", "host", "actor", "kind", "previous", "hash"] {
            assert!(!members.contains(&taken), "{taken}");
        }
    }

    fn read(text: &str) -> Fact {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn entries_of_earlier_and_of_later_versions_are_read() {
        let old = r#"{"kind":"declared","stanza":"main","label":null,"reason":"why","detected_at":"2026-11-21 02:00:00+00","rto_s":1,"rpo_s":2}"#;
        assert!(matches!(read(old), Fact::Declared { severity: None, rto_s: 1, .. }));
        let old =
            r#"{"kind":"confirmed","digest":"d","summary":"s","command":"c","typed":"","operation":"o"}"#;
        assert!(matches!(read(old), Fact::Confirmed { last_commit: None, newest: None, .. }));
        // A word of a later version hides none of the members.
        let later = r#"{"kind":"role_taken","role":"scribe","since":7}"#;
        let Fact::Unknown(members) = read(later) else { panic!("{:?}", read(later)) };
        assert_eq!((members["role"].as_str(), members["since"].as_u64()), (Some("scribe"), Some(7)));
        assert_eq!(serde_json::to_string(&Fact::Unknown(members)).unwrap(), later);
    }

    #[test]
    fn what_was_written_is_read_back_as_it_was() {
        let declared = Fact::Declared {
            stanza: "main".to_owned(),
            label: None,
            reason: "why".to_owned(),
            detected_at: Timestamp::from_unix_s(1000),
            rto_s: 1,
            rpo_s: 2,
            severity: Some(Severity::Sev1),
        };
        let tick = Fact::Ticked {
            list: "pre-restore".to_owned(),
            item: "space".to_owned(),
            automatic: true,
            result: TickResult::NotApplicable,
            detail: "so".to_owned(),
        };
        for fact in [declared, tick, Fact::PilotLeft] {
            let text = serde_json::to_string(&fact).unwrap();
            assert_eq!(read(&text), fact, "{text}");
            assert!(!matches!(read(&text), Fact::Unknown(_)), "{text}");
        }
        for role in Role::ALL {
            assert_eq!(serde_json::to_value(role).unwrap(), role.name());
            assert_eq!(Role::of_name(role.name()), Some(*role));
        }
        assert_eq!((Role::of_name("Lead"), Severity::of_name("")), (None, None));
    }
}

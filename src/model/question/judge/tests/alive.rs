//! Who is alive, and who is fenced.

use super::*;

#[test]
fn a_standby_that_still_receives_proves_a_primary_that_is_out_of_reach() {
    let mut situation = well();
    elsewhere(&mut situation, 0);
    situation.board.members[0].server = unknown("no answer");
    situation.members[0].contact = unknown("no answer");
    assert_eq!(exit("primary-alive", &situation), Some("yes"));
    assert_eq!(exit("fenced", &situation), Some("no"));
    let mut receiver = ReceiverFacts {
        status: "streaming".to_owned(),
        timeline: None,
        sender: Some("db9:5432".to_owned()),
        last_message_at: Some(ago(300)),
    };
    situation.members[1].health = known(HealthFacts { receiver: Some(receiver.clone()), ..health(true) });
    assert_eq!(
        exit("primary-alive", &situation),
        None,
        "a connection that has been silent for long proves nothing"
    );
    let known_health = std::mem::replace(&mut situation.members[1].health, unknown("no answer"));
    assert_eq!(exit("primary-alive", &situation), None, "when something came last is not known");
    situation.members[1].health = known_health;
    receiver.last_message_at = Some(ago(2));
    situation.members[1].health = known(HealthFacts { receiver: Some(receiver), ..health(true) });
    assert_eq!(exit("primary-alive", &situation), Some("yes"));
}

#[test]
fn what_another_standby_sends_on_proves_no_primary() {
    let mut situation = dead();
    elsewhere(&mut situation, 0);
    situation.board.members.push(member("third", known(server(true))));
    situation.members.push(here(true));
    assert_eq!(exit("primary-alive", &situation), Some("yes"), "the third receives, and nobody else sends");
    let link = StandbyLink {
        name: "third".to_owned(),
        from: None,
        state: "streaming".to_owned(),
        sync_state: "async".to_owned(),
        replay_lsn: None,
        flush_lsn: None,
    };
    situation.members[1].health = known(HealthFacts { standbys: vec![link], ..health(true) });
    assert_eq!(exit("primary-alive", &situation), Some("no"), "it may receive from the standby");
    let receiver = |sender: &str| ReceiverFacts {
        status: "streaming".to_owned(),
        timeline: None,
        sender: Some(sender.to_owned()),
        last_message_at: Some(ago(2)),
    };
    let third = |sender: &str| HealthFacts { receiver: Some(receiver(sender)), ..health(true) };
    situation.members[2].health = known(third("db9:5432"));
    assert_eq!(exit("primary-alive", &situation), Some("yes"), "it says that it receives from the primary");
    situation.members[2].health = known(third("db8:5432"));
    situation.members[1].health = unknown("no answer");
    assert_ne!(exit("primary-alive", &situation), Some("yes"), "whether the standby sends is not known");
}

#[test]
fn a_refusal_from_another_host_needs_a_second_witness() {
    let mut situation = dead();
    elsewhere(&mut situation, 0);
    assert_eq!(exit("primary-alive", &situation), Some("no"), "no standby receives from it");
    situation.board.members.truncate(1);
    situation.members.truncate(1);
    assert_eq!(exit("primary-alive", &situation), None, "a firewall refuses, too");
}

#[test]
fn a_fence_is_proven_or_it_is_none() {
    let with = |change: &dyn Fn(&mut FolderFacts)| {
        let mut situation = dead();
        let mut folder = folder(false);
        change(&mut folder);
        situation.members[0].folder = Some(known(folder));
        exit("fenced", &situation)
    };
    assert_eq!(with(&|folder| folder.starts_by_itself = Some(false)), Some("yes"));
    assert_eq!(with(&|folder| folder.starts_by_itself = Some(true)), Some("no"));
    assert_eq!(with(&|folder| folder.quarantined = true), Some("yes"));
    assert_eq!(with(&|folder| folder.running = Some(true)), Some("no"));
    let mut gone = dead();
    elsewhere(&mut gone, 0);
    assert_eq!(exit("fenced", &gone), None, "silence is no fence");
}

//! Patroni and standbys.

use super::*;

fn node(facts: Fact<PatroniFacts>) -> PatroniNode {
    PatroniNode { address: "http://n:8008".to_owned(), facts }
}

fn patroni(leader_port: Option<u16>) -> PatroniFacts {
    let member = |name: &str, port, role: &str| PatroniMember {
        name: name.to_owned(),
        host: Some("127.0.0.1".to_owned()),
        port: Some(port),
        role: role.to_owned(),
        state: "running".to_owned(),
        timeline: None,
        lag_bytes: Some(0),
    };
    let role = |port| if leader_port == Some(port) { "leader" } else { "replica" };
    let members = vec![member("n1", 5432, role(5432)), member("n2", 5433, role(5433))];
    PatroniFacts { listed: true, members, ..PatroniFacts::default() }
}

#[test]
fn patroni_is_asked_and_its_silence_is_unknown() {
    let with = |nodes: Vec<PatroniNode>| {
        let mut situation = dead();
        situation.patroni = nodes;
        exit("failed-over", &situation)
    };
    assert_eq!(with(vec![node(known(patroni(Some(5433))))]), Some("yes"));
    assert_eq!(with(vec![node(known(patroni(Some(5432))))]), Some("no"));
    assert_eq!(with(vec![node(known(patroni(None)))]), Some("no"));
    let both = vec![node(known(patroni(Some(5432)))), node(known(patroni(Some(5433))))];
    assert_eq!(with(both), None, "they were asked while it failed over");
    assert_eq!(with(vec![node(unknown("no answer"))]), None);
    assert_eq!(with(vec![node(failed("refused"))]), None);
    let unlisted = PatroniFacts { listed: false, members: Vec::new(), ..patroni(None) };
    assert_eq!(with(vec![node(known(unlisted))]), None, "not to be listed is no proof that nobody leads");
    let lost = PatroniFacts { store_lost: true, ..patroni(Some(5433)) };
    assert_eq!(with(vec![node(known(lost))]), None, "who has lost the store tells what was");
}

#[test]
fn without_a_leader_all_are_read_only_and_the_data_is_there() {
    let mut situation = well();
    situation.board.members[0].server = known(ServerFacts { streaming: false, ..server(true) });
    situation.board.members[1].server = known(ServerFacts { streaming: false, ..server(true) });
    situation.members[0].health = known(health(true));
    situation.patroni = vec![node(known(patroni(None)))];
    assert_eq!(exit("what-hinders", &situation), Some("quorum-lost"));
    assert_eq!(exit("primary-alive", &situation), Some("yes"));
    let lost = PatroniFacts { store_lost: true, ..PatroniFacts::default() };
    situation.patroni = vec![node(known(lost))];
    assert_eq!(exit("what-hinders", &situation), Some("quorum-lost"));
}

#[test]
fn servers_that_are_all_down_are_not_there_though_nobody_leads() {
    let mut situation = dead();
    for at in 0..2 {
        situation.board.members[at].server = failed("refused");
        situation.members[at].contact = known(Contact::Refused);
        situation.members[at].health = unknown("refused");
        let signal = Some("standby.signal".to_owned());
        situation.members[at].folder = Some(known(FolderFacts { signal, ..folder(false) }));
    }
    situation.patroni = vec![node(known(patroni(None)))];
    assert_ne!(exit("primary-alive", &situation), Some("yes"));
    assert_ne!(exit("what-hinders", &situation), Some("quorum-lost"));
}

#[test]
fn a_leader_that_is_started_again_still_leads() {
    let mut situation = well();
    let mut listed = patroni(Some(5432));
    listed.members[0].state = "crashed".to_owned();
    situation.patroni = vec![node(known(listed))];
    // Patroni starts a crashed leader as a standby first.
    situation.board.members[0].server = known(ServerFacts { streaming: false, ..server(true) });
    situation.members[0].health = known(health(true));
    assert_ne!(exit("what-hinders", &situation), Some("quorum-lost"));
    // The leader is gone, and the store is there: the others elect one.
    let mut electing = dead();
    electing.patroni = vec![node(known(patroni(None)))];
    assert_ne!(exit("what-hinders", &electing), Some("quorum-lost"));
}

#[test]
fn how_far_a_standby_is_behind_one_that_is_silent_is_not_known() {
    let mut situation = well();
    situation.board.members[0].server = unknown("no answer");
    assert_eq!(exit("replica-healthy", &situation), None, "it may have gone another way");
    elsewhere(&mut situation, 0);
    assert_eq!(exit("replica-healthy", &situation), None, "it still receives");
}

#[test]
fn a_standby_of_an_older_timeline_may_have_yet_to_follow() {
    let mut situation = well();
    let on = |timeline| ServerFacts { timeline: Some(Timeline(timeline)), ..server(false) };
    situation.board.members[0].server = known(on(2));
    let left = ServerFacts { streaming: false, ..server(true) };
    situation.board.members[1].server = known(left);
    assert_eq!(exit("replica-healthy", &situation), None, "where the primary left its timeline is not known");
    let forked = |at: u64| {
        let switch = PatroniSwitch { timeline: Timeline(1), lsn: Lsn(at), at: None, leader: None };
        vec![node(known(PatroniFacts { history: vec![switch], ..patroni(Some(5432)) }))]
    };
    situation.patroni = forked(0x500_0000);
    assert_eq!(exit("replica-healthy", &situation), Some("lagging"), "it is not past the fork");
    situation.patroni = forked(0x4ff_ff00);
    assert_eq!(exit("replica-healthy", &situation), Some("no"), "it went past the fork");
}

#[test]
fn a_standby_of_another_history_is_none() {
    let other = |change: fn(&mut ServerFacts)| {
        let mut situation = dead();
        let mut facts = ServerFacts { streaming: false, ..server(true) };
        change(&mut facts);
        situation.board.members[1].server = known(facts);
        exit("replica-healthy", &situation)
    };
    assert_eq!(other(|facts| facts.lsn = Some(Lsn(0x900_0000))), Some("no"), "past the end of its primary");
    assert_eq!(other(|facts| facts.paused = true), Some("lagging"));
    let mut stranger = well();
    stranger.members[1].health = known(HealthFacts { system_id: Some(SystemId(8)), ..health(true) });
    assert_eq!(exit("replica-healthy", &stranger), Some("no"));
    let mut alone = well();
    alone.board.members.truncate(1);
    alone.members.truncate(1);
    assert_eq!(exit("replica-healthy", &alone), Some("no"));
    let mut silent = dead();
    elsewhere(&mut silent, 1);
    silent.board.members[1].server = unknown("no answer");
    assert_eq!(exit("replica-healthy", &silent), None);
}

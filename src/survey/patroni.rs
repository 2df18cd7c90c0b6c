//! Asking one node of Patroni: its REST interface answers without a key.
//!
//! Only asks (`/cluster`, `/patroni`, `/history`). What it says is believed only in the documented form; no answer is
//! unknown, not a no.

use crate::base::{TargetTime, Timeline, Timestamp};
use crate::model::fact::Answer;
use crate::model::situation::{PatroniFacts, PatroniMember, PatroniSwitch};
use crate::net::{Http, Limits, NetError, Trust, Url};
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// The longest wait for one answer.
const LIMIT: Duration = Duration::from_secs(2);
/// The largest answer: a cluster has few members, its history some hundred lines.
const MOST_BYTES: usize = 1 << 20;
/// How many changes of timeline are kept.
const MOST_SWITCHES: usize = 50;

/// A node's address.
#[derive(Debug, Clone)]
pub(super) struct PatroniPlace(pub String);

/// `/cluster`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Cluster {
    members: Vec<Member>,
    pause: bool,
}

/// One of its members; 3.x and 4.x differ in words only.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Member {
    name: String,
    role: String,
    state: String,
    host: Option<String>,
    port: Option<u16>,
    timeline: Option<u32>,
    /// A number, or `unknown`.
    lag: Value,
}

/// `/patroni`, answered whatever the role.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Own {
    state: Option<String>,
    role: Option<String>,
    pause: bool,
    /// When the store was last seen, seconds since 1970.
    dcs_last_seen: Option<i64>,
    /// Without a leader in the store.
    cluster_unlocked: bool,
}

impl PatroniPlace {
    pub(super) fn look(&self) -> Answer<PatroniFacts> {
        let url = match Url::parse(&self.0) {
            Ok(url) => url,
            Err(error) => return Answer::Unknown { why: error.to_string() },
        };
        let limits = Limits { deadline: LIMIT, most_bytes: MOST_BYTES, attempts: 1 };
        let http = Http::new(limits, Trust::default());
        // The roles answer with 503 where they do not hold: the body counts.
        let own = match http.get(&url.at_path("/patroni")).and_then(|answer| answer.json::<Own>()) {
            Ok(own) => own,
            Err(error) => return told(&error),
        };
        let cluster = http.get(&url.at_path("/cluster")).and_then(|answer| {
            let lost = answer.status == 503;
            if lost {
                Ok((Cluster::default(), true))
            } else {
                answer.accepted()?.json().map(|cluster| (cluster, false))
            }
        });
        let (cluster, refused) = match cluster {
            Ok(cluster) => cluster,
            Err(error) => return told(&error),
        };
        let history = http.get_json::<Vec<Vec<Value>>>(&url.at_path("/history")).unwrap_or_default();
        Answer::Known { value: facts(own, cluster, refused, &history, Timestamp::now()) }
    }
}

/// A refusal says that Patroni does not run there; anything else says nothing.
fn told(error: &NetError) -> Answer<PatroniFacts> {
    match error {
        NetError::Unreachable { why, .. } if why.contains("refused") => {
            Answer::Failed { why: "refuses connections".to_owned() }
        }
        other => Answer::Unknown { why: other.to_string() },
    }
}

fn facts(own: Own, cluster: Cluster, refused: bool, history: &[Vec<Value>], now: Timestamp) -> PatroniFacts {
    // Patroni looks every `loop_wait`, 10 s as shipped; it demotes after `ttl`, 30 s.
    let unseen = own.dcs_last_seen.is_some_and(|seen| seen > 0 && now.unix_s() - seen > 30);
    let skipped = history.len().saturating_sub(MOST_SWITCHES);
    let leads =
        cluster.members.iter().any(|member| member.role == "leader" || member.role == "standby_leader");
    PatroniFacts {
        paused: own.pause || cluster.pause,
        own_role: own.role.map(|role| if role == "master" { "primary".to_owned() } else { role }),
        own_state: own.state,
        store_lost: refused || unseen || (own.cluster_unlocked && cluster.members.is_empty() && !leads),
        members: cluster.members.into_iter().map(member).collect(),
        history: history.iter().skip(skipped).filter_map(|row| switch(row)).collect(),
    }
}

fn member(member: Member) -> PatroniMember {
    let Member { name, role, state, host, port, timeline, lag } = member;
    let role = if role == "master" { "leader".to_owned() } else { role };
    PatroniMember { name, host, port, role, state, timeline: timeline.map(Timeline), lag_bytes: lag.as_u64() }
}

/// `[timeline, lsn, reason, time, leader]`, the last two since some version.
fn switch(row: &[Value]) -> Option<PatroniSwitch> {
    let number = |at: usize| row.get(at).and_then(Value::as_u64);
    let text = |at: usize| row.get(at).and_then(Value::as_str);
    Some(PatroniSwitch {
        timeline: Timeline(u32::try_from(number(0)?).ok()?),
        lsn: crate::base::Lsn(number(1)?),
        at: text(3).and_then(|text| TargetTime::parse(&text.replace('T', " ")).ok().map(|time| time.at)),
        leader: text(4).map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_three_and_four_are_understood() {
        let three = r#"{"members": [{"name": "n1", "role": "leader", "state": "running", "host": "127.0.0.1", "port": 5541,
            "timeline": 1, "api_url": "http://127.0.0.1:8008/patroni"}, {"name": "n2", "role": "replica", "state": "running",
            "host": "127.0.0.1", "port": 5542, "timeline": 1, "lag": "unknown"}], "pause": true}"#;
        let own: Own =
            serde_json::from_str(r#"{"state": "running", "role": "master", "dcs_last_seen": 100}"#).unwrap();
        let history = vec![vec![
            Value::from(1),
            Value::from(0x500_0000_u64),
            Value::from("x"),
            Value::from("2026-11-21T02:07:13.5+00:00"),
            Value::from("n1"),
        ]];
        let facts =
            facts(own, serde_json::from_str(three).unwrap(), false, &history, Timestamp::from_unix_s(110));
        assert!(facts.paused && !facts.store_lost && facts.members[0].is_leader() && facts.members[0].runs());
        assert_eq!(facts.own_role.as_deref(), Some("primary"));
        assert_eq!(facts.members[1].lag_bytes, None, "unknown is not 0");
        let [switch] = facts.history.as_slice() else { panic!("{:?}", facts.history) };
        assert_eq!((switch.timeline, switch.leader.as_deref()), (Timeline(1), Some("n1")));
        assert!(switch.at.is_some());
        let four = r#"{"scope": "demo", "members": [{"name": "n2", "role": "sync_standby", "state": "streaming", "lag": 0}]}"#;
        let cluster: Cluster = serde_json::from_str(four).unwrap();
        let member = member(cluster.members.into_iter().next().unwrap());
        assert!(member.runs() && !member.is_leader() && member.lag_bytes == Some(0));
    }

    #[test]
    fn a_store_that_was_not_seen_for_long_is_lost() {
        let own = |seen| Own { dcs_last_seen: Some(seen), ..Own::default() };
        let now = Timestamp::from_unix_s(1_000);
        assert!(facts(own(900), Cluster::default(), false, &[], now).store_lost);
        assert!(!facts(own(990), Cluster::default(), false, &[], now).store_lost);
        assert!(facts(own(990), Cluster::default(), true, &[], now).store_lost);
    }
}

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
/// It looks at the store every `loop_wait`, 10 s as shipped; `ttl`, after which a leader loses its key, is 30 s.
const STORE_UNSEEN_S: i64 = 30;
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
    /// Nobody holds the leader's key, as far as it knows.
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
        // While it waits for the distributed store it answers nothing but this: what it says of itself counts alone.
        let cluster = http.get_json::<Cluster>(&url.at_path("/cluster")).ok();
        let history = match cluster {
            Some(_) => http.get_json::<Vec<Vec<Value>>>(&url.at_path("/history")).unwrap_or_default(),
            None => Vec::new(),
        };
        Answer::Known { value: facts(own, cluster, &history, Timestamp::now()) }
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

fn facts(own: Own, cluster: Option<Cluster>, history: &[Vec<Value>], now: Timestamp) -> PatroniFacts {
    let listed = cluster.is_some();
    let cluster = cluster.unwrap_or_default();
    let unseen = own.dcs_last_seen.is_some_and(|seen| seen > 0 && now.unix_s() - seen > STORE_UNSEEN_S);
    let skipped = history.len().saturating_sub(MOST_SWITCHES);
    PatroniFacts {
        listed,
        paused: own.pause || cluster.pause,
        own_role: own.role.map(|role| if role == "master" { "primary".to_owned() } else { role }),
        own_state: own.state,
        store_lost: unseen || (own.cluster_unlocked && !listed),
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

    fn own(text: &str) -> Own {
        serde_json::from_str(text).unwrap()
    }

    fn listed(text: &str) -> Cluster {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn versions_three_and_four_are_understood() {
        let three = r#"{"members": [{"name": "n1", "role": "leader", "state": "running", "api_url": "http://127.0.0.1:28001/patroni",
            "host": "127.0.0.1", "port": 25541, "timeline": 1}, {"name": "n2", "role": "replica", "state": "running",
            "host": "127.0.0.1", "port": 25542, "timeline": 1, "lag": "unknown"}], "pause": true}"#;
        let history: Vec<Vec<Value>> = serde_json::from_str(
            r#"[[1, 50331864, "no recovery target specified", "2026-11-28T05:27:37.057160+00:00", "n1"], [2, 50332200, "x"]]"#,
        )
        .unwrap();
        let own = own(
            r#"{"state": "running", "role": "master", "dcs_last_seen": 100, "xlog": {"location": 50331648}}"#,
        );
        let facts = facts(own, Some(listed(three)), &history, Timestamp::from_unix_s(110));
        assert!(facts.listed && facts.paused && !facts.store_lost);
        assert!(facts.members[0].is_leader() && facts.members[0].runs());
        assert_eq!(facts.own_role.as_deref(), Some("primary"));
        assert_eq!(facts.members[1].lag_bytes, None, "unknown is not 0");
        let [first, second] = facts.history.as_slice() else { panic!("{:?}", facts.history) };
        assert_eq!(
            (first.timeline, first.leader.as_deref(), first.at.is_some()),
            (Timeline(1), Some("n1"), true)
        );
        assert_eq!((second.timeline, second.at), (Timeline(2), None));
        let four = r#"{"scope": "demo", "members": [{"name": "n2", "role": "sync_standby", "state": "streaming", "lag": 0}]}"#;
        let member = member(listed(four).members.into_iter().next().unwrap());
        assert!(member.runs() && !member.is_leader() && member.lag_bytes == Some(0));
    }

    #[test]
    fn a_node_without_its_store_says_so_of_itself() {
        let now = Timestamp::from_unix_s(1_000);
        // As 3.0 answers while etcd hangs or is gone: /cluster does not answer at all.
        let waits =
            r#"{"state": "running", "role": "replica", "cluster_unlocked": true, "dcs_last_seen": 990}"#;
        let lost = facts(own(waits), None, &[], now);
        assert!(lost.store_lost && !lost.listed);
        let unheard =
            facts(own(r#"{"state": "running", "role": "replica", "dcs_last_seen": 990}"#), None, &[], now);
        assert!(!unheard.store_lost && !unheard.listed, "not to be listed is no proof");
        assert!(facts(own(r#"{"dcs_last_seen": 900}"#), None, &[], now).store_lost);
        let electing = facts(own(waits), Some(listed(r#"{"members": []}"#)), &[], now);
        assert!(!electing.store_lost && electing.listed, "the store is there, nobody leads");
    }
}

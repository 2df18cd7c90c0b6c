//! The plan of a recovery in place: everything an operator says yes to. Reads, asks and proves; writes nothing.
//!
//! What does not hold becomes a check that failed, so that the rest of the plan is still seen.

use super::checks::{self, Checks, sentence};
use super::cluster::{self, Found};
use super::{Recover, command};
use crate::base::{Kind, Lsn, Report, Result, TargetTime, Timeline, Timestamp};
use crate::cluster::owner::Users;
use crate::cluster::running::Running;
use crate::cluster::sql::{Address, Sql};
use crate::engine::restore::{Plan, ProofDepth};
use crate::model::forecast::Forecast;
use crate::model::op::Cancel;
use crate::model::plan::{RecoverPlan, RecoverRequest};
use crate::model::target::Target;
use crate::recovery::source::end_of;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// Refusals of a restore that a plan shows as checks that failed, beside everything else.
const SHOWN: [&str; 2] = ["space", "restore-command"];

/// Works everything out.
pub(super) fn build(recover: &Recover, cancel: &Cancel) -> Result<RecoverPlan> {
    let targets = command::targets(&recover.request, Timestamp::now())?;
    let users = Users::new();
    let found = cluster::look_at(&recover.data_dir, &recover.named, &users)?;
    let mut checks = Checks::default();
    checks::of_cluster(recover, &found, &mut checks);
    let first = targets.first().ok_or_else(|| Report::usage("there is no target"))?;
    let proven = Proven::of(recover, &found, first, &mut checks, cancel)?;
    if let Some(last) = targets.last().filter(|_| targets.len() > 1) {
        earliest(recover, &found, last, &mut checks, cancel)?;
    }
    let plan = proven.plan.as_ref();
    let owner = recover.owner(&found, plan.map(|plan| &plan.manifest), &users)?;
    checks::acts_as(&owner, &mut checks);
    let superuser = found.superuser.clone().unwrap_or_else(|| owner.name.clone());
    let followers = cluster::followers(&recover.settings, &recover.site, &found, &superuser);
    checks::standbys(&followers, &mut checks);
    if let Some(version) = found.version.or(plan.map(|plan| plan.manifest.db.version)) {
        checks::programs(recover.binaries(version), version, &mut checks);
    }
    if let Target::Time(time) = first
        && time.zone_assumed
    {
        checks.warn(format!("the target names no time zone: this host's was taken, so it is {}", time.at));
    }
    shown(recover, &found, first, &proven, checks)
}

/// What was proven about the first target.
#[derive(Debug, Default)]
struct Proven {
    plan: Option<Plan>,
    timeline: Option<Timeline>,
    /// The newest commit in the archive.
    newest: Option<Timestamp>,
    /// The target is decided only when the last WAL is in the archive.
    pending: bool,
}

impl Proven {
    fn of(
        recover: &Recover,
        found: &Found,
        first: &Target,
        checks: &mut Checks,
        cancel: &Cancel,
    ) -> Result<Self> {
        let timeline = recover.own_timeline(found);
        let newest = archive_end(recover, timeline, cancel)?;
        let mut proven = Self { timeline, newest: newest.as_ref().and_then(last_commit), ..Self::default() };
        let plan = match (first, &newest) {
            (Target::End, Some(end)) => recover.first_plan(&end_of(end), timeline, &SHOWN, cancel),
            _ => recover.first_plan(first, timeline, &SHOWN, cancel),
        };
        let plan = match plan {
            Ok(plan) => plan,
            Err(report) if report.kind == Kind::Cancelled => return Err(report),
            Err(report) => {
                proven.pending = refusal(found, first, proven.newest, newest.as_ref(), &report, checks);
                return Ok(proven);
            }
        };
        if let Some(proof) = &plan.proof {
            let mut sentences = proof.sentences().into_iter();
            for text in sentences.by_ref().take(2) {
                checks.ok(text);
            }
            if proof.salvaged > 0 {
                checks.ok(format!(
                    "{} of them are not in the archive but in pg_wal: they are saved first",
                    proof.salvaged
                ));
            }
            proven.timeline = Some(Timeline(proof.timeline));
            demands(&plan, checks);
        } else {
            checks.warn("PostgreSQL of this version writes WAL that is not read here: nothing is proven");
        }
        identity(found, &plan, checks);
        room(&plan, checks);
        for text in &plan.warnings {
            match text.split_once(" (accepted: ") {
                Some((refusal, _)) => checks.fail(refusal),
                None => checks.warn(text.clone()),
            }
        }
        proven.pending = *first == Target::End && matches!(found.running, Ok(Running::Yes { .. }));
        if proven.pending {
            checks.warn("the server runs: its last WAL is archived first, and the end is where that ends");
        }
        proven.plan = Some(plan);
        Ok(proven)
    }
}

/// The archive's end along a timeline, as far as names and the last segments tell; nothing if that cannot be told.
fn archive_end(recover: &Recover, timeline: Option<Timeline>, cancel: &Cancel) -> Result<Option<Plan>> {
    // Only for the end itself every record is read: where it lies must be known exactly then.
    let exact = recover.request.kind == "default";
    let depth = if exact { ProofDepth::Scan } else { ProofDepth::Listing };
    match recover.plan_at(&Target::End, timeline, depth, &SHOWN, cancel) {
        Ok(plan) => Ok(Some(plan)),
        Err(report) if report.kind == Kind::Cancelled => Err(report),
        Err(_) => Ok(None),
    }
}

/// Tells why the first target is not proven. True if the running server's last WAL may still hold it: then that is
/// archived first and decides, before anything is stopped.
fn refusal(
    found: &Found,
    target: &Target,
    newest: Option<Timestamp>,
    end: Option<&Plan>,
    report: &Report,
    checks: &mut Checks,
) -> bool {
    let runs = matches!(found.running, Ok(Running::Yes { .. })) && !found.vacant;
    let behind = match target {
        Target::Time(time) => newest.is_some_and(|newest| time.at > newest),
        Target::Lsn(lsn) => {
            let last = end.and_then(|plan| plan.proof.as_ref()).and_then(|proof| proof.last_record);
            last.is_some_and(|last| *lsn > last)
        }
        Target::Xid(xid) => runs && has_ended(found, xid.0),
        // Only the log knows names.
        Target::Name(_) => true,
        Target::End | Target::Immediate => false,
    };
    if report.kind != Kind::TargetUnreachable || !runs || !behind {
        checks.refused(report);
        return false;
    }
    checks.warn(format!(
        "{target} is not in the archive yet: the server's last WAL is archived first, and if it is not there \
         either, this ends before the server is stopped ({})",
        report.headline
    ));
    true
}

/// True if the running server says that the transaction has ended.
fn has_ended(found: &Found, xid: u32) -> bool {
    let owner = found.owner.as_ref();
    let user = found.superuser.as_deref().or(owner.map(|owner| owner.name.as_str())).unwrap_or("postgres");
    let address = Address::socket(&found.sockets, found.port, user, "postgres");
    // With the server's own epoch: a transaction before a wraparound is not behind the archive's end.
    let question = format!(
        "SELECT pg_xact_status((((pg_snapshot_xmax(pg_current_snapshot())::text::bigint >> 32) << 32) + {xid})\
         ::text::xid8) IN ('committed', 'aborted')"
    );
    let asked = Sql::connect(&address, owner).and_then(|mut session| session.value(&question));
    asked.is_ok_and(|answer| answer.as_deref() == Some("t"))
}

/// The earliest target is what is left when the damage is found in all others.
fn earliest(
    recover: &Recover,
    found: &Found,
    last: &Target,
    checks: &mut Checks,
    cancel: &Cancel,
) -> Result<()> {
    match recover.first_plan(last, recover.own_timeline(found), &SHOWN, cancel) {
        Ok(_) => checks.ok(format!("the earliest target, {last}, can be reached too")),
        Err(report) if report.kind == Kind::Cancelled => return Err(report),
        Err(report) => checks.warn(format!("the earliest target cannot be reached: {}", sentence(&report))),
    }
    Ok(())
}

fn identity(found: &Found, plan: &Plan, checks: &mut Checks) {
    let theirs = plan.manifest.db.system_id;
    match &found.control {
        Ok(control) if control.system_id == theirs => {
            checks.ok(format!("system identifier {theirs} matches"));
        }
        Ok(control) => checks.fail(format!(
            "the data directory holds another cluster: its system identifier is {}, the backup's {theirs}",
            control.system_id
        )),
        Err(_) if found.vacant => {}
        Err(report) => checks.add(
            crate::model::plan::CheckState::Unknown,
            format!("whether the data directory holds this cluster cannot be told: {}", report.headline),
        ),
    }
}

/// What the replayed log demands besides what the backup's configuration may say.
fn demands(plan: &Plan, checks: &mut Checks) {
    let demanded = plan.proof.iter().flat_map(|proof| &proof.parameters).filter(|(_, value)| *value > 0);
    let text: Vec<_> = demanded.map(|(name, value)| format!("{name} {value}")).collect();
    if !text.is_empty() {
        checks.warn(format!(
            "the primary was restarted with other limits after the backup: raised for the replay to {}",
            text.join(", ")
        ));
    }
}

fn room(plan: &Plan, checks: &mut Checks) {
    for filesystem in plan.filesystems.iter().filter(|filesystem| filesystem.suffices()) {
        checks.ok(format!(
            "{} needed beside the data directory, {} free",
            crate::base::Bytes(filesystem.needed_bytes),
            crate::base::Bytes(filesystem.available_bytes)
        ));
    }
}

fn last_commit(plan: &Plan) -> Option<Timestamp> {
    moment(&plan.proof.as_ref()?.last_commit.as_ref()?.time)
}

fn moment(text: &str) -> Option<Timestamp> {
    TargetTime::parse(text).ok().map(|time| time.at)
}

/// Puts together what is shown.
fn shown(
    recover: &Recover,
    found: &Found,
    first: &Target,
    proven: &Proven,
    checks: Checks,
) -> Result<RecoverPlan> {
    let plan = proven.plan.as_ref();
    let proof = plan.and_then(|plan| plan.proof.as_ref());
    let timeline = proven.timeline.map(|timeline| timeline.0);
    // What is confirmed says which timeline it follows; the end of a backup lies on the backup's own.
    let followed = timeline.filter(|_| *first != Target::Immediate);
    let request = RecoverRequest { timeline: followed, ..recover.request.clone() };
    let stop = proof.and_then(|proof| proof.stop.as_ref());
    let at = match first {
        Target::Time(time) => Some(time.at),
        _ => stop.and_then(|stop| moment(stop.time.as_deref()?)),
    };
    let space = plan.map_or_else(Vec::new, |plan| {
        let room =
            |f: &crate::engine::restore::Filesystem| (f.path.clone(), f.needed_bytes, f.available_bytes);
        plan.filesystems.iter().map(room).collect()
    });
    Ok(RecoverPlan {
        target: format!("{}{first}", if recover.request.exclusive { "just before " } else { "" }),
        target_at: at,
        data_dir: recover.data_dir.clone(),
        repo: plan.map(|plan| plan.repo_key),
        set: plan.map(|plan| plan.manifest.label.to_string()),
        set_stop: plan.map(|plan| plan.manifest.stop),
        copy_bytes: plan.map_or(0, |plan| plan.bytes_total),
        copy_files: plan.map_or(0, |plan| plan.manifest.files.len() as u64),
        replay_bytes: proof.map_or(0, |proof| proof.wal_bytes),
        replay_segments: proof.map_or(0, |proof| proof.segments),
        timeline,
        space,
        last_commit: proof.and_then(|proof| moment(&proof.last_commit.as_ref()?.time)),
        first_lost_commit: proof.and_then(|proof| moment(&proof.first_lost_commit.as_ref()?.time)),
        newest: proven.newest,
        forecast: proof
            .zip(plan)
            .and_then(|(proof, plan)| Forecast::of(plan.bytes_total, proof.wal_bytes, &recover.measured())),
        checks: checks.0,
        steps: recover.steps(),
        command: command::shown(&command::arguments(&recover.given, &request)?),
        digest: digest(&request, found, proven),
        request,
    })
}

/// SHA-256 over everything that decides what is done. Where the end of the log decides, its position is left out: it
/// moves while the server runs.
fn digest(request: &RecoverRequest, found: &Found, proven: &Proven) -> String {
    let plan = proven.plan.as_ref();
    let stop = plan.and_then(|plan| plan.proof.as_ref()?.stop.as_ref()).filter(|_| !proven.pending);
    let stop = stop.map(|stop| (stop.lsn.parse::<Lsn>().ok(), stop.after));
    let decides = format!(
        "{request:?} {} {:?} {:?} {stop:?} {:?}",
        found.data_dir.display(),
        plan.map(|plan| (plan.repo_key, plan.manifest.label.as_str(), plan.manifest.db.system_id)),
        proven.timeline,
        found.vacant,
    );
    Sha256::digest(decides.as_bytes()).iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

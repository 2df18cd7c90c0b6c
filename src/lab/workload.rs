//! The workload: one writer that commits and writes the truth down, and the monitor beside it.
//!
//! Runs as its own process in its own session, told what to do by one word in the control file. It only ever
//! writes to the application's database and to its own files in the lab.

use super::LabError;
use super::db::{Db, number};
use super::layout::Lab;
use super::ledger::{self, Entry};
use super::monitor;
use super::process::Identity;
use super::truth::{Fact, Pen};
use crate::base::Timestamp;
use crate::cluster::sql::SqlError;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::{Duration, Instant};

/// How the workload's process is called: `pgmayday lab` with this word.
pub const SUBCOMMAND: &str = "__workload";
/// Pause between two transactions.
const PACE: Duration = Duration::from_millis(15);
/// Pause before trying again when the database is away.
const RETRY: Duration = Duration::from_millis(50);

/// What the workload is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Commit transactions.
    Run,
    /// Commit nothing; the application is closed. The monitor goes on.
    Hold,
    /// End the process.
    Stop,
}

/// What the workload says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The process.
    pub process: Identity,
    /// The order it follows now; it has no transaction open under `hold` and `stop`.
    pub order: Order,
    /// The last transaction it knows committed.
    pub last: u64,
    /// When that was committed, microseconds since 1970; 0 if none was.
    pub last_at_us: i64,
    /// Why it cannot commit now; empty if it can.
    pub trouble: String,
}

/// Gives the workload an order.
pub fn order(lab: &Lab, order: Order) -> Result<(), LabError> {
    let word = match order {
        Order::Run => "run",
        Order::Hold => "hold",
        Order::Stop => "stop",
    };
    replace(&lab.control_file(), word.as_bytes())
}

/// What the workload last said, if it ever ran.
pub fn state(lab: &Lab) -> Option<State> {
    serde_json::from_slice(&std::fs::read(lab.workload_file()).ok()?).ok()
}

/// Gives an order and waits until the workload follows it; a workload that is gone follows `stop` and `hold`.
pub fn order_and_wait(lab: &Lab, wanted: Order, limit: Duration) -> Result<(), LabError> {
    order(lab, wanted)?;
    let begun = Instant::now();
    while begun.elapsed() < limit {
        match state(lab) {
            Some(state) if state.process.alive() => {
                let follows = wanted != Order::Stop && state.order == wanted;
                if follows {
                    return Ok(());
                }
            }
            _ if wanted != Order::Run => return Ok(()),
            _ => {}
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let what = format!("the workload's obeying '{wanted:?}'");
    Err(LabError::Timeout { what, seconds: limit.as_secs() })
}

/// The workload's process: becomes a session of its own, works until told to stop.
pub fn run(lab: &Lab) -> Result<(), LabError> {
    std::env::set_current_dir(lab.dir()).map_err(LabError::io("enter", lab.dir()))?;
    // Fails only where the process leads a group already, that is where nothing needs to be left.
    let _ = rustix::process::setsid();
    let process = Identity::own().ok_or_else(|| LabError::Damaged {
        path: "/proc".into(),
        why: "this process cannot see itself".to_owned(),
    })?;
    let stop = || read_order(lab) == Order::Stop;
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| monitor::watch(lab, &stop));
        let written = Writer::new(lab, process)?.work();
        if written.is_err() {
            order(lab, Order::Stop)?;
        }
        match watcher.join() {
            Ok(seen) => written.and(seen),
            Err(_) => Err(LabError::Wrong("the monitor ended by a panic".to_owned())),
        }
    })
}

struct Writer<'a> {
    lab: &'a Lab,
    pen: Pen,
    db: Option<Db>,
    state: State,
    told: Option<(State, Instant)>,
}

impl<'a> Writer<'a> {
    fn new(lab: &'a Lab, process: Identity) -> Result<Self, LabError> {
        let pen = Pen::open(&lab.truth_file())?;
        let (last, trouble) = (pen.truth.last(), String::new());
        let state = State { process, order: Order::Hold, last, last_at_us: 0, trouble };
        Ok(Self { lab, pen, db: None, state, told: None })
    }

    fn work(mut self) -> Result<(), LabError> {
        loop {
            self.state.order = read_order(self.lab);
            match self.state.order {
                Order::Stop => return self.tell(),
                Order::Hold => {
                    self.db = None;
                    self.tell()?;
                    std::thread::sleep(PACE);
                }
                Order::Run => {
                    let result = self.one_transaction();
                    self.state.last = self.pen.truth.last();
                    self.state.last_at_us = self.pen.truth.commits.last().map_or(0, |commit| commit.at.0);
                    match result {
                        Ok(()) => self.state.trouble.clear(),
                        Err(LabError::Sql(error)) => {
                            self.db = None;
                            self.state.trouble = error.to_string();
                            std::thread::sleep(RETRY);
                        }
                        Err(other) => return Err(other),
                    }
                    self.tell()?;
                    std::thread::sleep(PACE);
                }
            }
        }
    }

    fn one_transaction(&mut self) -> Result<(), LabError> {
        let db = match &mut self.db {
            Some(db) => db,
            none => {
                let mut db = Db::as_application(self.lab, ledger::DATABASE)?;
                settle(&mut self.pen, &mut db)?;
                none.insert(db)
            }
        };
        let id = self.pen.truth.last() + 1;
        match commit(db, id) {
            Ok(fact) => self.pen.write(&fact),
            Err(error) => {
                // An error of the server's own is no commit; a lost session may hide one.
                if matches!(error, SqlError::Lost { .. }) {
                    self.pen.write(&Fact::InDoubt { id })?;
                }
                Err(error.into())
            }
        }
    }

    /// Publishes the state: at once when order or trouble changed, else a few times a second.
    fn tell(&mut self) -> Result<(), LabError> {
        let now = Instant::now();
        let due = self.told.as_ref().is_none_or(|(told, at)| {
            told.order != self.state.order
                || told.trouble != self.state.trouble
                || now.duration_since(*at) > Duration::from_millis(100)
        });
        if due {
            let path = self.lab.workload_file();
            let text = serde_json::to_vec(&self.state)
                .map_err(|e| LabError::Damaged { path: path.clone(), why: e.to_string() })?;
            replace(&path, &text)?;
            self.told = Some((self.state.clone(), now));
        }
        Ok(())
    }
}

/// The server's record of a commit: its time, and a position not before it.
const RECORD: &str =
    "(extract(epoch FROM pg_xact_commit_timestamp(x)) * 1000000)::bigint, pg_current_wal_insert_lsn()";

fn commit(db: &mut Db, id: u64) -> Result<Fact, SqlError> {
    let xid = db.value(&Entry::of(id).statement())?;
    let asked = db.last_row(&format!("SELECT {RECORD} FROM (SELECT '{xid}'::xid) AS t(x)"));
    // Committed, but when is not known: to be settled like a lost answer.
    let [at_us, lsn] =
        asked.map_err(|error| SqlError::Lost { at: "the commit".to_owned(), why: error.to_string() })?;
    Ok(Fact::Commit { id, xid: number(&xid)?, at_us: number(&at_us)?, lsn })
}

/// Compares the truth with what a newly reached database holds: a lost answer is settled, a recovery noticed.
fn settle(pen: &mut Pen, db: &mut Db) -> Result<(), LabError> {
    let found = number(&db.value("SELECT coalesce(max(id), 0) FROM ledger")?)?;
    let last = pen.truth.last();
    if found < last {
        return pen.write(&Fact::Rewound { to: found });
    }
    if found == last {
        return Ok(());
    }
    if pen.truth.in_doubt != Some(found) {
        pen.write(&Fact::Foreign { found })?;
        return Err(LabError::Wrong(format!(
            "row {found} stands in the ledger, {last} was the last written"
        )));
    }
    let row = format!("SELECT x, {RECORD} FROM (SELECT xmin FROM ledger WHERE id = {found}) AS t(x)");
    let [xid, at_us, lsn] = db.last_row(&row)?;
    pen.write(&Fact::Commit { id: found, xid: number(&xid)?, at_us: number(&at_us)?, lsn })
}

fn read_order(lab: &Lab) -> Order {
    match std::fs::read(lab.control_file()).as_deref() {
        Ok(b"run") => Order::Run,
        Ok(b"hold") => Order::Hold,
        // The lab is gone, or says so.
        _ => Order::Stop,
    }
}

/// Replaces a small file in one step; unlike elsewhere it need not survive a power cut.
fn replace(path: &Path, content: &[u8]) -> Result<(), LabError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.{}", std::process::id(), Timestamp::now().0));
    std::fs::write(&temporary, content)
        .and_then(|()| std::fs::rename(&temporary, path))
        .map_err(LabError::io("replace", path))
}

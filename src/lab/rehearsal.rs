//! The lab as a recovery sees it: its configuration, its application.
//!
//! The verification knows what an operator could know (the application's check) and, beyond that, the truth: a
//! recovered database that passes the check but is not what was committed ends the rehearsal as a failure.

use super::LabError;
use super::db::{Db, number};
use super::layout::{Lab, STANZA};
use super::ledger;
use super::monitor;
use super::postgres;
use super::truth::Truth;
use super::verify::{Verdict, verify};
use super::workload::{self, Order};
use crate::base::state::{OpId, StateDir};
use crate::base::{Report, Timestamp};
use crate::config::site::Site;
use crate::config::{CliOption, Config, Sources};
use crate::model::op::{Answer, Question};
use crate::model::plan::RecoverRequest;
use crate::model::target;
use crate::recovery::in_place::Finding;
use crate::recovery::recover::{Asker, Recover};
use std::path::Path;
use std::time::{Duration, Instant};

/// A recovery of the lab's primary in place, by the lab's own configuration: the one an operator would call for.
///
/// `targets` are tried in order, each earlier than the one before.
pub fn recovery(lab: &Lab, targets: &[Timestamp]) -> Result<Recover, LabError> {
    let option = |name: &str, value: String| CliOption { name: name.to_owned(), value: Some(value) };
    let path = lab.config().display().to_string();
    let given = vec![option("config", path), option("stanza", STANZA.to_owned())];
    let config =
        Config::load(&Sources { cli: given.clone(), env: Vec::new(), default_dir: lab.dir().to_owned() });
    let config = config.map_err(Report::from)?;
    let settings = |command: &str| config.settings(command, Some(STANZA)).map_err(Report::from);
    let site = Site::load(None, Some(&lab.config())).map_err(Report::from)?.of(STANZA);
    let request = RecoverRequest {
        stanza: STANZA.to_owned(),
        kind: "time".to_owned(),
        targets: targets.iter().map(ToString::to_string).collect(),
        exclusive: false,
        timeline: None,
        set: None,
        asks: false,
        no_first_backup: false,
    };
    let operation = OpId::new("recover", Timestamp::now())?;
    let state = StateDir::at(lab.state_dir());
    let recover = Recover::new(&settings("restore")?, &site, request, &operation, &state, lab.call())?;
    let recover = recover.with_server(&settings("backup")?).with_archives(&settings("archive-push")?);
    Ok(recover.with_given(&given))
}

/// Nobody is asked anything in an unattended recovery.
#[derive(Debug, Clone, Copy)]
pub struct Nobody;

impl Asker for Nobody {
    fn ask(&self, question: Question) -> Result<Answer, Report> {
        Err(Report::failed(format!("nobody is here to answer: {}", question.text)))
    }
}

/// The lab's application, behind the hooks of the lab's `pgmayday.toml`.
#[derive(Debug)]
pub struct LabService<'a> {
    lab: &'a Lab,
}

impl<'a> LabService<'a> {
    /// The application of this lab.
    pub fn new(lab: &'a Lab) -> Self {
        Self { lab }
    }

    /// What the last verification of this recovery compared, whichever process did it.
    pub fn verdict(&self) -> Option<Verdict> {
        serde_json::from_slice(&std::fs::read(self.lab.verdict_file()).ok()?).ok()
    }

    /// Looks at recovered data through a private socket; reads only.
    pub fn verify(&self, sockets: &Path, port: u16, target: &target::Target) -> Result<Finding, Report> {
        let connect = |database| Db::as_superuser(sockets, port, database);
        let mut shop = connect(ledger::DATABASE)?;
        let mut crm = match connect(ledger::SECOND_DATABASE) {
            Ok(crm) => crm,
            Err(error) => return Ok(Finding::Damaged(error.to_string())),
        };
        match monitor::check(&mut shop, &mut crm) {
            Ok(seen) if seen.right => {}
            Ok(seen) => return Ok(Finding::Damaged(seen.why)),
            Err(error) => return Ok(Finding::Damaged(error.to_string())),
        }
        let rows = self.rows_at(&mut shop, target)?;
        let verdict = verify(&mut shop, &mut crm, rows)?;
        self.keep(&verdict)?;
        if verdict.right() {
            Ok(Finding::Right(format!("{rows} ledger rows, accounts and orders are as committed")))
        } else {
            Err(LabError::Wrong(verdict.differences.join("; ")).into())
        }
    }

    /// How many transactions there must be at the target; where the truth cannot tell, as many as there are, which
    /// must then be exactly the first ones.
    fn rows_at(&self, shop: &mut Db, target: &target::Target) -> Result<u64, LabError> {
        let truth = Truth::load(&self.lab.truth_file())?;
        let found: u64 = number(&shop.value("SELECT count(*) FROM ledger")?)?;
        let target::Target::Time(time) = target else { return Ok(found) };
        let rows = truth.rows_at(time.at);
        // The answer to the last commit may have been lost; then it may be there.
        let one_more = rows == truth.last() && found == rows + 1 && truth.may_end_with(found);
        Ok(if one_more { found } else { rows })
    }

    fn keep(&self, verdict: &Verdict) -> Result<(), LabError> {
        let path = self.lab.verdict_file();
        let text = serde_json::to_vec(verdict)
            .map_err(|e| LabError::Damaged { path: path.clone(), why: e.to_string() })?;
        std::fs::write(&path, text).map_err(LabError::io("write", &path))
    }

    /// Stops the writer; returns when no write can come any more.
    pub fn stop_writers(&self) -> Result<String, Report> {
        // A recovery begins: what an earlier one compared is no evidence of this one.
        let verdict = self.lab.verdict_file();
        if verdict.exists() {
            std::fs::remove_file(&verdict).map_err(LabError::io("remove", &verdict))?;
        }
        workload::order_and_wait(self.lab, Order::Hold, Duration::from_secs(30))?;
        let last = workload::state(self.lab).map_or(0, |state| state.last);
        Ok(format!("{last} transactions committed"))
    }

    /// Starts the primary as the lab serves it.
    pub fn start(&self) -> Result<String, Report> {
        postgres::start(self.lab, &self.lab.primary(), "primary.log")?;
        Ok(String::new())
    }

    /// Lets the writer write again and waits for its first commit, through the application's own address.
    pub fn first_write(&self) -> Result<String, Report> {
        let before = Truth::load(&self.lab.truth_file())?;
        let begun = Instant::now();
        workload::order(self.lab, Order::Run)?;
        let limit = Duration::from_secs(30);
        while begun.elapsed() < limit {
            let state = workload::state(self.lab);
            let writes = |state: &workload::State| {
                state.order == Order::Run
                    && state.trouble.is_empty()
                    && before.commits.last().is_none_or(|last| state.last_at_us > last.at.0)
            };
            if let Some(state) = state.filter(writes) {
                return Ok(format!("transaction {} through the application's address", state.last));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let what = "a commit of the application".to_owned();
        Err(LabError::Timeout { what, seconds: limit.as_secs() }.into())
    }
}

/// Compares what the live database holds, with its writer held, to everything committed so far; lets it run again.
pub fn verify_live(lab: &Lab) -> Result<Verdict, LabError> {
    workload::order_and_wait(lab, Order::Hold, Duration::from_secs(30))?;
    let truth = Truth::load(&lab.truth_file())?;
    let connect = |database| Db::as_superuser(&lab.sockets(), lab.settings().primary_port, database);
    let verdict =
        verify(&mut connect(ledger::DATABASE)?, &mut connect(ledger::SECOND_DATABASE)?, truth.last())?;
    workload::order_and_wait(lab, Order::Run, Duration::from_secs(30))?;
    Ok(verdict)
}

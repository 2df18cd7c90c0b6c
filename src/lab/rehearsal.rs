//! The lab as a recovery sees it: its repository as the source, its application as the service.
//!
//! The verification knows what an operator could know (the application's check) and, beyond that, the truth: a
//! recovered database that passes the check but is not what was committed ends the rehearsal as a failure.

use super::LabError;
use super::db::{Db, number};
use super::layout::{Lab, STANZA, SUPERUSER};
use super::ledger;
use super::monitor;
use super::postgres;
use super::truth::Truth;
use super::up;
use super::verify::{Verdict, verify};
use super::workload::{self, Order};
use crate::base::Report;
use crate::cluster::recovery_settings::RestoreCommand;
use crate::config::{CliOption, Config, Sources};
use crate::model::target;
use crate::recovery::closed::Closed;
use crate::recovery::in_place::{Finding, Service, Spec, Target};
use crate::recovery::source::Source;
use std::path::Path;
use std::time::{Duration, Instant};

/// What the recovery of the lab's primary needs to know.
pub fn spec(lab: &Lab, operation: &str) -> Result<Spec, LabError> {
    let settings = lab.settings();
    Ok(Spec {
        operation: operation.to_owned(),
        data_dir: lab.primary(),
        binaries: lab.binaries()?,
        sockets: lab.sockets(),
        port: settings.primary_port,
        superuser: SUPERUSER.to_owned(),
        standbys: vec![lab.standby()],
        work_dir: lab.dir().join("recoveries").join(operation),
        closed_sockets: lab.sockets().join("closed"),
    })
}

/// The lab's repository, as our own restore reads it.
pub fn source(lab: &Lab) -> Result<Source, LabError> {
    let option = |name: &str, value: String| CliOption { name: name.to_owned(), value: Some(value) };
    let config = Config::load(&Sources {
        cli: vec![option("config", lab.config().display().to_string()), option("stanza", STANZA.to_owned())],
        env: Vec::new(),
        default_dir: lab.dir().to_owned(),
    });
    let settings =
        config.and_then(|config| config.settings("restore", Some(STANZA))).map_err(Report::from)?;
    let command = RestoreCommand::new(&lab.settings().program)
        .option("config", lab.config().display().to_string())
        .option("stanza", STANZA);
    Ok(Source::open(&settings, command)?)
}

/// The lab's application, inside this process or behind the hooks of the lab's `pgmayday.toml`.
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

    /// Looks at recovered data through a private socket, as [`Service::verify`] does.
    pub fn verify_at(&self, sockets: &Path, port: u16, target: &target::Target) -> Result<Finding, Report> {
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
}

impl Service for LabService<'_> {
    fn stop_writers(&self) -> Result<String, Report> {
        // A recovery begins: what an earlier one compared is no evidence of this one.
        let verdict = self.lab.verdict_file();
        if verdict.exists() {
            std::fs::remove_file(&verdict).map_err(LabError::io("remove", &verdict))?;
        }
        workload::order_and_wait(self.lab, Order::Hold, Duration::from_secs(30))?;
        let last = workload::state(self.lab).map_or(0, |state| state.last);
        Ok(format!("{last} transactions committed"))
    }

    fn verify(&self, closed: &Closed, target: &Target) -> Result<Finding, Report> {
        self.verify_at(&closed.sockets, closed.port, &target.at)
    }

    fn open(&self) -> Result<String, Report> {
        postgres::start(self.lab, &self.lab.primary(), "primary.log")?;
        Ok(String::new())
    }

    fn first_write(&self) -> Result<String, Report> {
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

    fn first_backup(&self) -> Result<String, Report> {
        up::pgbackrest(self.lab, &["--type=full", "backup"])?;
        Ok("full".to_owned())
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
